"""Asking the system to begin to write to the device what it has taken, where it can."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

_WRITE = 2  # SYNC_FILE_RANGE_WRITE of linux/fs.h: begins, and neither waits nor takes an error from a later fsync


@cache
def _system_call() -> Callable[[int, int, int, int], int] | None:
    libc = ctypes.CDLL(None)
    if sys.platform != "linux" or not hasattr(libc, "sync_file_range"):
        return None
    call: Callable[[int, int, int, int], int] = libc.sync_file_range
    libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return call


def begin_writeback(descriptor: int, offset: int, size: int) -> None:
    """Let the device write a range of a file while more is made; what fails is told by the `fsync` that follows.

    Args:
        descriptor: of the file.
        offset: where the range begins, in bytes.
        size: of the range, in bytes.
    """
    call = _system_call()
    if call is not None:
        call(descriptor, offset, size, _WRITE)
