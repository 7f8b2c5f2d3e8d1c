"""PyTorch: modules from core graphs, and the state of modules and optimizers (SPEC.md, annex M)."""
