"""What came of a run: of each check, of each clause, of each profile, and of the whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from etui_conformance.checks.base import Check, Settings
from etui_conformance.profiles import PROFILES
from etui_conformance.protocol.session import FailureKind, Hello

Status = Literal["passed", "failed", "error", "not-applicable", "known-failure", "unexpected-pass"]
ClauseStatus = Literal["passed", "failed", "not-applicable", "untested"]
ProfileStatus = Literal["conformant", "failed", "lacking", "incomplete"]

STATUSES: tuple[Status, ...] = ("passed", "failed", "error", "not-applicable", "known-failure", "unexpected-pass")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw that was wrong.

    Attributes:
        kind: ``mismatch``, or how the adapter failed.
        detail: in one sentence.
        expected, found: both sides, as text.
        leak: whether the same check passed in a fresh process, so that state was kept (SPEC.md CF-10).
        replay: the folder of the failure below that of the report.
    """

    kind: FailureKind | Literal["mismatch", "error"]
    detail: str
    expected: str | None = None
    found: str | None = None
    leak: bool = False
    replay: str | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check.

    Attributes:
        check: what was asked.
        status: how it went.
        seconds: that it took.
        finding: what was wrong, of ``failed``, ``error`` and ``known-failure``.
        lacking: the capabilities for the want of which it does not apply.
        reason: out of the list of known failures.
    """

    check: Check
    status: Status
    seconds: float = 0.0
    finding: Finding | None = None
    lacking: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ProfileResult:
    """What came of a profile of conformance (SPEC.md CF-40).

    Attributes:
        status: ``incomplete`` where not all of its checks were run, as in a quick run.
        lacking: capabilities that hello does not name.
        passed, failed: numbers of its checks.
    """

    name: str
    status: ProfileStatus
    lacking: tuple[str, ...]
    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came of a run.

    Attributes:
        hello: of the adapter.
        command: that started it.
        profile: to which the run was limited, or `None`.
        settings: of the run.
        started, seconds: when, and how long.
        checks: what came of each check, in the order of the suite.
        complete: whether every check of the suite had its turn.
    """

    hello: Hello
    command: str
    profile: str | None
    settings: Settings
    started: datetime
    seconds: float
    checks: Sequence[CheckResult] = field(repr=False)
    complete: bool = True

    @property
    def counts(self) -> Mapping[Status, int]:
        """How many checks have each status."""
        found = Counter(result.status for result in self.checks)
        return {status: found[status] for status in STATUSES}

    @property
    def exit_code(self) -> int:
        """0 conformant, 1 failures, 2 the suite itself failed (SPEC.md CF-57)."""
        counts = self.counts
        if counts["error"] or not counts["passed"] + counts["failed"] + counts["known-failure"]:
            return 2
        lacks = self.profile is not None and bool(PROFILES[self.profile].lacking(self.hello.capabilities))
        return 1 if counts["failed"] or counts["unexpected-pass"] or lacks else 0

    def by_clause(self) -> Mapping[str, Sequence[CheckResult]]:
        """The results of the checks that cite each clause; a leak speaks for CF-10 too."""
        found: defaultdict[str, list[CheckResult]] = defaultdict(list)
        for result in self.checks:
            leak = result.finding is not None and result.finding.leak
            for clause in dict.fromkeys((*result.check.clauses, *(("CF-10",) if leak else ()))):
                found[clause].append(result)
        return dict(found)

    def profiles(self) -> Sequence[ProfileResult]:
        """What came of every profile."""
        return [self._profile(name) for name in PROFILES]

    def _profile(self, name: str) -> ProfileResult:
        profile = PROFILES[name]
        lacking = profile.lacking(self.hello.capabilities)
        found = Counter(result.status for result in self.checks if profile.covers(result.check.needs))
        failed = found["failed"] + found["known-failure"] + found["error"]
        passed = found["passed"] + found["unexpected-pass"]
        status: ProfileStatus
        if lacking:
            status = "lacking"
        elif failed:
            status = "failed"
        else:
            status = "conformant" if self.complete and passed else "incomplete"
        return ProfileResult(name, status, lacking, passed, failed)


def clause_status(results: Sequence[CheckResult]) -> ClauseStatus:
    """What the results of the checks that cite a clause say of it."""
    statuses = {result.status for result in results}
    if statuses & {"failed", "known-failure", "error"}:
        return "failed"
    if statuses & {"passed", "unexpected-pass"}:
        return "passed"
    return "not-applicable" if statuses else "untested"
