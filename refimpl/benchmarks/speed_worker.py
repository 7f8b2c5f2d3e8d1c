"""A process that runs the tasks of one family of candidates, one at a time, and measures them.

The parent asks through a pipe. Every question names a case, a candidate, a task and folders; see `serve`.
"""

from __future__ import annotations

import gc
import os
import resource
import shutil
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from speed_candidates import WRITING, Candidate, Key
from speed_cases import Case, Payload
from speed_convert import CONVERSIONS
from speed_etui import OWN
from speed_frameworks import FRAMEWORKS
from speed_plain import PLAIN

Answer = dict[str, Any]
ALL: tuple[type[Candidate], ...] = (*PLAIN[:1], *OWN, *PLAIN[1:], *FRAMEWORKS, *CONVERSIONS)
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Question:
    """What a process is asked.

    Attributes:
        kind: ``prepare``, ``tasks``, ``time``, ``memory``, ``clear``.
        case: what is stored.
        candidate: name of the class.
        folder: the candidate's own.
        shared: for what several candidates read.
        key: axis and variant of the task.
    """

    kind: str
    case: Case
    candidate: str
    folder: Path
    shared: Path
    key: Key = ("", "")


class _Server:
    """The candidates that were asked for, and what they share."""

    def __init__(self) -> None:
        self._payloads: dict[str, Payload] = {}
        self._candidates: dict[tuple[str, str], Candidate] = {}

    def answer(self, question: Question) -> Answer:
        """Do what is asked."""
        if question.kind == "clear":
            _remove(question.folder)
            os.sync()  # what is still on its way to the device is not for the next one to wait for
            return {}
        candidate = self._candidate(question)
        if question.kind == "prepare":
            question.shared.mkdir(parents=True, exist_ok=True)
            candidate.prepare()
            return {}
        if question.kind == "tasks":
            return {"keys": list(candidate.tasks())}
        axis, _ = question.key
        candidate.ready(axis)
        task = candidate.tasks()[question.key]
        path = question.folder / "model"
        if axis in WRITING or not question.folder.exists():
            _remove(question.folder)
            question.folder.mkdir(parents=True)
            if candidate.folder:
                path.mkdir()
        if question.kind == "time":
            return _timed(task, path)
        return _grown(task, path, given=candidate.gives(question.key))

    def _candidate(self, question: Question) -> Candidate:
        payload = self._payloads.setdefault(question.case.name, Payload(question.case))
        kind = next(one for one in ALL if one.__name__ == question.candidate)
        return self._candidates.setdefault((question.case.name, question.candidate), kind(payload, question.shared))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)


def _release(found: Any) -> None:
    if hasattr(found, "close"):
        found.close()


def _cpu() -> float:
    """Seconds of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _timed(task: Callable[[Path], Any], path: Path) -> Answer:
    gc.collect()
    cpu, start = _cpu(), time.perf_counter()
    found = task(path)
    answer = {"wall": time.perf_counter() - start, "cpu": _cpu() - cpu}
    _release(found)
    return answer


def _status(field: str) -> int:
    """A field of this process' memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def _grown(task: Callable[[Path], Any], path: Path, *, given: bool) -> Answer:
    """How far the peak of the resident size grows; `given` says that the task gives arrays."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, before_own = _status("VmRSS"), _status("RssAnon")
    found = task(path)
    answer = {"peak": _status("VmHWM") - before, "own_before": before_own, "given": given}
    _release(found)
    return answer


def serve(connection: Connection, log: str) -> None:
    """Answer questions until there are no more; what frameworks print goes to a log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    warnings.simplefilter("ignore")
    server = _Server()
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        try:
            connection.send(server.answer(question))
        except Exception as fault:  # noqa: BLE001  a candidate that cannot is a result
            lines = str(fault).strip().splitlines() or [""]
            connection.send({"error": f"{type(fault).__name__}: {lines[0][:200]}"})
