"""An artifact whose parts lie in several places, such as a cache and an earlier copy: byte sources by name."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.reading import PartsReader, missing

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class AssembledReader(PartsReader):
    """Reads parts from sources that the caller found and keeps open.

    Args:
        sources: name -> bytes, `manifest.json` among them.
        location: where they are from, for messages.
        limits: the limits in force.

    Raises:
        InvalidError: ``manifest-missing``.
    """

    def __init__(self, sources: Mapping[str, ByteSource], location: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self._sources = dict(sources)
        super().__init__("directory", location, limits)

    def names(self) -> Mapping[str, int]:
        """Every part with its size."""
        return {name: source.size for name, source in self._sources.items()}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""
        if name not in self._sources:
            raise missing(name, self.location)
        return self._sources[name]


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
