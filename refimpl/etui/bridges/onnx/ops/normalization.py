"""Normalization by statistics (SPEC.md J.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.ops.activation import add, largest
from etui.bridges.onnx.ops.arithmetic import moments
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import (
    all_axes,
    along,
    expand,
    floating,
    move_axis,
    reduced,
    reshape,
    same_shape,
    shape_of,
    unsqueeze,
)
from etui.bridges.onnx.value import FLOAT, Value

_SMALLEST_DEVIATION = 1e-7
_LEAST_COUNT = 1e-7


def root(x: Value) -> Value:
    """The square root."""
    return add("Sqrt", x)


@op(
    "batch_norm",
    masked=True,
    limits="a call in training takes the statistics of the batch, and no moving statistics change",
)
def batch_norm(
    x: Value,
    *,
    axis: int,
    epsilon: float,
    moving_mean: Value,
    moving_variance_variable: Value,
    gamma: Value | None = None,
    beta: Value | None = None,
    trainable: bool = True,
    training: bool = False,
    mask: Mask = None,
    **_: Any,
) -> tuple[Value, Mask]:
    """`(x - mean) / sqrt(variance + epsilon) · gamma + beta` for each channel."""
    x = floating(x)
    mean, variance = along(moving_mean, [axis], x.rank), along(moving_variance_variable, [axis], x.rank)
    if training and trainable:
        mean, variance = _of_batch(x, [one for one in range(x.rank) if one != axis % x.rank], mask)
    scale = 1.0 / root(variance + epsilon)
    if gamma is not None:
        scale = scale * along(gamma, [axis], x.rank)
    y = (x - mean) * scale
    return (y if beta is None else y + along(beta, [axis], x.rank)), mask


def _of_batch(x: Value, others: Sequence[int], mask: Value | None) -> tuple[Value, Value]:
    """Mean and biased variance of a batch; of the steps of the mask alone, if there is one (CV-27)."""
    if mask is None:
        return moments(x, others)
    weight = unsqueeze(x.graph.cast(mask, FLOAT), [mask.rank])
    weight = expand(weight, [shape_of(x)])
    count = reduced("ReduceSum", weight, others, keepdims=True) + _LEAST_COUNT
    mean = reduced("ReduceSum", x * weight, others, keepdims=True) / count
    distance = x - mean
    return mean, reduced("ReduceSum", distance * distance * weight, others, keepdims=True) / count


@op("layer_norm")
def layer_norm(
    x: Value,
    *,
    axes: Sequence[int] | None,
    epsilon: float,
    gamma: Value | None = None,
    beta: Value | None = None,
    **_: Any,
) -> Value:
    """`(x - mean) / sqrt(variance + epsilon) · gamma + beta`, with the mean and biased variance over `axes`."""
    x = floating(x)
    over = all_axes(axes, x.rank)
    mean, variance = moments(x, over)
    return affine((x - mean) / root(variance + epsilon), gamma, beta, over)


@op("rms_norm")
def rms_norm(
    x: Value, *, axes: Sequence[int] | None, epsilon: float, scale_variable: Value | None = None, **_: Any
) -> Value:
    """`x / sqrt(mean(x²) + epsilon) · scale`, with the mean over `axes`."""
    x = floating(x)
    over = all_axes(axes, x.rank)
    y = x / root(reduced("ReduceMean", x * x, over, keepdims=True) + epsilon)
    return affine(y, scale_variable, None, over)


@op("group_norm")
def group_norm(
    x: Value,
    *,
    groups: int,
    axis: int,
    epsilon: float,
    gamma: Value | None = None,
    beta: Value | None = None,
    **_: Any,
) -> Value:
    """As a layer_norm over every axis but the batch, for each of `groups` equal runs of the channels by itself."""
    rows = move_axis(floating(x), axis, 1)
    runs = reshape(rows, [0, groups, -1])
    mean, variance = moments(runs, [2])
    normal = same_shape((runs - mean) / root(variance + epsilon), rows)
    return affine(move_axis(normal, 1, axis), gamma, beta, [axis % x.rank])


@op("unit_norm")
def unit_norm(x: Value, *, axes: Sequence[int] | None, epsilon: float, **_: Any) -> Value:
    """`x / max(sqrt(Σ x²), epsilon)`, with the sum over `axes`."""
    return unit(floating(x), all_axes(axes, x.rank), epsilon)


@op("normalization")
def normalization(
    x: Value,
    *,
    axes: Sequence[int] | None,
    invert: bool,
    mean: Any,
    variance: Any,
    mean_variable: Value | None = None,
    variance_variable: Value | None = None,
    **_: Any,
) -> Value:
    """`(x - mean) / max(sqrt(variance), 1e-7)`, or back from it: `mean + x · max(sqrt(variance), 1e-7)`."""
    x = floating(x)
    kept = sorted(all_axes(axes, x.rank))
    middle, spread = (
        along(variable, kept, x.rank) if variable is not None else _at_kept_axes(number, kept, x)
        for variable, number in ((mean_variable, mean), (variance_variable, variance))
    )
    deviation = largest(root(spread), _SMALLEST_DEVIATION)
    return middle + x * deviation if invert else (x - middle) / deviation


def _at_kept_axes(number: Any, kept: Sequence[int], x: Value) -> Value:
    """An attribute's number or list: its last axis lies along the last one of `kept`, and so on."""
    array = x.graph.constant(np.asarray(number, np.float32))
    return along(array, kept[len(kept) - array.rank :], x.rank)


def unit(x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """The tensor divided by its Euclidean norm over `axes`, or by `epsilon` where the norm is less."""
    return x / largest(root(reduced("ReduceSum", x * x, axes, keepdims=True) if axes else x * x), epsilon)


def affine(y: Value, gamma: Value | None, beta: Value | None, axes: Sequence[int]) -> Value:
    """The product with gamma, plus beta; both lie along `axes`."""
    if gamma is not None:
        y = y * along(gamma, axes, y.rank)
    return y if beta is None else y + along(beta, axes, y.rank)
