"""TensorFlow.js: layers models and graph models, both ways (SPEC.md, annex H)."""
