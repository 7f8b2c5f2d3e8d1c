"""Losses, metrics and schedules of Keras as objects of the vocabulary and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.core.training import lift_training, lower_training
from etui.bridges.keras.core.training_classes import LOSS, LOSSES, METRIC, METRICS, SCHEDULE, SCHEDULES
from etui.bridges.keras.core.training_objects import lift_object, lower_object
from etui.bridges.keras.values import ValueReader
from etui.canonical.values import ObjectValue, equal
from etui.containers.training import Training
from etui.core.parameters import parameters
from etui.core.vocabulary import objects
from etui.report import Report

KINDS = {"losses": LOSS, "metrics": METRIC, "schedules": SCHEDULE}
MSE = ObjectValue("keras:losses.MeanSquaredError", {"name": "mean_squared_error", "reduction": "sum_over_batch_size"})
AUTHOR = ObjectValue("custom:package>Mine", {"size": 1})


@pytest.mark.clause("KC-50@8d9cbf", "KC-51@4bfa93", "KC-52@6e67aa")
@pytest.mark.frameworks
def test_what_keras_serializes_comes_back(answers: Callable[[str], Mapping[str, Any]]) -> None:
    """Each class, with its arguments and names, and functions, as Keras itself writes them."""
    nodes = json.loads(str(answers("nodes")["nodes"]))
    lifted = set()
    for kind, node in nodes:
        value = ValueReader().value(node)
        found = lift_object(KINDS[kind], value)
        assert found is not None, node
        parameters(found, kind)
        assert equal(lower_object(KINDS[kind], found), value)
        lifted.add(found.class_name)
    assert len(nodes) > 100
    assert {f"core:{kind.core}.{twin.core}" for kind in KINDS.values() for twin in kind.twins} <= lifted


@pytest.mark.clause("KC-50@8d9cbf")
@pytest.mark.parametrize(
    ("kind", "value", "name", "config"),
    [
        (LOSS, "mse", "mean_squared_error", {}),
        (LOSS, "BinaryCrossentropy", "binary_crossentropy", {}),
        (LOSS, "ce", "auto_crossentropy", {}),
        (LOSS, ObjectValue("keras:losses.huber", None), "huber", {}),
        (LOSS, ObjectValue("custom:huber", None), "huber", {}),
        (METRIC, "mae", "mean_absolute_error", {"name": "mae"}),
        (METRIC, "accuracy", "auto_accuracy", {}),
        (METRIC, "acc", "auto_accuracy", {"name": "acc"}),
        (METRIC, "precision", "precision", {}),
        (METRIC, "cosine_similarity", "cosine_similarity", {}),
        (METRIC, ObjectValue("keras:metrics.Accuracy", {"name": "accuracy", "dtype": "float32"}), "accuracy", {}),
        (METRIC, ObjectValue("keras:losses.huber", None), "huber", {"name": "huber"}),
        (
            METRIC,
            ObjectValue(
                "keras:metrics.AUC", {"curve": "PR", "dtype": ObjectValue("keras:DTypePolicy", {"name": "float64"})}
            ),
            "auc",
            {"curve": "PR", "dtype": "float64"},
        ),
        (
            LOSS,
            ObjectValue("keras:losses.Huber", {"reduction": "auto", "fn": "huber", "delta": 2}),
            "huber",
            {"delta": 2.0},
        ),
        (
            LOSS,
            ObjectValue("keras:losses.Dice", {"axis": (1, 2), "reduction": None}),
            "dice",
            {"axis": [1, 2], "reduction": "none"},
        ),
    ],
)
def test_what_stands_for_what(kind: Any, value: Any, name: str, config: dict[str, Any]) -> None:
    """Names, functions and objects, with only the parameters that are not the defaults; and back."""
    found = lift_object(kind, value)
    assert found is not None
    assert (found.class_name, found.config) == (f"core:{kind.core}.{name}", config)
    assert equal(lower_object(kind, found), value)


@pytest.mark.clause("KC-50@8d9cbf", "KC-51@4bfa93")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (LOSS, AUTHOR),
        (LOSS, "my_loss"),
        (LOSS, 3.0),
        (LOSS, ObjectValue("keras:losses.Huber", {"delta": "big"})),
        (LOSS, ObjectValue("keras:losses.Huber", {"speed": 1})),
        (LOSS, ObjectValue("keras:losses.Huber", {"reduction": "average"})),
        (LOSS, ObjectValue("keras:losses.Huber", "text")),
        (METRIC, ObjectValue("keras:losses.cosine_similarity", None)),
        (METRIC, ObjectValue("keras:metrics.IoU", {"num_classes": 3})),
        (METRIC, ObjectValue("keras:metrics.AUC", {"curve": "LINE"})),
        (METRIC, ObjectValue("keras:metrics.AUC", {"label_weights": [True]})),
        (METRIC, ObjectValue("keras:metrics.MeanMetricWrapper", {"fn": AUTHOR})),
        (METRIC, "iou"),
        (SCHEDULE, ObjectValue("keras:optimizers.schedules.CosineDecay", {"initial_learning_rate": 0.1})),
    ],
)
def test_what_the_vocabulary_does_not_have_is_no_object_of_it(kind: Any, value: Any) -> None:
    """Classes of the author's own, other parameters, and the loss whose sign a metric does not have."""
    assert lift_object(kind, value) is None


@pytest.mark.clause("KC-50@8d9cbf")
def test_training_keeps_its_nesting_and_reports_what_stays() -> None:
    """Losses and metrics by output; what is not in the vocabulary is data."""
    metrics = {"a": ["accuracy", AUTHOR], "b": ("mae",)}
    training = Training(loss={"a": MSE, "b": None}, metrics=metrics, weighted_metrics=[["acc"]], loss_weights=[1.0])
    report = Report()
    lifted = lift_training(training, report)
    assert lifted.loss["a"].class_name == "core:losses.mean_squared_error"
    assert lifted.loss["b"] is None
    assert lifted.metrics["a"][1] is AUTHOR
    assert isinstance(lifted.metrics["b"], tuple)
    assert [entry.subject for entry in report.entries if entry.status == "data-only"] == ["metrics/a/1"]
    assert training.loss["a"] is MSE
    assert lower_training(lifted, Report()) == training


@pytest.mark.clause("KC-52@6e67aa")
def test_an_edited_object_is_written_as_it_means_now() -> None:
    """What Keras wrote comes back only as long as the object means the same."""
    found = lift_object(LOSS, "huber")
    assert found is not None
    edited = ObjectValue(found.class_name, {"delta": 2.0}, None, found.residue)
    lowered = lower_object(LOSS, edited)
    assert lowered == ObjectValue(
        "keras:losses.Huber", {"name": "huber_loss", "reduction": "sum_over_batch_size", "delta": 2.0}
    )
    assert lower_object(LOSS, found) == "huber"


@pytest.mark.clause("KC-52@6e67aa")
def test_objects_without_keras_are_written_in_full() -> None:
    """As Keras writes them, with all of its parameters; losses without a metric of their own in a wrapper."""
    value = ObjectValue("core:schedules.piecewise_constant", {"boundaries": [2.0, 3.5], "values": [0.1, 0.2, 0.3]})
    config = {"boundaries": [2, 3.5], "values": [0.1, 0.2, 0.3], "name": "PiecewiseConstant"}
    assert equal(
        lower_object(SCHEDULE, value), ObjectValue("keras:optimizers.schedules.PiecewiseConstantDecay", config)
    )
    wrapped = lower_object(METRIC, ObjectValue("core:metrics.huber", {"delta": 0.5}))
    assert wrapped.class_name == "keras:metrics.MeanMetricWrapper"
    assert wrapped.config["fn"] == ObjectValue("keras:losses.huber", None)
    assert lower_object(LOSS, AUTHOR) is AUTHOR
    auc = lower_object(METRIC, ObjectValue("core:metrics.auc", {"thresholds": [0.25]}))
    assert (auc.config["num_thresholds"], auc.config["thresholds"]) == (3, [0.25])


@pytest.mark.clause("CT-11@3496d3")
def test_a_dtype_that_the_vocabulary_does_not_have_stays_with_keras() -> None:
    """A mean of integers is no metric of the vocabulary, and a matrix of integers is one."""
    assert lift_object(METRIC, ObjectValue("keras:metrics.Mean", {"dtype": "int32"})) is None
    found = lift_object(METRIC, ObjectValue("keras:metrics.MeanIoU", {"num_classes": 2, "dtype": "int64"}))
    assert found is not None
    assert (found.class_name, found.config) == ("core:metrics.mean_iou", {"num_classes": 2, "dtype": "int64"})


@pytest.mark.clause("KC-50@8d9cbf")
def test_arrays_become_lists() -> None:
    """Weights of labels may be an array."""
    value = ObjectValue("keras:metrics.AUC", {"multi_label": True, "label_weights": np.array([1.0, 2.0])})
    found = lift_object(METRIC, value)
    assert found is not None
    assert found.config == {"multi_label": True, "label_weights": [1.0, 2.0]}
    assert equal(lower_object(METRIC, found), value)


@pytest.mark.library
def test_the_tables_name_every_class_of_the_vocabulary_and_its_parameters() -> None:
    """What Keras does not have is made of what it has."""
    made = {
        "losses": {"auto_crossentropy"},
        "schedules": {"constant"},
        "metrics": {"auto_accuracy", "auto_crossentropy"},
    }
    made["metrics"] |= {"huber", "binary_focal_crossentropy", "categorical_focal_crossentropy"}
    for kind, twins in (("losses", LOSSES), ("metrics", METRICS), ("schedules", SCHEDULES)):
        assert {twin.core for twin in twins} | made[kind] == set(objects(kind))
        for twin in twins:
            told = {*twin.keys, *twin.hidden, *(() if kind == "schedules" else ("name", "dtype"))}
            assert told | ({"reduction"} if kind == "losses" else set()) == set(objects(kind)[twin.core]), twin.core
