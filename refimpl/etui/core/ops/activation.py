"""Activations as ops of their own (SPEC.md J.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.core import activations
from etui.core.ops.floats import floating
from etui.core.ops.registry import Activation, Array, op


@op("activation")
def activation(x: Array, *, function: Activation, **_: Any) -> Array:
    """An activation of the vocabulary, with its parameters."""
    return function(x)


@op("relu")
def relu(x: Array, *, max_value: float | None, negative_slope: float, threshold: float, **_: Any) -> Array:
    """The activation `relu` with its three parameters."""
    return activations.relu(floating(x), max_value=max_value, negative_slope=negative_slope, threshold=threshold)


@op("leaky_relu")
def leaky_relu(x: Array, *, negative_slope: float, **_: Any) -> Array:
    """The activation `leaky_relu`, whose slope here is 0.3 if it is not stated."""
    return activations.leaky_relu(floating(x), negative_slope=negative_slope)


@op("elu")
def elu(x: Array, *, alpha: float, **_: Any) -> Array:
    """The activation `elu`."""
    return activations.elu(floating(x), alpha=alpha)


@op("prelu")
def prelu(x: Array, *, alpha: Array, **_: Any) -> Array:
    """max(x, 0) + alpha · min(x, 0); alpha has the shape of x without the batch, and 1 along the shared axes."""
    x = floating(x, alpha)
    return np.asarray(np.maximum(x, 0) + alpha * np.minimum(x, 0))


@op("softmax")
def softmax(x: Array, *, axes: list[int] | None, mask: Array | None = None, **_: Any) -> Array:
    """exp(x) over its sum along all of the axes together; where the mask is false, exp(x) counts as 0.

    The mask is the argument of the call and no mask that the input carries; it broadcasts to x.
    """
    over = tuple(range(x.ndim)) if axes is None else tuple(axes)
    return activations.softmax_over(floating(x), over, None if mask is None else np.asarray(mask) != 0)
