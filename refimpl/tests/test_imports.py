"""The imports of the library run one way: no module needs itself, and no floor needs one above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import etui

ROOT = Path(etui.__file__).parent
# From the ground up; what is not named here stands between them, or beside them.
FLOORS = ("canonical", "storage", "containers", "model", "artifact", "core", "bridges", "cli")


def _modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports in a module, those in functions included; not those for the checker of types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _imports(child)


def _names(one: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """What an import may mean: a module, or else a name in one."""
    for alias in one.names:
        if isinstance(one, ast.Import):
            yield alias.name, alias.name
        else:
            yield f"{one.module}.{alias.name}", one.module or ""


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """Module -> the modules of the library that it imports."""
    modules = _modules()
    found: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = [pair for one in _imports(ast.parse(path.read_text(encoding="utf-8"))) for pair in _names(one)]
        needed = {inner if inner in modules else outer for inner, outer in names}
        found[module] = {name for name in needed if name in modules and name != module}
    assert len(found) > 500
    assert sum(map(len, found.values())) > 2000
    return found


@pytest.mark.library
def test_no_modules_need_each_other(graph: dict[str, set[str]]) -> None:
    """An order exists in which each module comes after all that it imports, at its beginning or in a function."""
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as fault:
        pytest.fail(" -> ".join(fault.args[1]))
    assert len(order) == len(graph)


@pytest.mark.library
def test_no_floor_needs_one_above_it(graph: dict[str, set[str]]) -> None:
    """Formats know no models, containers no frameworks, and bridges no commands."""
    homes = {module: module.split(".")[1] for module in graph if "." in module}
    floors = {module: FLOORS.index(home) for module, home in homes.items() if home in FLOORS}
    assert {FLOORS[floor] for floor in floors.values()} == set(FLOORS)
    upward = [
        f"{module} -> {needed}"
        for module, found in graph.items()
        for needed in found
        if module in floors and needed in floors and floors[needed] > floors[module]
    ]
    assert upward == []
