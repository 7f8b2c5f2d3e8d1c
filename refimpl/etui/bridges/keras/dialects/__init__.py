"""Keras 2 and Keras 3: a model in the terms of the other (SPEC.md, annex E)."""
