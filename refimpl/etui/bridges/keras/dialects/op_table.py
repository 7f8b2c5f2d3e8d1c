"""Functions of TensorFlow in graphs of Keras 2, beside the operations of Keras 3 that compute the same (annex E).

Keras 2 makes a layer `TFOpLambda` of a call of such a function, with the arguments in the inbound node; Keras 3 makes a
node of a class of `keras.src.ops`, where some arguments are the class's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Operation:
    """One function and its equal.

    Attributes:
        function: TensorFlow's name.
        op: the class below `keras.src.ops`, with its module.
        inputs: parameters of the function that are arguments of the call in Keras 3, in its order.
        attrs: parameter of the function -> attribute of the class.
        defaults: parameter -> the value that it has where it is not given; a parameter that has neither an attribute
            nor is an input must have this value.
        floats: whether the two agree only where all inputs are floats.
        wide: whether they agree for integers of 32 and 64 bits, too.
        listed: whether the first input is a list of tensors.
        keeps: whether the result has the dtype of the first input; else it is that of `gives`.
        gives: the dtype of the result, where it is always the same.
        back: whether the operation of Keras 3 becomes this function.
    """

    function: str
    op: str
    inputs: tuple[str, ...] = ("x",)
    attrs: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    floats: bool = False
    wide: bool = False
    listed: bool = False
    keeps: bool = True
    gives: str | None = None
    back: bool = True


def _unary(op: str, *functions: str, name: str = "x", **more: Any) -> list[Operation]:
    return [Operation(function, op, (name,), back=not at, **more) for at, function in enumerate(functions)]


def _binary(op: str, *functions: str, **more: Any) -> list[Operation]:
    return [Operation(function, op, ("x", "y"), back=not at, **more) for at, function in enumerate(functions)]


def _reduction(op: str, function: str, **more: Any) -> Operation:
    attrs, defaults = {"axis": "axis", "keepdims": "keepdims"}, {"axis": None, "keepdims": False}
    return Operation(function, op, ("input_tensor",), attrs, defaults, **more)


_TABLE: list[Operation] = [
    *_unary("numpy.Absolute", "math.abs"),
    *_unary("numpy.Arccos", "math.acos", floats=True),
    *_unary("numpy.Arccosh", "math.acosh", floats=True),
    *_unary("numpy.Arcsin", "math.asin", floats=True),
    *_unary("numpy.Arcsinh", "math.asinh", floats=True),
    *_unary("numpy.Arctan", "math.atan", floats=True),
    *_unary("numpy.Arctanh", "math.atanh", floats=True),
    *_unary("numpy.Ceil", "math.ceil", floats=True),
    *_unary("numpy.Cos", "math.cos", floats=True),
    *_unary("numpy.Cosh", "math.cosh", floats=True),
    *_unary("numpy.Exp", "math.exp", floats=True),
    *_unary("numpy.Expm1", "math.expm1", floats=True),
    *_unary("numpy.Floor", "math.floor", floats=True),
    *_unary("numpy.Isfinite", "math.is_finite", keeps=False, gives="bool"),
    *_unary("numpy.Isinf", "math.is_inf", keeps=False, gives="bool"),
    *_unary("numpy.Isnan", "math.is_nan", keeps=False, gives="bool"),
    *_unary("numpy.Log", "math.log", floats=True),
    *_unary("numpy.Log1p", "math.log1p", floats=True),
    *_unary("numpy.LogicalNot", "math.logical_not"),
    *_unary("numpy.Negative", "math.negative"),
    *_unary("numpy.Reciprocal", "math.reciprocal", floats=True),
    *_unary("numpy.Round", "math.round", floats=True),
    *_unary("numpy.Sign", "math.sign"),
    *_unary("numpy.Sin", "math.sin", floats=True),
    *_unary("numpy.Sinh", "math.sinh", floats=True),
    *_unary("numpy.Sqrt", "math.sqrt", floats=True),
    *_unary("numpy.Square", "math.square"),
    *_unary("numpy.Tan", "math.tan", floats=True),
    *_unary("numpy.Tanh", "math.tanh", "nn.tanh", floats=True),
    *_unary("math.Erf", "math.erf", floats=True),
    *_unary("math.Rsqrt", "math.rsqrt", floats=True),
    *_unary("nn.Sigmoid", "math.sigmoid", "nn.sigmoid", floats=True),
    *_unary("nn.LogSigmoid", "math.log_sigmoid", floats=True),
    *_unary("nn.Elu", "nn.elu", name="features", floats=True),
    *_unary("nn.Relu", "nn.relu", name="features"),
    *_unary("nn.Relu6", "nn.relu6", name="features", floats=True),
    *_unary("nn.Selu", "nn.selu", name="features", floats=True),
    *_unary("nn.Softplus", "math.softplus", "nn.softplus", name="features", floats=True),
    *_unary("nn.Softsign", "nn.softsign", name="features", floats=True),
    *_unary("nn.Silu", "nn.silu", "nn.swish", name="features", defaults={"beta": 1.0}, floats=True),
    *_unary("core.StopGradient", "stop_gradient", name="input"),
    Operation("nn.leaky_relu", "nn.LeakyRelu", ("features",), {"alpha": "negative_slope"}, {"alpha": 0.2}, floats=True),
    Operation("nn.gelu", "nn.Gelu", ("features",), {"approximate": "approximate"}, {"approximate": False}, floats=True),
    Operation("nn.softmax", "nn.Softmax", ("logits",), {"axis": "axis"}, {"axis": -1}, floats=True),
    Operation("nn.log_softmax", "nn.LogSoftmax", ("logits",), {"axis": "axis"}, {"axis": -1}, floats=True),
    *_binary("numpy.Add", "__operators__.add", "math.add"),
    *_binary("numpy.Subtract", "math.subtract"),
    *_binary("numpy.Multiply", "math.multiply"),
    *_binary("numpy.Divide", "math.divide", floats=True),
    *_binary("numpy.TrueDivide", "math.truediv", floats=True),
    *_binary("numpy.DivideNoNan", "math.divide_no_nan", floats=True),
    *_binary("numpy.FloorDivide", "math.floordiv"),
    *_binary("numpy.Mod", "math.floormod"),
    *_binary("numpy.Power", "math.pow", floats=True, wide=True),
    *_binary("numpy.Maximum", "math.maximum"),
    *_binary("numpy.Minimum", "math.minimum"),
    *_binary("numpy.Equal", "math.equal", "__operators__.eq", keeps=False, gives="bool"),
    *_binary("numpy.NotEqual", "math.not_equal", "__operators__.ne", keeps=False, gives="bool"),
    *_binary("numpy.Greater", "math.greater", keeps=False, gives="bool"),
    *_binary("numpy.GreaterEqual", "math.greater_equal", keeps=False, gives="bool"),
    *_binary("numpy.Less", "math.less", keeps=False, gives="bool"),
    *_binary("numpy.LessEqual", "math.less_equal", keeps=False, gives="bool"),
    *_binary("numpy.LogicalAnd", "math.logical_and"),
    *_binary("numpy.LogicalOr", "math.logical_or"),
    *_binary("numpy.LogicalXor", "math.logical_xor"),
    Operation("math.atan2", "numpy.Arctan2", ("y", "x"), floats=True),
    Operation(
        "linalg.matmul",
        "numpy.Matmul",
        ("a", "b"),
        defaults=dict.fromkeys(
            ("transpose_a", "transpose_b", "adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"), False
        )
        | {"output_type": None, "grad_a": False, "grad_b": False},
        floats=True,
    ),
    _reduction("numpy.All", "math.reduce_all"),
    _reduction("numpy.Any", "math.reduce_any"),
    _reduction("numpy.Max", "math.reduce_max"),
    _reduction("numpy.Mean", "math.reduce_mean", floats=True),
    _reduction("numpy.Min", "math.reduce_min"),
    _reduction("numpy.Prod", "math.reduce_prod", floats=True, wide=True),
    _reduction("numpy.Std", "math.reduce_std", floats=True),
    _reduction("numpy.Sum", "math.reduce_sum", floats=True, wide=True),
    _reduction("numpy.Var", "math.reduce_variance", floats=True),
    _reduction("math.Logsumexp", "math.reduce_logsumexp", floats=True),
    Operation("cast", "core.Cast", ("x",), {"dtype": "dtype"}, {"dtype": REQUIRED}, keeps=False),
    Operation("reshape", "numpy.Reshape", ("tensor",), {"shape": "newshape"}, {"shape": REQUIRED}),
    Operation("expand_dims", "numpy.ExpandDims", ("input",), {"axis": "axis"}, {"axis": REQUIRED, "dim": None}),
    Operation("squeeze", "numpy.Squeeze", ("input",), {"axis": "axis"}, {"axis": None, "squeeze_dims": None}),
    Operation("transpose", "numpy.Transpose", ("a",), {"perm": "axes"}, {"perm": None, "conjugate": False}),
    Operation("concat", "numpy.Concatenate", ("values",), {"axis": "axis"}, {"axis": REQUIRED}, listed=True),
    Operation("stack", "numpy.Stack", ("values",), {"axis": "axis"}, {"axis": 0}, listed=True),
    Operation("unstack", "core.Unstack", ("value",), {"num": "num", "axis": "axis"}, {"num": None, "axis": 0}),
    Operation(
        "split",
        "numpy.Split",
        ("value",),
        {"num_or_size_splits": "indices_or_sections", "axis": "axis"},
        {"num_or_size_splits": REQUIRED, "axis": 0, "num": None},
    ),
    Operation("tile", "numpy.Tile", ("input",), {"multiples": "repeats"}, {"multiples": REQUIRED}),
    Operation(
        "repeat",
        "numpy.Repeat",
        ("input",),
        {"repeats": "repeats", "axis": "axis"},
        {"repeats": REQUIRED, "axis": None},
    ),
    Operation(
        "pad",
        "numpy.Pad",
        ("tensor",),
        {"paddings": "pad_width", "mode": "mode"},
        {"paddings": REQUIRED, "mode": "CONSTANT", "constant_values": 0},
    ),
    Operation(
        "roll", "numpy.Roll", ("input",), {"shift": "shift", "axis": "axis"}, {"shift": REQUIRED, "axis": REQUIRED}
    ),
    Operation("reverse", "numpy.Flip", ("tensor",), {"axis": "axis"}, {"axis": REQUIRED}),
    Operation("broadcast_to", "numpy.BroadcastTo", ("input",), {"shape": "shape"}, {"shape": REQUIRED}),
    Operation(
        "gather",
        "numpy.Take",
        ("params", "indices"),
        {"axis": "axis"},
        {"axis": 0, "validate_indices": None, "batch_dims": 0},
    ),
    Operation("where", "numpy.Where", ("condition", "x", "y"), keeps=False),
    Operation(
        "clip_by_value",
        "numpy.Clip",
        ("t",),
        {"clip_value_min": "x_min", "clip_value_max": "x_max"},
        {"clip_value_min": REQUIRED, "clip_value_max": REQUIRED},
    ),
    Operation(
        "math.cumsum", "numpy.Cumsum", ("x",), {"axis": "axis"}, {"axis": 0, "exclusive": False, "reverse": False}
    ),
    Operation("tensordot", "numpy.Tensordot", ("a", "b"), {"axes": "axes"}, {"axes": REQUIRED}, floats=True),
    Operation("sort", "numpy.Sort", ("values",), {"axis": "axis"}, {"axis": -1, "direction": "ASCENDING"}),
    Operation(
        "one_hot",
        "nn.OneHot",
        ("indices",),
        {"depth": "num_classes", "axis": "axis", "dtype": "dtype"},
        {"depth": REQUIRED, "on_value": None, "off_value": None, "axis": -1, "dtype": "float32"},
        keeps=False,
        gives="float32",
    ),
    Operation("zeros_like", "numpy.ZerosLike", ("input",), defaults={"dtype": None, "layout": None}),
    Operation("ones_like", "numpy.OnesLike", ("input",), defaults={"dtype": None, "layout": None}),
    Operation(
        "image.resize",
        "image.Resize",
        ("images",),
        {"size": "size", "method": "interpolation", "antialias": "antialias"},
        {"size": REQUIRED, "method": "bilinear", "preserve_aspect_ratio": False, "antialias": False},
        floats=True,
    ),
]
FUNCTIONS = {row.function: row for row in _TABLE}
# Names of TensorFlow 1 under which functions of TensorFlow 2 call each other, with the same parameters.
OLDER = {
    "compat.v1.expand_dims": "expand_dims",
    "compat.v1.floor_div": "math.floordiv",
    "compat.v1.gather": "gather",
    "compat.v1.pad": "pad",
    "compat.v1.squeeze": "squeeze",
    "compat.v1.transpose": "transpose",
    "realdiv": "math.divide",
    "floordiv": "math.floordiv",
}
OPERATIONS = {row.op: row for row in _TABLE if row.back} | {
    "numpy.Abs": FUNCTIONS["math.abs"],
    "numpy.Amax": FUNCTIONS["math.reduce_max"],
    "numpy.Amin": FUNCTIONS["math.reduce_min"],
}
# What an operation of Keras 3 has where its node does not tell: only what differs from the function's own default.
NEW_DEFAULTS: dict[str, dict[str, Any]] = {
    "nn.Gelu": {"approximate": True},
    "numpy.Take": {"axis": None},
    "numpy.Concatenate": {"axis": 0},
    "numpy.Tensordot": {"axes": 2},
    "numpy.Cumsum": {"axis": None},
    "numpy.Pad": {"mode": "constant"},
    "nn.OneHot": {"dtype": None},
    "numpy.Roll": {"axis": None},
    "numpy.Flip": {"axis": None},
}
# Attributes of operations that the functions do not have, with the values that mean nothing.
NEW_ONLY: dict[str, dict[str, tuple[Any, ...]]] = {
    "numpy.Max": {"initial": (None,)},
    "numpy.Min": {"initial": (None,)},
    "numpy.Amax": {"initial": (None,)},
    "numpy.Amin": {"initial": (None,)},
    "numpy.Prod": {"dtype": (None,)},
    "numpy.Round": {"decimals": (0,)},
    "nn.Elu": {"alpha": (1.0, 1)},
    "numpy.ZerosLike": {"dtype": (None,)},
    "numpy.OnesLike": {"dtype": (None,)},
    "numpy.Cumsum": {"dtype": (None,)},
    "nn.OneHot": {"sparse": (False,)},
    "image.Resize": {
        "crop_to_aspect_ratio": (False,),
        "pad_to_aspect_ratio": (False,),
        "fill_mode": ("constant",),
        "fill_value": (0.0,),
        "data_format": (None, "channels_last"),
    },
}
# `axis=None` of these flattens the input in Keras 3, which the function cannot say.
FLATTENING = frozenset({"numpy.Take", "numpy.Cumsum", "numpy.Roll", "numpy.Flip"})
RESIZE_METHODS = frozenset({"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"})
PAD_MODES = {"CONSTANT": "constant", "REFLECT": "reflect", "SYMMETRIC": "symmetric"}
