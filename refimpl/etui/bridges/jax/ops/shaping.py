"""Ops that move elements and do not change them (SPEC.md, annex J.9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etui.bridges.jax.ops.registry import Array, Mask, op
from etui.errors import error, shown

_OPEN = 3
"""Length of a slice [start, stop, step] in an index."""


@op("identity")
def identity(x: Array, **_: Any) -> Array:
    """The tensor itself."""
    return x


@op("flatten")
def flatten(x: Array, *, data_format: str, **_: Any) -> Array:
    """All axes but the batch as one, in the order of channels_last."""
    if data_format == "channels_first" and x.ndim > 1:
        x = jnp.moveaxis(x, 1, -1)
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


@op("reshape")
def reshape(x: Array, *, shape: Sequence[int], **_: Any) -> Array:
    """The elements of each sample in another shape; one size may be -1."""
    return x.reshape(x.shape[0], *_sizes(shape, math.prod(x.shape[1:])))


def _sizes(shape: Sequence[int], number: int) -> list[int]:
    """The shape with its -1 worked out, so that a batch of none can be reshaped, too."""
    known = math.prod(size for size in shape if size != -1)
    return [number // max(known, 1) if size == -1 else size for size in shape]


@op("permute")
def permute(x: Array, *, axes: Sequence[int], **_: Any) -> Array:
    """The axes in another order, the batch included."""
    return jnp.transpose(x, tuple(axes))


@op("repeat")
def repeat(x: Array, *, count: int, **_: Any) -> Array:
    """[batch, count, features] of [batch, features]."""
    return jnp.repeat(x[:, None, :], count, axis=1)


@op("pad")
def pad(x: Array, *, padding: Sequence[Sequence[int]], mode: str, value: float, **_: Any) -> Array:
    """Elements added before and after each axis but the batch."""
    pairs = [(0, 0), *((before, after) for before, after in padding)]
    if mode == "constant":
        return jnp.pad(x, pairs, constant_values=jnp.asarray(value, x.dtype))
    return jnp.pad(x, pairs, mode=mode)


@op("crop")
def crop(x: Array, *, cropping: Sequence[Sequence[int]], **_: Any) -> Array:
    """Elements cut off before and after each axis but the batch."""
    cuts = [slice(before, size - after) for (before, after), size in zip(cropping, x.shape[1:], strict=True)]
    return x[(slice(None), *cuts)]


@op("slice")
def slice_(x: Array, *, index: Sequence[Any], **_: Any) -> Array:
    """The elements that an index of each axis picks, as NumPy's basic indexing does."""
    return x[tuple(_picked(item) for item in index)]


def _picked(item: Any) -> Any:
    if isinstance(item, list | tuple) and len(item) == _OPEN:
        return slice(*item)
    if item == "newaxis":
        return None
    return Ellipsis if item == "..." else item


@op("concat", masked=True)
def concat(xs: Sequence[Array], *, axis: int, mask: Mask, **_: Any) -> tuple[Array, Mask]:
    """The tensors one behind the other; so the masks, where a tensor without one is kept whole."""
    xs = [jnp.asarray(x) for x in xs]
    y = jnp.concatenate(xs, axis=axis)
    masks = mask if isinstance(mask, list) else [mask] * len(xs)
    if all(one is None for one in masks):
        return y, None
    full = []
    for x, one in zip(xs, masks, strict=True):
        kept = jnp.ones(x.shape, bool) if one is None else one.astype(bool)
        full.append(jnp.broadcast_to(kept[..., None], x.shape) if kept.ndim < x.ndim else kept)
    return y, jnp.any(jnp.concatenate(full, axis=axis), axis=-1)


@op("stack")
def stack(xs: Sequence[Array], *, axis: int, **_: Any) -> Array:
    """The tensors along a new axis."""
    return jnp.stack([jnp.asarray(x) for x in xs], axis=axis)


@op("split")
def split(x: Array, *, sections: int | Sequence[int], axis: int, **_: Any) -> list[Array]:
    """Pieces along an axis, equal ones or of the given sizes."""
    if isinstance(sections, int):
        return list(jnp.split(x, sections, axis=axis))
    return list(jnp.split(x, [int(end) for end in np.cumsum(sections)[:-1]], axis=axis))


@op("expand_dims")
def expand_dims(x: Array, *, axes: Sequence[int], **_: Any) -> Array:
    """New axes of size 1, at their places in the output."""
    return jnp.expand_dims(x, tuple(axes))


@op("squeeze")
def squeeze(x: Array, *, axes: Sequence[int] | None, **_: Any) -> Array:
    """Without axes of size 1."""
    return jnp.squeeze(x, None if axes is None else tuple(axes))


@op("cast")
def cast(x: Array, *, dtype: str, **_: Any) -> Array:
    """The elements in another dtype."""
    return jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(dtype))


@op("broadcast_to")
def broadcast_to(x: Array, *, shape: Sequence[int], where: str, **_: Any) -> Array:
    """The elements repeated along axes of size 1."""
    if any(size is None for size in shape):
        raise error("jax-op", where=where, found=f"a shape that is not known: {shown(list(shape))}")
    return jnp.broadcast_to(x, tuple(shape))


@op("take")
def take(x: Array, indices: Any, *, axis: int | None, **_: Any) -> Array:
    """The elements at indices along an axis, or of the flattened tensor; negative ones count from the end."""
    return jnp.take(x, jnp.asarray(indices), axis=axis)
