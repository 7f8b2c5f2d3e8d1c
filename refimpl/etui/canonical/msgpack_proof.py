"""A quick proof that a large MessagePack document is canonical (SPEC.md chapter 4).

The msgpack library reads it and writes it again. If that gives the same bytes, each value has its shortest format, and
what is left to check is what the library lets pass: the order of keys, NaN, depth, and types that no document has.
"""

from __future__ import annotations

from itertools import chain, islice
from math import isnan
from operator import lt
from typing import Any

import msgpack
import numpy as np

from etui.canonical.value_types import StoredTensor
from etui.limits import Limits

LEAST_BYTES = 2**15
"""A document below this size is read value by value, which takes no time there."""

_STORED_TENSOR = 1
_TEXT = frozenset({str})
_KINDS = frozenset({str, int, bool, type(None), bytes, float, StoredTensor, dict, list})


class _UnknownError(Exception):
    """The proof did not succeed."""


def read(data: bytes, limits: Limits) -> dict[str, Any] | None:
    """The tree of a document of which this proves that it is canonical, or `None`."""
    if len(data) < LEAST_BYTES or not _lists_fit(data):
        return None
    longest = min(limits.string_bytes, len(data))
    try:
        tree = msgpack.unpackb(
            data,
            ext_hook=_extension,
            max_str_len=longest,
            max_bin_len=longest,
            max_ext_len=longest,
        )
        if type(tree) is not dict:
            return None
        _check(tree, limits.depth)
        same = msgpack.packb(tree, default=_packable) == data
    # Whatever the library has to say of a document, the slow reading says it in our words.
    except (_UnknownError, ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException):
        return None
    return tree if same else None


def _lists_fit(data: bytes) -> bool:
    """Whether the lengths of lists, for which the library takes memory at once, add up to no more than the document.

    Every byte that may begin a long list counts, also one inside of a text: then it is merely not sure.
    """
    array = np.frombuffer(data, np.uint8)
    total = 0
    for first, width in ((0xDC, 2), (0xDD, 4)):
        found = np.flatnonzero(array == first)
        if len(found) > 16 + len(data) // 256:
            return False
        total += sum(int.from_bytes(data[at + 1 : at + 1 + width], "big") for at in found.tolist())
    return total <= len(data)


def _extension(kind: int, raw: bytes) -> StoredTensor:
    if kind != _STORED_TENSOR:
        raise _UnknownError
    return StoredTensor(raw.decode())


def _packable(value: Any) -> Any:
    if type(value) is StoredTensor:
        return msgpack.ExtType(_STORED_TENSOR, value.name.encode())
    raise _UnknownError


def _check(tree: dict[str, Any], levels: int) -> None:
    """Check that maps have ascending text keys, and all values types of a document, level by level."""
    nodes: list[Any] = [tree]
    while nodes:
        if not levels:
            raise _UnknownError
        levels -= 1
        maps = [node for node in nodes if type(node) is dict]
        # Of many maps, few have other keys.
        for keys in set(map(tuple, maps)):
            if not _TEXT.issuperset(map(type, keys)) or not all(map(lt, keys, islice(keys, 1, None))):
                raise _UnknownError
        lists = (node for node in nodes if type(node) is list)
        values = [*chain.from_iterable(map(dict.values, maps)), *chain.from_iterable(lists)]
        kinds = set(map(type, values))
        if not kinds <= _KINDS:
            raise _UnknownError
        if float in kinds and any(map(isnan, [value for value in values if type(value) is float])):
            raise _UnknownError  # NaN has many forms
        nodes = [value for value in values if type(value) is dict or type(value) is list]
