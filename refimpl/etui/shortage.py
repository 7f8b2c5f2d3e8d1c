"""Turns what Python raises where the system gives no more memory into an error with a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames

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
        clear_frames(cause.__traceback__)  # which hold the memory, as long as the new error has this one as context
    except RuntimeError as cause:
        if _NO_THREAD not in str(cause):
            raise
        lacking = str(cause)
    else:
        return
    raise error("out-of-memory", found=lacking)
