"""A store of a series in memory, that can end the process's life at any of its write-side calls."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from etui.errors import error
from etui.storage.base import Buffer, ByteSource
from etui.storage.objects import StoredObject
from etui.storage.sources import BytesSource


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Disk:
    """What outlives a process: objects with the time of their writing, and records."""

    objects: dict[str, tuple[bytes, float]]
    records: dict[int, bytes]


class MemoryObjects:
    """An `ObjectStore` on a `Disk`.

    Args:
        disk: what is there, and stays.
        calls: how many write-side calls go well before `Killed`; `None` for all.
        ticks: the time, which goes on by one second a call.
    """

    def __init__(self, disk: Disk, calls: int | None = None, ticks: Iterator[int] | None = None) -> None:
        self.location = "<memory>"
        self.disk = disk
        self.calls = calls
        self._ticks = ticks if ticks is not None else itertools.count()
        self.writers = 0

    def _write(self) -> None:
        if self.calls is not None:
            if self.calls == 0:
                raise Killed
            self.calls -= 1

    def size_of(self, digest: str) -> int | None:
        """The size of an object that is there."""
        found = self.disk.objects.get(digest)
        return None if found is None else len(found[0])

    def put(self, digest: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Keep an object."""
        data = b"".join(bytes(memoryview(buffer).cast("B")) for buffer in buffers)
        if len(data) != size:
            raise ValueError(f"{len(data)} bytes where {size} were promised")
        self._write()
        self.disk.objects.setdefault(digest, (data, float(next(self._ticks))))

    def source(self, digest: str) -> ByteSource:
        """The bytes of an object."""
        if digest not in self.disk.objects:
            raise error("series-object", where=self.location, found=digest)
        return BytesSource(self.disk.objects[digest][0])

    def flush(self) -> None:
        """All is kept at once."""

    def steps(self) -> list[int]:
        """The numbers of the records."""
        return sorted(self.disk.records)

    def record(self, step: int) -> bytes:
        """The bytes of a record."""
        if step not in self.disk.records:
            raise error("series-step", where=self.location, found=str(step))
        return self.disk.records[step]

    def put_record(self, step: int, data: bytes, *, replace: bool = False) -> None:
        """Commit a step."""
        self._write()
        if not replace and step in self.disk.records:
            raise error("series-exists", where=self.location, found=f"step {step}")
        self.disk.records[step] = data

    def remove_record(self, step: int) -> None:
        """Take a step back."""
        self._write()
        del self.disk.records[step]

    def objects(self) -> Iterator[StoredObject]:
        """Every object."""
        for digest, (data, modified) in list(self.disk.objects.items()):
            yield StoredObject(digest, len(data), modified)

    def remove(self, digest: str) -> None:
        """Forget an object."""
        self._write()
        del self.disk.objects[digest]

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Count a writer."""
        self.writers += 1
        try:
            yield
        finally:
            self.writers -= 1

    @contextmanager
    def cleaning(self, *, exclusive: bool = False) -> Iterator[None]:
        """Refuse while a writer is counted."""
        del exclusive
        if self.writers:
            raise error("series-busy", where=self.location)
        yield
