"""Byte sources: a mapped file, bytes in memory, and a window onto another source."""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass

from etui.errors import error
from etui.storage.base import ByteSource
from etui.storage.failures import storage_errors


def check_range(size: int, offset: int, length: int) -> None:
    """Raise ValueError unless `length` bytes from `offset` on lie inside of `size` bytes."""
    if offset < 0 or length < 0 or offset + length > size:
        raise ValueError(f"bytes {offset} to {offset + length} of a source of {size}")


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data).cast("B").toreadonly()

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._view.nbytes

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        return bytes(self.view(offset, length))

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range."""
        check_range(self.size, offset, length)
        return self._view[offset : offset + length]


class FileSource:
    """A regular file: read by copying, and mapped when a view is first asked for.

    Copies are read with `pread`, since a mapped page of a file that is cut short meanwhile would end the process.

    Args:
        descriptor: of an open regular file; the source closes it.
        where: the file's name for messages.

    Raises:
        UnsafeError: ``part-not-a-file``.
    """

    def __init__(self, descriptor: int, where: str) -> None:
        self._descriptor = descriptor
        self._where = where
        self._map: mmap.mmap | None = None
        with storage_errors(where):
            status = os.fstat(descriptor)
        self._size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise error("part-not-a-file", where=where, found=stat.filemode(status.st_mode))

    @property
    def size(self) -> int:
        """Number of bytes when the file was opened."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        check_range(self._size, offset, length)
        self._check_open()
        data = b""
        with storage_errors(self._where):
            while len(data) < length:
                more = os.pread(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    raise error("storage-failed", where=self._where, found="a file that became shorter while open")
                data = data + more if data else more
        return data

    def view(self, offset: int, length: int) -> memoryview:
        """A mapped view of a range."""
        check_range(self._size, offset, length)
        self._check_open()
        if not length:
            return memoryview(b"")
        if self._map is None:
            with storage_errors(self._where):
                if os.fstat(self._descriptor).st_size < self._size:
                    raise error("storage-failed", where=self._where, found="a file that became shorter while open")
                self._map = mmap.mmap(self._descriptor, self._size, access=mmap.ACCESS_READ)
        return memoryview(self._map)[offset : offset + length]

    def fileno(self) -> int:
        """The open file's descriptor, which the source keeps."""
        self._check_open()
        return self._descriptor

    def close(self) -> None:
        """Close the file. Views keep their pages."""
        descriptor, self._descriptor, self._map = self._descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._descriptor < 0:
            raise error("storage-failed", where=self._where, found="an artifact that was closed")


def open_file(path: str | os.PathLike[str]) -> FileSource:
    """Open a file that the caller named; a symbolic link stands for what it points to.

    Raises:
        UnsafeError: ``part-not-a-file``.
        StorageError: ``storage-failed``.
    """
    text = os.fspath(path)
    with storage_errors(text):
        descriptor = os.open(text, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return FileSource(descriptor, text)


@dataclass(frozen=True, slots=True)
class Window:
    """`size` bytes of another source from `start` on; the caller made sure that they are there."""

    source: ByteSource
    start: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        check_range(self.size, offset, length)
        return self.source.read(self.start + offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range."""
        check_range(self.size, offset, length)
        return self.source.view(self.start + offset, length)
