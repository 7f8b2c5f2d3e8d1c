"""The external data of an ONNX program: what it may point at, and the bytes that are there (SPEC.md, annex T)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.bridges.onnx.types import fits, stored_bytes
from etui.containers.pieces import Stored
from etui.containers.tensors import Tensor
from etui.errors import RejectError, error, shown
from etui.limits import Limits
from etui.model import Model
from etui.onnx_pointers import TENSOR, piece_name
from etui.storage.base import ByteSource
from etui.storage.file_places import file_place
from etui.storage.part_names import check_part_name, role_of

__all__ = [
    "FilePlace",
    "Pointer",
    "check_stored",
    "data_name",
    "file_place_of",
    "is_external",
    "main_name",
    "pointers_of",
    "raw_bytes_of",
    "stored_tensors",
]

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,18})")
_KEYS = frozenset({"location", "offset", "length"})


def main_name(name: str) -> str:
    """The part with the graph of a program."""
    return f"programs/{name}/main.onnx"


def data_name(name: str) -> str:
    """The part with the tensors that a program has for itself."""
    return f"programs/{name}/data.bin"


class Pointer(NamedTuple):
    """An initializer whose bytes are elsewhere.

    Attributes:
        name: of the initializer.
        kind, dims: its element type and shape.
        tensor: the stored tensor of the weights that it is; empty for one of the program's own data.
        offset, length: of the bytes in the program's own data.
    """

    name: str
    kind: int
    dims: tuple[int, ...]
    tensor: str
    offset: int
    length: int


def pointers_of(graph: Any, name: str, own_bytes: int, limits: Limits) -> Iterator[Pointer]:
    """The initializers of a graph that are external data, each of the form of annex T.

    Args:
        graph: a `GraphProto`.
        name: of the program.
        own_bytes: size of its own data part; 0 where it has none.
        limits: of a tensor.

    Raises:
        UnsafeError: ``onnx-data``.
    """
    names = Counter(tensor.name for tensor in graph.initializer)
    names.update(sparse.values.name for sparse in graph.sparse_initializer)
    for tensor in graph.initializer:
        if not is_external(tensor):
            continue
        where = f"{main_name(name)}, {shown(tensor.name)}"
        if names[tensor.name] > 1:
            raise error("onnx-data", where=where, found=f"{names[tensor.name]} initializers of this name")
        fields = [(entry.key, entry.value) for entry in tensor.external_data]
        texts = dict(fields)
        if len(texts) != len(fields) or texts.keys() != _KEYS:
            raise error(
                "onnx-data", where=where, found=f"external data with the keys {shown([key for key, _ in fields])}"
            )
        for key in ("offset", "length"):
            if _NUMBER.fullmatch(texts[key]) is None:
                raise error("onnx-data", where=where, found=f"the {key} {shown(texts[key])}")
        offset, length = int(texts["offset"]), int(texts["length"])
        dims = tuple(tensor.dims)
        if length != _size(tensor.data_type, dims, where, limits):
            raise error("onnx-data", where=where, found=f"{length} bytes for the shape {shown(list(dims))}")
        stored = [entry.value for entry in tensor.metadata_props if entry.key == TENSOR]
        if len(stored) > 1:
            raise error("onnx-data", where=where, found=f"the tensors {shown(stored)}")
        _check_location(texts["location"], name, bool(stored), where)
        if not stored and offset + length > own_bytes:
            found = f"bytes {offset} to {offset + length} of a part of {own_bytes}"
            raise error("onnx-data", where=where, found=found)
        yield Pointer(tensor.name, tensor.data_type, dims, stored[0] if stored else "", offset, length)


def is_external(tensor: Any) -> bool:
    """Whether a `TensorProto` says that its bytes are elsewhere."""
    return tensor.data_location == tensor.EXTERNAL or bool(tensor.external_data)


def _size(kind: int, dims: tuple[int, ...], where: str, limits: Limits) -> int:
    if len(dims) > limits.rank or any(size < 0 for size in dims):
        raise error("onnx-data", where=where, found=f"the shape {shown(list(dims))}")
    size = stored_bytes(kind, dims)
    if size > limits.tensor_bytes:
        raise error("onnx-data", where=where, found=f"a tensor of {size} bytes")
    return size


def _check_location(location: str, name: str, is_weight: bool, where: str) -> None:
    """A weight is in a data part of the weights, and everything else in the program's own data."""
    try:
        check_part_name(location)
    except RejectError as cause:
        raise error("onnx-data", where=where, found=f"the location {shown(location)}") from cause
    fits = role_of(location) == "data" and location.startswith("weights") if is_weight else location == data_name(name)
    if not fits:
        raise error("onnx-data", where=where, found=f"the location {shown(location)}")


def stored_tensors(model: Model) -> Mapping[str, tuple[Tensor, int]]:
    """The pieces of the weights by the names of W-11: the plain tensor, and which of its pieces."""
    found: dict[str, tuple[Tensor, int]] = {}
    if model.weights is None:
        return found
    for path in model.weights:
        for name, plain in model.weights[path].tensor.physical(path):
            for index, piece in enumerate(plain.pieces):
                found[piece_name(name, piece)] = (plain, index)
    return found


class FilePlace(NamedTuple):
    """Where the bytes of an initializer lie in the file system.

    Attributes:
        folder: of the packed artifact, or of the directory form.
        location: the file in it, with `/` between steps.
        offset: the first byte in the file.
    """

    folder: str
    location: str
    offset: int


def file_place_of(
    pointer: Pointer, name: str, stored: Mapping[str, tuple[Tensor, int]], own: ByteSource | None
) -> FilePlace | None:
    """Where the bytes of an initializer of a program lie; `None` where no file of the artifact has them."""
    if pointer.tensor:
        plain, index = stored[pointer.tensor]
        source = plain.pieces[index].source
        if not isinstance(source, Stored):
            return None
        entry = source.parts.locate(source.chunk, source.dtype, source.shape)
        part, begin = source.chunk.part, source.parts.header(source.chunk.part).size + entry.begin
        found = file_place(source.parts.source(part))
    else:
        part, begin = data_name(name), pointer.offset
        found = None if own is None else file_place(own)
    if found is None:
        return None
    path = PurePath(found[0])
    folder, location = path.parent, path.name
    if path.parts[-len(PurePosixPath(part).parts) :] == PurePosixPath(part).parts:  # the directory form
        folder, location = path.parents[len(PurePosixPath(part).parts) - 1], part
    return FilePlace(str(folder), location, found[1] + begin)


def check_stored(pointer: Pointer, name: str, stored: Mapping[str, tuple[Tensor, int]]) -> None:
    """Refuse an initializer of a tensor that the weights do not have, or that is of another type or size.

    Raises:
        UnsafeError: ``onnx-data``.
    """
    if not pointer.tensor:
        return
    where = f"{main_name(name)}, {shown(pointer.name)}"
    if pointer.tensor not in stored:
        raise error("onnx-data", where=where, found=f"no tensor {shown(pointer.tensor)} of the weights")
    plain, index = stored[pointer.tensor]
    piece = plain.pieces[index]
    if dtypes.byte_size(plain.dtype, piece.shape) != pointer.length or not fits(plain.dtype, pointer.kind):
        found = f"{pointer.length} bytes, and {shown(pointer.tensor)} is {plain.dtype}{list(piece.shape)}"
        raise error("onnx-data", where=where, found=found)


def raw_bytes_of(pointer: Pointer, stored: Mapping[str, tuple[Tensor, int]], own: memoryview) -> npt.NDArray[np.uint8]:
    """The bytes of an initializer, checked against their digest, without a copy where the storage can.

    Args:
        pointer: that was checked.
        stored: the pieces of the weights.
        own: the program's own data.

    Raises:
        IntegrityError: ``digest-mismatch``.
    """
    if not pointer.tensor:
        return np.frombuffer(own, np.uint8)[pointer.offset : pointer.offset + pointer.length]
    plain, index = stored[pointer.tensor]
    array = plain.pieces[index].source.array()
    return array.reshape(-1).view(np.uint8)
