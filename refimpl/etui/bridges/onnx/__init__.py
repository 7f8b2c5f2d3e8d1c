"""ONNX: programs made from core graphs, and those of others taken in (SPEC.md, annex T)."""
