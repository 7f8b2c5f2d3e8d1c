"""Python's search for cycles, held back where many objects and no cycles are made."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage() -> Iterator[None]:
    """Keep Python from looking for cycles again and again while documents of many objects, and no cycle, are made."""
    enabled, block = gc.isenabled(), object()
    if enabled:
        _HOLDING.add(block)
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
            _HOLDING.discard(block)


_HOLDING: set[object] = set()
"""Blocks at whose end Python may look again."""


def _forked() -> None:
    """The blocks of other threads, which a forked process does not have, come to no end in it."""
    if _HOLDING:
        _HOLDING.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
