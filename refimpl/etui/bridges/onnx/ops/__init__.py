"""The ops of the core vocabulary as nodes of ONNX, one family a module (SPEC.md, annexes J and T)."""
