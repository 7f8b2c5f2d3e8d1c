"""Explain a clause or a check: the words of SPEC.md, what proves them, and what shows that the proof has power."""

from __future__ import annotations

import argparse
from difflib import get_close_matches

from etui_conformance.checks import all_checks
from etui_conformance.checks.base import Check
from etui_conformance.cli.errors import CommandError
from etui_conformance.cli.screen import paragraph, table
from etui_conformance.profiles import PROFILES
from etui_conformance.resources import clauses, mutants, repository, untestable
from etui_conformance.trace import SPEC, Clause

_SHOWN = 40


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("id", metavar="ID", help="of a clause, such as W-7, or of a check, such as vector/weights/0007")


def run(options: argparse.Namespace) -> int:
    """Print the explanation."""
    checks = {check.id: check for check in all_checks()}
    if options.id in checks:
        _explain_check(checks[options.id])
        return 0
    clause = clauses().get(options.id.upper())
    if clause is None:
        near = get_close_matches(options.id, [*clauses(), *checks], n=3)
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        raise CommandError(f"{options.id} is neither a clause of {SPEC} nor a check{meant}")
    _explain_clause(clause, [check for check in checks.values() if clause.id in check.clauses])
    return 0


def _explain_clause(clause: Clause, citing: list[Check]) -> None:
    print(f"{clause.id}, {SPEC} line {clause.line}, {' '.join(clause.keywords)}")
    print(paragraph(clause.text, "  "))
    vectors = [check for check in citing if check.id.startswith("vector/")]
    _print_checks("vectors", vectors)
    _print_checks("checks", [check for check in citing if check not in vectors])
    if repository() is not None:
        names = [name for name, cited in mutants().items() if clause.id in cited]
        print(f"\nmutants of the reference: {len(names) or 'none'}")
        for name in names:
            print(paragraph(name, "  "))
    if (reason := untestable().get(clause.id)) is not None:
        print("\nnot testable by a machine:")
        print(paragraph(reason, "  "))


def _print_checks(title: str, checks: list[Check]) -> None:
    print(f"\n{title}: {len(checks) or 'none'}")
    if checks:
        print(table([[check.id, check.title] for check in checks[:_SHOWN]], "  "))
    if len(checks) > _SHOWN:
        print(f"  and {len(checks) - _SHOWN} more")


def _explain_check(check: Check) -> None:
    print(check.id)
    print(paragraph(check.title, "  "))
    print("\nneeds:")
    print(paragraph(", ".join(sorted(check.needs)) or "nothing but the protocol", "  "))
    print("\nprofiles:")
    belongs = [name for name, profile in PROFILES.items() if profile.covers(check.needs)]
    print(paragraph(", ".join(belongs) or "none", "  "))
    print("\nclauses:")
    known = clauses()
    rows = [[name, known[name].text if name in known else "(not in this SPEC.md)"] for name in check.clauses]
    print(table(rows, "  "))
