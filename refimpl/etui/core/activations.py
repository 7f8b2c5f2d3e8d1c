"""The activations of the core vocabulary (SPEC.md J.7), by the names and with the parameters of `vocabulary.json`.

Each is a function of a tensor of floats, of any shape, that gives a tensor of the same dtype; all but `glu` keep the
shape. Where a formula would overflow for numbers of ordinary size, it is written in an equal form that does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from etui.core.ops.registry import Array, activation

SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
"""The constants of Klambauer et al., "Self-Normalizing Neural Networks" (2017), as near as float64 has them."""

_ERF = np.vectorize(math.erf, otypes=[np.float64])
_SIXTH = 1.0 / 6.0


def erf(x: Array) -> Array:
    """The error function 2/√π · ∫₀ˣ exp(−t²) dt of each element, in float64 and rounded to the dtype of `x`."""
    return np.asarray(_ERF(np.asarray(x, np.float64)), x.dtype)


def sum_of_exponentials(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """M = max(x) and s = Σ exp(x − m) over some axes, which stay with length 1: log Σ exp(x) = m + log s."""
    largest = np.max(x, axis=axes, keepdims=True)
    return largest, np.sum(np.exp(x - largest), axis=axes, keepdims=True)


def softmax_over(x: Array, axes: tuple[int, ...], kept: Array | None = None) -> Array:
    """exp(x) over its sum along some axes together.

    Args:
        x: the scores.
        axes: of the sum.
        kept: a boolean array that broadcasts to `x`: what is excluded counts as exp(x) = 0, and where nothing is left
            the result is 0.
    """
    if kept is None:
        largest, total = sum_of_exponentials(x, axes)
        return np.asarray(np.exp(x - largest) / total)
    kept = np.broadcast_to(kept, x.shape)
    lowest = np.min(x, axis=axes, keepdims=True)
    largest = np.max(np.where(kept, x, lowest), axis=axes, keepdims=True)
    powers = np.where(kept, np.exp(np.where(kept, x, largest) - largest), np.zeros_like(x))
    total = np.sum(powers, axis=axes, keepdims=True)
    return np.asarray(powers / np.where(total > 0, total, np.ones_like(total)))


# --- linear pieces ----------------------------------------------------------------------------------------------------


@activation("linear")
def linear(x: Array) -> Array:
    """The tensor x itself."""
    return x


@activation("relu")
def relu(x: Array, *, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    """X where x > threshold, at most max_value and then at least 0; −negative_slope · (threshold − x) below it."""
    y = np.where(x > threshold, x, np.zeros_like(x))
    if max_value is not None:
        y = np.clip(y, 0, max_value)
    return np.asarray(y - negative_slope * np.maximum(threshold - x, 0) if negative_slope else y)


@activation("relu6")
def relu6(x: Array) -> Array:
    """The number of 0 to 6 next to x."""
    return np.clip(x, 0, 6)


@activation("leaky_relu")
def leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array:
    """The number x where x ≥ 0, negative_slope · x elsewhere."""
    return np.where(x >= 0, x, negative_slope * x)


@activation("hard_tanh")
def hard_tanh(x: Array) -> Array:
    """The number of −1 to 1 next to x."""
    return np.clip(x, -1, 1)


@activation("hard_sigmoid")
def hard_sigmoid(x: Array, *, slope: float = _SIXTH) -> Array:
    """The number of 0 to 1 next to slope · x + 1/2. Keras 2 has the slope 0.2."""
    return np.clip(slope * x + 0.5, 0, 1)


@activation("hard_silu")
def hard_silu(x: Array) -> Array:
    """X · hard_sigmoid(x)."""
    return np.asarray(x * hard_sigmoid(x))


@activation("hard_shrink")
def hard_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """The number x where |x| > threshold, 0 elsewhere."""
    return np.where(np.abs(x) > threshold, x, np.zeros_like(x))


@activation("soft_shrink")
def soft_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    """sign(x) · max(|x| − threshold, 0)."""
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - threshold, 0))


@activation("threshold")
def threshold_(x: Array, *, threshold: float, default_value: float) -> Array:
    """The number x where x > threshold, default_value elsewhere."""
    return np.where(x > threshold, x, np.full_like(x, default_value))


@activation("sparse_sigmoid")
def sparse_sigmoid(x: Array) -> Array:
    """The number of 0 to 1 next to (x + 1)/2."""
    return np.clip(0.5 * (x + 1), 0, 1)


@activation("sparse_plus")
def sparse_plus(x: Array) -> Array:
    """0 up to −1, (x + 1)²/4 up to 1, and x from there."""
    return np.where(x >= 1, x, np.where(x <= -1, np.zeros_like(x), 0.25 * np.square(x + 1)))


# --- exponentials -----------------------------------------------------------------------------------------------------


@activation("exponential")
def exponential(x: Array) -> Array:
    """exp(x)."""
    return np.asarray(np.exp(x))


@activation("elu")
def elu(x: Array, *, alpha: float = 1.0) -> Array:
    """The number x where x > 0, alpha · (exp(x) − 1) elsewhere."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@activation("selu")
def selu(x: Array) -> Array:
    """SELU_SCALE · elu(x) with the alpha SELU_ALPHA."""
    return np.asarray(SELU_SCALE * elu(x, alpha=SELU_ALPHA))


@activation("celu")
def celu(x: Array, *, alpha: float = 1.0) -> Array:
    """The number x where x > 0, alpha · (exp(x / alpha) − 1) elsewhere."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


@activation("sigmoid")
def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x))."""
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + power), power / (1 + power))


@activation("log_sigmoid")
def log_sigmoid(x: Array) -> Array:
    """−softplus(−x)."""
    return np.asarray(-softplus(-x))


@activation("softplus")
def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


@activation("tanh")
def tanh(x: Array) -> Array:
    """The hyperbolic tangent."""
    return np.asarray(np.tanh(x))


@activation("tanh_shrink")
def tanh_shrink(x: Array) -> Array:
    """X − tanh(x)."""
    return np.asarray(x - np.tanh(x))


@activation("silu")
def silu(x: Array) -> Array:
    """X · sigmoid(x)."""
    return np.asarray(x * sigmoid(x))


@activation("mish")
def mish(x: Array) -> Array:
    """X · tanh(softplus(x))."""
    return np.asarray(x * np.tanh(softplus(x)))


@activation("gelu")
def gelu(x: Array, *, approximate: bool = False) -> Array:
    """X · (1 + erf(x/√2))/2, or, if approximate, x · (1 + tanh(√(2/π) · (x + 0.044715 x³)))/2."""
    if approximate:
        return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
    return np.asarray(0.5 * x * (1 + erf(x / math.sqrt(2))))


# --- roots and quotients ----------------------------------------------------------------------------------------------


@activation("softsign")
def softsign(x: Array) -> Array:
    """X / (1 + |x|)."""
    return np.asarray(x / (1 + np.abs(x)))


@activation("squareplus")
def squareplus(x: Array, *, b: float = 4.0) -> Array:
    """(x + √(x² + b)) / 2."""
    return np.asarray((x + np.sqrt(np.square(x) + b)) / 2)


# --- along an axis ----------------------------------------------------------------------------------------------------


@activation("softmax")
def softmax(x: Array, *, axis: int = -1) -> Array:
    """exp(x) over its sum along an axis."""
    return softmax_over(x, (axis,))


@activation("log_softmax")
def log_softmax(x: Array, *, axis: int = -1) -> Array:
    """The logarithm of softmax(x)."""
    largest, total = sum_of_exponentials(x, (axis,))
    return np.asarray(x - largest - np.log(total))


@activation("sparsemax")
def sparsemax(x: Array, *, axis: int = -1) -> Array:
    """max(x − τ, 0) with the τ at which the sum along the axis is 1.

    τ follows from the k largest elements, whose k is the largest for which the k-th of them, z_k, has
    1 + k·z_k > z_1 + … + z_k (Martins and Astudillo, "From Softmax to Sparsemax", 2016).
    """
    falling = np.flip(np.sort(x, axis=axis), axis=axis)
    sums = np.cumsum(falling, axis=axis)
    count: Any = np.ones(x.ndim, int)
    count[axis] = -1
    order = np.arange(1, x.shape[axis] + 1, dtype=x.dtype).reshape(count)
    support = 1 + order * falling > sums
    size = np.sum(support, axis=axis, keepdims=True)
    tau = (np.take_along_axis(sums, size - 1, axis=axis) - 1) / size.astype(x.dtype)
    return np.asarray(np.maximum(x - tau, 0))


@activation("glu")
def glu(x: Array, *, axis: int = -1) -> Array:
    """A · sigmoid(b) of the two halves a and b of x along the axis, whose length is even."""
    first, second = np.split(x, 2, axis=axis)
    return np.asarray(first * sigmoid(second))
