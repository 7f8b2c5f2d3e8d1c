"""Tensor entries of `weights.json` and of the `tensors` of the MessagePack documents (SPEC.md chapter 12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui import digest, dtypes
from etui.containers.cover import Shape, check_cover
from etui.containers.data_parts import Chunk, DataParts
from etui.containers.encodings import Spec, check_components
from etui.containers.fields import Context, Json
from etui.containers.pieces import Piece, Stored
from etui.containers.tensors import Tensor
from etui.errors import error

_WHOLE = frozenset({"part", "tensor", "digest"})
_BOX = frozenset({*_WHOLE, "offset", "shape"})
ENTRY_FIELDS = frozenset({"dtype", "shape", "chunks", "encoding", "components"})
_PLAIN = frozenset({"dtype", "shape", "chunks"})
_INTEGERS = frozenset({int})

Placed = Mapping[str, tuple[Chunk, ...]]
"""Where a writer put each physical tensor: its name -> its chunks in order."""


class TensorDecoder:
    """Decodes the tensor entries of one document.

    Args:
        context: of the document.
        parts: the artifact's data parts.
    """

    def __init__(self, context: Context, parts: DataParts) -> None:
        self.context = context
        self.parts = parts
        self._known: dict[tuple[str, tuple[int, ...]], None] = {}

    def decode(self, entry: Json, path: str, more_fields: frozenset[str] = frozenset()) -> Tensor:
        """Decode and check one entry; its data is not touched.

        Args:
            entry: the JSON tree.
            path: the place in the document.
            more_fields: fields that belong to the caller.

        Raises:
            RejectError: with the code of the clause that the entry breaks.
        """
        if type(entry) is dict and entry.keys() == _PLAIN | more_fields:
            extra = {}
        else:
            extra = self.context.fields(entry, path, {"dtype", "shape", *more_fields}, ENTRY_FIELDS)
        dtype, shape = self._box(entry, path)
        if "encoding" in entry or "components" in entry:
            return self._encoded(entry, path, dtype, shape, extra)
        if dtypes.by_name(dtype, "").safetensors is None:
            raise error("encoding-components", where=self.context.place(path), found=f"a plain tensor of {dtype}")
        if "chunks" not in entry:
            raise self.context.fail(path, "neither 'chunks' nor 'encoding'")
        return Tensor(dtype, shape, pieces=self._pieces(entry["chunks"], path, dtype, shape), extra=extra)

    def _box(self, entry: Json, path: str) -> tuple[str, Shape]:
        dtype, shape = entry["dtype"], entry["shape"]
        key = (dtype, tuple(shape)) if isinstance(dtype, str) and _flat(shape) else None
        if key is None or key not in self._known:
            # Models repeat a few shapes many times: a pair that passed once needs no second look.
            where = self.context.place(path)
            known = dtypes.by_name(dtype, where)
            key = (known.name, dtypes.check_shape(shape, where, self.context.limits))
            # Of a string or byte string, the offset alone has 8 bytes.
            dtypes.check_size(known.name if known.bits else "uint64", key[1], where, self.context.limits)
            self._known[key] = None
        return key

    def _encoded(self, entry: Json, path: str, dtype: str, shape: Shape, extra: dict[str, Json]) -> Tensor:
        if "encoding" not in entry or "components" not in entry or "chunks" in entry:
            raise self.context.fail(path, "'encoding' and 'components' go together, without 'chunks'")
        components = entry["components"]
        if not isinstance(components, dict):
            raise self.context.fail(f"{path}/components", "no map")
        parts = {name: self.decode(part, f"{path}/components/{name}") for name, part in components.items()}
        specs = {name: Spec(part.dtype, part.shape, part.encoding) for name, part in parts.items()}
        check_components(entry["encoding"], dtype, shape, specs, self.context.place(path))
        return Tensor(dtype, shape, encoding=entry["encoding"], components=parts, extra=extra)

    def _pieces(self, chunks: Json, path: str, dtype: str, shape: Shape) -> tuple[Piece, ...]:
        if type(chunks) is not list or not chunks:
            raise self.context.fail(f"{path}/chunks", "no list with at least one chunk")
        if len(chunks) == 1:
            chunk = self._chunk(chunks[0], path, _WHOLE)
            return (Piece(None, shape, Stored(self.parts, chunk, dtype, shape)),)
        place = self.context.place(path)
        if len(chunks) > self.context.limits.chunk_corners:
            raise error("limit-chunks", where=place, found=f"{len(chunks)} chunks")
        pieces = []
        for index, node in enumerate(chunks):
            chunk = self._chunk(node, f"{path}/chunks/{index}", _BOX)
            box = chunk.shape or ()
            pieces.append(Piece(chunk.offset, box, Stored(self.parts, chunk, dtype, box)))
        boxes = [(piece.offset or (), piece.shape) for piece in pieces]
        if boxes != sorted(boxes, key=lambda box: box[0]):
            raise error("chunk-form", where=place, found="chunks that are not sorted by offset")
        check_cover(shape, boxes, place, self.context.limits)
        return tuple(pieces)

    def _chunk(self, node: Json, path: str, fields: frozenset[str]) -> Chunk:
        where = self.context.place(path)
        if not isinstance(node, dict) or node.keys() != fields:
            unknown = self.context.fields(node, path, _WHOLE, _BOX)
            if unknown:
                raise self.context.fail(path, f"unknown fields {sorted(unknown)}, which a chunk cannot keep")
            raise error("chunk-form", where=where, found="offset and shape belong to each of several chunks only")
        digest.parse(node["digest"], where)
        self.parts.claim(node["part"], node["tensor"], where)
        if fields is _WHOLE:
            return Chunk(node["part"], node["tensor"], node["digest"])
        if not (_flat(node["offset"]) and _flat(node["shape"])):
            raise error("chunk-form", where=where, found="an offset or shape that is no list of integers")
        return Chunk(node["part"], node["tensor"], node["digest"], tuple(node["offset"]), tuple(node["shape"]))


def _flat(shape: Json) -> bool:
    return type(shape) is list and _INTEGERS.issuperset(map(type, shape))


def encode_entry(tensor: Tensor, name: str, placed: Placed) -> dict[str, Any]:
    """The JSON tree of a tensor's entry, for data that was written as `placed` says."""
    entry: dict[str, Any] = {"dtype": tensor.dtype, "shape": list(tensor.shape), **tensor.extra}
    if tensor.encoding is not None:
        entry["encoding"] = tensor.encoding
        entry["components"] = {
            key: encode_entry(part, f"{name}#{key}", placed) for key, part in tensor.components.items()
        }
        return entry
    chunks: list[dict[str, Any]] = []
    for chunk in placed[name]:
        node: dict[str, Any] = {"part": chunk.part, "tensor": chunk.tensor, "digest": chunk.digest}
        if chunk.offset is not None and chunk.shape is not None:
            node |= {"offset": list(chunk.offset), "shape": list(chunk.shape)}
        chunks.append(node)
    entry["chunks"] = chunks
    return entry


def features(tensor: Tensor) -> set[str]:
    """The features of SPEC.md chapter 18.2 that a tensor uses."""
    if tensor.encoding is None:
        return {"chunks"} if len(tensor.pieces) > 1 else set()
    return {f"encoding.{tensor.encoding}"}.union(*(features(part) for part in tensor.components.values()))
