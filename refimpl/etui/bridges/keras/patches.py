"""Small differences between what a rule gives and what Keras wrote, kept as residue so that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = Any


def same(one: Json, two: Json) -> bool:
    """Equality of JSON trees in which 1, 1.0 and true differ."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(value, two[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two) or (one != one and two != two)  # noqa: PLR0124  (NaN equals NaN here)


def difference(expected: Mapping[str, Json], actual: Mapping[str, Json]) -> dict[str, Json]:
    """What turns `expected` into `actual`: `fields` to set and `absent` ones to remove; empty if they are equal."""
    fields = {key: value for key, value in actual.items() if key not in expected or not same(expected[key], value)}
    absent = [key for key in expected if key not in actual]
    return ({"fields": fields} if fields else {}) | ({"absent": absent} if absent else {})


def patched(expected: Mapping[str, Json], residue: Mapping[str, Json]) -> dict[str, Json]:
    """Apply what `difference` gave."""
    absent = residue.get("absent", ())
    return {key: value for key, value in expected.items() if key not in absent} | dict(residue.get("fields", {}))


def with_config(frame: Mapping[str, Json], config: Json) -> dict[str, Json]:
    """An object's node: its fields with the config behind the class, as Keras writes them."""
    items = list(frame.items())
    at = next((index + 1 for index, (key, _) in enumerate(items) if key == "class_name"), 0)
    return dict([*items[:at], ("config", config), *items[at:]])


def key_orders(tree: Json) -> list[list[Json]]:
    """The key order of each map below the top whose keys are not sorted: pairs of the way to it and its keys."""
    return [[way, list(node)] for way, node in _maps(tree, []) if way and list(node) != sorted(node, key=_utf16)]


def reordered(tree: Json, orders: list[list[Json]]) -> Json:
    """Bring the maps of `tree` into the order that `key_orders` gave; what is not there is passed over."""
    for way, keys in orders:
        node = tree
        for step in way:
            inside = isinstance(node, dict) and step in node
            at = isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node)
            node = node[step] if inside or at else None
        if isinstance(node, dict):
            listed = {key: node[key] for key in keys if key in node}
            rest = {key: value for key, value in node.items() if key not in listed}
            node.clear()
            node.update(listed | rest)
    return tree


def _maps(tree: Json, way: list[Json]) -> Iterator[tuple[list[Json], dict[str, Json]]]:
    """Each map with the way to it; objects within keep their own orders."""
    if isinstance(tree, dict):
        if way and "class_name" in tree:
            return
        yield way, tree
    steps = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, value in steps:
        yield from _maps(value, [*way, step])


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")
