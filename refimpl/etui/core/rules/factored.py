"""Adafactor: the average of squares of a matrix, kept as averages of its rows and columns."""

from __future__ import annotations

import math

import numpy as np

from etui.core.rules.update import Array, Update, root_mean_square


def adafactor(u: Update) -> Array:
    """Adafactor. Slots `r` and `c` leave out the last axis and the last but one; `v` is the whole of them."""
    h, g, t = u.h, u.gradient, u.step
    decay = 1 - t ** h["beta_2_decay"]
    square = np.square(g) + h["epsilon_1"]
    if g.ndim >= 2:
        r = u.average("r", decay, np.mean(square, axis=-1))
        c = u.average("c", decay, np.mean(square, axis=-2))
        rows = r / np.mean(r, axis=-1, keepdims=True)
        u.slots["v"] = rows[..., np.newaxis] * c[..., np.newaxis, :]
    else:
        u.average("v", decay, square)
    direction = g / np.sqrt(u.slots["v"])
    # NumPy's maximum keeps what is not a number.
    direction = direction / float(np.maximum(1.0, root_mean_square(direction) / h["clip_threshold"]))
    relative = min(u.rate, 1 / math.sqrt(t)) if h["relative_step"] else u.rate
    return u.variable - relative * float(np.maximum(h["epsilon_2"], root_mean_square(u.variable))) * direction
