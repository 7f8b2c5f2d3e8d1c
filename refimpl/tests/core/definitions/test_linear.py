"""Dense products and tables, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError

Run = Callable[..., Any]
RNG = np.random.default_rng(20)


@pytest.mark.clause("CV-17@8615a7", "CV-14@27c81e")
def test_dense_adds_the_bias_and_applies_the_activation(run: Run) -> None:
    """A row times a kernel, plus the bias, through relu."""
    kernel, bias = np.array([[1.0, -1.0], [2.0, 0.5]]), np.array([0.5, 0.25])
    assert run("dense", np.array([[1.0, 2.0]]), params={"kernel": kernel, "bias": bias}, units=2).tolist() == [
        [5.5, 0.25]
    ]
    x = np.array([[1.0, -2.0]])
    found = run("dense", x, params={"kernel": kernel}, units=2, use_bias=False, activation="relu")
    assert found.tolist() == [[0.0, 0.0]]


@pytest.mark.clause("CV-17@8615a7")
def test_dense_works_on_the_last_axis_of_any_rank(run: Run) -> None:
    """A tensor of four axes gives the same as its rows one by one."""
    x, kernel = RNG.normal(size=(2, 3, 4, 5)), RNG.normal(size=(5, 2))
    found = run("dense", x, params={"kernel": kernel}, units=2, use_bias=False)
    assert found.shape == (2, 3, 4, 2)
    np.testing.assert_allclose(found[1, 2, 3], x[1, 2, 3] @ kernel, rtol=1e-14)


@pytest.mark.clause("CV-17@8615a7")
@pytest.mark.parametrize(
    ("equation", "shape", "kernel", "output"),
    [("abc,cd->abd", (2, 3, 4), (4, 5), (2, 3, 5)), ("...x,xy->...y", (2, 3, 4), (4, 6), (2, 3, 6))],
)
def test_einsum_dense_is_the_sum_of_its_equation(
    run: Run, equation: str, shape: tuple[int, ...], kernel: tuple[int, ...], output: tuple[int, ...]
) -> None:
    """Over the last axis, the equation of a dense layer gives what a dense layer gives."""
    x, k = RNG.normal(size=shape), RNG.normal(size=kernel)
    bias = RNG.normal(size=output[-1:])
    attrs = {"equation": equation, "output_shape": [None, output[-1]], "bias_axes": equation[-1]}
    found = run("einsum_dense", x, params={"kernel": k, "bias": bias}, **attrs)
    np.testing.assert_allclose(found, x @ k + bias, rtol=1e-13)


@pytest.mark.clause("CV-21@2f9187")
def test_embedding_takes_rows_and_masks_zero(run: Run) -> None:
    """Each index gives its row, whether it is an integer or a whole float; an index beyond the table is refused."""
    table = np.arange(6.0).reshape(3, 2)
    attrs = {"input_dim": 3, "output_dim": 2}
    for indices in (np.array([[2, 0]]), np.array([[2.0, 0.0]])):
        assert run("embedding", indices, params={"embeddings": table}, **attrs).tolist() == [[[4, 5], [0, 1]]]
    for indices in (np.array([[3]]), np.array([[-1]])):
        with pytest.raises(EtuiError, match="core-evaluate"):
            run("embedding", indices, params={"embeddings": table}, **attrs)
