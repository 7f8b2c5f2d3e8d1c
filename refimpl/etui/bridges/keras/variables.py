"""The variables of a model in `model.weights.h5`, in both directions (SPEC.md, annex B.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from etui import dtypes, paths
from etui.bridges.keras.layout import VARS, Place, places
from etui.bridges.keras.modules import join, keep, residue, row
from etui.bridges.keras.roles import Role, adapter_shapes, read_roles, write_keys
from etui.containers.config import Config
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.report import Report
from etui.storage.hdf5 import Dataset, Hdf5File

_LOOSE = "data"


@dataclass(frozen=True, slots=True)
class Entry:
    """One variable that was found.

    Attributes:
        path: of the variable.
        tensor: its elements.
        dataset: where they are; `None` for one that Keras does not store.
        role: what it is to its layer.
        trainable: with the flags of the modules around it.
        shares: paths of variables whose storage it may share, as the layer table says.
    """

    path: str
    tensor: Tensor
    dataset: Dataset | None
    role: Role
    trainable: bool
    shares: tuple[str, ...] = ()


def tensor_of(dataset: Dataset) -> Tensor:
    """The dataset as a tensor; it is read when it is needed, or now if its dtype needs an encoding."""
    if dtypes.by_name(dataset.dtype, "").safetensors is None:
        return Tensor.of(dataset.read())
    return Tensor.lazy(dataset.dtype, dataset.shape, dataset.read)


def read_weights(config: Config, file: Hdf5File, foreign: set[str], report: Report) -> Weights:
    """The variables in the order in which Keras lists them; `params` of the modules are filled.

    Args:
        config: with a module for every group of the file.
        file: the weights file.
        foreign: groups that belong to optimizers and metrics.
        report: gets an entry for each dataset.
    """
    groups = datasets_by_group(file)
    entries = [entry for place in places(config) for entry in _entries(place, groups.get(place.group, {}))]
    weights = Weights()
    _add(weights, entries, report)
    taken = {entry.dataset.path for entry in entries if entry.dataset is not None}
    loose = {}
    for path, dataset in file.datasets.items():
        if path not in taken and not any(path.startswith(f"{group}/") for group in foreign):
            name = paths.escape_segment(path)
            loose[name] = path
            weights.add(name, tensor_of(dataset), role=_LOOSE, trainable=False)
            report.add("variable", name, "data-only", f"/{path} of the weights file belongs to no layer")
    if loose:
        keep(config.model, "loose", loose)
    return weights


def datasets_by_group(file: Hdf5File) -> dict[str, dict[str, Dataset]]:
    """The datasets of each group that holds variables, by their keys."""
    found: dict[str, dict[str, Dataset]] = {}
    for path, dataset in file.datasets.items():
        steps = path.split("/")
        if VARS in steps:
            at = steps.index(VARS)
            found.setdefault("/".join(steps[:at]), {})["/".join(steps[at + 1 :])] = dataset
    return found


def _entries(place: Place, datasets: Mapping[str, Dataset]) -> Iterator[Entry]:
    """A layer's own variables in the order in which it lists them: trainable ones, adapters, others."""
    shares = row(place.op).alias or {}
    stored = {key: found.dtype for key, found in datasets.items()}
    roles = read_roles(place.op, place.attrs, stored, place.group)
    shapes = {role.name: datasets[role.key].shape for role in roles}
    for listed in (True, False):
        for role in roles:
            if role.listed == listed:
                path = _own(place, role.name)
                others = tuple(join(place.path, other) for other in shares.get(role.name, ()))
                found = datasets[role.key]
                yield Entry(path, tensor_of(found), found, role, role.trainable and place.trainable, others)
        for name, shape in adapter_shapes(place.op, place.attrs, shapes).items() if listed else ():
            role = Role("", name, trainable=True, listed=True, known=True)
            yield Entry(_own(place, name), _zeros(shape), None, role, place.trainable)


def _own(place: Place, name: str) -> str:
    path = join(place.path, paths.escape_segment(name))
    place.module.params[name] = path
    return path


def _zeros(shape: tuple[int, ...]) -> Tensor:
    return Tensor.lazy("float32", shape, lambda: np.zeros(shape, np.float32))


def _add(weights: Weights, entries: list[Entry], report: Report) -> None:
    by_path = {entry.path: entry for entry in entries}
    for entry in entries:
        owner = next((by_path[path] for path in entry.shares if _is_shared(entry, by_path.get(path))), None)
        if owner is not None:
            weights.aliases[entry.path] = owner.path
            report.add("variable", entry.path, "aliased", f"is {owner.path}")
        found = owner or entry
        if found.path not in weights.variables:
            weights.add(found.path, found.tensor, role=found.role.name, trainable=found.trainable)
            _account(found, report)


def _account(entry: Entry, report: Report) -> None:
    if entry.dataset is None:
        report.add("variable", entry.path, "translated", "an adapter: Keras stores it merged, and starts it at zero")
    else:
        known = entry.role.known
        report.add("variable", entry.path, "restored", "" if known else "named by the file, and its flag is a guess")


def _is_shared(entry: Entry, other: Entry | None) -> bool:
    """Whether two datasets hold one variable, as they must if the layer is what its name says."""
    one, two = entry.dataset, other.dataset if other is not None else None
    if one is None or two is None or (one.dtype, one.shape) != (two.dtype, two.shape):
        return False
    return one.read().tobytes() == two.read().tobytes()


def written_datasets(config: Config, weights: Weights) -> Iterator[tuple[str, Tensor]]:
    """Each dataset of the weights file with its tensor.

    Raises:
        TransferError: ``keras-variables``, a variable that no module names, or that its layer cannot have.
    """
    used: set[str] = set()
    for place in places(config):
        params = dict(place.module.params)
        used.update(map(weights.resolve, params.values()))
        shapes = {name: weights[path].shape for name, path in params.items()}
        for name in adapter_shapes(place.op, place.attrs, shapes).keys() & params.keys():
            if weights[params.pop(name)].numpy().any():
                found = f"the adapter {name} of {place.path}, which Keras stores merged, is not zero"
                raise error("keras-variables", found=found)
        keys = write_keys(place.op, place.attrs, list(params), f"module {place.path or place.module.name}")
        for name, path in params.items():
            yield f"{join(place.group, VARS)}/{keys[name]}", weights[path].tensor
    for name, path in residue(config.model).get("loose", {}).items():
        if name in weights:
            used.add(name)
            yield path, weights[name].tensor
    lost = [path for path in weights.variables if path not in used]
    if lost:
        raise error("keras-variables", found=f"{len(lost)} variables that no module names, such as {lost[0]}")
