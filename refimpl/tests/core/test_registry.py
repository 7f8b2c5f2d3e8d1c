"""Registries of what computes the ops: who writes something down, and when it is found."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etui.core.registry import Function, Registry, function_itself

PACKAGE = "registry_of_this_test"
FAMILY = "from {package} import REGISTRY\n\n@REGISTRY.write({said})\ndef {name}():\n    return {name!r}\n"


@dataclass(frozen=True)
class Entry:
    """What is found under a name."""

    function: Function
    masked: bool = False
    limits: str = ""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package with two modules that write functions down, and one that does, too, and is not named."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("REGISTRY = None\n")
    families = (("one", "'first', masked=True"), ("two", "'second', limits='none'"), ("three", "'third'"))
    for name, said in families:
        (folder / f"{name}.py").write_text(FAMILY.format(package=PACKAGE, name=name, said=said))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__(PACKAGE)
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.mark.library
def test_families_are_imported_when_something_is_looked_up(package: Any) -> None:
    """Entries are those of the named modules, which nothing imports before, with what is said beside the name."""
    package.REGISTRY = registry = Registry(PACKAGE, ("one", "two"), Entry)
    assert f"{PACKAGE}.one" not in sys.modules
    found = registry.entries
    assert {name: (entry.masked, entry.limits) for name, entry in found.items()} == {
        "first": (True, ""),
        "second": (False, "none"),
    }
    assert [entry.function() for entry in found.values()] == ["one", "two"]
    assert f"{PACKAGE}.three" not in sys.modules
    assert registry.entries is found


@pytest.mark.library
def test_a_function_stays_as_it_is() -> None:
    """What is written down is a function that can be called as before."""
    registry = Registry(PACKAGE, (), function_itself)

    def function() -> str:
        return "as before"

    assert registry.write("a")(function) is function
    assert registry.entries == {"a": function}
