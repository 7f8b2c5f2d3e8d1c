"""The content of messages as a model of the reference library, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etui.canonical import values
from etui.containers.data_parts import Chunk, DataPart, DataParts
from etui.containers.data_writer import plan_data, rehearse
from etui.containers.documents import DOCUMENTS, Document
from etui.containers.tensor_index import encode_entry
from etui.containers.tensors import Tensor
from etui.errors import error
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model, Native
from etui.storage import open_artifact
from etui.storage.part_names import MANIFEST
from etui_conformance.adapters.reference_wire import Json, MessageError, Wire

AREAS = ("weights", "config", "training", "optimizer", "state", "parts")
_PLACES = frozenset({"chunks", "components"})  # of a tensor's entry: how it is stored, which is no content
_INDEX = {"weights": "variables", "optimizer": "tensors", "state": "tensors"}


# From a model


class _Nowhere(Mapping[str, tuple[Chunk, ...]]):
    """The places of tensors where only the entries around them are wanted."""

    def __getitem__(self, name: str) -> tuple[Chunk, ...]:
        return ()

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def content_of(model: Model, wire: Wire, *, tensors: bool) -> dict[str, Json]:
    """What a model holds, as messages have it.

    Args:
        model: from `etui.open` if it has assets, programs or native documents.
        wire: carries the data.
        tensors: with the elements of the tensors; else nothing of them is read.
    """
    content: dict[str, Json] = {}
    if model.metadata:
        content["metadata"] = values.to_json(model.metadata)
    given: dict[str, Json] = {}
    for document, container in model.documents():
        content[document.role] = _view(document, container, model.version)
        if tensors and document.role in _INDEX:
            given[document.role] = {name: wire.of_tensor(one) for name, one in document.tensors(container)}
    if given:
        content["tensors"] = given
    parts = {name: _part(model, name, blob, wire) for name, blob in _blobs(model)}
    if parts:
        content["parts"] = parts
    return content


def _view(document: Document, container: Any, version: str) -> Json:
    """The JSON, or the JSON view, of a document without where its tensors are."""
    tree = document.to_tree(container, _Nowhere(), version)
    if _packs(document):
        tree = values.json_view(tree)
    index = _INDEX.get(document.role)
    if index is None:
        return tree
    entries = {name: _without_places(entry) for name, entry in tree[index].items()}
    return {**tree, index: entries}


def _packs(document: Document) -> bool:
    return document.name.endswith(".msgpack")


def _without_places(entry: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in entry.items() if name not in _PLACES}


def _blobs(model: Model) -> Iterator[tuple[str, Blob]]:
    yield from model.assets.items()
    yield from model.programs.items()
    for name, native in model.native.items():
        yield name, native.blob


def _part(model: Model, name: str, blob: Blob, wire: Wire) -> dict[str, Json]:
    if model.manifest is None:
        raise MessageError("parts of a model that was not opened")
    entry = model.manifest.parts[name]
    node: dict[str, Json] = {"role": entry.role, "media_type": entry.media_type}
    if entry.role == "native":
        node |= {"framework": entry.framework, "framework_version": entry.framework_version}
        node["bindings"] = dict(entry.bindings)
    return node | wire.give(blob.read())


# To a model


def model_of(content: Mapping[str, Json], wire: Wire) -> Model:
    """The model that a writer is asked to write.

    Raises:
        RejectError: the content breaks a clause of SPEC.md.
        MessageError: the content is none of the protocol.
    """
    documents = {document: content[document.role] for document in DOCUMENTS.values() if document.role in content}
    versions = {tree.get("version") for tree in documents.values()}
    if len(versions) > 1:
        raise error("version-form", where=MANIFEST, found=f"documents of the versions {sorted(map(str, versions))}")
    model = Model()
    if versions:
        model.version = versions.pop()
    metadata = values.from_json(content.get("metadata", {}), f"{MANIFEST} at metadata")
    if not isinstance(metadata, dict):
        raise MessageError("metadata is a map")
    model.metadata = metadata
    tensors = content.get("tensors", {})
    for document, tree in documents.items():
        given = {name: wire.tensor(node) for name, node in tensors.get(document.role, {}).items()}
        setattr(model, document.role, _container(document, tree, given))
    for name, node in content.get("parts", {}).items():
        _add_part(model, name, node, wire)
    return model


def _container(document: Document, tree: dict[str, Json], given: Mapping[str, Tensor]) -> Any:
    """The container that the library's own decoder makes of a document, with the tensors that go with it."""
    index = _INDEX.get(document.role)
    if index is not None:
        tree = {**tree, index: _placed(document.role, tree.get(index), given)}
    if _packs(document):
        tree = values.from_json_view(tree, document.name)
    part = f"{document.role}.safetensors"
    with open_artifact({MANIFEST: b""}) as nothing:
        parts = DataParts(nothing, {part: DataPart(0, 0, "")}, verify=False, limits=DEFAULT_LIMITS)
        container = document.from_tree(tree, parts, DEFAULT_LIMITS)
    for name, tensor in document.tensors(container):
        source = given[name]
        tensor.pieces, tensor.encoding, tensor.components = source.pieces, source.encoding, source.components
    return container


def _placed(role: str, entries: Json, given: Mapping[str, Tensor]) -> Json:
    """The index of a document with a place for each tensor, as the decoder expects one."""
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return entries  # for the decoder to refuse
    if entries.keys() != given.keys():
        raise MessageError(
            f"{role} has entries and tensors of different names: {sorted(entries.keys() ^ given.keys())}"
        )
    placed = {}
    for name, entry in entries.items():
        tensor = given[name]
        said = (entry.get("dtype", tensor.dtype), tuple(entry.get("shape", tensor.shape)))
        if said != (tensor.dtype, tensor.shape):
            raise MessageError(f"{name} is {tensor!r}, and its entry says {said[0]}{list(said[1])}")
        stand_ins = rehearse(plan_data(role, [(name, tensor)], None)).placed
        places = encode_entry(tensor, name, stand_ins)
        placed[name] = {key: value for key, value in places.items() if key in {"chunks", "encoding", "components"}}
        placed[name] |= entry
    return placed


def _add_part(model: Model, name: str, node: Mapping[str, Json], wire: Wire) -> None:
    blob = Blob.of(wire.take({key: node[key] for key in ("data", "file") if key in node}), node["media_type"])
    match node["role"]:
        case "asset":
            model.assets[name] = blob
        case "program":
            model.programs[name] = blob
        case "native":
            bindings = dict(node.get("bindings", {}))
            model.native[name] = Native(blob, node["framework"], node.get("framework_version"), bindings)
        case role:
            raise MessageError(f"a part of the role {role!r}")
