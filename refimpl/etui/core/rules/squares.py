"""Update rules that divide by the root of summed or averaged squares of the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.core.rules.update import Array, Update


def rmsprop(u: Update) -> Array:
    """RMSprop, also centered, with the rate inside of the momentum (velocity) or outside (buffer)."""
    h, g = u.h, u.gradient
    square = u.average("velocity", h["rho"], np.square(g))
    if h["centered"]:
        square = square - np.square(u.average("average_gradient", h["rho"], g))
    direction = g / _root(square, h)
    if not h["momentum"]:
        return u.variable - u.rate * direction
    outside = h["momentum_form"] == "buffer"
    buffer = h["momentum"] * u.slots["momentum"] + (direction if outside else u.rate * direction)
    u.slots["momentum"] = buffer
    return u.variable - (u.rate * buffer if outside else buffer)


def adagrad(u: Update) -> Array:
    """Adagrad: the slot `accumulator` is the sum of all squares."""
    total = u.slots["accumulator"] = u.slots["accumulator"] + np.square(u.gradient)
    rate = u.rate / (1 + (u.step - 1) * u.h["rate_decay"])
    return u.variable - rate * u.gradient / _root(total, u.h)


def adadelta(u: Update) -> Array:
    """Adadelta: steps of the size of past steps, by averages of both squares."""
    h = u.h
    square = u.average("accumulated_grad", h["rho"], np.square(u.gradient))
    past = u.slots["accumulated_delta_var"]
    delta = np.sqrt(past + h["epsilon"]) / np.sqrt(square + h["epsilon"]) * u.gradient
    u.average("accumulated_delta_var", h["rho"], np.square(delta))
    return u.variable - u.rate * delta


def ftrl(u: Update) -> Array:
    """Follow the regularized leader, with shrinkage: the variable follows anew from the slots."""
    h, g, p, power = u.h, u.gradient, u.variable, -u.h["learning_rate_power"]
    rate = np.asarray(u.rate, p.dtype)  # a schedule may end at 0, and NumPy divides by it
    before = u.slots["accumulator"]
    after = u.slots["accumulator"] = before + np.square(g)
    change = (np.power(after, power) - np.power(before, power)) / rate
    linear = u.slots["linear"] + g + 2 * h["l2_shrinkage"] * p - change * p
    u.slots["linear"] = linear
    quadratic = np.power(after, power) / rate + 2 * h["l2"] + h["beta"] / rate
    return (np.clip(linear, -h["l1"], h["l1"]) - linear) / quadratic


def _root(square: Array, h: Mapping[str, Any]) -> Array:
    """The divisor: the root of the squares with epsilon added inside or outside of it."""
    if h["epsilon_mode"] == "inside":
        return np.sqrt(square + h["epsilon"])
    return np.sqrt(square) + h["epsilon"]
