"""Cases of activations, pooling and resizing (SPEC.md J.7, J.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Case, Net, Numbers, branches, masked, single

from etui.canonical.values import ObjectValue
from etui.core.vocabulary import objects


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for make, names in (
        (rectifier, ("relu", "leaky_relu", "elu")),
        (pool, ("max_pool", "avg_pool")),
        (global_pool, ("global_max_pool", "global_avg_pool")),
        (adaptive_pool, ("adaptive_max_pool", "adaptive_avg_pool")),
    ):
        for op in names:
            for case in make(op):
                yield op, case
    for op, maker in (("activation", activation), ("prelu", prelu), ("softmax", softmax), ("resize", resize)):
        for case in maker():
            yield op, case


# --- activations ------------------------------------------------------------------------------------------------------

OFF_DEFAULT: dict[str, list[dict[str, Any]]] = {
    "celu": [{"alpha": 0.5}],
    "elu": [{"alpha": 0.5}],
    "gelu": [{"approximate": True}],
    "glu": [{"axis": 1}],
    "hard_shrink": [{"threshold": 1.0}],
    "hard_sigmoid": [{"slope": 0.2}],
    "leaky_relu": [{"negative_slope": 0.5}],
    "log_softmax": [{"axis": 1}],
    "relu": [
        {"negative_slope": 0.25},
        {"max_value": 1.5},
        {"threshold": 0.5},
        {"negative_slope": 0.25, "max_value": 2.0, "threshold": 0.75},
    ],
    "soft_shrink": [{"threshold": 1.25}],
    "softmax": [{"axis": 1}],
    "sparsemax": [{"axis": 1}],
    "squareplus": [{"b": 1.0}],
    "threshold": [{"threshold": 0.5, "default_value": -1.25}],
}
"""Configs of the activations that have parameters."""


def every_activation() -> Iterator[Any]:
    """Each activation as an attribute: by its name where it may be, and with its parameters."""
    for name, parameters in objects("activations").items():
        if not any(one.required for one in parameters.values()):
            yield name
        for config in OFF_DEFAULT.get(name, []):
            yield ObjectValue(f"core:activations.{name}", config)


def activation() -> Iterator[Case]:
    """All activations, in one model."""
    n = Numbers("activation")
    x = n(2, 4, 6, low=-4.0, high=4.0)
    x[0, 0, :4], x[0, 1, :4] = [0.0, 0.5, -0.5, 1.0], [-1.0, 3.0, -3.0, 6.5]
    every = [("activation", {"function": value}, ["x"]) for value in every_activation()]
    yield branches("functions", "Each activation, with defaults and without", "CV-4 CV-140 CV-141", {"x": x}, every)
    yield masked("activation", "mask", "The mask is kept", "CV-12", attrs={"function": "sigmoid"})


def rectifier(op: str) -> Iterator[Case]:
    """The activations that are ops."""
    x = Numbers(op)(2, 8, low=-3.0, high=3.0)
    forms: dict[str, list[dict[str, Any]]] = {
        "relu": [
            {},
            {"max_value": 1.5},
            {"negative_slope": 0.25, "threshold": 0.5},
            {"max_value": 1.0, "negative_slope": 0.5},
        ],
        "leaky_relu": [{}, {"negative_slope": 0.125}],
        "elu": [{}, {"alpha": 0.5}],
    }
    every = [(op, attrs, ["x"]) for attrs in forms[op]]
    yield branches("forms", "With its defaults, and others", "CV-141", {"x": x}, every)
    yield masked(op, "mask", "The mask is kept", "CV-12")


def prelu() -> Iterator[Case]:
    """A slope for each place."""
    n = Numbers("prelu")
    yield single("prelu", "all", "A slope for each element", "CV-142", n(2, 3, 2), params={"alpha": n(3, 2)})
    yield single(
        "prelu",
        "shared",
        "One slope along the shared axes",
        "CV-142",
        n(2, 3, 2, 2),
        attrs={"shared_axes": [1, 2]},
        params={"alpha": n(1, 1, 2)},
    )
    yield masked("prelu", "mask", "The mask is kept", "CV-12", params={"alpha": n(4, 3)})


def softmax() -> Iterator[Case]:
    """Shares of 1."""
    n = Numbers("softmax")
    x = n(2, 3, 4, low=-4.0, high=4.0)
    yield single("softmax", "last", "Along the last axis", "CV-143", x)
    yield single("softmax", "two", "Along two axes together", "CV-143", x, attrs={"axes": [1, 2]})
    mask = n.flags(2, 3, 4)
    mask[0, 1] = False
    yield single(
        "softmax",
        "mask",
        "What the mask of the call excludes counts as 0, all of a sum gives 0",
        "CV-143",
        x,
        named={"mask": mask},
    )
    yield masked("softmax", "mask-carried", "A mask that is carried does nothing but go on", "CV-12 CV-143")


# --- pooling ----------------------------------------------------------------------------------------------------------


def pool(op: str) -> Iterator[Case]:
    """Windows."""
    n = Numbers(op)
    clauses = "CV-16 CV-40" if op == "max_pool" else "CV-16 CV-41"

    def one(name: str, title: str, *shape: int, low: float = -2.0, high: float = 2.0, **attrs: Any) -> Case:
        return single(op, name, title, clauses, n(*shape, low=low, high=high), attrs=attrs)

    yield one("valid", "Strides are the window; what is left over does not count", 2, 7, 2, pool_size=[3])
    yield one(
        "same",
        "Padding does not count",
        1,
        5,
        4,
        2,
        low=-2.0,
        high=-0.25,
        pool_size=[3, 2],
        strides=[2, 1],
        padding="same",
    )
    yield one(
        "pairs",
        "Pairs of padding, channels first",
        1,
        2,
        4,
        3,
        low=-2.0,
        high=-0.25,
        pool_size=[2, 2],
        strides=[1, 2],
        padding=[[1, 0], [0, 1]],
        data_format="channels_first",
    )
    if op == "max_pool":
        yield one("dilation", "A dilation", 1, 7, 1, pool_size=[2], strides=[1], dilation=[3])
    else:
        yield one(
            "count",
            "All elements count, those of the padding too",
            1,
            5,
            2,
            pool_size=[3],
            strides=[2],
            padding="same",
            count_padding=True,
        )
    yield one("volume", "Three axes", 1, 2, 3, 4, 1, pool_size=[1, 2, 3])
    yield masked(op, "mask", "The output has no mask", "CV-12", attrs={"pool_size": [1]})


def global_pool(op: str) -> Iterator[Case]:
    """All places."""
    n = Numbers(op)
    yield single(op, "line", "Over one axis", "CV-44", n(2, 4, 3))
    yield single(
        op,
        "first",
        "Channels first, axes kept",
        "CV-15 CV-44",
        n(2, 3, 2, 3),
        attrs={"data_format": "channels_first", "keepdims": True},
    )
    yield single(op, "kept", "Channels last, axes kept", "CV-44", n(1, 2, 3, 2), attrs={"keepdims": True})
    if op == "global_avg_pool":
        mask = n.mask(2, 4)
        yield single(op, "mask", "Over the steps of the mask", "CV-13 CV-44", n(2, 4, 3), named={"mask": mask})
        yield single(
            op,
            "mask-kept",
            "Over the steps of the mask, channels first",
            "CV-44",
            n(2, 3, 4),
            named={"mask": mask},
            attrs={"data_format": "channels_first", "keepdims": True},
        )
        net = Net()
        keep = np.array([[True, False, True, False], [True, True, False, True]])
        before = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 4, 2), 0.0)), name="before")
        net.outputs = [
            net.op(op, before, name="op", call={"mask": net.give("mask", ~keep)}),
            net.op(op, before, name="own"),
        ]
        yield net.case(
            "mask-argument", "A mask that a call gives takes the place of the one that is carried", "CV-13 CV-44"
        )


def adaptive_pool(op: str) -> Iterator[Case]:
    """So many windows."""
    n = Numbers(op)
    yield single(op, "overlapping", "Windows that share elements", "CV-42", n(2, 5, 2), attrs={"output_size": [3]})
    yield single(
        op,
        "more",
        "More windows than elements; channels first",
        "CV-15 CV-42",
        n(1, 2, 3, 4),
        attrs={"output_size": [5, 2], "data_format": "channels_first"},
    )


def resize() -> Iterator[Case]:
    """Other numbers of elements."""
    n = Numbers("resize")
    for kind in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        more: dict[str, Any] = {} if kind == "nearest" else {"interpolation": kind}
        net = Net()
        x = net.give("x", n(1, 4, 6, 1))
        sizes: list[dict[str, Any]] = [{"size": [7, 4]}, {"size": [3, 6], "antialias": True}, {"scale": [2, 1]}]
        net.outputs = [net.op("resize", x, name=f"op_{index}", **size, **more) for index, size in enumerate(sizes)]
        yield net.case(kind, f"{kind}: larger and smaller, with antialias, and by a scale", "CV-43")
    first = {"data_format": "channels_first", "size": [2, 5], "interpolation": "bilinear"}
    yield single("resize", "first", "Channels first; without antialias", "CV-15 CV-43", n(1, 2, 5, 3), attrs=first)
