"""The data types of SPEC.md, chapter 2.1: their widths and the safetensors dtypes that hold them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from etui_conformance.oracle import limits
from etui_conformance.oracle.errors import Refusal

SAFETENSORS = {
    "bool": "BOOL",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
}
"""dtype of a plain tensor -> dtype in a data part."""

ENCODINGS = {
    "complex64": "complex",
    "complex128": "complex",
    "int4": "packed4",
    "uint4": "packed4",
    "string": "string",
    "bytes": "string",
}
"""dtype that safetensors cannot hold -> the encoding that holds it (W-26)."""

PLAIN = {stored: dtype for dtype, stored in SAFETENSORS.items()}
"""dtype in a data part -> dtype of the plain tensor."""

_BITS = {
    8: "bool int8 uint8 float8_e4m3fn float8_e5m2 float8_e8m0fnu",
    16: "int16 uint16 float16 bfloat16",
    32: "int32 uint32 float32",
    64: "int64 uint64 float64 complex64",
    128: "complex128",
    4: "int4 uint4",
}

BITS: dict[str, int | None] = {dtype: bits for bits, dtypes in _BITS.items() for dtype in dtypes.split()} | {
    "string": None,
    "bytes": None,
}
"""dtype -> width in bits, `None` where it varies."""

DTYPES = frozenset(BITS)
INTEGERS = frozenset(dtype for dtype in DTYPES if dtype.startswith(("int", "uint")))
FLOATS = frozenset(dtype for dtype in DTYPES if dtype.startswith(("float", "bfloat")))


def check_dtype(dtype: str, at: str = "") -> None:
    """Refuse a dtype that is not in the table (D-7).

    Raises:
        Refusal: ``dtype-unknown``.
    """
    if dtype not in BITS:
        raise Refusal("dtype-unknown", at, f"the dtype {dtype!r}")


def check_shape(shape: Any, at: str = "") -> None:
    """Refuse what is no list of non-negative integers, and too many of them (D-10, L-2).

    Raises:
        Refusal: ``shape-form``, ``limit-rank``.
    """
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise Refusal("shape-form", at, f"the shape {shape!r}")
    if len(shape) > limits.RANK:
        raise Refusal("limit-rank", at, f"the rank {len(shape)}")


def check_size(dtype: str, shape: Sequence[int], at: str = "") -> None:
    """Refuse a tensor beyond the limit of chapter 19, whose dimensions of zero do not count (L-2).

    Raises:
        Refusal: ``limit-tensor``.
    """
    bits = BITS[dtype] or 8
    if math.prod(size or 1 for size in shape) * bits > limits.TENSOR_BYTES * 8:
        raise Refusal("limit-tensor", at, f"{dtype} of the shape {list(shape)}")


def count(shape: Sequence[int]) -> int:
    """The number of elements of a shape."""
    return math.prod(shape)


def width(dtype: str) -> int:
    """The bytes of an element that is handed out alone: one for the types of 4 bits."""
    bits = BITS[dtype]
    if bits is None:
        raise ValueError(f"{dtype} has no fixed width")
    return max(1, bits // 8)


def check_bools(data: bytes, at: str = "") -> None:
    """Refuse elements of `bool` that are neither 0 nor 1 (D-8).

    Raises:
        Refusal: ``bool-value``.
    """
    if data.translate(None, b"\0\1"):
        raise Refusal("bool-value", at, "a byte that is neither 0 nor 1")
