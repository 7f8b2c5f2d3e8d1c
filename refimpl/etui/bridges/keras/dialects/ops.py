"""Calls of functions of TensorFlow as operations of Keras 3, and back; what is not exact gives a reason (annex E)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.dialects.op_table import (
    FLATTENING,
    FUNCTIONS,
    NEW_DEFAULTS,
    NEW_ONLY,
    OLDER,
    OPERATIONS,
    PAD_MODES,
    REQUIRED,
    RESIZE_METHODS,
    Operation,
)
from etui.bridges.keras.dialects.same import is_among, is_same
from etui.canonical.values import ObjectValue, OutputRef, references
from etui.errors import EtuiError

TF_LAYERS = "tf_keras:src.layers.core.tf_op_layer."
TF_OP, TF_SLICING = f"{TF_LAYERS}TFOpLambda", f"{TF_LAYERS}SlicingOpLambda"
OPS = "keras:ops."
_GET_ITEM, _GET_ITEM_FUNCTION = "numpy.GetItem", "__operators__.getitem"
_TENSOR = "keras:__tensor__"
_ELLIPSIS = "__ellipsis__"
_WIDE = ("int32", "int64")


class NoEqualError(Exception):
    """A call that the other side cannot make; says why."""


@dataclass(frozen=True, slots=True)
class Translated:
    """A call in the other side's terms.

    Attributes:
        op: of the module.
        attrs: of the module.
        args, kwargs: of the call.
        dtype: of the result, or `None` where it is not known.
    """

    op: str
    attrs: dict[str, Any]
    args: list[Any]
    kwargs: dict[str, Any]
    dtype: str | None


Dtypes = Mapping[str, str | None]


def is_function(op: str) -> bool:
    """Whether a module is Keras 2's layer of a function of TensorFlow."""
    return op.startswith(TF_LAYERS)


def to_operation(
    op: str, attrs: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any], known: Dtypes
) -> Translated:
    """A call of a `TFOpLambda` or `SlicingOpLambda` as one of a Keras operation.

    Args:
        op: of the module.
        attrs: of the module, with the `function`.
        args: of the call.
        kwargs: of the call.
        known: dtype of the result of each call before.

    Raises:
        NoEqualError: there is no operation that computes the same.
    """
    function = attrs.get("function")
    if op == TF_SLICING and is_same(function, _GET_ITEM_FUNCTION) and args:
        key = _key(kwargs.get("slice_spec"))
        return Translated(f"{OPS}{_GET_ITEM}", {}, [args[0], key], {}, _dtype(args[0], known))
    row = _row(function) if op == TF_OP and isinstance(function, str) else None
    if row is None or not args:
        raise NoEqualError(f"no operation of Keras 3 is known to equal {_title(op, function)}")
    given = {row.inputs[0]: args[0]} | {key: item for key, item in kwargs.items() if key != "name" and item is not None}
    for name in sorted(given.keys() - {*row.inputs, *row.attrs, *row.defaults}):
        raise NoEqualError(f"tf.{function} is called with {name}, which {row.op} does not have")
    for name, default in row.defaults.items():
        if name not in row.attrs and name not in row.inputs and not _is_default(row, name, given, default):
            raise NoEqualError(f"tf.{function} is called with {name} = {given[name]!r}, which {row.op} cannot say")
    found = _attributes(row, given)
    _settle(row, found, given)
    beside = [given[name] for name in row.inputs if name in given]
    inputs = [_constant(item, beside, known) for item in beside]
    if row.function == "gather" and isinstance(given.get("indices"), list):
        inputs[1] = _array(given["indices"], "int32")
    if len(inputs) < len(row.inputs):
        raise NoEqualError(f"tf.{function} is called without {row.inputs[len(inputs)]}")
    if row.listed and not isinstance(inputs[0], list):
        inputs[0] = [inputs[0]]
    if row.function == "pad" and not is_same(given.get("constant_values", 0), 0):
        inputs.append(given["constant_values"])
    _check_floats(row, inputs, known, f"tf.{function}")
    return Translated(f"{OPS}{row.op}", found, inputs, {}, _result(row, inputs, found.get("dtype"), known))


def _row(function: str) -> Operation | None:
    return FUNCTIONS.get(OLDER.get(function, function))


def _is_default(row: Operation, name: str, given: Mapping[str, Any], default: Any) -> bool:
    """Whether a parameter that the operation cannot say has the value that it stands for."""
    if name not in given or (row.function == "pad" and name == "constant_values"):
        return True
    if row.function == "one_hot":
        return is_same(given[name], {"on_value": 1, "off_value": 0}[name])
    return is_same(given[name], default)


def _attributes(row: Operation, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, attribute in row.attrs.items():
        value = given.get(name, row.defaults[name])
        if value is REQUIRED:
            raise NoEqualError(f"tf.{row.function} is called without {name}")
        if any(isinstance(item, OutputRef) for item in references(value)):
            raise NoEqualError(f"tf.{row.function} is called with a tensor as {name}, which is fixed in Keras 3")
        found[attribute] = _lists(value)
    return found


def _settle(row: Operation, found: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What the table cannot say of single functions."""
    if row.function == "split" and isinstance(found["indices_or_sections"], list):
        sizes = found["indices_or_sections"]
        if not all(type(size) is int and size >= 0 for size in sizes):
            raise NoEqualError("tf.split is called with a size that it finds by itself")
        found["indices_or_sections"] = list(accumulate(sizes))[:-1]
    if row.function == "pad":
        mode = PAD_MODES.get(str(found["mode"]).upper())
        if mode is None or (mode != "constant" and not is_same(given.get("constant_values", 0), 0)):
            raise NoEqualError(f"tf.pad is called with the mode {found['mode']!r}")
        found["mode"] = mode
    if row.function == "image.resize" and not is_among(found["interpolation"], RESIZE_METHODS):
        raise NoEqualError(f"tf.image.resize is called with the method {found['interpolation']!r}")


def _key(spec: Any) -> list[Any]:
    """A key of `GetItem`: Keras 3 writes a tuple as a list."""
    items = spec if isinstance(spec, list | tuple) else [spec]
    key = [Ellipsis if isinstance(item, dict) and item.get("class_name") == _ELLIPSIS else item for item in items]
    for item in key:
        ends = (item.start, item.stop, item.step) if isinstance(item, slice) else (item,)
        if not all(end is None or end is Ellipsis or type(end) is int for end in ends):
            raise NoEqualError("a tensor is indexed by another tensor")
    return key


def _constant(value: Any, beside: Sequence[Any], known: Dtypes) -> Any:
    """An input; a list of numbers is a constant tensor of the dtype of the tensors beside it."""
    if not isinstance(value, list) or any(isinstance(item, OutputRef) for item in references(value)):
        return value
    name = _dtype(list(beside), known)
    if name is None:
        raise NoEqualError("the dtype of a constant is not known")
    return _array(value, name)


def _array(value: Any, name: str) -> Any:
    try:
        return np.array(value, dtypes.by_name(name, "").numpy)
    except (EtuiError, ValueError, TypeError, OverflowError):
        raise NoEqualError(f"a constant is no tensor of {name}") from None


def _tensors(inputs: Sequence[Any]) -> list[OutputRef]:
    return [item for item in references(list(inputs)) if isinstance(item, OutputRef)]


def _dtype(value: Any, known: Dtypes) -> str | None:
    found = {known.get(item.call) for item in _tensors([value])}
    return found.pop() if len(found) == 1 else None


def is_float(name: str | None) -> bool:
    """Whether a dtype is one of real floats; one that is not known is none."""
    return name is not None and name.startswith(("float", "bfloat"))


def _check_floats(row: Operation, inputs: Sequence[Any], known: Dtypes, title: str) -> None:
    found = {known.get(item.call) for item in _tensors(inputs)}
    if row.floats and not all(is_float(name) or (row.wide and name in _WIDE) for name in found):
        raise NoEqualError(f"{title} and {row.op} are known to agree only for some dtypes, and not for this")


def _result(row: Operation, inputs: Sequence[Any], dtype: Any, known: Dtypes) -> str | None:
    if row.keeps:
        return _dtype(inputs[0] if _tensors(inputs[:1]) else list(inputs), known)
    if row.gives is None and row.function == "where":
        return _dtype(list(inputs[1:]), known)
    return dtype if isinstance(dtype, str) else row.gives


def to_function(
    op: str, attrs: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any], known: Dtypes
) -> Translated:
    """A call of a Keras operation as one of a `TFOpLambda` or `SlicingOpLambda`.

    Args:
        op: of the module.
        attrs: of the module.
        args: of the call.
        kwargs: of the call.
        known: dtype of the result of each call before.

    Raises:
        NoEqualError: there is no function that computes the same.
    """
    name = op.removeprefix(OPS)
    layer = {"trainable": True, "dtype": "float32"}
    if name == _GET_ITEM and len(args) == 2:
        if args[1] is Ellipsis or (isinstance(args[1], list | tuple) and Ellipsis in args[1]):
            raise NoEqualError("Keras 2 does not read back an index with an ellipsis")
        spec = [*_key(args[1])] if isinstance(args[1], list | tuple) else _key(args[1])[0]
        attributes = {**layer, "function": _GET_ITEM_FUNCTION}
        return Translated(TF_SLICING, attributes, [args[0]], {"slice_spec": spec}, _dtype(args[0], known))
    row = OPERATIONS.get(name)
    if row is None:
        raise NoEqualError(f"no function of TensorFlow is known to equal {name}")
    inputs = list(args)
    given = _given(row, name, attrs)
    if name == "numpy.Pad":
        value = inputs.pop() if len(inputs) == 2 else kwargs.get("constant_values")
        given |= {} if value is None else {"constant_values": value}
        kwargs = {}
    if kwargs or len(inputs) != len(row.inputs):
        raise NoEqualError(f"{name} is called with other arguments than {', '.join(row.inputs)}")
    _check_floats(row, inputs, known, f"tf.{row.function}")
    _check_alike(row, inputs, known)
    rest = dict(zip(row.inputs[1:], (_plain(item) for item in inputs[1:]), strict=True))
    dtype = _result(row, inputs, given.get("dtype"), known)
    return Translated(TF_OP, {**layer, "function": row.function}, [_plain(inputs[0])], rest | given, dtype)


def _given(row: Operation, name: str, attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of the function that are attributes of the operation."""
    only = NEW_ONLY.get(name, {})
    attributes = {new: old for old, new in row.attrs.items()}
    given = {}
    for key, value in (NEW_DEFAULTS.get(row.op, {}) | dict(attrs)).items():
        if key in attributes:
            given[attributes[key]] = _lists(value)
        elif key in only:
            if not is_among(value, only[key]):
                raise NoEqualError(f"{name} has {key} = {value!r}, which tf.{row.function} cannot say")
        elif key not in ("name", "dtype"):
            raise NoEqualError(f"{name} has {key}, which tf.{row.function} does not have")
    _fit(row, name, given)
    return given


def _fit(row: Operation, name: str, given: dict[str, Any]) -> None:
    """What the table cannot say of single operations."""
    if row.op in FLATTENING and given.get("axis") is None:
        raise NoEqualError(f"{name} flattens its input, which tf.{row.function} does not")
    if row.function == "split" and isinstance(given.get("num_or_size_splits"), list):
        raise NoEqualError("tf.split takes sizes, and numpy.Split the places between them")
    if row.function == "pad":
        given["mode"] = str(given.get("mode", "constant")).upper()
    if row.function == "expand_dims" and not isinstance(given.get("axis"), int):
        raise NoEqualError("tf.expand_dims takes one axis")
    if row.function == "roll" and not isinstance(given.get("shift"), int):
        raise NoEqualError("tf.roll takes one shift")
    if row.function == "reverse":
        given["axis"] = given["axis"] if isinstance(given["axis"], list) else [given["axis"]]
    if row.function == "one_hot":
        given["dtype"] = "float32" if given.get("dtype") is None else given["dtype"]


def _check_alike(row: Operation, inputs: Sequence[Any], known: Dtypes) -> None:
    """Keras 3 brings inputs of different dtypes to a common one, TensorFlow refuses them."""
    if row.function in ("where", "gather"):
        return
    found = {known.get(item.call) for item in _tensors(inputs)}
    whole = any(not is_float(name) for name in found)
    beside = map(_unwrapped, inputs)
    fractions = [
        item for item in beside if isinstance(item, float) or (isinstance(item, np.ndarray) and is_kind_float(item))
    ]
    if len(found) > 1 or None in found or (fractions and whole):
        raise NoEqualError(f"tf.{row.function} does not bring inputs of different dtypes to a common one")


def is_kind_float(array: Any) -> bool:
    """Whether an array holds floats."""
    return bool(array.dtype.kind == "f")


def _plain(value: Any) -> Any:
    value = _unwrapped(value)
    return value.tolist() if isinstance(value, np.ndarray) else value


def _unwrapped(value: Any) -> Any:
    """The array of a tensor that Keras 3 told apart from an array."""
    told_apart = isinstance(value, ObjectValue) and value.class_name == _TENSOR
    return value.config if told_apart and isinstance(value.config, np.ndarray) else value


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


def _title(op: str, function: Any) -> str:
    return f"tf.{function}" if isinstance(function, str) else op.rpartition(".")[2]
