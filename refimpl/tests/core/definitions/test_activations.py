"""Activations against numbers worked out by hand, identities, and formulas written in another way."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, getcontext
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.core import activations
from etui.core.ops import registry
from etui.core.vocabulary import objects

Run = Callable[..., Any]
Array = np.ndarray[Any, Any]
X = np.linspace(-6.0, 6.0, 241)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in x.ravel()]).reshape(x.shape)


FORMULAS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "exponential": np.exp,
    "tanh": lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "hard_tanh": lambda x: np.minimum(np.maximum(x, -1), 1),
    "leaky_relu": lambda x: np.maximum(x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "celu": lambda x: np.maximum(x, 0) + np.minimum(np.exp(x) - 1, 0),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(x / 6 + 0.5, 0), 1),
    "sparse_sigmoid": lambda x: np.minimum(np.maximum((x + 1) / 2, 0), 1),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * sigmoid(x),
    "hard_silu": lambda x: x * np.minimum(np.maximum(x + 3, 0), 6) / 6,
    "mish": lambda x: x * np.tanh(np.log(1 + np.exp(x))),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_shrink": lambda x: x * (np.abs(x) > 0.5),
    "soft_shrink": lambda x: x - np.minimum(np.maximum(x, -0.5), 0.5),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
}
ALONG_AN_AXIS = {"softmax", "log_softmax", "sparsemax", "glu"}
PARAMETERS: list[tuple[str, dict[str, Any], float, float]] = [
    ("relu", {"negative_slope": 0.5}, -2.0, -1.0),
    ("relu", {"max_value": 1.5}, 4.0, 1.5),
    ("relu", {"threshold": 1.0}, 0.5, 0.0),
    ("relu", {"threshold": 1.0, "negative_slope": 0.25}, 0.0, -0.25),
    ("relu", {"threshold": 1.0, "negative_slope": 0.25, "max_value": 2.0}, 3.0, 2.0),
    ("leaky_relu", {"negative_slope": 0.5}, -2.0, -1.0),
    ("elu", {"alpha": 2.0}, -math.log(2), -1.0),
    ("celu", {"alpha": 2.0}, -2 * math.log(2), -1.0),
    ("hard_sigmoid", {"slope": 0.2}, 1.0, 0.7),
    ("hard_shrink", {"threshold": 2.0}, 1.5, 0.0),
    ("soft_shrink", {"threshold": 2.0}, -3.0, -1.0),
    ("threshold", {"threshold": 1.0, "default_value": 20.0}, 1.0, 20.0),
    ("threshold", {"threshold": 1.0, "default_value": 20.0}, 1.5, 1.5),
    ("squareplus", {"b": 0.0}, -3.0, 0.0),
    ("gelu", {"approximate": True}, 1.0, 0.5 * (1 + math.tanh(math.sqrt(2 / math.pi) * 1.044715))),
]


@pytest.mark.clause("CV-140@501a7f")
def test_every_activation_of_the_vocabulary_is_defined() -> None:
    """The definitions, the vocabulary and this file have the same names and the same parameters with their defaults."""
    assert set(registry.activations()) == set(objects("activations"))
    assert set(objects("activations")) == {*FORMULAS, *ALONG_AN_AXIS, "threshold"}
    for name, attrs in objects("activations").items():
        known = registry.activations()[name].__kwdefaults__ or {}
        assert known == {key: attr.default for key, attr in attrs.items() if not attr.required}, name


@pytest.mark.clause("CV-140@501a7f", "CV-141@e6a6d9")
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_an_activation_follows_its_formula(run: Run, name: str) -> None:
    """Each element becomes what the formula says, in the dtype of the input."""
    x = X.reshape(1, -1)
    np.testing.assert_allclose(run("activation", x, function=name), FORMULAS[name](x), rtol=1e-13, atol=1e-14)
    assert run("activation", x.astype(np.float32), function=name).dtype == np.float32


@pytest.mark.clause("CV-140@501a7f")
@pytest.mark.parametrize(("name", "config", "x", "y"), PARAMETERS)
def test_parameters_count(run: Run, name: str, config: dict[str, Any], x: float, y: float) -> None:
    """An activation with parameters is an object of the vocabulary."""
    function = ObjectValue(f"core:activations.{name}", config=config)
    np.testing.assert_allclose(run("activation", np.array([[x]]), function=function), [[y]], rtol=1e-14)


@pytest.mark.clause("CV-140@501a7f")
def test_nothing_overflows(run: Run) -> None:
    """Large numbers of either sign give finite results, where the formula as it stands would not."""
    x = np.array([[-1e4, -800.0, 800.0, 1e4]])
    names = ("sigmoid", "log_sigmoid", "softplus", "silu", "mish", "softmax", "log_softmax", "elu", "selu", "sparsemax")
    with np.errstate(all="raise", under="ignore"):
        for name in names:
            assert np.isfinite(run("activation", x, function=name)).all(), name
        assert run("activation", x, function="softplus").tolist() == [[0.0, 0.0, 800.0, 1e4]]


@pytest.mark.clause("CV-140@501a7f")
def test_activations_along_an_axis(run: Run) -> None:
    """Softmax sums to 1 and does not see a shift; sparsemax is the nearest point of a simplex; glu gates by halves."""
    x = np.random.default_rng(3).normal(size=(2, 4, 6)) * 3
    soft = run("activation", x, function="softmax")
    np.testing.assert_allclose(soft.sum(axis=-1), 1)
    np.testing.assert_allclose(run("activation", x + 7, function="softmax"), soft)
    np.testing.assert_allclose(np.exp(run("activation", x, function="log_softmax")), soft)
    sparse = run("activation", x, function=ObjectValue("core:activations.sparsemax", config={"axis": 1}))
    np.testing.assert_allclose(sparse.sum(axis=1), 1)
    tau = np.where(sparse > 0, x - sparse, np.nan)
    np.testing.assert_allclose(np.nanmax(tau, axis=1), np.nanmin(tau, axis=1))
    assert (sparse == 0).any()
    assert (x <= np.nanmax(tau, axis=1, keepdims=True) + 1e-12)[sparse == 0].all()
    np.testing.assert_allclose(run("activation", x, function="glu"), x[..., :3] * sigmoid(x[..., 3:]))


@pytest.mark.library
def test_the_error_function_is_exact_in_float64() -> None:
    """It is within 1e-15 of its series, which is summed with fifty digits here, and keeps the dtype."""
    getcontext().prec = 60

    def series(value: float) -> float:
        x, total, term = Decimal(value), Decimal(0), Decimal(value)
        for n in range(400):
            total += term / (2 * n + 1)
            term *= -x * x / (n + 1)
        return float(total * 2 / Decimal("3.14159265358979323846264338327950288419716939937510").sqrt())

    points = np.linspace(-5, 5, 81)
    expected = np.array([series(float(value)) for value in points])
    assert np.max(np.abs(activations.erf(points) - expected)) <= 1e-15
    assert activations.erf(points.astype(np.float32)).dtype == np.float32


@pytest.mark.clause("CV-141@e6a6d9")
def test_rectifiers_as_ops(run: Run) -> None:
    """They are the activations of their names, but for the slope of leaky_relu."""
    x = X.reshape(1, -1)
    np.testing.assert_allclose(run("leaky_relu", x), np.where(x > 0, x, 0.3 * x))
    np.testing.assert_allclose(run("elu", x, alpha=0.5), np.where(x > 0, x, 0.5 * (np.exp(x) - 1)))
    np.testing.assert_allclose(run("relu", x, max_value=2.0), np.clip(x, 0, 2))


@pytest.mark.clause("CV-142@75c76e")
def test_prelu_shares_alpha_along_axes(run: Run) -> None:
    """Alpha has a slope for each element but the batch, or one along the shared axes."""
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    for shared, shape in ((None, (3, 4)), ([1], (1, 4)), ([1, 2], (1, 1))):
        alpha = np.random.default_rng(2).uniform(size=shape)
        attrs = {} if shared is None else {"shared_axes": shared}
        np.testing.assert_allclose(run("prelu", x, params={"alpha": alpha}, **attrs), np.where(x > 0, x, alpha * x))


@pytest.mark.clause("CV-143@7aaab1")
def test_softmax_over_several_axes_and_a_mask(run: Run) -> None:
    """The sum goes over all of the axes; what the mask excludes is 0, and so is all where nothing is left."""
    x = np.random.default_rng(4).normal(size=(2, 3, 4))
    both = run("softmax", x, axes=[1, 2])
    np.testing.assert_allclose(both, np.exp(x) / np.exp(x).sum(axis=(1, 2), keepdims=True))
    mask = np.array([True, False, True, True])
    y = run("softmax", x, kwargs={"mask": mask})
    assert (y[..., 1] == 0).all()
    np.testing.assert_allclose(y[..., mask], np.exp(x[..., mask]) / np.exp(x[..., mask]).sum(axis=-1, keepdims=True))
    assert not run("softmax", x, kwargs={"mask": np.zeros(4, bool)}).any()
