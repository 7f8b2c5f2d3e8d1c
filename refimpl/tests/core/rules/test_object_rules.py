"""Losses, metrics, schedules and initializers by themselves: what Keras has no class for, masks, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etui.canonical.values import ObjectValue
from etui.containers.training import Training
from etui.core.check import check
from etui.core.constraints import project
from etui.core.initializers import draw, fans
from etui.core.losses import loss
from etui.core.metrics import fresh_state, result, update
from etui.core.regularizers import penalty
from etui.core.schedules import rate
from etui.errors import InvalidError, UsageError
from etui.model import Model

RNG = np.random.default_rng(5)
SHARES = RNG.uniform(0.1, 0.9, size=(5, 3))


def of(kind: str, name: str, **config: Any) -> ObjectValue:
    """An object of the vocabulary."""
    return ObjectValue(f"core:{kind}.{name}", config)


@pytest.mark.clause("CT-1@7f9aae")
@pytest.mark.parametrize(
    "value",
    [
        ObjectValue("keras:losses.Huber", {}),
        of("metrics", "huber"),
        of("losses", "mean_cubed_error"),
        of("losses", "huber", gamma=1.0),
        of("losses", "huber", reduction="average"),
        ObjectValue("core:losses.huber", [1.0]),
    ],
)
def test_other_losses_are_refused(value: ObjectValue) -> None:
    """Another class, another parameter, another choice, or no map."""
    with pytest.raises(InvalidError) as caught:
        loss(value, SHARES, SHARES)
    assert caught.value.code == "core-object"


@pytest.mark.clause("CT-1@7f9aae", "CV-30@1b56ac")
def test_objects_without_a_required_parameter_are_refused() -> None:
    """A schedule without its rate; also regularizers, constraints and initializers check their parameters."""
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: rate(of("schedules", "exponential_decay"), 1), "core-object"),
        (lambda: penalty(of("regularizers", "l3"), SHARES), "core-attrs"),
        (lambda: project(of("constraints", "max_norm", size=1.0), SHARES), "core-attrs"),
        (lambda: draw(of("initializers", "he"), (2, 3)), "core-attrs"),
        (lambda: fresh_state(of("metrics", "iou")), "core-object"),
    ]
    for call, code in calls:
        with pytest.raises(InvalidError, match=code):
            call()


@pytest.mark.clause("CT-2@3755e8", "CT-6@811db2")
@pytest.mark.parametrize(
    ("y", "p", "kind"),
    [
        (np.array([0.0, 1.0, 1.0, 0.0, 1.0]), SHARES[:, :1], "binary"),
        (np.array([[0.0], [1.0], [2.0], [0.0], [1.0]]), SHARES, "sparse_categorical"),
        (np.array([0.0, 1.0, 2.0, 0.0, 1.0]), SHARES, "sparse_categorical"),
        (np.eye(3)[[0, 1, 2, 0, 1]], SHARES, "categorical"),
        (np.round(SHARES), SHARES[..., np.newaxis], "binary"),
        (np.array([[0.0], [1.0], [1.0], [0.0], [1.0]]), SHARES[:, 0], "binary"),
    ],
)
def test_what_a_classification_is_follows_from_shapes(y: Any, p: Any, kind: str) -> None:
    """Crossentropy and accuracy that nobody specified are the ones that the shapes ask for."""
    assert loss(of("losses", "auto_crossentropy"), y, p) == loss(of("losses", f"{kind}_crossentropy"), y, p)
    auto, own = of("metrics", "auto_accuracy"), of("metrics", f"{kind}_accuracy")
    assert result(auto, update(auto, {}, y, p)) == result(own, update(own, {}, y, p))
    auto, own = of("metrics", "auto_crossentropy"), of("metrics", f"{kind}_crossentropy")
    assert result(auto, update(auto, {}, y, p)) == result(own, update(own, {}, y, p))


@pytest.mark.clause("CT-4@feeb15")
def test_a_mask_leaves_values_out_of_the_mean() -> None:
    """The mean of those that count; with weights too; in a sum they are 0."""
    y, mask = np.zeros_like(SHARES), np.array([True, False, True, True, False])
    each = np.mean(np.square(SHARES), axis=-1)
    value = of("losses", "mean_squared_error")
    assert loss(value, y, SHARES, mask=mask) == pytest.approx(each[mask].mean(), rel=1e-15)
    weights = np.arange(1.0, 6.0)
    weighted = loss(of("losses", "mean_squared_error", reduction="sum"), y, SHARES, weights, mask)
    assert weighted == pytest.approx((each * weights)[mask].sum(), rel=1e-15)
    none = loss(value, y, SHARES, mask=np.zeros(5, bool))
    assert none == 0.0
    metric = of("metrics", "mean_squared_error", dtype="float64")
    assert result(metric, update(metric, {}, y, SHARES, mask=mask)) == pytest.approx(each[mask].mean(), rel=1e-15)


@pytest.mark.clause("CT-4@feeb15")
@pytest.mark.parametrize("steps", [2, 5])
def test_the_weight_of_a_sample_is_that_of_all_its_values(steps: int) -> None:
    """Also where a sample has as many values as there are samples; the sum of the weights is that of the samples'."""
    p = RNG.uniform(0.1, 0.9, size=(5, steps, 3))
    weights, each = np.arange(1.0, 6.0), np.mean(np.square(p), axis=-1)
    wanted = each * weights[:, np.newaxis]

    def found(reduction: str, mask: Any = None) -> Any:
        value = of("losses", "mean_squared_error", **({} if reduction == "mean" else {"reduction": reduction}))
        return loss(value, np.zeros_like(p), p, weights, mask)

    np.testing.assert_allclose(found("none"), wanted, rtol=1e-15)
    assert found("sum") == pytest.approx(wanted.sum(), rel=1e-15)
    assert found("mean") == pytest.approx(wanted.mean(), rel=1e-15)
    assert found("mean_with_sample_weight") == pytest.approx(wanted.sum() / weights.sum(), rel=1e-15)
    mask = np.arange(5 * steps).reshape(5, steps) % 3 != 0
    assert found("mean", mask) == pytest.approx(wanted[mask].sum() / mask.sum(), rel=1e-14)
    one = np.array([True, False, True, True, True])
    assert found("sum", one) == pytest.approx(wanted[one].sum(), rel=1e-15)


@pytest.mark.clause("CT-4@feeb15")
def test_a_column_of_weights_is_one_for_each_sample() -> None:
    """The values keep their shape, and a mask of the samples joins one that the loss itself has for their steps."""
    y = np.zeros_like(SHARES)
    weights = np.arange(1.0, 6.0)
    value = of("losses", "mean_squared_error", reduction="none")
    np.testing.assert_array_equal(loss(value, y, SHARES, weights[:, np.newaxis]), loss(value, y, SHARES, weights))
    p, classes = RNG.uniform(0.1, 0.9, size=(5, 2, 3)), np.array([[0, 1], [2, 2], [1, 0], [2, 1], [0, 0]])
    ignoring = of("losses", "sparse_categorical_crossentropy", reduction="sum", ignore_class=2)
    mask = np.array([True, True, False, True, True])
    each = loss(of("losses", "sparse_categorical_crossentropy", reduction="none"), classes, p)
    assert loss(ignoring, classes, p, mask=mask) == pytest.approx(each[mask][classes[mask] != 2].sum(), rel=1e-14)


@pytest.mark.clause("CT-2@3755e8")
def test_labels_of_ctc_end_at_the_first_zero() -> None:
    """What is behind it, a further label too, has no say."""
    steps = np.log(RNG.uniform(0.1, 0.9, size=(3, 6, 4)))
    value = of("losses", "ctc", reduction="none")
    given, wanted = np.array([[1, 0, 2], [0, 3, 1], [2, 3, 1]]), np.array([[1, 0, 0], [0, 0, 0], [2, 3, 1]])
    np.testing.assert_array_equal(loss(value, given, steps), loss(value, wanted, steps))


@pytest.mark.clause("CT-7@cd6c48")
def test_the_largest_are_found_before_predictions_are_clipped() -> None:
    """Of predictions beyond 1 the larger one is the largest, and not the first."""
    metric = of("metrics", "recall", thresholds=[0.0, 0.25, 0.5, 0.75, 1.0], top_k=1, dtype="float64")
    state = update(metric, {}, np.array([[0.0, 1.0]]), np.array([[1.5, 2.0]]))
    assert result(metric, state).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


@pytest.mark.clause("CT-5@78f4b5", "CT-7@cd6c48")
@pytest.mark.parametrize("weights", [np.arange(1.0, 6.0), np.arange(1.0, 6.0)[:, np.newaxis]])
@pytest.mark.parametrize("name", ["true_positives", "f1_score", "precision", "auc"])
def test_the_weight_of_a_sample_is_that_of_its_elements(name: str, weights: Any) -> None:
    """It is spread over the axes that it lacks, and the state keeps its shape."""
    metric, y = of("metrics", name, dtype="float64"), np.round(SHARES)
    p = SHARES if name == "f1_score" else RNG.uniform(0.1, 0.9, size=(5, 3, 2))
    y = y if name == "f1_score" else np.round(p)
    every = weights if name == "f1_score" else np.broadcast_to(weights.reshape(5, 1, 1), p.shape)
    found, wanted = (update(metric, {}, y, p, sample_weight=one) for one in (weights, every))
    for key, value in fresh_state(metric, p.shape[-1]).items():
        assert found[key].shape == value.shape
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-14)


@pytest.mark.clause("CT-2@3755e8")
def test_the_dtype_of_a_loss_is_that_of_the_predictions() -> None:
    """Also where targets are integers."""
    y = np.array([0, 1, 2, 0, 1])
    for dtype in (np.float32, np.float64):
        value = loss(of("losses", "sparse_categorical_crossentropy"), y, SHARES.astype(dtype))
        assert value.dtype == dtype


@pytest.mark.clause("CT-6@811db2")
@pytest.mark.parametrize("name", ["huber", "binary_focal_crossentropy", "categorical_focal_crossentropy"])
def test_losses_that_are_metrics(name: str) -> None:
    """The mean of the loss's values."""
    y = np.eye(3)[[0, 1, 2, 0, 1]]
    metric = of("metrics", name, dtype="float64")
    state = update(metric, {}, y, SHARES)
    assert result(metric, state) == pytest.approx(float(loss(of("losses", name), y, SHARES)), rel=1e-15)


@pytest.mark.clause("X-2@ca2f55")
@pytest.mark.parametrize(
    "metric",
    [
        of("metrics", "auc", num_thresholds=2**32),
        of("metrics", "precision_at_recall", recall=0.5, num_thresholds=2**32),
        of("metrics", "mean_iou", num_classes=2**20),
        of("metrics", "auc", multi_label=True, num_labels=2**40),
    ],
)
def test_a_state_is_not_made_as_large_as_a_document_says(metric: ObjectValue) -> None:
    """More thresholds, classes or labels than anybody has are refused before there is memory for them."""
    with pytest.raises(UsageError) as refusal:
        fresh_state(metric)
    assert refusal.value.code == "core-evaluate"


@pytest.mark.clause("CT-10@f8c63a", "CT-11@3496d3")
@pytest.mark.parametrize(
    ("kind", "name", "config"),
    [
        ("metrics", "f1_score", {"average": "mean"}),
        ("metrics", "fbeta_score", {"average": ""}),
        ("metrics", "r2_score", {"class_aggregation": "macro"}),
        ("metrics", "mean", {"dtype": "int32"}),
        ("metrics", "auc", {"dtype": "float8_e4m3fn"}),
        ("metrics", "mean_iou", {"num_classes": 2, "dtype": "bool"}),
        ("metrics", "binary_iou", {"dtype": "uint4"}),
        ("losses", "huber", {"dtype": "string"}),
        ("losses", "dice", {"dtype": "complex64"}),
    ],
)
def test_averages_and_dtypes_are_those_that_there_are(kind: str, name: str, config: dict[str, Any]) -> None:
    """Another average, and a dtype that nothing can be computed in, are refused in a document and in a computation."""
    value = of(kind, name, **config)
    with pytest.raises(InvalidError) as refusal:
        check(Model(training=Training(metrics=[value])))
    assert refusal.value.code == "core-object"
    with pytest.raises(InvalidError) as refusal:
        fresh_state(value, 2) if kind == "metrics" else loss(value, SHARES, SHARES)
    assert refusal.value.code == "core-object"


@pytest.mark.clause("CT-10@f8c63a", "CT-11@3496d3")
def test_every_average_and_dtype_of_the_vocabulary_is_taken() -> None:
    """Null and each name of an average, floats of 16 bits and more, and integers for a matrix of classes."""
    taken = [of("metrics", "f1_score", average=how) for how in ("macro", "micro", "weighted")]
    taken += [of("metrics", "r2_score", class_aggregation=how) for how in (None, "variance_weighted_average")]
    taken += [of("metrics", "auc", dtype=dtype) for dtype in ("bfloat16", "float16", "float64")]
    integers = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    taken += [of("metrics", "binary_iou", dtype=dtype) for dtype in (*integers, "float16") if dtype != "int32"]
    check(Model(training=Training(metrics=taken)))
    assert len(taken) == 16
    assert fresh_state(of("metrics", "f1_score", average=None), 3)["true_positives"].shape == (3,)


@pytest.mark.clause("CT-5@78f4b5")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_a_state_becomes_one_of_the_metrics_dtype(dtype: str) -> None:
    """The sum of a state that came in float32 and of a batch is of the metric's dtype."""
    metric = of("metrics", "mean", dtype=dtype)
    before = {"total": np.float32(1.5), "count": np.float32(1)}
    found = update(metric, before, np.array([2.0, 4.0]))
    assert {key: value.dtype.name for key, value in found.items()} == {"total": dtype, "count": dtype}
    assert {key: float(value) for key, value in found.items()} == {"total": 7.5, "count": 3.0}
    assert result(metric, {"total": found["total"], "count": found["count"] * 2}) == 1.25
    assert abs(float(result(metric, {"total": np.asarray(2, dtype), "count": np.asarray(3, dtype)})) - 2 / 3) < 1e-7


@pytest.mark.clause("CT-8@2ed718")
def test_a_class_that_a_matrix_does_not_have_is_refused_unless_it_is_ignored() -> None:
    """Class 255 of 2 is told, in targets and in predictions, and as `ignore_class` it counts nowhere."""
    y, p = np.array([0, 1, 255]), np.array([0, 1, 1])
    for true, said in ((y, p), (p, y), (-y, p)):
        with pytest.raises(UsageError, match="ignore_class") as refusal:
            update(of("metrics", "mean_iou", num_classes=2), {}, true, said)
        assert refusal.value.code == "core-evaluate"
    found = update(of("metrics", "mean_iou", num_classes=2, ignore_class=255, dtype="int8"), {}, y, p)
    assert found["total_confusion_matrix"].tolist() == [[1, 0], [0, 1]]


@pytest.mark.library
@pytest.mark.parametrize(
    ("metric", "state", "p"),
    [
        (of("metrics", "mean"), {"total": np.zeros(2), "count": np.zeros(())}, SHARES),
        (of("metrics", "mean"), {"total": np.zeros(())}, SHARES),
        (of("metrics", "mean"), {"total": np.zeros(()), "count": np.zeros(()), "more": np.zeros(())}, SHARES),
        (of("metrics", "mean_iou", num_classes=2), {"total_confusion_matrix": np.zeros((1, 2))}, np.ones(3)),
        (of("metrics", "f1_score"), {}, SHARES[0]),
        (of("metrics", "fbeta_score"), {}, SHARES[np.newaxis]),
        (of("metrics", "r2_score"), {}, SHARES[:, 0]),
        (of("metrics", "auc", multi_label=True, num_labels=5), {}, SHARES),
    ],
)
def test_states_and_predictions_of_other_shapes_are_refused(metric: ObjectValue, state: Any, p: Any) -> None:
    """A state is not spread over another shape, and what is counted by classes takes [b, classes]."""
    with pytest.raises(UsageError) as refusal:
        update(metric, state, np.round(p), p)
    assert refusal.value.code == "core-evaluate"


@pytest.mark.clause("CT-5@78f4b5")
def test_states_begin_as_zeros_of_their_shapes() -> None:
    """A scalar, a number for each threshold, class, or pair of classes."""
    assert {key: item.shape for key, item in fresh_state(of("metrics", "mean")).items()} == {"total": (), "count": ()}
    assert fresh_state(of("metrics", "precision", thresholds=[0.2, 0.4]))["true_positives"].shape == (2,)
    assert fresh_state(of("metrics", "auc", multi_label=True), 3)["true_positives"].shape == (200, 3)
    assert fresh_state(of("metrics", "auc", thresholds=[0.5]))["true_positives"].shape == (3,)
    assert fresh_state(of("metrics", "mean_iou", num_classes=4))["total_confusion_matrix"].shape == (4, 4)
    assert fresh_state(of("metrics", "mean_iou", num_classes=4))["total_confusion_matrix"].dtype == np.int32
    assert fresh_state(of("metrics", "f1_score", average="micro"), 3)["true_positives"].shape == ()
    assert fresh_state(of("metrics", "r2_score"), 3)["sum"].shape == (3,)
    assert fresh_state(of("metrics", "sum", dtype="bfloat16"))["total"].dtype == ml_dtypes.bfloat16


@pytest.mark.clause("CT-8@2ed718")
@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)), min_size=1, max_size=20))
def test_batches_add_up(samples: list[tuple[bool, float]]) -> None:
    """Counts of hits do not depend on how samples are put into batches."""
    y, p = (np.array(column, float) for column in zip(*samples, strict=True))
    for metric in (
        of("metrics", "auc", num_thresholds=11),
        of("metrics", "precision"),
        of("metrics", "mean_squared_error"),
    ):
        whole = update(metric, {}, y[:, None], p[:, None])
        parts: dict[str, Any] = {}
        for at in range(len(y)):
            parts = update(metric, parts, y[at : at + 1, None], p[at : at + 1, None])
        for key, item in whole.items():
            np.testing.assert_allclose(parts[key], item, rtol=1e-5)


@pytest.mark.clause("CT-9@74641d")
def test_a_constant_schedule_is_constant() -> None:
    """At any clock, one or many."""
    schedule = of("schedules", "constant", value=0.3)
    assert rate(schedule, 7) == 0.3
    np.testing.assert_array_equal(rate(schedule, np.arange(3)), [0.3] * 3)


@pytest.mark.clause("CT-9@74641d")
@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.floats(1.1, 4.0), st.integers(1, 50), st.integers(0, 12))
def test_a_restart_begins_its_round(longer: float, first: int, number: int) -> None:
    """At the clock where a round begins the rate is back at its height, whatever the logarithm rounds to."""
    clock = math.ceil(first * (longer**number - 1) / (longer - 1) - 1e-9)
    config = {"initial_learning_rate": 1.0, "first_decay_steps": float(first), "t_mul": longer}
    found = rate(of("schedules", "cosine_decay_restarts", **config), clock)
    share = (clock - first * (longer**number - 1) / (longer - 1)) / (first * longer**number)
    assert 0 <= found <= 1
    assert found == pytest.approx(0.5 * (1 + math.cos(math.pi * share)), abs=1e-6) or share < 1e-9


@pytest.mark.library
@pytest.mark.frameworks
def test_schedules_can_be_traced_by_jax() -> None:
    """The same code gives the rate inside of a compiled function."""
    jax = pytest.importorskip("jax")
    schedule = of("schedules", "cosine_decay_restarts", initial_learning_rate=0.1, first_decay_steps=8.0)
    traced = jax.jit(lambda clock: rate(schedule, clock, jax.numpy))
    for clock in (0, 5, 8, 30):
        assert float(traced(clock)) == pytest.approx(float(rate(schedule, clock)), rel=1e-5)


DRAWN = [
    ("random_normal", {"mean": 1.0, "stddev": 0.5}, 1.0, 0.5),
    ("truncated_normal", {"mean": 1.0, "stddev": 0.5}, 1.0, 0.5 * 0.8796256610342398),
    ("random_uniform", {"minval": -1.0, "maxval": 3.0}, 1.0, 4 / math.sqrt(12)),
    ("glorot_uniform", {}, 0.0, math.sqrt(2 / 500)),
    ("glorot_normal", {}, 0.0, math.sqrt(2 / 500)),
    ("he_uniform", {}, 0.0, math.sqrt(2 / 300)),
    ("he_normal", {}, 0.0, math.sqrt(2 / 300)),
    ("lecun_uniform", {}, 0.0, math.sqrt(1 / 300)),
    ("lecun_normal", {}, 0.0, math.sqrt(1 / 300)),
    ("variance_scaling", {"mode": "fan_out", "scale": 3.0}, 0.0, math.sqrt(3 / 200)),
    ("variance_scaling", {"distribution": "untruncated_normal"}, 0.0, math.sqrt(1 / 300)),
]


@pytest.mark.clause("CV-80@98adce")
@pytest.mark.parametrize(("name", "config", "mean", "deviation"), DRAWN)
def test_what_is_drawn_has_the_mean_and_deviation_of_its_distribution(
    name: str, config: dict[str, Any], mean: float, deviation: float
) -> None:
    """Sixty thousand numbers, of the dtype that was asked for."""
    drawn = draw(of("initializers", name, **config), (300, 200), rng=np.random.default_rng(3))
    assert drawn.dtype == np.float32
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * deviation / math.sqrt(drawn.size))
    assert float(drawn.std()) == pytest.approx(deviation, rel=0.02)
    if "truncated" in name:
        assert float(np.abs(drawn - 1.0).max()) <= 1.0


@pytest.mark.clause("CV-80@98adce")
def test_initializers_that_are_not_random() -> None:
    """Zeros, ones, a constant, a diagonal, and a matrix at right angles."""
    np.testing.assert_array_equal(draw(of("initializers", "zeros"), (2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(draw(of("initializers", "ones"), (2,)), np.ones(2))
    np.testing.assert_array_equal(draw(of("initializers", "constant", value=[1.0, 2.0]), (3, 2)), [[1.0, 2.0]] * 3)
    np.testing.assert_array_equal(draw(of("initializers", "identity", gain=2.0), (2, 3)), 2 * np.eye(2, 3))
    for shape in ((5, 3), (2, 3, 4), (2, 7)):
        drawn = draw(of("initializers", "orthogonal", gain=2.0, seed=1), shape, np.float64).reshape(-1, shape[-1])
        square = drawn @ drawn.T if len(drawn) < shape[-1] else drawn.T @ drawn
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-12)
    again = draw(of("initializers", "he_normal", seed=3), (4, 4))
    np.testing.assert_array_equal(again, draw(of("initializers", "he_normal", seed=3), (4, 4)))


@pytest.mark.clause("CV-81@a14b7b")
@pytest.mark.parametrize(
    ("shape", "wanted"), [((), (1, 1)), ((7,), (7, 7)), ((3, 4), (3, 4)), ((2, 5, 3, 4), (30, 40))]
)
def test_fans_of_shapes(shape: tuple[int, ...], wanted: tuple[int, int]) -> None:
    """Inputs and outputs times the receptive field, or along the axes that are named."""
    assert fans(shape) == wanted
    assert fans((2, 3, 4), [0], [1, 2]) == (2, 12)
