"""Etui's speed and memory beside other formats and beside the physical limit, in one run: a page and a record.

    python refimpl/benchmarks/speed.py                               every case, and the targets with their verdicts
    python refimpl/benchmarks/speed.py --case big --case small       some of them
    python refimpl/benchmarks/speed.py --write PAGE --json FILE      a page of the documentation, and the record
    python refimpl/benchmarks/speed.py --quick --without-frameworks  small sizes, to see that it works

Cases: big (1 GiB in 40 tensors), many (256 MiB in 4,000), small (100,000 tensors), optimizer (weights with two slots
each), convert (Keras' formats), keys and keys-big (TensorFlow's checkpoints), tensors and bytes (curves of growth).
It takes half an hour, 6 GiB of memory (19 for the largest point of the curve of bytes) and as much on the device. What
is not installed, and what is too large for the machine, is left out, and named. Linux only.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import signal
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import speed_page
from speed_candidates import THREADS
from speed_cases import NAMES, cases
from speed_figures import Figures, number
from speed_measure import LEAST_ROUNDS, Run, total_memory
from speed_targets import verdicts

PACKAGES = (
    *("etui", "numpy", "safetensors", "h5py", "google-crc32c", "torch", "keras", "tf_keras", "tensorflow"),
    *("tensorflow-cpu", "jax", "orbax-checkpoint", "matplotlib"),
)
# What frameworks are told: no accelerators, and as few words as possible.
ENVIRONMENT = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
}


class Progress:
    """A line on the terminal that says what is being done; lines of rounds where it is no terminal."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._last = ""

    def __call__(self, text: str) -> None:
        """Say what is being done."""
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        line = f"{minutes:02}:{seconds:02} {text}"
        if sys.stderr.isatty():
            print(f"\r{line[:100]:<100}", end="", file=sys.stderr, flush=True)
        elif text.partition(",")[0] != self._last:
            print(line, file=sys.stderr, flush=True)
        self._last = text.partition(",")[0]

    def minutes(self) -> float:
        """Minutes since the beginning."""
        return (time.monotonic() - self._start) / 60

    def close(self) -> None:
        """Leave the line."""
        if sys.stderr.isatty():
            print(f"\r{'':<100}\r", end="", file=sys.stderr, flush=True)


def machine(folder: Path) -> dict[str, Any]:
    """What the figures depend on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": THREADS,
        "memory": f"{total_memory() / 1024**3:.0f} GiB",
        "system": f"{system}, {platform.system()} {platform.release()}",
        "file_system": _file_system(folder),
        "python": platform.python_version(),
        "packages": packages,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "load": round(os.getloadavg()[0], 2),
    }


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [(mount[1], mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(found, key=lambda one: len(one[0]))[1] if found else "unknown"


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The record of a run."""
    say = Progress()
    record: dict[str, Any] = {
        "machine": machine(folder),
        "repeats": LEAST_ROUNDS if options.quick else options.repeats,
        "budget": options.budget,
        "quick": options.quick,
        "cases": [],
    }
    for index, case in enumerate(cases(options.case, quick=options.quick)):
        run = Run(
            case,
            folder / str(index),
            repeats=record["repeats"],
            budget=options.budget,
            frameworks=not options.without_frameworks,
            say=say,
        )
        record["cases"].append(run.measure())
    say.close()
    record["minutes"] = round(say.minutes(), 1)
    return record


def report(record: dict[str, Any]) -> str:
    """The targets, for the terminal."""
    lines = []
    for one in verdicts(Figures(record)):
        measured = "" if one.measured is None else number(one.measured, one.target.unit)
        figure = f"{measured:>10} of {number(one.target.limit, one.target.unit):<9}"
        lines.append(f"{one.verdict:<12} {figure} {one.target.case:<10} {one.target.text}")
        if one.reason:
            lines.append(f"{'':<38} {one.reason}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the targets, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=NAMES)
    parser.add_argument("--repeats", type=int, default=7, help="counted rounds (7)")
    parser.add_argument(
        "--budget", type=float, default=40, help="seconds of a candidate in a case, after 3 rounds (40)"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and 3 rounds")
    parser.add_argument("--without-frameworks", action="store_true", help="only what needs none")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page, its pictures in a folder beside it")
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    with tempfile.TemporaryDirectory(prefix="etui-speed-", dir=options.folder) as name:
        record = measure(options, Path(name))
    print(report(record))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    if options.write:
        speed_page.write(record, options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
