"""Canonical MessagePack (SPEC.md, chapter 4)."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etui_conformance.oracle import limits
from etui_conformance.oracle.errors import Refusal

_NAN = bytes.fromhex("cb7ff8000000000000")
_STORED = 1
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_FAMILIES = (  # heads, and the bytes of the number that follows the first of them, doubled at each next
    (0xC4, 0xC6, 1),  # byte strings
    (0xC7, 0xC9, 1),  # extensions
    (0xCA, 0xCB, 4),  # floats
    (0xCC, 0xCF, 1),  # unsigned integers
    (0xD0, 0xD3, 1),  # signed integers
    (0xD9, 0xDB, 1),  # strings
    (0xDC, 0xDD, 2),  # arrays
    (0xDE, 0xDF, 2),  # maps
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A reference to a tensor of the document's own `tensors`: the extension of type 1 (B-9)."""

    name: str


def decode(data: bytes, at: str = "") -> Any:
    """Read a MessagePack document (B-1 to B-11).

    Returns:
        Dicts, lists, `str`, `bytes`, `int`, `float`, `bool`, `None` and `Stored`.

    Raises:
        Refusal: ``msgpack-…``, ``value-limit``, ``limit-document``.
    """
    if len(data) > limits.DOCUMENT_BYTES:
        raise Refusal("limit-document", at, f"{len(data)} bytes")
    reader = _Reader(data, at)
    value = reader.value(0)
    if not isinstance(value, dict):
        raise Refusal("msgpack-syntax", at, f"a {type(value).__name__} in place of a map")
    if reader.position != len(data):
        raise Refusal("msgpack-syntax", at, f"bytes after the map, from {reader.position} on")
    if encode(value, at) != data:
        raise Refusal("msgpack-not-canonical", at, "other bytes than the canonical ones")
    return value


def encode(value: Any, at: str = "") -> bytes:
    """The canonical MessagePack of a value, of a document or of a part of one.

    Raises:
        Refusal: the value has none: ``msgpack-depth``, ``msgpack-encoding``, ``msgpack-key``, ``value-limit``.
        TypeError, ValueError: nor is it of the types that `decode` gives, or an integer beyond 64 bits.
    """
    pieces: list[bytes] = []
    _write(value, pieces.append, at, 0)
    return b"".join(pieces)


class _Reader:
    """Reads any MessagePack whose maps have string keys; that the bytes are the canonical ones is seen afterwards."""

    def __init__(self, data: bytes, at: str) -> None:
        self.data = data
        self.at = at
        self.position = 0

    def value(self, depth: int) -> Any:
        head = self.take(1)[0]
        if head <= 0x7F:
            return head
        if head <= 0x8F:
            return self.map(head & 0x0F, depth)
        if head <= 0x9F:
            return self.array(head & 0x0F, depth)
        if head <= 0xBF:
            return self.string(head & 0x1F)
        if head >= 0xE0:
            return head - 0x100
        return self.marked(head, depth)

    def marked(self, head: int, depth: int) -> Any:
        if head in _CONSTANTS:
            return _CONSTANTS[head]
        if 0xD4 <= head <= 0xD8:
            return self.extension(1 << (head - 0xD4))
        for first, last, width in _FAMILIES:
            if first <= head <= last:
                return self.family(first, self.take(width << (head - first)), depth)
        raise Refusal("msgpack-syntax", self.at, f"the byte 0xc1 at {self.position - 1}")

    def family(self, first: int, number: bytes, depth: int) -> Any:
        """A value whose head is followed by a number, which is the value itself or a length."""
        if first == 0xD0:
            return int.from_bytes(number, "big", signed=True)
        if first == 0xCA:
            return self.float(number)
        length = int.from_bytes(number, "big")
        match first:
            case 0xC4:
                return self.bytes(length)
            case 0xC7:
                return self.extension(length)
            case 0xD9:
                return self.string(length)
            case 0xDC:
                return self.array(length, depth)
            case 0xDE:
                return self.map(length, depth)
        return length

    def take(self, length: int) -> bytes:
        """The next bytes, whose number is held against those that are left (B-10)."""
        if length > len(self.data) - self.position:
            raise Refusal("msgpack-syntax", self.at, f"{length} bytes declared at {self.position}, beyond the end")
        start, self.position = self.position, self.position + length
        return self.data[start : self.position]

    def float(self, number: bytes) -> float:
        if len(number) == 4:
            raise Refusal("msgpack-not-canonical", self.at, f"a float 32 before byte {self.position}")  # B-3
        return float(struct.unpack(">d", number)[0])

    def bytes(self, length: int) -> bytes:
        found = self.take(length)
        if length > limits.STRING_BYTES:
            raise Refusal("value-limit", self.at, f"{length} bytes in one value")
        return found

    def string(self, length: int, code: str = "msgpack-encoding") -> str:
        try:
            return self.bytes(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refusal(code, self.at, f"a string that is not UTF-8: {error.reason}") from None

    def extension(self, length: int) -> Stored:
        kind = self.take(1)[0]
        if kind != _STORED:
            raise Refusal("msgpack-extension", self.at, f"an extension of type {kind}")
        return Stored(self.string(length, "msgpack-extension"))

    def deeper(self, depth: int, entries: int, least: int) -> int:
        if depth >= limits.DEPTH:
            raise Refusal("msgpack-depth", self.at, f"nested deeper than {limits.DEPTH}")
        if entries * least > len(self.data) - self.position:
            raise Refusal("msgpack-syntax", self.at, f"{entries} entries declared at {self.position}, beyond the end")
        return depth + 1

    def array(self, length: int, depth: int) -> list[Any]:
        depth = self.deeper(depth, length, 1)
        return [self.value(depth) for _ in range(length)]

    def map(self, length: int, depth: int) -> dict[str, Any]:
        depth = self.deeper(depth, length, 2)
        found: dict[str, Any] = {}
        for _ in range(length):
            key = self.value(depth)
            if not isinstance(key, str):
                raise Refusal("msgpack-key", self.at, f"a key of the type {type(key).__name__}")
            if key in found:
                raise Refusal("msgpack-duplicate-key", self.at, f"{key!r} twice")
            found[key] = self.value(depth)
        return found


def _write(value: Any, put: Any, at: str, depth: int) -> None:
    if value is None or isinstance(value, bool):
        put({None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value])
    elif isinstance(value, int):
        put(_integer(value))
    elif isinstance(value, float):
        put(_NAN if math.isnan(value) else b"\xcb" + struct.pack(">d", value))
    elif isinstance(value, str):
        text = _utf8(value, at)
        put(_head(len(text), {31: 0xA0}, (0xD9, 0xDA, 0xDB)) + text)
    elif isinstance(value, bytes | bytearray | memoryview):
        put(_head(_bounded(len(value), at), {}, (0xC4, 0xC5, 0xC6)) + bytes(value))
    elif isinstance(value, Stored):
        name = _utf8(value.name, at)
        put(_extension_head(len(name)) + bytes([_STORED]) + name)
    elif isinstance(value, Mapping):
        _nested(depth, at)
        put(_head(len(value), {15: 0x80}, (None, 0xDE, 0xDF)))
        for key in _sorted_keys(value, at):
            _write(key, put, at, depth + 1)
            _write(value[key], put, at, depth + 1)
    elif isinstance(value, Sequence):
        _nested(depth, at)
        put(_head(len(value), {15: 0x90}, (None, 0xDC, 0xDD)))
        for item in value:
            _write(item, put, at, depth + 1)
    else:
        raise TypeError(f"{type(value).__name__} has no MessagePack")


def _nested(depth: int, at: str) -> None:
    if depth >= limits.DEPTH:
        raise Refusal("msgpack-depth", at, f"nested deeper than {limits.DEPTH}")


def _bounded(length: int, at: str) -> int:
    if length > limits.STRING_BYTES:
        raise Refusal("value-limit", at, f"{length} bytes in one value")
    return length


def _utf8(text: str, at: str) -> bytes:
    try:
        found = text.encode()
    except UnicodeEncodeError:
        raise Refusal("msgpack-encoding", at, "a lone surrogate") from None
    _bounded(len(found), at)
    return found


def _sorted_keys(value: Mapping[Any, Any], at: str) -> list[str]:
    for key in value:
        if not isinstance(key, str):
            raise Refusal("msgpack-key", at, f"a key of the type {type(key).__name__}")
    return sorted(value, key=lambda key: _utf8(key, at))


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return value.to_bytes(1, "big", signed=value < 0)
    first = 0xCC if value >= 0 else 0xD0
    for step in range(4):
        try:
            return bytes([first + step]) + value.to_bytes(1 << step, "big", signed=value < 0)
        except OverflowError:
            continue
    raise ValueError(f"an integer of {value.bit_length()} bits")


def _head(length: int, fixed: Mapping[int, int], marks: tuple[int | None, int, int]) -> bytes:
    """The shortest head for a length: the fixed format, then those of 8, 16 and 32 bits that the family has (B-4)."""
    for most, mark in fixed.items():
        if length <= most:
            return bytes([mark | length])
    for step, family in enumerate(marks):
        if family is not None and length < 1 << (8 << step):
            return bytes([family]) + length.to_bytes(1 << step, "big")
    raise ValueError(f"{length} is beyond 32 bits")


def _extension_head(length: int) -> bytes:
    if length in (1, 2, 4, 8, 16):
        return bytes([0xD4 + length.bit_length() - 1])
    return _head(length, {}, (0xC7, 0xC8, 0xC9))
