"""Files for the time of one reading or writing: what is remote is put together here, so that memory stays bounded.

They lie in the folder for temporary files, which `TMPDIR` names, and need room for the bytes that are read or written.
A file of a part has no name, so that nothing is left of it, however the process ends.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Lock
from typing import IO

from etui.errors import EtuiError, error
from etui.storage.failures import storage_errors
from etui.storage.sources import FileSource, check_range

BLOCK_BYTES = 1024 * 1024
# What one request asks for at most.
PIECE_BYTES = 8 * BLOCK_BYTES
_MOST_AHEAD = 32  # blocks
_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is removed, with all that is in it, when the block ends."""
    with storage_errors(tempfile.gettempdir()), tempfile.TemporaryDirectory(prefix="etui-") as folder:
        yield Path(folder)


def held_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is there until its `cleanup` is called, or nobody has it any more."""
    with storage_errors(tempfile.gettempdir()):
        return tempfile.TemporaryDirectory(prefix="etui-", ignore_cleanup_errors=True)


def scratch_file() -> IO[bytes]:
    """A file that others can open by what `path_of` says, until it is closed.

    Where the system gives every open file a path, it has no name, so that nothing is left of it if the process dies.
    """
    if _OPEN_FILES.is_dir():
        return nameless()
    with storage_errors(tempfile.gettempdir()):
        return tempfile.NamedTemporaryFile(prefix="etui-", suffix=".part")


def path_of(file: IO[bytes]) -> str:
    """A path by which a `scratch_file` can be opened."""
    return str(_OPEN_FILES / str(file.fileno())) if _OPEN_FILES.is_dir() else str(file.name)


def filling() -> AbstractContextManager[None]:
    """For a block that writes into such a file: what the system refuses there is told with the folder's name."""
    return storage_errors(tempfile.gettempdir())


def nameless() -> IO[bytes]:
    """A file without a name."""
    with storage_errors(tempfile.gettempdir()):
        return tempfile.TemporaryFile(prefix="etui-")


def room() -> int:
    """The bytes that there is room for in such files."""
    with storage_errors(tempfile.gettempdir()):
        return shutil.disk_usage(tempfile.gettempdir()).free


def source_of(file: IO[bytes], where: str) -> FileSource:
    """A byte source of what a file holds; the file may be closed."""
    file.flush()
    return FileSource(os.dup(file.fileno()), where)


class Spool:
    """A remote file as a local one that is filled where it is read: no byte is asked for twice.

    Args:
        size: bytes of the file, which the store has confirmed.
        fetch: gives the bytes of a range, in any thread.
        where: the file, for messages.
        threads: how many ranges are asked for at once.

    Attributes:
        expects_all: whether a reader of all is expected, who gets what follows each range with it. Others get so only
            where they read one range after the other.
    """

    def __init__(self, size: int, fetch: Callable[[int, int], memoryview], where: str, *, threads: int) -> None:
        self.expects_all = False
        self._closed = True  # until there is something to close
        self._ahead = 0
        self._next = -1
        self._size = size
        self._fetch = fetch
        self._where = where
        self._coming: dict[int, Future[None]] = {}
        self._process = os.getpid()
        self._lock = Lock()
        with storage_errors(tempfile.gettempdir()):
            self._file = nameless()
            try:
                self._file.truncate(size)
                self._map = mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) if size else None
            except BaseException:
                self._file.close()
                raise
        # One byte a block, of a file that the system has room for.
        self._there = bytearray(-(-size // BLOCK_BYTES))
        self._pool = ThreadPoolExecutor(threads, "etui-remote")
        self._closed = False

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range, which stays valid after `close`.

        Raises:
            StorageError: ``remote-failed``, ``remote-read``; ``storage-failed``, the temporary file cannot hold it.
        """
        check_range(self._size, offset, length)
        if not length:
            return memoryview(b"")
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        with self._lock:
            held = self._map
            if self._closed or held is None:
                raise self._gone()
            if not all(self._there[first : last + 1]):
                if self._process != os.getpid():  # a fork has no threads
                    hint = "Open it in each process."
                    raise error("remote-failed", where=self._where, found="an artifact of another process", hint=hint)
                in_order = first <= self._next <= last + 1
                if self.expects_all:
                    self._ahead = _MOST_AHEAD
                else:
                    self._ahead = min(max(last + 1 - first, 2 * self._ahead), _MOST_AHEAD) if in_order else 0
                self._next = min(len(self._there), last + 1 + self._ahead)
                self._ask(first, self._next)
            waiting = {self._coming[block] for block in range(first, last + 1) if not self._there[block]}
        for job in waiting:
            try:
                job.result()
            except CancelledError as cause:  # by `close`, in another thread
                raise self._gone() from cause
        return memoryview(held)[offset : offset + length]

    def _gone(self) -> EtuiError:
        return error("storage-failed", where=self._where, found="an artifact that was closed")

    def _ask(self, first: int, stop: int) -> None:
        """Ask for the blocks from `first` on that are neither there nor coming: neighbours in one request."""
        most = PIECE_BYTES // BLOCK_BYTES
        begin = first
        while begin < stop:
            if self._there[begin] or begin in self._coming:
                begin += 1
                continue
            end = begin + 1
            while end < min(stop, begin + most) and not self._there[end] and end not in self._coming:
                end += 1
            job = self._pool.submit(self._bring, begin, end)
            self._coming |= dict.fromkeys(range(begin, end), job)
            begin = end

    def _bring(self, begin: int, end: int) -> None:
        try:
            start = begin * BLOCK_BYTES
            data = self._fetch(start, min(end * BLOCK_BYTES, self._size) - start)
            with storage_errors(tempfile.gettempdir()):
                done = 0
                while done < data.nbytes:
                    done += os.pwrite(self._file.fileno(), data[done:], start + done)
        except BaseException:
            with self._lock:
                for block in range(begin, end):
                    del self._coming[block]  # the next reader asks again
            raise
        with self._lock:
            for block in range(begin, end):
                self._there[block] = 1
                del self._coming[block]

    def __del__(self) -> None:
        # Whoever brings a block has this spool, so that nobody does now; who brought the last one may be here.
        self._let_go(wait=False)

    def close(self) -> None:
        """Let go of the file, and of what is not yet asked for; views keep their bytes."""
        self._let_go(wait=True)

    def _let_go(self, *, wait: bool) -> None:
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._pool.shutdown(wait=wait, cancel_futures=True)
            self._file.close()
            self._map = None
