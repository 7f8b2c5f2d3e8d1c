"""Mutants in processes of their own, each asked check by check until one fails: what `power` stands on."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Literal

from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.mutants import Edit, Mutant, MutantError, edited_sources, install_sources
from etui_conformance.preloading import loaded, preload
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.protocol.session import AdapterFailure, Session

Result = Literal["killed", "survived", "unasked", "broken"]
_SHOWN: Final = 300
_MEMORY: Final = 6 << 30
_BATCH: Final = 40
_SLOW: Final = 10  # times as long as others may a check take that is known to be slow


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant.

    Attributes:
        mutant, file, clauses: as in `Mutant`.
        result: ``killed``; ``survived``, though checks cite its clauses; ``unasked``, no check that cites them applies;
            ``broken``, it cannot be made or does not start, so that it says nothing of the checks.
        check: the one that killed it.
        proved: the clauses of the mutant that this check cites.
        how: ``mismatch``, or the kind of failure: ``crash``, ``hang``, ``garbage``, ``wrong-id``.
        detail: what the check found, or why it is broken, in short.
        asked: number of checks that were run.
        seconds: that they took.
    """

    mutant: str
    file: str
    clauses: tuple[str, ...]
    result: Result
    check: str | None = None
    proved: tuple[str, ...] = ()
    how: str = ""
    detail: str = ""
    asked: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        by = f" by {self.check} ({self.how})" if self.check else ""
        why = f": {self.detail}" if self.result == "broken" else ""
        return f"{self.result:8} {self.mutant}{by}{why}"


class Probes:
    """Runs checks in forked processes.

    The mutants of the same modules are led by a process that has imported all that does not stand on these modules, and
    from which each is forked.

    Attributes:
        errors: checks that broke of themselves with some mutant: (check, mutant, error).
    """

    def __init__(self, settings: Settings, jobs: int, patience: float) -> None:
        self.errors: list[tuple[str, str, str]] = []
        self._how = (settings, patience)
        self._jobs = jobs
        self._names: tuple[str, ...] = ()

    def run(self, mutants: Iterable[Mutant], checks_of: Callable[[Mutant], Sequence[Check]]) -> Iterator[Verdict]:
        """The verdicts of mutants, in the order in which they are found."""
        self._names = self._names or self._scout()
        waiting = deque(_batches(mutants))
        running: dict[Connection, list[Mutant]] = {}
        while waiting or running:
            while waiting and len(running) < self._jobs:
                batch = waiting.popleft()
                running[self._fork(_lead, batch, checks_of, self._names, self._how)] = batch
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)  # noqa: S101  this is what was put in
                left = running[connection]
                try:
                    verdict, errors = connection.recv()
                except EOFError:
                    connection.close()
                    yield from (_broken(mutant, "the process that led it ended") for mutant in running.pop(connection))
                    continue
                self.errors += errors
                running[connection] = [mutant for mutant in left if mutant.name != verdict.mutant]
                yield verdict

    def _scout(self) -> tuple[str, ...]:
        """The modules that the library imports as it is."""
        connection = self._fork(_scout)
        try:
            names: tuple[str, ...] = connection.recv()
        except EOFError:
            return ()
        return names

    def _fork(self, target: Callable[..., None], *arguments: object) -> Connection:
        """Start a process that reports by the connection."""
        context = multiprocessing.get_context("fork")
        ours, theirs = context.Pipe(duplex=False)
        context.Process(target=target, args=(theirs, *arguments)).start()
        theirs.close()
        return ours


def _batches(mutants: Iterable[Mutant]) -> list[list[Mutant]]:
    """Mutants of the same modules together, but few enough that the processes end at about the same time."""
    groups: defaultdict[tuple[str, ...], list[Mutant]] = defaultdict(list)
    for mutant in mutants:
        groups[tuple(sorted({edit.module for edit in mutant.edits}))].append(mutant)
    batches = [group[at : at + _BATCH] for group in groups.values() for at in range(0, len(group), _BATCH)]
    return sorted(batches, key=len, reverse=True)


def _scout(report: Connection) -> None:
    with tempfile.TemporaryDirectory(prefix="etui-power-") as folder:
        session = _session(Path(folder))
        for op in ("evaluate", "step", "compute"):  # each imports what it needs and then finds the request wanting
            session.ask(op)
    report.send(tuple(loaded()))


def _lead(
    report: Connection,
    batch: Sequence[Mutant],
    checks_of: Callable[[Mutant], Sequence[Check]],
    names: Sequence[str],
    how: tuple[Settings, float],
) -> None:
    """Ask the mutants of a batch one after the other."""
    preload(names, {edit.module for mutant in batch for edit in mutant.edits})
    for mutant in batch:
        probe = _Probe(mutant, checks_of(mutant), *how)
        while not probe.step():
            wait([probe.connection], max(0.0, probe.deadline - _now()))
        report.send((probe.verdict, [(check, mutant.name, text) for check, text in probe.errors]))


def _broken(mutant: Mutant, detail: str) -> Verdict:
    return Verdict(mutant.name, mutant.file, mutant.clauses, "broken", detail=detail)


def _now() -> float:
    return time.monotonic()


class _Probe:
    """One mutant in a process, as its parent sees it.

    Attributes:
        connection: what it reports by.
        deadline: when the check that it is at counts as hanging.
        verdict: in force once `step` returned true.
        errors: (check, error) of the checks that broke of themselves.
    """

    def __init__(self, mutant: Mutant, checks: Sequence[Check], settings: Settings, patience: float) -> None:
        self.mutant = mutant
        self.errors: list[tuple[str, str]] = []
        self.verdict = Verdict(mutant.name, mutant.file, mutant.clauses, "unasked")
        self._checks = {check.id: check for check in checks}
        self._patience = patience
        self._begin = _now()
        self._at: str | None = None
        self._asked = 0
        self._allowed = patience
        self.deadline = self._begin + patience
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe(duplex=False)
        arguments = (theirs, mutant.edits, checks, settings)
        self._process: BaseProcess = context.Process(target=_child, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def step(self) -> bool:
        """Take what the process reports, or end it if it hangs; whether there is a verdict."""
        try:
            while self.connection.poll():
                if self._take(self.connection.recv()):
                    return self._done()
        except EOFError:
            self._process.join()
            return self._fell("crash", f"the process ended with exit code {self._process.exitcode}")
        if _now() > self.deadline:
            self._process.kill()
            return self._fell("hang", f"no end within {self._allowed:.0f} s")
        return False

    def _take(self, report: tuple[str, ...]) -> bool:
        match report:
            case ("at", check):
                self._at = check
                self._asked += 1
                self._allowed = self._patience * (_SLOW if self._checks[check].slow else 1)
                self.deadline = _now() + self._allowed
            case ("error", check, text):
                self.errors.append((check, text))
            case ("failed", check, how, detail):
                self._kill(check, how, detail)
                return True
            case ("broken", detail):
                self.verdict = replace(self.verdict, result="broken", detail=detail)
                return True
            case ("end",):
                self.verdict = replace(self.verdict, result="survived" if self._asked else "unasked")
                return True
        return False

    def _fell(self, how: str, detail: str) -> bool:
        if self._at is None:
            self.verdict = replace(self.verdict, result="broken", detail=f"{how} before any check: {detail}")
        else:
            self._kill(self._at, how, detail)
        return self._done()

    def _kill(self, check: str, how: str, detail: str) -> None:
        proved = tuple(clause for clause in self.mutant.clauses if clause in self._checks[check].clauses)
        self.verdict = replace(self.verdict, result="killed", check=check, proved=proved, how=how, detail=detail)

    def _done(self) -> bool:
        self._process.join(self._patience)
        self.connection.close()
        self.verdict = replace(self.verdict, asked=self._asked, seconds=round(_now() - self._begin, 2))
        return True


def _child(report: Connection, edits: tuple[Edit, ...], checks: Sequence[Check], settings: Settings) -> None:
    """Become the mutant, and ask it check by check until one fails."""
    _limit_memory()
    silence = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(silence, descriptor)
    with tempfile.TemporaryDirectory(prefix="etui-power-") as folder:
        try:
            install_sources(edited_sources(edits))
            session = _session(Path(folder))
        except (MutantError, AdapterFailure, Exception) as trouble:  # noqa: BLE001  any error is what is to be told
            report.send(("broken", _shown(trouble)))
            return
        context = Context(session, settings, lambda: _session(Path(folder)))
        for check in checks:
            if check.needs <= session.hello.capabilities:
                report.send(("at", check.id))
                if not _passes(check, context, report):
                    return
        report.send(("end",))


def _passes(check: Check, context: Context, report: Connection) -> bool:
    try:
        check.run(context)
    except Mismatch as finding:
        report.send(("failed", check.id, "mismatch", _shown(finding)))
    except AdapterFailure as failure:
        report.send(("failed", check.id, failure.kind, _shown(failure)))
    except Exception as fault:  # noqa: BLE001  a check that breaks proves nothing, and its author is told
        report.send(("error", check.id, _shown(fault)))
        return True
    else:
        return True
    return False


def _session(folder: Path) -> Session:
    from etui_conformance.adapters.reference import start

    return InProcess(start, folder)


def _shown(trouble: BaseException) -> str:
    text = str(trouble) if isinstance(trouble, Mismatch | MutantError) else f"{type(trouble).__name__}: {trouble}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _limit_memory() -> None:
    """A mutant that allocates what a file declares must not take the machine with it."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
