"""Cases of ops that move elements (SPEC.md J.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Array, Case, Net, Numbers, masked, single


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    yield from shapes()
    for case in concat():
        yield "concat", case


_FORMS: list[tuple[str, tuple[int, ...], list[dict[str, Any]], int]] = [
    ("identity", (2, 3), [{}], 1),
    ("flatten", (2, 3, 2, 2), [{}, {"data_format": "channels_first"}], 1),
    ("reshape", (2, 3, 4), [{"shape": [12]}, {"shape": [2, -1]}, {"shape": [4, 3, 1]}], 1),
    ("permute", (2, 3, 4), [{"axes": [0, 2, 1]}, {"axes": [2, 0, 1]}], 1),
    ("repeat", (2, 3), [{"count": 4}], 1),
    (
        "pad",
        (2, 3, 4),
        [
            {"padding": [[1, 0], [0, 2]]},
            {"padding": [[1, 2], [0, 0]], "value": 1.5},
            {"padding": [[2, 1], [1, 3]], "mode": "reflect"},
            {"padding": [[2, 1], [1, 3]], "mode": "symmetric"},
        ],
        1,
    ),
    ("crop", (2, 5, 4, 2), [{"cropping": [[1, 2], [0, 1], [0, 0]]}], 1),
    ("stack", (2, 3), [{}, {"axis": 1}, {"axis": -1}], 2),
    ("expand_dims", (2, 3), [{}, {"axes": [1]}, {"axes": [0, -1]}], 1),
    ("squeeze", (1, 2, 1, 3, 1), [{}, {"axes": [0, -1]}, {"axes": [2]}], 1),
    ("broadcast_to", (2, 1, 3), [{"shape": [2, 4, 3]}, {"shape": [3, 2, 2, 3]}], 1),
]
_SLICES: list[list[Any]] = [
    [[None, None, None], 1],
    [[None, None, None], [1, None, 2], [None, -1, None]],
    ["...", -1],
    [[None, None, None], "newaxis", [0, 2, None]],
    [[0, 2, None], "...", [4, 0, -2]],
]


def shapes() -> Iterator[tuple[str, Case]]:
    """The ops that move elements."""
    for op, shape, forms, count in _FORMS:
        n = Numbers(op)
        given = {f"in_{index}": n(*shape) for index in range(count)}
        net = Net()
        refs = [net.give(name, array) for name, array in given.items()]
        args = [refs] if op == "stack" else refs
        net.outputs = [net.op(op, *args, name=f"op_{index}", **attrs) for index, attrs in enumerate(forms)]
        yield op, net.case("forms", "Elements in their places, for each form of the attributes", "CV-9 CV-50")
    for op in ("identity", "expand_dims", "pad", "squeeze"):
        yield op, _shape_mask(op)
    n = Numbers("slice")
    net = Net()
    x = net.give("x", n(3, 4, 5))
    net.outputs = [net.op("slice", x, name=f"op_{at}", index=index) for at, index in enumerate(_SLICES)]
    yield "slice", net.case("forms", "Integers, ranges, new axes and ...", "CV-51")
    for name, sections, axis, width in (("equal", 2, 0, 2), ("sizes", [1, 0, 3], -1, 3), ("axis", [2, 1], 1, 2)):
        attrs: dict[str, Any] = {"sections": sections} | ({"axis": axis} if axis else {})
        yield "split", single("split", name, "Parts along an axis", "CV-50", n(4, 3, 4), attrs=attrs, outputs=width)
    values = np.array([[-2.75, -0.5, 0.0, 0.25], [1.0, 2.5, 3.75, -1.0]])
    net = Net()
    x = net.give("x", values)
    wanted = ("int32", "bool", "int16", "float64")
    net.outputs = [net.op("cast", x, name=f"op_{index}", dtype=dtype) for index, dtype in enumerate(wanted)]
    yield "cast", net.case("dtypes", "Towards zero, and true where it is not 0", "CV-50")
    net = Net()
    x, flat, wide = net.give("x", n(3, 4, 2)), np.array([2, 0]), np.array([[1, 0, 1], [0, 1, 1]])
    taken: list[tuple[dict[str, Any], Array]] = [({}, flat * 5), ({"axis": 0}, flat), ({"axis": 1}, wide)]
    for index, (told, array) in enumerate([*taken, ({"axis": -1}, wide)]):
        net.outputs.append(net.op("take", x, net.give(f"indices_{index}", array), name=f"op_{index}", **told))
    yield "take", net.case("axes", "The axes of the indices take the place of the axis", "CV-50")


def _shape_mask(op: str) -> Case:
    """An op of shapes between `masking` and a mean: it keeps the mask or has none."""
    if op == "identity":
        return masked(op, "mask", "The mask is kept", "CV-12")
    n = Numbers(f"{op}/mask")
    keep = np.array([[True, False, True], [False, True, True]])
    net = Net()
    found = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 3, 2), 0.0)), name="before")
    if op == "squeeze":
        found = net.op("expand_dims", found, name="wide")
    attrs: dict[str, Any] = {"padding": [[0, 0], [0, 0]]} if op == "pad" else {}
    found = net.op(op, found, name="op", **attrs)
    if op == "expand_dims":
        found = net.op("squeeze", found, name="narrow")
    net.outputs = [net.op("global_avg_pool", found, name="after")]
    return net.case("mask", "The output has no mask", "CV-12")


def concat() -> Iterator[Case]:
    """One after the other."""
    n = Numbers("concat")
    yield single(
        "concat", "last", "Along the last axis", "CV-9 CV-50", n(2, 3, 2), n(2, 3, 1), n(2, 3, 3), as_list=True
    )
    yield single(
        "concat", "time", "Along the second axis", "CV-50", n(2, 3, 2), n(2, 1, 2), attrs={"axis": 1}, as_list=True
    )
    for name, title, axis, second in (
        ("mask-time", "Masks one after the other", 1, True),
        ("mask-last", "A step is true where any element is", -1, True),
        ("mask-one", "An input without a mask counts as all true", 1, False),
    ):
        net = Net()
        refs = []
        for index, keep in enumerate(
            (
                np.array([[True, False, False], [False, True, True]]),
                np.array([[False, False, True], [True, True, False]]),
            )
        ):
            ref = net.give(f"in_{index}", np.where(keep[..., np.newaxis], n(2, 3, 2), 0.0))
            refs.append(net.op("masking", ref, name=f"before_{index}") if second or not index else ref)
        told: dict[str, Any] = {} if axis == -1 else {"axis": axis}
        found = net.op("concat", refs, name="op", **told)
        net.outputs = [net.op("global_avg_pool", found, name="after")]
        yield net.case(name, title, "CV-12 CV-52")
