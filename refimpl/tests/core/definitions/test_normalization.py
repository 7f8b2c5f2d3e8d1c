"""Normalizations, against their formulas and what follows from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]
RNG = np.random.default_rng(23)
X: Any = RNG.normal(size=(4, 3, 5)) * 2 + 1
MOMENTS: dict[str, Any] = {"moving_mean": RNG.normal(size=5), "moving_variance": RNG.random(5) + 0.5}


@pytest.mark.clause("CV-25@5ca4f6")
@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_norm_in_inference_uses_the_moving_statistics(run: Run, axis: int) -> None:
    """Each channel is moved and scaled by its own numbers."""
    size = X.shape[axis]
    mean, variance, gamma, beta = (RNG.random(size) + 0.5 for _ in range(4))
    params = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
    found = run("batch_norm", X, params=params, epsilon=0.25, **({} if axis == -1 else {"axis": axis}))
    for channel in range(size):
        x = X.take(channel, axis)
        expected = (x - mean[channel]) / np.sqrt(variance[channel] + 0.25) * gamma[channel] + beta[channel]
        np.testing.assert_allclose(found.take(channel, axis), expected, rtol=1e-12)


@pytest.mark.clause("CV-25@5ca4f6", "CV-26@d50759")
@pytest.mark.parametrize("kind", ["biased", "unbiased"])
def test_batch_norm_in_training_uses_and_keeps_those_of_the_batch(run: Run, kind: str) -> None:
    """The output has mean 0 and variance 1, and the moving statistics go a tenth of the way to those of the batch."""
    attrs: dict[str, Any] = {"center": False, "scale": False, "momentum": 0.9, "epsilon": 0.0}
    attrs |= {} if kind == "biased" else {"moving_variance": kind}
    found, updates = run("batch_norm", X, params=MOMENTS, training=True, **attrs)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), 0, atol=1e-14)
    np.testing.assert_allclose(found.var(axis=(0, 1)), 1, rtol=1e-12)
    variance = X.reshape(-1, 5).var(axis=0, ddof=0 if kind == "biased" else 1)
    expected = {
        "op/moving_mean": 0.9 * MOMENTS["moving_mean"] + 0.1 * X.mean(axis=(0, 1)),
        "op/moving_variance": 0.9 * MOMENTS["moving_variance"] + 0.1 * variance,
    }
    assert updates.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(updates[path], value, rtol=1e-12)


@pytest.mark.clause("CV-27@c08e6f")
def test_masked_steps_do_not_count_in_the_statistics(run: Run) -> None:
    """With a mask, the statistics are those of the steps that are left, but for the small number that is added to n."""
    mask = np.array([[True, True, False]] * 4)
    attrs: dict[str, Any] = {"center": False, "scale": False, "moving_variance": "unbiased"}
    found, updates = run("batch_norm", X, params=MOMENTS, training=True, kwargs={"mask": mask}, **attrs)
    alone, expected = run("batch_norm", X[:, :2].copy(), params=MOMENTS, training=True, **attrs)
    np.testing.assert_allclose(found[:, :2], alone, rtol=1e-6)
    assert (found[:, :2] != alone).any()
    assert updates.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(updates[path], value, rtol=1e-6)


@pytest.mark.clause("CV-25@5ca4f6")
def test_a_frozen_batch_norm_computes_as_in_inference(run: Run) -> None:
    """Where `trainable` is false, training changes neither the output nor the statistics."""
    attrs: dict[str, Any] = {"center": False, "scale": False, "trainable": False}
    found, updates = run("batch_norm", X, params=MOMENTS, training=True, **attrs)
    assert updates == {}
    np.testing.assert_array_equal(found, run("batch_norm", X, params=MOMENTS, **attrs))


@pytest.mark.clause("CV-28@a876af")
@pytest.mark.parametrize("axes", [[-1], [1], [1, 2], None])
def test_layer_norm_over_any_axes(run: Run, axes: list[int] | None) -> None:
    """Over its axes the result has the mean beta and the deviation gamma where these are constant."""
    over = (0, 1, 2) if axes is None else tuple(axes)
    shape = [X.shape[axis] for axis in over]
    params = {"gamma": np.full(shape, 3.0), "beta": np.full(shape, -2.0)}
    attrs = {} if axes == [-1] else {"axes": axes}
    found = run("layer_norm", X, params=params, epsilon=0.0, **attrs)
    np.testing.assert_allclose(found.mean(axis=over), -2, rtol=1e-12)
    np.testing.assert_allclose(found.std(axis=over), 3, rtol=1e-12)


@pytest.mark.clause("CV-28@a876af")
def test_scales_lie_along_their_axes(run: Run) -> None:
    """The element of gamma at (i, j) scales the elements at i of the first and j of the second axis."""
    gamma = RNG.normal(size=(3, 5))
    plain = run("layer_norm", X, axes=[1, 2], center=False, scale=False)
    np.testing.assert_allclose(run("layer_norm", X, params={"gamma": gamma}, axes=[1, 2], center=False), plain * gamma)
    middle = run("layer_norm", X, params={"gamma": gamma[:, 0]}, axes=[1], center=False)
    plain = run("layer_norm", X, axes=[1], center=False, scale=False)
    np.testing.assert_allclose(middle, plain * gamma[None, :, :1])


@pytest.mark.clause("CV-28@a876af")
def test_rms_norm_and_unit_norm(run: Run) -> None:
    """(3, 4) has the mean square 12.5 and the norm 5."""
    x = np.array([[3.0, 4.0]])
    scale = np.array([2.0, 10.0])
    found = run("rms_norm", x, params={"scale": scale}, epsilon=0.0)
    np.testing.assert_allclose(found, [[6 / np.sqrt(12.5), 40 / np.sqrt(12.5)]])
    np.testing.assert_allclose(run("unit_norm", x), [[0.6, 0.8]])
    np.testing.assert_allclose(run("unit_norm", x, epsilon=10.0), [[0.3, 0.4]])
    assert run("unit_norm", x * 0).tolist() == [[0, 0]]


@pytest.mark.clause("CV-28@a876af")
@pytest.mark.parametrize("axis", [-1, 1])
def test_group_norm_normalizes_each_run_of_channels(run: Run, axis: int) -> None:
    """Each group has mean 0 and variance 1 for each example, whether it has three channels or one."""
    x = np.moveaxis(RNG.normal(size=(2, 4, 5, 6)) * 3 + 2, -1, axis)
    attrs: dict[str, Any] = {"center": False, "scale": False, "epsilon": 0.0} | ({} if axis == -1 else {"axis": axis})
    last = np.moveaxis(run("group_norm", x, groups=2, **attrs), axis, -1)
    for part in (last[..., :3], last[..., 3:]):
        np.testing.assert_allclose(part.mean(axis=(1, 2, 3)), 0, atol=1e-13)
        np.testing.assert_allclose(part.var(axis=(1, 2, 3)), 1, rtol=1e-12)
    last = np.moveaxis(run("group_norm", x, groups=6, **attrs), axis, -1)
    np.testing.assert_allclose(last.var(axis=(1, 2)), 1, rtol=1e-12)


@pytest.mark.clause("CV-29@c3c79a")
def test_normalization_by_stored_and_by_given_statistics(run: Run) -> None:
    """Both forms give the same, the inverse undoes it, and a variance of zero divides by 1e-7."""
    mean, variance = [0.5, -1.0, 2.0, 0.0, 1.0], [4.0, 0.25, 1.0, 9.0, 0.0]
    params = {"mean": np.array(mean), "variance": np.array(variance), "count": np.array(3)}
    found = run("normalization", X, params=params)
    np.testing.assert_allclose(found[..., 0], (X[..., 0] - 0.5) / 2)
    np.testing.assert_allclose(found[..., 4], (X[..., 4] - 1) * 1e7)
    np.testing.assert_array_equal(run("normalization", X, mean=mean, variance=variance), found)
    np.testing.assert_allclose(run("normalization", found, params=params, invert=True), X, rtol=1e-12)


@pytest.mark.clause("CV-29@c3c79a")
def test_statistics_of_no_axis_and_of_two(run: Run) -> None:
    """With no axis there is one number for all; a list lies along the last of the axes."""
    np.testing.assert_allclose(run("normalization", X, axes=[], mean=1.0, variance=4.0), (X - 1) / 2)
    row = [0.0, 1.0, 2.0, 3.0, 4.0]
    found = run("normalization", X, axes=[1, 2], mean=row, variance=[1.0] * 5)
    np.testing.assert_allclose(found, X - np.array(row))
