"""Live Keras models, Keras 3 and tf_keras (SPEC.md, annex I)."""
