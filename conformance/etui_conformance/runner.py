"""Runs checks against an adapter: several processes at once, and each failure again in a fresh one."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.profiles import PROFILES
from etui_conformance.protocol.process import ProcessSession
from etui_conformance.protocol.session import AdapterFailure, Session
from etui_conformance.replay import Evidence, write_failure
from etui_conformance.results import CheckResult, Finding, RunResult

Open = Callable[[Path], Session]
"""Starts the adapter anew, with the folder for files between it and the suite."""

_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and how.

    Attributes:
        checks: of the suite, those that a run is limited to.
        settings: of the checks.
        profile: leaves out what a profile of conformance does not need.
        known: reasons of known failures, by the ids of checks.
        jobs: how many adapters work at once.
        repeating: seconds in all for repeating failures in fresh processes.
        failures: where failures are written out, or `None`.
        command: that starts the adapter, for the report.
        selected: whether checks were left out by the caller, so that no profile is judged.
    """

    checks: Sequence[Check]
    settings: Settings = field(default_factory=Settings)
    profile: str | None = None
    known: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    repeating: float = 60.0
    failures: Path | None = None
    command: str = ""
    selected: bool = False

    @property
    def chosen(self) -> list[Check]:
        """The checks that get a result: those of the profile, and without the slow ones in a quick run."""
        profile = PROFILES[self.profile] if self.profile else None
        checks = [check for check in self.checks if profile is None or profile.covers(check.needs)]
        return [check for check in checks if not (self.settings.quick and check.slow)]


def run(plan: Plan, open_session: Open, progress: Callable[[CheckResult], None] | None = None) -> RunResult:
    """Run a plan; whatever the adapter does, every check has a result.

    Args:
        plan: what to run.
        open_session: starts the adapter.
        progress: called with each result, from one thread at a time.

    Raises:
        AdapterFailure: ``start``, the adapter does not say hello.
    """
    return _Run(plan, open_session, progress or (lambda _: None)).result()


class _Run:
    def __init__(self, plan: Plan, open_session: Open, progress: Callable[[CheckResult], None]) -> None:
        self._plan = plan
        self._open = open_session
        self._progress = progress
        self._lock = Lock()
        self._numbers = count(1)
        self._repeating = plan.repeating
        self._stopped = False

    def result(self) -> RunResult:
        plan = self._plan
        started, clock = datetime.now(UTC), time.monotonic()
        with ExitStack() as stack:
            first = stack.enter_context(opened(self._open))
            checks = plan.chosen
            lacks = {check.id: tuple(sorted(check.needs - first.hello.capabilities)) for check in checks}
            queue: SimpleQueue[Check] = SimpleQueue()
            for check in checks:
                if not lacks[check.id]:
                    queue.put(check)
            done = {
                check.id: CheckResult(check, "not-applicable", lacking=lacks[check.id])
                for check in checks
                if lacks[check.id]
            }
            for each in done.values():
                self._progress(each)
            jobs = max(1, min(plan.jobs, queue.qsize()))
            if jobs == 1:
                done |= self._work(first, queue)
            else:
                with ThreadPoolExecutor(jobs) as pool:
                    # The first worker takes the session that is there, the others open their own.
                    work = [pool.submit(self._work, first if index == 0 else None, queue) for index in range(jobs)]
                    try:
                        for each_work in wait(work, return_when=FIRST_EXCEPTION).done:
                            done |= each_work.result()
                    finally:  # an interrupted run ends with the checks that are under way
                        self._stopped = True
        return RunResult(
            hello=first.hello,
            command=plan.command,
            profile=plan.profile,
            settings=plan.settings,
            started=started,
            seconds=time.monotonic() - clock,
            checks=[done[check.id] for check in checks],
            complete=not plan.selected and not plan.settings.quick,
        )

    def _work(self, session: Session | None, queue: SimpleQueue[Check]) -> dict[str, CheckResult]:
        done: dict[str, CheckResult] = {}
        with ExitStack() as stack:
            while not self._stopped:
                try:
                    check = queue.get_nowait()
                except Empty:
                    break
                try:
                    if session is None:
                        session = stack.enter_context(opened(self._open))
                except AdapterFailure as failure:
                    result = CheckResult(check, "failed", finding=Finding(failure.kind, failure.detail))
                else:
                    result = self._judge(check, session)
                done[check.id] = result
                with self._lock:
                    self._progress(result)
        return done

    def _judge(self, check: Check, session: Session) -> CheckResult:
        clock = time.monotonic()
        trouble = self._attempt(check, session)
        reason = self._plan.known.get(check.id)
        result = CheckResult(check, "passed", reason=reason)
        if trouble is None:
            result = replace(result, status="unexpected-pass" if reason else "passed")
        elif not isinstance(trouble, Mismatch | AdapterFailure):
            text = "".join(traceback.format_exception(trouble, limit=-6))
            result = replace(result, status="error", finding=Finding("error", text[-_SHOWN:]))
        else:
            evidence = _evidence(trouble, session)
            finding = replace(_finding(trouble), leak=self._passes_when_fresh(check, trouble))
            result = replace(
                result,
                status="known-failure" if reason else "failed",
                finding=self._written(check, finding, evidence),
            )
        _clear(session.folder)
        return replace(result, seconds=time.monotonic() - clock)

    def _attempt(self, check: Check, session: Session) -> Exception | None:
        """Run a check: `None` if it passed, what it saw if it failed, any other exception if it could not be run."""
        with ExitStack() as stack:
            context = Context(session, self._plan.settings, lambda: stack.enter_context(opened(self._open)))
            if isinstance(session, ProcessSession):
                limits = session.patience.limits
                session.deadline = limits.deadline * (limits.slow if check.slow else 1)
            try:
                check.run(context)
            except Exception as fault:  # noqa: BLE001 (whatever a check raises, the run goes on)
                return next(_verdicts(fault), fault)
        return None

    def _passes_when_fresh(self, check: Check, trouble: Exception) -> bool:
        """Whether a failed check passes in a fresh process: then it was the state of the old one (SPEC.md CF-53)."""
        if self._repeating <= 0 or (isinstance(trouble, AdapterFailure) and trouble.kind in ("hang", "start")):
            return False
        clock = time.monotonic()
        try:
            with opened(self._open) as session:
                return self._attempt(check, session) is None
        except AdapterFailure:
            return False
        finally:
            with self._lock:
                self._repeating -= time.monotonic() - clock

    def _written(self, check: Check, finding: Finding, evidence: Evidence) -> Finding:
        plan = self._plan
        if plan.failures is None:
            return finding
        folder = plan.failures / f"{next(self._numbers):04}"
        write_failure(folder, check, finding, settings=plan.settings, evidence=evidence, command=plan.command)
        return replace(finding, replay=f"{plan.failures.name}/{folder.name}")


def _evidence(trouble: Exception, session: Session) -> Evidence:
    """The request that a failure names, or else the last one, and what the process was asked before."""
    last = getattr(session, "last_request", None)
    request = trouble.request if isinstance(trouble, Mismatch) else None
    files = trouble.files if isinstance(trouble, Mismatch) else {}
    return Evidence(last if request is None else request, files, tuple(getattr(session, "earlier", ())))


@contextmanager
def opened(open_session: Open) -> Iterator[Session]:
    """A session with a folder of its own, both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="etui-", ignore_cleanup_errors=True) as folder:
        session = open_session(Path(folder).resolve())
        try:
            yield session
        finally:
            with suppress(AdapterFailure):
                session.close()


def _verdicts(fault: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[Mismatch | AdapterFailure]:
    """What was seen of the adapter, out of the groups and causes in which Hypothesis may have put it."""
    if id(fault) in seen:
        return
    if isinstance(fault, Mismatch | AdapterFailure):
        yield fault
    inner: list[BaseException | None] = list(fault.exceptions) if isinstance(fault, BaseExceptionGroup) else []
    if type(fault).__module__.startswith("hypothesis"):
        inner += [fault.__cause__, fault.__context__]
    for each in inner:
        if each is not None:
            yield from _verdicts(each, seen | {id(fault)})


def _finding(trouble: Mismatch | AdapterFailure) -> Finding:
    if isinstance(trouble, AdapterFailure):
        return Finding(trouble.kind, trouble.detail[:_SHOWN])
    return Finding("mismatch", str(trouble)[:_SHOWN], _text(trouble.expected), _text(trouble.found))


def _text(side: object) -> str | None:
    if side is None:
        return None
    text = side if isinstance(side, str) else repr(side)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _clear(folder: Path) -> None:
    """Delete what the checks put into a session's folder; what the adapter keeps there stays."""
    for path in folder.glob("suite-*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
