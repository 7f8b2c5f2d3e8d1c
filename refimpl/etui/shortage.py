"""Turns what Python raises where the system gives no more memory into an error with a code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames

from etui.errors import error

_NO_THREAD = "start new thread"
# What hashlib says where OpenSSL gets no memory for a hasher: it tells no other reason.
_NO_HASHER = "digital envelope routines"


@contextmanager
def shortage() -> Iterator[None]:
    """Raise ``out-of-memory`` where the block lacks memory, or what needs it: a thread, or a hasher."""
    lacking = ""
    try:
        yield
    except MemoryError as cause:
        lacking = str(cause)
        clear_frames(cause.__traceback__)  # which hold the memory, as long as the new error has this one as context
    except (RuntimeError, ValueError) as cause:
        if (_NO_THREAD if isinstance(cause, RuntimeError) else _NO_HASHER) not in str(cause):
            raise
        lacking = str(cause)
    else:
        return
    raise error("out-of-memory", found=lacking)
