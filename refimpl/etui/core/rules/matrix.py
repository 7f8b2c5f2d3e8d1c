"""Muon: momentum whose matrix is brought near to an orthogonal one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.core.rules.update import Array, Update, bias

_SMALLEST = 1e-7  # beside the norm of a matrix, so that zeros stay zeros


def uses_adam(h: Mapping[str, Any], path: str, axes: int) -> bool:
    """Whether Muon leaves a variable to AdamW: what is no matrix, and the matrices that are named.

    Args:
        h: the hyperparameters.
        path: of the variable.
        axes: how many it has.
    """
    return axes != 2 or path in h["adam_variables"]


def muon(u: Update) -> Array:
    """Muon for matrices, and AdamW (with epsilon uncorrected) for all else."""
    h, g = u.h, u.gradient
    if uses_adam(h, u.path, g.ndim):
        m = u.average("momentum", h["adam_beta_1"], g)
        v = u.average("velocity", h["adam_beta_2"], np.square(g))
        scale = math.sqrt(bias(h["adam_beta_2"], u.step)) / bias(h["adam_beta_1"], u.step)
        return u.variable - u.rate * h["adam_rate_ratio"] * scale * m / (np.sqrt(v) + h["epsilon"])
    m = u.slots["momentum"] = h["momentum"] * u.slots["momentum"] + g
    direction = _orthogonalized(g + h["momentum"] * m if h["nesterov"] else m, h)
    size = 1.0 if h["rms_rate"] is None else math.sqrt(max(g.shape)) * h["rms_rate"]
    return u.variable - u.rate * size * direction


def _orthogonalized(x: Array, h: Mapping[str, Any]) -> Array:
    """Newton and Schulz's iteration with a polynomial of the fifth degree, over the shorter side."""
    a, b, c = h["ns_coefficients"]
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (float(np.linalg.norm(x.astype(np.float64))) + _SMALLEST)
    for _ in range(h["ns_steps"]):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
