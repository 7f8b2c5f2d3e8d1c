"""The objects and records of a series below a URL; see `storage.objects` for what a series is, and SPEC.md annex Q.

A store shows an object when it has all of it, so that nothing needs another name first. Objects are sent while the next
is made, and `flush` waits for them; the record of a step is sent after that, and is its commit. There are no locks:
who collects garbage must know that nobody writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Lock, Semaphore

from etui.errors import EtuiError, error, shown
from etui.storage.base import Buffer, ByteSource
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
from etui.storage.remote import RemoteFile
from etui.storage.remote_entries import time_of
from etui.storage.remote_spool import filling, path_of, scratch_file
from etui.storage.remote_store import Store, is_missing
from etui.storage.urls import Options
from etui.storage.writing import exactly, slices

_UPLOADS = 8
# Below it, an object is sent out of memory.
_SMALL_BYTES = 8 * 1024 * 1024
# What is smaller is read with its size.
_SMALL_OBJECT_BYTES = 64 * 1024
_OBJECT = re.compile(r"objects/([a-z0-9]+)/([0-9a-f]{2})/([0-9a-f]{62})")


class RemoteObjects:
    """An `ObjectStore` in a remote store.

    Args:
        url: of the series' folder.
        create: make a series where nothing is.
        options: of the file system; see `etui.storage.remote_store.Store`.

    Raises:
        InvalidError: ``series-form``, it is no series.
        StorageError: ``target-not-etui``, something else is there; ``remote-readonly``, ``remote-failed``.
        UsageError: ``remote-url``.
        MissingExtraError: ``extra-remote``.
    """

    def __init__(self, url: str, *, create: bool, options: Options | None = None) -> None:
        self._store = Store(f"{url.rstrip('/')}/", options)
        self.location = self._store.where
        self._guard = Lock()
        self._known: dict[str, int] | None = None
        self._writers = 0
        self._coming: dict[str, tuple[Future[None], int]] = {}
        self._failure: BaseException | None = None
        self._room = Semaphore(2 * _UPLOADS)
        self._pool = ThreadPoolExecutor(_UPLOADS, "etui-upload")
        mark = self._read(MARK, MOST_MARK_BYTES + 1)
        if mark is None and create:
            self._create()
            mark = MARK_BYTES
        if mark is None:
            raise error("series-form", where=self.location, found=f"no {MARK}")
        check_mark(mark, self.location)

    def _create(self) -> None:
        self._store.require_writable()
        others = sorted(self._store.files())
        if others:
            raise error("target-not-etui", where=self.location, found=f"a folder with {shown(others[0])} in it")
        try:
            self._store.put(self._store.key(MARK), MARK_BYTES, new=True)
        except EtuiError as cause:
            if cause.code != "remote-exists":  # another writer began the same series
                raise

    def size_of(self, digest: str) -> int | None:
        """The size of an object in bytes; `None` if it is not there. In a `writing` block, as its listing says."""
        name = "/".join(object_names(digest))
        with self._guard:
            if name in self._coming:
                return self._coming[name][1]
            if self._known is not None:
                return self._known.get(name)
        return self._store.find_size(self._store.key(name))

    def put(self, digest: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Store an object; it is there after `flush`."""
        name = "/".join(object_names(digest))
        with self._guard:
            if self._failure is not None:
                raise self._failure
            if name in self._coming or (self._known is not None and self._known.get(name) == size):
                return
            self._coming[name] = Future(), size
        try:
            send = self._sender(self._store.key(name), size, exactly(size, slices(buffers), digest))
            self._room.acquire()
            self._pool.submit(self._send, name, size, send)
        except BaseException as cause:
            self._settle(name, size, cause)
            raise

    def _sender(self, key: str, size: int, data: Iterator[memoryview]) -> Callable[[], None]:
        """What sends bytes that lie in memory, or if they are many in a temporary file."""
        if size <= _SMALL_BYTES:
            content = b"".join(data)
            return lambda: self._store.put(key, content)
        file = scratch_file()
        try:
            with filling():
                for view in data:
                    file.write(view)
                    del view  # see `slices`
                file.flush()
        except BaseException:
            file.close()
            raise

        def send() -> None:
            with file:
                self._store.upload(key, path_of(file))

        return send

    def _send(self, name: str, size: int, send: Callable[[], None]) -> None:
        failure: BaseException | None = None
        try:
            send()
        except BaseException as cause:  # noqa: BLE001  the next call raises it
            failure = cause
        finally:
            self._room.release()
            self._settle(name, size, failure)

    def _settle(self, name: str, size: int, failure: BaseException | None) -> None:
        """Note that an object is there, or that it will not be."""
        with self._guard:
            job, _ = self._coming.pop(name)
            if failure is not None:
                self._failure = self._failure or failure
            elif self._known is not None:
                self._known[name] = size
        job.set_result(None)

    def flush(self) -> None:
        """Wait until the store has all that was put."""
        with self._guard:
            jobs = list(self._coming.values())
        for job, _ in jobs:
            job.result()
        with self._guard:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def source(self, digest: str) -> ByteSource:
        """The bytes of an object, which is asked for when they are read."""
        return _Object(self._store, self._store.key("/".join(object_names(digest))), digest, self.location)

    def steps(self) -> list[int]:
        """The numbers of the steps that have a record, sorted."""
        found = self._store.files("steps", deep=False)
        numbers = (record_number(name.removeprefix("steps/")) for name in found)
        return sorted(number for number in numbers if number is not None)

    def record(self, step: int) -> bytes:
        """The record of a step."""
        name = f"steps/{record_name(step)}"
        found = self._read(name, MOST_RECORD_BYTES + 1)
        if found is None:
            raise error("series-step", where=self.location, found=f"no step {step}")
        if len(found) > MOST_RECORD_BYTES:
            raise error("limit-document", where=f"{self.location}{name}", found=f"more than {MOST_RECORD_BYTES} bytes")
        return found

    def put_record(self, step: int, data: bytes, *, replace: bool = False) -> None:
        """Make a step visible: the commit."""
        key = self._store.key(f"steps/{record_name(step)}")
        try:
            if replace:
                self._store.put(key, data)
            else:
                self._store.put_once(key, data)
        except EtuiError as cause:
            if cause.code == "remote-exists":
                raise error("series-exists", where=self.location, found=f"step {step}") from cause
            raise

    def remove_record(self, step: int) -> None:
        """Remove the record of a step."""
        key = self._store.key(f"steps/{record_name(step)}")
        if self._store.find_size(key) is None:
            raise error("series-step", where=self.location, found=f"no step {step}")
        self._store.remove(key)

    def objects(self) -> Iterator[StoredObject]:
        """Every object that is there; files with other names are passed over."""
        for name, entry in self._store.files("objects").items():
            match = _OBJECT.fullmatch(name)
            if match is not None:
                algorithm, first, rest = match.groups()
                yield StoredObject(f"{algorithm}:{first}{rest}", int(entry["size"]), time_of(entry))

    def remove(self, digest: str) -> None:
        """Remove an object, if it is there."""
        name = "/".join(object_names(digest))
        with self._guard:
            if self._known is not None:
                self._known.pop(name, None)
        self._store.remove(self._store.key(name))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """For the block, `size_of` answers from one listing: a question for each tensor would be a request for each."""
        self._store.require_writable()
        with self._guard:
            self._writers += 1
        try:
            sizes = {name: int(entry["size"]) for name, entry in self._store.files("objects").items()}
            with self._guard:
                self._known = sizes if self._known is None else self._known
            yield
        finally:
            with self._guard:
                self._writers -= 1
                last = not self._writers
                self._known = None if last else self._known
            if last:
                with suppress(BaseException):  # of a save that failed, and has said so
                    self.flush()

    @contextmanager
    def cleaning(self, *, exclusive: bool = False) -> Iterator[None]:
        """For the block, nobody writes: the caller has to know it."""
        self._store.require_writable()
        if not exclusive:
            hint = "Where nobody writes, pass `exclusive=True` (`--exclusive`)."
            raise error("series-busy", where=self.location, found="a store without locks", hint=hint)
        yield

    def _read(self, name: str, most: int) -> bytes | None:
        """The bytes of a small file, `most` of them at most; `None` if it is not there."""
        try:
            return self._store.tail(self._store.key(name), most)[0]
        except OSError as cause:
            if is_missing(cause):
                return None
            raise


class _Object(RemoteFile):
    """An object that is missing is a fault of the series.

    A document is small, and small tensors share objects: the end of one says how large it is, and often has all of it.
    """

    single_reads = 2

    def __init__(self, store: Store, key: str, digest: str, location: str) -> None:
        super().__init__(store, key)
        self._digest = digest
        self._location = location

    @property
    def size(self) -> int:
        """Number of bytes."""
        if self._size is None and not self._end:
            self.hold_tail(_SMALL_OBJECT_BYTES)
        return super().size

    def _absent(self, cause: OSError) -> EtuiError | None:
        return error("series-object", where=self._location, found=f"no {self._digest}") if is_missing(cause) else None
