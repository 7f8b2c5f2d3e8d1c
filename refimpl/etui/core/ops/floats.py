"""In which dtype functions of integers are computed (SPEC.md J.2)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_FLOATS: ContextVar[str] = ContextVar("floats", default="float32")


@contextmanager
def floats_of(dtype: str) -> Iterator[None]:
    """Let `floating` make floats of a dtype in this context; else they are float32."""
    token = _FLOATS.set(dtype)
    try:
        yield
    finally:
        _FLOATS.reset(token)


def floating(x: Array, like: Array | None = None) -> Array:
    """A tensor of floats: as it is, or integers and booleans as floats of the dtype of `like`, or of `floats_of`."""
    if x.dtype.kind not in "biu":
        return x
    return x.astype(like.dtype if like is not None and like.dtype.kind == "f" else _FLOATS.get())
