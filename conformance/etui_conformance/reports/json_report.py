"""The report of a run as JSON, whose schema is `conformance/report.schema.json`; other reports are made of it."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import Any, Final

from etui_conformance.checks.base import Check
from etui_conformance.protocol.messages import PROTOCOL, SPEC
from etui_conformance.protocol.session import Hello
from etui_conformance.resources import clauses, specification_path, untestable
from etui_conformance.results import CheckResult, RunResult, clause_status
from etui_conformance.trace import place_of, read_places

FORMAT: Final = "etui-conformance-report"


def json_report(result: RunResult, suite_version: str) -> dict[str, Any]:
    """Everything that is known of a run.

    Args:
        result: of the run.
        suite_version: of the package of the suite.
    """
    return {
        "format": FORMAT,
        "version": "1.0",
        "suite": {
            "version": suite_version,
            "spec": SPEC,
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "implementation": _hello(result.hello),
        "run": {
            "command": result.command,
            "profile": result.profile,
            "quick": result.settings.quick,
            "seed": result.settings.seed,
            "examples": result.settings.examples,
            "started": result.started.isoformat(timespec="seconds"),
            "seconds": round(result.seconds, 3),
            "complete": result.complete,
            "exit_code": result.exit_code,
        },
        "counts": dict(result.counts),
        "profiles": [{**asdict(profile), "lacking": list(profile.lacking)} for profile in result.profiles()],
        "clauses": _clauses(result),
        "checks": [_check(each) for each in result.checks],
    }


def _hello(hello: Hello) -> dict[str, Any]:
    sets = ("ops", "areas", "forms", "features", "dtypes", "formats")
    texts = {name: getattr(hello, name) for name in ("name", "version", "language")}
    return texts | {name: sorted(getattr(hello, name)) for name in sets}


def _check(result: CheckResult) -> dict[str, Any]:
    check: Check = result.check
    finding = result.finding
    return {
        "id": check.id,
        "title": check.title,
        "clauses": list(check.clauses),
        "needs": sorted(check.needs),
        "status": result.status,
        "seconds": round(result.seconds, 4),
        "lacking": list(result.lacking),
        "reason": result.reason,
        "finding": None if finding is None else asdict(finding),
    }


def _clauses(result: RunResult) -> list[dict[str, Any]]:
    """Every clause of SPEC.md with its place, its words and its verdict, those that nothing cites included."""
    cited = result.by_clause()
    places = read_places(specification_path().read_text(encoding="utf-8"))
    reasons = untestable()
    found = []
    for clause in clauses().values():
        results = cited.get(clause.id, [])
        place = place_of(clause.line, places)
        found.append(
            {
                "id": clause.id,
                "keyword": " ".join(clause.keywords),
                "text": clause.text,
                "line": clause.line,
                "chapter": place.chapter,
                "section": place.section,
                "status": clause_status(results),
                "checks": [each.check.id for each in results],
                "untestable": reasons.get(clause.id),
            }
        )
    return found
