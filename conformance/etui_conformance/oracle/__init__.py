"""A small codec of the format, written from SPEC.md alone: what the suite measures an implementation against."""
