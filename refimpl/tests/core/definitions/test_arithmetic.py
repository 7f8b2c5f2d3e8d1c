"""Merging and arithmetic, against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.core.ops.merging import either
from etui.core.vocabulary import ops
from etui.errors import EtuiError

Run = Callable[..., Any]
RNG = np.random.default_rng(24)
X = RNG.normal(size=(2, 3, 4))
MERGES: dict[str, Callable[..., Any]] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


@pytest.mark.clause("CV-60@485248")
@pytest.mark.parametrize("op", sorted(MERGES))
def test_merging_goes_element_by_element(run: Run, op: str) -> None:
    """Three tensors are merged from the left; axes of size 1 and a number are broadcast."""
    other, row = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 1, 4))
    expected = MERGES[op](MERGES[op](X, other), row)
    np.testing.assert_allclose(run(op, [X, other, row]), expected)
    np.testing.assert_allclose(run(op, [X, 0.25]), MERGES[op](X, 0.25))


@pytest.mark.clause("CV-60@485248")
def test_a_lower_rank_gets_axes_behind_the_batch(run: Run) -> None:
    """[batch, features] meets [batch, time, features] as [batch, 1, features], even where batch and time are equal."""
    x, row = RNG.normal(size=(2, 2, 4)), RNG.normal(size=(2, 4))
    np.testing.assert_allclose(run("add", [x, row]), x + row[:, None])
    np.testing.assert_allclose(run("sub", x, row), x - row[:, None])
    np.testing.assert_allclose(run("mean", [row, x]), (x + row[:, None]) / 2)


@pytest.mark.clause("CV-61@1cbf77")
def test_masks_are_merged_by_or(run: Run) -> None:
    """A step counts where it counts in one of the inputs; without a mask in one, there is none."""
    one, other = np.array([[True, False, False]]), np.array([[False, True, False]])
    merged = either([one, other])
    assert merged is not None
    assert merged.tolist() == [[True, True, False]]
    assert either([one, None]) is None
    assert run("add", [X, X]).shape == X.shape


@pytest.mark.clause("CV-69@eb535d", "CV-13@18074f")
@pytest.mark.parametrize(("op", "expected"), [("mul", [6, 3, 2, 0]), ("max", [3, 3, 2, 2]), ("min", [2, 3, 2, 2])])
def test_masked_elements_are_left_out(run: Run, op: str, expected: list[float]) -> None:
    """Of 2 and 3, what a mask excludes does not count; where both are excluded, there is 0 or the first."""
    x, y = np.full((1, 4, 1), 2.0), np.full((1, 4, 1), 3.0)
    masks = [np.array([[True, False, True, False]]), np.array([[True, True, False, False]])]
    assert run(op, [x, y], kwargs={"mask": masks}).ravel().tolist() == expected


@pytest.mark.clause("CV-62@e793cc")
def test_dot_sums_over_one_axis_of_each(run: Run) -> None:
    """The other axes of the first input come before those of the second; two vectors give one number."""
    y = RNG.normal(size=(2, 5, 3))
    np.testing.assert_allclose(run("dot", X, y, axes=[1, 2]), np.einsum("bij,bki->bjk", X, y))
    np.testing.assert_allclose(run("dot", X[:, 0], X[:, 1], axes=-1), np.sum(X[:, 0] * X[:, 1], axis=1)[:, None])
    with pytest.raises(EtuiError, match="core-evaluate"):
        run("dot", X, y, axes=[0, 2])


@pytest.mark.clause("CV-62@e793cc")
def test_normalized_vectors_have_their_cosine_as_product(run: Run) -> None:
    """A vector with itself gives 1, with its opposite -1, and zeros give 0."""
    x = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    y = np.array([[6.0, 8.0], [-5.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(run("dot", x, y, axes=1, normalize=True), [[1], [-1], [0]], atol=1e-15)


@pytest.mark.clause("CV-63@9e999f")
def test_products_of_matrices(run: Run) -> None:
    """`matmul` broadcasts the axes before the last two, and `einsum` computes the same by its equation."""
    y = RNG.normal(size=(4, 5))
    found = run("matmul", X, y)
    np.testing.assert_allclose(found, np.stack([X[0] @ y, X[1] @ y]))
    np.testing.assert_allclose(run("einsum", [X, y], equation="bij,jk->bik"), found)


UNARY: dict[str, tuple[float, float]] = {
    "abs": (-2.0, 2.0),
    "neg": (-2.0, 2.0),
    "sign": (-2.0, -1.0),
    "exp": (1.0, math.e),
    "expm1": (1e-15, 1e-15),
    "log": (math.e, 1.0),
    "log1p": (1e-15, 1e-15),
    "log2": (8.0, 3.0),
    "log10": (1000.0, 3.0),
    "sqrt": (9.0, 3.0),
    "rsqrt": (4.0, 0.5),
    "square": (-3.0, 9.0),
    "reciprocal": (-4.0, -0.25),
    "sin": (math.pi / 6, 0.5),
    "cos": (math.pi / 3, 0.5),
    "tan": (math.pi / 4, 1.0),
    "asin": (0.5, math.pi / 6),
    "acos": (0.5, math.pi / 3),
    "atan": (1.0, math.pi / 4),
    "sinh": (1.0, (math.e - 1 / math.e) / 2),
    "cosh": (1.0, (math.e + 1 / math.e) / 2),
    "asinh": (0.75, math.log(2.0)),
    "acosh": (1.25, math.log(2.0)),
    "atanh": (0.6, math.log(2.0)),
    "floor": (-1.5, -2.0),
    "ceil": (-1.5, -1.0),
    "round": (2.5, 2.0),
    "erf": (0.5, math.erf(0.5)),
    "isnan": (math.nan, 1.0),
    "isinf": (-math.inf, 1.0),
    "isfinite": (math.inf, 0.0),
    "logical_not": (0.0, 1.0),
}
BINARY: dict[str, tuple[float, float, float]] = {
    "add": (2.0, 3.0, 5.0),
    "sub": (2.0, 3.0, -1.0),
    "mul": (2.0, 3.0, 6.0),
    "div": (7.0, 2.0, 3.5),
    "floor_div": (-7.0, 2.0, -4.0),
    "mod": (-7.0, 2.0, 1.0),
    "pow": (2.0, -2.0, 0.25),
    "max": (2.0, 3.0, 3.0),
    "min": (2.0, 3.0, 2.0),
    "equal": (2.0, 2.0, 1.0),
    "not_equal": (2.0, 2.0, 0.0),
    "less": (2.0, 3.0, 1.0),
    "less_equal": (3.0, 3.0, 1.0),
    "greater": (2.0, 3.0, 0.0),
    "greater_equal": (3.0, 3.0, 1.0),
    "logical_and": (2.0, 0.0, 0.0),
    "logical_or": (2.0, 0.0, 1.0),
    "logical_xor": (2.0, 3.0, 0.0),
    "atan2": (1.0, -1.0, 3 * math.pi / 4),
}


@pytest.mark.clause("CV-64@ce3c7f")
@pytest.mark.parametrize("function", ops()["unary"].attrs["function"].choices)
def test_functions_of_one_element(run: Run, function: str) -> None:
    """Each function of the vocabulary has its value at a place where it is known."""
    given, expected = UNARY[function]
    np.testing.assert_allclose(run("unary", np.array([given]), function=function), [expected], rtol=1e-14)


@pytest.mark.clause("CV-65@e3a3f0")
@pytest.mark.parametrize("function", ops()["binary"].attrs["function"].choices)
def test_functions_of_two_elements(run: Run, function: str) -> None:
    """Each function of the vocabulary has its value for a pair, whether the second is a tensor or a number."""
    one, two, expected = BINARY[function]
    for second in (np.array([two]), two):
        np.testing.assert_allclose(run("binary", np.array([one]), second, function=function), [expected], rtol=1e-14)


@pytest.mark.clause("CV-65@e3a3f0")
def test_integers_are_divided_in_floats_and_nan_wins(run: Run) -> None:
    """7 / 2 of integers is 3.5, and the larger one of 1 and NaN is NaN."""
    seven, two = np.array([7]), np.array([2])
    assert run("binary", seven, two, function="div").tolist() == [3.5]
    assert run("binary", seven, two, function="floor_div").dtype.kind == "i"
    assert np.isnan(run("binary", np.array([1.0]), np.array([np.nan]), function="max"))[0]


REDUCED = {
    "sum": 10.0,
    "mean": 2.5,
    "max": 4.0,
    "min": 1.0,
    "prod": 24.0,
    "var": 1.25,
    "std": math.sqrt(1.25),
    "any": 1.0,
    "all": 1.0,
    "logsumexp": math.log(sum(math.exp(k) for k in (1, 2, 3, 4))),
}


@pytest.mark.clause("CV-66@84f2a9")
@pytest.mark.parametrize("function", ops()["reduce"].attrs["function"].choices)
def test_reductions(run: Run, function: str) -> None:
    """Over all axes, over one, and with the axes kept."""
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(run("reduce", x, function=function), REDUCED[function])
    line = x.reshape(1, 4, 1)
    np.testing.assert_allclose(run("reduce", line, function=function, axes=[-2]), [[REDUCED[function]]])
    kept = run("reduce", line, function=function, axes=[1], keepdims=True)
    np.testing.assert_allclose(kept, [[[REDUCED[function]]]])


@pytest.mark.clause("CV-66@84f2a9")
def test_logsumexp_does_not_overflow(run: Run) -> None:
    """log(2 · exp(1000)) is 1000 + log 2, and minus infinity stays what it is."""
    np.testing.assert_allclose(run("reduce", np.array([1000.0, 1000.0]), function="logsumexp"), 1000 + math.log(2))
    with np.errstate(divide="ignore"):
        assert run("reduce", np.array([-np.inf]), function="logsumexp") == -np.inf


@pytest.mark.clause("CV-67@5ca80b")
def test_the_first_index_wins(run: Run) -> None:
    """Among equal elements it is the first, along an axis or in the flat tensor."""
    x = np.array([[1.0, 5.0, 5.0], [0.0, 0.0, 2.0]])
    assert run("arg_reduce", x, function="argmax", axis=1).tolist() == [1, 2]
    assert run("arg_reduce", x, function="argmin", axis=-1, keepdims=True).tolist() == [[0], [0]]
    assert run("arg_reduce", x, function="argmax").tolist() == 1


@pytest.mark.clause("CV-68@78e61f")
def test_clip_and_where(run: Run) -> None:
    """Bounds that are null do nothing, and where the condition is false the other tensor is taken."""
    x = np.array([-2.0, 0.5, 3.0])
    assert run("clip", x, low=-1.0, high=1.0).tolist() == [-1, 0.5, 1]
    assert run("clip", x, high=1.0).tolist() == [-2, 0.5, 1]
    assert run("clip", np.array([-2, 5]), low=0.0).dtype.kind == "i"
    assert run("where", np.array([True, False, True]), x, 9.0).tolist() == [-2, 9, 3]
