"""Says what ties the clauses of SPEC.md to the tests that prove them, and where the tie is broken.

    python -m etui_conformance.traceability check   says what is wrong; exit code 1 if anything is
    python -m etui_conformance.traceability stamp   stamps new claims; changed ones too with --reviewed W-12 …
    python -m etui_conformance.traceability table   prints clauses and proofs as Markdown; as JSON with --json

The checks of the suite are imported by `check` and `table`; tests are only read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from etui_conformance import proof_table, suite_proofs
from etui_conformance.mutants import FOLDER as MUTANTS
from etui_conformance.trace import SPEC, Trace, check, read_trace, stamp


def _summary(trace: Trace) -> str:
    mandatory = [clause for clause in trace.clauses.values() if clause.mandatory]
    proofs = trace.tests_by_clause()
    tested = sum(clause.id in proofs for clause in mandatory)
    found = (
        f"{len(trace.clauses)} clauses, {len(mandatory)} of them mandatory: {tested} tested; "
        f"{len(trace.tests)} tests with {len(trace.claims)} claims"
    )
    if trace.suite is None:
        return found
    checked = {clause for clauses in trace.suite.checks.values() for clause in clauses}
    broken = {clause for clauses in trace.suite.mutants.values() for clause in clauses}
    return (
        f"{found}; suite: {sum(clause.id in checked for clause in mandatory)} checked by {len(trace.suite.checks)} "
        f"checks, {sum(clause.id in broken for clause in mandatory)} broken by {len(trace.suite.mutants)} mutants, "
        f"{sum(trace.suite.reason(clause.id) is not None for clause in mandatory)} that no message shows"
    )


def _run_check(trace: Trace) -> int:
    problems = check(trace)
    for problem in problems:
        print(problem)
    print(f"traceability: {_summary(trace)}; {len(problems)} problems")
    return 1 if problems else 0


def _run_stamp(root: Path, trace: Trace, reviewed: frozenset[str]) -> int:
    if unknown := sorted(reviewed - trace.clauses.keys()):
        print(f"traceability: not a clause of {SPEC}: {', '.join(unknown)}", file=sys.stderr)
        return 2
    stamped = stamp(root, trace, reviewed)
    for clause_id, count in sorted(stamped.items()):
        print(f"{clause_id}@{trace.clauses[clause_id].stamp}: {count} claims stamped")
    print(f"traceability: {stamped.total()} claims stamped")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 good, 1 the check failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m etui_conformance.traceability",
        description="Ties the clauses of SPEC.md to the tests that prove them.",
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--root", type=Path, default=Path(), help="the repository (default: this folder)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", parents=[shared], help="say what is wrong; exit code 1 if anything is")
    stamping = commands.add_parser("stamp", parents=[shared], help="write the stamps of claims into the tests")
    stamping.add_argument(
        "--reviewed",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="clauses that changed and whose tests were read again: stamp their stale claims too",
    )
    tabling = commands.add_parser("table", parents=[shared], help="print the clauses and what proves them")
    tabling.add_argument("--json", action="store_true", help="print JSON instead of Markdown")
    options = parser.parse_args(arguments)
    has_suite = options.command != "stamp" and (options.root / MUTANTS).is_dir()
    try:
        trace = read_trace(options.root, suite_proofs.read_checks() if has_suite else None)
    except FileNotFoundError:
        where = options.root.resolve()
        print(f"traceability: no {SPEC} in {where}; name the repository by --root", file=sys.stderr)
        return 2
    if options.command == "check":
        return _run_check(trace)
    if options.command == "stamp":
        return _run_stamp(options.root, trace, frozenset(options.reviewed))
    if options.json:
        print(json.dumps(proof_table.as_json(trace), indent=2, ensure_ascii=False))
    else:
        print(proof_table.as_markdown(trace))
    return 0


if __name__ == "__main__":
    sys.exit(main())
