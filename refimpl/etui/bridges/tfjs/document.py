"""`model.json`: where it is, what kind of model it holds, and the fields around the topology (annex H.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from etui.bridges.keras.json_text import read_json
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.foreign_folder import ForeignFolder
from etui.storage.sources import BytesSource

Json = Any
Kind = Literal["layers", "graph"]

MODEL = "model.json"
FRAMEWORK = "tfjs"
JSON = "application/json"
TOPOLOGY, MANIFEST, FORMAT = "modelTopology", "weightsManifest", "format"
FORMATS: dict[Kind, str] = {"layers": "layers-model", "graph": "graph-model"}
# Enough to see the first fields, of which one is among these in every file.
_HEAD_BYTES = 64 * 1024
_MARKS = (b'"modelTopology"', b'"weightsManifest"')


def place_of(path: Path) -> tuple[Path, str]:
    """The folder and the name of the document of a model that is named by either."""
    return (path, MODEL) if path.is_dir() else (path.parent, path.name)


def is_kind(path: Path, kind: Kind) -> bool:
    """Whether a file, or `model.json` in a folder, is a document of that kind; never an error of the content."""
    folder, name = place_of(path)
    try:
        with ForeignFolder(folder, link="part-not-a-file") as files:
            size = files.size(name) or 0
            head = files.read(name, 0, min(size, _HEAD_BYTES)) if size else b""
            if not head.lstrip().startswith(b"{") or not any(mark in head for mark in _MARKS):
                return False
            return kind_of(_tree(files, name, DEFAULT_LIMITS)) == kind
    except EtuiError:
        return False


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


def _tree(files: ForeignFolder, name: str, limits: Limits) -> dict[str, Json]:
    where = f"{files.location}/{name}"
    size = files.size(name)
    if size is None:
        raise error("tfjs-data", where=files.location, found=f"no file {shown(name)}")
    if size > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{size} bytes")
    return read_json(BytesSource(files.read(name, 0, size)), where, limits)


def parse_document(data: bytes, where: str, limits: Limits) -> dict[str, Json]:
    """The tree of a document in memory.

    Raises:
        MalformedError: ``keras-json``.
        LimitError: ``limit-document``.
    """
    return read_json(BytesSource(data), where, limits)


def write_document(tree: Mapping[str, Json], limits: Limits) -> bytes:
    """The bytes of a document, which JavaScript reads: its JSON has no bare NaN or Infinity.

    Raises:
        TransferError: ``tfjs-value``.
        LimitError: ``limit-document``, a document that readers refuse.
    """
    try:
        data = json.dumps(tree, allow_nan=False).encode()
    except (ValueError, TypeError) as cause:
        raise error("tfjs-value", where=MODEL, found=str(cause)) from cause
    if len(data) > limits.document_bytes:
        raise error("limit-document", where=MODEL, found=f"{len(data)} bytes")
    return data
