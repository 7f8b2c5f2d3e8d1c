"""The tree of an Orbax checkpoint: its file of keys, read and checked, and nested nodes for writing (annex N.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etui.errors import error, shown
from etui.paths import escape_segment, unescape_segment

METADATA = "_METADATA"
_SEQUENCE, _DICT = 1, 2
_TEXT = "string"
_DEPTH = 64
_EMPTY: dict[str, Any] = {"None": None, "Dict": {}, "List": [], "Tuple": []}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the tree.

    Attributes:
        keys: that lead to it.
        path: of its variable.
        is_text: whether it is a string and no array.
    """

    keys: tuple[str, ...]
    path: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Node:
    """An entry of the file of keys.

    Attributes:
        keys: key and whether it is an index of a sequence, for each level.
        kind: what Orbax calls the value: ``jax.Array``, ``scalar``, ``string``, ``None``, ``Dict``.
        stored: whether it has data.
    """

    keys: tuple[tuple[str, bool], ...]
    kind: str
    stored: bool


def parse(text: bytes, where: str) -> list[Node]:
    """The entries of the file of keys, in its order.

    Raises:
        InvalidError: ``orbax-form``.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as cause:
        raise error("orbax-form", where=f"{where}/{METADATA}", found=shown(str(cause))) from cause
    tree = document.get("tree_metadata") if isinstance(document, dict) else None
    if not isinstance(tree, dict):
        raise error("orbax-form", where=f"{where}/{METADATA}", found="no `tree_metadata`")
    return [_node(entry, f"{where}/{METADATA}", name) for name, entry in tree.items()]


def _node(entry: Any, where: str, name: str) -> Node:
    keys = entry.get("key_metadata") if isinstance(entry, dict) else None
    value = entry.get("value_metadata") if isinstance(entry, dict) else None
    if not isinstance(keys, list) or not isinstance(value, dict) or len(keys) > _DEPTH:
        raise error("orbax-form", where=where, found=shown(name))
    found = []
    for key in keys:
        text, kind = (key.get("key"), key.get("key_type")) if isinstance(key, dict) else (None, None)
        if not isinstance(text, str) or kind not in (_SEQUENCE, _DICT) or (kind == _SEQUENCE and not text.isdecimal()):
            raise error("orbax-form", where=where, found=f"{shown(name)} with the key {shown(key)}")
        found.append((text, kind == _SEQUENCE))
    kind = value.get("value_type")
    if not isinstance(kind, str):
        raise error("orbax-form", where=where, found=f"{shown(name)} of the type {shown(kind)}")
    return Node(tuple(found), kind, not value.get("skip_deserialize", False))


def leaves_of(nodes: list[Node], where: str) -> list[Leaf]:
    """The leaves with data.

    Raises:
        UnsafeError: ``orbax-name``, keys that name a file outside of the folder.
        InvalidError: ``orbax-form``, two leaves of one place.
    """
    found: dict[str, Leaf] = {}
    for node in nodes:
        if not node.stored:
            continue
        keys = tuple(key for key, _ in node.keys)
        if not keys:
            raise error("orbax-form", where=where, found="a tree that is one leaf without a key")
        check_name(keys, where)
        path = "/".join(map(escape_segment, keys))
        if path in found:
            raise error("orbax-form", where=where, found=f"two leaves at {shown(path)}")
        found[path] = Leaf(keys, path, node.kind == _TEXT)
    return list(found.values())


def check_name(keys: tuple[str, ...], where: str) -> str:
    """The name under which Orbax stores a leaf: its keys, joined by dots; it must stay in the folder.

    Raises:
        UnsafeError: ``orbax-name``.
    """
    name = ".".join(keys)
    if name.startswith("/") or "\0" in name or any(step in ("..", ".") for step in name.split("/")):
        raise error("orbax-name", where=where, found=shown(name))
    return name


def rebuilt(leaves: Mapping[str, Any], nodes: list[Node] | None) -> Any:
    """A tree of leaves by path: of the structure of `nodes`, or of dicts alone.

    Raises:
        TransferError: ``jax-leaf``, a leaf below another, or two that Orbax gives one name.
        UnsafeError: ``orbax-name``.
    """
    own = {tuple(unescape_segment(step) for step in path.split("/")): value for path, value in leaves.items()}
    names: set[str] = set()
    for keys in own:
        name = check_name(keys, "the target")
        if name in names:
            raise error("jax-leaf", where=name, found="two leaves that Orbax gives this name")
        names.add(name)
    sequences = set()
    for node in nodes or ():
        keys = tuple(key for key, _ in node.keys)
        sequences |= {keys[:depth] for depth, (_, is_index) in enumerate(node.keys) if is_index}
        if not node.stored and keys and node.kind in _EMPTY:
            own.setdefault(keys, _EMPTY[node.kind])
    return _listed(_nested(own), (), sequences)


def _nested(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    ends: set[tuple[str, ...]] = set()
    for keys, value in leaves.items():
        node = tree
        for depth, key in enumerate(keys[:-1], 1):
            if keys[:depth] in ends:
                raise error("jax-leaf", where="/".join(keys), found="a leaf below another")
            node = node.setdefault(key, {})
        if keys[-1] in node:
            raise error("jax-leaf", where="/".join(keys), found="a leaf above another")
        node[keys[-1]] = value
        ends.add(keys)
    return tree


def _listed(node: Any, keys: tuple[str, ...], sequences: set[tuple[str, ...]]) -> Any:
    """The nodes that were sequences as lists, where their keys are all indices still."""
    if not isinstance(node, dict):
        return node
    children = {key: _listed(value, (*keys, key), sequences) for key, value in node.items()}
    indices = [str(index) for index in range(len(children))]
    if keys in sequences and set(children) == set(indices):
        return [children[index] for index in indices]
    return children
