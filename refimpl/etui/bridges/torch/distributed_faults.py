"""Errors that DCP can send from one process to the others."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

from etui.errors import error, shown


@contextmanager
def sendable(where: str) -> Iterator[None]:
    """Give an error that the others could not be sent a form in which they can.

    DCP pickles what a process raises, for the others, who wait for it until their own time-out ends: with an error of
    the caller's that does not pickle, one process would stop, and the others stand still.

    Raises:
        StorageError: ``distributed-process``, in the place of such an error, which is its cause.
    """
    try:
        yield
    except Exception as cause:
        if _passes(cause):
            raise
        raise error("distributed-process", where=where, found=shown(f"{type(cause).__name__}: {cause}", 600)) from cause


def _passes(fault: Exception) -> bool:
    try:
        # Of this process's own making: nothing of a file is unpickled.
        return isinstance(pickle.loads(pickle.dumps(fault)), Exception)  # noqa: S301
    except Exception:  # noqa: BLE001  whatever its class does
        return False
