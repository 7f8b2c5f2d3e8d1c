"""Tensors of every dtype, shape and encoding, as TENSOR of the protocol with bytes in it, and boxes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle.dtypes import ENCODINGS
from etui_conformance.strategies.scope import EVERYTHING, Scope

WIDTHS = {
    "bool": 1,
    "int4": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint4": 1,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e8m0fnu": 1,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of an element of a TENSOR's data; strings have none."""

FLOATS = ("float32", "float16", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "int4", "uint4")
RANK = 32

_UNUSUAL_BITS = {
    # Signed zero, the smallest subnormal, infinity, a quiet NaN, a signaling NaN with a payload, a negative NaN.
    "float16": (0x8000, 0x0001, 0x7C00, 0x7E00, 0x7D55, 0xFE01),
    "bfloat16": (0x8000, 0x0001, 0x7F80, 0x7FC0, 0x7F95, 0xFFC1),
    "float32": (0x80000000, 0x00000001, 0x7F800000, 0x7FC00000, 0x7F855555, 0xFFC12345),
    "float64": (1 << 63, 1, 0x7FF << 52, 0x7FF8 << 48, 0x7FF4_5555_5555_5555, 0xFFF8_1234_5678_9ABC),
    "float8_e4m3fn": (0x80, 0x01, 0x7F, 0xFF, 0x7E),
    "float8_e5m2": (0x80, 0x01, 0x7C, 0x7D, 0xFE),
    "float8_e8m0fnu": (0x00, 0xFF, 0xFE),
}
_ELEMENTS = 600
_SHAPES = (
    (),
    (1,),
    (3,),
    (2, 3),
    (0,),
    (7,),
    (4, 4),
    (2, 3, 4),
    (2, 0, 3),
    (1, 1, 1),
    (0, 0),
    (300,),
    (12, 2),
    (2,) * 8,
    (1,) * RANK,
    (1,) * 30 + (2, 3),
    (2**40, 0),
)
_TEXTS = (b"", b"a", "é".encode(), b"\0", "\U0001f600".encode(), b"two words", b"x" * 300, "e\u0301".encode())
_BYTES = (b"", b"\0", b"\xff\xfe", b"\x80", bytes(range(256)))

SHAPES = st.sampled_from(_SHAPES) | st.lists(st.integers(0, 5), max_size=4).filter(
    lambda shape: prod(shape) <= _ELEMENTS
).map(tuple)
_SEEDS = st.integers(0, 255)


@st.composite
def tensors(draw: st.DrawFn, scope: Scope = EVERYTHING, shape: Sequence[int] | None = None) -> dict[str, Any]:
    """Tensors of every dtype and encoding of a scope.

    A quantized one has `components` and no `data`, which a reader computes.

    Args:
        draw: given by Hypothesis.
        scope: what the implementation claims.
        shape: of the tensor, if it is not to be drawn.
    """
    dims = list(draw(SHAPES) if shape is None else shape)
    dtypes = scope.tensor_dtypes()
    floats = [dtype for dtype in FLOATS if dtype in dtypes]
    integers = [dtype for dtype in INTEGERS if dtype in dtypes]
    if "encoding.quantized" in scope.features and floats and integers and draw(st.integers(0, 7)) == 7:
        return draw(_quantized(dims, floats, integers))
    if len(dims) == RANK:  # the parts of a complex tensor have one dimension more
        dtypes = [dtype for dtype in dtypes if not dtype.startswith("complex")]
    dtype = draw(st.sampled_from(dtypes))
    if dtype in ("string", "bytes"):
        return draw(_strings(dtype, dims))
    return {"dtype": dtype, "shape": dims, "data": draw(elements(dtype, prod(dims)))}


def encoding_of(tensor: dict[str, Any]) -> str | None:
    """The encoding with which a tensor is stored, if it needs one."""
    return "quantized" if "components" in tensor else ENCODINGS.get(tensor["dtype"])


@st.composite
def elements(draw: st.DrawFn, dtype: str, count: int) -> bytes:
    """The data of `count` elements: different ones, so that their order shows, with unusual bits among them."""
    width = WIDTHS[dtype]
    seed = draw(_SEEDS) if count else 0
    data = bytearray(_noise(seed, count * width) if seed else _counting(count, width))
    unusual = _UNUSUAL_BITS.get({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype))
    if unusual and count and draw(st.booleans()):
        part = WIDTHS.get({"complex64": "float32", "complex128": "float64"}.get(dtype, dtype), width)
        places = len(data) // part
        first = draw(st.integers(0, len(unusual) - 1))  # a small tensor has room for a few
        for index, bits in enumerate((unusual[first:] + unusual[:first])[:places]):
            at = (index * 7 + seed) % places * part
            data[at : at + part] = bits.to_bytes(part, "little")
    return _in_range(dtype, bytes(data))


def _counting(count: int, width: int) -> bytes:
    if width == 1:
        return bytes(index % 256 for index in range(count))
    return b"".join((index + 1).to_bytes(2, "little") + bytes(width - 2) for index in range(count))


def _noise(seed: int, size: int) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(size)


def _in_range(dtype: str, data: bytes) -> bytes:
    """The bytes as legal elements of a dtype."""
    if dtype == "bool":
        return bytes(byte & 1 for byte in data)
    if dtype == "uint4":
        return bytes(byte & 15 for byte in data)
    if dtype == "int4":
        return bytes(((byte & 15) ^ 8) - 8 & 0xFF for byte in data)
    return data


@st.composite
def _strings(draw: st.DrawFn, dtype: str, shape: list[int]) -> dict[str, Any]:
    known = _TEXTS if dtype == "string" else _TEXTS + _BYTES
    count = prod(shape)
    few = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4)) if count else [b""]
    return {"dtype": dtype, "shape": shape, "strings": [few[index % len(few)] for index in range(count)]}


@st.composite
def _quantized(draw: st.DrawFn, shape: list[int], floats: list[str], integers: list[str]) -> dict[str, Any]:
    dtype = draw(st.sampled_from(integers))
    scale_dtype = draw(st.sampled_from(floats))
    scale_shape = [draw(st.sampled_from(_divisors(size))) for size in shape]
    components = {
        "scale": {
            "dtype": scale_dtype,
            "shape": scale_shape,
            "data": draw(elements(scale_dtype, prod(scale_shape))),
        },
        "values": {"dtype": dtype, "shape": shape, "data": draw(elements(dtype, prod(shape)))},
    }
    if draw(st.booleans()):
        data = draw(elements(dtype, prod(scale_shape)))
        components["zero_point"] = {"dtype": dtype, "shape": scale_shape, "data": data}
    # A dtype without zero and sign has no one way to round what is beyond it.
    logical = [one for one in floats if one != "float8_e8m0fnu"]
    return {"dtype": draw(st.sampled_from(logical)), "shape": shape, "components": components}


def _divisors(size: int) -> list[int]:
    """The sizes that `scale` may have along a dimension (W-20)."""
    if size > _ELEMENTS:
        return [1]
    return [number for number in range(1, size + 1) if size % number == 0] or [1]


@st.composite
def boxes(draw: st.DrawFn, shape: Sequence[int]) -> list[list[int]] | None:
    """Boxes of a tensor: `[start, stop]` of each dimension, empty ones and whole ones included; `None` is all of it."""
    if draw(st.integers(0, 3)) == 0:
        return None
    found = []
    for size in shape:
        start = draw(st.integers(0, size)) if size else 0
        found.append([start, draw(st.integers(start, size)) if size else 0])
    return found


def box_of(tensor: dict[str, Any], box: Sequence[Sequence[int]] | None) -> dict[str, Any]:
    """What reading a box of a logical tensor gives: dtype, the box's shape, and its elements in row-major order.

    Args:
        tensor: with `data` or `strings`; components are left out of the answer.
        box: see `boxes`.
    """
    whole = box is None
    shape = list(tensor["shape"])
    spans = [[0, size] for size in shape] if box is None else [list(span) for span in box]
    width = WIDTHS.get(tensor["dtype"], 1)
    source: Any = tensor["strings"] if "strings" in tensor else tensor["data"]
    field = "strings" if "strings" in tensor else "data"
    picked = source if whole else _picked(source, shape, spans, 1 if field == "strings" else width)
    return {"dtype": tensor["dtype"], "shape": [stop - start for start, stop in spans], field: picked}


def _picked(source: Any, shape: list[int], spans: list[list[int]], width: int) -> Any:
    """The elements of a box, run by run along the last dimension."""
    empty = source[:0]
    if any(start >= stop for start, stop in spans):
        return empty
    if not shape:
        return source
    runs = [0]
    for size, (start, stop) in zip(shape[:-1], spans[:-1], strict=True):
        runs = [run * size + index for run in runs for index in range(start, stop)]
    first, last = spans[-1]
    size = shape[-1]
    pieces = [source[(run * size + first) * width : (run * size + last) * width] for run in runs]
    if isinstance(source, bytes):
        return b"".join(pieces)
    return [item for piece in pieces for item in piece]
