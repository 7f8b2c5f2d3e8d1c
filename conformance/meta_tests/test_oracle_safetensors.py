"""The oracle's data parts against SPEC.md, the reference library and other tools."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import safetensors as library
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from etui.storage.safetensors import read_header
from etui.storage.sources import BytesSource
from etui.testing import storage as building
from etui.testing.hostile import refused_with as refused_by_reference
from etui_conformance.oracle import dtypes, json, safetensors
from etui_conformance.oracle.errors import refused_with as refused
from etui_conformance.oracle.safetensors import frame

# The machine that runs the tests may be slow; what is drawn is the same each time.
STEADY = settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.clause("S-1@7a8738", "S-2@bbb8f5", "S-5@ace57a", "S-6@efe9b1")
@STEADY
@given(building.tensor_specs(), st.randoms(use_true_random=False))
def test_data_parts_are_read_by_the_safetensors_library(specs: list[Any], random: Any) -> None:
    """What the oracle writes, the official library reads as the same tensors, and the reference as canonical."""
    tensors = {}
    for name, dtype, shape in specs:
        data = random.randbytes(dtypes.count(shape) * dtypes.width(dtype))
        tensors[name] = (dtypes.SAFETENSORS[dtype], shape, bytes(b & 1 for b in data) if dtype == "bool" else data)
    part = safetensors.write(tensors)
    official: list[tuple[str, Any]] = library.deserialize(part)  # type: ignore[no-untyped-call]
    read = {name: bytes(found["data"]) for name, found in official}
    assert read == {name: data for name, (_, _, data) in tensors.items()}
    assert read_header(BytesSource(part), "x").size == safetensors.header_size(part)
    size, entries = safetensors.read(part)
    assert size % 64 == 0
    found = {name: (each.dtype, each.shape, part[each.begin : each.end]) for name, each in entries.items()}
    assert found == {name: (stored, tuple(shape), data) for name, (stored, shape, data) in tensors.items()}


@pytest.mark.clause("S-1@7a8738", "S-5@ace57a")
def test_numpy_reads_the_tensors_of_a_data_part() -> None:
    """Tensors of different widths have their values, whatever the order in which they are given."""
    arrays = {"b": np.arange(3, dtype="<f4"), "a": np.arange(5, dtype="u1"), "c": np.ones((2, 0), "<f8")}
    stored = {"f4": "F32", "u1": "U8", "f8": "F64"}
    tensors = {name: (stored[each.dtype.str[1:]], each.shape, each.tobytes()) for name, each in arrays.items()}
    part = safetensors.write(tensors)
    assert part == safetensors.write(dict(reversed(tensors.items())))
    for name, array in load(part).items():
        np.testing.assert_array_equal(array, arrays[name])
    assert list(safetensors.read(part)[1]) == ["c", "b", "a"]


def part_of(header: Any, data: int, *, spaces: int = 0) -> bytes:
    """A data part of any header, with zeros for data."""
    raw = header if isinstance(header, bytes) else json.encode(header)
    found = frame(raw)
    return struct.pack("<Q", len(found) - 8 + spaces) + found[8:] + b" " * spaces + bytes(data)


def place(begin: int = 0, end: int = 4, dtype: str = "F32", shape: Any = (1,), **more: Any) -> dict[str, Any]:
    """An entry of a header."""
    return {"data_offsets": [begin, end], "dtype": dtype, "shape": list(shape), **more}


FAULTY_PARTS: list[tuple[str, bytes]] = [
    *[("safetensors-header", data) for data in (b"", b"1234567", (1 << 60).to_bytes(8, "little") + b"{}")],
    ("safetensors-header", struct.pack("<Q", 100) + part_of({"a": place()}, 0)[8:72]),
    ("safetensors-header", part_of({"a": place()}, 4, spaces=64)),
    ("safetensors-header", part_of({"a": place()}, 4).replace(b"  ", b"\n ", 1)),
    ("safetensors-header", part_of(b'{"a":{"dtype":"F32","data_offsets":[0,4],"shape":[1]}}', 4)),
    ("safetensors-header", part_of(json.encode({"a": place()})[:-1] + b"," + json.encode({"a": place(4, 8)})[1:], 8)),
    *[("safetensors-header", part_of(raw, 0)) for raw in (b"{}", b"[]", b"\xff", b'{"a":1', b'{"__metadata__":{}}')],
    ("safetensors-header", part_of({"__metadata__": {"a": "b"}, "a": place()}, 4)),
    ("safetensors-header", part_of({"a": place(more=1)}, 4)),
    ("safetensors-header", part_of({"a": {"data_offsets": [0, 4], "dtype": "F32"}}, 4)),
    ("safetensors-header", part_of({"a": {"data_offsets": [0], "dtype": "F32", "shape": [1]}}, 4)),
    ("safetensors-layout", part_of({"a": place()}, 5)),
    ("safetensors-layout", part_of({"a": place()}, 3)),
    ("safetensors-layout", part_of({"a": place(1, 5)}, 5)),
    ("safetensors-layout", part_of({"a": place(4, 8), "b": place(0, 4)}, 8)),
    ("safetensors-layout", part_of({"a": place(), "b": place(4, 12, "F64")}, 12)),
    ("safetensors-layout", part_of({"a": place(), "b": place()}, 4)),
    ("safetensors-layout", part_of({"a": place(), "b": place(5, 9)}, 9)),
    ("safetensors-layout", part_of({"a": place(shape=[2])}, 4)),
    ("safetensors-layout", part_of({"a": place(0, 0, shape=[1 << 20, 0])}, 4)),
    *[("safetensors-dtype", part_of({"a": place(0, 8, dtype)}, 8)) for dtype in ("C64", "float32", "F4", "")],
    *[("shape-form", part_of({"a": place() | {"shape": shape}}, 4)) for shape in ([-1], 1, ["1"], [True], None)],
    ("limit-rank", part_of({"a": place(shape=[1] * 33)}, 4)),
    *[("limit-tensor", part_of({"a": place(0, 0, shape=[*sizes, 0])}, 0)) for sizes in ([1 << 40] * 2, [1 << 32] * 2)],
]


@pytest.mark.clause(
    "S-2@bbb8f5",
    "S-3@f9d890",
    "S-4@f11050",
    "S-5@ace57a",
    "S-6@efe9b1",
    "S-7@277e79",
    "S-8@822e27",
    "D-10@5e1f73",
    "L-2@76176e",
)
@pytest.mark.parametrize(("code", "data"), FAULTY_PARTS, ids=range(len(FAULTY_PARTS)))
def test_faulty_data_parts_are_refused(code: str, data: bytes) -> None:
    """A data part with one fault is refused with the code of its clause, by the oracle as by the reference."""
    assert refused(lambda: safetensors.read(data)) == code
    assert refused_by_reference(lambda: read_header(BytesSource(data), "x")) == code
