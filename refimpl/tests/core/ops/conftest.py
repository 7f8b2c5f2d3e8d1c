"""Has each framework judged in a process of its own, once in a test run, and prints how many cases each op had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[2]
MINUTES = 20
PROPERTY = "cases of a core op"


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What became of each op with a side: op -> `judging.Verdict` as a map."""
    known: dict[str, dict[str, Any]] = {}

    def of(side: str) -> dict[str, Any]:
        if side not in known:
            result = tmp_path_factory.mktemp("ops") / f"{side}.json"
            done = subprocess.run(
                [sys.executable, str(HERE / "run_judge.py"), side, str(result)],
                env={**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONWARNINGS": ""},
                capture_output=True,
                text=True,
                timeout=60 * MINUTES,
                check=False,
            )
            if done.returncode:
                pytest.fail(f"run_judge.py {side} ended with {done.returncode}:\n{done.stderr[-4000:]}")
            known[side] = json.loads(result.read_text())
        return known[side]

    return of


@pytest.fixture
def equals(
    verdicts: Callable[[str], dict[str, Any]], record_property: Callable[[str, object], None]
) -> Callable[[str, str], None]:
    """Asserts that a side computes an op as the evaluator does, in one case at least; see `op_harness.judging`."""

    def check(side: str, op: str) -> None:
        verdict = verdicts(side)[op]
        count = sum(verdict["cases"].values())
        record_property(PROPERTY, [side, op, count])
        assert not verdict["fault"], f"{op} with {side}: {verdict['fault']}"
        assert count > 0, f"no case of {op} was judged with {side}"

    return check


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print, for each op, the number of its cases with each side that was judged in this run."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    counts[value[1]][value[0]] = value[2]
    if not counts:
        return
    sides = sorted({side for by_side in counts.values() for side in by_side})
    terminalreporter.section(f"cases of each core op: {', '.join(sides)}")
    cells = [f"{op} {'/'.join(str(by_side.get(side, '-')) for side in sides)}" for op, by_side in counts.items()]
    width = max(map(len, cells)) + 2
    columns = max(1, 120 // width)
    for start in range(0, len(cells), columns):
        terminalreporter.write_line("".join(cell.ljust(width) for cell in cells[start : start + columns]).rstrip())
    total = sum(count for by_side in counts.values() for count in by_side.values())
    terminalreporter.write_line(f"{len(counts)} ops, {total} cases")
