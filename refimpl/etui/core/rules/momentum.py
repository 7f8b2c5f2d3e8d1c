"""Update rules that follow the gradient, or its sign, with momentum."""

from __future__ import annotations

import numpy as np

from etui.core.rules.update import Array, Update


def sgd(u: Update) -> Array:
    """Gradient descent. Slot `momentum`: a velocity, which the rate is part of, or a buffer, which it is not."""
    p, g, mu = u.variable, u.gradient, u.h["momentum"]
    if not mu:
        return p - u.rate * g
    if u.h["momentum_form"] == "velocity":
        v = u.slots["momentum"] = mu * u.slots["momentum"] - u.rate * g
        return p + (mu * v - u.rate * g if u.h["nesterov"] else v)
    # The first gradient is taken whole, whatever the dampening.
    share = 1.0 if u.step == 1 else 1.0 - u.h["dampening"]
    b = u.slots["momentum"] = mu * u.slots["momentum"] + share * g
    return p - u.rate * (g + mu * b if u.h["nesterov"] else b)


def lion(u: Update) -> Array:
    """The sign of an interpolated momentum. Slot `momentum`: an average of gradients with another decay."""
    m, g, beta = u.slots["momentum"], u.gradient, u.h["beta_1"]
    p = u.variable - u.rate * np.sign(beta * m + (1 - beta) * g)
    u.average("momentum", u.h["beta_2"], g)
    return p
