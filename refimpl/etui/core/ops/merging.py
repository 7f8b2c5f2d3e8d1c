"""Several tensors as one, element by element or by products (SPEC.md J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.normalization import unit
from etui.core.ops.registry import Array, Mask, op
from etui.errors import error

_SMALLEST_NORM = 1e-7


@op("add", masked=True)
def add(xs: Sequence[Array], *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The sum."""
    return _merged(np.add, xs), either(mask)


@op("mul", masked=True)
def mul(xs: Sequence[Array], *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The product of what the masks leave; 0 where all have a mask that is false."""
    return _kept_only(np.multiply, xs, mask, np.zeros_like), either(mask)


@op("mean", masked=True)
def mean(xs: Sequence[Array], *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The sum divided by the number of tensors."""
    return reduce(np.add, map(floating, _level(xs))) / len(xs), either(mask)


@op("max", masked=True)
def maximum(xs: Sequence[Array], *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The largest of what the masks leave; the first where all have a mask that is false."""
    return _kept_only(np.maximum, xs, mask, lambda first: first), either(mask)


@op("min", masked=True)
def minimum(xs: Sequence[Array], *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The smallest of what the masks leave; the first where all have a mask that is false."""
    return _kept_only(np.minimum, xs, mask, lambda first: first), either(mask)


@op("sub", masked=True)
def sub(x: Array, y: Array, *, mask: Mask = None, **_: Any) -> tuple[Array, Mask]:
    """The first without the second."""
    return _merged(np.subtract, [x, y]), either(mask)


@op("dot")
def dot(x: Array, y: Array, *, axes: int | Sequence[int], normalize: bool, **_: Any) -> Array:
    """`Σ` over an axis of each, for each member of the batch: the other axes of `x`, then those of `y`.

    With `normalize`, each is first divided by its Euclidean norm over its axis. One axis at least stays.
    """
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % x.ndim, second % y.ndim
    if 0 in (first, second):
        raise error("core-evaluate", found="a dot over the axis of the batch", hint="Name another axis.")
    x, y = floating(x), floating(y)
    if normalize:
        x, y = unit(x, (first,), _SMALLEST_NORM), unit(y, (second,), _SMALLEST_NORM)
    rows, columns = np.moveaxis(x, first, -1), np.moveaxis(y, second, 1)
    flat = rows.reshape(len(x), -1, rows.shape[-1]) @ columns.reshape(len(y), columns.shape[1], -1)
    shape = rows.shape[1:-1] + columns.shape[2:]
    return flat.reshape(len(x), *(shape or (1,)))


@op("matmul")
def matmul(x: Array, y: Array, **_: Any) -> Array:
    """The product over the last axis of `x` and the last but one of `y`; the axes before are broadcast."""
    return x @ y


@op("einsum")
def einsum(xs: Sequence[Array], *, equation: str, **_: Any) -> Array:
    """The sum that an equation in the notation of Einstein names."""
    return np.asarray(np.einsum(equation, *xs))


def _merged(function: Callable[[Array, Array], Array], xs: Sequence[Array]) -> Array:
    """A function folded over tensors of one rank, which are broadcast."""
    return reduce(function, _level(xs))


def _level(xs: Sequence[Array]) -> list[Array]:
    """The tensors in one dtype, with axes of size 1 behind the batch, which make all ranks equal."""
    dtype = np.result_type(*xs)  # a sum of booleans is another one among numbers
    arrays = [np.asarray(x).astype(dtype) for x in xs]
    rank = max(x.ndim for x in arrays)
    return [x.reshape(x.shape[:1] + (1,) * (rank - x.ndim) + x.shape[1:]) if x.ndim else x for x in arrays]


def _kept_only(
    function: Callable[[Array, Array], Array], xs: Sequence[Array], mask: Mask, otherwise: Callable[[Array], Array]
) -> Array:
    """A function folded over the elements that the masks leave, and `otherwise` of the first where they leave none."""
    masks = mask if isinstance(mask, list) else [mask] * len(xs)
    if all(one is None for one in masks):
        return _merged(function, xs)
    level = _level(xs)
    result, found = level[0], np.zeros((1,) * level[0].ndim, bool)
    for x, one in zip(level, masks, strict=True):
        kept = np.ones_like(found) if one is None else np.asarray(one)[..., np.newaxis] != 0
        result = np.where(kept, np.where(found, function(result, x), x), result)
        found = found | kept
    return np.where(found, result, otherwise(level[0]))


def either(mask: Mask) -> Array | None:
    """The mask of a merged tensor: where one of the masks is true, and none if a tensor has none."""
    masks = mask if isinstance(mask, list) else [mask]
    if any(one is None for one in masks):
        return None
    return np.asarray(reduce(np.logical_or, masks))
