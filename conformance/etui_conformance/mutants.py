"""Mutants: wrong implementations, made from the reference library by small edits of its source.

Each stands in a file of `conformance/mutants`, under its name, with the clauses that it breaks:

    ["W-7 a gap is accepted"]
    clauses = ["W-7"]
    edits = [{ module = "etui.containers.cover", old = "if covered != total:", new = "if False:" }]

An installed mutant lives as long as the process: its modules are compiled from the edited source when they are
imported, and nothing is written anywhere.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = "conformance/mutants"
KILLERS = "killers.json"
_FIELDS = {"clauses", "edits"}
_EDIT_FIELDS = {"module", "old", "new"}


class MutantError(Exception):
    """A mutant that is not there, or cannot be made."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in the source of a module: `old` stands there exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong implementation.

    Attributes:
        name: unique among all files.
        file: name of its file.
        clauses: those that it breaks.
        edits: what makes it.
    """

    name: str
    file: str
    clauses: tuple[str, ...]
    edits: tuple[Edit, ...]


def default_folder() -> Path:
    """Where the mutants of this checkout are.

    Raises:
        MutantError: the package was installed without them.
    """
    folder = Path(__file__).parents[2] / FOLDER
    if not folder.is_dir():
        raise MutantError(f"the mutants are in {FOLDER} of the repository, and not in an installed package")
    return folder


def read_mutants(folder: Path | None = None) -> dict[str, Mutant]:
    """Every mutant by its name.

    Args:
        folder: with the TOML files; by default that of this checkout.

    Raises:
        MutantError: there is no such folder, or a file does not say what it should.
    """
    found: dict[str, Mutant] = {}
    for path in sorted((folder or default_folder()).glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as fault:
            raise MutantError(f"{path.name}: not TOML: {fault}") from fault
        for name, table in tables.items():
            if name in found:
                raise MutantError(f"{path.name}: {name!r} is in {found[name].file} too")
            found[name] = _mutant(name, path.name, table)
    return found


def _mutant(name: str, file: str, table: Any) -> Mutant:
    if not isinstance(table, dict) or table.keys() != _FIELDS or not all(table.values()):
        raise MutantError(f"{file}: {name!r} is no table of {' and '.join(sorted(_FIELDS))}")
    for edit in table["edits"]:
        if edit.keys() != _EDIT_FIELDS or edit["old"] == edit["new"]:
            raise MutantError(f"{file}: {name!r} has an edit that is not one of module, old and new")
    return Mutant(name, file, tuple(table["clauses"]), tuple(Edit(**edit) for edit in table["edits"]))


def read_killers(folder: Path | None = None) -> dict[str, str]:
    """The check that killed each mutant when that was last written down.

    Raises:
        MutantError: there is no such folder.
    """
    path = (folder or default_folder()) / KILLERS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_killers(killers: Mapping[str, str], folder: Path | None = None) -> None:
    """Write down which check killed which mutant."""
    text = json.dumps(dict(sorted(killers.items())), indent=0, ensure_ascii=False)
    ((folder or default_folder()) / KILLERS).write_text(text + "\n", encoding="utf-8")


def install(name: str, folder: Path | None = None) -> Mutant:
    """Make this process import a mutant in place of the library; to be called before the library is imported.

    Args:
        name: of the mutant.
        folder: as `read_mutants` takes it.

    Raises:
        MutantError: there is no such mutant, an edit does not fit its module, or a module is imported already.
    """
    mutants = read_mutants(folder)
    if name not in mutants:
        raise MutantError(f"no mutant {name!r} among {len(mutants)}")
    mutant = mutants[name]
    install_sources(edited_sources(mutant.edits))
    return mutant


def edited_sources(edits: Sequence[Edit]) -> dict[str, tuple[Path, str]]:
    """The file and the new source of each module that edits change.

    Raises:
        MutantError: there is no such module, `old` is not in it exactly once, or the result is no Python.
    """
    by_module: defaultdict[str, list[Edit]] = defaultdict(list)
    for edit in edits:
        by_module[edit.module].append(edit)
    found: dict[str, tuple[Path, str]] = {}
    for module, its in by_module.items():
        path = path_of(module)
        source = _edited(path.read_text(encoding="utf-8"), its)
        try:
            compile(source, str(path), "exec", dont_inherit=True)
        except SyntaxError as fault:
            raise MutantError(f"{module}, line {fault.lineno}: the edits leave no Python: {fault.msg}") from fault
        found[module] = (path, source)
    return found


def path_of(module: str) -> Path:
    """The file of a module; nothing is imported for it, not even its parents."""
    root, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(root)
    except (ValueError, ImportError):
        spec = None
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        place = Path(folder).joinpath(*below)
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                return path
    raise MutantError(f"no module {module}")


def _edited(source: str, edits: Sequence[Edit]) -> str:
    """The source with each `old` replaced where it stands in the original: the order of edits does not count."""
    places: list[tuple[int, int, str]] = []
    for edit in edits:
        count = source.count(edit.old)
        if count != 1:
            raise MutantError(f"{edit.module}: found {count} times, not once: {edit.old!r}")
        begin = source.index(edit.old)
        places.append((begin, begin + len(edit.old), edit.new))
    places.sort()
    for (_, end, _), (begin, _, _) in pairwise(places):
        if begin < end:
            raise MutantError(f"{edits[0].module}: two edits of one place")
    for begin, end, new in reversed(places):
        source = source[:begin] + new + source[end:]
    return source


def install_sources(sources: Mapping[str, tuple[Path, str]]) -> None:
    """Import modules from other sources than those of their files, from now on.

    Raises:
        MutantError: one of the modules is imported already.
    """
    late = sorted(sources.keys() & sys.modules.keys())
    if late:
        raise MutantError(f"imported before the mutant was installed: {', '.join(late)}")
    sys.meta_path.insert(0, _Finder(sources))


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, sources: Mapping[str, tuple[Path, str]]) -> None:
        self._sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The edited module of that name, if it is one."""
        del path, target
        if fullname not in self._sources:
            return None
        file, source = self._sources[fullname]
        within = [str(file.parent)] if file.name == "__init__.py" else None
        loader = _Loader(str(file), source)
        return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=within)


class _Loader(importlib.abc.SourceLoader):
    """Gives another source for a file; as it knows no time of change, no bytecode is kept or used."""

    def __init__(self, file: str, source: str) -> None:
        self._file = file
        self._source = source.encode()

    def get_filename(self, fullname: str) -> str:
        """The file whose source was edited, for tracebacks."""
        del fullname
        return self._file

    def get_data(self, path: str | bytes) -> bytes:
        """The edited source; a file of bytecode counts as not there."""
        if path != self._file:
            raise OSError(f"not kept: {path!r}")
        return self._source
