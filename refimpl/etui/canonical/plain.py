"""The parts of a tree that hold no tag: as values they are themselves, and nothing in them needs a second look."""

from __future__ import annotations

from typing import Any

from etui.canonical.tagging import Kind
from etui.canonical.value_types import StoredTensor
from etui.limits import DEFAULT_LIMITS


def plain_nodes(tree: Any, kind: Kind) -> set[int]:
    """The lists and maps in a value that are their own tagged form and refer to nothing, by `id`.

    Args:
        tree: a value, or its tagged form, which must be kept as long as the result is used.
        kind: of the document.
    """
    found: set[int] = set()
    _gather(tree, kind, DEFAULT_LIMITS.depth, found)
    return found


def _gather(node: Any, kind: Kind, levels: int, found: set[int]) -> bool:
    """Note the plain lists and maps in a tree; say whether the tree itself is plain."""
    if type(node) is list:
        items = node
    elif type(node) is dict:
        items = list(node.values())
    else:
        return type(node) is not StoredTensor and kind.holds(node)
    if not levels:
        return False  # deeper than any document, or in a circle
    plain = True
    for item in items:
        # A text, the most frequent leaf, needs no call; the others are all looked at, whatever came before.
        if type(item) is not str and not _gather(item, kind, levels - 1, found):
            plain = False
    if plain and type(node) is dict:
        plain = all(type(key) is str and not key.startswith("$") for key in node)
    if plain:
        found.add(id(node))
    return plain
