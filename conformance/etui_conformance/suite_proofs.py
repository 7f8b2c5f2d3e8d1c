"""What the conformance suite proves of each clause: the checks that cite it, the mutants that break it, or a reason.

The reasons stand in ``conformance/untestable.toml``: why no message of the protocol can show whether an implementation
obeys the clause. A key is the id of a clause, or the letters of a whole annex: ``KS = "…"``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from etui_conformance.claims import Problem
from etui_conformance.mutants import FOLDER as MUTANTS
from etui_conformance.mutants import KILLERS

UNTESTABLE = "conformance/untestable.toml"
CHECKS = "conformance/etui_conformance/checks"


@dataclass
class SuiteProofs:
    """The suite as its clauses see it.

    Attributes:
        checks: id -> clauses.
        mutants: name -> clauses.
        files: name of a mutant -> file and line.
        killers: name of a mutant -> the check that killed it when that was last written down.
        reasons: id of a clause, or letters of an annex -> why no message can show it.
        lines: key of a reason -> line.
        problems: what cannot be read.
    """

    checks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mutants: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, tuple[str, int]] = field(default_factory=dict)
    killers: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def reason(self, clause: str) -> str | None:
        """Why no message can show a clause, if there is a reason."""
        return self.reasons.get(clause) or self.reasons.get(letters(clause))


def letters(clause: str) -> str:
    """The letters of an id, which name its chapter or annex."""
    return clause.partition("-")[0]


def read_checks() -> dict[str, tuple[str, ...]]:
    """The clauses of each check by its id; imports the checks, and with them Hypothesis."""
    from etui_conformance.checks import all_checks

    return {check.id: check.clauses for check in all_checks()}


def read_proofs(root: Path, checks: Mapping[str, tuple[str, ...]]) -> SuiteProofs:
    """The mutants and reasons of a repository, beside checks that were read.

    Args:
        root: of the repository.
        checks: id -> clauses.
    """
    proofs = SuiteProofs(checks)
    for path in sorted((root / MUTANTS).glob("*.toml")):
        file = path.relative_to(root).as_posix()
        text, tables = _toml(path, file, proofs.problems)
        for name, table in tables.items():
            clauses = table.get("clauses") if isinstance(table, dict) else None
            proofs.mutants[name] = tuple(clauses) if isinstance(clauses, list) else ()
            proofs.files[name] = (file, _line(text, f'["{name}"]'))
    killers = root / MUTANTS / KILLERS
    if killers.exists():
        proofs.killers = json.loads(killers.read_text(encoding="utf-8"))
    text, reasons = _toml(root / UNTESTABLE, UNTESTABLE, proofs.problems)
    for key, reason in reasons.items():
        found = re.search(rf'^\s*"?{re.escape(key)}"?\s*=', text, re.MULTILINE)
        line = proofs.lines[key] = text.count("\n", 0, found.end()) + 1 if found else 1
        if isinstance(reason, str) and reason.strip():
            proofs.reasons[key] = reason
        else:
            proofs.problems.append(Problem(UNTESTABLE, line, f"{key} needs a reason in words"))
    return proofs


def _toml(path: Path, file: str, problems: list[Problem]) -> tuple[str, dict[str, object]]:
    if not path.exists():
        return "", {}
    text = path.read_text(encoding="utf-8")
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(file, 1, f"not TOML: {error}"))
        return text, {}


def _line(text: str, key: str) -> int:
    at = text.find(key)
    return text.count("\n", 0, at) + 1 if at >= 0 else 1


def by_clause(cited: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Clause -> names of what cites it."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, clauses in cited.items():
        for clause in clauses:
            found[clause].append(name)
    return dict(found)


def check(proofs: SuiteProofs, known: Iterable[str], mandatory: Mapping[str, tuple[str, int]]) -> list[Problem]:
    """What breaks the tie between the clauses and the suite.

    Args:
        proofs: of the suite.
        known: the id of every clause.
        mandatory: id of each clause that must be obeyed -> file and line.
    """
    known = set(known)
    problems = list(proofs.problems)
    for name, clauses in proofs.checks.items():
        problems += [
            Problem(CHECKS, 1, f"{name} cites {one}, which is no clause") for one in clauses if one not in known
        ]
    for name, clauses in proofs.mutants.items():
        strange = [one for one in clauses if one not in known]
        problems += [Problem(*proofs.files[name], f"{name!r} names {one}, which is no clause") for one in strange]
    checks, mutants = by_clause(proofs.checks), by_clause(proofs.mutants)
    open_clauses = set()
    for clause, (file, line) in mandatory.items():
        lacks = [] if clause in checks else ["check"]
        lacks += [] if clause in mutants else ["mutant"]
        if lacks:
            open_clauses.add(clause)
        if lacks and proofs.reason(clause) is None:
            trouble = f"no {' and no '.join(lacks)} for {clause}; write one, or say in {UNTESTABLE} why there is none"
            problems.append(Problem(file, line, trouble))
    return problems + _needless(proofs, known, mandatory, open_clauses)


def _needless(
    proofs: SuiteProofs, known: set[str], mandatory: Mapping[str, tuple[str, int]], open_clauses: set[str]
) -> list[Problem]:
    problems = []
    for key in proofs.reasons:
        meant = {clause for clause in known if key in (clause, letters(clause))}
        if not meant:
            trouble = f"{key} is no clause, nor the letters of one"
        elif not meant & mandatory.keys():
            trouble = f"{key} is no MUST and needs no entry"
        elif not meant & open_clauses:
            trouble = f"{key} has a check and a mutant; remove the entry"
        else:
            continue
        problems.append(Problem(UNTESTABLE, proofs.lines[key], trouble))
    return problems
