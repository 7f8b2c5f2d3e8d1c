"""Hypothesis strategies for tensors of every dtype and encoding, whole and in chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from etui.containers.encodings import FLOATS, INTEGERS
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.dtypes import DTYPES
from etui.testing import values

Strategy = st.SearchStrategy
Shape = tuple[int, ...]

PLAIN = tuple(name for name, dtype in DTYPES.items() if dtype.safetensors)
"""The dtypes of plain tensors."""

_FLOATS = st.sampled_from(sorted(FLOATS))
_INTEGERS = st.sampled_from(sorted(INTEGERS))


def tensors() -> Strategy[Tensor]:
    """Tensors of any dtype, bits, encoding and chunks; scalars and tensors without elements included."""
    return st.one_of(whole_tensors(), chunked_tensors(), quantized_tensors(), complex_tensors_in_chunks())


def whole_tensors(names: Strategy[str] | None = None) -> Strategy[Tensor]:
    """Tensors of any dtype in the form that `Tensor.of` gives them.

    Args:
        names: strategy for the dtype's name; of all of them if not given.
    """

    def build(draw: st.DrawFn) -> Tensor:
        name = draw(values.dtypes() if names is None else names)
        return Tensor.of(draw(values.tensors(st.just(name))), dtype=name)

    return st.composite(build)()


@st.composite
def chunked_tensors(draw: st.DrawFn, names: Strategy[str] | None = None) -> Tensor:
    """Plain tensors that are cut into boxes, in one dimension or in several, evenly or not.

    Args:
        draw: given by Hypothesis.
        names: strategy for the dtype's name; of those of plain tensors if not given.
    """
    array = draw(values.tensors(st.sampled_from(PLAIN) if names is None else names))
    return cut(draw, array)


def cut(draw: st.DrawFn, array: Array) -> Tensor:
    """The tensor of an array, in boxes that are drawn; in one piece where there is nothing to cut."""
    boxes: list[tuple[Shape, Shape]] = [((0,) * array.ndim, array.shape)]
    for _ in range(draw(st.integers(0, 4))):
        offset, shape = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        axes = [axis for axis, size in enumerate(shape) if size > 1]
        if not axes or not array.size:
            boxes.append((offset, shape))
            continue
        axis = draw(st.sampled_from(axes))
        at = draw(st.integers(1, shape[axis] - 1))
        moved = (*offset[:axis], offset[axis] + at, *offset[axis + 1 :])
        boxes.append((offset, (*shape[:axis], at, *shape[axis + 1 :])))
        boxes.append((moved, (*shape[:axis], shape[axis] - at, *shape[axis + 1 :])))
    if len(boxes) == 1:
        return Tensor.of(array)
    chunks = [
        (offset, array[tuple(slice(begin, begin + size) for begin, size in zip(offset, shape, strict=True))])
        for offset, shape in boxes
    ]
    return Tensor.chunked(Tensor.of(array).dtype, array.shape, chunks)


@st.composite
def complex_tensors_in_chunks(draw: st.DrawFn) -> Tensor:
    """Complex tensors whose component is cut into boxes, also between the real and the imaginary part."""
    name, part = draw(st.sampled_from([("complex64", "float32"), ("complex128", "float64")]))
    array = draw(values.tensors(st.just(name)))
    parts = cut(draw, array.reshape(*array.shape, 1).view(part))
    return Tensor(name, array.shape, encoding="complex", components={"parts": parts})


@st.composite
def quantized_tensors(draw: st.DrawFn) -> Tensor:
    """Quantized tensors with blocks of any size, with a zero point or without, of 4-bit values too, and in chunks."""
    blocks = draw(st.lists(st.integers(0, 2), max_size=3))
    shape = tuple(count * draw(st.integers(1, 3)) for count in blocks)
    stored = draw(_INTEGERS)
    integers = _filled(draw, stored, shape)
    scale = _filled(draw, draw(_FLOATS), tuple(blocks))
    zero_point = _filled(draw, stored, tuple(blocks)) if draw(st.booleans()) else None
    return Tensor.quantized(integers, scale, zero_point, dtype=draw(_FLOATS))


def _filled(draw: st.DrawFn, name: str, shape: Shape) -> Tensor:
    """A tensor of a given shape; plain ones may be cut."""
    source = draw(values.tensors(st.just(name)).filter(lambda array: array.size > 0))
    array = np.resize(source, shape) if 0 not in shape else np.zeros(shape, source.dtype)
    return cut(draw, array) if name in PLAIN else Tensor.of(array)
