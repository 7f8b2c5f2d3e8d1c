"""Run the checks against an adapter, and write the report.

Every failure is written to REPORT/failures/NUMBER with a command that repeats it.
Failed checks are asked again in fresh processes, for a minute in all, to tell what earlier requests left behind.
Without --profile, every check is run that the adapter's hello allows, and each profile is judged.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks import all_checks
from etui_conformance.checks.base import Check, Settings
from etui_conformance.cli import suite_version
from etui_conformance.cli.adapters import add_adapter, opener
from etui_conformance.cli.errors import CommandError
from etui_conformance.cli.screen import counted, paragraph, printable, progress, table
from etui_conformance.known_failures import read_known_failures
from etui_conformance.profiles import PROFILES
from etui_conformance.replay import NAME
from etui_conformance.reports.badge import badge
from etui_conformance.reports.html import html_report
from etui_conformance.reports.json_report import json_report
from etui_conformance.reports.junit import junit
from etui_conformance.resources import clauses
from etui_conformance.results import CheckResult, ProfileResult, RunResult
from etui_conformance.runner import Plan
from etui_conformance.runner import run as run_plan

_REPORT: Final = "etui-conformance-report"
_SHOWN_FAILURES: Final = 20
_SHOWN_TEXT: Final = 400
_SHOWN_CLAUSE: Final = 120
_QUICK_EXAMPLES: Final = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_adapter(parser)
    parser.add_argument("--profile", choices=PROFILES, help="only what this profile of conformance needs")
    parser.add_argument("--quick", action="store_true", help="fewer examples, no slow checks: under half a minute")
    parser.add_argument(
        "--select",
        action="append",
        metavar="PATTERN",
        help="only checks whose id matches, or that cite this clause: 'vector/weights/*', W-7; may be repeated",
    )
    parser.add_argument(
        "--known-failures", type=Path, metavar="FILE", help='TOML of lines "check id" = "reason"; they fail no run'
    )
    parser.add_argument(
        "--report", type=Path, default=Path(_REPORT), metavar="DIR", help="for the report (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=_seed,
        default=_default_seed(),
        metavar="NUMBER",
        help="of the examples that are drawn; `none` draws the same ones each time, as where CI is set "
        "(default: a new one, which is printed)",
    )
    parser.add_argument("--examples", type=_positive, metavar="NUMBER", help="of each property (default: 50)")
    parser.add_argument(
        "--jobs",
        type=_positive,
        default=min(4, os.cpu_count() or 1),
        metavar="NUMBER",
        help="adapters that work at once (default here: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run, print what failed, write the report."""
    every = all_checks()
    checks = _selected(every, options.select or ())
    known = read_known_failures(options.known_failures, (check.id for check in every)) if options.known_failures else {}
    examples = options.examples or (_QUICK_EXAMPLES if options.quick else Settings().examples)
    plan = Plan(
        checks=checks,
        settings=Settings(quick=options.quick, seed=options.seed, examples=examples),
        profile=options.profile,
        known=known,
        jobs=options.jobs,
        failures=_emptied(options.report),
        command=options.adapter,
        selected=bool(options.select),
    )
    open_session = opener(options.adapter, options.deadline)
    print(f"seed: {'none, the examples are always the same' if options.seed is None else options.seed}")
    with progress(len(plan.chosen)) as update:
        result = run_plan(plan, open_session, update)
    _write(options.report, json_report(result, suite_version()))
    _show(result, options.report)
    return result.exit_code


def _selected(checks: Sequence[Check], patterns: Sequence[str]) -> Sequence[Check]:
    if not patterns:
        return checks
    found = [
        check
        for check in checks
        if any(fnmatchcase(check.id, pattern) or pattern in check.clauses for pattern in patterns)
    ]
    if not found:
        raise CommandError(f"no check matches {', '.join(patterns)}; `etui-conformance list` has them all")
    return found


def _emptied(report: Path) -> Path:
    """The folder for failures below that of the report, without those of an earlier run."""
    folder = report / "failures"
    try:
        report.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"[0-9]*/{NAME}"):
            shutil.rmtree(earlier.parent)
    except OSError as fault:
        raise CommandError(f"--report {report}: {fault.strerror or fault}") from fault
    return folder


def _write(folder: Path, report: dict[str, Any]) -> None:
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "junit.xml").write_bytes(junit(report))
    (folder / "report.html").write_text(html_report(report), encoding="utf-8")
    (folder / "badge.svg").write_text(badge(report), encoding="utf-8")


def _show(result: RunResult, report: Path) -> None:
    hello = result.hello
    print(printable(f"{hello.name} {hello.version} ({hello.language})"))
    bad = [each for each in result.checks if each.status in ("failed", "error", "unexpected-pass")]
    for each in bad[:_SHOWN_FAILURES]:
        print()
        _show_failure(each, report, result.command)
    if len(bad) > _SHOWN_FAILURES:
        print(f"\nand {len(bad) - _SHOWN_FAILURES} more, in {report / 'report.json'}")
    if len(bad) > 1:
        print(f"\nclauses that are not met:\n{table(_broken(result), '  ')}")
    if result.complete:
        print("\nprofiles of conformance:")
        print(table([_profile_row(profile) for profile in _judged(result)], "  "))
    elif result.profile is not None and (lacking := PROFILES[result.profile].lacking(hello.capabilities)):
        print(f"\nhello does not name what the profile {result.profile} needs: {', '.join(lacking)}")
    counts = [f"{count} {status}" for status, count in result.counts.items() if count]
    print(f"\n{', '.join(counts) or 'no check'} in {result.seconds:.1f} s; report: {report}")


def _broken(result: RunResult) -> list[list[str]]:
    """Each clause that a failed check cites, in the order of SPEC.md: how many of its checks failed, and its words."""
    cited = result.by_clause()
    rows = []
    for clause in clauses().values():
        results = cited.get(clause.id, [])
        if failed := sum(each.status in ("failed", "error") for each in results):
            words = clause.text if len(clause.text) <= _SHOWN_CLAUSE else f"{clause.text[:_SHOWN_CLAUSE]} …"
            rows.append([clause.id, f"{failed} of {counted(len(results), 'check')}", words])
    return rows


def _show_failure(result: CheckResult, report: Path, command: str) -> None:
    finding = result.finding
    print(f"{result.status.upper()}  {result.check.id}  [{', '.join(result.check.clauses)}]")
    print(paragraph(result.check.title, "  "))
    if finding is None:
        print(f"  a known failure passes now; take it off the list (reason was: {result.reason})")
        return
    if finding.kind == "error":
        print(printable(finding.detail))
        return
    rows = [[finding.kind, _short(finding.detail)]]
    rows += [[side, _short(text)] for side in ("expected", "found") if (text := getattr(finding, side)) is not None]
    if finding.leak:
        rows.append(["state", "passes in a fresh process: something was kept from earlier requests (CF-10)"])
    print(table(rows, "  "))
    if finding.replay is not None:  # one line, to be copied
        print(f"  etui-conformance replay {shlex.quote(str(report / finding.replay))} --adapter {shlex.quote(command)}")


def _short(text: str) -> str:
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= _SHOWN_TEXT else f"{shown[:_SHOWN_TEXT]} …"


def _judged(result: RunResult) -> list[ProfileResult]:
    profiles = result.profiles()
    return [profile for profile in profiles if result.profile in (None, profile.name)]


def _profile_row(profile: ProfileResult) -> list[str]:
    if profile.status == "lacking":
        detail = f"hello does not name {', '.join(profile.lacking)}"
    else:
        detail = f"{counted(profile.passed, 'check')} passed" + (f", {profile.failed} failed" if profile.failed else "")
    return [profile.name, profile.status, detail]


def _default_seed() -> int | None:
    return None if os.environ.get("CI") else random.SystemRandom().randrange(1 << 32)


def _seed(text: str) -> int | None:
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor `none`") from None


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return number
