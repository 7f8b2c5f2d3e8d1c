"""Weights of a manifest given to the layers of a config (SPEC.md, annex H.3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Content, Renamed, Stored
from etui.bridges.keras.layer_variables import layer_variables
from etui.bridges.keras.layout import VARS
from etui.bridges.keras.model_write import Writing
from etui.bridges.tfjs.manifest import StoredWeight
from etui.bridges.tfjs.weight_names import Matching, Named, match
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Entry, Report

Json = Any


def matched(tree: Mapping[str, Json], dialect: str, weights: Iterable[Named], where: str) -> Matching[Named]:
    """The weights of the variables that the layers of a config have.

    Raises:
        InvalidError: ``tfjs-weights``.
    """
    reader = ConfigReader(dict(tree), dialect, frozenset[str]().__contains__)
    return match(layer_variables(reader.read(), dialect), weights, where)


def fill(content: Content, weights: Iterable[StoredWeight], where: str) -> Matching[StoredWeight]:
    """Put weights where a `.keras` file of the config has them.

    Args:
        content: with the tree, without groups and arrays, which it gets.
        weights: of the model, none of an optimizer.
        where: for messages.

    Raises:
        InvalidError: ``tfjs-weights``.
    """
    matching = matched(content.tree, content.dialect, weights, where)
    content.groups = _groups(content, matching)
    content.datasets = {layout: _dataset(layout, one) for layout, one in matching.found.items()}
    return matching


def _dataset(layout: str, stored: StoredWeight) -> Stored:
    return Renamed(layout, stored.weight.neutral, stored.weight.shape, stored.read)


def _groups(content: Content, matching: Matching[StoredWeight]) -> dict[str, dict[str, str]]:
    """The groups of the layout; Keras 3 gives those of layers the layers' names."""
    found: dict[str, dict[str, str]] = {"": {}, VARS: {}}
    for path in [*matching.groups, *matching.found]:
        parent = path if path in matching.groups else path.rpartition("/")[0]
        while parent:
            found.setdefault(parent, {})
            parent = parent.rpartition("/")[0]
    if content.dialect == "keras":
        names = matching.groups | {VARS: content.tree["config"].get("name")}
        found |= {path: {"name": name} for path, name in names.items() if isinstance(name, str) and name}
    return found


def report_casts(model: Model, matching: Matching[StoredWeight], report: Report) -> None:
    """Say of each variable what its weight was, if it was not stored as it is."""
    paths = {id(variable.tensor): path for path, variable in (model.weights or Weights()).variables.items()}
    tensors = dict(Writing(model).datasets())
    at = {(entry.kind, entry.subject): index for index, entry in enumerate(report.entries)}
    for layout, stored in matching.found.items():
        status, detail = stored.becomes()
        path = paths.get(id(tensors.get(layout)), stored.weight.name)
        if status != "restored" or detail:
            entry = Entry("variable", path, status, detail)
            index = at.get(("variable", path))
            if index is None:
                report.entries.append(entry)
            else:
                report.entries[index] = entry
