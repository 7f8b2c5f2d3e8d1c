"""The rounds of the benchmark: all candidates in turn, each family in its own process, and memory in fresh ones."""

from __future__ import annotations

import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from speed_candidates import COPIED, DIGEST, ONE, OPEN, SAVE, SYNCED, VERIFY, WRITING, Candidate, Key
from speed_cases import MIB, Case
from speed_worker import ALL, Answer, Question, serve

TASK_SECONDS = 300
LEAST_ROUNDS = 3
# Tasks whose memory is that of another, or of no interest.
_WITHOUT_MEMORY = frozenset({SYNCED, ONE, OPEN, VERIFY, DIGEST})
# What the curves show, by curve: axes and variants.
_ON_CURVE = {
    "tensors": frozenset({(SAVE, ""), (OPEN, ""), (COPIED, ""), (COPIED, "unchecked")}),
    "bytes": frozenset({(SAVE, ""), (SAVE, "digests off"), (COPIED, ""), (COPIED, "unchecked")}),
}
_CONTEXT = multiprocessing.get_context("spawn")
_GIB = 1024 * MIB


@dataclass(slots=True)
class Row:
    """What was measured of one task.

    Attributes:
        candidate: its name.
        axis, variant: of the task.
        wall, cpu: seconds of each round, in their order.
        warm: how many rounds at the beginning do not count, because they warm up.
        peak: growth of the resident size at its peak, in bytes, less the arrays that a load gives; `None` if it was
            not measured.
        own: the same of memory that is no file's, looked at every two milliseconds.
        error: why there is no figure.
    """

    candidate: str
    axis: str
    variant: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    warm: int = 0
    peak: int | None = None
    own: int | None = None
    error: str = ""


class Worker:
    """The process of a family."""

    def __init__(self, log: Path) -> None:
        self._connection, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=serve, args=(other, str(log)), daemon=True)
        self._process.start()
        other.close()

    def ask(self, question: Question, *, watch: bool = False) -> Answer:
        """The answer, or an error if there is none in `TASK_SECONDS`; `watch` looks at the memory meanwhile."""
        deadline = time.monotonic() + TASK_SECONDS
        own = 0
        try:
            self._connection.send(question)
            while not self._connection.poll(0.002 if watch else 1):
                if watch:
                    own = max(own, self._own())
                if time.monotonic() > deadline:
                    self.stop()
                    return {"error": f"not done in {TASK_SECONDS} s"}
            answer: Answer = self._connection.recv()
        except (EOFError, OSError):
            self.stop()
            return {"error": f"the process ended with {self._process.exitcode}"}
        if "own_before" in answer:
            answer["own"] = max(0, own - answer["own_before"])
        return answer

    def _own(self) -> int:
        """Resident bytes of the process that belong to no file."""
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.is_alive()

    def stop(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class Run:
    """The measurement of one case.

    Args:
        case: what is stored.
        folder: for files; what the run makes there, it removes.
        repeats: counted rounds.
        budget: seconds after which a candidate that is not essential leaves, once it has `LEAST_ROUNDS`.
        frameworks: whether candidates that need one take part.
        say: takes what is being done, for people.
    """

    def __init__(
        self,
        case: Case,
        folder: Path,
        *,
        repeats: int,
        budget: float,
        frameworks: bool,
        say: Callable[[str], None],
    ) -> None:
        self.case = case
        self.rows: dict[tuple[str, Key], Row] = {}
        self.left_out: dict[str, str] = {}
        self._folder, self._shared = folder, folder / "shared"
        self._repeats = min(repeats, case.rounds) if case.rounds else repeats
        self._budget, self._say = budget, say
        self._spent: dict[str, float] = {}
        self._workers: dict[str, Worker] = {}
        self._candidates = list(self._chosen(frameworks=frameworks))

    def _chosen(self, *, frameworks: bool) -> Iterator[type[Candidate]]:
        """The candidates that take part; the others are accounted for."""
        for one in ALL:
            if self.case.kind not in one.kinds:
                continue
            # Etui converts and reads there what a framework has written.
            if not frameworks and (one.family != "numpy" or self.case.kind in {"convert", "checkpoints"}):
                self.left_out[one.name] = "frameworks were not asked for"
            elif one.missing():
                self.left_out[one.name] = f"{one.missing()} is not installed"
            elif one.most is not None and self.case.tensors > one.most:
                self.left_out[one.name] = f"only up to {one.most:,} tensors: {one.why}"
            else:
                yield one

    def measure(self) -> dict[str, Any]:
        """The record of the case, after all rounds and, but for curves, the memory of each task."""
        reason = too_large(self.case, self._folder)
        if reason:
            return self._record(reason)
        try:
            self._prepare()
            # A case of few rounds is long enough to need none that warms up.
            for round_number in range(1 if self.case.rounds else 0, self._repeats + 1):
                # Another one begins each round, so that none is always the one after a certain other.
                turn = round_number % max(1, len(self._candidates))
                for one in [*self._candidates[turn:], *self._candidates[:turn]]:
                    if self._takes_part(one, round_number):
                        self._say(f"{self.case.name}: round {round_number} of {self._repeats}, {one.name}")
                        self._round(one, warms=round_number == 0)
            self._stop()
            for one in self._candidates:
                if one.name.startswith(self.case.memory):
                    self._say(f"{self.case.name}: memory, {one.name}")
                    self._memory(one)
        finally:
            self._stop()
            shutil.rmtree(self._folder, ignore_errors=True)
        return self._record("")

    def _record(self, skipped: str) -> dict[str, Any]:
        case = self.case
        return {
            "name": case.name,
            "title": case.title,
            "kind": case.kind,
            "tensors": case.stored,
            "bytes": case.nbytes,
            "largest": max(4 * _product(shape) for shape in case.shapes),
            "skipped": skipped,
            "left_out": self.left_out,
            "rows": [asdict(row) for row in self.rows.values()],
        }

    def _question(self, kind: str, one: type[Candidate], key: Key = ("", ""), *, small: bool = False) -> Question:
        where = "small" if small else "real"
        case = self.case.smaller() if small else self.case
        return Question(kind, case, one.__name__, self._folder / where / one.__name__, self._shared / where, key)

    def _worker(self, one: type[Candidate]) -> Worker:
        worker = self._workers.get(one.family)
        if worker is None or not worker.alive:
            worker = self._workers[one.family] = self._new(one.family)
        return worker

    def _new(self, family: str) -> Worker:
        self._folder.mkdir(parents=True, exist_ok=True)
        return Worker(self._folder / f"{family}.log")

    def _prepare(self) -> None:
        """What candidates read that others write, and the tasks of each; one that cannot is out."""
        for one in list(self._candidates):
            self._say(f"{self.case.name}: preparing, {one.name}")
            answer: Answer = {}
            for question in (
                self._question("prepare", one, small=True),
                self._question("prepare", one),
                self._question("tasks", one),
            ):
                answer = self._worker(one).ask(question)
                if "error" in answer:
                    self._candidates.remove(one)
                    self.left_out[one.name] = answer["error"]
                    break
            shown = _ON_CURVE.get(self.case.curve)
            for axis, variant in answer.get("keys", ()):
                if shown is not None and (axis, variant) not in shown:
                    continue
                self.rows[one.name, (axis, variant)] = Row(one.name, axis, variant)

    def _tasks(self, one: type[Candidate]) -> list[Row]:
        """The tasks of a candidate that have not failed."""
        own = [row for row in self.rows.values() if row.candidate == one.name]
        saves = any(row.axis in WRITING and row.variant == "" for row in own)
        saved = any(row.axis in WRITING and row.variant == "" and not row.error for row in own)
        return [row for row in own if not row.error and (saved or not saves)]

    def _takes_part(self, one: type[Candidate], round_number: int) -> bool:
        if one.essential or self._spent.get(one.name, 0.0) < self._budget:
            return True
        warm = max((row.warm for row in self.rows.values() if row.candidate == one.name), default=0)
        return round_number < LEAST_ROUNDS + warm + bool(self.case.rounds)

    def _round(self, one: type[Candidate], *, warms: bool) -> None:
        """Each task once; a round that warms up counts all the same if it is too long to be done once more."""
        start = time.monotonic()
        for row in self._tasks(one):
            answer = self._worker(one).ask(self._question("time", one, (row.axis, row.variant)))
            if "error" in answer:
                row.error = answer["error"]
                if row.axis in WRITING:
                    break  # the others would read what it has not written
            else:
                row.wall.append(_short(answer["wall"]))
                row.cpu.append(_short(answer["cpu"]))
        self._worker(one).ask(self._question("clear", one))
        taken = time.monotonic() - start
        self._spent[one.name] = self._spent.get(one.name, 0.0) + taken
        if warms and (one.essential or taken < self._budget / 4):
            for row in self.rows.values():
                row.warm += row.candidate == one.name

    def _memory(self, one: type[Candidate]) -> None:
        """Each task in a fresh process, which has done it once with a few small tensors."""
        for row in self._tasks(one):
            if row.axis in _WITHOUT_MEMORY:
                continue
            key = (row.axis, row.variant)
            worker = self._new(one.family)
            try:
                keys = [(other.axis, other.variant) for other in self._tasks(one)]
                first = [other for other in keys if other[0] in WRITING and other != key]
                for warm in [*first[-1:], key]:
                    worker.ask(self._question("time", one, warm, small=True))
                answer = worker.ask(self._question("memory", one, key), watch=True)
            finally:
                worker.stop()
            if "error" not in answer:
                given = self.case.nbytes if answer["given"] else 0
                row.peak = answer["peak"] - given
                row.own = max(0, answer["own"] - given)
        shutil.rmtree(self._folder / "real" / one.__name__, ignore_errors=True)

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()


def _short(seconds: float) -> float:
    """Four digits, which is more than the clock is good for."""
    return float(f"{seconds:.4g}")


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def too_large(case: Case, folder: Path) -> str:
    """Why a case cannot be measured on this machine, or nothing."""
    place = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(place).free
    # The arrays, one array for all if they are repeated, what was loaded, and the file in the page cache.
    memory = int(case.nbytes * (2.2 if case.repeated else 3.2)) + 400 * case.stored * 4 + _GIB
    disk = 2 * case.nbytes + _GIB
    if available() < memory:
        return f"it needs {memory / _GIB:.1f} GiB of memory, and {available() / _GIB:.1f} GiB are free"
    if free < disk:
        return f"it needs {disk / _GIB:.1f} GiB of disk, and {free / _GIB:.1f} GiB are free"
    return ""


def available() -> int:
    """Bytes of memory that are free, or would be if they were needed."""
    return _memory_field("MemAvailable")


def total_memory() -> int:
    """Bytes of memory of the machine."""
    return _memory_field("MemTotal")


def _memory_field(name: str) -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
