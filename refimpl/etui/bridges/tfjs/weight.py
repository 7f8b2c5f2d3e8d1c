"""One weight of a TensorFlow.js manifest: its form, its bytes, and its elements (SPEC.md, annex H.2).

Source of the formulas: `io_utils.ts` of tfjs-core 4.22, which computes in binary64 and rounds once.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from etui import dtypes
from etui.errors import EtuiError, error, shown
from etui.limits import Limits

Array = npt.NDArray[Any]
Json = Any

# What a manifest may name, and what it is in chapter 2.1. Strings have no encoding of their own, so they are bytes.
DTYPES = {
    "float32": "float32",
    "int32": "int32",
    "bool": "bool",
    "complex64": "complex64",
    "string": "bytes",
    "uint8": "uint8",
    "uint16": "uint16",
    "float16": "float16",
}
# Those that TensorFlow.js loads; the Python converter writes the others too.
LOADED = ("float32", "int32", "bool", "complex64", "string")
# The stored dtypes of quantized weights, with the largest stored number.
_QUANTIZED = {"uint8": 2**8 - 1, "uint16": 2**16 - 1, "float16": 0}
_LENGTH = struct.Struct("<I")
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the elements of a weight are stored in fewer bits.

    Attributes:
        dtype: ``uint8``, ``uint16`` or ``float16``.
        minimum, scale: of the elements ``scale * stored + minimum``; not used by float16.
    """

    dtype: str
    minimum: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Weight:
    """An entry of a weights manifest.

    Attributes:
        name: of the weight.
        shape: of the elements.
        dtype: of the elements, by its name in a manifest.
        quantization: how they are stored, if in fewer bits.
        group: ``optimizer`` for the state of an optimizer, else `None`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None = None
    group: str | None = None

    @property
    def neutral(self) -> str:
        """The dtype of the elements by its name in chapter 2.1."""
        return DTYPES[self.dtype]

    @property
    def stored(self) -> str:
        """The dtype of the stored numbers by its name in chapter 2.1."""
        return self.quantization.dtype if self.quantization is not None else self.neutral

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """The number of stored bytes; of strings, the least that they can have."""
        if self.dtype == "string":
            return self.count * _LENGTH.size
        return dtypes.byte_size(self.stored, self.shape)

    def entry(self) -> dict[str, Json]:
        """The entry of the manifest."""
        found: dict[str, Json] = {"name": self.name, "shape": list(self.shape), "dtype": self.dtype}
        if self.quantization is not None:
            how = self.quantization
            facts = {} if how.dtype == "float16" else {"min": how.minimum, "scale": how.scale}
            found["quantization"] = {"dtype": how.dtype, **facts, "original_dtype": self.dtype}
        return found | ({} if self.group is None else {"group": self.group})


def read_weight(node: Json, where: str, limits: Limits) -> Weight:
    """Check an entry of a manifest.

    Raises:
        InvalidError: ``tfjs-form``, ``tfjs-quantization``, ``shape-form``.
        UnsupportedError: ``tfjs-dtype``.
        LimitError: ``limit-rank``, ``limit-tensor``.
    """
    if not isinstance(node, dict) or not isinstance(node.get("name"), str) or not node["name"]:
        raise error("tfjs-form", where=where, found=f"the weight {shown(node)}")
    where = f"{where}, weight {shown(node['name'])}"
    dtype = node.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise error("tfjs-dtype", where=where, found=shown(dtype))
    shape = dtypes.check_shape(node.get("shape"), where, limits)
    if dtype != "string":
        dtypes.check_size(DTYPES[dtype], shape, where, limits)
    elif max(math.prod(shape), math.prod(extent for extent in shape if extent)) > limits.tensor_bytes:
        raise error("limit-tensor", where=where, found=f"strings of the shape {shown(shape)}")
    group = node.get("group")
    if not isinstance(group, str | None):
        raise error("tfjs-form", where=where, found=f"the group {shown(group)}")
    quantization = _read_quantization(node["quantization"], dtype, where) if "quantization" in node else None
    return Weight(node["name"], shape, dtype, quantization, group)


def _read_quantization(node: Json, dtype: str, where: str) -> Quantization:
    def fail(found: str) -> EtuiError:
        return error("tfjs-quantization", where=where, found=found)

    stored = node.get("dtype") if isinstance(node, dict) else None
    if not isinstance(stored, str) or stored not in _QUANTIZED:
        raise fail(f"the quantization {shown(node)}")
    if dtype not in (("float32",) if stored == "float16" else ("float32", "int32")):
        raise fail(f"{dtype} stored as {stored}")
    if stored == "float16":
        return Quantization(stored)
    numbers = [node.get("min"), node.get("scale")]
    if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
        raise fail(f"min and scale {shown(numbers)}")
    try:
        minimum, scale = (float(number) for number in numbers)
    except OverflowError:
        raise fail(f"min and scale {shown(numbers)}") from None
    ends = [minimum, minimum + scale * _QUANTIZED[stored]]
    bound = _FLOAT32_MAX if dtype == "float32" else _INT32_MAX
    # Without a scale nothing can be stored, and an end that the dtype does not hold is not what was meant.
    if not scale or not all(math.isfinite(end) and abs(end) <= bound for end in ends):
        raise fail(f"min {minimum!r} and scale {scale!r}")
    return Quantization(stored, minimum, scale)


def decode(weight: Weight, raw: bytes, where: str) -> Array:
    """The elements of a weight from its bytes, as TensorFlow.js computes them, bit for bit.

    Raises:
        InvalidError: ``bool-value``.
        IntegrityError: ``tfjs-data``, a string that does not end in time.
    """
    if weight.dtype == "string":
        items = np.empty(weight.count, object)
        items[:] = _strings(raw, weight.count, where)
        return items.reshape(weight.shape)
    if weight.dtype == "bool" and raw.strip(b"\0\1"):
        raise error("bool-value", where=where, found="a byte above 1")
    found = np.frombuffer(raw, dtypes.by_name(weight.stored, where).numpy).reshape(weight.shape)
    return found if weight.quantization is None else _widened(found, weight.quantization, weight.dtype)


def _widened(stored: Array, how: Quantization, dtype: str) -> Array:
    if how.dtype == "float16":
        return stored.astype(np.float32)
    exact = np.asarray(stored.astype(np.float64) * how.scale + how.minimum)
    if dtype == "float32":
        return exact.astype(np.float32)
    # As JavaScript rounds: a half goes up.
    floor = np.floor(exact)
    return np.asarray(floor + (exact - floor >= 0.5)).astype(np.int32)


def _strings(raw: bytes, count: int, where: str) -> list[bytes]:
    items, at = [], 0
    for _ in range(count):
        end = string_end(raw, at)
        if end is None:
            raise error("tfjs-data", where=where, found="a string that ends beyond its group")
        items.append(raw[at + _LENGTH.size : end])
        at = end
    return items


def string_end(raw: bytes, at: int) -> int | None:
    """Where the string ends whose length is at `at`; `None` if that is beyond the bytes."""
    if at + _LENGTH.size > len(raw):
        return None
    end = at + _LENGTH.size + int(_LENGTH.unpack_from(raw, at)[0])
    return end if end <= len(raw) else None


def encode(weight: Weight, array: Array) -> bytes | None:
    """The bytes of a weight; `None` if a quantized weight cannot hold exactly these elements.

    Args:
        weight: says how; the elements are of its shape and dtype.
        array: the elements; objects of bytes for strings.
    """
    if weight.dtype == "string":
        items = [item.encode() if isinstance(item, str) else bytes(item) for item in array.reshape(-1)]
        return b"".join(_LENGTH.pack(len(item)) + item for item in items)
    plain = np.ascontiguousarray(array, dtypes.by_name(weight.neutral, "").numpy)
    if weight.quantization is None:
        return plain.tobytes()
    how = weight.quantization
    if how.dtype == "float16":
        with np.errstate(over="ignore", under="ignore"):
            stored = plain.astype(np.float16)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.rint((plain.astype(np.float64) - how.minimum) / how.scale)
        if not (np.isfinite(steps).all() and (steps >= 0).all() and (steps <= _QUANTIZED[how.dtype]).all()):
            return None
        stored = steps.astype(np.dtype(how.dtype))
    return stored.tobytes() if _widened(stored, how, weight.dtype).tobytes() == plain.tobytes() else None
