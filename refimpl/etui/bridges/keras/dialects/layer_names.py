"""Names of layers that Keras 2 takes and Keras 3 does not (SPEC.md, annex E)."""

from __future__ import annotations

from typing import Any

from etui.bridges.keras.modules import join, keras_name
from etui.bridges.keras.names import FreeNames
from etui.containers.config import Module
from etui.report import Report

# Keras 3 separates the names on a variable's path with it; its own models have the other one in place of it too.
_REFUSED, _TAKEN = "/", "_"


def rename_for_keras_3(root: Module, report: Report) -> dict[str, str]:
    """Give layers with a slash in their names others that Keras 3 takes; the modules keep theirs.

    Args:
        root: the model in the terms of Keras 3; it is changed.
        report: gets an entry for each layer.

    Returns:
        Old name -> new name of the layers that the model itself lists, by which a training config names its outputs.
    """
    _rename(root, FreeNames(), root.name, report)
    return _children(root, "", report)


def _children(module: Module, path: str, report: Report) -> dict[str, str]:
    own = [child for child in module.modules if child.target is None]
    free = FreeNames(name for name in map(keras_name, own) if _REFUSED not in name)
    renamed = {}
    for child in own:
        old, place = keras_name(child), join(path, child.name)
        if _rename(child, free, place, report):
            renamed[old] = keras_name(child)
        _children(child, place, report)
    return renamed


def _rename(module: Module, free: FreeNames, place: str, report: Report) -> bool:
    old = keras_name(module)
    if _REFUSED not in old:
        return False
    module.attrs["name"] = free.take(old.replace(_REFUSED, _TAKEN))
    detail = f"called {module.attrs['name']}: Keras 3 takes no {_REFUSED} in the name of a layer"
    report.add("module", place, "translated", detail)
    return True


def renamed_outputs(value: Any, names: dict[str, str]) -> Any:
    """Losses, weights or metrics by output, under the names that the outputs have now; what is no map stays."""
    return {names.get(key, key): item for key, item in value.items()} if isinstance(value, dict) else value
