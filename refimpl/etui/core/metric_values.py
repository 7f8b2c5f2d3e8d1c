"""What the metrics that are a mean take the mean of, for each sample (SPEC.md, annex K.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core import losses
from etui.core.loss_values import EPSILON, Axis, cosine
from etui.core.losses import auto_kind, same_rank

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
_COMMON = ("name", "dtype")
# Metrics whose value is that of a loss, under the loss's name.
_LOSSES = {"log_cosh_error": "log_cosh"} | {
    name: name
    for name in (
        "mean_squared_error",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "kl_divergence",
        "poisson",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "auto_crossentropy",
        "binary_focal_crossentropy",
        "categorical_focal_crossentropy",
    )
}


def values(name: str, attrs: Mapping[str, Any], y_true: Array, y_pred: Array) -> tuple[Array, Array | None]:
    """The value of each sample, and which of them the metric itself leaves out when it weighs them.

    Args:
        name: of the metric.
        attrs: its parameters.
        y_true: the targets.
        y_pred: the predictions.
    """
    own = {key: item for key, item in attrs.items() if key not in _COMMON}
    if name in ("mean", "sum"):
        # What is narrower than float32 is computed in it.
        return y_true.astype(np.float64 if attrs["dtype"] == "float64" else np.float32), None
    if name in _LOSSES:
        return losses.values(ObjectValue(f"core:losses.{_LOSSES[name]}", own), y_true, y_pred)
    if name == "auto_accuracy":
        name = f"{auto_kind(y_true, y_pred)}_accuracy"
        own = {"threshold": 0.5} if name == "binary_accuracy" else {}
        y_true, y_pred = same_rank(y_true, y_pred)
    return _VALUES[name](y_true, y_pred, **own).astype(y_pred.dtype), None


def accuracy(y: Array, p: Array) -> Array:
    """Whether target and prediction are equal."""
    y, p = same_rank(y.astype(p.dtype), p)
    return y == p


def binary_accuracy(y: Array, p: Array, threshold: float) -> Array:
    """Whether a prediction is on the side of the threshold that the label 0 or 1 names."""
    y, p = same_rank(y, p)
    return y == (p > threshold)


def categorical_accuracy(y: Array, p: Array) -> Array:
    """Whether the largest prediction is that of the largest target."""
    return np.argmax(y, axis=-1) == np.argmax(p, axis=-1)


def sparse_categorical_accuracy(y: Array, p: Array) -> Array:
    """Whether the largest prediction is that of the class that the target names."""
    if y.ndim == p.ndim and y.shape[-1] == 1:
        y = y[..., 0]
    return y == np.argmax(p, axis=-1)


def top_k(y: Array, p: Array, k: int) -> Array:
    """Whether fewer than `k` predictions are larger than that of the largest target."""
    return sparse_top_k(np.argmax(y, axis=-1), p, k)


def sparse_top_k(y: Array, p: Array, k: int, from_sorted_ids: bool = False) -> Array:
    """Whether fewer than `k` predictions are larger than that of the class that the target names.

    Args:
        y: classes.
        p: predictions, or the classes themselves, the likeliest first.
        k: how many count.
        from_sorted_ids: whether the predictions are classes.
    """
    if y.ndim == p.ndim:
        y = y[..., 0]
    if from_sorted_ids:
        return np.any(y[..., np.newaxis] == p[..., :k], axis=-1)
    own = np.take_along_axis(p, y.astype(np.int64)[..., np.newaxis], axis=-1)
    return np.sum(p > own, axis=-1) < k


def squared_errors(y: Array, p: Array) -> Array:
    """(y - p)^2 of each number."""
    y, p = same_rank(y.astype(p.dtype), p)
    return np.square(p - y)


def cosine_similarity(y: Array, p: Array, axis: Axis) -> Array:
    """The cosine of the angle between target and prediction."""
    y, p = same_rank(y.astype(p.dtype), p)
    return cosine(y, p, axis)


def pearson(y: Array, p: Array, axis: Axis) -> Array:
    """Pearson's correlation of target and prediction along an axis."""
    y, p, over = *same_rank(y.astype(p.dtype), p), _axes(axis)
    y, p = y - np.mean(y, axis=over, keepdims=True), p - np.mean(p, axis=over, keepdims=True)
    y, p = y / np.std(y, axis=over, keepdims=True), p / np.std(p, axis=over, keepdims=True)
    return np.mean(y * p, axis=over)


def concordance(y: Array, p: Array, axis: Axis) -> Array:
    """Lin's concordance correlation along an axis; as in Keras, both deviations are from the predictions' mean."""
    y, p, over = *same_rank(y.astype(p.dtype), p), _axes(axis)
    mean_y, mean_p = np.mean(y, axis=over, keepdims=True), np.mean(p, axis=over, keepdims=True)
    spread = np.var(y, axis=over, keepdims=True) + np.var(p, axis=over, keepdims=True) + np.square(mean_y - mean_p)
    return np.mean(2 * (y - mean_p) * (p - mean_p) / (spread + EPSILON), axis=over)


def _axes(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


_VALUES: dict[str, Callable[..., Array]] = {
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
    "top_k_categorical_accuracy": top_k,
    "sparse_top_k_categorical_accuracy": sparse_top_k,
    "root_mean_squared_error": squared_errors,
    "cosine_similarity": cosine_similarity,
    "pearson_correlation": pearson,
    "concordance_correlation": concordance,
}
