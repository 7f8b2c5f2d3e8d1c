"""Pooling and resizing over one to three spatial axes (SPEC.md J.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.layout import channels_back, channels_last, each, lowest, padded, pads, spatial, windows, with_rank
from etui.core.ops.registry import Array, Mask, op
from etui.errors import error

Sizes = Sequence[int] | None


@op("max_pool")
def max_pool(
    x: Array, *, pool_size: Sequence[int], strides: Sizes, padding: Any, dilation: Sizes, data_format: str, **_: Any
) -> Array:
    """The largest value of each window; padding never counts."""
    rank = len(pool_size)
    x = channels_last(with_rank(x, rank), data_format)
    pool, strides, dilation = each(pool_size, rank), each(strides, rank, pool_size), each(dilation, rank)
    amounts = pads(padding, spatial(x), pool, strides, dilation)
    taps = windows(padded(x, amounts, lowest(x.dtype)), pool, strides, dilation)
    return channels_back(taps.max(axis=tuple(range(-rank, 0))), data_format)


@op("avg_pool")
def avg_pool(
    x: Array,
    *,
    pool_size: Sequence[int],
    strides: Sizes,
    padding: Any,
    data_format: str,
    count_padding: bool,
    **_: Any,
) -> Array:
    """The mean of each window: of its elements that are no padding, or of all with the padding as zeros."""
    rank = len(pool_size)
    x = floating(channels_last(with_rank(x, rank), data_format))
    pool, strides = each(pool_size, rank), each(strides, rank, pool_size)
    amounts = pads(padding, spatial(x), pool, strides, (1,) * rank)
    within = tuple(range(-rank, 0))
    total = windows(padded(x, amounts, 0), pool, strides, (1,) * rank).sum(axis=within)
    real = np.full((1, *spatial(x), 1), 1, x.dtype)
    count = windows(padded(real, amounts, int(count_padding)), pool, strides, (1,) * rank).sum(axis=within)
    return channels_back(total / count, data_format)


@op("global_max_pool")
def global_max_pool(x: Array, *, data_format: str, keepdims: bool, **_: Any) -> Array:
    """The largest value over all spatial axes."""
    return _spatial_result(channels_last(x, data_format), data_format, keepdims, np.max)


@op("global_avg_pool", masked=True)
def global_avg_pool(x: Array, *, data_format: str, keepdims: bool, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The mean over all spatial axes; with one spatial axis and a mask, over the steps that the mask has."""
    x = floating(channels_last(x, data_format))
    if mask is None or x.ndim != 3:
        return _spatial_result(x, data_format, keepdims, np.mean), None
    weight = np.asarray(mask, dtype=x.dtype)[..., None]
    total = _spatial_result(x * weight, data_format, keepdims, np.sum)
    return total / _spatial_result(weight, data_format, keepdims, np.sum), None


def _spatial_result(x: Array, data_format: str, keepdims: bool, reduction: Callable[..., Array]) -> Array:
    y = reduction(x, axis=tuple(range(1, x.ndim - 1)), keepdims=keepdims)
    return channels_back(y, data_format) if keepdims else y


@op("adaptive_max_pool")
def adaptive_max_pool(x: Array, *, output_size: Sequence[int], data_format: str, **_: Any) -> Array:
    """The largest value of each of `output_size` windows, which cover each axis (CV-42)."""
    return _adaptive(x, output_size, data_format, np.max)


@op("adaptive_avg_pool")
def adaptive_avg_pool(x: Array, *, output_size: Sequence[int], data_format: str, **_: Any) -> Array:
    """The mean of each of `output_size` windows, which cover each axis (CV-42)."""
    return _adaptive(floating(x), output_size, data_format, np.mean)


def _adaptive(x: Array, output_size: Sequence[int], data_format: str, reduction: Callable[..., Array]) -> Array:
    """Window `o` of an axis with `n` elements and `m` windows is from `floor(o·n/m)` up to before `ceil((o+1)·n/m)`."""
    x = channels_last(x, data_format)
    for axis, count in enumerate(each(output_size, x.ndim - 2), start=1):
        size = x.shape[axis]
        parts = [
            reduction(np.take(x, range(o * size // count, -(-(o + 1) * size // count)), axis=axis), axis=axis)
            for o in range(count)
        ]
        x = np.stack(parts, axis=axis)
    return channels_back(x, data_format)


@op("resize")
def resize(
    x: Array, *, size: Sizes, scale: Sizes, interpolation: str, antialias: bool, data_format: str, **_: Any
) -> Array:
    """Each spatial axis resampled in turn: to `size` elements, or to `scale` times as many (CV-43)."""
    x = channels_last(x, data_format)
    rank = len(spatial(x))
    if (size is None) == (scale is None):
        raise error("core-evaluate", found="a resize with both of size and scale, or with neither")
    if size is None:
        size = [n * factor for n, factor in zip(spatial(x), each(scale, rank), strict=True)]
    x = x if interpolation == "nearest" else floating(x)
    for axis, count in enumerate(each(size, rank), start=1):
        n = x.shape[axis]
        if interpolation == "nearest":
            x = np.take(x, [(2 * o + 1) * n // (2 * count) for o in range(count)], axis=axis)
        elif count != n:
            weights = _weights(n, count, interpolation, antialias).astype(x.dtype)
            x = np.moveaxis(np.tensordot(x, weights, axes=(axis, 0)), -1, axis)
    return channels_back(x, data_format)


def _weights(n: int, count: int, interpolation: str, antialias: bool) -> Array:
    """The share of input `i` in output `o`, shape `[n, count]`; the shares in one output add up to 1."""
    centre = (np.arange(count) + 0.5) * n / count - 0.5
    stretch = max(n / count, 1.0) if antialias else 1.0
    distance = np.abs(centre[None, :] - np.arange(n)[:, None]) / stretch
    share = _KERNELS[interpolation](distance)
    return np.asarray(share / share.sum(axis=0, keepdims=True))


def _triangle(d: Array) -> Array:
    return np.asarray(np.maximum(1 - d, 0))


def _cubic(d: Array) -> Array:
    """The cubic of R. Keys (1981) with a = -1/2."""
    near = (1.5 * d - 2.5) * d**2 + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0))


def _lanczos(radius: int) -> Callable[[Array], Array]:
    return lambda d: np.where(d < radius, np.sinc(d) * np.sinc(d / radius), 0)


_KERNELS = {"bilinear": _triangle, "bicubic": _cubic, "lanczos3": _lanczos(3), "lanczos5": _lanczos(5)}
