"""Making, naming and removing what is not yet, or no longer, a part of what has its place."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etui.storage.leftovers import lock, remove, sync_folder
from etui.storage.output import create_file, sync_file
from etui.storage.system import calls

_COPIED_BYTES = 8 * 1024 * 1024


def make_folder(path: Path) -> None:
    """Make a folder in one that is there."""
    calls.system.mkdir(path)


def make_folders(path: Path, *, flush: bool = True) -> None:
    """Make a folder and those that lead to it, durably if asked; one that is there already is left as it is."""
    if path.is_dir():
        return
    make_folders(path.parent, flush=flush)
    with suppress(FileExistsError):
        calls.system.mkdir(path)
        if flush:
            sync_folder(path.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def remove_file(path: Path) -> None:
    """Remove a file whose content is no longer needed, if it is there."""
    with suppress(FileNotFoundError):
        calls.system.unlink(path)


def remove_folder(path: Path) -> None:
    """Remove an empty folder."""
    calls.system.rmdir(path)


@contextmanager
def lockable(path: Path, *, make: bool = False) -> Iterator[int]:
    """A file held open so that it can be locked in the block; made if asked, where there is nothing.

    The lock ends with the block, whoever has the descriptor by then; but not with that of a process that was forked in
    it, whose copy of the descriptor stands for the same lock.
    """
    owner = os.getpid()
    try:
        descriptor = _opened(path)
    except FileNotFoundError:
        if not make:
            raise
        with suppress(FileExistsError):
            create_file(path).close()
        descriptor = _opened(path)
    try:
        yield descriptor
    finally:
        if os.getpid() == owner:
            with suppress(OSError):
                calls.system.unlock(descriptor)
        with suppress(OSError):
            calls.system.close(descriptor)


def _opened(path: Path) -> int:
    """Open for writing if that can be, without which NFS gives nobody a lock for itself alone."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return calls.system.open(path, os.O_RDWR | flags)
    except OSError as cause:
        if cause.errno not in {errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR}:
            raise
    return calls.system.open(path, os.O_RDONLY | flags)


def try_lock(descriptor: int, *, shared: bool) -> bool | None:
    """Lock what is held open, without waiting; whether it is locked now, `None` on file systems without locks."""
    return lock(descriptor, shared=shared)


def flush_file(path: Path) -> None:
    """Flush a file that other software wrote to the storage device."""
    descriptor = calls.system.open(path, os.O_RDONLY)
    try:
        calls.system.fsync(descriptor)
    finally:
        calls.system.close(descriptor)


def rename(path: Path, name: Path) -> None:
    """Give another name to something in a folder that is not yet in its place."""
    calls.system.rename(path, name)


def duplicate(path: Path, name: Path) -> None:
    """Give a complete and durable file one more name, in one step over what has it; the folder is not flushed.

    Where a file cannot have two names it is copied.
    """
    made = name.with_name(f".{name.name}.etui-{secrets.token_hex(4)}.tmp")
    try:
        try:
            calls.system.link(path, made)
        except OSError:
            with path.open("rb") as source, create_file(made, 0o600) as copy:
                calls.system.chmod(copy.fileno(), stat.S_IMODE(os.fstat(source.fileno()).st_mode))
                while data := source.read(_COPIED_BYTES):
                    copy.write(data)
                sync_file(copy)
        calls.system.rename(made, name)
    except BaseException:
        remove(made)
        raise
    # Where both were names of one file already, a rename leaves both.
    remove(made)
