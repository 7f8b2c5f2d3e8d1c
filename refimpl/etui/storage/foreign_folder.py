"""Folders of other software's files: read without following a link below them, and written in one step.

The formats whose files lie beside each other (SPEC.md, annexes D, G and H) differ in the names that they allow and in
the code that refuses what is no file; how a file is found and opened is the same for all.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import Buffer
from etui.storage.closing import Closing
from etui.storage.failures import storage_errors, storage_failure
from etui.storage.foreign_names import leads_elsewhere
from etui.storage.sources import FileSource
from etui.storage.transaction import (
    FolderTransaction,
    create_file,
    flush_file,
    make_folders,
    remove_folder,
    rename,
    resolved,
    sync_folder,
)
from etui.storage.writing import slices

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FILE = {errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
_DEPTH = 16

Identity = tuple[int, int, int, int]
LinkCode = Literal["foreign-folder-link", "part-not-a-file", "sibling-name"]


class ForeignFolder(Closing):
    """Reads files below a folder, which is held open. No link is followed below it.

    Args:
        path: the folder; it may itself be a link.
        limits: bound what `names` lists.
        link: the code that refuses a link, a device or a folder in place of a file: each annex names its own.

    Raises:
        StorageError: ``storage-failed``.
    """

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS, *, link: LinkCode = "foreign-folder-link") -> None:
        self.location = str(path)
        self._limits = limits
        self._link = link
        self._listed: dict[str, int] | None = None
        self._met: dict[str, Identity] = {}
        self._sources: list[FileSource] = []
        self._descriptor = -1
        with storage_errors(self.location):
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def names(self) -> dict[str, int]:
        """Every file by its path below the folder, `/` between the steps, with its size; sorted, and listed once.

        Raises:
            UnsafeError: the code of links, something below the folder is neither a regular file nor a folder.
            InvalidError: ``foreign-folder-name``, a name that is not UTF-8 or holds a control character.
            LimitError: ``limit-foreign``, more files, levels or bytes than the limits allow.
            StorageError: ``storage-failed``.
        """
        if self._listed is None:
            self._listed = dict(sorted(self._files()))
        return self._listed

    def entries(self) -> Iterator[str]:
        """Everything below the folder that is not a folder, links and devices included, whatever its name.

        Raises:
            StorageError: ``storage-failed``.
        """
        for name, status in self._walk(self._held(), ""):
            if not stat.S_ISDIR(status.st_mode) or _too_deep(name):
                yield name

    def source(self, name: str) -> FileSource:
        """The bytes of a file, which is held open until the folder is closed.

        Raises:
            UnsafeError: ``part-name``, the code of links.
            StorageError: ``storage-failed``, also where nothing has the name.
        """
        where = f"{self.location}/{name}"
        with storage_errors(where), self._opened(name) as descriptor:
            source = FileSource(os.dup(descriptor), where)
        self._sources.append(source)
        return source

    def size(self, name: str) -> int | None:
        """The bytes of a regular file, which is not held open; `None` if nothing has the name.

        Raises:
            UnsafeError: ``part-name``, the code of links.
            StorageError: ``storage-failed``.
        """
        try:
            with self._opened(name) as descriptor:
                found = self._met[name] = _identity(descriptor)
        except FileNotFoundError:
            return None
        return found[2]

    def read(self, name: str, offset: int, length: int) -> bytes:
        """A range of a file whose `size` was asked for; a folder may have more files than a process may hold open.

        Raises:
            StorageError: ``storage-failed``, also for a file that was changed or replaced since.
        """
        where = f"{self.location}/{name}"
        pieces, done = [], 0
        with storage_errors(where), self._opened(name) as descriptor:
            if _identity(descriptor) != self._met.get(name):
                raise error("storage-failed", where=where, found="a file that was changed while the model was open")
            while done < length:
                piece = os.pread(descriptor, length - done, offset + done)
                if not piece:
                    raise error("storage-failed", where=where, found="a file that became shorter while open")
                pieces.append(piece)
                done += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the folder and of its files; views that were handed out stay valid."""
        self._release()
        for source in self._sources:
            source.close()

    def __del__(self) -> None:
        self._release()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _held(self) -> int:
        if self._descriptor < 0:
            raise error("storage-failed", where=self.location, found="a folder that was closed")
        return self._descriptor

    def _files(self) -> Iterator[tuple[str, int]]:
        """Every file with its size, as `names` promises."""
        objects, space = self._limits.foreign_objects, self._limits.foreign_bytes
        for name, status in self._walk(self._held(), ""):
            where = f"{self.location}/{name}"
            if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in name):
                raise error("foreign-folder-name", where=self.location, found=shown(name))
            objects -= 1
            if stat.S_ISDIR(status.st_mode):
                if _too_deep(name):
                    raise error("limit-foreign", where=self.location, found=f"folders nested more than {_DEPTH} deep")
            elif not stat.S_ISREG(status.st_mode):
                raise error(self._link, where=where, found=stat.filemode(status.st_mode))
            else:
                space -= status.st_size
            if min(objects, space) < 0:
                raise error("limit-foreign", where=where, found="more files or bytes than the limits allow")
            if stat.S_ISREG(status.st_mode):
                yield name, status.st_size

    def _walk(self, folder: int, prefix: str) -> Iterator[tuple[str, os.stat_result]]:
        """Every entry with its status, a folder before what is in it; those that are too deep are not entered."""
        with storage_errors(self.location), os.scandir(folder) as entries:
            for entry in entries:
                name, status = prefix + entry.name, entry.stat(follow_symlinks=False)
                yield name, status
                if stat.S_ISDIR(status.st_mode) and not _too_deep(name):
                    below = os.open(entry.name, _FOLDER_FLAGS, dir_fd=folder)
                    try:
                        yield from self._walk(below, f"{name}/")
                    finally:
                        os.close(below)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """A descriptor of a regular file; FileNotFoundError if nothing has the name."""
        where = f"{self.location}/{name}"
        if leads_elsewhere(name):
            raise error("part-name", where=self.location, found=shown(name))
        *folders, base = name.split("/")
        with ExitStack() as stack:
            descriptor = self._held()
            try:
                for folder in folders:
                    descriptor = os.open(folder, _FOLDER_FLAGS, dir_fd=descriptor)
                    stack.callback(os.close, descriptor)
                descriptor = os.open(base, _FILE_FLAGS, dir_fd=descriptor)
                stack.callback(os.close, descriptor)
            except FileNotFoundError:
                raise
            except OSError as cause:
                if cause.errno in _NO_FILE:
                    raise error(self._link, where=where, found="a link, a device, or no folder") from cause
                raise storage_failure(where, cause) from cause
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise error(self._link, where=where, found=stat.filemode(status.st_mode))
            yield descriptor


def _too_deep(name: str) -> bool:
    return name.count("/") >= _DEPTH


def _identity(descriptor: int) -> Identity:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _raise(fault: OSError) -> None:
    raise fault


class FolderFiles:
    """A folder in the making, that `replace_folder` gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, name: str, buffers: Iterable[Buffer]) -> None:
        """Write one new file, and make the folders that lead to it.

        Raises:
            UnsafeError: ``part-name``.
            StorageError: ``storage-failed``.
        """
        path = self._place(name)
        with storage_errors(str(path)):
            make_folders(path.parent, flush=False)
            with create_file(path) as file:
                for view in slices(buffers):
                    file.write(view)

    def folder(self, name: str) -> Path:
        """A folder for a writer of its own, made with those that lead to it.

        Raises:
            UnsafeError: ``part-name``.
            StorageError: ``storage-failed``.
        """
        path = self._place(name)
        with storage_errors(str(path)):
            make_folders(path, flush=False)
        return path

    def raise_up(self, name: str) -> None:
        """Move everything in a folder up to this one, and remove the folder and those that lead to it, then empty.

        Raises:
            StorageError: ``storage-failed``.
        """
        folder = self._place(name)
        with storage_errors(str(folder)):
            for entry in list(folder.iterdir()):
                rename(entry, self._folder / entry.name)
            while folder != self._folder:
                remove_folder(folder)
                folder = folder.parent

    def _place(self, name: str) -> Path:
        if leads_elsewhere(name):
            raise error("part-name", where=str(self._folder), found=shown(name))
        return self._folder / name

    def sync(self) -> None:
        """Make every file and the entries of every folder durable.

        Raises:
            StorageError: ``storage-failed``.
        """
        with storage_errors(str(self._folder)):
            for below, _, files in os.walk(self._folder, topdown=False, onerror=_raise):
                for name in files:
                    flush_file(Path(below, name))
                sync_folder(Path(below))


@contextmanager
def replace_folder(target: str | os.PathLike[str]) -> Iterator[FolderFiles]:
    """Write a folder beside `target` and put it in its place when the block ends without an exception.

    Yields:
        The empty folder to write into. What is in it at the end is made durable, then takes the place of `target`.

    Raises:
        StorageError: ``storage-failed``; what was at the place is as it was.
    """
    path = resolved(target)
    transaction = FolderTransaction(path)
    try:
        files = FolderFiles(transaction.folder)
        with storage_errors(str(path)):
            yield files
        files.sync()
        transaction.commit()
    except BaseException:
        transaction.abort()
        raise
