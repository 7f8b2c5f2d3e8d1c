"""An artifact whose parts lie in several places, such as a cache and an earlier copy: byte sources by name."""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource, Form
from etui.storage.failures import storage_errors
from etui.storage.memory import missing
from etui.storage.part_names import MANIFEST, check_part_names
from etui.storage.sources import FileSource

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class AssembledReader:
    """Reads parts from sources that the caller found and keeps open; the rules of the directory form hold.

    Args:
        sources: name -> bytes, `manifest.json` among them.
        location: where they are from, for messages.
        limits: the limits in force.

    Raises:
        InvalidError: ``manifest-missing``.
    """

    def __init__(self, sources: Mapping[str, ByteSource], location: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.form: Form = "directory"
        self.location = location
        self._sources = dict(sources)
        self._limits = limits
        if MANIFEST not in self._sources:
            raise missing(MANIFEST, location)

    def names(self) -> Mapping[str, int]:
        """Every part with its size."""
        return {name: source.size for name, source in self._sources.items()}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""
        if name not in self._sources:
            raise missing(name, self.location)
        return self._sources[name]

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Every listed part is there with its size (F-3, F-4)."""
        check_part_names(listed, self._limits)
        for name, size in listed.items():
            found = self.source(name).size
            if found != size:
                raise error("part-size", where=name, found=f"{found} bytes, not {size}")

    def verify_container(self, listed: Collection[str]) -> None:
        """Nothing is there that is not listed (F-5)."""
        for name in self._sources:
            if name not in listed and name != MANIFEST:
                raise error("part-unlisted", where=self.location, found=shown(name))

    def close(self) -> None:
        """The sources are the caller's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def mapped_file(path: Path) -> FileSource:
    """The bytes of a file that the caller trusts the name of; a symbolic link stands for what it points to.

    Raises:
        UnsafeError: ``part-not-a-file``.
        StorageError: ``storage-failed``.
    """
    with storage_errors(str(path)):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return FileSource(descriptor, str(path))


def as_file(source: ByteSource) -> io.BufferedReader:
    """The bytes of a source as a file open for reading in binary mode, seekable; the source stays open after it."""
    return io.BufferedReader(_SourceFile(source), 1024 * 1024)


class _SourceFile(io.RawIOBase):
    """A source as what `io.BufferedReader` reads from."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        size = max(0, min(view.nbytes, self._source.size - self._position))
        view[:size] = self._source.view(self._position, size)
        self._position += size
        return size

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        if start + offset < 0:
            raise ValueError(f"a position of {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position
