"""The table of every clause with what proves it: tests, checks, vectors, and the mutants that show their power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etui_conformance.suite_proofs import SuiteProofs, by_clause
from etui_conformance.trace import Trace

_SHOWN = 3


def as_json(trace: Trace) -> list[dict[str, object]]:
    """An object per clause: id, line, keywords, stamp, text, what proves it, and the reason if nothing can."""
    suite = trace.suite or SuiteProofs()
    tests, checks, mutants = trace.tests_by_clause(), by_clause(suite.checks), by_clause(suite.mutants)
    return [
        {
            "id": clause.id,
            "line": clause.line,
            "keywords": clause.keywords,
            "stamp": clause.stamp,
            "text": clause.text,
            "tests": [test.node for test in tests.get(clause.id, [])],
            "checks": [name for name in checks.get(clause.id, []) if not _is_vector(name)],
            "vectors": [name for name in checks.get(clause.id, []) if _is_vector(name)],
            "mutants": {name: suite.killers.get(name) for name in mutants.get(clause.id, [])},
            "untestable": suite.reason(clause.id),
        }
        for clause in trace.clauses.values()
    ]


def _is_vector(check: str) -> bool:
    return check.startswith(("vector/", "semantics/"))


def as_markdown(trace: Trace) -> str:
    """The same as a Markdown table with one row for each clause; of many names, the first are shown."""
    rows = ["| clause | key word | tests | checks | vectors | mutants, killed by |", "|---|---|---|---|---|---|"]
    for row in as_json(trace):
        mutants: Any = row["mutants"]
        killed = [f"{name}, `{check}`" if check else name for name, check in mutants.items()]
        cells = [_cell(row["tests"]), _cell(row["checks"]), _cell(row["vectors"]), _cell(killed, code=False)]
        if row["untestable"]:
            cells[-1] = f"untestable: {row['untestable']}"
        keywords: Any = row["keywords"]
        rows.append(f"| {row['id']} | {', '.join(keywords)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(names: Any, *, code: bool = True) -> str:
    found: Sequence[str] = names
    shown = [f"`{name}`" if code else name.replace("|", "\\|") for name in found[:_SHOWN]]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "<br>".join(shown + more) or "–"
