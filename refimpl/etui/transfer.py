"""How faithful a mapping between frameworks is: the four transfer classes (SPEC.md, annex O)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

EXACT = "exact"
REPARAMETRISED = "reparametrised"
APPROXIMATE = "approximate"
NOT_TRANSFERABLE = "not-transferable"
KINDS = (EXACT, REPARAMETRISED, APPROXIMATE, NOT_TRANSFERABLE)


@dataclass(frozen=True, slots=True)
class Transfer:
    """How one op, slot or update rule fares in another framework.

    Attributes:
        kind: one of `KINDS`.
        formula: how the target's numbers follow from the source's, where they are not the same ones.
        bound: largest relative difference that was measured, of an approximate transfer.
    """

    kind: str
    formula: str = ""
    bound: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The transfer as `report.schema.json` describes it."""
        return {"class": self.kind, "formula": self.formula, "bound": self.bound}
