"""Pooling and resizing (SPEC.md, annex J.8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from etui.bridges.jax.ops.convolution import Padding, Pairs, each, window_padding
from etui.bridges.jax.ops.registry import Array, Mask, op


def _axes(x: Array, data_format: str) -> tuple[int, ...]:
    """The spatial axes."""
    return tuple(range(1, x.ndim - 1)) if data_format == "channels_last" else tuple(range(2, x.ndim))


def _spread(x: Array, axes: Sequence[int], values: Sequence[Any], fill: Any) -> list[Any]:
    """A list over all axes of x, with the values at the given ones."""
    out = [fill] * x.ndim
    for axis, value in zip(axes, values, strict=True):
        out[axis] = value
    return out


def _windows(
    x: Array,
    pool_size: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
    *,
    dilation: Sequence[int] | None,
    data_format: str,
) -> tuple[list[int], list[int], Pairs, list[int]]:
    """Sizes, strides, padding and dilation over all axes of x."""
    axes = _axes(x, data_format)
    steps, holes = list(strides or pool_size), each(dilation, len(axes))
    pairs = window_padding(padding, [x.shape[axis] for axis in axes], pool_size, steps, holes)
    return (
        _spread(x, axes, pool_size, 1),
        _spread(x, axes, steps, 1),
        _spread(x, axes, pairs, (0, 0)),
        _spread(x, axes, holes, 1),
    )


def _lowest(x: Array) -> Any:
    kind = jnp.issubdtype(x.dtype, jnp.floating)
    return np.array(-np.inf if kind else jnp.iinfo(x.dtype).min, x.dtype)


@op("max_pool")
def max_pool(
    x: Array,
    *,
    pool_size: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None,
    data_format: str,
    **_: Any,
) -> Array:
    """The largest element of each window; what is added by padding is below all."""
    sizes, steps, pairs, holes = _windows(x, pool_size, strides, padding, dilation=dilation, data_format=data_format)
    return lax.reduce_window(x, _lowest(x), lax.max, sizes, steps, pairs, window_dilation=holes)


@op("avg_pool")
def avg_pool(
    x: Array,
    *,
    pool_size: Sequence[int],
    strides: Sequence[int] | None,
    padding: Padding,
    data_format: str,
    count_padding: bool,
    **_: Any,
) -> Array:
    """The mean of each window, over the elements of x alone or over all places."""
    sizes, steps, pairs, _holes = _windows(x, pool_size, strides, padding, dilation=None, data_format=data_format)
    zero = np.array(0, x.dtype)
    total = lax.reduce_window(x, zero, lax.add, sizes, steps, pairs)
    if count_padding or not any(before or after for before, after in pairs):
        return total / math.prod(pool_size)
    shape = [
        size if window > 1 or pair != (0, 0) else 1 for size, window, pair in zip(x.shape, sizes, pairs, strict=True)
    ]
    ones = jnp.ones(shape, x.dtype)
    steps = [step if size > 1 else 1 for step, size in zip(steps, shape, strict=True)]
    return total / lax.reduce_window(ones, zero, lax.add, sizes, steps, pairs)


@op("global_max_pool")
def global_max_pool(x: Array, *, data_format: str, keepdims: bool, **_: Any) -> Array:
    """The largest element of each channel."""
    return jnp.max(x, axis=_axes(x, data_format), keepdims=keepdims)


@op("global_avg_pool", masked=True)
def global_avg_pool(x: Array, *, data_format: str, keepdims: bool, mask: Mask, **_: Any) -> tuple[Array, Mask]:
    """The mean of each channel; with a mask [batch, time], over what it keeps."""
    axes = _axes(x, data_format)
    if mask is None or len(axes) != 1:
        return jnp.mean(x, axis=axes, keepdims=keepdims), None
    kept = jnp.expand_dims(mask.astype(bool), 2 if data_format == "channels_last" else 1)
    total = jnp.sum(jnp.where(kept, x, 0), axis=axes, keepdims=keepdims)
    return total / jnp.sum(kept.astype(x.dtype), axis=axes, keepdims=keepdims), None


def _adaptive(x: Array, output_size: Sequence[int], data_format: str, reduce: Callable[..., Array]) -> Array:
    """Reduce each axis to n cells, the i-th from floor(i size / n) to ceil((i + 1) size / n)."""
    for axis, count in zip(_axes(x, data_format), output_size, strict=True):
        size = x.shape[axis]
        cells = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        x = jnp.stack([reduce(lax.slice_in_dim(x, *cell, axis=axis), axis=axis) for cell in cells], axis=axis)
    return x


@op("adaptive_max_pool")
def adaptive_max_pool(x: Array, *, output_size: Sequence[int], data_format: str, **_: Any) -> Array:
    """The largest element of each cell."""
    return _adaptive(x, output_size, data_format, jnp.max)


@op("adaptive_avg_pool")
def adaptive_avg_pool(x: Array, *, output_size: Sequence[int], data_format: str, **_: Any) -> Array:
    """The mean of each cell."""
    return _adaptive(x, output_size, data_format, jnp.mean)


@op("resize")
def resize(
    x: Array,
    *,
    size: Sequence[int] | None,
    scale: Sequence[int] | None,
    interpolation: str,
    antialias: bool,
    data_format: str,
    **_: Any,
) -> Array:
    """Sample the spatial axes anew, with the centres of the cells half a cell from the border."""
    axes = _axes(x, data_format)
    if scale is not None and interpolation == "nearest":
        for axis, factor in zip(axes, scale, strict=True):
            x = jnp.repeat(x, factor, axis=axis)
        return x
    if size is None:
        size = [x.shape[axis] * factor for axis, factor in zip(axes, scale or [1] * len(axes), strict=True)]
    shape = list(x.shape)
    for axis, length in zip(axes, size, strict=True):
        shape[axis] = length
    return jax.image.resize(x, shape, method=interpolation, antialias=antialias)
