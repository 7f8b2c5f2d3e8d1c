"""Byte sources: a mapped file, one mapped in windows, bytes in memory, and a window onto another source."""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass
from weakref import WeakValueDictionary

from etui.errors import error
from etui.storage.base import ByteSource
from etui.storage.failures import storage_errors

# A whole number of pages, and of the steps in which any system maps files.
_WINDOW_BYTES = 4 * 1024 * 1024
# Each map has a file descriptor, of which a process has few.
_MOST_WINDOWS = 16


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
        self._whole: memoryview | None = None
        with storage_errors(where):
            status = os.fstat(descriptor)
        self._size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise error("part-not-a-file", where=where, found=stat.filemode(status.st_mode))

    @property
    def size(self) -> int:
        """Number of bytes when the file was opened."""
        return self._size

    @property
    def where(self) -> str:
        """The file's name as it was opened; another file may have it by now."""
        return self._where

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
        if self._whole is None:
            self._whole = memoryview(self._mapped(0, self._size))
        return self._whole[offset : offset + length]

    def _mapped(self, start: int, stop: int) -> mmap.mmap:
        """A map of the bytes from `start` on, which is a multiple of `mmap.ALLOCATIONGRANULARITY`."""
        with storage_errors(self._where):
            if os.fstat(self._descriptor).st_size < self._size:
                raise error("storage-failed", where=self._where, found="a file that became shorter while open")
            return mmap.mmap(self._descriptor, stop - start, access=mmap.ACCESS_READ, offset=start)

    def fileno(self) -> int:
        """The open file's descriptor, which the source keeps."""
        self._check_open()
        return self._descriptor

    def close(self) -> None:
        """Close the file. Views keep their pages."""
        descriptor, self._descriptor, self._whole = self._descriptor, -1, None
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._descriptor < 0:
            raise error("storage-failed", where=self._where, found="an artifact that was closed")


class PassingFile(FileSource):
    """A file whose data is read once, piece by piece, as a conversion does.

    It is mapped in windows, each of which is let go with the last view of it, so that the process never has the whole
    file in memory. Where very many views are kept, further ones are of one map, as those of a `FileSource`.

    Args:
        descriptor: of an open regular file; the source closes it.
        where: the file's name for messages.

    Raises:
        UnsafeError: ``part-not-a-file``.
    """

    def __init__(self, descriptor: int, where: str) -> None:
        super().__init__(descriptor, where)
        self._windows: WeakValueDictionary[tuple[int, int], mmap.mmap] = WeakValueDictionary()
        self._last: mmap.mmap | None = None

    def view(self, offset: int, length: int) -> memoryview:
        """A mapped view of a range."""
        check_range(self.size, offset, length)
        start = offset - offset % _WINDOW_BYTES
        stop = min(start + _WINDOW_BYTES, self.size)
        if offset + length > stop:
            start, stop = offset - offset % mmap.ALLOCATIONGRANULARITY, offset + length
        window = self._windows.get((start, stop))
        if not length or (window is None and len(self._windows) >= _MOST_WINDOWS):
            return super().view(offset, length)
        self._check_open()
        if window is None:
            window = self._windows[start, stop] = self._mapped(start, stop)
        # Small neighbours are often asked for one after the other; a large range is not kept.
        self._last = window if stop - start <= _WINDOW_BYTES else None
        return memoryview(window)[offset - start : offset - start + length]

    def close(self) -> None:
        """Close the file. Views keep their pages."""
        self._last = None
        super().close()


def open_file(path: str | os.PathLike[str]) -> PassingFile:
    """Open a file that the caller named, for one reading; a symbolic link stands for what it points to.

    Raises:
        UnsafeError: ``part-not-a-file``.
        StorageError: ``storage-failed``.
    """
    return PassingFile(*_opened(path))


def mapped_file(path: str | os.PathLike[str]) -> FileSource:
    """The same for a file that is read again and again, in any order.

    Raises:
        UnsafeError: ``part-not-a-file``.
        StorageError: ``storage-failed``.
    """
    return FileSource(*_opened(path))


def _opened(path: str | os.PathLike[str]) -> tuple[int, str]:
    text = os.fspath(path)
    with storage_errors(text):
        return os.open(text, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), text


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
