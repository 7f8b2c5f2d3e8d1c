"""The variables of a model in `model.weights.h5`, in both directions (SPEC.md, annex B.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from etui import dtypes, paths
from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.layout import VARS, Place, places
from etui.bridges.keras.modules import join, keep, residue, row
from etui.bridges.keras.roles import Role, adapter_shapes, read_roles, write_keys
from etui.containers.config import Config
from etui.containers.pieces import Array, raw_bytes
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.report import Report

_LOOSE = "data"
_Array = TypeVar("_Array")


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
    dataset: Stored | None
    role: Role
    trainable: bool
    shares: tuple[str, ...] = ()


def tensor_of(dataset: Stored) -> Tensor:
    """The dataset as a tensor; it is read when it is needed, or now if its dtype needs an encoding."""
    if dtypes.by_name(dataset.dtype, "").safetensors is None:
        return Tensor.of(dataset.read())
    if not (isinstance(dataset, Renamed) and dataset.live):
        return Tensor.lazy(dataset.dtype, dataset.shape, dataset.read, fixed=True)
    return Tensor.lazy(dataset.dtype, dataset.shape, dataset.load, view=dataset.view, constant=dataset.constant)


def read_weights(config: Config, stored: Mapping[str, Stored], foreign: set[str], report: Report) -> Weights:
    """The variables in the order in which Keras lists them; `params` of the modules are filled.

    Args:
        config: with a module for every group of the file.
        stored: each array by its name in the layout.
        foreign: groups that belong to optimizers and metrics.
        report: gets an entry for each dataset.
    """
    groups = datasets_by_group(stored)
    entries = [entry for place in places(config) for entry in _entries(place, groups.get(place.group, {}))]
    weights = Weights()
    _add(weights, entries, report)
    taken = {entry.dataset.path for entry in entries if entry.dataset is not None}
    loose = {}
    for path, dataset in stored.items():
        if path not in taken and not any(path.startswith(f"{group}/") for group in foreign):
            name = paths.escape_segment(path)
            loose[name] = path
            weights.add(name, tensor_of(dataset), role=_LOOSE, trainable=False)
            report.add("variable", name, "data-only", f"/{path} of the weights file belongs to no layer")
    if loose:
        keep(config.model, "loose", loose)
    return weights


def datasets_by_group(stored: Mapping[str, _Array]) -> dict[str, dict[str, _Array]]:
    """The datasets of each group that holds variables, by their keys."""
    found: dict[str, dict[str, _Array]] = {}
    for path, dataset in stored.items():
        steps = path.split("/")
        if VARS in steps:
            at = steps.index(VARS)
            found.setdefault("/".join(steps[:at]), {})["/".join(steps[at + 1 :])] = dataset
    return found


def _entries(place: Place, datasets: Mapping[str, Stored]) -> Iterator[Entry]:
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
    return raw_bytes(one.read()) == raw_bytes(two.read())


def dataset_names(config: Config, weights: Weights) -> Iterator[tuple[str, str, str]]:
    """Each variable that a module names and the layout holds: path of the module, path of the variable, dataset.

    A variable that several layers have is there as often; the variables of low-rank adapters have no dataset.

    Raises:
        TransferError: ``keras-variables``, a built-in layer has no such set of variables.
    """
    for place in places(config):
        params = dict(place.module.params)
        shapes = {name: weights[path].shape for name, path in params.items()}
        for name in adapter_shapes(place.op, place.attrs, shapes).keys() & params.keys():
            del params[name]
        keys = write_keys(place.op, place.attrs, list(params), f"module {place.path or place.module.name}")
        for name, path in params.items():
            yield place.path, path, f"{join(place.group, VARS)}/{keys[name]}"


def _adapter(place: Place, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, str, str] | None:
    """The paths of W, A and B of a layer's low-rank adapter."""
    params = place.module.params
    found = list(adapter_shapes(place.op, place.attrs, shapes))
    if not found or any(name not in params for name in found):
        return None
    a, b = (params[name] for name in found)
    return params[str(row(place.op).adapted)], a, b


def _is_zero(weights: Weights, a: str, b: str) -> bool:
    return not (weights[a].numpy().any() and weights[b].numpy().any())


def _merged(place: Place, weights: Weights, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The adapted variable W with its low-rank adapter, as Keras saves it: W + (alpha / rank) * A B.

    A B is the matrix product over the last axis of A and the first one of B, alpha is `lora_alpha`, or the rank without
    one. Keras 3.15 computes so in `Dense.kernel`, `EinsumDense.kernel`, `Embedding.embeddings` and `BaseConv.kernel`,
    in the dtype of the variables.

    Returns:
        The path of W with the merged tensor, of the same shape and dtype; empty without an adapter, or with one of
        zeros.

    Raises:
        TransferError: ``keras-variables``, W is quantized, so that it would have to be quantized anew, or the adapter
            is of other shapes.
    """
    paths_of = _adapter(place, shapes)
    if paths_of is None:
        return {}
    path, a, b = paths_of
    tensor = weights[path].tensor
    rank, alpha = place.attrs["lora_rank"], place.attrs.get("lora_alpha")
    alpha = rank if alpha is None else alpha
    expected = list(adapter_shapes(place.op, place.attrs, shapes).values())
    if type(alpha) not in (int, float) or [weights[a].shape, weights[b].shape] != expected:
        raise error("keras-variables", found=f"the adapter of {place.path}, of another form than its layer has")
    if _is_zero(weights, a, b):
        return {}
    if not tensor.dtype.startswith(("float", "bfloat16")):
        found = f"the adapter of {place.path}, which is not zero, beside a {tensor.dtype} variable"
        raise error("keras-variables", found=found)
    scale = alpha / rank

    def merge() -> Array:
        kernel = tensor.numpy()
        # NumPy's own matmul of the small float types rounds each step.
        exact = np.float64 if kernel.dtype == np.float64 else np.float32
        one, two = (weights[name].numpy().astype(exact) for name in (a, b))
        update: Array = np.matmul(one, two).astype(kernel.dtype)
        found: Array = (kernel + kernel.dtype.type(scale) * update).astype(kernel.dtype)
        return found

    if dtypes.by_name(tensor.dtype, "").safetensors is None:
        return {path: Tensor.of(merge())}
    return {path: Tensor.lazy(tensor.dtype, tensor.shape, merge)}


def merged_adapters(config: Config, weights: Weights) -> dict[str, str]:
    """What becomes of the variables of low-rank adapters that are not zero when a format of Keras is written.

    Returns:
        Sentences by the path of the adapted variable and of both variables of the adapter.
    """
    found: dict[str, str] = {}
    for place in places(config):
        shapes = {name: weights[path].shape for name, path in place.module.params.items() if path in weights}
        adapter = _adapter(place, shapes)
        if adapter is not None and not _is_zero(weights, *adapter[1:]):
            adapted, *parts = adapter
            found[weights.resolve(adapted)] = "with its low-rank adapter added, as Keras stores it"
            found |= dict.fromkeys(map(weights.resolve, parts), f"an adapter, which Keras stores merged with {adapted}")
    return found


def by_number(item: tuple[str, object]) -> tuple[bool, int, str]:
    """Sorts pairs of key and anything: numbers by their value, then names."""
    number = item[0].isdecimal()
    return not number, int(item[0]) if number else 0, item[0]


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
        merged = _merged(place, weights, shapes)
        for name in adapter_shapes(place.op, place.attrs, shapes).keys() & params.keys():
            del params[name]
        keys = write_keys(place.op, place.attrs, list(params), f"module {place.path or place.module.name}")
        for key, path in sorted(((keys[name], path) for name, path in params.items()), key=by_number):
            yield f"{join(place.group, VARS)}/{key}", merged.get(path, weights[path].tensor)
    for name, path in sorted(residue(config.model).get("loose", {}).items()):
        if name in weights:
            used.add(name)
            yield path, weights[name].tensor
    lost = [path for path in weights.variables if path not in used]
    if lost:
        raise error("keras-variables", found=f"{len(lost)} variables that no module names, such as {lost[0]}")
