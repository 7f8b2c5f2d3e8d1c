"""Comparing values that a file gives, which may be arrays or anything else, with those that a table names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from etui.canonical.values import equal


def is_same(value: Any, other: Any) -> bool:
    """Whether two values are equal, numbers by their worth: 1 is 1.0, and not true."""
    if type(value) in (int, float) and type(other) in (int, float):
        return bool(value == other)
    return equal(value, other)


def is_among(value: Any, allowed: Iterable[Any]) -> bool:
    """Whether a value is equal to one of those."""
    return any(is_same(value, other) for other in allowed)


def is_set(value: Any) -> bool:
    """Whether a flag is set; what is no flag counts as set, so that it is looked at."""
    return not is_among(value, (None, False, 0, "", [], {}, ()))


def as_float(value: float) -> float:
    """A number of a config as a float; an integer that is beyond all floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
