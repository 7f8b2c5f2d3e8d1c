"""Says in which of several files a refusal was met: the place that an error carries is one within its artifact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from etui.errors import RejectError, without_secrets


@contextmanager
def naming(location: str) -> Iterator[None]:
    """Add a note with the file's name to a `RejectError` of the block, unless its message has the name already."""
    location = without_secrets(location)
    try:
        yield
    except RejectError as fault:
        if location not in str(fault) and not hasattr(fault, "__notes__"):
            fault.add_note(f"in {location}")
        raise
