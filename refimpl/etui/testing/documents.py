"""One document at a time, without an artifact around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from etui.canonical import json, msgpack, values
from etui.containers import config, manifest, optimizer, state, training, weights
from etui.containers.data_parts import DataPart, DataParts
from etui.limits import DEFAULT_LIMITS
from etui.storage import open_artifact
from etui.storage.part_names import MANIFEST, role_of

KINDS = ("manifest", "config", "weights", "training", "optimizer", "state")
"""The kinds of documents: the names of their schemas."""

_WITH_TENSORS: dict[str, Callable[[dict[str, Any], DataParts], Any]] = {
    "weights": weights.decode,
    "optimizer": optimizer.decode,
    "state": state.decode,
}
_WITHOUT_TENSORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "config": config.decode,
    "training": training.decode,
}


def encode(kind: str, view: dict[str, Any]) -> bytes:
    """The canonical bytes of a document.

    Args:
        kind: one of `KINDS`.
        view: its JSON, or its JSON view (SPEC.md B-12).

    Raises:
        RejectError: the view holds what has no canonical form.
    """
    data = json.encode(view)
    if kind not in ("optimizer", "state"):
        return data
    return msgpack.encode(values.from_json_view(view, f"{kind}.msgpack"))


def decode(kind: str, view: dict[str, Any]) -> Any:
    """The container that a reader makes of a document: its bytes are decoded, then its content.

    The data parts that the document names count as there; their data is out of reach.

    Args:
        kind: one of `KINDS`.
        view: its JSON, or its JSON view (SPEC.md B-12).

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    data = encode(kind, view)
    if kind == "manifest":
        return manifest.decode(data)
    codec = msgpack if kind in ("optimizer", "state") else json
    tree = codec.decode(data, where=kind, limits=DEFAULT_LIMITS)
    if kind in _WITHOUT_TENSORS:
        return _WITHOUT_TENSORS[kind](tree)
    parts = {name: DataPart(0, 0, "") for name in _part_names(tree)}
    with open_artifact({MANIFEST: b""}) as nothing:
        return _WITH_TENSORS[kind](tree, DataParts(nothing, parts, verify=False, limits=DEFAULT_LIMITS))


def _part_names(node: Any) -> Iterator[str]:
    """The data parts that the chunks below a node name."""
    if isinstance(node, dict):
        name = node.get("part")
        if isinstance(name, str) and role_of(name) == "data":
            yield name
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _part_names(child)
