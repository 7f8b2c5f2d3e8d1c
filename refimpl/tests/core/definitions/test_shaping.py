"""Shapes, axes and parts, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError

Run = Callable[..., Any]
X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.clause("CV-50@cdd994")
@pytest.mark.parametrize(
    ("op", "attrs", "expected"),
    [
        ("identity", {}, X),
        ("flatten", {}, X.reshape(2, 12)),
        ("flatten", {"data_format": "channels_first"}, X.transpose(0, 2, 1).reshape(2, 12)),
        ("reshape", {"shape": [2, -1]}, X.reshape(2, 2, 6)),
        ("reshape", {"shape": [4, 3]}, X.reshape(2, 4, 3)),
        ("permute", {"axes": [0, 2, 1]}, X.transpose(0, 2, 1)),
        ("permute", {"axes": [2, 0, 1]}, X.transpose(2, 0, 1)),
        ("crop", {"cropping": [[1, 0], [0, 2]]}, X[:, 1:, :2]),
        ("expand_dims", {}, X[..., None]),
        ("expand_dims", {"axes": [0, -1]}, X[None, ..., None]),
        ("broadcast_to", {"shape": [5, 2, 3, 4]}, np.stack([X] * 5)),
        ("cast", {"dtype": "int32"}, X.astype(np.int32)),
        ("take", {"axis": 1}, X[:, [2, 0]]),
        ("take", {}, np.array([2.0, 0.0])),
    ],
)
def test_one_tensor(run: Run, op: str, attrs: dict[str, Any], expected: Any) -> None:
    """Each op gives the elements that its row of the table says."""
    found = run(op, *([X, np.array([2, 0])] if op == "take" else [X]), **attrs)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.clause("CV-50@cdd994")
def test_sizes_of_one_are_taken_away(run: Run) -> None:
    """All of them, or those that are named."""
    x = X[:, :, None, :, None]
    assert run("squeeze", x).shape == (2, 3, 4)
    assert run("squeeze", x, axes=[-1]).shape == (2, 3, 1, 4)


@pytest.mark.clause("CV-50@cdd994")
@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"value": 7.0}, [7, 7, 1, 2, 3, 7]),
        ({}, [0, 0, 1, 2, 3, 0]),
        ({"mode": "reflect"}, [3, 2, 1, 2, 3, 2]),
        ({"mode": "symmetric"}, [2, 1, 1, 2, 3, 3]),
    ],
)
def test_pad(run: Run, attrs: dict[str, Any], expected: list[float]) -> None:
    """Two elements before and one behind, of each kind."""
    assert run("pad", np.array([[1.0, 2.0, 3.0]]), padding=[[2, 1]], **attrs).tolist() == [expected]


@pytest.mark.clause("CV-50@cdd994")
def test_repeat_concat_stack_and_split(run: Run) -> None:
    """Tensors put together and cut apart."""
    assert run("repeat", np.array([[1.0, 2.0]]), count=2).tolist() == [[[1, 2], [1, 2]]]
    np.testing.assert_array_equal(run("concat", [X, X + 1]), np.concatenate([X, X + 1], axis=-1))
    np.testing.assert_array_equal(run("stack", [X, X + 1], axis=1), np.stack([X, X + 1], axis=1))
    np.testing.assert_array_equal(run("split", X, sections=2, output=1), X[1:])
    np.testing.assert_array_equal(run("split", X, sections=[1, 3], axis=-1, output=1), X[..., 1:])
    with pytest.raises(EtuiError, match="core-evaluate"):
        run("split", X, sections=[1, 2], axis=-1)


@pytest.mark.clause("CV-51@025f64")
@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ([0], X[0]),
        ([[None, None, None], 1], X[:, 1]),
        ([[None, None, None], [0, -1, None], [None, None, -2]], X[:, 0:-1, ::-2]),
        (["...", 2], X[..., 2]),
        ([0, "newaxis", "...", [1, 3, None]], X[0, None, ..., 1:3]),
    ],
)
def test_slice(run: Run, index: list[Any], expected: Any) -> None:
    """Entries are integers, ranges, new axes and the dots, as in Python."""
    np.testing.assert_array_equal(run("slice", X, index=index), expected)
