"""Canonical MessagePack (SPEC.md chapter 4).

Reading is one pass that checks every format, length and order as it meets them. A large document is given to
`msgpack_proof` first, which proves of most that they are canonical, and faster. Writing sorts the maps and leaves the
formats to the msgpack library, which takes the shortest.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import msgpack

from etui.canonical import msgpack_proof
from etui.canonical.value_types import StoredTensor
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits

Tree = Any
"""A MessagePack tree: dict with str keys, list, str, bytes, int, float, bool, None or `StoredTensor`."""

_STORED_TENSOR = 1
_NAN = bytes.fromhex("7ff8000000000000")
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def decode(data: bytes | memoryview, *, where: str, limits: Limits = DEFAULT_LIMITS) -> dict[str, Tree]:
    """The tree of a MessagePack document, which must be in canonical form.

    Args:
        data: the whole document.
        where: its name, for messages.
        limits: the reader's limits.

    Raises:
        MalformedError: ``msgpack-syntax``, ``msgpack-encoding``, ``msgpack-depth``.
        InvalidError: ``msgpack-not-canonical``, ``msgpack-key``, ``msgpack-duplicate-key``, ``msgpack-extension``.
        LimitError: ``limit-document``, ``value-limit``.
    """
    if len(data) > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{len(data)} bytes")
    data = bytes(data)
    tree = msgpack_proof.read(data, limits)
    return _Decoder(data, where, limits).document() if tree is None else tree


class _Decoder:
    """One pass over the bytes of a document."""

    def __init__(self, data: bytes, where: str, limits: Limits) -> None:
        self._data = data
        self._where = where
        self._limits = limits
        self._at = 0
        self._depth = 0

    def document(self) -> dict[str, Tree]:
        """The whole document."""
        tree = self._value()
        if type(tree) is not dict:
            raise error("msgpack-syntax", where=self._where, found=f"{shown(tree)} in place of a map")
        if self._at < len(self._data):
            raise self._fail("msgpack-syntax", self._at, f"{len(self._data) - self._at} bytes after the map")
        return tree

    def _fail(self, code: str, at: int, found: str) -> EtuiError:
        return error(code, where=f"{self._where}, byte {at}", found=found)

    def _take(self, length: int) -> bytes:
        start = self._at
        if length > len(self._data) - start:
            raise self._fail("msgpack-syntax", start, f"{len(self._data) - start} bytes left where {length} should be")
        self._at = start + length
        return self._data[start : self._at]

    def _value(self) -> Tree:
        start = self._at
        first = self._take(1)[0]
        if first < 0x80:
            return first
        if first < 0x90:
            return self.map(first - 0x80, start)
        if first < 0xA0:
            return self.array(first - 0x90, start)
        if first < 0xC0:
            return self.string(first - 0xA0, start)
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first not in _FORMATS:
            raise self._fail("msgpack-syntax", start, f"the byte {first:#04x}, which begins no value")
        read, width, least = _FORMATS[first]
        return read(self, self._number(width, least, start) if width else least, start)

    def _number(self, width: int, least: int, start: int) -> int:
        """An unsigned number of `width` bytes, which must need them."""
        number = int.from_bytes(self._take(width), "big")
        if number < least:
            raise self._fail("msgpack-not-canonical", start, f"{number} in {width} bytes")
        return number

    def unsigned(self, number: int, _: int) -> int:
        return number

    def signed(self, width: int, start: int) -> int:
        number = int.from_bytes(self._take(width), "big", signed=True)
        # The lowest integer that the next shorter format holds; that of one byte is the negative fixint.
        if number >= (-(2 ** (4 * width - 1)) if width > 1 else -32):
            raise self._fail("msgpack-not-canonical", start, f"{number} in {width} bytes")
        return number

    def float(self, width: int, start: int) -> float:
        raw = self._take(width)
        if width != 8:
            raise self._fail("msgpack-not-canonical", start, "a float of 32 bits")
        value: float = struct.unpack(">d", raw)[0]
        if math.isnan(value) and raw != _NAN:
            raise self._fail("msgpack-not-canonical", start, f"the NaN {raw.hex()}")
        return value

    def limited(self, length: int, start: int) -> bytes:
        raw = self._take(length)
        if length > self._limits.string_bytes:
            raise self._fail("value-limit", start, f"{length} bytes in one string")
        return raw

    def string(self, length: int, start: int) -> str:
        raw = self.limited(length, start)
        try:
            return raw.decode()
        except UnicodeDecodeError as cause:
            raise self._fail("msgpack-encoding", self._at - length + cause.start, shown(raw[cause.start :])) from None

    def extension(self, length: int, start: int) -> StoredTensor:
        kind = self._take(1)[0]
        raw = self.limited(length, start)
        if kind != _STORED_TENSOR:
            raise self._fail("msgpack-extension", start, f"the type {kind - 0x100 if kind > 0x7F else kind}")
        try:
            return StoredTensor(raw.decode())
        except UnicodeDecodeError:
            raise self._fail("msgpack-extension", start, f"the name {shown(raw)}, which is not UTF-8") from None

    def odd_extension(self, length: int, start: int) -> StoredTensor:
        if length in _FIXED_EXTENSIONS.values():
            raise self._fail("msgpack-not-canonical", start, f"an extension of {length} bytes without its own format")
        return self.extension(length, start)

    def array(self, length: int, start: int) -> list[Tree]:
        self._enter(length, start)
        items = [self._value() for _ in range(length)]
        self._depth -= 1
        return items

    def map(self, length: int, start: int) -> dict[str, Tree]:
        self._enter(2 * length, start)
        tree: dict[str, Tree] = {}
        last = ""
        for _ in range(length):
            at = self._at
            key = self._value()
            if type(key) is not str:
                raise self._fail("msgpack-key", at, shown(key))
            # Python orders text by code points, which is the order of the UTF-8 bytes.
            if key <= last and tree:
                code = "msgpack-duplicate-key" if key in tree else "msgpack-not-canonical"
                raise self._fail(code, at, f"the key {shown(key)} after {shown(last)}")
            tree[key] = self._value()
            last = key
        self._depth -= 1
        return tree

    def _enter(self, least: int, start: int) -> None:
        """Go a level down, to items of at least one byte each."""
        if least > len(self._data) - self._at:
            raise self._fail("msgpack-syntax", start, f"{least} items in {len(self._data) - self._at} bytes")
        if self._depth == self._limits.depth:
            raise self._fail("msgpack-depth", start, f"more than {self._limits.depth} levels")
        self._depth += 1


class _Format(NamedTuple):
    """How a value goes on after its first byte.

    Attributes:
        read: takes the number and the offset of the first byte.
        width: bytes of the number that follows, a length or the value itself; 0 if none does.
        least: the smallest number that needs this format; the number itself if none follows.
    """

    read: Callable[[_Decoder, int, int], Tree]
    width: int
    least: int


_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_FORMATS = {
    0xC4: _Format(_Decoder.limited, 1, 0),
    0xC5: _Format(_Decoder.limited, 2, 2**8),
    0xC6: _Format(_Decoder.limited, 4, 2**16),
    0xC7: _Format(_Decoder.odd_extension, 1, 0),
    0xC8: _Format(_Decoder.odd_extension, 2, 2**8),
    0xC9: _Format(_Decoder.odd_extension, 4, 2**16),
    0xCA: _Format(_Decoder.float, 0, 4),
    0xCB: _Format(_Decoder.float, 0, 8),
    0xCC: _Format(_Decoder.unsigned, 1, 2**7),
    0xCD: _Format(_Decoder.unsigned, 2, 2**8),
    0xCE: _Format(_Decoder.unsigned, 4, 2**16),
    0xCF: _Format(_Decoder.unsigned, 8, 2**32),
    0xD0: _Format(_Decoder.signed, 0, 1),
    0xD1: _Format(_Decoder.signed, 0, 2),
    0xD2: _Format(_Decoder.signed, 0, 4),
    0xD3: _Format(_Decoder.signed, 0, 8),
    **{first: _Format(_Decoder.extension, 0, length) for first, length in _FIXED_EXTENSIONS.items()},
    0xD9: _Format(_Decoder.string, 1, 2**5),
    0xDA: _Format(_Decoder.string, 2, 2**8),
    0xDB: _Format(_Decoder.string, 4, 2**16),
    0xDC: _Format(_Decoder.array, 2, 2**4),
    0xDD: _Format(_Decoder.array, 4, 2**16),
    0xDE: _Format(_Decoder.map, 2, 2**4),
    0xDF: _Format(_Decoder.map, 4, 2**16),
}


def encode(document: dict[str, Tree]) -> bytes:
    """The canonical bytes of a MessagePack document.

    Raises:
        MalformedError: ``msgpack-encoding``, a lone surrogate; ``msgpack-depth``.
        InvalidError: ``msgpack-key``.
        LimitError: ``limit-document``, ``value-limit``.
        UsageError: ``value-type``, not a dict, or something in it that MessagePack has no form for.
    """
    if not isinstance(document, dict):
        raise error("value-type", found=f"{shown(document)} in place of a document")
    data: bytes = msgpack.packb(_packable(document, DEFAULT_LIMITS.depth))
    if len(data) > DEFAULT_LIMITS.document_bytes:
        raise error("limit-document", found=f"{len(data)} bytes")
    return data


def _packable(tree: Tree, levels: int) -> Any:
    """The tree as the msgpack library is to see it: maps sorted, one NaN, extensions made."""
    if isinstance(tree, list | dict):
        return _packable_items(tree, levels)
    if isinstance(tree, str):
        _utf8(tree)
    elif isinstance(tree, bytes):
        _check_length(len(tree))
    elif isinstance(tree, float) and math.isnan(tree):
        return math.nan
    elif isinstance(tree, StoredTensor):
        return msgpack.ExtType(_STORED_TENSOR, _utf8(tree.name))
    elif isinstance(tree, int) and not _LOWEST <= tree <= _HIGHEST:
        raise error("value-type", found=f"an integer of {tree.bit_length()} bits, to be tagged as `$int`")
    elif tree is not None and not isinstance(tree, int | float):  # a bool is an int
        raise error("value-type", found=f"{shown(tree)} of type {type(tree).__name__}")
    return tree


def _packable_items(tree: list[Tree] | dict[str, Tree], levels: int) -> Any:
    if not levels:
        raise error("msgpack-depth", found=f"more than {DEFAULT_LIMITS.depth} levels")
    if isinstance(tree, list):
        return [_packable(item, levels - 1) for item in tree]
    for key in tree:
        if not isinstance(key, str):
            raise error("msgpack-key", found=shown(key))
    return {_packable(key, 0): _packable(tree[key], levels - 1) for key in sorted(tree)}


def _utf8(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise error("msgpack-encoding", found=ascii(text)[:80]) from None
    _check_length(len(raw))
    return raw


def _check_length(length: int) -> None:
    if length > DEFAULT_LIMITS.string_bytes:
        raise error("value-limit", found=f"{length} bytes in one string")
