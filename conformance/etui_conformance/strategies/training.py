"""`training.json`: what a model is trained with (SPEC.md chapter 14)."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies.extensions import VERSION, further_fields
from etui_conformance.strategies.values import NOTHING, TEXTS, Names, maps, residues, values

_VALUES = ("loss", "loss_weights", "metrics", "weighted_metrics", "sample_weighting", "class_weighting")
_EMPTY: tuple[Any, ...] = (None, "", [], {})


@st.composite
def training_documents(draw: st.DrawFn, refer_to: Names = NOTHING, version: str = VERSION) -> dict[str, Any]:
    """Documents with any choice of the optional fields.

    Args:
        draw: given by Hypothesis.
        refer_to: what the values may name.
        version: of the document.
    """
    fields: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(_VALUES), max_size=3, unique=True)):
        fields[name] = draw(values(refer_to))
    if draw(st.booleans()):
        fields["added_losses"] = draw(st.lists(TEXTS, min_size=1, max_size=2))
    if draw(st.booleans()):
        fixed = {name: draw(TEXTS) for name in ("compute_dtype", "name", "variable_dtype")}
        fields["precision"] = {**draw(maps(refer_to)), **fixed}
    if draw(st.booleans()):
        fields["options"] = draw(maps(refer_to))
    if draw(st.booleans()):
        fields["residue"] = draw(residues(refer_to))
    kept = {name: value for name, value in fields.items() if not _is_empty(value)}
    return {"format": "etui-training", "version": version, **kept, **further_fields(draw, version)}


def _is_empty(value: Any) -> bool:
    """Whether a field of this value is left out (T-2)."""
    return any(type(value) is type(empty) and value == empty for empty in _EMPTY)
