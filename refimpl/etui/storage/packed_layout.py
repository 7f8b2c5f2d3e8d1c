"""What a canonical archive's headers hold: every byte follows from a member's name, size, CRC-32 and place.

The writer of the packed form writes these bytes; its reader computes them and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from etui.storage import zip_records as z

_DATE = 0x0021  # 1980-01-01
_NEEDED, _NEEDED64 = 20, 45
_ALIGNMENT = 64
_ALIGNMENT_FIELD = Struct("<3H")
_ALIGNMENT_ID = 0xD935
_SIZES64 = Struct("<2H2Q")


@dataclass(frozen=True, slots=True)
class Member:
    """A member and the bytes that a canonical archive has for it.

    Attributes:
        name: the part's name.
        size, crc: of its data.
        offset: of its local header.
    """

    name: str
    size: int
    crc: int
    offset: int

    @property
    def _large(self) -> bool:
        return self.size >= z.ONES32

    @property
    def data_offset(self) -> int:
        """Where the data begins: the first multiple of 64 that leaves room for the header."""
        fixed = z.LOCAL.size + len(self.name) + _ALIGNMENT_FIELD.size + (_SIZES64.size if self._large else 0)
        return -(-(self.offset + fixed) // _ALIGNMENT) * _ALIGNMENT

    @property
    def end(self) -> int:
        """Offset of the byte after the data."""
        return self.data_offset + self.size

    def _fields(self, needed: int) -> tuple[int, ...]:
        size = z.ONES32 if self._large else self.size
        return (needed, 0, 0, 0, _DATE, self.crc, size, size, len(self.name))

    def local_header(self) -> bytes:
        """The local header up to the data (Z-3 to Z-6)."""
        name = self.name.encode("latin-1")
        extra = _SIZES64.pack(z.ZIP64_ID, 16, self.size, self.size) if self._large else b""
        zeros = self.data_offset - self.offset - z.LOCAL.size - len(name) - len(extra) - _ALIGNMENT_FIELD.size
        extra += _ALIGNMENT_FIELD.pack(_ALIGNMENT_ID, 2 + zeros, _ALIGNMENT) + bytes(zeros)
        needed = _NEEDED64 if self._large else _NEEDED
        return z.LOCAL.pack(z.LOCAL_SIGNATURE, *self._fields(needed), len(extra)) + name + extra

    def central_header(self) -> bytes:
        """The entry of the central directory (Z-3, Z-5, Z-6)."""
        values = [self.size, self.size] if self._large else []
        far = self.offset >= z.ONES32
        if far:
            values.append(self.offset)
        extra = Struct(f"<2H{len(values)}Q").pack(z.ZIP64_ID, 8 * len(values), *values) if values else b""
        needed = _NEEDED64 if values else _NEEDED
        offset = z.ONES32 if far else self.offset
        fields = (needed, *self._fields(needed), len(extra), 0, 0, 0, 0, offset)
        return z.CENTRAL.pack(z.CENTRAL_SIGNATURE, *fields) + self.name.encode("latin-1") + extra


def end_records(count: int, directory_size: int, directory_offset: int) -> bytes:
    """The bytes after the central directory (Z-9, Z-10)."""
    records = b""
    if count >= z.ONES16 or max(directory_size, directory_offset) >= z.ONES32:
        records = z.END64.pack(
            z.END64_SIGNATURE,
            z.END64.size - 12,
            _NEEDED64,
            _NEEDED64,
            0,
            0,
            count,
            count,
            directory_size,
            directory_offset,
        ) + z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, directory_offset + directory_size, 1)
    short = min(count, z.ONES16)
    sizes = (min(directory_size, z.ONES32), min(directory_offset, z.ONES32))
    return records + z.END.pack(z.END_SIGNATURE, 0, 0, short, short, *sizes, 0)


def is_first_header(head: bytes) -> bool:
    """Whether a file that begins with `head` begins with the local header of a canonical archive.

    No other software writes this alignment field with this date, which tells an etui from any other ZIP archive.
    """
    if len(head) < z.LOCAL.size:
        return False
    header = z.LocalHeader(*z.LOCAL.unpack_from(head))
    start = z.LOCAL.size + header.name_length
    name = head[z.LOCAL.size : start]
    extra = head[start : start + header.extra_length]
    size = header.size
    if size == z.ONES32 and len(extra) >= _SIZES64.size:
        size = _SIZES64.unpack_from(extra)[2]
    return head.startswith(Member(name.decode("latin-1"), size, header.crc, 0).local_header())
