"""Shapes, axes and parts of tensors (SPEC.md J.9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from etui import dtypes
from etui.core.ops.normalization import all_axes
from etui.core.ops.registry import Array, Mask, op
from etui.errors import error


@op("identity")
def identity(x: Array, **_: Any) -> Array:
    """The input."""
    return x


@op("flatten")
def flatten(x: Array, *, data_format: str, **_: Any) -> Array:
    """All axes but the batch as one, in row-major order, for either data format with the channels last."""
    if data_format == "channels_first" and x.ndim > 1:
        x = np.moveaxis(x, 1, -1)
    return x.reshape(x.shape[0], -1)


@op("reshape")
def reshape(x: Array, *, shape: Sequence[int], **_: Any) -> Array:
    """The elements of each member of the batch in row-major order, in the given shape."""
    return x.reshape(x.shape[0], *shape)


@op("permute")
def permute(x: Array, *, axes: Sequence[int], **_: Any) -> Array:
    """Axis `i` of the output is axis `axes[i]` of the input."""
    return x.transpose(axes)


@op("repeat")
def repeat(x: Array, *, count: int, **_: Any) -> Array:
    """`[batch, features]` as `[batch, count, features]`."""
    return np.repeat(x[:, None], count, axis=1)


@op("pad")
def pad(x: Array, *, padding: Sequence[Sequence[int]], mode: str, value: float, **_: Any) -> Array:
    """Elements before and after each axis but the batch: a value, or mirrored without or with the edge."""
    amounts = [(0, 0), *(tuple(pair) for pair in padding)]
    if mode == "constant":
        return np.pad(x, amounts, constant_values=value)
    return np.pad(x, amounts, mode="reflect" if mode == "reflect" else "symmetric")


@op("crop")
def crop(x: Array, *, cropping: Sequence[Sequence[int]], **_: Any) -> Array:
    """Without the first and last elements of each axis but the batch."""
    within = (slice(before, size - after) for (before, after), size in zip(cropping, x.shape[1:], strict=True))
    return x[(slice(None), *within)]


@op("slice")
def slice_(x: Array, *, index: Sequence[Any], **_: Any) -> Array:
    """The part that an index of one entry for each axis names, as NumPy's basic indexing."""
    words = {"newaxis": None, "...": Ellipsis}
    return x[tuple(slice(*one) if isinstance(one, list) else words.get(one, one) for one in index)]


@op("concat", masked=True)
def concat(xs: Sequence[Array], *, axis: int, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The tensors one after the other along an axis.

    If one has a mask, the output has: the masks, with all elements for a tensor without one, each spread over the axes
    of its tensor that it lacks, put together likewise; a step is masked where no element of it is left.
    """
    y = np.concatenate(xs, axis=axis)
    masks = mask if isinstance(mask, list) else [mask] * len(xs)
    if all(one is None for one in masks):
        return y, None
    spread = [_spread(one, x) for one, x in zip(masks, xs, strict=True)]
    return y, np.concatenate(spread, axis=axis).any(axis=-1)


def _spread(mask: Array | None, x: Array) -> Array:
    if mask is None:
        return np.ones(x.shape, bool)
    return np.broadcast_to(mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim)), x.shape)


@op("stack")
def stack(xs: Sequence[Array], *, axis: int, **_: Any) -> Array:
    """The tensors along a new axis."""
    return np.stack(xs, axis=axis)


@op("split")
def split(x: Array, *, sections: int | Sequence[int], axis: int, **_: Any) -> list[Array]:
    """The tensor cut along an axis, into a number of equal parts or parts of the sizes."""
    if isinstance(sections, int):
        return list(np.split(x, sections, axis=axis))
    if sum(sections) != x.shape[axis]:
        found = f"the sizes {list(sections)} of an axis of {x.shape[axis]}"
        raise error("core-evaluate", found=found, hint="Give sizes that add up to the axis.")
    return list(np.split(x, list(accumulate(sections))[:-1], axis=axis))


@op("expand_dims")
def expand_dims(x: Array, *, axes: Sequence[int], **_: Any) -> Array:
    """New axes of size 1, at their places in the output."""
    return np.expand_dims(x, tuple(axes))


@op("squeeze")
def squeeze(x: Array, *, axes: Sequence[int] | None, **_: Any) -> Array:
    """Without these axes of size 1; null means every axis of size 1."""
    return np.squeeze(x) if axes is None else np.squeeze(x, all_axes(axes, x.ndim))


@op("cast")
def cast(x: Array, *, dtype: str, **_: Any) -> Array:
    """The nearest values of a dtype; from floats to integers without the fraction, to bool whether it is not zero."""
    return x.astype(dtypes.by_name(dtype, "cast").numpy)


@op("broadcast_to")
def broadcast_to(x: Array, *, shape: Sequence[int], **_: Any) -> Array:
    """Axes of size 1, and axes that are missing in front, repeated to a shape."""
    return np.broadcast_to(x, tuple(shape))


@op("take")
def take(x: Array, indices: Array, *, axis: int | None, **_: Any) -> Array:
    """The elements at indices along an axis, whose place the axes of `indices` take; null means of the flat tensor."""
    return np.take(x, np.asarray(indices, dtype=np.int64), axis=axis)
