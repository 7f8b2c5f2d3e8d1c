"""Replacing a file or a folder in one step: write beside, flush to the device, rename (clauses F-6 to F-8).

Everything that Etui writes into a file system goes through this module, whose helpers are `system`, the calls
themselves, `output`, the files that are written, `making`, what is new beside a target, `entries`, other names, and
`leftovers`, those beside a target.

The order is that of a journal: the content is flushed before its name changes, the change of the name before anything
that had the name is removed. Where the flush of a name fails, the change is undone; and where that cannot be flushed
either, both stay, of which one has the name of a leftover.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from etui.errors import error
from etui.storage.entries import (
    duplicate,
    flush_file,
    lockable,
    make_folder,
    make_folders,
    remove_file,
    remove_folder,
    rename,
    try_lock,
)
from etui.storage.failures import storage_errors
from etui.storage.leftovers import Cleared, beside, clear, locked, recover, remove, standing, sync_folder, within
from etui.storage.making import TRIES, NewFolder, make_beside, make_file, mode_of
from etui.storage.output import buffered, create_file, sync_file
from etui.storage.system import calls

__all__ = [
    "Cleared",
    "FileTransaction",
    "FolderTransaction",
    "clean",
    "create_file",
    "duplicate",
    "flush_file",
    "lockable",
    "make_folder",
    "make_folders",
    "nameless_file",
    "recover_all",
    "remove_file",
    "remove_folder",
    "rename",
    "replace_file",
    "resolved",
    "standing",
    "sync_file",
    "sync_folder",
    "try_lock",
    "write_once",
]

# What a rename over a folder says when another writer has filled it meanwhile.
_FILLED = {errno.ENOTEMPTY, errno.EEXIST}


def resolved(target: str | os.PathLike[str]) -> Path:
    """The path that a write to `target` replaces: a symbolic link stands for what it points to."""
    with storage_errors(os.fspath(target)):
        return Path(os.path.realpath(target))


class _Transaction:
    """What both kinds share: something is made beside a target, and takes its place or is removed."""

    def __init__(self, path: Path, made: Path, held: BinaryIO | NewFolder, check: Callable[[], None] | None) -> None:
        self._path = path
        self._made = made
        self._held = held
        self._check_target = check
        # Names were changed, and the folder was not flushed since.
        self._unsure = False

    def abort(self) -> None:
        """Remove what was made; what was at the place stays."""
        self._close()
        if self._unsure:
            try:
                sync_folder(self._path.parent)
            except OSError:
                return
        remove(self._made)

    def _close(self) -> None:
        # In an abort the buffer may hold bytes that the device refused, and closing would try again and raise again.
        # After a commit everything is durable, whatever closing says.
        with suppress(OSError):
            self._held.close()

    def _check(self, path: Path) -> None:
        """Others may have put something else there since the beginning, which a swap would remove."""
        mode = path.lstat().st_mode
        if stat.S_IFMT(mode) != stat.S_IFMT(self._made.lstat().st_mode):
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENOTDIR
            raise OSError(number, os.strerror(number), str(path))
        if self._check_target is not None:
            self._check_target()

    def _put_in_place(self) -> None:
        """Give what was made the name of the target, durably, and remove what had it.

        On a failure the names are as they were; only where the system can neither swap two names nor give a file two of
        them, a file stays replaced whose folder could not be flushed.
        """
        made, path = self._made, self._path
        # Also where an interrupt comes between a change and its flush.
        self._unsure = True
        for _ in range(TRIES):
            if not os.path.lexists(path) or _is_empty_folder(path):
                try:
                    calls.system.rename(made, path)
                except OSError as cause:
                    if cause.errno in _FILLED:
                        continue
                    raise
                self._settle(lambda: calls.system.rename(path, made))
                return
            try:
                self._check(path)
                swapped = calls.system.exchange(made, path)
            except FileNotFoundError:
                # Another writer is between its two renames, or someone removed the target.
                if os.path.lexists(made):
                    continue
                raise
            if swapped:
                self._settle(lambda: calls.system.exchange(made, path))
                remove(made)
            elif not self._rename_twice():
                continue
            return
        raise error("storage-failed", where=str(path), found=f"others changed it during {TRIES} tries")

    def _rename_twice(self) -> bool:
        """The same where two names cannot be swapped: a folder has no place for a moment, a file always has.

        Returns:
            Whether it was done; not if another writer came between.
        """
        made, path = self._made, self._path
        old = path.with_name(f".{path.name}.etui-{secrets.token_hex(4)}.old")
        with locked(path):
            if path.is_dir():
                return self._move_aside(old)
            try:
                calls.system.link(path, old)
            except FileNotFoundError:
                return False
            except OSError:
                calls.system.rename(made, path)
                self._settle(lambda: None)
                return True
            try:
                calls.system.rename(made, path)
                self._settle(lambda: calls.system.rename(old, path))
            finally:
                # It is the second name of a file, or its place was taken back.
                remove(old)
        return True

    def _move_aside(self, old: Path) -> bool:
        made, path = self._made, self._path

        def undo() -> None:
            calls.system.rename(path, made)
            calls.system.rename(old, path)

        try:
            calls.system.rename(path, old)
            calls.system.rename(made, path)
        except BaseException as cause:
            if os.path.lexists(made) and isinstance(cause, FileNotFoundError) and not os.path.lexists(old):
                return False
            if isinstance(cause, OSError) and cause.errno in _FILLED:
                # Another writer found no one there. What was moved aside is removed when a commit is durable.
                return False
            if os.path.lexists(old) and not os.path.lexists(path):
                calls.system.rename(old, path)
            raise
        self._settle(undo)
        # The save is done; what cannot be tidied now is left to the next one.
        with suppress(OSError):
            recover(path)
        remove(old)
        return True

    def _settle(self, undo: Callable[[], object]) -> None:
        """Make a change of names durable, or undo it."""
        self._unsure = True
        try:
            sync_folder(self._path.parent)
        except BaseException:
            undo()
            raise
        self._unsure = False


class FileTransaction(_Transaction):
    """A file that takes the place of `path` when it is complete.

    Its permissions are those of the file that it replaces, from the beginning.

    Args:
        path: the file to replace or make, resolved.

    Attributes:
        file: open for writing and reading in binary mode; its `name` is the temporary path.
    """

    def __init__(self, path: Path, *, like: Path | None = None, check: Callable[[], None] | None = None) -> None:
        with storage_errors(str(path)):
            mode = mode_of(path)
            if mode is None and like is not None:
                mode = mode_of(like)
            if mode is not None and not stat.S_ISREG(mode):
                number = errno.EISDIR if stat.S_ISDIR(mode) else errno.ELOOP if stat.S_ISLNK(mode) else errno.ENODEV
                raise OSError(number, os.strerror(number), str(path))
            recover(path)
            made, self.file = make_beside(path, mode, make_file)
        super().__init__(path, made, self.file, check)

    def commit(self) -> None:
        """Flush the file to the device and put it in its place."""
        with storage_errors(str(self._path)):
            sync_file(self.file)
            self._put_in_place()
        self._close()


class FolderTransaction(_Transaction):
    """A folder that takes the place of `path` when it is complete.

    Its permissions are those of the folder that it replaces, those in it are of new files.

    Args:
        path: the folder to replace or make, resolved.

    Attributes:
        folder: the temporary folder to write into.
    """

    def __init__(self, path: Path, *, check: Callable[[], None] | None = None) -> None:
        with storage_errors(str(path)):
            self._mode = mode_of(path)
            if self._mode is not None and not stat.S_ISDIR(self._mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
            recover(path)
            self.folder, self._descriptor = make_beside(path, self._mode, NewFolder)
        super().__init__(path, self.folder, self._descriptor, check)

    def commit(self) -> None:
        """Put the folder, whose content is durable, in its place, and remove the earlier one."""
        with storage_errors(str(self._path)):
            if self._mode is not None and ~self._mode & stat.S_IRWXU:
                # The owner may not write into it, and now nothing more is to be written.
                calls.system.chmod(self._descriptor.fileno(), stat.S_IMODE(self._mode))
                calls.system.fsync(self._descriptor.fileno())
            self._put_in_place()
        self._close()


def clean(path: Path, *, dry: bool = False) -> list[Cleared]:
    """Remove what writers that died left beside a target, and in it if it is a folder of targets.

    What was at a target whose place is empty is put back. Nothing that a living writer holds is touched.

    Args:
        path: the target, which may be missing; a symbolic link stands for what it points to.
        dry: change nothing, and say what would become of each.

    Raises:
        StorageError: ``storage-failed``, the folder of the target is not there or cannot be flushed.
    """
    # What has no name of its own, as the working folder, has nothing beside it before it is resolved.
    path = resolved(path) if path.is_symlink() or path.name in {"", ".."} else path
    with storage_errors(str(path)):
        path.parent.stat()
        return clear([*beside(path), *within(path)], dry=dry)


def recover_all(folder: Path, belongs: Callable[[str], bool]) -> None:
    """Remove what writers that died left beside the targets of a folder whose names belong to a set of files."""
    clear([leftover for leftover in within(folder) if belongs(leftover.target.name)])


def write_once(path: Path, data: Iterable[memoryview]) -> None:
    """Write a file under a name that stands for this content alone; it is durable before it has the name.

    The folder is not flushed.
    """
    made, file = make_beside(path, None, make_file)
    try:
        for view in data:
            file.write(view)
            del view  # see `slices`
        sync_file(file)
        calls.system.rename(made, path)
    except BaseException:
        with suppress(OSError):
            file.close()
        remove(made)
        raise
    # The content is durable, whatever closing says.
    with suppress(OSError):
        file.close()


@contextmanager
def replace_file(target: str | os.PathLike[str], *, like: Path | None = None) -> Iterator[BinaryIO]:
    """Write a file of any format beside `target` and put it in its place when the block ends without an exception.

    Yields:
        The file, open for writing and reading in binary mode, seekable; `name` is its path.

    Raises:
        StorageError: ``storage-failed``; what was at the place is as it was.
    """
    path = resolved(target)
    transaction = FileTransaction(path, like=like)
    try:
        with storage_errors(str(path)):
            yield transaction.file
        transaction.commit()
    except BaseException:
        transaction.abort()
        raise


def nameless_file(target: Path) -> BinaryIO:
    """A file beside a target that has no name, so that nothing is left when it is closed or the process dies."""
    target = resolved(target)
    nameless = getattr(os, "O_TMPFILE", 0)
    if nameless:
        with suppress(OSError):
            return buffered(calls.system.open(target.parent, nameless | os.O_RDWR, 0o600), str(target.parent))
    made, file = make_beside(target, stat.S_IRUSR | stat.S_IWUSR, make_file)
    remove(made)
    return file


def _is_empty_folder(path: Path) -> bool:
    try:
        return path.is_dir() and next(path.iterdir(), None) is None
    except FileNotFoundError:
        return False
