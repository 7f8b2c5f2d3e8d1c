"""The packed form: a ZIP archive in which nothing is left to choice (SPEC.md, chapter Packed form)."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import BinaryIO

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import SLICE_BYTES, ByteSource, Form
from etui.storage.checksums import crc32
from etui.storage.closing import Closing
from etui.storage.failures import storage_failure
from etui.storage.packed_directory import check_local_header, read_directory
from etui.storage.packed_layout import Member, end_records
from etui.storage.part_names import MANIFEST, check_part_names, order_key
from etui.storage.sources import Window
from etui.storage.writing import CheckedWriter, Content

_BUFFERED = 1024 * 1024
# Below this size handing data to another thread takes longer than its CRC-32.
_INLINE_BYTES = 256 * 1024


class PackedWriter(CheckedWriter):
    """Writes the packed form into a file, streaming.

    Args:
        file: open for writing in binary mode, seekable, empty.
        location: where, for messages.
        publish: called by `commit` when all bytes are written.
        abort: called when the writer is left without a commit.
        limits: the limits in force.
    """

    def __init__(
        self,
        file: BinaryIO,
        location: str,
        *,
        publish: Callable[[], None] = lambda: None,
        abort: Callable[[], None] = lambda: None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__("packed", location, limits)
        self._file = file
        self._publish_target = publish
        self._abort_target = abort
        self._offset = 0
        self._count = 0
        self._directory = bytearray()

    def _put(self, part: Content) -> None:
        name, size, data = part
        if size <= _BUFFERED:
            # Known in full before its header is written, a small member needs no second visit of its header.
            content = b"".join(data)
            member = Member(name, size, crc32(content, 0), self._offset)
            self._emit(member.local_header())
            self._emit(content)
        else:
            member = Member(name, size, 0, self._offset)
            self._emit(member.local_header())
            crc = 0
            with ThreadPoolExecutor(1, "etui-crc") as beside:
                for view in data:
                    if view.nbytes < _INLINE_BYTES:
                        crc = crc32(view, crc)
                        self._emit(view)
                    else:
                        sum_so_far = beside.submit(crc32, view, crc)
                        self._emit(view)
                        crc = sum_so_far.result()
                    del view  # see `slices`
            member = Member(name, size, crc, self._offset)
            self._rewrite(member)
        self._directory += member.central_header()
        self._offset = member.end
        self._count += 1

    def _emit(self, data: bytes | bytearray | memoryview) -> None:
        try:
            self._write(data)
        except OSError as cause:
            raise storage_failure(self.location, cause) from cause

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        """All of it: a file without a buffer may take less at once."""
        left = memoryview(data)
        while left.nbytes:
            count: int | None = self._file.write(left)
            if count is None and not isinstance(self._file, io.RawIOBase):
                return  # a writer that does not count takes all
            if not count:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            left = left[count:]

    def _rewrite(self, member: Member) -> None:
        try:
            self._file.seek(member.offset)
            self._write(member.local_header())
            self._file.seek(member.end)
        except OSError as cause:
            raise storage_failure(self.location, cause) from cause

    def _publish(self) -> None:
        self._emit(self._directory)
        self._emit(end_records(self._count, len(self._directory), self._offset))
        self._publish_target()

    def _abort(self) -> None:
        self._abort_target()


class PackedReader(Closing):
    """Reads the packed form from any byte source: its tail at once, a member's header when the member is opened.

    Args:
        source: the whole file.
        location: where, for messages.
        limits: the limits in force.
        close: called by `close`.
        eager: look at the first bytes of the file, and at a member's local header before its data is handed out; else
            `verify_container` does it.

    Raises:
        RejectError: a ``zip-`` code, ``part-name``, ``limit-parts``, ``limit-path``.
    """

    def __init__(
        self,
        source: ByteSource,
        location: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        close: Callable[[], None] = lambda: None,
        eager: bool = True,
    ) -> None:
        self.form: Form = "packed"
        self.location = location
        self._eager = eager
        self._source = source
        self._limits = limits
        self._close = close
        self._members = read_directory(source, limits, head=eager)
        self._checked: set[str] = set()

    def names(self) -> Mapping[str, int]:
        """Every member with its size."""
        return {name: member.size for name, member in self._members.items()}

    def source(self, name: str) -> ByteSource:
        """The data of a member, whose local header is checked unless that is left to `verify_container`."""
        member = self._members.get(name)
        if member is None:
            raise error("zip-members", where=self.location, found=f"no member {shown(name)}")
        if self._eager and name not in self._checked:
            check_local_header(self._source, member)
            self._checked.add(name)
        return Window(self._source, member.data_offset, member.size)

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Members are the listed parts and the manifest, in order and of the listed sizes (Z-1, Z-2, F-4)."""
        check_part_names(listed, self._limits)
        expected = {*listed, MANIFEST}
        for name in self._members:
            if name not in expected:
                raise error("zip-members", where=self.location, found=f"{shown(name)}, which is not listed")
        for name in sorted(expected):
            if name not in self._members:
                raise error("zip-members", where=self.location, found=f"no {shown(name)}, which is listed")
        for before, after in pairwise(self._members):
            if order_key(before) > order_key(after):
                raise error("zip-order", where=self.location, found=f"{shown(after)} after {shown(before)}")
        for name, size in listed.items():
            if self._members[name].size != size:
                found = f"{self._members[name].size} bytes, not {size}"
                raise error("part-size", where=name, found=found)

    def verify_container(self, listed: Collection[str]) -> None:
        """Check every local header and every CRC-32 (Z-3 to Z-8, E-4); the directory was checked at open."""
        for name in self._members:
            if name not in listed and name != MANIFEST:
                raise error("zip-members", where=self.location, found=f"{shown(name)}, which is not listed")
            data = self.source(name)
            crc = 0
            for start in range(0, data.size, SLICE_BYTES):
                crc = crc32(data.view(start, min(SLICE_BYTES, data.size - start)), crc)
            if crc != self._members[name].crc:
                found = f"CRC-32 {crc:08x}, not {self._members[name].crc:08x}"
                raise error("zip-crc", where=name, found=found)

    def close(self) -> None:
        """Let go of the file."""
        self._close()
