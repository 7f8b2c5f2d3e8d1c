"""CONTENT written as the parts of its canonical artifact (SPEC.md: W-11, W-23 to W-25, M-1 to M-7, and chapter 18)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from etui_conformance.oracle import content as contents
from etui_conformance.oracle import json, limits, manifest, msgpack, safetensors, values
from etui_conformance.oracle.content import Content, Piece, Tensor
from etui_conformance.oracle.dtypes import SAFETENSORS
from etui_conformance.oracle.names import DATA_MEDIA_TYPE, MANIFEST
from etui_conformance.oracle.parts import KINDS, Kind, media_type, shard_name

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor of a data part with its name.

    Attributes:
        name: in the data part (W-11).
        piece: what it holds.
    """

    name: str
    piece: Piece

    @property
    def header_share(self) -> int:
        """What the tensor counts in the header of its shard (W-25)."""
        return len(json.encode(self.name)) + 128 + 20 * len(self.piece.shape)


@dataclass(frozen=True, slots=True)
class Kept:
    """Fields of a manifest that CONTENT does not have, and a rewrite keeps (Q-6, Q-8).

    Attributes:
        fields: of the manifest itself.
        entries: of the entries of its parts, by name.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write(content: Content, shard_size: int | None = None, kept: Kept | None = None) -> dict[str, bytes]:
    """The parts of the canonical artifact of a content, `manifest.json` among them.

    Args:
        content: what the artifact means; `profile`, and the bytes of quantized tensors, are ignored.
        shard_size: the bytes of data that a shard holds at most (W-24); one data part a document for `None`.
        kept: what an earlier manifest had besides.
    """
    kept = kept or Kept()
    parts: dict[str, bytes] = {}
    entries: dict[str, Tree] = {}
    used: set[str] = set()
    documents = [kind for kind in KINDS.values() if kind.role in content]
    for kind in documents:
        tree: Tree = dict(content[kind.role])
        if kind.index:
            tensors = content.get("tensors", {}).get(kind.role, {})
            tree[kind.index], data = _write_tensors(kind, tree[kind.index], tensors, shard_size)
            parts |= data
            entries |= {name: _data_entry(part) for name, part in data.items()}
            used |= {feature for tensor in tensors.values() for feature in _features(tensor)}
        parts[kind.part] = (
            msgpack.encode(values.from_view(tree)) if kind.part.endswith(".msgpack") else json.encode(tree)
        )
        entries[kind.part] = _entry(parts[kind.part], kind.role, media_type(kind.part))
    for name, part in content.get("parts", {}).items():
        parts[name] = part["data"]
        native = {key: value for key, value in part.items() if key not in ("data", "role", "media_type")}
        entries[name] = _entry(part["data"], part["role"], media_type(name, part["media_type"])) | native
    if any(entry["role"] == "program" for entry in entries.values()):
        used.add("programs")
    if "config" in content and _is_opaque(content["config"]["model"]):
        used.add("opaque")
    version = content[documents[0].role]["version"] if documents else "1.0"
    entries = {name: {**kept.entries.get(name, {}), **entry} for name, entry in entries.items()}
    parts[MANIFEST] = manifest.build(entries, used, version, content.get("metadata"), kept.fields)
    return parts


def _entry(data: bytes, role: str, kind: str) -> Tree:
    return {"digest": manifest.digest(data), "media_type": kind, "role": role, "size": len(data)}


def _data_entry(data: bytes) -> Tree:
    """The entry of a data part: in place of a digest of all, one of the header (M-3)."""
    size = safetensors.header_size(data)
    header = {"digest": manifest.digest(data[:size]), "size": size}
    return {"header": header, "media_type": DATA_MEDIA_TYPE, "role": "data", "size": len(data)}


def _is_opaque(module: Mapping[str, Any]) -> bool:
    return module["kind"] == "opaque" or any(map(_is_opaque, module.get("modules", ())))


def _features(tensor: Tensor) -> Iterator[str]:
    encoding = contents.encoding_of(tensor)
    if encoding is not None:
        yield f"encoding.{encoding}"
    for component in tensor.get("components", {}).values():
        yield from _features(component)


def _write_tensors(
    kind: Kind, index: Mapping[str, Any], tensors: Mapping[str, Tensor], shard_size: int | None
) -> tuple[Tree, dict[str, bytes]]:
    """The index with the places of its tensors, and the data parts that hold them."""
    placed = [
        Placed("#".join((name, *piece.path)), piece)
        for name in _write_order(kind, index)
        for piece in contents.pieces(tensors[name])
    ]
    shards = list(_shards(placed, shard_size))
    where: dict[str, str] = {}
    data: dict[str, bytes] = {}
    for number, shard in enumerate(shards, start=1):
        part = shard_name(kind.role, number, len(shards))
        where |= {one.name: part for one in shard}
        data[part] = safetensors.write(
            {one.name: (SAFETENSORS[one.piece.dtype], one.piece.shape, one.piece.data) for one in shard}
        )
    chunks = {
        one.name: [{"digest": manifest.digest(one.piece.data), "part": where[one.name], "tensor": one.name}]
        for one in placed
    }
    return {name: {**entry, **_described(tensors[name], name, chunks)} for name, entry in index.items()}, data


def _described(tensor: Tensor, own: str, chunks: Mapping[str, Any]) -> Tree:
    """The fields of an entry of an index that describe a tensor's bytes.

    Args:
        tensor: what is described.
        own: the name in the data part that it has, or its components begin with.
        chunks: by such names.
    """
    found: Tree = {"dtype": tensor["dtype"], "shape": list(tensor["shape"])}
    encoding = contents.encoding_of(tensor)
    if encoding is None:
        return found | {"chunks": chunks[own]}
    found["encoding"] = encoding
    if encoding == "quantized":
        components = tensor["components"].items()
        found["components"] = {key: _described(one, f"{own}#{key}", chunks) for key, one in components}
    else:
        found["components"] = {
            piece.path[-1]: {
                "chunks": chunks[f"{own}#{piece.path[-1]}"],
                "dtype": piece.dtype,
                "shape": list(piece.shape),
            }
            for piece in contents.pieces(tensor)
        }
    return found


def _write_order(kind: Kind, index: Mapping[str, Any]) -> Sequence[str]:
    """The order in which tensors fill shards: that of the variables, and else that of the names (W-24)."""
    if kind.index == "variables":
        return sorted(index, key=lambda path: index[path]["order"])
    return sorted(index, key=str.encode)


def _shards(placed: Sequence[Placed], shard_size: int | None) -> Iterator[list[Placed]]:
    """The tensors of each data part: a new one begins where the next tensor does not fit (W-24, W-25)."""
    shard: list[Placed] = []
    size = header = 0
    for one in placed:
        full = shard_size is not None and size + len(one.piece.data) > shard_size
        if shard and (full or header + one.header_share > limits.SAFETENSORS_HEADER_BYTES):
            yield shard
            shard, size, header = [], 0, 0
        shard.append(one)
        size, header = size + len(one.piece.data), header + one.header_share
    if shard:
        yield shard
