"""Implementations that are not the reference: one in JavaScript that conforms, and one that trusts what it reads."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from etui_conformance.checks import all_checks
from etui_conformance.checks.base import Settings
from etui_conformance.profiles import PROFILES
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.results import RunResult, clause_status
from etui_conformance.runner import Plan
from etui_conformance.runner import run as run_plan

pytestmark = pytest.mark.library

JAVASCRIPT = Path(__file__).parents[1] / "adapters" / "javascript"
READER = "weights-reader"

# What a reader of an afternoon does not see, each by a clause that speaks of nothing else.
OBVIOUS = {
    "J-3": "a key that is there twice",
    "J-7": "JSON in another form",
    "D-3": "a path that leads elsewhere",
    "D-8": "a bool that is neither 0 nor 1",
    "H-3": "a digest of an unknown algorithm",
    "H-5": "a changed document",
    "H-6": "changed elements",
    "M-5": "a feature that it does not have",
    "Q-5": "a version of the future",
    "S-5": "tensors in another order",
    "W-3": "orders that leave one out",
    "W-15": "an alias of an alias",
    "Z-1": "a member that is not listed",
    "Z-8": "bytes between two members",
    "Z-12": "that documents need no data",
}


def outcome(command: str) -> RunResult:
    """Every check that applies but the slow ones, each failure once; the page on implementing runs the others."""
    words = split_command(command)
    plan = Plan(all_checks(), Settings(quick=True, examples=3), jobs=2, repeating=0.0, command=command)
    return run_plan(plan, lambda folder: ProcessSession(words, folder))


@pytest.fixture(scope="module")
def javascript() -> RunResult:
    """What came of the reader in JavaScript."""
    return outcome(f"node '{JAVASCRIPT / 'adapter.mjs'}'")


@pytest.fixture(scope="module")
def trusting() -> RunResult:
    """What came of the adapter that uses safetensors and `json.loads`."""
    return outcome(f"'{sys.executable}' -m etui_conformance.adapters.safetensors_json")


def test_the_reader_in_javascript_fails_nothing(javascript: RunResult) -> None:
    """An implementation that was written from SPEC.md alone passes every check that its hello allows."""
    wrong = [(each.check.id, each.finding) for each in javascript.checks if each.status in ("failed", "error")]
    assert wrong == []
    assert javascript.counts["passed"] > 900


def test_the_reader_in_javascript_is_a_reader_of_weights(javascript: RunResult) -> None:
    """It names all that the profile needs and fails none of it, though a quick run calls nobody conformant."""
    (profile,) = [each for each in javascript.profiles() if each.name == READER]
    assert (profile.status, profile.failed, profile.lacking) == ("incomplete", 0, ())
    assert profile.passed > 300
    assert javascript.exit_code == 0


def test_the_reader_in_javascript_owes_nothing_to_others() -> None:
    """It imports its own modules and those of Node.js, and nothing else."""
    modules = sorted(JAVASCRIPT.glob("*.mjs"))
    assert len(modules) > 10
    for module in modules:
        sources = re.findall(
            r"^(?:import|export)\b[^;]*?from '([^']+)'", module.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert [source for source in sources if not re.fullmatch(r"node:[a-z]+|\./[a-z]+\.mjs", source)] == [], module
    assert not (JAVASCRIPT / "package.json").exists()


def test_a_trusting_reader_reads_what_is_good(trusting: RunResult) -> None:
    """Safetensors and JSON are enough to read good artifacts of plain tensors: the suite does not fail everything."""
    statuses = {each.check.id: each.status for each in trusting.checks}
    assert statuses["protocol/decode"] == "passed"
    assert statuses["vector/data/0001/decode"] == "passed"
    assert trusting.counts["passed"] > 100
    assert trusting.counts["error"] == 0


def test_a_trusting_reader_is_told_what_it_lacks(trusting: RunResult) -> None:
    """Clause by clause the suite names what a reader without checks takes for good."""
    clauses = trusting.by_clause()
    failed = {clause for clause, results in clauses.items() if clause_status(results) == "failed"}
    assert sorted(set(OBVIOUS) - failed) == []
    assert len(failed) > 60
    for clause in OBVIOUS:
        findings = [each.finding for each in clauses[clause] if each.finding is not None]
        assert findings
        assert all(
            finding.detail and finding.expected and finding.found for finding in findings if finding.kind == "mismatch"
        )
    (profile,) = [each for each in trusting.profiles() if each.name == READER]
    assert profile.status == "failed"
    assert PROFILES[READER].lacking(trusting.hello.capabilities) == ()
