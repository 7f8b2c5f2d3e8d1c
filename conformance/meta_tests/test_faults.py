"""The named faults: each is refused, with its code, by the oracle and by the reference library."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase

from etui_conformance.adapters import reference
from etui_conformance.checks import faults
from etui_conformance.checks.base import Context, Mismatch, Settings
from etui_conformance.checks.faults import question
from etui_conformance.oracle import directory, packed, reading
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol import wire
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.resources import clauses
from etui_conformance.strategies.faults import Fault, Given, all_faults
from etui_conformance.strategies.scope import EVERYTHING, Scope

FAULTS = {fault.id: fault for fault in all_faults()}


def judge(given: Given, folder: Path) -> None:
    """Verify an artifact with the oracle."""
    if given.packed is not None:
        reading.read(packed.unpack(given.packed), full=True)
    elif given.spoil is not None:
        path = Path(wire.directory_artifact(given.parts, folder)["directory"])
        given.spoil(path)
        reading.read(directory.read(path, full=True), full=True)
    else:
        reading.read(given.parts, full=True)


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.clause("CF-51@f6dbc0", "CF-52@5afbae")
def test_refused(name: str, tmp_path: Path) -> None:
    """The valid artifact is accepted and the faulty one refused with the code, by the oracle and by the reference."""
    fault = FAULTS[name]
    session = InProcess(reference.start, tmp_path)
    seen: Counter[str] = Counter()

    @hypothesis.seed(3)
    @hypothesis.settings(
        max_examples=2, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @hypothesis.given(fault.cases(EVERYTHING))
    def ask(case: Any) -> None:
        judge(case.valid, tmp_path)
        form = case.faulty[0].form or "packed"
        question(session, "validate", case.valid, form).accepted()
        for faulty in case.faulty:
            with pytest.raises(Refusal) as refusal:
                judge(faulty, tmp_path)
            assert refusal.value.code in fault.codes
            seen[refusal.value.code] += 1
            question(session, "validate", faulty, form).refused(fault.codes)

    ask()
    assert seen


SIGNATURES = {"H-9", "H-10", "H-11"}  # of a file beside the artifact, which no request has


@pytest.mark.clause("CF-51@f6dbc0")
def test_every_refusal_has_a_fault() -> None:
    """Each clause of chapters 2 to 22 that names a code of refusal has a fault that is named after it or cites it."""
    cited = {clause for fault in FAULTS.values() for clause in fault.clauses}
    refusing = {
        name
        for name, clause in clauses().items()
        if re.fullmatch(r"[DJBVHPFZMSWCTORAGNQLEXI]-\d+", name)
        and name not in SIGNATURES
        and re.search(r"refuse[sd]?\b[^.]*with `|refuses \w+ with\s`", clause.text)
    }
    assert len(refusing) > 80
    assert refusing - cited == set()


@pytest.mark.library
def test_faults_are_within_a_scope(tmp_path: Path) -> None:
    """What an implementation with few capabilities is asked needs no others."""
    plain = frozenset({"bool", "int8", "int32", "float32"})
    scope = Scope(frozenset({"weights"}), frozenset(), plain)
    claimed = {"decode", "weights", "packed", *(f"dtype:{dtype}" for dtype in plain)}
    fitting = [check for check in faults.checks() if check.needs <= claimed]
    assert len(fitting) > 80

    for check in fitting[::8]:
        fault: Fault = FAULTS[check.id]

        @hypothesis.seed(3)
        @hypothesis.settings(max_examples=2, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @hypothesis.given(fault.cases(scope))
        def draw(case: Any) -> None:
            judge(case.valid, tmp_path)

        draw()


@pytest.mark.clause("CF-52@5afbae")
@pytest.mark.parametrize(
    "answer", [{"result": "ok"}, {"result": "reject", "class": "malformed", "code": "json-syntax", "at": ""}]
)
def test_one_answer_to_all(answer: dict[str, str], tmp_path: Path) -> None:
    """Who accepts everything, or refuses everything with one code, fails the checks of faults."""
    real = reference.start()

    def handle(request: Any) -> Any:
        return real(request) if request["op"] in ("hello", "bye") else {"id": request["id"], **answer}

    def start() -> InProcess:
        return InProcess(lambda: handle, tmp_path)

    context = Context(start(), Settings(quick=True), start)
    chosen = faults.checks()[::25]
    assert len(chosen) > 10
    for check in chosen:
        with pytest.raises(Mismatch):
            check.run(context)
