"""Keras' encodings of values, in both directions (SPEC.md, annex B.2).

Keras writes what JSON lacks as `{"class_name": "__slice__", "config": {...}}`, and an object as its class and config.
Here these become the tagged values and the `$object` of SPEC.md chapter 5. No class is looked up, and no code is run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui import dtypes
from etui.bridges.keras.names import class_of, identity_of
from etui.bridges.keras.patches import Json, difference, key_orders, patched, reordered, same, with_config
from etui.canonical.values import ModuleRef, ObjectValue, OutputRef
from etui.errors import EtuiError, error, shown

LAMBDA = "keras:__lambda__"
_OBJECT_FIELDS = frozenset({"class_name", "config"})


def is_object(node: Json) -> bool:
    """Whether a JSON node is Keras' form of an object or of a tagged value."""
    if not isinstance(node, dict) or not node.keys() >= _OBJECT_FIELDS:
        return False
    return isinstance(node["class_name"], str) and bool(node["class_name"])


def _is_list(value: Json) -> bool:
    return isinstance(value, list)


def is_function(node: Mapping[str, Json]) -> bool:
    """Whether an object node stands for a function by name."""
    return node["class_name"] == "function" and isinstance(node["config"], str) and bool(node["config"])


def shared_numbers(tree: Json) -> dict[int, int]:
    """Number Keras' shared objects, whose ids are memory addresses, 1, 2, … in the order in which they first appear."""
    numbers: dict[int, int] = {}
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            raw = node.get("shared_object_id")
            if type(raw) is int:
                numbers.setdefault(raw, len(numbers) + 1)
            stack.extend(reversed(node.values()))
        elif isinstance(node, list):
            stack.extend(reversed(node))
    return numbers


@dataclass
class ValueReader:
    """Keras' JSON to values.

    Attributes:
        shared: number of each shared object id.
        output: gives the call output that a `__keras_tensor__` names, or `None` if it names none.
        known: gives the module that an object's node stands for, or `None` if it is no module.
    """

    shared: Mapping[int, int] = field(default_factory=dict)
    output: Callable[[Mapping[str, Json]], OutputRef | None] = lambda _: None
    known: Callable[[Mapping[str, Json]], ModuleRef | None] = lambda _: None

    def value(self, node: Json) -> Any:
        """The value of a JSON node."""
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node.keys() == {"class_name", "items"} and node["class_name"] == "__tuple__" and _is_list(node["items"]):
            return tuple(self.value(item) for item in node["items"])
        if is_object(node):
            special = _READERS.get(node["class_name"])
            found = special(self, node) if special is not None else self.known(node) or self.object(node)
            if found is not None:
                return found
        return {key: self.value(item) for key, item in node.items()}

    def raw(self, node: Json) -> Json:
        """A JSON tree as it is, with shared objects renumbered."""
        if isinstance(node, list):
            return [self.raw(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: self.shared[item] if key == "shared_object_id" and type(item) is int else self.raw(item)
            for key, item in node.items()
        }

    def object(self, node: Mapping[str, Json]) -> ObjectValue:
        """The object of a node."""
        function = is_function(node)
        module, name, registered = node.get("module"), node["class_name"], node.get("registered_name")
        if function:
            module, name, registered = None if module == "builtins" else module, node["config"], node["config"]
        text = class_of(module, name, registered)
        raw = node.get("shared_object_id")
        shared = self.shared.get(raw) if type(raw) is int else None
        found = ObjectValue(text, None if function else self.value(node["config"]), shared)
        kept = function or node["config"] is None
        rest = self.raw({key: item for key, item in node.items() if kept or key != "config"})
        residue: dict[str, Any] = difference(frame_of(found), rest)
        orders = [] if function else key_orders(node["config"])
        if orders:
            residue["order"] = orders
        return found if not residue else ObjectValue(text, found.config, shared, {"keras": residue})


def has_code(value: Any) -> bool:
    """Whether a value holds the code of a lambda."""
    if isinstance(value, ObjectValue):
        return value.class_name == LAMBDA or has_code(value.config)
    if isinstance(value, dict):
        return any(map(has_code, value.values()))
    return isinstance(value, list | tuple) and any(map(has_code, value))


def frame_of(found: ObjectValue) -> dict[str, Json]:
    """The fields of an object's node that follow from its class: all but the config of a class."""
    frame = identity_of(found.class_name)
    name = frame["class_name"]
    if found.config is None and "module" in frame:
        custom = found.class_name.startswith("custom:")
        frame = {"module": "builtins" if custom else frame["module"], "class_name": "function"}
        frame["config"] = identity_of(found.class_name)["registered_name"] if custom else name
        frame["registered_name"] = "function" if custom else name
    if found.shared is not None:
        frame["shared_object_id"] = found.shared
    return frame


@dataclass
class ValueWriter:
    """Values to Keras' JSON.

    Attributes:
        tensor: gives the `__keras_tensor__` config of a call output.
        module: gives the node of a module that a value refers to.
    """

    tensor: Callable[[OutputRef], Json]
    module: Callable[[ModuleRef], Json]

    def json(self, value: Any, where: str) -> Json:
        """The JSON node of a value.

        Raises:
            TransferError: ``keras-value``, Keras has no form for it.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        for kind, write in _WRITERS.items():
            if isinstance(value, kind):
                return write(self, value, where)
        raise error("keras-value", where=where, found=shown(value))

    def object(self, found: ObjectValue, where: str) -> Json:
        """The node of an object."""
        residue = found.residue.get("keras", {})
        frame = patched(frame_of(found), residue)
        if found.config is None:
            return frame
        return with_config(frame, reordered(self.json(found.config, where), residue.get("order", [])))


def _read_bytes(_: ValueReader, node: Mapping[str, Json]) -> Any:
    config = node["config"]
    plain = node.keys() == _OBJECT_FIELDS and isinstance(config, dict) and config.keys() == {"value"}
    return config["value"].encode() if plain and isinstance(config["value"], str) else None


def _read_slice(reader: ValueReader, node: Mapping[str, Json]) -> Any:
    config = node["config"]
    if node.keys() != _OBJECT_FIELDS or not isinstance(config, dict) or list(config) != ["start", "stop", "step"]:
        return None
    return slice(*(reader.value(item) for item in config.values()))


def _read_ellipsis(_: ValueReader, node: Mapping[str, Json]) -> Any:
    return Ellipsis if node.keys() == _OBJECT_FIELDS and node["config"] == {} else None


def _read_array(_: ValueReader, node: Mapping[str, Json]) -> Any:
    """An array, if its numbers come back as they were written; a `__tensor__` is told apart by its class."""
    array = _array(node["config"]) if node.keys() == _OBJECT_FIELDS else None
    if array is None or node["class_name"] == "__numpy__":
        return array
    return ObjectValue("keras:__tensor__", array)


def _array(config: Json) -> np.ndarray[Any, Any] | None:
    if not isinstance(config, dict) or config.keys() != {"value", "dtype"}:
        return None
    try:
        kind = dtypes.by_name(config["dtype"], "")
        array = np.array(config["value"], kind.numpy) if kind.bits >= 8 else None
    except (EtuiError, ValueError, TypeError, OverflowError):
        return None
    return array if array is not None and same(array.tolist(), config["value"]) else None


def _read_tensor_of_graph(reader: ValueReader, node: Mapping[str, Json]) -> Any:
    config = node["config"]
    plain = node.keys() == _OBJECT_FIELDS and isinstance(config, dict)
    found = reader.output(config) if plain else None
    return reader.object(node) if found is None else found


_READERS: dict[str, Callable[[ValueReader, Mapping[str, Json]], Any]] = {
    "__bytes__": _read_bytes,
    "__slice__": _read_slice,
    "__ellipsis__": _read_ellipsis,
    "__numpy__": _read_array,
    "__tensor__": _read_array,
    "__keras_tensor__": _read_tensor_of_graph,
}


def _special(name: str, config: Json) -> Json:
    return {"class_name": name, "config": config}


def _write_bytes(_: ValueWriter, value: bytes, where: str) -> Json:
    try:
        return _special("__bytes__", {"value": value.decode("utf-8")})
    except UnicodeDecodeError:
        raise error("keras-value", where=where, found=shown(value)) from None


def _write_map(writer: ValueWriter, value: dict[Any, Any], where: str) -> Json:
    if not all(isinstance(key, str) for key in value):
        raise error("keras-value", where=where, found=f"a map with the keys {shown(list(value))}")
    return {key: writer.json(item, where) for key, item in value.items()}


def _write_slice(writer: ValueWriter, value: slice, where: str) -> Json:
    ends = {"start": value.start, "stop": value.stop, "step": value.step}
    return _special("__slice__", {name: writer.json(item, where) for name, item in ends.items()})


def _write_array(_: ValueWriter, value: np.ndarray[Any, Any], _where: str) -> Json:
    return _special("__numpy__", {"value": value.tolist(), "dtype": dtypes.of_array(value).name})


def _write_object(writer: ValueWriter, value: ObjectValue, where: str) -> Json:
    if value.class_name == "keras:__tensor__" and isinstance(value.config, np.ndarray):
        return _special("__tensor__", _write_array(writer, value.config, where)["config"])
    return writer.object(value, where)


_WRITERS: dict[type, Callable[[ValueWriter, Any, str], Json]] = {
    list: lambda writer, value, where: [writer.json(item, where) for item in value],
    tuple: lambda writer, value, where: {
        "class_name": "__tuple__",
        "items": [writer.json(item, where) for item in value],
    },
    dict: _write_map,
    bytes: _write_bytes,
    slice: _write_slice,
    type(Ellipsis): lambda *_: _special("__ellipsis__", {}),
    np.ndarray: _write_array,
    ObjectValue: _write_object,
    OutputRef: lambda writer, value, _: writer.tensor(value),
    ModuleRef: lambda writer, value, _: writer.module(value),
}
