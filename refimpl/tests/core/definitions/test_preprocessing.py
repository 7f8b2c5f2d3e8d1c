"""Raw data as numbers, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError

Run = Callable[..., Any]


@pytest.mark.clause("CV-70@218688")
def test_rescale(run: Run) -> None:
    """A number for all, or one for each element of the last axis; integers become floats."""
    x = np.array([[0, 51], [255, 102]], np.uint8)
    found = run("rescale", x, scale=1 / 255, offset=-0.5)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[-0.5, -0.3], [0.5, -0.1]], atol=1e-7)
    np.testing.assert_allclose(run("rescale", x, scale=[1.0, 2.0], offset=[0.0, 1.0]), [[0, 103], [255, 205]])


@pytest.mark.clause("CV-71@8484d7")
def test_masking_zeroes_what_it_masks(run: Run) -> None:
    """A step that has the value only becomes zero; one that has it once does not."""
    x = np.array([[[7.0, 7.0], [7.0, 1.0]]])
    assert run("masking", x, mask_value=7.0).tolist() == [[[0, 0], [7, 1]]]


@pytest.mark.clause("CV-72@df90f0")
@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({}, [1, 2, 0]),
        ({"mask_token": ""}, [2, 3, 1]),
        ({"num_oov_indices": 0, "mask_token": "z"}, [1, 2, 0]),
    ],
)
def test_lookup_of_strings(run: Run, attrs: dict[str, Any], expected: list[int]) -> None:
    """The mask token comes first, then the place of what is unknown, then the vocabulary."""
    x = np.array([["a", b"b", "z"]], dtype=object)
    found = run("lookup", x, vocabulary=["a", "b"], oov_token="?", **attrs)
    assert found.tolist() == [expected]


@pytest.mark.clause("CV-72@df90f0")
def test_lookup_backwards(run: Run) -> None:
    """The place of a term gives the term, and a place that there is not the token of what is unknown."""
    attrs: dict[str, Any] = {"vocabulary": [10, 20], "oov_token": -1, "mask_token": 0}
    assert run("lookup", np.array([10, 20, 30, 0]), **attrs).tolist() == [2, 3, 1, 0]
    assert run("lookup", np.array([2, 3, 1, 0, 9]), invert=True, **attrs).tolist() == [10, 20, -1, 0, -1]


@pytest.mark.clause("CV-72@df90f0")
def test_an_unknown_term_without_a_place_is_refused(run: Run) -> None:
    """Where there is no place for unknown terms, one is an error."""
    with pytest.raises(EtuiError, match="core-evaluate"):
        run("lookup", np.array(["b"], dtype=object), vocabulary=["a"], num_oov_indices=0, oov_token="?")


@pytest.mark.clause("CV-73@d3a770")
def test_one_hot(run: Run) -> None:
    """Vectors of each index, of what occurs in a sample, and of how often or with what weight."""
    x = np.array([[0, 2, 2], [3, -1, 1]])
    assert run("one_hot", x, num_tokens=3).tolist() == [[1, 0, 1], [0, 1, 0]]
    assert run("one_hot", x, num_tokens=3, output_mode="count").tolist() == [[1, 0, 2], [0, 1, 0]]
    assert run("one_hot", x, num_tokens=3, output_mode="one_hot")[0].tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert run("one_hot", x[:, 1:2].copy(), num_tokens=3, output_mode="one_hot").tolist() == [[0, 0, 1], [0, 0, 0]]
    assert run("one_hot", x[:, 0].copy(), num_tokens=3, output_mode="one_hot").tolist() == [[1, 0, 0], [0, 0, 0]]
    weights = np.array([[0.5, 1.0, 2.0], [1.0, 1.0, 1.0]])
    found = run("one_hot", x, num_tokens=3, output_mode="count", kwargs={"count_weights": weights})
    assert found.tolist() == [[0.5, 0, 3], [0, 1, 0]]


@pytest.mark.clause("CV-74@f9a041")
def test_discretize(run: Run) -> None:
    """An element on a boundary is in the bin above it."""
    assert run("discretize", np.array([-1.0, 0.0, 0.5, 1.0, 9.0]), boundaries=[0.0, 1.0]).tolist() == [0, 1, 1, 2, 2]
