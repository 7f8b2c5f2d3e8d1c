"""Files that are written through the system calls of the write path."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from etui.storage.system import calls
from etui.storage.writeback import begin_writeback

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_GATHERED_BYTES = 1024 * 1024
# After so many bytes the device is given something to do, which otherwise would begin when all of them are there.
_BEGUN_BYTES = 32 * 1024 * 1024
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class _Raw(io.RawIOBase):
    """An open file: each `write` is one system call."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._position = 0
        self._begun = 0
        self._system = calls.system

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data).cast("B")
        count = self._system.write(self._descriptor, view, self._position)
        if view.nbytes and not count:
            # Whoever buffers would try for ever.
            raise OSError(errno.EIO, "nothing was written", self.name)
        self._position += count
        if self._position - self._begun >= _BEGUN_BYTES:
            begin_writeback(self._descriptor, self._begun, self._position - self._begun)
            self._begun = self._position
        return count

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = os.pread(self._descriptor, view.nbytes, self._position)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}.get(whence)
        position = (os.fstat(self._descriptor).st_size if start is None else start) + offset
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self.name)
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        found = self._position if size is None else size
        self._system.truncate(self._descriptor, found)
        return found

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._system.close(self._descriptor)


def buffered(descriptor: int, name: str) -> BinaryIO:
    """A file over a descriptor: small writes are gathered, and large ones go to the system as they are.

    Args:
        descriptor: open for reading and writing, of an empty file; the file closes it.
        name: its path.
    """
    return io.BufferedRandom(_Raw(descriptor, name), _GATHERED_BYTES)


def create_file(path: Path, mode: int = 0o666) -> BinaryIO:
    """Make a file, which nothing may be in the place of; see `buffered`."""
    return buffered(calls.system.open(path, _NEW, mode), str(path))


def sync_file(file: BinaryIO) -> None:
    """Flush what was written to the storage device."""
    file.flush()
    calls.system.fsync(file.fileno())
