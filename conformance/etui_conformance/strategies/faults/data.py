"""Faults of data parts (chapter 11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import json as canonical
from etui_conformance.oracle import safetensors
from etui_conformance.strategies.drafts import MANIFEST, Draft, Parts, Physical, reseal
from etui_conformance.strategies.faults.base import Host, in_draft, in_parts
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import KERNEL, STEPS

Tree = dict[str, Any]

PART = "weights.safetensors"
_HOST = Host(("weights",))


def _split(parts: Parts) -> tuple[Tree, bytes]:
    """Header and data section of the weights."""
    data = parts[PART]
    size, _ = safetensors.read(data)
    return canonical.decode(data[8:size].rstrip(b" ")), data[size:]


def _joined(parts: Parts, header: bytes, section: bytes) -> Parts:
    """The parts with the weights of a header's bytes, framed as they should be, and a data section."""
    return reseal({**parts, PART: safetensors.frame(header) + section})


Change = Callable[[st.DrawFn, Tree, bytes], bytes]


def _in_header(clauses: str, codes: str, name: str) -> Callable[[Change], Change]:
    """Declare a fault of the header's tree or of the data section, which the function returns."""

    def declare(change: Change) -> Change:
        @in_parts(clauses, codes, name, _HOST)
        def in_weights(draw: st.DrawFn, parts: Parts) -> Parts:
            header, section = _split(parts)
            section = change(draw, header, section)
            return _joined(parts, canonical.encode(header), section)

        return change

    return declare


@in_parts("S-2", "safetensors-header", "padding of another length", _HOST)
def _padding(draw: st.DrawFn, parts: Parts) -> Parts:
    header, section = _split(parts)
    text = canonical.encode(header)
    least = -(8 + len(text)) % 64
    spaces = pick(draw, *[length for length in (0, least + 1, least + 64, 63) if length != least])
    text += b" " * spaces
    return reseal({**parts, PART: len(text).to_bytes(8, "little") + text + section})


@in_parts("S-2", "safetensors-header", "padding of other bytes", _HOST)
def _padding_bytes(draw: st.DrawFn, parts: Parts) -> Parts:
    header, section = _split(parts)
    text = canonical.encode(header)
    text += pick(draw, b"\n", b"\0", b"\t") * (-(8 + len(text)) % 64 or 64)
    return reseal({**parts, PART: len(text).to_bytes(8, "little") + text + section})


@in_parts("S-2", "safetensors-header", "header that is not canonical", _HOST)
def _not_canonical(draw: st.DrawFn, parts: Parts) -> Parts:
    header, section = _split(parts)
    text = canonical.encode(header)
    found = pick(draw, text.replace(b":", b": ", 1), text.replace(b'"dtype"', b'"\\u0064type"', 1), b" " + text)
    return _joined(parts, found, section)


@in_parts("S-2 S-1", "safetensors-header", "header that is no JSON", _HOST)
def _no_json(draw: st.DrawFn, parts: Parts) -> Parts:
    header, section = _split(parts)
    text = canonical.encode(header)
    return _joined(parts, pick(draw, text[:-1], b"[]", b"{" + text, text.replace(b"host", b"h\xffst")), section)


@in_parts("S-3", "safetensors-header", "header beyond the part", _HOST)
def _length(draw: st.DrawFn, parts: Parts) -> Parts:
    data = parts[PART]
    length = pick(draw, len(data) - 7, 2**31, 2**63, 2**64 - 1, 100_000_001)
    return reseal({**parts, PART: length.to_bytes(8, "little") + data[8:]})


@in_parts("S-3", "safetensors-header", "part of fewer bytes than a length", _HOST)
def _short(draw: st.DrawFn, parts: Parts) -> Parts:
    return reseal({**parts, PART: parts[PART][: draw(st.integers(0, 7))]})


@_in_header("S-4", "safetensors-header", "metadata")
def _metadata(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    header["__metadata__"] = pick(draw, {}, {"format": "pt"})
    return section


@_in_header("S-1", "safetensors-header", "entry of another form")
def _entry(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    entry = header[STEPS]
    change = draw(st.integers(0, 3))
    if change == 0:
        del entry[pick(draw, "dtype", "shape", "data_offsets")]
    elif change == 1:
        entry["more"] = 1
    elif change == 2:
        entry["data_offsets"] = entry["data_offsets"][:1]
    else:
        header[STEPS] = []
    return section


@_in_header("S-5", "safetensors-layout", "gap")
def _gap(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    size = draw(st.integers(1, 9))
    begin = header[STEPS]["data_offsets"][0]
    for entry in header.values():
        if entry["data_offsets"][0] >= begin and entry["data_offsets"][1] > begin:
            entry["data_offsets"] = [offset + size for offset in entry["data_offsets"]]
    return section[:begin] + bytes(size) + section[begin:]


@_in_header("S-5", "safetensors-layout", "bytes after the last tensor")
def _surplus(draw: st.DrawFn, _header: Tree, section: bytes) -> bytes:
    return section + bytes(draw(st.integers(1, 70)))


@_in_header("S-5 S-6", "safetensors-layout", "last tensor beyond the part")
def _beyond(draw: st.DrawFn, _header: Tree, section: bytes) -> bytes:
    return section[: -draw(st.integers(1, 4))]


@_in_header("S-5", "safetensors-layout", "overlap")
def _overlap(_draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    begin, end = header[STEPS]["data_offsets"]
    kernel = header[KERNEL]["data_offsets"]
    # The two have one size: both lie where the first is, and what follows moves up.
    first, second = sorted([kernel, [begin, end]])
    for entry in header.values():
        if entry["data_offsets"][0] >= second[0] and entry["data_offsets"][1] > second[0]:
            entry["data_offsets"] = [offset - 24 for offset in entry["data_offsets"]]
    header[STEPS]["data_offsets"] = first
    header[KERNEL]["data_offsets"] = first
    return section[: second[0]] + section[second[1] :]


@_in_header("S-5", "safetensors-layout", "order of names")
def _order(_draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    one, other = header[KERNEL]["data_offsets"], header[STEPS]["data_offsets"]
    header[KERNEL]["data_offsets"], header[STEPS]["data_offsets"] = other, one
    first, second = section[slice(*one)], section[slice(*other)]
    low, high = sorted([one, other])
    data = (second, first) if one < other else (first, second)
    return section[: low[0]] + data[0] + section[low[1] : high[0]] + data[1] + section[high[1] :]


@_in_header("S-6", "safetensors-layout", "span of another size")
def _span(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    header[STEPS]["shape"] = pick(draw, [2, 4], [5], [], [2, 2], [0, 3])
    return section


@_in_header("S-6 L-2", "safetensors-layout limit-tensor limit-rank", "size that overflows")
def _overflow(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    # Times 4, the first is 24 more than a multiple of 2^64: the right span for who counts in 64 bits.
    header[STEPS]["shape"] = pick(draw, [2617318, 7047956753329], [2**32, 2**32, 6], [2**52, 2**12, 3])
    return section


@_in_header("S-6", "safetensors-layout safetensors-header", "offsets that fall")
def _falling(_draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    header[STEPS]["data_offsets"].reverse()
    return section


@_in_header("S-7", "safetensors-dtype", "dtype that is not of this table")
def _dtype(draw: st.DrawFn, header: Tree, section: bytes) -> bytes:
    header[STEPS]["dtype"] = pick(draw, "int32", "i32", "I33", "F4", "C64", "F8_E4M3FN", "")
    return section


@in_parts("S-8", "safetensors-header", "part without a tensor", _HOST)
def _empty(_draw: st.DrawFn, parts: Parts) -> Parts:
    tree = canonical.decode(parts["weights.json"]) | {"variables": {}, "aliases": {}}
    manifest = canonical.decode(parts[MANIFEST]) | {"profile": "weights", "requires": []}
    manifest.pop("metadata", None)
    kept = {name: entry for name, entry in manifest["parts"].items() if name in ("weights.json", PART)}
    bare = {
        "weights.json": canonical.encode(tree),
        PART: parts[PART],
        MANIFEST: canonical.encode({**manifest, "parts": kept}),
    }
    return _joined(bare, b"{}", b"")


@in_draft("S-9", "tensor-unreferenced", "tensor that no chunk names")
def _unreferenced(draw: st.DrawFn, draft: Draft) -> None:
    draft.data[PART]["host/more"] = Physical("F32", [1], bytes(4)) if draw(st.booleans()) else Physical("U8", [0], b"")


@in_draft("S-9", "tensor-unreferenced", "tensor that two chunks name")
def _twice(_draw: st.DrawFn, draft: Draft) -> None:
    variables = draft.entries("weights")
    donor, entry = variables[STEPS], variables["host/more"] = dict(variables[STEPS]), dict(variables[STEPS])
    entry |= {"order": donor["order"] + 1, "chunks": [dict(donor["chunks"][0])]}
