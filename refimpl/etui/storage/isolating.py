"""What the reading of one untrusted source shares: whether code of others runs in this process, and what it found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reading:
    """One call that reads.

    Attributes:
        isolated: whether files are read in a process of their own.
        found: what was found in a file, by its identity: a format is told by several looks at a file.
    """

    isolated: bool = True
    found: dict[tuple[int, ...], Any] = field(default_factory=dict)


_reading: ContextVar[Reading | None] = ContextVar("etui_reading", default=None)


@contextmanager
def isolation(on: bool) -> Iterator[None]:
    """Whether files that are opened in the block are read in a process of their own, which is the default."""
    token = _reading.set(Reading(on))
    try:
        yield
    finally:
        _reading.reset(token)


def reading() -> Reading:
    """The call that reads; a new one where none was begun."""
    return _reading.get() or Reading()
