"""Pooling over one to three spatial axes (SPEC.md J.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etui.bridges.onnx.ops.convolution import pads
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import (
    channels_back,
    channels_second,
    each,
    expand,
    floating,
    known,
    reduced,
    sliced,
    unsqueeze,
)
from etui.bridges.onnx.value import DOUBLE, FLOAT, Value

Sizes = Sequence[int] | None


@op("max_pool")
def max_pool(
    x: Value, *, pool_size: Sequence[int], strides: Sizes, padding: Any, dilation: Sizes, data_format: str, **_: Any
) -> Value:
    """The largest value of each window; padding never counts."""
    graph, rank, kind = x.graph, len(pool_size), x.kind
    x = x if x.is_float else graph.cast(x, DOUBLE)
    x = channels_second(x, data_format)
    stride, step = each(strides, rank, pool_size), each(dilation, rank)
    pairs = pads(x, padding, pool_size, stride, step)
    attrs: dict[str, Any] = {"kernel_shape": list(pool_size), "strides": stride, "dilations": step}
    if pairs is None:
        attrs["auto_pad"] = "SAME_UPPER"
    elif any(map(any, pairs)):
        x = _padded(x, pairs, float("-inf"))
    return channels_back(graph.cast(graph.add("MaxPool", x, **attrs), kind), data_format)


@op("avg_pool")
def avg_pool(
    x: Value,
    *,
    pool_size: Sequence[int],
    strides: Sizes,
    padding: Any,
    data_format: str,
    count_padding: bool,
    **_: Any,
) -> Value:
    """The mean of each window: of its elements that are no padding, or of all with the padding as zeros."""
    graph, rank = x.graph, len(pool_size)
    x = channels_second(floating(x), data_format)
    stride = each(strides, rank, pool_size)
    pairs = pads(x, padding, pool_size, stride, [1] * rank)
    attrs: dict[str, Any] = {"kernel_shape": list(pool_size), "strides": stride}
    if pairs is None:
        y = graph.add("AveragePool", x, auto_pad="SAME_UPPER", count_include_pad=int(count_padding), **attrs)
        return channels_back(y, data_format)
    if not any(map(any, pairs)):
        return channels_back(graph.add("AveragePool", x, **attrs), data_format)
    y = graph.add("AveragePool", _padded(x, pairs, 0.0), **attrs)
    if not count_padding:
        ones = expand(graph.constant(1.0), [1, 1, *(graph.add("Shape", x, start=2),)])
        y = y / graph.add("AveragePool", _padded(ones, pairs, 0.0), **attrs)
    return channels_back(y, data_format)


def _padded(x: Value, pairs: Sequence[tuple[int, int]], value: float) -> Value:
    """The spatial axes with so many elements more before and after, of one value; the channels are second."""
    amounts = [0, 0, *(before for before, _ in pairs), 0, 0, *(after for _, after in pairs)]
    return x.graph.one("Pad", x, x.graph.constant(amounts), x.graph.constant(value, x.kind))


@op("global_max_pool")
def global_max_pool(x: Value, *, data_format: str, keepdims: bool, **_: Any) -> Value:
    """The largest value over all spatial axes."""
    return reduced("ReduceMax", x, _spatial(x, data_format), keepdims=keepdims)


@op("global_avg_pool", masked=True)
def global_avg_pool(x: Value, *, data_format: str, keepdims: bool, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The mean over all spatial axes; with one spatial axis and a mask, over the steps that the mask has."""
    x = floating(x)
    axes = _spatial(x, data_format)
    if mask is None or x.rank != 3:
        return reduced("ReduceMean", x, axes, keepdims=keepdims), None
    weight = x.graph.cast(mask, FLOAT)
    weight = unsqueeze(weight, [1] if axes == [2] else [2])
    total = reduced("ReduceSum", x * weight, axes, keepdims=keepdims)
    return total / reduced("ReduceSum", weight, axes, keepdims=keepdims), None


def _spatial(x: Value, data_format: str) -> list[int]:
    return list(range(2, x.rank)) if data_format == "channels_first" else list(range(1, x.rank - 1))


@op("adaptive_max_pool", limits="the sizes of the spatial axes have to be fixed")
def adaptive_max_pool(x: Value, *, output_size: Sequence[int], data_format: str, **_: Any) -> Value:
    """The largest value of each of `output_size` windows, which cover each axis (CV-42)."""
    return _adaptive("ReduceMax", x, output_size, data_format)


@op("adaptive_avg_pool", limits="the sizes of the spatial axes have to be fixed")
def adaptive_avg_pool(x: Value, *, output_size: Sequence[int], data_format: str, **_: Any) -> Value:
    """The mean of each of `output_size` windows, which cover each axis (CV-42)."""
    return _adaptive("ReduceMean", floating(x), output_size, data_format)


def _adaptive(reduction: str, x: Value, output_size: Sequence[int], data_format: str) -> Value:
    """Window `o` of an axis with `n` elements and `m` windows is from `floor(o·n/m)` up to before `ceil((o+1)·n/m)`."""
    x = channels_second(x, data_format)
    sizes = known(x.shape[2:], "adaptive pooling")
    for axis, (size, count) in enumerate(zip(sizes, each(output_size, len(sizes)), strict=True), start=2):
        parts = [
            reduced(reduction, sliced(x, axis, o * size // count, -(-(o + 1) * size // count)), [axis], keepdims=True)
            for o in range(count)
        ]
        x = x.graph.add("Concat", *parts, axis=axis)
    return channels_back(x, data_format)


__all__ = ["adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "global_avg_pool", "global_max_pool", "max_pool"]
