"""Which values an attribute of the core vocabulary may have (SPEC.md J.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etui import dtypes
from etui.canonical.values import ObjectValue, equal
from etui.core.vocabulary import NAMESPACE, Attr, objects
from etui.errors import shown

FLOAT_DTYPES = ("bfloat16", "float16", "float32", "float64")
NUMBER_DTYPES = (*FLOAT_DTYPES, *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
PRECISION = ("compute_dtype", "variable_dtype")
PADDINGS = ("valid", "same", "causal")
INDEX_WORDS = ("newaxis", "...")
# Sizes are plain numbers in JSON (chapter 5).
_LARGEST = 2**53 - 1


def fault(attrs: Mapping[str, Attr], given: Mapping[str, Any]) -> str:
    """The first thing that is wrong with the given values of attributes; empty if nothing is.

    Wrong are a name that there is not, a value of another type, a default that is written, and one that is missing.
    """
    for name, value in given.items():
        if name not in attrs:
            return f"{shown(name)}, which is none of {', '.join(sorted(attrs)) or 'no attributes'}"
        attr = attrs[name]
        if not attr.required and equal(value, attr.default):
            return f"{name} = {shown(value)}, which is the default and is left out"
        if not fits(attr, value):
            return f"{name} = {shown(value)}, which is no {_type(attr)}"
    missing = [name for name, attr in attrs.items() if attr.required and name not in given]
    return f"no {missing[0]}, which has no default" if missing else ""


def fits(attr: Attr, value: Any) -> bool:
    """Whether a value is of the type of an attribute."""
    if value is None and attr.nullable:
        return True
    if attr.choices:
        return any(equal(value, choice) for choice in attr.choices)
    if attr.type == "integer":
        return _integer(value) if attr.minimum is None else _size(value, attr.minimum)
    if attr.type in ("by_role", "object_or_null"):
        kind = kind_of(attr)
        return _by_role(value, kind) if attr.type == "by_role" else _of_kind(value, kind)
    return _TYPES[attr.type](value)


def kind_of(attr: Attr) -> str:
    """The kind of the objects that an attribute holds, which follows from its name."""
    return "regularizers" if attr.name == "activity_regularizer" else attr.name


def object_code(kind: str) -> str:
    """The code of the refusal of an object of a kind (CV-30, CT-1)."""
    return "core-object" if kind in ("losses", "metrics", "schedules") else "core-attrs"


def object_fault(value: ObjectValue, kind: str) -> str:
    """What is wrong with an object that must be of a kind of the vocabulary; empty if nothing is."""
    prefix = f"{NAMESPACE}{kind}."
    found = objects(kind).get(value.class_name.removeprefix(prefix))
    if found is None or not value.class_name.startswith(prefix):
        return f"{shown(value.class_name)} among the {kind}"
    if not isinstance(value.config, dict):
        return f"the config {shown(value.config)}"
    return fault(found, value.config)


def _type(attr: Attr) -> str:
    return f"one of {', '.join(map(str, attr.choices))}" if attr.choices else f"{attr.type} of the vocabulary"


def _integer(value: Any) -> bool:
    return type(value) is int


def _size(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value <= _LARGEST


def _number(value: Any) -> bool:
    return type(value) is float


def _or_null(fits_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits_one(value)


def _list_of(fits_one: Callable[[Any], bool], least: int = 0) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and len(value) >= least and all(map(fits_one, value))


def _numbers(value: Any) -> bool:
    return _number(value) or _list_of(_numbers, 1)(value)


def _pair_of_sizes(value: Any) -> bool:
    return _list_of(_size)(value) and len(value) == 2


def _padding(value: Any) -> bool:
    return (type(value) is str and value in PADDINGS) or _list_of(_pair_of_sizes, 1)(value)


def _index_entry(value: Any) -> bool:
    if type(value) is list:
        return len(value) == 3 and all(map(_or_null(_integer), value))
    return _integer(value) or (type(value) is str and value in INDEX_WORDS)


def _terms(value: Any) -> bool:
    if type(value) is not list or not value or len({type(one) for one in value}) != 1:
        return False
    return type(value[0]) in (str, int) and len(set(value)) == len(value)


def _string(value: Any) -> bool:
    return type(value) is str


def _precision(value: Any) -> bool:
    if value is None:
        return True
    return type(value) is dict and value.keys() == set(PRECISION) and all(v in FLOAT_DTYPES for v in value.values())


def _activation(value: Any) -> bool:
    if type(value) is str:
        return value in objects("activations") and not any(a.required for a in objects("activations")[value].values())
    return isinstance(value, ObjectValue) and bool(value.config) and not object_fault(value, "activations")


def _of_kind(value: Any, kind: str) -> bool:
    return value is None or (isinstance(value, ObjectValue) and not object_fault(value, kind))


def _by_role(value: Any, kind: str) -> bool:
    if type(value) is not dict:
        return False
    return all(_string(role) and item is not None and _of_kind(item, kind) for role, item in value.items())


_TYPES: dict[str, Callable[[Any], bool]] = {
    "boolean": lambda value: type(value) is bool,
    "string": _string,
    "number": _number,
    "number_or_null": _or_null(_number),
    "numbers": _numbers,
    "number_list": _list_of(_number),
    "number_list_or_null": _or_null(_list_of(_number)),
    "integers": _list_of(_integer),
    "integers_or_null": _or_null(_list_of(_integer)),
    "sizes": _list_of(lambda value: _size(value, 1), 1),
    "shape": _list_of(_or_null(_size)),
    "shape_or_null": _or_null(_list_of(_or_null(_size))),
    "axes": _or_null(_list_of(_integer)),
    "axis": lambda value: _integer(value) or _list_of(_integer)(value),
    "axis_or_null": _or_null(lambda value: _integer(value) or _list_of(_integer)(value)),
    "pairs": _list_of(_pair_of_sizes),
    "pair": lambda value: _integer(value) or (_list_of(_integer)(value) and len(value) == 2),
    "padding": _padding,
    "index": _list_of(_index_entry),
    "sections": lambda value: _size(value, 1) or _list_of(_size, 1)(value),
    "thresholds": _or_null(lambda value: _number(value) or _list_of(_number)(value)),
    "dtype": lambda value: _string(value) and value in dtypes.DTYPES,
    "float_dtype": lambda value: _string(value) and value in FLOAT_DTYPES,
    "number_dtype": lambda value: _string(value) and value in NUMBER_DTYPES,
    "seed": lambda value: value is None or _integer(value) or _string(value),
    "activation": _activation,
    "precision": _precision,
    "term": lambda value: _string(value) or _integer(value),
    "term_or_null": lambda value: value is None or _string(value) or _integer(value),
    "terms": _terms,
    "paths": _list_of(_string),
}
