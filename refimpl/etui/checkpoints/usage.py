"""What the steps of a series take, and how much of it is theirs alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etui.checkpoints import garbage
from etui.errors import RejectError, UsageError

if TYPE_CHECKING:
    from etui.checkpoints.series import Series, Step


@dataclass(frozen=True, slots=True)
class Usage:
    """What a step takes.

    Attributes:
        bytes: of its artifact.
        new: bytes of the objects that no earlier step of those asked about refers to.
        objects: that it refers to.
    """

    bytes: int
    new: int
    objects: int


def usage(series: Series, steps: Iterable[Step]) -> dict[int, Usage]:
    """What steps take, by their numbers; the place lists its objects once, and each step's index is read.

    A step that others remove meanwhile is left out.

    Args:
        series: of the steps.
        steps: in any order; the earlier ones are those with lower numbers.

    Raises:
        RejectError: a step is damaged.
        StorageError: the series cannot be read.
    """
    sizes = {found.digest: found.size for found in series.store.objects()}
    seen: set[str] = set()
    result = {}
    for step in sorted(steps, key=lambda step: step.number):
        try:
            names = set(garbage.referenced(series.store, step.number, series.limits))
            size = step.size
        except (RejectError, UsageError):
            if step.number in series:
                raise
            continue
        new = sum(sizes.get(name, 0) for name in names - seen)
        result[step.number] = Usage(size, new, len(names))
        seen |= names
    return result
