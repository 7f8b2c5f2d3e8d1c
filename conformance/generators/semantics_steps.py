"""Cases of optimizers: an artifact, some gradients, and what each step makes of variables and slots (SPEC.md, K).

Slots of an optimizer that already took steps are numbers made up here, so that nothing in an artifact was computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from semantics_cases import FLOAT64, Array, Numbers, variable
from semantics_store import Json, packed, tensor

from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.documents import DOCUMENTS
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core.optimizers import step
from etui.core.parameters import hyperparameters
from etui.core.rules.slots import slot_shapes
from etui.model import Model

Attrs = Mapping[str, Any]
SHAPES: dict[str, tuple[int, ...]] = {"dense/kernel": (3, 2), "dense/bias": (2,)}
_NEVER_NEGATIVE = (
    "velocity",
    "accumulator",
    "accumulated_grad",
    "accumulated_delta_var",
    "norm",
    "r",
    "c",
    "v",
    "velocity_hat",
)
_RATE = {"learning_rate": 0.0625}


@dataclass
class Run:
    """An optimizer before its first step here, and how many it takes.

    Attributes:
        rule: the algorithm, without its namespace; its file.
        name, title, clauses: of the case.
        h: hyperparameters.
        shapes: of the variables.
        at: steps that it already took; 0 is a fresh one.
        steps: how many it takes here.
        groups: of the optimizer, else one of all variables.
        fields: other fields of the optimizer.
        missing: variables without a gradient, by the number of the step here.
        scale: what the gradients are multiplied by.
        bad: numbers of steps here in which one gradient is not finite.
        fresh: variables without slots although steps were taken.
        shared: shared slots of an optimizer that took steps.
        extra: slots that the rule does not name.
        constraints: path -> projection, by a config.
        micro: gradients that it already saw, where these are more than `at`.
        outer: hyperparameters, and shared slots, of a `loss_scale` that wraps the optimizer.
        zeros: whether the first variable, and the first gradient of the others, are zeros.
        rates: whether the rate that each step leaves is compared, too.
    """

    rule: str
    name: str
    title: str
    clauses: str = "CO-6"
    h: Attrs = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: SHAPES)
    at: int = 0
    micro: int | None = None
    steps: int = 3
    groups: Sequence[Group] = ()
    fields: Attrs = field(default_factory=dict)
    missing: Mapping[int, Sequence[str]] = field(default_factory=dict)
    scale: float = 1.0
    bad: Sequence[int] = ()
    fresh: Sequence[str] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    constraints: Mapping[str, ObjectValue] = field(default_factory=dict)
    outer: Attrs | None = None
    zeros: bool = False
    rates: bool = False


def made(run: Run) -> tuple[Optimizer, dict[str, Array]]:
    """The optimizer and the variables before the first step."""
    n = Numbers(f"{run.rule}/{run.name}")
    variables = {path: n(*shape) for path, shape in run.shapes.items()}
    if run.zeros:
        next(iter(variables.values()))[...] = 0.0
    groups = list(run.groups) or [Group(list(variables))]
    micro = run.at if run.micro is None else run.micro
    optimizer = Optimizer(
        f"core:{run.rule}",
        {**_RATE, **run.h} if "schedule" not in run.fields else dict(run.h),
        groups=groups,
        step=run.at,
        micro_step=micro,
        **run.fields,
    )
    fresh = list(run.fresh) if run.at or micro else list(variables)
    slots: dict[str, dict[str, Tensor]] = {}
    for group in groups:
        own = hyperparameters(optimizer, group)
        for path in group.variables:
            found = {} if path in fresh else _slots(n, run.rule, own, path, run.shapes[path])
            found |= {name: Tensor.of(array) for name, array in run.extra.get(path, {}).items()}
            if found:
                slots[path] = found
    optimizer.slots = slots
    optimizer.fresh = sorted(path for path in fresh if path not in slots)
    optimizer.shared_slots = {name: Tensor.of(np.asarray(value)) for name, value in run.shared.items()}
    if run.outer is not None:
        scaler = {name: Tensor.of(np.asarray(value)) for name, value in run.outer.get("shared", {}).items()}
        told = {name: value for name, value in run.outer.items() if name != "shared"}
        optimizer = Optimizer(
            "core:loss_scale",
            told,
            groups=groups,
            step=run.at,
            micro_step=micro,
            inner=optimizer,
            shared_slots=scaler,
            learning_rate=optimizer.learning_rate,
        )
    return optimizer, variables


def _slots(n: Numbers, rule: str, h: Attrs, path: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    found = {}
    for name, own in slot_shapes(rule, h, path, shape).items():
        found[name] = Tensor.of(n.positive(*own) if name in _NEVER_NEGATIVE else n(*own))
    return found


def model_of(run: Run, optimizer: Optimizer, variables: Mapping[str, Array]) -> Model:
    """The artifact's content; with a config where constraints are asked for."""
    weights = Weights({path: variable(path, array) for path, array in variables.items()})
    config = _config(run) if run.constraints else None
    return Model(config=config, weights=weights, optimizer=OptimizerState({"optimizer": optimizer}))


def _config(run: Run) -> Config:
    """A dense module whose variables have constraints."""
    rows, units = run.shapes["dense/kernel"]
    roles = {path.rpartition("/")[2]: value for path, value in run.constraints.items()}
    attrs = {"units": units, "precision": FLOAT64, "constraints": roles}
    dense = Module("dense", op="core:dense", attrs=attrs, params={"kernel": "dense/kernel", "bias": "dense/bias"})
    source = Module("x", op="core:input", attrs={"shape": [None, rows], "dtype": "float64"})
    calls = [Call("x", "x"), Call("dense", "dense", [OutputRef("x", 0)])]
    graph = Graph([OutputRef("x", 0)], OutputRef("dense", 0), calls)
    return Config(Module("model", "graph", "core:graph", modules=[source, dense], graph=graph))


def stepped(run: Run) -> Json:
    """The case: the artifact, the gradients, and what is expected after each step."""
    optimizer, variables = made(run)
    n = Numbers(f"{run.rule}/{run.name}/gradients")
    request = {"artifact": packed(model_of(run, optimizer, variables))}
    gradients, expected = [], []
    for number in range(run.steps):
        given = {path: n(*shape) * run.scale for path, shape in run.shapes.items()}
        given = {path: array for path, array in given.items() if path not in run.missing.get(number, ())}
        if run.zeros and not number:
            given = {path: array * (path == next(iter(given))) for path, array in given.items()}
        if number in run.bad:
            next(iter(given.values())).flat[0] = np.inf
        optimizer, variables = step(optimizer, variables, given, constraints=dict(run.constraints))
        gradients.append({path: tensor(array) for path, array in given.items()})
        expected.append(_state(optimizer, variables, rates=run.rates))
    return {
        "name": run.name,
        "title": run.title,
        "clauses": run.clauses.split(),
        "op": "step",
        **({"needs": ["config"]} if run.constraints else {}),
        "request": request | {"gradients": gradients},
        "expected": {"steps": expected},
    }


def _state(optimizer: Optimizer, variables: Mapping[str, Array], *, rates: bool) -> Json:
    """What is compared after a step: variables, the tensors of the optimizer, its counters, those of an inner one."""
    tensors = DOCUMENTS["optimizer.msgpack"].tensors(OptimizerState({"optimizer": optimizer}))
    counters, left, at, path = {}, {}, optimizer, "optimizer"
    while True:
        counters[path] = {"step": at.step, "micro_step": at.micro_step}
        left[path] = at.learning_rate
        if at.inner is None:
            break
        at, path = at.inner, f"{path}/inner"
    return {
        "weights": {name: tensor(array) for name, array in sorted(variables.items())},
        "tensors": {name: tensor(one.numpy()) for name, one in sorted(tensors)},
        "counters": counters,
        **({"learning_rates": left} if rates else {}),
    }
