"""Ops that draw numbers (SPEC.md J.11): the identity unless they train.

What is drawn is defined, the stream of a generator is not: no two frameworks share one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.core.activations import SELU_ALPHA, SELU_SCALE
from etui.core.ops.registry import Array, op
from etui.errors import error

Rng = np.random.Generator | None


def drawing(rng: Rng) -> np.random.Generator:
    """The generator that was given.

    Raises:
        TransferError: ``core-evaluate``, there is none.
    """
    if rng is None:
        raise error("core-evaluate", where="", found="an op that draws numbers in training, and no generator for it")
    return rng


def keep_mask(rng: Rng, rate: float, shape: Sequence[int], dtype: Any) -> Array:
    """1 with the probability 1 − rate and 0 else, each element on its own."""
    return np.asarray(drawing(rng).random(tuple(shape)) >= rate, dtype)


def dropped(x: Array, rng: Rng, rate: float, shape: Sequence[int]) -> Array:
    """X · k / (1 − rate) with k of `keep_mask`, whose shape broadcasts to that of x; zeros for the rate 1."""
    if rate == 1:
        return np.zeros_like(x)
    return np.asarray(x * keep_mask(rng, rate, shape, x.dtype) / (1 - rate))


def noise_sizes(x: Array, noise_shape: Sequence[int | None] | None) -> list[int]:
    """The shape of what is drawn: that of x, but where noise_shape has a number."""
    if noise_shape is None:
        return list(x.shape)
    return [size if wanted is None else wanted for size, wanted in zip(x.shape, noise_shape, strict=True)]


@op("dropout")
def dropout(
    x: Array, *, rate: float, noise_shape: list[int | None] | None, training: bool, rng: Rng = None, **_: Any
) -> Array:
    """X · k / (1 − rate), where each k is 0 with the probability `rate` and else 1."""
    return dropped(x, rng, rate, noise_sizes(x, noise_shape)) if training and rate > 0 else x


@op("spatial_dropout")
def spatial_dropout(x: Array, *, rate: float, data_format: str, training: bool, rng: Rng = None, **_: Any) -> Array:
    """As `dropout`, with one k for all positions of a channel of an example."""
    if not training or rate <= 0:
        return x
    channels = 1 if data_format == "channels_first" else x.ndim - 1
    shape = [size if axis in {0, channels} else 1 for axis, size in enumerate(x.shape)]
    return dropped(x, rng, rate, shape)


@op("alpha_dropout")
def alpha_dropout(
    x: Array, *, rate: float, noise_shape: list[int | None] | None, training: bool, rng: Rng = None, **_: Any
) -> Array:
    """A · (x·k + p·(1 − k)) + b, which keeps mean 0 and variance 1.

    k is as in `dropout`; p = −SELU_SCALE · SELU_ALPHA, a = ((1 − rate)(1 + rate·p²))^(−1/2), b = −a·p·rate
    (Klambauer et al., 2017).
    """
    if not training or rate <= 0:
        return x
    kept = keep_mask(rng, rate, noise_sizes(x, noise_shape), x.dtype)
    lowest = -SELU_SCALE * SELU_ALPHA
    scale = ((1 - rate) * (1 + rate * lowest**2)) ** -0.5
    return np.asarray(scale * (x * kept + lowest * (1 - kept)) - scale * lowest * rate)


@op("gaussian_noise")
def gaussian_noise(x: Array, *, stddev: float, training: bool, rng: Rng = None, **_: Any) -> Array:
    """X + n with n of the normal distribution of mean 0 and deviation `stddev`."""
    if not training or stddev <= 0:
        return x
    return np.asarray(x + np.asarray(drawing(rng).normal(0.0, stddev, x.shape), x.dtype))


@op("gaussian_dropout")
def gaussian_dropout(x: Array, *, rate: float, training: bool, rng: Rng = None, **_: Any) -> Array:
    """X · n with n of the normal distribution of mean 1 and deviation √(rate / (1 − rate))."""
    if not training or rate <= 0:
        return x
    return np.asarray(x * np.asarray(drawing(rng).normal(1.0, math.sqrt(rate / (1 - rate)), x.shape), x.dtype))


@op("activity_regularization")
def activity_regularization(x: Array, **_: Any) -> Array:
    """X itself; its loss is l1 · Σ|x| + l2 · Σx², divided by the number of examples."""
    return x
