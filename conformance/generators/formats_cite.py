"""Finds the vectors of foreign formats that show a clause: those that a mutant of the clause fails.

    python conformance/generators/formats_cite.py keras.toml [--vectors '*.weights.h5'] [--again] [--jobs 2]

For each mutant of a file of conformance/mutants, the vectors are tried one after the other until one fails; its id goes
to formats_clauses/ under the mutant's clauses. A mutant that a cited vector kills already is left out, unless asked
`--again`. Read what is found: a vector that fails shows that it exercises the clause, and a mutant that breaks much
more than its clause shows nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tomllib
from pathlib import Path

from etui_conformance.checks import conversion
from etui_conformance.checks.base import Check, Settings
from etui_conformance.mutants import Mutant, read_mutants
from etui_conformance.power import warm_up
from etui_conformance.probes import Probes

CLAUSES = Path(__file__).parent / "formats_clauses"


def main() -> int:
    """Cite; 1 if a mutant fails no vector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="of conformance/mutants")
    parser.add_argument("--vectors", default="*", metavar="GLOB", help="only those whose source or id matches")
    parser.add_argument("--mutants", default="*", metavar="GLOB", help="only those of such a name")
    parser.add_argument("--again", action="store_true", help="also those whose clauses are cited")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    options = parser.parse_args()
    path = CLAUSES / options.file
    cited: dict[str, list[str]] = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    due = [
        mutant
        for mutant in read_mutants().values()
        if mutant.file == options.file
        and fnmatch.fnmatchcase(mutant.name, options.mutants)
        and (options.again or not all(cited.get(clause) for clause in mutant.clauses))
    ]
    checks = _chosen(options.vectors)
    warm_up()
    alive = 0
    for verdict in Probes(Settings(), options.jobs, patience=120).run(due, lambda mutant: _sorted(mutant, checks)):
        print(verdict, flush=True)
        if verdict.check is None:
            alive += 1
            continue
        for clause in verdict.clauses:
            cited[clause] = list(dict.fromkeys([*cited.get(clause, []), verdict.check.removeprefix("vector/")]))
    lines = [f"{clause} = {str(shown).replace(chr(39), chr(34))}\n" for clause, shown in sorted(cited.items()) if shown]
    path.write_text("".join(lines), encoding="utf-8")
    return 1 if alive else 0


def _chosen(pattern: str) -> list[Check]:
    sources = {f"vector/{vector['id']}": vector["source"] for vector in conversion.vectors()}
    return [
        check
        for check in conversion.checks()
        if check.id in sources
        if fnmatch.fnmatchcase(sources.get(check.id, ""), pattern) or fnmatch.fnmatchcase(check.id, f"vector/{pattern}")
    ]


def _sorted(mutant: Mutant, checks: list[Check]) -> list[Check]:
    """The checks that cite a clause of a mutant first, then those that read, then the others."""
    clauses = set(mutant.clauses)
    return sorted(checks, key=lambda check: (not clauses & set(check.clauses), check.slow, "-core" in check.id))


if __name__ == "__main__":
    sys.exit(main())
