"""Faults of the packed form (chapter 9)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import seal
from etui_conformance.strategies.faults.base import Case, Fault, Given, Host, Ways, register
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.zips import Archive, Member, alignment, archive_of, write, zip64_extra
from etui_conformance.strategies.scope import Scope

Change = Callable[[st.DrawFn, Archive], bytes | None]

_HOST = Host(("weights",))
_TWO = Host(("config", "weights"))
_WITH_ASSET = Host(
    ("weights",), parts={"assets/host.txt": {"role": "asset", "media_type": "text/plain", "data": b"host"}}
)


def _in_archive(
    clauses: str, codes: str, name: str, host: Host = _HOST, *, full: bool = False
) -> Callable[[Change], Change]:
    """Declare a fault that changes the archive, or gives its bytes."""

    def declare(change: Change) -> Change:
        def case(draw: st.DrawFn, scope: Scope, ways: Ways) -> Case:
            parts = seal(host.draw(draw, scope))

            def make(turn: st.DrawFn) -> Given:
                archive = archive_of(parts)
                changed = change(turn, archive)
                return Given(packed=write(archive) if changed is None else changed)

            return Case(Given(packed=write(archive_of(parts))), ways.made(draw, make))

        needs = host.capabilities() | {"packed"}
        register(Fault(tuple(clauses.split()), tuple(codes.split()), name, needs, case, full))
        return change

    return declare


def _any(draw: st.DrawFn, archive: Archive) -> Member:
    """A member that is not the last, the manifest."""
    return archive.members[draw(st.integers(0, len(archive.members) - 2))]


@_in_archive("Z-1", "zip-members", "member that is not listed")
def _unlisted(draw: st.DrawFn, archive: Archive) -> None:
    archive.members.insert(len(archive.members) - 1, Member(pick(draw, b"zz.json", b"assets/zz", b"zz"), b"{}"))


@_in_archive("Z-1", "zip-members", "listed part without a member", _WITH_ASSET)
def _absent(_draw: st.DrawFn, archive: Archive) -> None:
    archive.members.remove(archive.member("assets/host.txt"))


@_in_archive("Z-1", "zip-members", "no manifest")
def _no_manifest(_draw: st.DrawFn, archive: Archive) -> None:
    archive.members.pop()


@_in_archive("Z-1", "zip-members", "member twice")
def _twice(draw: st.DrawFn, archive: Archive) -> None:
    index = draw(st.integers(0, len(archive.members) - 2))
    member = archive.members[index]
    archive.members.insert(index + 1, Member(member.name, member.data))


@_in_archive("Z-2", "zip-order", "members of two groups changed", _TWO)
def _order(draw: st.DrawFn, archive: Archive) -> None:
    names = [member.name.decode() for member in archive.members]
    data = max(index for index, name in enumerate(names) if name.endswith(".safetensors"))
    document = names.index("weights.json")
    one, other = pick(draw, (data, document), (document, len(names) - 1))
    archive.members[one], archive.members[other] = archive.members[other], archive.members[one]


@_in_archive("Z-2", "zip-order", "members of one group changed", _TWO)
def _order_in_group(_draw: st.DrawFn, archive: Archive) -> None:
    first, second = archive.member("config.json"), archive.member("weights.json")
    at, other = archive.members.index(first), archive.members.index(second)
    archive.members[at], archive.members[other] = second, first


def _header_fault(clauses: str, name: str, *fields: dict[str, int]) -> None:
    """Declare a fault of fields that both headers have alike."""

    @_in_archive(clauses, "zip-field", name)
    def change(draw: st.DrawFn, archive: Archive) -> None:
        _any(draw, archive).both(**pick(draw, *fields))


_header_fault("Z-3", "compression method", {"method": 8}, {"method": 12}, {"method": 93})
_header_fault("Z-3", "time", {"time": 1}, {"time": 0x6000})
_header_fault("Z-3", "date", {"date": 0}, {"date": 0x22}, {"date": 0x5A21})
_header_fault("Z-3", "flags", {"flags": 0x800}, {"flags": 2}, {"flags": 0x10})
_header_fault("Z-10 Z-3", "encrypted member", {"flags": 1}, {"flags": 0x41})
_header_fault("Z-10 Z-3", "data descriptor", {"flags": 8})


@_in_archive("Z-3", "zip-field", "two sizes")
def _sizes(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    member.both(size=len(member.data) + draw(st.integers(1, 9)))


@_in_archive("E-4 Z-3 H-7", "zip-crc", "another CRC-32", full=True)
def _crc(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    member.both(crc=zlib.crc32(member.data) ^ 1 << draw(st.integers(0, 31)))


def _extra_at(archive: Archive, member: Member) -> int:
    """Where the extra fields of a member begin."""
    position = 0
    for one in archive.members:
        if one is member:
            return position + 30 + len(one.name)
        start = position + 30 + len(one.name)
        position = start + len(alignment(start)) + len(one.data)
    raise ValueError("not a member of the archive")


@_in_archive("Z-4", "zip-alignment", "padding that is not zero")
def _padding(draw: st.DrawFn, archive: Archive) -> None:
    for member in archive.members[draw(st.integers(0, len(archive.members) - 1)) :] + archive.members:
        right = alignment(_extra_at(archive, member))
        if len(right) > 6:
            member.extra = right[:-1] + b"\1"
            return


@_in_archive("Z-4", "zip-alignment", "more padding than needed")
def _more_padding(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    zeros = -(_extra_at(archive, member) + 6) % 64 + 64
    member.extra = struct.pack("<HHH", 0xD935, 2 + zeros, 64) + bytes(zeros)


@_in_archive("Z-4", "zip-alignment", "data that is not aligned")
def _unaligned(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    zeros = -(_extra_at(archive, member) + 6) % 64 + draw(st.integers(1, 63))
    member.extra = struct.pack("<HHH", 0xD935, 2 + zeros, 64) + bytes(zeros)


@_in_archive("Z-4", "zip-alignment", "another alignment")
def _other_alignment(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    right = alignment(_extra_at(archive, member))
    member.extra = right[:4] + struct.pack("<H", pick(draw, 0, 1, 32, 128, 4096)) + right[6:]


@_in_archive("Z-4", "zip-alignment zip-field", "no extra field")
def _no_extra(draw: st.DrawFn, archive: Archive) -> None:
    _any(draw, archive).extra = b""


@_in_archive("Z-10 Z-4", "zip-field zip-alignment", "extra field of another id")
def _extra_id(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    right = alignment(_extra_at(archive, member))
    member.extra = struct.pack("<H", pick(draw, 0x5455, 0x7875, 0xD934)) + right[2:]


@_in_archive("Z-10", "zip-field", "extra field in the central header")
def _central_extra(draw: st.DrawFn, archive: Archive) -> None:
    _any(draw, archive).central_extra = struct.pack("<HHH", pick(draw, 0xD935, 0x5455), 2, 64)


@_in_archive("Z-5", "zip-zip64 zip-field", "zip64 field of a small member")
def _small_zip64(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    size = len(member.data)
    if pick(draw, True, False):
        position = _extra_at(archive, member)
        field = zip64_extra(size, size)
        member.extra = field + alignment(position + len(field))
        member.local |= {"needed": 45, "stored": 0xFFFFFFFF, "size": 0xFFFFFFFF}
    else:
        member.central_extra = zip64_extra(size, size)
        member.central |= {"needed": 45, "made_by": 45, "stored": 0xFFFFFFFF, "size": 0xFFFFFFFF}


@_in_archive("Z-6", "zip-field", "version needed")
def _needed(draw: st.DrawFn, archive: Archive) -> None:
    version = pick(draw, 10, 45, 63, 0)
    member = _any(draw, archive)
    if draw(st.booleans()):
        member.local["needed"] = version
    else:
        member.central["needed"] = version


@_in_archive("Z-6", "zip-field", "version made by")
def _made_by(draw: st.DrawFn, archive: Archive) -> None:
    _any(draw, archive).central["made_by"] = pick(draw, 0x0314, 45, 63, 0)


@_in_archive("Z-6", "zip-field", "attributes and disk")
def _attributes(draw: st.DrawFn, archive: Archive) -> None:
    field, value = pick(draw, ("external", 0o100644 << 16), ("external", 16), ("internal", 1), ("disk", 1))
    _any(draw, archive).central[field] = value


@_in_archive("Z-7", "zip-field", "headers that differ")
def _differ(draw: st.DrawFn, archive: Archive) -> None:
    member = _any(draw, archive)
    field = pick(draw, "crc", "date", "flags", "method", "time")
    right = {"crc": zlib.crc32(member.data), "date": 0x21}.get(field, 0)
    pick(draw, member.local, member.central)[field] = right ^ pick(draw, 1, 8)


@_in_archive("Z-7", "zip-field", "names that differ")
def _names(_draw: st.DrawFn, archive: Archive) -> bytes:
    data = write(archive)
    name = b"weights.json"
    at = data.find(name)
    return data[:at] + b"Weights.json" + data[at + len(name) :]


@_in_archive("Z-8", "zip-layout", "gap between two members")
def _gap(draw: st.DrawFn, archive: Archive) -> None:
    archive.members[draw(st.integers(1, len(archive.members) - 1))].gap = bytes(draw(st.integers(1, 70)))


@_in_archive("Z-8", "zip-layout", "bytes before the first member")
def _prefix(draw: st.DrawFn, archive: Archive) -> None:
    archive.members[0].gap = pick(draw, b"MZ", b"#!/bin/sh\n", bytes(64))


@_in_archive("Z-8", "zip-layout", "bytes before the central directory")
def _before(draw: st.DrawFn, archive: Archive) -> None:
    archive.before_directory = bytes(draw(st.integers(1, 70)))


@_in_archive("Z-8", "zip-layout", "bytes after the central directory")
def _after(draw: st.DrawFn, archive: Archive) -> None:
    archive.after_directory = bytes(draw(st.integers(1, 70)))


@_in_archive("Z-8 Z-11", "zip-layout zip-truncated", "bytes after the end")
def _suffix(draw: st.DrawFn, archive: Archive) -> None:
    archive.after_end = bytes(draw(st.integers(1, 70)))


@_in_archive("Z-9", "zip-zip64", "end record of zip64 without need")
def _zip64(_draw: st.DrawFn, archive: Archive) -> None:
    archive.zip64 = True


@_in_archive("Z-10", "zip-field", "comment of a member")
def _member_comment(draw: st.DrawFn, archive: Archive) -> None:
    _any(draw, archive).comment = pick(draw, b"a", b"a comment", b"\0")


@_in_archive("Z-10 Z-11", "zip-field zip-truncated zip-layout", "comment of the archive")
def _comment(draw: st.DrawFn, archive: Archive) -> None:
    archive.comment = pick(draw, b"a", b"a comment", bytes(100))


@_in_archive("Z-10", "zip-field", "second disk")
def _disk(draw: st.DrawFn, archive: Archive) -> None:
    fields = ({"disk": 1}, {"start_disk": 1}, {"here": len(archive.members) - 1})
    archive.end |= pick(draw, *fields)


@_in_archive("Z-11", "zip-truncated", "file that ends early")
def _truncated(draw: st.DrawFn, archive: Archive) -> bytes:
    data = write(archive)
    return data[: draw(st.integers(0, len(data) - 1))]
