"""Ids in a layer's node, by which Keras tells that an object is met again.

Where a layer is met again, Keras writes ids for it and for the objects in it, which at its first place may have none:
what a nested model holds is written before it is known that it will be met again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from etui.bridges.keras.patches import Json

_ID = "shared_object_id"
# The way to each object, and its id.
Ids = list[list[Any]]


def ids_in(node: Mapping[str, Json], numbers: Mapping[int, int]) -> Ids:
    """The ids of a node and of the objects in it, renumbered.

    Args:
        node: the node.
        numbers: id -> its number.
    """
    return [[way, numbers[found]] for way, found in _ids(dict(node), [])]


def without_ids(tree: Json) -> Json:
    """A tree without the ids of objects."""
    if isinstance(tree, list):
        return [without_ids(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {key: without_ids(item) for key, item in tree.items() if not (key == _ID and type(item) is int)}


def digest(node: Mapping[str, Json]) -> bytes:
    """A digest of a node without ids; nodes of one content have one."""
    return sha256(json.dumps(without_ids(dict(node)), sort_keys=True).encode("utf-8", "surrogatepass")).digest()


def with_ids(node: dict[str, Json], ids: Ids) -> dict[str, Json]:
    """A node with these ids and no others."""
    found: dict[str, Json] = without_ids(node)
    for way, number in ids:
        at: Json = found
        for step in way:
            inside = isinstance(at, dict) and step in at
            at = at[step] if inside or (isinstance(at, list) and type(step) is int and 0 <= step < len(at)) else None
        if isinstance(at, dict):
            at[_ID] = number
    return found


def _ids(tree: Json, way: list[Any]) -> Iterator[tuple[list[Any], int]]:
    if isinstance(tree, dict):
        if type(tree.get(_ID)) is int:
            yield way, tree[_ID]
        for key in sorted(tree):
            yield from _ids(tree[key], [*way, key])
    elif isinstance(tree, list):
        for at, item in enumerate(tree):
            yield from _ids(item, [*way, at])
