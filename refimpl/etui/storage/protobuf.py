"""Protocol Buffers on the wire: messages told by tables of their fields, decoded strictly and encoded in one way.

A table (`Schema`) says for each field number its name and kind. Fields that no table names are kept as the bytes they
were, so that a message which another program made can be changed and written again. Nothing is allocated for a length
before that many bytes are there, and the number of fields and their nesting are bounded.

The encoding is the one of https://protobuf.dev/programming-guides/encoding/. Groups, which proto3 does not have, are
refused, and so is a field that is not repeated and comes twice, which other readers take in different ways.
"""

from __future__ import annotations

import dataclasses
import gc
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits

Kind = Literal[
    "int32",
    "int64",
    "uint32",
    "uint64",
    "bool",
    "fixed32",
    "fixed64",
    "float",
    "double",
    "bytes",
    "string",
    "message",
]

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_WIRE_TYPES: dict[str, int] = {
    "int32": _VARINT,
    "int64": _VARINT,
    "uint32": _VARINT,
    "uint64": _VARINT,
    "bool": _VARINT,
    "fixed32": _FIXED32,
    "fixed64": _FIXED64,
    "float": _FIXED32,
    "double": _FIXED64,
    "bytes": _DELIMITED,
    "string": _DELIMITED,
    "message": _DELIMITED,
}
_FIXED = {
    "fixed32": struct.Struct("<I"),
    "fixed64": struct.Struct("<Q"),
    "float": struct.Struct("<f"),
    "double": struct.Struct("<d"),
}
_DEFAULTS: dict[str, Any] = {"bool": False, "float": 0.0, "double": 0.0, "bytes": b"", "string": "", "message": None}
_WIDTHS = {_FIXED32: 4, _FIXED64: 8}
_VARINT_BYTES = 10
_DEPTH = 100
_HIGHEST_FIELD = 2**29 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        name: what `Message` calls it.
        kind: of its values. Enumerations are ``int32``; a submessage that need not be looked into can be ``bytes``.
        repeated: whether it is a list. A map is a repeated message of the fields 1, key, and 2, value.
        message: the table of a ``message``.
        packed: whether a list of numbers is written in one piece, as proto3 has it; both are read.
        wire: the wire type of one value.
    """

    name: str
    kind: Kind
    repeated: bool = False
    message: Schema | None = None
    packed: bool = True
    wire: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", _WIRE_TYPES[self.kind])


@dataclass(frozen=True, slots=True)
class Schema:
    """The table of a message.

    Attributes:
        name: of the message, for errors.
        fields: field number -> field. A recursive message adds the field of its own kind after it is made.
    """

    name: str
    fields: dict[int, Field]


class Message:
    """A message: the fields that were set, by name, and those that no table names.

    Args:
        values: name -> value; a list for a repeated field, a `Message` for a ``message``.

    Attributes:
        schema: its table.
        values: what is set, in any order.
        unknown: the fields without a name, tags included, as they were.
    """

    __slots__ = ("schema", "unknown", "values")

    def __init__(self, schema: Schema, values: dict[str, Any] | None = None, unknown: bytes = b"") -> None:
        self.schema = schema
        self.values: dict[str, Any] = {} if values is None else values
        self.unknown = unknown

    def __getitem__(self, name: str) -> Any:
        """The value, or the default of its kind: an empty list, zero, empty text, or `None` for a message.

        Raises:
            KeyError: the message has no field of that name.
        """
        if name in self.values:
            return self.values[name]
        field = next((field for field in self.schema.fields.values() if field.name == name), None)
        if field is None:
            raise KeyError(name)
        return [] if field.repeated else _DEFAULTS.get(field.kind, 0)

    def __setitem__(self, name: str, value: Any) -> None:
        self.values[name] = value

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return (self.schema.name, self.values, self.unknown) == (other.schema.name, other.values, other.unknown)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{self.schema.name}({self.values!r})"


def decode(schema: Schema, data: bytes | memoryview, *, where: str = "", limits: Limits = DEFAULT_LIMITS) -> Message:
    """Decode a message.

    Args:
        schema: its table.
        data: its bytes, all of them.
        where: names the place in errors.
        limits: `document_bytes` bounds the bytes, `foreign_objects` the fields, elements of packed lists included.

    Raises:
        MalformedError: ``protobuf-syntax``.
        LimitError: ``limit-foreign``.
    """
    if len(data) > limits.document_bytes:
        raise error("limit-foreign", where=where, found=f"a message of {len(data)} bytes")
    with growing_tree():
        return _Decoder(bytes(data), where, limits.foreign_objects).message(schema, 0, len(data), 0)


@contextmanager
def growing_tree() -> Iterator[None]:
    """No search for cycles while a large tree is made: it would find nothing, and take longer than the making."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def encode(message: Message) -> bytes:
    """Encode a message: its fields by number, then those without a name; what is set is written, even a default."""
    parts: list[bytes] = []
    _encode(message, parts)
    return b"".join(parts)


def varint(number: int) -> bytes:
    """A number from 0 to 2^64 - 1 as a varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes | memoryview, at: int, end: int, where: str = "") -> tuple[int, int]:
    """The varint at `at`, and the place behind it.

    Raises:
        MalformedError: ``protobuf-syntax``: it goes beyond `end` or 64 bits.
    """
    number = shift = 0
    for place in range(at, min(end, at + _VARINT_BYTES)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                break
            return number, place + 1
        shift += 7
    raise error("protobuf-syntax", where=where, found=f"a varint without end at byte {at}")


class _Decoder:
    """Decodes one message with all below it, counting fields."""

    def __init__(self, data: bytes, where: str, fields: int) -> None:
        self._data = data
        self._where = where
        self._left = fields

    def message(self, schema: Schema, at: int, end: int, depth: int) -> Message:
        if depth > _DEPTH:
            raise error("limit-foreign", where=self._where, found=f"messages nested more than {_DEPTH} deep")
        message = Message(schema)
        unknown: list[bytes] = []
        data, where, fields = self._data, self._where, schema.fields
        while at < end:
            start = at
            # Most tags and lengths are of one byte; the call for longer ones would be the greater part of the time.
            tag, at = (data[at], at + 1) if data[at] < 0x80 else read_varint(data, at, end, where)
            self._left -= 1
            if self._left < 0:
                raise error("limit-foreign", where=where, found="a message of too many fields")
            wire = tag & 7
            if wire == _VARINT:
                value, after = read_varint(data, at, end, where)
            elif wire == _DELIMITED:
                size, value = (data[at], at + 1) if at < end and data[at] < 0x80 else read_varint(data, at, end, where)
                after = value + size
            else:
                value, after = at, at + self._width(schema, wire, at)
            if after > end:
                raise self._bad(schema, at, f"a field that ends {after - end} bytes behind its message")
            field = fields.get(tag >> 3)
            if field is not None:
                self._store(message, field, wire, (value, after), depth)
            elif 0 < tag >> 3 <= _HIGHEST_FIELD:
                unknown.append(data[start:after])
            else:
                raise self._bad(schema, start, f"the field number {tag >> 3}")
            at = after
        if unknown:
            message.unknown = b"".join(unknown)
        return message

    def _width(self, schema: Schema, wire: int, at: int) -> int:
        if wire not in _WIDTHS:
            raise self._bad(schema, at, f"the wire type {wire}")
        return _WIDTHS[wire]

    def _store(self, message: Message, field: Field, wire: int, content: tuple[int, int], depth: int) -> None:
        (value, after), values = content, message.values
        if wire == field.wire:
            if field.message is not None:
                decoded: Any = self.message(field.message, value, after, depth + 1)
            elif wire == _VARINT:
                decoded = _from_varint(field.kind, value)
            elif wire == _DELIMITED:
                decoded = self._text(message.schema, field, value, after)
            else:
                decoded = _FIXED[field.kind].unpack_from(self._data, value)[0]
            name = field.name
            if name not in values:
                values[name] = [decoded] if field.repeated else decoded
            elif field.repeated:
                values[name].append(decoded)
            else:
                raise self._bad(message.schema, after, f"{name} comes twice")
        elif field.repeated and wire == _DELIMITED:
            values.setdefault(field.name, []).extend(self._packed(message.schema, field, value, after))
        else:
            raise self._bad(message.schema, after, f"{field.name} has the wire type {wire} in place of {field.wire}")

    def _text(self, schema: Schema, field: Field, start: int, end: int) -> bytes | str:
        content = self._data[start:end]
        if field.kind == "bytes":
            return content
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._bad(schema, start, f"{field.name} is not UTF-8") from None

    def _packed(self, schema: Schema, field: Field, at: int, end: int) -> Iterator[Any]:
        form = _FIXED.get(field.kind)
        if form is not None:
            if (end - at) % form.size:
                raise self._bad(schema, at, f"{field.name} of {end - at} bytes")
            self._count((end - at) // form.size)
            for place in range(at, end, form.size):
                yield form.unpack_from(self._data, place)[0]
            return
        while at < end:
            number, at = read_varint(self._data, at, end, self._where)
            self._count(1)
            yield _from_varint(field.kind, number)

    def _count(self, fields: int) -> None:
        self._left -= fields
        if self._left < 0:
            raise error("limit-foreign", where=self._where, found="a message of too many fields")

    def _bad(self, schema: Schema, at: int, found: str) -> Exception:
        return error("protobuf-syntax", where=self._where, found=f"{schema.name}, byte {at}: {found}")


def _from_varint(kind: Kind, number: int) -> int | bool:
    if kind == "bool":
        return number != 0
    if kind == "uint64":
        return number
    bits = 64 if kind == "int64" else 32
    number &= (1 << bits) - 1
    return number - (1 << bits) if kind != "uint32" and number >> (bits - 1) else number


def _encode(message: Message, parts: list[bytes]) -> int:
    """Append the encoding of a message; gives its length."""
    before = len(parts)
    known = 0
    for number, field in sorted(message.schema.fields.items()):
        if field.name not in message.values:
            continue
        known += 1
        value = message.values[field.name]
        wire = field.wire
        if field.repeated and field.packed and wire != _DELIMITED:
            content = b"".join(_scalar(field.kind, item) for item in value)
            if content:
                parts += [varint(number << 3 | _DELIMITED), varint(len(content)), content]
            continue
        for item in value if field.repeated else [value]:
            parts.append(varint(number << 3 | wire))
            if field.kind == "message":
                place = len(parts)
                parts.append(b"")
                parts[place] = varint(_encode(item, parts))
            else:
                parts.append(_scalar(field.kind, item))
    if known != len(message.values):
        raise KeyError(f"{message.schema.name} lacks one of the fields {sorted(message.values)}")
    parts.append(message.unknown)
    return sum(map(len, parts[before:]))


def _scalar(kind: Kind, value: Any) -> bytes:
    form = _FIXED.get(kind)
    if form is not None:
        return form.pack(value)
    if kind in ("bytes", "string"):
        content: bytes = value.encode() if kind == "string" else value
        return varint(len(content)) + content
    return varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)
