"""What a model is trained with, in the terms of the vocabulary and back (SPEC.md, annex L.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from etui.bridges.keras.core.training_classes import LOSS, METRIC, SCHEDULE, Kind
from etui.bridges.keras.core.training_objects import lift_object, lower_object
from etui.canonical.values import ObjectValue
from etui.containers.training import Training
from etui.report import Report
from etui.transfer import EXACT, Transfer

FIELDS: tuple[tuple[str, Kind], ...] = (("loss", LOSS), ("metrics", METRIC), ("weighted_metrics", METRIC))


def lift_training(training: Training, report: Report) -> Training:
    """The losses and metrics of Keras as objects of the vocabulary, in the nesting that they have.

    Args:
        training: what Keras' bridges read; it stays as it is.
        report: gets an entry for each loss and metric; what the vocabulary does not have stays and is ``data-only``.
    """
    changed = {name: _lift(kind, getattr(training, name), name, report) for name, kind in FIELDS}
    return replace(training, **changed)


def lower_training(training: Training, report: Report) -> Training:
    """The losses and metrics of the vocabulary as Keras has them.

    Args:
        training: in the terms of the vocabulary, or of Keras where the vocabulary has no term; it stays as it is.
        report: gets an entry for each loss and metric of the vocabulary.
    """
    changed = {name: _lower(kind, getattr(training, name), name, report) for name, kind in FIELDS}
    return replace(training, **changed)


def lift_schedule(value: Any, place: str, report: Report) -> Any:
    """A schedule of Keras as one of the vocabulary; another stays as it is and is reported."""
    found = lift_object(SCHEDULE, value)
    _account(found is not None, place, value, report)
    return value if found is None else found


def lower_schedule(value: Any) -> Any:
    """A schedule of the vocabulary as one of Keras; `constant` has no class and stays."""
    return value if _is(value, "core:schedules.constant") else lower_object(SCHEDULE, value)


def _is(value: Any, name: str) -> bool:
    return isinstance(value, ObjectValue) and value.class_name == name


def _lift(kind: Kind, value: Any, place: str, report: Report) -> Any:
    if value is None:
        return None
    if isinstance(value, dict):
        return {key: _lift(kind, item, f"{place}/{key}", report) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_lift(kind, item, f"{place}/{at}", report) for at, item in enumerate(value))
    found = lift_object(kind, value)
    _account(found is not None, place, value, report)
    return value if found is None else found


def _account(lifted: bool, place: str, value: Any, report: Report) -> None:
    name = value.class_name if isinstance(value, ObjectValue) else value
    if lifted:
        report.add("training", place, "translated", transfer=Transfer(EXACT))
    else:
        report.add("training", place, "data-only", f"{name} is not in the core vocabulary")


def _lower(kind: Kind, value: Any, place: str, report: Report) -> Any:
    if isinstance(value, dict):
        return {key: _lower(kind, item, f"{place}/{key}", report) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_lower(kind, item, f"{place}/{at}", report) for at, item in enumerate(value))
    found = lower_object(kind, value)
    if found is not value:
        report.add("training", place, "translated", transfer=Transfer(EXACT))
    return found
