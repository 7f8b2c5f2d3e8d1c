"""A checkpoint whose model is not known: variables by their object path (SPEC.md, annex F.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui import paths
from etui.bridges.tensorflow.arrays import data_of, tensor_of
from etui.bridges.tensorflow.object_graph import KEY, ObjectGraph
from etui.bridges.tensorflow.object_places import Place, Places, object_places
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.weights import Weights
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.tf_bundle import BundleTensor

FRAMEWORK = "tensorflow"
ALGORITHM = "tensorflow:Optimizer"
GRAPH, TENSORS, NAMES, SETTINGS = "object_graph", "tensors", "names", "settings"
STEPS = ("iter", "_iterations", "iterations")
RATES = ("learning_rate", "_learning_rate")
_FLOATS = ("bfloat16", "float", "complex")
_MOVING = ("moving_mean", "moving_variance")


def keep_scale(optimizer: Optimizer, stored: Mapping[str, BundleTensor], report: Report) -> None:
    """Keep the variables of a scaler's `loss_scale`, by name, beside the optimizer (KT-43)."""
    for name in stored:
        report.add("slot", f"optimizer/{name}", "data-only", "kept beside the optimizer")
    if stored:
        optimizer.residue[FRAMEWORK] = {SETTINGS: {name: tensor_of(found) for name, found in stored.items()}}


def read_objects(
    graph: ObjectGraph,
    tensors: Mapping[str, BundleTensor],
    data: bytes,
    report: Report,
    limits: Limits = DEFAULT_LIMITS,
) -> Model:
    """The model of a checkpoint of objects.

    Args:
        graph: its objects.
        tensors: every tensor of its bundle.
        data: the serialized graph, which is kept.
        report: gets an entry for each tensor.
        limits: of paths.

    Raises:
        RejectError: a code of SPEC.md, annex F.
    """
    return _Reading(object_places(graph, limits), tensors, report).model(data)


class _Reading:
    def __init__(self, places: Places, tensors: Mapping[str, BundleTensor], report: Report) -> None:
        self._places = places
        self._tensors = tensors
        self._report = report
        self._state = State()
        self._kept: dict[str, Any] = {}

    def model(self, data: bytes) -> Model:
        keys, tensors = self._places.keys, self._tensors
        weights = self._weights()
        optimizers = OptimizerState({path: self._optimizer(path) for path in self._places.optimizers})
        for key, stored in tensors.items():
            place = keys.get(key, Place("data", key))
            if key != KEY and place.kind == "data":
                self._kept[key] = data_of(stored)
                self._report.add("state", key, "data-only", "no variable, so kept as it is")
            elif place.kind == "counter":
                self._counter(key, place, stored)
        for key, place in keys.items():
            if key not in tensors and place.kind != "data":
                self._report.add("variable", place.owner, "missing", f"the checkpoint has no tensor {key}")
        residue: dict[str, Any] = {GRAPH: data}
        if self._kept:
            residue[TENSORS] = self._kept
        self._state.residue[FRAMEWORK] = residue
        return Model(weights=weights, optimizer=optimizers if optimizers.optimizers else None, state=self._state)

    def _weights(self) -> Weights:
        weights = Weights()
        trained = {path for listed in self._places.optimizers.values() for path in listed}
        for key, place in self._places.keys.items():
            if place.kind != "variable" or key not in self._tensors:
                continue
            stored = self._tensors[key]
            role = place.owner.rpartition("/")[2]
            floats = stored.dtype.startswith(_FLOATS)
            trainable = place.owner in trained if trained else floats and role not in _MOVING
            weights.add(place.owner, tensor_of(stored), role=paths.unescape_segment(role), trainable=trainable)
            self._report.add("variable", place.owner, "restored", "" if trained else "its flag is a guess")
        for path, target in self._places.aliases.items():
            if target in weights.variables and path not in weights.variables:
                weights.aliases[path] = target
                self._report.add("variable", path, "aliased", f"is {target}")
        return weights

    def _optimizer(self, path: str) -> Optimizer:
        optimizer = Optimizer(ALGORITHM)
        settings: dict[str, Any] = {}
        for key, place in self._places.keys.items():
            stored = self._tensors.get(key)
            if stored is None or place.owner != path or place.kind not in ("slot", "setting"):
                continue
            if place.kind == "slot":
                optimizer.slots.setdefault(place.variable, {})[place.name] = tensor_of(stored)
                self._report.add("slot", f"{path}/{place.variable}/{place.name}", "restored")
                continue
            settings[place.name] = data_of(stored)
            self._report.add("slot", f"{path}/{place.name}", "restored")
            if stored.shape == () and place.name in STEPS and "int" in stored.dtype:
                optimizer.step = optimizer.micro_step = max(0, int(stored.read()))
            elif stored.shape == () and place.name in RATES and "float" in stored.dtype:
                optimizer.learning_rate = float(stored.read())
        listed = self._places.optimizers[path]
        if listed:
            optimizer.groups = [Group(listed)]
        optimizer.fresh = [name for name in listed if name not in optimizer.slots]
        if settings:
            optimizer.residue[FRAMEWORK] = {SETTINGS: settings}
        self._report.add("optimizer", path, "data-only", "a checkpoint does not say which algorithm it is")
        return optimizer

    def _counter(self, key: str, place: Place, stored: BundleTensor) -> None:
        value = int(stored.read()) if stored.shape == () and stored.dtype == "int64" else -1
        if value < 0:
            self._kept[key] = data_of(stored)
            self._report.add("state", key, "data-only", "not a count, so kept as it is")
        else:
            self._state.counters[place.owner] = value
            self._report.add("state", place.owner, "restored")


def read_names(tensors: Mapping[str, BundleTensor], report: Report) -> Model:
    """The model of a checkpoint of names, as TensorFlow 1 writes them: each name is a variable's path.

    Raises:
        RejectError: a code of SPEC.md, annex F.
    """
    weights, other, kept = Weights(), {}, {}
    for name, stored in tensors.items():
        if stored.dtype == "variant":
            kept[name] = data_of(stored)
            report.add("state", name, "data-only", "no variable, so kept as it is")
            continue
        path = "/".join(map(paths.escape_segment, name.split("/")))
        role = paths.unescape_segment(path.rpartition("/")[2])
        floats = stored.dtype.startswith(_FLOATS)
        weights.add(path, tensor_of(stored), role=role, trainable=floats and role not in _MOVING)
        report.add("variable", path, "restored", "its flag is a guess")
        if path != name:
            other[path] = name
    residue: dict[str, Any] = {NAMES: other}
    if kept:
        residue[TENSORS] = kept
    return Model(weights=weights, state=State(residue={FRAMEWORK: residue}))
