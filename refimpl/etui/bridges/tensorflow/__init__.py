"""Bridges to the formats of TensorFlow, without TensorFlow (SPEC.md, annexes F and G)."""
