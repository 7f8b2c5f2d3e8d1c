"""Normalization by statistics (SPEC.md J.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.registry import Array, Mask, op

_SMALLEST_DEVIATION = 1e-7
_LEAST_COUNT = 1e-7
"""Added to the number of elements that a mask leaves, so that none is no division by zero."""


@op("batch_norm", masked=True, updates=True)
def batch_norm(
    x: Array,
    *,
    axis: int,
    momentum: float,
    epsilon: float,
    moving_mean: Array,
    moving_variance_variable: Array,
    moving_variance: str,
    gamma: Array | None = None,
    beta: Array | None = None,
    trainable: bool = True,
    training: bool = False,
    mask: Mask = None,
    **_: Any,
) -> tuple[tuple[Array, Mask], dict[str, Array]]:
    """`(x - mean) / sqrt(variance + epsilon) · gamma + beta` for each channel.

    In training the statistics are those of the batch, and the moving ones become
    `moving · momentum + batch · (1 - momentum)`; else they are the moving ones, as they are where `trainable` is false.
    """
    x = floating(x, moving_mean)
    mean, variance, updates = moving_mean, moving_variance_variable, {}
    if training and trainable:
        others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
        weight = np.ones((1,) * x.ndim, x.dtype) if mask is None else np.asarray(mask, x.dtype)[..., None]
        weight = np.broadcast_to(weight, x.shape)
        count = weight.sum(axis=others)
        divisor = count if mask is None else count + _LEAST_COUNT
        mean = (x * weight).sum(axis=others) / divisor
        variance = (np.square(x - along(mean, [axis], x.ndim)) * weight).sum(axis=others) / divisor
        kept = variance * (count / (count - 1)) if moving_variance == "unbiased" else variance
        updates = {
            "moving_mean": moving_mean * momentum + mean * (1 - momentum),
            "moving_variance": moving_variance_variable * momentum + kept * (1 - momentum),
        }
    mean, variance = along(mean, [axis], x.ndim), along(variance, [axis], x.ndim)
    y = _affine((x - mean) / np.sqrt(variance + epsilon), gamma, beta, [axis])
    return (y, mask), updates


@op("layer_norm")
def layer_norm(
    x: Array,
    *,
    axes: Sequence[int] | None,
    epsilon: float,
    gamma: Array | None = None,
    beta: Array | None = None,
    **_: Any,
) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) · gamma + beta`, with the mean and biased variance over `axes`."""
    x = floating(x, gamma if gamma is not None else beta)
    over = all_axes(axes, x.ndim)
    mean, variance = x.mean(axis=over, keepdims=True), x.var(axis=over, keepdims=True)
    return _affine((x - mean) / np.sqrt(variance + epsilon), gamma, beta, over)


@op("rms_norm")
def rms_norm(
    x: Array, *, axes: Sequence[int] | None, epsilon: float, scale_variable: Array | None = None, **_: Any
) -> Array:
    """`x / sqrt(mean(x²) + epsilon) · scale`, with the mean over `axes`."""
    x = floating(x, scale_variable)
    over = all_axes(axes, x.ndim)
    y = x / np.sqrt(np.square(x).mean(axis=over, keepdims=True) + epsilon)
    return _affine(y, scale_variable, None, over)


@op("group_norm")
def group_norm(
    x: Array,
    *,
    groups: int,
    axis: int,
    epsilon: float,
    gamma: Array | None = None,
    beta: Array | None = None,
    **_: Any,
) -> Array:
    """As a layer_norm over every axis but the batch, for each of `groups` equal runs of the channels by itself."""
    x = floating(x, gamma if gamma is not None else beta)
    rows = np.moveaxis(x, axis, 1)
    runs = rows.reshape(rows.shape[0], groups, -1)
    mean, variance = runs.mean(axis=-1, keepdims=True), runs.var(axis=-1, keepdims=True)
    runs = (runs - mean) / np.sqrt(variance + epsilon)
    return _affine(np.moveaxis(runs.reshape(rows.shape), 1, axis), gamma, beta, [axis])


@op("unit_norm")
def unit_norm(x: Array, *, axes: Sequence[int] | None, epsilon: float, **_: Any) -> Array:
    """`x / max(sqrt(Σ x²), epsilon)`, with the sum over `axes`."""
    x = floating(x)
    return unit(x, all_axes(axes, x.ndim), epsilon)


@op("normalization")
def normalization(
    x: Array,
    *,
    axes: Sequence[int] | None,
    invert: bool,
    mean: Any,
    variance: Any,
    mean_variable: Array | None = None,
    variance_variable: Array | None = None,
    **_: Any,
) -> Array:
    """`(x - mean) / max(sqrt(variance), 1e-7)`, or back from it: `mean + x · max(sqrt(variance), 1e-7)`."""
    x = floating(x, mean_variable)
    kept = sorted(all_axes(axes, x.ndim))
    middle, spread = (
        along(variable, kept, x.ndim) if variable is not None else _at_kept_axes(number, kept, x)
        for variable, number in ((mean_variable, mean), (variance_variable, variance))
    )
    deviation = np.maximum(np.sqrt(spread), _SMALLEST_DEVIATION)
    return middle + x * deviation if invert else (x - middle) / deviation


def _at_kept_axes(number: Any, kept: Sequence[int], x: Array) -> Array:
    """An attribute's number or list: its last axis lies along the last one of `kept`, and so on; it is broadcast."""
    array = np.asarray(number, dtype=x.dtype)
    return along(array, kept[len(kept) - array.ndim :], x.ndim)


def all_axes(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the first one; null means every axis."""
    return tuple(range(rank)) if axes is None else tuple(axis % rank for axis in axes)


def along(values: Array, axes: Sequence[int], rank: int) -> Array:
    """Values with one axis for each of `axes`, in rising order, as a tensor of `rank` axes that broadcasts."""
    shape = [1] * rank
    for axis, size in zip(sorted(axis % rank for axis in axes), values.shape, strict=True):
        shape[axis] = size
    return values.reshape(shape)


def unit(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """The tensor divided by its Euclidean norm over `axes`, or by `epsilon` where the norm is less."""
    return np.asarray(x / np.maximum(np.sqrt(np.square(x).sum(axis=axes, keepdims=True)), epsilon))


def _affine(y: Array, gamma: Array | None, beta: Array | None, axes: Sequence[int]) -> Array:
    if gamma is not None:
        y = y * along(gamma, axes, y.ndim)
    return y if beta is None else y + along(beta, axes, y.ndim)
