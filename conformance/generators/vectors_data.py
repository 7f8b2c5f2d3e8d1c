"""Vectors of data parts (SPEC.md chapter 11)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vectors_contents import f32, numbers, tensor, weights
from vectors_kit import FULL, Area
from vectors_layout import headed, header
from vectors_parts import DATA, WEIGHTS, Edit, Parts, added_data, drop, whole

_HEADER = "safetensors-header"
_LAYOUT = "safetensors-layout"


def area() -> Area:
    """The vectors."""
    found = Area("data", "weights")
    mixed = {
        "z": numbers("float64", [1], 0.5),
        "b": tensor("bool", [3], b"\1\0\1"),
        "a": f32([2], 1, 2),
        "c": numbers("int16", [1], -2),
        "e": f32([0, 4]),
        "k": numbers("uint8", [], 7),
        "Z": f32([1], 3),
        "é": f32([1], 4),
    }
    found.valid("tensors by falling width and then by name", "S-1 S-2 S-5 S-6 S-9 D-9", weights(mixed))
    found.valid("no tensors and no data part", "S-8", weights({}))
    for length in range(3):
        name = "k" * (12 + length * 17)
        found.valid(f"a header of another length, {length + 1}", "S-2", weights({name: f32([1], length)}))
    pair = {"a": f32([2], 1, 2), "h": numbers("float16", [2], 1, 2), "m": tensor("bool", [2], b"\1\0")}
    base = found.valid("tensors of three widths", "S-1 S-5 S-6", weights(pair))
    found.faults(base, DATA, _header_faults())
    found.faults(base, DATA, _entry_faults())
    found.faults(base, DATA, _layout_faults())
    found.faults(base, WEIGHTS, _reference_faults())
    empty = found.valid("an index of nothing", "S-8", weights({}))
    nothing: Callable[[Parts], None] = added_data(DATA, headed(b"{}"))
    found.change(empty, "a data part without tensors", "S-8", _HEADER, nothing, needs=["weights"], ops=FULL)
    named = header(lambda tree: tree.update({"__metadata__": tree.pop("m")}))
    found.faults(base, DATA, [("a tensor of the name of metadata", "S-4", _HEADER, named)])
    return found


def _set(name: str, key: str, value: Any) -> Edit:
    """A field of a tensor in the header is set otherwise."""
    return header(lambda tree: tree[name].update({key: value}))


def _text(old: bytes, new: bytes) -> Edit:
    """Bytes of the header's JSON are others."""

    def change(data: bytes) -> bytes:
        size = 8 + int.from_bytes(data[:8], "little")
        text = data[8:size].rstrip(b" ")
        assert text.count(old) == 1
        return headed(text.replace(old, new)) + data[size:]

    return whole(change, DATA)


def _reversed(tree: dict[str, Any]) -> bytes:
    return json.dumps(dict(reversed(tree.items())), separators=(",", ":")).encode()


def _length(value: int) -> Edit:
    """The header's length is said to be another."""
    return whole(lambda data: value.to_bytes(8, "little") + data[8:], DATA)


def _padding(change: Callable[[bytes], bytes]) -> Edit:
    """The header with its padding is changed, and its length follows."""

    def edit(data: bytes) -> bytes:
        size = 8 + int.from_bytes(data[:8], "little")
        made = change(data[8:size])
        return len(made).to_bytes(8, "little") + made + data[size:]

    return whole(edit, DATA)


def _header_faults() -> list[tuple[str, str, str, Edit]]:
    rows = [
        ("a header that is a list", "S-1", _text(b'{"a":{"data', b'[{"a":{"data')),
        ("a header without its end", "S-1", _text(b"}}", b"}")),
        ("a space in the header", "S-2", _text(b'"dtype":"BOOL"', b'"dtype": "BOOL"')),
        ("names in another order", "S-2", header(_reversed)),
        ("a key twice in a header", "S-2", _text(b'"dtype":"BOOL"', b'"dtype":"BOOL","dtype":"BOOL"')),
        ("a header with a byte that UTF-8 does not have", "S-2", _text(b'"BOOL"', b'"BOO\xff"')),
        ("no padding", "S-2", _padding(lambda text: text.rstrip(b" "))),
        ("more padding than is needed", "S-2", _padding(lambda text: text + b" " * 64)),
        ("padding that is zero", "S-2", _padding(lambda text: text.rstrip(b" ").ljust(len(text), b"\0"))),
        ("padding of tabulators", "S-2", _padding(lambda text: text.rstrip(b" ").ljust(len(text), b"\t"))),
        ("padding in front", "S-2", _padding(lambda text: text.rstrip(b" ").rjust(len(text), b" "))),
        ("a header beyond the part", "S-3", _length(10_000)),
        ("a header beyond the limit", "S-3 L-2 X-2", _length(100_000_001)),
        ("a header of 2^63 bytes", "S-3 L-2 X-2", _length(2**63)),
        ("a header of 2^64 - 1 bytes", "S-3 L-2 X-2", _length(2**64 - 1)),
        ("a header of no bytes", "S-1", _length(0)),
        ("a data part of seven bytes", "S-3", whole(lambda data: data[:7], DATA)),
        ("a data part of no bytes", "S-3", whole(lambda _: b"", DATA)),
        ("metadata in the header", "S-4", header(lambda tree: tree.update({"__metadata__": {"format": "pt"}}))),
        ("empty metadata in the header", "S-4", header(lambda tree: tree.update({"__metadata__": {}}))),
    ]
    return [(name, clauses, _HEADER, edit) for name, clauses, edit in rows]


def _entry_faults() -> list[tuple[str, str, str, Edit]]:
    dtype = "safetensors-dtype"
    return [
        ("a tensor that is a list in the header", "S-1", _HEADER, header(lambda tree: tree.update(m=[]))),
        ("a tensor without a dtype in the header", "S-1", _HEADER, header(lambda tree: tree["m"].pop("dtype"))),
        ("a tensor without a shape in the header", "S-1", _HEADER, header(lambda tree: tree["m"].pop("shape"))),
        (
            "a tensor without its offsets in the header",
            "S-1",
            _HEADER,
            header(lambda tree: tree["m"].pop("data_offsets")),
        ),
        ("a tensor with another field in the header", "S-1", _HEADER, _set("m", "name", "m")),
        (
            "a shape with a negative dimension in the header",
            "S-1 D-10",
            f"{_HEADER}|shape-form",
            _set("m", "shape", [-2]),
        ),
        ("one offset", "S-1", _HEADER, _set("m", "data_offsets", [12])),
        ("offsets that are texts", "S-1", _HEADER, _set("m", "data_offsets", ["12", "14"])),
        ("a dtype without plain tensors", "S-7", dtype, _set("m", "dtype", "C64")),
        ("a dtype of four bits", "S-7", dtype, _set("m", "dtype", "F4")),
        ("a dtype of this specification's own", "S-7", dtype, _set("m", "dtype", "bool")),
        ("a dtype in small letters", "S-7", dtype, _set("m", "dtype", "u8")),
    ]


def _layout_faults() -> list[tuple[str, str, str, Edit]]:
    def spans(**offsets: tuple[int, int]) -> Callable[[dict[str, Any]], None]:
        def change(tree: dict[str, Any]) -> None:
            for name, span in offsets.items():
                tree[name]["data_offsets"] = list(span)

        return change

    rows = [
        ("a byte after the last tensor", "S-5", whole(lambda data: data + b"\0", DATA)),
        ("a byte too few", "S-5 S-6", whole(lambda data: data[:-1], DATA)),
        ("a gap between tensors", "S-5", header(spans(m=(13, 15)), section=lambda data: data[:12] + b"\0" + data[12:])),
        (
            "a byte before the first tensor",
            "S-5",
            header(spans(a=(1, 9), h=(9, 13), m=(13, 15)), section=lambda data: b"\0" + data),
        ),
        ("tensors that overlap", "S-5", header(spans(m=(11, 13)), section=lambda data: data[:13])),
        (
            "a narrow tensor before a wide one",
            "S-5",
            header(spans(m=(8, 10), h=(10, 14)), section=lambda data: data[:8] + data[12:] + data[8:12]),
        ),
        ("a span that is too short", "S-6", header(spans(m=(12, 13)), section=lambda data: data[:13])),
        ("a span that is too long", "S-6", header(spans(m=(12, 15)), section=lambda data: data + b"\0")),
        ("a span that ends before it begins", "S-6", header(spans(m=(14, 12)))),
        ("a shape that needs other bytes", "S-6", _set("m", "shape", [3])),
        ("a shape whose product overflows", "S-6 L-2", _set("m", "shape", [2**32, 2**32])),
        ("a span beyond the part", "S-6", _set("m", "data_offsets", [12, 2**53 - 1])),
    ]
    return [
        (name, clauses, f"{_LAYOUT}|limit-tensor|chunk-mismatch" if "overflows" in name else _LAYOUT, edit)
        for name, clauses, edit in rows
    ]


def _reference_faults() -> list[tuple[str, str, str, Edit]]:
    code = "tensor-unreferenced"

    def twice(tree: dict[str, Any]) -> None:
        tree["variables"]["n"] = tree["variables"]["m"] | {"order": 3}

    return [
        ("a tensor that nothing names", "S-9", code, drop("variables", "m")),
        ("a tensor that two variables name", "S-9", code, twice),
    ]
