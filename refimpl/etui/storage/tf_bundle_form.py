"""The messages and dtypes of a TensorFlow tensor bundle, and the form of its string tensors.

The messages are those of TensorFlow's `protobuf/tensor_bundle.proto`, `framework/tensor_shape.proto`,
`framework/tensor_slice.proto` and `framework/versions.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.errors import error
from etui.storage.crc32c import crc32c, masked
from etui.storage.protobuf import Field, Schema, read_varint, varint

VERSION = Schema("VersionDef", {1: Field("producer", "int32"), 2: Field("min_consumer", "int32")})
HEADER = Schema(
    "BundleHeaderProto",
    {
        1: Field("num_shards", "int32"),
        2: Field("endianness", "int32"),
        3: Field("version", "message", message=VERSION),
    },
)
_DIM = Schema("TensorShapeProto.Dim", {1: Field("size", "int64"), 2: Field("name", "string")})
SHAPE = Schema(
    "TensorShapeProto", {2: Field("dim", "message", repeated=True, message=_DIM), 3: Field("unknown_rank", "bool")}
)
_EXTENT = Schema("TensorSliceProto.Extent", {1: Field("start", "int64"), 2: Field("length", "int64")})
SLICE = Schema("TensorSliceProto", {1: Field("extent", "message", repeated=True, message=_EXTENT)})
ENTRY = Schema(
    "BundleEntryProto",
    {
        1: Field("dtype", "int32"),
        2: Field("shape", "message", message=SHAPE),
        3: Field("shard_id", "int32"),
        4: Field("offset", "int64"),
        5: Field("size", "int64"),
        6: Field("crc32c", "fixed32"),
        7: Field("slices", "message", repeated=True, message=SLICE),
    },
)
DIM, EXTENT = _DIM, _EXTENT

DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "bytes",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    29: "int4",
    30: "uint4",
}
"""The dtypes of `framework/types.proto` that a bundle is read and written with; a TensorFlow string is of bytes."""
NUMBERS = {name: number for number, name in DTYPES.items()}
VARIANT = 21
"""The number of a variant, an object of TensorFlow's own: kept as the bytes that it is stored as."""
_WIDE = 0xFFFF_FFFF


def read_strings(data: memoryview, count: int, order: str, where: str) -> np.ndarray[Any, Any]:
    """The elements of a string tensor, flat.

    Args:
        data: its bytes: the lengths as varints, the masked CRC-32C of the lengths as integers, the strings.
        count: of elements.
        order: ``<`` or ``>``, of the checksum.
        where: names the tensor in errors.

    Raises:
        MalformedError: ``bundle-string``, ``protobuf-syntax``.
    """
    if count > len(data):
        raise error("bundle-string", where=where, found=f"{count} strings in {len(data)} bytes")
    lengths, at = [], 0
    for _ in range(count):
        length, at = read_varint(data, at, len(data), where)
        lengths.append(length)
    if at + 4 + sum(lengths) != len(data):
        raise error("bundle-string", where=where, found=f"strings of {sum(lengths)} bytes in {len(data) - at - 4}")
    (expected,) = struct.unpack_from(order + "I", data, at)
    if masked(crc32c(_lengths(lengths, order))) != expected:
        raise error("bundle-string", where=where, found="lengths that do not have their checksum")
    at += 4
    out = np.empty(count, object)
    for index, length in enumerate(lengths):
        out[index] = bytes(data[at : at + length])
        at += length
    return out


def strings_crc(data: memoryview, count: int, order: str, where: str) -> int:
    """The CRC-32C of a string tensor, which takes the lengths as integers in place of the varints."""
    lengths, at = [], 0
    for _ in range(min(count, len(data))):
        length, at = read_varint(data, at, len(data), where)
        lengths.append(length)
    return crc32c(data[at:], crc32c(_lengths(lengths, order)))


def variants_crc(data: memoryview, count: int, order: str, where: str) -> int:
    """The CRC-32C of a tensor of variants: of each its length as a varint, its bytes, and their checksum so far.

    Raises:
        MalformedError: ``bundle-string``, ``protobuf-syntax``.
    """
    at, crc = 0, 0
    for _ in range(min(count, len(data) + 1)):
        length, at = read_varint(data, at, len(data), where)
        if at + length + 4 > len(data):
            raise error("bundle-string", where=where, found=f"a variant of {length} bytes at byte {at}")
        crc = crc32c(data[at : at + length], crc32c(struct.pack(order + "Q", length), crc))
        at += length + 4
        if struct.unpack_from(order + "I", data, at - 4) != (masked(crc),):
            raise error("bundle-string", where=where, found=f"a variant before byte {at} without its checksum")
        crc = crc32c(data[at - 4 : at], crc)
    if at != len(data):
        raise error("bundle-string", where=where, found=f"{len(data) - at} bytes behind the variants")
    return crc


def write_strings(values: Sequence[bytes]) -> tuple[bytes, int]:
    """The bytes of a string tensor and their CRC-32C."""
    lengths = [len(value) for value in values]
    crc = crc32c(_lengths(lengths, "<"))
    rest = struct.pack("<I", masked(crc)) + b"".join(values)
    return b"".join(map(varint, lengths)) + rest, crc32c(rest, crc)


def _lengths(lengths: Sequence[int], order: str) -> bytes:
    """Lengths as TensorFlow checksums them: of 4 bytes, longer ones of 8."""
    if not lengths or max(lengths) <= _WIDE:
        return np.array(lengths, order + "u4").tobytes()
    return b"".join(struct.pack(order + ("I" if length <= _WIDE else "Q"), length) for length in lengths)
