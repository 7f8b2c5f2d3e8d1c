"""Penalties that variables or activities add to the loss (SPEC.md, annex J.13)."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core.parameters import parameters

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
# The square of the smallest length that a row is divided by.
_SMALLEST = 1e-12


def penalty(regularizer: ObjectValue, x: Array) -> Array:
    """What a regularizer adds to the loss, a scalar of the dtype of `x`.

    Args:
        regularizer: of a class ``core:regularizers.*``.
        x: the variable, or the output of a module; of two axes for `orthogonal_regularizer`.

    Raises:
        InvalidError: ``core-attrs``.
    """
    name, attrs = parameters(regularizer, "regularizers")
    if name == "orthogonal_regularizer":
        return _orthogonal(x, attrs["factor"], by_rows=attrs["mode"] == "rows")
    one, two = attrs.get("l1", 0.0), attrs.get("l2", 0.0)
    return np.asarray(one * np.sum(np.abs(x)) + two * np.sum(np.square(x))).astype(x.dtype)


def _orthogonal(x: Array, factor: float, *, by_rows: bool) -> Array:
    """The mean size of the cosines between different rows or columns."""
    rows = x if by_rows else x.T
    lengths = np.sqrt(np.maximum(np.sum(np.square(rows), axis=1, keepdims=True), _SMALLEST))
    cosines = (rows / lengths) @ (rows / lengths).T
    count = rows.shape[0]
    others = np.sum(np.abs(cosines * (1 - np.eye(count, dtype=x.dtype))))
    return np.asarray(factor * 0.5 * others / (count * (count - 1) / 2)).astype(x.dtype)
