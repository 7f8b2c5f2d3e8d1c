"""The elements of a tensor in pieces of bounded size, for whoever looks at each element once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np

from etui.containers.cover import Shape
from etui.containers.encodings import ENCODINGS
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor

ELEMENTS = 1 << 17
"""Elements of one piece at most, which bounds the memory of what is computed of it."""

Box = tuple[slice, ...]


def passes(tensor: Tensor, elements: int = ELEMENTS) -> Callable[[], Iterator[Array]]:
    """What gives every element of a tensor once, as flat read-only arrays of its dtype, each time that it is called.

    A tensor in one chunk is read once for all passes, and mapped where the storage can; of a tensor in several, each
    is read when its turn comes, and an encoded one is decoded piece by piece.

    Args:
        tensor: of any dtype but string and bytes.
        elements: of one array at most.

    Raises:
        RejectError: its content is refused.
        StorageError: it cannot be read.
    """
    if _is_whole(tensor):
        return partial(_flat, tensor.numpy(), elements)
    if tensor.encoding is None:
        # The order of elements does not matter, so that no chunk is cut.
        return lambda: (part for piece in tensor.pieces for part in _flat(piece.source.array(), elements))
    read = _reader(tensor)
    return lambda: (read(box).reshape(-1) for box in boxes(tensor.shape, elements))


def pairs(first: Tensor, second: Tensor, elements: int = ELEMENTS) -> Iterator[tuple[Array, Array]]:
    """The elements of two tensors of one shape side by side, as flat arrays.

    Args:
        first: a tensor of any dtype but string and bytes.
        second: another one.
        elements: of one array at most.
    """
    if _is_whole(first) and _is_whole(second):
        yield from zip(_flat(first.numpy(), elements), _flat(second.numpy(), elements), strict=True)
        return
    one, two = _reader(first), _reader(second)
    for box in boxes(first.shape, elements):
        yield one(box).reshape(-1), two(box).reshape(-1)


def boxes(shape: Shape, elements: int) -> Iterator[Box]:
    """Boxes of at most `elements` elements that cover a shape; each is a run of the elements in C order.

    Args:
        shape: of a tensor.
        elements: of one box at most, 1 or more.
    """
    if 0 in shape:
        return
    # The axis that is cut into runs: those behind it are taken whole, those before it index by index.
    axis = next((axis for axis in range(len(shape)) if math.prod(shape[axis + 1 :]) <= elements), None)
    if axis is None:
        yield ()
        return
    run = max(1, elements // math.prod(shape[axis + 1 :]))
    behind = [slice(0, size) for size in shape[axis + 1 :]]
    for outer in product(*(range(size) for size in shape[:axis])):
        before = [slice(index, index + 1) for index in outer]
        for start in range(0, shape[axis], run):
            yield (*before, slice(start, min(start + run, shape[axis])), *behind)


def _is_whole(tensor: Tensor) -> bool:
    return tensor.encoding is None and len(tensor.pieces) == 1


def _flat(array: Array, elements: int) -> Iterator[Array]:
    flat = array.reshape(-1)
    for start in range(0, flat.size, elements):
        yield flat[start : start + elements]


def _reader(tensor: Tensor) -> Callable[[Box], Array]:
    """What gives the elements in a box of `boxes`; of an encoded tensor no more than that is decoded."""
    if tensor.encoding == "packed4":
        return partial(_unpacked, tensor, tensor.components["nibbles"].numpy())
    if tensor.encoding == "quantized":
        scales = {name: part.numpy() for name, part in tensor.components.items() if name != "values"}
        return partial(_dequantized, tensor, _reader(tensor.components["values"]), scales)
    return tensor.read


def _unpacked(tensor: Tensor, packed: Array, box: Box) -> Array:
    """A run of the elements that lie two in a byte."""
    starts = [part.start for part in box]
    extents = [part.stop - part.start for part in box]
    first = int(np.ravel_multi_index(starts, tensor.shape)) if box else 0
    last = first + math.prod(extents)
    # A byte that lies half behind the run is taken whole, but for the last, whose other half has to be zero.
    stop = last if last == math.prod(tensor.shape) else last + last % 2
    begin = first - first % 2
    nibbles = {"nibbles": packed[begin // 2 : (stop + 1) // 2]}
    found = ENCODINGS["packed4"].join(tensor.dtype, (stop - begin,), nibbles)
    return np.asarray(found[first - begin : last - begin].reshape(extents))


def _dequantized(tensor: Tensor, values: Callable[[Box], Array], scales: dict[str, Array], box: Box) -> Array:
    extents = tuple(part.stop - part.start for part in box)
    arrays = {"values": values(box)}
    for name, array in scales.items():
        spread = array
        for axis, (part, size) in enumerate(zip(box, tensor.shape, strict=True)):
            block = size // array.shape[axis]
            inside = spread[(slice(None),) * axis + (slice(part.start // block, -(-part.stop // block)),)]
            cut = slice(part.start % block, part.start % block + extents[axis])
            spread = np.repeat(inside, block, axis)[(slice(None),) * axis + (cut,)] if block > 1 else inside
        arrays[name] = spread
    return ENCODINGS["quantized"].join(tensor.dtype, extents, arrays)
