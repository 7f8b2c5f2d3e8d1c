"""Functions of the elements, and reductions (SPEC.md J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from etui.core.activations import erf as erf_of_floats
from etui.core.ops.floats import floating
from etui.core.ops.normalization import all_axes
from etui.core.ops.registry import Array, op


def erf(x: Array) -> Array:
    """The error function, by the one of Python's `math`."""
    return erf_of_floats(floating(x))


def rsqrt(x: Array) -> Array:
    """`1 / sqrt(x)`."""
    return 1 / np.sqrt(x)


# Functions that give integers of integers, those that give booleans, and those that compute in floats.
_WHOLE: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs,
    "neg": np.negative,
    "sign": np.sign,
    "square": np.square,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
}
_TRUTH: dict[str, Callable[[Array], Array]] = {
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "logical_not": np.logical_not,
}
_FLOAT: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "rsqrt": rsqrt,
    "reciprocal": np.reciprocal,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": erf,
}
_BINARY: dict[str, Callable[[Any, Any], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "floor_div": np.floor_divide,
    "mod": np.mod,
    "pow": np.power,
    "max": np.maximum,
    "min": np.minimum,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "atan2": np.arctan2,
}


def logsumexp(x: Array, axis: Any, keepdims: bool) -> Array:
    """`log(Σ exp(x))`, computed from the largest value on so that nothing overflows."""
    top = x.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(y if keepdims else y.squeeze(axis))


_REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
    "var": np.var,
    "std": np.std,
    "any": np.any,
    "all": np.all,
    "logsumexp": logsumexp,
}
_FLOAT_REDUCTIONS = frozenset({"mean", "var", "std", "logsumexp"})


def _number(x: Array) -> Array:
    """The tensor, or its truth values as 0 and 1."""
    return x.astype(np.int64) if x.dtype.kind == "b" else x


@op("unary")
def unary(x: Array, *, function: str, **_: Any) -> Array:
    """A function of each element."""
    if function in _FLOAT:
        return _FLOAT[function](floating(x))
    return _TRUTH[function](x) if function in _TRUTH else _WHOLE[function](_number(x))


@op("binary")
def binary(x: Array, y: Array, *, function: str, **_: Any) -> Array:
    """A function of each pair of elements; axes are broadcast from the last one on, and a number is a tensor."""
    return _BINARY[function](x, y)


@op("clip")
def clip(x: Array, *, low: float | None, high: float | None, **_: Any) -> Array:
    """`min(max(x, low), high)`, of the dtype of `x`, booleans as integers; null is no bound."""
    x = _number(x)
    y = x if low is None else np.maximum(x, low)
    return (y if high is None else np.minimum(y, high)).astype(x.dtype)


@op("where")
def where(condition: Array, x: Array, y: Array, **_: Any) -> Array:
    """The element of `x` where the condition is true, else that of `y`."""
    return np.where(condition, x, y)


@op("reduce")
def reduce(x: Array, *, function: str, axes: Sequence[int] | None, keepdims: bool, **_: Any) -> Array:
    """A function of the elements along axes; `var` and `std` divide by their number."""
    x = floating(x) if function in _FLOAT_REDUCTIONS else x
    over = all_axes(axes, x.ndim)
    return np.asarray(_REDUCTIONS[function](x, axis=over, keepdims=keepdims))


@op("arg_reduce")
def arg_reduce(x: Array, *, function: str, axis: int | None, keepdims: bool, **_: Any) -> Array:
    """The index of the first largest or smallest element along an axis; null means of the flat tensor."""
    found = (
        np.argmax(x, axis=axis, keepdims=keepdims) if function == "argmax" else np.argmin(x, axis, keepdims=keepdims)
    )
    return np.asarray(found)
