"""A writer of ZIP archives in which every field can be another than it should."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from etui_conformance.oracle import packed
from etui_conformance.strategies.drafts import Parts

_ALIGNMENT = 64
_LOCAL = ("needed", "flags", "method", "time", "date", "crc", "stored", "size", "name_length", "extra_length")
_CENTRAL = (
    "made_by",
    *_LOCAL,
    "comment_length",
    "disk",
    "internal",
    "external",
    "offset",
)
_END = ("disk", "start_disk", "here", "count", "length", "offset", "comment_length")


@dataclass(slots=True)
class Member:
    """A member of an archive.

    Attributes:
        name, data: as they are written.
        local, central: fields of the headers that differ from the right ones.
        extra: the extra field of the local header; by default the one that aligns the data.
        central_extra, comment: of the central header.
        gap: bytes before the local header.
    """

    name: bytes
    data: bytes
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    extra: bytes | None = None
    central_extra: bytes = b""
    comment: bytes = b""
    gap: bytes = b""

    def both(self, **fields: int) -> None:
        """Set fields of both headers."""
        self.local |= fields
        self.central |= fields


@dataclass(slots=True)
class Archive:
    """An archive to be written.

    Attributes:
        members: in order.
        before_directory, after_directory, after_end: bytes at these places.
        end: fields of the end record that differ from the right ones.
        comment: of the archive.
        zip64: whether the end records of zip64 are written.
    """

    members: list[Member]
    before_directory: bytes = b""
    after_directory: bytes = b""
    after_end: bytes = b""
    end: dict[str, int] = field(default_factory=dict)
    comment: bytes = b""
    zip64: bool = False

    def member(self, name: str) -> Member:
        """The member of a name."""
        return next(member for member in self.members if member.name == name.encode())


def archive_of(parts: Parts) -> Archive:
    """The right archive of some parts, to be changed."""
    ordered = packed.members(packed.pack(parts))
    return Archive([Member(name.encode(), parts[name]) for name in ordered])


def alignment(position: int) -> bytes:
    """The extra field of a local header whose extra fields begin at a position."""
    zeros = -(position + 6) % _ALIGNMENT
    return struct.pack("<HHH", 0xD935, 2 + zeros, _ALIGNMENT) + bytes(zeros)


def write(archive: Archive) -> bytes:
    """The bytes of an archive."""
    out = bytearray()
    directory = bytearray()
    for member in archive.members:
        out += member.gap
        offset = len(out)
        extra = alignment(offset + 30 + len(member.name)) if member.extra is None else member.extra
        right = {
            **dict.fromkeys((*_LOCAL, *_CENTRAL), 0),
            "needed": 20,
            "made_by": 20,
            "date": 0x21,
            "crc": zlib.crc32(member.data),
            "stored": len(member.data),
            "size": len(member.data),
            "name_length": len(member.name),
            "offset": offset,
        }
        local = {**right, "extra_length": len(extra), **member.local}
        central = {**right, "extra_length": len(member.central_extra), "comment_length": len(member.comment)}
        central |= member.central
        out += (
            struct.pack("<4sHHHHHIIIHH", b"PK\3\4", *(local[name] for name in _LOCAL))
            + member.name
            + extra
            + member.data
        )
        directory += struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", *(central[name] for name in _CENTRAL))
        directory += member.name + member.central_extra + member.comment
    out += archive.before_directory
    offset = len(out)
    out += directory + archive.after_directory
    if archive.zip64:
        out += _zip64(len(archive.members), len(directory), offset)
    count = len(archive.members)
    end = {**dict.fromkeys(_END, 0), "here": count, "count": count, "length": len(directory), "offset": offset}
    end |= {"comment_length": len(archive.comment), **archive.end}
    out += struct.pack("<4sHHHHIIH", b"PK\5\6", *(end[name] for name in _END)) + archive.comment + archive.after_end
    return bytes(out)


def _zip64(count: int, length: int, offset: int) -> bytes:
    """The end record of zip64 and its locator."""
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, offset)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, offset + length, 1)


def zip64_extra(*numbers: int) -> bytes:
    """The extra field of zip64 with some sizes and offsets."""
    return struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers)
