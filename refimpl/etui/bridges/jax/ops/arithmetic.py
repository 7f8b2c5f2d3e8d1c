"""Functions of elements and reductions (SPEC.md, annex J.10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from etui.bridges.jax.ops.registry import Array, op

_UNARY: dict[str, Callable[[Any], Array]] = {
    "abs": jnp.abs,
    "neg": jnp.negative,
    "sign": jnp.sign,
    "exp": jnp.exp,
    "expm1": jnp.expm1,
    "log": jnp.log,
    "log1p": jnp.log1p,
    "log2": jnp.log2,
    "log10": jnp.log10,
    "sqrt": jnp.sqrt,
    "rsqrt": lambda x: lax.rsqrt(_real(x)),
    "square": jnp.square,
    "reciprocal": jnp.reciprocal,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": jnp.tan,
    "asin": jnp.arcsin,
    "acos": jnp.arccos,
    "atan": jnp.arctan,
    "sinh": jnp.sinh,
    "cosh": jnp.cosh,
    "asinh": jnp.arcsinh,
    "acosh": jnp.arccosh,
    "atanh": jnp.arctanh,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "round": jnp.round,
    "erf": lambda x: lax.erf(_real(x)),
    "isnan": jnp.isnan,
    "isinf": jnp.isinf,
    "isfinite": jnp.isfinite,
    "logical_not": jnp.logical_not,
}
_BINARY: dict[str, Callable[[Any, Any], Array]] = {
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "floor_div": jnp.floor_divide,
    "mod": jnp.mod,
    "pow": jnp.power,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "equal": jnp.equal,
    "not_equal": jnp.not_equal,
    "less": jnp.less,
    "less_equal": jnp.less_equal,
    "greater": jnp.greater,
    "greater_equal": jnp.greater_equal,
    "logical_and": jnp.logical_and,
    "logical_or": jnp.logical_or,
    "logical_xor": jnp.logical_xor,
    "atan2": jnp.arctan2,
}
_REDUCE: dict[str, Callable[..., Array]] = {
    "sum": jnp.sum,
    "mean": jnp.mean,
    "max": jnp.max,
    "min": jnp.min,
    "prod": jnp.prod,
    "var": jnp.var,
    "std": jnp.std,
    "any": jnp.any,
    "all": jnp.all,
    "logsumexp": jax.nn.logsumexp,
}


def _real(x: Any) -> Array:
    array = jnp.asarray(x)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(jnp.float32)


@op("unary")
def unary(x: Any, *, function: str, **_: Any) -> Array:
    """A function of each element."""
    return _UNARY[function](x)


@op("binary")
def binary(x: Any, y: Any, *, function: str, **_: Any) -> Array:
    """A function of two elements; a number of the config takes the dtype of the tensor."""
    return _BINARY[function](x, y)


@op("clip")
def clip(x: Array, *, low: float | None, high: float | None, **_: Any) -> Array:
    """Each element between two bounds."""
    return jnp.clip(x, low, high)


@op("where")
def where(condition: Any, x: Any, y: Any, **_: Any) -> Array:
    """`x` where the condition holds, else y."""
    return jnp.where(jnp.asarray(condition).astype(bool), x, y)


@op("reduce")
def reduce(x: Array, *, function: str, axes: Sequence[int] | None, keepdims: bool, **_: Any) -> Array:
    """One element of all along the axes."""
    return _REDUCE[function](x, axis=None if axes is None else tuple(axes), keepdims=keepdims)


@op("arg_reduce")
def arg_reduce(x: Array, *, function: str, axis: int | None, keepdims: bool, **_: Any) -> Array:
    """The index of the first largest or smallest element along the axis, or of the flattened tensor."""
    found = jnp.argmax if function == "argmax" else jnp.argmin
    return found(x, axis=axis, keepdims=keepdims).astype(jnp.int32)
