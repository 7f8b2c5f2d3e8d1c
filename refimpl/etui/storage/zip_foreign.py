"""ZIP archives of other software, such as `.keras` files: read strictly, written plainly.

The reader takes what common tools write (stored or deflated members, any times, data descriptors, zip64) and refuses
what two readers could read as two things, what would reach outside of the archive, and what would grow without bound.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from tempfile import TemporaryFile
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, MIB, Limits
from etui.storage import zip_records as z
from etui.storage.base import Buffer, ByteSource
from etui.storage.checksums import crc32
from etui.storage.closing import Closing
from etui.storage.failures import storage_errors
from etui.storage.sources import BytesSource, FileSource, PassingFile, Window
from etui.storage.transaction import replace_file
from etui.storage.writing import exactly, slices
from etui.storage.zip_names import check_kind, check_names, decoded_name

_STORED, _DEFLATED = 0, 8
_NEWEST = 63  # of the versions of ZIP: 6.3
_DESCRIPTOR = 1 << 3
_UTF8 = 1 << 11
_DEFLATE_LEVELS = 3 << 1
_DESCRIPTOR_SIZES = frozenset({12, 16, 20, 24})
_FAULTS: dict[z.TailFault, str] = {
    "truncated": "no end record at the end of the file",
    "comment": "a comment",
    "trailing": "bytes after the end record",
    "zip64": "zip64 records that are not whole",
}
# A member up to this size may be deflated as well as it can be: its buffer is small anyway.
_HARMLESS_BYTES = MIB
# Copies of this size stay in the processor's cache until they are checked: twice as fast as those of 4 MiB.
_CACHED_BYTES = 256 * 1024
# Deflated members beyond this are put into a file.
_IN_MEMORY_BYTES = 16 * MIB
_EPOCH = (1980, 1, 1, 0, 0, 0)

Member = tuple[str, int, Iterable[Buffer]]


class _Found(NamedTuple):
    """A member as the central directory has it, and where its data is."""

    name: str
    flags: int
    method: int
    crc: int
    stored_size: int
    size: int
    offset: int
    data_offset: int = 0

    @property
    def end(self) -> int:
        return self.data_offset + self.stored_size


class ForeignZip(Closing):
    """The members of a ZIP archive. A context manager that closes itself.

    Args:
        source: the whole file.
        where: the file's name for messages.
        limits: the limits in force.

    Raises:
        RejectError: a ``foreign-zip`` code, ``limit-foreign``.
        StorageError: ``storage-failed``.
    """

    def __init__(self, source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.location = where
        self._source = source
        self._limits = limits
        self._members = _read_members(source, where, limits)
        self._sound: dict[str, ByteSource] = {}

    def names(self) -> Mapping[str, int]:
        """Every member that is a file, with the size of its data in bytes, in the order of the directory."""
        return {name: member.size for name, member in self._members.items()}

    def source(self, name: str) -> ByteSource:
        """The data of a member, whose CRC-32 is checked: without a copy if it is stored.

        A deflated member is inflated in memory, or into a nameless temporary file if it is large.

        Raises:
            KeyError: there is no such member.
            IntegrityError: ``foreign-zip-crc``.
            MalformedError: ``foreign-zip``, the compressed data does not decode.
            StorageError: ``storage-failed``.
        """
        if name not in self._sound:
            member = self._members[name]
            where = f"{self.location}, {shown(name)}"
            data = Window(self._source, member.data_offset, member.stored_size)
            content = data if member.method == _STORED else _inflated(data, member, where)
            crc = 0
            for start in range(0, content.size, _CACHED_BYTES):
                crc = crc32(content.read(start, min(_CACHED_BYTES, content.size - start)), crc)
            if crc != member.crc:
                raise error("foreign-zip-crc", where=where, found=f"CRC-32 {crc:08x}, not {member.crc:08x}")
            if isinstance(content, BytesSource):
                return content
            self._sound[name] = content
        return self._sound[name]

    def close(self) -> None:
        """Let go of the file. Views handed out stay valid."""
        for source in (self._source, *self._sound.values()):
            if isinstance(source, FileSource):
                source.close()


def open_zip(location: str | os.PathLike[str] | bytes, limits: Limits = DEFAULT_LIMITS) -> ForeignZip:
    """Open a ZIP archive that other software wrote, from a path or from its bytes; see `ForeignZip`."""
    if isinstance(location, bytes):
        return ForeignZip(BytesSource(location), "<bytes>", limits)
    path = os.fspath(location)
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    source = PassingFile(descriptor, path)
    try:
        return ForeignZip(source, path, limits)
    except BaseException:
        source.close()
        raise


def write_zip(target: str | os.PathLike[str] | BinaryIO, members: Iterable[Member]) -> None:
    """Write a ZIP archive of stored members, in their order, whose bytes depend on nothing but the members.

    Args:
        target: a path, which is replaced in one step, or a file open for writing, binary and seekable.
        members: name, size in bytes, and buffers that give exactly so many bytes.

    Raises:
        UsageError: ``writer-misuse``, a member gives more or fewer bytes than its size.
        StorageError: ``storage-failed``; what was at the path is as it was.
    """
    if isinstance(target, str | os.PathLike):
        with replace_file(target) as file:
            write_zip(file, members)
        return
    with ZipFile(target, "w", ZIP_STORED) as archive:
        for name, size, buffers in members:
            entry = ZipInfo(name, _EPOCH)
            entry.create_system = 3  # or else it says on which system the file was written
            entry.file_size = size
            with archive.open(entry, "w") as file:
                for view in exactly(size, slices(buffers), name):
                    file.write(view)


def _read_members(source: ByteSource, where: str, limits: Limits) -> dict[str, _Found]:
    tail = _checked_tail(source, where, limits)
    raw = source.read(tail.directory_offset, tail.directory_size)
    found = []
    at = 0
    for number in range(tail.count):
        member, at = _read_entry(raw, at, f"{where}, central directory, entry {number}")
        found.append(member)
    if at != len(raw):
        raise _fault(where, f"{len(raw) - at} bytes after the last entry of the central directory")
    check_names([member.name for member in found], where, limits)
    placed = [_placed(source, member, tail.directory_offset, where) for member in found]
    _check_layout(placed, tail.directory_offset, where)
    files = {member.name: member for member in placed if not member.name.endswith("/")}
    _check_sizes(files, where, limits)
    return files


def _checked_tail(source: ByteSource, where: str, limits: Limits) -> z.Tail:
    if source.size < z.END.size or source.read(0, 2) != z.LOCAL_SIGNATURE[:2]:
        raise _fault(where, "no ZIP archive, or something in front of it")
    tail = z.read_tail(source)
    if isinstance(tail, str):
        raise _fault(where, _FAULTS[tail])
    records: list[z.EndRecord | z.End64Record] = [tail.end, tail.end64] if tail.end64 else [tail.end]
    for record in records:
        if record.disk or record.directory_disk or record.disk_entries != record.entries:
            raise _fault(where, "an archive of several disks")
    short = (tail.end.entries, tail.end.directory_size, tail.end.directory_offset)
    for value, limit, real in zip(
        short, (z.ONES16, z.ONES32, z.ONES32), (tail.count, tail.directory_size, tail.directory_offset), strict=True
    ):
        if value not in {real, limit}:
            raise _fault(where, "two end records that disagree")
    if tail.end64 is not None:
        locator = z.LOCATOR64.pack(z.LOCATOR64_SIGNATURE, 0, tail.start, 1)
        if tail.end64.record_size != z.END64.size - 12 or not tail.raw.startswith(locator, z.END64.size):
            raise _fault(where, "a zip64 end record that is not where the locator says")
    if tail.directory_offset + tail.directory_size != tail.start:
        raise _fault(where, "a central directory that does not end at the end record")
    if tail.count > limits.foreign_objects:
        raise error("limit-foreign", where=where, found=f"{tail.count} members")
    if tail.directory_size > limits.document_bytes:
        raise error("limit-foreign", where=where, found=f"a central directory of {tail.directory_size} bytes")
    return tail


def _read_entry(raw: bytes, at: int, where: str) -> tuple[_Found, int]:
    """The entry at `at` of the central directory, and where the next one begins."""
    if at + z.CENTRAL.size > len(raw) or not raw.startswith(z.CENTRAL_SIGNATURE, at):
        raise _fault(where, "no entry")
    header = z.CentralHeader(*z.CENTRAL.unpack_from(raw, at))
    start = at + z.CENTRAL.size
    name_end = start + header.name_length
    extra_end = name_end + header.extra_length
    end = extra_end + header.comment_length
    if end > len(raw):
        raise _fault(where, "an entry that reaches beyond the directory")
    if header.flags & ~(_DESCRIPTOR | _UTF8 | _DEFLATE_LEVELS) or header.method not in {_STORED, _DEFLATED}:
        found = f"flags {header.flags:#06x}, method {header.method}"
        raise error("foreign-zip-method", where=where, found=found)
    if header.needed & 0xFF > _NEWEST:
        found = f"a member for readers of ZIP {(header.needed & 0xFF) / 10}"
        raise error("foreign-zip-method", where=where, found=found)
    name = decoded_name(raw[start:name_end], utf8=bool(header.flags & _UTF8), where=where)
    check_kind(header.external_attributes, name, where)
    if header.disk:
        raise _fault(where, "a member on another disk")
    short = (header.size, header.stored_size, header.offset)
    size, stored_size, offset = _widened(short, raw[name_end:extra_end], where)
    if header.method == _STORED and size != stored_size:
        raise error("foreign-zip-headers", where=where, found=f"{stored_size} stored bytes for {size}")
    return _Found(name, header.flags, header.method, header.crc, stored_size, size, offset), end


def _widened(values: tuple[int, ...], extra: bytes, where: str) -> tuple[int, ...]:
    """The values with those that are all ones taken from the zip64 field, in which they have their places in order."""
    if z.ONES32 not in values:
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = (int.from_bytes(extra[i : i + 2], "little") for i in (at, at + 2))
        content = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind != z.ZIP64_ID:
            continue
        if len(content) < 8 * values.count(z.ONES32):
            raise _fault(where, "a zip64 field that is too short")
        wide = (int.from_bytes(content[i : i + 8], "little") for i in range(0, len(content), 8))
        return tuple(next(wide) if value == z.ONES32 else value for value in values)
    raise _fault(where, "sizes that ask for a zip64 field, and none")


def _placed(source: ByteSource, member: _Found, directory: int, where: str) -> _Found:
    """The member with the place of its data, after a comparison of its two headers."""
    where = f"{where}, {shown(member.name)}"
    if member.offset + z.LOCAL.size > directory:
        raise _fault(where, f"a member at {member.offset}, which is behind the last one")
    local = z.LocalHeader(*z.LOCAL.unpack(source.read(member.offset, z.LOCAL.size)))
    start = member.offset + z.LOCAL.size
    length = local.name_length + local.extra_length
    if local.signature != z.LOCAL_SIGNATURE or start + length + member.stored_size > directory:
        raise _fault(where, f"no member at {member.offset} that ends before the directory")
    names = source.read(start, length)
    name = decoded_name(names[: local.name_length], utf8=bool(local.flags & _UTF8), where=where)
    sizes = _widened((local.size, local.stored_size), names[local.name_length :], where)
    found = (name, local.flags, local.method, local.crc, sizes[1], sizes[0])
    known = member[:6]
    # With a data descriptor, a local header may leave checksum and sizes to it.
    unknown = (*known[:3], 0, 0, 0)
    if found != known and not (member.flags & _DESCRIPTOR and found == unknown):
        raise error("foreign-zip-headers", where=where, found=f"{shown(found)} and {shown(known)}")
    return member._replace(data_offset=start + length)


def _check_layout(members: Iterable[_Found], directory: int, where: str) -> None:
    """Members follow each other without overlap, and nothing but data descriptors lies between them."""
    ordered = sorted(members, key=lambda member: member.offset)
    ends = _Found("", 0, 0, 0, 0, 0, offset=directory)
    begins = _Found("", 0, 0, 0, 0, 0, offset=0)
    for before, after in pairwise([begins, *ordered, ends]):
        gap = after.offset - before.end
        if gap < 0:
            found = f"{shown(before.name)} and {shown(after.name)}"
            raise error("foreign-zip-overlap", where=where, found=found)
        if gap and not (before.flags & _DESCRIPTOR and gap in _DESCRIPTOR_SIZES):
            raise _fault(where, f"{gap} bytes at {before.end} that belong to no member")


def _check_sizes(members: Mapping[str, _Found], where: str, limits: Limits) -> None:
    total = sum(member.size for member in members.values())
    if total > limits.foreign_bytes:
        raise error("limit-foreign", where=where, found=f"members of {total} bytes in all")
    for member in members.values():
        if member.size > max(_HARMLESS_BYTES, member.stored_size * limits.foreign_inflation):
            found = f"{member.stored_size} bytes that are to become {member.size}"
            raise error("limit-foreign", where=f"{where}, {shown(member.name)}", found=found)


def _inflated(data: ByteSource, member: _Found, where: str) -> ByteSource:
    """The inflated data; the declared size, which was checked, bounds what is allocated."""
    if member.size <= _IN_MEMORY_BYTES:
        return BytesSource(b"".join(_pieces(data, member, where)))
    with storage_errors("a temporary file"), TemporaryFile() as file:
        for piece in _pieces(data, member, where):
            file.write(piece)
        file.flush()
        return PassingFile(os.dup(file.fileno()), where)


def _pieces(data: ByteSource, member: _Found, where: str) -> Iterator[bytes]:
    """The inflated data in pieces, of its declared size in all."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left, waiting = member.size, b""
    for start in range(0, data.size, _CACHED_BYTES):
        waiting = data.read(start, min(_CACHED_BYTES, data.size - start))
        while waiting and not inflater.eof:
            try:
                piece = inflater.decompress(waiting, _CACHED_BYTES)
            except zlib.error as cause:
                raise _fault(where, f"compressed data that does not decode: {cause}") from cause
            waiting = inflater.unconsumed_tail
            left -= len(piece)
            if left < 0:
                break
            yield piece
        if waiting or left < 0:
            break
    # What was held back for want of room comes without further input.
    if left >= 0 and not inflater.eof:
        piece = inflater.decompress(b"", left + 1)
        left -= len(piece)
        yield piece
    if left or waiting or not inflater.eof or inflater.unused_data:
        raise error("foreign-zip-crc", where=where, found=f"compressed data that is not of {member.size} bytes")


def _fault(where: str, found: str) -> EtuiError:
    return error("foreign-zip", where=where, found=found)
