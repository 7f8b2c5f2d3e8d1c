"""The core ops in JAX, one family a module (SPEC.md, annexes J and N.1)."""
