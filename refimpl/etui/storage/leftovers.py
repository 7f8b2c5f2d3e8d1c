"""What writers keep beside a target while they work, and what is left of it when they die.

Names beside a target called NAME, all in its folder:

    .NAME.etui-XXXXXXXX.tmp   what a writer is making; after a crash, garbage
    .NAME.etui-XXXXXXXX.old   what was there earlier, on systems that cannot swap two names: between two renames a
                              folder of that name is the artifact, and `standing` finds it there

A writer holds a lock (flock) on what it is making and moving. The next writer, or `etui clean`, removes what no one
holds, and puts an earlier artifact back if a crash left its place empty.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from etui.storage.system import calls

_NAME = re.compile(r"\.(.+)\.etui-[0-9a-f]{8}\.(tmp|old)", re.DOTALL)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
# What fsync says of a folder where a file system has no such operation.
_NO_FLUSH = {errno.EINVAL, errno.ENOTSUP}

Fate = Literal["removed", "restored", "held", "stays"]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of a leftover.

    Attributes:
        path, target, kind: as of `Leftover`.
        fate: ``"removed"``; ``"restored"`` to its place; ``"held"`` by a living writer, or on a file system without
            locks; ``"stays"``, it could not be removed.
    """

    path: Path
    target: Path
    kind: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a writer keeps, or left, beside a target.

    Attributes:
        path: where it is.
        target: what the writer was to replace or make.
        kind: ``"tmp"`` or ``"old"``.
    """

    path: Path
    target: Path
    kind: str


def standing(path: Path) -> Path:
    """`path`, or the place where a writer that stopped between two renames left the earlier artifact."""
    if not os.path.lexists(path):
        olds = [leftover.path for leftover in beside(path) if leftover.kind == "old"]
        if olds:
            return max(olds, key=lambda old: old.lstat().st_mtime_ns)
    return path


def beside(path: Path) -> list[Leftover]:
    """What writers of one target keep or left."""
    return [leftover for leftover in within(path.parent) if leftover.target == path]


def within(folder: Path) -> list[Leftover]:
    """What writers of anything in a folder keep or left there, ordered by name; nothing if there is no such folder."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    found = [(path, _NAME.fullmatch(path.name)) for path in paths]
    return [Leftover(path, folder / match[1], match[2]) for path, match in found if match is not None]


def recover(path: Path) -> None:
    """Put an earlier artifact back whose place a crash left empty, and remove what dead writers left beside `path`."""
    clear(beside(path))


def clear(leftovers: list[Leftover], *, dry: bool = False) -> list[Cleared]:
    """Remove what no living writer holds; an earlier artifact whose place is empty is put back.

    Args:
        leftovers: those of whole targets, in any order.
        dry: change nothing, and say what would become of them.

    Returns:
        What became of each, those of kind ``"old"`` first.
    """
    if leftovers and not dry:
        for folder in sorted({leftover.path.parent for leftover in leftovers}):
            # The renames of a writer that died may not be durable. Did a power cut undo one after its leftover was
            # removed, that leftover would be what the target's name stands for.
            sync_folder(folder)
    filled: set[Path] = set()
    # The youngest of several earlier ones is put back, as it is what `standing` finds.
    ordered = sorted(leftovers, key=lambda one: (one.kind, _age(one.path)))
    return [Cleared(one.path, one.target, one.kind, _clear(one, filled, dry=dry)) for one in ordered]


def _clear(leftover: Leftover, filled: set[Path], *, dry: bool) -> Fate:
    with locked(leftover.path) as free:
        if not free:
            return "held" if os.path.lexists(leftover.path) else "removed"
        if leftover.kind == "old" and leftover.target not in filled and not os.path.lexists(leftover.target):
            filled.add(leftover.target)
            if dry:
                return "restored"
            try:
                calls.system.rename(leftover.path, leftover.target)
            except OSError as cause:
                # A writer that came between has filled the place.
                if cause.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
            else:
                return "restored"
        if dry:
            return "removed"
        remove(leftover.path)
    return "stays" if os.path.lexists(leftover.path) else "removed"


def _age(path: Path) -> int:
    try:
        return -path.lstat().st_mtime_ns
    except OSError:
        return 0


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the device, where the file system has such an operation."""
    descriptor = calls.system.open(path, _FOLDER)
    try:
        calls.system.fsync(descriptor)
    except OSError as cause:
        if cause.errno not in _NO_FLUSH:
            raise
    finally:
        calls.system.close(descriptor)


def lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Lock without waiting; whether it is locked now, `None` on file systems without locks."""
    try:
        if shared:
            calls.system.flock(descriptor, True)
        else:
            calls.system.flock(descriptor)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Try to lock what is at `path` for the block; gives whether the lock was free."""
    try:
        descriptor = calls.system.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        yield lock(descriptor) is True
    finally:
        with suppress(OSError):
            calls.system.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder, whose links are not followed; what cannot be removed stays, for the next writer."""
    with suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            _empty(calls.system.open(path, _FOLDER | os.O_NOFOLLOW))
            calls.system.rmdir(path)
        else:
            calls.system.unlink(path)


def _empty(folder: int) -> None:
    """Remove what is below an open folder, which is closed."""
    try:
        if not os.fstat(folder).st_mode & stat.S_IWUSR:
            calls.system.chmod(folder, stat.S_IRWXU)
        with os.scandir(folder) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_folder in names:
            if is_folder:
                _empty(calls.system.open(name, _FOLDER | os.O_NOFOLLOW, folder=folder))
                calls.system.rmdir(name, folder)
            else:
                calls.system.unlink(name, folder)
    finally:
        calls.system.close(folder)
