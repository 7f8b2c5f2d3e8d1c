"""Figures out of a record of the benchmark: medians, ratios within rounds, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MIB = 1024 * 1024
LIMIT, PACKED, DIRECTORY, SAFETENSORS = (
    "the bytes alone",
    "Etui, packed",
    "Etui, directory",
    "safetensors (numpy)",
)


@dataclass(frozen=True, slots=True)
class Task:
    """A task by its candidate, axis and variant."""

    candidate: str
    axis: str
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several rounds with the least and the largest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


class Figures:
    """A record as figures; `None` stands for what was not measured.

    Args:
        record: as `speed.py` writes it.
    """

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.cases: dict[str, dict[str, Any]] = {case["name"]: case for case in record["cases"]}
        self._rows = {
            (case["name"], Task(row["candidate"], row["axis"], row["variant"])): row
            for case in record["cases"]
            for row in case["rows"]
        }

    def row(self, case: str, task: Task) -> dict[str, Any] | None:
        """All that was measured of a task."""
        return self._rows.get((case, task))

    def tasks(self, case: str) -> list[Task]:
        """The tasks of a case."""
        return [task for name, task in self._rows if name == case]

    def _walls(self, case: str, task: Task, warm: int | None = None) -> list[float]:
        """Seconds of the rounds that count, or of all but so many."""
        row = self.row(case, task)
        return (
            list(row["wall"][row["warm"] if warm is None else warm :]) if row is not None and not row["error"] else []
        )

    def rounds(self, case: str, task: Task) -> int:
        """Number of the rounds that count."""
        return len(self._walls(case, task))

    def seconds(self, case: str, task: Task) -> Spread | None:
        """Wall time."""
        walls = self._walls(case, task)
        return Spread.of(walls) if walls else None

    def median(self, case: str, task: Task) -> float:
        """Median of the wall time; 0 if it was not measured."""
        found = self.seconds(case, task)
        return found.median if found else 0.0

    def cpu(self, case: str, task: Task) -> float | None:
        """Median of the seconds of all processors."""
        row = self.row(case, task)
        return statistics.median(row["cpu"][row["warm"] :]) if row and row["cpu"] else None

    def against(
        self, case: str, task: Task, others: Sequence[Task], join: Callable[[Sequence[float]], float] = max
    ) -> Spread | None:
        """The ratio to others, joined by their largest or their sum, in each round that has them all."""
        row = self.row(case, task)
        walls = [self._walls(case, one, row["warm"] if row else 0) for one in (task, *others)]
        ratios = [own / join(rest) for own, *rest in zip(*walls, strict=False)]
        return Spread.of(ratios) if ratios else None

    def peak(self, case: str, task: Task) -> float | None:
        """Extra memory at the peak, MB."""
        row = self.row(case, task)
        return None if row is None or row["peak"] is None else row["peak"] / 1e6

    def own(self, case: str, task: Task) -> float | None:
        """The part of it that is no file's, MB."""
        row = self.row(case, task)
        return None if row is None or row["own"] is None else row["own"] / 1e6

    def curve(self, name: str, task: Task) -> list[tuple[int, float]]:
        """Points of a curve: the size that the cases' names have, and the median in seconds."""
        found = []
        for case in self.cases:
            curve, _, size = case.partition("/")
            if curve == name and size and self._walls(case, task):
                found.append((int(size), self.median(case, task)))
        return sorted(found)


def time_text(seconds: float) -> str:
    """A time with three digits."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def number(value: float, unit: str) -> str:
    """A ratio with two decimals, anything else with three digits."""
    return f"{value:.2f} {unit}" if unit == "x" else f"{value:.3g}{unit}"
