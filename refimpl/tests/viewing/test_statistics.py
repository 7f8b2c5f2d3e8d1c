"""Statistics of tensors: every dtype and encoding, in pieces of bounded size, as the schema defines them."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etui
from etui import schemas
from etui.dtypes import DTYPES
from etui.testing import tensors as strategies
from etui.viewing.slabs import boxes, pairs, passes
from etui.viewing.statistics import BINS, statistics

pytestmark = pytest.mark.library


def numbers_of(tensor: etui.Tensor) -> list[float]:
    """Every element as a Python float; complex ones as absolute values, of which one with a NaN is NaN."""
    array = tensor.numpy().reshape(-1)
    if array.dtype.kind == "c":
        return [math.nan if math.isnan(item.real) or math.isnan(item.imag) else abs(item) for item in array.tolist()]
    return [float(item) for item in array]


def bin_of(value: float, low: float, high: float) -> int:
    """The bin that the schema's rule gives."""
    width = high - low
    if math.isinf(width):
        value, low, width = value / 2, low / 2, high / 2 - low / 2
    return min(BINS - 1, math.floor(BINS * ((value - low) / width)))


@given(strategies.tensors(), st.integers(1, 9))
@settings(max_examples=300)
def test_statistics_are_those_of_the_definition(tensor: etui.Tensor, elements: int) -> None:
    """Counts, extremes, mean, spread and bins of any tensor are what exact arithmetic gives, however it is cut."""
    found = statistics(tensor, elements=elements)
    assert schemas.validate("view#/$defs/statistics", found.as_json(), "statistics") == []
    assert math.prod(tensor.shape) == found.count
    if not DTYPES[tensor.dtype].bits:
        empty = sum(not item for item in tensor.numpy().reshape(-1))
        assert (empty, 0, 0, None, ()) == (found.zeros, found.nan, found.inf, found.min, found.histogram)
        return
    numbers = numbers_of(tensor)
    finite = [number for number in numbers if math.isfinite(number)]
    assert sum(map(math.isnan, numbers)) == found.nan
    assert sum(map(math.isinf, numbers)) == found.inf
    assert finite.count(0.0) == found.zeros
    if not finite:
        assert (found.min, found.max, found.mean, found.std, found.histogram) == (None, None, None, None, ())
        return
    low, high = min(finite), max(finite)
    assert (low, high) == pytest.approx((found.min, found.max), rel=1e-15)
    exact = sum(map(Fraction, finite)) / len(finite)
    largest = max(abs(low), abs(high)) or 1.0  # measured in it, no square overflows or vanishes
    squares = sum((Fraction(number) - exact) ** 2 for number in finite) / Fraction(largest) ** 2
    assert found.mean is not None
    assert float(exact) == pytest.approx(found.mean, rel=1e-12, abs=1e-12 * largest)
    assert found.std is not None
    # The least numbers of binary64 have few bits.
    assert largest * math.sqrt(squares / len(finite)) == pytest.approx(found.std, abs=max(1e-9 * largest, 1e-320))
    if tensor.dtype.startswith("complex"):  # numpy's absolute values may be another last bit
        assert len(finite) == sum(found.histogram)
        return
    expected = [0] * (BINS if low < high else 1)
    for number in finite:
        expected[bin_of(number, low, high) if low < high else 0] += 1
    assert expected == list(found.histogram)


@given(strategies.tensors(), st.integers(1, 9))
def test_pieces_hold_each_element_once(tensor: etui.Tensor, elements: int) -> None:
    """The pieces of a tensor are no larger than asked for, and hold each of its elements once, at each pass."""
    if not DTYPES[tensor.dtype].bits:
        return
    begin = passes(tensor, elements)
    for _ in range(2):
        parts = [np.asarray(part) for part in begin()]
        assert all(part.ndim == 1 and 1 <= part.size <= elements for part in parts)
        found = sorted(item.tobytes() for part in parts for item in part)
        assert sorted(item.tobytes() for item in tensor.numpy().reshape(-1)) == found


@given(strategies.tensors(), st.integers(1, 9))
def test_a_tensor_beside_itself_is_the_same(tensor: etui.Tensor, elements: int) -> None:
    """Both sides of a comparison come in the same order, whatever the encodings and chunks are."""
    if not DTYPES[tensor.dtype].bits:
        return
    whole = etui.Tensor.of(tensor.numpy())
    for one, two in ((tensor, whole), (whole, tensor), (tensor, tensor)):
        seen = 0
        for first, second in pairs(one, two, elements):
            assert first.tobytes() == second.tobytes()
            seen += first.size
        assert math.prod(tensor.shape) == seen


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (7,), (2, 3, 4), (5, 1, 1), (1, 1, 9), (3, 0)])
@pytest.mark.parametrize("elements", [1, 2, 5, 100])
def test_boxes_cover_a_shape_in_order(shape: tuple[int, ...], elements: int) -> None:
    """Boxes of bounded size hold the elements in C order, each once."""
    array = np.arange(math.prod(shape)).reshape(shape)
    parts = [array[box].reshape(-1) for box in boxes(shape, elements)]
    assert all(part.size <= elements for part in parts)
    assert np.concatenate([np.empty(0, int), *parts]).tolist() == array.reshape(-1).tolist()


@pytest.mark.parametrize(
    ("values", "mean", "std"),
    [
        ([1.7e308, -1.7e308, 1.7e308], 1.7e308 / 3, 1.7e308 * math.sqrt(8 / 9)),
        ([1.7e308] * 5, 1.7e308, 0.0),
        ([1e-310, 3e-310], 2e-310, 1e-310),
        ([1e200, -1e200], 0.0, 1e200),
        ([1.0, 1.0 + 2**-52], 1.0, 2**-53),
        ([3.0], 3.0, 0.0),
    ],
)
def test_large_and_small_numbers_neither_overflow_nor_vanish(values: list[float], mean: float, std: float) -> None:
    """Mean and spread of numbers at the ends of binary64 are finite and right."""
    found = statistics(etui.Tensor.of(np.array(values)), elements=2)
    assert (mean, std) == pytest.approx((found.mean, found.std), rel=1e-9)
    assert sum(found.histogram) == len(values)


SPECIAL: dict[str, Any] = {
    "bfloat16": np.array([1.5, np.nan, np.inf, -2], ml_dtypes.bfloat16),
    "float8_e4m3fn": np.array([1.5, np.nan, 0, -2], ml_dtypes.float8_e4m3fn),
    "float8_e5m2": np.array([1.5, np.nan, np.inf, -2], ml_dtypes.float8_e5m2),
    "float8_e8m0fnu": np.array([0.5, np.nan, 2, 4], ml_dtypes.float8_e8m0fnu),
    "int4": np.array([-8, 7, 0], ml_dtypes.int4),
    "uint4": np.array([15, 0, 1], ml_dtypes.uint4),
    "complex64": np.array([3 + 4j, 0, complex(np.nan, np.inf), complex(np.inf, 1)], np.complex64),
    "bool": np.array([True, False, True]),
    "string": ["", "a", ""],
    "uint64": np.array([2**64 - 1, 0], np.uint64),
}
EXPECTED = {  # count, NaN, infinite, zeros, least, greatest
    "bfloat16": (4, 1, 1, 0, -2.0, 1.5),
    "float8_e4m3fn": (4, 1, 0, 1, -2.0, 1.5),
    "float8_e5m2": (4, 1, 1, 0, -2.0, 1.5),
    "float8_e8m0fnu": (4, 1, 0, 0, 0.5, 4.0),
    "int4": (3, 0, 0, 1, -8.0, 7.0),
    "uint4": (3, 0, 0, 1, 0.0, 15.0),
    "complex64": (4, 1, 1, 1, 0.0, 5.0),
    "bool": (3, 0, 0, 1, 0.0, 1.0),
    "string": (3, 0, 0, 2, None, None),
    "uint64": (2, 0, 0, 1, 0.0, 2.0**64),
}


@pytest.mark.parametrize("dtype", SPECIAL)
def test_each_odd_dtype_is_counted_as_its_numbers_are(dtype: str) -> None:
    """The special numbers of each dtype that numpy lacks are told apart."""
    tensor = etui.Tensor.of(SPECIAL[dtype])
    assert tensor.dtype == dtype
    found = statistics(tensor)
    assert EXPECTED[dtype] == (found.count, found.nan, found.inf, found.zeros, found.min, found.max)


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (etui.Tensor.of(np.array([1.0, -2.0], ">f4")), np.array([1.0, -2.0], "<f4").tobytes()),
        (etui.Tensor.of(SPECIAL["int4"]), bytes([0xF8, 7, 0])),
        (etui.Tensor.of(SPECIAL["complex64"][:1]), np.array([3.0, 4.0], "<f4").tobytes()),
        (etui.Tensor.of(np.empty((0, 3), np.int8)), b""),
        (etui.Tensor.of(["a"]), None),
        (etui.Tensor.of(np.zeros(16 * 1024, np.uint8)), bytes(16 * 1024)),
        (etui.Tensor.of(np.zeros(16 * 1024 + 1, np.uint8)), None),
    ],
)
def test_small_tensors_bring_their_elements(tensor: etui.Tensor, expected: bytes | None) -> None:
    """Up to 16 KiB, the logical elements are kept little-endian, a 4-bit integer in a byte; texts never are."""
    assert statistics(tensor).values == expected


@pytest.mark.parametrize("kind", ["whole", "chunks", "int4", "complex", "quantized"])
def test_memory_is_bounded(kind: str) -> None:
    """The memory that the statistics of 32 MB of elements take is a few MB, whatever the encoding."""
    count = 1 << 22
    flat = np.arange(count, dtype=np.float64)
    tensor = {
        "whole": lambda: etui.Tensor.of(flat),
        "chunks": lambda: etui.Tensor.chunked("float64", (2, count // 2), [((i, 0), flat[None, i::2]) for i in (0, 1)]),
        "int4": lambda: etui.Tensor.of((flat % 7).astype(ml_dtypes.int4).reshape(1024, -1)),
        "complex": lambda: etui.Tensor.of(flat.astype(np.complex64).reshape(1024, -1)),
        "quantized": lambda: etui.Tensor.quantized(
            etui.Tensor.of((flat % 100).astype(np.int8).reshape(64, -1)),
            etui.Tensor.of(np.full((64, 1), 0.5, np.float32)),
            dtype="float32",
        ),
    }[kind]()
    tracemalloc.start()
    try:
        found = statistics(tensor)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (count, count) == (found.count, sum(found.histogram))
    assert peak < 8_000_000
