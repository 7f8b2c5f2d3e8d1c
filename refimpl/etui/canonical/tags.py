"""The tags: what each holds, and how it is written and read (SPEC.md chapter 5)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from itertools import pairwise
from types import EllipsisType
from typing import Any

import numpy as np

from etui import dtypes
from etui.canonical import json
from etui.canonical.key_order import key_order
from etui.canonical.numbers import LONGEST_FLOAT, float_text
from etui.canonical.tagging import JSON, Reader, Tag, Tree, Walk, Writer, register
from etui.canonical.value_types import (
    AssetRef,
    DtypeName,
    MapValue,
    ModuleRef,
    ObjectValue,
    OutputRef,
    StoredTensor,
    Value,
    VariableRef,
)
from etui.errors import shown
from etui.names import check_namespaced, is_residue
from etui.paths import check_path

# Numbers

_INTEGER = re.compile("-?([0-9]+)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-0": -0.0}


def _write_int(value: int, writer: Writer) -> Tree:
    limit = writer.limits.integer_digits
    # A digit is less than 4 bits, so that no longer number is converted.
    if value.bit_length() > 4 * limit or len(str(abs(value))) > limit:
        raise writer.fail("value-limit", f"an integer of {value.bit_length()} bits")
    return str(value)


def _read_int(content: Tree, reader: Reader) -> Value:
    match = _INTEGER.fullmatch(reader.typed(content, str))
    if match is None:
        raise reader.fail("value-tag", f"the text {shown(content)}")
    if len(match[1]) > reader.limits.integer_digits:
        raise reader.fail("value-limit", f"an integer of {len(match[1])} digits")
    value = int(content)
    if str(value) != content:
        raise reader.fail("value-not-canonical", f"the text {shown(content)}")
    return value


def _float_text(value: float) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "-0" if value == 0 and math.copysign(1, value) < 0 else float_text(value)


def _write_float(value: float, _: Writer) -> Tree:
    return _float_text(value)


def _read_float(content: Tree, reader: Reader) -> Value:
    text: str = reader.typed(content, str)
    if text in _SPECIAL:
        return _SPECIAL[text]
    if not _NUMBER.fullmatch(text):
        raise reader.fail("value-tag", f"the text {shown(text)}")
    value = float(text) if len(text) <= LONGEST_FLOAT else math.inf
    if _float_text(value) != text:
        raise reader.fail("value-not-canonical", f"the text {shown(text)}")
    return value


def _write_complex(value: complex, _: Writer) -> Tree:
    return [_float_text(value.real), _float_text(value.imag)]


def _read_complex(content: Tree, reader: Reader) -> Value:
    real, imaginary = reader.list_of(content, 2)
    return complex(_read_float(real, reader), _read_float(imaginary, reader))


# Bytes and tensors


def base64_text(data: bytes) -> str:
    """`data` in base64, padded."""
    return base64.b64encode(data).decode()


def base64_bytes(content: Tree, reader: Reader) -> bytes:
    """What a base64 text says (V-5)."""
    text: str = reader.typed(content, str)
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    # What is not the encoding of its own content has other padding, spare bits, or is no base64 at all.
    if base64_text(data) != text:
        raise reader.fail("value-tag", f"{shown(text)}, which is not base64 in its standard form")
    return data


def _write_bytes(value: bytes, _: Writer) -> Tree:
    return base64_text(value)


def _write_tensor(value: np.ndarray[Any, Any], writer: Writer) -> Tree:
    dtype = dtypes.of_array(value)
    if dtype.bits < 8:
        raise writer.fail("value-type", f"an array of {dtype.name}, which no small tensor can have")
    shape = list(value.shape)
    dtypes.check_shape(shape, writer.place)
    size = dtypes.check_size(dtype.name, shape, writer.place)
    if size > writer.limits.inline_tensor_bytes:
        raise writer.fail("value-limit", f"an array of {size} bytes: store it as a tensor")
    data = value.astype(dtype.numpy, copy=False).tobytes()
    _check_bools(dtype.name, data, writer)
    return {"data": data if writer.kind.binary else base64_text(data), "dtype": dtype.name, "shape": shape}


def _read_tensor(content: Tree, reader: Reader) -> Value:
    tree = reader.fields(content, {"data", "dtype", "shape"}, set())
    dtype = dtypes.by_name(reader.typed(tree["dtype"], str), reader.place)
    if dtype.bits < 8:
        raise reader.fail("value-tag", f"a small tensor of {dtype.name}")
    shape = dtypes.check_shape(tree["shape"], reader.place, reader.limits)
    size = dtypes.check_size(dtype.name, shape, reader.place, reader.limits)
    if size > reader.limits.inline_tensor_bytes:
        raise reader.fail("value-limit", f"a small tensor of {size} bytes")
    data: bytes = reader.typed(tree["data"], bytes) if reader.kind.binary else base64_bytes(tree["data"], reader)
    if len(data) != size:
        raise reader.fail("value-tag", f"{len(data)} bytes of data for {dtype.name}{list(shape)}")
    _check_bools(dtype.name, data, reader)
    return np.frombuffer(data, dtype.numpy).reshape(shape)


def _check_bools(dtype: str, data: bytes, walk: Walk) -> None:
    if dtype == "bool" and max(data, default=0) > 1:
        raise walk.fail("bool-value", f"a byte of {max(data)}")


# Collections


def _write_tuple(value: tuple[Value, ...], writer: Writer) -> Tree:
    return writer.items(value)


def _read_tuple(content: Tree, reader: Reader) -> Value:
    return tuple(reader.items(reader.typed(content, list)))


def _write_slice(value: slice, writer: Writer) -> Tree:
    return writer.items([value.start, value.stop, value.step])


def _read_slice(content: Tree, reader: Reader) -> Value:
    return slice(*reader.items(reader.list_of(content, 3)))


def key_bytes(key: Value) -> bytes:
    """The canonical JSON bytes of a map's key, which order the entries of a `$map` and tell keys apart (V-4)."""
    return json.encode_tree(Writer(JSON).write(key))


def json_view(tree: Tree) -> Tree:
    """The JSON view (B-12) of a MessagePack tree, or of any part of one."""
    node = _node_view(tree)
    if type(node) is list:
        return [json_view(item) for item in node]
    if type(node) is dict:
        return {key: json_view(item) for key, item in node.items()}
    return node


def _node_view(tree: Tree) -> Tree:
    """The JSON view of a node of a MessagePack tree, with what it holds as it is; that of JSON is the same again."""
    if type(tree) is list or JSON.holds(tree):
        return tree
    if type(tree) is not dict:
        return Writer(JSON).write(tree)
    data = tensor_data(tree)
    if type(data) is bytes:
        return {"$tensor": {**tree["$tensor"], "data": base64_text(data)}}
    return tree


def tensor_data(tree: dict[str, Tree]) -> Tree:
    """The `data` of a map that is a `$tensor`; `None` of any other."""
    content = tree["$tensor"] if tree.keys() == {"$tensor"} else None
    return content.get("data") if type(content) is dict else None


def _order(key: Tree, walk: Walk) -> Any:
    return key_order(key, _node_view if walk.kind.binary else _as_it_is)


def _as_it_is(tree: Tree) -> Tree:
    return tree


def _write_map(value: dict[Value, Value] | MapValue, writer: Writer) -> Tree:
    pairs = value.pairs if isinstance(value, MapValue) else tuple(value.items())
    entries = [[writer.item(index, key), writer.item(index, item)] for index, (key, item) in enumerate(pairs)]
    # Out of the trees: keys that are maps themselves would else be written twice on each level, and 2^n times on n.
    ordered = sorted(((_order(entry[0], writer), entry) for entry in entries), key=lambda one: one[0])
    if all(type(key) is str for key, _ in pairs) or any(one[0] == two[0] for one, two in pairwise(ordered)):
        raise writer.fail("value-type", "a MapValue that has a key twice, or string keys only")
    return [entry for _, entry in ordered]


def _read_map(content: Tree, reader: Reader) -> Value:
    pairs = [tuple(reader.items(reader.list_of(pair, 2))) for pair in reader.typed(content, list)]
    order = [_order(pair[0], reader) for pair in content]
    if any(first >= second for first, second in pairwise(order)):
        raise reader.fail("value-not-canonical", "entries that are not sorted by their keys, or a key twice")
    if all(type(key) is str for key, _ in pairs):
        raise reader.fail("value-not-canonical", "a map whose keys are all strings")
    try:
        value = dict(pairs)
    except TypeError:  # a key that cannot be hashed, such as a list
        return MapValue(tuple(pairs))
    return value if len(value) == len(pairs) else MapValue(tuple(pairs))


# Names and objects


def _write_ellipsis(value: EllipsisType, _: Writer) -> Tree:
    return value is ...


def _read_ellipsis(content: Tree, reader: Reader) -> Value:
    if content is not True:
        raise reader.fail("value-tag", f"the content {shown(content)}")
    return ...


def _write_dtype(value: DtypeName, writer: Writer) -> Tree:
    return dtypes.by_name(value.name, writer.place).name


def _read_dtype(content: Tree, reader: Reader) -> Value:
    return DtypeName(dtypes.by_name(reader.typed(content, str), reader.place).name)


def _write_object(value: ObjectValue, writer: Writer) -> Tree:
    tree = {"class": check_namespaced(value.class_name, writer.place), "config": writer.item("config", value.config)}
    if value.shared is not None:
        tree["shared"] = value.shared
    if value.residue:
        tree["residue"] = writer.item("residue", value.residue)
    return tree


def _read_object(content: Tree, reader: Reader) -> Value:
    tree = reader.fields(content, {"class", "config"}, {"shared", "residue"})
    name = check_namespaced(tree["class"], reader.place)
    config = reader.item("config", tree["config"])
    shared = reader.natural(tree["shared"]) if "shared" in tree else None
    if "residue" not in tree:
        return ObjectValue(name, config, shared)
    residue = reader.item("residue", tree["residue"])
    if not is_residue(residue):
        raise reader.fail("value-tag", f"the residue {shown(residue)}, which is no map of frameworks to maps")
    return ObjectValue(name, config, shared, residue)


def _write_variable(value: VariableRef, writer: Writer) -> Tree:
    return check_path(value.path, writer.place)


def _read_variable(content: Tree, reader: Reader) -> Value:
    return VariableRef(check_path(reader.typed(content, str), reader.place, reader.limits))


def _write_module(value: ModuleRef, writer: Writer) -> Tree:
    return check_path(value.path, writer.place)


def _read_module(content: Tree, reader: Reader) -> Value:
    return ModuleRef(check_path(reader.typed(content, str), reader.place, reader.limits))


def _write_output(value: OutputRef, _: Writer) -> Tree:
    return [value.call, value.index]


def _read_output(content: Tree, reader: Reader) -> Value:
    call, index = reader.list_of(content, 2)
    return OutputRef(reader.typed(call, str), reader.natural(index))


def _write_asset(value: AssetRef, _: Writer) -> Tree:
    return value.part


def _read_asset(content: Tree, reader: Reader) -> Value:
    if not reader.typed(content, str).startswith("assets/"):
        raise reader.fail("value-tag", f"{shown(content)}, which is no asset's name")
    return AssetRef(content)


def _write_stored(value: StoredTensor, _: Writer) -> Tree:
    return value.name


def _read_stored(content: Tree, reader: Reader) -> Value:
    return StoredTensor(check_path(reader.typed(content, str), reader.place, reader.limits))


register(
    Tag("$int", (int,), _write_int, _read_int),
    Tag("$float", (float,), _write_float, _read_float),
    Tag("$bytes", (bytes,), _write_bytes, base64_bytes),
    Tag("$tuple", (tuple,), _write_tuple, _read_tuple),
    Tag("$complex", (complex,), _write_complex, _read_complex),
    Tag("$slice", (slice,), _write_slice, _read_slice),
    Tag("$ellipsis", (EllipsisType,), _write_ellipsis, _read_ellipsis),
    Tag("$dtype", (DtypeName,), _write_dtype, _read_dtype),
    Tag("$tensor", (np.ndarray,), _write_tensor, _read_tensor),
    Tag("$map", (dict, MapValue), _write_map, _read_map),
    Tag("$object", (ObjectValue,), _write_object, _read_object),
    Tag("$variable", (VariableRef,), _write_variable, _read_variable),
    Tag("$module", (ModuleRef,), _write_module, _read_module),
    Tag("$output", (OutputRef,), _write_output, _read_output),
    Tag("$asset", (AssetRef,), _write_asset, _read_asset),
    Tag("$stored", (StoredTensor,), _write_stored, _read_stored),
)
