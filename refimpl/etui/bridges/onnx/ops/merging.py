"""Several tensors as one, element by element or by products (SPEC.md J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from etui.bridges.onnx.ops.normalization import unit
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import dimension, floating, move_axis, reshape, truth, unsqueeze, where
from etui.bridges.onnx.value import BOOL, INT64, Value
from etui.errors import error

_SMALLEST_NORM = 1e-7
Fold = Callable[[Value, Value], Value]


def _node(name: str) -> Fold:
    """A node of two tensors as a function; of booleans, the result is one of booleans, too."""

    def fold(x: Value, y: Value) -> Value:
        found = x.graph.arithmetic(name, x, y)
        return x.graph.cast(found, BOOL) if x.kind == y.kind == BOOL else found

    return fold


@op("add", masked=True)
def add(xs: Sequence[Value], *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The sum; booleans beside numbers count, and alone they give a boolean."""
    return _merged(_node("Add"), xs[0].graph.common(*xs)), either(mask)


@op("mul", masked=True)
def mul(xs: Sequence[Value], *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The product of what the masks leave; 0 where all have a mask that is false."""
    return _kept_only(_node("Mul"), xs, mask, lambda first: first.graph.like(0, first)), either(mask)


@op("mean", masked=True)
def mean(xs: Sequence[Value], *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The sum divided by the number of tensors."""
    return _merged(_node("Add"), [floating(x) for x in xs]) / float(len(xs)), either(mask)


@op("max", masked=True)
def maximum(xs: Sequence[Value], *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The largest of what the masks leave; the first where all have a mask that is false."""
    return _kept_only(_node("Max"), xs, mask, lambda first: first), either(mask)


@op("min", masked=True)
def minimum(xs: Sequence[Value], *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The smallest of what the masks leave; the first where all have a mask that is false."""
    return _kept_only(_node("Min"), xs, mask, lambda first: first), either(mask)


@op("sub", masked=True)
def sub(x: Value, y: Value, *, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The first without the second."""
    return _merged(_node("Sub"), [x, y]), either(mask)


@op("dot")
def dot(x: Value, y: Value, *, axes: int | Sequence[int], normalize: bool, **_: Any) -> Value:
    """`Σ` over an axis of each, for each member of the batch: the other axes of `x`, then those of `y`."""
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % x.rank, second % y.rank
    if 0 in (first, second):
        raise error("onnx-op", found="a dot over the axis of the batch")
    x, y = floating(x), floating(y)
    if normalize:
        x, y = unit(x, [first], _SMALLEST_NORM), unit(y, [second], _SMALLEST_NORM)
    rows, columns = move_axis(x, first, -1), move_axis(y, second, 1)
    inner = dimension(rows, -1)
    flat = reshape(rows, [0, -1, inner]) @ reshape(columns, [0, 0, -1] if columns.rank > 2 else [0, 0, 1])
    others: list[int | Value] = [dimension(rows, axis) for axis in range(1, rows.rank - 1)]
    others += [dimension(columns, axis) for axis in range(2, columns.rank)]
    return reshape(flat, [0, *(others or [1])])


@op("matmul")
def matmul(x: Value, y: Value, **_: Any) -> Value:
    """The product over the last axis of `x` and the last but one of `y`; the axes before are broadcast."""
    found = x @ y
    return truth(found) if x.kind == y.kind == BOOL else found


@op("einsum")
def einsum(xs: Sequence[Value], *, equation: str, **_: Any) -> Value:
    """The sum that an equation in the notation of Einstein names."""
    graph = xs[0].graph
    alike = graph.common(*xs)
    booleans = alike[0].kind == BOOL
    if booleans:
        alike = [graph.cast(x, INT64) for x in alike]
    found = graph.one("Einsum", *alike, equation=equation.replace(" ", ""))
    return truth(found) if booleans else found


def _merged(function: Fold, xs: Sequence[Value]) -> Value:
    """A function folded over tensors of one rank, which are broadcast."""
    return reduce(function, _level(xs))


def _level(xs: Sequence[Value]) -> list[Value]:
    """The tensors with axes of size 1 behind the batch, which make all ranks equal."""
    rank = max(x.rank for x in xs)
    return [unsqueeze(x, range(1, 1 + rank - x.rank)) if x.rank else x for x in xs]


def _kept_only(function: Fold, xs: Sequence[Value], mask: Mask, otherwise: Callable[[Value], Value]) -> Value:
    """A function folded over the elements that the masks leave, and `otherwise` of the first where they leave none."""
    masks = mask if isinstance(mask, list) else [mask] * len(xs)
    if all(one is None for one in masks):
        return _merged(function, xs)
    level = _level(xs)
    graph = level[0].graph
    result = level[0]
    found = graph.constant(np.zeros((1,) * level[0].rank, np.bool_))
    for x, one in zip(level, masks, strict=True):
        every = graph.constant(np.ones((1,) * level[0].rank, np.bool_))
        kept = every if one is None else unsqueeze(truth(one), [one.rank])
        result = where(kept, where(found, function(result, x), x), result)
        found = found | kept
    return where(found, result, otherwise(level[0]))


def either(mask: Mask) -> Value | None:
    """The mask of a merged tensor: where one of the masks is true, and none if a tensor has none."""
    masks = mask if isinstance(mask, list) else [mask]
    if any(one is None for one in masks):
        return None
    return reduce(lambda x, y: x | y, [truth(one) for one in masks])
