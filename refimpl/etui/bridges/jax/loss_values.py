"""What each loss of the vocabulary gives for each sample, in JAX (SPEC.md, annex K.1).

A loss is a function of targets y and predictions p, of one dtype, and of its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array, lax, nn

Axis = Any
Loss = Callable[..., Array]

EPSILON = 1e-7
"""What keeps quotients and logarithms finite."""
_TINY = 1e-12
_NEVER = -1e5
"""The logarithm of what cannot be, in `ctc`, where minus infinity has no gradient."""

LOSSES: dict[str, Loss] = {}


def _loss(function: Loss) -> Loss:
    LOSSES[function.__name__] = function
    return function


def _axes(axis: Axis) -> Axis:
    return tuple(axis) if isinstance(axis, list) else axis


@_loss
def mean_squared_error(y: Array, p: Array) -> Array:
    """Mean of (y - p)^2."""
    return jnp.mean(jnp.square(y - p), axis=-1)


@_loss
def mean_absolute_error(y: Array, p: Array) -> Array:
    """Mean of |y - p|."""
    return jnp.mean(jnp.abs(y - p), axis=-1)


@_loss
def mean_absolute_percentage_error(y: Array, p: Array) -> Array:
    """100 times the mean of |y - p| / max(|y|, epsilon)."""
    return 100.0 * jnp.mean(jnp.abs((y - p) / jnp.maximum(jnp.abs(y), EPSILON)), axis=-1)


@_loss
def mean_squared_logarithmic_error(y: Array, p: Array) -> Array:
    """Mean of (log(1 + max(p, epsilon)) - log(1 + max(y, epsilon)))^2."""
    first, second = (jnp.log(jnp.maximum(x, EPSILON) + 1.0) for x in (p, y))
    return jnp.mean(jnp.square(first - second), axis=-1)


@_loss
def cosine_similarity(y: Array, p: Array, axis: Axis = -1) -> Array:
    """Minus the cosine of the angle between both."""
    return -jnp.sum(_unit(y, axis) * _unit(p, axis), axis=_axes(axis))


def _unit(x: Array, axis: Axis) -> Array:
    squares = jnp.sum(jnp.square(x), axis=_axes(axis), keepdims=True)
    return x * lax.rsqrt(jnp.maximum(squares, _TINY))


@_loss
def huber(y: Array, p: Array, delta: float = 1.0) -> Array:
    """Mean of e^2 / 2 up to |e| = delta and delta |e| - delta^2 / 2 beyond."""
    size = jnp.abs(p - y)
    return jnp.mean(jnp.where(size <= delta, 0.5 * jnp.square(p - y), delta * size - 0.5 * delta**2), axis=-1)


@_loss
def log_cosh(y: Array, p: Array) -> Array:
    """Mean of log(cosh(p - y))."""
    error = p - y
    return jnp.mean(error + nn.softplus(error * -2.0) - jnp.log(2.0).astype(p.dtype), axis=-1)


def _signs(y: Array) -> Array:
    """Labels of 0 and 1 as -1 and 1, if the batch has no others."""
    return jnp.where(jnp.all((y == 0) | (y == 1)), 2.0 * y - 1.0, y)


@_loss
def hinge(y: Array, p: Array) -> Array:
    """Mean of max(1 - y p, 0)."""
    return jnp.mean(jnp.maximum(1.0 - _signs(y) * p, 0), axis=-1)


@_loss
def squared_hinge(y: Array, p: Array) -> Array:
    """Mean of max(1 - y p, 0)^2."""
    return jnp.mean(jnp.square(jnp.maximum(1.0 - _signs(y) * p, 0)), axis=-1)


@_loss
def categorical_hinge(y: Array, p: Array) -> Array:
    """max(1 + max((1 - y) p) - sum(y p), 0)."""
    return jnp.maximum(jnp.max((1.0 - y) * p, axis=-1) - jnp.sum(y * p, axis=-1) + 1.0, 0)


@_loss
def kl_divergence(y: Array, p: Array) -> Array:
    """Sum of y log(y / p), both clipped to [epsilon, 1]."""
    y, p = jnp.clip(y, EPSILON, 1), jnp.clip(p, EPSILON, 1)
    return jnp.sum(y * jnp.log(y / p), axis=-1)


@_loss
def poisson(y: Array, p: Array) -> Array:
    """Mean of p - y log(p + epsilon)."""
    return jnp.mean(p - y * jnp.log(p + EPSILON), axis=-1)


def _smoothed(y: Array, smoothing: float, classes: int) -> Array:
    return y * (1.0 - smoothing) + smoothing / classes if smoothing else y


def _binary(y: Array, p: Array, *, from_logits: bool) -> Array:
    if from_logits:
        return -y * nn.log_sigmoid(p) - (1.0 - y) * nn.log_sigmoid(-p)
    p = jnp.clip(p, EPSILON, 1.0 - EPSILON)
    return -(y * jnp.log(p) + (1.0 - y) * jnp.log(1.0 - p))


@_loss
def binary_crossentropy(
    y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: Axis = -1
) -> Array:
    """Mean of -(y log p + (1 - y) log(1 - p))."""
    return jnp.mean(_binary(_smoothed(y, label_smoothing, 2), p, from_logits=from_logits), axis=_axes(axis))


@_loss
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
    p = nn.sigmoid(p) if from_logits else p
    right = y * p + (1 - y) * (1 - p)
    value = jnp.power(1.0 - right, gamma) * _binary(y, p, from_logits=False)
    if apply_class_balancing:
        value = (y * alpha + (1 - y) * (1 - alpha)) * value
    return jnp.mean(value, axis=_axes(axis))


def _probabilities(p: Array, axis: int) -> Array:
    """Scaled to the sum 1 and clipped to [epsilon, 1 - epsilon]."""
    return jnp.clip(p / jnp.sum(p, axis=axis, keepdims=True), EPSILON, 1.0 - EPSILON)


def _logarithms(p: Array, axis: int, from_logits: bool) -> Array:
    return nn.log_softmax(p, axis) if from_logits else jnp.log(_probabilities(p, axis))


@_loss
def categorical_crossentropy(
    y: Array, p: Array, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Array:
    """Minus the sum of y log p over the classes."""
    y = _smoothed(y, label_smoothing, y.shape[-1])
    return -jnp.sum(y * _logarithms(p, axis, from_logits), axis=axis)


@_loss
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
    """Minus the sum of alpha (1 - p)^gamma y log p over the classes."""
    y = _smoothed(y, label_smoothing, y.shape[-1])
    p = _probabilities(nn.softmax(p, axis) if from_logits else p, axis)
    return jnp.sum(jnp.power(1.0 - p, gamma) * alpha * (-y * jnp.log(p)), axis=axis)


def _classes(y: Array, p: Array, axis: int) -> Array:
    """Targets that name a class, without the axis of the classes."""
    return jnp.squeeze(y, axis=axis) if y.ndim == p.ndim else y


@_loss
def sparse_categorical_crossentropy(
    y: Array, p: Array, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Array:
    """Minus log p of the class that the target names; 0 for the class to ignore, and where there is no such class."""
    y = _classes(y, p, axis)
    counts = None if ignore_class is None else y != ignore_class
    if counts is not None:
        y = jnp.where(counts, y, 0)
        p = jnp.where(jnp.expand_dims(counts, axis), p, 0)
    chosen = nn.one_hot(y.astype(jnp.int32), p.shape[axis], axis=axis, dtype=p.dtype)
    value = -jnp.sum(chosen * _logarithms(p, axis, from_logits), axis=axis)
    return value if counts is None else jnp.where(counts, value, 0)


@_loss
def categorical_generalized_cross_entropy(y: Array, p: Array, q: float = 0.5) -> Array:
    """(1 - p^q) / q of the probability of the class that the target names."""
    chosen = nn.one_hot(_classes(y, p, -1).astype(jnp.int32), p.shape[-1], dtype=p.dtype)
    return (1 - jnp.power(jnp.sum(p * chosen, axis=-1), q)) / q


@_loss
def dice(y: Array, p: Array, axis: Axis = None) -> Array:
    """1 - 2 sum(y p) / (sum y + sum p + epsilon)."""
    over = _axes(axis)
    return 1 - 2.0 * jnp.sum(y * p, axis=over) / (jnp.sum(y, axis=over) + jnp.sum(p, axis=over) + EPSILON)


@_loss
def tversky(y: Array, p: Array, alpha: float = 0.5, beta: float = 0.5, axis: Axis = None) -> Array:
    """1 - s / (s + alpha sum(y (1 - p)) + beta sum(p (1 - y)) + epsilon), where s = sum(y p)."""
    over = _axes(axis)
    both = jnp.sum(y * p, axis=over)
    only = jnp.sum((1 - p) * y, axis=over) * alpha + jnp.sum(p * (1 - y), axis=over) * beta
    return 1 - both / (both + only + EPSILON)


@_loss
def circle(y: Array, p: Array, gamma: float = 80.0, margin: float = 0.4, remove_diagonal: bool = True) -> Array:
    """The circle loss of each embedding, of length 1, against all of the batch (Sun et al. 2020)."""
    labels = y.reshape(-1).astype(jnp.int32)
    distance = jnp.maximum(1 - p @ p.T, 0)
    alike = labels[:, None] == labels[None, :]
    unlike = ~alike
    if remove_diagonal:
        alike = alike & ~jnp.eye(labels.size, dtype=bool)
    near = -gamma * jnp.maximum(margin + distance, 0) * (margin - distance)
    far = gamma * jnp.maximum(1 + margin - distance, 0) * (1 - margin - distance)
    sums = [nn.logsumexp(jnp.where(kept, x, -jnp.inf), axis=1) for x, kept in ((near, alike), (far, unlike))]
    return nn.softplus(sums[0] + sums[1])


@_loss
def ctc(y: Array, p: Array) -> Array:
    """Connectionist temporal classification (Graves et al. 2006): class 0 is the blank, the first 0 ends the labels.

    Labels [batch, length], logits [batch, time, classes]. The states are the labels with a blank before, between and
    behind them; a step stays, goes on by one, or by two where that jumps over a blank between different labels.
    """
    labels = y.astype(jnp.int32)
    logs = nn.log_softmax(p, -1)
    number = 2 * jnp.sum(jnp.cumprod(labels != 0, axis=-1), axis=-1) + 1
    states = jnp.zeros((labels.shape[0], 2 * labels.shape[1] + 1), jnp.int32).at[:, 1::2].set(labels)
    jumps = (states != 0) & (states != jnp.pad(states, ((0, 0), (2, 0)))[:, :-2])
    emitted = jnp.take_along_axis(logs, states[:, None, :], axis=2)
    places = jnp.arange(states.shape[1])
    first = jnp.where((places < 2) & (places < number[:, None]), emitted[:, 0], _NEVER)

    def shifted(ways: Array, by: int) -> Array:
        return jnp.pad(ways, ((0, 0), (by, 0)), constant_values=_NEVER)[:, : ways.shape[1]]

    def step(ways: Array, now: Array) -> tuple[Array, None]:
        onward = jnp.logaddexp(ways, shifted(ways, 1))
        return jnp.logaddexp(onward, jnp.where(jumps, shifted(ways, 2), _NEVER)) + now, None

    last, _ = lax.scan(step, first, jnp.swapaxes(emitted[:, 1:], 0, 1))
    ends = (places == number[:, None] - 1) | (places == number[:, None] - 2)
    return -nn.logsumexp(jnp.where(ends, last, _NEVER), axis=1)
