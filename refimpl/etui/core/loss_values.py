"""What each loss gives for each sample, over the last axis unless it says otherwise (SPEC.md, annex K.1).

Targets and predictions are arrays of one float dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
Axis = int | list[int] | None
EPSILON = 1e-7  # keeps logarithms and quotients finite


def _axes(axis: Axis) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def mean_squared_error(y: Array, p: Array) -> Array:
    """Mean of (y - p)^2."""
    return np.mean(np.square(y - p), axis=-1)


def mean_absolute_error(y: Array, p: Array) -> Array:
    """Mean of |y - p|."""
    return np.mean(np.abs(y - p), axis=-1)


def mean_absolute_percentage_error(y: Array, p: Array) -> Array:
    """100 mean |y - p| / max(|y|, epsilon)."""
    return 100 * np.mean(np.abs(y - p) / np.maximum(np.abs(y), EPSILON), axis=-1)


def mean_squared_logarithmic_error(y: Array, p: Array) -> Array:
    """Mean of (log(1 + max(y, epsilon)) - log(1 + max(p, epsilon)))^2."""
    return np.asarray(
        np.mean(np.square(np.log(np.maximum(p, EPSILON) + 1) - np.log(np.maximum(y, EPSILON) + 1)), axis=-1)
    )


def cosine(y: Array, p: Array, axis: Axis = -1) -> Array:
    """The cosine of the angle between both; 0 where one is zero."""
    return np.sum(_unit(y, axis) * _unit(p, axis), axis=_axes(axis))


def _unit(x: Array, axis: Axis) -> Array:
    return x / np.sqrt(np.maximum(np.sum(np.square(x), axis=_axes(axis), keepdims=True), 1e-12))


def huber(y: Array, p: Array, delta: float = 1.0) -> Array:
    """Mean of e^2 / 2 up to |e| = delta and delta |e| - delta^2 / 2 beyond."""
    size = np.abs(p - y)
    return np.mean(np.where(size <= delta, 0.5 * np.square(size), delta * size - 0.5 * delta**2), axis=-1)


def log_cosh(y: Array, p: Array) -> Array:
    """Mean of log(cosh(p - y))."""
    error = p - y
    return np.mean(error + _softplus(-2 * error) - np.log(2.0).astype(p.dtype), axis=-1)


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.zeros((), x.dtype))


def _signs(y: Array) -> Array:
    """Labels of 0 and 1 as -1 and 1, if there are no others in the batch."""
    return 2 * y - 1 if bool(np.all((y == 0) | (y == 1))) else y


def hinge(y: Array, p: Array) -> Array:
    """Mean of max(1 - y p, 0), for labels -1 and 1, or 0 and 1."""
    return np.mean(np.maximum(1 - _signs(y) * p, 0), axis=-1)


def squared_hinge(y: Array, p: Array) -> Array:
    """Mean of max(1 - y p, 0)^2, for labels -1 and 1, or 0 and 1."""
    return np.mean(np.square(np.maximum(1 - _signs(y) * p, 0)), axis=-1)


def categorical_hinge(y: Array, p: Array) -> Array:
    """max(1 + max((1 - y) p) - sum(y p), 0)."""
    return np.maximum(1 + np.max((1 - y) * p, axis=-1) - np.sum(y * p, axis=-1), 0)


def kl_divergence(y: Array, p: Array) -> Array:
    """Sum of y log(y / p), both clipped to [epsilon, 1]."""
    y, p = np.clip(y, EPSILON, 1), np.clip(p, EPSILON, 1)
    return np.sum(y * np.log(y / p), axis=-1)


def poisson(y: Array, p: Array) -> Array:
    """Mean of p - y log(p + epsilon)."""
    return np.mean(p - y * np.log(p + EPSILON), axis=-1)


def _smoothed(y: Array, smoothing: float, classes: int) -> Array:
    return y * (1 - smoothing) + smoothing / classes if smoothing else y


def _binary(y: Array, p: Array, *, from_logits: bool) -> Array:
    if from_logits:
        return y * _softplus(-p) + (1 - y) * _softplus(p)
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def binary_crossentropy(
    y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1
) -> Array:
    """Mean of -(y log p + (1 - y) log(1 - p)); probabilities are clipped to [epsilon, 1 - epsilon]."""
    return np.mean(_binary(_smoothed(y, label_smoothing, 2), p, from_logits=from_logits), axis=_axes(axis))


def binary_focal_crossentropy(
    y: Array,
    p: Array,
    *,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: Axis = -1,
) -> Array:
    """Binary crossentropy times (1 - probability of the label)^gamma, and times alpha or 1 - alpha by class."""
    y = _smoothed(y, label_smoothing, 2)
    p = 1 / (1 + np.exp(-p)) if from_logits else p
    right = y * p + (1 - y) * (1 - p)
    value = np.power(1 - right, gamma) * _binary(y, p, from_logits=False)
    if apply_class_balancing:
        value = (y * alpha + (1 - y) * (1 - alpha)) * value
    return np.mean(value, axis=_axes(axis))


def _log_softmax(p: Array, axis: int) -> Array:
    p = p - np.max(p, axis=axis, keepdims=True)
    return p - np.log(np.sum(np.exp(p), axis=axis, keepdims=True))


def _probabilities(p: Array, axis: int) -> Array:
    """Scaled to the sum 1 and clipped to [epsilon, 1 - epsilon]."""
    return np.clip(p / np.sum(p, axis=axis, keepdims=True), EPSILON, 1 - EPSILON)


def categorical_crossentropy(
    y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """-sum y log p over the classes."""
    y = _smoothed(y, label_smoothing, y.shape[-1])
    logs = _log_softmax(p, axis) if from_logits else np.log(_probabilities(p, axis))
    return -np.sum(y * logs, axis=axis)


def categorical_focal_crossentropy(
    y: Array,
    p: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """-alpha sum (1 - p)^gamma y log p over the classes."""
    y = _smoothed(y, label_smoothing, y.shape[-1])
    p = _probabilities(np.exp(_log_softmax(p, axis)) if from_logits else p, axis)
    return -alpha * np.sum(np.power(1 - p, gamma) * y * np.log(p), axis=axis)


def sparse_categorical_crossentropy(
    y: Array, p: Array, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Array:
    """-log p of the class that the target names; 0 for the class to ignore."""
    if y.ndim == p.ndim:
        y = np.squeeze(y, axis=axis)
    counts = np.ones(y.shape, bool) if ignore_class is None else y != ignore_class
    classes = np.where(counts, y, 0).astype(np.int64)
    logs = _log_softmax(p, axis) if from_logits else np.log(_probabilities(p, axis))
    chosen = np.take_along_axis(logs, np.expand_dims(classes, axis), axis=axis)
    return np.where(counts, -np.squeeze(chosen, axis=axis), np.zeros((), p.dtype))


def generalized_crossentropy(y: Array, p: Array, q: float = 0.5) -> Array:
    """(1 - p^q) / q of the probability of the class that the target names."""
    if y.ndim == p.ndim:
        y = y[..., 0]
    chosen = np.take_along_axis(p, y.astype(np.int64)[..., np.newaxis], axis=-1)[..., 0]
    return (1 - np.power(chosen, q)) / q


def dice(y: Array, p: Array, axis: Axis = None) -> Array:
    """1 - 2 sum(y p) / (sum y + sum p + epsilon)."""
    over = _axes(axis)
    return 1 - 2 * np.sum(y * p, axis=over) / (np.sum(y, axis=over) + np.sum(p, axis=over) + EPSILON)


def tversky(y: Array, p: Array, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Array:
    """1 - s / (s + alpha sum(y (1 - p)) + beta sum(p (1 - y)) + epsilon), where s = sum(y p)."""
    over = _axes(axis)
    both = np.sum(y * p, axis=over)
    only = alpha * np.sum(y * (1 - p), axis=over) + beta * np.sum(p * (1 - y), axis=over)
    return 1 - both / (both + only + EPSILON)


def circle(y: Array, p: Array, gamma: float = 80.0, margin: float = 0.4, remove_diagonal: bool = True) -> Array:
    """The circle loss of each sample against all of the batch, whose embeddings have length 1.

    With the distances d = max(1 - p p', 0): softplus(logsumexp over others of the class of -gamma max(d + m, 0) (m - d)
    + logsumexp over other classes of gamma max(1 + m - d, 0) (1 - m - d)).
    """
    labels = y.reshape(-1).astype(np.int64)
    distance = np.maximum(1 - p @ p.T, 0)
    alike = labels[:, np.newaxis] == labels
    unlike = ~alike
    if remove_diagonal:
        alike = alike & ~np.eye(len(labels), dtype=bool)
    near = -gamma * np.maximum(margin + distance, 0) * (margin - distance)
    far = gamma * np.maximum(1 + margin - distance, 0) * (1 - margin - distance)
    return _softplus(_log_sum(near, alike) + _log_sum(far, unlike))


def _log_sum(x: Array, where: Array) -> Array:
    """Logarithm of the sum of exp(x) over where it counts; minus infinity where nothing does."""
    return np.logaddexp.reduce(np.where(where, x, -np.inf), axis=1)


def ctc(y: Array, p: Array) -> Array:
    """Connectionist temporal classification: class 0 is the blank, and the first 0 ends the labels of a sample.

    Args:
        y: labels, [batch, length].
        p: logits, [batch, time, classes].
    """
    logs = _log_softmax(p, -1)
    kept = np.logical_and.accumulate(y != 0, axis=-1)
    return np.stack([_ctc_of(y[at][kept[at]].astype(np.int64), logs[at]) for at in range(len(y))])


def _ctc_of(labels: Array, logs: Array) -> Array:
    """-log of the sum over all ways to spread the labels, with blanks around each, over the time steps."""
    states = np.zeros(2 * len(labels) + 1, np.int64)
    states[1::2] = labels
    # From two states before only where that jumps over a blank between different labels.
    jumps = np.zeros(len(states), bool)
    jumps[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    with np.errstate(divide="ignore"):
        ways = np.where(np.arange(len(states)) < 2, logs[0, states], -np.inf)
        for step in logs[1:]:
            before = np.concatenate([[-np.inf], ways[:-1]])
            over = np.where(jumps, np.concatenate([[-np.inf, -np.inf], ways])[: len(ways)], -np.inf)
            ways = np.logaddexp(np.logaddexp(ways, before), over) + step[states]
        return np.asarray(-np.logaddexp.reduce(ways[-2:])).astype(logs.dtype)
