"""Opens files by every way that a user has, within limits, and prints of each what became of it, what it cost and did.

python opening.py jobs.json

The jobs name a folder to write into, sound files, and files to open. The sound files are opened first, so that all that
a reader loads is loaded. A line of JSON is printed for each file when it is done, so that who started this process
knows which file ended it. Seconds are of the processor; bytes are what the process and that of libhdf5 took at most
beside what they had before the file.
"""

from __future__ import annotations

import codecs
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import etui
from etui import bridges
from etui.checkpoints import Series
from etui.limits import DEFAULT_LIMITS
from etui.report import Report
from etui.storage import hdf5_worker
from etui.storage.writeback import begin_writeback

SPARE_BYTES = 256 << 20
SECONDS = 10
ALARMING = (
    "code.__new__",
    "compile",
    "ctypes.",
    "exec",
    "ftplib.",
    "function.__new__",
    "glob.",
    "http.",
    "import",
    "marshal.",
    "open",
    "os.",
    "pathlib.",
    "pickle.",
    "shutil.",
    "socket.",
    "subprocess.",
    "urllib.",
)
# What the interpreter does when a worker is asked or started, and nothing else.
OF_THE_WORKER = ("os.posix_spawn", "socket.", "subprocess.Popen", "open", "os.listdir")


class Watch:
    """What Python does while a file is open that is not about the file itself.

    Attributes:
        own: the folders in which anything may be opened.
        notes: the other events.
    """

    def __init__(self) -> None:
        self.own: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.awake = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.awake or not event.startswith(ALARMING):
            return
        if event.startswith(("open", "os.")) and self._own(arguments):
            return
        if event.startswith(OF_THE_WORKER) and self._by_worker():
            return
        self.notes.append(f"{event} {arguments!r:.300}")

    def _own(self, arguments: tuple[Any, ...]) -> bool:
        """Whether the first thing that is named is a file of ours, or one that is open already."""
        named = arguments[0] if arguments else None
        if isinstance(named, bytes):
            named = named.decode(errors="replace")
        if not isinstance(named, str):
            return isinstance(named, int)
        if not named.startswith("/"):  # below an open folder: where this process is, nothing is
            named = f"{self.own[0]}/{named}"
        return ".." not in named.split("/") and f"{named}/".startswith((*self.own, "/proc/self/statm"))

    @staticmethod
    def _by_worker() -> bool:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code.co_filename == hdf5_worker.__file__:
                return True
            frame = frame.f_back
        return False


WATCH = Watch()
# Python looks for a call of the system once, when the first large file is written.
begin_writeback(-1, 0, 0)


def contents(model: etui.Model) -> None:
    """Read everything in a model."""
    with model:
        for _, _, tensor in model.stored_tensors():
            tensor.numpy()
        for blob in [*model.assets.values(), *model.programs.values(), *(one.blob for one in model.native.values())]:
            blob.read()


def outcome(call: Callable[[], object]) -> tuple[str | None, float]:
    """The code of a refusal, or what else was raised, and the seconds."""
    begin = spent()
    found = None
    WATCH.awake = True
    try:
        call()
    except etui.EtuiError as refusal:
        found = refusal.code
        del refusal
    except BaseException as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        found = f"!{type(fault).__name__}: {fault!s:.200} at {place.filename}:{place.lineno}"
    finally:
        WATCH.awake = False
    return found, spent() - begin


def workers() -> list[int]:
    """The process of libhdf5, if there is one."""
    worker = hdf5_worker._WORKERS.worker
    return [] if worker is None else [worker.process.pid]


def spent() -> float:
    """Seconds of the processor of this process and of its children, those that have ended included."""
    seconds = time.process_time()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds += ended.ru_utime + ended.ru_stime
    for pid in workers():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / 100
    return seconds


def used(peak: bool = True) -> int:
    """Bytes of memory that this process and that of libhdf5 take, or took at most."""
    total = 0
    for pid in ["self", *map(str, workers())]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM" if peak else "VmRSS"))
    return total


def bound(name: str, value: int) -> None:
    """Set a limit of this process."""
    kind = getattr(resource, f"RLIMIT_{name}")
    resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def ways(job: dict[str, Any], out: Path) -> dict[str, Callable[[], object]]:
    """How a user may open a file."""
    path = Path(job["path"])
    if job.get("series"):
        return steps_of(path, out)

    def convert(**options: Any) -> None:
        etui.convert(path, out / f"{path.name}.etui", strict=False, **options)

    found: dict[str, Callable[[], object]] = {
        "open": lambda: contents(etui.open(path)),
        "verify": lambda: etui.verify(path),
        "convert": convert,
    }
    if job.get("config"):
        found["config"] = lambda: convert(config=job["config"])
    if job.get("reader"):
        bridge = bridges.by_name(job["reader"]).translator
        found["reader"] = lambda: contents(bridge.read(path, Report(), limits=DEFAULT_LIMITS))
    return found


def steps_of(path: Path, out: Path) -> dict[str, Callable[[], object]]:
    """How a user may open the steps of a series; `steps` is all of them, one after the other."""

    def series() -> Series:
        return Series(path, create=False)

    def export() -> None:
        for step in series():
            step.export(out / f"{path.name}-{step.number}.etui")

    def read() -> None:
        for step in series():
            contents(step.open())

    def steps() -> None:
        series().verify()
        read()
        export()
        series().collect(dry=True)

    found: dict[str, Callable[[], object]] = {"steps": steps, "read": read, "export": export}
    found |= {"verify": lambda: series().verify(), "collect": lambda: series().collect(dry=True)}
    return found | {"latest": lambda: series().latest(), "open": lambda: etui.open(path)}


def examine(job: dict[str, Any], out: Path) -> dict[str, Any]:
    """Open a file by every way, within limits."""
    pids = workers()
    for pid in ["self", *map(str, pids)]:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = used(peak=False)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    bound("AS", pages * resource.getpagesize() + SPARE_BYTES)
    bound("CPU", int(time.process_time()) + SECONDS)
    WATCH.own = (f"{Path(job['path']).parent}/", f"{out}/", *([job["config"]] if job.get("config") else ()))
    WATCH.notes = []
    results = {name: outcome(call) for name, call in ways(job, out).items()}
    spare = used() - before if workers() == pids else 0
    bound("AS", resource.RLIM_INFINITY)
    return {"results": results, "spare": spare, "notes": WATCH.notes}


def main() -> None:
    """Read the sound files, then the others."""
    jobs = json.loads(Path(sys.argv[1]).read_text())
    out = Path(jobs["out"])
    (out / "nowhere").mkdir(exist_ok=True)
    os.chdir(out / "nowhere")
    assert callable(etui.open)
    assert callable(etui.verify)
    assert callable(etui.convert)
    for encoding in ("ascii", "latin-1", "utf-16-be", "utf-16-le", "utf-8"):
        codecs.lookup(encoding)
    for bridge in bridges.bridges():
        bridge.translator  # noqa: B018  (its module is imported)
    for job in jobs["sound"]:
        for _ in range(2):
            results = {name: outcome(call)[0] for name, call in ways(job, out).items()}
        sys.stderr.write(f"{job['path']} {results}\n")
    sys.addaudithook(WATCH)
    for job in jobs["files"]:
        sys.stdout.write(json.dumps(examine(job, out)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
