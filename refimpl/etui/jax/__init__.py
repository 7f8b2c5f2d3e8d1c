"""JAX: functions from core models, optimizers of optax that go on, trees of parameters (SPEC.md, annex N).

    import etui

    resumed = etui.jax.load("model.etui")                     # a pure function, its parameters, an optimizer of optax
    updates, opt_state = resumed.tx.update(gradients, resumed.opt_state, params)
    params = optax.apply_updates(params, updates)
    etui.jax.save(resumed, params, state, opt_state, "model.etui")

    etui.jax.save_tree(params, "params.etui")                 # any pytree, of Flax or of nothing
    params, report = etui.jax.load_tree("params.etui", like=params)

Importing this module imports no framework.
"""

from __future__ import annotations

from typing import Any

from etui.jax.bridge import bridge
from etui.jax.distributed import load_distributed, save_distributed
from etui.jax.foreign import from_linen, from_nnx, from_orbax, load_into_nnx, to_orbax
from etui.jax.training import capture, describe, load, loss_scale, save, to_function
from etui.jax.trees import capture_tree, load_opt_state, load_optimizer, load_tree, save_tree

__all__ = [
    "capture",
    "capture_tree",
    "describe",
    "from_linen",
    "from_nnx",
    "from_orbax",
    "load",
    "load_distributed",
    "load_into_nnx",
    "load_opt_state",
    "load_optimizer",
    "load_tree",
    "loss_scale",
    "save",
    "save_distributed",
    "save_tree",
    "to_function",
    "to_orbax",
]


def __getattr__(name: str) -> Any:
    if name == "Resumed":
        return bridge("resume").Resumed
    if name == "Function":
        return bridge("functions").Function
    raise AttributeError(f"module 'etui.jax' has no attribute {name!r}")
