"""Cases of arithmetic: several tensors as one, functions of elements, reductions (SPEC.md J.10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Array, Case, Net, Numbers, branches, masked, single

from etui.core.vocabulary import ops


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op in ("add", "mul", "mean", "max", "min", "sub"):
        for case in merge(op):
            yield op, case
    for op, maker in (
        ("dot", dot),
        ("matmul", matmul),
        ("einsum", einsum),
        ("unary", unary),
        ("binary", binary),
        ("clip", clip),
        ("where", where),
        ("reduce", reduce),
        ("arg_reduce", arg_reduce),
    ):
        for case in maker():
            yield op, case


def merge(op: str) -> Iterator[Case]:
    """Several tensors as one."""
    n = Numbers(op)
    if op == "sub":
        yield single(op, "two", "The first without the second, broadcast", "CV-60", n(2, 3, 2), n(2, 1, 2))
        yield single(op, "rank", "An input of a lower rank gets axes behind the batch", "CV-60", n(2, 2, 2), n(2, 2))
    else:
        yield single(
            op,
            "three",
            "Three inputs, element by element, broadcast",
            "CV-60",
            n(2, 3, 2),
            n(2, 1, 2),
            n(2, 3, 1),
            as_list=True,
        )
        yield single(
            op,
            "rank",
            "An input of a lower rank gets axes behind the batch",
            "CV-60",
            n(2, 2),
            n(2, 2, 2),
            as_list=True,
        )
        net = Net()
        net.outputs = [net.op(op, [net.give("x", n(2, 3)), 0.75], name="op")]
        yield net.case("number", "A number stands for a tensor", "CV-9 CV-60")
    for name, title, second in (
        (
            "mask",
            "A step counts where one of the masks is true; what a mask excludes is left out where the op says so",
            True,
        ),
        ("mask-one", "Where an input has no mask, the output has none", False),
    ):
        net = Net()
        masks = (
            np.array([[True, True, False, False], [True, True, False, True]]),
            np.array([[True, False, True, False], [False, True, True, False]]),
        )
        # Steps hold no zeros, which a masked element would become: the masks are arguments of an op that keeps them.
        refs = []
        for index, mask in enumerate(masks):
            ref = net.give(f"in_{index}", n.positive(2, 4, 2))
            if second or not index:
                ref = net.op(
                    "batch_norm",
                    ref,
                    name=f"before_{index}",
                    call={"mask": net.give(f"mask_{index}", mask)},
                    **_PLAIN_NORM,
                )
            refs.append(ref)
        found = net.op(op, *([refs] if op != "sub" else refs), name="op")
        net.outputs = [found, net.op("global_avg_pool", found, name="after")]
        yield net.case(name, title, "CV-12 CV-13 CV-61" + (" CV-69" if op in ("mul", "max", "min") else ""))


_PLAIN_NORM: dict[str, Any] = {
    "center": False,
    "scale": False,
    "epsilon": 0.0,
    "params": {"moving_mean": np.zeros(2), "moving_variance": np.ones(2)},
}
"""A `batch_norm` that gives its input as it is, with the mask of the call."""


def dot() -> Iterator[Case]:
    """Sums over an axis of each."""
    n = Numbers("dot")
    for name, x, y, axes in (
        ("vectors", (2, 3), (2, 3), 1),
        ("matrices", (2, 3, 4), (2, 2, 4), 2),
        ("axes", (2, 3, 4), (2, 2, 3), [1, 2]),
        ("matrix-vector", (2, 3, 4), (2, 4), [-1, 1]),
    ):
        net = Net()
        refs = [net.give("x", n.positive(*x)), net.give("y", n(*y))]
        net.outputs = [
            net.op("dot", *refs, name="op", axes=axes),
            net.op("dot", *refs, name="unit", axes=axes, normalize=True),
        ]
        yield net.case(
            name, "The other axes of the first, then those of the second; also of vectors of length 1", "CV-62"
        )
    short = n(2, 3)
    short[0] = 0.0
    yield single(
        "dot",
        "zeros",
        "Vectors of zeros, and short ones, are divided by the least length",
        "CV-62",
        short / 2**26,
        n(2, 3),
        attrs={"axes": 1, "normalize": True},
    )


def matmul() -> Iterator[Case]:
    """Products of matrices."""
    n = Numbers("matmul")
    for name, x, y in (
        ("batch", (2, 3, 4), (2, 4, 2)),
        ("matrix", (2, 3, 4), (4, 2)),
        ("square", (2, 3, 3), (3, 3)),
        ("vector", (2, 3, 4), (4,)),
        ("broadcast", (2, 1, 3, 2), (4, 2, 3)),
    ):
        yield single("matmul", name, "The axes before the last two are broadcast", "CV-63", n(*x), n(*y))


def einsum() -> Iterator[Case]:
    """Sums by an equation."""
    n = Numbers("einsum")
    for name, equation, shapes_ in (
        ("three", "ab,bc,dc->ad", [(2, 3), (3, 4), (2, 4)]),
        ("ellipsis", "...ab,...b->...a", [(2, 2, 3), (2, 3)]),
        ("trace", "baa->b", [(2, 3, 3)]),
        ("all", "ab,ab->", [(2, 3), (2, 3)]),
        ("order", "ab,bc->ca", [(2, 3), (3, 2)]),
    ):
        arrays = [n(*shape) for shape in shapes_]
        yield single(
            "einsum", name, "The sum of the equation", "CV-63", *arrays, attrs={"equation": equation}, as_list=True
        )


_RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"), (0.25, 4.0)),
    **dict.fromkeys(("asin", "acos", "atanh"), (-0.875, 0.875)),
    "acosh": (1.125, 4.0),
    "log1p": (-0.75, 2.0),
    "tan": (-1.25, 1.25),
}
_TEXTS = {"isnan", "isinf", "isfinite"}


def unary() -> Iterator[Case]:
    """Functions of one element."""
    functions = ops()["unary"].attrs["function"].choices
    groups: dict[tuple[float, float], list[str]] = {}
    for function in functions:
        if function not in _TEXTS and function != "logical_not":
            groups.setdefault(_RANGES.get(function, (-2.5, 2.5)), []).append(function)
    n = Numbers("unary")
    for (low, high), names in groups.items():
        x = n(2, 5, low=low, high=high)
        if low == -2.5:
            x[0] = [-2.5, -1.5, -0.5, 0.5, 2.5]
            x[1, 0] = 0.0
        every = [("unary", {"function": name}, ["x"]) for name in names]
        yield branches(f"from-{low}-to-{high}", f"{', '.join(names)}", "CV-64", {"x": x}, every)
    special = np.array([np.nan, np.inf, -np.inf, 1.0, 0.0])
    yield branches(
        "not-finite",
        "NaN and infinities",
        "CV-64",
        {"x": special},
        [("unary", {"function": name}, ["x"]) for name in sorted(_TEXTS)],
    )
    yield branches(
        "logical",
        "not of booleans",
        "CV-64",
        {"x": np.array([True, False])},
        [("unary", {"function": "logical_not"}, ["x"])],
    )
    whole = np.array([[-3, 0], [1, 4]])
    kept = [("unary", {"function": name}, ["x"]) for name in ("abs", "neg", "sign", "square")]
    yield branches("integers", "Integers of integers", "CV-64", {"x": whole}, kept)
    yield masked("unary", "mask", "The output has no mask", "CV-12", attrs={"function": "neg"})


def binary() -> Iterator[Case]:
    """Functions of two elements."""
    n = Numbers("binary")
    functions = ops()["binary"].attrs["function"].choices
    logical = [name for name in functions if name.startswith("logical")]
    x, y = n(2, 6), n(6)
    y[:3] = x[0, :3]
    y[y == 0] = 0.75
    others = [name for name in functions if name not in logical and name != "pow"]
    every = [("binary", {"function": name}, ["x", "y"]) for name in others]
    yield branches("floats", "Each function of two tensors, broadcast", "CV-65", {"x": x, "y": y}, every)
    truths = np.array([True, True, False, False]), np.array([True, False, True, False])
    every = [("binary", {"function": name}, ["x", "y"]) for name in logical]
    yield branches("logical", "Booleans", "CV-65", {"x": truths[0], "y": truths[1]}, every)
    two = [
        ("binary", {"function": "pow"}, ["x", "y"]),
        ("binary", {"function": "pow"}, ["x", 2.5]),
        ("binary", {"function": "sub"}, [1.5, "x"]),
    ]
    yield branches(
        "numbers", "Powers, and a number on either side", "CV-9 CV-65", {"x": n.positive(2, 3), "y": n(2, 3)}, two
    )
    nan = [("binary", {"function": name}, ["x", "y"]) for name in ("max", "min")]
    yield branches("nan", "NaN wins", "CV-65", {"x": np.array([1.0, np.nan]), "y": np.array([np.nan, 2.0])}, nan)
    whole = [("binary", {"function": name}, ["x", "y"]) for name in ("floor_div", "mod", "add", "mul", "max", "less")]
    yield branches(
        "integers", "Integers of integers", "CV-65", {"x": np.array([-7, 7, 5]), "y": np.array([2, -2, 3])}, whole
    )


def clip() -> Iterator[Case]:
    """Bounds."""
    x = Numbers("clip")(2, 6)
    forms: list[dict[str, Any]] = [
        {"low": -0.5, "high": 0.75},
        {"low": 0.25},
        {"high": -0.25},
        {},
        {"low": 1.0, "high": -1.0},
    ]
    yield branches(
        "bounds",
        "Null is no bound; the upper one is the last to act",
        "CV-68",
        {"x": x},
        [("clip", form, ["x"]) for form in forms],
    )


def where() -> Iterator[Case]:
    """One or the other."""
    n = Numbers("where")
    given: dict[str, Array] = {"c": n.flags(2, 4), "x": n(2, 4), "y": n(4)}
    forms: list[tuple[Any, ...]] = [("where", {}, ["c", "x", "y"]), ("where", {}, ["c", "x", 0.5])]
    yield branches("forms", "Of two tensors, or of a tensor and a number", "CV-9 CV-68", given, forms)


def reduce() -> Iterator[Case]:
    """Many elements as one."""
    n = Numbers("reduce")
    functions = [name for name in ops()["reduce"].attrs["function"].choices if name not in ("any", "all")]
    for name, told in (("all", {}), ("axes", {"axes": [0, -1]}), ("kept", {"axes": [1], "keepdims": True})):
        every = [("reduce", {"function": function, **told}, ["x"]) for function in functions]
        yield branches(name, "Each function", "CV-66", {"x": n(2, 3, 4)}, every)
    truths = [("reduce", {"function": function, "axes": [1]}, ["x"]) for function in ("any", "all")]
    yield branches(
        "truths", "Any and all", "CV-66", {"x": np.array([[True, False], [True, True], [False, False]])}, truths
    )
    big = [("reduce", {"function": "logsumexp", "axes": [-1]}, ["x"])]
    yield branches(
        "large", "log Σ exp x does not overflow", "CV-66", {"x": np.array([[1000.0, 999.0], [-1000.0, -1001.5]])}, big
    )


def arg_reduce() -> Iterator[Case]:
    """Where the largest is."""
    x = np.array([[[1.0, 3.0, 3.0], [-2.0, -2.0, 0.5]], [[2.0, 2.0, 1.0], [4.0, -1.0, 4.0]]])
    every = [
        ("arg_reduce", {"function": function, **told}, ["x"])
        for function in ("argmax", "argmin")
        for told in ({}, {"axis": 1}, {"axis": -1, "keepdims": True})
    ]
    yield branches("forms", "The first of equal ones, along an axis or in the flat tensor", "CV-67", {"x": x}, every)
