"""Adapters that are wrong on purpose: the suite fails every one of them, and for the right reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from etui_conformance.adapters import null
from etui_conformance.checks import protocol, protocol_requests
from etui_conformance.checks.base import Settings
from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.process import ProcessSession
from etui_conformance.protocol.session import Session
from etui_conformance.results import RunResult
from etui_conformance.runner import Plan, run

CHECKS = {check.id: check for check in (*protocol.checks(), *protocol_requests.checks())}
# Null adapter -> the check that must see its fault, how, and a word of what it says.
REASONS = {
    "echo": ("protocol/decode", "mismatch", "another identity"),
    "always-ok": ("protocol/decode", "mismatch", "another identity"),
    "always-accept": ("protocol/reject-form", "mismatch", "another form"),
    "always-reject": ("protocol/decode", "mismatch", "did not accept what is valid"),
    "always-unsupported": ("protocol/claims", "mismatch", "was answered otherwise"),
    "crash": ("protocol/decode", "crash", "exit code 3"),
    "hang": ("protocol/decode", "hang", "no reply within"),
    "garbage": ("protocol/decode", "garbage", "Loading the model"),
    "wrong-id": ("protocol/decode", "wrong-id", "in place of"),
    "half-line": ("protocol/decode", "crash", "in the middle of a line"),
    "stderr-flood": ("protocol/decode", "stderr-flood", "on standard error"),
    "cache-leak": ("protocol/no-state/bytes", "mismatch", "another"),
    "overclaiming": ("protocol/claims", "mismatch", "was answered otherwise"),
    "wrong-code": ("protocol/reject-form", "mismatch", "another form"),
    "byte-copier": ("protocol/transcode", "mismatch", "another identity"),
}


def asked(name: str, *ids: str, limits: Limits | None = None) -> RunResult:
    """A run of some checks with a null adapter."""
    command = [sys.executable, "-m", "etui_conformance.adapters.null", name]
    patience = Patience(limits or Limits(deadline=20.0))

    def start(folder: Path) -> Session:
        return ProcessSession(command, folder, patience)

    return run(Plan([CHECKS[each] for each in ids], Settings(quick=True)), start)


@pytest.mark.clause("CF-50@810bd8", "CF-51@f6dbc0", "CF-57@243f8c")
@pytest.mark.parametrize("name", null.NAMES)
def test_the_suite_fails_every_null_adapter_for_its_fault(name: str) -> None:
    """The check that is about the fault of a null adapter fails with its kind and its words, and so does the run."""
    check, kind, words = REASONS[name]
    limits = Limits(deadline=1.0, farewell=1.0) if name == "hang" else None
    result = asked(name, check, limits=limits)
    (only,) = result.checks
    assert only.finding is not None
    assert (only.status, only.finding.kind) == ("failed", kind)
    assert words in only.finding.detail
    assert result.exit_code == 1


@pytest.mark.library
def test_every_null_adapter_has_a_reason() -> None:
    """The table of reasons and the null adapters are the same names."""
    assert set(REASONS) == set(null.NAMES)
    assert len(null.NAMES) >= 12


@pytest.mark.clause("CF-52@5afbae")
@pytest.mark.parametrize("name", ["always-reject", "always-unsupported"])
def test_refusing_everything_passes_no_check_of_a_refusal(name: str) -> None:
    """An adapter that refuses what is valid too gets nothing for its refusals of what is not."""
    about = ["protocol/goes-on", "protocol/no-state/refusals", "protocol/validate", "protocol/validate/document"]
    result = asked(name, *about)
    assert [each.status for each in result.checks] == ["failed"] * len(about)


@pytest.mark.clause("CF-10@be6d28", "CF-53@2c5123")
def test_kept_state_is_told_from_other_faults() -> None:
    """A check that passes in a fresh process is reported as a leak; one that fails there again is not."""
    result = asked("cache-leak", "protocol/decode", "protocol/reject-form", "protocol/unknown-fields", "protocol/reset")
    found = {each.check.id: each.finding for each in result.checks}
    assert found["protocol/decode"] is None  # nothing was there to be kept
    leaks = {name: finding.leak for name, finding in found.items() if finding is not None}
    assert leaks["protocol/unknown-fields"] is True
    assert leaks["protocol/reset"] is False  # it asks about two artifacts of one size itself
    assert "CF-10" in result.by_clause()


@pytest.mark.library
@pytest.mark.parametrize("name", ["overclaiming", "wrong-code", "byte-copier"])
def test_null_adapters_around_the_reference_are_right_in_all_else(name: str) -> None:
    """An adapter with one fault passes the checks that are not about it, so that what fails is the fault."""
    result = asked(
        name, "protocol/hello", "protocol/decode", "protocol/read", "protocol/no-state/bytes", "protocol/bye"
    )
    assert [each.status for each in result.checks] == ["passed"] * 5


@pytest.mark.library
def test_a_name_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Without the name of a null adapter the program says which there are."""
    assert null.main(["dance"]) == 2
    assert null.main([]) == 2
    assert "always-reject" in capsys.readouterr().err
