"""Convolutions, against their sums written out element by element."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError

Run = Callable[..., Any]
RNG = np.random.default_rng(21)


def summed(x: Any, kernel: Any, *, stride: int, dilation: int, before: int, length: int) -> Any:
    """A convolution over one axis, one product at a time."""
    y = np.zeros((len(x), length, kernel.shape[-1]))
    for b, o, k, c, j in product(*(range(n) for n in (*y.shape[:2], *kernel.shape))):
        place = o * stride + k * dilation - before
        if 0 <= place < x.shape[1]:
            y[b, o, j] += x[b, place, c] * kernel[k, c, j]
    return y


@pytest.mark.clause("CV-16@761994", "CV-18@02c720")
@pytest.mark.parametrize(
    ("padding", "size", "stride", "dilation", "before", "length"),
    [
        ("valid", 7, 1, 1, 0, 5),
        ("valid", 8, 2, 1, 0, 3),
        ("same", 7, 1, 1, 1, 7),
        ("same", 6, 2, 1, 0, 3),
        ("same", 7, 2, 1, 1, 4),
        ("same", 7, 1, 2, 2, 7),
        ("causal", 7, 1, 2, 4, 7),
        ([[2, 1]], 7, 3, 1, 2, 3),
    ],
)
def test_padding_of_every_kind(
    run: Run, padding: Any, size: int, *, stride: int, dilation: int, before: int, length: int
) -> None:
    """Each kind of padding puts as many zeros before the axis as the formula says."""
    x, kernel = RNG.normal(size=(2, size, 3)), RNG.normal(size=(3, 3, 4))
    attrs: dict[str, Any] = {"filters": 4, "kernel_size": [3], "use_bias": False}
    attrs |= {"strides": [stride]} | ({} if padding == "valid" else {"padding": padding})
    attrs |= {} if dilation == 1 else {"dilation": [dilation]}
    found = run("conv", x, params={"kernel": kernel}, **attrs)
    np.testing.assert_allclose(
        found, summed(x, kernel, stride=stride, dilation=dilation, before=before, length=length), rtol=1e-12, atol=1e-13
    )


@pytest.mark.clause("CV-18@02c720")
def test_groups_see_their_own_inputs(run: Run) -> None:
    """With two groups, each half of the filters is a convolution of its half of the channels."""
    x, kernel = RNG.normal(size=(2, 5, 5, 4)), RNG.normal(size=(2, 2, 2, 6))
    attrs: dict[str, Any] = {"kernel_size": [2, 2], "use_bias": False}
    found = run("conv", x, params={"kernel": kernel}, filters=6, groups=2, **attrs)
    for half in (0, 1):
        inputs, filters = x[..., 2 * half : 2 * half + 2], kernel[..., 3 * half : 3 * half + 3]
        alone = run("conv", inputs, params={"kernel": filters}, filters=3, **attrs)
        np.testing.assert_allclose(found[..., 3 * half : 3 * half + 3], alone, rtol=1e-13)


@pytest.mark.clause("CV-15@acd6de", "CV-14@27c81e")
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("op", ["conv", "depthwise_conv", "separable_conv", "conv_transpose"])
def test_channels_first_is_the_same_with_the_axes_moved(run: Run, op: str, rank: int) -> None:
    """The output for channels_first is that for channels_last with the channels as the second axis."""
    x, size = RNG.normal(size=(2, *range(4, 4 + rank), 2)), [2] * rank
    shapes = {
        "conv": {"kernel": (*size, 2, 3), "bias": (3,)},
        "depthwise_conv": {"kernel": (*size, 2, 2), "bias": (4,)},
        "separable_conv": {
            "depthwise_kernel": (*size, 2, 2),
            "pointwise_kernel": (*[1] * rank, 4, 3),
            "bias": (3,),
        },
        "conv_transpose": {"kernel": (*size, 3, 2), "bias": (3,)},
    }[op]
    params = {role: RNG.normal(size=shape) for role, shape in shapes.items()}
    attrs: dict[str, Any] = {"kernel_size": size, "strides": [2] * rank, "padding": "same", "activation": "relu"}
    attrs |= {} if op == "depthwise_conv" else {"filters": 3}
    attrs |= {"depth_multiplier": 2} if op in ("depthwise_conv", "separable_conv") else {}
    last = run(op, x, params=params, **attrs)
    first = run(op, np.moveaxis(x, -1, 1), params=params, data_format="channels_first", **attrs)
    assert last.max() > 0
    np.testing.assert_allclose(np.moveaxis(first, 1, -1), last, rtol=1e-13)


@pytest.mark.clause("CV-19@a84e7b")
def test_depthwise_is_a_convolution_with_a_group_for_each_channel(run: Run) -> None:
    """A depthwise convolution is a grouped one, and a separable one is it and a product with the pointwise kernel."""
    x, kernel, point = RNG.normal(size=(2, 5, 6, 3)), RNG.normal(size=(3, 2, 3, 2)), RNG.normal(size=(1, 1, 6, 4))
    attrs: dict[str, Any] = {"kernel_size": [3, 2], "padding": "same", "use_bias": False}
    found = run("depthwise_conv", x, params={"kernel": kernel}, depth_multiplier=2, **attrs)
    grouped = kernel.reshape(3, 2, 1, 6)
    np.testing.assert_allclose(found, run("conv", x, params={"kernel": grouped}, filters=6, groups=3, **attrs))
    both = {"depthwise_kernel": kernel, "pointwise_kernel": point}
    separable = run("separable_conv", x, params=both, depth_multiplier=2, filters=4, **attrs)
    np.testing.assert_allclose(separable, found @ point[0, 0], rtol=1e-12)


def transposed(x: Any, kernel: Any, stride: int, dilation: int) -> Any:
    """The full result of a transposed convolution over one axis, one product at a time."""
    y = np.zeros((len(x), (x.shape[1] - 1) * stride + (len(kernel) - 1) * dilation + 1, kernel.shape[1]))
    for b, i, k, j, c in product(*(range(n) for n in (*x.shape[:2], *kernel.shape))):
        y[b, i * stride + k * dilation, j] += x[b, i, c] * kernel[k, j, c]
    return y


@pytest.mark.clause("CV-20@4b557a")
@pytest.mark.parametrize(
    ("padding", "extra", "stride", "dilation", "before", "length"),
    [
        ("valid", None, 2, 1, 0, 9),
        ("valid", None, 5, 1, 0, 20),
        ("valid", [1], 2, 1, 0, 10),
        ("same", None, 1, 1, 1, 4),
        ("same", None, 2, 1, 0, 8),
        ("same", [1], 2, 1, 0, 8),
        ("same", [0], 2, 1, 1, 7),
        ("same", None, 5, 1, 0, 20),
        ("same", None, 1, 2, 2, 4),
        ([[1, 2]], None, 2, 1, 1, 6),
        ([[1, 1]], [1], 2, 1, 1, 8),
    ],
)
def test_a_transposed_convolution_is_cut_from_the_full_result(
    run: Run, padding: Any, extra: Any, *, stride: int, dilation: int, before: int, length: int
) -> None:
    """The output begins at the place of the table and has its length, with zeros beyond the end of the full result."""
    x, kernel = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(3, 2, 3))
    attrs: dict[str, Any] = {"filters": 2, "kernel_size": [3], "strides": [stride], "use_bias": False}
    attrs |= ({} if padding == "valid" else {"padding": padding}) | ({} if extra is None else {"output_padding": extra})
    attrs |= {} if dilation == 1 else {"dilation": [dilation]}
    full = np.pad(transposed(x, kernel, stride, dilation), [(0, 0), (0, 20), (0, 0)])
    found = run("conv_transpose", x, params={"kernel": kernel}, **attrs)
    np.testing.assert_allclose(found, full[:, before : before + length], rtol=1e-12, atol=1e-13)


@pytest.mark.clause("CV-20@4b557a")
def test_a_transposed_convolution_is_the_gradient_of_a_convolution(run: Run) -> None:
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩ for the same kernel, whose inputs and outputs change places."""
    x, y = RNG.normal(size=(1, 8, 8, 2)), RNG.normal(size=(1, 4, 4, 3))
    kernel = RNG.normal(size=(3, 3, 2, 3))
    attrs: dict[str, Any] = {"kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "use_bias": False}
    forth = run("conv", x, params={"kernel": kernel}, filters=3, **attrs)
    back = run("conv_transpose", y, params={"kernel": kernel}, filters=2, **attrs)
    np.testing.assert_allclose((forth * y).sum(), (x * back).sum(), rtol=1e-12)


@pytest.mark.library
@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 5, 5, 5, 3), (2, 1, 5, 3)])
def test_a_tensor_of_another_rank_or_too_small_is_refused(run: Run, shape: tuple[int, ...]) -> None:
    """The error names the module, the op and the shape that was found."""
    kernel = RNG.normal(size=(2, 2, 3, 4))
    with pytest.raises(EtuiError, match=r"op \(core:conv\).*core-evaluate"):
        run("conv", RNG.normal(size=shape), params={"kernel": kernel}, filters=4, kernel_size=[2, 2], use_bias=False)
