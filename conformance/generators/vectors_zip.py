"""Packed artifacts as records whose every field can be set, so that a fault of chapter 9 is one field or one record.

archive = Archive.of(parts)
archive.members[0].local["flags"] = 8
data = archive.written()
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vectors_parts import MANIFEST, Parts

from etui_conformance.oracle import json
from etui_conformance.oracle.errors import Refusal

_LOCAL = "signature version flags method time date crc size size_again name_length extra_length"
_CENTRAL = (
    "signature made_by version flags method time date crc size size_again name_length extra_length comment_length "
    "disk internal external offset"
)
_END = "signature disk directory_disk members_here members size offset comment_length"
_END64 = "signature rest made_by version disk directory_disk members_here members size offset"
_LOCATOR = "signature disk offset disks"
_GROUPS = ("data", "program native asset", "config weights training optimizer state")
ALIGNMENT = 64


@dataclass
class Member:
    """A file of the archive.

    Attributes:
        name, data: of the part.
        local, central: fields that are set otherwise than they must be, by the names of the formats above.
        padding: the extra field that aligns the data; `None` for the right one.
        local_extra, central_extra: further extra fields.
        trailer: bytes between its data and the next record.
        comment: of its central header.
    """

    name: bytes
    data: bytes
    local: dict[str, int] = field(default_factory=dict)
    central: dict[str, int] = field(default_factory=dict)
    padding: bytes | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    trailer: bytes = b""
    comment: bytes = b""
    central_name: bytes | None = None

    def common(self, fields: Mapping[str, int]) -> dict[str, Any]:
        """The fields that both headers share, some of them set otherwise."""
        found = {
            "version": 20,
            "flags": 0,
            "method": 0,
            "time": 0,
            "date": 0x21,
            "crc": zlib.crc32(self.data),
            "size": len(self.data),
            "size_again": len(self.data),
        }
        return found | dict(fields)

    def local_record(self, offset: int) -> bytes:
        """The local header, for its place in the file."""
        start = offset + 30 + len(self.name) + len(self.local_extra)
        extra = self.local_extra + (aligning(start) if self.padding is None else self.padding)
        lengths = {"signature": 0x04034B50, "name_length": len(self.name), "extra_length": len(extra)}
        return _record("<IHHHHHIIIHH", _LOCAL, lengths | self.common(self.local)) + self.name + extra

    def central_record(self, offset: int) -> bytes:
        """The central header, for the place of the local one."""
        name = self.name if self.central_name is None else self.central_name
        lengths = {
            "signature": 0x02014B50,
            "name_length": len(name),
            "extra_length": len(self.central_extra),
            "comment_length": len(self.comment),
            "disk": 0,
            "internal": 0,
            "external": 0,
            "offset": offset,
            "made_by": self.central.get("version", 20),
        }
        fields = _record("<IHHHHHHIIIHHHHHII", _CENTRAL, lengths | self.common(self.central))
        return fields + name + self.central_extra + self.comment


@dataclass
class Archive:
    """A ZIP file as canonical as its records are left.

    Attributes:
        members: in order.
        prefix, gap, suffix: bytes before the first record, before the central directory, and after the end record.
        end: fields of the end record that are set otherwise.
        end64, locator: fields of the zip64 records that are set otherwise; `None`: there is no such record.
    """

    members: list[Member]
    prefix: bytes = b""
    gap: bytes = b""
    suffix: bytes = b""
    end: dict[str, int] = field(default_factory=dict)
    end64: dict[str, int] | None = None
    locator: dict[str, int] | None = None

    @classmethod
    def of(cls, parts: Parts) -> Archive:
        """The canonical archive of parts, in which nothing is set otherwise yet."""
        return cls([Member(name.encode(), parts[name]) for name in sorted(parts, key=_place(parts))])

    def __getitem__(self, name: str) -> Member:
        return next(member for member in self.members if member.name == name.encode())

    def written(self) -> bytes:
        """The bytes of the file."""
        out = bytearray(self.prefix)
        central = b""
        for member in self.members:
            central += member.central_record(len(out))
            out += member.local_record(len(out)) + member.data + member.trailer
        out += self.gap
        counts = {
            "members_here": len(self.members),
            "members": len(self.members),
            "size": len(central),
            "offset": len(out),
        }
        counts |= {"disk": 0, "directory_disk": 0}
        out += central
        place = len(out)
        if self.end64 is not None:
            fixed = {"signature": 0x06064B50, "rest": 44, "made_by": 45, "version": 45}
            out += _record("<IQHHIIQQQQ", _END64, fixed | counts | self.end64)
        if self.locator is not None:
            out += _record(
                "<IIQI", _LOCATOR, {"signature": 0x07064B50, "disk": 0, "offset": place, "disks": 1} | self.locator
            )
        out += _record("<IHHHHIIH", _END, {"signature": 0x06054B50, "comment_length": 0} | counts | self.end)
        return bytes(out + self.suffix)


def pack(parts: Parts) -> bytes:
    """The packed form of parts, those of a faulty manifest included."""
    return Archive.of(parts).written()


def aligning(start: int, *, alignment: int = ALIGNMENT, more: int = 0) -> bytes:
    """The extra field that makes the data of a member begin at a multiple of 64.

    Args:
        start: where the field begins in the file.
        alignment: what it says.
        more: zeros beyond the fewest.
    """
    zeros = -(start + 6) % ALIGNMENT + more
    return struct.pack("<HHH", 0xD935, 2 + zeros, alignment) + bytes(zeros)


def _place(parts: Parts) -> Any:
    try:
        listed = json.decode(parts[MANIFEST])["parts"]
    except (Refusal, KeyError):
        listed = {}

    def place(name: str) -> tuple[int, bytes]:
        if name == MANIFEST:
            return 3, b""
        entry = listed.get(name) if isinstance(listed, dict) else None
        role = entry.get("role") if isinstance(entry, dict) else None
        group = next((at for at, roles in enumerate(_GROUPS) if role in roles.split()), _guess(name))
        return group, name.encode()

    return place


def _guess(name: str) -> int:
    return 0 if name.endswith(".safetensors") else 1 if "/" in name else 2


def _record(form: str, names: str, fields: Mapping[str, int]) -> bytes:
    return struct.pack(form, *(fields[name] for name in names.split()))
