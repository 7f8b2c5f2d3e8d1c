"""Metrics: their state, how a batch changes it, and the result (SPEC.md, annex K.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from etui import dtypes
from etui.canonical.values import ObjectValue
from etui.core import confusion, metric_values
from etui.core.attribute_types import FLOAT_DTYPES
from etui.core.losses import divided, masked_weight, same_rank
from etui.core.parameters import parameters
from etui.core.vocabulary import document
from etui.errors import error

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
State = dict[str, Array]
_F_SCORES = ("f1_score", "fbeta_score")
_BY_CLASS = (*_F_SCORES, "r2_score")
_EPSILON = 1e-7
_MOST_ELEMENTS = 1 << 27


def fresh_state(metric: ObjectValue, classes: int | None = None) -> State:
    """The state of a metric before its first batch: zeros.

    Args:
        metric: of a class ``core:metrics.*``.
        classes: size of the last axis of the predictions, for the metrics whose state has that size.

    Raises:
        InvalidError: ``core-object``.
        UsageError: ``core-evaluate``, sizes that nobody has.
    """
    name, attrs = parameters(metric, "metrics")
    dtype = _dtype_of(name, attrs)
    return {key: np.zeros(shape, dtype) for key, shape in _shapes(name, attrs, classes).items()}


def _shapes(name: str, attrs: Mapping[str, Any], classes: int | None) -> dict[str, list[int]]:
    """The shapes of a state (CT-5); arguments as those of `fresh_state`, which raises the same."""
    sizes = {"thresholds": len(confusion.thresholds_of(name, attrs)), "classes": classes}
    sizes["num_classes"] = attrs.get("num_classes", 2)
    if attrs.get("average") == "micro":
        sizes["classes"] = None
    sizes["labels"] = (attrs["num_labels"] or classes) if attrs.get("multi_label") else None
    listed: dict[str, list[str]] = document()["metrics"][name]["state"]
    shapes = {key: [sizes[axis] or 0 for axis in axes if sizes[axis] is not None] for key, axes in listed.items()}
    if any(math.prod(shape) > _MOST_ELEMENTS for shape in shapes.values()):
        raise error("core-evaluate", found=f"a state of {shapes}", hint=f"Take {_MOST_ELEMENTS} elements at most.")
    return shapes


def _dtype_of(name: str, attrs: Mapping[str, Any]) -> Any:
    """The dtype of a state, of which NumPy does not know bfloat16."""
    return dtypes.by_name(attrs["dtype"], f"the dtype of {name}").numpy


def update(
    metric: ObjectValue,
    state: Mapping[str, Array],
    y_true: Array,
    y_pred: Array | None = None,
    *,
    sample_weight: Array | None = None,
    mask: Array | None = None,
) -> State:
    """The state after one more batch.

    Args:
        metric: of a class ``core:metrics.*``.
        state: before the batch, of any dtype; empty for that of `fresh_state`.
        y_true: the targets; for `mean` and `sum` the values.
        y_pred: the predictions.
        sample_weight: a weight for each sample, or for each value.
        mask: of the predictions, for the metrics that are a mean.

    Returns:
        The state in the dtype of the metric.

    Raises:
        InvalidError: ``core-object``.
        UsageError: ``core-evaluate``, a state that is none of this metric's, or targets and predictions that it does
            not take.
    """
    name, attrs = parameters(metric, "metrics")
    y_true = np.asarray(y_true)
    y_pred = y_true if y_pred is None else np.asarray(y_pred)
    if name in _BY_CLASS and y_pred.ndim != 2:
        raise error("core-evaluate", where=metric.class_name, found=f"predictions of the shape {list(y_pred.shape)}")
    classes = same_rank(y_true, y_pred)[1].shape[-1] if y_pred.ndim else 1
    shapes = _shapes(name, attrs, classes)
    if state and {key: list(np.shape(value)) for key, value in state.items()} != shapes:
        raise error("core-evaluate", where=metric.class_name, found=f"a state that is not of the shapes {shapes}")
    weight = None if sample_weight is None else np.asarray(sample_weight)
    if "accumulator" in shapes or ("true_positives" in shapes and name not in _F_SCORES):
        added = confusion.counts(name, attrs, y_true, y_pred, weight)
    elif "total_confusion_matrix" in shapes:
        added = confusion.matrix(name, attrs, y_true, y_pred, weight)
    elif name in _F_SCORES:
        added = confusion.by_class(attrs, y_true, y_pred, weight)
    elif name == "r2_score":
        added = _squares(y_true, y_pred, weight)
    else:
        added = _totals(name, attrs, y_true, y_pred, weight=weight, mask=mask)
    if any(list(np.shape(added[key])) != shape for key, shape in shapes.items()):
        raise error("core-evaluate", where=metric.class_name, found=f"a batch that adds to other shapes than {shapes}")
    before = state or fresh_state(metric, classes)
    return {key: np.asarray(before[key] + added[key]).astype(_dtype_of(name, attrs)) for key in shapes}


def result(metric: ObjectValue, state: Mapping[str, Array]) -> Array:
    """What a metric says of all batches so far.

    Args:
        metric: of a class ``core:metrics.*``.
        state: as `update` gives it.

    Returns:
        A scalar, or an element for each threshold or class; of a state that is narrower than float32 in float32.

    Raises:
        InvalidError: ``core-object``.
    """
    name, attrs = parameters(metric, "metrics")
    if _dtype_of(name, attrs).itemsize < 4 and attrs["dtype"] in FLOAT_DTYPES:
        state = {key: np.asarray(value).astype(np.float32) for key, value in state.items()}
    return np.asarray(_result(name, attrs, state))


def _result(name: str, attrs: Mapping[str, Any], state: Mapping[str, Array]) -> Array:
    if name == "sum":
        return state["total"]
    if name == "root_mean_squared_error":
        return np.sqrt(divided(state["total"], state["count"]))
    if "total" in state:
        return divided(state["total"], state["count"])
    if name == "r2_score":
        return _determination(attrs, state)
    if name in _F_SCORES:
        return _f_score(attrs, state)
    return confusion.result(name, attrs, state)


def _totals(
    name: str, attrs: Mapping[str, Any], y_true: Array, y_pred: Array, *, weight: Array | None, mask: Array | None
) -> State:
    """What a batch adds to a mean or a sum: the sum of its samples' values, and of their weights."""
    values, own = metric_values.values(name, attrs, y_true, y_pred)
    weight = masked_weight(weight, mask, values.dtype, mean=False)
    if weight is not None:
        weight = masked_weight(weight, own, values.dtype, mean=False)
    samples, weight = _samples(values, weight, np.sum if name == "sum" else np.mean)
    whole = samples.shape[0] if samples.ndim else 1
    return {"total": np.sum(samples), "count": np.asarray(whole) if weight is None else np.sum(weight)}


def _samples(values: Array, weight: Array | None, reduce: Any) -> tuple[Array, Array | None]:
    """A value for each sample, weighted, and the weight of each."""
    if weight is not None:
        values, weight = same_rank(values, weight)
        if values.ndim > weight.ndim:
            values = reduce(values, axis=tuple(range(weight.ndim, values.ndim)))
        weight = np.broadcast_to(weight, values.shape)
        values = values * weight
        if weight.ndim > 1:
            weight = reduce(weight, axis=tuple(range(1, weight.ndim)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weight


def _squares(y_true: Array, y_pred: Array, weight: Array | None) -> State:
    """What a batch adds to the sums of r2_score."""
    y_true, y_pred = same_rank(y_true.astype(y_pred.dtype), y_pred)
    weight = np.ones((), y_pred.dtype) if weight is None else weight.astype(y_pred.dtype)
    weight = np.broadcast_to(weight[:, np.newaxis] if weight.ndim == 1 else weight, y_true.shape)
    return {
        "num_samples": np.asarray(y_true.size),
        "squared_sum": np.sum(y_true * y_true * weight, axis=0),
        "sum": np.sum(y_true * weight, axis=0),
        "residual": np.sum(np.square(y_true - y_pred) * weight, axis=0),
        "count": np.sum(weight, axis=0),
    }


def _determination(attrs: Mapping[str, Any], state: Mapping[str, Array]) -> Array:
    """R^2 by class, and of all classes; adjusted by the number of regressors where that is possible."""
    total = state["squared_sum"] - state["sum"] * divided(state["sum"], state["count"])
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = 1 - state["residual"] / total
    scores = np.where(np.isinf(scores), np.zeros_like(scores), scores)
    if attrs["class_aggregation"] == "uniform_average":
        scores = np.mean(scores)
    elif attrs["class_aggregation"] == "variance_weighted_average":
        scores = divided(np.sum(total * scores), np.sum(total))
    count, regressors = state["num_samples"], attrs["num_regressors"]
    if regressors and regressors < count - 1:
        scores = 1 - (1 - scores) * (count - 1) / (count - regressors - 1)
    return scores


def _f_score(attrs: Mapping[str, Any], state: Mapping[str, Array]) -> Array:
    """F-beta by class, or its mean over classes, weighted or not; `micro` counts all classes together."""
    hits, weights = state["true_positives"], state["intermediate_weights"]
    precision = hits / (hits + state["false_positives"] + _EPSILON)
    recall = hits / (hits + state["false_negatives"] + _EPSILON)
    square = attrs.get("beta", 1.0) ** 2
    scores = (1 + square) * precision * recall / (square * precision + recall + _EPSILON)
    if attrs["average"] == "weighted":
        return np.sum(scores * weights / (np.sum(weights) + _EPSILON))
    return scores if attrs["average"] is None else np.mean(scores)
