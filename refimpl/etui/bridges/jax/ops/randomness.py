"""Ops that are random in training (SPEC.md, annex J.11); each draws from the key of its call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from etui.bridges.jax.ops.registry import Array, op
from etui.errors import error

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def needed(rng: Array | None, where: str) -> Array:
    """The key of a call that is random.

    Raises:
        UsageError: ``jax-rng``, the caller gave none.
    """
    if rng is None:
        raise error("jax-rng", where=where)
    return rng


def dropped(x: Array, rate: float, shape: Sequence[int | None] | None, key: Array) -> Array:
    """`x` with a share `rate` of zeros, the rest over 1 - rate; axes of size 1 in the shape are dropped together."""
    if rate >= 1:
        return jnp.zeros_like(x)
    full = (
        x.shape
        if shape is None
        else [size if free is None else free for free, size in zip(shape, x.shape, strict=True)]
    )
    kept = jax.random.bernoulli(key, 1.0 - rate, tuple(full))
    return jnp.where(jnp.broadcast_to(kept, x.shape), x / (1.0 - rate), 0).astype(x.dtype)


@op("dropout")
def dropout(
    x: Array,
    *,
    rate: float,
    noise_shape: Sequence[int | None] | None,
    training: bool,
    rng: Array | None,
    where: str,
    **_: Any,
) -> Array:
    """A share of zeros in training."""
    return dropped(x, rate, noise_shape, needed(rng, where)) if training and rate > 0 else x


@op("spatial_dropout")
def spatial_dropout(
    x: Array, *, rate: float, data_format: str, training: bool, rng: Array | None, where: str, **_: Any
) -> Array:
    """Whole channels of zeros in training."""
    if not training or rate <= 0:
        return x
    ones = [1] * (x.ndim - 2)
    shape = (None, *ones, None) if data_format == "channels_last" else (None, None, *ones)
    return dropped(x, rate, shape, needed(rng, where))


@op("gaussian_noise")
def gaussian_noise(x: Array, *, stddev: float, training: bool, rng: Array | None, where: str, **_: Any) -> Array:
    """Normal noise added in training."""
    if not training or stddev <= 0:
        return x
    return x + jax.random.normal(needed(rng, where), x.shape, x.dtype) * stddev


@op("gaussian_dropout")
def gaussian_dropout(x: Array, *, rate: float, training: bool, rng: Array | None, where: str, **_: Any) -> Array:
    """Times normal noise around 1 in training, as wide as dropout's."""
    if not training or rate <= 0:
        return x
    width = math.sqrt(rate / (1.0 - rate))
    return x * (1 + jax.random.normal(needed(rng, where), x.shape, x.dtype) * width)


@op("alpha_dropout")
def alpha_dropout(
    x: Array,
    *,
    rate: float,
    noise_shape: Sequence[int | None] | None,
    training: bool,
    rng: Array | None,
    where: str,
    **_: Any,
) -> Array:
    """A share set to SELU's lower limit in training, and all scaled so that mean and variance stay (Klambauer 2017)."""
    if not training or rate <= 0:
        return x
    shape = (
        x.shape
        if noise_shape is None
        else [size if free is None else free for free, size in zip(noise_shape, x.shape, strict=True)]
    )
    low = -_SELU_ALPHA * _SELU_SCALE
    kept = (jax.random.uniform(needed(rng, where), tuple(shape)) >= rate).astype(x.dtype)
    factor = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    return factor * (x * kept + low * (1 - kept)) - factor * low * rate


@op("activity_regularization")
def activity_regularization(x: Array, **_: Any) -> Array:
    """The tensor itself; its penalty is that of its module's regularizer of outputs."""
    return x
