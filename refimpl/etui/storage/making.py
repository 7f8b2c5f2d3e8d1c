"""Making a file or a folder under a fresh name beside a target, locked so that nobody takes it for a leftover."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from etui.errors import error
from etui.storage.leftovers import lock, remove
from etui.storage.output import create_file
from etui.storage.system import calls

Held = TypeVar("Held", BinaryIO, "NewFolder")
TRIES = 100
"""How often something is tried again that other writers came between."""


def mode_of(path: Path) -> int | None:
    """Kind and permissions of what is at a path."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return None


def make_beside(path: Path, mode: int | None, make: Callable[[Path, bool], Held]) -> tuple[Path, Held]:
    """Make something under a fresh name beside `path`, with the permissions of `mode`, and hold it locked."""
    for _ in range(TRIES):
        made = path.with_name(f".{path.name}.etui-{secrets.token_hex(4)}.tmp")
        try:
            # At no time may more people read it than read what it replaces.
            held = make(made, mode is not None)
        except FileExistsError:
            continue
        except FileNotFoundError:
            # Another writer may have taken it for a leftover before it was open, or see below.
            if path.parent.is_dir():
                continue
            raise
        try:
            taken = lock(held.fileno()) is False
            if mode is not None:
                owner = stat.S_IRWXU if stat.S_ISDIR(mode) else 0
                calls.system.chmod(held.fileno(), stat.S_IMODE(mode) | owner)
            # Between its making and its locking another writer may have taken it for a leftover.
            if os.fstat(held.fileno()).st_nlink and not taken:
                return made, held
        except BaseException:
            held.close()
            remove(made)
            raise
        held.close()
        remove(made)
    raise error("storage-failed", where=str(path), found=f"no free name beside it in {TRIES} tries")


def make_file(path: Path, private: bool) -> BinaryIO:
    """Make a file, which the owner alone may read if it is `private`; for `make_beside`."""
    return create_file(path, 0o600 if private else 0o666)


class NewFolder:
    """A new folder, held open for its lock as a file is; for `make_beside`."""

    def __init__(self, path: Path, private: bool) -> None:
        calls.system.mkdir(path, 0o700 if private else 0o777)
        try:
            self._descriptor = calls.system.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            remove(path)
            raise

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def close(self) -> None:
        """Let go of the folder; again is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            calls.system.close(descriptor)
