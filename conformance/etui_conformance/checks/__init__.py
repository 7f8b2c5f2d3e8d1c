"""The checks: each asks an implementation one thing, and cites the clauses that the answer proves.

A module of this package that has a function `checks() -> list[Check]`, cheap to call, is a family of checks; the others
help families.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from etui_conformance.checks.base import Check


def all_checks() -> list[Check]:
    """The checks of every family, in the order of the names of the families.

    Raises:
        ValueError: two checks have one id.
    """
    found: dict[str, Check] = {}
    for module in pkgutil.iter_modules(__path__):
        family: Callable[[], list[Check]] | None
        family = getattr(import_module(f"{__name__}.{module.name}"), "checks", None)
        for check in family() if family is not None else ():
            if check.id in found:
                raise ValueError(f"two checks have the id {check.id}")
            found[check.id] = check
    return list(found.values())
