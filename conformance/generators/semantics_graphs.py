"""Cases of graphs, of calls and precision, of random ops and of preprocessing (SPEC.md J.1, J.2, J.11, J.12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Case, Net, Numbers, masked, single

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Graph, Module


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op, maker in (
        ("graph", graph),
        ("sequential", sequential),
        ("input", inputs),
        ("parameter", parameter),
        ("identity", precision),
        ("rescale", rescale),
        ("masking", masking),
        ("lookup", lookup),
        ("one_hot", one_hot),
        ("discretize", discretize),
    ):
        for case in maker():
            yield op, case
    for op, attrs in (
        ("dropout", {"rate": 0.5}),
        ("spatial_dropout", {"rate": 0.5}),
        ("alpha_dropout", {"rate": 0.5}),
        ("gaussian_dropout", {"rate": 0.5}),
        ("gaussian_noise", {"stddev": 0.5}),
        ("activity_regularization", {"l1": 0.5, "l2": 0.25}),
    ):
        for case in random(op, attrs):
            yield op, case


# --- graphs -----------------------------------------------------------------------------------------------------------


def _nested(net: Net, n: Numbers) -> Module:
    """A graph of two inputs and two outputs, with one dense module that is called twice."""
    inner = [Module(name, op="core:input", attrs={"shape": [None, 2], "dtype": "float64"}) for name in "ab"]
    dense = net.module(
        "dense", name="dense", path="op/dense", params={"kernel": n.kernel(2, 2)}, units=2, use_bias=False
    )
    calls = [Call("a", "a"), Call("b", "b"), Call("first", "dense", [OutputRef("a", 0)])]
    calls += [Call("second", "dense", [OutputRef("first", 0)])]
    calls += [Call("sum", "sum", [[OutputRef("second", 0), OutputRef("b", 0)]])]
    made = net.module("graph", name="op", modules=[*inner, dense, net.module("add", name="sum")])
    made.kind = "graph"
    made.graph = Graph([OutputRef(name, 0) for name in "ab"], [OutputRef("sum", 0), OutputRef("first", 0)], calls)
    return made


def graph() -> Iterator[Case]:
    """Models inside of models."""
    n = Numbers("graph")
    net = Net()
    x, y = net.give("x", n(3, 2)), net.give("y", n(3, 2))
    net.outputs = net.outputs_of(net.call(_nested(net, n), [x, y]), 2)
    yield net.case("nested", "A graph in a graph: two inputs, two outputs, a module that is called twice", "CV-5 CV-9")
    net = Net()
    refs = [net.give("x", n(2, 2)), net.give("y", n(2, 2))]
    made = _nested(net, n)
    once, again = net.call(made, refs, at="once"), net.call(made, refs[::-1], at="again")
    net.outputs = [once, again]
    yield net.case("shared", "A graph that is called twice has one kernel", "CV-5")
    net = Net()
    x, y = net.give("x", n(2, 3)), net.give("y", n(2, 3))
    total, product = net.op("add", [x, y], name="total"), net.op("mul", [x, y], name="product")
    model = net.model({"b": total, "a": [product, x]})
    yield Case("structure", "Outputs are in the order of the keys of their map", ("CV-5",), model, net.arrays)
    keep = np.array([[True, False, True], [False, True, True]])
    net = Net()
    before = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 3, 2), 0.0)), name="before")
    inner = net.module(
        "graph",
        name="op",
        modules=[
            Module("a", op="core:input", attrs={"shape": [None, 3, 2], "dtype": "float64"}),
            net.module("identity", name="same"),
            net.module("unary", name="less", function="neg"),
        ],
    )
    inner.kind = "graph"
    calls = [Call("a", "a"), Call("same", "same", [OutputRef("a", 0)]), Call("less", "less", [OutputRef("a", 0)])]
    inner.graph = Graph([OutputRef("a", 0)], [OutputRef("same", 0), OutputRef("less", 0)], calls)
    first, second = net.outputs_of(net.call(inner, before), 2)
    net.outputs = [net.op("global_avg_pool", first, name="p"), net.op("global_avg_pool", second, name="q")]
    yield net.case("masks", "Inputs bring their masks along, and each output has its own", "CV-12")
    net = Net()
    bn = net.module(
        "batch_norm",
        name="norm",
        path="op/norm",
        params={"moving_mean": n(2), "moving_variance": n.positive(2)},
        center=False,
        scale=False,
        momentum=0.5,
    )
    inner = net.module(
        "graph", name="op", modules=[Module("a", op="core:input", attrs={"shape": [None, 2], "dtype": "float64"}), bn]
    )
    inner.kind = "graph"
    inner.graph = Graph(
        [OutputRef("a", 0)], OutputRef("norm", 0), [Call("a", "a"), Call("norm", "norm", [OutputRef("a", 0)])]
    )
    net.outputs = [net.call(inner, net.give("x", n(4, 2)), training=True)]
    yield net.case("mode", "The ops of a graph train if its call does", "CV-11 CV-26")
    yield from _remasked("graph")


def _remasked(op: str) -> Iterator[Case]:
    """A graph or a chain that takes the mean over the steps of its input, called with a mask, and with null."""
    n = Numbers(f"{op}/mask-argument")
    net = Net()
    mean = net.module("global_avg_pool", name="mean")
    inner = net.module("sequential", name="op", modules=[mean])
    if op == "graph":
        source = Module("a", op="core:input", attrs={"shape": [None, 3, 2], "dtype": "float64"})
        inner = net.module("graph", name="op", modules=[source, mean])
        inner.kind = "graph"
        calls = [Call("a", "a"), Call("mean", "mean", [OutputRef("a", 0)])]
        inner.graph = Graph([OutputRef("a", 0)], OutputRef("mean", 0), calls)
    keep = np.array([[True, False, True], [False, True, True]])
    before = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 3, 2), 0.0)), name="before")
    other = net.give("m", np.array([[True, True, False], [True, False, True]]))
    net.outputs = [
        net.call(inner, before, at="own", mask=None, training=None),
        net.call(inner, before, at="given", mask=other),
    ]
    title = "A mask that a call of modules gives takes the place of the one that its input carries"
    yield net.case("mask-argument", title, "CV-13 CV-31")


def sequential() -> Iterator[Case]:
    """One after the other."""
    n = Numbers("sequential")
    keep = np.array([[True, False, True], [False, True, True]])
    net = Net()
    dense = net.module("dense", name="dense", path="op/dense", params={"kernel": n.kernel(2, 3), "bias": n(3)}, units=3)
    children = [net.module("masking", name="m"), dense, net.module("global_avg_pool", name="pool")]
    x = net.give("x", np.where(keep[..., np.newaxis], n(2, 3, 2), 0.0))
    net.outputs = [net.op("sequential", x, name="op", modules=children)]
    yield net.case("chain", "Each module takes what the one before it gives, with its mask", "CV-5 CV-12")
    # The root itself may be a chain.
    net = Net()
    net.give("x", n(2, 3))
    dense = net.module("dense", name="dense", path="dense", params={"kernel": n.kernel(3, 2)}, units=2, use_bias=False)
    model = _root(net, [dense, net.module("relu", name="relu")])
    yield Case("root", "A model that is a chain", ("CV-5",), model, net.arrays)
    yield from _remasked("sequential")


def _root(net: Net, modules: list[Module]) -> Any:
    net.modules, net.calls = [], []
    net.outputs = [OutputRef("x", 0)]
    model = net.model()
    root = Module("model", op="core:sequential", modules=modules)
    assert model.config is not None
    model.config.model = root
    return model


def inputs() -> Iterator[Case]:
    """What goes in."""
    n = Numbers("input")
    net = Net()
    x, y = net.give("x", n(2, 3)), net.give("y", n(2, 3))
    net.outputs = [net.op("sub", y, x, name="op"), x]
    yield net.case("order", "Inputs are in the order of the graph, whatever their use; one is an output, too", "CV-9")
    net = Net()
    query, value = net.give("query", n(1, 2, 3)), net.give("value", n(1, 3, 3))
    net.outputs = [
        net.op("dot_attention", query, value, None, name="null"),
        net.op("dot_attention", query, value, name="absent"),
        net.op("dot_attention", query, value, value, name="given"),
    ]
    yield net.case("optional", "An optional input may be null or absent", "CV-9")
    net = Net()
    query, value = net.give("query", n(1, 2, 3)), net.give("value", n(1, 3, 3))
    key = net.give("key", None, optional=True, shape=[None, 3, 3])
    net.outputs = [net.op("dot_attention", query, value, key, name="op")]
    yield net.case("left-out", "An optional input of the model that is left out", "CV-9")


def parameter() -> Iterator[Case]:
    """A variable that is a tensor."""
    n = Numbers("parameter")
    net = Net()
    value = net.op("parameter", name="value", params={"value": n(3)})
    net.outputs = [
        net.op("mul", [net.give("x", n(2, 3)), net.op("expand_dims", value, name="row", axes=[0])], name="op"),
        value,
    ]
    yield net.case("value", "A variable among the tensors", "CV-6 CV-7")


def precision() -> Iterator[Case]:
    """Where ops compute in other floats."""
    thirds = np.array([[1 / 3, -2 / 3, 1e-3, 1000.1]])
    for name, told, dtype in (
        ("float32", {"variable_dtype": "float32", "compute_dtype": "float32"}, "float32"),
        ("default", None, "float32"),
        ("float16", {"variable_dtype": "float32", "compute_dtype": "float16"}, "float16"),
        ("bfloat16", {"variable_dtype": "float32", "compute_dtype": "bfloat16"}, "bfloat16"),
    ):
        net = Net()
        net.outputs = [net.op("identity", net.give("x", thirds), name="op", precision=told)]
        yield net.case(f"precision-{name}", f"An op gives its output in {dtype}", "CV-10", needs=f"dtype:{dtype}")
    told = {"variable_dtype": "float64", "compute_dtype": "float32"}
    net = Net()
    third = np.array([[1 / 3]])
    near = [net.give("x", third), net.give("y", third + 1e-9)]
    net.outputs = [net.op("sub", *near, name="op", precision=told)]
    title = "Inputs are rounded before anything is computed"
    yield net.case("precision-inputs", title, "CV-10", needs="dtype:float32")
    net = Net()
    x = net.give("x", thirds.T)
    net.outputs = [
        net.op("dense", x, name="op", params={"kernel": np.array([[0.1]])}, units=1, use_bias=False, precision=told)
    ]
    yield net.case(
        "precision-variables", "Input and variables are rounded before the product", "CV-10", needs="dtype:float32"
    )


# --- random ops -------------------------------------------------------------------------------------------------------


def random(op: str, attrs: dict[str, Any]) -> Iterator[Case]:
    """What needs no generator."""
    n = Numbers(op)
    x = n(2, 3, 4)
    regularizer = op == "activity_regularization"
    clauses = "CV-166" if regularizer else "CV-160"
    yield single(op, "inference", "The identity in inference", clauses, x, attrs=attrs)
    yield masked(op, "mask", "The mask is kept", "CV-12", attrs=attrs)
    if regularizer:
        yield single(op, "training", "The identity in training", clauses, x, attrs=attrs, training=True)
        return
    yield single(
        op,
        "rate-0",
        "The identity in training where nothing is drawn",
        clauses,
        x,
        attrs=dict.fromkeys(attrs, 0.0),
        training=True,
    )
    yield single(
        op,
        "call",
        "The call's own argument stands before the mode",
        "CV-11 CV-160",
        x,
        attrs=attrs,
        training=True,
        named={"training": False},
    )
    if op in ("dropout", "spatial_dropout"):
        yield single(
            op, "rate-1", "All are 0 in training with the rate 1", "CV-161", x, attrs={"rate": 1.0}, training=True
        )


# --- preprocessing ----------------------------------------------------------------------------------------------------


def rescale() -> Iterator[Case]:
    """A scale and an offset."""
    n = Numbers("rescale")
    yield single("rescale", "numbers", "One number each", "CV-70", n(2, 3), attrs={"scale": 0.5, "offset": -1.25})
    yield single(
        "rescale",
        "lists",
        "Lists lie along the last axes",
        "CV-70",
        n(2, 2, 3),
        attrs={"scale": [0.5, 1.0, 2.0], "offset": [[1.0], [-1.0]]},
    )
    yield single(
        "rescale",
        "integers",
        "Integers are computed in floats",
        "CV-70",
        np.array([[0, 51, 255]]),
        attrs={"scale": 0.25},
    )
    yield masked("rescale", "mask", "The mask is kept", "CV-12", attrs={"scale": 2.0})


def masking() -> Iterator[Case]:
    """Steps that are none."""
    n = Numbers("masking")
    for name, value in (("zero", 0.0), ("value", 1.5)):
        keep = n.mask(2, 4)
        x = np.where(keep[..., np.newaxis], n(2, 4, 3), value)
        x[keep, 0] = value
        attrs: dict[str, Any] = {} if value == 0 else {"mask_value": value}
        net = Net()
        found = net.op("masking", net.give("x", x), name="op", **attrs)
        net.outputs = [found, net.op("global_avg_pool", found, name="after")]
        yield net.case(name, "A step is masked where every element is the mask value, and becomes zeros", "CV-12 CV-71")


def lookup() -> Iterator[Case]:
    """Terms and their places."""
    words = np.array([["green", "pink", "red"], ["", "blue", "[UNK]"]], dtype=object)
    colours = {"vocabulary": ["red", "green", "blue"], "oov_token": "[UNK]"}
    yield single("lookup", "words", "After the unknown term", "CV-72", words, attrs=colours)
    yield single(
        "lookup", "words-mask", "After mask and unknown term", "CV-72", words, attrs=colours | {"mask_token": ""}
    )
    known = np.array([["green", "red"]], dtype=object)
    yield single("lookup", "words-known", "No unknown terms", "CV-72", known, attrs=colours | {"num_oov_indices": 0})
    places = np.array([[0, 1, 2, 3, 4, 9]])
    yield single(
        "lookup",
        "words-back",
        "The term at each place",
        "CV-72",
        places,
        attrs=colours | {"invert": True, "mask_token": ""},
    )
    numbers = {"vocabulary": [3, 5, 8], "oov_token": -1}
    given = np.array([[5, 3, 7], [0, 8, -1]])
    yield single("lookup", "integers", "Integers", "CV-72", given, attrs=numbers | {"mask_token": 0})
    yield single(
        "lookup", "integers-back", "Integers at their places", "CV-72", places, attrs=numbers | {"invert": True}
    )


def one_hot() -> Iterator[Case]:
    """Indices as vectors."""
    n = Numbers("one_hot")
    indices = np.array([[0, 3, 3], [5, 1, -1]])
    net = Net()
    x, column, row = net.give("x", indices), net.give("column", indices[:, :1]), net.give("row", np.array([2]))
    weights = net.give("weights", n(2, 3))
    net.outputs = [
        net.op("one_hot", x, name="vectors", num_tokens=4, output_mode="one_hot"),
        net.op("one_hot", column, name="column_vectors", num_tokens=4, output_mode="one_hot"),
        net.op("one_hot", row, name="row_vectors", num_tokens=4, output_mode="one_hot"),
        net.op("one_hot", x, name="multi", num_tokens=4),
        net.op("one_hot", x, name="count", num_tokens=4, output_mode="count"),
        net.op("one_hot", x, name="weighted", num_tokens=4, output_mode="count", call={"count_weights": weights}),
    ]
    yield net.case("modes", "Each mode; an index out of range is zeros", "CV-73")


def discretize() -> Iterator[Case]:
    """Bins."""
    x = np.array([[-2.0, -1.0, -0.5], [0.0, 1.25, 7.0]])
    yield single(
        "discretize",
        "bins",
        "How many boundaries are less than or equal",
        "CV-74",
        x,
        attrs={"boundaries": [-1.0, 0.0, 1.25]},
    )
