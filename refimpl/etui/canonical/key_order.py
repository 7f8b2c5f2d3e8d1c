"""The order of the keys of a `$map`: that of their canonical JSON bytes (SPEC.md V-4), of which few are ever made.

A key may be a map that has maps for its keys, and so on. The text of each would be written again on each level;
two keys are therefore compared piece by piece, up to their first difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from json.encoder import encode_basestring
from typing import Any

from etui.canonical.numbers import float_text

View = Callable[[Any], Any]
"""Gives the JSON of a node of a tree; what the node holds is given to it in its turn."""

_HEAD = 64
_CONSTANTS = {None: b"null", True: b"true", False: b"false"}


class _Rest:
    """A key whose first bytes are another's, too."""

    __hash__ = None  # type: ignore[assignment]  # it is compared and kept nowhere
    __slots__ = ("_text",)

    def __init__(self, tree: Any, view: View) -> None:
        self._text = tree, view

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(_pieces(*self._text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rest) and all(one == two for one, two in zip_longest(self, other))

    def __lt__(self, other: _Rest) -> bool:
        pairs = zip_longest(self, other, fillvalue=-1)
        return next((one < two for one, two in pairs if one != two), False)


def key_order(tree: Any, view: View) -> tuple[bytes, _Rest]:
    """A key as something to sort by: its first bytes, which tell most keys from one another, and what decides else.

    Args:
        tree: the key, in the tagged form of either kind of document.
        view: of that kind.
    """
    head = b""
    for piece in _pieces(tree, view):
        head += piece[:_HEAD]
        if len(head) >= _HEAD:
            break
    return head[:_HEAD], _Rest(tree, view)


def _pieces(tree: Any, view: View) -> Iterator[bytes]:
    """The canonical JSON of a tree, no more of which is made than is asked for."""
    open_nodes: list[Iterator[tuple[Any, bool]]] = [iter([(tree, False)])]
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
