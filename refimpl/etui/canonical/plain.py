"""Large content without a tag, recognised level by level: what is the same as a value and in either kind of document."""

from __future__ import annotations

from itertools import chain
from typing import Any

from etui.canonical.numbers import is_json_float
from etui.canonical.tagging import Kind
from etui.limits import DEFAULT_LIMITS

_LEAVES = frozenset({str, int, float, bool, type(None)})
_NODES = _LEAVES | {list, dict}
_MOST = 4_000_000
"""Nodes of one level; more come of lists that hold another several times, and are not looked at."""


def is_plain(tree: Any, kind: Kind) -> bool:
    """Whether a value is its own tagged form: lists, maps, and leaves that the kind of document holds.

    It is a quick answer for most content, and may be no for odd content that is plain: for byte strings, for one that
    is nested too deep, or for what has too many nodes.

    Args:
        tree: a value, or its tagged form.
        kind: of the document.
    """
    nodes = [tree]
    for _ in range(DEFAULT_LIMITS.depth):
        kinds = set(map(type, nodes))
        if not kinds <= _NODES or len(nodes) > _MOST:
            return False
        if int in kinds and not all(kind.lowest <= node <= kind.highest for node in nodes if type(node) is int):
            return False
        if float in kinds and not kind.binary and not all(is_json_float(node) for node in nodes if type(node) is float):
            return False
        maps = [node for node in nodes if type(node) is dict] if dict in kinds else []
        if any(type(key) is not str or key.startswith("$") for key in chain.from_iterable(maps)):
            return False
        lists = (node for node in nodes if type(node) is list)
        nodes = [*chain.from_iterable(map(dict.values, maps)), *chain.from_iterable(lists)]
        if not nodes:
            return True
    return False
