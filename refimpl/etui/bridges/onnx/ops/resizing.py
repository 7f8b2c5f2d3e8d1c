"""Resizing of the spatial axes (SPEC.md J.8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from etui.bridges.onnx.ops.activation import add, largest
from etui.bridges.onnx.ops.registry import op
from etui.bridges.onnx.tools import (
    channels_back,
    channels_second,
    dimension,
    each,
    floating,
    move_axis,
    reduced,
    squeeze,
    unsqueeze,
    where,
)
from etui.bridges.onnx.value import FLOAT, Value
from etui.errors import error

Sizes = Sequence[int] | None


@op("resize")
def resize(
    x: Value, *, size: Sizes, scale: Sizes, interpolation: str, antialias: bool, data_format: str, **_: Any
) -> Value:
    """Each spatial axis resampled in turn: to `size` elements, or to `scale` times as many (CV-43)."""
    x = channels_second(x, data_format)
    rank = x.rank - 2
    if (size is None) == (scale is None):
        raise error("onnx-op", found="a resize with both of size and scale, or with neither")
    wanted, factors = (each(one, rank) if one is not None else [None] * rank for one in (size, scale))
    for axis, (count, factor) in enumerate(zip(wanted, factors, strict=True), start=2):
        x = _along(x, axis, count, factor, interpolation=interpolation, antialias=antialias)
    return channels_back(x, data_format)


def _along(x: Value, axis: int, count: int | None, factor: int | None, *, interpolation: str, antialias: bool) -> Value:
    """One axis resampled."""
    graph, n = x.graph, x.shape[axis]
    if isinstance(n, int):
        count = n * factor if count is None and factor is not None else count
        if count == n:
            return x
    before = squeeze(dimension(x, axis), [0])
    after = graph.constant(count) if count is not None else before * (factor or 1)
    outputs = graph.add("Range", graph.constant(0), after, graph.constant(1))
    if interpolation == "nearest":
        return graph.one("Gather", x, (2 * outputs + 1) * before / (2 * after), axis=axis)
    x = floating(x)
    weights = _weights(outputs, before, after, interpolation, antialias)
    return move_axis(move_axis(x, axis, -1) @ weights, -1, axis)


def _weights(outputs: Value, before: Value, after: Value, interpolation: str, antialias: bool) -> Value:
    """The share of input `i` in output `o`, shape `[before, after]`; the shares in one output add up to 1."""
    graph = outputs.graph
    inputs = graph.add("Range", graph.constant(0), before, graph.constant(1))
    ratio = graph.cast(before, FLOAT) / graph.cast(after, FLOAT)
    # The distance as a fraction of whole numbers, so that no step is lost to rounding: (2o + 1)·n/2m − 1/2 − i.
    whole = (2 * unsqueeze(outputs, [0]) + 1) * before - after - 2 * after * unsqueeze(inputs, [1])
    distance = add("Abs", graph.cast(whole, FLOAT) / graph.cast(2 * after, FLOAT))
    distance = distance / largest(ratio, 1.0) if antialias else distance
    share = _KERNELS[interpolation](distance)
    # An axis whose size does not change stays as it is.
    same = graph.add("Equal", before, after)
    here = graph.add("Equal", unsqueeze(inputs, [1]), unsqueeze(outputs, [0]))
    return where(same, graph.cast(here, FLOAT), share / reduced("ReduceSum", share, [0], keepdims=True))


def _triangle(d: Value) -> Value:
    return largest(1.0 - d, 0.0)


def _cubic(d: Value) -> Value:
    """The cubic of R. Keys (1981) with a = -1/2."""
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return where(d < 1.0, near, where(d < 2.0, far, 0.0))


def _sinc(d: Value) -> Value:
    angle = math.pi * where(d > 0.0, d, 1.0)
    return where(d > 0.0, add("Sin", angle) / angle, 1.0)


def _lanczos(radius: int) -> Callable[[Value], Value]:
    return lambda d: where(d < float(radius), _sinc(d) * _sinc(d / float(radius)), 0.0)


_KERNELS: dict[str, Callable[[Value], Value]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}
