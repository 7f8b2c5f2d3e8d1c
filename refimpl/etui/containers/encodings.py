"""Encodings of tensors that safetensors cannot hold as they are (SPEC.md chapter 12.3).

Each encoding says which components it has, splits a logical array into them, and joins them again. Components are
numpy arrays here; `etui.containers.tensors` gives them names, chunks and digests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.errors import error, shown

Array = npt.NDArray[Any]
FLOATS = frozenset({"float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"})
INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "int4", "uint4"})


@dataclass(frozen=True, slots=True)
class Spec:
    """What is known of a component before its data is read."""

    dtype: str
    shape: tuple[int, ...]
    encoding: str | None = None

    def __str__(self) -> str:
        return f"{self.encoding or 'plain'} {self.dtype}{list(self.shape)}"


Specs = Mapping[str, Spec]


@dataclass(frozen=True, slots=True)
class Encoding:
    """One row of the table of encodings.

    Attributes:
        name: as in the document's `encoding`.
        dtypes: the logical dtypes that it can hold.
        fault: says what is wrong with the components of a tensor of a logical dtype and shape, or "".
        split: logical array -> component arrays; `None` where the caller has to give the components.
        join: component arrays -> logical array of the dtype and shape; raises ValueError on bad content.
    """

    name: str
    dtypes: frozenset[str]
    fault: Callable[[str, tuple[int, ...], Specs], str]
    split: Callable[[Array], dict[str, Array]] | None
    join: Callable[[str, tuple[int, ...], Mapping[str, Array]], Array]


def _expect(specs: Specs, expected: Mapping[str, Spec]) -> str:
    if set(specs) != set(expected):
        return f"components {sorted(specs)} in place of {sorted(expected)}"
    for name, spec in expected.items():
        if specs[name] != spec:
            return f"component {name!r} is {specs[name]}, not {spec}"
    return ""


def _complex_fault(dtype: str, shape: tuple[int, ...], specs: Specs) -> str:
    part = "float32" if dtype == "complex64" else "float64"
    return _expect(specs, {"parts": Spec(part, (*shape, 2))})


def _complex_split(array: Array) -> dict[str, Array]:
    part = np.float32 if array.dtype == np.complex64 else np.float64
    return {"parts": array.reshape(*array.shape, 1).view(part)}


def _complex_join(dtype: str, shape: tuple[int, ...], arrays: Mapping[str, Array]) -> Array:
    return arrays["parts"].view(dtypes.by_name(dtype, "").numpy).reshape(shape)


def _packed4_fault(_dtype: str, shape: tuple[int, ...], specs: Specs) -> str:
    return _expect(specs, {"nibbles": Spec("uint8", ((math.prod(shape) + 1) // 2,))})


def _packed4_split(array: Array) -> dict[str, Array]:
    nibbles = array.reshape(-1).astype(np.int8).view(np.uint8) & 0x0F
    if nibbles.size % 2:
        nibbles = np.append(nibbles, np.uint8(0))
    return {"nibbles": nibbles[0::2] | (nibbles[1::2] << 4)}


def _packed4_join(dtype: str, shape: tuple[int, ...], arrays: Mapping[str, Array]) -> Array:
    packed = arrays["nibbles"]
    count = math.prod(shape)
    nibbles = np.empty(packed.size * 2, np.uint8)
    nibbles[0::2] = packed & 0x0F
    nibbles[1::2] = packed >> 4
    if count % 2 and nibbles[-1]:
        raise ValueError(f"the unused half of the last byte is {nibbles[-1]}")
    nibbles = nibbles[:count]
    if dtype == "int4":
        # Shifting the nibble up and arithmetically down again extends its sign.
        signed = (nibbles << 4).view(np.int8) >> 4
        return signed.astype(dtypes.by_name(dtype, "").numpy).reshape(shape)
    return nibbles.astype(dtypes.by_name(dtype, "").numpy).reshape(shape)


def _string_fault(_dtype: str, shape: tuple[int, ...], specs: Specs) -> str:
    data = specs.get("data")
    if data is None or len(data.shape) != 1:
        return "no component 'data' of one dimension"
    return _expect(specs, {"offsets": Spec("uint64", (math.prod(shape) + 1,)), "data": Spec("uint8", data.shape)})


def _string_split(array: Array) -> dict[str, Array]:
    items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1)]
    offsets = np.zeros(len(items) + 1, np.uint64)
    np.cumsum([len(item) for item in items], out=offsets[1:], dtype=np.uint64)
    return {"offsets": offsets, "data": np.frombuffer(b"".join(items), np.uint8)}


def _string_join(dtype: str, shape: tuple[int, ...], arrays: Mapping[str, Array]) -> Array:
    offsets, data = arrays["offsets"], arrays["data"]
    if offsets[0] != 0 or offsets[-1] != data.size or np.any(offsets[1:] < offsets[:-1]):
        raise ValueError("offsets do not rise from 0 to the length of data")
    raw = data.tobytes()
    bounds = offsets.tolist()
    items: list[bytes | str] = [raw[a:b] for a, b in pairwise(bounds)]
    if dtype == "string":
        items = [item.decode("utf-8") for item in items if isinstance(item, bytes)]
    result = np.empty(len(items), object)
    result[:] = items
    return result.reshape(shape)


def _quantized_fault(_dtype: str, shape: tuple[int, ...], specs: Specs) -> str:
    values, scale = specs.get("values"), specs.get("scale")
    if values is None or scale is None or set(specs) - {"values", "scale", "zero_point"}:
        return f"components {sorted(specs)} in place of values, scale and, if needed, zero_point"
    if values.dtype not in INTEGERS or values.shape != shape or values.encoding not in (None, "packed4"):
        return f"values are {values}, not integers of shape {list(shape)}"
    if scale.dtype not in FLOATS or scale.encoding is not None:
        return f"scale is {scale}, not a plain float tensor"
    if len(scale.shape) != len(shape) or any(
        (size % blocks if blocks else size) for size, blocks in zip(shape, scale.shape, strict=True)
    ):
        return f"scale of shape {list(scale.shape)} does not divide {list(shape)}"
    zero = specs.get("zero_point")
    expected = Spec(values.dtype, scale.shape, values.encoding)
    if zero not in {None, expected}:
        return f"zero_point is {zero}, not {expected}"
    return ""


def _spread(array: Array, shape: tuple[int, ...]) -> Array:
    """Repeat each block's number over its block, in binary64."""
    spread = array.astype(np.float64)
    for axis, (size, blocks) in enumerate(zip(shape, array.shape, strict=True)):
        if blocks not in (1, size):
            spread = np.repeat(spread, size // blocks, axis)
    return spread


def _quantized_join(dtype: str, shape: tuple[int, ...], arrays: Mapping[str, Array]) -> Array:
    values = arrays["values"].astype(np.float64)
    if "zero_point" in arrays:
        values -= _spread(arrays["zero_point"], shape)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values *= _spread(arrays["scale"], shape)
        return _rounded(values, dtypes.by_name(dtype, "").numpy)


_VIAS: dict[str, tuple[type, type]] = {
    "bfloat16": (np.float32, np.uint32),
    "float8_e4m3fn": (np.float32, np.uint32),
    "float8_e5m2": (np.float16, np.uint16),
}
"""dtype -> the wider one that ml_dtypes goes through, and the integers of its bits."""


def _rounded(values: Array, target: np.dtype[Any]) -> Array:
    """Binary64 numbers rounded once to a float dtype.

    A number that ml_dtypes converts by way of a wider dtype may be rounded onto the midpoint of two numbers, and its
    side be lost. So the wider dtype is given a number that is odd wherever it is not exact: that is no such midpoint.
    """
    if target.name == "float8_e8m0fnu":
        return _powers(values).view(target)
    if target.name not in _VIAS:
        return values.astype(target)
    via, integers = _VIAS[target.name]
    single: Array = np.asarray(values.astype(via))
    bits: Array = single.view(integers)
    inexact = np.isfinite(values) & (single != values)
    beyond = np.abs(single) > np.abs(values)
    odd: Array = np.where(inexact, (bits - beyond) | 1, bits).astype(integers)
    return odd.view(via).astype(target)


def _powers(values: Array) -> Array:
    """The codes of the nearest powers of two, which is all that e8m0 has: 255 is NaN, also for zero and signs.

    Half way between two, the even code is taken, and below the least power zero, which the dtype does not have.
    """
    fraction, exponent = np.frexp(values)  # a fraction from 0.5 on
    below: Array = exponent.astype(np.int64) + 126
    code = below + ((fraction > 0.75) | ((fraction == 0.75) & (below % 2 == 1)))
    lacking = ~((values > 2.0**-128) & np.isfinite(values)) | (code > 254)
    return np.asarray(np.where(lacking, 255, np.maximum(code, 0))).astype(np.uint8)


ENCODINGS: dict[str, Encoding] = {
    encoding.name: encoding
    for encoding in (
        Encoding("complex", frozenset({"complex64", "complex128"}), _complex_fault, _complex_split, _complex_join),
        Encoding("packed4", frozenset({"int4", "uint4"}), _packed4_fault, _packed4_split, _packed4_join),
        Encoding("string", frozenset({"string", "bytes"}), _string_fault, _string_split, _string_join),
        Encoding("quantized", FLOATS, _quantized_fault, None, _quantized_join),
    )
}


def split(dtype: str, array: Array) -> tuple[str, dict[str, Array]] | None:
    """The encoding that a dtype needs, and the components of an array; `None` where safetensors holds it as it is.

    Raises:
        ValueError: a string that has no UTF-8.
    """
    for encoding in ENCODINGS.values():
        if encoding.split is not None and dtype in encoding.dtypes:
            return encoding.name, encoding.split(array)
    return None


def check_components(encoding: object, dtype: str, shape: tuple[int, ...], specs: Specs, where: str) -> None:
    """Check an encoding's name and its components' names, dtypes and shapes (W-16, W-17, W-20, W-22).

    Raises:
        InvalidError: ``encoding-unknown`` or ``encoding-components``.
    """
    if not isinstance(encoding, str) or encoding not in ENCODINGS:
        raise error("encoding-unknown", where=where, found=shown(encoding))
    entry = ENCODINGS[encoding]
    if dtype not in entry.dtypes:
        raise error("encoding-components", where=where, found=f"encoding {encoding!r} of a tensor of {dtype}")
    fault = entry.fault(dtype, shape, specs)
    if fault:
        raise error("encoding-components", where=where, found=fault)
