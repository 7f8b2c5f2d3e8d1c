"""Axes, windows and dtypes that several families of ops share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from etui.core.ops.registry import Array
from etui.errors import error, shown

CHANNELS_FIRST = "channels_first"


def channels_last(x: Array, data_format: str) -> Array:
    """The tensor with its channels on the last axis."""
    return np.moveaxis(x, 1, -1) if data_format == CHANNELS_FIRST else x


def channels_back(x: Array, data_format: str) -> Array:
    """The channels of the last axis where the data format has them."""
    return np.moveaxis(x, -1, 1) if data_format == CHANNELS_FIRST else x


def spatial(x: Array) -> tuple[int, ...]:
    """The sizes of the spatial axes of a tensor whose channels are last."""
    sizes: tuple[int, ...] = x.shape[1:-1]
    return sizes


def with_rank(x: Array, rank: int) -> Array:
    """The tensor, which must have `rank` spatial axes besides batch and channels."""
    if x.ndim != rank + 2:
        found = f"a tensor of the shape {list(x.shape)}, which has no {rank} axes between batch and channels"
        raise error("core-evaluate", found=found, hint="Give a tensor of another rank.")
    return x


def each(sizes: Sequence[int] | None, rank: int, default: Sequence[int] | None = None) -> tuple[int, ...]:
    """One size for each of `rank` spatial axes: those given, else the default, else 1."""
    if sizes is None:
        sizes = default if default is not None else (1,) * rank
    if len(sizes) != rank:
        raise error(
            "core-evaluate", found=f"{list(sizes)} for {rank} spatial axes", hint="Give one size for each axis."
        )
    return tuple(sizes)


def pads(
    padding: Any, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """What is added before and after each spatial axis (CV-16)."""
    if isinstance(padding, list):
        if len(padding) != len(sizes):
            raise error("core-evaluate", found=f"the padding {shown(padding)} for {len(sizes)} spatial axes")
        return [(int(before), int(after)) for before, after in padding]
    found = []
    for size, taps, stride, step in zip(sizes, kernel, strides, dilation, strict=True):
        extent = (taps - 1) * step + 1
        total = 0
        if padding == "same":
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
        elif padding == "causal":
            total = extent - 1
        before = total if padding == "causal" else total // 2
        found.append((before, total - before))
    return found


def padded(x: Array, amounts: Sequence[tuple[int, int]], value: float) -> Array:
    """The tensor with its spatial axes padded with a constant; its channels are last."""
    return np.pad(x, [(0, 0), *amounts, (0, 0)], constant_values=value)


def windows(x: Array, kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Array:
    """Every window of a tensor whose channels are last: shape `[batch, *output, channels, *kernel]`, a view.

    Element `[b, *o, c, *k]` is `x[b, *(o * strides + k * dilation), c]`.
    """
    extents = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilation, strict=True)]
    axes = tuple(range(1, 1 + len(kernel)))
    if any(size < extent for size, extent in zip(spatial(x), extents, strict=True)):
        found = f"a window of {extents} over the sizes {list(spatial(x))}"
        raise error("core-evaluate", found=found, hint="Pad the input, or make it larger.")
    view = sliding_window_view(x, extents, axis=axes)
    every = (slice(None), *(slice(None, None, stride) for stride in strides), slice(None))
    return view[every + tuple(slice(None, None, step) for step in dilation)]


def lowest(dtype: np.dtype[Any]) -> Any:
    """What is less than or equal to every value of a dtype."""
    if dtype.kind == "b":
        return False
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
