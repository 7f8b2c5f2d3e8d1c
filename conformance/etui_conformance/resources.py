"""The files that the suite reads: beside the package in a wheel, the repository's own in a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from etui_conformance.suite_proofs import SuiteProofs, read_proofs
from etui_conformance.trace import SPEC, Clause, read_clauses

_PACKAGE: Final = Path(__file__).parent


def repository() -> Path | None:
    """The root of the checkout that the package runs from, or `None` if it is installed."""
    root = _PACKAGE.parents[1]
    return root if (root / SPEC).is_file() and (root / "conformance").is_dir() else None


def specification_path() -> Path:
    """The file SPEC.md.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    return _found(SPEC, f"etui/{SPEC}")


def schemas_directory() -> Path:
    """The folder of the JSON Schemas; errors as of `specification_path`."""
    return _found("schemas", "etui/schemas")


def vectors_directory() -> Path:
    """The folder of the vectors; errors as of `specification_path`."""
    return _found("conformance/vectors", f"{_PACKAGE.name}/vectors")


def _found(in_repository: str, in_wheel: str) -> Path:
    root = repository()
    path = _PACKAGE.parent / in_wheel if root is None else root / in_repository
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: the installation is not complete")
    return path


@cache
def clauses() -> dict[str, Clause]:
    """The clauses of SPEC.md by their ids, in their order."""
    found, _ = read_clauses(specification_path().read_text(encoding="utf-8"))
    return {clause.id: clause for clause in found}


@cache
def _proofs() -> SuiteProofs:
    """What this checkout says of the suite beside its checks; nothing where the package is installed."""
    root = repository()
    return SuiteProofs() if root is None else read_proofs(root, {})


def untestable() -> dict[str, str]:
    """Why no message can show whether a clause is obeyed, by ids; empty outside of a checkout."""
    return {clause: reason for clause in clauses() if (reason := _proofs().reason(clause)) is not None}


def mutants() -> dict[str, tuple[str, ...]]:
    """The clauses of each mutant of the reference by its name; empty outside of a checkout."""
    return _proofs().mutants
