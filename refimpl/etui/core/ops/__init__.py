"""The definitions of the core ops in NumPy, one family a module (SPEC.md, annex J)."""
