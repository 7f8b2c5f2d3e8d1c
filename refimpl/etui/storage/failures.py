"""Turns what the operating system raises into `StorageError`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from etui.errors import EtuiError, error


def storage_failure(where: str, cause: OSError) -> EtuiError:
    """The ``storage-failed`` error for `cause`, with its errno."""
    reason = os.strerror(cause.errno) if cause.errno else str(cause)
    failure = error("storage-failed", where=where, found=reason)
    if isinstance(failure, OSError):
        failure.errno = cause.errno
    return failure


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Raise `StorageError` in place of any `OSError` of the block that is not yet an error of Etui."""
    try:
        yield
    except EtuiError:
        raise
    except OSError as cause:
        raise storage_failure(where, cause) from cause
