"""Canonical JSON: RFC 8785 with the restrictions of SPEC.md, chapter 3."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from etui_conformance.oracle import limits
from etui_conformance.oracle.errors import Refusal
from etui_conformance.oracle.numbers import SAFE, is_plain, shortest

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(data: bytes, at: str = "") -> Any:
    """Read a JSON document (J-1 to J-8).

    Returns:
        Dicts, lists, strings, booleans and `None`; integers as `int`, other numbers as `float`.

    Raises:
        Refusal: ``json-…``, ``value-limit``, ``limit-document``.
    """
    if len(data) > limits.DOCUMENT_BYTES:
        raise Refusal("limit-document", at, f"{len(data)} bytes")
    text = _text(data, at)
    _check_depth(text, at)
    value = _parse(text, at)
    if not isinstance(value, dict):
        raise Refusal("json-syntax", at, f"a {type(value).__name__} in place of an object")
    canonical = encode(value, at)
    if canonical != data:
        where = next(
            (i for i, pair in enumerate(zip(canonical, data, strict=False)) if pair[0] != pair[1]), len(canonical)
        )
        raise Refusal("json-not-canonical", at, f"other bytes than the canonical ones from byte {where} on")
    return value


def encode(value: Any, at: str = "") -> bytes:
    """The canonical JSON of a value, of a document or of a part of one (J-7).

    Raises:
        Refusal: the value has none: ``json-number``, ``json-surrogate``, ``json-depth``, ``value-limit``.
        TypeError: nor is it of the types of JSON.
    """
    pieces: list[str] = []
    _write(value, pieces.append, at, 0)
    return "".join(pieces).encode()


def _text(data: bytes, at: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        surrogate = _is_surrogate(data[error.start : error.start + 3])
        raise Refusal(
            "json-surrogate" if surrogate else "json-encoding", at, f"{error.reason} at byte {error.start}"
        ) from None
    if text.startswith("\ufeff"):
        raise Refusal("json-encoding", at, "a byte order mark")
    return text


def _is_surrogate(data: bytes) -> bool:
    """Whether bytes are those that UTF-8 would give to a surrogate if it had any: not escaped, in the words of J-5."""
    return len(data) == 3 and data[0] == 0xED and 0xA0 <= data[1] <= 0xBF and 0x80 <= data[2] <= 0xBF


def _check_depth(text: str, at: str) -> None:
    """Count the brackets outside of strings, before a parser that recurses sees them (J-8)."""
    depth = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        if first in "[{":
            depth += 1
            if depth > limits.DEPTH:
                raise Refusal("json-depth", at, f"nested deeper than {limits.DEPTH}")
        elif first in "]}":
            depth -= 1


def _parse(text: str, at: str) -> Any:
    def integer(digits: str) -> int:
        if len(digits) > len(f"-{SAFE}") or abs(int(digits)) > SAFE or digits == "-0":
            raise Refusal("json-number", at, f"the number {digits[:40]}")
        return int(digits)

    def real(digits: str) -> float:
        number = float(digits)
        if not is_plain(number) or shortest(number) != digits:
            raise Refusal("json-number", at, f"the number {digits[:40]}")
        return number

    def constant(name: str) -> NoReturn:
        raise Refusal("json-syntax", at, f"the token {name}")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise Refusal("json-duplicate-key", at, f"{twice!r} twice")
        return found

    try:
        return json.loads(text, parse_int=integer, parse_float=real, parse_constant=constant, object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        raise Refusal("json-syntax", at, f"{error.msg} at character {error.pos}") from None


def _write(value: Any, put: Any, at: str, depth: int) -> None:
    if value is None or isinstance(value, bool):
        put({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, str):
        put(_string(value, at))
    elif isinstance(value, int):
        if abs(value) > SAFE:
            raise Refusal("json-number", at, f"an integer of {value.bit_length()} bits")
        put(str(value))
    elif isinstance(value, float):
        if not is_plain(value):
            raise Refusal("json-number", at, f"the float {value}")
        put(shortest(value))
    elif isinstance(value, Mapping):
        _nested(depth, at)
        put("{")
        for index, key in enumerate(sorted(value, key=_code_units)):
            put("," * (index > 0) + _string(key, at) + ":")
            _write(value[key], put, at, depth + 1)
        put("}")
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        _nested(depth, at)
        put("[")
        for index, item in enumerate(value):
            put("," * (index > 0))
            _write(item, put, at, depth + 1)
        put("]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON")


def _nested(depth: int, at: str) -> None:
    if depth >= limits.DEPTH:
        raise Refusal("json-depth", at, f"nested deeper than {limits.DEPTH}")


def _code_units(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _string(text: str, at: str) -> str:
    if _SURROGATE.search(text):
        raise Refusal("json-surrogate", at, "a lone surrogate")
    if len(text) > limits.STRING_BYTES // 4 and len(text.encode()) > limits.STRING_BYTES:
        raise Refusal("value-limit", at, f"a string of {len(text.encode())} bytes")
    return json.dumps(text, ensure_ascii=False)
