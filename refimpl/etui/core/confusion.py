"""Metrics of counted hits and misses: by thresholds, by classes, and as a matrix of classes (SPEC.md, annex K.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.core.losses import divided, same_rank, spread
from etui.errors import error

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
Attrs = Mapping[str, Any]
_EPSILON = 1e-7
_MOST_THRESHOLDS = 1 << 20
# The prediction of a class that is not among the top k, and the threshold that the others pass.
_LOWEST = -1e10
_ENDS = {"sensitivity_at_specificity", "specificity_at_sensitivity", "precision_at_recall", "recall_at_precision"}


def thresholds_of(name: str, attrs: Attrs) -> list[float]:
    """The thresholds of a metric of hits; of others one, which nothing reads."""
    if name == "auc":
        inner = attrs["thresholds"]
        inner = _even(attrs["num_thresholds"])[1:-1] if inner is None else sorted(inner)
        return [-_EPSILON, *inner, 1 + _EPSILON]
    if name in _ENDS:
        return [0.5] if attrs["num_thresholds"] == 1 else _even(attrs["num_thresholds"])
    given = attrs.get("thresholds")
    if given is None:
        return [_LOWEST if attrs.get("top_k") is not None else 0.5]
    return list(given) if isinstance(given, list) else [given]


def _even(count: int) -> list[float]:
    """Numbers from 0 to 1 with even steps.

    Raises:
        UsageError: ``core-evaluate``, more than a computation takes: the number is one of a document.
    """
    if count > _MOST_THRESHOLDS:
        raise error("core-evaluate", found=f"{count} thresholds", hint=f"Take {_MOST_THRESHOLDS} at most.")
    return [index / (count - 1) for index in range(count)]


def _are_even(thresholds: list[float]) -> bool:
    """Whether thresholds divide 0 to 1 evenly; then predictions count as lying between 0 and 1."""
    return len(thresholds) > 2 and bool(np.allclose(thresholds, _even(len(thresholds)), atol=_EPSILON))


def counts(name: str, attrs: Attrs, y_true: Array, y_pred: Array, weight: Array | None) -> dict[str, Array]:
    """What a batch adds to the counts at each threshold; a prediction above the threshold says yes.

    Args:
        name: of the metric.
        attrs: its parameters.
        y_true: the targets; what is not 0 means yes.
        y_pred: the predictions.
        weight: of each sample.
    """
    if attrs.get("from_logits"):
        y_pred = 1 / (1 + np.exp(-y_pred))
    y_pred, y_true = same_rank(y_pred, y_true.astype(y_pred.dtype))
    weights = np.ones(y_pred.shape, y_pred.dtype)
    if weight is not None:
        weights = spread(weight.astype(y_pred.dtype), y_pred)
    if attrs.get("top_k") is not None:
        y_pred = _only_top(y_pred, attrs["top_k"])
    if attrs.get("class_id") is not None:
        one = [attrs["class_id"]]
        y_true, y_pred, weights = y_true[..., one], y_pred[..., one], weights[..., one]
    labelled = attrs.get("multi_label", False)
    if attrs.get("label_weights") is not None and not labelled:
        weights = weights * np.asarray(attrs["label_weights"], y_pred.dtype)
    thresholds = thresholds_of(name, attrs)
    if _are_even(thresholds):
        y_pred = np.clip(y_pred, 0, 1)
    columns = (-1, y_pred.shape[-1]) if labelled else (-1,)
    yes, said, weights = (y_true != 0).reshape(columns), y_pred.reshape(columns), weights.reshape(columns)
    positive = np.stack([said > threshold for threshold in thresholds])
    found = {
        "true_positives": np.sum(np.where(yes & positive, weights, 0), axis=1),
        "false_positives": np.sum(np.where(~yes & positive, weights, 0), axis=1),
        "true_negatives": np.sum(np.where(~yes & ~positive, weights, 0), axis=1),
        "false_negatives": np.sum(np.where(yes & ~positive, weights, 0), axis=1),
    }
    return found | ({"accumulator": found[name]} if name in found else {})


def _only_top(p: Array, k: int) -> Array:
    """Predictions with all but the `k` largest of the last axis far below the rest; of equal ones the first count."""
    order = np.argsort(-p, axis=-1, kind="stable")[..., :k]
    top = np.zeros(p.shape, bool)
    np.put_along_axis(top, order, True, axis=-1)
    return np.where(top, p, _LOWEST)


def by_class(attrs: Attrs, y_true: Array, y_pred: Array, weight: Array | None) -> dict[str, Array]:
    """What a batch adds to the hits of each class; without a threshold the largest prediction says yes."""
    limit = attrs["threshold"]
    if limit is None:
        said = (y_pred >= np.max(y_pred, axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
    else:
        said = y_pred > limit
    yes, p = y_true.astype(y_pred.dtype), said.astype(y_pred.dtype)
    weights = np.ones(p.shape, p.dtype) if weight is None else spread(weight.astype(p.dtype), p)
    axis = None if attrs["average"] == "micro" else 0

    def total(values: Array) -> Array:
        return np.sum(values * weights, axis=axis)

    return {
        "true_positives": total(p * yes),
        "false_positives": total(p * (1 - yes)),
        "false_negatives": total((1 - p) * yes),
        "intermediate_weights": total(yes),
    }


def matrix(name: str, attrs: Attrs, y_true: Array, y_pred: Array, weight: Array | None) -> dict[str, Array]:
    """What a batch adds to the matrix of classes, a row for each true one.

    Raises:
        UsageError: ``core-evaluate``, a class that the matrix does not have.
    """
    # Weights of a matrix of integers have no fractions; the others are summed in float64 whatever the state's dtype.
    dtype = attrs["dtype"] if "int" in attrs["dtype"] else "float64"
    if name == "binary_iou":
        y_pred = y_pred >= attrs["threshold"]
    if not attrs.get("sparse_y_true", not name.startswith("one_hot")) and name != "binary_iou":
        y_true = np.argmax(y_true, axis=attrs["axis"])
    if not attrs.get("sparse_y_pred", True):
        y_pred = np.argmax(y_pred, axis=attrs["axis"])
    true, said = (np.trunc(classes.astype(np.float64)).reshape(-1) for classes in (y_true, y_pred))
    weights = np.ones((), dtype) if weight is None else weight.astype(dtype).reshape(-1)
    weights = np.broadcast_to(weights, true.shape)
    count = attrs.get("num_classes", 2)
    kept = np.ones(true.shape, bool)
    if attrs.get("ignore_class") is not None:
        kept &= true != attrs["ignore_class"]
    if not np.all((true[kept] >= 0) & (true[kept] < count) & (said[kept] >= 0) & (said[kept] < count)):
        raise error("core-evaluate", found=f"a class that is none of the {count}", hint="Name it as ignore_class.")
    found = np.zeros((count, count), dtype)
    np.add.at(found, (true[kept].astype(np.int64), said[kept].astype(np.int64)), weights[kept])
    return {"total_confusion_matrix": found}


def result(name: str, attrs: Attrs, state: Mapping[str, Array]) -> Array:
    """The result of a metric whose state these functions count."""
    if "total_confusion_matrix" in state:
        return _mean_iou(attrs, state["total_confusion_matrix"])
    if name == "auc":
        return _area(attrs, state)
    if "accumulator" in state:
        found = state["accumulator"]
    elif name == "precision":
        found = divided(state["true_positives"], state["true_positives"] + state["false_positives"])
    elif name == "recall":
        found = divided(state["true_positives"], state["true_positives"] + state["false_negatives"])
    else:
        return _best(name, attrs, state)
    return found[0] if len(found) == 1 else found


def _best(name: str, attrs: Attrs, state: Mapping[str, Array]) -> Array:
    """The best value of one rate over the thresholds where another is at least what is asked; 0 where there is none."""
    hits, misses = state["true_positives"], state["false_negatives"]
    rates = {
        "sensitivity": divided(hits, hits + misses),
        "specificity": divided(state["true_negatives"], state["true_negatives"] + state["false_positives"]),
        "precision": divided(hits, hits + state["false_positives"]),
    }
    rates["recall"] = rates["sensitivity"]
    wanted, _, given = name.partition("_at_")
    fits = rates[given] >= attrs[given]
    return np.max(np.where(fits, rates[wanted], 0), initial=0)


def _mean_iou(attrs: Attrs, counted: Array) -> Array:
    """The mean over classes of the part that is true and said of what is true or said, without classes of neither."""
    shared = np.diag(counted)
    whole = counted.sum(axis=0) + counted.sum(axis=1) - shared
    classes = attrs.get("target_class_ids", list(range(len(counted))))
    shared, whole = shared[classes].astype(np.float32), whole[classes].astype(np.float32)
    there = whole > 1e-9
    each = np.where(there, shared / (whole + np.float32(_EPSILON)), np.float32(0))
    return np.sum(each) / (np.sum(there, dtype=np.float32) + np.float32(_EPSILON))


def _area(attrs: Attrs, state: Mapping[str, Array]) -> Array:
    """The area under a curve whose points are the thresholds."""
    tp, fp, tn, fn = (state[f"{kind}_{what}"] for what in ("positives", "negatives") for kind in ("true", "false"))
    recall = divided(tp, tp + fn)
    if attrs["curve"] == "PR" and attrs["summation_method"] == "interpolation":
        return _labels(attrs, _interpolated(tp, fp, fn))
    if attrs["curve"] == "ROC":
        x, y = divided(fp, fp + tn), recall
    elif attrs["curve"] == "PR":
        x, y = recall, divided(tp, tp + fp)
    else:
        odds = divided(tp + fn, tn + fp)
        x = np.maximum(np.where(tp == 0, 0.0, 1 - odds * divided(fn, tp)), 0.0)
        y = np.where(tp == 0, 1.0, 1 - odds * divided(fp, tp))
    left, right = y[:-1], y[1:]
    heights = {
        "interpolation": (left + right) / 2,
        "minoring": np.minimum(left, right),
        "majoring": np.maximum(left, right),
    }[attrs["summation_method"]]
    return _labels(attrs, (x[:-1] - x[1:]) * heights)


def _interpolated(tp: Array, fp: Array, fn: Array) -> Array:
    """Parts of the area below precision by recall, between whose points hits grow evenly with what was said yes to."""
    said = tp + fp
    hits, more = tp[:-1] - tp[1:], said[:-1] - said[1:]
    slope = divided(hits, np.maximum(more, 0))
    intercept = tp[1:] - slope * said[1:]
    both = (said[:-1] > 0) & (said[1:] > 0)
    ratio = np.where(both, divided(said[:-1], np.maximum(said[1:], 0)), np.ones_like(slope))
    return divided(slope * (hits + intercept * np.log(ratio)), np.maximum(tp[1:] + fn[1:], 0))


def _labels(attrs: Attrs, parts: Array) -> Array:
    """The sum of the parts; with labels its mean over them, weighted where they have weights."""
    areas = np.sum(parts, axis=0)
    weights = attrs["label_weights"]
    if not attrs["multi_label"]:
        return areas
    return np.mean(areas) if weights is None else divided(np.sum(areas * np.asarray(weights)), np.sum(weights))
