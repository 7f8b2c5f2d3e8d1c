"""`training.json`: losses, metrics, precision and options (SPEC.md chapter 14)."""

from __future__ import annotations

from typing import Any

from etui_conformance.oracle.errors import pointer
from etui_conformance.oracle.forms import Form

VALUES = ("class_weighting", "loss", "loss_weights", "metrics", "sample_weighting", "weighted_metrics")
FIELDS = (*VALUES, "added_losses", "options", "precision", "residue")


def check(form: Form, tree: dict[str, Any]) -> None:
    """Refuse a document that breaks T-1, T-2, T-3, or chapter 5 in its values."""
    form.fields(tree, form.part, required=("format", "version"), optional=FIELDS)
    for name in (name for name in VALUES if name in tree):
        at = pointer(form.part, name)
        if tree[name] in (None, "", [], {}):
            form.refuse(at, "an empty field is left out")
        form.value(tree[name], at)
    if "added_losses" in tree:
        at = pointer(form.part, "added_losses")
        for index, name in enumerate(form.list(tree["added_losses"], at, filled=True)):
            form.text(name, pointer(at, index))
    if "options" in tree:
        form.value_map(tree["options"], pointer(form.part, "options"), filled=True)
    if "precision" in tree:
        at = pointer(form.part, "precision")
        precision = form.value_map(tree["precision"], at)
        for name in ("compute_dtype", "name", "variable_dtype"):
            form.text(precision.get(name), pointer(at, name))
    if "residue" in tree:
        form.residue(tree["residue"], pointer(form.part, "residue"))
