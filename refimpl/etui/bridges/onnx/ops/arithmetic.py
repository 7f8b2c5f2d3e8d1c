"""Functions of the elements, and reductions (SPEC.md J.10)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from etui.bridges.onnx.ops.activation import add, exp
from etui.bridges.onnx.ops.registry import op
from etui.bridges.onnx.tools import all_axes, all_of, any_of, floating, reduced, reshape, squeeze, truth, where
from etui.bridges.onnx.tools import where as choose
from etui.bridges.onnx.value import BOOL, DOUBLE, FLOAT, INT64, Value

_NODES = {
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "reciprocal": "Reciprocal",
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "erf": "Erf",
}
_FLOATS: dict[str, Callable[[Value], Value]] = {
    "expm1": lambda x: exp(x) - 1.0,
    "log1p": lambda x: add("Log", x + 1.0),
    "log2": lambda x: add("Log", x) / math.log(2),
    "log10": lambda x: add("Log", x) / math.log(10),
    "rsqrt": lambda x: 1.0 / add("Sqrt", x),
}
_WHOLE = {"floor": "Floor", "ceil": "Ceil", "round": "Round"}
_KINDS: dict[str, Callable[[Value], Value]] = {
    "isnan": lambda x: x.graph.add("IsNaN", x),
    "isinf": lambda x: x.graph.add("IsInf", x),
    "isfinite": lambda x: ~(x.graph.add("IsNaN", x) | x.graph.add("IsInf", x)),
}


@op("unary")
def unary(x: Value, *, function: str, **_: Any) -> Value:
    """A function of each element."""
    if function in _NODES:
        return add(_NODES[function], x)
    if function in _FLOATS:
        return _FLOATS[function](floating(x))
    if function in _KINDS:
        return _KINDS[function](floating(x))
    if function == "logical_not":
        return ~truth(x)
    if function in _WHOLE:
        return add(_WHOLE[function], x) if x.is_float else x
    return _plain(x, function)


def _plain(x: Value, function: str) -> Value:
    """Functions that give integers for integers."""
    kind = x.kind
    x = x.graph.cast(x, INT64) if kind == BOOL else x
    if function == "abs":
        y = x.graph.add("Abs", x)
    elif function == "neg":
        y = -x
    elif function == "square":
        y = x * x
    elif x.is_float:  # the sign of what is no number is none
        y = choose(x.graph.add("IsNaN", x), x, x.graph.add("Sign", x))
    else:
        y = x.graph.add("Sign", x)
    return x.graph.cast(y, kind) if kind == BOOL else y


# --- of two tensors ---------------------------------------------------------------------------------------------------

_COMPARISONS = {
    "less": "Less",
    "less_equal": "LessOrEqual",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}
_LOGIC = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}
_ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul", "pow": "Pow", "max": "Max", "min": "Min"}


@op("binary", limits="`pow` of integers with a negative exponent gives what the runtime gives")
def binary(x: Value, y: Value, *, function: str, **_: Any) -> Value:
    """A function of each pair of elements."""
    graph = x.graph
    if function in _LOGIC:
        return graph.one(_LOGIC[function], truth(x), truth(y))
    if function in {"equal", "not_equal"}:
        same = graph.one("Equal", *(graph.common(x, y) if x.kind != y.kind else (x, y)))
        return same if function == "equal" else ~same
    if function in _COMPARISONS:
        return graph.arithmetic(_COMPARISONS[function], x, y)
    if function == "div":
        return floating(x) / floating(y)
    if function == "atan2":
        return atan2(floating(x), floating(y))
    if function in {"floor_div", "mod"}:
        whole, rest = divided(*graph.common(x, y))
        return whole if function == "floor_div" else rest
    found = graph.arithmetic(_ARITHMETIC[function], x, y)
    return graph.cast(found, BOOL) if x.kind == y.kind == BOOL else found


def divided(x: Value, y: Value) -> tuple[Value, Value]:
    """The floor of x / y, and x without that many times y."""
    graph = x.graph
    if not x.is_float:
        x, y = graph.cast(x, INT64), graph.cast(y, INT64)
        zero = graph.add("Equal", y, graph.constant(0))
        y = where(zero, 1, y)  # a runtime may end where integers are divided by zero
        rest = graph.add("Mod", x, y)
        return where(zero, 0, (x - rest) / y), where(zero, 0, rest)
    rest = graph.add("Mod", x, y, fmod=1)
    other_sign = (rest < 0.0) & ~(y < 0.0) | (rest > 0.0) & (y < 0.0)
    rest = where(other_sign, rest + y, rest)
    whole = graph.add("Round", (x - rest) / y)
    return where(graph.add("Equal", y, graph.constant(0.0)), x / y, whole), rest


def atan2(x: Value, y: Value) -> Value:
    """The angle of the point (y, x)."""
    graph = x.graph
    none = graph.constant(0.0)
    below = (x < 0.0) | (graph.add("Equal", x, none) & (1.0 / x < 0.0))
    half = where(below, graph.constant(-math.pi), math.pi)
    base = graph.add("Atan", x / y)
    on_axis = where(x > 0.0, graph.constant(math.pi / 2), where(x < 0.0, graph.constant(-math.pi / 2), x))
    left = (y < 0.0) | (graph.add("Equal", y, none) & graph.add("Equal", x, none) & (1.0 / y < 0.0))
    middle = where(graph.add("Equal", y, none), on_axis, base)
    return where(left, where(graph.add("Equal", x, none), half, base + half), middle)


@op("clip")
def clip(x: Value, *, low: float | None, high: float | None, **_: Any) -> Value:
    """`min(max(x, low), high)`, of the kind of `x`; null is no bound."""
    graph = x.graph
    y = x if x.is_float else graph.cast(x, DOUBLE)
    if low is not None:
        y = graph.add("Max", y, graph.constant(low, y.kind))
    if high is not None:
        y = graph.add("Min", y, graph.constant(high, y.kind))
    return graph.cast(y, x.kind)


@op("where")
def where_op(condition: Value, x: Value, y: Value, **_: Any) -> Value:
    """The element of `x` where the condition is true, else that of `y`."""
    return choose(condition, x, y)


# --- along axes -------------------------------------------------------------------------------------------------------

_REDUCTIONS = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd", "mean": "ReduceMean"}


@op("reduce")
def reduce(x: Value, *, function: str, axes: Sequence[int] | None, keepdims: bool, **_: Any) -> Value:
    """A function of the elements along axes; `var` and `std` divide by their number."""
    over = all_axes(axes, x.rank)
    if function in {"any", "all"}:
        return (any_of if function == "any" else all_of)(x, over, keepdims=keepdims)
    if function in {"var", "std"}:
        variance = moments(floating(x), over, keepdims=keepdims)[1]
        return variance if function == "var" else add("Sqrt", variance)
    if function == "logsumexp":
        return logsumexp(floating(x), over, keepdims)
    if x.kind == BOOL:
        found = reduced(
            _REDUCTIONS[function], x.graph.cast(x, FLOAT if function == "mean" else INT64), over, keepdims=keepdims
        )
        return x.graph.cast(found, BOOL) if function in {"max", "min"} else found
    return reduced(_REDUCTIONS[function], floating(x) if function == "mean" else x, over, keepdims=keepdims)


def moments(x: Value, axes: Sequence[int], *, keepdims: bool = True) -> tuple[Value, Value]:
    """The mean and the biased variance along axes."""
    mean = reduced("ReduceMean", x, axes, keepdims=True) if axes else x
    distance = x - mean
    variance = reduced("ReduceMean", distance * distance, axes, keepdims=keepdims)
    return (mean if keepdims else squeeze(mean, axes)), variance


def logsumexp(x: Value, axes: Sequence[int], keepdims: bool) -> Value:
    """`log(Σ exp(x))`, from the largest element on."""
    if not axes:
        return x
    top = reduced("ReduceMax", x, axes, keepdims=True)
    top = choose(_KINDS["isfinite"](top), top, 0.0)
    y = add("Log", reduced("ReduceSum", exp(x - top), axes, keepdims=True)) + top
    return y if keepdims else squeeze(y, axes)


@op("arg_reduce")
def arg_reduce(x: Value, *, function: str, axis: int | None, keepdims: bool, **_: Any) -> Value:
    """The index of the first largest or smallest element along an axis; null means of the flat tensor."""
    graph, rank = x.graph, x.rank
    x = graph.cast(x, INT64) if x.kind == BOOL else x
    x = graph.cast(x, DOUBLE) if x.kind == INT64 else x
    name = "ArgMax" if function == "argmax" else "ArgMin"
    if axis is not None:
        return graph.one(name, x, axis=axis, keepdims=int(keepdims))
    place = graph.add(name, reshape(x, [-1]), axis=0, keepdims=0)
    return reshape(place, [1] * rank) if keepdims else place
