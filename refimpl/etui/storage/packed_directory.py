"""Reads the headers of a packed artifact and refuses each that differs from the canonical one (clauses Z-1 to Z-11)."""

from __future__ import annotations

from typing import NamedTuple

from etui.errors import EtuiError, error, shown
from etui.limits import Limits
from etui.storage import zip_records as z
from etui.storage.base import ByteSource
from etui.storage.packed_layout import Member, end_records
from etui.storage.part_names import MANIFEST, check_part_name

_TAIL_FAULTS: dict[z.TailFault, tuple[str, str]] = {
    "truncated": ("zip-truncated", "no end record at the end of the file"),
    "comment": ("zip-field", "a comment"),
    "trailing": ("zip-layout", "bytes after the end record"),
    "zip64": ("zip-zip64", "an end record that asks for zip64 records, or has a locator, without the whole"),
}
_NAMED_FIELDS = {
    "flags": "flags",
    "method": "compression method",
    "time": "time",
    "date": "date",
    "crc": "CRC-32",
    "stored_size": "compressed size",
    "size": "size",
    "name_length": "length of the name",
    "extra_length": "length of the extra field",
    "comment_length": "length of the comment",
    "disk": "disk number",
    "internal_attributes": "internal attributes",
    "external_attributes": "external attributes",
    "made_by": "version made by",
    "needed": "version needed",
}
_ENTRY_BYTES = z.CENTRAL.size + 28  # and the name: the longest canonical entry has three zip64 values


def most_directory_bytes(count: int, limits: Limits) -> int:
    """The size that a directory of so many members can have."""
    return count * (_ENTRY_BYTES + limits.part_name_bytes)


def read_directory(source: ByteSource, limits: Limits, *, head: bool = True) -> dict[str, Member]:
    """The members of a packed artifact by name, in their order, from the tail of the file alone.

    Args:
        source: the whole file.
        limits: the limits in force.
        head: look at the first bytes too, which a local file has at hand.

    Raises:
        RejectError: ``zip-truncated``, ``zip-layout``, ``zip-field``, ``zip-zip64``, ``zip-members``, ``part-name``,
            ``limit-parts``, ``limit-path``.
    """
    if head:
        _check_head(source)
    tail = _checked_tail(source, limits)
    # A longer directory has an entry that is refused before its end is reached.
    readable = min(tail.directory_size, most_directory_bytes(tail.count, limits))
    raw = source.read(tail.directory_offset, readable)
    members: dict[str, Member] = {}
    at = offset = 0
    member: Member | None = None
    for number in range(tail.count):
        where = f"central directory, entry {number}"
        before = member
        member, length, stated = _read_entry(raw, at, offset, where, limits)
        if stated != offset:
            raise _layout_fault(source, before, where, f"the offset {stated}, not {offset}")
        if member.end > tail.directory_offset:
            at_fault = member if member.data_offset <= tail.start else None
            raise _layout_fault(source, at_fault, where, f"{shown(member.name)} reaches beyond the last member")
        if member.name in members:
            raise error("zip-members", where=where, found=f"{shown(member.name)} a second time")
        members[member.name] = member
        at += length
        offset = member.end
    if at != tail.directory_size:
        found = f"{tail.directory_size - at} bytes after the last entry"
        raise error("zip-layout", where="central directory", found=found)
    if offset != tail.directory_offset:
        found = f"the last member ends at {offset}, the directory begins at {tail.directory_offset}"
        raise _layout_fault(source, member, "central directory", found)
    if MANIFEST not in members:
        raise error("zip-members", where="central directory", found=f"no {MANIFEST}")
    return members


def check_local_header(source: ByteSource, member: Member) -> None:
    """Compare the local header of a member, up to its data, with the canonical one.

    Raises:
        RejectError: ``zip-layout``, ``zip-field``, ``zip-zip64``, ``zip-alignment``.
    """
    expected = member.local_header()
    raw = source.read(member.offset, len(expected))
    if raw == expected:
        return
    where = f"local header of {member.name}"
    actual, wanted = (z.LocalHeader(*z.LOCAL.unpack_from(data)) for data in (raw, expected))
    if actual.signature != wanted.signature:
        raise error("zip-layout", where=where, found=f"{shown(actual.signature)} in place of a local header")
    _compare(where, actual, wanted, ("flags", "method", "time", "date", "crc", "name_length"))
    start = z.LOCAL.size + wanted.name_length
    if raw[z.LOCAL.size : start] != expected[z.LOCAL.size : start]:
        raise error("zip-field", where=where, found=f"the name {shown(raw[z.LOCAL.size : start])}")
    if _has_zip64(raw[start:]) != _has_zip64(expected[start:]):
        raise error("zip-zip64", where=where, found="a zip64 field too many or too few")
    _compare(where, actual, wanted, ("stored_size", "size", "needed"))
    if _has_zip64(raw[start:]) and raw[start : start + 20] != expected[start : start + 20]:
        raise error("zip-zip64", where=where, found="a zip64 field with other sizes than the central directory")
    raise error("zip-alignment", where=where, found=f"the extra field {shown(raw[start:])}")


def _check_head(source: ByteSource) -> None:
    head = source.read(0, min(source.size, 4))
    if not z.LOCAL_SIGNATURE.startswith(head):
        raise error("zip-layout", where="byte 0", found=f"{shown(head)} in place of a local header")


def _checked_tail(source: ByteSource, limits: Limits) -> z.Tail:
    tail = z.read_tail(source)
    if isinstance(tail, str):
        code, found = _TAIL_FAULTS[tail]
        raise error(code, where="end of the file", found=found)
    end = tail.directory_offset + tail.directory_size
    if end >= 1 << 64:  # which no record has room for
        raise error("zip-layout", where="end record", found=f"a directory that ends at {end}")
    expected = end_records(tail.count, tail.directory_size, tail.directory_offset)
    if tail.raw != expected:
        raise _tail_fault(tail, len(expected))
    if tail.count > limits.parts + 1:
        raise error("limit-parts", where="end record", found=f"{tail.count} members")
    if end != tail.start:
        raise error("zip-layout", where="end record", found=f"a directory that ends at {end}, not at {tail.start}")
    return tail


def _tail_fault(tail: z.Tail, length: int) -> EtuiError:
    records = (tail.end, tail.end64) if tail.end64 else (tail.end,)
    for record in records:
        if record.disk or record.directory_disk:
            return error("zip-field", where="end record", found="a disk number other than 0")
        if record.disk_entries != record.entries:
            return error("zip-field", where="end record", found="entries on another disk")
    if tail.end64:
        _, disk, _, disks = z.LOCATOR64.unpack_from(tail.raw, z.END64.size)
        if disk or disks != 1:
            return error("zip-field", where="zip64 locator", found=f"the disk {disk} of {disks}")
    if len(tail.raw) != length:
        return error("zip-zip64", where="end record", found="zip64 records that the values do not need, or none")
    return error("zip-zip64", where="end record", found="zip64 records with other values than the archive's")


def _layout_fault(source: ByteSource, member: Member | None, where: str, found: str) -> EtuiError:
    """The fault of what does not lie where it must, unless the header of `member`, in front of it, is to blame."""
    if member is not None:
        check_local_header(source, member)
    return error("zip-layout", where=where, found=found)


def _read_entry(raw: bytes, at: int, offset: int, where: str, limits: Limits) -> tuple[Member, int, int]:
    """The entry at `at`: its member as it is at `offset`, the entry's length, and the offset that the entry states."""
    if at + z.CENTRAL.size > len(raw):
        raise error("zip-layout", where=where, found="the end of the directory")
    actual = z.CentralHeader(*z.CENTRAL.unpack_from(raw, at))
    if actual.signature != z.CENTRAL_SIGNATURE:
        raise error("zip-layout", where=where, found=f"{shown(actual.signature)} in place of an entry")
    if actual.name_length > limits.part_name_bytes:
        raise error("limit-path", where=where, found=f"a name of {actual.name_length} bytes")
    start = at + z.CENTRAL.size
    if start + actual.name_length > len(raw):
        raise error("zip-layout", where=where, found=f"a name of {actual.name_length} bytes beyond the directory")
    # Latin-1 keeps every byte, so that check_part_name sees what is there.
    name = raw[start : start + actual.name_length].decode("latin-1")
    check_part_name(name, limits)
    extra = raw[start + actual.name_length : start + actual.name_length + actual.extra_length]
    size = actual.size
    if size == z.ONES32:
        if not _has_zip64(extra) or len(extra) < 12:
            raise error("zip-zip64", where=where, found="a size that needs a zip64 field, and none")
        size = int.from_bytes(extra[4:12], "little")
    member = Member(name, size, actual.crc, offset)
    expected = member.central_header()
    if not raw.startswith(expected, at):
        _check_entry(where, actual, extra, expected)
    return member, len(expected), actual.offset if offset < z.ONES32 else offset


def _check_entry(where: str, actual: z.CentralHeader, extra: bytes, expected: bytes) -> None:
    """Find the field that is not as it must be, in an entry that differs from the canonical one; not the offset."""
    wanted = z.CentralHeader(*z.CENTRAL.unpack_from(expected))
    wanted_extra = expected[z.CENTRAL.size + wanted.name_length :]
    if extra != wanted_extra and (_has_zip64(extra) or wanted_extra):
        raise error("zip-zip64", where=where, found=f"the extra field {shown(extra)}")
    if extra != wanted_extra:
        raise error("zip-field", where=where, found=f"the extra field {shown(extra)}")
    first = ("flags", "method", "time", "date", "stored_size", "extra_length", "comment_length", "disk")
    _compare(where, actual, wanted, (*first, "internal_attributes", "external_attributes"))
    _compare(where, actual, wanted, ("made_by", "needed"))
    if wanted.offset == z.ONES32 != actual.offset:
        raise error("zip-zip64", where=where, found=f"the offset {actual.offset} beside one in the zip64 field")


def _has_zip64(extra: bytes) -> bool:
    return extra[:2] == z.ZIP64_ID.to_bytes(2, "little")


def _compare(where: str, actual: NamedTuple, wanted: NamedTuple, fields: tuple[str, ...]) -> None:
    for field in fields:
        found, canonical = getattr(actual, field), getattr(wanted, field)
        if found != canonical:
            raise error("zip-field", where=where, found=f"the {_NAMED_FIELDS[field]} {found}, not {canonical}")
