"""The JSON of a model: where it is, what kind of model it holds, and the fields around the topology (annex H.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from etui.bridges.keras.json_text import read_json, read_value
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.sources import BytesSource

Json = Any
Kind = Literal["layers", "graph"]

MODEL = "model.json"
WEIGHTS = "weights_manifest.json"
"""The document of weights alone."""
FRAMEWORK = "tfjs"
JSON = "application/json"
TOPOLOGY, MANIFEST, FORMAT = "modelTopology", "weightsManifest", "format"
FORMATS: dict[Kind, str] = {"layers": "layers-model", "graph": "graph-model"}
# Enough to see the first fields, of which one is among these in every file.
_HEAD_BYTES = 64 * 1024
_MARKS = (b'"modelTopology"', b'"weightsManifest"')
_GROUP = (b'"paths"', b'"weights"')


def place_of(path: Path, document: str = MODEL) -> tuple[Path, str]:
    """The folder and the name of the document of a model that is named by either."""
    return (path, document) if path.is_dir() else (path.parent, path.name)


def is_kind(path: Path, kind: Kind) -> bool:
    """Whether a file, or `model.json` in a folder, is a document of that kind; never an error of the content."""
    folder, name = place_of(path)
    try:
        with ForeignFolder(folder, link="part-not-a-file") as files:
            if not _begins(files, name, b"{", _MARKS):
                return False
            return kind_of(_tree(files, name, DEFAULT_LIMITS)) == kind
    except EtuiError:
        return False


def is_list(path: Path) -> bool:
    """Whether a file, or `weights_manifest.json` in a folder, lists groups of weights; never an error of the content.

    Only the first entry is looked at: what is wrong with another one is for the reader to say.
    """
    folder, name = place_of(path, WEIGHTS)
    try:
        with ForeignFolder(folder, link="part-not-a-file") as files:
            if not _begins(files, name, b"[", _GROUP):
                return False
            found = _value(files, name, DEFAULT_LIMITS)
    except EtuiError:
        return False
    first = found[0] if isinstance(found, list) and found else None
    return isinstance(first, dict) and {"paths", "weights"} <= first.keys()


def _begins(files: ForeignFolder, name: str, bracket: bytes, marks: tuple[bytes, ...]) -> bool:
    size = files.size(name) or 0
    head = files.read(name, 0, min(size, _HEAD_BYTES)) if size else b""
    return head.lstrip().startswith(bracket) and any(mark in head for mark in marks)


def kind_of(tree: Mapping[str, Json]) -> Kind | None:
    """What the field `format` says, or what the topology shows: the first releases wrote no format."""
    topology = tree.get(TOPOLOGY)
    named = next((kind for kind, name in FORMATS.items() if name == tree.get(FORMAT)), None)
    if named is not None or not isinstance(topology, dict) or tree.get(FORMAT) is not None:
        return named
    if "node" in topology:
        return "graph"
    return "layers" if "model_config" in topology or "class_name" in topology else None


def read_document(files: ForeignFolder, name: str, kind: Kind, limits: Limits) -> dict[str, Json]:
    """The document of a model of a kind; its topology is an object.

    Raises:
        MalformedError: ``keras-json``.
        InvalidError: ``tfjs-form``.
        LimitError: ``limit-document``.
        StorageError: ``storage-failed``.
    """
    tree = _tree(files, name, limits)
    found = kind_of(tree)
    if found != kind or not isinstance(tree.get(TOPOLOGY), dict):
        known = shown({key: type(value).__name__ for key, value in tree.items()})
        raise error("tfjs-form", where=f"{files.location}/{name}", found=f"no {FORMATS[kind]}, but {known}")
    return tree


def read_list(files: ForeignFolder, name: str, limits: Limits) -> list[Json]:
    """The groups that a document of weights alone lists, as they are written.

    Raises:
        MalformedError: ``keras-json``.
        InvalidError: ``tfjs-form``.
        LimitError: ``limit-document``.
        StorageError: ``storage-failed``.
    """
    return _listed(_value(files, name, limits), f"{files.location}/{name}")


def parse_list(data: bytes, where: str, limits: Limits) -> list[Json]:
    """The groups that a document in memory lists; see `read_list`."""
    return _listed(read_value(BytesSource(data), where, limits), where)


def _listed(found: Json, where: str) -> list[Json]:
    if not isinstance(found, list):
        raise error("tfjs-form", where=where, found=f"{shown(found)} in place of a list of groups")
    return found


def _tree(files: ForeignFolder, name: str, limits: Limits) -> dict[str, Json]:
    return read_json(*_source(files, name, limits), limits)


def _value(files: ForeignFolder, name: str, limits: Limits) -> Json:
    return read_value(*_source(files, name, limits), limits)


def _source(files: ForeignFolder, name: str, limits: Limits) -> tuple[BytesSource, str]:
    """The bytes of a document, and its name for messages."""
    where = f"{files.location}/{name}"
    size = files.size(name)
    if size is None:
        raise error("tfjs-data", where=files.location, found=f"no file {shown(name)}")
    if size > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{size} bytes")
    return BytesSource(files.read(name, 0, size)), where


def parse_document(data: bytes, where: str, limits: Limits) -> dict[str, Json]:
    """The tree of a document in memory.

    Raises:
        MalformedError: ``keras-json``.
        LimitError: ``limit-document``.
    """
    return read_json(BytesSource(data), where, limits)


def write_document(tree: Mapping[str, Json] | list[Json], limits: Limits, name: str = MODEL) -> bytes:
    """The bytes of a document, which JavaScript reads: its JSON has no bare NaN or Infinity.

    Raises:
        TransferError: ``tfjs-value``.
        LimitError: ``limit-document``, a document that readers refuse.
    """
    try:
        data = json.dumps(tree, allow_nan=False).encode()
    except (ValueError, TypeError) as cause:
        raise error("tfjs-value", where=name, found=str(cause)) from cause
    if len(data) > limits.document_bytes:
        raise error("limit-document", where=name, found=f"{len(data)} bytes")
    return data
