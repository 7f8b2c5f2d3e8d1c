"""Vectors of dtypes and encodings (SPEC.md chapters 2.1 and 12.3): every bit pattern that a codec may lose."""

from __future__ import annotations

import struct
from typing import Any

from vectors_contents import Tensor, blobs, f32, numbers, quantized, tensor, texts, weights
from vectors_kit import Area, Entry
from vectors_layout import Box, cut
from vectors_parts import DATA, WEIGHTS, Edit, byte, drop, put, rename

# Zeros of either sign, the ends of the subnormals and of the normal numbers, infinities, and NaNs of three kinds.
_BITS = {
    "float16": "0000 0080 0100 ff03 0004 ff7b ffff 007c 00fc 007e 017c aafd",
    "bfloat16": "0000 0080 0100 7f00 8000 7f7f ff7f 807f 80ff c07f 817f aaff",
    "float32": "00000000 00000080 01000000 ffff7f00 00008000 ffff7f7f 0000807f 000080ff 0000c07f 0100807f adbec0ff",
    "float64": "0000000000000000 0000000000000080 0100000000000000 ffffffffffff0f00 ffffffffffffef7f 000000000000f07f "
    "000000000000f0ff 000000000000f87f 010000000000f07f efbeadde0000f8ff",
    "float8_e4m3fn": "00 80 01 07 08 7e fe 7f ff",
    "float8_e5m2": "00 80 01 03 04 7b fb 7c fc 7d 7f ff",
    "float8_e8m0fnu": "00 01 7f 80 fe ff",
    "bool": "00 01",
}
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_QUANTIZED = ("variables", "q")
_SCALE = (*_QUANTIZED, "components", "scale")


def area() -> Area:
    """The vectors."""
    found = Area("encodings", "weights")
    for dtype, patterns in _BITS.items():
        data = [bytes.fromhex(pattern) for pattern in patterns.split()]
        whole = tensor(dtype, [len(data)], b"".join(data))
        parts = {"all": whole, "one": tensor(dtype, [], data[-1]), "none": tensor(dtype, [2, 0, 3], b"")}
        found.valid(f"every kind of {dtype}", "D-7 D-8 D-9" if dtype == "bool" else "D-7 D-9", weights(parts))
    for dtype in _INTEGERS:
        width, signed = int(dtype.lstrip("uint")), dtype.startswith("int")
        ends = (
            (-(1 << width - 1), -1, 0, 1, (1 << width - 1) - 1) if signed else (0, 1, (1 << width) - 1, 1 << width - 1)
        )
        parts = {
            "all": numbers(dtype, [len(ends), 1], *ends),
            "one": numbers(dtype, [], ends[0]),
            "none": numbers(dtype, [0]),
        }
        found.valid(f"the ends of {dtype}", "D-7 D-9", weights(parts))
    found.valid("a tensor of the rank 32", "L-1 L-2 D-10", weights({"k": f32([1] * 31 + [2], 1, 2)}))
    found.valid(
        "shapes with zeros and ones",
        "D-10 S-5",
        weights({"a": f32([0]), "b": f32([1, 1, 1], 1), "c": f32([3, 0]), "d": f32([0, 2**40])}),
    )
    _encoded(found)
    _quantized(found)
    _faults(found)
    _rounded(found)
    return found


def _encoded(found: Area) -> None:
    """Complex numbers, four bits, and strings."""
    small, large = _BITS["float32"].split(), _BITS["float64"].split()
    pairs = {"complex64": bytes.fromhex("".join(small[:10])), "complex128": bytes.fromhex("".join(large))}
    for dtype, data in pairs.items():
        width = 8 if dtype == "complex64" else 16
        parts = {
            "all": tensor(dtype, [len(data) // width], data),
            "one": tensor(dtype, [], data[:width]),
            "none": tensor(dtype, [0, 2], b""),
        }
        found.valid(f"{dtype}, zeros, infinities and NaNs among them", "W-16 W-17 W-26 D-9 W-11", weights(parts))
    signed = bytes(value & 0xFF for value in range(-8, 8))
    parts = {
        "even": tensor("int4", [4, 4], signed),
        "odd": tensor("int4", [3], b"\xf8\x07\xff"),
        "one": tensor("int4", [], b"\x07"),
    }
    found.valid(
        "int4, even and odd numbers of them", "W-16 W-17 W-18 W-26", weights(parts | {"none": tensor("int4", [0], b"")})
    )
    parts = {"even": tensor("uint4", [2, 8], bytes(range(16))), "odd": tensor("uint4", [1, 3], b"\x0f\0\x01")}
    parts |= {"one": tensor("uint4", [], b"\x0f"), "none": tensor("uint4", [3, 0], b"")}
    found.valid("uint4, even and odd numbers of them", "W-16 W-17 W-18 W-26", weights(parts))
    held = {
        "all": texts([2, 3], "", "a", "é", "\U0001f600", "\0", "e\u0301\u00e9\n"),
        "one": texts([], "Ebene"),
        "none": texts([0]),
        "empty": texts([2], "", ""),
    }
    found.valid("strings", "W-16 W-17 W-19 W-26", weights(held))
    raw = {
        "all": blobs([4], b"\xff\xfe", b"", b"\0", bytes(range(256))),
        "one": blobs([], b"\x80"),
        "none": blobs([2, 0]),
    }
    found.valid("byte strings", "W-16 W-17 W-19 W-26", weights(raw))


def _quantized(found: Area) -> None:
    clauses = "W-16 W-17 W-20 W-21 W-26"

    def value(title: str, more: str = "", **tensors: Tensor) -> Entry:
        return found.valid(title, f"{clauses} {more}", weights(dict(tensors)))

    four = numbers("int8", [2, 2], -128, -1, 0, 127)
    value(
        "a scale for each column",
        q=quantized("float32", [2, 2], f32([4], -64, -2, 0, 254)["data"], values=four, scale=f32([1, 2], 0.5, 2)),
    )
    value(
        "a scale for all",
        q=quantized("float32", [2, 2], f32([4], -64, -0.5, 0, 63.5)["data"], values=four, scale=f32([1, 1], 0.5)),
    )
    value(
        "a scale for each element",
        q=quantized(
            "float32", [2, 2], f32([4], -128, -2, 0, -127)["data"], values=four, scale=f32([2, 2], 1, 2, 3, -1)
        ),
    )
    zero = quantized(
        "float32",
        [2, 2],
        f32([4], -130, -3, -1, 127)["data"],
        values=four,
        scale=f32([2, 1], 1, 1),
        zero_point=numbers("int8", [2, 1], 2, 0),
    )
    zero["data"] = f32([4], -130, -3, 0, 127)["data"]
    value("a zero point for each row", q=zero)
    blocks = numbers("uint8", [2, 6], *range(12))
    scale, points = f32([2, 2], 1, 10, 100, 1000), numbers("uint8", [2, 2], 0, 3, 6, 255)
    worth = [0, 1, 2, 0, 10, 20, 0, 100, 200, -246000, -245000, -244000]
    value(
        "blocks of three",
        q=quantized("float32", [2, 6], f32([12], *worth)["data"], values=blocks, scale=scale, zero_point=points),
    )
    nibbles = tensor("int4", [3], b"\xf8\xff\x07")
    point = tensor("int4", [1], b"\xf9")
    packed = quantized(
        "float16",
        [3],
        numbers("float16", [3], -0.5, 3, 7)["data"],
        values=nibbles,
        scale=numbers("float16", [1], 0.5),
        zero_point=point,
    )
    value("values and zero points of four bits", "W-22 W-11", q=packed)
    unsigned = tensor("uint4", [2, 2], b"\x0f\x00\x01\x08")
    value(
        "values of uint4 and a scale of bfloat16",
        "W-22",
        q=quantized(
            "bfloat16",
            [2, 2],
            bytes.fromhex("f0410000004080 41".replace(" ", "")),
            values=unsigned,
            scale=tensor("bfloat16", [1, 1], b"\x00\x40"),
        ),
    )
    wide = numbers("int32", [2], 16777217, -16777217)
    value(
        "a product that float32 would round twice",
        q=quantized("float32", [2], f32([2], 50331652, -50331652)["data"], values=wide, scale=f32([1], 3)),
    )
    # 1 + 2^-8 + 2^-30 lies just above the midpoint of two bfloat16; float32 would round it onto the midpoint first.
    near = numbers("int32", [1], 2**30 + 2**22 + 1)
    value(
        "a sum that must not go through float32",
        q=quantized("bfloat16", [1], b"\x81\x3f", values=near, scale=numbers("float64", [1], 2.0**-30)),
    )
    value(
        "values of 16 bits to float64",
        q=quantized(
            "float64",
            [2],
            numbers("float64", [2], -32768 * 0.1, 32767 * 0.1)["data"],
            values=numbers("int16", [2], -32768, 32767),
            scale=numbers("float64", [1], 0.1),
        ),
    )
    steep = quantized(
        "float32", [2], bytes.fromhex("0000807f000080ff"), values=numbers("int8", [2], 2, -2), scale=f32([1], 3e38)
    )
    value("products beyond float32", q=steep)
    value(
        "no element and a scalar",
        q=quantized("float32", [0, 2], b"", values=numbers("int8", [0, 2]), scale=f32([1, 1], 1)),
        s=quantized("float32", [], f32([], 6)["data"], values=numbers("int8", [], 3), scale=f32([], 2)),
    )


# A number half way between two of a dtype, of which the lower one is even, and the bits of the lower one.
_MIDPOINTS = {
    "float16": (1 + 2**-11, 0x3C00),
    "bfloat16": (1 + 2**-8, 0x3F80),
    "float32": (1 + 2**-24, 0x3F800000),
    "float8_e4m3fn": (1 + 2**-4, 0x38),
    "float8_e5m2": (1 + 2**-3, 0x3C),
}
_POWERS = {0.5: 126, 0.74: 126, 0.75: 126, 0.76: 127, 1.0: 127, 1.5: 128, 3.0: 128, 3.1: 129, 2.0**-127: 0} | {
    1.1 * 2.0**-128: 0,
    2.0**-128: 255,
    0.0: 255,
    -1.0: 255,
    1.5 * 2.0**127: 254,
    1.6 * 2.0**127: 255,
}


def _rounded(found: Area) -> None:
    """What is rounded to the logical dtype, next to the middle of two of its numbers."""
    scale = numbers("float64", [1], 2.0**-40)
    for dtype, (midpoint, bits) in _MIDPOINTS.items():
        steps, width = int(midpoint * 2**40), {"float16": 2, "bfloat16": 2, "float32": 4}.get(dtype, 1)
        whole = [bits, bits + 1, bits, bits + 1 | 1 << width * 8 - 1, 0]
        data = b"".join(number.to_bytes(width, "little") for number in whole)
        values = numbers("int64", [5], steps, steps + 1, steps - 1, -steps - 1, 0)
        title = f"the middle of two numbers of {dtype}, and what lies beside it"
        found.valid(title, "W-21", weights({"q": quantized(dtype, [5], data, values=values, scale=scale)}))
    powers = numbers("float64", [len(_POWERS)], *_POWERS)
    ones = numbers("int8", [len(_POWERS)], *[1] * len(_POWERS))
    held = quantized("float8_e8m0fnu", [len(_POWERS)], bytes(_POWERS.values()), values=ones, scale=powers)
    found.valid("powers of two, and what lies between them", "W-21", weights({"q": held}))


def cut_components(found: Area) -> None:
    """Encoded tensors whose components lie in several chunks."""
    held: dict[str, Any] = {
        "c": tensor("complex64", [2], bytes(range(16))),
        "n": tensor("uint4", [4], b"\1\2\3\4"),
        "q": quantized(
            "float32", [2, 1], f32([2], 2, 6)["data"], values=numbers("int8", [2, 1], 1, 2), scale=f32([2, 1], 2, 3)
        ),
        "s": texts([2], "ab", "c"),
    }
    boxes = {
        "c#parts": [Box((0, 0), (2, 1)), Box((0, 1), (2, 1))],
        "n#nibbles": [Box((0,), (1,)), Box((1,), (1,))],
        "q#values": [Box((0, 0), (1, 1)), Box((1, 0), (1, 1))],
        "q#scale": [Box((0, 0), (1, 1)), Box((1, 0), (1, 1))],
        "s#data": [Box((0,), (1,)), Box((1,), (2,))],
        "s#offsets": [Box((0,), (2,)), Box((2,), (1,))],
    }
    found.valid("components in chunks", "W-6 W-7 W-22 W-13", weights(held), layout=cut(boxes), keeps=False)


def _faults(found: Area) -> None:
    held: dict[str, Any] = {
        "c": tensor("complex128", [1], struct.pack("<2d", 1, 2)),
        "m": tensor("bool", [3], b"\1\0\1"),
        "n": tensor("int4", [3], b"\x01\x02\x03"),
        "q": quantized(
            "float32",
            [4, 2],
            f32([8], *range(8))["data"],
            values=numbers("int8", [4, 2], *range(8)),
            scale=f32([2, 2], 1, 1, 1, 1),
        ),
        "r": blobs([2], b"\xff", b"a"),
        "s": texts([3], "a", "", "\u00e4b"),
    }
    base = found.valid("an encoding of each kind", "W-16 W-17 W-19 W-21 W-26", weights(held))
    found.faults(base, WEIGHTS, _component_faults())
    found.faults(base, WEIGHTS, _shape_faults(), match=True)
    content = "encoding-content"
    data: list[tuple[str, str, str, Edit]] = [
        ("a bool of two", "D-8", "bool-value", byte("m", 1, 2)),
        ("a bool of 255", "D-8", "bool-value", byte("m", 0, 255)),
        ("a bit in the unused half of a byte", "W-18", content, byte("n#nibbles", -1, 0x13)),
        ("every bit in the unused half of a byte", "W-18", content, byte("n#nibbles", -1, 0xF3)),
        ("offsets that begin late", "W-19", content, byte("r#offsets", 0, 1)),
        ("offsets that fall", "W-19", content, byte("s#offsets", 8, 2)),
        ("offsets that end early", "W-19", content, byte("s#offsets", 24, 3)),
        ("offsets that end late", "W-19", content, byte("r#offsets", 16, 3)),
        ("an offset beyond everything", "W-19 X-2", content, byte("r#offsets", 15, 0x80)),
        ("a string that is not UTF-8", "W-19", content, byte("s#data", 0, 0xFF)),
        ("half of a letter at the end of a string", "W-19", content, byte("s#data", -1, 0xC3)),
        ("a letter that is cut in two by the offsets", "W-19", content, byte("s#offsets", 16, 2)),
    ]
    found.faults(base, DATA, data)


def _shape_faults() -> list[tuple[str, str, str, Edit]]:
    wrong = "encoding-components"
    parts, nibbles = ("variables", "c", "components", "parts"), ("variables", "n", "components", "nibbles")
    offsets, values = ("variables", "s", "components", "offsets"), (*_QUANTIZED, "components", "values")
    return [
        ("complex parts of another dtype", "W-17", wrong, put("float32", *parts, "dtype")),
        ("complex parts of another shape", "W-17", wrong, put([2], *parts, "shape")),
        ("nibbles of another dtype", "W-17", wrong, put("int8", *nibbles, "dtype")),
        ("nibbles that are too few", "W-17", wrong, put([1], *nibbles, "shape")),
        ("offsets of another dtype", "W-17", wrong, put("int64", *offsets, "dtype")),
        ("offsets without the end", "W-17", wrong, put([3], *offsets, "shape")),
        ("offsets of two dimensions", "W-17", wrong, put([4, 1], *offsets, "shape")),
        ("values that are floats", "W-17", wrong, put("float32", *values, "dtype")),
        ("values of another shape", "W-17", wrong, put([8], *values, "shape")),
        ("a scale of integers", "W-17", wrong, put("int32", *_SCALE, "dtype")),
        ("a scale that does not divide", "W-20", wrong, put([3, 2], *_SCALE, "shape")),
        ("a scale of another rank", "W-20", wrong, put([2], *_SCALE, "shape")),
        ("a scale larger than the tensor", "W-20", wrong, put([8, 2], *_SCALE, "shape")),
        ("a scale with a dimension of zero", "W-20", wrong, put([0, 2], *_SCALE, "shape")),
    ]


def _component_faults() -> list[tuple[str, str, str, Edit]]:
    wrong, form = "encoding-components", "weights-form"
    parts = ("variables", "c", "components", "parts")
    return [
        ("an unknown encoding", "W-16", "encoding-unknown", put("sparse", *_QUANTIZED, "encoding")),
        ("an encoding in capitals", "W-16", "encoding-unknown", put("Complex", "variables", "c", "encoding")),
        ("an encoding that is null", "W-16", f"encoding-unknown|{form}", put(None, *_QUANTIZED, "encoding")),
        ("components without an encoding", "W-1", f"{form}|{wrong}|encoding-unknown", drop(*_QUANTIZED, "encoding")),
        ("an encoding without components", "W-17", f"{wrong}|{form}", drop(*_QUANTIZED, "components")),
        ("a component of another name", "W-17", wrong, rename("scales", *_SCALE)),
        ("a component too few", "W-17 S-9", f"{wrong}|tensor-unreferenced", drop(*_SCALE)),
        ("a component too many", "W-17 S-9", f"{wrong}|tensor-unreferenced", _more(parts, (*parts[:-1], "more"))),
        (
            "a zero point of another dtype",
            "W-17 S-9",
            f"{wrong}|tensor-unreferenced",
            _more(_SCALE, (*_SCALE[:-1], "zero_point")),
        ),
        ("a scale that is encoded", "W-22", wrong, _encoded_again(_SCALE, "packed4", "nibbles")),
        ("parts that are encoded", "W-22", wrong, _encoded_again(parts, "quantized", "values")),
        ("a complex tensor in chunks", "W-26", wrong, _plain("c", "parts")),
        ("an int4 tensor in chunks", "W-26", wrong, _plain("n", "nibbles")),
        ("the encoding of another dtype", "W-26", wrong, put("float64", "variables", "c", "dtype")),
        ("a quantized tensor of integers", "W-26", wrong, put("int32", *_QUANTIZED, "dtype")),
        ("a plain tensor with an encoding", "W-26", f"{wrong}|{form}", put("packed4", "variables", "m", "encoding")),
        ("an encoding with chunks", "W-1", f"{form}|{wrong}", put([], *_QUANTIZED, "chunks")),
        ("a component that is a list", "W-17", f"{wrong}|{form}", put([], *_SCALE)),
        ("a component without chunks", "W-17 W-1", f"{wrong}|{form}", drop(*_SCALE, "chunks")),
        ("a component without a shape", "W-17 D-10", f"{wrong}|{form}|shape-form", drop(*_SCALE, "shape")),
        ("an unknown field of a component", "Q-7", f"{form}|{wrong}", put(1, *_SCALE, "comment")),
    ]


def _more(source: tuple[Any, ...], target: tuple[Any, ...]) -> Edit:
    """A component again under another name."""

    def edit(tree: dict[str, Any]) -> None:
        found: Any = tree
        for step in source[:-1]:
            found = found[step]
        found[target[-1]] = found[source[-1]]

    return edit


def _encoded_again(path: tuple[Any, ...], encoding: str, component: str) -> Edit:
    """A component whose chunks are those of a component of its own."""

    def edit(tree: dict[str, Any]) -> None:
        found: Any = tree
        for step in path:
            found = found[step]
        inner = {"chunks": found.pop("chunks"), "dtype": found["dtype"], "shape": found["shape"]}
        found |= {"components": {component: inner}, "encoding": encoding}

    return edit


def _plain(path: str, component: str) -> Edit:
    """An encoded variable whose component's chunks are its own."""

    def edit(tree: dict[str, Any]) -> None:
        entry = tree["variables"][path]
        del entry["encoding"]
        entry["chunks"] = entry.pop("components")[component]["chunks"]

    return edit
