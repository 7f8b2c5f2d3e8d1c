"""How tensors of two models differ, as numbers."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import etui
from etui import schemas
from etui.dtypes import DTYPES
from etui.testing import tensors as strategies
from etui.viewing.comparison import comparable, distance

pytestmark = pytest.mark.library
NAN, INF = math.nan, math.inf


@given(strategies.tensors(), st.integers(1, 9))
def test_equal_tensors_have_no_distance(tensor: etui.Tensor, elements: int) -> None:
    """A tensor of numbers differs from none with the same bits; texts are not compared."""
    again = etui.Tensor.of(tensor.numpy(), dtype=tensor.dtype)
    assert bool(DTYPES[tensor.dtype].bits) == comparable(tensor, again)
    if DTYPES[tensor.dtype].bits:
        assert distance(tensor, again, elements) is None


@given(
    st.lists(st.tuples(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32)), min_size=1), st.integers(1, 5)
)
def test_distances_are_those_of_the_definition(rows: list[tuple[float, float]], elements: int) -> None:
    """Greatest and mean distance, relative length and cosine are what numpy gives for whole vectors."""
    a, b = np.array(rows).T
    found = distance(etui.Tensor.of(a), etui.Tensor.of(b), elements)
    if a.tobytes() == b.tobytes():
        assert found is None
        return
    assert found is not None
    assert schemas.validate("view#/$defs/difference", found.as_json(), "difference") == []
    apart = np.abs(b - a)
    assert (a.view(np.uint64) != b.view(np.uint64)).sum() == found.changed
    assert (apart.max(), apart.mean()) == pytest.approx((found.max_abs, found.mean_abs))
    if np.linalg.norm(a) < 1e-30 or np.linalg.norm(b) < 1e-30:
        return
    assert np.linalg.norm(b - a) / np.linalg.norm(a) == pytest.approx(found.rel)
    assert a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) == pytest.approx(found.cosine, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([1.0, NAN], [2.0, NAN], (1, 1.0, 0.5, None, None)),
        ([1.0, INF], [2.0, INF], (1, 1.0, 0.5, None, None)),
        ([1.0, 0.0], [1.0, NAN], (1, None, None, None, None)),
        ([1.0, 0.0], [1.0, INF], (1, None, None, None, None)),
        ([0.0, 0.0], [0.0, 2.0], (1, 2.0, 1.0, None, None)),
        ([3.0, 4.0], [-3.0, -4.0], (2, 8.0, 7.0, 2.0, -1.0)),
        ([0.0], [-0.0], (1, 0.0, 0.0, None, None)),
    ],
)
def test_what_has_no_number_is_none(a: list[float], b: list[float], expected: tuple[float | None, ...]) -> None:
    """Numbers that are not finite on one side, and ratios by zero, are not there; equal ones on both sides count."""
    found = distance(etui.Tensor.of(np.array(a)), etui.Tensor.of(np.array(b)))
    assert found is not None
    assert expected == (found.changed, found.max_abs, found.mean_abs, found.rel, found.cosine)


@pytest.mark.parametrize(
    ("one", "two", "can"),
    [
        (np.zeros(2, np.float32), np.zeros(2, ml_dtypes.bfloat16), True),
        (np.zeros(2, np.int8), np.zeros(2, np.int16), False),
        (np.zeros(2, np.int8), np.zeros(2, np.float32), False),
        (np.zeros(2), np.zeros((2, 1)), False),
        (np.array([True]), np.array([False]), True),
    ],
)
def test_what_can_be_compared(one: np.ndarray, two: np.ndarray, can: bool) -> None:
    """Tensors of one shape and dtype, or of two dtypes of floats, are compared."""
    assert comparable(etui.Tensor.of(one), etui.Tensor.of(two)) is can


def test_two_dtypes_of_floats_are_compared_as_numbers() -> None:
    """A cast that changes no number is no difference, and one that does is as large as what it changed."""
    exact, other = np.array([0.5, 2.0], np.float32), np.array([0.1, 2.0], np.float32)
    half = etui.Tensor.of(exact.astype(np.float16))
    assert distance(etui.Tensor.of(exact), half) is None
    found = distance(etui.Tensor.of(other), etui.Tensor.of(other.astype(np.float16)))
    assert found is not None
    assert found.changed == 1
    assert found.max_abs == pytest.approx(abs(float(np.float32(0.1)) - float(np.float16(0.1))))
