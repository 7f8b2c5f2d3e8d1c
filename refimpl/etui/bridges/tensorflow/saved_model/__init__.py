"""SavedModel folders (SPEC.md, annex G)."""
