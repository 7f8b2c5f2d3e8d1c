"""The two canonical encodings of documents, and the values that documents hold (SPEC.md chapters 3 to 5)."""
