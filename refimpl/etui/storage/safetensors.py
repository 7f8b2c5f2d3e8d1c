"""Data parts: planning and reading the header of a canonical safetensors file (SPEC.md, chapter Data parts).

A data part is an 8-byte length N, a header of N bytes and the data section. The canonical header has one grammar, so
one regular expression reads it entry by entry: time and memory grow with the bytes that are there and with nothing that
they declare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from json.encoder import encode_basestring
from operator import itemgetter
from typing import NamedTuple

from etui import columns, dtypes
from etui.canonical import json as canonical_json
from etui.errors import EtuiError, error, shown
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage import plain_header
from etui.storage.base import ByteSource
from etui.storage.plain_header import METADATA, Entry

_LENGTH_BYTES = 8
_ALIGNMENT = 64
_MAX_INTEGER = 2**53 - 1

_NAME = r'"((?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00[01][0-9a-f])*+)"'
_INTEGER = r"(?:0|[1-9][0-9]{0,15})"
_ENTRY = re.compile(
    rf'{_NAME}:\{{"data_offsets":\[({_INTEGER}),({_INTEGER})\],"dtype":"([^"\\]{{0,32}})",'
    rf'"shape":\[((?:{_INTEGER}(?:,{_INTEGER})*+)?)\]\}}([,}}])'
)
# The same up to a shape that is no list of digits and commas, to name the fault.
_ODD_SHAPE = re.compile(
    rf'{_NAME}:\{{"data_offsets":\[{_INTEGER},{_INTEGER}\],"dtype":"[^"\\]{{0,32}}","shape":(?!\[[0-9,]*+\])'
)
# So much of such a shape is looked at: what is longer has no fault but that of the header.
_ODD_CHARACTERS = 4096


class TensorSpec(NamedTuple):
    """A tensor to be laid out: its name in the data part, Etui dtype and shape in elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A planned data part.

    Attributes:
        header: the part's first bytes, up to the data section: length, JSON and padding.
        entries: name -> entry, in the order in which the tensors' bytes follow the header.
        size: bytes of the whole part.
    """

    header: bytes
    entries: Mapping[str, Entry]
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """The checked header of a data part.

    Attributes:
        entries: name -> entry, in the header's order.
        size: bytes in front of the data section.
    """

    entries: Mapping[str, Entry]
    size: int


@no_garbage()
def plan(tensors: Iterable[TensorSpec | tuple[str, str, tuple[int, ...]]], limits: Limits = DEFAULT_LIMITS) -> Layout:
    """Lay tensors out in the canonical order and make the header (S-2, S-5, S-6).

    Raises:
        UsageError: ``writer-misuse``, no tensor at all (S-8), a name twice, or a dtype that has no plain tensors.
        MalformedError: ``safetensors-header``, the header is beyond the limit.
        LimitError: ``limit-rank``, ``limit-tensor``.
    """
    # Python orders text by code points, which is the order of the UTF-8 bytes; the second sort keeps it.
    specs = sorted(tensors, key=itemgetter(0))
    widths = _widths(spec[1] for spec in specs)
    if len(widths) > 1:
        specs.sort(key=lambda spec: -widths[spec[1]])
    entries: dict[str, Entry] = {}
    fields: list[str] = []
    kinds: dict[tuple[str, tuple[int, ...]], tuple[int, str]] = {}  # few differ within a part
    at = 0
    for name, dtype, shape in specs:
        kind = kinds.get((dtype, shape))
        if kind is None:
            kind = kinds[dtype, shape] = _kind(dtype, shape, shown(name), limits)
        begin, at = at, at + kind[0]
        entries[name] = Entry(dtype, shape, begin, at)
        fields.append(f'{encode_basestring(name)}:{{"data_offsets":[{begin},{at}{kind[1]}')
    if METADATA in entries:
        raise _fault("a data part", f"a tensor of the name {METADATA}, which safetensors has for something else")
    if len(entries) < len(specs):
        twice = next(spec[0] for spec, after in pairwise(specs) if spec[0] == after[0])
        raise error("writer-misuse", where=shown(twice), found="a second tensor of this name")
    if not entries:
        raise error("writer-misuse", found="a data part without tensors")
    header = _encode(list(entries), fields)
    if len(header) - _LENGTH_BYTES > limits.safetensors_header_bytes:
        raise error("safetensors-header", found=f"a header of {len(header)} bytes for {len(entries)} tensors")
    return Layout(header, entries, len(header) + at)


def _kind(dtype: str, shape: tuple[int, ...], where: str, limits: Limits) -> tuple[int, str]:
    """The bytes of a tensor, and what is behind the end of its span in the header."""
    extents = ",".join(map(str, shape))
    text = f'],"dtype":"{dtypes.DTYPES[dtype].safetensors}","shape":[{extents}]}}'
    return _checked_size(dtype, shape, where, limits), text


def read_header(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read and check the header of a data part; the data section is not touched.

    Raises:
        MalformedError: ``safetensors-header``.
        InvalidError: ``safetensors-layout``, ``safetensors-dtype``, ``shape-form``.
        LimitError: ``limit-rank``, ``limit-tensor``.
    """
    text, size = _read_text(source, where, limits)
    quickly = plain_header.read(text, source.size - size, limits)
    if quickly is not None:
        return Header(quickly, size)
    entries = _parse(text, where, limits)
    _check_layout(entries, source.size - size, where)
    return Header(entries, size)


def _checked_size(dtype: str, shape: tuple[int, ...], where: str, limits: Limits) -> int:
    if len(shape) > limits.rank:
        raise error("limit-rank", where=where, found=f"{len(shape)} dimensions")
    return dtypes.check_size(dtype, shape, where, limits)


def _widths(names: Iterable[str]) -> dict[str, int]:
    """Bytes per element of dtypes by their names."""
    widths = {}
    for name in set(names):
        found = dtypes.DTYPES.get(name)
        if found is None or found.safetensors is None:
            raise error("writer-misuse", found=f"{shown(name)}, which has no plain tensors")
        widths[name] = found.bits // 8
    return widths


def _encode(names: list[str], fields: list[str]) -> bytes:
    """The header of the fields of the names, each of which is there once."""
    order: Callable[[tuple[str, str]], str | bytes] = itemgetter(0) if columns.in_bmp("".join(names)) else _key_order
    fields = [field for _, field in sorted(zip(names, fields, strict=True), key=order)]
    try:
        text = ("{" + ",".join(fields) + "}").encode()
    except UnicodeEncodeError as cause:
        found = f"a tensor's name with the lone surrogate {cause.object[cause.start]!r}"
        raise error("writer-misuse", found=found) from cause
    text += b" " * _padding(len(text))
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _key_order(item: tuple[str, str]) -> bytes:
    return item[0].encode("utf-16-be", "surrogatepass")


def _padding(length: int) -> int:
    return -(_LENGTH_BYTES + length) % _ALIGNMENT


def _read_text(source: ByteSource, where: str, limits: Limits) -> tuple[str, int]:
    """The header's text without its padding, and the number of bytes in front of the data section."""
    if source.size < _LENGTH_BYTES:
        raise _fault(where, f"{source.size} bytes in all")
    length = int.from_bytes(source.read(0, _LENGTH_BYTES), "little")
    if length > source.size - _LENGTH_BYTES:
        raise _fault(where, f"a header of {length} bytes in a part of {source.size}")
    if length > limits.safetensors_header_bytes:
        raise _fault(where, f"a header of {length} bytes, beyond the limit of {limits.safetensors_header_bytes}")
    raw = source.read(_LENGTH_BYTES, length)
    stripped = raw.rstrip(b" ")
    if length != len(stripped) + _padding(len(stripped)):
        raise _fault(where, f"{length - len(stripped)} spaces after {len(stripped)} bytes of JSON")
    try:
        return stripped.decode(), _LENGTH_BYTES + length
    except UnicodeDecodeError as cause:
        raise _fault(where, f"bytes that are not UTF-8 at {_LENGTH_BYTES + cause.start}") from cause


def _parse(text: str, where: str, limits: Limits) -> dict[str, Entry]:
    """Read the header's entries with their offsets, in the header's order."""
    if not text.startswith("{"):
        raise _fault(where, f"{shown(text[:20])} in place of an object")
    shapes = _Shapes(where, limits)
    entries: dict[str, Entry] = {}
    before: bytes | str = ""
    plain = text.isascii()
    at, close = 1, ""
    while close != "}":
        match = _ENTRY.match(text, at)
        if match is None:
            raise _entry_fault(text, at, where)
        name, begin, end, code, shape, close = match.groups()
        if "\\" in name:
            name = _unescaped(name, where)
        if name == METADATA:
            raise _entry_fault(text, at, where)
        key = name if plain else name.encode("utf-16-be")
        if entries and key <= before:  # type: ignore[operator]  # both str or both bytes
            raise _fault(where, f"the key {shown(name)} a second time or out of order")
        before = key
        dtype, dimensions, size = shapes.of(code, shape, name)
        first, last = int(begin), int(end)
        if last - first != size:
            found = f"offsets {first} to {last} for {dtype}{list(dimensions)} of {size} bytes"
            raise error("safetensors-layout", where=f"{where}, {shown(name)}", found=found)
        entries[name] = Entry(dtype, dimensions, first, last)
        at = match.end()
    if at != len(text):
        raise _fault(where, f"{shown(text[at : at + 40])} after the object")
    return entries


class _Shapes:
    """Texts of dtype and shape -> dtype, shape and bytes; remembered, since few of them differ within a part."""

    def __init__(self, where: str, limits: Limits) -> None:
        self._where = where
        self._limits = limits
        self._known: dict[tuple[str, str], tuple[str, tuple[int, ...], int]] = {}

    def of(self, code: str, shape: str, name: str) -> tuple[str, tuple[int, ...], int]:
        known = self._known.get((code, shape))
        if known is None:
            where = f"{self._where}, {shown(name)}"
            if shape.count(",") >= self._limits.rank:
                # Before the split: a header can hold a shape of millions of dimensions.
                raise error("limit-rank", where=where, found=f"{shape.count(',') + 1} dimensions")
            dtype = dtypes.BY_SAFETENSORS.get(code)
            if dtype is None:
                raise error("safetensors-dtype", where=where, found=shown(code))
            dimensions = tuple(map(int, shape.split(","))) if shape else ()
            if max(dimensions, default=0) > _MAX_INTEGER:
                raise _fault(where, f"a dimension of {max(dimensions)}, which is beyond 2^53 - 1")
            size = _checked_size(dtype.name, dimensions, where, self._limits)
            known = self._known[code, shape] = (dtype.name, dimensions, size)
        return known


def _unescaped(name: str, where: str) -> str:
    value: str = json.loads(f'"{name}"')
    if encode_basestring(value) != f'"{name}"':
        raise _fault(where, f"the name {shown(name)}, which is not escaped canonically")
    return value


def _check_layout(entries: Mapping[str, Entry], available: int, where: str) -> None:
    """Spans follow each other by falling width and then by name, over the whole data section (S-5)."""
    widths = _widths(entry.dtype for entry in entries.values())
    by_width: dict[int, list[str]] = {}
    for name, entry in entries.items():
        by_width.setdefault(widths[entry.dtype], []).append(name)
    at = 0
    for width in sorted(by_width, reverse=True):
        # Python orders text by code points, which is the order of the UTF-8 bytes.
        for name in sorted(by_width[width]):
            entry = entries[name]
            if entry.begin != at:
                found = f"a tensor at {entry.begin}, where the canonical layout has it at {at}"
                raise error("safetensors-layout", where=f"{where}, {shown(name)}", found=found)
            at = entry.end
    if at != available:
        raise error("safetensors-layout", where=where, found=f"{at} bytes of tensors in {available} bytes of data")


def _entry_fault(text: str, at: int, where: str) -> EtuiError:
    place = f"{where}, byte {_LENGTH_BYTES + len(text[:at].encode())}"
    odd_shape = _ODD_SHAPE.match(text, at)
    if odd_shape and _is_value(text[odd_shape.end() : odd_shape.end() + _ODD_CHARACTERS]):
        return error("shape-form", where=place, found=shown(text[odd_shape.end() : odd_shape.end() + 40]))
    if text.startswith(f'"{METADATA}":', at):
        return _fault(place, "__metadata__, which a canonical header does not have")
    return _fault(place, f"{shown(text[at : at + 40])} in place of a tensor in canonical form")


def _is_value(text: str) -> bool:
    """Whether a text begins with a JSON value in its canonical form."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
        return canonical_json.encode_tree(value) == text[:end].encode()
    except (ValueError, RecursionError, EtuiError):
        return False


def _fault(where: str, found: str) -> EtuiError:
    return error("safetensors-header", where=where, found=found)
