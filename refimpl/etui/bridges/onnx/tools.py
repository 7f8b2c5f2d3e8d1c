"""Shapes, axes and reductions that several families of ops share, as nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.builder import LARGEST, Builder
from etui.bridges.onnx.value import BOOL, FLOAT, INT64, Size, Value
from etui.errors import error

__all__ = [
    "channels_back",
    "channels_second",
    "dimension",
    "each",
    "expand",
    "flipped",
    "floating",
    "known",
    "reduced",
    "reshape",
    "same_shape",
    "scalar_sizes",
    "shape_of",
    "sliced",
    "squeeze",
    "transpose",
    "truth",
    "unsqueeze",
    "where",
]

_CHANNELS_FIRST = "channels_first"


def floating(value: Value) -> Value:
    """A tensor of floats: as it is, or integers and booleans as floats."""
    return value if value.is_float else value.graph.cast(value, FLOAT)


def truth(value: Value) -> Value:
    """A tensor of booleans: true where an element is not zero."""
    return value.graph.cast(value, BOOL)


def where(condition: Value, first: Any, second: Any) -> Value:
    """The elements of the first where the condition is true, else those of the second."""
    graph = condition.graph
    example = next((one for one in (first, second) if isinstance(one, Value)), None)
    if example is None:
        raise error("onnx-build", found="two numbers to choose from")
    pair = graph.common(graph.like(first, example), graph.like(second, example))
    kind = pair[0].kind
    if kind == BOOL:
        pair = [graph.cast(one, INT64) for one in pair]
    found: Value = graph.add("Where", truth(condition), *pair)
    return graph.cast(found, kind)


# --- axes and shapes --------------------------------------------------------------------------------------------------


def transpose(value: Value, axes: Sequence[int]) -> Value:
    """Axis i of the result is axis `axes[i]`."""
    if list(axes) == list(range(value.rank)):
        return value
    return value.graph.one("Transpose", value, perm=list(axes))


def move_axis(value: Value, source: int, target: int) -> Value:
    """One axis at another place; the others keep their order."""
    order = [axis for axis in range(value.rank) if axis != source % value.rank]
    order.insert(target % value.rank, source % value.rank)
    return transpose(value, order)


def channels_second(value: Value, data_format: str) -> Value:
    """A tensor with its channels as the second axis, as ONNX has them."""
    return value if data_format == _CHANNELS_FIRST else move_axis(value, -1, 1)


def channels_back(value: Value, data_format: str) -> Value:
    """The channels of the second axis where the data format has them."""
    return value if data_format == _CHANNELS_FIRST else move_axis(value, 1, -1)


def unsqueeze(value: Value, axes: Sequence[int]) -> Value:
    """New axes of size 1 at their places in the result."""
    if not axes:
        return value
    return value.graph.one("Unsqueeze", value, value.graph.constant(list(axes)))


def squeeze(value: Value, axes: Sequence[int]) -> Value:
    """Without these axes, which are of size 1."""
    if not axes:
        return value
    return value.graph.one("Squeeze", value, value.graph.constant(list(axes)))


def shape_of(value: Value) -> Value:
    """The sizes of all axes, [rank]."""
    if all(isinstance(size, int) for size in value.shape):
        return value.graph.constant(np.array(value.shape, np.int64))
    return value.graph.one("Shape", value)


def dimension(value: Value, axis: int) -> Value:
    """The size of an axis, [1]."""
    axis %= value.rank
    size = value.shape[axis]
    if isinstance(size, int):
        return value.graph.constant([size])
    return value.graph.one("Shape", value, start=axis, end=axis + 1)


def scalar_sizes(graph: Builder, sizes: Sequence[int | Value]) -> Value:
    """Sizes as one tensor, of numbers and tensors [1]."""
    if all(isinstance(size, int) for size in sizes):
        return graph.constant(np.array(sizes, np.int64))
    runs: list[Value] = []
    numbers: list[int] = []
    for size in [*sizes, None]:
        if isinstance(size, int):
            numbers.append(size)
            continue
        if numbers:
            runs.append(graph.constant(np.array(numbers, np.int64)))
            numbers = []
        if size is not None:
            runs.append(size)
    found: Value = runs[0] if len(runs) == 1 else graph.add("Concat", *runs, axis=0)
    return found


def reshape(value: Value, sizes: Sequence[int | Value]) -> Value:
    """The elements in another shape: a size 0 is that of the same axis of the value, and one may be -1."""
    return value.graph.one("Reshape", value, scalar_sizes(value.graph, sizes))


def same_shape(value: Value, other: Value) -> Value:
    """The elements in the shape of another tensor."""
    found: Value = value.graph.add("Reshape", value, shape_of(other))
    return Value(found.graph, found.name, found.kind, other.shape)


def expand(value: Value, sizes: Sequence[int | Value]) -> Value:
    """Axes of size 1, and axes that are missing in front, repeated to these sizes."""
    graph, kind = value.graph, value.kind
    source = graph.cast(value, INT64) if kind == BOOL else value
    found: Value = graph.add("Expand", source, scalar_sizes(graph, sizes))
    return graph.cast(found, kind)


def sliced(value: Value, axis: int, start: int, stop: int = LARGEST, step: int = 1) -> Value:
    """The elements of an axis from `start` to before `stop`."""
    constant = value.graph.constant
    return value.graph.one(
        "Slice", value, constant([start]), constant([stop]), constant([axis % value.rank]), constant([step])
    )


def flipped(value: Value, axis: int) -> Value:
    """An axis turned around."""
    return sliced(value, axis, -1, -LARGEST, -1)


def known(sizes: Sequence[Size], what: str) -> list[int]:
    """Sizes that a program has to know.

    Raises:
        TransferError: ``onnx-shape``, one is not fixed.
    """
    found = [size for size in sizes if isinstance(size, int)]
    if len(found) != len(sizes):
        raise error("onnx-shape", found=f"{what} over axes of the sizes {list(sizes)}")
    return found


def each(sizes: Sequence[int] | None, rank: int, default: Sequence[int] | None = None) -> list[int]:
    """One size for each of `rank` spatial axes: those given, else the default, else 1."""
    if sizes is None:
        sizes = default if default is not None else [1] * rank
    if len(sizes) != rank:
        raise error("onnx-build", found=f"{list(sizes)} for {rank} spatial axes")
    return list(sizes)


# --- reductions -------------------------------------------------------------------------------------------------------


def all_axes(axes: Sequence[int] | None, rank: int) -> list[int]:
    """Axes counted from the first one; null means every axis."""
    return list(range(rank)) if axes is None else [axis % rank for axis in axes]


def reduced(op: str, value: Value, axes: Sequence[int], *, keepdims: bool = False) -> Value:
    """A reduction such as `ReduceSum` along axes; along none, each element is one of its own."""
    graph = value.graph
    if not axes:
        value, axes, keepdims = unsqueeze(value, [value.rank]), [value.rank], False
    return graph.one(op, value, graph.constant(list(axes)), keepdims=int(keepdims))


def any_of(value: Value, axes: Sequence[int], *, keepdims: bool = False) -> Value:
    """Whether any element along axes is true."""
    graph = value.graph
    return graph.cast(reduced("ReduceMax", graph.cast(truth(value), INT64), axes, keepdims=keepdims), BOOL)


def all_of(value: Value, axes: Sequence[int], *, keepdims: bool = False) -> Value:
    """Whether all elements along axes are true."""
    graph = value.graph
    return graph.cast(reduced("ReduceMin", graph.cast(truth(value), INT64), axes, keepdims=keepdims), BOOL)


def along(values: Value, axes: Sequence[int], rank: int) -> Value:
    """Values with one axis for each of `axes`, in rising order, as a tensor of `rank` axes that broadcasts."""
    kept = sorted(axis % rank for axis in axes)
    if len(kept) != values.rank:
        raise error("onnx-build", found=f"a variable of {values.rank} axes along {len(kept)}")
    return unsqueeze(values, [axis for axis in range(rank) if axis not in kept])
