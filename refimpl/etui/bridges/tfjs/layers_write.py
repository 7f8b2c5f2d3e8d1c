"""A neutral model as topology and named weights of TensorFlow.js (SPEC.md, annex H.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Dialect, Written
from etui.bridges.keras.dialects.normalize import to_dialect
from etui.bridges.keras.h5.training import written_training
from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables, layer_variables
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.tfjs.narrowing import Narrowing
from etui.bridges.tfjs.slots import GROUP, own_class, written_slots
from etui.bridges.tfjs.topology_write import TopologyWriter
from etui.bridges.tfjs.training import own_training
from etui.bridges.tfjs.weight import Weight
from etui.bridges.tfjs.weight_names import is_legal, listed_path, names_of
from etui.containers.tensors import Tensor
from etui.model import Model
from etui.report import Report

Json = Any

_DIALECT: Dialect = "tf_keras"
_KERAS_VERSION = "2.21.0"
_NOT_LEGAL = re.compile(r"[^-A-Za-z0-9._]")


@dataclass(slots=True)
class Layers:
    """A layers model, ready to be written.

    Attributes:
        topology: the field `modelTopology`.
        training: the field `trainingConfig`, if TensorFlow.js understands how the model is trained.
        weights: each weight with its tensor, in the order of the layers.
    """

    topology: dict[str, Json]
    training: dict[str, Json] | None
    weights: list[tuple[Weight, Tensor]]


def layers_of(model: Model, report: Report) -> Layers:
    """The model in the words of TensorFlow.js.

    Args:
        model: of any dialect of Keras.
        report: gets an entry for each weight of another dtype, and for what TensorFlow.js does not have.

    Raises:
        TransferError: a code that begins with ``keras-``.
    """
    shapes = _input_shapes(model)
    model = to_dialect(model, _DIALECT, report)
    writing = Writing(model)
    written = writing.written()
    layers = layers_of_tree(written.tree)
    variables, lost = _chosen(layers, written.datasets)
    for path in _copies(variables):
        report.add("module", path, "translated", "is a layer of two models; TensorFlow.js gets a copy for each")
    for layout in lost:
        report.add("variable", layout, "not-transferable", "no layer of the topology has it")
    names = _renamed(variables)
    for path, name in names.items():
        report.add("module", path, "translated", f"is named {name}: weights are told apart by the layer's name")
    narrowing = Narrowing({id(v.tensor): path for path, v in (model.weights or {}).items()}, report)
    named = list(zip(names_of(variables, names), variables, strict=True))
    weights = [narrowing.weight(name, written.datasets[variable.layout]) for name, variable in named]
    facts = residue(writing.model_config.model).get("metadata")
    version = facts.get("keras_version") if isinstance(facts, dict) else None
    is_two = isinstance(version, str) and version.startswith("2.")
    topology: dict[str, Json] = {"keras_version": version if is_two else _KERAS_VERSION, "backend": "tensorflow"}
    topology["model_config"] = TopologyWriter(report, names, shapes).model(written.tree)
    training = _training(written, topology, report)
    trained = {name: variable.layout for name, variable in named if variable.trainable}
    slots = slots_of(model, training, trained, written.datasets)
    if slots and own_class(training) == "Adam":
        report.add("optimizer", "optimizer", "translated", "TensorFlow.js adds epsilon after the bias correction")
    return Layers(topology, training, [*weights, *slots])


def _input_shapes(model: Model) -> dict[str, Json]:
    """The shape of the input of each layer that was built, which only Keras 3 writes down."""
    modules = [] if model.config is None else model.config.walk()
    return {path: module.build["input_shape"] for path, module in modules if _has_shape(module.build)}


def _has_shape(build: object) -> bool:
    return isinstance(build, dict) and isinstance(build.get("input_shape"), list)


def layers_of_tree(tree: Mapping[str, Json]) -> list[LayerVariables]:
    """The layers of a config tree of tf_keras with their variables."""
    config = ConfigReader(dict(tree), _DIALECT, frozenset[str]().__contains__).read()
    return layer_variables(config, _DIALECT)


def _training(written: Written, topology: dict[str, Json], report: Report) -> dict[str, Json] | None:
    compiled = written.tree.get("compile_config")
    if not isinstance(compiled, dict) or not compiled:
        return None
    legacy = written_training(compiled, _DIALECT)
    if legacy is not None:
        topology["training_config"] = legacy
    found, reason = own_training(compiled)
    status = ("translated", "") if found is not None else ("data-only", reason)
    report.add("training", "trainingConfig", *status)
    return found


def slots_of(
    model: Model, training: Json, trained: Mapping[str, str], datasets: Mapping[str, Tensor]
) -> list[tuple[Weight, Tensor]]:
    """The weights that hold the optimizer's state; none where TensorFlow.js does not understand the optimizer.

    Args:
        model: the neutral model.
        training: the `trainingConfig`.
        trained: names of the trained weights with the names of their variables in the layout, in order.
        datasets: the tensors by their names in the layout.
    """
    optimizer = model.optimizer.optimizers.get(GROUP) if model.optimizer is not None else None
    if optimizer is None or not own_class(training) or model.weights is None:
        return []
    paths = {id(variable.tensor): path for path, variable in model.weights.variables.items()}
    names = {paths[id(datasets[layout])]: name for name, layout in trained.items()}
    # A layer that is there twice would need its state twice, and the copies would part.
    return written_slots(training, optimizer, names) if len(names) == len(trained) else []


def _chosen(layers: Iterable[LayerVariables], datasets: Mapping[str, Tensor]) -> tuple[list[LayerVariable], list[str]]:
    """The variables that are there, and the datasets that no layer has."""
    left = {path: None for path in datasets if not _is_other(path)}
    found: list[LayerVariable] = []
    for layer in layers:
        choices = (layer.variables, *layer.alternatives)
        fitting = [choice for choice in choices if all(variable.layout in datasets for variable in choice)]
        best = max(fitting, key=len, default=())
        if not layer.known:
            best = tuple(_unknown(layer, left))
        for variable in best:
            found.append(variable)
            for layout in (variable.layout, *variable.copies):
                left.pop(layout, None)
    return found, list(left)


def _copies(variables: Iterable[LayerVariable]) -> list[str]:
    """The paths of layers whose variables another layer has too."""
    first: dict[str, str] = {}
    found: dict[str, None] = {}
    for variable in variables:
        path = listed_path(variable)
        if first.setdefault(variable.layout, path) != path:
            found[path] = None
    return list(found)


def _is_other(path: str) -> bool:
    """Whether a dataset belongs to an optimizer or a metric."""
    steps = path.split("/")
    return steps[0] in ("optimizer", "metrics") or "optimizer" in steps[:-2]


def _unknown(layer: LayerVariables, left: Mapping[str, None]) -> Iterator[LayerVariable]:
    """The variables of a layer that is not built in, by number."""
    for path in left:
        if path.startswith(f"{layer.group}/"):
            role = path.removeprefix(f"{layer.group}/").replace("vars/", "")
            yield LayerVariable(path, role, (), role, (layer.name,), trainable=True, own=True)


def _renamed(variables: Iterable[LayerVariable]) -> dict[str, str]:
    """New names for layers, by path, where two layers of one name have weights, or a name is not legal."""
    paths = {listed_path(variable): variable for variable in variables}
    # The names of the outermost model stay, whoever comes first.
    ordered = sorted(paths, key=lambda path: "/" in path)
    taken: set[str] = set()
    renamed: dict[str, str] = {}
    for path in ordered:
        name = path.rpartition("/")[2]
        wanted = name if is_legal(name) else _legal(name)
        free, number = wanted, 0
        while free in taken:
            number += 1
            free = f"{wanted}_{number}" if number > 1 else _legal(path.replace("/", "_"))
        taken.add(free)
        if free != name:
            renamed[path] = free
    return renamed


def _legal(name: str) -> str:
    text = _NOT_LEGAL.sub("_", name)
    return text if text[:1].isalnum() else f"layer_{text}"
