"""Faults of encodings (chapter 12.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import Draft, Physical
from etui_conformance.strategies.faults.base import Host, in_draft
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import STEPS

Entry = dict[str, Any]

ODD = "host/odd"
_NIBBLES = Host(("weights",), {ODD: {"dtype": "int4", "shape": [3], "data": b"\x01\xff\x07"}})
_STRINGS = Host(("weights",), {ODD: {"dtype": "string", "shape": [2], "strings": [b"ab", "é".encode()]}})
_BYTES = Host(("weights",), {ODD: {"dtype": "bytes", "shape": [2], "strings": [b"ab", b"\xff"]}})
_COMPLEX = Host(("weights",), {ODD: {"dtype": "complex64", "shape": [2], "data": bytes(range(16))}})
_QUANTIZED = Host(
    ("weights",),
    {
        ODD: {
            "dtype": "float32",
            "shape": [4, 2],
            "components": {
                "scale": {"dtype": "float32", "shape": [2, 1], "data": b"\0\0\x80\x3f\0\0\0\x40"},
                "values": {"dtype": "int8", "shape": [4, 2], "data": bytes(range(8))},
                "zero_point": {"dtype": "int8", "shape": [2, 1], "data": b"\1\2"},
            },
        }
    },
)

_EVERY_ENCODING = Host(
    ("weights",),
    needs=frozenset({f"dtype:{name}" for name in ("complex64", "int4", "uint4", "string", "bytes")})
    | {"feature:encoding.complex", "feature:encoding.packed4", "feature:encoding.string"},
)


def _entry(draft: Draft) -> Entry:
    return draft.entries("weights")[ODD]


def _components(draft: Draft) -> dict[str, Entry]:
    found: dict[str, Entry] = _entry(draft)["components"]
    return found


def _remove(draft: Draft, name: str) -> None:
    """Take a component away with its data."""
    for chunk in _components(draft).pop(name)["chunks"]:
        del draft.data[chunk["part"]][chunk["tensor"]]


def _store(draft: Draft, entry: Entry, shape: Sequence[int], data: bytes) -> None:
    """Put data of another shape in the place of a component's, and say so in its entry."""
    chunk = entry["chunks"][0]
    entry["shape"] = list(shape)
    draft.data[chunk["part"]][chunk["tensor"]] = Physical(draft.physical(chunk).dtype, list(shape), data)


def _recast(draft: Draft, entry: Entry, dtype: str, stored: str) -> None:
    """Give a component another dtype of the same width, in its entry and in its data part."""
    chunk = entry["chunks"][0]
    found = draft.physical(chunk)
    entry["dtype"] = dtype
    draft.data[chunk["part"]][chunk["tensor"]] = Physical(stored, found.shape, found.data)


@in_draft("W-16", "encoding-unknown", "unknown encoding", _COMPLEX)
def _unknown(draw: st.DrawFn, draft: Draft) -> None:
    _entry(draft)["encoding"] = pick(draw, "complexes", "Complex", "", "zip")


@in_draft("W-17", "encoding-components", "component that is lacking", _QUANTIZED)
def _lacking(draw: st.DrawFn, draft: Draft) -> None:
    _remove(draft, pick(draw, "scale", "values"))


@in_draft("W-17", "encoding-components", "component of another name", _COMPLEX)
def _named(draw: st.DrawFn, draft: Draft) -> None:
    components = _components(draft)
    components[pick(draw, "part", "Parts", "values")] = components.pop("parts")


@in_draft("W-17", "encoding-components", "component too many", _NIBBLES)
def _surplus(_draw: st.DrawFn, draft: Draft) -> None:
    donor = draft.entries("weights")[STEPS]
    _components(draft)["more"] = {key: donor[key] for key in ("chunks", "dtype", "shape")}
    del draft.entries("weights")[STEPS]


@in_draft("W-17", "encoding-components", "parts of another dtype", _COMPLEX)
def _complex_dtype(draw: st.DrawFn, draft: Draft) -> None:
    dtype, stored = pick(draw, ("int32", "I32"), ("uint32", "U32"))
    _recast(draft, _components(draft)["parts"], dtype, stored)


@in_draft("W-17", "encoding-components", "parts of another shape", _COMPLEX)
def _complex_shape(draw: st.DrawFn, draft: Draft) -> None:
    _store(draft, _components(draft)["parts"], pick(draw, [4], [2, 2, 1], [1, 4]), bytes(16))


@in_draft("W-17", "encoding-components", "nibbles of another number", _NIBBLES)
def _nibble_count(draw: st.DrawFn, draft: Draft) -> None:
    size = pick(draw, 1, 3)
    _store(draft, _components(draft)["nibbles"], [size], bytes(size))


@in_draft("W-17", "encoding-components", "nibbles of another dtype", _NIBBLES)
def _nibble_dtype(_draw: st.DrawFn, draft: Draft) -> None:
    _recast(draft, _components(draft)["nibbles"], "int8", "I8")


@in_draft("W-17", "encoding-components", "offsets of another number", _STRINGS)
def _offset_count(draw: st.DrawFn, draft: Draft) -> None:
    count = pick(draw, 2, 4)
    _store(draft, _components(draft)["offsets"], [count], bytes(8 * count - 8) + (4).to_bytes(8, "little"))


@in_draft("W-17", "encoding-components", "offsets of another dtype", _STRINGS)
def _offset_dtype(_draw: st.DrawFn, draft: Draft) -> None:
    _recast(draft, _components(draft)["offsets"], "int64", "I64")


@in_draft("W-17", "encoding-components", "values of another shape", _QUANTIZED)
def _value_shape(draw: st.DrawFn, draft: Draft) -> None:
    _store(draft, _components(draft)["values"], pick(draw, [2, 4], [8], [4, 2, 1]), bytes(8))


@in_draft("W-17", "encoding-components", "values that are no integers", _QUANTIZED)
def _value_dtype(draw: st.DrawFn, draft: Draft) -> None:
    dtype, stored = pick(draw, ("bool", "BOOL"), ("float8_e5m2", "F8_E5M2"))
    for name in ("values", "zero_point"):
        entry = _components(draft)[name]
        _recast(draft, entry, dtype, stored)
        draft.replace(entry["chunks"][0], bytes(len(draft.physical(entry["chunks"][0]).data)))


@in_draft("W-17", "encoding-components", "scale that is no float", _QUANTIZED)
def _scale_dtype(draw: st.DrawFn, draft: Draft) -> None:
    dtype, stored = pick(draw, ("int32", "I32"), ("uint32", "U32"))
    _recast(draft, _components(draft)["scale"], dtype, stored)


@in_draft("W-17", "encoding-components", "zero point of another dtype than the values", _QUANTIZED)
def _zero_dtype(_draw: st.DrawFn, draft: Draft) -> None:
    _recast(draft, _components(draft)["zero_point"], "uint8", "U8")


@in_draft("W-17", "encoding-components", "zero point of another shape than the scale", _QUANTIZED)
def _zero_shape(draw: st.DrawFn, draft: Draft) -> None:
    shape = pick(draw, [1, 2], [1, 1], [4, 1], [2])
    size = shape[0] * (shape[1] if len(shape) > 1 else 1)
    _store(draft, _components(draft)["zero_point"], shape, bytes(size))


@in_draft("W-18", "encoding-content", "unused half that is not zero", _NIBBLES)
def _half(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _components(draft)["nibbles"]["chunks"][0]
    draft.replace(chunk, pick(draw, b"\xf1\x17", b"\xf1\xf7", b"\xf1\x87"))


def _offsets(draft: Draft, *ends: int) -> None:
    chunk = _components(draft)["offsets"]["chunks"][0]
    draft.replace(chunk, b"".join(end.to_bytes(8, "little") for end in ends))


@in_draft("W-19", "encoding-content", "offsets that fall", _BYTES)
def _falling(_draw: st.DrawFn, draft: Draft) -> None:
    _offsets(draft, 0, 5, 3)


@in_draft("W-19", "encoding-content", "offsets that do not begin at 0", _BYTES)
def _begin(draw: st.DrawFn, draft: Draft) -> None:
    _offsets(draft, pick(draw, 1, 2), 2, 3)


@in_draft("W-19", "encoding-content", "offsets that do not end with the data", _BYTES)
def _end(draw: st.DrawFn, draft: Draft) -> None:
    _offsets(draft, 0, 2, pick(draw, 2, 4, 2**63, 2**64 - 1))


@in_draft("W-19", "encoding-content", "string that is not UTF-8", _STRINGS)
def _text(draw: st.DrawFn, draft: Draft) -> None:
    chunk = _components(draft)["data"]["chunks"][0]
    draft.replace(chunk, pick(draw, b"ab\xff\xfe", b"a\xc3\xc3\xa9", b"ab\xc0\x80"))


@in_draft("W-19", "encoding-content", "character cut in two", _STRINGS)
def _cut_text(_draw: st.DrawFn, draft: Draft) -> None:
    _offsets(draft, 0, 3, 4)


@in_draft("W-20", "encoding-components", "scale of another rank", _QUANTIZED)
def _scale_rank(draw: st.DrawFn, draft: Draft) -> None:
    shape = pick(draw, [2], [2, 1, 1])
    _remove(draft, "zero_point")
    _store(draft, _components(draft)["scale"], shape, bytes(8))


@in_draft("W-20", "encoding-components", "scale that does not divide", _QUANTIZED)
def _scale_shape(draw: st.DrawFn, draft: Draft) -> None:
    shape = pick(draw, [3, 1], [2, 3], [8, 1], [1, 4])
    _remove(draft, "zero_point")
    _store(draft, _components(draft)["scale"], shape, bytes(shape[0] * shape[1] * 4))


@in_draft("W-22", "encoding-components", "encoded component", _QUANTIZED)
def _nested(_draw: st.DrawFn, draft: Draft) -> None:
    scale = _components(draft)["scale"]
    inner = {key: scale.pop(key) for key in ("chunks",)} | {"dtype": scale["dtype"], "shape": scale["shape"]}
    scale |= {"encoding": "quantized", "components": {"values": inner}}


@in_draft("W-26", "encoding-components", "encoding of another dtype", _EVERY_ENCODING)
def _plain(draw: st.DrawFn, draft: Draft) -> None:
    entry = draft.entries("weights")[STEPS]
    chunks = entry.pop("chunks")
    encoding, name = pick(draw, ("complex", "parts"), ("packed4", "nibbles"))
    entry |= {
        "encoding": encoding,
        "components": {name: {"chunks": chunks, "dtype": entry["dtype"], "shape": entry["shape"]}},
    }
    draft.manifest["requires"] = sorted({*draft.manifest["requires"], f"encoding.{encoding}"})


@in_draft("W-26", "encoding-components", "dtype without an encoding", _EVERY_ENCODING)
def _bare(draw: st.DrawFn, draft: Draft) -> None:
    draft.entries("weights")[STEPS]["dtype"] = pick(draw, "complex64", "int4", "string", "bytes", "uint4")
