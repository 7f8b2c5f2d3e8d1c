"""Which steps of a series are kept: the union of rules, planned without touching anything.

    keep = Retention(last=3, every=1000, best=Best("val_loss", "min", 2))
    kept, dropped = keep.plan(series.steps())

The latest step is always kept, whatever the rules say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, cast, get_args

from etui.errors import error, shown

__all__ = ["Best", "Mode", "Plan", "Retention", "Rule", "StepLike", "ranked"]

Mode = Literal["min", "max"]


class StepLike(Protocol):
    """What a rule sees of a step."""

    @property
    def number(self) -> int:
        """Of the step."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Name -> value."""


S = TypeVar("S", bound=StepLike)


@dataclass(frozen=True, slots=True)
class Best:
    """The steps whose metric is best.

    Attributes:
        metric: its name; a step without it takes no part, nor does one whose value is NaN.
        mode: whether the least or the greatest value is best.
        count: how many steps; of equal values the earlier step is the better one.

    Raises:
        UsageError: ``series-retention``, it cannot be meant.
    """

    metric: str
    mode: Mode = "min"
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Best:
        """The rule of a text ``METRIC[:min|max[:N]]``; a colon in a metric's name needs the mode behind it.

        Raises:
            UsageError: ``series-retention``.
        """
        head, colon, last = text.rpartition(":")
        metric, colon_before, mode = head.rpartition(":")
        if colon_before and last.isascii() and last.isdecimal() and len(last) < 10 and mode in get_args(Mode):
            return cls(metric, cast(Mode, mode), int(last))
        if colon and last in get_args(Mode):
            return cls(head, cast(Mode, last))
        return cls(text)

    def __post_init__(self) -> None:
        metric: object = self.metric
        if not isinstance(metric, str) or not metric:
            raise error("series-retention", found=f"a metric {shown(metric)}")
        if self.mode not in get_args(Mode):
            raise error("series-retention", where=self.metric, found=f"the mode {shown(self.mode)}")
        _check_count(self.count, f"best by {self.metric}")


Rule = Best | str | tuple[Any, ...] | Sequence[Any]
"""A rule by metrics: `Best`, a text for `Best.parse`, a tuple ``("val_loss", "min", 2)``, or a list of such."""


class Plan(NamedTuple):
    """What becomes of steps; both lists by number.

    Attributes:
        kept, dropped: each step is in one of them.
    """

    kept: list[Any]
    dropped: list[Any]


@dataclass(frozen=True, slots=True)
class Retention:
    """Rules; a step is kept if any of them says so.

    Attributes:
        last: this many of the latest steps, at least 1.
        every: the steps whose number is a multiple of this.
        best: the best steps by a metric: one rule, or a list of several.
        keep: called with a step; true keeps it.
        rules: those of `best`, in one form.

    Raises:
        UsageError: ``series-retention``, a rule that cannot be meant.
    """

    last: int = 3
    every: int | None = None
    best: Rule | None = None
    keep: Callable[[Any], bool] | None = None
    rules: tuple[Best, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        _check_count(self.last, "last")
        if self.every is not None:
            _check_count(self.every, "every")
        if self.keep is not None and not callable(self.keep):
            raise error("series-retention", where="keep", found=shown(self.keep))
        object.__setattr__(self, "rules", _rules(self.best))

    def plan(self, steps: Iterable[S]) -> Plan:
        """Share out steps.

        Args:
            steps: in any order, each number once.

        Returns:
            Those to keep, and those to drop.
        """
        found = sorted(steps, key=lambda step: step.number)
        kept = {step.number for step in found[-self.last :]}
        if self.every is not None:
            kept |= {step.number for step in found if step.number % self.every == 0}
        for rule in self.rules:
            kept |= {step.number for step in ranked(found, rule.metric, rule.mode)[: rule.count]}
        if self.keep is not None:
            kept |= {step.number for step in found if self.keep(step)}
        return Plan(
            [step for step in found if step.number in kept], [step for step in found if step.number not in kept]
        )


def ranked(steps: Iterable[S], metric: str, mode: Mode = "min") -> list[S]:
    """The steps that have a metric which is a number, the best first; of equal values the earlier step first.

    Args:
        steps: in any order.
        metric: its name.
        mode: whether the least or the greatest value is best.

    Raises:
        UsageError: ``series-retention``, there is no such mode.
    """
    Best(metric, mode)  # which refuses another mode
    sign = 1.0 if mode == "min" else -1.0
    found = [step for step in steps if metric in step.metrics and not math.isnan(step.metrics[metric])]
    return sorted(found, key=lambda step: (sign * step.metrics[metric], step.number))


def _rules(best: Any) -> tuple[Best, ...]:
    """Every form of the rule by metrics as a tuple of `Best`."""
    if best is None:
        return ()
    if isinstance(best, str) and best in get_args(Mode):
        hint = f'Write ("accuracy", "{best}") in round brackets, or "accuracy:{best}".'
        raise error("series-retention", where="best", found=f"a rule {best!r} of its own", hint=hint)
    if isinstance(best, str):
        return (Best.parse(best),)
    if isinstance(best, Best):
        return (best,)
    if isinstance(best, tuple) and best and isinstance(best[0], str):
        if len(best) > 3:
            raise error("series-retention", where="best", found=shown(best))
        return (Best(*best),)
    if isinstance(best, Sequence):
        return tuple(rule for one in best for rule in _rules(one))
    raise error("series-retention", where="best", found=shown(best))


def _check_count(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise error("series-retention", where=where, found=f"{shown(value)}, not a whole number from 1")
