"""Small changes of a document, such as a careless writer makes: other values in its tree, other tokens in its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.oracle import msgpack
from etui_conformance.oracle.errors import Refusal
from etui_conformance.strategies.drafts import encode

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|[\[\]{},:]')
_OTHERS = (
    b"null",
    b"true",
    b"0",
    b"-0",
    b"1",
    b"1.0",
    b"0.5",
    b"1e2",
    b"1E-7",
    b"01",
    b"-1",
    b"9007199254740992",
    b"NaN",
    b'""',
    b'"a"',
    b'"\\u0061"',
    b'"\\/"',
    b'"\\ud800"',
    b'"$float"',
    b"[]",
    b"{}",
    b" ",
    b"\n",
    b",",
    b"]",
    b'{"$int":"1"}',
    b'{"$float":"1"}',
    b'"x-a":1,',
    b"\xff",
    b"\xef\xbb\xbf",
)
_HEADS = tuple(bytes([byte]) for byte in (0x00, 0x7F, 0x80, 0x81, 0x90, 0x91, 0xA0, 0xA1, *range(0xC0, 0xE1), 0xFF))
_KINDS = st.sampled_from(["token", "token", "token", "drop", "double", "swap", "byte", "cut", "add"])


_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2**53 - 1,
    0.5,
    "",
    "a",
    "a/b",
    "a//b",
    "keras:Dense",
    "1.0",
    "float32",
    [],
    [0],
    {},
    {"a": 1},
    {"$float": "1"},
    {"$int": "9007199254740992"},
    {"$tuple": [1]},
    {"$map": [[1, 2]]},
    {"$none": 1},
)


@st.composite
def mutations(draw: st.DrawFn, name: str, data: bytes) -> bytes:
    """The bytes of a document after one or two small changes, not all of which make it invalid.

    Args:
        draw: given by Hypothesis.
        name: of the document.
        data: its valid bytes.
    """
    if draw(st.booleans()):
        return draw(_tree_mutations(name, data))
    for _ in range(draw(st.integers(1, 2))):
        data = _mutated(draw, data)
    return data


@st.composite
def _tree_mutations(draw: st.DrawFn, name: str, data: bytes) -> bytes:
    """The canonical bytes of the tree with another value, key or length at one place."""
    tree = msgpack.decode(data) if name.endswith(".msgpack") else canonical.decode(data)
    holder, key = draw(st.sampled_from(list(_places(tree))))
    kind = draw(st.sampled_from(["value", "value", "drop", "rename", "add", "copy"]))
    if kind == "value":
        holder[key] = draw(st.sampled_from(_VALUES))
    elif kind == "drop":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key] if kind == "copy" else draw(st.sampled_from(_VALUES)))
    else:
        new = draw(st.sampled_from(["", "a", f"x-{key}", f"{key}x", f"${key}", f"{key}/a", key.upper(), key[1:]]))
        holder[new] = draw(st.sampled_from(_VALUES)) if kind == "add" else holder[key]
        if kind == "rename" and new != key:
            del holder[key]
    try:
        return encode(name, tree)
    except Refusal:
        return data


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree: what holds it, and its key or index."""
    for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _mutated(draw: st.DrawFn, data: bytes) -> bytes:
    kind = draw(_KINDS)
    tokens = [match.span() for match in _TOKENS.finditer(data)] if data[:1] == b"{" else []
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind == "add":
        return data + draw(st.sampled_from([b"\n", b" ", b"\0", b"{}", b"\x80"]))
    if not data:
        return data
    if kind == "byte" or not tokens:
        at = draw(st.integers(0, len(data) - 1))
        put = draw(st.sampled_from(_HEADS) | st.binary(min_size=1, max_size=2) | st.just(b""))
        return data[:at] + put + data[at + draw(st.integers(0, 1)) :]
    begin, end = draw(st.sampled_from(tokens))
    if kind == "drop":
        return data[:begin] + data[end:]
    if kind == "double":
        return data[:end] + data[begin:end] + data[end:]
    if kind == "swap":
        first, last = draw(st.sampled_from(tokens))
        if last <= begin:
            return data[:first] + data[begin:end] + data[last:begin] + data[first:last] + data[end:]
    return data[:begin] + draw(st.sampled_from(_OTHERS)) + data[end:]
