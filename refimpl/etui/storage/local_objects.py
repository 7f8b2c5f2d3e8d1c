"""The objects and records of a series in a folder; see `storage.objects` for what a series is, and SPEC.md annex Q.

The order of a save is that of a journal: an object is durable before it has its name, the names of all objects are
durable before the record has its own. A process that ends at any moment leaves whole objects that no record refers to,
and files with the names of leftovers.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from etui.errors import EtuiError, error, shown
from etui.storage.base import Buffer, ByteSource
from etui.storage.failures import storage_errors
from etui.storage.leftovers import clear, within
from etui.storage.object_files import ObjectFiles, ObjectSource, link_error, missing_object
from etui.storage.objects import (
    MARK,
    MARK_BYTES,
    MOST_MARK_BYTES,
    MOST_RECORD_BYTES,
    StoredObject,
    check_mark,
    object_names,
    record_name,
    record_number,
)
from etui.storage.transaction import (
    Cleared,
    FileTransaction,
    lockable,
    make_folder,
    make_folders,
    remove_file,
    replace_file,
    resolved,
    sync_folder,
    try_lock,
    write_once,
)
from etui.storage.writing import exactly, slices

_HEX = re.compile(r"[0-9a-f]+")
_OURS = ("objects", "steps", "lock")
# Flushes wait for the device, and a device takes many at once.
_FLUSHES = 8
# Seconds: collecting garbage is over in less, and so is a record's writing.
_PATIENCE = 600.0
_PAUSE = 0.02


class LocalObjects:
    """An `ObjectStore` in a folder.

    Args:
        path: the folder; a symbolic link stands for what it points to.
        create: make a series in a folder that is empty or missing.

    Raises:
        InvalidError: ``series-form``, it is no series.
        StorageError: ``target-not-etui``, something else is there; ``storage-failed``.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool) -> None:
        self.location = os.fspath(path)
        self._root = resolved(path)
        self._files = ObjectFiles(self._root, self.location)
        self._guard = Lock()
        self._flushing = Lock()
        self._locks: set[int] = set()
        self._ready: set[Path] = set()
        self._unflushed: set[Path] = set()
        mark = self._files.read(MARK, MOST_MARK_BYTES)
        if mark is None and create:
            self._create()
            mark = self._files.read(MARK, MOST_MARK_BYTES)
        if mark is None:
            raise error("series-form", where=self.location, found=f"no {MARK}")
        check_mark(mark, self.location)

    @property
    def root(self) -> Path:
        """The folder, wherever the process works by now; `location` is as the caller named it."""
        return self._root

    def size_of(self, name: str) -> int | None:
        """The size of an object in bytes; `None` if it is not there."""
        status = self._status_of(name)
        if status is None:
            return None
        with self._guard:
            # Whoever wrote it may not have flushed its name yet.
            self._unflushed.add(self._root.joinpath(*object_names(name)[:-1]))
        return status.st_size

    def _status_of(self, name: str) -> os.stat_result | None:
        path = self._root.joinpath(*object_names(name))
        with storage_errors(str(path)):
            try:
                status = path.lstat()
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(status.st_mode):
                raise link_error(path)
            self._check_folder(path.parent)
        return status

    def put(self, name: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Store an object; see `ObjectStore.put`."""
        path = self._root.joinpath(*object_names(name))
        with storage_errors(str(path)):
            self._make_ready(path.parent)
            write_once(path, exactly(size, slices(buffers), name))
        with self._guard:
            self._unflushed.add(path.parent)

    def source(self, name: str) -> ByteSource:
        """The bytes of an object, mapped where that is possible."""
        status = self._status_of(name)
        if status is None:
            raise missing_object(name, self.location)
        return ObjectSource(self._files, name, status.st_size, status.st_ino)

    def flush(self) -> None:
        """Make the names durable of what was put and found; the bytes are so already."""
        # What another thread has begun to flush is not durable before it ends.
        with self._flushing:
            with self._guard:
                taken, self._unflushed = self._unflushed, set()
            folders = sorted(taken)
            if folders:
                folders += [self._root / "objects" / "sha256", self._root / "objects"]
            # Another writer may have made them, or the folder of the records, and not flushed that yet.
            folders.append(self._root)
            try:
                with storage_errors(self.location), ThreadPoolExecutor(_FLUSHES, "etui-flush") as threads:
                    for _ in threads.map(sync_folder, folders):
                        pass
            except BaseException:
                with self._guard:
                    self._unflushed |= taken
                raise

    def steps(self) -> list[int]:
        """The numbers of the steps that have a record, sorted."""
        numbers = [record_number(name) for name in self._files.names("steps")]
        return sorted(number for number in numbers if number is not None)

    def record(self, step: int) -> bytes:
        """The record of a step."""
        name = f"steps/{record_name(step)}"
        found = self._files.read(name, MOST_RECORD_BYTES)
        if found is None:
            raise _no_step(step, self.location)
        if len(found) > MOST_RECORD_BYTES:
            raise error("limit-document", where=f"{self.location}/{name}", found=f"{len(found)} bytes or more")
        return found

    def put_record(self, step: int, data: bytes, *, replace: bool = False) -> None:
        """Make a step visible and durable: the commit."""
        name = record_name(step)
        folder = self._root / "steps"
        path = folder / name
        with storage_errors(str(path)):
            make_folders(folder)
            self._check_folder(folder)
            # Two writers of one step: the second finds what the first has done. A folder cannot be locked on NFS.
            with lockable(self._root / MARK) as held:
                _wait(held, self.location, shared=False)
                if not replace and os.path.lexists(path):
                    raise error("series-exists", where=self.location, found=f"step {step}")
                self._check_locks()
                transaction = FileTransaction(path)
                try:
                    transaction.file.write(data)
                    transaction.commit()
                except BaseException:
                    transaction.abort()
                    raise

    def remove_record(self, step: int) -> None:
        """Remove the record of a step, durably."""
        path = self._root / "steps" / record_name(step)
        with storage_errors(str(path)):
            if not os.path.lexists(path):
                raise _no_step(step, self.location)
            self._check_folder(path.parent)
            remove_file(path)
            sync_folder(path.parent)

    def objects(self) -> Iterator[StoredObject]:
        """Every object that is there; files with other names are passed over."""
        for folder in self._shards():
            for name in self._files.names(folder):
                path = self._root / folder / name
                if len(name) != 62 or _HEX.fullmatch(name) is None:
                    continue
                with storage_errors(str(path)):
                    try:
                        status = path.lstat()
                    except FileNotFoundError:
                        continue  # others have collected garbage meanwhile
                if not stat.S_ISREG(status.st_mode):
                    raise link_error(path)
                yield StoredObject(f"sha256:{folder[-2:]}{name}", status.st_size, status.st_mtime)

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        path = self._root.joinpath(*object_names(name))
        with storage_errors(str(path)):
            self._check_folder(path.parent)
            remove_file(path)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """For the block, no garbage is collected; what dead writers left beside records is removed."""
        with ExitStack() as stack:
            with storage_errors(self.location):
                held = stack.enter_context(lockable(self._root / "lock", make=True))
                _wait(held, self.location, shared=True)
                clear([*within(self._root), *within(self._root / "steps")])
            with self._guard:
                self._locks.add(held)
            try:
                yield
            finally:
                with self._guard:
                    self._locks.discard(held)

    @contextmanager
    def cleaning(self, *, exclusive: bool = False) -> Iterator[None]:
        """For the block, nobody writes; what dead writers left is removed."""
        with ExitStack() as stack:
            with storage_errors(self.location):
                held = stack.enter_context(lockable(self._root / "lock", make=True))
                free = try_lock(held, shared=False)
                if free is False or (free is None and not exclusive):
                    found = "a writer at work" if free is False else "a file system without locks"
                    hint = "" if free is False else "Where nobody writes, pass `exclusive=True` (`--exclusive`)."
                    raise error("series-busy", where=self.location, found=found, hint=hint)
                if (self._root / "steps").is_dir():
                    # Who removed a record may have ended before that was durable.
                    sync_folder(self._root / "steps")
                self.clear_leftovers()
            yield

    def clear_leftovers(self, *, dry: bool = False) -> list[Cleared]:
        """Remove what writers that died left in the series; what a living one holds stays."""
        with storage_errors(self.location):
            folders = [self._root, self._root / "steps", *(self._root / name for name in self._shards())]
            return clear([leftover for folder in folders for leftover in within(folder)], dry=dry)

    def _create(self) -> None:
        with storage_errors(self.location):
            if self._root.exists() and not self._root.is_dir():
                raise error("target-not-etui", where=self.location, found="a file")
            make_folders(self._root)
            names = {path.name for path in self._root.iterdir()}
            leftovers = {leftover.path.name for leftover in within(self._root)}
            others = sorted(names - leftovers - set(_OURS))
            if others or self.steps():
                if (self._root / MARK).exists():  # another process has just made the series
                    return
                found = f"a folder with {shown(others[0])} in it" if others else f"steps without {MARK}"
                raise error("target-not-etui", where=self.location, found=found)
            with replace_file(self._root / MARK) as file:
                file.write(MARK_BYTES)

    def _check_locks(self) -> None:
        """Refuse a commit after the lock was taken away: others may have collected garbage meanwhile."""
        path = self._root / "lock"
        with self._guard:
            found = [os.fstat(held) for held in self._locks]
        if found and not (path.exists() and all(os.path.samestat(one, path.lstat()) for one in found)):
            hint = "Save again, and leave that file alone: it says nothing of who is at work."
            raise error("series-busy", where=self.location, found="a file `lock` that was removed", hint=hint)

    def _check_folder(self, folder: Path) -> None:
        """Refuse a link on the way from the series to a folder of it (CS-4)."""
        with self._guard:
            if folder in self._ready:
                return
        for path in (folder, *folder.parents):
            if path == self._root:
                break
            if not stat.S_ISDIR(path.lstat().st_mode):
                raise link_error(path)

    def _make_ready(self, folder: Path) -> None:
        """Make a folder for objects if there is none, and remove what writers that died left in it; once."""
        with self._guard:
            if folder in self._ready:
                return
            for made in reversed([folder, *folder.parents[: len(folder.relative_to(self._root).parts) - 1]]):
                if made in self._ready:
                    continue
                try:
                    make_folder(made)
                except FileExistsError:
                    if not stat.S_ISDIR(made.lstat().st_mode):
                        raise link_error(made) from None
                else:
                    self._unflushed.add(made.parent)
                self._ready.add(made)
            clear(within(folder))

    def _shards(self) -> list[str]:
        """The folders of objects, by their names below the series."""
        return [
            f"objects/sha256/{name}"
            for name in self._files.names("objects/sha256")
            if re.fullmatch("[0-9a-f]{2}", name)
        ]


def _wait(descriptor: int, where: str, *, shared: bool) -> None:
    """Lock what is held open as soon as nobody else has; at once where there are no locks."""
    until = time.monotonic() + _PATIENCE
    while try_lock(descriptor, shared=shared) is False:
        if time.monotonic() > until:
            raise error("series-busy", where=where, found=f"a lock that others held for {_PATIENCE:.0f} seconds")
        time.sleep(_PAUSE)


def _no_step(step: int, where: str) -> EtuiError:
    return error("series-step", where=where, found=f"no step {step}")
