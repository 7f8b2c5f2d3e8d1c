"""The containers of SPEC.md: one module each, with the same verbs `decode` and `encode`."""
