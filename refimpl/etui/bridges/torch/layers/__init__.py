"""A torch module for each core op, one family a module (SPEC.md, annex M.1)."""
