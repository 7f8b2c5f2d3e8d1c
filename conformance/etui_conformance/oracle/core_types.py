"""Attributes of the core vocabulary: their types, on JSON views, and their defaults (CV-1 to CV-4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etui_conformance.oracle import dtypes, values
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.numbers import float_text, is_plain
from etui_conformance.oracle.schema_files import vocabulary

Holds = Callable[[Any], bool]
CLASSES = ("activations", "initializers", "regularizers", "constraints", "losses", "metrics", "schedules")
PRECISIONS = ("bfloat16", "float16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
BY_ROLE = ("initializers", "regularizers", "constraints")


def check(given: Any, specs: Mapping[str, Any], at: str, code: str) -> None:
    """Refuse attributes that are not of the vocabulary, not of their type, or not needed (CV-1 to CV-3).

    Args:
        given: a map of values.
        specs: what the vocabulary says of each attribute.
        at: the place of the map.
        code: of the refusal.
    """
    if not isinstance(given, dict) or values.tag_of(given) is not None:
        raise Refusal(code, at, "not a map")
    for name, value in given.items():
        if name not in specs:
            raise Refusal(code, pointer(at, name), "not in the vocabulary")
        spec = specs[name]
        if not of_type(value, spec, name):
            raise Refusal(code, pointer(at, name), "not of the type of the vocabulary")
        if "default" in spec and value == default(spec):
            raise Refusal(code, pointer(at, name), "its default, which is left out")
    for name, spec in specs.items():
        if "default" not in spec and name not in given:
            raise Refusal(code, at, f"lacks {name!r}, which has no default")


def default(spec: Mapping[str, Any]) -> Any:
    """The view of the default of an attribute."""
    return _view(spec["default"])


def _view(value: Any) -> Any:
    if isinstance(value, float):
        return value if is_plain(value) else {"$float": float_text(value)}
    return [_view(item) for item in value] if isinstance(value, list) else value


def of_type(value: Any, spec: Mapping[str, Any], name: str = "") -> bool:
    """Whether a view is of the type that the vocabulary gives to an attribute of a name."""
    if "enum" in spec:
        return any(value == one and type(value) is type(one) for one in spec["enum"])
    if "$ref" in spec:
        kind = spec["$ref"].rpartition("/")[2]
        if kind == "by_role":
            return _map_of(value, lambda item: object_of(item, name))
        if kind == "object_or_null":
            return value is None or object_of(value, "regularizers")
        return _DEFS[kind](value)
    kinds = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    return any(_BASIC[kind](value) and _reaches(value, spec.get("minimum")) for kind in kinds)


def _reaches(value: Any, minimum: int | None) -> bool:
    return minimum is None or value is None or (type(value) is int and value >= minimum)


def object_of(value: Any, kind: str) -> bool:
    """Whether a view is an object of a kind of the vocabulary; its config is checked where all objects are."""
    found = value["$object"] if values.tag_of(value) == "$object" else None
    return isinstance(found, dict) and str(found.get("class", "")).startswith(f"core:{kind}.")


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _null(value: Any) -> bool:
    return value is None


def _integer(value: Any) -> bool:
    return type(value) is int or values.tag_of(value) == "$int"


def _natural(value: Any) -> bool:
    return type(value) is int and value >= 0


def _size(value: Any) -> bool:
    return type(value) is int and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, float) or values.tag_of(value) == "$float"


def _numbers(value: Any) -> bool:
    return _number(value) or (isinstance(value, list) and bool(value) and all(map(_numbers, value)))


def _list(item: Holds, least: int = 0, most: int | None = None) -> Holds:
    """The check of a list of items, of a length in bounds."""

    def holds(value: Any) -> bool:
        return (
            isinstance(value, list)
            and least <= len(value)
            and (most is None or len(value) <= most)
            and all(map(item, value))
        )

    return holds


def _either(*options: Holds) -> Holds:
    return lambda value: any(option(value) for option in options)


def _among(*words: str) -> Holds:
    return lambda value: isinstance(value, str) and value in words


def _map_of(value: Any, item: Holds) -> bool:
    return isinstance(value, dict) and values.tag_of(value) is None and all(map(item, value.values()))


def _terms(value: Any) -> bool:
    if not isinstance(value, list) or not value or not (all(map(_string, value)) or all(map(_integer, value))):
        return False
    return all(value.index(item) == place for place, item in enumerate(value))


def _activation(value: Any) -> bool:
    """A name of an activation that has no parameter without default, or an object with parameters (CV-4)."""
    found = vocabulary()["activations"]
    if isinstance(value, str):
        return value in found and all("default" in spec for spec in found[value].get("attrs", {}).values())
    return object_of(value, "activations") and bool(value["$object"].get("config"))


def _precision(value: Any) -> bool:
    if value is None:
        return True
    named = isinstance(value, dict) and value.keys() == {"compute_dtype", "variable_dtype"}
    return named and all(map(_among(*PRECISIONS), value.values()))


def _tensor(value: Any) -> bool:
    return value is None or values.tag_of(value) == "$output"


_ends = _list(_natural, 2, 2)
_integers = _list(_integer)
_index = _either(_integer, _among("newaxis", "..."), _list(_either(_null, _integer), 3, 3))

_BASIC: dict[str, Holds] = {"boolean": _boolean, "string": _string, "null": _null, "integer": _integer}
_DEFS: dict[str, Holds] = {
    "number": _number,
    "number_or_null": _either(_null, _number),
    "numbers": _numbers,
    "number_list": _list(_number),
    "number_list_or_null": _either(_null, _list(_number)),
    "integers": _integers,
    "integers_or_null": _either(_null, _integers),
    "sizes": _list(_size, 1),
    "shape": _list(_either(_null, _natural)),
    "shape_or_null": _either(_null, _list(_either(_null, _natural))),
    "axes": _either(_null, _integers),
    "axis": _either(_integer, _integers),
    "axis_or_null": _either(_null, _integer, _integers),
    "pairs": _list(_ends),
    "pair": _either(_integer, _list(_integer, 2, 2)),
    "padding": _either(_among("valid", "same", "causal"), _list(_ends, 1)),
    "index": _list(_index),
    "sections": _either(_size, _list(_natural, 1)),
    "dtype": _among(*dtypes.DTYPES),
    "float_dtype": _among(*PRECISIONS),
    "number_dtype": _among(*PRECISIONS, *INTEGERS),
    "seed": _either(_null, _integer, _string),
    "activation": _activation,
    "precision": _precision,
    "tensor": _tensor,
    "tensors": _either(_null, _list(_tensor)),
    "term": _either(_string, _integer),
    "term_or_null": _either(_null, _string, _integer),
    "terms": _terms,
    "paths": _list(_string),
    "thresholds": _either(_null, _number, _list(_number)),
}
