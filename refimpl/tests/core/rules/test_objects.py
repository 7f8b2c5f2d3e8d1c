"""Losses, metrics, schedules, regularizers and constraints by their definitions, against Keras in float64."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.core import constraints, losses, metrics, regularizers, schedules
from etui.core.vocabulary import objects

sys.path.insert(0, str(Path(__file__).parent))
cases: Any = import_module("rule_cases")  # tests are imported by path, so that a neighbour is found by name only
Ask = Callable[[str], Mapping[str, Any]]

# Keras computes the logarithm of 2 in log_cosh, all of ctc, and these schedules and penalties in float32.
SINGLE, EXACT = 1e-6, 1e-12
_ROUNDED = frozenset({"log_cosh", "log_cosh_error", "ctc"})


def named(rules: list[Any]) -> dict[str, Any]:
    """Cases by their name."""
    return {rule.name: rule for rule in rules}


def object_of(rule: Any, **more: Any) -> ObjectValue:
    """The object of a case by the vocabulary."""
    return ObjectValue(f"core:{rule.kind}.{rule.core}", {**rule.config, **more})


def close(found: Any, wanted: Any, bound: float) -> None:
    """Equal shapes, and equal numbers but for `bound` of their size."""
    assert np.shape(found) == np.shape(wanted)
    np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound)


def bound_of(rule: Any) -> float:
    """How exact Keras is."""
    return SINGLE if rule.core in _ROUNDED else EXACT


def data_of(rule: Any) -> list[Any]:
    """Targets and predictions; predictions are floats."""
    data = [np.asarray(cases.DATA[name]) for name in rule.data]
    return [*data[:-1], data[-1].astype(float)] if "iou" not in rule.core else data


LOSSES, METRICS = named(cases.LOSSES), named(cases.METRICS)
SCHEDULES, PARTS = named(cases.SCHEDULES), named(cases.PARTS)


@pytest.mark.clause("CT-2@3755e8", "CT-3@81e6ec", "CT-4@feeb15")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_keras(answers: Ask, name: str) -> None:
    """With each reduction, with sample weights and without."""
    rule, found = LOSSES[name], answers("objects")
    y, p = data_of(rule)
    for reduction in cases.REDUCTIONS:
        value = object_of(rule, reduction=reduction)
        close(losses.loss(value, y, p), found[f"{name}/{reduction}"], bound_of(rule))
        if rule.weighted:
            weighted = losses.loss(value, y, p, cases.weights_for(rule))
            close(weighted, found[f"{name}/{reduction}/weighted"], bound_of(rule))


@pytest.mark.clause("CT-5@78f4b5", "CT-6@811db2", "CT-7@cd6c48", "CT-8@2ed718")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_that_of_keras(answers: Ask, name: str) -> None:
    """State and result after two batches, the first with sample weights and without."""
    rule, found = METRICS[name], answers("objects")
    counts = "iou" in rule.core
    value = object_of(rule, **({} if counts else {"dtype": "float64"}))
    data = data_of(rule)
    for kind, weights in (("plain", None), ("weighted", cases.WEIGHTS)):
        own = np.round(weights * 3).astype(int) if counts and weights is not None else weights
        state = metrics.update(value, {}, *data, sample_weight=own)
        state = metrics.update(value, state, *[item[::-1] for item in data])
        close(metrics.result(value, state), found[f"{name}/{kind}"], bound_of(rule))
        assert set(state) == {key.rpartition("/")[2] for key in found if key.startswith(f"{name}/{kind}/")}
        for key, item in state.items():
            close(item, found[f"{name}/{kind}/{key}"], bound_of(rule))


@pytest.mark.clause("CT-9@74641d")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_that_of_keras(answers: Ask, name: str) -> None:
    """At each of sixty clocks, but for Keras' rounding to float32."""
    rule = SCHEDULES[name]
    close(schedules.rate(object_of(rule), cases.DATA["clocks"]), answers("objects")[name], SINGLE)


@pytest.mark.clause("CV-82@f82c99", "CV-83@db712d")
@pytest.mark.frameworks
@pytest.mark.parametrize("name", PARTS)
def test_a_regularizer_or_constraint_is_that_of_keras(answers: Ask, name: str) -> None:
    """Penalties but for the rounding of their factors, and projections."""
    rule, found = PARTS[name], answers("objects")[name]
    x = cases.DATA[rule.data[0]]
    if rule.kind == "regularizers":
        close(regularizers.penalty(object_of(rule), x), found, SINGLE)
    else:
        close(constraints.project(object_of(rule), x), found, EXACT)


@pytest.mark.library
def test_every_class_of_the_vocabulary_is_compared() -> None:
    """No loss, metric, schedule, regularizer or constraint is left out, but for those that have no class in Keras."""
    own = {
        "losses": {"auto_crossentropy"},
        "metrics": {"auto_accuracy", "auto_crossentropy", "huber"}
        | {"binary_focal_crossentropy", "categorical_focal_crossentropy"},
        "schedules": {"constant"},
        "regularizers": set(),
        "constraints": set(),
    }
    compared = {(rule.kind, rule.core) for rule in [*cases.LOSSES, *cases.METRICS, *cases.SCHEDULES, *cases.PARTS]}
    listed = {(kind, name) for kind, names in own.items() for name in objects(kind) if name not in names}
    assert compared == listed
