"""Weights, and their data, with a fault (SPEC.md chapters 2, 11 and 12)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.testing.hostile import Edit, all_of, append, drop, moved, overwrite, put, set_byte

clause = pytest.mark.clause
CONFIG = "config.json"
WEIGHTS = "weights.json"
DATA = "weights.safetensors"
KERNEL = ("variables", "dense/kernel")
CHUNK = (*KERNEL, "chunks", 0)
CUT = ("variables", "own/chunked")
QUANTIZED = ("variables", "own/quantized")
DENSE = ("model", "modules", 2)


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 2 Terms and data model
    "a path with an empty segment": (
        clause("D-2@f37157"),
        "path-form",
        WEIGHTS,
        moved(KERNEL, ("variables", "dense//k")),
    ),
    "an empty path": (clause("D-2@f37157"), "path-form", WEIGHTS, moved(KERNEL, ("variables", ""))),
    "a path with dots": (clause("D-3@4c720b"), "path-form", WEIGHTS, moved(KERNEL, ("variables", "a/../kernel"))),
    "a path with a backslash": (clause("D-3@4c720b"), "path-form", WEIGHTS, moved(KERNEL, ("variables", "a\\kernel"))),
    "a path with an at sign": (clause("D-3@4c720b"), "path-form", WEIGHTS, moved(KERNEL, ("variables", "a@0"))),
    "a name with a hash": (clause("D-3@4c720b"), "path-form", CONFIG, put("a#b", *DENSE, "name")),
    "paths equal after NFC": (
        clause("D-4@03cd9a"),
        "path-collision",
        WEIGHTS,
        put({"\u212b": "dense/kernel", "\xc5": "dense/kernel"}, "aliases"),
    ),
    "names equal after NFC": (
        clause("D-4@03cd9a"),
        "path-collision",
        CONFIG,
        all_of(
            append({"kind": "layer", "name": "\u212b", "op": "keras:A"}, "model", "modules"),
            append({"kind": "layer", "name": "\xc5", "op": "keras:A"}, "model", "modules"),
        ),
    ),
    "an unknown dtype": (clause("D-7@2d9350"), "dtype-unknown", WEIGHTS, put("float24", *KERNEL, "dtype")),
    "a dtype that is no text": (clause("D-7@2d9350"), "dtype-unknown", WEIGHTS, put(["float32"], *KERNEL, "dtype")),
    "a bool of two": (clause("D-8@918f53"), "bool-value", DATA, set_byte("own/mask", 1, 2)),
    "a negative dimension": (clause("D-10@5e1f73"), "shape-form", WEIGHTS, put([4, -4], *KERNEL, "shape")),
    "a dimension that is no number": (clause("D-10@5e1f73"), "shape-form", WEIGHTS, put([4, None], *KERNEL, "shape")),
    "a dimension that is a truth": (clause("D-10@5e1f73"), "shape-form", WEIGHTS, put([True, 4], *KERNEL, "shape")),
    "a shape that is no list": (clause("D-10@5e1f73"), "shape-form", WEIGHTS, put({"0": 4}, *KERNEL, "shape")),
    # 11 Data parts
    "a tensor of another name": (
        clause("S-9@aace1b"),
        "tensor-unreferenced",
        DATA,
        overwrite(b"own/words#data", b"own/words#datb"),
    ),
    "a tensor that two chunks name": (
        clause("S-9@aace1b"),
        "tensor-unreferenced",
        WEIGHTS,
        lambda t: t["variables"].update({"twice": t["variables"]["own/mask"] | {"order": 13}}),
    ),
    "a header that is no JSON": (
        clause("S-1@7a8738"),
        "safetensors-header",
        DATA,
        overwrite(b'{"dense/bias"', b'["dense/bias"'),
    ),
    "a longer header": (clause("S-3@f9d890"), "safetensors-header", DATA, lambda data: b"\xff" * 8 + bytes(data[8:])),
    "tensors with a gap": (clause("S-5@ace57a"), "safetensors-layout", DATA, lambda data: bytes(data) + b"\0"),
    "a dtype without plain tensors": (
        clause("S-7@277e79"),
        "safetensors-dtype",
        DATA,
        overwrite(b'"dtype":"F64"', b'"dtype":"C64"'),
    ),
    # 12 Weights
    "weights of another format": (clause("W-1@81776a"), "weights-form", WEIGHTS, put("etui", "format")),
    "weights without aliases": (clause("W-1@81776a"), "weights-form", WEIGHTS, drop("aliases")),
    "a variable without a role": (clause("W-2@bf5002"), "weights-form", WEIGHTS, drop(*KERNEL, "role")),
    "a variable without an order": (clause("W-2@bf5002"), "weights-form", WEIGHTS, drop(*KERNEL, "order")),
    "a variable without a dtype": (clause("W-2@bf5002"), "weights-form", WEIGHTS, drop(*KERNEL, "dtype")),
    "a variable without a shape": (clause("W-2@bf5002"), "weights-form", WEIGHTS, drop(*KERNEL, "shape")),
    "a variable without a flag": (clause("W-2@bf5002"), "weights-form", WEIGHTS, drop(*KERNEL, "trainable")),
    "a flag that is a number": (clause("W-2@bf5002"), "weights-form", WEIGHTS, put(1, *KERNEL, "trainable")),
    "a variable that is no map": (clause("W-2@bf5002"), "weights-form", WEIGHTS, put([], *KERNEL)),
    "an order twice": (clause("W-3@4ab185"), "weights-order", WEIGHTS, put(1, *KERNEL, "order")),
    "a negative order": (clause("W-1@81776a"), "weights-form", WEIGHTS, put(-1, *KERNEL, "order")),
    "an order too high": (clause("W-3@4ab185"), "weights-order", WEIGHTS, put(13, *KERNEL, "order")),
    "a chunk of another dtype": (clause("W-4@4bb116"), "chunk-mismatch", WEIGHTS, put("int32", *KERNEL, "dtype")),
    "one chunk with a box": (
        clause("W-5@c142c8"),
        "chunk-form",
        WEIGHTS,
        lambda t: t["variables"]["dense/kernel"]["chunks"][0].update(offset=[0, 0], shape=[4, 4]),
    ),
    "several chunks without boxes": (clause("W-6@95679b"), "chunk-form", WEIGHTS, drop(*CUT, "chunks", 0, "offset")),
    "a chunk of another rank": (clause("W-6@95679b"), "chunk-form", WEIGHTS, put([0], *CUT, "chunks", 0, "offset")),
    "a chunk outside of the tensor": (
        clause("W-6@95679b"),
        "chunk-form",
        WEIGHTS,
        put([2, 0], *CUT, "chunks", 1, "offset"),
    ),
    "an empty chunk": (clause("W-6@95679b"), "chunk-form", WEIGHTS, put([0, 3], *CUT, "chunks", 0, "shape")),
    "an offset that is no number": (
        clause("W-6@95679b"),
        "chunk-form",
        WEIGHTS,
        put([0, "0"], *CUT, "chunks", 0, "offset"),
    ),
    "chunks with a gap": (clause("W-7@e4bdc3"), "chunk-cover", WEIGHTS, put([1, 3], *CUT, "chunks", 1, "shape")),
    "chunks with an overlap": (clause("W-7@e4bdc3"), "chunk-cover", WEIGHTS, put([2, 3], *CUT, "chunks", 0, "shape")),
    "chunks in another order": (
        clause("W-8@f44d16"),
        "chunk-form",
        WEIGHTS,
        lambda t: t["variables"]["own/chunked"]["chunks"].reverse(),
    ),
    "a chunk of another shape": (clause("W-9@c13ae8"), "chunk-mismatch", WEIGHTS, put([2, 8], *KERNEL, "shape")),
    "a chunk of no part": (
        clause("W-10@8c40be"),
        "reference-missing",
        WEIGHTS,
        put("weights-1.safetensors", *CHUNK, "part"),
    ),
    "a chunk of a document": (clause("W-10@8c40be"), "reference-missing", WEIGHTS, put(CONFIG, *CHUNK, "part")),
    "a chunk of no tensor": (
        clause("W-10@8c40be"),
        "tensor-unreferenced",
        WEIGHTS,
        put("dense/other", *CHUNK, "tensor"),
    ),
    "a chunk of a tensor that is not there": (
        clause("W-10@8c40be"),
        "reference-missing",
        WEIGHTS,
        lambda t: t["variables"].update(
            {
                "more": t["variables"]["own/mask"]
                | {"order": 13, "chunks": [t["variables"]["own/mask"]["chunks"][0] | {"tensor": "nowhere"}]}
            }
        ),
    ),
    "a chunk without a digest": (clause("W-12@017a0e"), "weights-form", WEIGHTS, drop(*CHUNK, "digest")),
    "a chunk with another field": (clause("Q-9@7835ee"), "weights-form", WEIGHTS, put(1, *CHUNK, "x-note")),
    "no chunks": (clause("W-1@81776a"), "weights-form", WEIGHTS, put([], *KERNEL, "chunks")),
    "an alias that is a variable": (
        clause("W-15@6a19ba"),
        "alias-target",
        WEIGHTS,
        put("own/half", "aliases", "dense/kernel"),
    ),
    "an alias of an alias": (clause("W-15@6a19ba"), "alias-target", WEIGHTS, put("tied/kernel", "aliases", "more")),
    "an alias that is no text": (clause("W-1@81776a"), "weights-form", WEIGHTS, put(1, "aliases", "more")),
    "an alias that is null": (clause("W-1@81776a"), "weights-form", WEIGHTS, put(None, "aliases", "more")),
    "an alias of nothing": (clause("W-15@6a19ba"), "alias-target", WEIGHTS, put("nowhere", "aliases", "more")),
    "an alias of itself": (clause("W-15@6a19ba"), "alias-target", WEIGHTS, put("more", "aliases", "more")),
    "an unknown encoding": (clause("W-16@b74fc4"), "encoding-unknown", WEIGHTS, put("sparse", *QUANTIZED, "encoding")),
    "a component too many": (
        clause("W-17@318438"),
        "encoding-components",
        WEIGHTS,
        moved((*QUANTIZED, "components", "scale"), (*QUANTIZED, "components", "scales")),
    ),
    "a component of another dtype": (
        clause("W-17@318438"),
        "encoding-components",
        WEIGHTS,
        put("int8", "variables", "own/words", "components", "offsets", "dtype"),
    ),
    "a component of another shape": (
        clause("W-17@318438"),
        "encoding-components",
        WEIGHTS,
        put([1], "variables", "own/nibbles", "components", "nibbles", "shape"),
    ),
    "half a byte too much": (
        clause("W-18@3e4d03"),
        "encoding-content",
        DATA,
        set_byte("own/nibbles#nibbles", -1, 0x11),
    ),
    "text of a string that is not UTF-8": (
        clause("W-19@30ac02"),
        "encoding-content",
        DATA,
        set_byte("own/words#data", -1, 0xFF),
    ),
    "offsets that fall": (clause("W-19@30ac02"), "encoding-content", DATA, set_byte("own/raw#offsets", 8, 9)),
    "offsets that begin late": (clause("W-19@30ac02"), "encoding-content", DATA, set_byte("own/raw#offsets", 0, 1)),
    "offsets that end early": (clause("W-19@30ac02"), "encoding-content", DATA, set_byte("own/words#offsets", 24, 6)),
    "a scale that does not divide": (
        clause("W-20@119ff3"),
        "encoding-components",
        WEIGHTS,
        put([3, 2], *QUANTIZED, "components", "scale", "shape"),
    ),
    "a scale of another rank": (
        clause("W-20@119ff3"),
        "encoding-components",
        WEIGHTS,
        put([2], *QUANTIZED, "components", "scale", "shape"),
    ),
    "an encoded component": (
        clause("W-22@d85c62"),
        "encoding-components",
        WEIGHTS,
        moved(("variables", "own/nibbles", "components", "nibbles"), (*QUANTIZED, "components", "zero_point")),
    ),
    "a plain tensor of a dtype without": (
        clause("W-26@49493a"),
        "encoding-components",
        WEIGHTS,
        put("complex64", *KERNEL, "dtype"),
    ),
    "an encoding of another dtype": (
        clause("W-26@49493a"),
        "encoding-components",
        WEIGHTS,
        put("float64", "variables", "own/complex", "dtype"),
    ),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
