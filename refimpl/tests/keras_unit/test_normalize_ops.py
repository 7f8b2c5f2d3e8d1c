"""Functions of TensorFlow in graphs of Keras 2, and operations of Keras 3: what becomes of a call, and why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.dialects.op_table import FUNCTIONS, NEW_DEFAULTS, NEW_ONLY, OLDER, OPERATIONS
from etui.bridges.keras.dialects.ops import (
    TF_OP,
    TF_SLICING,
    NoEqualError,
    is_float,
    is_function,
    to_function,
    to_operation,
)
from etui.canonical.values import ObjectValue, OutputRef
from etui.report import Report

X, Y, WHOLE = OutputRef("x", 0), OutputRef("y", 0), OutputRef("i", 0)
KNOWN = {"x": "float32", "y": "float32", "i": "int32", "b": "bool", "d": "float64"}

# function, first argument, keywords -> operation, attributes, arguments
THERE: list[tuple[str, Any, dict[str, Any], str, dict[str, Any], list[Any]]] = [
    ("math.add", X, {"y": Y, "name": None}, "numpy.Add", {}, [X, Y]),
    ("__operators__.add", X, {"y": 2.0}, "numpy.Add", {}, [X, 2.0]),
    ("math.subtract", 2.0, {"y": X}, "numpy.Subtract", {}, [2.0, X]),
    ("nn.relu", X, {}, "nn.Relu", {}, [X]),
    ("nn.gelu", X, {}, "nn.Gelu", {"approximate": False}, [X]),
    ("nn.softmax", X, {"axis": None}, "nn.Softmax", {"axis": -1}, [X]),
    ("nn.leaky_relu", X, {}, "nn.LeakyRelu", {"negative_slope": 0.2}, [X]),
    ("concat", [X, Y], {"axis": -1}, "numpy.Concatenate", {"axis": -1}, [[X, Y]]),
    ("stack", X, {"axis": 1}, "numpy.Stack", {"axis": 1}, [[X]]),
    ("cast", WHOLE, {"dtype": "float16"}, "core.Cast", {"dtype": "float16"}, [WHOLE]),
    ("reshape", X, {"shape": [-1, 3]}, "numpy.Reshape", {"newshape": [-1, 3]}, [X]),
    (
        "split",
        X,
        {"num_or_size_splits": [1, 2, 3], "axis": 1},
        "numpy.Split",
        {"indices_or_sections": [1, 3], "axis": 1},
        [X],
    ),
    ("math.reduce_mean", X, {"axis": [1], "keepdims": True}, "numpy.Mean", {"axis": [1], "keepdims": True}, [X]),
    ("math.reduce_sum", WHOLE, {"axis": 1}, "numpy.Sum", {"axis": 1, "keepdims": False}, [WHOLE]),
    ("compat.v1.squeeze", X, {"axis": 1, "squeeze_dims": None}, "numpy.Squeeze", {"axis": 1}, [X]),
    (
        "pad",
        X,
        {"paddings": [[0, 0], [1, 2]], "constant_values": 3},
        "numpy.Pad",
        {"pad_width": [[0, 0], [1, 2]], "mode": "constant"},
        [X, 3],
    ),
    ("where", OutputRef("b", 0), {"x": X, "y": Y}, "numpy.Where", {}, [OutputRef("b", 0), X, Y]),
    ("linalg.matmul", X, {"b": Y, "transpose_b": False}, "numpy.Matmul", {}, [X, Y]),
    ("one_hot", WHOLE, {"depth": 4}, "nn.OneHot", {"num_classes": 4, "axis": -1, "dtype": "float32"}, [WHOLE]),
]


@pytest.mark.clause("KN-11@13ec8c")
@pytest.mark.parametrize("case", THERE, ids=lambda case: case[0])
def test_a_function_is_an_operation(case: Any) -> None:
    """A call of a TFOpLambda becomes the operation, with its attributes and arguments."""
    function, first, kwargs, op, attrs, args = case
    found = to_operation(TF_OP, {"function": function}, [first], kwargs, KNOWN)
    assert (found.op, found.attrs, found.args, found.kwargs) == (f"keras:ops.{op}", attrs, args, {})


@pytest.mark.clause("KN-11@13ec8c")
def test_constants_have_the_dtype_of_the_tensor_beside_them() -> None:
    """A list of numbers is a tensor; indices are integers."""
    found = to_operation(TF_OP, {"function": "math.multiply"}, [OutputRef("d", 0)], {"y": [1.0, 2.0]}, KNOWN)
    assert found.args[1].dtype == np.float64
    assert found.args[1].tolist() == [1.0, 2.0]
    gathered = to_operation(TF_OP, {"function": "gather"}, [X], {"indices": [0, 2], "axis": 1}, KNOWN)
    assert gathered.args[1].dtype == np.int32
    back = to_function(found.op, found.attrs, found.args, {}, KNOWN)
    assert (back.args, back.kwargs) == ([OutputRef("d", 0)], {"y": [1.0, 2.0]})


@pytest.mark.clause("KN-11@13ec8c")
def test_a_constant_tensor_is_a_list_in_keras_2() -> None:
    """A tensor that Keras 3 tells apart from an array is the list of its numbers in a call of Keras 2."""
    tensor = ObjectValue("keras:__tensor__", np.ones((2, 2), "float32"))
    found = to_function("keras:ops.numpy.Matmul", {}, [X, tensor], {}, KNOWN)
    assert (found.args, found.kwargs["b"]) == ([X], [[1.0, 1.0], [1.0, 1.0]])


@pytest.mark.clause("KN-11@13ec8c")
def test_an_index_is_an_operation_and_a_layer_again() -> None:
    """Slices, numbers, null and an ellipsis are the key of GetItem; an ellipsis has no way back."""
    spec = [slice(None, None, None), 1, None, {"class_name": "__ellipsis__"}]
    found = to_operation(TF_SLICING, {"function": "__operators__.getitem"}, [X], {"slice_spec": spec}, KNOWN)
    assert found.op == "keras:ops.numpy.GetItem"
    assert found.args == [X, [slice(None, None, None), 1, None, Ellipsis]]
    with pytest.raises(NoEqualError, match="ellipsis"):
        to_function(found.op, {}, found.args, {}, KNOWN)
    back = to_function(found.op, {}, [X, [slice(0, 2, None), 1]], {}, KNOWN)
    assert (back.op, back.kwargs) == (TF_SLICING, {"slice_spec": [slice(0, 2, None), 1]})
    single = to_function(found.op, {}, [X, 1], {}, KNOWN)
    assert single.kwargs == {"slice_spec": 1}


NO_OPERATION: list[tuple[str, Any, dict[str, Any], str]] = [
    ("strings.lower", X, {}, "no operation"),
    ("math.add", X, {}, "without y"),
    ("math.argmax", X, {"axis": 1}, "no operation"),
    ("linalg.matmul", X, {"b": Y, "transpose_b": True}, "transpose_b"),
    ("math.reduce_mean", WHOLE, {"axis": 1}, "dtypes"),
    ("math.truediv", WHOLE, {"y": WHOLE}, "dtypes"),
    ("math.reduce_mean", OutputRef("unknown", 0), {}, "dtypes"),
    ("reshape", X, {"shape": [Y, 2]}, "a tensor as shape"),
    ("reshape", X, {}, "without shape"),
    ("split", X, {"num_or_size_splits": [-1, 2]}, "by itself"),
    ("pad", X, {"paddings": [[0, 1]], "mode": "OTHER"}, "mode"),
    ("image.resize", X, {"size": [2, 2], "method": "area"}, "method"),
    ("math.multiply", OutputRef("unknown", 0), {"y": [1.0]}, "not known"),
    ("math.multiply", X, {"y": ["a"]}, "no tensor"),
    ("nn.silu", X, {"beta": 2.0}, "beta"),
    ("math.cumsum", X, {"axis": 0, "exclusive": True}, "exclusive"),
    ("one_hot", WHOLE, {"depth": 2, "on_value": 5}, "on_value"),
    ("math.add", X, {"y": Y, "other": 1}, "other"),
]


@pytest.mark.clause("KN-11@13ec8c")
@pytest.mark.parametrize(("function", "first", "kwargs", "reason"), NO_OPERATION)
def test_a_call_without_an_operation_says_why(function: str, first: Any, kwargs: dict[str, Any], reason: str) -> None:
    """What is not known to compute the same is no translation."""
    with pytest.raises(NoEqualError, match=reason):
        to_operation(TF_OP, {"function": function}, [first], kwargs, KNOWN)


@pytest.mark.clause("KN-11@13ec8c")
def test_a_tensor_as_an_index_has_no_operation() -> None:
    """An index that is another tensor, or a slice up to one, is reported."""
    with pytest.raises(NoEqualError, match="another tensor"):
        to_operation(TF_SLICING, {"function": "__operators__.getitem"}, [X], {"slice_spec": [WHOLE]}, KNOWN)


BACK: list[tuple[str, dict[str, Any], list[Any], dict[str, Any], str, dict[str, Any]]] = [
    ("numpy.Add", {}, [X, 1.5], {}, "__operators__.add", {"y": 1.5}),
    ("nn.Gelu", {}, [X], {}, "nn.gelu", {"approximate": True}),
    ("numpy.Concatenate", {"axis": -1}, [[X, Y]], {}, "concat", {"axis": -1}),
    (
        "numpy.Pad",
        {"pad_width": ((0, 1),), "mode": "constant"},
        [X],
        {"constant_values": 2},
        "pad",
        {"paddings": [[0, 1]], "mode": "CONSTANT", "constant_values": 2},
    ),
    ("numpy.Max", {"axis": (1,), "initial": None}, [X], {}, "math.reduce_max", {"axis": [1]}),
    ("numpy.Flip", {"axis": 1}, [X], {}, "reverse", {"axis": [1]}),
    ("core.Cast", {"dtype": "int32"}, [X], {}, "cast", {"dtype": "int32"}),
    (
        "nn.OneHot",
        {"num_classes": 3, "axis": -1, "dtype": None, "sparse": False},
        [WHOLE],
        {},
        "one_hot",
        {"depth": 3, "axis": -1, "dtype": "float32"},
    ),
]


@pytest.mark.clause("KN-11@13ec8c")
@pytest.mark.parametrize("case", BACK, ids=lambda case: case[0])
def test_an_operation_is_a_function(case: Any) -> None:
    """A call of an operation becomes one of a TFOpLambda, the first argument in its place and the others by name."""
    op, attrs, args, kwargs, function, expected = case
    found = to_function(f"keras:ops.{op}", attrs, args, kwargs, KNOWN)
    assert (found.op, found.attrs["function"]) == (TF_OP, function)
    assert found.args == args[:1]
    assert found.kwargs == expected


NO_FUNCTION: list[tuple[str, dict[str, Any], list[Any], str]] = [
    ("nn.Glu", {}, [X], "no function"),
    ("numpy.Add", {}, [X, OutputRef("d", 0)], "common one"),
    ("numpy.Add", {}, [WHOLE, 1.5], "common one"),
    ("numpy.Take", {}, [X, WHOLE], "flattens"),
    ("numpy.Split", {"indices_or_sections": [1, 2]}, [X], "sizes"),
    ("numpy.ExpandDims", {"axis": (0, 1)}, [X], "one axis"),
    ("nn.Elu", {"alpha": 0.5}, [X], "alpha"),
    ("numpy.Add", {}, [X], "other arguments"),
    ("numpy.Mean", {"axis": 1}, [WHOLE], "dtypes"),
]


@pytest.mark.clause("KN-11@13ec8c")
@pytest.mark.parametrize(("op", "attrs", "args", "reason"), NO_FUNCTION)
def test_an_operation_without_a_function_says_why(op: str, attrs: dict[str, Any], args: list[Any], reason: str) -> None:
    """What is not known to compute the same is no translation."""
    with pytest.raises(NoEqualError, match=reason):
        to_function(f"keras:ops.{op}", attrs, args, {}, KNOWN)


@pytest.mark.library
def test_the_table_is_whole() -> None:
    """Every row is found by its function, names only parameters that it has, and has one way back."""
    assert len(FUNCTIONS) > 100
    assert all(row.op in OPERATIONS for row in FUNCTIONS.values())
    assert all(set(row.attrs) <= set(row.defaults) for row in FUNCTIONS.values())
    assert all(name in FUNCTIONS for name in OLDER.values())
    assert {*NEW_DEFAULTS, *NEW_ONLY} <= set(OPERATIONS)
    assert is_function(TF_OP)
    assert is_function(TF_SLICING)
    assert not is_function("keras:Dense")
    assert [is_float(name) for name in ("float32", "bfloat16", "int32", None)] == [True, True, False, False]


@pytest.mark.clause("KN-4@6cb9a8", "KN-11@13ec8c")
def test_a_graph_keeps_what_has_no_operation(kit: Any) -> None:
    """A call without an operation stays and is reported; one that is made twice becomes two operations."""
    config = {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "ragged": False, "name": "a"}
    entry = {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    calls: dict[str, tuple[str, list[Any]]] = {
        "odd": ("strings.lower", [["a", 0, 0, {}]]),
        "mean": ("math.reduce_mean", [["a", 0, 0, {"axis": 1}], ["a", 0, 0, {"axis": -1}]]),
    }
    layers: list[Any] = [entry | {"name": "a", "inbound_nodes": []}]
    for name, (function, nodes) in calls.items():
        identity = {"module": "tf_keras.src.layers.core.tf_op_layer", "class_name": "TFOpLambda"}
        body = {"config": {"name": name, "dtype": "float32", "function": function}, "registered_name": "TFOpLambda"}
        layers.append(identity | body | {"name": name, "inbound_nodes": nodes})
    ends = {"input_layers": [["a", 0, 0]], "output_layers": [["odd", 0, 0], ["mean", 0, 0], ["mean", 1, 0]]}
    tree = {
        "module": "tf_keras.src.engine.functional",
        "class_name": "Functional",
        "config": {"name": "m", "trainable": True, "layers": layers} | ends,
        "registered_name": "Functional",
    }
    report = Report()
    found = to_dialect(kit.model(tree, version="2.21.0"), "keras", report)
    assert [(entry.subject, entry.status) for entry in report.lost] == [("odd", "not-transferable")]
    assert found.config is not None
    made = {child.name: (child.op, child.attrs) for child in found.config.model.modules[1:]}
    assert made["odd"][0] == TF_OP
    assert made["mean"] == ("keras:ops.numpy.Mean", {"axis": 1, "keepdims": False})
    assert made["mean_1"] == ("keras:ops.numpy.Mean", {"axis": -1, "keepdims": False})
    graph = found.config.model.graph
    assert graph is not None
    assert [call.module for call in graph.calls[1:]] == ["odd", "mean", "mean_1"]
