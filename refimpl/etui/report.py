"""The report of a load or a conversion: every stored and every target item, and what became of it.

Nothing is dropped silently: an item that is not kept as it was has an entry that says so, and a strict caller gets a
`TransferError` in place of the result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from etui._version import SPEC_VERSION
from etui.errors import error, without_secrets
from etui.notebooks import InNotebooks
from etui.transfer import EXACT, Transfer

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
    "reset": "not carried over: training makes it anew by itself",
}
OUTSIDE = {
    "left-out": "left out: the target is not meant to hold it, or the caller did not ask for it",
}
LOST = {
    "missing": "the target has it, the source does not",
    "unexpected": "the source has it, the target does not",
    "shape-mismatch": "source and target differ in shape",
    "approximated": "carried over within the bound that the entry states",
    "not-transferable": "the target has no form for it",
}
STATUSES = {**KEPT, **CHANGED, **OUTSIDE, **LOST}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one item.

    Attributes:
        kind: ``variable``, ``slot``, ``optimizer``, ``module``, ``document``, ``asset``, ``training``, ``state``, …
        subject: its path or name.
        status: a key of `STATUSES`.
        detail: one sentence, or empty.
        transfer: between frameworks, how faithful the mapping is.
    """

    kind: str
    subject: str
    status: str
    detail: str = ""
    transfer: Transfer | None = None


def _said(entry: Entry) -> str:
    return f"{entry.status} ({entry.detail})" if entry.detail else entry.status


@dataclass(slots=True)
class Report(InNotebooks):
    """The accounting of one load or conversion.

    Attributes:
        source, target: what was read and written, for people.
        entries: in the order in which items were met.
    """

    source: str = ""
    target: str = ""
    entries: list[Entry] = field(default_factory=list)

    def add(self, kind: str, subject: str, status: str, detail: str = "", transfer: Transfer | None = None) -> None:
        """Account for one item.

        Raises:
            KeyError: the status is none of `STATUSES`.
        """
        STATUSES[status]
        self.entries.append(Entry(kind, subject, status, detail, transfer))

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

    def require_complete(self, allow: Collection[str] = ()) -> None:
        """What strict callers call before the target is written.

        Args:
            allow: statuses of `LOST` that the caller asked for, such as ``approximated``.

        Raises:
            TransferError: ``not-complete``, with the first few lost items.
        """
        lost = [entry for entry in self.lost if entry.status not in allow]
        if lost:
            first = [f"{entry.kind} {entry.subject}: {_said(entry)}" for entry in lost[:_SHOWN]]
            more = [f"and {len(lost) - _SHOWN} more"] if len(lost) > _SHOWN else []
            raise error("not-complete", where=self.source, found="; ".join(first + more))

    def as_json(self) -> dict[str, Any]:
        """The report as the schema `report.schema.json` describes it."""
        return {
            "format": "etui-report",
            "version": SPEC_VERSION,
            "source": without_secrets(self.source),
            "target": without_secrets(self.target),
            "ok": self.ok,
            "counts": self.counts(),
            "entries": [
                {"kind": entry.kind, "subject": entry.subject, "status": entry.status, "detail": entry.detail}
                | ({} if entry.transfer is None else {"transfer": entry.transfer.as_json()})
                for entry in self.entries
            ],
        }

    def lines(self) -> Iterator[str]:
        """The report for people: a line per kind, then what was not carried over as it was, then what was left out.

        Each lost item has a line; of many others that fared alike, the first is named.
        """
        yield without_secrets(f"{self.source} -> {self.target}")
        for kind, found in self.counts().items():
            yield f"  {kind}: " + ", ".join(f"{number} {status}" for status, number in found.items())
        marked = (entry for entry in self.entries if entry.status in {*LOST, *CHANGED, "data-only"})
        alike: dict[tuple[str, str, str], list[str]] = {}
        for entry in marked:
            alike.setdefault((entry.kind, entry.status, entry.detail), []).append(entry.subject)
        for (kind, status, detail), subjects in alike.items():
            short = len(subjects) > _SHOWN and status not in LOST
            for subject in [f"{subjects[0]} and {len(subjects) - 1} more"] if short else subjects:
                yield f"  ! {kind} {subject}: {STATUSES[status]}" + (f" ({detail})" if detail else "")
        yield from self._transfers()
        left_out = Counter((entry.kind, entry.detail) for entry in self.entries if entry.status in OUTSIDE)
        for (kind, detail), number in left_out.items():
            yield f"  - {kind}: {number} left out ({detail})" if detail else f"  - {kind}: {number} left out"
        yield "  nothing was lost" if self.ok else f"  {len(self.lost)} items were not carried over"

    def _transfers(self) -> Iterator[str]:
        """A line for each way in which items came into another framework's terms, with its formula and bound (TC-2)."""
        alike: dict[tuple[str, Transfer], list[str]] = {}
        for entry in self.entries:
            if entry.transfer is not None and entry.transfer.kind != EXACT:
                alike.setdefault((entry.kind, entry.transfer), []).append(entry.subject)
        for (kind, transfer), subjects in alike.items():
            more = f" and {len(subjects) - 1} more" if len(subjects) > 1 else ""
            said = [transfer.formula] if transfer.formula else []
            said += [f"within {transfer.bound:.1e}"] if transfer.bound is not None else []
            yield f"  ~ {kind} {subjects[0]}{more}: {transfer.kind}" + (f" ({'; '.join(said)})" if said else "")

    def __str__(self) -> str:
        return "\n".join(self.lines())
