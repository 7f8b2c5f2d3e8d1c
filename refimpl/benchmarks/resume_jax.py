"""Resuming in JAX: with the adapters, with optax's own update rules, and wrongly on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from resume_case import Case, Result, worst

import etui

VARIANTS = ("exact", "stock")
CONTROLS = ("fresh-state", "step-off-by-one", "unscaled-velocity", "stock-epsilon")
_LOST = ("approximated", "not-transferable")


def applies(variant: str, optimizer: str, dtype: str) -> bool:
    """Controls are run where the fault that they make is one."""
    if variant == "unscaled-velocity":
        return optimizer in {"sgd-momentum", "sgd-nesterov"}
    if variant == "stock-epsilon":
        return optimizer in {"adam", "rmsprop"} and dtype == "float64"
    if variant == "step-off-by-one":
        return optimizer == "adam"
    return variant in VARIANTS or optimizer in {"adam", "rmsprop", "sgd-momentum"}


def run(case: Case, variant: str) -> Result:
    """Load the function with its optimizer and loss, and train on."""
    if variant == "stock-epsilon" and case.model == "cnn":
        return Result([], "")  # the fault is smaller than what Keras' own normalization leaves open
    report = etui.Report()
    stock = variant in {"stock", "unscaled-velocity"}
    resumed = etui.jax.load(case.path, allow=_LOST if variant == "stock" else (), stock=stock, report=report)
    transfer, reason = worst(report)
    if resumed.tx is None:
        return Result([], transfer, reason)
    tx, opt_state = _FAULTS.get(variant, _none)(resumed)
    function, compiled = resumed.function, resumed.loss

    def step(params: Any, state: Any, opt_state: Any, x: Any, y: Any) -> tuple[Any, ...]:
        def loss_of(params: Any) -> tuple[Any, Any]:
            outputs, after = function.apply(params, x, state=state, training=True)
            return compiled(outputs, y) + function.regularization(params), after

        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(params)
        updates, opt_state = tx.update(gradients, opt_state, params)
        return optax.apply_updates(params, updates), state, opt_state, loss

    compiled_step = jax.jit(step)
    params, state, losses = resumed.params, resumed.state, []
    for x, y in case.batches:
        params, state, opt_state, loss = compiled_step(
            params, state, opt_state, jnp.asarray(x), jnp.asarray(np.asarray(y))
        )
        losses.append(float(loss))
    return Result(losses, transfer, reason)


def _none(resumed: Any) -> tuple[Any, Any]:
    return resumed.tx, resumed.opt_state


def _fresh(resumed: Any) -> tuple[Any, Any]:
    return resumed.tx, resumed.tx.init(resumed.params)


def _off_by_one(resumed: Any) -> tuple[Any, Any]:
    def less(leaf: Any) -> Any:
        return leaf - 1 if jnp.ndim(leaf) == 0 and jnp.issubdtype(leaf.dtype, jnp.integer) else leaf

    return resumed.tx, jax.tree.map(less, resumed.opt_state)


def _unscaled(resumed: Any) -> tuple[Any, Any]:
    """The velocity of Keras as the trace of `optax.sgd`, without the division by the rate."""
    rate = resumed.optimizer.learning_rate
    return resumed.tx, jax.tree.map(lambda leaf: leaf * -rate if jnp.ndim(leaf) else leaf, resumed.opt_state)


def _stock_epsilon(resumed: Any) -> tuple[Any, Any]:
    """Optax's rule with the number of Keras' epsilon, as if it stood in the same place."""
    rate = resumed.optimizer.learning_rate
    if resumed.optimizer.algorithm == "core:adam":
        tx = optax.adam(rate, eps=1e-7)
        own = resumed.opt_state[0]
        state = tx.init(resumed.params)
        return tx, (state[0]._replace(count=own.count, mu=own.momentum, nu=own.velocity), *state[1:])
    tx = optax.chain(optax.scale_by_rms(0.9, 1e-7, eps_in_sqrt=False), optax.scale_by_learning_rate(rate))
    return tx, resumed.opt_state[0]


_FAULTS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "fresh-state": _fresh,
    "step-off-by-one": _off_by_one,
    "unscaled-velocity": _unscaled,
    "stock-epsilon": _stock_epsilon,
}
