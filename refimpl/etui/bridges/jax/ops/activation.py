"""Activations, and the ops that are one (SPEC.md, annex J.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import nn

from etui.bridges.jax.ops.registry import Activation, Array, Mask, activation, op


@activation("linear")
def linear(x: Array) -> Array:
    """The tensor itself."""
    return x


@activation("relu")
def relu(x: Array, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """`x` where it is above the threshold, at most `max_value`; below, the slope times (x - threshold)."""
    if negative_slope and max_value is None and not threshold:
        return nn.leaky_relu(x, negative_slope)
    below = nn.relu(threshold - x) if negative_slope else None
    above = jnp.where(x > threshold, x, 0) if threshold else nn.relu(x)
    if max_value is not None:
        above = nn.relu6(x) if max_value == 6 and not threshold else jnp.clip(above, 0, max_value)
    return above if below is None else above - negative_slope * below


@activation("relu6")
def relu6(x: Array) -> Array:
    """`x` between 0 and 6."""
    return nn.relu6(x)


@activation("leaky_relu")
def leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array:
    """x, below zero times the slope."""
    return nn.leaky_relu(x, negative_slope)


@activation("elu")
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, below zero alpha (exp(x) - 1)."""
    return nn.elu(x, alpha)


@activation("celu")
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """x, below zero alpha (exp(x / alpha) - 1)."""
    return nn.celu(x, alpha)


@activation("selu")
def selu(x: Array) -> Array:
    """The self-normalizing ELU."""
    return nn.selu(x)


@activation("gelu")
def gelu(x: Array, *, approximate: bool = False) -> Array:
    """`x` times the normal distribution's value at x, exact or by tanh."""
    return nn.gelu(x, approximate=approximate)


@activation("silu")
def silu(x: Array) -> Array:
    """`x` times its sigmoid."""
    return nn.silu(x)


@activation("mish")
def mish(x: Array) -> Array:
    """`x` tanh(softplus(x))."""
    return x * jnp.tanh(nn.softplus(x))


@activation("sigmoid")
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return nn.sigmoid(x)


@activation("hard_sigmoid")
def hard_sigmoid(x: Array, *, slope: float = 1 / 6) -> Array:
    """`slope` · x + 1/2 between 0 and 1."""
    return nn.hard_sigmoid(x) if slope == 1 / 6 else jnp.clip(slope * x + 0.5, 0, 1)


@activation("hard_silu")
def hard_silu(x: Array) -> Array:
    """`x` times its hard sigmoid."""
    return nn.hard_silu(x)


@activation("sparse_sigmoid")
def sparse_sigmoid(x: Array) -> Array:
    """(x + 1) / 2 between 0 and 1."""
    return nn.sparse_sigmoid(x)


@activation("log_sigmoid")
def log_sigmoid(x: Array) -> Array:
    """The logarithm of the sigmoid."""
    return nn.log_sigmoid(x)


@activation("tanh")
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x)


@activation("hard_tanh")
def hard_tanh(x: Array) -> Array:
    """`x` between -1 and 1."""
    return nn.hard_tanh(x)


@activation("tanh_shrink")
def tanh_shrink(x: Array) -> Array:
    """`x` - tanh(x)."""
    return x - jnp.tanh(x)


@activation("softplus")
def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return nn.softplus(x)


@activation("sparse_plus")
def sparse_plus(x: Array) -> Array:
    """0 below -1, x above 1, and (x + 1)^2 / 4 between."""
    return nn.sparse_plus(x)


@activation("squareplus")
def squareplus(x: Array, *, b: float = 4.0) -> Array:
    """(x + sqrt(x^2 + b)) / 2."""
    return nn.squareplus(x, b)


@activation("softsign")
def softsign(x: Array) -> Array:
    """`x` / (1 + |x|)."""
    return nn.soft_sign(x)


@activation("exponential")
def exponential(x: Array) -> Array:
    """exp(x)."""
    return jnp.exp(x)


@activation("soft_shrink")
def soft_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """`x` moved towards zero by the threshold, and zero within it."""
    return jnp.where(x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0))


@activation("hard_shrink")
def hard_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """`x` where it is farther from zero than the threshold."""
    return jnp.where(jnp.abs(x) > threshold, x, 0)


@activation("threshold")
def threshold_(x: Array, *, threshold: float, default_value: float) -> Array:
    """`x` where it is above the threshold, else the default."""
    return jnp.where(x > threshold, x, jnp.asarray(default_value, x.dtype))


@activation("glu")
def glu(x: Array, *, axis: int = -1) -> Array:
    """The first half of the axis times the sigmoid of the second."""
    return nn.glu(x, axis)


@activation("softmax")
def softmax(x: Array, *, axis: int | Sequence[int] = -1) -> Array:
    """exp(x) over its sum along the axis."""
    return nn.softmax(x, tuple(axis) if isinstance(axis, list | tuple) else axis)


@activation("log_softmax")
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """The logarithm of the softmax."""
    return nn.log_softmax(x, axis)


@activation("sparsemax")
def sparsemax(x: Array, *, axis: int = -1) -> Array:
    """The nearest point of the simplex along the axis (Martins and Astudillo 2016, algorithm 1)."""
    values = -jnp.sort(-x, axis=axis)
    sums = jnp.cumsum(values, axis=axis)
    shape = [1] * x.ndim
    shape[axis] = -1
    numbers = jnp.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(shape)
    support = values - (sums - 1) / numbers > 0
    count = jnp.sum(support, axis=axis, keepdims=True)
    kept = jnp.sum(jnp.where(support, values, 0), axis=axis, keepdims=True)
    return jnp.maximum(x - (kept - 1) / count, 0)


def masked_softmax(x: Array, mask: Mask, axes: Sequence[int]) -> Array:
    """The softmax over the axes of what the mask keeps; zero elsewhere.

    What is masked is -1e9 (-3e4 in float16) in the softmax, so that it is even where nothing is kept.
    """
    axes = tuple(axes)
    if mask is None:
        return nn.softmax(x, axes)
    kept = mask if mask.dtype == jnp.bool_ else mask > 0.5  # a mask of numbers is rounded
    low = -3e4 if x.dtype == jnp.float16 else -1e9
    return jnp.where(kept, nn.softmax(jnp.where(kept, x, jnp.asarray(low, x.dtype)), axes), 0)


@op("activation")
def activation_op(x: Array, *, function: Activation, **_: Any) -> Array:
    """A function of each element, or along an axis."""
    return function(x)


@op("relu")
def relu_op(x: Array, *, max_value: float | None, negative_slope: float, threshold: float, **_: Any) -> Array:
    """The activation `relu`."""
    return relu(x, negative_slope=negative_slope, max_value=max_value, threshold=threshold)


@op("leaky_relu")
def leaky_relu_op(x: Array, *, negative_slope: float, **_: Any) -> Array:
    """The activation `leaky_relu`."""
    return nn.leaky_relu(x, negative_slope)


@op("prelu")
def prelu(x: Array, *, alpha: Array, **_: Any) -> Array:
    """x, below zero times a learned slope."""
    return nn.relu(x) - alpha * nn.relu(-x)


@op("elu")
def elu_op(x: Array, *, alpha: float, **_: Any) -> Array:
    """The activation `elu`."""
    return nn.elu(x, alpha)


@op("softmax")
def softmax_op(x: Array, *, axes: Sequence[int] | None, mask: Mask = None, **_: Any) -> Array:
    """The softmax of what the mask of the call keeps; that which the tensor carries does nothing."""
    return masked_softmax(x, mask, range(x.ndim) if axes is None else axes)
