"""Targets for Etui's own formats. Each is read by the library and by the oracle of the conformance suite as well."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import safetensors

from etui import digest
from etui.artifact import open_model, save_model
from etui.canonical import json, msgpack
from etui.containers import manifest
from etui.errors import EtuiError, error
from etui.storage import open_artifact
from etui.storage.part_names import MANIFEST, role_of
from etui.storage.safetensors import TensorSpec, plan, read_header
from etui.storage.sources import BytesSource
from etui.validation import validate
from etui.verification import verify
from etui_conformance.oracle import json as oracle_json
from etui_conformance.oracle import manifest as oracle_manifest
from etui_conformance.oracle import msgpack as oracle_msgpack
from etui_conformance.oracle import packed as oracle_packed
from etui_conformance.oracle import reading as oracle_reading
from etui_conformance.oracle import safetensors as oracle_safetensors
from etui_conformance.oracle.errors import Refusal
from fuzz import seeds
from fuzz.kit import PropertyError, Target, agree, lenient_json, parted, require


def canonical_json(data: bytes) -> None:
    """A JSON document: what decodes encodes to the same bytes, with both codecs."""
    tree = agree(lambda: json.decode(data, where="document"), lambda: oracle_json.decode(data, "document"))
    require(json.encode(tree) == data, "the tree encodes to other bytes")
    require(oracle_json.encode(tree) == data, "the oracle encodes the tree to other bytes")
    require(repr(oracle_json.decode(data)) == repr(tree), "the oracle decodes another tree")


def canonical_msgpack(data: bytes) -> None:
    """A MessagePack document, likewise."""
    tree = agree(lambda: msgpack.decode(data, where="document"), lambda: oracle_msgpack.decode(data, "document"))
    require(msgpack.encode(tree) == data, "the tree encodes to other bytes")
    require(oracle_msgpack.encode(oracle_msgpack.decode(data)) == data, "the oracle encodes its tree to other bytes")


def manifest_document(data: bytes) -> None:
    """A manifest by itself."""
    found = agree(lambda: manifest.decode(data), lambda: oracle_manifest.read(data))
    require(manifest.encode(found) == data, "the manifest encodes to other bytes")


def safetensors_header(data: bytes) -> None:
    """The header of a data part: what is taken is what a plan of the same tensors gives, and sound safetensors."""
    header = agree(lambda: read_header(BytesSource(data), "part"), lambda: oracle_safetensors.read(data, "part"))
    layout = plan(TensorSpec(name, entry.dtype, entry.shape) for name, entry in header.entries.items())
    require(layout.header == data[: header.size], "the same tensors are planned with another header")
    require(layout.size == len(data), "the same tensors are planned with another size")
    ours = {name: (entry.begin, entry.end) for name, entry in header.entries.items()}
    try:
        theirs = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as refusal:
        require(holds=False, key="taken, and safetensors refuses it", found=str(refusal))
    else:
        require(theirs.keys() == ours.keys(), "safetensors finds other tensors")
        for name, (begin, end) in ours.items():
            require(bytes(theirs[name]["data"]) == data[header.size + begin : header.size + end], "other bytes")


def packed_form(data: bytes) -> None:
    """A packed artifact's container: the library, the oracle and the standard library see the same members."""

    def library() -> dict[str, bytes]:
        with open_artifact(data) as reader:
            members = {name: reader.source(name) for name in reader.names()}
            return {name: source.read(0, source.size) for name, source in members.items()}

    def oracle() -> None:
        if MANIFEST not in oracle_packed.members(data):
            raise Refusal("zip-members", MANIFEST, "not there")

    members = agree(library, oracle)
    with open_artifact(data) as reader:
        reader.verify_container(members.keys())
    with zipfile.ZipFile(BytesIO(data)) as archive:
        require(archive.namelist() == list(members), "zipfile finds other members")
        for name, content in members.items():
            require(archive.read(name) == content, "zipfile finds other bytes", name)


def artifact(data: bytes) -> None:
    """A packed artifact as a whole: opened, read, verified, and written again."""
    agree(lambda: _read_all(data), lambda: oracle_reading.read(oracle_packed.unpack(data), full=True))
    _written_again(data)


def documents(data: bytes) -> None:
    """The parts of an artifact whose digests and sizes are made right first, so that what is behind them is reached."""
    parts = sealed(parted(data))
    agree(lambda: _read_all(parts), lambda: oracle_reading.read(parts, full=True))
    _written_again(parts)


def _read_all(location: bytes | Mapping[str, bytes]) -> None:
    refused: EtuiError | None = None
    try:
        _materialize(location)
    except EtuiError as refusal:
        refused = refusal
    # It checks more than what is read, such as parts that no document names.
    verify(location)
    if refused is not None:
        raise PropertyError(f"verified, and refused with {refused.code} when it is read") from refused
    faults = validate(location).faults
    require(not faults, "verified, and validation finds faults", str(faults[:2]))


def _materialize(location: bytes | Mapping[str, bytes]) -> None:
    with open_model(location) as model:
        for _, _, tensor in model.stored_tensors():
            tensor.numpy()
        for blob in (*model.assets.values(), *model.programs.values(), *(one.blob for one in model.native.values())):
            blob.read()


def _written_again(location: bytes | Mapping[str, bytes]) -> None:
    """What is taken can be written; what is written is valid, and written once more is the same."""
    first: dict[str, bytes] = {}
    with open_model(location) as model:
        identity = save_model(model, first)
    require(verify(first).identity == identity, "written under another identity than it is read")
    second: dict[str, bytes] = {}
    with open_model(first) as model:
        save_model(model, second)
    require(first == second, "written a second time, it is other bytes")
    oracle_reading.read(first, full=True)


def sealed(parts: dict[str, bytes]) -> dict[str, bytes]:
    """The parts with a manifest whose sizes and digests are right, where it has entries for them.

    Raises:
        MalformedError: ``json-syntax``, the manifest is none whose entries can be made right.
    """
    tree = lenient_json(parts.get(MANIFEST, b""))
    entries = tree.get("parts") if isinstance(tree, dict) else None
    if not isinstance(entries, dict):
        raise error("json-syntax", where=MANIFEST, found="nothing to be sealed")
    for name, entry in entries.items():
        if name in parts and isinstance(entry, dict):
            _seal(entry, name, parts[name])
    return parts | {MANIFEST: json.encode(tree)}


def _seal(entry: dict[str, Any], name: str, data: bytes) -> None:
    entry["size"] = len(data)
    if role_of(name) == "data":
        size = min(8 + int.from_bytes(data[:8], "little"), len(data))
        entry["header"] = {"size": size, "digest": digest.of(data[:size])}
    else:
        entry["digest"] = digest.of(data)


TARGETS = (
    Target("json", canonical_json, lambda: seeds.documents(".json"), "json", own=True),
    Target("msgpack", canonical_msgpack, lambda: seeds.documents(".msgpack"), "msgpack", own=True),
    Target("manifest", manifest_document, lambda: seeds.documents(MANIFEST), "json", own=True),
    Target("safetensors", safetensors_header, lambda: seeds.documents(".safetensors")),
    Target("zip", packed_form, seeds.artifacts, "zip"),
    Target("artifact", artifact, seeds.artifacts, "zip"),
    Target("documents", documents, seeds.parts, "files", own=True),
)
