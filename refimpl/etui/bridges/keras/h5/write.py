"""The groups and arrays of a legacy HDF5 file (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etui.bridges.keras.content import Written
from etui.bridges.keras.h5.lists import (
    LAYER_NAMES,
    MODEL_WEIGHTS,
    OPTIMIZER_WEIGHTS,
    PASSED_OVER,
    TOP_LEVEL,
    WEIGHT_NAMES,
    written_list,
)
from etui.bridges.keras.h5.names import array_names, slot_names
from etui.bridges.keras.layer_variables import layer_variables
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.modules import is_model, join
from etui.bridges.keras.variables import dataset_names, datasets_by_group
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error, shown
from etui.model import Model
from etui.storage.hdf5_writer import Hdf5Writer
from etui.storage.transaction import replace_file

# Accounted for elsewhere: slots, and what metrics have counted, which training begins anew.
_OPTIMIZER = "optimizer"
_OUTSIDE = (f"{_OPTIMIZER}/", "metrics/")


@dataclass(slots=True)
class Layers:
    """What a file lists.

    Attributes:
        arrays: name of a layer -> its arrays by their names, in the order of the model's layers.
        top: the model's own arrays by their names.
        names: path of a variable -> the name of its array.
        lost: arrays for which the file has no place, by their names in the layout.
    """

    arrays: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    top: dict[str, Tensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


def written_layers(model: Model, written: Written) -> Layers:
    """The layers of a model with their arrays.

    Args:
        model: it.
        written: the same in the layout of a `.keras` file.

    Raises:
        TransferError: ``keras-graph``, a model whose layers have no order that its config tells; ``keras-h5-name``;
            ``keras-variables``, a variable that is in no layer.
    """
    config = model.config
    if config is None or not is_model(config.model):
        raise error("keras-graph", found="a model that is neither Functional nor Sequential")
    weights = Weights() if model.weights is None else model.weights
    paths = {dataset: weights.resolve(path) for _, path, dataset in dataset_names(config, weights)}
    layers = Layers()
    used: set[str] = set()
    for layer in layer_variables(config, written.dialect, _keys(written, paths, weights)):
        if layer.name in layers.arrays or not _is_name(layer.name):
            raise error("keras-h5-name", where=layer.path, found=f"the layer {shown(layer.name)}")
        names = array_names(layer, written.dialect)
        layers.arrays[layer.name] = {}
        for one, name in zip(layer.variables, names, strict=True):
            if one.layout not in written.datasets:
                raise error("keras-variables", where=layer.path, found=f"no {shown(one.role)}")
            layers.arrays[layer.name][name] = written.datasets[one.layout]
            layers.names.setdefault(paths[one.layout], name)
            used.update((one.layout, *one.copies))
    end = ":0" if written.dialect == "tf_keras" else ""
    for key, tensor in _own(written).items():
        layers.top[f"{config.model.name}/{key}{end}"] = tensor
        used.add(f"{VARS}/{key}")
    rest = [path for path in written.datasets if path not in used]
    hidden = {path for path in rest if path in paths and not path.rpartition("/")[2].isdecimal()}
    loose = next((path for path in rest if path in paths and path not in hidden), None)
    if loose is not None:
        raise error("keras-variables", where=loose, found="a variable of a layer that Keras does not list")
    layers.lost = [path for path in rest if not path.startswith(_OUTSIDE)]
    layers.lost = [paths.get(path, path) for path in layers.lost]
    return layers


def _keys(written: Written, paths: Mapping[str, str], weights: Weights) -> dict[str, dict[str, bool]]:
    """What each layer has, with flags that matter for layers that are not built in."""
    found: dict[str, dict[str, bool]] = {}
    for group, stored in datasets_by_group(written.datasets).items():
        keys = sorted(stored, key=lambda key: (int(key) if key.isdecimal() else -1, key))
        flags = {key: paths.get(f"{join(group, VARS)}/{key}") for key in keys}
        found[group] = {key: path is not None and weights.variables[path].trainable for key, path in flags.items()}
    return found


def _own(written: Written) -> dict[str, Tensor]:
    return datasets_by_group(written.datasets).get("", {})


def _is_name(name: str) -> bool:
    steps = name.split("/")
    return name != TOP_LEVEL and all(step not in ("", ".", "..") for step in steps) and "\0" not in name


def written_optimizer(model: Model, written: Written, layers: Layers) -> dict[str, Tensor]:
    """The arrays of the model's optimizer by their names, in stored order."""
    optimizer = model.optimizer.optimizers.get(_OPTIMIZER) if model.optimizer is not None else None
    stored = datasets_by_group(written.datasets).get(_OPTIMIZER, {})
    if optimizer is None or not stored:
        return {}
    tensors = [stored[key] for key in sorted(stored, key=int)]
    while written.dialect == "tf_keras" and optimizer.inner is not None:
        optimizer = optimizer.inner
    names = slot_names(optimizer, tensors, layers.names, written.dialect)
    return dict(zip(names, tensors, strict=True))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says beside its arrays.

    Attributes:
        attrs: backend and version.
        texts: the documents of a whole model.
        restores: whether the framework restores the optimizer from the file.
    """

    attrs: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    restores: bool = True


def write_file(
    target: Path, facts: Facts, layers: Layers, optimizer: Mapping[str, Tensor], progress: Progress | None
) -> None:
    """Write a whole-model file.

    Args:
        target: its path; it is replaced in one step.
        facts: attributes and documents.
        layers: what the layers have.
        optimizer: the arrays of the optimizer.
        progress: called while arrays are written.
    """
    counter = _Counter(target.name, layers, optimizer, progress)
    with replace_file(target) as file, Hdf5Writer(file) as writer:
        writer.group("", dict(sorted((dict(facts.attrs) | dict(facts.texts)).items())))
        _write_layers(writer, MODEL_WEIGHTS, facts, layers, counter)
        if optimizer:
            group = OPTIMIZER_WEIGHTS if facts.restores else PASSED_OVER
            _write_arrays(writer, group, optimizer, counter)


def write_weights(target: Path, facts: Facts, layers: Layers, progress: Progress | None) -> None:
    """Write a file of weights alone; arguments as of `write_file`."""
    counter = _Counter(target.name, layers, {}, progress)
    with replace_file(target) as file, Hdf5Writer(file) as writer:
        _write_layers(writer, "", facts, layers, counter)


class _Counter:
    def __init__(self, name: str, layers: Layers, optimizer: Mapping[str, Tensor], progress: Progress | None) -> None:
        listed = [*layers.arrays.values(), layers.top, optimizer]
        self._total = sum(tensor.nbytes for arrays in listed for tensor in arrays.values())
        self._done = 0
        self._name = name
        self._progress = progress

    def add(self, tensor: Tensor) -> None:
        self._done += tensor.nbytes
        if self._progress is not None:
            self._progress(self._name, self._done, self._total)


def _write_layers(writer: Hdf5Writer, group: str, facts: Facts, layers: Layers, counter: _Counter) -> None:
    """Write the layers below a group, in the order of their names, as Keras does."""
    listed = written_list(LAYER_NAMES, list(layers.arrays))
    writer.group(group, dict(sorted((listed | dict(facts.attrs)).items())))
    for name, arrays in sorted(layers.arrays.items()):
        _write_arrays(writer, join(group, name), arrays, counter)
    _write_arrays(writer, join(group, TOP_LEVEL), layers.top, counter)


def _write_arrays(writer: Hdf5Writer, group: str, arrays: Mapping[str, Tensor], counter: _Counter) -> None:
    writer.group(group, written_list(WEIGHT_NAMES, list(arrays)))
    for name, tensor in arrays.items():
        writer.dataset(join(group, name), tensor.numpy())
        counter.add(tensor)
