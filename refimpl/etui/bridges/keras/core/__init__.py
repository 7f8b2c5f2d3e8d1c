"""Keras' configs in the terms of the core vocabulary and back (SPEC.md, annex L)."""
