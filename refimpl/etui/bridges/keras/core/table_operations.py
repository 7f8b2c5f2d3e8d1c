"""Operations of Keras 3, which graphs hold beside layers (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.core.objects import activation_of
from etui.bridges.keras.core.rules import (
    REQUIRED,
    Attr,
    Attrs,
    Idle,
    NotCoreError,
    Rule,
    Shape,
    Signature,
    all_axes,
    axes,
    flag,
    integer,
    number,
    operation,
    text,
)
from etui.canonical.values import ObjectValue
from etui.errors import shown

_ONE = Signature(("x",))
_TWO = Signature(("x1", "x2"), inputs=2, positional=2)
_LIST = Signature(("xs",), listed=True)


def _says(**fixed: Any) -> Any:
    return lambda attrs: all(attrs.get(key) == value for key, value in fixed.items())


# --- element by element -----------------------------------------------------------------------------------------------

_UNARY = {
    "abs": ("numpy.Absolute", "numpy.Abs"),
    "neg": ("numpy.Negative",),
    "sign": ("numpy.Sign",),
    "exp": ("numpy.Exp",),
    "expm1": ("numpy.Expm1",),
    "log": ("numpy.Log",),
    "log1p": ("numpy.Log1p",),
    "log2": ("numpy.Log2",),
    "log10": ("numpy.Log10",),
    "sqrt": ("numpy.Sqrt",),
    "rsqrt": ("math.Rsqrt",),
    "square": ("numpy.Square",),
    "reciprocal": ("numpy.Reciprocal",),
    "sin": ("numpy.Sin",),
    "cos": ("numpy.Cos",),
    "tan": ("numpy.Tan",),
    "asin": ("numpy.Arcsin",),
    "acos": ("numpy.Arccos",),
    "atan": ("numpy.Arctan",),
    "sinh": ("numpy.Sinh",),
    "cosh": ("numpy.Cosh",),
    "asinh": ("numpy.Arcsinh",),
    "acosh": ("numpy.Arccosh",),
    "atanh": ("numpy.Arctanh",),
    "floor": ("numpy.Floor",),
    "ceil": ("numpy.Ceil",),
    "erf": ("math.Erf",),
    "isnan": ("numpy.Isnan",),
    "isinf": ("numpy.Isinf",),
    "isfinite": ("numpy.Isfinite",),
    "logical_not": ("numpy.LogicalNot",),
}
_BINARY = {
    "add": "Add",
    "sub": "Subtract",
    "mul": "Multiply",
    "div": "TrueDivide",
    "floor_div": "FloorDivide",
    "mod": "Mod",
    "pow": "Power",
    "max": "Maximum",
    "min": "Minimum",
    "equal": "Equal",
    "not_equal": "NotEqual",
    "less": "Less",
    "less_equal": "LessEqual",
    "greater": "Greater",
    "greater_equal": "GreaterEqual",
    "logical_and": "LogicalAnd",
    "logical_or": "LogicalOr",
    "logical_xor": "LogicalXor",
    "atan2": "Arctan2",
}


def _bound(key: str, name: str) -> Attr:
    def lift(value: Any, _: Mapping[str, Any]) -> float | None:
        if value is not None and type(value) not in (int, float):
            raise NotCoreError(f"{key} is {shown(value)}")
        return None if value is None else float(value)

    return Attr(key, name, None, lift, lambda value, _: value)


_ELEMENTS = [
    *(
        operation(name, "unary", fixed={"function": function}, fits=_says(function=function))
        for function, names in _UNARY.items()
        for name in names
    ),
    operation(
        "numpy.Round",
        "unary",
        fixed={"function": "round"},
        fits=_says(function="round"),
        idle={"decimals": Idle(0, (0,))},
    ),
    *(
        operation(
            f"numpy.{name}", "binary", fixed={"function": function}, fits=_says(function=function), signature=_TWO
        )
        for function, name in _BINARY.items()
    ),
    operation("numpy.Divide", "binary", fixed={"function": "div"}, fits=_says(function="div"), signature=_TWO),
    operation("numpy.Clip", "clip", _bound("x_min", "low"), _bound("x_max", "high")),
    operation("numpy.Where", "where", signature=Signature(("condition", "x1", "x2"), 3, 3)),
    operation("numpy.Matmul", "matmul", signature=_TWO),
]

# --- activations ------------------------------------------------------------------------------------------------------

_CLASSES = {
    "celu": "Celu",
    "gelu": "Gelu",
    "glu": "Glu",
    "hard_shrink": "HardShrink",
    "hard_sigmoid": "HardSigmoid",
    "hard_silu": "HardSilu",
    "hard_tanh": "HardTanh",
    "log_sigmoid": "LogSigmoid",
    "log_softmax": "LogSoftmax",
    "relu": "Relu",
    "relu6": "Relu6",
    "selu": "Selu",
    "sigmoid": "Sigmoid",
    "silu": "Silu",
    "soft_shrink": "SoftShrink",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "sparse_plus": "SparsePlus",
    "sparse_sigmoid": "SparseSigmoid",
    "squareplus": "Squareplus",
    "tanh_shrink": "TanhShrink",
    "threshold": "Threshold",
}
# Parameter -> Keras' default of the operation, which for some is another than that of the activation.
_TAKES: dict[str, dict[str, Any]] = {
    "celu": {"alpha": 1.0},
    "gelu": {"approximate": True},
    "glu": {"axis": -1},
    "hard_shrink": {"threshold": 0.5},
    "log_softmax": {"axis": -1},
    "soft_shrink": {"threshold": 0.5},
    "squareplus": {"b": 4},
    "threshold": {"threshold": REQUIRED, "default_value": REQUIRED},
}


def _activation(name: str, function: str) -> Rule:
    """An operation that is an activation of the vocabulary, whose parameters are those of the activation."""
    takes = _TAKES.get(function, {})

    def more(attrs: Attrs, given: Mapping[str, Any], _: Shape | None) -> None:
        found = {key: given.get(key, default) for key, default in takes.items()}
        for key, item in found.items():
            if type(item) not in (int, float, bool):
                raise NotCoreError(f"{key} is {shown(item)}")
            if type(item) is int and key != "axis":
                found[key] = float(item)
        attrs["function"] = activation_of(function, found)

    def fits(attrs: Mapping[str, Any]) -> bool:
        value = attrs["function"]
        config = (value.config or {}) if isinstance(value, ObjectValue) else {}
        own = value.class_name.rpartition(".")[2] if isinstance(value, ObjectValue) else value
        return bool(own == function) and config.keys() <= takes.keys()

    def back(attrs: Attrs, core: Mapping[str, Any], _: int | None) -> None:
        value = core["function"]
        config = (value.config or {}) if isinstance(value, ObjectValue) else {}
        usual = {"gelu": {"approximate": False}}.get(function, takes)
        attrs.update({key: config.get(key, usual[key]) for key in takes})

    return operation(name, "activation", idle=dict.fromkeys(takes, Idle()), more=more, fits=fits, back=back)


_ACTIVATIONS = [
    *(_activation(f"nn.{name}", function) for function, name in _CLASSES.items()),
    _activation("numpy.Tanh", "tanh"),
    operation("nn.Elu", "elu", number("alpha", 1.0)),
    operation("nn.LeakyRelu", "leaky_relu", number("negative_slope", 0.2)),
    operation("nn.Softmax", "softmax", axes("axis")),
]

# --- reductions and products ------------------------------------------------------------------------------------------

_REDUCTIONS = {
    "sum": "numpy.Sum",
    "mean": "numpy.Mean",
    "max": "numpy.Max",
    "min": "numpy.Min",
    "prod": "numpy.Prod",
    "var": "numpy.Var",
    "std": "numpy.Std",
    "any": "numpy.Any",
    "all": "numpy.All",
    "logsumexp": "math.Logsumexp",
}
_BESIDE = {
    "max": {"initial": Idle(None, (None,))},
    "min": {"initial": Idle(None, (None,))},
    "prod": {"dtype": Idle(None, (None,))},
}
_REDUCED = [
    *(
        operation(
            name,
            "reduce",
            all_axes("axis"),
            flag("keepdims"),
            idle=_BESIDE.get(function, {}),
            fixed={"function": function},
            fits=_says(function=function),
        )
        for function, name in _REDUCTIONS.items()
    ),
    *(
        operation(
            f"numpy.{function.capitalize()}",
            "arg_reduce",
            integer("axis", None, null=True),
            flag("keepdims"),
            fixed={"function": function},
            fits=_says(function=function),
        )
        for function in ("argmax", "argmin")
    ),
    operation(
        "numpy.Einsum",
        "einsum",
        text("subscripts", name="equation"),
        signature=Signature(("*",), listed=True),
    ),
]

OPERATIONS = [*_ELEMENTS, *_ACTIVATIONS, *_REDUCED]
