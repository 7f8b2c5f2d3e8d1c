"""The tensors of a step on their way into objects: hashed first, and written where no object has them (annex Q.2).

A few threads hash, and write and flush what is new, so that one tensor is hashed while another waits for the device.
Large tensors are handed over as they are; nothing of them is copied. Of what was made for the writing, and of small
tensors that are gathered, so much is held at once as the constants here say.
"""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from types import TracebackType
from typing import Self

import numpy as np

from etui import digest
from etui.checkpoints.layouts import MOST_PIECES, Layout
from etui.containers.data_parts import check_bools
from etui.containers.data_writer import Item, in_place
from etui.containers.pieces import Held, Lazy, Stored, raw_bytes
from etui.errors import error
from etui.storage.base import Buffer
from etui.storage.digesting import JOB_BYTES, thread_count
from etui.storage.objects import ObjectStore
from etui.storage.writing import slices

OBJECT_BYTES = 1024 * 1024
"""From this size on, a tensor is an object of its own (CS-9)."""
GROUP_BYTES = 4 * 1024 * 1024
"""Small tensors are put together to this size at most."""

# So many bytes of tensors that were made for the writing wait at once, or one tensor that is larger.
_MADE_BYTES = 24 * 1024 * 1024
# Batches of small tensors that wait for their digests.
_MOST_BATCHES = 4
# Groups that are being written while the next one is gathered.
_MOST_GROUPS = 1
# An object of which a step uses less than a half is left for a new one if that lets go of so much.
_WASTE_BYTES = 1024 * 1024


@dataclass(slots=True)
class Known:
    """What a step that is in the series holds.

    Attributes:
        objects: digest -> size, of every object that the step needs.
        small: digest of a small tensor -> object and offset.
    """

    objects: dict[str, int] = field(default_factory=dict)
    small: dict[str, tuple[str, int]] = field(default_factory=dict)


@dataclass(slots=True)
class _Group:
    """Small tensors that become one object; its digest is known when it was written."""

    buffers: list[Buffer] = field(default_factory=list)
    size: int = 0
    digest: str = ""


@dataclass(slots=True)
class Place:
    """Where the bytes of a tensor are: an object, or a group that becomes one, and the offset."""

    item: Item
    digest: str = ""
    home: str | _Group = ""
    offset: int = 0

    @property
    def object(self) -> str:
        """The digest of the object."""
        return self.home if isinstance(self.home, str) else self.home.digest


class DataObjects:
    """Stores tensors. A context manager, which ends its threads.

    Args:
        store: takes the objects.
        known: what need not be written, as it is there for sure.

    Attributes:
        settled: called with the bytes of tensors that are done, in the thread that calls the methods.
        new_bytes: bytes that were written.
        objects: digest -> size of every object that was stored or found.
    """

    def __init__(self, store: ObjectStore, known: Known) -> None:
        self._store = store
        self._known = known
        self.settled: Callable[[int], None] = lambda _: None
        self._pool = ThreadPoolExecutor(_workers(), "etui-series")
        self._guard = Lock()
        self._ended = False
        self._batch: list[tuple[Place, Buffer]] = []
        self._batch_bytes = 0
        self._batches: deque[tuple[Future[list[str]], list[tuple[Place, Buffer]]]] = deque()
        self._large: deque[tuple[Future[None], int, int]] = deque()
        self._made = 0
        self._group = _Group()
        self._groups: deque[Future[None]] = deque()
        self._new: dict[str, tuple[_Group, int]] = {}
        self.objects: dict[str, int] = {}
        self.new_bytes = 0

    def add(self, item: Item) -> Place:
        """Take a tensor; its place is known after `finish`. What is in memory must not change before that."""
        place = Place(item)
        source = item.piece.source
        if not item.nbytes:
            place.digest = digest.of(b"")
            _check_stored(item, place.digest)
        elif item.nbytes >= OBJECT_BYTES:
            if not (isinstance(source, Stored) and self._share(place, source.chunk.digest)):
                self._add_large(place)
        elif not (isinstance(source, Stored) and self._refer(place, source.chunk.digest)):
            self._add_small(place)
        return place

    def keep(self, value: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Store bytes whose digest is known, in a thread, unless an object has them."""
        if self._claim(value, size):
            held = list(buffers)
            while self._groups and size >= OBJECT_BYTES:
                self._groups.popleft().result()
            self._groups.append(self._pool.submit(self._put, value, size, held))

    def finish(self) -> None:
        """Wait until every tensor has its place, and everything was stored that was handed over."""
        self._hand_over()
        while self._batches:
            self._collect_batch()
        self._close_group()
        while self._large:
            self._collect_large()
        while self._groups:
            self._groups.popleft().result()

    def compact(self, parts: Iterable[list[Place]]) -> None:
        """Write small tensors anew that keep an object alive of which most is no longer used; after `finish`.

        They come together in objects of their own, as what has not changed for long will go on so.

        Raises:
            LimitError: ``limit-pieces``, a data part cannot be put together of fewer.
        """
        parts = list(parts)
        used: dict[str, int] = {}
        for name, _ in self._known.small.values():
            used.setdefault(name, 0)
        seen: set[tuple[str, int]] = set()
        for place in (place for places in parts for place in places):
            key = (place.object, place.offset)
            if key[0] in used and key not in seen:
                seen.add(key)
                used[key[0]] += place.item.nbytes
        wasteful = {
            name
            for name, count in used.items()
            if 2 * count < (size := self._known.objects.get(name, 0)) and size - count >= _WASTE_BYTES and count
        }
        self._new.clear()
        for places in parts:
            scattered = len(places) > MOST_PIECES and len(Layout.of(ranges(places)).pieces) > MOST_PIECES
            if not (scattered or wasteful):
                continue
            for place in places:
                if place.item.nbytes and place.item.nbytes < OBJECT_BYTES and (scattered or place.object in wasteful):
                    self._write_anew(place, together=scattered)
            self.finish()
            pieces = len(Layout.of(ranges(places)).pieces)
            if pieces > MOST_PIECES:
                raise error("limit-pieces", found=f"{pieces} pieces of a data part")

    def _write_anew(self, place: Place, *, together: bool) -> None:
        found = None if together else self._new.get(place.digest)
        if found is not None:
            place.home, place.offset = found
            return
        data = place.item.piece.source.array().tobytes()
        # What gives other elements now keeps its place.
        if digest.of(data) == place.digest:
            self._gather(place, data)

    def _add_large(self, place: Place) -> None:
        item, source = place.item, place.item.piece.source
        array = in_place(source)
        made = 0 if array is not None else item.nbytes
        while made and self._made and self._made + made > _MADE_BYTES:
            self._collect_large()
        raw = raw_bytes(source.array() if array is None else array)
        if isinstance(source, Stored) and _is_mapped(raw):
            made = 0
        if item.dtype == "bool":
            check_bools(raw, item.stored)
        self._made += made
        self._large.append((self._pool.submit(self._hash_and_put, place, raw), item.nbytes, made))
        del raw
        if isinstance(source, Lazy) and not source.fixed:
            # Its callable may give the same memory with other elements the next time.
            while self._large:
                self._collect_large()
        while self._large and self._large[0][0].done():
            self._collect_large()

    def _collect_large(self) -> None:
        job, size, made = self._large.popleft()
        job.result()
        self._made -= made
        self.settled(size)

    def _hash_and_put(self, place: Place, raw: memoryview) -> None:
        """The way of a large tensor, in a thread: its digest, and its bytes where no object has them."""
        hasher = digest.new()
        for view in slices([raw]):
            if self._ended:
                return
            hasher.update(view)
        value = f"{digest.DEFAULT_ALGORITHM}:{hasher.hexdigest()}"
        _check_stored(place.item, value)
        place.digest = place.home = value
        if self._claim(value, place.item.nbytes):
            self._put(value, place.item.nbytes, [raw])

    def _share(self, place: Place, value: str) -> bool:
        """Let a large tensor whose digest is known refer to an object, without its bytes, if there is one."""
        size = place.item.nbytes
        if not self._is_there(value, size):
            return False
        with self._guard:
            self.objects[value] = size
        place.digest = place.home = value
        self.settled(size)
        return True

    def _claim(self, value: str, size: int) -> bool:
        """Whether the caller is the one to store these bytes, as no object has them and no other thread does it."""
        with self._guard:
            if value in self.objects:
                return False
            self.objects[value] = size
        return not self._is_there(value, size)

    def _is_there(self, value: str, size: int) -> bool:
        found = self._known.objects.get(value)
        return (self._store.size_of(value) if found is None else found) == size

    def _put(self, value: str, size: int, buffers: Iterable[Buffer]) -> None:
        self._store.put(value, size, buffers)
        with self._guard:
            self.new_bytes += size

    def _add_small(self, place: Place) -> None:
        item, source = place.item, place.item.piece.source
        array = source.array()
        # What is in memory may be referred to; what was made may be made again in the same memory.
        data: Buffer = raw_bytes(array) if isinstance(source, Held) else array.tobytes()
        if item.dtype == "bool":
            check_bools(memoryview(data), item.stored)
        self._batch.append((place, data))
        self._batch_bytes += item.nbytes
        if self._batch_bytes >= JOB_BYTES:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._batch:
            data = [data for _, data in self._batch]
            self._batches.append((self._pool.submit(_digests, data), self._batch))
            self._batch, self._batch_bytes = [], 0
        while self._batches and (len(self._batches) > _MOST_BATCHES or self._batches[0][0].done()):
            self._collect_batch()

    def _collect_batch(self) -> None:
        job, batch = self._batches.popleft()
        count = 0
        for (place, data), value in zip(batch, job.result(), strict=True):
            _check_stored(place.item, value)
            if not self._refer(place, value):
                place.digest = value
                self._gather(place, data)
                count += place.item.nbytes
        self.settled(count)

    def _refer(self, place: Place, value: str) -> bool:
        """Let a small tensor refer to the bytes of an earlier step, or of this one."""
        found = self._known.small.get(value) or self._new.get(value)
        if found is None:
            return False
        place.digest = value
        place.home, place.offset = found
        if isinstance(place.home, str):
            self.objects[place.home] = self._known.objects[place.home]
        self.settled(place.item.nbytes)
        return True

    def _gather(self, place: Place, data: Buffer) -> None:
        size = place.item.nbytes
        if self._group.size + size > GROUP_BYTES:
            self._close_group()
        place.home, place.offset = self._group, self._group.size
        self._new[place.digest] = (self._group, self._group.size)
        self._group.buffers.append(data)
        self._group.size += size

    def _close_group(self) -> None:
        if not self._group.size:
            return
        while len(self._groups) >= _MOST_GROUPS:
            self._groups.popleft().result()
        self._groups.append(self._pool.submit(self._put_group, self._group))
        self._group = _Group()

    def _put_group(self, group: _Group) -> None:
        data = b"".join(group.buffers)
        group.buffers.clear()
        group.digest = digest.of(data)
        if self._claim(group.digest, group.size):
            self._put(group.digest, group.size, [data])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._pool.shutdown(cancel_futures=True)


def ranges(places: Iterable[Place]) -> Iterator[tuple[str, int, int]]:
    """Object, offset and size of tensors one behind the other."""
    return ((place.object, place.offset, place.item.nbytes) for place in places)


def _workers() -> int:
    """As many threads again as those that hash wait for the device."""
    return 2 * thread_count()


def _is_mapped(data: object) -> bool:
    """Whether bytes lie in a mapped file, and so take no memory of their own."""
    while isinstance(data, memoryview | np.ndarray):
        data = data.obj if isinstance(data, memoryview) else data.base
    return isinstance(data, mmap.mmap)


def _digests(data: list[Buffer]) -> list[str]:
    return [digest.of(one) for one in data]


def _check_stored(item: Item, value: str) -> None:
    """Also where the caller reads without checks: damage never gets a digest of its own."""
    source = item.piece.source
    if isinstance(source, Stored) and value != source.chunk.digest:
        raise error("digest-mismatch", where=source.place, found=f"{value}, not {source.chunk.digest}")
