"""The legacy HDF5 formats of Keras (SPEC.md, annex C)."""
