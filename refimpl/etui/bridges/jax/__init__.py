"""The JAX bridge: functions, trees of parameters, optax states and Orbax checkpoints (SPEC.md, annex N)."""
