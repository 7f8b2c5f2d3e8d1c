"""Implementations that are not the reference: one in JavaScript, which conforms, and one that trusts what it reads."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from etui.testing import npm
from etui_conformance import matrix, vectors
from etui_conformance.checks import all_checks
from etui_conformance.checks.base import Settings
from etui_conformance.cli.adapters import opener
from etui_conformance.profiles import PROFILES
from etui_conformance.protocol import wire
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.protocol.session import Session
from etui_conformance.results import RunResult, clause_status
from etui_conformance.runner import Plan, opened
from etui_conformance.runner import run as run_plan
from etui_conformance.vectors import Vector

pytestmark = pytest.mark.library

JAVASCRIPT = Path(__file__).parents[2] / "refimpl" / "js"
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
def adapter() -> str:
    """The command that starts the adapter of the JavaScript package."""
    return f"node '{npm.built(JAVASCRIPT) / 'dist' / 'adapter' / 'adapter.js'}'"


@pytest.fixture(scope="module")
def javascript(adapter: str) -> RunResult:
    """What came of the implementation in JavaScript."""
    return outcome(adapter)


@pytest.fixture(scope="module")
def trusting() -> RunResult:
    """What came of the adapter that uses safetensors and `json.loads`."""
    return outcome(f"'{sys.executable}' -m etui_conformance.adapters.safetensors_json")


@pytest.mark.node
def test_the_implementation_in_javascript_fails_nothing(javascript: RunResult) -> None:
    """An implementation that was written from SPEC.md alone passes every check but those of other formats."""
    wrong = [(each.check.id, each.finding) for each in javascript.checks if each.status in ("failed", "error")]
    assert wrong == []
    assert javascript.counts["passed"] > 4800
    others = {need for each in javascript.checks if each.status == "not-applicable" for need in each.lacking}
    assert {need for need in others if need != "convert" and not need.startswith("format:")} == set()


@pytest.mark.node
def test_the_implementation_in_javascript_has_every_profile_but_the_bridge(javascript: RunResult) -> None:
    """It names all that each profile needs and fails none of it, though a quick run calls nobody conformant."""
    found = {each.name: each for each in javascript.profiles()}
    assert set(found) == set(PROFILES)
    for name, profile in found.items():
        if name == "bridge":
            assert profile.lacking == ("convert",)
        else:
            assert (name, profile.status, profile.failed, profile.lacking) == (name, "incomplete", 0, ())
            assert profile.passed > 300
    assert javascript.exit_code == 0


@pytest.mark.node
def test_the_implementation_in_javascript_owes_nothing_to_others() -> None:
    """It imports its own modules, those of Node.js, and in the viewer alone the libraries that draw."""
    described = json.loads((JAVASCRIPT / "package.json").read_text(encoding="utf-8"))
    assert "dependencies" not in described
    modules = sorted(path for folder in ("src", "adapter") for path in (JAVASCRIPT / folder).rglob("*.ts"))
    assert len(modules) > 60
    imported = re.compile(r"^(?:import|export)\b[^;]*?from '([^']+)'", re.MULTILINE)
    known = re.compile(r"node:[a-z_/]+|\.{1,2}/[a-z0-9_./]+\.js")
    for module in modules:
        sources = imported.findall(module.read_text(encoding="utf-8"))
        assert [source for source in sources if not known.fullmatch(source)] == [], module
        part, name = module.relative_to(JAVASCRIPT).parts[:2]
        if part == "src" and name not in ("node", "node.ts"):  # what browsers load
            assert [source for source in sources if "node" in source] == [], module


@pytest.mark.node
def test_each_understands_what_the_other_writes(adapter: str) -> None:
    """Of each content of the vectors, what the one library writes the other reads, bit for bit."""
    found = matrix.cross({name: opener(name, 20.0) for name in ("reference", adapter)}, vectors.load())
    assert found.whole
    assert len(found.cells) == 4
    assert {len(cell.read) for cell in found.cells.values()} == {found.contents}
    assert found.contents > 200


@pytest.mark.node
def test_both_write_the_same_bytes(adapter: str) -> None:
    """Of each vector that is valid, both make the same bytes in either form, of its content and of its artifact."""
    compared = 0
    with opened(opener("reference", 20.0)) as python, opened(opener(adapter, 20.0)) as javascript:
        for vector in vectors.load():
            if not vector.valid or vector.kind == "document":
                continue
            for op, form in (("encode", "packed"), ("transcode", "packed"), ("transcode", "directory")):
                one, other = (written(session, vector, op, form) for session in (python, javascript))
                assert one.keys() == other.keys(), (vector.id, op, form)
                assert [name for name, data in one.items() if other[name] != data] == [], (vector.id, op, form)
                compared += bool(one)
    assert compared > 600


def written(session: Session, vector: Vector, op: str, form: str) -> dict[str, bytes]:
    """The files of what an implementation makes of a vector; none where a vector has no content to encode."""
    path = wire.new_path(session.folder)
    fields = {"form": form, "path": str(path)} | ({"shard_size": vector.shard_size} if vector.shard_size else {})
    if op == "encode":
        if vector.expected is None:
            return {}
        reply = session.ask(op, content=wire.content_to_wire(vector.content(), session.folder), **fields)
    else:
        packed = vector.kind == "packed"
        source = wire.packed_artifact(vector.data(), session.folder) if packed else None
        reply = session.ask(op, artifact=source or wire.directory_artifact(vector.parts(), session.folder), **fields)
    assert reply.result == "ok", (vector.id, op, form, reply)
    if path.is_file():
        return {"": path.read_bytes()}
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in path.rglob("*") if each.is_file()}


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
