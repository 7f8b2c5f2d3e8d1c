"""The order of the keys of a `$map`: that of their canonical JSON bytes (SPEC.md V-4), of which few are ever made.

A key may be a map that has maps for its keys, and so on. The text of each would be written again on each level; two keys
are therefore compared piece by piece, up to their first difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import total_ordering
from itertools import chain, zip_longest
from json.encoder import encode_basestring
from typing import Any

from etui.canonical.numbers import float_text

_HEAD = 64
"""Bytes of a key that are kept, which tell most keys from one another."""

_CONSTANTS = {None: b"null", True: b"true", False: b"false"}


@total_ordering
class KeyOrder:
    """A key by its place among others.

    Args:
        tree: the key, in the tagged form of either kind of document.
        view: gives the JSON of one node of a tree; what the node holds is given to it in its turn.
    """

    __slots__ = ("_head", "_tree", "_view", "_whole")

    def __init__(self, tree: Any, view: Callable[[Any], Any]) -> None:
        self._tree, self._view = tree, view
        head, size = [], 0
        pieces = _pieces(tree, view)
        for piece in pieces:
            head.append(piece)
            size += len(piece)
            if size >= _HEAD:
                break
        self._head = b"".join(head)
        self._whole = next(pieces, None) is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyOrder) and not self < other and not other < self

    def __hash__(self) -> int:
        return hash(self._head[:_HEAD])

    def __lt__(self, other: KeyOrder) -> bool:
        length = min(len(self._head), len(other._head))
        first, second = self._head[:length], other._head[:length]
        if first != second or (self._whole and other._whole):
            return (first, len(self._head)) < (second, len(other._head))
        for one, two in zip_longest(self._bytes(), other._bytes(), fillvalue=-1):
            if one != two:
                return one < two
        return False

    def _bytes(self) -> Iterator[int]:
        return chain.from_iterable(_pieces(self._tree, self._view))


def _pieces(tree: Any, view: Callable[[Any], Any]) -> Iterator[bytes]:
    """The canonical JSON of a tree, no more of which is made than is asked for."""
    open_nodes = [iter([(tree, False)])]
    while open_nodes:
        for node, is_text in open_nodes[-1]:
            if is_text:
                yield node
                continue
            shown = view(node)
            if type(shown) is list:
                open_nodes.append(_of_list(shown))
                break
            if type(shown) is dict:
                open_nodes.append(_of_map(shown))
                break
            yield _leaf(shown)
        else:
            open_nodes.pop()


def _of_list(items: list[Any]) -> Iterator[tuple[Any, bool]]:
    yield b"[", True
    for index, item in enumerate(items):
        if index:
            yield b",", True
        yield item, False
    yield b"]", True


def _of_map(tree: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    before = b"{"
    for key in sorted(tree, key=lambda one: one.encode("utf-16-be")):
        yield before + _leaf(key) + b":", True
        yield tree[key], False
        before = b","
    yield b"}" if tree else b"{}", True


def _leaf(value: Any) -> bytes:
    if type(value) is str:
        return encode_basestring(value).encode()
    if value is None or type(value) is bool:
        return _CONSTANTS[value]
    return (float_text(value) if type(value) is float else int.__repr__(value)).encode()
