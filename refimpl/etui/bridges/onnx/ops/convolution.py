"""Convolutions over one to three spatial axes (SPEC.md J.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etui.bridges.onnx.ops.registry import Activation, op
from etui.bridges.onnx.tools import (
    along,
    channels_back,
    channels_second,
    each,
    floating,
    known,
    reshape,
    sliced,
    transpose,
)
from etui.bridges.onnx.value import FLOAT, Value
from etui.errors import error, shown

Sizes = Sequence[int] | None


@op("conv")
def conv(
    x: Value,
    *,
    kernel: Value,
    bias: Value | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    groups: int,
    activation: Activation,
    **_: Any,
) -> Value:
    """A convolution; its kernel [*kernel_size, in/groups, filters] is [filters, in/groups, *kernel_size] in ONNX."""
    rank = kernel.rank - 2
    filters = transpose(kernel, [rank + 1, rank, *range(rank)])
    how = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    return activation(channels_back(_conv(channels_second(x, data_format), filters, bias, **how), data_format))


@op("depthwise_conv")
def depthwise_conv(
    x: Value,
    *,
    kernel: Value,
    bias: Value | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Value:
    """A convolution of each channel by itself, whose kernel is [*kernel_size, in, multiplier]."""
    how = {"strides": strides, "padding": padding, "dilation": dilation}
    y = _depthwise(channels_second(x, data_format), kernel, bias, **how)
    return activation(channels_back(y, data_format))


@op("separable_conv")
def separable_conv(
    x: Value,
    *,
    depthwise_kernel: Value,
    pointwise_kernel: Value,
    bias: Value | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Value:
    """A depthwise convolution, then at each place a product of its channels with the pointwise kernel."""
    how = {"strides": strides, "padding": padding, "dilation": dilation}
    y = _depthwise(channels_second(x, data_format), depthwise_kernel, None, **how)
    rank = pointwise_kernel.rank - 2
    filters = transpose(pointwise_kernel, [rank + 1, rank, *range(rank)])
    y = _conv(y, filters, bias, strides=None, padding="valid", dilation=None)
    return activation(channels_back(y, data_format))


def _depthwise(x: Value, kernel: Value, bias: Value | None, **how: Any) -> Value:
    rank = kernel.rank - 2
    *taps, channels, multiplier = known(kernel.shape, "a kernel")
    filters = transpose(kernel, [rank, rank + 1, *range(rank)])
    filters = reshape(filters, [channels * multiplier, 1, *taps])
    return _conv(x, filters, bias, groups=channels, **how)


def _conv(
    x: Value,
    filters: Value,
    bias: Value | None,
    *,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    groups: int = 1,
) -> Value:
    """A convolution whose channels are second."""
    taps = known(filters.shape[2:], "a kernel")
    return x.graph.one(
        "Conv",
        floating(x),
        filters,
        bias,
        kernel_shape=taps,
        strides=each(strides, len(taps)),
        dilations=each(dilation, len(taps)),
        group=groups,
        **padding_attrs(x, padding, taps, each(strides, len(taps)), each(dilation, len(taps))),
    )


def padding_attrs(
    x: Value, padding: Any, taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> dict[str, Any]:
    """What CV-16 adds before and after each spatial axis, as the attributes of a node whose channels are second.

    Where the sizes are not known and the stride needs them, the runtime finds the same numbers (`SAME_UPPER`).
    """
    pairs = pads(x, padding, taps, strides, dilation)
    if pairs is None:
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [before for before, _ in pairs] + [after for _, after in pairs]}


def pads(
    x: Value, padding: Any, taps: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]] | None:
    """What CV-16 adds before and after each spatial axis; `None` for a `same` whose sizes are not known."""
    if isinstance(padding, list):
        return [(int(before), int(after)) for before, after in padding]
    found = []
    for size, tap, stride, step in zip(x.shape[2:], taps, strides, dilation, strict=True):
        extent = (tap - 1) * step + 1
        total = extent - 1 if padding == "causal" else 0
        if padding == "same" and isinstance(size, int):
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        elif padding == "same" and stride == 1:
            total = extent - 1
        elif padding == "same":
            return None
        before = total if padding == "causal" else total // 2
        found.append((before, total - before))
    return found


@op("conv_transpose")
def conv_transpose(
    x: Value,
    *,
    kernel: Value,
    bias: Value | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    output_padding: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Value:
    """A transposed convolution whose kernel is [*kernel_size, filters, in], and [in, filters, *kernel_size] in ONNX."""
    rank = kernel.rank - 2
    taps = known(kernel.shape[:rank], "a kernel")
    stride, step = each(strides, rank), each(dilation, rank)
    x = channels_second(floating(x), data_format)
    filters = transpose(kernel, [rank + 1, rank, *range(rank)])
    y = x.graph.add("ConvTranspose", x, filters, kernel_shape=taps, strides=stride, dilations=step)
    extents = [(tap - 1) * one + 1 for tap, one in zip(taps, step, strict=True)]
    more: list[int] = []
    for axis, (before, behind) in enumerate(cuts(padding, output_padding, extents, stride), start=2):
        more.append(max(-behind, 0))
        y = sliced(y, axis, before) if before else y
        y = sliced(y, axis, 0, -behind) if behind > 0 else y
    if any(more):  # what lies beyond the end of the full result is zero
        amounts = [0, 0, *[0] * rank, 0, 0, *more]
        y = y.graph.add("Pad", y, y.graph.constant(amounts), y.graph.constant(0.0, FLOAT))
    y = y if bias is None else y + along(bias, [1], rank + 2)
    return activation(channels_back(y, data_format))


def cuts(padding: Any, output_padding: Sizes, extents: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """How much of the full result CV-20 leaves away before and behind, for each axis; less than 0 adds zeros."""
    rank = len(extents)
    extra = [None] * rank if output_padding is None else each(output_padding, rank)
    pairs = padding if isinstance(padding, list) else [None] * rank
    found = []
    for extent, stride, more, pair in zip(extents, strides, extra, pairs, strict=True):
        if pair is not None:
            found.append((int(pair[0]), int(pair[1]) - (more or 0)))
        elif padding == "valid":
            found.append((0, -(max(stride - extent, 0) if more is None else more)))
        elif padding == "same":
            all_cut = extent - (stride if more is None else extent % 2 + more)
            before = max(all_cut // 2, 0)
            found.append((before, all_cut - before))
        else:
            raise error("onnx-op", found=f"the padding {shown(padding)} of a transposed convolution")
    return found
