"""An artifact taken apart into what can be changed, and sealed again: documents, tensors of data parts, manifest.

Low-level pieces of the oracle alone are used: a draft need not make sense, and is sealed all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from etui_conformance.oracle import json as canonical
from etui_conformance.oracle import msgpack, safetensors

MANIFEST = "manifest.json"
TENSOR_DOCUMENTS = {"weights": "weights.json", "optimizer": "optimizer.msgpack", "state": "state.msgpack"}
JSON_DOCUMENTS = ("config.json", "weights.json", "training.json")
MSGPACK_DOCUMENTS = ("optimizer.msgpack", "state.msgpack")
DATA_MEDIA_TYPE = "application/vnd.safetensors"

Parts = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Physical:
    """A tensor of a data part.

    Attributes:
        dtype: of safetensors.
        shape, data: as stored.
    """

    dtype: str
    shape: list[int]
    data: bytes


@dataclass(slots=True)
class Draft:
    """What the parts of an artifact hold, to be changed.

    Attributes:
        manifest: its tree.
        documents: name -> tree; those in MessagePack with bytes, floats and stored names as such.
        data: name of a data part -> name of a tensor -> tensor.
        blobs: the other parts.
    """

    manifest: dict[str, Any]
    documents: dict[str, Any]
    data: dict[str, dict[str, Physical]]
    blobs: dict[str, bytes]

    def entries(self, role: str) -> dict[str, dict[str, Any]]:
        """The index of tensors of a document; empty if the document is not there."""
        tree = self.documents.get(TENSOR_DOCUMENTS[role], {})
        found: dict[str, dict[str, Any]] = tree.get("variables" if role == "weights" else "tensors", {})
        return found

    def leaves(self, role: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every entry that has chunks, components included: the name that W-11 gives its data, and the entry.

        Args:
            role: of the document; by default all.
        """
        for one in TENSOR_DOCUMENTS if role is None else (role,):
            for name, entry in self.entries(one).items():
                yield from _leaves(name, entry)

    def chunks(self, role: str | None = None) -> Iterator[dict[str, Any]]:
        """Every chunk of every index."""
        for _, entry in self.leaves(role):
            yield from entry["chunks"]

    def physical(self, chunk: Mapping[str, Any]) -> Physical:
        """The stored tensor that a chunk names."""
        return self.data[chunk["part"]][chunk["tensor"]]

    def replace(self, chunk: Mapping[str, Any], data: bytes) -> None:
        """Put other bytes of the same length in the place of those that a chunk names."""
        old = self.physical(chunk)
        self.data[chunk["part"]][chunk["tensor"]] = Physical(old.dtype, old.shape, data)


def _leaves(name: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "chunks" in entry:
        yield name, entry
    for component, inner in entry.get("components", {}).items():
        yield from _leaves(f"{name}#{component}", inner)


def take_apart(parts: Mapping[str, bytes]) -> Draft:
    """The draft of a valid artifact."""
    manifest = canonical.decode(parts[MANIFEST])
    documents: dict[str, Any] = {}
    data: dict[str, dict[str, Physical]] = {}
    blobs: dict[str, bytes] = {}
    for name, content in parts.items():
        if name == MANIFEST:
            continue
        if name in JSON_DOCUMENTS:
            documents[name] = canonical.decode(content)
        elif name in MSGPACK_DOCUMENTS:
            documents[name] = msgpack.decode(content)
        elif manifest["parts"][name]["role"] == "data":
            _, entries = safetensors.read(content)
            data[name] = {
                tensor: Physical(one.dtype, list(one.shape), content[one.begin : one.end])
                for tensor, one in entries.items()
            }
        else:
            blobs[name] = content
    return Draft(manifest, documents, data, blobs)


def seal(draft: Draft) -> Parts:
    """The parts of a draft, with the digests of its chunks, documents and parts made anew."""
    draft = deepcopy(draft)
    for chunk in draft.chunks():
        found = draft.data.get(chunk["part"], {}).get(chunk["tensor"])
        if found is not None:
            chunk["digest"] = digest(found.data)
    parts = dict(draft.blobs)
    for name, tensors in draft.data.items():
        parts[name] = safetensors.write({key: (one.dtype, one.shape, one.data) for key, one in tensors.items()})
    for name, tree in draft.documents.items():
        parts[name] = encode(name, tree)
    parts[MANIFEST] = canonical.encode(draft.manifest)
    return reseal(parts)


def encode(name: str, tree: Any) -> bytes:
    """The canonical bytes of a document's tree."""
    return msgpack.encode(tree) if name.endswith(".msgpack") else canonical.encode(tree)


def reseal(parts: Mapping[str, bytes]) -> Parts:
    """The same parts under a manifest that has their sizes and digests; entries of absent data parts leave it."""
    manifest = canonical.decode(parts[MANIFEST])
    entries: dict[str, Any] = manifest["parts"]
    for name in [name for name, entry in entries.items() if "header" in entry and name not in parts]:
        del entries[name]
    for name, data in parts.items():
        if name == MANIFEST:
            continue
        entry = entries.setdefault(name, {"header": {}, "media_type": DATA_MEDIA_TYPE, "role": "data"})
        entry["size"] = len(data)
        if "header" in entry:
            size = min(8 + int.from_bytes(data[:8], "little"), len(data))
            entry["header"] = {"digest": digest(data[:size]), "size": size}
        else:
            entry["digest"] = digest(data)
    return {**parts, MANIFEST: canonical.encode(manifest)}


def digest(data: bytes) -> str:
    """The digest of bytes, as documents write it (H-1)."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
