"""The records of a ZIP archive (APPNOTE 6.3, section 4.3) as bytes, and where its end record is."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Literal, NamedTuple

from etui.storage.base import ByteSource

LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
END_SIGNATURE = b"PK\x05\x06"
END64_SIGNATURE = b"PK\x06\x06"
LOCATOR64_SIGNATURE = b"PK\x06\x07"
ZIP64_ID = 0x0001
ONES16 = 0xFFFF
ONES32 = 0xFFFFFFFF

LOCAL = Struct("<4s5H3I2H")
CENTRAL = Struct("<4s6H3I5H2I")
END = Struct("<4s4H2IH")
END64 = Struct("<4sQ2H2I4Q")
LOCATOR64 = Struct("<4sIQI")


class LocalHeader(NamedTuple):
    """The fixed fields of a local header."""

    signature: bytes
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    stored_size: int
    size: int
    name_length: int
    extra_length: int


class CentralHeader(NamedTuple):
    """The fixed fields of a central header."""

    signature: bytes
    made_by: int
    needed: int
    flags: int
    method: int
    time: int
    date: int
    crc: int
    stored_size: int
    size: int
    name_length: int
    extra_length: int
    comment_length: int
    disk: int
    internal_attributes: int
    external_attributes: int
    offset: int


class EndRecord(NamedTuple):
    """The fields of the end record."""

    signature: bytes
    disk: int
    directory_disk: int
    disk_entries: int
    entries: int
    directory_size: int
    directory_offset: int
    comment_length: int


class End64Record(NamedTuple):
    """The fields of the zip64 end record."""

    signature: bytes
    record_size: int
    made_by: int
    needed: int
    disk: int
    directory_disk: int
    disk_entries: int
    entries: int
    directory_size: int
    directory_offset: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The records at the end of an archive, as they stand.

    Attributes:
        start: offset of the first of these records: where the central directory must end.
        raw: the records' bytes.
        end: the end record.
        end64: the zip64 end record, if there is one in front of the end record.
        count, directory_size, directory_offset: the values in force.
    """

    start: int
    raw: bytes
    end: EndRecord
    end64: End64Record | None
    count: int
    directory_size: int
    directory_offset: int


TailFault = Literal["truncated", "comment", "trailing", "zip64"]


def read_tail(source: ByteSource) -> Tail | TailFault:
    """Find the end records where an archive without comment and trailing bytes has them, or say what is wrong."""
    length = min(source.size, END64.size + LOCATOR64.size + END.size)
    tail = source.read(source.size - length, length)
    if length < END.size or not tail.startswith(END_SIGNATURE, length - END.size):
        return _diagnose(source)
    end = EndRecord(*END.unpack(tail[-END.size :]))
    if end.comment_length:
        return "truncated"
    overflowed = end.entries == ONES16 or ONES32 in {end.directory_size, end.directory_offset}
    has_locator = tail.startswith(LOCATOR64_SIGNATURE, max(0, length - END.size - LOCATOR64.size))
    if not overflowed and not has_locator:
        start = source.size - END.size
        return Tail(start, tail[-END.size :], end, None, end.entries, end.directory_size, end.directory_offset)
    if length < END64.size + LOCATOR64.size + END.size or not tail.startswith(END64_SIGNATURE) or not has_locator:
        return "zip64"
    end64 = End64Record(*END64.unpack_from(tail))
    return Tail(source.size - length, tail, end, end64, end64.entries, end64.directory_size, end64.directory_offset)


def _diagnose(source: ByteSource) -> TailFault:
    """Tell a comment and trailing bytes from a file that ends early, for the message only."""
    length = min(source.size, END.size + ONES16)
    tail = source.read(source.size - length, length)
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or at + END.size > length:
        return "truncated"
    after = length - at - END.size
    comment_length = EndRecord(*END.unpack_from(tail, at)).comment_length
    if comment_length > after:
        return "truncated"
    return "comment" if comment_length == after else "trailing"
