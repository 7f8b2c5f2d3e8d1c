"""Comparing two JSON trees, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from typing import Any

Json = Any

_TEXT_LENGTH = 120


def tree_changes(one: Json, two: Json, place: str) -> Iterator[tuple[str, str, str, str]]:
    """Kind, place and both texts of each difference of two JSON trees."""
    prefix = f"{place}/" if place else ""
    if _is_branch(one) and _is_branch(two):
        for key in [*one, *(key for key in two if key not in one)]:
            if key not in two:
                yield "removed", prefix + key, short_text(one[key]), ""
            elif key not in one:
                yield "added", prefix + key, "", short_text(two[key])
            else:
                yield from tree_changes(one[key], two[key], prefix + key)
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (a, b) in enumerate(zip(one, two, strict=True)):
            yield from tree_changes(a, b, f"{prefix}{index}")
    elif dumps(one, sort_keys=True) != dumps(two, sort_keys=True):  # tells 1 from true
        yield "changed", place, short_text(one), short_text(two)


def relabelled(tree: Json) -> Json:
    """A document with the numbers of its shared objects counted anew by sorted keys: they are names only."""
    labels: dict[int, int] = {}

    def visit(node: Json) -> Json:
        if isinstance(node, list):
            return [visit(item) for item in node]
        if not isinstance(node, dict):
            return node
        found = {key: visit(node[key]) for key in sorted(node)}
        body = found.get("$object")
        if isinstance(body, dict) and type(body.get("shared")) is int:
            body["shared"] = labels.setdefault(body["shared"], len(labels))
        return found

    return visit(tree)


def _is_branch(tree: Json) -> bool:
    """Whether a tree is a map to look into: no tagged value but an object's."""
    if not isinstance(tree, dict):
        return False
    return len(tree) != 1 or next(iter(tree)) == "$object" or not next(iter(tree)).startswith("$")


def short_text(tree: Json) -> str:
    """A JSON tree as one short text; a tagged float is its digits."""
    if isinstance(tree, dict) and tree.keys() == {"$float"}:
        return str(float(tree["$float"]))
    text = dumps(tree, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _TEXT_LENGTH else f"{text[: _TEXT_LENGTH - 1]}…"
