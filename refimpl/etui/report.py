"""The report of a load or a conversion: every stored and every target item, and what became of it.

Nothing is dropped silently: an item that is not kept as it was has an entry that says so, and a strict caller gets a
`TransferError` in place of the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etui._version import SPEC_VERSION
from etui.errors import error

KEPT = {
    "restored": "carried over, bit for bit",
    "translated": "carried over in the target's own terms, with the same meaning",
    "aliased": "shares the storage of another item",
    "verbatim": "a native document, handed on byte for byte",
    "regenerated": "written anew from the neutral documents",
    "data-only": "kept as data that the target does not interpret",
    "fresh": "state that the source has not made yet",
}
CHANGED = {
    "cast": "carried over in another dtype",
    "stale": "a native document that no longer belongs to the neutral one, and was not used",
}
LOST = {
    "missing": "the target has it, the source does not",
    "unexpected": "the source has it, the target does not",
    "shape-mismatch": "source and target differ in shape",
    "not-transferable": "the target has no form for it",
}
STATUSES = {**KEPT, **CHANGED, **LOST}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one item.

    Attributes:
        kind: ``variable``, ``slot``, ``optimizer``, ``module``, ``document``, ``asset``, ``training``, ``state``, …
        subject: its path or name.
        status: a key of `STATUSES`.
        detail: one sentence, or empty.
    """

    kind: str
    subject: str
    status: str
    detail: str = ""


@dataclass(slots=True)
class Report:
    """The accounting of one load or conversion.

    Attributes:
        source, target: what was read and written, for people.
        entries: in the order in which items were met.
    """

    source: str = ""
    target: str = ""
    entries: list[Entry] = field(default_factory=list)

    def add(self, kind: str, subject: str, status: str, detail: str = "") -> None:
        """Account for one item.

        Raises:
            KeyError: the status is none of `STATUSES`.
        """
        STATUSES[status]
        self.entries.append(Entry(kind, subject, status, detail))

    @property
    def lost(self) -> list[Entry]:
        """The entries whose item was not carried over."""
        return [entry for entry in self.entries if entry.status in LOST]

    @property
    def ok(self) -> bool:
        """Whether everything was carried over."""
        return not self.lost

    def counts(self) -> dict[str, dict[str, int]]:
        """The numbers of entries: kind -> status -> number."""
        table: dict[str, dict[str, int]] = {}
        for (kind, status), number in Counter((entry.kind, entry.status) for entry in self.entries).items():
            table.setdefault(kind, {})[status] = number
        return table

    def require_complete(self) -> None:
        """What strict callers call before the target is written.

        Raises:
            TransferError: ``not-complete``, with the first few lost items.
        """
        lost = self.lost
        if lost:
            first = [f"{entry.kind} {entry.subject}: {entry.status} {entry.detail}".strip() for entry in lost[:_SHOWN]]
            more = [f"and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []
            raise error("not-complete", where=self.source, found="; ".join(first + more))

    def as_json(self) -> dict[str, Any]:
        """The report as the schema `report.schema.json` describes it."""
        return {
            "format": "etui-report",
            "version": SPEC_VERSION,
            "source": self.source,
            "target": self.target,
            "ok": self.ok,
            "counts": self.counts(),
            "entries": [
                {"kind": entry.kind, "subject": entry.subject, "status": entry.status, "detail": entry.detail}
                for entry in self.entries
            ],
        }

    def lines(self) -> Iterator[str]:
        """The report for people: a line per kind, then a line per item that was not carried over as it was."""
        yield f"{self.source} -> {self.target}"
        for kind, found in self.counts().items():
            yield f"  {kind}: " + ", ".join(f"{number} {status}" for status, number in found.items())
        for entry in self.entries:
            if entry.status in LOST or entry.status in CHANGED or entry.status == "data-only":
                detail = f" ({entry.detail})" if entry.detail else ""
                yield f"  ! {entry.kind} {entry.subject}: {STATUSES[entry.status]}{detail}"
        yield "  nothing was lost" if self.ok else f"  {len(self.lost)} items were not carried over"

    def __str__(self) -> str:
        return "\n".join(self.lines())
