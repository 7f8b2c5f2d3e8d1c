"""Whether weights and a config that come from two files belong together: what one has and the other lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.layer_table import SAME_AS_FORWARD
from etui.bridges.keras.layout import places
from etui.bridges.keras.modules import is_listed, is_model, row
from etui.containers.config import Config, Module
from etui.report import Report


def account_for_fit(config: Config, report: Report) -> None:
    """Report layers without their variables, and variables of layers that the config does not list.

    Args:
        config: read with the groups of the weights, and so with a module for each of them.
        report: gets an entry ``missing`` for each such layer, and one ``unexpected`` for each such variable.
    """
    for place in places(config):
        if not place.module.params and _expects(place.op, place.attrs) and not _holds(place.module):
            report.add("module", place.path or place.module.name, "missing", "the weights have none of its variables")
    for path, module in config.walk():
        if is_model(module):
            for child in module.modules:
                if not is_listed(child):
                    below = f"{path}/{child.name}" if path else child.name
                    _unexpected(Config(child), below, report)


def _unexpected(found: Config, path: str, report: Report) -> None:
    for _, module in found.walk():
        for variable in module.params.values():
            detail = f"the config has no layer for the group of {path}"
            report.add("variable", variable, "unexpected", detail)


def _holds(module: Module) -> bool:
    return any(child.params or _holds(child) for child in module.modules)


def _expects(op: str, attrs: Mapping[str, Any]) -> bool:
    """Whether a built-in layer has variables, its own or those of a layer that it makes by itself."""
    known = row(op)
    if any(var.when(attrs) and not var.optional for var in known.variables):
        return True
    made = [make(attrs) for make in (known.made or {}).values()]
    return any(child != SAME_AS_FORWARD and _expects(child, its) for child, its in made)
