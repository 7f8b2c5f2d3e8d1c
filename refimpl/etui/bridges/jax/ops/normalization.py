"""Normalizations (SPEC.md, annex J.4), in float32 at least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.registry import Array, Mask, op

MASK_EPSILON = 1e-7
"""Added to the number of elements that a mask keeps."""


def _wide(x: Array) -> Array:
    """`x` in float32 at least."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _along(value: Array, x: Array, axes: Sequence[int]) -> Array:
    """A variable of the sizes of some axes, shaped to be combined with x."""
    shape = [1] * x.ndim
    for axis in axes:
        shape[axis] = x.shape[axis]
    return value.astype(x.dtype).reshape(shape)


def _affine(
    x: Array, mean: Array, variance: Array, epsilon: float, *, gamma: Array | None, beta: Array | None
) -> Array:
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, as one product and one sum."""
    factor = lax.rsqrt(variance + epsilon)
    if gamma is not None:
        factor = factor * gamma
    shift = -mean * factor
    if beta is not None:
        shift = shift + beta
    return x * factor + shift


def _result(y: Array, x: Array, compute: Any) -> Array:
    return y.astype(x.dtype if compute is None else compute)


@op("batch_norm", masked=True, updates=True, precise="params")
def batch_norm(
    x: Array,
    *,
    moving_mean: Array,
    moving_variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    attrs: Mapping[str, Any],
    trainable: bool,
    training: bool,
    mask: Mask,
    compute: Any,
    **_: Any,
) -> tuple[tuple[Array, Mask], dict[str, Array]]:
    """Normalize each channel by the moving statistics, or in training by the batch's, which move them."""
    wide = _wide(x)
    axis = attrs["axis"] % x.ndim
    updates: dict[str, Array] = {}
    if training and trainable:
        mean, variance, count = _moments(wide, axis, mask)
        momentum = attrs["momentum"]
        seen = variance * (count / (count - 1)) if attrs["moving_variance"] == "unbiased" else variance
        for role, moving, now in (("moving_mean", moving_mean, mean), ("moving_variance", moving_variance, seen)):
            new = moving.astype(wide.dtype) * momentum + now * (1.0 - momentum)
            updates[role] = lax.stop_gradient(new).astype(moving.dtype)
    else:
        mean, variance = moving_mean, moving_variance
    scale = None if gamma is None else _along(gamma, wide, [axis])
    offset = None if beta is None else _along(beta, wide, [axis])
    y = _affine(
        wide, _along(mean, wide, [axis]), _along(variance, wide, [axis]), attrs["epsilon"], gamma=scale, beta=offset
    )
    return (_result(y, x, compute), mask), updates


def _moments(x: Array, axis: int, mask: Mask) -> tuple[Array, Array, Any]:
    """Mean, biased variance and number of the elements of each channel that the mask keeps."""
    others = tuple(other for other in range(x.ndim) if other != axis)
    if mask is None:
        count = x.size // x.shape[axis]
        return jnp.mean(x, axis=others), jnp.var(x, axis=others), count
    kept = jnp.broadcast_to(jnp.expand_dims(mask.astype(bool), -1), x.shape)
    number = jnp.sum(kept.astype(x.dtype), axis=others, keepdims=True)
    mean = jnp.sum(jnp.where(kept, x, 0), axis=others, keepdims=True) / (number + MASK_EPSILON)
    squares = jnp.sum(jnp.square(jnp.where(kept, x - mean, 0)), axis=others, keepdims=True)
    variance = squares / (number + MASK_EPSILON)
    return mean.reshape(-1), variance.reshape(-1), number.reshape(-1)


def _axes(axes: Sequence[int] | None, x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim)) if axes is None else tuple(sorted(axis % x.ndim for axis in axes))


@op("layer_norm", precise="all")
def layer_norm(
    x: Array,
    *,
    gamma: Array | None = None,
    beta: Array | None = None,
    axes: Sequence[int] | None,
    epsilon: float,
    compute: Any,
    **_: Any,
) -> Array:
    """Normalize each sample over the axes."""
    wide, over = _wide(x), _axes(axes, x)
    mean = jnp.mean(wide, axis=over, keepdims=True)
    variance = jnp.var(wide, axis=over, keepdims=True)
    scale = None if gamma is None else _along(gamma, wide, over)
    offset = None if beta is None else _along(beta, wide, over)
    return _result(_affine(wide, mean, variance, epsilon, gamma=scale, beta=offset), x, compute)


@op("rms_norm")
def rms_norm(x: Array, *, scale: Array | bool, axes: Sequence[int] | None, epsilon: float, **_: Any) -> Array:
    """`x` over the root of its mean square over the axes."""
    wide, over = _wide(x), _axes(axes, x)
    y = wide * lax.rsqrt(jnp.mean(jnp.square(wide), axis=over, keepdims=True) + epsilon)
    if not isinstance(scale, bool):
        y = y * _along(scale, wide, over)
    return y.astype(x.dtype)


@op("group_norm", precise="params")
def group_norm(
    x: Array,
    *,
    gamma: Array | None = None,
    beta: Array | None = None,
    groups: int,
    axis: int,
    epsilon: float,
    compute: Any,
    **_: Any,
) -> Array:
    """Normalize each sample over each group of neighbouring channels and all other axes but the batch."""
    axis %= x.ndim
    channels = x.shape[axis]
    wide = _wide(x).reshape(*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    over = tuple(other for other in range(1, wide.ndim) if other != axis)
    mean = jnp.mean(wide, axis=over, keepdims=True)
    variance = jnp.var(wide, axis=over, keepdims=True)
    shape = [1] * wide.ndim
    shape[axis : axis + 2] = groups, channels // groups
    scale = None if gamma is None else gamma.astype(wide.dtype).reshape(shape)
    offset = None if beta is None else beta.astype(wide.dtype).reshape(shape)
    return _result(_affine(wide, mean, variance, epsilon, gamma=scale, beta=offset).reshape(x.shape), x, compute)


@op("unit_norm")
def unit_norm(x: Array, *, axes: Sequence[int] | None, epsilon: float, **_: Any) -> Array:
    """`x` over its length along the axes, which counts as epsilon at least."""
    squares = jnp.sum(jnp.square(x), axis=_axes(axes, x), keepdims=True)
    return x * jnp.minimum(lax.rsqrt(squares), 1.0 / epsilon)


@op("normalization")
def normalization(
    x: Array, *, mean: Any, variance: Any, axes: Sequence[int] | None, invert: bool, compute: Any = None, **_: Any
) -> Array:
    """(x - mean) / max(sqrt(variance), 1e-7) by fixed statistics of the kept axes, or the inverse of it."""
    values = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32 if compute is None else compute)
    middle, spread = (_statistic(value, values, axes) for value in (mean, variance))
    width = jnp.maximum(jnp.sqrt(spread), MASK_EPSILON)
    return middle + values * width if invert else (values - middle) / width


def _statistic(value: Any, x: Array, axes: Sequence[int] | None) -> Array:
    """A statistic shaped to be combined with x; an attribute broadcasts, as NumPy does."""
    array = jnp.asarray(value, x.dtype)
    if array.ndim == x.ndim:
        return array
    kept = () if axes is None else _axes(axes, x)
    shape = [x.shape[axis] if axis in kept else 1 for axis in range(x.ndim)]
    return jnp.broadcast_to(array, tuple(x.shape[axis] for axis in kept)).reshape(shape)
