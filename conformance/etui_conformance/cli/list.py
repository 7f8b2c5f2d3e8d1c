"""List the checks, the clauses, or the profiles of conformance."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict

from etui_conformance.checks import all_checks
from etui_conformance.cli.screen import counted, table
from etui_conformance.profiles import PROFILES
from etui_conformance.resources import clauses, untestable


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "what", nargs="?", choices=("checks", "clauses", "profiles"), default="checks", help="(default: checks)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    found, shown = {"checks": _checks, "clauses": _clauses, "profiles": _profiles}[options.what]()
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(table(shown))
        print(f"\n{counted(len(found), options.what[:-1])}")
    return 0


_Listed = tuple[list[dict[str, object]], list[list[str]]]


def _checks() -> _Listed:
    checks = all_checks()
    found: list[dict[str, object]] = [
        {
            "id": check.id,
            "title": check.title,
            "clauses": list(check.clauses),
            "needs": sorted(check.needs),
            "slow": check.slow,
            "profiles": [name for name, profile in PROFILES.items() if profile.covers(check.needs)],
        }
        for check in checks
    ]
    return found, [[check.id, " ".join(check.clauses), check.title] for check in checks]


def _clauses() -> _Listed:
    citing: defaultdict[str, list[str]] = defaultdict(list)
    for check in all_checks():
        for clause in check.clauses:
            citing[clause].append(check.id)
    reasons = untestable()
    found: list[dict[str, object]] = [
        {
            "id": clause.id,
            "keyword": " ".join(clause.keywords),
            "text": clause.text,
            "checks": citing.get(clause.id, []),
            "untestable": reasons.get(clause.id),
        }
        for clause in clauses().values()
    ]
    rows = [
        [clause.id, " ".join(clause.keywords), counted(len(citing.get(clause.id, [])), "check"), clause.text]
        for clause in clauses().values()
    ]
    return found, rows


def _profiles() -> _Listed:
    counts = {name: sum(profile.covers(check.needs) for check in all_checks()) for name, profile in PROFILES.items()}
    found: list[dict[str, object]] = [
        {"name": name, "needs": sorted(profile.capabilities), "checks": counts[name]}
        for name, profile in PROFILES.items()
    ]
    return found, [
        [name, counted(counts[name], "check"), ", ".join(sorted(profile.capabilities))]
        for name, profile in PROFILES.items()
    ]
