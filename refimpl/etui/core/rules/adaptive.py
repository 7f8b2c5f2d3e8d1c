"""Update rules with averages of the gradient (`momentum`) and of its square or size (`velocity`, `norm`)."""

from __future__ import annotations

import math

import numpy as np

from etui.core.rules.update import Array, Update, bias, norm


def adam(u: Update) -> Array:
    """Adam, AdamW and AMSGrad: where epsilon stands, and what the largest is taken of, are hyperparameters."""
    h = u.h
    m = u.average("momentum", h["beta_1"], u.gradient)
    v = u.average("velocity", h["beta_2"], np.square(u.gradient))
    bc1, bc2 = bias(h["beta_1"], u.step), bias(h["beta_2"], u.step)
    corrected_max = h["amsgrad"] and h["amsgrad_max_of"] == "corrected"
    if h["amsgrad"]:
        v = u.slots["velocity_hat"] = np.maximum(u.slots["velocity_hat"], v / bc2 if corrected_max else v)
    if h["epsilon_mode"] == "uncorrected":
        raw = v * bc2 if corrected_max else v
        return u.variable - u.rate * math.sqrt(bc2) / bc1 * m / (np.sqrt(raw) + h["epsilon"])
    hat = v if corrected_max else v / bc2
    return u.variable - u.rate * (m / bc1) / (np.sqrt(hat + h["epsilon_root"]) + h["epsilon"])


def adamax(u: Update) -> Array:
    """Adam with the largest size of past gradients, which decays, in place of the root of the average square."""
    h = u.h
    m = u.average("momentum", h["beta_1"], u.gradient)
    inside = h["epsilon_mode"] == "in_max"
    size = np.abs(u.gradient) + (h["epsilon"] if inside else 0.0)
    largest = u.slots["norm"] = np.maximum(h["beta_2"] * u.slots["norm"], size)
    return u.variable - u.rate / bias(h["beta_1"], u.step) * m / (largest + (0.0 if inside else h["epsilon"]))


def nadam(u: Update) -> Array:
    """Adam with Nesterov's momentum, whose weight grows from step to step."""
    h = u.h
    m = u.average("momentum", h["beta_1"], u.gradient)
    v = u.average("velocity", h["beta_2"], np.square(u.gradient))
    now, ahead = momentum_weight(u, u.step), momentum_weight(u, u.step + 1)
    product = u.shared["u_product"]
    m_hat = ahead * m / (1 - product * ahead) + (1 - now) * u.gradient / (1 - product)
    bc2 = bias(h["beta_2"], u.step)
    if h["epsilon_mode"] == "uncorrected":
        return u.variable - u.rate * math.sqrt(bc2) * m_hat / (np.sqrt(v) + h["epsilon"])
    return u.variable - u.rate * m_hat / (np.sqrt(v / bc2) + h["epsilon"])


def momentum_weight(u: Update, step: int) -> float:
    """The weight u_t of Nadam's momentum: beta_1 (1 - base^(t decay) / 2)."""
    power = u.h["schedule_base"] ** (step * u.h["schedule_decay"])
    return float(u.h["beta_1"] * (1 - 0.5 * power))


def lamb(u: Update) -> Array:
    """Adam whose step has the length of the variable, times the rate."""
    h = u.h
    m = u.average("momentum", h["beta_1"], u.gradient)
    v = u.average("velocity", h["beta_2"], np.square(u.gradient))
    direction = (m / bias(h["beta_1"], u.step)) / (np.sqrt(v / bias(h["beta_2"], u.step)) + h["epsilon"])
    length, size = norm(u.variable), norm(direction)
    ratio = 1.0 if 0.0 in (length, size) else length / size
    return u.variable - ratio * u.rate * direction


def schedule_free_adamw(u: Update) -> Array:
    """Schedule-free AdamW. The variable is the point y where gradients are taken, the slot `momentum` the iterate z."""
    h = u.h
    beta, warmup = h["beta_1"], h["warmup_steps"]
    rate = u.rate * min(u.step / warmup, 1.0) if warmup else u.rate
    v = u.average("velocity", h["beta_2"], np.square(u.gradient))
    y, z = u.variable, u.slots["momentum"]
    x = (y - (1 - beta) * z) / beta
    z = u.slots["momentum"] = z - rate * u.gradient / (np.sqrt(v / bias(h["beta_2"], u.step)) + h["epsilon"])
    x = (1 - 1 / u.step) * x + 1 / u.step * z
    return (1 - beta) * z + beta * x
