"""Writing an artifact to a store: nothing can be read of it before all of it is there (SPEC.md, annex S.1).

The packed form is put together in a temporary file and sent as one object, which the store shows when it has all of
it. In directory form each part is an object, sent while the next is made, and the manifest comes last.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO

from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ArtifactWriter, Form
from etui.storage.packed import PackedWriter
from etui.storage.packed_layout import is_first_header
from etui.storage.part_names import MANIFEST, role_of
from etui.storage.remote import HEAD_BYTES
from etui.storage.remote_entries import State, state_of, time_of
from etui.storage.remote_spool import filling, path_of, scratch_file
from etui.storage.remote_store import Store
from etui.storage.urls import Options
from etui.storage.writing import CheckedWriter, Content

# What a store whose files appear before they are whole has beside a part (see `Store.put`).
_UNFINISHED = re.compile(r"\.etui-[0-9a-f]{8}\.tmp$")
# Parts that wait for their turn lie in temporary files, so they are few.
_UPLOADS = 4
# Below it, a part is sent out of memory.
_SMALL_BYTES = 8 * 1024 * 1024
# For so long after the last of its parts came, an upload is taken for one that goes on.
_GRACE_SECONDS = 86_400.0


def create_remote(
    url: str, form: Form | None = None, limits: Limits = DEFAULT_LIMITS, *, options: Options | None = None
) -> ArtifactWriter:
    """Begin to write an artifact to a store.

    Args:
        url: of the file or folder.
        form: by default directory form for a URL that ends with `/`, and packed form for others.
        limits: the limits in force.
        options: of the file system; see `etui.storage.remote_store.Store`.

    Raises:
        StorageError: ``remote-readonly``; ``remote-exists``, an artifact in directory form is there;
            ``remote-busy``, an upload into the folder goes on; ``target-not-etui``; ``storage-failed``,
            ``remote-failed``.
        UsageError: ``remote-url``; ``writer-misuse``, the form does not suit the URL.
        MissingExtraError: ``extra-remote``.
    """
    store = Store(url, options)
    store.require_writable()
    if form is None:
        form = "directory" if url.endswith("/") else "packed"
    if form == "directory":
        return RemoteDirectoryWriter(store, limits)
    if form != "packed" or url.endswith("/"):
        raise error("writer-misuse", where=store.where, found=f"the form {shown(form)} for a URL that ends as this one")
    return _packed_writer(store, limits)


def _packed_writer(store: Store, limits: Limits) -> PackedWriter:
    key = store.key()
    _check_replaceable(store, key)
    file = scratch_file()

    def publish() -> None:
        with filling():
            file.flush()
        store.upload(key, path_of(file))
        file.close()

    def abort() -> None:
        with suppress(OSError):
            file.close()

    return PackedWriter(file, store.where, publish=publish, abort=abort, limits=limits)  # type: ignore[arg-type]


def _check_replaceable(store: Store, key: str) -> None:
    """Refuse to replace a file that is neither empty nor begins as a packed artifact does."""
    size = store.find_size(key)
    if not size:
        return
    head = store.range(key, 0, min(size, HEAD_BYTES))
    if not is_first_header(head):
        raise error("target-not-etui", where=store.where, found=f"a file that begins with {shown(head[:16])}")


class RemoteDirectoryWriter(CheckedWriter):
    """Sends each part as an object, several at once, and the manifest when all others are there.

    What an upload has left that ended long ago is removed first. After that only what this writer put is touched: no
    part replaces a file, and the manifest is put when each part is still as it was put, and no other file is there.

    Args:
        store: the folder.
        limits: the limits in force.
    """

    def __init__(self, store: Store, limits: Limits) -> None:
        super().__init__("directory", store.where, limits)
        self._store = store
        for name in _leftovers(store):
            store.remove(store.key(name))
        self._sizes: dict[str, int] = {}
        self._ours: dict[str, State | None] = {}
        self._scratch: list[IO[bytes]] = []
        self._jobs: deque[Future[None]] = deque()
        self._pool = ThreadPoolExecutor(_UPLOADS, "etui-upload")
        self._manifest = b""
        self._committing = False

    def _put(self, part: Content) -> None:
        if part.name == MANIFEST:
            self._manifest = b"".join(part.data)
            return
        name, key = part.name, self._store.key(part.name)
        self._sizes[name] = part.size
        if part.size <= _SMALL_BYTES:
            content = b"".join(part.data)
            self._begin(lambda: self._send(name, lambda: self._store.put(key, content, new=True)))
            return
        file = scratch_file()
        self._scratch.append(file)
        with filling():
            for view in part.data:
                file.write(view)
                del view  # see `slices`
            file.flush()

        def send() -> None:
            with file:
                self._send(name, lambda: self._store.put_file(key, path_of(file), new=True))

        self._begin(send)

    def _send(self, name: str, put: Callable[[], None]) -> None:
        """Put a part where none is, and note that it is this writer's, and what the store says of it."""
        try:
            put()
        except EtuiError as cause:
            if cause.code == "remote-exists":
                raise _busy(self._store, name) from cause
            raise
        self._ours[name] = None
        self._ours[name] = self._store.check_kept(self._store.key(name), self._sizes[name])

    def _begin(self, send: Callable[[], None]) -> None:
        while len(self._jobs) >= _UPLOADS:
            self._jobs.popleft().result()
        self._jobs.append(self._pool.submit(send))

    def _publish(self) -> None:
        while self._jobs:
            self._jobs.popleft().result()
        self._check_parts()
        self._committing = True
        self._store.put_once(self._store.key(MANIFEST), self._manifest)
        self._pool.shutdown()

    def _check_parts(self) -> None:
        """Check that the folder has what was put there, as it was put, and nothing else.

        Raises:
            StorageError: ``remote-busy``.
        """
        found = {name: state_of(entry) for name, entry in self._store.files().items()}
        for name in sorted(found.keys() | self._ours.keys()):
            ours, there = self._ours.get(name), found.get(name)
            if (
                ours is None
                or there is None
                or ours.size != there.size
                or (ours.tag and there.tag not in ("", ours.tag))
            ):
                raise _busy(self._store, name)

    def _abort(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._jobs.clear()
        for file in self._scratch:
            with suppress(OSError):
                file.close()
        if self._committing:
            # The manifest may be there, this one or another's, and what it lists must be there with it.
            return
        for name in self._ours:
            # What cannot be removed now has no manifest, and is removed by a later save.
            with suppress(EtuiError):
                self._store.remove(self._store.key(name))


def _leftovers(store: Store) -> list[str]:
    """The parts that an earlier upload left in the folder without a manifest, all of them a time of grace ago.

    Raises:
        StorageError: ``remote-exists``, ``remote-busy``, ``target-not-etui``.
    """
    if store.find_size(store.key(MANIFEST)) is not None:
        raise error("remote-exists", where=store.where, found=f"an artifact with its {MANIFEST}")
    found = store.files()
    for name in found:
        if role_of(_UNFINISHED.sub("", name)) is None:
            raise error("target-not-etui", where=store.where, found=f"the file {shown(name)}")
    latest = max(found, key=lambda name: time_of(found[name]), default="")
    if found and time_of(found[latest]) > time.time() - _GRACE_SECONDS:
        raise _busy(store, latest)
    return list(found)


def _busy(store: Store, name: str) -> EtuiError:
    return error("remote-busy", where=store.where, found=f"the file {shown(name)}")
