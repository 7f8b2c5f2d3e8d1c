"""Cases of ops that are given integers and booleans (SPEC.md J.2), and of the dtypes that results have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Array, Case, Net, Numbers, branches, single

_WHOLE = np.array([[[3], [5], [8]], [[-2], [0], [7]]])
_TRUTHS = np.array([[[True, False], [True, True], [False, False]]])
_FLOATS: dict[str, list[dict[str, Any]]] = {
    "avg_pool": [{"pool_size": [2]}, {"pool_size": [3], "padding": "same"}],
    "global_avg_pool": [{}],
    "adaptive_avg_pool": [{"output_size": [2]}],
    "rescale": [{"scale": 0.1, "offset": 0.3}],
    "unit_norm": [{"axes": [1]}],
    "softmax": [{"axes": [1]}],
    "elu": [{"alpha": 0.5}],
    "activation": [{"function": "relu"}, {"function": "sigmoid"}, {"function": "linear"}],
    "relu": [{"max_value": 4.0}],
    "leaky_relu": [{}],
}
"""Ops that compute in floats."""
_KEPT: dict[str, list[dict[str, Any]]] = {
    "max_pool": [{"pool_size": [2]}],
    "global_max_pool": [{}],
    "adaptive_max_pool": [{"output_size": [2]}],
}
"""Ops that give elements of their input."""


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op, forms in _FLOATS.items():
        every = [(op, attrs, ["x"]) for attrs in forms]
        yield (
            op,
            branches("of-integers", "Integers become floats of the compute dtype first", "CV-10", {"x": _WHOLE}, every),
        )
    for op, forms in _KEPT.items():
        for name, x in (("of-integers", _WHOLE), ("of-booleans", _TRUTHS)):
            every = [(op, attrs, ["x"]) for attrs in forms]
            yield op, branches(name, "Elements are given in their own dtype", "CV-10", {"x": x}, every)
    for make, names in (
        (functions, ("unary", "reduce")),
        (products, ("matmul", "einsum")),
        (resize, ("resize",)),
        (clip, ("clip",)),
        (sums, ("add", "mean")),
        (sequence, ("simple_rnn", "lstm", "gru")),
        (attention, ("dot_attention", "additive_attention")),
        (cast, ("cast",)),
        (averages, ("batch_norm",)),
    ):
        for name in names:
            for case in make(name):
                yield name, case


def functions(op: str) -> Iterator[Case]:
    """Functions of integers that give floats, and of booleans that give integers."""
    names = ("exp", "sqrt", "log", "sin", "erf", "reciprocal") if op == "unary" else ("mean", "var", "std", "logsumexp")
    every = [(op, {"function": name}, ["x"]) for name in names]
    title = "Functions that are no integers compute in floats of the compute dtype"
    yield branches("of-integers", title, "CV-10 CV-64" if op == "unary" else "CV-10 CV-66", {"x": _WHOLE + 3}, every)
    if op == "unary":
        every = [(op, {"function": name}, ["x"]) for name in ("abs", "sign", "square", "floor", "round")]
        yield branches("of-booleans", "Booleans are integers to them", "CV-10 CV-64", {"x": _TRUTHS}, every)


def products(op: str) -> Iterator[Case]:
    """Sums of products."""
    told = {"equation": "ij,jk->ik"} if op == "einsum" else {}
    x, y = np.array([[1, -2, 3], [0, 4, 5]]), np.array([[1, 2], [-3, 4], [5, 0]])
    for name, title, one, two in (
        ("integers", "Integers of integers", x, y),
        ("booleans", "Booleans of booleans", x > 0, y > 0),
        ("mixed", "Integers of integers and booleans", x, y > 0),
    ):
        attrs: dict[str, Any] = dict(told)
        yield single(op, f"of-{name}", title, "CV-10 CV-63", one, two, attrs=attrs, as_list=op == "einsum")


def resize(op: str) -> Iterator[Case]:
    """Elements, or sums of them."""
    forms: list[dict[str, Any]] = [
        {"size": [5]},
        {"size": [5], "interpolation": "bilinear"},
        {"size": [3], "interpolation": "bilinear"},
    ]
    every = [(op, form, ["x"]) for form in forms]
    title = "The nearest are elements in their dtype, the others floats, also of an axis that stays"
    yield branches("of-integers", title, "CV-10 CV-43", {"x": _WHOLE}, every)


def clip(op: str) -> Iterator[Case]:
    """Bounds of what are no floats."""
    every = [(op, {"low": -1.0, "high": 4.5}, [name]) for name in ("x", "y")]
    yield branches("of-integers", "Integers, of booleans too", "CV-10 CV-68", {"x": _WHOLE, "y": _TRUTHS}, every)


def sums(op: str) -> Iterator[Case]:
    """Several booleans."""
    x, y, z = _TRUTHS, _TRUTHS[:, ::-1], Numbers(f"{op}/booleans")(1, 3, 2)
    title = (
        "Booleans alone" if op == "mean" else "Booleans alone have one as their sum, which is another one among numbers"
    )
    net = Net()
    given = [net.give(name, array) for name, array in (("x", x), ("y", y), ("z", z))]
    net.outputs = [net.op(op, given[:2], name="two"), net.op(op, given, name="three")]
    yield net.case("of-booleans", title, "CV-10 CV-60")


def sequence(op: str) -> Iterator[Case]:
    """A sequence of integers with first states that are none."""
    n = Numbers(f"{op}/integers")
    gates, states = {"simple_rnn": (1, 1), "lstm": (4, 2), "gru": (3, 1)}[op]
    params: dict[str, Array] = {"kernel": n.kernel(2, gates * 3), "recurrent_kernel": n.kernel(3, gates * 3)}
    yield single(
        op,
        "of-integers",
        "Integers become floats; the first states stay what they are",
        "CV-10",
        n.indices(2, 3, 2, below=4),
        *(n(2, 3) for _ in range(states)),
        attrs={"units": 3, "use_bias": False},
        params=params,
    )


def attention(op: str) -> Iterator[Case]:
    """Queries and values of booleans, and of integers."""
    n = Numbers(f"{op}/integers")
    for name, query, value in (
        ("of-booleans", n.flags(2, 2, 3), n.flags(2, 4, 3)),
        ("of-integers", n.indices(2, 2, 3, below=4), n.indices(2, 4, 3, below=4)),
    ):
        params = {"scale": n(3)} if op == "additive_attention" else {}
        yield single(op, name, "They are numbers in floats", "CV-10", query, value, params=params)


def cast(op: str) -> Iterator[Case]:
    """A dtype that is not that of the computation."""
    x = np.array([[0.1, -2.75], [3.0, 1e-3]])
    title = "The output has the dtype that is asked for, and not that of the precision"
    yield branches("other-precision", title, "CV-10 CV-50", {"x": x}, [(op, {"dtype": "float32"}, ["x"])])


def averages(op: str) -> Iterator[Case]:
    """Variables that are narrower than what computes them."""
    n = Numbers(f"{op}/narrow")
    net = Net()
    params = {
        "gamma": n.positive(2),
        "beta": n(2),
        "moving_mean": n(2),
        "moving_variance": n.positive(2),
    }
    module = net.module(
        op,
        name="op",
        params={role: value.astype(np.float32) for role, value in params.items()},
        precision={"variable_dtype": "float32", "compute_dtype": "float64"},
    )
    net.outputs = [net.call(module, net.give("x", n(4, 2)))]
    title = "The new averages are stored in the dtype of the variables"
    yield net.case("narrow-variables", title, "CV-10", training=True)
