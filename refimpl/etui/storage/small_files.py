"""Small files that a caller names, such as keys and signatures: read whole, up to a bound."""

from __future__ import annotations

import os
import stat
from contextlib import closing

from etui.errors import error
from etui.storage.failures import storage_errors
from etui.storage.urls import is_url


def read_small(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a regular file or of a URL, and no more than `most` + 1 of them, so that a longer file shows.

    Raises:
        StorageError: ``storage-failed``, it cannot be read, or it is a folder, a pipe or a device.
    """
    if is_url(path):
        return _read_remote(str(path), most)
    where = os.fspath(path)
    with storage_errors(where):
        # Without O_NONBLOCK, opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise error("storage-failed", where=where, found=f"{stat.filemode(mode)}, which is no regular file")
            return file.read(most + 1)


def _read_remote(url: str, most: int) -> bytes:
    from etui.storage.remote_store import Store

    with closing(Store(url)) as store:
        return store.range(store.key(), 0, min(store.size(store.key()), most + 1))


def put_small(url: str, data: bytes) -> None:
    """Put a small file at a URL, in place of what is there.

    Raises:
        StorageError: ``remote-readonly``, ``remote-failed``.
    """
    from etui.storage.remote_store import Store

    with closing(Store(url)) as store:
        store.put(store.key(), data)
