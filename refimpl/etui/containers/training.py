"""The training container: `training.json`, what a model is trained with (SPEC.md chapter 14)."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from etui.canonical import values
from etui.containers.fields import Json, open_document
from etui.limits import DEFAULT_LIMITS, Limits

DOCUMENT = "training.json"
PRECISION_FIELDS = frozenset({"name", "variable_dtype", "compute_dtype"})


@dataclass(slots=True)
class Training:
    """What a model is trained with; every field is a value, and empty or `None` where the model has none.

    Attributes:
        loss, loss_weights, metrics, weighted_metrics: in the nesting of the model's outputs.
        added_losses: names of losses that modules add by themselves.
        precision: `name`, `variable_dtype`, `compute_dtype` of the policy, and what else it has.
        sample_weighting, class_weighting: how samples and classes are weighted.
        options: of the training loop.
        residue: framework -> facts that only that framework needs.
    """

    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None
    added_losses: list[str] = field(default_factory=list)
    precision: dict[str, Any] = field(default_factory=dict)
    sample_weighting: Any = None
    class_weighting: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    residue: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


VALUE_FIELDS = tuple(item.name for item in fields(Training) if item.name != "extra")


def decode(tree: dict[str, Json], limits: Limits = DEFAULT_LIMITS) -> Training:
    """Decode the tree of `training.json`.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    context, extra = open_document(tree, DOCUMENT, limits, (), VALUE_FIELDS)
    training = Training(extra=extra)
    for name in VALUE_FIELDS:
        if name not in tree:
            continue
        value = values.from_json(tree[name], context.place(name), limits)
        if _is_empty(value):
            raise context.fail(name, "an empty or null field that must be left out")
        setattr(training, name, value)
    context.strings(training.added_losses, "added_losses")
    context.mapping(training.options, "options")
    context.residue(training.residue, "residue")
    precision = context.mapping(training.precision, "precision")
    if precision and not (
        precision.keys() >= PRECISION_FIELDS and all(isinstance(precision[name], str) for name in PRECISION_FIELDS)
    ):
        raise context.fail("precision", f"not the strings {sorted(PRECISION_FIELDS)}")
    return training


def encode(training: Training, version: str) -> dict[str, Json]:
    """The tree of `training.json`."""
    content = {name: getattr(training, name) for name in VALUE_FIELDS}
    return {
        "format": "etui-training",
        "version": version,
        **{name: values.to_json(value) for name, value in content.items() if not _is_empty(value)},
        **training.extra,
    }


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict | list | str) and not value)
