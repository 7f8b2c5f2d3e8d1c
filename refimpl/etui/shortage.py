"""Turns what Python raises where the system gives no more memory into an error with a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from etui.errors import error

_NO_THREAD = "start new thread"


@contextmanager
def shortage() -> Iterator[None]:
    """Raise ``out-of-memory`` where the block lacks memory, or a thread, which needs memory for its stack."""
    lacking = ""
    try:
        yield
    except MemoryError as cause:
        lacking = str(cause)
    except RuntimeError as cause:
        if _NO_THREAD not in str(cause):
            raise
        lacking = str(cause)
    else:
        return
    # Raised here, where the frames that hold the memory are gone.
    raise error("out-of-memory", found=lacking)
