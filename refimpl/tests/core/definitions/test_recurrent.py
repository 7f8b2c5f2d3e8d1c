"""Recurrent ops, against loops that are written out here."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core.evaluate import evaluate
from etui.model import Model

Run = Callable[..., Any]
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(17)
X = RNG.normal(size=(2, 4, 3))
UNITS = 2
KERNEL = {gates: RNG.normal(size=(3, gates * UNITS)) for gates in (1, 3, 4)}
RECURRENT = {gates: RNG.normal(size=(UNITS, gates * UNITS)) for gates in (1, 3, 4)}
BIAS = {gates: RNG.normal(size=gates * UNITS) for gates in (1, 3, 4)}
SECOND = {gates: RNG.normal(size=gates * UNITS) for gates in (3, 4)}
MASK = np.array([[True, False, True, False], [False, True, True, True]])
GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def params(op: str, **more: Array) -> dict[str, Array]:
    gates = GATES[op]
    bias = np.stack([BIAS[gates], SECOND[gates]]) if op == "gru" else BIAS[gates]
    return {"kernel": KERNEL[gates], "recurrent_kernel": RECURRENT[gates], "bias": bias, **more}


def loop(op: str, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One step of an op."""
    gates = GATES[op]
    inner = x @ KERNEL[gates] + BIAS[gates]
    outer = h @ RECURRENT[gates]
    if op == "simple_rnn":
        return np.tanh(inner + outer), c
    if op == "lstm":
        i, f, g, o = np.split(inner + outer, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (a_z, a_r, a_h), (u_z, u_r, u_h) = np.split(inner, 3, axis=-1), np.split(outer + SECOND[3], 3, axis=-1)
    z, r = sigmoid(a_z + u_z), sigmoid(a_r + u_r)
    return z * h + (1 - z) * np.tanh(a_h + r * u_h), c


def whole(op: str, x: Array, h: Array | None = None, c: Array | None = None) -> tuple[Array, Array, Array]:
    """All outputs, and the last states."""
    h = np.zeros((len(x), UNITS)) if h is None else h
    c = np.zeros((len(x), UNITS)) if c is None else c
    outputs = []
    for time in range(x.shape[1]):
        h, c = loop(op, x[:, time], h, c)
        outputs.append(h)
    return np.stack(outputs, axis=1), h, c


@pytest.mark.clause("CV-100@60f51b", "CV-102@4a510e", "CV-105@af5e0c")
@pytest.mark.parametrize("op", sorted(GATES))
def test_steps_outputs_and_order(run: Run, op: str) -> None:
    """The gates lie in their order; the last output, all of them, or all from the last step to the first."""
    outputs, h, c = whole(op, X)
    attrs = {"units": UNITS}
    np.testing.assert_allclose(run(op, X, params=params(op), **attrs), h)
    np.testing.assert_allclose(run(op, X, params=params(op), return_sequences=True, **attrs), outputs)
    back = run(op, X, params=params(op), return_sequences=True, go_backwards=True, **attrs)
    np.testing.assert_allclose(back, whole(op, X[:, ::-1])[0])
    states = [h, c] if op == "lstm" else [h]
    for index, state in enumerate(states, 1):
        np.testing.assert_allclose(run(op, X, params=params(op), return_state=True, output=index, **attrs), state)


@pytest.mark.clause("CV-100@60f51b", "CV-101@b72133")
def test_both_forms_of_gru_and_of_the_bias(run: Run) -> None:
    """A gru that resets before its kernel has one bias; a second bias of lstm is added to the first."""
    one = {"kernel": KERNEL[3], "recurrent_kernel": RECURRENT[3], "bias": BIAS[3]}
    found = run("gru", X[:, :1], np.ones((2, UNITS)), params=one, units=UNITS, reset_after=False)
    h = np.ones((2, UNITS))
    a_z, a_r, a_h = np.split(X[:, 0] @ KERNEL[3] + BIAS[3], 3, axis=-1)
    u_z, u_r, u_h = np.split(RECURRENT[3], 3, axis=-1)
    z, r = sigmoid(a_z + h @ u_z), sigmoid(a_r + h @ u_r)
    np.testing.assert_allclose(found, z * h + (1 - z) * np.tanh(a_h + (r * h) @ u_h))
    double = params("lstm", bias=BIAS[4] - SECOND[4], recurrent_bias=SECOND[4])
    found = run("lstm", X, params=double, units=UNITS, bias_form="double")
    np.testing.assert_allclose(found, whole("lstm", X)[1])


@pytest.mark.clause("CV-103@11080b")
@pytest.mark.parametrize("op", sorted(GATES))
def test_first_states(run: Run, op: str) -> None:
    """They come as further inputs or as an argument; the order is h, c."""
    first = [RNG.normal(size=(2, UNITS)) for _ in range(2 if op == "lstm" else 1)]
    expected = whole(op, X, *first)[1]
    np.testing.assert_allclose(run(op, X, *first, params=params(op), units=UNITS), expected)
    found = run(op, X, params=params(op), kwargs={"initial_state": first}, units=UNITS)
    np.testing.assert_allclose(found, expected)


@pytest.mark.clause("CV-104@425097")
@pytest.mark.parametrize("op", sorted(GATES))
@pytest.mark.parametrize("backwards", [False, True])
def test_masked_steps_hold_the_states(run: Run, op: str, backwards: bool) -> None:
    """The states are those of the steps that count; a masked step repeats the state, also the first, or gives 0."""
    first = RNG.normal(size=(2, UNITS))
    attrs: dict[str, Any] = {"units": UNITS, "return_sequences": True} | ({"go_backwards": True} if backwards else {})
    states = [first, np.zeros((2, UNITS))] if op == "lstm" else [first]
    held, zeros = (
        run(op, X, *states, params=params(op), kwargs={"mask": MASK}, **attrs, **zero)
        for zero in ({}, {"zero_output_for_mask": True})
    )
    for example in range(2):
        x, mask = X[example : example + 1], MASK[example]
        x, mask = (x[:, ::-1], mask[::-1]) if backwards else (x, mask)
        expected = whole(op, x[:, mask], first[example : example + 1])[0][0]
        np.testing.assert_allclose(held[example][mask], expected)
        np.testing.assert_allclose(zeros[example][mask], expected)
        before = [first[example], *held[example]]
        for time in np.flatnonzero(~mask):
            np.testing.assert_allclose(held[example][time], before[time])
            assert not zeros[example][time].any()


def chained(op: str, attrs: dict[str, Any], mask: Array) -> Any:
    """The mean over the steps that the mask of the op's output has; the op's input has `mask`."""
    modules = [
        Module("x", op="core:input", attrs={"shape": [None, 4, 3], "dtype": "float64"}),
        Module("masking", op="core:masking"),
        Module("op", op=f"core:{op}", attrs=attrs, params={role: f"op/{role}" for role in params(op)}),
        Module("mean", op="core:global_avg_pool"),
    ]
    order = ["x", "masking", "op", "mean"]
    calls = [
        Call("x", "x"),
        *(Call(name, name, [OutputRef(last, 0)]) for last, name in pairwise(order)),
    ]
    graph = Graph([OutputRef("x", 0)], [OutputRef("mean", 0), OutputRef("op", 0)], calls)
    weights = Weights()
    for role, array in params(op).items():
        weights.add(f"op/{role}", Tensor.of(array), role=role)
    model = Model(Config(Module("m", "graph", "core:graph", modules=modules, graph=graph)), weights)
    return evaluate(model, np.where(mask[..., None], X, 0.0))


@pytest.mark.clause("CV-106@4b4a12")
@pytest.mark.parametrize("backwards", [False, True])
def test_the_mask_of_a_sequence_stays_as_it_is(backwards: bool) -> None:
    """The output has the mask of the input, not turned around even where its steps are."""
    attrs = {"units": UNITS, "return_sequences": True, "go_backwards": backwards}
    mean, outputs = chained("gru", attrs, MASK)
    np.testing.assert_allclose(mean, (outputs * MASK[..., None]).sum(axis=1) / MASK.sum(axis=1, keepdims=True))


@pytest.mark.clause("CV-107@50b2b4")
@pytest.mark.parametrize("op", sorted(GATES))
def test_dropout_is_the_same_in_all_steps(op: str) -> None:
    """In training, an input that is the same at all steps loses the same features; with rate 0 nothing is drawn."""
    from etui.core.ops.recurrent import Drops

    gates = GATES[op]
    draws: dict[str, Any] = {"training": True, "rng": np.random.default_rng(5)}
    shared = Drops(gates, X, UNITS, dropout=0.5, recurrent_dropout=0.0, **draws)
    own = Drops(gates, X, UNITS, dropout=0.5, recurrent_dropout=0.5, **draws)
    assert len(shared.inputs) == gates
    assert all(factor is shared.inputs[0] for factor in shared.inputs)
    assert all((factor == 1).all() for factor in shared.states)
    assert {float(value) for factor in (*shared.inputs, *own.states) for value in factor.ravel()} <= {0.0, 2.0}
    assert gates == 1 or any((factor != own.inputs[0]).any() for factor in own.inputs)
    still = Drops(gates, X, UNITS, dropout=0.5, recurrent_dropout=0.5, training=False, rng=None)
    assert all((factor == 1).all() for factor in (*still.inputs, *still.states))


def wrapper(
    op: str, children: list[Module], variables: dict[str, Array], count: int, **attrs: Any
) -> Callable[..., Any]:
    """A function that evaluates a wrapper of some modules."""

    def call(x: Array, *states: Array, mask: Array | None = None) -> Any:
        arrays = {"x": x} | {f"s{index}": state for index, state in enumerate(states)}
        kwargs: dict[str, Any] = {}
        args = [OutputRef(name, 0) for name in arrays]
        if mask is not None:
            arrays["mask"], kwargs["mask"] = mask, OutputRef("mask", 0)
        inputs = [Module(name, op="core:input", attrs={"shape": [None], "dtype": "float64"}) for name in arrays]
        calls = [*(Call(name, name) for name in arrays), Call("op", "op", args, kwargs)]
        outputs = [OutputRef("op", index) for index in range(count)]
        module = Module("op", op=f"core:{op}", attrs=attrs, modules=children)
        graph = Graph([OutputRef(name, 0) for name in arrays], outputs, calls)
        weights = Weights()
        for path, array in variables.items():
            weights.add(path, Tensor.of(array), role=path.rpartition("/")[2])
        return evaluate(
            Model(Config(Module("m", "graph", "core:graph", modules=[*inputs, module], graph=graph)), weights), arrays
        )

    return call


@pytest.mark.clause("CV-108@69e7d2", "CV-109@60a13c")
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "mean", "none"])
def test_bidirectional_turns_the_second_around(merge: str) -> None:
    """Both see the same sequence and mask; outputs meet at the same step, states go to and come from both halves."""
    first = [RNG.normal(size=(2, UNITS)) for _ in range(2)]
    shared = {"units": UNITS, "return_sequences": True, "return_state": True, "zero_output_for_mask": True}
    children: list[Module] = []
    variables: dict[str, Array] = {}
    for name, backwards in (("forward", False), ("backward", True)):
        roles = {role: f"op/{name}/{role}" for role in params("gru")}
        attrs = shared | ({"go_backwards": True} if backwards else {})
        children.append(Module(name, op="core:gru", attrs=attrs, params=roles))
        variables |= {f"op/{name}/{role}": array for role, array in params("gru").items()}
    count = 4 if merge == "none" else 3
    found = wrapper("bidirectional", children, variables, count, merge=merge)(X, *first, mask=MASK)
    one, other = np.zeros((2, 4, UNITS)), np.zeros((2, 4, UNITS))
    last: list[list[Array]] = [[], []]
    for example in range(2):
        x, kept = X[example : example + 1, MASK[example]], MASK[example]
        outputs, h, _ = whole("gru", x, first[0][example : example + 1])
        one[example][kept] = outputs[0]
        back, g, _ = whole("gru", x[:, ::-1], first[1][example : example + 1])
        other[example][kept] = back[0][::-1]
        last[0].append(h)
        last[1].append(g)
    merged = {
        "concat": [np.concatenate([one, other], axis=-1)],
        "sum": [one + other],
        "mul": [one * other],
        "mean": [(one + other) / 2],
        "none": [one, other],
    }[merge]
    for value, expected in zip(found, [*merged, *(np.concatenate(state) for state in last)], strict=True):
        np.testing.assert_allclose(value, expected)


@pytest.mark.clause("CV-110@d30c50")
def test_time_distributed_goes_step_by_step() -> None:
    """Each step of a sequence of sequences is its own, with its own mask."""
    x, mask = RNG.normal(size=(2, 3, 4, 3)), RNG.random((2, 3, 4)) < 0.6
    roles = {role: f"op/layer/{role}" for role in params("lstm")}
    child = Module("layer", op="core:lstm", attrs={"units": UNITS}, params=roles)
    variables = {f"op/layer/{role}": array for role, array in params("lstm").items()}
    (found,) = wrapper("time_distributed", [child], variables, 1)(x, mask=mask)
    assert found.shape == (2, 3, UNITS)
    for time in range(3):
        for example in range(2):
            kept = x[example : example + 1, time, mask[example, time]]
            np.testing.assert_allclose(
                found[example, time], whole("lstm", kept)[1][0] if kept.size else np.zeros(UNITS)
            )
