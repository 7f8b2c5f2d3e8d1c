"""Mutations that keep an input near to something that a parser takes: of bytes, of trees, of one file among several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

import msgpack

from etui.canonical import json as own_json
from etui.canonical import msgpack as own_msgpack
from etui.canonical.value_types import StoredTensor
from etui.errors import EtuiError
from fuzz.kit import Shape, joined, lenient_json, parted
from fuzz.mutation_zip import zip_mutated

Tree = Any
Havoc = Callable[[bytes, int], bytes]
"""Any mutation of bytes, to a largest size."""

_NODES: Final = 4000
_LEVELS: Final = (1, 1, 1, 1, 60, 120, 128, 140, 400)
_NUMBERS: Final = (
    *(0, 1, -1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**32),
    *(2**40, 2**48, 2**53 - 1, 2**53, -(2**53), 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400),
    *(0.5, 1.0, -0.0, 1e-7, 1e16, 1e21, 1e300, 5e-324, 0.1),
)
_TEXTS: Final = (
    *("", "a", "/", "a/b", "..", ".", "../x", "\0", "é", "e\u0301", "\U0001f600", "\uffff", " ", "%", "%2F", "a" * 300),
    *("float32", "bfloat16", "string", "int4", "bool", "complex64", "float8_e4m3fn", "NaN", "Infinity", "-0", "1_0"),
    *("weights.json", "config.json", "keras", "Dense", "__lambda__", "__tensor__", "$int", "$float", "$stored", "null"),
)
_VALUES: Final[tuple[Tree, ...]] = (
    *(None, True, False, [], {}, [[]], [0], [None], {"": None}, {"a": {}}),
    *({"$int": "9" * 20}, {"$float": "NaN"}, {"$bytes": "AA=="}, {"$tuple": []}, {"$stored": "a"}, {"$map": [[1, 2]]}),
    *({"$variable": "a"}, {"$module": "a"}, {"$dtype": "float32"}, {"$asset": "assets/a"}, {"$residue": {}}),
)
_BYTES: Final = (
    *(
        b"\0",
        b"\xff",
        b"\x7f",
        b"\x80",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x80",
        b"\xff\xff\xff\x7f",
        b"\0" * 8,
        b"\xff" * 8,
    ),
    *(b"{", b"}", b"[", b"]", b'"', b",", b":", b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\xed\xa0\x80", b"\xef\xbb\xbf"),
)


def mutated(
    data: bytes, shape: Shape, rng: Random, *, largest: int, own: bool = False, havoc: Havoc | None = None
) -> bytes:
    """Another input, of `largest` bytes at most.

    Args:
        data: the input.
        shape: what it may be taken for.
        rng: decides; the same state gives the same mutation, unless `havoc` does not.
        largest: bytes of the result.
        own: write trees in the canonical form where they have one.
        havoc: mutates bytes; by default `shaken` does.
    """
    shake = havoc or (lambda raw, most: shaken(raw, rng)[:most])
    if shape == "files":
        return _one_file(data, rng, largest, own, shake)[:largest]
    if shape == "zip" and rng.random() < 0.6:
        return zip_mutated(data, rng)[:largest]
    if shape in {"json", "msgpack"} and rng.random() < 0.7:
        tree = _tree_of(data, shape)
        if isinstance(tree, dict | list):
            return _text_of(_changed(tree, rng), shape, own)[:largest]
    return shake(data, largest)[:largest]


def _one_file(data: bytes, rng: Random, largest: int, own: bool, shake: Havoc) -> bytes:
    files = parted(data)
    if not files or rng.random() < 0.05:
        return shake(data, largest)
    name = rng.choice(list(files))
    fate = rng.random()
    if fate < 0.04:
        del files[name]
    elif fate < 0.08:
        files[rng.choice(_TEXTS) or name[::-1]] = files[name]
    elif fate < 0.12:
        files[name] = files[rng.choice(list(files))]
    else:
        shape: Shape = "msgpack" if name.endswith(".msgpack") else "bytes"
        if files[name][:1] in {b"{", b"["}:
            shape = "json"
        files[name] = mutated(files[name], shape, rng, largest=largest, own=own, havoc=shake)
    return joined({name[:63]: content for name, content in files.items()})


def shaken(data: bytes, rng: Random) -> bytes:
    """A few changes of bytes: flips, values at the edges, parts taken out, doubled, moved, cut off."""
    raw = bytearray(data)
    for _ in range(1 + min(int(rng.expovariate(0.7)), 6)):
        at = rng.randrange(len(raw) + 1)
        length = min(1 + int(rng.expovariate(0.2)), len(raw) - at)
        kind = rng.randrange(8)
        if kind == 0 and at < len(raw):
            raw[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(raw):
            raw[at] = rng.randrange(256)
        elif kind == 2:
            piece = rng.choice(_BYTES)
            raw[at : at + len(piece)] = piece
        elif kind == 3:
            raw[at:at] = rng.choice(_BYTES)
        elif kind == 4:
            del raw[at : at + length]
        elif kind == 5:
            raw[at:at] = raw[at : at + length]
        elif kind == 6:
            there = rng.randrange(len(raw) + 1)
            raw[there : there + length] = raw[at : at + length]
        elif rng.random() < 0.3:
            del raw[at:]
        elif at < len(raw):
            raw[at] = (raw[at] + rng.choice((-1, 1))) % 256
    return bytes(raw)


def _tree_of(data: bytes, shape: Shape) -> Tree:
    if shape == "json":
        return lenient_json(data)
    try:
        return msgpack.unpackb(data, strict_map_key=False, ext_hook=_extension, use_list=True)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None


def _extension(_: int, raw: bytes) -> StoredTensor:
    return StoredTensor(raw.decode("utf-8", "replace"))


def _text_of(tree: Tree, shape: Shape, own: bool) -> bytes:
    try:
        if shape == "msgpack":
            return own_msgpack.encode(tree)
        if own:
            return own_json.encode(tree)
    except (EtuiError, RecursionError, OverflowError, TypeError):
        if shape == "msgpack":
            return b"\x80"
    try:
        return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, TypeError):
        return b"{}"


def _places(tree: Tree) -> list[tuple[Tree, Any]]:
    """Each place of a tree, as what holds it and the key in that; a part of them in a large tree."""
    found: list[tuple[Tree, Any]] = []
    waiting = [tree]
    while waiting and len(found) < _NODES:
        node = waiting.pop()
        keys: Iterator[Any] = iter(node) if isinstance(node, dict) else iter(range(len(node)))
        for key in keys:
            found.append((node, key))
            if isinstance(node[key], dict | list):
                waiting.append(node[key])
    return found


def _changed(tree: Tree, rng: Random) -> Tree:
    for _ in range(1 + min(int(rng.expovariate(1.0)), 4)):
        places = _places(tree)
        if not places:
            return deepcopy(rng.choice(_VALUES))
        _change(*rng.choice(places), places, rng)
    return tree


def _change(holder: Tree, key: Any, places: Sequence[tuple[Tree, Any]], rng: Random) -> None:
    fate = rng.randrange(8)
    if fate == 0:
        del holder[key]
    elif fate == 1:
        holder[key] = deepcopy(rng.choice(_VALUES))
    elif fate == 2:
        other, there = rng.choice(places)
        # A copy, or else a tree that holds itself could come of it.
        holder[key] = _copy(other[there])
    elif fate == 3:
        for _ in range(rng.choice(_LEVELS)):
            holder[key] = rng.choice(([holder[key]], {"a": holder[key]}, {"$tuple": [holder[key]]}))
    elif fate == 4 and isinstance(holder, list):
        holder.insert(key, _copy(holder[key]))
    elif fate == 4:
        holder[rng.choice(_TEXTS)] = _copy(holder[key])
    elif fate == 5 and isinstance(holder, dict):
        holder[rng.choice(_TEXTS)] = holder.pop(key)
    else:
        holder[key] = _other(holder[key], rng)


def _copy(tree: Tree) -> Tree:
    try:
        return deepcopy(tree)
    except RecursionError:
        return None


def _other(value: Tree, rng: Random) -> Tree:
    """Another value of the same kind, mostly."""
    if isinstance(value, bool) or value is None:
        return rng.choice((True, False, None, 0, 1))
    if isinstance(value, int | float):
        return rng.choice((value + 1, value - 1, -value, *_NUMBERS)) if rng.random() < 0.5 else rng.choice(_NUMBERS)
    if isinstance(value, str):
        return rng.choice((value + rng.choice(_TEXTS), value[:-1], value[::-1], value.upper(), *_TEXTS))
    if isinstance(value, bytes):
        return shaken(value, rng)
    return deepcopy(rng.choice((*_VALUES, *_NUMBERS, *_TEXTS)))
