"""Writes what proves each clause into the documentation.

    python conformance/generators/proof_pages.py [--check]

The summary goes into refimpl/docs/conformance.md, the row of each clause into refimpl/docs/conformance-table.md. With
`--check` nothing is written, and the exit code is 1 if the summary of the page is not the current one.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from etui_conformance import proof_table, suite_proofs
from etui_conformance.trace import Trace, place_of, read_places, read_trace

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "refimpl" / "docs" / "conformance.md"
TABLE = ROOT / "refimpl" / "docs" / "conformance-table.md"
BEGIN, END = "<!-- power:begin -->\n", "<!-- power:end -->"
_INTRODUCTION = """# What proves each clause

Made by `make power`. A row for each clause of [SPEC.md](../../SPEC.md): the tests of the reference library that
claim it, the checks and golden vectors of [the conformance suite](conformance.md) that cite it, and the mutants
that break it, each with the check that killed it. Of many names the first are shown.

"""


def main(arguments: list[str]) -> int:
    """Write the pages, or compare the summary."""
    trace = read_trace(ROOT, suite_proofs.read_checks())
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    written = f"{head}{BEGIN}{summary(trace)}\n{END}{rest.split(END)[1]}"
    if arguments == ["--check"]:
        if text != written:
            print(f"{PAGE.relative_to(ROOT)} is not current: run `make power`")
        return int(text != written)
    PAGE.write_text(written, encoding="utf-8")
    TABLE.write_text(f"{_INTRODUCTION}{proof_table.as_markdown(trace)}\n", encoding="utf-8")
    return 0


def summary(trace: Trace) -> str:
    """A row for each chapter, and one for all."""
    places = read_places((ROOT / "SPEC.md").read_text(encoding="utf-8"))
    rows: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in proof_table.as_json(trace):
        if trace.clauses[str(row["id"])].mandatory:
            rows[place_of(int(str(row["line"])), places).chapter].append(row)
    lines = [
        "| chapter | MUST | asked | vectors | other checks | mutants, killed | no message |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(chapter, its) for chapter, its in rows.items()]
    lines.append(_line("**all**", [row for its in rows.values() for row in its]))
    return "\n".join(lines)


def _line(chapter: str, rows: list[dict[str, Any]]) -> str:
    asked = sum(bool(row["checks"] or row["vectors"]) for row in rows)
    vectors = {name for row in rows for name in row["vectors"]}
    checks = {name for row in rows for name in row["checks"]}
    mutants = {name: killer for row in rows for name, killer in row["mutants"].items()}
    killed = sum(killer is not None for killer in mutants.values())
    untestable = sum(bool(row["untestable"]) for row in rows)
    counts = (len(rows), asked, len(vectors), len(checks), f"{killed} of {len(mutants)}", untestable)
    return f"| {chapter} | {' | '.join(map(str, counts))} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
