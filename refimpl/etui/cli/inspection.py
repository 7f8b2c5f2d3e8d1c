"""The facts that `etui inspect` shows, as the schema `cli/inspect.schema.json` describes them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import Any, TypeVar

from etui._version import SPEC_VERSION
from etui.bridges import Bridge
from etui.canonical import values
from etui.containers.config import Config, Module
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import VALUE_FIELDS, Training
from etui.containers.weights import Variable, Weights
from etui.model import Model, Native
from etui.report import Report

Json = Any
T = TypeVar("T")

_FEW = 20
"""Entries of a list that is not asked for in full."""


def inspect_model(model: Model, bridge: Bridge, report: Report, location: str, form: str | None, *, full: bool) -> Json:
    """Everything about a model but its elements.

    Args:
        model: what to look at.
        bridge: of the format that it was read from.
        report: the reader's account.
        location: for people.
        form: of an artifact.
        full: list every variable, tensor, module and part, not the first few.
    """
    most = None if full else _FEW
    return {
        "format": "etui-inspection",
        "version": SPEC_VERSION,
        "location": location,
        "source": {"format": bridge.name, "title": bridge.title},
        "artifact": _artifact(model, form, most),
        "config": model.config and _config(model.config, most),
        "weights": None if model.weights is None else _weights(model.weights, most),
        "training": model.training and _training(model.training),
        "optimizers": model.optimizer and _optimizers(model.optimizer),
        "state": model.state and _state(model.state),
        "tensors": _tensors(model, most),
        "assets": _listed(
            ({"name": name, "size": blob.size} for name, blob in model.assets.items()), len(model.assets), most
        ),
        "native": _listed((_native(model, *item) for item in model.native.items()), len(model.native), most),
        "not_read": _listed(map(asdict, report.lost), len(report.lost), most),
    }


def _listed(items: Iterable[T], count: int, most: int | None) -> dict[str, Json]:
    """A list that says how long it is in full."""
    return {"count": count, "listed": list(islice(items, most))}


def _native(model: Model, name: str, native: Native) -> Json:
    return {
        "name": name,
        "framework": native.framework,
        "framework_version": native.framework_version,
        "size": native.blob.size,
        "current": model.is_fresh(native),
    }


def _artifact(model: Model, form: str | None, most: int | None) -> Json:
    manifest = model.manifest
    if manifest is None:
        return None
    parts = (
        {"name": name, "role": entry.role, "media_type": entry.media_type, "size": entry.size}
        for name, entry in manifest.parts.items()
    )
    return {
        "identity": model.digest,
        "form": form,
        "profile": manifest.profile,
        "version": manifest.version,
        "requires": manifest.requires,
        "bytes": sum(entry.size for entry in manifest.parts.values()),
        "parts": _listed(parts, len(manifest.parts), most),
        "metadata": values.to_json(manifest.metadata),
    }


def _config(config: Config, most: int | None) -> Json:
    modules = list(config.walk())
    return {
        "name": config.model.name,
        "kind": config.model.kind,
        "op": config.model.op,
        "kinds": dict(Counter(module.kind for _, module in modules)),
        "modules": _listed((_module(path, module) for path, module in modules), len(modules), most),
    }


def _module(path: str, module: Module) -> Json:
    return {
        "path": path,
        "name": module.name,
        "kind": module.kind,
        "op": module.op or None,
        "target": module.target,
        "variables": list(module.params.values()),
    }


def _elements(tensor: Tensor) -> int:
    return math.prod(tensor.shape)


def _weights(weights: Weights, most: int | None) -> Json:
    variables = weights.variables
    return {
        "parameters": sum(_elements(variable.tensor) for variable in variables.values()),
        "trainable_parameters": sum(
            _elements(variable.tensor) for variable in variables.values() if variable.trainable
        ),
        "bytes": sum(variable.tensor.nbytes for variable in variables.values()),
        "dtypes": dict(Counter(variable.dtype for variable in variables.values())),
        "variables": _listed((_variable(*item) for item in variables.items()), len(variables), most),
        "aliases": _listed(
            ({"path": path, "of": target} for path, target in weights.aliases.items()), len(weights.aliases), most
        ),
    }


def _variable(path: str, variable: Variable) -> Json:
    return {
        "path": path,
        "role": variable.role,
        "dtype": variable.dtype,
        "shape": list(variable.shape),
        "trainable": variable.trainable,
        "encoding": variable.tensor.encoding,
    }


def _training(training: Training) -> Json:
    found = {name: getattr(training, name) for name in VALUE_FIELDS if name != "residue"}
    return {name: values.to_json(value) for name, value in found.items() if value not in (None, {}, [], "")}


def _optimizers(state: OptimizerState) -> Json:
    return [_optimizer(place, optimizer) for place, optimizer in state.walk()]


def _optimizer(place: str, optimizer: Optimizer) -> Json:
    tensors = [tensor for slots in optimizer.slots.values() for tensor in slots.values()]
    tensors += optimizer.shared_slots.values()
    plain = {name: value for name, value in optimizer.hyperparameters.items() if not isinstance(value, Tensor)}
    return {
        "place": place,
        "algorithm": optimizer.algorithm,
        "step": optimizer.step,
        "micro_step": optimizer.micro_step,
        "learning_rate": values.json_view(optimizer.learning_rate),
        "hyperparameters": values.to_json(plain),
        "schedule": None if optimizer.schedule is None else optimizer.schedule.class_name,
        "variables": len(optimizer.variables()),
        "slots": dict(Counter(name for slots in optimizer.slots.values() for name in slots)),
        "fresh": len(optimizer.fresh),
        "bytes": sum(tensor.nbytes for tensor in tensors),
    }


def _state(state: State) -> Json:
    return {
        "counters": dict(state.counters),
        "generators": {path: rng.algorithm for path, rng in state.rng.items()},
        "metrics": {path: list(metric) for path, metric in state.metrics.items()},
        "data": list(state.data),
        "user": list(state.user),
    }


def _tensors(model: Model, most: int | None) -> Json:
    """The tensors of the documents beside the weights."""
    found = [item for item in model.stored_tensors() if item[0] != "weights"]
    rows = (
        {"document": area, "name": name, "dtype": tensor.dtype, "shape": list(tensor.shape)}
        for area, name, tensor in found
    )
    return _listed(rows, len(found), most)
