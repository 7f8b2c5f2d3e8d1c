"""Projections that follow an update of a variable (SPEC.md, annex J.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.canonical.values import ObjectValue
from etui.core.parameters import parameters

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
# Beside a norm, so that zeros stay zeros.
_EPSILON = 1e-7


def project(constraint: ObjectValue, x: Array) -> Array:
    """A variable as the constraint lets it be, in its dtype.

    Args:
        constraint: of a class ``core:constraints.*``.
        x: the variable's value.

    Raises:
        InvalidError: ``core-attrs``.
    """
    name, attrs = parameters(constraint, "constraints")
    if name == "non_neg":
        return np.maximum(x, 0)
    axis = attrs["axis"]
    norms = np.sqrt(np.sum(np.square(x), axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=True))
    return np.asarray(x * (_wanted(name, attrs, norms) / (_EPSILON + norms))).astype(x.dtype)


def _wanted(name: str, attrs: Mapping[str, Any], norms: Array) -> Array:
    """The norm that each part is to have."""
    if name == "max_norm":
        return np.clip(norms, 0, attrs["max_value"])
    if name == "min_max_norm":
        clipped = np.clip(norms, attrs["min_value"], attrs["max_value"])
        return attrs["rate"] * clipped + (1 - attrs["rate"]) * norms
    return np.ones_like(norms)
