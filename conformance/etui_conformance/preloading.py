"""What can be imported once for many mutants: the modules that do not stand on one that they edit.

A module stands on those that it imports when it is itself imported, on its packages, and on all that these stand on.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib import import_module

from etui_conformance.mutants import MutantError, path_of

_LIBRARY = ("etui", "etui_conformance.adapters")


def loaded() -> list[str]:
    """The modules of the library and its adapter that this process has imported, in the order of their imports."""
    return [name for name in sys.modules if _is_ours(name)]


def preload(names: Sequence[str], edited: Collection[str]) -> None:
    """Import those of the modules that stand on no edited one."""
    for name in names:
        if not _foundation(name) & set(edited):
            import_module(name)


def _is_ours(name: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in _LIBRARY)


@cache
def _foundation(name: str) -> frozenset[str]:
    """A module and all that it stands on."""
    found, left = set[str](), [name]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += _direct(one)
    return frozenset(found)


@cache
def _direct(name: str) -> tuple[str, ...]:
    parents = [name.rpartition(".")[0]] if _is_ours(name.rpartition(".")[0]) else []
    try:
        tree = ast.parse(path_of(name).read_text(encoding="utf-8"))
    except MutantError:  # a name that is imported from a module, and is none itself
        return tuple(parents)
    return (*parents, *(one for one in _imported(tree.body) if _is_ours(one)))


def _imported(body: Sequence[ast.stmt]) -> Iterator[str]:
    """What statements import as they are run; what functions import when they are called does not count."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)
        elif not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for child in ast.iter_child_nodes(statement):
                if isinstance(child, ast.stmt):
                    yield from _imported([child])
