"""Cases of recurrent ops (SPEC.md J.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Array, Case, Net, Numbers, single

from etui.containers.config import Module

_GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op in _GATES:
        for case in recurrent(op):
            yield op, case
    for op, maker in (
        ("simple_rnn", simple_rnn),
        ("lstm", lstm),
        ("gru", gru),
        ("bidirectional", bidirectional),
        ("time_distributed", time_distributed),
    ):
        for case in maker():
            yield op, case


def _params(n: Numbers, op: str, width: int, units: int, rows: tuple[int, ...] = ()) -> dict[str, Array]:
    gates = _GATES[op]
    return {
        "kernel": n.kernel(width, gates * units),
        "recurrent_kernel": n.kernel(units, gates * units),
        "bias": n.kernel(*rows, gates * units),
    }


def _rows(op: str) -> tuple[int, ...]:
    return (2,) if op == "gru" else ()


def recurrent(op: str) -> Iterator[Case]:
    """What all recurrent ops have in common."""
    n = Numbers(f"{op}/common")
    count = 2 if op == "lstm" else 1
    params = _params(n, op, 3, 2, _rows(op))
    x, states = n(3, 4, 3), [n(3, 2) for _ in range(count)]
    mask = np.array([[True, True, False, True], [False, True, True, False], [True, True, True, True]])

    def one(name: str, title: str, clauses: str, *inputs: Array, outputs: int = 1, **more: Any) -> Case:
        named = more.pop("named", None)
        return single(
            op,
            name,
            title,
            clauses,
            x,
            *inputs,
            attrs={"units": 2, **more},
            params=params,
            named=named,
            outputs=outputs,
        )

    yield one("last", "The output of the last step, from states of 0", "CV-100 CV-103 CV-105")
    whole = {"return_sequences": True}
    both = whole | {"return_state": True}
    yield one("all", "All outputs and the last states", "CV-100 CV-105", outputs=1 + count, **both)
    yield one(
        "backwards",
        "Backwards, the outputs in the order in which they were computed",
        "CV-102 CV-105",
        outputs=1 + count,
        go_backwards=True,
        **both,
    )
    yield one("states", "First states as inputs after the sequence", "CV-9 CV-103", *states, outputs=1 + count, **both)
    yield one(
        "backwards-last", "Backwards, the last step that is taken is the first one", "CV-102 CV-105", go_backwards=True
    )
    if op == "simple_rnn":
        return
    yield one(
        "initial-state",
        "First states as an argument",
        "CV-103",
        outputs=1 + count,
        named={"initial_state": states},
        **both,
    )
    yield one(
        "mask",
        "At masked steps the states stay, and h is the output",
        "CV-13 CV-104",
        *states,
        outputs=1 + count,
        named={"mask": mask},
        **both,
    )
    yield one(
        "mask-zero",
        "At masked steps the output is 0 if that is asked for, and the states stay",
        "CV-104",
        *states,
        outputs=1 + count,
        named={"mask": mask},
        zero_output_for_mask=True,
        **both,
    )
    yield one(
        "mask-backwards",
        "The mask goes backwards with the sequence",
        "CV-102 CV-104",
        outputs=1 + count,
        named={"mask": mask},
        go_backwards=True,
        **both,
    )
    yield one(
        "mask-last",
        "The last step that was taken may be a masked one",
        "CV-104 CV-105",
        named={"mask": mask},
        zero_output_for_mask=True,
    )
    bare = {key: value for key, value in params.items() if key != "bias"}
    yield single(
        op,
        "no-bias",
        "Without a bias, with another activation",
        "CV-100",
        x,
        attrs={"units": 2, "use_bias": False, "activation": "sigmoid"},
        params=bare,
    )
    yield single(
        op,
        "dropout",
        "In inference nothing is dropped",
        "CV-107 CV-160",
        x,
        attrs={"units": 2, "dropout": 0.5, "recurrent_dropout": 0.25},
        params=params,
    )
    yield single(
        op,
        "dropout-all",
        "In training with the rate 1, only the biases are left",
        "CV-107 CV-161",
        x,
        attrs={"units": 2, "dropout": 1.0, "recurrent_dropout": 1.0},
        params=params,
        training=True,
    )
    yield _carried(op, "mask-out", "The mask of a sequence goes on in its own order, even backwards", True, params)
    yield _carried(op, "mask-end", "An output that is no sequence has no mask", False, params)


def _carried(op: str, name: str, title: str, whole: bool, params: dict[str, Array]) -> Case:
    """Steps are masked before the op; a mean over the mask that is left comes after it."""
    n = Numbers(f"{op}/{name}")
    keep = np.array([[True, True, False, False], [False, True, True, True]])
    net = Net()
    before = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 4, 3), 0.0)), name="before")
    attrs: dict[str, Any] = {"units": 2} | ({"return_sequences": True, "go_backwards": True} if whole else {})
    found = net.op(op, before, name="op", params=params, **attrs)
    if not whole:
        found = net.op("expand_dims", found, name="steps")
    net.outputs = [net.op("global_avg_pool", found, name="after")]
    return net.case(name, title, "CV-12 CV-106")


def simple_rnn() -> Iterator[Case]:
    """What it has of its own, and some of what all have."""
    n = Numbers("simple_rnn/own")
    params = _params(n, "simple_rnn", 3, 2)
    yield single(
        "simple_rnn",
        "mask",
        "At masked steps the state stays, backwards",
        "CV-13 CV-102 CV-104",
        n(2, 4, 3),
        n(2, 2),
        attrs={"units": 2, "return_sequences": True, "return_state": True, "go_backwards": True},
        params=params,
        named={"mask": np.array([[True, True, False, True], [False, True, True, False]])},
        outputs=2,
    )
    yield single(
        "simple_rnn",
        "dropout-all",
        "In training with the rate 1, only the bias is left",
        "CV-107 CV-161",
        n(2, 3, 3),
        attrs={"units": 2, "dropout": 1.0, "recurrent_dropout": 1.0},
        params=params,
        training=True,
    )
    bare = {key: value for key, value in params.items() if key != "bias"}
    yield single(
        "simple_rnn",
        "mask-zero",
        "At masked steps the output is 0 if that is asked for; first states as an argument, and no bias",
        "CV-103 CV-104",
        n(2, 4, 3),
        attrs={"units": 2, "return_sequences": True, "use_bias": False, "zero_output_for_mask": True},
        params=bare,
        named={"mask": np.array([[True, False, False, True], [False, True, True, False]]), "initial_state": [n(2, 2)]},
    )
    yield _carried("simple_rnn", "mask-out", "The mask of a sequence goes on", True, params)
    yield single(
        "simple_rnn",
        "one-step",
        "One step of one unit",
        "CV-100",
        n(1, 1, 1),
        n(1, 1),
        attrs={"units": 1, "activation": "linear"},
        params=_params(n, "simple_rnn", 1, 1),
    )


def lstm() -> Iterator[Case]:
    """What it has of its own."""
    n = Numbers("lstm/own")
    params = _params(n, "lstm", 2, 3)
    attrs = {"units": 3, "recurrent_activation": "hard_sigmoid", "activation": "softsign", "return_sequences": True}
    yield single(
        "lstm",
        "activations",
        "The activation of gates and that of what goes in and out are two",
        "CV-100",
        n(2, 3, 2),
        attrs=attrs,
        params=params,
    )
    yield single(
        "lstm",
        "double",
        "With a second bias",
        "CV-101",
        n(2, 3, 2),
        attrs=attrs | {"bias_form": "double"},
        params=params | {"recurrent_bias": n.kernel(12)},
    )


def gru() -> Iterator[Case]:
    """What it has of its own."""
    n = Numbers("gru/own")
    attrs = {"units": 2, "recurrent_activation": "hard_sigmoid", "activation": "softsign", "return_sequences": True}
    x, state = n(2, 3, 2), n(2, 2)
    yield single(
        "gru",
        "after",
        "The reset comes after the product",
        "CV-100 CV-101",
        x,
        state,
        attrs=attrs,
        params=_params(n, "gru", 2, 2, (2,)),
    )
    yield single(
        "gru",
        "before",
        "The reset comes before the product; one bias",
        "CV-100 CV-101",
        x,
        state,
        attrs=attrs | {"reset_after": False},
        params=_params(n, "gru", 2, 2),
    )


def bidirectional() -> Iterator[Case]:
    """Two ops over one sequence."""
    for merge in ("concat", "sum", "mul", "mean", "none"):
        yield _two(f"merge-{merge}", f"The outputs: {merge}", "CV-108", merge=merge)
    yield _two("last", "Outputs that are no sequence are not turned around", "CV-108", whole=False)
    yield _two("states", "First states: half for each; the last states follow the outputs", "CV-9 CV-109", states=True)
    yield _two("states-argument", "First states as an argument", "CV-109", states=True, argument=True)
    yield _two("states-none", "Two outputs, then the states", "CV-109", states=True, merge="none")
    yield _two("mask", "Both have the mask of the call", "CV-104 CV-108", mask=True)
    yield _two("turned", "The first of both may be the one that goes backwards", "CV-108", turned=True)
    yield _two("mask-out", "The output has the mask of forward's", "CV-106 CV-109", carried=True)


def _two(
    name: str,
    title: str,
    clauses: str,
    *,
    merge: str = "concat",
    whole: bool = True,
    states: bool = False,
    argument: bool = False,
    mask: bool = False,
    turned: bool = False,
    carried: bool = False,
) -> Case:
    n = Numbers(f"bidirectional/{name}")
    op = "lstm" if states else "gru"
    net = Net()
    children: list[Module] = []
    for child in ("forward", "backward"):
        attrs: dict[str, Any] = {"units": 2} | ({"return_sequences": True} if whole else {})
        attrs |= {"return_state": True} if states else {}
        attrs |= {"go_backwards": True} if (child == "backward") != turned else {}
        attrs |= {"zero_output_for_mask": True} if mask else {}
        params = _params(n, op, 2, 2, _rows(op))
        children.append(net.module(op, name=child, path=f"op/{child}", params=params, **attrs))
    keep = np.array([[True, True, False, True], [False, True, True, False]])
    given = n(2, 4, 2)
    x = net.give("x", np.where(keep[..., np.newaxis], given, 0.0) if carried else given)
    if carried:
        x = net.op("masking", x, name="before")
    first = [net.give(f"state_{index}", n(2, 2)) for index in range(4 if states else 0)]
    call: dict[str, Any] = {"mask": net.give("mask", keep)} if mask else {}
    call |= {"initial_state": first} if argument else {}
    told = {"merge": merge} if merge != "concat" else {}
    found = net.op("bidirectional", x, *([] if argument else first), name="op", modules=children, call=call, **told)
    count = (2 if merge == "none" else 1) + (4 if states else 0)
    net.outputs = [net.op("global_avg_pool", found, name="after")] if carried else net.outputs_of(found, count)
    return net.case(name, title, clauses)


def time_distributed() -> Iterator[Case]:
    """An op on each step."""
    n = Numbers("time_distributed")
    params = {"kernel": n.kernel(3, 2), "bias": n.kernel(2)}

    def one(
        name: str, title: str, clauses: str, inner: str, x: Array, *, mask: Array | None = None, **more: Any
    ) -> Case:
        net = Net()
        layer = net.module(inner, name="layer", path="op/layer", **more)
        call = {} if mask is None else {"mask": net.give("mask", mask)}
        source = net.give("x", x)
        net.outputs = [net.op("time_distributed", source, name="op", modules=[layer], call=call)]
        return net.case(name, title, clauses)

    yield one("dense", "Each step by itself", "CV-110", "dense", n(2, 3, 3), units=2, params=params)
    yield one(
        "norm",
        "Statistics of all axes are those of a step",
        "CV-110",
        "layer_norm",
        n(1, 3, 2, 2),
        axes=None,
        scale=False,
        center=False,
    )
    yield one(
        "mask",
        "Each step has its own mask",
        "CV-110",
        "gru",
        n(2, 3, 4, 2),
        mask=n.mask(6, 4).reshape(2, 3, 4),
        units=2,
        params=_params(n, "gru", 2, 2, (2,)),
    )
    net = Net()
    keep = np.array([[True, False, True], [False, True, True]])
    before = net.op("masking", net.give("x", np.where(keep[..., np.newaxis], n(2, 3, 3), 0.0)), name="before")
    layer = net.module("dense", name="layer", path="op/layer", params=params, units=2)
    found = net.op("time_distributed", before, name="op", modules=[layer])
    net.outputs = [net.op("global_avg_pool", found, name="after")]
    yield net.case("mask-out", "The output has the mask of the input", "CV-12 CV-110")
