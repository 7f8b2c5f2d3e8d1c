"""The dtypes of stored tensors as ONNX numbers them."""

from __future__ import annotations

from collections.abc import Sequence

from etui import dtypes
from etui.errors import error, shown

__all__ = ["FLOATS", "NAMES", "PACKED", "STORED", "fits", "stored_bytes"]

STORED = {
    "bool": 9,
    "int8": 3,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "uint8": 2,
    "uint16": 4,
    "uint32": 12,
    "uint64": 13,
    "float16": 10,
    "bfloat16": 16,
    "float32": 1,
    "float64": 11,
    "float8_e4m3fn": 17,
    "float8_e5m2": 19,
}
"""`TensorProto.DataType` of the dtypes that have one in the version of ONNX of our programs."""

PACKED = {"uint4": 21, "int4": 22}
"""Those of integers of which two share a byte, as in the encoding `packed4`."""

NAMES = {number: name for table in (STORED, PACKED) for name, number in table.items()}
"""The dtype of each number."""

FLOATS = frozenset(name for name in STORED if "float" in name)
"""The dtypes of floating numbers."""


def stored_bytes(kind: int, dims: Sequence[int]) -> int:
    """Bytes of an initializer of a type and shape.

    Raises:
        UnsafeError: ``onnx-data``, a type whose width is not known here.
    """
    if kind not in NAMES:
        raise error("onnx-data", found=f"an initializer of the type {shown(kind)}")
    return dtypes.byte_size(NAMES[kind], list(dims))


def fits(dtype: str, kind: int) -> bool:
    """Whether an initializer of a type may be the bytes of a stored tensor."""
    return STORED.get(dtype) == kind or (dtype == "uint8" and kind in PACKED.values())
