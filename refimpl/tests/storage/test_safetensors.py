"""Headers of data parts: the canonical layout, and what a reader refuses."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from etui.dtypes import DTYPES
from etui.errors import EtuiError, RejectError, UsageError
from etui.limits import Limits
from etui.storage.base import ByteSource
from etui.storage.safetensors import Header, Layout, TensorSpec, plan, read_header
from etui.storage.sources import BytesSource
from etui.testing.storage import PLAIN_DTYPES, tensor_specs

LIMITS = Limits(safetensors_header_bytes=10_000)


def part(header: bytes | Mapping[str, Any], data: int = 0, length: int | None = None) -> bytes:
    """A data part of a header, padded if it is given as an object, and of zeros."""
    if not isinstance(header, bytes):
        header = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        header += b" " * (-(8 + len(header)) % 64)
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(data)


def padded(text: str | bytes, data: int = 4) -> bytes:
    """A data part of a header given as text, padded as it must be."""
    raw = text if isinstance(text, bytes) else text.encode()
    return part(raw + b" " * (-(8 + len(raw)) % 64), data)


def entry(begin: int = 0, end: int = 4, dtype: str = "F32", shape: list[Any] | None = None) -> dict[str, Any]:
    """An entry of a header, with its keys in canonical order."""
    return {"data_offsets": [begin, end], "dtype": dtype, "shape": [1] if shape is None else shape}


def read(data: bytes, limits: Limits = LIMITS) -> Header:
    """The header of a part."""
    return read_header(BytesSource(data), "weights.safetensors", limits)


def text_of(**entries: Any) -> str:
    """The compact JSON of a header."""
    return json.dumps(entries, separators=(",", ":"))


GOOD = text_of(a=entry(0, 4), b=entry(4, 8))
ONE = text_of(a=entry())
REPEATED = '{"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]},"a":{"data_offsets":[4,8],"dtype":"F32","shape":[1]}}'

HOSTILE = [
    # S-3 and the length
    pytest.param(b"", "safetensors-header", id="empty", marks=pytest.mark.clause("S-3@f9d890")),
    pytest.param(bytes(7), "safetensors-header", id="less than a length"),
    pytest.param(bytes(8), "safetensors-header", id="no header"),
    pytest.param(part(b"", length=2**64 - 1), "safetensors-header", id="length of 2^64 - 1"),
    pytest.param(padded(ONE)[:-5], "safetensors-header", id="header cut off"),
    pytest.param(part(b"{" + b" " * 10_047), "safetensors-header", id="length beyond the limit"),
    # S-2: canonical JSON and padding
    pytest.param(part(ONE.encode(), 4), "safetensors-header", id="no padding", marks=pytest.mark.clause("S-2@bbb8f5")),
    pytest.param(part(padded(ONE, 0)[8:] + b" " * 64, 4), "safetensors-header", id="more padding than needed"),
    pytest.param(part(padded(ONE, 0)[8:-1] + b"\n", 4), "safetensors-header", id="padding of another byte"),
    pytest.param(padded(" " + ONE), "safetensors-header", id="white space first"),
    pytest.param(padded(ONE.replace(":", ": ")), "safetensors-header", id="white space inside"),
    pytest.param(padded(text_of(b=entry(4, 8), a=entry(0, 4)), 8), "safetensors-header", id="keys not sorted"),
    pytest.param(padded(REPEATED, 8), "safetensors-header", id="a key twice"),
    pytest.param(padded(ONE + "x"), "safetensors-header", id="something after the object"),
    pytest.param(padded("[]", 0), "safetensors-header", id="an array"),
    pytest.param(padded("{", 0), "safetensors-header", id="an object that does not end"),
    pytest.param(padded("{" + ONE[1:-1] + ",}"), "safetensors-header", id="a comma at the end"),
    pytest.param(padded(b'{"\xff' + ONE.encode()[2:]), "safetensors-header", id="not UTF-8"),
    pytest.param(padded(b"\xef\xbb\xbf" + ONE.encode()), "safetensors-header", id="byte order mark"),
    pytest.param(padded(b'{"\xed\xa0\x80' + ONE.encode()[2:]), "safetensors-header", id="surrogate in UTF-8"),
    pytest.param(padded('{"\\ud800' + ONE[2:]), "safetensors-header", id="escaped surrogate"),
    pytest.param(padded('{"\\u0061' + ONE[3:]), "safetensors-header", id="needless escape"),
    pytest.param(padded('{"\\u000a' + ONE[3:]), "safetensors-header", id="a long escape"),
    pytest.param(padded('{"\\u001F' + ONE[3:]), "safetensors-header", id="an escape in capitals"),
    pytest.param(padded('{"\n' + ONE[2:]), "safetensors-header", id="a raw control character"),
    pytest.param(padded('{"\\' + ONE[2:]), "safetensors-header", id="a broken escape"),
    pytest.param(padded('{"' + "[" * 5000, 0), "safetensors-header", id="deep nesting"),
    pytest.param(padded('{"a":' + "[" * 5000, 0), "safetensors-header", id="deep nesting as a value"),
    pytest.param(padded(text_of(a={"dtype": "F32", "shape": [1]})), "safetensors-header", id="no offsets"),
    pytest.param(padded(text_of(a={**entry(), "x": 1})), "safetensors-header", id="an unknown field"),
    pytest.param(
        padded(text_of(a={"dtype": "F32", "data_offsets": [0, 4], "shape": [1]})),
        "safetensors-header",
        id="fields not sorted",
    ),
    pytest.param(padded(ONE.replace("[0,4]", "[0,4.0]")), "safetensors-header", id="a fraction"),
    pytest.param(padded(ONE.replace("[0,4]", "[0,4,8]")), "safetensors-header", id="three offsets"),
    pytest.param(padded(ONE.replace("[0,4]", "[-4,0]")), "safetensors-header", id="a negative offset"),
    pytest.param(padded(ONE.replace("[0,4]", "[00,4]")), "safetensors-header", id="a leading zero"),
    pytest.param(padded(ONE.replace("[0,4]", "[0," + "9" * 5000 + "]")), "safetensors-header", id="5000 digits"),
    pytest.param(padded(ONE.replace("[1]", "[9007199254740992]")), "safetensors-header", id="beyond 2^53 - 1"),
    # S-4, S-8
    pytest.param(
        padded('{"__metadata__":{"a":"b"},' + ONE[1:]),
        "safetensors-header",
        id="metadata",
        marks=pytest.mark.clause("S-4@f11050"),
    ),
    pytest.param(padded("{}", 0), "safetensors-header", id="no tensor", marks=pytest.mark.clause("S-8@822e27")),
    # S-5: layout
    pytest.param(
        padded(text_of(a=entry(0, 4), b=entry(0, 4))),
        "safetensors-layout",
        id="overlap",
        marks=pytest.mark.clause("S-5@ace57a"),
    ),
    pytest.param(padded(text_of(a=entry(0, 4), b=entry(8, 12)), 12), "safetensors-layout", id="a gap"),
    pytest.param(padded(text_of(a=entry(4, 8)), 8), "safetensors-layout", id="a gap in front"),
    pytest.param(padded(ONE, 8), "safetensors-layout", id="a gap at the end"),
    pytest.param(padded(ONE, 3), "safetensors-layout", id="beyond the part"),
    pytest.param(padded(text_of(a=entry(4, 8), b=entry(0, 4)), 8), "safetensors-layout", id="not by name"),
    pytest.param(
        padded(text_of(a=entry(0, 2, "F16"), b=entry(2, 6)), 6), "safetensors-layout", id="narrow before wide"
    ),
    # S-6: spans
    pytest.param(
        padded(text_of(a=entry(0, 8)), 8), "safetensors-layout", id="too long", marks=pytest.mark.clause("S-6@efe9b1")
    ),
    pytest.param(padded(text_of(a=entry(0, 3)), 3), "safetensors-layout", id="too short"),
    pytest.param(padded(text_of(a=entry(4, 0))), "safetensors-layout", id="backwards"),
    pytest.param(padded(text_of(a=entry(0, 0, shape=[2**32, 2**32])), 0), "limit-tensor", id="product of 2^64"),
    pytest.param(
        padded(text_of(a=entry(0, 0, shape=[2**50, 2**50, 0])), 0), "limit-tensor", id="product before a zero"
    ),
    # S-7: dtypes
    pytest.param(
        padded(text_of(a=entry(dtype="F128"))),
        "safetensors-dtype",
        id="unknown",
        marks=pytest.mark.clause("S-7@277e79"),
    ),
    pytest.param(padded(text_of(a=entry(dtype="f32"))), "safetensors-dtype", id="lower case"),
    pytest.param(padded(text_of(a=entry(dtype=""))), "safetensors-dtype", id="empty"),
    pytest.param(padded(text_of(a=entry(dtype="C64"))), "safetensors-dtype", id="complex"),
    pytest.param(padded(text_of(a=entry(dtype="F4"))), "safetensors-dtype", id="four bits"),
    # D-10: shapes
    pytest.param(
        padded(text_of(a=entry(shape=[-1]))), "shape-form", id="negative", marks=pytest.mark.clause("D-10@5e1f73")
    ),
    pytest.param(padded(text_of(a=entry(shape=[1.5]))), "shape-form", id="fraction in a shape"),
    pytest.param(padded(text_of(a=entry(shape=["1"]))), "shape-form", id="text in a shape"),
    pytest.param(padded(text_of(a=entry(shape=[[1]]))), "shape-form", id="nested shape"),
    pytest.param(padded(ONE.replace("[1]", "null")), "shape-form", id="no list"),
    pytest.param(padded(ONE.replace("[1]", "[1.0]")), "safetensors-header", id="fraction that is none in a shape"),
    pytest.param(padded(ONE.replace("[1]", "[1e400]")), "safetensors-header", id="infinite number in a shape"),
    pytest.param(padded(ONE.replace("[1]", "[-0]")), "safetensors-header", id="minus zero in a shape"),
    pytest.param(padded(ONE.replace("[1]", "[NaN]")), "safetensors-header", id="no number in a shape"),
    pytest.param(padded(ONE.replace("[1]", "[ 1]")), "safetensors-header", id="space in a shape"),
    pytest.param(padded(ONE.replace("[1]", '{"b":1,"a":2}')), "safetensors-header", id="unsorted map as a shape"),
    pytest.param(padded(ONE.replace("[1]", "[" * 9000)), "safetensors-header", id="shape without an end"),
    # L-2: limits
    pytest.param(
        padded(text_of(a=entry(shape=[1] * 33))), "limit-rank", id="rank", marks=pytest.mark.clause("L-2@76176e")
    ),
    pytest.param(padded(text_of(a=entry(shape=[2**49]))), "limit-tensor", id="bytes of a tensor"),
]


@pytest.mark.clause("E-1@c976f4", "E-2@310409", "D-6@2ef66e")
@pytest.mark.parametrize(("data", "code"), HOSTILE)
def test_hostile_headers_are_refused_with_their_codes(data: bytes, code: str) -> None:
    """Each header that is not canonical, or does not fit its part, is refused with its code and its place."""
    with pytest.raises(RejectError) as caught:
        read(data)
    assert caught.value.code == code
    assert caught.value.where.startswith("weights.safetensors")


@pytest.mark.clause("S-2@bbb8f5", "S-5@ace57a")
def test_the_headers_that_the_hostile_ones_differ_from_are_taken() -> None:
    """The same builder makes headers that are read, so that each fault above is the only one."""
    assert list(read(padded(GOOD, 8)).entries) == ["a", "b"]
    assert list(read(padded(ONE)).entries) == ["a"]
    read(padded(text_of(a=entry(shape=[1] * 32))))
    read(padded(text_of(a=entry(4, 6, "F16"), b=entry(0, 4)), 6))
    read(padded(text_of(**{f"{n:02}": entry(0, 0, shape=[0]) for n in range(50)}), 0))


class HeaderOnly:
    """A byte source that refuses to read behind the header, of a part of any size."""

    def __init__(self, layout: Layout) -> None:
        self._header = BytesSource(layout.header)
        self.size = layout.size

    def read(self, offset: int, length: int) -> bytes:
        return self._header.read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        return self._header.view(offset, length)


@pytest.mark.clause("D-5@94980c", "S-1@7a8738", "S-2@bbb8f5", "S-5@ace57a", "S-6@efe9b1")
@given(tensor_specs(), st.randoms())
def test_a_plan_is_canonical_and_is_read_back(specs: list[TensorSpec], random: Any) -> None:
    """Any order of the same tensors gives the same header, which reads back as the plan without any data."""
    layout = plan(specs)
    shuffled = list(specs)
    random.shuffle(shuffled)
    assert plan(shuffled) == layout
    source: ByteSource = HeaderOnly(layout)
    header = read_header(source, "weights.safetensors")
    assert (header.entries, header.size) == (layout.entries, len(layout.header))
    assert {name: (found.dtype, found.shape) for name, found in header.entries.items()} == {
        spec.name: (spec.dtype, spec.shape) for spec in specs
    }
    assert header.size % 64 == 0
    at = 0
    widths = []
    for found in layout.entries.values():
        widths.append(DTYPES[found.dtype].bits // 8)
        assert found.begin == at
        assert found.begin % widths[-1] == 0
        at = found.end
    assert at + header.size == layout.size
    assert widths == sorted(widths, reverse=True)


@pytest.mark.clause("S-1@7a8738", "D-9@84c729")
@pytest.mark.parametrize("dtype", PLAIN_DTYPES)
def test_the_official_library_reads_every_dtype(dtype: str, tmp_path: Any) -> None:
    """The safetensors package finds each tensor with its bytes, whatever the dtype, the name and the shape."""
    specs = [
        TensorSpec(name, dtype, shape)
        for name, shape in {"dense/kernel": (3, 5), "ü@0,1": (), 'q"#ß𝄞': (2, 0, 3), "": (7,)}.items()
    ]
    layout = plan(specs)
    data = np.random.default_rng(0).bytes(layout.size - len(layout.header))
    if dtype == "bool":
        data = bytes(byte & 1 for byte in data)
    content = layout.header + data
    expected = {name: (found.shape, data[found.begin : found.end]) for name, found in layout.entries.items()}
    raw = dict(safetensors.deserialize(content))  # type: ignore[no-untyped-call]
    found_by_library = {name: (tuple(tensor["shape"]), bytes(tensor["data"])) for name, tensor in raw.items()}
    assert found_by_library == expected
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with safe_open(path, "numpy") as file:
        assert set(file.keys()) == set(expected)
        assert tuple(file.get_slice("dense/kernel").get_shape()) == (3, 5)
        if dtype in {"float32", "int64", "uint8", "bool", "float16"}:
            assert file.get_tensor("dense/kernel").tobytes() == expected["dense/kernel"][1]


@pytest.mark.clause("S-2@bbb8f5")
def test_what_the_official_library_writes_is_refused() -> None:
    """A file of another writer, whose header is not canonical, is not a data part."""
    data = safetensors.numpy.save({"b": np.zeros(3, np.float32), "a": np.zeros(3, np.float32)})
    with pytest.raises(RejectError) as caught:
        read(data)
    assert caught.value.code == "safetensors-header"


@pytest.mark.clause("S-2@bbb8f5", "J-7@920d0a")
def test_keys_are_sorted_by_utf16_and_data_by_utf8() -> None:
    """A name beyond the basic plane comes before U+FFFF in the header, and after it in the data."""
    low, high = "\uffff", "\U00010000"
    layout = plan([TensorSpec(low, "int8", (1,)), TensorSpec(high, "int8", (1,))])
    text = layout.header[8:].decode()
    assert text.index(high) < text.index(low)
    assert list(layout.entries) == [low, high]
    assert list(read(layout.header + bytes(2)).entries) == [high, low]


@pytest.mark.clause("E-2@310409", "X-2@ca2f55")
@given(st.data())
def test_mutated_headers_are_read_or_refused(data: st.DataObject) -> None:
    """Bytes changed, removed or inserted never end in anything but a refusal or a canonical header."""
    layout = plan([TensorSpec("a", "float32", (2,)), TensorSpec("é", "float32", (1,)), TensorSpec("z", "int8", (3,))])
    changed = bytearray(layout.header + bytes(15))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(layout.header)))
        stop = data.draw(st.integers(start, min(len(layout.header), start + 8)))
        changed[start:stop] = data.draw(st.binary(max_size=8))
    try:
        header = read(bytes(changed))
    except RejectError:
        return
    again = plan([TensorSpec(name, found.dtype, found.shape) for name, found in header.entries.items()])
    assert bytes(changed).startswith(again.header)
    assert len(changed) == again.size


@pytest.mark.clause("S-8@822e27", "L-1@edac1f")
def test_a_plan_refuses_what_no_data_part_holds() -> None:
    """No tensors, a name twice, other dtypes, and what is beyond a limit have no plan."""
    cases: list[tuple[list[TensorSpec], str]] = [
        ([], "writer-misuse"),
        ([TensorSpec("a", "int8", ()), TensorSpec("a", "int8", (1,))], "writer-misuse"),
        ([TensorSpec("a", "complex64", ())], "writer-misuse"),
        ([TensorSpec("a", "int4", ())], "writer-misuse"),
        ([TensorSpec("a", "nothing", ())], "writer-misuse"),
        ([TensorSpec("\ud800", "int8", ())], "writer-misuse"),
        ([TensorSpec("a" * 10_000, "int8", ())], "safetensors-header"),
        ([TensorSpec("a", "int8", (1,) * 33)], "limit-rank"),
        ([TensorSpec("a", "int8", (2**49,))], "limit-tensor"),
    ]
    for specs, code in cases:
        with pytest.raises(EtuiError) as caught:
            plan(specs, LIMITS)
        assert caught.value.code == code
        assert isinstance(caught.value, UsageError) == (code == "writer-misuse")
    assert len(cases) == 9


@pytest.mark.clause("E-2@310409", "L-2@76176e", "X-2@ca2f55")
@pytest.mark.parametrize(
    "text",
    [
        '{"' + "a" * 4_000_000,
        '{"' + '\\"' * 2_000_000,
        '{"a":{"data_offsets":[0,4],"dtype":"F32","shape":[' + "1," * 2_000_000,
        '{"a":{"data_offsets":[0,4],"dtype":"F32","shape":[' + "1," * 2_000_000 + "1]}}",
        '{"a":' * 800_000,
        "[" * 4_000_000,
        "[" + "[]," * 1_300_000,
    ],
    ids=["name", "escapes", "shape", "rank", "objects", "arrays", "lists"],
)
def test_long_hostile_headers_cost_no_more_than_their_bytes(text: str) -> None:
    """Four million bytes of one construct are refused within a second, and within a few times their memory."""
    data = padded(text)
    tracemalloc.start()
    try:
        started = time.process_time()
        with pytest.raises(RejectError):
            read(data, Limits())
        spent = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(data)
    assert spent < 1


@pytest.mark.library
def test_a_hundred_thousand_tensors_take_less_time_than_in_the_official_library() -> None:
    """Planning and reading the header together cost no more than three times what safetensors takes to read it."""
    specs = [TensorSpec(f"layer_{number}/dense/kernel", "float32", (4, 4)) for number in range(100_000)]
    started = time.process_time()
    layout = plan(specs)
    data = layout.header + bytes(layout.size - len(layout.header))
    read_header(BytesSource(data), "weights.safetensors")
    ours = time.process_time() - started
    started = time.process_time()
    assert len(safetensors.numpy.load(data)) == 100_000
    theirs = time.process_time() - started
    assert ours < 3 * theirs
