"""What a writer is given in one check, and what its bytes prove."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from etui_conformance.checks.samples import Content


@dataclass(frozen=True, slots=True)
class Case:
    """Contents to be written.

    Attributes:
        name, clauses, title: of the check.
        needs: beside `encode`.
        contents: makes them.
        fields: of the requests, such as a size of shards.
        form: the only one to be written, where what is proved does not lie in the form; `None` for both.
    """

    name: str
    clauses: tuple[str, ...]
    title: str
    needs: frozenset[str]
    contents: Callable[[], Iterator[Content]]
    fields: dict[str, Any] = field(default_factory=dict)
    form: str | None = None


def needs(*names: str) -> frozenset[str]:
    """Capabilities."""
    return frozenset(names)


def once(make: Callable[[], Content]) -> Callable[[], Iterator[Content]]:
    """The only content of a case."""
    return lambda: iter([make()])
