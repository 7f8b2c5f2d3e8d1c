"""The entries of an index of tensors: types, and the chunks or components that hold them (SPEC.md chapter 12)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

from etui_conformance.oracle import dtypes, limits
from etui_conformance.oracle.errors import pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.manifest import check_digest

FIELDS = ("chunks", "components", "dtype", "encoding", "shape")
ENCODINGS = {
    "complex": ("complex64", "complex128"),
    "packed4": ("int4", "uint4"),
    "string": ("string", "bytes"),
    "quantized": tuple(sorted(dtypes.FLOATS)),
}
"""encoding -> the dtypes of its row of the table of 12.3."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a tensor.

    Attributes:
        part, tensor: where its bytes are.
        digest: of these bytes.
        offset, shape: the box of the tensor that it is.
        at: its place in the document.
    """

    part: str
    tensor: str
    digest: str
    offset: tuple[int, ...]
    shape: tuple[int, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What an index says of a tensor: either chunks or components.

    Attributes:
        dtype, shape: of the logical elements.
        chunks: of a plain tensor, sorted by offset.
        encoding: of a tensor that has components.
        components: by name.
        at: its place in the document.
    """

    dtype: str
    shape: tuple[int, ...]
    at: str
    chunks: tuple[Chunk, ...] = ()
    encoding: str | None = None
    components: dict[str, Entry] = field(default_factory=dict)

    def all_chunks(self) -> Iterator[tuple[Chunk, str]]:
        """Each chunk of the tensor and of its components, with the dtype of its elements."""
        yield from ((chunk, self.dtype) for chunk in self.chunks)
        for component in self.components.values():
            yield from component.all_chunks()

    def features(self) -> Iterator[str]:
        """The features of chapter 18.2 that the tensor uses."""
        if len(self.chunks) > 1:
            yield "chunks"
        if self.encoding is not None:
            yield f"encoding.{self.encoding}"
        for component in self.components.values():
            yield from component.features()


def read_entry(form: Form, tree: dict[str, Any], at: str) -> Entry:
    """The entry of an index, whose fields beyond `FIELDS` the caller checks.

    Raises:
        Refusal: of the clauses D-7, D-10, W-2, W-4 to W-8, W-16, W-17, W-20, W-22, W-26, Q-9 and L-2.
    """
    dtype, shape = _read_type(form, tree, at)
    if "encoding" not in tree and "components" not in tree:
        if dtype not in dtypes.SAFETENSORS:
            form.refuse(at, f"{dtype} without an encoding", "encoding-components")
        if "chunks" not in tree:
            form.refuse(at, "neither chunks nor components")
        return Entry(dtype, shape, at, chunks=_read_chunks(form, tree["chunks"], shape, pointer(at, "chunks")))
    encoding = tree.get("encoding", "")
    if "encoding" in tree and not (isinstance(encoding, str) and encoding in ENCODINGS):
        form.refuse(pointer(at, "encoding"), "no encoding of the table", "encoding-unknown")
    if not encoding or "components" not in tree or "chunks" in tree:
        form.refuse(at, "an encoding goes with components, and without chunks")
    if dtype not in ENCODINGS[encoding]:
        form.refuse(pointer(at, "encoding"), f"{encoding} does not hold {dtype}", "encoding-components")
    components = _read_components(form, tree["components"], encoding, (dtype, shape), pointer(at, "components"))
    return Entry(dtype, shape, at, encoding=encoding, components=components)


def _read_type(form: Form, tree: dict[str, Any], at: str) -> tuple[str, tuple[int, ...]]:
    """The dtype and shape of a tensor, within the limits of chapter 19."""
    for name in ("dtype", "shape"):
        if name not in tree:
            form.refuse(at, f"lacks {name!r}")
    dtype = tree["dtype"]
    if not isinstance(dtype, str):
        form.refuse(pointer(at, "dtype"), "not a text", "dtype-unknown")
    dtypes.check_dtype(dtype, pointer(at, "dtype"))
    dtypes.check_shape(tree["shape"], pointer(at, "shape"))
    shape = tuple(tree["shape"])
    # A tensor of strings is at least as large as its offsets.
    stored = "uint64" if dtypes.BITS[dtype] is None else dtype
    dtypes.check_size(stored, shape, pointer(at, "shape"))
    return dtype, shape


def _read_chunks(form: Form, value: Any, shape: tuple[int, ...], at: str) -> tuple[Chunk, ...]:
    """The chunks of a tensor, which cover it."""
    listed = form.list(value, at, filled=True)
    chunks = tuple(_read_chunk(form, tree, shape, len(listed) == 1, pointer(at, i)) for i, tree in enumerate(listed))
    if len(chunks) == 1:
        return chunks
    offsets = [chunk.offset for chunk in chunks]
    if offsets != sorted(offsets):
        form.refuse(at, "not sorted by offset", "chunk-form")
    cut = [axis for axis, size in enumerate(shape) if any(chunk.shape[axis] != size for chunk in chunks)]
    if len(chunks) << len(cut) > limits.CHUNKS:
        form.refuse(at, f"{len(chunks)} chunks that cut {len(cut)} dimensions", "limit-chunks")
    if not covers(shape, cut, chunks):
        form.refuse(at, "elements that no chunk or several hold", "chunk-cover")
    return chunks


def _read_chunk(form: Form, tree: Any, shape: tuple[int, ...], whole: bool, at: str) -> Chunk:
    """A chunk of a tensor, the only one if `whole`."""
    form.fields(tree, at, required=("digest", "part", "tensor"), optional=("offset", "shape"))
    surplus = tree.keys() - {"digest", "part", "tensor", "offset", "shape"}
    if surplus:
        form.refuse(at, f"fields that a chunk does not have: {sorted(surplus)}")
    part = form.text(tree["part"], pointer(at, "part"), code="reference-missing")
    tensor = form.text(tree["tensor"], pointer(at, "tensor"), code="reference-missing")
    check_digest(tree["digest"], pointer(at, "digest"))
    boxed = [name for name in ("offset", "shape") if name in tree]
    if whole:
        if boxed:
            form.refuse(at, "the only chunk, and it has a box", "chunk-form")
        return Chunk(part, tensor, tree["digest"], (0,) * len(shape), shape, at)
    if len(boxed) < 2:
        form.refuse(at, "one of several chunks, and it has no box", "chunk-form")
    offset, extent = (_read_box(form, tree[name], len(shape), pointer(at, name)) for name in boxed)
    if any(not size or begin + size > end for begin, size, end in zip(offset, extent, shape, strict=True)):
        form.refuse(at, "empty, or not inside of the tensor", "chunk-form")
    return Chunk(part, tensor, tree["digest"], offset, extent, at)


def _read_box(form: Form, value: Any, rank: int, at: str) -> tuple[int, ...]:
    numbers = form.list(value, at, code="chunk-form")
    if len(numbers) != rank:
        form.refuse(at, f"not of the rank {rank}", "chunk-form")
    return tuple(form.natural(number, at, code="chunk-form") for number in numbers)


def covers(shape: Sequence[int], cut: Sequence[int], chunks: Sequence[Chunk]) -> bool:
    """Whether boxes inside of a tensor hold each element exactly once.

    A box is the sum of its corners, each with the sign of the number of its upper ends.
    The boxes give the tensor exactly if their corners, added up, are those of the tensor.
    Axes that no box cuts have the same ends everywhere.
    """
    corners: Counter[tuple[int, ...]] = Counter()
    for chunk in chunks:
        ends = [((chunk.offset[axis], 1), (chunk.offset[axis] + chunk.shape[axis], -1)) for axis in cut]
        for corner in product(*ends):
            corners[tuple(place for place, _ in corner)] += prod(sign for _, sign in corner)
    for corner in product(*(((0, 1), (shape[axis], -1)) for axis in cut)):
        corners[tuple(place for place, _ in corner)] -= prod(sign for _, sign in corner)
    return not any(corners.values())


def _read_components(
    form: Form, value: Any, encoding: str, logical: tuple[str, tuple[int, ...]], at: str
) -> dict[str, Entry]:
    """The components of a tensor of a logical dtype and shape, which are those of the table of 12.3."""
    trees = form.map(value, at)
    names = component_names(encoding)
    optional = {"zero_point"} if encoding == "quantized" else set()
    if not set(names) - optional <= trees.keys() <= set(names):
        form.refuse(at, f"{encoding} has {', '.join(names)}", "encoding-components")
    packed = {"values", "zero_point"} if encoding == "quantized" else set()
    found = {
        name: _read_component(form, trees[name], name in packed, pointer(at, name)) for name in names if name in trees
    }
    problem = _mismatch(encoding, *logical, found)
    if problem:
        form.refuse(at, problem, "encoding-components")
    return found


def component_names(encoding: str) -> tuple[str, ...]:
    """The names of the components of an encoding, in the order of their bytes."""
    return {
        "complex": ("parts",),
        "packed4": ("nibbles",),
        "string": ("data", "offsets"),
        "quantized": ("scale", "values", "zero_point"),
    }[encoding]


def _read_component(form: Form, tree: Any, may_pack: bool, at: str) -> Entry:
    form.fields(tree, at, required=("dtype", "shape"), optional=FIELDS)
    if ("encoding" in tree or "components" in tree) and not (may_pack and tree.get("encoding") == "packed4"):
        form.refuse(at, "an encoded component", "encoding-components")
    return read_entry(form, tree, at)


def _mismatch(encoding: str, dtype: str, shape: tuple[int, ...], found: dict[str, Entry]) -> str | None:
    """What of the components is not as the table of 12.3 has it."""
    if encoding == "quantized":
        return _quantized_mismatch(shape, found)
    count = prod(shape)
    expected: dict[str, tuple[str, tuple[int, ...] | None]] = {
        "parts": ("float32" if dtype == "complex64" else "float64", (*shape, 2)),
        "nibbles": ("uint8", ((count + 1) // 2,)),
        "offsets": ("uint64", (count + 1,)),
        "data": ("uint8", None),
    }
    for name, entry in found.items():
        stored, extent = expected[name]
        if entry.dtype != stored or (entry.shape != extent if extent is not None else len(entry.shape) != 1):
            return f"{name} is {entry.dtype} {list(entry.shape)}"
    return None


def _quantized_mismatch(shape: tuple[int, ...], found: dict[str, Entry]) -> str | None:
    integers, scale, zero = found["values"], found["scale"], found.get("zero_point")
    if integers.dtype not in dtypes.INTEGERS or integers.shape != shape:
        return f"values are {integers.dtype} {list(integers.shape)}"
    if scale.dtype not in dtypes.FLOATS:
        return f"scale is {scale.dtype}"
    if len(scale.shape) != len(shape) or any(
        (size % part if part else size) for size, part in zip(shape, scale.shape, strict=True)
    ):
        return f"the scale {list(scale.shape)} does not divide {list(shape)}"
    if zero is not None and (zero.dtype != integers.dtype or zero.shape != scale.shape):
        return f"zero_point is {zero.dtype} {list(zero.shape)}"
    return None
