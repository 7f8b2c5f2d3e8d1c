"""Losses: a value for each sample, and how the values become one number (SPEC.md, annex K.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core import loss_values as of
from etui.core.parameters import parameters

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
Attrs = Mapping[str, Any]

_LOSSES: dict[str, Callable[..., Array]] = {
    "mean_squared_error": of.mean_squared_error,
    "mean_absolute_error": of.mean_absolute_error,
    "mean_absolute_percentage_error": of.mean_absolute_percentage_error,
    "mean_squared_logarithmic_error": of.mean_squared_logarithmic_error,
    "cosine_similarity": lambda y, p, axis: -of.cosine(y, p, axis),
    "huber": of.huber,
    "log_cosh": of.log_cosh,
    "hinge": of.hinge,
    "squared_hinge": of.squared_hinge,
    "categorical_hinge": of.categorical_hinge,
    "kl_divergence": of.kl_divergence,
    "poisson": of.poisson,
    "binary_crossentropy": of.binary_crossentropy,
    "binary_focal_crossentropy": of.binary_focal_crossentropy,
    "categorical_crossentropy": of.categorical_crossentropy,
    "categorical_focal_crossentropy": of.categorical_focal_crossentropy,
    "sparse_categorical_crossentropy": of.sparse_categorical_crossentropy,
    "categorical_generalized_cross_entropy": of.generalized_crossentropy,
    "dice": of.dice,
    "tversky": of.tversky,
    "circle": of.circle,
    "ctc": of.ctc,
}
_COMMON = ("reduction", "name", "dtype")


def loss(
    value: ObjectValue, y_true: Array, y_pred: Array, sample_weight: Array | None = None, mask: Array | None = None
) -> Array:
    """A loss of a batch.

    Args:
        value: of a class ``core:losses.*``.
        y_true: the targets.
        y_pred: the predictions; the loss is computed in their dtype.
        sample_weight: a weight for each value, or for each sample.
        mask: which values count, or `None` for all.

    Returns:
        A scalar, or the weighted values with the reduction ``none``.

    Raises:
        InvalidError: ``core-object``.
    """
    found, own = values(value, y_true, y_pred)
    _, attrs = parameters(value, "losses")
    if mask is not None and own is not None:
        own = np.logical_and(*level(np.asarray(mask, bool), own))
    return reduced(found, attrs["reduction"], sample_weight, mask if own is None else own)


def values(value: ObjectValue, y_true: Array, y_pred: Array) -> tuple[Array, Array | None]:
    """The value of a loss for each sample, and which of them count where the loss itself leaves some out.

    Args:
        value: of a class ``core:losses.*``.
        y_true: the targets.
        y_pred: the predictions.

    Raises:
        InvalidError: ``core-object``.
    """
    name, attrs = parameters(value, "losses")
    y_pred = np.asarray(y_pred)
    y_true = np.asarray(y_true).astype(y_pred.dtype)
    own = {key: item for key, item in attrs.items() if key not in _COMMON}
    if name == "auto_crossentropy":
        name = auto_kind(y_true, y_pred) + "_crossentropy"
        own = _of_name(name)
    y_true, y_pred = same_rank(y_true, y_pred)
    found = np.asarray(_LOSSES[name](y_true, y_pred, **own))
    if name == "circle":
        return found, found > 0
    if name == "sparse_categorical_crossentropy" and own["ignore_class"] is not None:
        classes = y_true.reshape(found.shape)
        return found, classes != own["ignore_class"]
    return found, None


def _of_name(name: str) -> dict[str, Any]:
    _, attrs = parameters(ObjectValue(f"core:losses.{name}", {}), "losses")
    return {key: item for key, item in attrs.items() if key not in _COMMON}


def auto_kind(y_true: Array, y_pred: Array) -> str:
    """What a classification is by its shapes: ``binary``, ``sparse_categorical`` or ``categorical``."""
    given = y_pred.shape[-1]  # also where the predictions lose this axis
    y_true, y_pred = same_rank(y_true, y_pred)
    if 1 in (given, y_pred.shape[-1]):
        return "binary"
    sparse = y_true.ndim < y_pred.ndim or (y_true.shape[-1] == 1 and y_pred.shape[-1] > 1)
    return "sparse_categorical" if sparse else "categorical"


def same_rank(one: Array, two: Array) -> tuple[Array, Array]:
    """Two arrays whose numbers of axes differ by a last one of size 1, with equal numbers of axes."""
    if one.ndim == two.ndim + 1 and one.shape[-1] == 1:
        return (one, two[..., np.newaxis]) if two.ndim == 1 else (one[..., 0], two)
    if two.ndim == one.ndim + 1 and two.shape[-1] == 1:
        return (one[..., np.newaxis], two) if one.ndim == 1 else (one, two[..., 0])
    return one, two


def reduced(values: Array, reduction: str, sample_weight: Array | None = None, mask: Array | None = None) -> Array:
    """One number of many.

    Args:
        values: the value of each sample.
        reduction: ``mean``, ``sum``, ``mean_with_sample_weight`` or ``none``.
        sample_weight: weights, of the shape of the values or of their first axes.
        mask: which values count.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight).astype(values.dtype)
    weight = masked_weight(weight, mask, values.dtype, mean=reduction == "mean")
    if weight is not None:
        values = values * spread(weight, values)
    if reduction == "none" or values.shape in ((), (0,)):
        return values
    total = np.asarray(np.sum(values))
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return divided(total, np.sum(weight))
    return divided(total, np.asarray(values.size, values.dtype))


def masked_weight(weight: Array | None, mask: Array | None, dtype: Any, *, mean: bool) -> Array | None:
    """Sample weights times the mask; for a mean the mask is scaled so that what counts weighs as much as all."""
    if mask is None:
        return weight
    factor = np.asarray(mask).astype(dtype)
    if mean:
        factor = factor * divided(np.asarray(factor.size, dtype), np.sum(factor))
    if weight is None:
        return factor
    factor, weight = level(factor, weight)
    return weight * factor


def level(one: Array, two: Array) -> tuple[Array, Array]:
    """Two weights of samples with equal numbers of axes; the first of these are those that both have."""
    rank = max(one.ndim, two.ndim)
    return one.reshape(one.shape + (1,) * (rank - one.ndim)), two.reshape(two.shape + (1,) * (rank - two.ndim))


def spread(weight: Array, values: Array) -> Array:
    """Weights of samples as those of all their values; a single value of all samples is that of each weight."""
    while weight.ndim > values.ndim > 0 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    return np.broadcast_to(level(weight, values)[0], values.shape) if values.ndim else weight


def divided(one: Any, two: Any) -> Array:
    """`one / two`, and 0 where `two` is 0."""
    one, two = np.asarray(one), np.asarray(two)
    safe = np.where(two == 0, np.ones_like(two), two)
    return np.where(two == 0, np.zeros_like(one / safe), one / safe)
