"""Convolutions over one to three spatial axes (SPEC.md J.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.layout import channels_back, channels_last, each, padded, pads, spatial, windows, with_rank
from etui.core.ops.registry import Activation, Array, op
from etui.errors import error, shown

Sizes = Sequence[int] | None


@op("conv")
def conv(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    groups: int,
    activation: Activation,
    **_: Any,
) -> Array:
    """`y[b, o, f] = Σ x[b, o·strides + k·dilation - before, c] · kernel[k, c, f]` over `k` and the channels `c`.

    The inputs and the filters are cut into `groups` equal runs, and run `g` of the filters sees run `g` of the inputs.
    """
    taps = _windows(x, kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format)
    rank = kernel.ndim - 2
    runs = [
        np.tensordot(part, filters, axes=(range(-rank - 1, 0), (rank, *range(rank))))
        for part, filters in zip(np.split(taps, groups, axis=1 + rank), np.split(kernel, groups, axis=-1), strict=True)
    ]
    return _finish(np.concatenate(runs, axis=-1), bias, activation, data_format)


@op("depthwise_conv")
def depthwise_conv(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """`y[b, o, c·m + j] = Σ x[b, o·strides + k·dilation - before, c] · kernel[k, c, j]`, `m` the depth multiplier."""
    y = _depthwise(x, kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format)
    return _finish(y, bias, activation, data_format)


@op("separable_conv")
def separable_conv(
    x: Array,
    *,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    bias: Array | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """A depthwise convolution, then at each place a product of its channels with the pointwise kernel."""
    y = _depthwise(x, depthwise_kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format)
    return _finish(y @ pointwise_kernel.reshape(pointwise_kernel.shape[-2:]), bias, activation, data_format)


@op("conv_transpose")
def conv_transpose(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sizes,
    padding: Any,
    dilation: Sizes,
    output_padding: Sizes,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """`full[b, i·strides + k·dilation, f] = Σ x[b, i, c] · kernel[k, f, c]`, cut to the output's size (CV-20)."""
    rank = kernel.ndim - 2
    x = floating(channels_last(with_rank(x, rank), data_format), kernel)
    strides, dilation = each(strides, rank), each(dilation, rank)
    sizes = spatial(x)
    extents = [(taps - 1) * step + 1 for taps, step in zip(kernel.shape, dilation, strict=False)]
    lengths = [(size - 1) * stride + extent for size, stride, extent in zip(sizes, strides, extents, strict=True)]
    full = np.zeros((x.shape[0], *lengths, kernel.shape[-2]), np.result_type(x, kernel))
    for place in product(*(range(taps) for taps in kernel.shape[:rank])):
        spread = tuple(
            slice(tap * step, tap * step + (size - 1) * stride + 1, stride)
            for tap, step, size, stride in zip(place, dilation, sizes, strides, strict=True)
        )
        full[(slice(None), *spread)] += x @ kernel[place].T
    cuts = transpose_cuts(padding, output_padding, lengths, extents, strides)
    for axis, (before, length) in enumerate(cuts, start=1):
        # What lies beyond the end of the full result is zero.
        full = np.pad(
            full, [(0, max(before + length - full.shape[axis], 0)) if a == axis else (0, 0) for a in range(full.ndim)]
        )
        full = np.take(full, range(before, before + length), axis=axis)
    return _finish(full, bias, activation, data_format)


def transpose_cuts(
    padding: Any, output_padding: Sizes, lengths: Sequence[int], extents: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    """Where the output of a transposed convolution begins in the full result, and its length, for each axis (CV-20)."""
    rank = len(lengths)
    extra = (None,) * rank if output_padding is None else each(output_padding, rank)
    pairs = padding if isinstance(padding, list) else [None] * rank
    found = []
    for full, extent, stride, more, pair in zip(lengths, extents, strides, extra, pairs, strict=True):
        if pair is not None:
            found.append((pair[0], full - pair[0] - pair[1] + (more or 0)))
        elif padding == "valid":
            found.append((0, full + (max(stride - extent, 0) if more is None else more)))
        elif padding == "same":
            length = full - extent + (stride if more is None else extent % 2 + more)
            found.append((max((full - length) // 2, 0), length))
        else:
            raise error("core-evaluate", found=f"the padding {shown(padding)} of a transposed convolution")
    return found


def _windows(x: Array, kernel: Array, *, strides: Sizes, padding: Any, dilation: Sizes, data_format: str) -> Array:
    """Every window of the padded input: shape `[batch, *output, channels, *kernel]`."""
    rank = kernel.ndim - 2
    x = floating(channels_last(with_rank(x, rank), data_format), kernel)
    taps, strides, dilation = kernel.shape[:rank], each(strides, rank), each(dilation, rank)
    x = padded(x, pads(padding, spatial(x), taps, strides, dilation), 0)
    return windows(x, taps, strides, dilation)


def _depthwise(x: Array, kernel: Array, *, strides: Sizes, padding: Any, dilation: Sizes, data_format: str) -> Array:
    """The depthwise convolution, its channels last."""
    taps = _windows(x, kernel, strides=strides, padding=padding, dilation=dilation, data_format=data_format)
    flat = taps.reshape(*taps.shape[: kernel.ndim], -1)
    y = np.einsum("...ck,kcj->...cj", flat, kernel.reshape(-1, *kernel.shape[-2:]))
    return np.asarray(y.reshape(*y.shape[:-2], -1))


def _finish(y: Array, bias: Array | None, activation: Activation, data_format: str) -> Array:
    """The bias, then the channels where the data format has them, then the activation."""
    return activation(channels_back(y if bias is None else y + bias, data_format))
