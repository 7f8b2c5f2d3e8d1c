"""The data types of SPEC.md chapter 2.1, shapes, and the sizes that follow from both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class Dtype:
    """One row of the table of data types.

    Attributes:
        name: as documents write it.
        bits: width of an element; 0 for `string` and `bytes`, whose width varies.
        safetensors: the dtype of a plain tensor in a safetensors header; `None` where an encoding is needed.
    """

    name: str
    bits: int
    safetensors: str | None = None

    @property
    def numpy(self) -> np.dtype[Any]:
        """The numpy dtype of the elements in memory, little-endian; object for `string` and `bytes`."""
        return _numpy_dtype(self.name)


DTYPES: dict[str, Dtype] = {
    dtype.name: dtype
    for dtype in (
        Dtype("bool", 8, "BOOL"),
        Dtype("int8", 8, "I8"),
        Dtype("int16", 16, "I16"),
        Dtype("int32", 32, "I32"),
        Dtype("int64", 64, "I64"),
        Dtype("uint8", 8, "U8"),
        Dtype("uint16", 16, "U16"),
        Dtype("uint32", 32, "U32"),
        Dtype("uint64", 64, "U64"),
        Dtype("float16", 16, "F16"),
        Dtype("float32", 32, "F32"),
        Dtype("float64", 64, "F64"),
        Dtype("bfloat16", 16, "BF16"),
        Dtype("float8_e4m3fn", 8, "F8_E4M3"),
        Dtype("float8_e5m2", 8, "F8_E5M2"),
        Dtype("float8_e8m0fnu", 8, "F8_E8M0"),
        Dtype("complex64", 64),
        Dtype("complex128", 128),
        Dtype("int4", 4),
        Dtype("uint4", 4),
        Dtype("string", 0),
        Dtype("bytes", 0),
    )
}
"""Every dtype by its name."""

BY_SAFETENSORS: dict[str, Dtype] = {dtype.safetensors: dtype for dtype in DTYPES.values() if dtype.safetensors}
"""The dtypes of plain tensors by their names in a safetensors header."""

_ML_DTYPES = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "int4", "uint4"})


@cache
def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name in ("string", "bytes"):
        return np.dtype(object)
    if name in _ML_DTYPES:
        import ml_dtypes  # few models need it

        scalar: type[np.generic] = getattr(ml_dtypes, name)
        return np.dtype(scalar)
    return np.dtype(name).newbyteorder("<")


def by_name(name: object, where: str) -> Dtype:
    """The dtype of that name.

    Raises:
        InvalidError: ``dtype-unknown``.
    """
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None:
        raise error("dtype-unknown", where=where, found=shown(name))
    return dtype


def of_array(array: npt.NDArray[Any] | np.generic) -> Dtype:
    """The dtype of a numpy array or scalar, whatever its byte order.

    Raises:
        InvalidError: ``dtype-unknown``, for example for objects, long doubles and dates.
    """
    dtype = DTYPES.get(array.dtype.name)
    # The names of numpy and ml_dtypes are those of the table; `bytes` is numpy's name of an empty byte string.
    if dtype is None or not dtype.bits:
        raise error("dtype-unknown", found=f"an array of {array.dtype}")
    return dtype


def check_shape(shape: object, where: str, limits: Limits = DEFAULT_LIMITS) -> tuple[int, ...]:
    """A shape as a document has it, as a tuple (D-10).

    Raises:
        InvalidError: ``shape-form``.
        LimitError: ``limit-rank``.
    """
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise error("shape-form", where=where, found=shown(shape))
    if len(shape) > limits.rank:
        raise error("limit-rank", where=where, found=f"{len(shape)} dimensions")
    return tuple(shape)


def byte_size(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor without padding: 4-bit elements by two, and nothing for `string` and `bytes`.

    The numbers are Python's, so nothing overflows.
    """
    return (math.prod(shape) * DTYPES[dtype].bits + 7) // 8


def check_size(dtype: str, shape: Sequence[int], where: str, limits: Limits = DEFAULT_LIMITS) -> int:
    """The bytes of a tensor, checked against the limit.

    The product of the dimensions that are not zero is checked too: numpy multiplies them before it sees the zero.

    Raises:
        LimitError: ``limit-tensor``.
    """
    size = byte_size(dtype, shape)
    if max(size, byte_size(dtype, [extent for extent in shape if extent])) > limits.tensor_bytes:
        raise error("limit-tensor", where=where, found=f"{dtype}{shown(list(shape))}")
    return size
