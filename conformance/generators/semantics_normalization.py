"""Cases of normalization (SPEC.md J.4)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from semantics_cases import Case, Numbers, masked, single


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op, maker in (
        ("batch_norm", batch_norm),
        ("layer_norm", layer_norm),
        ("rms_norm", rms_norm),
        ("group_norm", group_norm),
        ("unit_norm", unit_norm),
        ("normalization", normalization),
    ):
        for case in maker():
            yield op, case


def batch_norm() -> Iterator[Case]:
    """Normalization by the batch, and by what was seen."""
    n = Numbers("batch_norm")

    def params(channels: int) -> dict[str, object]:
        return {
            "gamma": n(channels),
            "beta": n(channels),
            "moving_mean": n(channels),
            "moving_variance": n.positive(channels),
        }

    def one(name: str, title: str, clauses: str, *shape: int, channels: int, training: bool, **more: object) -> Case:
        own = {key: value for key, value in more.items() if key != "named"}
        return single(
            "batch_norm",
            name,
            title,
            clauses,
            n(*shape),
            attrs=own,
            params=params(channels),  # type: ignore[arg-type]
            named=more.get("named"),  # type: ignore[arg-type]
            training=training,
        )

    yield one("inference", "By the moving statistics", "CV-11 CV-25", 3, 4, channels=4, training=False, epsilon=0.125)
    yield one(
        "training",
        "By the batch, whose statistics move the moving ones",
        "CV-11 CV-25 CV-26",
        4,
        2,
        3,
        channels=3,
        training=True,
        momentum=0.75,
        epsilon=0.25,
    )
    yield one("defaults", "Momentum 0.99 and epsilon 0.001", "CV-25 CV-26", 3, 2, channels=2, training=True)
    yield one(
        "unbiased",
        "The moving variance is the unbiased one, the divisor is not",
        "CV-25 CV-26",
        3,
        2,
        2,
        channels=2,
        training=True,
        moving_variance="unbiased",
        momentum=0.5,
    )
    yield one("axis", "Channels on the second axis", "CV-25", 2, 3, 2, channels=3, training=True, axis=1)
    yield one(
        "frozen",
        "What is not trainable computes as in inference, and does not move",
        "CV-8 CV-25",
        4,
        2,
        channels=2,
        training=True,
        trainable=False,
    )
    yield one(
        "call-inference",
        "The call's own argument stands before the mode",
        "CV-11",
        4,
        2,
        channels=2,
        training=True,
        named={"training": False},
    )
    yield one(
        "call-training", "A call may train alone", "CV-11", 4, 2, channels=2, training=False, named={"training": True}
    )
    yield one(
        "masked",
        "Only what the mask leaves counts",
        "CV-27",
        2,
        4,
        2,
        channels=2,
        training=True,
        named={"mask": n.mask(2, 4)},
        momentum=0.5,
    )
    yield one(
        "masked-unbiased",
        "The number of elements is that of those that count",
        "CV-26 CV-27",
        3,
        3,
        2,
        channels=2,
        training=True,
        named={"mask": n.mask(3, 3)},
        moving_variance="unbiased",
        momentum=0.5,
    )
    bare = {"moving_mean": n(3), "moving_variance": n.positive(3)}
    yield single(
        "batch_norm",
        "bare",
        "Without gamma and beta",
        "CV-25",
        n(2, 3),
        attrs={"center": False, "scale": False},
        params=bare,
    )
    attrs = {"center": False, "scale": False}
    yield masked(
        "batch_norm",
        "mask",
        "A mask that is carried counts, and is kept",
        "CV-12 CV-27",
        attrs=attrs,
        params=bare,
        training=True,
    )


def layer_norm() -> Iterator[Case]:
    """Normalization of each example."""
    n = Numbers("layer_norm")
    yield single(
        "layer_norm",
        "last",
        "Over the last axis",
        "CV-28",
        n(2, 3, 4),
        attrs={"epsilon": 0.125},
        params={"gamma": n(4), "beta": n(4)},
    )
    yield single(
        "layer_norm",
        "two",
        "Over two axes, which gamma and beta lie along in rising order",
        "CV-7 CV-28",
        n(2, 3, 4),
        attrs={"axes": [-1, 1]},
        params={"gamma": n(3, 4), "beta": n(3, 4)},
    )
    yield single(
        "layer_norm",
        "bare",
        "Over the second axis, without gamma",
        "CV-28",
        n(2, 3, 2),
        attrs={"axes": [1], "scale": False},
        params={"beta": n(3)},
    )
    yield single(
        "layer_norm", "all", "Null is all axes", "CV-28", n(2, 3), attrs={"axes": None, "scale": False, "center": False}
    )
    yield masked("layer_norm", "mask", "The mask is kept", "CV-12", attrs={"scale": False}, params={"beta": n(3)})


def rms_norm() -> Iterator[Case]:
    """Division by the root of the mean square."""
    n = Numbers("rms_norm")
    yield single(
        "rms_norm", "scale", "With a scale", "CV-28", n(2, 3, 4), attrs={"epsilon": 0.125}, params={"scale": n(4)}
    )
    yield single(
        "rms_norm", "two", "Over two axes", "CV-28", n(2, 3, 2), attrs={"axes": [1, 2]}, params={"scale": n(3, 2)}
    )
    yield single("rms_norm", "bare", "Without a scale", "CV-28", n(2, 3) / 1024, attrs={"scale": False})
    yield masked("rms_norm", "mask", "The output has no mask", "CV-12", params={"scale": n(3)})


def group_norm() -> Iterator[Case]:
    """Normalization of runs of channels."""
    n = Numbers("group_norm")
    yield single(
        "group_norm",
        "image",
        "Two runs of channels",
        "CV-28",
        n(2, 3, 2, 4),
        attrs={"groups": 2, "epsilon": 0.125},
        params={"gamma": n(4), "beta": n(4)},
    )
    yield single(
        "group_norm",
        "axis",
        "Channels on the second axis, three runs",
        "CV-28",
        n(2, 6, 3),
        attrs={"groups": 3, "axis": 1, "center": False},
        params={"gamma": n(6)},
    )
    yield masked(
        "group_norm", "mask", "The mask is kept", "CV-12", attrs={"groups": 1, "center": False, "scale": False}
    )


def unit_norm() -> Iterator[Case]:
    """Vectors of length 1."""
    n = Numbers("unit_norm")
    x = n(2, 3, 4)
    x[0, 0] = 0.0
    yield single("unit_norm", "last", "Zeros stay zeros", "CV-28", x)
    yield single(
        "unit_norm", "short", "What is shorter than epsilon is divided by it", "CV-28", x / 8, attrs={"epsilon": 0.25}
    )
    yield single("unit_norm", "two", "Over two axes", "CV-28", x, attrs={"axes": [0, 2]})
    yield masked("unit_norm", "mask", "The mask is kept", "CV-12")


def normalization() -> Iterator[Case]:
    """Normalization by statistics that are known."""
    n = Numbers("normalization")
    spread = n.positive(4)
    spread[1] = 0.0
    params = {"mean": n(4), "variance": spread, "count": np.asarray(7)}
    yield single(
        "normalization",
        "variables",
        "Statistics that are variables; a variance of 0",
        "CV-6 CV-29",
        n(2, 4),
        params=params,
    )
    yield single(
        "normalization", "invert", "Back from it", "CV-6 CV-29", n(2, 4), attrs={"invert": True}, params=params
    )
    yield single(
        "normalization",
        "numbers",
        "One number for all, with no axis",
        "CV-6 CV-29",
        n(2, 3),
        attrs={"axes": [], "mean": 0.5, "variance": 2.25},
    )
    yield single(
        "normalization",
        "aligned",
        "A list lies along the last of two axes",
        "CV-6 CV-29",
        n(2, 3, 2),
        attrs={"axes": [1, 2], "mean": [0.5, -1.0], "variance": [[1.0, 4.0], [0.25, 2.25], [1.0, 9.0]]},
    )
    yield single(
        "normalization",
        "two-axes",
        "Variables along two axes",
        "CV-7 CV-29",
        n(2, 3, 2),
        attrs={"axes": [2, 1]},
        params={"mean": n(3, 2), "variance": n.positive(3, 2), "count": np.asarray(7)},
    )
    yield masked("normalization", "mask", "The mask is kept", "CV-12", attrs={"mean": 0.5, "variance": 4.0, "axes": []})
