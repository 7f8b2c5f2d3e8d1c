"""Changing an artifact that is there: one writer at a time, so that none undoes what another did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etui.storage.entries import lockable, try_lock
from etui.storage.failures import storage_errors


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a file or folder for the block, which only keeps out others who do the same.

    Args:
        path: without links.

    Yields:
        Whether it is held; not if another one holds it, or has just put something else in its place. On a file system
        without locks it is held by all.

    Raises:
        StorageError: ``storage-failed``, for example because nothing is there.
    """
    holding = lockable(path)
    with storage_errors(str(path)):
        descriptor = holding.__enter__()
    try:
        yield try_lock(descriptor, shared=False) is not False and _is_there(path, descriptor)
    finally:
        holding.__exit__(None, None, None)


def _is_there(path: Path, descriptor: int) -> bool:
    with storage_errors(str(path)):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
