"""Pooling and resizing, against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Run = Callable[..., Any]
RNG = np.random.default_rng(22)
LINE = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0]).reshape(1, 7, 1)


@pytest.mark.clause("CV-40@ff623d", "CV-16@761994")
@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"pool_size": [2]}, [3, 4, 9]),
        ({"pool_size": [3], "strides": [1]}, [4, 4, 4, 9, 9]),
        ({"pool_size": [2], "padding": "same"}, [3, 4, 9, 2]),
        ({"pool_size": [3], "strides": [2], "padding": [[1, 1]]}, [3, 4, 9, 9]),
        ({"pool_size": [2], "strides": [1], "dilation": [3]}, [3, -1, 9, 2]),
    ],
)
def test_max_pool(run: Run, attrs: dict[str, Any], expected: list[float]) -> None:
    """The largest of each window; padding does not count even where all elements are negative."""
    assert run("max_pool", LINE, **attrs).ravel().tolist() == expected
    low = run("max_pool", LINE - 100, **attrs).ravel()
    np.testing.assert_allclose(low, np.array(expected) - 100)


@pytest.mark.clause("CV-41@5fa35a")
@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"pool_size": [2]}, [1, 2.5, 2]),
        ({"pool_size": [2], "padding": "same"}, [1, 2.5, 2, 2]),
        ({"pool_size": [2], "padding": [[0, 1]], "count_padding": True}, [1, 2.5, 2, 1]),
        ({"pool_size": [3], "strides": [3], "padding": [[1, 1]]}, [1, 0, 5.5]),
    ],
)
def test_avg_pool(run: Run, attrs: dict[str, Any], expected: list[float]) -> None:
    """The mean of each window, of the elements that are no padding or of all."""
    np.testing.assert_allclose(run("avg_pool", LINE, **attrs).ravel(), expected, atol=1e-15)


@pytest.mark.clause("CV-44@2e4829", "CV-15@acd6de")
@pytest.mark.parametrize("op", ["global_max_pool", "global_avg_pool"])
def test_global_pooling(run: Run, op: str) -> None:
    """Over all spatial axes of either data format, which stay with keepdims."""
    x = RNG.normal(size=(2, 3, 4, 5))
    expected = x.max(axis=(1, 2)) if op == "global_max_pool" else x.mean(axis=(1, 2))
    np.testing.assert_allclose(run(op, x), expected)
    first = run(op, np.moveaxis(x, -1, 1), data_format="channels_first", keepdims=True)
    np.testing.assert_allclose(first, expected[:, :, None, None])


@pytest.mark.clause("CV-44@2e4829")
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_the_mean_over_time_leaves_masked_steps_out(run: Run, data_format: str) -> None:
    """With a mask, the mean is of the steps that count."""
    x, mask = RNG.normal(size=(1, 4, 3)), np.array([[True, False, True, False]])
    given = x if data_format == "channels_last" else np.moveaxis(x, -1, 1)
    attrs = {} if data_format == "channels_last" else {"data_format": data_format}
    found = run("global_avg_pool", given, kwargs={"mask": mask}, **attrs)
    np.testing.assert_allclose(found, (x[:, 0] + x[:, 2]) / 2)


@pytest.mark.clause("CV-42@459ad8")
def test_adaptive_windows_cover_the_axis(run: Run) -> None:
    """Seven elements as three windows are 0 to 2, 2 to 4 and 4 to 6, which overlap."""
    assert run("adaptive_max_pool", LINE, output_size=[3]).ravel().tolist() == [4, 4, 9]
    np.testing.assert_allclose(run("adaptive_avg_pool", LINE, output_size=[3]).ravel(), [2, 0, 2])
    x = RNG.normal(size=(2, 5, 6, 3))
    np.testing.assert_allclose(run("adaptive_avg_pool", x, output_size=[1, 1])[:, 0, 0], x.mean(axis=(1, 2)))
    np.testing.assert_allclose(run("adaptive_avg_pool", x, output_size=[5, 6]), x)


@pytest.mark.clause("CV-43@712b51")
@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"scale": [2]}, [0, 0, 4, 4, 8, 8]),
        ({"size": [2]}, [0, 8]),
        ({"scale": [2], "interpolation": "bilinear"}, [0, 1, 3, 5, 7, 8]),
        ({"size": [1], "interpolation": "bilinear"}, [4]),
        ({"size": [1], "interpolation": "bilinear", "antialias": True}, [4]),
        ({"size": [3], "interpolation": "lanczos3"}, [0, 4, 8]),
    ],
)
def test_resize_of_a_line(run: Run, attrs: dict[str, Any], expected: list[float]) -> None:
    """Three elements resized by each method whose numbers can be worked out."""
    x = np.array([0.0, 4.0, 8.0]).reshape(1, 3, 1)
    np.testing.assert_allclose(run("resize", x, **attrs).ravel(), expected, atol=1e-14)


@pytest.mark.clause("CV-43@712b51")
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos3", "lanczos5"])
@pytest.mark.parametrize("antialias", [False, True])
def test_resize_keeps_what_is_constant(run: Run, interpolation: str, antialias: bool) -> None:
    """The weights of an element add up to one, so a constant image stays constant, each axis by itself."""
    x = np.broadcast_to(np.array([2.0, -3.0]), (1, 5, 4, 2)).copy()
    attrs = {"antialias": True} if antialias else {}
    found = run("resize", x, size=[3, 9], interpolation=interpolation, **attrs)
    np.testing.assert_allclose(found, np.broadcast_to([2.0, -3.0], (1, 3, 9, 2)), rtol=1e-13)


@pytest.mark.clause("CV-43@712b51")
def test_the_cubic_of_keys_at_a_half(run: Run) -> None:
    """An inner element spreads over a doubled axis by the cubic's weights at odd eighths: 111, 29, -9 and -3 of 128."""
    x = np.zeros((1, 8, 1))
    x[0, 4] = 128
    found = run("resize", x, scale=[2], interpolation="bicubic").ravel()
    np.testing.assert_allclose(found[[8, 9]], [111, 111], atol=1e-12)
    np.testing.assert_allclose(found[[7, 10]], [29, 29], atol=1e-12)
    np.testing.assert_allclose(found[[6, 11]], [-9, -9], atol=1e-12)
    np.testing.assert_allclose(found[[5, 12]], [-3, -3], atol=1e-12)
