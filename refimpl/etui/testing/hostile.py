"""Artifacts with a chosen fault: parts of a valid one, edited, and what holds them together made right again.

parts = tampered(model, "weights.json", drop("variables", "dense/kernel", "role"))
etui.open(parts)  # refused with weights-form
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etui import digest
from etui.artifact import save_model
from etui.canonical import json, msgpack
from etui.containers.documents import DOCUMENTS
from etui.errors import EtuiError
from etui.model import Model
from etui.storage.base import ByteSource
from etui.storage.part_names import MANIFEST, role_of
from etui.storage.safetensors import read_header
from etui.storage.sources import BytesSource

Parts = dict[str, bytes]
Edit = Callable[[Any], Any]
"""Changes the tree of a document, or the bytearray of another part, in place; or gives the bytes to take its place."""


def parts_of(model: Model, shard_size: int | None = None) -> Parts:
    """The parts of a model's artifact by name, the manifest included."""
    parts: Parts = {}
    save_model(model, parts, shard_size=shard_size)
    return parts


def tampered(origin: Model | Mapping[str, bytes], name: str, edit: Edit) -> Parts:
    """An artifact of which one part was edited, with the sizes and digests made right that others say of that part.

    Args:
        origin: a model, or the parts of an artifact.
        name: of the part.
        edit: the change.
    """
    parts = edited(origin, name, edit)
    if role_of(name) == "data":
        _seal_chunks(parts)
    if name != MANIFEST:
        _seal_manifest(parts)
    return parts


def edited(origin: Model | Mapping[str, bytes], name: str, edit: Edit) -> Parts:
    """An artifact of which one part was edited and nothing else; see `tampered`."""
    parts = parts_of(origin) if isinstance(origin, Model) else dict(origin)
    content = _read(name, parts[name])
    changed = edit(content)
    parts[name] = changed if isinstance(changed, bytes) else _written(name, content)
    return parts


def put(value: Any, *path: Any) -> Edit:
    """The edit that sets what is at a path of keys and indices."""

    def edit(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value

    return edit


def drop(*path: Any) -> Edit:
    """The edit that removes what is at a path of keys and indices."""

    def edit(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        del tree[path[-1]]

    return edit


def append(value: Any, *path: Any) -> Edit:
    """The edit that appends to the list at a path."""

    def edit(tree: Any) -> None:
        for step in path:
            tree = tree[step]
        tree.append(value)

    return edit


def moved(start: tuple[Any, ...], end: tuple[Any, ...]) -> Edit:
    """The edit that moves what is at one path to another."""

    def edit(tree: Any) -> None:
        source, target = tree, tree
        for step in start[:-1]:
            source = source[step]
        for step in end[:-1]:
            target = target[step]
        target[end[-1]] = source.pop(start[-1])

    return edit


def all_of(*edits: Edit) -> Edit:
    """Several edits of one document, one after the other."""

    def edit(tree: Any) -> None:
        for each in edits:
            each(tree)

    return edit


def replace_bytes(name: str, old: bytes, new: bytes) -> Edit:
    """The edit of the bytes of the document `name`: the only `old` becomes `new`, whether that is canonical or not."""

    def edit(tree: Any) -> bytes:
        data = _written(name, tree)
        if data.count(old) != 1:
            raise ValueError(f"{old!r} is {data.count(old)} times in {name}")
        return data.replace(old, new)

    return edit


def overwrite(old: bytes, new: bytes) -> Edit:
    """The edit of a data part that writes bytes over the first `old`, which has the same length."""

    def edit(data: bytearray) -> None:
        at = data.index(old)
        data[at : at + len(old)] = new

    return edit


def set_byte(tensor: str, at: int, value: int) -> Edit:
    """The edit of a data part that sets one byte of a tensor, counted from its first or, below zero, from its last."""

    def edit(data: bytearray) -> None:
        header = read_header(BytesSource(data), "")
        entry = header.entries[tensor]
        data[header.size + (entry.begin if at >= 0 else entry.end) + at] = value

    return edit


def refusal(call: Callable[[], object]) -> EtuiError | None:
    """The error of Etui that a call raises, if it raises one."""
    try:
        call()
    except EtuiError as failure:
        return failure
    return None


def refused_with(call: Callable[[], object]) -> str | None:
    """The code of the error of Etui that a call raises, if it raises one."""
    failure = refusal(call)
    return None if failure is None else failure.code


def _seal_chunks(parts: Parts) -> None:
    """Make the digests of all chunks right whose tensors are there."""
    digests = {name: _digests(data) for name, data in parts.items() if role_of(name) == "data"}
    for name in parts.keys() & DOCUMENTS.keys():
        tree = _read(name, parts[name])
        for chunk in _chunks(tree):
            chunk["digest"] = digests[chunk["part"]].get(chunk["tensor"], chunk["digest"])
        parts[name] = _written(name, tree)


def _seal_manifest(parts: Parts) -> None:
    """Make the sizes and digests of the manifest right."""
    manifest = _read(MANIFEST, parts[MANIFEST])
    for name, entry in manifest["parts"].items():
        _seal_entry(entry, parts[name])
    parts[MANIFEST] = _written(MANIFEST, manifest)


def _seal_entry(entry: dict[str, Any], data: bytes) -> None:
    entry["size"] = len(data)
    if entry["role"] == "data":
        size = min(8 + int.from_bytes(data[:8], "little"), len(data))
        entry["header"] = {"size": size, "digest": digest.of(data[:size])}
    else:
        entry["digest"] = digest.of(data)


def _digests(data: bytes) -> dict[str, str]:
    """The digest of each tensor of a data part; none where its header does not decode."""
    source: ByteSource = BytesSource(data)
    try:
        header = read_header(source, "")
    except ValueError:
        return {}
    return {
        name: digest.of(source.view(header.size + entry.begin, entry.end - entry.begin))
        for name, entry in header.entries.items()
    }


def _chunks(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if {"part", "tensor"} <= node.keys():
            yield node
        for item in node.values():
            yield from _chunks(item)
    elif isinstance(node, list):
        for item in node:
            yield from _chunks(item)


def _read(name: str, data: bytes) -> Any:
    if role_of(name) in {"data", "asset", "program", "native"}:
        return bytearray(data)
    codec = msgpack if name.endswith(".msgpack") else json
    return codec.decode(data, where=name)


def _written(name: str, content: Any) -> bytes:
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    return msgpack.encode(content) if name.endswith(".msgpack") else json.encode(content)
