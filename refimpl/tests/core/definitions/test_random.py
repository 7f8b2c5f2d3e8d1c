"""Random ops: what they draw, by statistics of large tensors, and that they draw nothing where they must not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.core.ops.registry import definitions
from etui.errors import EtuiError

Run = Callable[..., Any]
Array = np.ndarray[Any, Any]
SHAPE = (40, 50, 60)
RATES: dict[str, dict[str, Any]] = {
    "dropout": {"rate": 0.25, "noise_shape": None},
    "spatial_dropout": {"rate": 0.25, "data_format": "channels_last"},
    "alpha_dropout": {"rate": 0.25, "noise_shape": None},
    "gaussian_noise": {"stddev": 0.5},
    "gaussian_dropout": {"rate": 0.2},
}


def drawn(op: str, x: Array, **attrs: Any) -> Array:
    """The op in training, with a generator that is the same each time."""
    rng = np.random.default_rng(11)
    found: Array = definitions()[op].function(x, **{**RATES[op], **attrs}, training=True, rng=rng)
    return found


@pytest.mark.clause("CV-160@ce29c3")
@pytest.mark.parametrize("op", sorted(RATES))
def test_nothing_is_drawn_without_training_or_rate(run: Run, op: str) -> None:
    """The op is the identity; training without a generator is refused."""
    x = np.random.default_rng(1).normal(size=(3, 4, 5))
    name = "stddev" if op == "gaussian_noise" else "rate"
    np.testing.assert_array_equal(run(op, x, **{name: RATES[op][name]}), x)
    outputs, updates = run(op, x, training=True, **{name: 0.0})
    np.testing.assert_array_equal(outputs, x)
    assert updates == {}
    with pytest.raises(EtuiError) as caught:
        run(op, x, training=True, **{name: RATES[op][name]})
    assert caught.value.code == "core-evaluate"


@pytest.mark.clause("CV-161@8c4e05")
def test_dropout_drops_and_scales() -> None:
    """A quarter of the elements is 0, the others are divided by three quarters; with rate 1 all are 0."""
    found = drawn("dropout", np.ones(SHAPE))
    assert np.unique(found.round(9)).tolist() == [0.0, 1.333333333]
    assert abs((found == 0).mean() - 0.25) < 0.005
    assert not drawn("dropout", np.ones(SHAPE), rate=1.0).any()
    assert drawn("dropout", np.ones((3, 4), np.float32)).dtype == np.float32


@pytest.mark.clause("CV-162@1af329")
@pytest.mark.parametrize("op", ["dropout", "alpha_dropout"])
def test_a_noise_shape_shares_draws(op: str) -> None:
    """Along an axis where it has 1, all elements have the same fate; null stands for the input's own size."""
    found = drawn(op, np.ones(SHAPE), noise_shape=[None, 1, 60])
    assert (found == found[:, :1]).all()
    assert (found != found[:1]).any()
    assert (found != found[..., :1]).any()


@pytest.mark.clause("CV-163@9d43c0")
@pytest.mark.parametrize(("data_format", "channels"), [("channels_last", 2), ("channels_first", 1)])
def test_spatial_dropout_drops_channels(data_format: str, channels: int) -> None:
    """A channel of an example is there as a whole or not at all."""
    found = drawn("spatial_dropout", np.ones(SHAPE), data_format=data_format)
    places = 3 - channels
    assert (found == found.take([0], axis=places)).all()
    assert abs((found == 0).mean() - 0.25) < 0.03
    assert set(np.unique(found).round(9)) == {0.0, 1.333333333}


@pytest.mark.clause("CV-164@80002b")
def test_alpha_dropout_keeps_mean_and_variance() -> None:
    """Normal numbers stay of mean 0 and variance 1; what is dropped becomes one number."""
    x = np.random.default_rng(7).normal(size=SHAPE)
    found = drawn("alpha_dropout", x)
    assert abs(found.mean()) < 0.01
    assert abs(found.var() - 1) < 0.01
    lowest = -1.0507009873554805 * 1.6732632423543772
    a = (0.75 * (1 + 0.25 * lowest**2)) ** -0.5
    dropped = np.isclose(found, a * lowest - a * lowest * 0.25)
    assert abs(dropped.mean() - 0.25) < 0.005
    np.testing.assert_allclose(found[~dropped], a * x[~dropped] - a * lowest * 0.25)


@pytest.mark.clause("CV-165@043915")
def test_gaussian_noise_and_dropout() -> None:
    """Noise is added with its deviation; the factors of gaussian_dropout have mean 1 and variance rate / (1 - rate)."""
    noise = drawn("gaussian_noise", np.full(SHAPE, 3.0)) - 3
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 0.5) < 0.01
    factor = drawn("gaussian_dropout", np.full(SHAPE, 2.0)) / 2
    assert abs(factor.mean() - 1) < 0.01
    assert abs(factor.var() - 0.25) < 0.01


@pytest.mark.clause("CV-166@282e0b")
def test_activity_regularization_changes_nothing(run: Run) -> None:
    """The output is the input, in training too."""
    x = np.random.default_rng(9).normal(size=(2, 3))
    np.testing.assert_array_equal(run("activity_regularization", x, l1=0.5, l2=0.25), x)
    np.testing.assert_array_equal(run("activity_regularization", x, l1=0.5, training=True)[0], x)
