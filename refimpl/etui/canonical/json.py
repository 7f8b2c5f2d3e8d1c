"""Canonical JSON: RFC 8785 with the restrictions of SPEC.md chapter 3.

A text and a tree belong together if writing the tree gives the text and reading the text gives the tree. Both
directions prove that with the C parser and the C encoder of the standard library. Only where these cannot decide,
because RFC 8785 writes a float or sorts keys otherwise than Python, and where they find a fault, slower code runs.
"""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any, NoReturn

import numpy as np

from etui.canonical.numbers import MAX_INTEGER, float_text, is_json_float, read_float, read_integer
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits

Json = Any
"""A JSON tree: dict with str keys, list, str, int, float, bool or None."""

_BOM = b"\xef\xbb\xbf"
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r'("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{}\[\],])|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)|(-?[A-Za-z]+)'
)
_CONSTANTS = {None: "null", True: "true", False: "false"}

_NOT_STRUCTURE = bytes(set(range(256)) - set(b'"[]{}'))
_STEPS = np.zeros(256, np.int8)
_STEPS[list(b"[{")] = 1
_STEPS[list(b"]}")] = -1
_BLOCK = 2**20


class _FaultyTokenError(Exception):
    """The C parser met a number or constant that J-4 or J-6 refuses; `_faults` finds where."""


def decode(data: bytes | memoryview, *, where: str, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """The tree of a JSON document, which must be in canonical form.

    Args:
        data: the whole document.
        where: its name, for messages.
        limits: the reader's limits.

    Raises:
        MalformedError: ``json-encoding``, ``json-syntax``, ``json-surrogate``, ``json-depth``.
        InvalidError: ``json-duplicate-key``, ``json-number``, ``json-not-canonical``.
        LimitError: ``limit-document``, ``value-limit``.
    """
    if len(data) > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{len(data)} bytes")
    data = bytes(data)
    text = _decoded(data, where)
    _check_depth(data, where, limits)
    try:
        tree = _read(text)
    except json.JSONDecodeError as cause:
        found = f"{cause.msg}: {shown(text[cause.pos : cause.pos + 20])}"
        raise error("json-syntax", where=_place(where, text, cause.pos), found=found) from None
    except _FaultyTokenError:
        raise _fault(text, "", where) from None
    if not isinstance(tree, dict):
        raise error("json-syntax", where=where, found=f"{shown(text[:20])} in place of an object")
    if not (_plain_order(text) and _c_encoder.encode(tree) == text):
        canonical = _written(tree, limits)
        if canonical != text:
            raise _fault(text, canonical, where)
    if len(data) > limits.string_bytes:
        _check_strings(tree, where, limits)
    return tree


def encode(document: dict[str, Json]) -> bytes:
    """The canonical bytes of a JSON document.

    Raises:
        MalformedError: ``json-surrogate``, ``json-depth``.
        InvalidError: ``json-number``, a number that must be tagged (chapter 5).
        LimitError: ``limit-document``, ``value-limit``.
        UsageError: ``value-type``, not a dict, or something in it that JSON has no form for.
    """
    if not isinstance(document, dict):
        raise error("value-type", found=f"{shown(document)} in place of a document")
    data = encode_tree(document)
    if len(data) > DEFAULT_LIMITS.document_bytes:
        raise error("limit-document", found=f"{len(data)} bytes")
    if len(data) > DEFAULT_LIMITS.string_bytes:
        _check_strings(document, "", DEFAULT_LIMITS)
    return data


def encode_tree(tree: Json) -> bytes:
    """The canonical bytes of any JSON tree; raises as `encode` does."""
    try:
        text = _checking_c_encoder.encode(tree)
        proved = _plain_order(text) and _read(text) == tree
    except (TypeError, ValueError, RecursionError, _FaultyTokenError):
        proved = False
    if not proved:
        text = _written(tree, DEFAULT_LIMITS)
    try:
        data = text.encode()
    except UnicodeEncodeError as cause:
        raise error("json-surrogate", found=shown(text[max(cause.start - 20, 0) : cause.end])) from None
    _check_depth(data, "", DEFAULT_LIMITS)
    return data


# Proof by the C parser and the C encoder


def _parse_integer(text: str) -> int:
    value = read_integer(text)
    if value is None:
        raise _FaultyTokenError
    return value


def _parse_float(text: str) -> float:
    value = read_float(text)
    if value is None:
        raise _FaultyTokenError
    return value


def _parse_constant(_: str) -> NoReturn:
    raise _FaultyTokenError


_read = json.JSONDecoder(parse_int=_parse_integer, parse_float=_parse_float, parse_constant=_parse_constant).decode
_checking_c_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
_c_encoder = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _decoded(data: bytes, where: str) -> str:
    if data.startswith(_BOM):
        raise error("json-encoding", where=where, found="a byte order mark")
    try:
        return data.decode()
    except UnicodeDecodeError as cause:
        start = cause.start
    odd = data[start : start + 3]
    # A surrogate in three bytes breaks J-1 and J-5; the latter's code says more.
    surrogate = len(odd) == 3 and odd[0] == 0xED and 0xA0 <= odd[1] <= 0xBF and 0x80 <= odd[2] <= 0xBF
    code = "json-surrogate" if surrogate else "json-encoding"
    raise error(code, where=f"{where}, byte {start}", found=f"the bytes {odd.hex(' ')}")


def _check_depth(data: bytes, where: str, limits: Limits) -> None:
    """Refuse deep nesting before any parser recurses; in time and memory that the size of the data bounds."""
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Two quotes side by side are an empty string, or end a string and begin another: either way they cancel out.
    structure = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    depth = quotes = 0
    for start in range(0, len(structure), _BLOCK):
        block = np.frombuffer(structure, np.uint8, min(_BLOCK, len(structure) - start), start)
        quotes_so_far = quotes + np.cumsum(block == ord('"'), dtype=np.int32)
        depths = depth + np.cumsum(np.where(quotes_so_far % 2, np.int8(0), _STEPS[block]), dtype=np.int32)
        if depths.max() > limits.depth:
            raise error("json-depth", where=where, found=f"more than {limits.depth} levels")
        depth, quotes = int(depths[-1]), int(quotes_so_far[-1]) % 2


def _plain_order(text: str) -> bool:
    """Whether sorting by code points, as Python does, is sorting by UTF-16 code units."""
    return text.isascii() or _BEYOND_BMP.search(text) is None


# The canonical text, piece by piece


def _written(tree: Json, limits: Limits) -> str:
    pieces: list[str] = []
    _write(tree, pieces, [], limits)
    return "".join(pieces)


def _write(tree: Json, pieces: list[str], path: list[object], limits: Limits) -> None:
    if isinstance(tree, str):
        pieces.append(encode_basestring(tree))
    elif tree is None or isinstance(tree, bool):
        pieces.append(_CONSTANTS[tree])
    elif isinstance(tree, int):
        if not -MAX_INTEGER <= tree <= MAX_INTEGER:
            raise error("json-number", where=_pointer(path), found=f"an integer of {tree.bit_length()} bits")
        pieces.append(int.__repr__(tree))
    elif isinstance(tree, float):
        if not is_json_float(tree):
            raise error("json-number", where=_pointer(path), found=f"the float {tree}")
        pieces.append(float_text(tree))
    elif len(path) == limits.depth and isinstance(tree, list | dict):
        raise error("json-depth", where=_pointer(path), found=f"more than {limits.depth} levels")
    elif isinstance(tree, list):
        _write_list(tree, pieces, path, limits)
    elif isinstance(tree, dict):
        _write_object(tree, pieces, path, limits)
    else:
        raise error("value-type", where=_pointer(path), found=f"{shown(tree)} of type {type(tree).__name__}")


def _write_list(tree: list[Json], pieces: list[str], path: list[object], limits: Limits) -> None:
    separator = "["
    for index, item in enumerate(tree):
        pieces.append(separator)
        path.append(index)
        _write(item, pieces, path, limits)
        path.pop()
        separator = ","
    pieces.append("]" if tree else "[]")


def _write_object(tree: dict[str, Json], pieces: list[str], path: list[object], limits: Limits) -> None:
    for key in tree:
        if not isinstance(key, str):
            raise error("value-type", where=_pointer(path), found=f"the key {shown(key)}")
    separator = "{"
    for key in sorted(tree, key=lambda key: key.encode("utf-16-be", "surrogatepass")):
        pieces.append(f"{separator}{encode_basestring(key)}:")
        path.append(key)
        _write(tree[key], pieces, path, limits)
        path.pop()
        separator = ","
    pieces.append("}" if tree else "{}")


def _check_strings(tree: Json, where: str, limits: Limits) -> None:
    if isinstance(tree, str):
        # A character has at least one byte, so the longest strings need no encoding.
        if len(tree) > limits.string_bytes or len(tree.encode()) > limits.string_bytes:
            raise error("value-limit", where=where, found=f"a string of {len(tree)} characters")
    elif isinstance(tree, list):
        for item in tree:
            _check_strings(item, where, limits)
    elif isinstance(tree, dict):
        for key, item in tree.items():
            _check_strings(key, where, limits)
            _check_strings(item, where, limits)


# Faults of a text that the parser took as JSON


def _fault(text: str, canonical: str, where: str) -> EtuiError:
    """The first fault of a single token, or else the first difference to the canonical text."""
    for offset, path, code, found in _faults(text):
        return error(code, where=_place(where, text, offset, path), found=found)
    same = bisect(range(len(text)), 0, key=lambda at: text[: at + 1] != canonical[: at + 1])
    found = f"{shown(text[same : same + 20])} where the canonical form has {shown(canonical[same : same + 20])}"
    return error("json-not-canonical", where=_place(where, text, same), found=found)


def _faults(text: str) -> Iterator[tuple[int, list[object], str, str]]:
    """Faults as offset in characters, path, code and what was found; the text is JSON but for its numbers and NaN."""
    open_keys: list[set[str] | None] = []  # of each open object; `None` stands for an open list
    path: list[object] = []  # the key or index in each; `None` where a key comes next
    for token in _TOKEN.finditer(text):
        at = token.start()
        string, mark, number, word = token.groups()
        if string is not None:
            value = json.loads(string)
            keys = open_keys[-1] if open_keys and path[-1] is None else None
            if _SURROGATE.search(value):
                yield at, path, "json-surrogate", shown(string)
            if keys is not None:
                if value in keys:
                    yield at, path, "json-duplicate-key", shown(value)
                keys.add(value)
                path[-1] = value
        elif number is not None:
            plain_integer = number.lstrip("-").isdigit()
            if (read_integer(number) if plain_integer else read_float(number)) is None:
                yield at, path, "json-number", shown(number)
        elif word is not None:
            if word not in _CONSTANTS.values():
                yield at, path, "json-syntax", word
        elif mark == ",":
            path[-1] = None if open_keys[-1] is not None else path[-1] + 1  # type: ignore[operator]  # an index
        elif mark in "[{":
            open_keys.append(set() if mark == "{" else None)
            path.append(None if mark == "{" else 0)
        else:
            open_keys.pop()
            path.pop()


def _place(where: str, text: str, offset: int, path: list[object] | None = None) -> str:
    """The place of a character: document, byte, and path where it is known."""
    byte = len(text[:offset].encode("utf-8", "surrogatepass"))
    pointer = _pointer(path or [])
    return f"{where}, byte {byte}" + (f" at {pointer}" if pointer else "")


def _pointer(path: list[object]) -> str:
    return shown("/".join(str(step)[:40] for step in path if step is not None)).strip("'\"")
