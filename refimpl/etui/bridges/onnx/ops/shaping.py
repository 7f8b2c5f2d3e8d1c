"""Shapes, axes and parts of tensors (SPEC.md J.9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.builder import LARGEST, SMALLEST
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import (
    all_axes,
    any_of,
    dimension,
    expand,
    flipped,
    move_axis,
    reshape,
    shape_of,
    sliced,
    squeeze,
    transpose,
    truth,
    unsqueeze,
)
from etui.bridges.onnx.value import BFLOAT16, BOOL, FLOAT, FLOAT16, INT64, STRING, Value
from etui.errors import error, shown

# Numbers of `TensorProto.DataType`, for the dtypes that a cast may name; floats are computed in float32.
CASTS = {
    "bool": BOOL,
    "int8": 3,
    "int16": 5,
    "int32": 6,
    "int64": INT64,
    "uint8": 2,
    "uint16": 4,
    "uint32": 12,
    "uint64": 13,
    "float16": FLOAT16,
    "bfloat16": BFLOAT16,
    "float32": FLOAT,
    "float64": FLOAT,
}


@op("identity")
def identity(x: Value, **_: Any) -> Value:
    """The input."""
    return x


@op("flatten")
def flatten(x: Value, *, data_format: str, **_: Any) -> Value:
    """All axes but the batch as one, in row-major order, for either data format with the channels last."""
    if data_format == "channels_first" and x.rank > 1:
        x = move_axis(x, 1, -1)
    return reshape(x, [0, -1])


@op("reshape")
def reshape_op(x: Value, *, shape: Sequence[int], **_: Any) -> Value:
    """The elements of each member of the batch in row-major order, in the given shape."""
    return reshape(x, [dimension(x, 0) if 0 in shape else 0, *shape])


@op("permute")
def permute(x: Value, *, axes: Sequence[int], **_: Any) -> Value:
    """Axis `i` of the output is axis `axes[i]` of the input."""
    return transpose(x, [axis % x.rank for axis in axes])


@op("repeat")
def repeat(x: Value, *, count: int, **_: Any) -> Value:
    """`[batch, features]` as `[batch, count, features]`."""
    return expand(unsqueeze(x, [1]), [1, count, *[1] * (x.rank - 1)])


@op("pad")
def pad(x: Value, *, padding: Sequence[Sequence[int]], mode: str, value: float, **_: Any) -> Value:
    """Elements before and after each axis but the batch: a value, or mirrored without or with the edge."""
    graph, kind = x.graph, x.kind
    if mode == "constant":
        amounts = [0, *(before for before, _ in padding), 0, *(after for _, after in padding)]
        y = graph.cast(x, INT64) if kind == BOOL else x
        filled = graph.constant(value if y.is_float else int(value), y.kind)
        return graph.cast(graph.add("Pad", y, graph.constant(amounts), filled), kind)
    for axis, (before, after) in enumerate(padding, start=1):
        if before or after:
            x = _mirrored(x, axis, before, after, mode)
    return x


def _mirrored(x: Value, axis: int, before: int, after: int, mode: str) -> Value:
    graph, size = x.graph, x.shape[axis]
    if isinstance(size, int):
        places = np.pad(np.arange(size), (before, after), mode="reflect" if mode == "reflect" else "symmetric")
        return graph.one("Gather", x, graph.constant(places), axis=axis)
    edge = 1 if mode == "reflect" else 0
    parts = [
        *([flipped(sliced(x, axis, edge, before + edge), axis)] if before else []),
        x,
        *([flipped(sliced(x, axis, -after - edge, -edge if edge else LARGEST), axis)] if after else []),
    ]
    return graph.one("Concat", *parts, axis=axis)


@op("crop")
def crop(x: Value, *, cropping: Sequence[Sequence[int]], **_: Any) -> Value:
    """Without the first and last elements of each axis but the batch."""
    for axis, (before, after) in enumerate(cropping, start=1):
        if before or after:
            x = sliced(x, axis, before, -after if after else LARGEST)
    return x


@op("slice")
def slice_(x: Value, *, index: Sequence[Any], **_: Any) -> Value:
    """The part that an index of one entry for each axis names, as NumPy's basic indexing."""
    taken = [one for one in index if one not in ("newaxis", "...")]
    gap = x.rank - len(taken)
    axis, gone, new, at = 0, [], [], 0
    for one in [*index, *([] if "..." in index else ["..."])]:
        if one == "newaxis":
            new.append(at)
            at += 1
        elif one == "...":
            axis, at = axis + gap, at + gap
        elif isinstance(one, list):
            x = _part(x, axis, one)
            axis, at = axis + 1, at + 1
        else:
            x = sliced(x, axis, one, one + 1 if one != -1 else LARGEST)
            gone.append(axis)
            axis += 1
    return unsqueeze(squeeze(x, gone), new)


def _part(x: Value, axis: int, part: Sequence[int | None]) -> Value:
    start, stop, step = part
    step = 1 if step is None else step
    if start is None and stop is None and step == 1:
        return x
    first, end = (0, LARGEST) if step > 0 else (LARGEST, SMALLEST)
    return sliced(x, axis, first if start is None else start, end if stop is None else stop, step)


@op("concat", masked=True)
def concat(xs: Sequence[Value], *, axis: int, mask: Mask = None, **_: Any) -> tuple[Value, Mask]:
    """The tensors one after the other along an axis, and their masks likewise."""
    graph = xs[0].graph
    y = graph.add("Concat", *_alike(xs), axis=axis)
    masks = mask if isinstance(mask, list) else [mask] * len(xs)
    if all(one is None for one in masks):
        return y, None
    spread = [graph.cast(_spread(one, x), INT64) for one, x in zip(masks, xs, strict=True)]
    return y, any_of(graph.add("Concat", *spread, axis=axis), [y.rank - 1])


def _alike(xs: Sequence[Value]) -> list[Value]:
    return xs[0].graph.common(*xs)


def _spread(mask: Value | None, x: Value) -> Value:
    if mask is None:
        return expand(x.graph.constant(np.True_), [shape_of(x)])
    return expand(unsqueeze(truth(mask), range(mask.rank, x.rank)), [shape_of(x)])


@op("stack")
def stack(xs: Sequence[Value], *, axis: int, **_: Any) -> Value:
    """The tensors along a new axis."""
    found: Value = xs[0].graph.add("Concat", *(unsqueeze(x, [axis]) for x in _alike(xs)), axis=axis)
    return found


@op("split")
def split(x: Value, *, sections: int | Sequence[int], axis: int, **_: Any) -> list[Value]:
    """The tensor cut along an axis, into a number of equal parts or parts of the sizes."""
    graph = x.graph
    if isinstance(sections, int):
        size = x.shape[axis]
        if isinstance(size, int) and size % sections:
            raise error("onnx-op", found=f"{sections} equal parts of an axis of {size}")
        found = graph.add("Split", x, axis=axis, num_outputs=sections, outputs=sections)
    else:
        found = graph.add("Split", x, graph.constant(list(sections)), axis=axis, outputs=len(sections))
    return found if isinstance(found, list) else [found]


@op("expand_dims")
def expand_dims(x: Value, *, axes: Sequence[int], **_: Any) -> Value:
    """New axes of size 1, at their places in the output."""
    return unsqueeze(x, axes)


@op("squeeze", limits="without `axes`, the sizes of all axes have to be fixed")
def squeeze_op(x: Value, *, axes: Sequence[int] | None, **_: Any) -> Value:
    """Without these axes of size 1; null means every axis of size 1."""
    if axes is not None:
        return squeeze(x, all_axes(axes, x.rank))
    if not all(isinstance(size, int) for size in x.shape):
        raise error("onnx-shape", found=f"a squeeze of all axes of size 1 of a tensor of the shape {list(x.shape)}")
    return squeeze(x, [axis for axis, size in enumerate(x.shape) if size == 1])


@op("cast", limits="to strings, complex numbers, and floats and integers of 8 bits and fewer but int8 and uint8")
def cast(x: Value, *, dtype: str, **_: Any) -> Value:
    """The nearest values of a dtype; from floats to integers without the fraction, to bool whether it is not zero."""
    if dtype not in CASTS or x.kind == STRING:
        raise error("onnx-op", found=f"a cast to {shown(dtype)}" if x.kind != STRING else "a cast of strings")
    kind = CASTS[dtype]
    y = x.graph.cast(x, kind)
    return y if kind in {FLOAT, BOOL, INT64} else x.graph.cast(y, FLOAT if kind in {FLOAT16, BFLOAT16} else INT64)


@op("broadcast_to")
def broadcast_to(x: Value, *, shape: Sequence[int], **_: Any) -> Value:
    """Axes of size 1, and axes that are missing in front, repeated to a shape."""
    return expand(x, list(shape))


@op("take")
def take(x: Value, indices: Value, *, axis: int | None, **_: Any) -> Value:
    """The elements at indices along an axis, whose place the axes of `indices` take; null means of the flat tensor."""
    rows = x.graph.cast(indices, INT64)
    return x.graph.one("Gather", reshape(x, [-1]) if axis is None else x, rows, axis=axis or 0)
