"""Cases of linear ops and convolutions (SPEC.md J.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Case, Numbers, masked, single

from etui.canonical.values import ObjectValue


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op, maker in (
        ("dense", dense),
        ("einsum_dense", einsum_dense),
        ("embedding", embedding),
        ("conv", conv),
        ("conv_transpose", conv_transpose),
        ("depthwise_conv", depthwise_conv),
        ("separable_conv", separable_conv),
    ):
        for case in maker():
            yield op, case


def dense() -> Iterator[Case]:
    """A product with a kernel."""
    n = Numbers("dense")
    params = {"kernel": n.kernel(3, 2), "bias": n.kernel(2)}
    relu = ObjectValue("core:activations.leaky_relu", {"negative_slope": 0.1})
    plain: dict[str, Any] = {"attrs": {"units": 2}, "params": params}
    yield single("dense", "bias", "The kernel, then the bias", "CV-9 CV-17", n(2, 3), **plain)
    yield single(
        "dense",
        "activation",
        "The activation comes after the bias; an object of it has its parameters",
        "CV-14 CV-17 CV-140",
        n(4, 3),
        attrs={"units": 2, "activation": relu},
        params=params,
    )
    yield single(
        "dense",
        "no-bias",
        "Without a bias, over the last axis of three",
        "CV-17",
        n(2, 4, 3),
        attrs={"units": 2, "use_bias": False, "activation": "tanh"},
        params={"kernel": n.kernel(3, 2)},
    )
    yield masked("dense", "mask", "The mask of the input is that of the output", "CV-12", **plain)


def einsum_dense() -> Iterator[Case]:
    """Products by an equation."""
    n = Numbers("einsum_dense")
    yield single(
        "einsum_dense",
        "two-axes",
        "One axis of features becomes two, with a bias along one of them",
        "CV-14 CV-17",
        n(2, 3, 4),
        attrs={"equation": "abc,cde->abde", "output_shape": [3, 2, 3], "bias_axes": "e", "activation": "relu"},
        params={"kernel": n.kernel(4, 2, 3), "bias": n.kernel(3)},
    )
    yield single(
        "einsum_dense",
        "ellipsis",
        "... stands for any axes",
        "CV-17",
        n(2, 3, 2, 4),
        attrs={"equation": "...x,xy->...y", "output_shape": [3]},
        params={"kernel": n.kernel(4, 3)},
    )
    yield masked(
        "einsum_dense",
        "mask",
        "The output has no mask",
        "CV-12",
        attrs={"equation": "abc,cd->abd", "output_shape": [4, 2]},
        params={"kernel": n.kernel(3, 2)},
    )


def embedding() -> Iterator[Case]:
    """Rows of a table."""
    n = Numbers("embedding")
    table = n(5, 3)
    indices = np.array([[0, 4, 2], [3, 0, 1]])
    attrs = {"input_dim": 5, "output_dim": 3}
    for name, title, more in (
        ("rows", "The rows that the indices name; no mask", {}),
        ("mask-zero", "With mask_zero the index 0 is masked", {"mask_zero": True}),
    ):
        yield single(
            "embedding",
            name,
            title,
            "CV-12 CV-21",
            indices,
            attrs=attrs | more,
            params={"embeddings": table},
            mean_after=True,
        )
    yield single("embedding", "plain", "All rows", "CV-21", indices, attrs=attrs, params={"embeddings": table})


def conv() -> Iterator[Case]:
    """Convolutions over one to three axes."""
    n = Numbers("conv")

    def one(
        name: str,
        title: str,
        clauses: str,
        x: tuple[int, ...],
        kernel: tuple[int, ...],
        *,
        bias: bool = False,
        **attrs: object,
    ) -> Case:
        params = {"kernel": n.kernel(*kernel)} | ({"bias": n.kernel(kernel[-1])} if bias else {})
        own = {"filters": kernel[-1], "kernel_size": list(kernel[:-2]), **attrs} | ({} if bias else {"use_bias": False})
        return single("conv", name, title, clauses, n(*x), attrs=own, params=params)

    yield one(
        "line", "One axis, with a bias; the kernel is not flipped", "CV-16 CV-18", (2, 6, 2), (3, 2, 3), bias=True
    )
    yield one(
        "strides",
        "Different strides, and a window that is left over",
        "CV-16 CV-18",
        (1, 6, 5, 2),
        (3, 2, 2, 2),
        strides=[2, 3],
    )
    yield one(
        "same",
        "Same: what is odd of the padding comes after",
        "CV-16 CV-18",
        (1, 5, 6, 1),
        (4, 2, 1, 2),
        padding="same",
        strides=[2, 1],
        bias=True,
    )
    yield one(
        "same-wide",
        "Same, where strides are wider than windows, and where they make the padding less",
        "CV-16",
        (1, 6, 6, 1),
        (1, 3, 1, 1),
        padding="same",
        strides=[3, 2],
    )
    yield one("causal", "Causal, with a dilation", "CV-16 CV-18", (2, 6, 2), (3, 2, 2), padding="causal", dilation=[2])
    yield one(
        "pairs",
        "Pairs of padding, and a dilation in one axis",
        "CV-16 CV-18",
        (1, 4, 5, 1),
        (2, 2, 1, 2),
        padding=[[1, 0], [0, 2]],
        dilation=[1, 3],
    )
    yield one("groups", "Two groups of inputs and filters", "CV-18", (2, 5, 4), (2, 2, 6), groups=2, bias=True)
    yield one(
        "channels-first",
        "Channels on the second axis; the activation sees them there",
        "CV-14 CV-15 CV-18",
        (1, 2, 4, 3),
        (2, 2, 2, 4),
        data_format="channels_first",
        activation=ObjectValue("core:activations.softmax", {"axis": 1}),
        bias=True,
    )
    yield one("volume", "Three axes", "CV-18", (1, 3, 3, 4, 2), (2, 2, 3, 2, 2), strides=[1, 1, 2])
    yield masked(
        "conv",
        "mask",
        "The output has no mask",
        "CV-12",
        attrs={"filters": 2, "kernel_size": [1], "use_bias": False},
        params={"kernel": n.kernel(1, 3, 2)},
    )


def conv_transpose() -> Iterator[Case]:
    """Transposed convolutions, by the lines of the table of CV-20."""
    n = Numbers("conv_transpose")

    def one(
        name: str, title: str, x: tuple[int, ...], kernel: tuple[int, ...], *, bias: bool = False, **attrs: object
    ) -> Case:
        params = {"kernel": n.kernel(*kernel)} | ({"bias": n.kernel(kernel[-2])} if bias else {})
        own = {"filters": kernel[-2], "kernel_size": list(kernel[:-2]), **attrs} | ({} if bias else {"use_bias": False})
        return single("conv_transpose", name, title, "CV-14 CV-15 CV-20", n(*x), attrs=own, params=params)

    yield one("valid", "Valid, with strides below the window", (2, 4, 2), (3, 3, 2), strides=[2], bias=True)
    yield one(
        "valid-wide", "Valid, with strides beyond the window: zeros at the end", (1, 3, 2), (2, 2, 2), strides=[4]
    )
    yield one("valid-padding", "Valid, with an output padding", (1, 3, 1), (2, 2, 1), strides=[3], output_padding=[2])
    yield one("same", "Same: n times the stride", (1, 3, 4, 2), (3, 4, 2, 2), strides=[2, 3], padding="same", bias=True)
    yield one(
        "same-padding",
        "Same, with an output padding and an even window",
        (1, 4, 1),
        (4, 2, 1),
        strides=[2],
        padding="same",
        output_padding=[1],
    )
    yield one(
        "same-odd",
        "Same, with an output padding of 0 and an odd window",
        (1, 3, 1),
        (3, 1, 1),
        strides=[2],
        padding="same",
        output_padding=[0],
    )
    yield one("pairs", "A pair of cuts", (1, 4, 3, 1), (3, 2, 2, 1), strides=[2, 1], padding=[[1, 0], [0, 1]])
    yield one(
        "pairs-padding",
        "A pair of cuts and an output padding beyond the end",
        (1, 4, 1),
        (2, 2, 1),
        strides=[3],
        padding=[[0, 1]],
        output_padding=[2],
        bias=True,
    )
    yield one("dilation", "A dilation, valid and same", (1, 4, 4, 2), (2, 3, 1, 2), dilation=[3, 2])
    yield one("dilation-same", "A dilation with same", (1, 4, 2), (3, 1, 2), dilation=[2], padding="same")
    yield one(
        "channels-first",
        "Channels on the second axis",
        (2, 3, 4),
        (2, 2, 3),
        strides=[2],
        data_format="channels_first",
        activation="relu",
        bias=True,
    )


def depthwise_conv() -> Iterator[Case]:
    """Convolutions of each channel."""
    n = Numbers("depthwise_conv")

    def one(
        name: str, title: str, x: tuple[int, ...], kernel: tuple[int, ...], *, bias: bool = False, **attrs: object
    ) -> Case:
        params = {"kernel": n.kernel(*kernel)} | ({"bias": n.kernel(kernel[-2] * kernel[-1])} if bias else {})
        own = {"kernel_size": list(kernel[:-2]), **attrs} | ({} if bias else {"use_bias": False})
        own |= {"depth_multiplier": kernel[-1]} if kernel[-1] > 1 else {}
        return single("depthwise_conv", name, title, "CV-14 CV-15 CV-16 CV-19", n(*x), attrs=own, params=params)

    yield one(
        "multiplier", "Each channel gives two, side by side", (1, 5, 4, 2), (2, 3, 2, 2), bias=True, activation="tanh"
    )
    yield one("same", "Same, with strides", (2, 5, 3), (3, 3, 1), padding="same", strides=[2])
    yield one(
        "dilation", "A dilation and channels first", (1, 2, 6), (2, 2, 2), dilation=[3], data_format="channels_first"
    )


def separable_conv() -> Iterator[Case]:
    """A depthwise convolution and a product of its channels."""
    n = Numbers("separable_conv")
    params = {"depthwise_kernel": n.kernel(2, 2, 2, 2), "pointwise_kernel": n.kernel(1, 1, 4, 3), "bias": n.kernel(3)}
    attrs = {"kernel_size": [2, 2], "filters": 3, "depth_multiplier": 2}
    yield single(
        "separable_conv",
        "image",
        "Bias and activation come after the second product alone",
        "CV-14 CV-19",
        n(1, 4, 5, 2),
        attrs=attrs | {"activation": "relu"},
        params=params,
    )
    yield single(
        "separable_conv",
        "first-same",
        "Channels first, same, with strides",
        "CV-15 CV-16 CV-19",
        n(1, 2, 5, 4),
        attrs=attrs | {"data_format": "channels_first", "padding": "same", "strides": [2, 2]},
        params=params,
    )
    yield single(
        "separable_conv",
        "line",
        "One axis, causal, with a dilation and without a bias",
        "CV-16 CV-19",
        n(2, 6, 3),
        attrs={"kernel_size": [2], "filters": 2, "padding": "causal", "dilation": [2], "use_bias": False},
        params={"depthwise_kernel": n.kernel(2, 3, 1), "pointwise_kernel": n.kernel(1, 3, 2)},
    )
