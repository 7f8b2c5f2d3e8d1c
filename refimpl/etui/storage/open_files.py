"""Files of which only some are open at once: a process has few descriptors, and a format may have many files."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from etui.errors import error
from etui.storage.sources import FileSource, check_range

FEW = 16
"""So many files with a few maps each, every one of which has a descriptor of its own, are no burden anywhere."""
_MOST = 2048

Identity = tuple[int, int, int, int]


def most_open() -> int:
    """How many files with a map each may be open, so that half of the process' descriptors are left to others."""
    try:
        import resource
    except ImportError:  # where there are no such limits
        return FEW
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else max(FEW, min(soft // 4, _MOST))


class OpenFiles:
    """Files that are opened when they are read, and closed when enough others were read since.

    Any thread may read them. Views and copies stay valid when the files are closed.

    Args:
        open_file: opens a file by its name.
        most: how many are open at once.
    """

    def __init__(self, open_file: Callable[[str], FileSource], most: int = FEW) -> None:
        self._open_file = open_file
        self._most = most
        self._open: OrderedDict[str, FileSource] = OrderedDict()
        self._known: dict[str, Identity] = {}
        self._changing = Lock()
        self._ended = False

    def add(self, name: str) -> OnDemandFile:
        """A file by its name.

        Raises:
            UnsafeError: ``part-not-a-file``.
            StorageError: ``storage-failed``.
        """
        return OnDemandFile(self, name, self.source(name).size)

    @property
    def many(self) -> bool:
        """Whether there are more files than may be open."""
        return len(self._known) > self._most

    def source(self, name: str) -> FileSource:
        """The open file."""
        with self._changing:
            if self._ended:
                raise error("storage-failed", where=name, found="files that were closed")
            source = self._open.pop(name, None) or self._opened(name)
            self._open[name] = source
            if len(self._open) > self._most:
                # It is closed as soon as no other thread reads it.
                self._open.popitem(last=False)
            return source

    def _opened(self, name: str) -> FileSource:
        source = self._open_file(name)
        status = os.fstat(source.fileno())
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if self._known.setdefault(name, identity) != identity:
            raise error("storage-failed", where=name, found="a file that was changed while it was read")
        return source

    def close(self) -> None:
        """Let go of all files, for good."""
        with self._changing:
            self._ended = True
            self._open.clear()


class OnDemandFile:
    """A byte source over one of several files.

    Of few files, views are mapped. Views of many would keep a map and so a descriptor each, so they are copies.
    """

    def __init__(self, files: OpenFiles, name: str, size: int) -> None:
        self.size = size
        self._files = files
        self._name = name

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        return self._files.source(self._name).read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range."""
        check_range(self.size, offset, length)
        source = self._files.source(self._name)
        return memoryview(source.read(offset, length)) if self._files.many else source.view(offset, length)
