"""Bytes, tensors, artifacts and contents between the suite's own form and that of messages (SPEC.md, annex P.2).

In the suite a content is the nested dict of the protocol with `bytes` under ``data`` and lists of `bytes` under
``strings``; in a message bytes are base64, or the name of a file from 1 MiB on.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

from etui_conformance.protocol.session import AdapterFailure

INLINE: Final = 1 << 20
"""From this many bytes on they go by file."""

_DOCUMENTS: Final = ("weights", "optimizer", "state")
_numbers = count(1)


def new_path(folder: Path, suffix: str = "") -> Path:
    """A path below a folder where nothing is yet."""
    return folder / f"suite-{os.getpid()}-{next(_numbers)}{suffix}"


def bytes_to_wire(data: bytes, folder: Path, *, by_file: bool | None = None) -> dict[str, Any]:
    """An object that carries bytes.

    Args:
        data: the bytes.
        folder: where the file is written, if one is needed.
        by_file: whether to use a file; by default the size decides.
    """
    if len(data) >= INLINE if by_file is None else by_file:
        path = new_path(folder, ".bin")
        path.write_bytes(data)
        return {"file": str(path)}
    return {"data": base64.b64encode(data).decode("ascii")}


def bytes_from_wire(node: Any, where: str = "bytes") -> bytes:
    """The bytes that an object of a reply carries.

    Raises:
        AdapterFailure: ``garbage``, it carries none.
    """
    if not isinstance(node, dict) or ("data" in node) == ("file" in node):
        raise AdapterFailure("garbage", f"{where} have neither 'data' nor 'file', or both")
    if "file" in node:
        try:
            return Path(node["file"]).read_bytes()
        except (OSError, TypeError, ValueError) as fault:
            raise AdapterFailure("garbage", f"{where} are in a file that cannot be read: {fault}") from fault
    return _decoded(node["data"], where)


def packed_artifact(data: bytes, folder: Path, *, by_file: bool | None = None) -> dict[str, Any]:
    """An artifact in packed form, for a request."""
    return {"packed": bytes_to_wire(data, folder, by_file=by_file)}


def directory_artifact(parts: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    """An artifact in directory form, for a request: its parts as files of a new folder."""
    root = new_path(folder)
    for name, data in parts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    root.mkdir(exist_ok=True)
    return {"directory": str(root)}


def series_artifact(files: Mapping[str, bytes], step: int, folder: Path) -> dict[str, Any]:
    """A step of a series, for a request: the files of the series in a new folder."""
    return {"series": directory_artifact(files, folder)["directory"], "step": step}


def tensor_to_wire(tensor: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A tensor for a request."""
    made = _without(tensor, "data", "strings", "components")
    if "strings" in tensor:
        made["strings"] = [base64.b64encode(item).decode("ascii") for item in tensor["strings"]]
    else:
        made |= bytes_to_wire(tensor["data"], folder)
    if "components" in tensor:
        made["components"] = {name: tensor_to_wire(each, folder) for name, each in tensor["components"].items()}
    return made


def tensor_from_wire(node: Any, where: str = "tensor") -> dict[str, Any]:
    """A tensor of a reply.

    Raises:
        AdapterFailure: ``garbage``, it has not the form of one.
    """
    if not isinstance(node, dict) or not isinstance(node.get("dtype"), str) or not _is_shape(node.get("shape")):
        raise AdapterFailure("garbage", f"{where} has no dtype and shape")
    found = _without(node, "data", "file", "strings", "components")
    if node["dtype"] in ("string", "bytes"):
        strings = node.get("strings")
        if not isinstance(strings, list):
            raise AdapterFailure("garbage", f"{where} has no list 'strings'")
        found["strings"] = [_decoded(item, f"strings of {where}") for item in strings]
    else:
        found["data"] = bytes_from_wire(node, f"the bytes of {where}")
    if "components" in node:
        found["components"] = _mapped(node["components"], tensor_from_wire, f"the components of {where}")
    return found


def content_to_wire(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A content for a request: its documents as they are, its tensors and parts with their bytes as text or files."""
    made = _without(content, "tensors", "parts")
    if "tensors" in content:
        made["tensors"] = {
            document: {name: tensor_to_wire(tensor, folder) for name, tensor in tensors.items()}
            for document, tensors in content["tensors"].items()
        }
    if "parts" in content:
        made["parts"] = {
            name: _without(part, "data") | bytes_to_wire(part["data"], folder)
            for name, part in content["parts"].items()
        }
    return made


def content_from_wire(node: Any) -> dict[str, Any]:
    """A content of a reply.

    Raises:
        AdapterFailure: ``garbage``, it has not the form of one.
    """
    if not isinstance(node, dict):
        raise AdapterFailure("garbage", "a content that is no object")
    found = _without(node, "tensors", "parts")
    if "tensors" in node:
        tensors = node["tensors"]
        if not isinstance(tensors, dict) or not set(tensors) <= set(_DOCUMENTS):
            raise AdapterFailure("garbage", f"the tensors of a content that are not those of {', '.join(_DOCUMENTS)}")
        found["tensors"] = {
            document: _mapped(entries, tensor_from_wire, f"tensors of {document}")
            for document, entries in tensors.items()
        }
    if "parts" in node:
        found["parts"] = _mapped(node["parts"], _part_from_wire, "parts of a content")
    return found


def _part_from_wire(node: Any, where: str) -> dict[str, Any]:
    data = bytes_from_wire(node, f"the bytes of {where}")
    return {**_without(node, "data", "file"), "data": data}


def _mapped(node: Any, convert: Callable[[Any, str], dict[str, Any]], where: str) -> dict[str, Any]:
    if not isinstance(node, dict):
        raise AdapterFailure("garbage", f"{where} are no object")
    return {name: convert(each, f"{name!r} in the {where}") for name, each in node.items()}


def _decoded(text: Any, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as fault:
        raise AdapterFailure("garbage", f"{where} are no base64: {fault}") from fault


def _is_shape(node: Any) -> bool:
    return isinstance(node, list) and all(type(size) is int and size >= 0 for size in node)


def _without(node: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: item for key, item in node.items() if key not in names}
