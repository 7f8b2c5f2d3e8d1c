"""The weights files of Keras 3 and tf_keras (SPEC.md, annex D)."""
