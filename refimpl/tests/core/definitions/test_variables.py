"""How variables begin, what is added to the loss for them, and what is made of them (SPEC.md J.13)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.core.constraints import project
from etui.core.initializers import draw
from etui.core.regularizers import penalty

SHAPE = (300, 400)


def initial(name: str, shape: tuple[int, ...] = SHAPE, **config: Any) -> Any:
    value = ObjectValue(f"core:initializers.{name}", config)
    return draw(value, shape, np.float64, np.random.default_rng(5))


@pytest.mark.clause("CV-80@98adce")
def test_fixed_values() -> None:
    """Zeros, ones, a constant, and the identity with its gain."""
    assert np.unique(initial("zeros")).tolist() == [0]
    assert np.unique(initial("ones")).tolist() == [1]
    assert np.unique(initial("constant", value=0.5)).tolist() == [0.5]
    assert initial("identity", (2, 3), gain=2.0).tolist() == [[2, 0, 0], [0, 2, 0]]


@pytest.mark.clause("CV-80@98adce", "CV-81@a14b7b")
@pytest.mark.parametrize(
    ("name", "config", "deviation", "largest"),
    [
        ("random_normal", {}, 0.05, np.inf),
        ("random_uniform", {}, 0.05 / np.sqrt(3), 0.05),
        ("truncated_normal", {}, 0.05 * 0.8796256610342398, 0.1),
        ("glorot_uniform", {}, np.sqrt(2 / 700), np.sqrt(6 / 700)),
        ("glorot_normal", {}, np.sqrt(2 / 700), 2 * np.sqrt(2 / 700) / 0.8796256610342398),
        ("he_uniform", {}, np.sqrt(2 / 300), np.sqrt(6 / 300)),
        ("he_normal", {}, np.sqrt(2 / 300), 2 * np.sqrt(2 / 300) / 0.8796256610342398),
        ("lecun_uniform", {}, np.sqrt(1 / 300), np.sqrt(3 / 300)),
        ("lecun_normal", {}, np.sqrt(1 / 300), 2 * np.sqrt(1 / 300) / 0.8796256610342398),
        ("variance_scaling", {"mode": "fan_out", "scale": 3.0, "distribution": "uniform"}, np.sqrt(3 / 400), 0.15),
        ("variance_scaling", {"distribution": "untruncated_normal"}, np.sqrt(1 / 300), np.inf),
    ],
)
def test_drawn_values(name: str, config: dict[str, Any], deviation: float, largest: float) -> None:
    """120,000 numbers have the mean and deviation of their distribution, and none is beyond its bounds."""
    drawn = initial(name, **config)
    assert abs(drawn.mean()) < deviation / 50
    assert abs(drawn.std() / deviation - 1) < 0.02
    assert np.abs(drawn).max() <= largest


@pytest.mark.clause("CV-81@a14b7b")
def test_the_fans_of_a_convolution_count_its_field() -> None:
    """A kernel [3, 3, 10, 500] has 90 inputs; a vector of 10,000 elements has as many; axes may be named."""
    for shape, config, fan in (
        ((3, 3, 10, 500), {}, 90),
        ((10_000,), {}, 10_000),
        ((30, 300), {"input_axes": [1], "output_axes": [0]}, 300),
    ):
        drawn = initial("lecun_normal", shape, **config)
        assert abs(drawn.std() * np.sqrt(fan) - 1) < 0.04


@pytest.mark.clause("CV-80@98adce")
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (2, 3, 5)])
def test_orthogonal_kernels(shape: tuple[int, ...]) -> None:
    """The fewer of rows and columns are at right angles, and as long as the gain."""
    matrix = initial("orthogonal", shape, gain=3.0).reshape(-1, shape[-1])
    rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(rows @ rows.T, 9 * np.eye(len(rows)), atol=1e-12)


@pytest.mark.clause("CV-82@f82c99")
@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("l1", {"l1": 0.5}, 5.0),
        ("l2", {"l2": 0.5}, 15.0),
        ("l1_l2", {"l1": 0.5, "l2": 1.0}, 35.0),
        ("orthogonal_regularizer", {"factor": 2.0}, 2 * 11 / np.sqrt(125)),
    ],
)
def test_penalties(name: str, config: dict[str, float], expected: float) -> None:
    """Of the matrix with the rows (1, -2) and (3, -4), whose cosine is 11 / √125."""
    x = np.array([[1.0, -2.0], [3.0, -4.0]])
    np.testing.assert_allclose(penalty(ObjectValue(f"core:regularizers.{name}", config), x), expected)


@pytest.mark.clause("CV-83@db712d")
@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("max_norm", {"max_value": 1.0}, [[0.6, 0.3], [0.8, -0.4]]),
        ("max_norm", {"max_value": 1.0, "axis": 1}, [[3 / np.hypot(3, 0.3), 0.3 / np.hypot(3, 0.3)]] * 1),
        ("min_max_norm", {"min_value": 1.0, "max_value": 2.0, "rate": 0.5}, [[2.1, 0.45], [2.8, -0.6]]),
        ("unit_norm", {}, [[0.6, 0.6], [0.8, -0.8]]),
        ("non_neg", {}, [[3.0, 0.3], [4.0, 0.0]]),
    ],
)
def test_constraints(name: str, config: dict[str, Any], expected: list[list[float]]) -> None:
    """Of the columns (3, 4) and (0.3, -0.4), of the norms 5 and 1/2."""
    x = np.array([[3.0, 0.3], [4.0, -0.4]])
    found = project(ObjectValue(f"core:constraints.{name}", config), x)
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-6)
