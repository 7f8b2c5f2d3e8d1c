"""Weights of a model whose config is not at hand: named by their groups alone (SPEC.md, annex D)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from etui import paths
from etui.bridges.keras.content import Stored
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.modules import UNKNOWN_LAYER, join
from etui.bridges.keras.patches import difference, patched
from etui.bridges.keras.roles import Role, read_roles
from etui.bridges.keras.variables import datasets_by_group, tensor_of
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.model import Model
from etui.report import Report

_FACTS = "weights_file"
_LOOSE = "data"
_OPTIMIZER, _METRICS = "optimizer", "metrics"
_OPTIMIZER_GROUP = re.compile(r"(?:layers/[^/]+/)*optimizer(?:/|\Z)")
_NUMBERS = re.compile(r"([0-9]+)")

Groups = Mapping[str, Mapping[str, str]]


def read_plain(groups: Groups, datasets: Mapping[str, Stored], report: Report) -> Model:
    """The weights of a file without its model's config.

    Args:
        groups: the file's groups with their attributes.
        datasets: its arrays by their names in the layout.
        report: gets an entry for each array.

    Returns:
        A model with weights, and with state that holds what else the file has: the optimizer's arrays by their
        number, the state of metrics, and attributes of groups.
    """
    weights, kept = Weights(), {}
    state = State()
    roles = _roles(datasets)
    for path in sorted(datasets, key=_natural):
        dataset = datasets[path]
        metric = _metric(path)
        if _OPTIMIZER_GROUP.match(path):
            kept[path] = tensor_of(dataset)
            report.add("slot", path, "data-only", "kept by its number: no config says what optimizer it belongs to")
        elif metric is not None:
            state.metrics.setdefault(metric[0], {})[metric[1]] = tensor_of(dataset)
            report.add("state", f"metrics/{metric[0]}/{metric[1]}", "restored")
        else:
            _add(weights, path, dataset, roles.get(path), report)
    odd = difference(_expected(datasets), {path: dict(attrs) for path, attrs in groups.items()})
    facts: dict[str, Any] = ({"groups": odd} if odd else {}) | ({"datasets": kept} if kept else {})
    state.residue["keras"] = {_FACTS: facts}
    return Model(weights=weights, state=state)


def _add(weights: Weights, path: str, dataset: Stored, role: Role | None, report: Report) -> None:
    name = _neutral(path)
    if role is None or name is None or name in weights or _stored(name, role.name) != path:
        name, role = paths.escape_segment(path), None
    trainable = role is not None and role.trainable
    weights.add(name, tensor_of(dataset), role=_LOOSE if role is None else role.name, trainable=trainable)
    if role is None:
        report.add("variable", name, "data-only", f"/{path} of the weights file belongs to no layer")
    else:
        report.add("variable", name, "restored", "named by the file, and its flag is a guess")


def _roles(datasets: Mapping[str, Stored]) -> dict[str, Role]:
    """What each array of a layer's group may be, by its name in the layout."""
    found = {}
    for group, stored in datasets_by_group(datasets).items():
        dtypes = {key: dataset.dtype for key, dataset in stored.items()}
        for role in read_roles(UNKNOWN_LAYER, {}, dtypes, group):
            found[join(group, f"{VARS}/{role.key}")] = role
    return found


def _neutral(path: str) -> str | None:
    """The path of a variable: that of its group, and its number or name there."""
    group, _, key = path.rpartition("/")
    if group != VARS and not group.endswith(f"/{VARS}"):
        return None
    steps = [*group.split("/")[:-1], key]
    return "/".join(map(paths.escape_segment, steps))


def _stored(path: str, role: str) -> str:
    """The name in the layout of a variable that `read_plain` named."""
    steps = list(map(paths.unescape_segment, path.split("/")))
    return "/".join(steps if role == _LOOSE else [*steps[:-1], VARS, steps[-1]])


def _metric(path: str) -> tuple[str, str] | None:
    """Name of the metric and of its state."""
    steps = path.split("/")
    if len(steps) != 4 or steps[0] != _METRICS or steps[2] != VARS or paths.escape_segment(steps[1]) != steps[1]:
        return None
    return steps[1], steps[3]


def _natural(path: str) -> list[Any]:
    """Sorts numbers by their value."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(path)]


def _expected(datasets: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The groups that lead to the arrays."""
    found: dict[str, dict[str, str]] = {"": {}}
    for path in datasets:
        while path:
            path = path.rpartition("/")[0]  # noqa: PLW2901  (upwards to the root)
            found.setdefault(path, {})
    return found


def is_plain(model: Model) -> bool:
    """Whether a model's weights are named as `read_plain` names them."""
    return model.config is None and model.weights is not None and _facts(model) is not None


def _facts(model: Model) -> dict[str, Any] | None:
    residue = model.state.residue.get("keras", {}) if model.state is not None else {}
    found = residue.get(_FACTS) if isinstance(residue, dict) else None
    return found if isinstance(found, dict) else None


def is_only_kept(model: Model) -> bool:
    """Whether all residue of a model's state is what `read_plain` or `keep_arrays` kept."""
    residue = {} if model.state is None else model.state.residue
    return list(residue) == ["keras"] and list(residue["keras"]) == [_FACTS]


def written_plain(model: Model) -> tuple[dict[str, dict[str, str]], dict[str, Tensor]]:
    """The groups and arrays of the weights file that `read_plain` read.

    Raises:
        TransferError: ``keras-variables``, two variables with one place in the file.
    """
    facts = _facts(model) or {}
    datasets: dict[str, Tensor] = {}
    for path, variable in ({} if model.weights is None else model.weights.variables).items():
        name = _stored(path, variable.role)
        if name in datasets:
            raise error("keras-variables", found=f"two variables for /{name}, one of them {path}")
        datasets[name] = variable.tensor
    for name, stored in ({} if model.state is None else model.state.metrics).items():
        for key, tensor in stored.items():
            datasets[f"{_METRICS}/{name}/{VARS}/{key}"] = tensor
    datasets.update(facts.get("datasets", {}))
    datasets = {path: datasets[path] for path in sorted(datasets, key=_natural)}
    return patched(_expected(datasets), facts.get("groups", {})), datasets


def keep_arrays(model: Model, groups: Groups, datasets: Mapping[str, Stored], report: Report) -> None:
    """Keep arrays of an optimizer that the config does not have, by their number."""
    for path in datasets:
        report.add("slot", path, "data-only", "kept by its number: the config has no optimizer that it belongs to")
    if datasets:
        state = model.state = State() if model.state is None else model.state
        kept = {path: tensor_of(dataset) for path, dataset in datasets.items()}
        attributes = {path: dict(attrs) for path, attrs in groups.items() if attrs}
        facts: dict[str, Any] = {"datasets": kept} | ({"groups": {"fields": attributes}} if attributes else {})
        state.residue["keras"] = {_FACTS: facts}


def kept_groups(model: Model) -> dict[str, dict[str, str]]:
    """The groups of the arrays that `keep_arrays` kept."""
    facts = _facts(model) or {}
    found = patched(_expected(facts.get("datasets", {})), facts.get("groups", {}))
    return {path: attrs for path, attrs in found.items() if path}


def kept_arrays(model: Model) -> dict[str, Tensor]:
    """The optimizer's arrays that were kept by their number, by their names in the layout."""
    found: dict[str, Tensor] = (_facts(model) or {}).get("datasets", {})
    return {path: found[path] for path in sorted(found, key=_natural)}
