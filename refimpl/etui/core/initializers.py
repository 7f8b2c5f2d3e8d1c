"""How variables begin (SPEC.md, annex J.13).

The definition is the distribution. Frameworks draw from it by streams of their own, so that equal seeds mean equal
numbers in none of them but one; here NumPy's generator draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.canonical.values import ObjectValue
from etui.core.parameters import parameters

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type
# Standard deviation of the standard normal distribution that is cut at -2 and 2.
TRUNCATED = 0.87962566103423978
_VARIANCE: dict[str, tuple[float, str, str]] = {
    "glorot_uniform": (1.0, "fan_avg", "uniform"),
    "glorot_normal": (1.0, "fan_avg", "truncated_normal"),
    "he_uniform": (2.0, "fan_in", "uniform"),
    "he_normal": (2.0, "fan_in", "truncated_normal"),
    "lecun_uniform": (1.0, "fan_in", "uniform"),
    "lecun_normal": (1.0, "fan_in", "truncated_normal"),
}


def draw(
    initializer: ObjectValue,
    shape: Sequence[int],
    dtype: npt.DTypeLike = np.float32,
    rng: np.random.Generator | None = None,
) -> Array:
    """A variable as it begins.

    Args:
        initializer: of a class ``core:initializers.*``.
        shape: of the variable, in its canonical layout.
        dtype: of the variable.
        rng: draws the numbers; without one, the initializer's seed makes it.

    Raises:
        InvalidError: ``core-attrs``.
    """
    name, attrs = parameters(initializer, "initializers")
    size = tuple(shape)
    if name in ("zeros", "ones", "constant"):
        return np.full(size, {"zeros": 0.0, "ones": 1.0}.get(name, attrs.get("value")), dtype)
    if name == "identity":
        return (attrs["gain"] * np.eye(size[0], size[1])).astype(dtype)
    seed = attrs["seed"] if isinstance(attrs["seed"], int) else None
    rng = rng or np.random.default_rng(seed)
    if name == "orthogonal":
        return _orthogonal(size, attrs["gain"], rng).astype(dtype)
    if name in ("random_normal", "truncated_normal"):
        drawn = rng.standard_normal(size) if name == "random_normal" else _truncated(size, rng)
        return (attrs["mean"] + attrs["stddev"] * drawn).astype(dtype)
    if name == "random_uniform":
        return rng.uniform(attrs["minval"], attrs["maxval"], size).astype(dtype)
    scale, mode, kind = _VARIANCE.get(name) or (attrs["scale"], attrs["mode"], attrs["distribution"])
    return _scaled(size, deviation(size, scale, mode, attrs), kind, rng).astype(dtype)


def fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """How many numbers go into one output, and out of one input, of a kernel of this shape.

    Args:
        shape: of the kernel: its receptive field, then inputs and outputs.
        input_axes: with `output_axes`, the axes whose sizes are multiplied instead.
        output_axes: the axes of the outputs.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def deviation(shape: Sequence[int], scale: float, mode: str, attrs: dict[str, Any]) -> float:
    """The standard deviation of `variance_scaling`: the root of the scale by the fans."""
    before, after = fans(shape, attrs["input_axes"], attrs["output_axes"])
    size = {"fan_in": before, "fan_out": after, "fan_avg": (before + after) / 2}[mode]
    return math.sqrt(scale / max(1.0, size))


def _scaled(shape: tuple[int, ...], stddev: float, kind: str, rng: np.random.Generator) -> Array:
    if kind == "uniform":
        limit = math.sqrt(3.0) * stddev
        return rng.uniform(-limit, limit, shape)
    if kind == "truncated_normal":
        return stddev / TRUNCATED * _truncated(shape, rng)
    return stddev * rng.standard_normal(shape)


def _truncated(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Standard normal numbers; those beyond -2 and 2 are drawn again."""
    drawn = rng.standard_normal(shape)
    beyond = np.abs(drawn) > 2
    while beyond.any():
        drawn = np.where(beyond, rng.standard_normal(shape), drawn)
        beyond = np.abs(drawn) > 2
    return drawn


def _orthogonal(shape: tuple[int, ...], gain: float, rng: np.random.Generator) -> Array:
    """Rows or columns, whichever are fewer, of one length and at right angles, with no direction preferred."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return gain * (q.T if rows < columns else q).reshape(shape)
