"""Replacing a file or a folder in one step: write beside, flush to the device, rename (clauses F-6 to F-8).

Names beside a target called NAME, all in its folder:

    .NAME.etui-XXXXXXXX.tmp   what a writer is making; after a crash, garbage
    .NAME.etui-XXXXXXXX.old   the earlier folder, on systems that cannot swap two folders: between the two renames
                              it is the artifact, and `standing` finds it there

A writer holds a lock (flock) on what it is making and moving. The next writer removes what no one holds, and puts an
earlier folder back if a crash left its place empty.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from etui.errors import error
from etui.storage.exchange import exchange
from etui.storage.failures import storage_errors

_Held = TypeVar("_Held", BinaryIO, "_Folder")
_TRIES = 100
_BUFFER_BYTES = 1024 * 1024


def resolved(target: str | os.PathLike[str]) -> Path:
    """The path that a write to `target` replaces: a symbolic link stands for what it points to."""
    with storage_errors(os.fspath(target)):
        return Path(os.path.realpath(target))


def standing(path: Path) -> Path:
    """`path`, or the place where a writer that stopped between two renames left the earlier folder."""
    if not os.path.lexists(path):
        olds = _beside(path, "old")
        if olds:
            return max(olds, key=lambda old: old.lstat().st_mtime_ns)
    return path


def recover(path: Path) -> None:
    """Put an earlier folder back whose place a crash left empty, and remove what dead writers left beside `path`."""
    for old in _beside(path, "old"):
        with _locked(old) as free:
            if not free:
                continue
            if os.path.lexists(path):
                _remove(old)
            else:
                old.rename(path)
    for leftover in _beside(path, "tmp"):
        with _locked(leftover) as free:
            if free:
                _remove(leftover)


class FileTransaction:
    """A file that takes the place of `path` when it is complete.

    Args:
        path: the file to replace or make, resolved.

    Attributes:
        file: open for writing and reading in binary mode; its `name` is the temporary path.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(str(path)):
            recover(path)
            self._temporary, self.file = _make_beside(path, _make_file)

    def commit(self) -> None:
        """Flush the file to the device and put it in its place."""
        with storage_errors(str(self._path)):
            self.file.flush()
            os.fsync(self.file.fileno())
            _put_in_place(self._temporary, self._path)
            self.file.close()

    def abort(self) -> None:
        """Remove the temporary file; what was at the place stays."""
        # The buffer may hold bytes that the device refused; closing would try again and raise again.
        with suppress(OSError):
            self.file.close()
        _remove(self._temporary)


class FolderTransaction:
    """A folder that takes the place of `path` when it is complete.

    Args:
        path: the folder to replace or make, resolved.

    Attributes:
        folder: the temporary folder to write into.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage_errors(str(path)):
            recover(path)
            self.folder, self._held = _make_beside(path, _Folder)

    def commit(self) -> None:
        """Put the folder, whose content is durable, in its place, and remove the earlier one."""
        with storage_errors(str(self._path)):
            _put_in_place(self.folder, self._path)
            self._held.close()

    def abort(self) -> None:
        """Remove the temporary folder; what was at the place stays."""
        _remove(self.folder)
        self._held.close()


@contextmanager
def replace_file(target: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file of any format beside `target` and put it in its place when the block ends without an exception.

    Yields:
        The file, open for writing and reading in binary mode, seekable; `name` is its path.

    Raises:
        StorageError: ``storage-failed``; what was at the place is as it was.
    """
    path = resolved(target)
    transaction = FileTransaction(path)
    try:
        with storage_errors(str(path)):
            yield transaction.file
        transaction.commit()
    except BaseException:
        transaction.abort()
        raise


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_in_place(made: Path, path: Path) -> None:
    """Give what is at `made` the name `path`, durably, and remove what had it.

    On a failure the names are as they were; only where the system cannot swap two names, a file stays replaced whose
    folder could not be flushed.
    """
    if not os.path.lexists(path) or _is_empty_folder(path):
        made.rename(path)
        _sync_or_undo(path, lambda: path.rename(made))
        return
    made.chmod(stat.S_IMODE(path.stat().st_mode))
    if exchange(str(made), str(path)):
        _sync_or_undo(path, lambda: exchange(str(made), str(path)))
        _remove(made)
    elif path.is_dir():
        _rename_twice(made, path)
    else:
        made.replace(path)
        sync_folder(path.parent)


def _rename_twice(made: Path, path: Path) -> None:
    old = made.with_suffix(".old")
    with _locked(path):
        path.rename(old)
        try:
            made.rename(path)
            _sync_or_undo(path, lambda: path.rename(made))
        except BaseException:
            old.rename(path)
            raise
        _remove(old)


def _sync_or_undo(path: Path, undo: Callable[[], object]) -> None:
    try:
        sync_folder(path.parent)
    except OSError:
        undo()
        raise


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and next(path.iterdir(), None) is None


def _beside(path: Path, kind: Literal["tmp", "old"]) -> list[Path]:
    pattern = re.compile(rf"\.{re.escape(path.name)}\.etui-[0-9a-f]{{8}}\.{kind}")
    try:
        return [entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name)]
    except OSError:
        return []


def _make_beside(path: Path, make: Callable[[Path], _Held]) -> tuple[Path, _Held]:
    """Make something under a fresh name beside `path`, and hold it locked."""
    for _ in range(_TRIES):
        made = path.with_name(f".{path.name}.etui-{secrets.token_hex(4)}.tmp")
        try:
            held = make(made)
        except FileExistsError:
            continue
        _lock(held.fileno())
        # Between its making and its locking another writer may have taken it for a leftover.
        if os.fstat(held.fileno()).st_nlink:
            return made, held
        held.close()
    raise error("storage-failed", where=str(path), found=f"no free name beside it in {_TRIES} tries")


def _make_file(path: Path) -> BinaryIO:
    return path.open("x+b", buffering=_BUFFER_BYTES)


class _Folder:
    """A folder held open for its lock, as a file is."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            path.rmdir()
            raise

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def _lock(descriptor: int) -> bool:
    """Lock without waiting; file systems without locks count as locked by someone else."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Try to lock what is at `path` for the block; gives whether the lock was free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a file or folder; what cannot be removed stays, for the next writer."""
    with suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
