"""Data parts: safetensors files with a canonical header (SPEC.md, chapter 11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etui_conformance.oracle import dtypes, json, limits
from etui_conformance.oracle.errors import Refusal, pointer

_ALIGNMENT = 64
_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of a data part.

    Attributes:
        dtype: the safetensors dtype, such as `F32`.
        shape: of the tensor.
        begin, end: its place in the part, counted from the part's first byte.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read(data: bytes, at: str = "") -> tuple[int, dict[str, Entry]]:
    """Read the header of a data part and hold it against the part's length (S-2 to S-8).

    Returns:
        The bytes up to the data section, which is what the manifest calls the header's size, and the tensors by
        name in the order of the section.

    Raises:
        Refusal: ``safetensors-…``, ``shape-form``, ``limit-rank``, ``limit-tensor``.
    """
    size = header_size(data, at)
    text = data[_LENGTH:size]
    stripped = text.rstrip(b" ")
    if len(text) - len(stripped) != -(_LENGTH + len(stripped)) % _ALIGNMENT:
        raise Refusal("safetensors-header", at, f"{len(text) - len(stripped)} spaces after the header")
    try:
        header = json.decode(stripped, at)
    except Refusal as refusal:
        raise Refusal("safetensors-header", at, str(refusal)) from None
    if not header or "__metadata__" in header:
        raise Refusal("safetensors-header", at, "__metadata__" if header else "no tensor")
    entries = {name: _entry(fields, size, pointer(at, name)) for name, fields in header.items()}
    _check_layout(entries, size, len(data), at)
    return size, dict(sorted(entries.items(), key=lambda item: _place(item[0], item[1].dtype)))


def header_size(data: bytes, at: str = "") -> int:
    """The bytes up to the data section (S-3).

    Raises:
        Refusal: ``safetensors-header``.
    """
    length = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or length > limits.SAFETENSORS_HEADER_BYTES or length > len(data) - _LENGTH:
        raise Refusal("safetensors-header", at, f"a header of {length} bytes in a part of {len(data)}")
    return _LENGTH + length


def write(tensors: Mapping[str, tuple[str, Sequence[int], bytes]]) -> bytes:
    """The canonical data part of some tensors, at least one: name -> safetensors dtype, shape and bytes (S-2 to S-8).

    Raises:
        Refusal: ``safetensors-header``, no tensors, or a longer header than the limit; ``limit-…``.
        ValueError: bytes that are not as many as dtype and shape say.
    """
    if not tensors or "__metadata__" in tensors:
        raise Refusal("safetensors-header", "", "no tensor, or one with the name of the metadata")
    header: dict[str, Any] = {}
    pieces: list[bytes] = []
    position = 0
    for name in sorted(tensors, key=lambda name: _place(name, tensors[name][0])):
        stored, shape, data = tensors[name]
        if len(data) != _span(stored, shape, name):
            raise ValueError(f"{len(data)} bytes for {name!r}, {stored} of the shape {list(shape)}")
        header[name] = {"data_offsets": [position, position + len(data)], "dtype": stored, "shape": list(shape)}
        pieces.append(data)
        position += len(data)
    return frame(json.encode(header)) + b"".join(pieces)


def frame(header: bytes) -> bytes:
    """The length, a header's JSON, and the spaces that make all of it a multiple of 64 (S-2).

    Raises:
        Refusal: ``safetensors-header``, a longer header than the limit.
    """
    text = header + b" " * (-(_LENGTH + len(header)) % _ALIGNMENT)
    if len(text) > limits.SAFETENSORS_HEADER_BYTES:
        raise Refusal("safetensors-header", "", f"a header of {len(text)} bytes")
    return len(text).to_bytes(_LENGTH, "little") + text


def _entry(fields: Any, size: int, at: str) -> Entry:
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise Refusal("safetensors-header", at, "other fields than dtype, shape and data_offsets")
    stored, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(stored, str) or not _is_pair(offsets):
        raise Refusal("safetensors-header", at, f"the dtype {stored!r} and the offsets {offsets!r}")
    if stored not in dtypes.PLAIN:
        raise Refusal("safetensors-dtype", at, f"the dtype {stored!r}")
    dtypes.check_shape(shape, at)
    dtypes.check_size(dtypes.PLAIN[stored], shape, at)
    begin, end = offsets
    if end - begin != _span(stored, shape, at):
        raise Refusal("safetensors-layout", at, f"{stored} of the shape {shape} from {begin} to {end}")
    return Entry(stored, tuple(shape), size + begin, size + end)


def _is_pair(offsets: Any) -> bool:
    return isinstance(offsets, list) and len(offsets) == 2 and all(type(o) is int and o >= 0 for o in offsets)


def _check_layout(entries: Mapping[str, Entry], size: int, total: int, at: str) -> None:
    """Refuse tensors that do not follow each other in the one order and fill the data section (S-5)."""
    position = size
    for name in sorted(entries, key=lambda name: _place(name, entries[name].dtype)):
        if entries[name].begin != position:
            raise Refusal("safetensors-layout", pointer(at, name), f"not at {position - size}")
        position = entries[name].end
    if position != total:
        raise Refusal("safetensors-layout", at, f"tensors up to {position} in a part of {total} bytes")


def _place(name: str, stored: str) -> tuple[int, bytes]:
    """Sorts by falling width, then by the bytes of the name (S-5)."""
    return -dtypes.width(dtypes.PLAIN[stored]), name.encode(errors="surrogatepass")


def _span(stored: str, shape: Sequence[int], at: str) -> int:
    if stored not in dtypes.PLAIN:
        raise Refusal("safetensors-dtype", at, f"the dtype {stored!r}")
    return dtypes.count(shape) * dtypes.width(dtypes.PLAIN[stored])
