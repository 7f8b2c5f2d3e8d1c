"""Edits of the parts of an artifact, and what makes the sizes and digests around an edited part right again.

An edit changes a document's tree, or the `bytearray` of another part, in place, or gives the bytes that take its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from etui_conformance.oracle import json, msgpack, names, safetensors
from etui_conformance.oracle.errors import Refusal

Parts: TypeAlias = dict[str, bytes]
Edit: TypeAlias = Callable[[Any], Any]
MANIFEST = "manifest.json"
CONFIG = "config.json"
WEIGHTS = "weights.json"
TRAINING = "training.json"
OPTIMIZER = "optimizer.msgpack"
STATE = "state.msgpack"
DATA = "weights.safetensors"
DOCUMENTS = (CONFIG, WEIGHTS, TRAINING, OPTIMIZER, STATE)
KINDS = {MANIFEST: "manifest", **names.DOCUMENTS}
"""Name of each document, the manifest included -> its kind."""


def digest(data: bytes) -> str:
    """The SHA-256 digest of bytes, as documents write it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def edited(parts: Parts, name: str, edit: Edit, *, reseal: bool = True) -> Parts:
    """Other parts, in which one was edited.

    Args:
        parts: of a valid artifact.
        name: of the part.
        edit: of the part.
        reseal: whether what other parts say of its size and digests is made right, so that the edit is the only fault.
    """
    content = _read(name, parts[name])
    changed = edit(content)
    result = dict(parts)
    result[name] = changed if isinstance(changed, bytes) else _written(name, content)
    if reseal and name.endswith(".safetensors"):
        seal_chunks(result)
    if reseal and name != MANIFEST:
        seal_manifest(result)
    return result


def seal_manifest(parts: Parts) -> None:
    """Make the sizes and digests that the manifest gives those of the parts."""
    manifest = json.decode(parts[MANIFEST])
    for name, entry in manifest["parts"].items():
        data = parts[name]
        entry["size"] = len(data)
        if name.endswith(".safetensors"):
            size = min(8 + int.from_bytes(data[:8], "little"), len(data))
            entry["header"] = {"digest": digest(data[:size]), "size": size}
        else:
            entry["digest"] = digest(data)
    parts[MANIFEST] = json.encode(manifest)


def put(value: Any, *path: Any) -> Edit:
    """The edit that sets what is at a path of keys and indices."""

    def edit(tree: Any) -> None:
        _at(tree, path[:-1])[path[-1]] = value

    return edit


def drop(*path: Any) -> Edit:
    """The edit that removes what is at a path of keys and indices."""

    def edit(tree: Any) -> None:
        del _at(tree, path[:-1])[path[-1]]

    return edit


def add(value: Any, *path: Any) -> Edit:
    """The edit that adds to the end of the list at a path."""

    def edit(tree: Any) -> None:
        _at(tree, path).append(value)

    return edit


def insert(value: Any, *path: Any) -> Edit:
    """The edit that adds to the front of the list at a path."""

    def edit(tree: Any) -> None:
        _at(tree, path).insert(0, value)

    return edit


def swap(*path: Any) -> Edit:
    """The edit that turns the list at a path around."""

    def edit(tree: Any) -> None:
        _at(tree, path).reverse()

    return edit


def rename(new: str, *path: Any) -> Edit:
    """The edit that gives the entry at a path another key in the same map."""

    def edit(tree: Any) -> None:
        place = _at(tree, path[:-1])
        place[new] = place.pop(path[-1])

    return edit


def both(*edits: Edit) -> Edit:
    """Edits of one part, one after the other, which only together are the fault that is meant."""

    def edit(tree: Any) -> None:
        for each in edits:
            each(tree)

    return edit


def raw(old: bytes, new: bytes, name: str) -> Edit:
    """The edit of the bytes of a document: the only `old` becomes `new`, canonical or not.

    Args:
        old: the bytes that are there once.
        new: those in their place.
        name: of the document.
    """

    def edit(tree: Any) -> bytes:
        data = _written(name, tree)
        if data.count(old) != 1:
            raise ValueError(f"{old!r} is {data.count(old)} times in {name}")
        return data.replace(old, new)

    return edit


def whole(change: Callable[[bytes], bytes], name: str) -> Edit:
    """The edit that makes other bytes of those of a document or another part."""
    return lambda tree: change(_written(name, tree))


def overwrite(old: bytes, new: bytes) -> Edit:
    """The edit of a data part that writes bytes over the only `old` in it, which has the same length."""

    def edit(data: bytearray) -> None:
        if data.count(old) != 1 or len(old) != len(new):
            raise ValueError(f"{old!r} is {data.count(old)} times there")
        at = data.index(old)
        data[at : at + len(old)] = new

    return edit


def byte(tensor: str, at: int, value: int) -> Edit:
    """The edit of a data part that sets one byte of a tensor, counted from its first or, below zero, from its last."""

    def edit(data: bytearray) -> None:
        entry = safetensors.read(bytes(data))[1][tensor]
        data[(entry.begin if at >= 0 else entry.end) + at] = value

    return edit


def renamed(names: Mapping[str, str]) -> Callable[[Parts], None]:
    """The change of an artifact that gives parts other names, old -> new, wherever these are written."""

    def change(parts: Parts) -> None:
        for name in set(DOCUMENTS) & parts.keys():
            tree = _read(name, parts[name])
            for chunk in chunks(tree):
                chunk["part"] = names.get(chunk["part"], chunk["part"])
            parts[name] = _written(name, tree)
        manifest = json.decode(parts[MANIFEST])
        for old, new in names.items():
            parts[new] = parts.pop(old)
            manifest["parts"][new] = manifest["parts"].pop(old)
        parts[MANIFEST] = json.encode(manifest)
        seal_manifest(parts)

    return change


def removed(*names: str, **fields: Any) -> Callable[[Parts], None]:
    """The change of an artifact that takes parts away, and sets fields of the manifest."""

    def change(parts: Parts) -> None:
        manifest = json.decode(parts[MANIFEST]) | fields
        for name in names:
            del parts[name]
            del manifest["parts"][name]
        parts[MANIFEST] = json.encode(manifest)

    return change


def added(name: str, data: bytes, role: str = "asset") -> Callable[[Parts], None]:
    """The change of an artifact that puts one more part into it."""

    def change(parts: Parts) -> None:
        manifest = json.decode(parts[MANIFEST])
        media_type = "application/octet-stream"
        manifest["parts"][name] = {"digest": digest(data), "media_type": media_type, "role": role, "size": len(data)}
        parts[name] = data
        parts[MANIFEST] = json.encode(manifest)

    return change


def added_data(name: str, data: bytes) -> Callable[[Parts], None]:
    """The change of an artifact that puts one more data part into it."""

    def change(parts: Parts) -> None:
        manifest = json.decode(parts[MANIFEST])
        manifest["parts"][name] = {"media_type": "application/vnd.safetensors", "role": "data"}
        parts |= {name: data, MANIFEST: json.encode(manifest)}
        seal_manifest(parts)

    return change


def chunks(node: Any) -> Iterator[dict[str, Any]]:
    """Every chunk below a node of a document."""
    if isinstance(node, dict):
        if {"part", "tensor"} <= node.keys():
            yield node
        for item in node.values():
            yield from chunks(item)
    elif isinstance(node, list):
        for item in node:
            yield from chunks(item)


def seal_chunks(parts: Parts) -> None:
    """Make the digests of all chunks right whose tensors are there."""
    digests = {name: _digests(data) for name, data in parts.items() if name.endswith(".safetensors")}
    for name in set(DOCUMENTS) & parts.keys():
        tree = _read(name, parts[name])
        for chunk in chunks(tree):
            chunk["digest"] = digests.get(chunk["part"], {}).get(chunk["tensor"], chunk["digest"])
        parts[name] = _written(name, tree)


def _digests(data: bytes) -> dict[str, str]:
    """The digest of each tensor of a data part; none where its header is the fault."""
    try:
        entries = safetensors.read(data)[1]
    except Refusal:
        return {}
    return {name: digest(data[entry.begin : entry.end]) for name, entry in entries.items()}


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _read(name: str, data: bytes) -> Any:
    if name.endswith(".json") and "/" not in name:
        return json.decode(data)
    if name in DOCUMENTS:
        return msgpack.decode(data)
    return bytearray(data)


def _written(name: str, content: Any) -> bytes:
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    return msgpack.encode(content) if name in DOCUMENTS and name.endswith(".msgpack") else json.encode(content)
