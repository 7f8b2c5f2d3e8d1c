"""Names of layers that Keras 2 takes and Keras 3 does not (SPEC.md, annex E)."""

from __future__ import annotations

from etui.bridges.keras.modules import keras_name, resolved
from etui.containers.config import Config
from etui.report import Report

# Keras 3 separates the names on a variable's path with it; its own models have the other one in place of it too.
_REFUSED, _TAKEN = "/", "_"


def rename_for_keras_3(config: Config, report: Report) -> None:
    """Give layers with a slash in their names others that Keras 3 takes; the modules keep theirs.

    Args:
        config: of the model in the terms of Keras 3; it is changed.
        report: gets an entry for each layer.
    """
    siblings = _siblings(config)
    for path, module in config.walk():
        old = keras_name(module)
        if module.target is not None or _REFUSED not in old:
            continue
        new = _free(old.replace(_REFUSED, _TAKEN), siblings.get(id(module), []))
        module.attrs["name"] = new
        detail = f"called {new}: Keras 3 takes no {_REFUSED} in the name of a layer"
        report.add("module", path or module.name, "translated", detail)


def _siblings(config: Config) -> dict[int, list[set[str]]]:
    """The names beside each module, by its `id`: a set for each model that has it, for several may share it."""
    found: dict[int, list[set[str]]] = {}
    for _, parent in config.walk():
        children = [resolved(config, child) for child in parent.modules]
        names = {keras_name(child) for child in children}
        for child in children:
            found.setdefault(id(child), []).append(names)
    return found


def _free(name: str, siblings: list[set[str]]) -> str:
    """`name`, or ``name_1``, ``name_2``, … if one beside it has that; it is noted among the names."""
    free, number = name, 0
    while any(free in names for names in siblings):
        number += 1
        free = f"{name}_{number}"
    for names in siblings:
        names.add(free)
    return free
