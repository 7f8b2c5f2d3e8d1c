"""Activations, as functions and as ops of their own (SPEC.md J.7)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.ops.registry import Activation, activation, op
from etui.bridges.onnx.tools import (
    all_axes,
    dimension,
    floating,
    reduced,
    truth,
    where,
)
from etui.bridges.onnx.value import FLOAT, INT64, Value

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_SIXTH = 1.0 / 6.0


def add(name: str, x: Value, **attrs: Any) -> Value:
    """One node of floats."""
    return x.graph.one(name, floating(x), **attrs)


def exp(x: Value) -> Value:
    """The exponential."""
    return add("Exp", x)


def clip(x: Value, low: float, high: float) -> Value:
    """The number of an interval next to x."""
    x = floating(x)
    return x.graph.one("Clip", x, x.graph.constant(low, FLOAT), x.graph.constant(high, FLOAT))


def largest(x: Value, bound: Any) -> Value:
    """The larger of x and a bound, element by element."""
    x = floating(x)
    return x.graph.one("Max", x, x.graph.like(bound, x))


def smallest(x: Value, bound: Any) -> Value:
    """The smaller of x and a bound, element by element."""
    x = floating(x)
    return x.graph.one("Min", x, x.graph.like(bound, x))


def softmax_over(x: Value, axes: Sequence[int], kept: Value | None = None) -> Value:
    """exp(x) over its sum along some axes together; what is not kept counts as 0, and 0 where nothing is kept."""
    x = floating(x)
    if kept is None and len(axes) == 1:
        return add("Softmax", x, axis=axes[0])
    if kept is None:
        powers = exp(x - reduced("ReduceMax", x, axes, keepdims=True))
        return powers / reduced("ReduceSum", powers, axes, keepdims=True)
    lowest = reduced("ReduceMin", x, axes, keepdims=True)
    top = reduced("ReduceMax", where(kept, x, lowest), axes, keepdims=True)
    powers = where(kept, exp(where(kept, x, top) - top), 0.0)
    total = reduced("ReduceSum", powers, axes, keepdims=True)
    return powers / where(total > 0.0, total, 1.0)


# --- linear pieces ----------------------------------------------------------------------------------------------------


@activation("linear")
def linear(x: Value) -> Value:
    """The tensor itself."""
    return x


@activation("relu")
def relu(x: Value, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Value:
    """X where x > threshold, clipped to [0, max_value]; −negative_slope · (threshold − x) below it."""
    x = floating(x)
    y = add("Relu", x) if threshold == 0 else where(x > threshold, x, 0.0)
    if max_value is not None:
        y = clip(y, 0.0, max_value)
    return y - negative_slope * largest(threshold - x, 0.0) if negative_slope else y


@activation("relu6")
def relu6(x: Value) -> Value:
    """The number of 0 to 6 next to x."""
    return clip(x, 0.0, 6.0)


@activation("leaky_relu")
def leaky_relu(x: Value, *, negative_slope: float = 0.2) -> Value:
    """X where x ≥ 0, negative_slope · x elsewhere."""
    return add("LeakyRelu", x, alpha=float(negative_slope))


@activation("hard_tanh")
def hard_tanh(x: Value) -> Value:
    """The number of −1 to 1 next to x."""
    return clip(x, -1.0, 1.0)


@activation("hard_sigmoid")
def hard_sigmoid(x: Value, *, slope: float = _SIXTH) -> Value:
    """The number of 0 to 1 next to slope · x + 1/2."""
    return clip(slope * floating(x) + 0.5, 0.0, 1.0)


@activation("hard_silu")
def hard_silu(x: Value) -> Value:
    """X · hard_sigmoid(x)."""
    return floating(x) * hard_sigmoid(x)


@activation("hard_shrink")
def hard_shrink(x: Value, *, threshold: float = 0.5) -> Value:
    """X where |x| > threshold, 0 elsewhere."""
    return where(add("Abs", x) > threshold, floating(x), 0.0)


@activation("soft_shrink")
def soft_shrink(x: Value, *, threshold: float = 0.5) -> Value:
    """sign(x) · max(|x| − threshold, 0)."""
    return add("Sign", x) * largest(add("Abs", x) - threshold, 0.0)


@activation("threshold")
def threshold_(x: Value, *, threshold: float, default_value: float) -> Value:
    """X where x > threshold, default_value elsewhere."""
    return where(floating(x) > threshold, floating(x), float(default_value))


@activation("sparse_sigmoid")
def sparse_sigmoid(x: Value) -> Value:
    """The number of 0 to 1 next to (x + 1)/2."""
    return clip(0.5 * (floating(x) + 1.0), 0.0, 1.0)


@activation("sparse_plus")
def sparse_plus(x: Value) -> Value:
    """0 up to −1, (x + 1)²/4 up to 1, and x from there."""
    x = floating(x)
    return where(x >= 1.0, x, where(x <= -1.0, 0.0, 0.25 * (x + 1.0) * (x + 1.0)))


# --- exponentials -----------------------------------------------------------------------------------------------------


@activation("exponential")
def exponential(x: Value) -> Value:
    """The exponential."""
    return exp(x)


@activation("elu")
def elu(x: Value, *, alpha: float = 1.0) -> Value:
    """X where x > 0, alpha · (exp(x) − 1) elsewhere."""
    x = floating(x)
    return where(x > 0.0, x, alpha * (exp(smallest(x, 0.0)) - 1.0))


@activation("selu")
def selu(x: Value) -> Value:
    """The scaled elu of Klambauer et al. (2017)."""
    return _SELU_SCALE * elu(x, alpha=_SELU_ALPHA)


@activation("celu")
def celu(x: Value, *, alpha: float = 1.0) -> Value:
    """X where x > 0, alpha · (exp(x / alpha) − 1) elsewhere."""
    x = floating(x)
    return where(x > 0.0, x, alpha * (exp(smallest(x, 0.0) / alpha) - 1.0))


@activation("sigmoid")
def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(−x))."""
    return add("Sigmoid", x)


@activation("softplus")
def softplus(x: Value) -> Value:
    """log(1 + exp(x))."""
    return largest(x, 0.0) + add("Log", 1.0 + exp(-add("Abs", x)))


@activation("log_sigmoid")
def log_sigmoid(x: Value) -> Value:
    """−softplus(−x)."""
    return -softplus(-floating(x))


@activation("tanh")
def tanh(x: Value) -> Value:
    """The hyperbolic tangent."""
    return add("Tanh", x)


@activation("tanh_shrink")
def tanh_shrink(x: Value) -> Value:
    """X − tanh(x)."""
    return floating(x) - tanh(x)


@activation("silu")
def silu(x: Value) -> Value:
    """X · sigmoid(x)."""
    return floating(x) * sigmoid(x)


@activation("mish")
def mish(x: Value) -> Value:
    """X · tanh(softplus(x))."""
    return floating(x) * tanh(softplus(x))


@activation("gelu")
def gelu(x: Value, *, approximate: bool = False) -> Value:
    """X · (1 + erf(x/√2))/2, or its approximation by tanh."""
    x = floating(x)
    if approximate:
        return 0.5 * x * (1.0 + tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
    return 0.5 * x * (1.0 + add("Erf", x / math.sqrt(2)))


# --- roots and quotients ----------------------------------------------------------------------------------------------


@activation("softsign")
def softsign(x: Value) -> Value:
    """X / (1 + |x|)."""
    return floating(x) / (1.0 + add("Abs", x))


@activation("squareplus")
def squareplus(x: Value, *, b: float = 4.0) -> Value:
    """(x + √(x² + b)) / 2."""
    x = floating(x)
    return (x + add("Sqrt", x * x + b)) / 2.0


# --- along an axis ----------------------------------------------------------------------------------------------------


@activation("softmax")
def softmax(x: Value, *, axis: int = -1) -> Value:
    """exp(x) over its sum along an axis."""
    return add("Softmax", x, axis=axis)


@activation("log_softmax")
def log_softmax(x: Value, *, axis: int = -1) -> Value:
    """The logarithm of softmax(x)."""
    return add("LogSoftmax", x, axis=axis)


@activation("sparsemax")
def sparsemax(x: Value, *, axis: int = -1) -> Value:
    """max(x − τ, 0) with the τ at which the sum along the axis is 1 (Martins and Astudillo, 2016)."""
    x, axis = floating(x), axis % x.rank
    graph = x.graph
    falling, _places = graph.add("TopK", x, dimension(x, axis), axis=axis, outputs=2)
    sums = graph.add("CumSum", falling, graph.constant(axis))
    ones = graph.add("CumSum", falling * 0.0 + 1.0, graph.constant(axis))
    support = graph.cast(1.0 + ones * falling > sums, INT64)
    size = reduced("ReduceSum", support, [axis], keepdims=True)
    last = graph.add("GatherElements", sums, size - 1, axis=axis)
    return largest(x - (last - 1.0) / size, 0.0)


@activation("glu")
def glu(x: Value, *, axis: int = -1) -> Value:
    """A · sigmoid(b) of the two halves of x along the axis."""
    first, second = x.graph.add("Split", floating(x), axis=axis, num_outputs=2, outputs=2)
    found: Value = first * sigmoid(second)
    return found


# --- as ops -----------------------------------------------------------------------------------------------------------


@op("activation")
def activation_op(x: Value, *, function: Activation, **_: Any) -> Value:
    """An activation of the vocabulary, with its parameters."""
    return function(x)


@op("relu")
def relu_op(x: Value, *, max_value: float | None, negative_slope: float, threshold: float, **_: Any) -> Value:
    """The activation `relu` with its three parameters."""
    return relu(x, max_value=max_value, negative_slope=negative_slope, threshold=threshold)


@op("leaky_relu")
def leaky_relu_op(x: Value, *, negative_slope: float, **_: Any) -> Value:
    """The activation `leaky_relu`."""
    return leaky_relu(x, negative_slope=negative_slope)


@op("elu")
def elu_op(x: Value, *, alpha: float, **_: Any) -> Value:
    """The activation `elu`."""
    return elu(x, alpha=alpha)


@op("prelu")
def prelu(x: Value, *, alpha: Value, **_: Any) -> Value:
    """max(x, 0) + alpha · min(x, 0)."""
    return largest(x, 0.0) + alpha * smallest(x, 0.0)


@op("softmax")
def softmax_op(x: Value, *, axes: list[int] | None, mask: Any = None, **_: Any) -> Value:
    """exp(x) over its sum along all of the axes together; where the mask of the call is false, exp(x) counts as 0."""
    kept = None if mask is None else truth(mask if isinstance(mask, Value) else x.graph.constant(np.asarray(mask)))
    return softmax_over(x, all_axes(axes, x.rank), kept)
