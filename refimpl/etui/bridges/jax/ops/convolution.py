"""Convolutions by `lax.conv_general_dilated` (SPEC.md, annex J.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.registry import Activation, Array, op

Padding = str | Sequence[Sequence[int]]
Pairs = list[tuple[int, int]]


def each(sizes: Sequence[int] | None, rank: int) -> list[int]:
    """A size for each spatial axis; 1 where none is given."""
    return [1] * rank if sizes is None else list(sizes)


def window_padding(
    padding: Padding, spatial: Sequence[int], windows: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Pairs:
    """What is added before and after each spatial axis, for windows that slide over it.

    `same` gives ceil(size / stride) windows, with the odd element behind; `causal` adds all of it before.
    """
    if not isinstance(padding, str):
        return [(before, after) for before, after in padding]
    wide = [(window - 1) * step + 1 for window, step in zip(windows, dilation, strict=True)]
    if padding == "valid":
        return [(0, 0)] * len(wide)
    if padding == "causal":
        return [(window - 1, 0) for window in wide]
    pairs = []
    for size, window, stride in zip(spatial, wide, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        pairs.append((total // 2, total - total // 2))
    return pairs


def convolve(
    x: Array,
    kernel: Array,
    padding: Pairs,
    *,
    strides: Sequence[int],
    dilation: Sequence[int],
    spread: Sequence[int] | None = None,
    groups: int = 1,
    channels_last: bool,
) -> Array:
    """Correlate x with kernel [*spatial, in / groups, out]; `spread` puts zeros between the elements of x."""
    rank = x.ndim - 2
    spatial = tuple(range(1, rank + 1)) if channels_last else tuple(range(2, rank + 2))
    layout = (0, rank + 1, *spatial) if channels_last else (0, 1, *spatial)
    numbers = lax.ConvDimensionNumbers(layout, (rank + 1, rank, *range(rank)), layout)
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        lhs_dilation=spread,
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        feature_group_count=groups,
    )


def finish(y: Array, bias: Array | None, activation: Activation, channels_last: bool) -> Array:
    """Add a bias for each channel, and apply the activation."""
    if bias is not None:
        y = y + (bias if channels_last else bias.reshape(1, -1, *[1] * (y.ndim - 2)))
    return activation(y)


def _spatial(x: Array, channels_last: bool) -> list[int]:
    return list(x.shape[1:-1] if channels_last else x.shape[2:])


@op("conv")
def conv(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None,
    data_format: str,
    groups: int,
    activation: Activation,
    **_: Any,
) -> Array:
    """The convolution with kernel [*kernel_size, in / groups, filters]."""
    last, rank = data_format == "channels_last", x.ndim - 2
    steps, holes = each(strides, rank), each(dilation, rank)
    pairs = window_padding(padding, _spatial(x, last), kernel.shape[:rank], steps, holes)
    y = convolve(x, kernel, pairs, strides=steps, dilation=holes, groups=groups, channels_last=last)
    return finish(y, bias, activation, last)


def _depthwise(
    x: Array, kernel: Array, strides: Sequence[int] | None, padding: Padding, dilation: Any, *, last: bool
) -> Array:
    """Each channel with its own kernels [*kernel_size, in, multiplier], whose outputs lie side by side."""
    rank = x.ndim - 2
    channels = kernel.shape[-2]
    steps, holes = each(strides, rank), each(dilation, rank)
    pairs = window_padding(padding, _spatial(x, last), kernel.shape[:rank], steps, holes)
    flat = kernel.reshape(*kernel.shape[:rank], 1, channels * kernel.shape[-1])
    return convolve(x, flat, pairs, strides=steps, dilation=holes, groups=channels, channels_last=last)


@op("depthwise_conv")
def depthwise_conv(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """The convolution of each channel by itself."""
    last = data_format == "channels_last"
    return finish(_depthwise(x, kernel, strides, padding, dilation, last=last), bias, activation, last)


@op("separable_conv")
def separable_conv(
    x: Array,
    *,
    depthwise_kernel: Array,
    pointwise_kernel: Array,
    bias: Array | None = None,
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """The convolution of each channel by itself, then one across the channels."""
    last, rank = data_format == "channels_last", x.ndim - 2
    y = _depthwise(x, depthwise_kernel, strides, padding, dilation, last=last)
    y = convolve(y, pointwise_kernel, [(0, 0)] * rank, strides=[1] * rank, dilation=[1] * rank, channels_last=last)
    return finish(y, bias, activation, last)


@op("conv_transpose")
def conv_transpose(
    x: Array,
    *,
    kernel: Array,
    bias: Array | None = None,
    strides: Sequence[int] | None,
    padding: Padding,
    dilation: Sequence[int] | None,
    output_padding: Sequence[int] | None,
    data_format: str,
    activation: Activation,
    **_: Any,
) -> Array:
    """The transpose of the convolution whose kernel is [*kernel_size, filters, in]."""
    last, rank = data_format == "channels_last", x.ndim - 2
    steps, holes = each(strides, rank), each(dilation, rank)
    extra = [None] * rank if output_padding is None else list(output_padding)
    pairs = [
        transposed_padding(padding if isinstance(padding, str) else padding[axis], size, hole, step, more)
        for axis, (size, hole, step, more) in enumerate(zip(kernel.shape[:rank], holes, steps, extra, strict=True))
    ]
    flipped = jnp.flip(kernel, range(rank)).swapaxes(-1, -2)
    y = convolve(x, flipped, pairs, strides=[1] * rank, dilation=holes, spread=steps, channels_last=last)
    return finish(y, bias, activation, last)


def transposed_padding(
    padding: str | Sequence[int], size: int, hole: int, stride: int, output_padding: int | None
) -> tuple[int, int]:
    """What is added before and after the spread input on one axis.

    Without it the output would be (n - 1) stride + 2 - window long, n being the input's size. `valid` makes it
    (n - 1) stride + max(window, stride), `same` n stride; with `output_padding` o, (n - 1) stride + window + o and
    (n - 1) stride + window % 2 + o. A pair [before, after] cuts so much of the full output, with o added behind.
    """
    window = (size - 1) * hole + 1
    if padding == "valid":
        more = max(window, stride) - window if output_padding is None else output_padding
        return window - 1, window - 1 + more
    if padding == "same":
        total = stride + window - 2 if output_padding is None else window + window % 2 - 2 + output_padding
        before = min(total - total // 2, window - 1)
        return before, total - before
    before, after = (int(cut) for cut in padding)
    return window - 1 - before, window - 1 - after + (output_padding or 0)
