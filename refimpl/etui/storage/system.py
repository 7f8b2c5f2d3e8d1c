"""The system calls of the write path: the only place of Etui at which a file system is changed.

`transaction` and its helpers reach them through `calls`, which a test replaces to record each call, to let it fail, or
to end the process in front of it. Each method is one system call, but for what the Python library repeats by itself
after a signal (PEP 475).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path

from etui.storage.exchange import exchange

# Linux takes no more at once; macOS refuses more than 2^31 - 1 (EINVAL), and `os.pwrite` does not cap it.
_MOST_BYTES = 0x7FFF_F000


class System:
    """The calls; every one raises `OSError` as those of `os` do."""

    def open(self, name: Path | str, flags: int, mode: int = 0o666, folder: int | None = None) -> int:
        """Open or make what a path, or a name in an open folder, stands for; gives the descriptor.

        Child processes do not inherit it.
        """
        return os.open(name, flags | os.O_CLOEXEC, mode, dir_fd=folder)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write at a place of a file; gives the number of bytes that were taken, which may be fewer."""
        return os.pwrite(descriptor, data[:_MOST_BYTES], offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Make a file shorter or longer."""
        os.ftruncate(descriptor, size)

    def chmod(self, descriptor: int, mode: int) -> None:
        """Set permissions."""
        os.fchmod(descriptor, mode)

    def fsync(self, descriptor: int) -> None:
        """Flush a file's bytes, or a folder's entries, to the storage device."""
        if sys.platform == "darwin":
            # There fsync leaves data in the device's cache, and not every file system has the stronger call.
            try:
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            except OSError as cause:
                if cause.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
                    raise
            else:
                return
        os.fsync(descriptor)

    def flock(self, descriptor: int, shared: bool = False) -> None:
        """Lock without waiting: for this process alone, or together with others that share the lock."""
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    def unlock(self, descriptor: int) -> None:
        """Give a lock back, also where a process that was forked meanwhile has the descriptor, too."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def close(self, descriptor: int) -> None:
        """Close a descriptor, which gives its lock back."""
        os.close(descriptor)

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        """Make a folder."""
        os.mkdir(path, mode)  # noqa: PTH102  (here and below the calls stand for themselves)

    def link(self, path: Path, name: Path) -> None:
        """Give a file one more name."""
        os.link(path, name, follow_symlinks=False)

    def rename(self, path: Path, name: Path) -> None:
        """Give another name, whatever file or empty folder has it."""
        os.rename(path, name)  # noqa: PTH104

    def exchange(self, one: Path, two: Path) -> bool:
        """Swap what two names stand for; False where the system or the file system cannot."""
        return exchange(str(one), str(two))

    def unlink(self, name: Path | str, folder: int | None = None) -> None:
        """Remove the name of a file: a path, or a name in an open folder."""
        os.unlink(name, dir_fd=folder)

    def rmdir(self, name: Path | str, folder: int | None = None) -> None:
        """Remove an empty folder: a path, or a name in an open folder."""
        os.rmdir(name, dir_fd=folder)


class Calls:
    """Holds the `System` in use.

    Attributes:
        system: what makes the calls.
    """

    def __init__(self) -> None:
        self.system = System()


calls = Calls()
