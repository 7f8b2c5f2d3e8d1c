"""Values: free content of documents as Python objects, and its form in either kind of document (SPEC.md chapter 5)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import fields, is_dataclass

import numpy as np

from etui.canonical.tagging import JSON, MSGPACK, Reader, Tree, Writer
from etui.canonical.tags import base64_bytes, json_view, key_bytes, tensor_data
from etui.canonical.value_types import (
    AssetRef,
    DtypeName,
    MapValue,
    ModuleRef,
    ObjectValue,
    OutputRef,
    Reference,
    StoredTensor,
    Value,
    VariableRef,
    inner_values,
    references,
)
from etui.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "AssetRef",
    "DtypeName",
    "MapValue",
    "ModuleRef",
    "ObjectValue",
    "OutputRef",
    "Reference",
    "StoredTensor",
    "Tree",
    "Value",
    "VariableRef",
    "equal",
    "from_json",
    "from_json_view",
    "from_msgpack",
    "json_view",
    "references",
    "to_json",
    "to_msgpack",
]

_NATIVE_IN_MSGPACK = frozenset({"$int", "$float", "$bytes", "$stored"})


def to_json(value: Value) -> Tree:
    """The tagged JSON tree of a value.

    Raises:
        UsageError: ``value-type``, no value.
        InvalidError: the code of the clause that a reference, a dtype, a class or an array in it breaks.
        LimitError: ``value-limit``.
        MalformedError: ``json-depth``.
    """
    return Writer(JSON).write(value)


def to_msgpack(value: Value) -> Tree:
    """The tagged MessagePack tree of a value; raises as `to_json` does, but ``msgpack-depth``."""
    return Writer(MSGPACK).write(value)


def from_json(tree: Tree, where: str, limits: Limits = DEFAULT_LIMITS) -> Value:
    """The value of a tagged JSON tree.

    Args:
        tree: as `etui.canonical.json.decode` gives it.
        where: the place of the value, for messages.
        limits: the reader's limits.

    Raises:
        InvalidError: ``value-tag``, ``value-not-canonical``, or the code of the clause that a tag's content breaks.
        LimitError: ``value-limit``.
    """
    return Reader(JSON, where, limits).read(tree)


def from_msgpack(tree: Tree, where: str, limits: Limits = DEFAULT_LIMITS) -> Value:
    """The value of a tagged MessagePack tree, as `etui.canonical.msgpack.decode` gives it; see `from_json`."""
    return Reader(MSGPACK, where, limits).read(tree)


def from_json_view(tree: Tree, where: str, limits: Limits = DEFAULT_LIMITS) -> Tree:
    """The MessagePack tree whose JSON view is `tree`.

    Raises:
        InvalidError: ``value-tag``, ``value-not-canonical``.
        LimitError: ``value-limit``.
    """
    if type(tree) is list:
        return [from_json_view(item, where, limits) for item in tree]
    if type(tree) is not dict:
        return from_json(tree, where, limits)
    if len(tree) == 1:
        ((name, content),) = tree.items()
        if name in _NATIVE_IN_MSGPACK and type(content) is str:
            return to_msgpack(from_json(tree, where, limits))
    data = tensor_data(tree)
    if type(data) is str:
        return {"$tensor": {**tree["$tensor"], "data": base64_bytes(data, Reader(JSON, where, limits))}}
    return {key: from_json_view(item, where, limits) for key, item in tree.items()}


def equal(first: Value, second: Value) -> bool:
    """Whether two values are the same to the type and the bit.

    1 is neither 1.0 nor True, 0.0 is not -0.0, NaN is NaN, and arrays are compared by dtype, shape and bytes. The order
    of a map's entries does not count. What is no value, such as a tensor in its place, is compared by ``==``.
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, float):
        return _float_bits(first) == _float_bits(second)
    if isinstance(first, complex):
        return equal(first.real, second.real) and equal(first.imag, second.imag)
    if isinstance(first, np.ndarray):
        same_form = first.dtype == second.dtype and first.shape == second.shape
        return bool(same_form and first.tobytes() == second.tobytes())
    if isinstance(first, list | tuple | slice):
        items, others = inner_values(first), inner_values(second)
        return len(items) == len(others) and all(map(equal, items, others))
    if isinstance(first, dict):
        return _equal_maps(first.items(), second.items())
    if isinstance(first, MapValue):
        return _equal_maps(first.pairs, second.pairs)
    if is_dataclass(first):
        return all(equal(getattr(first, part.name), getattr(second, part.name)) for part in fields(first))
    return bool(first == second)


def _float_bits(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def _equal_maps(first: Iterable[tuple[Value, Value]], second: Iterable[tuple[Value, Value]]) -> bool:
    one, other = ({key if type(key) is str else key_bytes(key): item for key, item in side} for side in (first, second))
    return one.keys() == other.keys() and all(equal(item, other[key]) for key, item in one.items())
