"""Writers of tensors: every dtype and every encoding, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from etui_conformance.checks import samples
from etui_conformance.checks.samples import Content, tensor, texts, weights
from etui_conformance.checks.writing_cases import Case, needs, once

_FLOATS = {
    # dtype -> bits of: negative zero, the smallest subnormal, a quiet NaN with a payload, a signalling one, an infinity
    "float16": ("0080", "0100", "017e", "01fc", "007c"),
    "bfloat16": ("0080", "0100", "c17f", "81ff", "807f"),
    "float32": ("00000080", "01000000", "0100c07f", "010080ff", "0000807f"),
    "float64": (
        "0000000000000080",
        "0100000000000000",
        "010000000000f87f",
        "010000000000f0ff",
        "000000000000f07f",
    ),
}


def cases() -> Iterator[Case]:
    """A case for each dtype and encoding."""
    for dtype, bits in _FLOATS.items():
        data = bytes.fromhex("".join(bits))
        title = f"Writes the bits of {dtype}, negative zeros, subnormals and NaN payloads included."
        scalar = tensor(dtype, [], data[: len(bits[0]) // 2])
        content = partial(weights, {"a": tensor(dtype, [len(bits)], data), "b": scalar})
        yield Case(f"elements/{dtype}", ("D-9",), title, needs("weights", f"dtype:{dtype}"), once(content))
    for dtype in ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "int8", "uint8"):
        content = partial(weights, {"a": tensor(dtype, [16, 16], bytes(range(256)))})
        title = f"Writes every bit pattern of {dtype}."
        yield Case(f"elements/{dtype}", ("D-9",), title, needs("weights", f"dtype:{dtype}"), once(content))
    for width, dtypes in ((2, ("int16", "uint16")), (4, ("int32", "uint32")), (8, ("int64", "uint64"))):
        for dtype in dtypes:
            content = partial(weights, {"a": tensor(dtype, [4, 8], bytes(range(32 * width)))})
            title = f"Writes {dtype} little-endian and row by row."
            yield Case(f"elements/{dtype}", ("D-9",), title, needs("weights", f"dtype:{dtype}"), once(content))
    yield Case(
        "elements/bool",
        ("D-8", "D-9"),
        "Writes a bool as the byte 0 or 1.",
        needs("weights", "dtype:bool"),
        once(partial(weights, {"a": tensor("bool", [2, 2], b"\0\1\1\0")})),
    )
    for dtype, pairs in (("complex64", _FLOATS["float32"]), ("complex128", _FLOATS["float64"])):
        data = bytes.fromhex("".join(pairs) + pairs[0])
        yield Case(
            f"elements/{dtype}",
            ("D-9", "W-26", "W-11"),
            f"Writes {dtype} as pairs of the real and the imaginary part, with every bit.",
            needs("weights", f"dtype:{dtype}", "feature:encoding.complex"),
            once(partial(weights, {"a": tensor(dtype, [3], data), "b": tensor(dtype, [], data[: len(data) // 3])})),
        )
    for dtype, data in (("int4", bytes([*range(8), *range(248, 256)])), ("uint4", bytes(range(16)))):
        yield Case(
            f"elements/{dtype}",
            ("D-9", "W-18", "W-26", "W-11"),
            f"Packs {dtype} two to a byte, the first in the low half, and the unused half as zero.",
            needs("weights", f"dtype:{dtype}", "feature:encoding.packed4"),
            once(partial(weights, {"a": tensor(dtype, [4, 4], data), "b": tensor(dtype, [3], data[-3:])})),
        )
    items = [b"", "é𝄞".encode(), b"\0", b"a\0"]
    for dtype, more in (("string", items), ("bytes", [*items, b"\xff\xfe"])):
        given = {"a": texts(dtype, [len(more)], more), "b": texts(dtype, [], [b"x"]), "c": texts(dtype, [0, 2], [])}
        yield Case(
            f"elements/{dtype}",
            ("D-9", "W-19", "W-26", "W-11"),
            f"Writes the offsets and the data of a tensor of {dtype}, zero bytes at the ends included.",
            needs("weights", f"dtype:{dtype}", "feature:encoding.string"),
            once(partial(weights, given)),
        )
    yield Case(
        "elements/quantized",
        ("D-9", "W-11"),
        "Writes the components of quantized tensors, packed ones and zero points included, under their names.",
        needs("weights", "dtype:float32", "dtype:int4", "feature:encoding.quantized", "feature:encoding.packed4"),
        once(_quantized),
    )
    empty = {
        "a": tensor("float32", [0], b""),
        "b": tensor("float32", [2, 0, 3], b""),
        "c": tensor("float32", [], b"\1\2\3\4"),
    }
    yield Case(
        "elements/empty",
        ("D-9", "D-10"),
        "Writes tensors without elements, and scalars.",
        needs("weights", "dtype:float32"),
        once(partial(weights, empty)),
    )


def _quantized() -> Content:
    scale = tensor("float32", [1, 2], bytes(range(8)))
    values = tensor("int8", [4, 2], bytes(range(248, 256)))
    small = tensor("int4", [4, 2], bytes([255, 0, 1, 2, 3, 4, 5, 6]))
    zero = tensor("int4", [1, 2], bytes([1, 255]))
    return weights(
        {
            "a": samples.quantized("float32", [4, 2], values=values, scale=scale),
            "b": samples.quantized("float16", [4, 2], values=small, scale=scale, zero_point=zero),
        }
    )
