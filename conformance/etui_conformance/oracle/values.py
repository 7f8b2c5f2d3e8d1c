"""Values (SPEC.md, chapter 5): the JSON view of a MessagePack document, both ways, and the checks V-1 to V-9.

A view is what `json.decode` gives: the checks see both kinds of documents through it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from etui_conformance.oracle import dtypes, json, limits, names
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.msgpack import Stored
from etui_conformance.oracle.numbers import SAFE, float_text, is_plain, parse_float_text

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_INT64, _UINT64 = -(1 << 63), (1 << 64) - 1


def tag_of(value: Any) -> str | None:
    """The tag of a tagged value: an object with one key, which begins with exactly one `$`."""
    if isinstance(value, Mapping) and len(value) == 1:
        key = next(iter(value))
        if key.startswith("$") and not key.startswith("$$"):
            return str(key)
    return None


def view(tree: Any, at: str = "") -> Any:
    """The JSON view of what `msgpack.decode` gives (B-12).

    Raises:
        Refusal: ``value-not-canonical``, a map spells out what MessagePack has a format for (V-3); ``value-tag``,
            so do the data of a tensor.
    """
    if tree is None or isinstance(tree, bool | str):
        return tree
    if isinstance(tree, int):
        return tree if abs(tree) <= SAFE else {"$int": str(tree)}
    if isinstance(tree, float):
        return tree if is_plain(tree) else {"$float": float_text(tree)}
    if isinstance(tree, bytes):
        return {"$bytes": to_base64(tree)}
    if isinstance(tree, Stored):
        return {"$stored": tree.name}
    if isinstance(tree, list):
        return [view(item, pointer(at, index)) for index, item in enumerate(tree)]
    tag = tag_of(tree)
    if tag is not None and not isinstance(_native(tag, tree[tag], tree), dict):
        raise Refusal("value-not-canonical", at, f"a map with {tag}, which MessagePack writes without it")
    if tag == "$tensor" and isinstance(tree[tag], dict) and "data" in tree[tag]:
        return {tag: _tensor_view(tree[tag], at)}
    return {key: view(item, pointer(at, key)) for key, item in tree.items()}


def _tensor_view(tensor: dict[str, Any], at: str) -> dict[str, Any]:
    if isinstance(tensor["data"], str):
        raise Refusal("value-tag", pointer(at, "$tensor", "data"), "a text in place of a byte string")
    found = {key: view(item, pointer(at, "$tensor", key)) for key, item in tensor.items()}
    if isinstance(tensor["data"], bytes):
        found["data"] = to_base64(tensor["data"])
    return found


def from_view(value: Any) -> Any:
    """What `msgpack.encode` takes for a JSON view: the inverse of `view`."""
    if isinstance(value, list):
        return [from_view(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    tag = tag_of(value)
    if tag == "$tensor" and isinstance(value[tag], Mapping) and isinstance(value[tag].get("data"), str):
        data = from_base64(value[tag]["data"])
        return {tag: {key: data if key == "data" else from_view(item) for key, item in value[tag].items()}}
    native = _native(tag, value[tag], value) if tag is not None else value
    return {key: from_view(item) for key, item in value.items()} if isinstance(native, Mapping) else native


def _native(tag: str, content: Any, whole: Any) -> Any:
    """What MessagePack has a format of its own for, or the whole value where it has none (the table's last column)."""
    if not isinstance(content, str):
        return whole
    if tag == "$int" and _INTEGER.fullmatch(content) and len(content) <= 20 and _INT64 <= int(content) <= _UINT64:
        return int(content)
    if tag == "$float":
        number = parse_float_text(content)
        return whole if number is None else number
    if tag == "$bytes":
        data = _decode_base64(content)
        return whole if data is None else data
    return Stored(content) if tag == "$stored" else whole


def to_base64(data: bytes) -> str:
    """Bytes as the text of `$bytes`."""
    return base64.b64encode(data).decode()


def from_base64(text: str, at: str = "") -> bytes:
    """The bytes of such a text (V-5).

    Raises:
        Refusal: ``value-tag``.
    """
    data = _decode_base64(text)
    if data is None:
        raise Refusal("value-tag", at, "not base64 of the standard alphabet, padded, with zero spare bits")
    return data


def _decode_base64(text: str) -> bytes | None:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if to_base64(data) == text else None


def check(value: Any, at: str = "") -> None:
    """Refuse a view that is no value in its one form (V-1 to V-8).

    What it refers to is not looked up: `references` gives that.

    Raises:
        Refusal: ``value-tag``, ``value-not-canonical``, ``value-limit``, ``dtype-unknown``, ``shape-form``,
            ``bool-value``, ``path-form``, ``op-form``, ``limit-…``.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            check(item, pointer(at, index))
        return
    if not isinstance(value, dict):
        return
    tag = tag_of(value)
    if tag is None:
        for key, item in value.items():
            if key.startswith("$") and not key.startswith("$$"):
                raise Refusal("value-tag", pointer(at, key), "a key with one $ among others")  # V-2
            check(item, pointer(at, key))
        return
    if tag not in _CHECKS:
        raise Refusal("value-tag", at, f"the tag {tag!r}")
    _CHECKS[tag](value[tag], pointer(at, tag))


def references(value: Any, at: str = "") -> Iterator[tuple[str, str, Any]]:
    """The tagged values of a checked value, outer ones first: their place, tag and content."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from references(item, pointer(at, index))
    elif isinstance(value, dict):
        tag = tag_of(value)
        if tag is not None:
            yield at, tag, value[tag]
            if tag == "$tensor":
                return
        for key, item in value.items():
            yield from references(item, pointer(at, key))


def _form(holds: bool, at: str, found: Any) -> None:
    """Refuse the content of a tag that has another form than the table shows (V-1)."""
    if not holds:
        raise Refusal("value-tag", at, f"the content {str(found)[:80]!r}")


def _int(content: Any, at: str) -> None:
    _form(isinstance(content, str) and _INTEGER.fullmatch(content) is not None, at, content)
    if len(content.removeprefix("-")) > limits.INT_DIGITS:
        raise Refusal("value-limit", at, f"{len(content)} digits")  # V-8: before any conversion
    number = int(content)
    if abs(number) <= SAFE or str(number) != content:
        raise Refusal("value-not-canonical", at, f"the integer {content[:40]}")


def _float_of(content: Any, at: str) -> float:
    number = parse_float_text(content) if isinstance(content, str) else None
    _form(number is not None, at, content)
    if number is None or float_text(number) != content:
        raise Refusal("value-not-canonical", at, f"the float {content[:40]!r}")
    return number


def _float(content: Any, at: str) -> None:
    if is_plain(_float_of(content, at)):
        raise Refusal("value-not-canonical", at, f"the float {content!r}, which is a plain number")


def _bytes(content: Any, at: str) -> None:
    _form(isinstance(content, str), at, content)
    if len(from_base64(content, at)) > limits.STRING_BYTES:
        raise Refusal("value-limit", at, "more bytes than one value may have")


def _tuple(content: Any, at: str) -> None:
    _form(isinstance(content, list), at, content)
    check(content, at)


def _complex(content: Any, at: str) -> None:
    _form(isinstance(content, list) and len(content) == 2, at, content)
    for index, text in enumerate(content):
        _float_of(text, pointer(at, index))


def _slice(content: Any, at: str) -> None:
    _form(isinstance(content, list) and len(content) == 3, at, content)
    check(content, at)


def _ellipsis(content: Any, at: str) -> None:
    _form(content is True, at, content)


def _dtype(content: Any, at: str) -> None:
    _form(isinstance(content, str), at, content)
    dtypes.check_dtype(content, at)


def _tensor(content: Any, at: str) -> None:
    _form(isinstance(content, dict) and content.keys() == {"data", "dtype", "shape"}, at, content)
    data, dtype, shape = content["data"], content["dtype"], content["shape"]
    _form(isinstance(dtype, str) and isinstance(data, str), at, content)
    dtypes.check_dtype(dtype, pointer(at, "dtype"))
    dtypes.check_shape(shape, pointer(at, "shape"))
    _form((dtypes.BITS[dtype] or 0) >= 8, pointer(at, "dtype"), dtype)  # V-7
    dtypes.check_size(dtype, shape, pointer(at, "shape"))
    if len(data) > limits.TENSOR_VALUE_BYTES * 4 // 3 + 4:
        raise Refusal("value-limit", pointer(at, "data"), f"{len(data)} characters of base64")
    elements = from_base64(data, pointer(at, "data"))
    if len(elements) > limits.TENSOR_VALUE_BYTES:
        raise Refusal("value-limit", pointer(at, "data"), f"{len(elements)} bytes")
    _form(len(elements) == dtypes.count(shape) * dtypes.width(dtype), pointer(at, "data"), f"{len(elements)} bytes")
    if dtype == "bool":
        dtypes.check_bools(elements, pointer(at, "data"))


def _map(content: Any, at: str) -> None:
    _form(isinstance(content, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in content), at, content)
    check(content, at)
    keys = [json.encode(pair[0]) for pair in content]
    if keys != sorted(set(keys)):
        raise Refusal("value-not-canonical", at, "keys that are not sorted, each once")
    if all(isinstance(pair[0], str) for pair in content):
        raise Refusal("value-not-canonical", at, "no key that is not a string")


def _object(content: Any, at: str) -> None:
    _form(isinstance(content, dict) and content.keys() >= {"class", "config"}, at, content)
    _form(content.keys() <= {"class", "config", "shared", "residue"}, at, sorted(content))
    names.check_op(content["class"], pointer(at, "class"))
    shared = content.get("shared", 0)
    _form(type(shared) is int and shared >= 0, pointer(at, "shared"), shared)
    check(content["config"], pointer(at, "config"))
    if "residue" in content:
        _residue(content["residue"], pointer(at, "residue"))


def _residue(content: Any, at: str) -> None:
    """Maps by the names of frameworks (C-16), and none of them empty or absent (Q-10)."""
    _form(isinstance(content, dict) and bool(content), at, content)
    for framework, facts in content.items():
        is_map = isinstance(facts, dict) and tag_of(facts) is None
        _form(is_map and names.NAMESPACE.fullmatch(framework) is not None, at, framework)
        check(facts, pointer(at, framework))


def _path(content: Any, at: str) -> None:
    _form(isinstance(content, str), at, content)
    names.check_path(content, at)


def _output(content: Any, at: str) -> None:
    _form(isinstance(content, list) and len(content) == 2, at, content)
    call, index = content
    _form(isinstance(call, str) and type(index) is int and index >= 0, at, content)


def _asset(content: Any, at: str) -> None:
    _form(isinstance(content, str) and content.startswith("assets/"), at, content)


def _stored(content: Any, at: str) -> None:
    _form(isinstance(content, str), at, content)


_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "$int": _int,
    "$float": _float,
    "$bytes": _bytes,
    "$tuple": _tuple,
    "$complex": _complex,
    "$slice": _slice,
    "$ellipsis": _ellipsis,
    "$dtype": _dtype,
    "$tensor": _tensor,
    "$map": _map,
    "$object": _object,
    "$variable": _path,
    "$module": _path,
    "$output": _output,
    "$asset": _asset,
    "$stored": _stored,
}
