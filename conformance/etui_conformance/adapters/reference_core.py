"""Forward passes, steps of optimizers and single objects by the library's evaluator of the core vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etui.canonical import values
from etui.canonical.values import ObjectValue
from etui.containers.documents import DOCUMENTS
from etui.containers.optimizer import OptimizerState
from etui.core import constraints, initializers, losses, metrics, regularizers, schedules, vocabulary
from etui.core.attribute_types import object_fault
from etui.core.evaluate import evaluate as run
from etui.core.flows import leaves
from etui.core.ops.registry import activation_function
from etui.core.optimizers import step as take_step
from etui.errors import error
from etui.model import Model
from etui_conformance.adapters.reference_content import content_of
from etui_conformance.adapters.reference_wire import Json, MessageError, Wire

Inputs = Mapping[str, Any]
_PLACE = "the object of the message"
_STATE = "state/"


def evaluate(model: Model, request: Mapping[str, Json], wire: Wire) -> dict[str, Json]:
    """The outputs of a model of core ops, each computed in the `compute_dtype` of its precision.

    Args:
        model: with config and weights.
        request: `inputs`, a list of tensors and nulls, and `training`.
        wire: carries the tensors.
    """
    inputs = [None if node is None else wire.array(node) for node in request["inputs"]]
    training = bool(request.get("training", False))
    found = run(model, inputs, training=training, precision=True)
    outputs, updates = found if training else (found, {})
    return {
        "outputs": [_given(wire, array) for array in leaves(outputs)],
        "variables": {path: _given(wire, array) for path, array in updates.items()},
    }


def step(model: Model, request: Mapping[str, Json], wire: Wire) -> dict[str, Json]:
    """All variables and the state of the optimizer after one step.

    Args:
        model: with weights and one optimizer.
        request: `gradients`, by path.
        wire: carries the tensors.
    """
    if model.weights is None or model.optimizer is None or len(model.optimizer.optimizers) != 1:
        raise MessageError("a step needs weights and exactly one optimizer")
    ((name, optimizer),) = model.optimizer.optimizers.items()
    variables = {path: variable.numpy() for path, variable in model.weights.variables.items()}
    gradients = {path: wire.array(node) for path, node in request["gradients"].items()}
    mine = {path: variables[path] for path in optimizer.variables()} or variables
    stepped, changed = take_step(optimizer, mine, gradients, constraints=_constraints(model))
    state = OptimizerState({name: stepped}, model.optimizer.extra)
    tensors = {key: wire.of_tensor(tensor) for key, tensor in DOCUMENTS["optimizer.msgpack"].tensors(state)}
    content = content_of(Model(optimizer=state, version=model.version), wire, tensors=False)
    return {
        "weights": {path: _given(wire, array) for path, array in {**variables, **changed}.items()},
        "optimizer": content["optimizer"],
        "tensors": tensors,
    }


def _constraints(model: Model) -> dict[str, ObjectValue]:
    """The projections that the core modules of a config name, by the path of the variable."""
    found: dict[str, ObjectValue] = {}
    for _, module in model.config.walk() if model.config is not None else ():
        named = module.attrs.get("constraints") if vocabulary.is_core(module) else None
        for role, constraint in (named or {}).items():
            if isinstance(constraint, ObjectValue) and role in module.params:
                path = module.params[role]
                found[model.weights.resolve(path) if model.weights is not None else path] = constraint
    return found


def compute(request: Mapping[str, Json], wire: Wire) -> dict[str, Json]:
    """What a `$object` of the vocabulary gives for the inputs that its formula names."""
    value = values.from_json(request["object"], _PLACE)
    if not isinstance(value, ObjectValue):
        raise MessageError("object is a $object")
    kind, _, _ = value.class_name.removeprefix(vocabulary.NAMESPACE).partition(".")
    if not vocabulary.defines(value.class_name, "class"):
        raise error("op-unknown", where=_PLACE, found=value.class_name)
    if kind not in _KINDS:
        raise MessageError(f"nothing to compute of {value.class_name!r}")
    fault = object_fault(value, kind)
    if fault:
        raise error("core-object", where=_PLACE, found=f"{value.class_name} with {fault}")
    inputs = {name: _input(node, wire) for name, node in request["inputs"].items()}
    return {"outputs": {name: _given(wire, array) for name, array in _KINDS[kind](value, inputs).items()}}


def _input(node: Json, wire: Wire) -> Any:
    return node if isinstance(node, int | float | list) else wire.array(node)


def _given(wire: Wire, array: Any) -> dict[str, Json]:
    array = np.asarray(array)
    return wire.of_array(array, "string" if array.dtype.kind in "OU" else None)


def _loss(value: ObjectValue, inputs: Inputs) -> dict[str, Any]:
    weight, mask = inputs.get("sample_weight"), inputs.get("mask")
    return {"value": losses.loss(value, inputs["y_true"], inputs["y_pred"], weight, mask)}


def _metric(value: ObjectValue, inputs: Inputs) -> dict[str, Any]:
    """The state after a batch, and the result; without inputs of a state the batch is the first one."""
    batch = {name: inputs[name] for name in ("sample_weight", "mask") if name in inputs}
    state = {name.removeprefix(_STATE): item for name, item in inputs.items() if name.startswith(_STATE)}
    state = metrics.update(value, state, inputs["y_true"], inputs.get("y_pred"), **batch)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = metrics.result(value, state)
    return {"result": result, **{f"{_STATE}{name}": item for name, item in state.items()}}


_KINDS: dict[str, Callable[[ObjectValue, Inputs], dict[str, Any]]] = {
    "losses": _loss,
    "metrics": _metric,
    "schedules": lambda value, inputs: {"rate": schedules.rate(value, inputs["clock"])},
    "activations": lambda value, inputs: {"y": activation_function(value)(inputs["x"])},
    "regularizers": lambda value, inputs: {"value": regularizers.penalty(value, inputs["x"])},
    "constraints": lambda value, inputs: {"y": constraints.project(value, inputs["x"])},
    "initializers": lambda value, inputs: {"y": initializers.draw(value, inputs["shape"].tolist(), np.float64)},
}
