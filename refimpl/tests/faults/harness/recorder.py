"""A recorder of what each call of the write path does to the files below a folder."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from unittest import mock

from fault_system import FULL, Abilities, Watched, using
from worlds import Bytes, Disk, Entry, Length, Names, Sync


class Dies(BaseException):
    """The process ended in front of a call."""


class Recorder(Watched):
    """Makes the calls and logs what they do below a folder.

    Args:
        root: the folder, whose content is durable.
        abilities: of the file system.

    Attributes:
        before: the disk at the beginning.
        log: what happened, in order.
        dies_at: the process ends in front of that call, from 1: `Dies` is raised, and nothing has an effect any more.
        first_fault: the length of the log when the call of `fails_at` failed.
    """

    def __init__(self, root: Path, abilities: Abilities = FULL) -> None:
        super().__init__(abilities)
        self._root = root
        self._numbers = count(1)
        self._open: dict[int, int] = {}
        self._disk = Disk()
        self._scan(root, 0)
        self._dead = False
        self.before = self._disk.copy()
        self.log: list[Entry] = []
        self.dies_at = 0
        self.first_fault = 0
        self._fails_at = 0
        self._fails: str | None = None

    def restart(self) -> None:
        """The process that died is followed by another; what is open is closed."""
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()
        self.names.clear()
        self.dies_at = 0
        self._dead = False

    def fails_at(self, call: int, later: str | None) -> None:
        """Let a call fail with EIO, from 1, and each call of the name `later` after it."""
        self._fails_at, self._fails = call, later

    def perform(self, name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        if len(self.names) == self.dies_at:
            self._dead = True
        if self._dead:
            raise Dies
        at = len(self.names)
        if at == self._fails_at or (0 < self._fails_at < at and name == self._fails):
            if at == self._fails_at:
                self.first_fault = len(self.log)
            if name == "close":
                del self._open[arguments[0]]
                call(*arguments)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        # Arguments given by name are bound in `call`.
        named = getattr(call, "keywords", {})
        result = call(*arguments)
        getattr(self, f"on_{name}")(result, *arguments, **named)
        return result

    def _scan(self, path: Path, number: int) -> None:
        for entry in path.iterdir():
            node = next(self._numbers)
            self._disk.folders[number][entry.name] = node
            if entry.is_dir():
                self._disk.folders[node] = {}
                self._scan(entry, node)
            else:
                self._disk.files[node] = entry.read_bytes()

    def _made(self, nodes: dict[int, Any], content: Any) -> int:
        """Number a new file or folder; the disk had it from the beginning, empty and without a name."""
        node = next(self._numbers)
        nodes[node] = content
        (self.before.folders if nodes is self._disk.folders else self.before.files)[node] = type(content)()
        return node

    def _did(self, entry: Entry) -> None:
        self.log.append(entry)
        self._disk.apply(entry)

    def _place(self, name: Path | str, folder: int | None = None) -> tuple[int, str]:
        """The folder that a name is in, and the last part of the name."""
        if folder is not None:
            return self._open[folder], str(name)
        *folders, last = Path(name).relative_to(self._root).parts
        number = 0
        for part in folders:
            number = self._disk.folders[number][part]
        return number, last

    def _node(self, name: Path | str, folder: int | None = None) -> int:
        if folder is None and Path(name) == self._root:
            return 0
        number, last = self._place(name, folder)
        return self._disk.folders[number][last]

    def on_open(self, result: int, name: Path | str, flags: int, _mode: int = 0, folder: int | None = None) -> None:
        nameless = getattr(os, "O_TMPFILE", 0)
        if nameless and flags & nameless == nameless:
            node = self._made(self._disk.files, b"")
        elif flags & os.O_CREAT:
            assert flags & os.O_EXCL  # so it is always made
            node = self._made(self._disk.files, b"")
            number, last = self._place(name, folder)
            self._did(Names(number, {last: node}))
        else:
            assert not flags & (os.O_TRUNC | os.O_WRONLY)  # a lock is opened for both, and not written
            node = self._node(name, folder)
        self._open[result] = node

    def on_write(self, result: int, descriptor: int, data: memoryview, offset: int) -> None:
        self._did(Bytes(self._open[descriptor], offset, bytes(data[:result])))

    def on_truncate(self, _result: None, descriptor: int, size: int) -> None:
        self._did(Length(self._open[descriptor], size))

    def on_chmod(self, *_: object) -> None:
        """Permissions are not looked at."""

    on_flock = on_unlock = on_chmod

    def on_fsync(self, _result: None, descriptor: int) -> None:
        self._did(Sync(self._open[descriptor]))

    def on_close(self, _result: None, descriptor: int) -> None:
        del self._open[descriptor]

    def on_mkdir(self, _result: None, path: Path, _mode: int = 0) -> None:
        node = self._made(self._disk.folders, {})
        number, last = self._place(path)
        self._did(Names(number, {last: node}))

    def on_link(self, _result: None, path: Path, name: Path) -> None:
        number, last = self._place(name)
        self._did(Names(number, {last: self._node(path)}))

    def on_rename(self, _result: None, path: Path, name: Path) -> None:
        (number, first), (other, last) = self._place(path), self._place(name)
        assert number == other
        node = self._node(path)
        if self._disk.folders[number].get(last) != node:  # two names of one file both stay
            self._did(Names(number, {first: None, last: node}))

    def on_exchange(self, result: bool, one: Path, two: Path) -> None:
        if result:
            (number, first), (other, last) = self._place(one), self._place(two)
            assert number == other
            self._did(Names(number, {first: self._node(two), last: self._node(one)}))

    def on_unlink(self, _result: None, name: Path | str, folder: int | None = None) -> None:
        number, last = self._place(name, folder)
        self._did(Names(number, {last: None}))

    on_rmdir = on_unlink


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record in the block; random names are numbered, so that the same states of two runs are the same."""
    numbers = count()
    with using(recorder), mock.patch.object(secrets, "token_hex", lambda size: f"{next(numbers):0{2 * size}x}"):
        yield
