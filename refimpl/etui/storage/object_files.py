"""Reading the files of a series in a folder: no link is followed, and few descriptors stay open."""

from __future__ import annotations

import errno
import mmap
import os
import resource
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from etui.errors import EtuiError, error
from etui.storage.failures import storage_errors
from etui.storage.objects import object_names
from etui.storage.sources import BytesSource, FileSource, check_range

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}
# A socket or a device without a driver cannot be opened.
_NO_FILE = {errno.ELOOP, errno.ENXIO}
# Small tensors that share an object are asked for one after the other.
_KEPT_MAPS = 4


class ObjectFiles:
    """The files below the folder of a series.

    Args:
        root: the folder, resolved.
        location: what messages call it.
    """

    def __init__(self, root: Path, location: str) -> None:
        self._root = root
        self._location = location
        self._guard = Lock()
        self._maps: WeakValueDictionary[tuple[str, int], mmap.mmap] = WeakValueDictionary()
        self._last: list[mmap.mmap] = []

    def names(self, folder: str) -> list[str]:
        """The names in a folder of the series, sorted; none if it is not there."""
        with ExitStack() as stack, storage_errors(f"{self._location}/{folder}"):
            descriptor = self._enter(folder.split("/"), stack)
            if descriptor is None:
                return []
            with os.scandir(descriptor) as entries:
                return sorted(entry.name for entry in entries)

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """The bytes of a small file, `most` + 1 of them at most; `None` if it is not there."""
        source = self._open(name)
        if source is None:
            return None
        try:
            return source.read(0, source.size if most is None else min(source.size, most + 1))
        finally:
            source.close()

    def read_object(self, name: str, size: int, offset: int, length: int) -> bytes:
        """A copy of a range of an object that had that size."""
        source = self._object(name, size)
        try:
            return source.read(offset, length)
        finally:
            source.close()

    def map_object(self, name: str, size: int, inode: int) -> memoryview | None:
        """An object that had that size, mapped; `None` where many are already, since each map has a descriptor.

        One that was removed as it was damaged, and written again, has another inode.
        """
        with self._guard:
            found = self._maps.get((name, inode))
            if found is None and len(self._maps) >= _most_maps():
                return None
        if found is not None:
            return memoryview(found)
        source = self._object(name, size)
        try:
            view = source.view(0, size)
        finally:
            source.close()
        with self._guard:
            if isinstance(view.obj, mmap.mmap):
                self._maps[name, inode] = view.obj
                self._last = [view.obj, *self._last[: _KEPT_MAPS - 1]]
        return view

    def _enter(self, folders: Iterable[str], stack: ExitStack) -> int | None:
        """Open the last of some folders, reached without following a link; `None` if it is not there."""
        place = self._root
        try:
            descriptor = os.open(place, _FOLDER_FLAGS)
        except FileNotFoundError:
            return None
        stack.callback(os.close, descriptor)
        for name in folders:
            place /= name
            try:
                descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=descriptor)
            except FileNotFoundError:
                return None
            except OSError as cause:
                if cause.errno in _NO_FOLDER:
                    raise link_error(place) from cause
                raise
            stack.callback(os.close, descriptor)
        return descriptor

    def _open(self, name: str) -> FileSource | None:
        """A file, reached without following a link; `None` if it is not there."""
        *folders, base = name.split("/")
        where = f"{self._location}/{name}"
        with ExitStack() as stack, storage_errors(where):
            folder = self._enter(folders, stack)
            if folder is None:
                return None
            try:
                descriptor = os.open(base, _FILE_FLAGS, dir_fd=folder)
            except FileNotFoundError:
                return None
            except OSError as cause:
                if cause.errno in _NO_FILE:
                    raise link_error(self._root / name) from cause
                raise
            try:
                return FileSource(descriptor, where)
            except EtuiError as cause:
                raise link_error(self._root / name) from cause

    def _object(self, name: str, size: int) -> FileSource:
        source = self._open("/".join(object_names(name)))
        if source is None:
            raise missing_object(name, self._location)
        if source.size != size:
            source.close()
            raise error("series-object", where=f"{self._location}, {name}", found=f"{source.size} bytes, not {size}")
        return source


class ObjectSource:
    """The bytes of an object, whose file is open only while it is read or mapped.

    Args:
        files: of the series.
        name: the digest.
        size: in bytes, when it was looked up.
        inode: of its file, then.
    """

    def __init__(self, files: ObjectFiles, name: str, size: int, inode: int) -> None:
        self._files = files
        self._name = name
        self._size = size
        self._inode = inode

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        check_range(self._size, offset, length)
        return self._files.read_object(self._name, self._size, offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range, mapped unless very many objects are."""
        check_range(self._size, offset, length)
        if not length:
            return memoryview(b"")
        found = self._files.map_object(self._name, self._size, self._inode)
        if found is None:
            return BytesSource(self.read(offset, length)).view(0, length)
        return found[offset : offset + length]


def link_error(path: Path) -> EtuiError:
    """The error for a link, a device or a folder in place of a file (CS-4)."""
    with storage_errors(str(path)):
        found = stat.filemode(path.lstat().st_mode)
    return error("series-link", where=str(path), found=found)


def missing_object(name: str, where: str) -> EtuiError:
    """The error for an object that is not there (CS-8)."""
    hint = "Was its step removed meanwhile, open another; else this copy of the series is incomplete."
    return error("series-object", where=where, found=f"no {name}", hint=hint)


def _most_maps() -> int:
    """Half of the descriptors that the process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(16, (1024 if soft == resource.RLIM_INFINITY else soft) // 2)
