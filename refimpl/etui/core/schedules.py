"""Learning rates that follow a clock (SPEC.md, annex K.3)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core.parameters import parameters

Attrs = Mapping[str, Any]


def rate(schedule: ObjectValue, clock: Any, xp: Any = np) -> Any:
    """The learning rate at a clock.

    Args:
        schedule: of a class ``core:schedules.*``.
        clock: what was counted before this update; an integer, or an array of such.
        xp: NumPy, or a module with its functions such as ``jax.numpy``, whose arrays the clock may then be.

    Returns:
        A number of the namespace `xp`, with NumPy a float64 of the clock's shape.

    Raises:
        InvalidError: ``core-object``.
    """
    name, attrs = parameters(schedule, "schedules")
    count = np.asarray(clock, np.float64) if xp is np else xp.asarray(clock, float)
    return _SCHEDULES[name](attrs, count, xp)


def _constant(attrs: Attrs, clock: Any, xp: Any) -> Any:
    return attrs["value"] + xp.zeros_like(clock)


def _progress(attrs: Attrs, clock: Any, xp: Any) -> Any:
    """How many times `decay_steps` have passed, in whole ones for a staircase."""
    passed = clock / attrs["decay_steps"]
    return xp.floor(passed) if attrs["staircase"] else passed


def _exponential(attrs: Attrs, clock: Any, xp: Any) -> Any:
    return attrs["initial_learning_rate"] * xp.power(attrs["decay_rate"], _progress(attrs, clock, xp))


def _inverse_time(attrs: Attrs, clock: Any, xp: Any) -> Any:
    return attrs["initial_learning_rate"] / (1 + attrs["decay_rate"] * _progress(attrs, clock, xp))


def _polynomial(attrs: Attrs, clock: Any, xp: Any) -> Any:
    steps, last = attrs["decay_steps"], attrs["end_learning_rate"]
    if attrs["cycle"]:
        rounds = xp.maximum(xp.ceil(clock / steps), 1.0)
        passed = clock / (steps * rounds)
    else:
        passed = xp.minimum(clock, steps) / steps
    return (attrs["initial_learning_rate"] - last) * xp.power(1 - passed, attrs["power"]) + last


def _piecewise(attrs: Attrs, clock: Any, xp: Any) -> Any:
    """A value holds up to its boundary, that included."""
    values = attrs["values"]
    found = values[-1] + xp.zeros_like(clock)
    for boundary, value in reversed(list(zip(attrs["boundaries"], values, strict=False))):
        found = xp.where(clock <= boundary, value, found)
    return found


def _cosine(attrs: Attrs, clock: Any, xp: Any) -> Any:
    first, steps, target = attrs["initial_learning_rate"], attrs["decay_steps"], attrs["warmup_target"]
    warmup = attrs["warmup_steps"] if target is not None else 0.0
    top = first if target is None else target
    passed = xp.minimum(clock - warmup, steps) / steps
    decayed = top * _between(0.5 * (1 + xp.cos(math.pi * passed)), attrs["alpha"])
    if not warmup:
        return decayed
    return xp.where(clock < warmup, first + (top - first) * clock / warmup, decayed)


def _cosine_restarts(attrs: Attrs, clock: Any, xp: Any) -> Any:
    """Each round is `t_mul` times as long as the one before, and `m_mul` times as high."""
    longer, passed = attrs["t_mul"], clock / attrs["first_decay_steps"]
    if longer == 1.0:
        number = xp.floor(passed)
        share = passed - number
    else:

        def begin(index: Any) -> Any:
            return (1 - xp.power(longer, index)) / (1 - longer)

        number = xp.floor(xp.log(1 - passed * (1 - longer)) / math.log(longer))
        # The logarithm may round to the wrong side of a restart.
        number = number + (begin(number + 1) <= passed) - (begin(number) > passed)
        share = (passed - begin(number)) / xp.power(longer, number)
    height = 0.5 * xp.power(attrs["m_mul"], number) * (1 + xp.cos(math.pi * share))
    return attrs["initial_learning_rate"] * _between(height, attrs["alpha"])


def _between(share: Any, alpha: float) -> Any:
    return (1 - alpha) * share + alpha


_SCHEDULES: dict[str, Callable[[Attrs, Any, Any], Any]] = {
    "constant": _constant,
    "exponential_decay": _exponential,
    "inverse_time_decay": _inverse_time,
    "polynomial_decay": _polynomial,
    "piecewise_constant": _piecewise,
    "cosine_decay": _cosine,
    "cosine_decay_restarts": _cosine_restarts,
}
