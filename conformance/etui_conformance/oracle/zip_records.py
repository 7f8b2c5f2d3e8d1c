"""The records of a ZIP archive, each of which has one form only (Z-3 to Z-11)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

from etui_conformance.oracle.errors import Refusal

Archive: TypeAlias = "bytes | mmap"

LIMIT_16 = 0xFFFF
LIMIT_32 = 0xFFFFFFFF

_ALIGNMENT = 64
_ZIP64_ID = 0x0001
_ALIGNMENT_ID = 0xD935
_DATE = 0x0021

# Signature, version needed, flags, method, time, date, CRC-32, stored size, size, length of name, of extra fields.
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
# Signature, version made by, then as above, length of comment, disk, attributes twice, offset of the local header.
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
# Signature, disk, disk of the directory, members on it, members, size and offset of the directory, length of comment.
_END = struct.Struct("<4sHHHHIIH")
# Signature, size of the rest, versions, disk, disk of the directory, members on it, members, size and offset.
_END_64 = struct.Struct("<4sQHHIIQQQQ")
# Signature, disk of the record above, its offset, disks.
_LOCATOR = struct.Struct("<4sIQI")

_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_END_64_MARK, _LOCATOR_MARK = b"PK\6\6", b"PK\6\7"


@dataclass(frozen=True, slots=True)
class Member:
    """What the central directory says of a member.

    Attributes:
        name: as it is written.
        size, crc: of its data.
        offset: of its local header.
    """

    name: bytes
    size: int
    crc: int
    offset: int


@dataclass(frozen=True, slots=True)
class End:
    """What the end of an archive says: how many members, and where their directory is."""

    members: int
    offset: int
    size: int

    @property
    def is_large(self) -> bool:
        """Whether the end records of zip64 must be there (Z-9)."""
        return self.members >= LIMIT_16 or max(self.size, self.offset) >= LIMIT_32


def local_header(member: Member) -> bytes:
    """The local header of a member, up to its data (Z-3 to Z-6)."""
    large = member.size >= LIMIT_32
    zip64 = struct.pack("<HHQQ", _ZIP64_ID, 16, member.size, member.size) if large else b""
    plain = member.offset + _LOCAL.size + len(member.name) + len(zip64) + 6
    zeros = -plain % _ALIGNMENT
    extra = zip64 + struct.pack("<HHH", _ALIGNMENT_ID, 2 + zeros, _ALIGNMENT) + bytes(zeros)
    size = LIMIT_32 if large else member.size
    version = 45 if large else 20
    fields = (version, 0, 0, 0, _DATE, member.crc, size, size, len(member.name), len(extra))
    return _LOCAL.pack(_LOCAL_MARK, *fields) + member.name + extra


def central_header(member: Member) -> bytes:
    """The central header of a member (Z-3, Z-5, Z-6)."""
    large, far = member.size >= LIMIT_32, member.offset >= LIMIT_32
    wide = ([member.size, member.size] if large else []) + ([member.offset] if far else [])
    extra = struct.pack(f"<HH{len(wide)}Q", _ZIP64_ID, 8 * len(wide), *wide) if wide else b""
    size = LIMIT_32 if large else member.size
    version = 45 if wide else 20
    fields = (version, version, 0, 0, 0, _DATE, member.crc, size, size, len(member.name), len(extra), 0, 0, 0, 0)
    return _CENTRAL.pack(_CENTRAL_MARK, *fields, min(member.offset, LIMIT_32)) + member.name + extra


def directory(members: Sequence[Member], offset: int) -> bytes:
    """The central directory at an offset, and the records of the end (Z-8, Z-9)."""
    headers = b"".join(map(central_header, members))
    return headers + end_records(End(len(members), offset, len(headers)))


def end_records(end: End) -> bytes:
    """What follows the central directory: the end record, after those of zip64 where these must be."""
    count = min(end.members, LIMIT_16)
    size, offset = min(end.size, LIMIT_32), min(end.offset, LIMIT_32)
    last = _END.pack(_END_MARK, 0, 0, count, count, size, offset, 0)
    if not end.is_large:
        return last
    first = _END_64.pack(_END_64_MARK, 44, 45, 45, 0, 0, end.members, end.members, end.size, end.offset)
    return first + _LOCATOR.pack(_LOCATOR_MARK, 0, end.offset + end.size, 1) + last


def read_end(data: Archive, at: str) -> End:
    """Read the end records (Z-8 to Z-11).

    Raises:
        Refusal: ``zip-truncated``, ``zip-layout``, ``zip-field``, ``zip-zip64``.
    """
    begin = len(data) - _END.size
    if begin < 0 or data[begin : begin + 4] != _END_MARK:
        raise _no_end(data, at)
    _, disk, start_disk, here, count, size, offset, comment = _END.unpack(data[begin:])
    if comment:
        raise Refusal("zip-truncated", at, "a comment that is not there")
    if disk or start_disk or here != count:
        raise Refusal("zip-field", at, "an end record with a second disk")
    end = End(count, offset, size)
    locator = max(0, begin - _LOCATOR.size)
    has_64 = data[locator : locator + 4] == _LOCATOR_MARK
    if has_64:
        end = _read_end_64(data, locator, at)
    if has_64 != end.is_large:
        raise Refusal("zip-zip64", at, "end records of zip64 " + ("without need" if has_64 else "that are not there"))
    if end.offset + end.size > len(data):  # or it may be beyond 64 bits, which no record has room for
        raise Refusal("zip-layout", at, "a directory that ends beyond the file")
    records = end_records(end)
    if end.offset + end.size + len(records) != len(data):
        raise Refusal("zip-layout", at, "end records that do not follow the directory")
    if data[end.offset + end.size :] != records:
        raise Refusal("zip-zip64", at, "fields of the end record that zip64 takes, or takes not")
    return end


def _read_end_64(data: Archive, locator: int, at: str) -> End:
    _, disk, position, disks = _LOCATOR.unpack(data[locator : locator + _LOCATOR.size])
    if disk or disks != 1:
        raise Refusal("zip-field", at, "a locator of a second disk")
    record = data[position : position + _END_64.size]
    if position != locator - _END_64.size or record[:4] != _END_64_MARK:
        raise Refusal("zip-zip64", at, "no end record of zip64 before its locator")
    _, rest, made, needed, disk, start_disk, here, count, size, offset = _END_64.unpack(record)
    if disk or start_disk or here != count:
        raise Refusal("zip-field", at, "an end record of zip64 with a second disk")
    if (rest, made, needed) != (44, 45, 45):
        raise Refusal("zip-zip64", at, "an end record of zip64 with extensible data or other versions")
    return End(count, offset, size)


def _no_end(data: Archive, at: str) -> Refusal:
    """Why no end record ends the file: a comment, other bytes after it, or there is none."""
    begin = data.rfind(_END_MARK, max(0, len(data) - _END.size - LIMIT_16))
    if begin >= 0 and begin + _END.size <= len(data):
        comment = int.from_bytes(data[begin + _END.size - 2 : begin + _END.size], "little")
        if comment and begin + _END.size + comment == len(data):
            return Refusal("zip-field", at, "a comment of the archive")
        if begin + _END.size + comment < len(data):
            return Refusal("zip-layout", at, "bytes after the end record")
    return Refusal("zip-truncated", at, "no end record at the end")


def read_directory(data: Archive, end: End, at: str) -> Iterator[Member]:
    """Read the central headers (Z-3, Z-5 to Z-8, Z-10).

    Raises:
        Refusal: ``zip-layout``, ``zip-field``, ``zip-zip64``.
    """
    position, stop = end.offset, end.offset + end.size
    for _ in range(end.members):
        fixed = data[position : min(stop, position + _CENTRAL.size)]
        if len(fixed) < _CENTRAL.size or fixed[:4] != _CENTRAL_MARK:
            raise Refusal("zip-layout", at, f"no central header at {position}")
        *_, crc, _, size, name_length, extra_length, comment, _, _, _, offset = _CENTRAL.unpack(fixed)
        length = _CENTRAL.size + name_length + extra_length + comment
        if position + length > stop:
            raise Refusal("zip-layout", at, f"a central header at {position} beyond the directory")
        header = data[position : position + length]
        name = header[_CENTRAL.size : _CENTRAL.size + name_length]
        extra = header[_CENTRAL.size + name_length : length - comment]
        member = _member(name, size, crc, offset, extra)
        if header != central_header(member):
            raise _central_fault(header, member)
        yield member
        position += length
    if position != stop:
        raise Refusal("zip-layout", at, "bytes after the last central header")


def _member(name: bytes, size: int, crc: int, offset: int, extra: bytes) -> Member:
    """The member that a central header describes; what zip64 should not have said is seen when it is written anew."""
    where = name.decode("latin-1")
    wide: list[int] = []
    if extra:
        kind, length = struct.unpack("<HH", extra[:4].ljust(4, b"\0"))
        if kind != _ZIP64_ID or len(extra) != 4 + length:
            raise Refusal("zip-field", where, "an extra field in the central header that is not that of zip64")
        if length not in (8, 16, 24):
            raise Refusal("zip-zip64", where, f"a zip64 field of {length} bytes")
        wide = list(struct.unpack(f"<{length // 8}Q", extra[4:]))
    if len(wide) >= 2:
        size, stored, *wide = wide
        if size != stored:
            raise Refusal("zip-zip64", where, "two sizes in the zip64 field")
    return Member(name, size, crc, wide[0] if wide else offset)


def _central_fault(header: bytes, member: Member) -> Refusal:
    """Which field of a central header is not as it should be: one of the fixed ones, or those of zip64."""
    where = member.name.decode("latin-1")
    expected = central_header(member)
    if len(header) != len(expected):
        return Refusal(
            "zip-field" if _CENTRAL.unpack(header[: _CENTRAL.size])[12] else "zip-zip64", where, "its length"
        )
    found, right = (_CENTRAL.unpack(each[: _CENTRAL.size]) for each in (header, expected))
    wide = {8, 9, 16}  # the sizes and the offset, which zip64 takes
    differing = {index for index, pair in enumerate(zip(found, right, strict=True)) if pair[0] != pair[1]}
    large = member.size >= LIMIT_32 or member.offset >= LIMIT_32
    return Refusal("zip-zip64" if differing <= wide and large else "zip-field", where, "a field of the central header")


def check_local(data: Archive, member: Member, end: int, where: str) -> int:
    """Hold a local header against the central one (Z-3 to Z-8).

    Returns:
        Where the member's data begins; it ends before `end`.

    Raises:
        Refusal: ``zip-layout``, ``zip-field``, ``zip-zip64``, ``zip-alignment``.
    """
    expected = local_header(member)
    begin = member.offset + len(expected)
    found = data[member.offset : min(end, begin)]
    if found != expected:
        raise _local_fault(data[member.offset : end], expected, member, where)
    if begin + member.size > end:
        raise Refusal("zip-layout", where, "data beyond the directory")
    return begin


def _local_fault(found: bytes, expected: bytes, member: Member, where: str) -> Refusal:
    fixed = found[: _LOCAL.size]
    if len(fixed) < _LOCAL.size or fixed[:4] != _LOCAL_MARK:
        return Refusal("zip-layout", where, f"no local header at {member.offset}")
    fields, right = _LOCAL.unpack(fixed), _LOCAL.unpack(expected[: _LOCAL.size])
    # All but the length of the extra fields, which are looked at below.
    if fields[2:7] != right[2:7] or fields[9] != right[9]:
        return Refusal("zip-field", where, "a field of the local header")
    if found[_LOCAL.size : _LOCAL.size + len(member.name)] != member.name:
        return Refusal("zip-field", where, "another name in the local header")
    extra = found[_LOCAL.size + len(member.name) :][: fields[10]]
    large = member.size >= LIMIT_32
    if (extra[:2] == struct.pack("<H", _ZIP64_ID)) != large:
        return Refusal("zip-zip64", where, "the zip64 field of the local header")
    if large and (fields[7:9] != right[7:9] or extra[:20] != expected[_LOCAL.size + len(member.name) :][:20]):
        return Refusal("zip-zip64", where, "the sizes of a large member in the local header")
    if fields[1] != right[1] or fields[7:9] != right[7:9]:
        return Refusal("zip-field", where, "the version or the sizes in the local header")
    return _extra_fault(extra[20:] if large else extra, where)


def _extra_fault(extra: bytes, where: str) -> Refusal:
    """Why extra fields are not the one that aligns: another field is among them, or this one is not as it should be."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack("<HH", extra[position : position + 4])
        if kind != _ALIGNMENT_ID:
            return Refusal("zip-field", where, f"an extra field of the id {kind:#06x}")
        position += 4 + length
    return Refusal("zip-alignment", where, "the extra field that aligns")
