"""What an artifact means: CONTENT, the tensors in it, and how these lie in the bytes of chunks and components.

CONTENT is a nested dict with the entries `profile`, `metadata`, the documents by role, `tensors` by role and name, and
`parts`; a document in it has neither chunks nor components.
A TENSOR is a dict of `dtype`, `shape`, and `data` (elements in row-major order, one byte each for the types of 4 bits)
or `strings` (a list of bytes); a quantized one has the `components` `values`, `scale` and perhaps `zero_point`, which
are TENSORs, and its dequantized `data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from etui_conformance.oracle import dtypes, floats
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.tensor_index import Chunk, Entry

Content = dict[str, Any]
Tensor = dict[str, Any]
Fetch = Callable[[Chunk], bytes]


@dataclass(frozen=True, slots=True)
class Piece:
    """A tensor of a data part.

    Attributes:
        path: the names of the components that lead to it; none for a plain tensor.
        dtype, shape, data: what it holds.
    """

    path: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def load(entry: Entry, fetch: Fetch) -> Tensor:
    """The tensor of an entry of an index.

    Args:
        entry: from the index.
        fetch: gives the bytes of a chunk.

    Raises:
        Refusal: of the content: `bool-value`, `encoding-content`.
    """
    logical: Tensor = {"dtype": entry.dtype, "shape": list(entry.shape)}
    if entry.encoding is None:
        logical["data"] = _assembled(entry, fetch)
        if entry.dtype == "bool":
            dtypes.check_bools(logical["data"], entry.at)
        return logical
    found = {name: load(component, fetch) for name, component in entry.components.items()}
    if entry.encoding == "complex":
        logical["data"] = found["parts"]["data"]
    elif entry.encoding == "packed4":
        logical["data"] = _unpacked(entry, found["nibbles"]["data"])
    elif entry.encoding == "string":
        logical["strings"] = _strings(entry, found["offsets"]["data"], found["data"]["data"])
    else:
        logical["components"] = found
        logical["data"] = dequantized(logical)
    return logical


def _assembled(entry: Entry, fetch: Fetch) -> bytes:
    """The bytes of a plain tensor, from its chunks."""
    if len(entry.chunks) == 1:
        return fetch(entry.chunks[0])
    width = dtypes.width(entry.dtype)
    data = bytearray(prod(entry.shape) * width)
    for chunk in entry.chunks:
        piece = fetch(chunk)
        run = (chunk.shape[-1] if chunk.shape else 1) * width
        for source, target in enumerate(_row_starts(entry.shape, chunk)):
            data[target * width : target * width + run] = piece[source * run : (source + 1) * run]
    return bytes(data)


def _row_starts(shape: Sequence[int], chunk: Chunk) -> Iterator[int]:
    """The place in the tensor, in elements, where each row of a chunk begins."""

    def visit(axis: int, start: int) -> Iterator[int]:
        stride = prod(shape[axis + 1 :])
        if axis == len(shape) - 1:
            yield start + chunk.offset[axis]
            return
        for place in range(chunk.offset[axis], chunk.offset[axis] + chunk.shape[axis]):
            yield from visit(axis + 1, start + place * stride)

    return visit(0, 0)


def box_of(tensor: Tensor, box: Sequence[Sequence[int]] | None) -> Tensor:
    """The elements of a tensor in a box of [start, stop] for each axis; all of them for `None`."""
    if box is None:
        return tensor
    whole = Chunk("", "", "", tuple(start for start, _ in box), tuple(stop - start for start, stop in box), "")
    cut: Tensor = {"dtype": tensor["dtype"], "shape": list(whole.shape)}
    if "strings" in tensor:
        cut["strings"] = [tensor["strings"][place] for place in _places(tensor["shape"], whole)]
    else:
        width = dtypes.width(tensor["dtype"])
        cut["data"] = b"".join(
            tensor["data"][place * width : (place + 1) * width] for place in _places(tensor["shape"], whole)
        )
    return cut


def _places(shape: Sequence[int], box: Chunk) -> Iterator[int]:
    """The places of the elements of a box, in order."""
    if not shape:
        yield 0
    elif prod(box.shape):
        for start in _row_starts(shape, box):
            yield from range(start, start + box.shape[-1])


def _unpacked(entry: Entry, nibbles: bytes) -> bytes:
    """One byte for each element of 4 bits; those of int4 have their sign in all the upper bits."""
    count = prod(entry.shape)
    if count % 2 and nibbles[-1] >> 4:
        raise Refusal("encoding-content", entry.at, "the unused half of the last byte is not zero")
    halves = (half for byte in nibbles for half in (byte & 15, byte >> 4))
    signed = entry.dtype == "int4"
    return bytes(half | 0xF0 if signed and half > 7 else half for half in halves)[:count]


def packed(data: bytes) -> bytes:
    """The nibbles of elements that have one byte each."""
    even = data + bytes(len(data) % 2)
    return bytes(low & 15 | (high & 15) << 4 for low, high in zip(even[::2], even[1::2], strict=True))


def _strings(entry: Entry, offsets: bytes, data: bytes) -> list[bytes]:
    """The strings that offsets cut data into (W-19)."""
    ends = [int.from_bytes(offsets[at : at + 8], "little") for at in range(0, len(offsets), 8)]
    if ends[0] != 0 or ends[-1] != len(data) or ends != sorted(ends):
        raise Refusal("encoding-content", entry.at, "offsets that do not run from 0 to the length of the data")
    found = [data[begin:end] for begin, end in pairwise(ends)]
    if entry.dtype == "string":
        for text in found:
            try:
                text.decode("utf-8")
            except UnicodeDecodeError:
                raise Refusal("encoding-content", entry.at, "a string that is not UTF-8") from None
    return found


def dequantized(tensor: Tensor) -> bytes:
    """The elements of a quantized tensor, of its components (W-21)."""
    found = tensor["components"]
    shape, blocks = tensor["shape"], found["scale"]["shape"]
    integers = _integers(found["values"])
    scales = floats.decode(found["scale"]["dtype"], found["scale"]["data"])
    zeros = _integers(found["zero_point"]) if "zero_point" in found else [0] * len(scales)
    values = []
    for place, integer in enumerate(integers):
        block = _block(place, shape, blocks)
        values.append((float(integer) - float(zeros[block])) * scales[block])
    return floats.encode(tensor["dtype"], values)


def _block(place: int, shape: Sequence[int], blocks: Sequence[int]) -> int:
    """The place in `scale` that belongs to a place in the tensor."""
    found, stride = 0, 1
    for size, parts in zip(reversed(shape), reversed(blocks), strict=True):
        place, index = divmod(place, size)
        found += index // (size // parts) * stride
        stride *= parts
    return found


def _integers(tensor: Tensor) -> list[int]:
    width, signed = dtypes.width(tensor["dtype"]), tensor["dtype"].startswith("int")
    data = tensor["data"]
    return [int.from_bytes(data[at : at + width], "little", signed=signed) for at in range(0, len(data), width)]


def encoding_of(tensor: Tensor) -> str | None:
    """The encoding of a tensor in an artifact: that of its dtype, or `quantized` if it has components."""
    return "quantized" if "components" in tensor else dtypes.ENCODINGS.get(tensor["dtype"])


def pieces(tensor: Tensor, path: tuple[str, ...] = ()) -> list[Piece]:
    """The tensors of a data part that hold a tensor, in the order of their names."""
    encoding, shape = encoding_of(tensor), tuple(tensor["shape"])
    if encoding is None:
        return [Piece(path, tensor["dtype"], shape, tensor["data"])]
    if encoding == "complex":
        part = "float32" if tensor["dtype"] == "complex64" else "float64"
        return [Piece((*path, "parts"), part, (*shape, 2), tensor["data"])]
    if encoding == "packed4":
        nibbles = packed(tensor["data"])
        return [Piece((*path, "nibbles"), "uint8", (len(nibbles),), nibbles)]
    if encoding == "string":
        return _string_pieces(tensor["strings"], path)
    components = tensor["components"]
    return [piece for name in sorted(components) for piece in pieces(components[name], (*path, name))]


def _string_pieces(strings: Sequence[bytes], path: tuple[str, ...]) -> list[Piece]:
    data, ends = b"".join(strings), [0]
    for text in strings:
        ends.append(ends[-1] + len(text))
    offsets = b"".join(end.to_bytes(8, "little") for end in ends)
    return [
        Piece((*path, "data"), "uint8", (len(data),), data),
        Piece((*path, "offsets"), "uint64", (len(ends),), offsets),
    ]
