"""Regularizers and constraints of the core vocabulary in JAX (SPEC.md, annex J.13)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.registry import Array
from etui.canonical.values import ObjectValue
from etui.errors import error, shown

EPSILON = 1e-7
"""What keeps a norm from being divided by when it is zero."""

Function = Callable[..., Array]


def _l1(x: Array, *, l1: float = 0.01) -> Array:
    return l1 * jnp.sum(jnp.abs(x))


def _l2(x: Array, *, l2: float = 0.01) -> Array:
    return l2 * jnp.sum(jnp.square(x))


def _l1_l2(x: Array, *, l1: float = 0.0, l2: float = 0.0) -> Array:
    total = jnp.zeros((), x.dtype)
    if l1:
        total += _l1(x, l1=l1)
    if l2:
        total += _l2(x, l2=l2)
    return total


def _orthogonal(x: Array, *, factor: float = 0.01, mode: str = "rows") -> Array:
    """Half of the sum of the absolute products of different rows (columns) of unit length, over the pairs."""
    rows = x if mode == "rows" else x.T
    rows = rows * lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(rows), axis=1, keepdims=True), 1e-12))
    product = rows @ rows.T
    count = rows.shape[0]
    pairs = count * (count - 1) / 2.0
    return factor * 0.5 * jnp.sum(jnp.abs(product * (1.0 - jnp.eye(count, dtype=x.dtype)))) / pairs


def _norms(w: Array, axis: Any) -> Array:
    axes = tuple(axis) if isinstance(axis, list | tuple) else axis
    return jnp.sqrt(jnp.sum(jnp.square(w), axis=axes, keepdims=True))


def _max_norm(w: Array, *, max_value: float = 2.0, axis: Any = 0) -> Array:
    norms = _norms(w, axis)
    return w * (jnp.clip(norms, 0, max_value) / (EPSILON + norms))


def _min_max_norm(
    w: Array, *, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
) -> Array:
    norms = _norms(w, axis)
    desired = rate * jnp.clip(norms, min_value, max_value) + (1 - rate) * norms
    return w * (desired / (EPSILON + norms))


def _unit_norm(w: Array, *, axis: Any = 0) -> Array:
    return w / (EPSILON + _norms(w, axis))


def _non_neg(w: Array) -> Array:
    return jnp.maximum(w, 0)


_REGULARIZERS: dict[str, Function] = {"l1": _l1, "l2": _l2, "l1_l2": _l1_l2, "orthogonal_regularizer": _orthogonal}
_CONSTRAINTS: dict[str, Function] = {
    "max_norm": _max_norm,
    "min_max_norm": _min_max_norm,
    "non_neg": _non_neg,
    "unit_norm": _unit_norm,
}


def regularizer(value: Any, where: str) -> Callable[[Array], Array]:
    """The function of a variable or an output that a regularizer of the vocabulary is.

    Raises:
        TransferError: ``jax-op``, it is none of the vocabulary.
    """
    return _function(value, "core:regularizers.", _REGULARIZERS, where)


def constraint(value: Any, where: str) -> Callable[[Array], Array]:
    """The function of a variable that a constraint of the vocabulary is; raises as `regularizer` does."""
    return _function(value, "core:constraints.", _CONSTRAINTS, where)


def _function(value: Any, prefix: str, table: Mapping[str, Function], where: str) -> Callable[[Array], Array]:
    if not isinstance(value, ObjectValue) or value.class_name.removeprefix(prefix) not in table:
        found = value.class_name if isinstance(value, ObjectValue) else value
        hint = "Remove it from the config, or add its effect to your own training step."
        raise error("jax-op", where=where, found=f"{prefix.strip('.').partition(':')[2]} {shown(found)}", hint=hint)
    function, parameters = table[value.class_name.removeprefix(prefix)], dict(value.config or {})

    def applied(x: Array) -> Array:
        return function(x, **parameters)

    return applied
