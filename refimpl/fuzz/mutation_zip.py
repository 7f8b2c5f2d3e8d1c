"""Mutations of ZIP archives that keep the rest in agreement: two headers, checksums, and offsets behind a gap."""

from __future__ import annotations

import re
import zlib
from random import Random
from typing import Final

_RECORD: Final = re.compile(rb"PK(?:\x03\x04|\x01\x02|\x05\x06|\x06\x06|\x06\x07)")
# Offset and width of the fields of each record.
_FIELDS: Final = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": (
        *((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2)),
        *((36, 2), (38, 4), (42, 4)),
    ),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
    b"PK\6\6": ((4, 8), (12, 2), (14, 2), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8)),
    b"PK\6\7": ((4, 4), (8, 8), (16, 4)),
}
_CENTRAL: Final = b"PK\1\2"
_END: Final = b"PK\5\6"


def zip_mutated(data: bytes, rng: Random) -> bytes:
    """An archive with one change, or what was no archive as it is."""
    raw = bytearray(data)
    records = [(match.start(), match.group()) for match in _RECORD.finditer(data)]
    if not records:
        return data
    way = rng.randrange(6)
    if way < 2:
        _one_field(raw, *rng.choice(records), rng)
    elif way == 2:
        _both_headers(raw, records, rng)
    elif way == 3:
        _other_content(raw, records, rng)
    elif way == 4:
        _other_name(raw, records, rng)
    else:
        _gap(raw, records, rng)
    return bytes(raw)


def _number(raw: bytearray, at: int, width: int) -> int:
    return int.from_bytes(raw[at : at + width], "little")


def _put(raw: bytearray, at: int, width: int, value: int) -> None:
    if at + width <= len(raw):
        raw[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")


def _one_field(raw: bytearray, at: int, kind: bytes, rng: Random) -> None:
    offset, width = rng.choice(_FIELDS[kind])
    now = _number(raw, at + offset, width)
    edge = (1 << 8 * width) - 1
    _put(
        raw, at + offset, width, rng.choice((now + 1, now - 1, 0, 1, 8, edge, edge - 1, 1 << rng.randrange(8 * width)))
    )


def _member(raw: bytearray, records: list[tuple[int, bytes]], rng: Random) -> tuple[int, int] | None:
    """The places of the two headers of a member."""
    central = [at for at, kind in records if kind == _CENTRAL]
    if not central:
        return None
    at = rng.choice(central)
    return at, _number(raw, at + 42, 4)


def _both_headers(raw: bytearray, records: list[tuple[int, bytes]], rng: Random) -> None:
    """Flags, method, time, checksum, stored size or size: the same in both headers."""
    found = _member(raw, records, rng)
    if found is not None:
        central, local = found
        there, here, width = rng.choice(((8, 6, 2), (10, 8, 2), (12, 10, 4), (16, 14, 4), (20, 18, 4), (24, 22, 4)))
        value = rng.choice((0, 1, 8, 1 << rng.randrange(8 * width), _number(raw, central + there, width) + 1))
        _put(raw, central + there, width, value)
        _put(raw, local + here, width, value)


def _other_content(raw: bytearray, records: list[tuple[int, bytes]], rng: Random) -> None:
    """A changed byte of a member that is stored, with the checksum that it then has."""
    found = _member(raw, records, rng)
    if found is not None:
        central, local = found
        begin = local + 30 + _number(raw, local + 26, 2) + _number(raw, local + 28, 2)
        size = min(_number(raw, central + 20, 4), max(0, len(raw) - begin))
        if size:
            raw[begin + rng.randrange(size)] ^= 1 << rng.randrange(8)
            crc = zlib.crc32(raw[begin : begin + size])
            _put(raw, central + 16, 4, crc)
            _put(raw, local + 14, 4, crc)


def _other_name(raw: bytearray, records: list[tuple[int, bytes]], rng: Random) -> None:
    """A name of the same length in both headers, or in one of them."""
    found = _member(raw, records, rng)
    if found is not None:
        central, local = found
        length = _number(raw, central + 28, 2)
        name = bytes(raw[central + 46 : central + 46 + length])
        other = rng.choice(
            (name.swapcase(), name[::-1], name.replace(b".", b"/"), b"../" + name, b"\xc3\xa9" + name[2:])
        )
        other = other[:length].ljust(length, b"x")
        for at in rng.choice(((central + 46, local + 30), (central + 46,), (local + 30,))):
            if at + length <= len(raw):
                raw[at : at + length] = other


def _gap(raw: bytearray, records: list[tuple[int, bytes]], rng: Random) -> None:
    """Bytes that belong to nothing, before a header, with all offsets behind them made right."""
    at, _ = rng.choice(records)
    gap = rng.choice((b"\0", b"\0" * 12, b"\0" * 16, b"\0" * 64, b"PK\7\x08" + b"\0" * 12))
    for place, kind in records:
        offset = {_CENTRAL: 42, _END: 16}.get(kind)
        if offset is not None and _number(raw, place + offset, 4) >= at:
            _put(raw, place + offset, 4, _number(raw, place + offset, 4) + len(gap))
    raw[at:at] = gap
