"""Opening the store of a series: in a folder, or below a URL."""

from __future__ import annotations

import os

from etui.storage.local_objects import LocalObjects
from etui.storage.objects import ObjectStore


def open_store(location: str | os.PathLike[str] | ObjectStore, *, create: bool) -> ObjectStore:
    """The store of a series.

    Args:
        location: a folder, a URL, or a store, which is given back.
        create: make a series where there is none; a folder has to be empty or missing.

    Raises:
        InvalidError: ``series-form``, it is no series.
        StorageError: ``target-not-etui``, something else is there; ``storage-failed``.
    """
    if not isinstance(location, str | os.PathLike):
        if not hasattr(location, "put_record"):
            raise TypeError(f"expected str, os.PathLike or an object store, not {type(location).__name__}")
        return location
    text = os.fspath(location)
    if "://" in text:
        from etui.storage.remote_objects import RemoteObjects

        return RemoteObjects(text, create=create)
    return LocalObjects(text, create=create)
