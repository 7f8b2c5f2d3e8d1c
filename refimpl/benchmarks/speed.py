"""Etui's speed and memory beside other formats and beside the physical limit, in one run: a page and a record.

    python refimpl/benchmarks/speed.py                               every case, and the targets with their verdicts
    python refimpl/benchmarks/speed.py --case big --case small       some of them
    python refimpl/benchmarks/speed.py --write PAGE --json FILE      a page of the documentation, and the record
    python refimpl/benchmarks/speed.py --case many --into FILE       one case anew, in the place that it has in a record
    python refimpl/benchmarks/speed.py --page-only FILE --write PAGE a page of a record, without measuring
    python refimpl/benchmarks/speed.py --quick --without-frameworks  small sizes, to see that it works

Cases: big (1 GiB in 40 tensors), many (256 MiB in 4,000), small (100,000 tensors), optimizer (weights with two slots
each), convert (Keras' formats), keys and keys-big (TensorFlow's checkpoints), tensors and bytes (curves of growth).
It takes half an hour, 6 GiB of memory (19 for the largest point of the curve of bytes) and as much on the device. What
is not installed, and what is too large for the machine, is left out, and named. Linux only.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import speed_page
import speed_record
from speed_cases import NAMES, cases
from speed_figures import Figures, number
from speed_measure import LEAST_ROUNDS, Run
from speed_record import Record
from speed_targets import verdicts

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


def measure(options: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """What was measured of each case that was asked for."""
    say = Progress()
    for index, case in enumerate(cases(options.case, quick=options.quick)):
        sitting = {
            "date": dt.datetime.now(dt.UTC).isoformat(sep=" ", timespec="minutes")[:16],
            "load": round(os.getloadavg()[0], 2),
            "repeats": LEAST_ROUNDS if options.quick else options.repeats,
            "budget": options.budget,
            "quick": options.quick,
        }
        before = say.minutes()
        run = Run(
            case,
            folder / str(index),
            repeats=sitting["repeats"],
            budget=options.budget,
            frameworks=not options.without_frameworks,
            say=say,
        )
        measured = run.measure()
        yield {**measured, **sitting, "minutes": round(say.minutes() - before, 1)}
    say.close()


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
        "--budget", type=float, default=16, help="seconds of a candidate in a case, after 3 rounds (16)"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and 3 rounds")
    parser.add_argument("--without-frameworks", action="store_true", help="only what needs none")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    record = parser.add_mutually_exclusive_group()
    record.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    record.add_argument("--into", type=Path, metavar="FILE", help="put what was measured into a record that is there")
    record.add_argument("--page-only", type=Path, metavar="FILE", help="measure nothing, take what a record has")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the page, its pictures in a folder beside it")
    options = parser.parse_args()
    os.environ.update(ENVIRONMENT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    found = speed_record.read(options.page_only) if options.page_only else _measured(options)
    print(report(found))
    if options.write:
        speed_page.write(found, options.write)
    return 0


def _measured(options: argparse.Namespace) -> Record:
    """The record of a run, which is written after each case, so that a run that is stopped was not for nothing."""
    with tempfile.TemporaryDirectory(prefix="etui-speed-", dir=options.folder) as name:
        now = speed_record.machine(Path(name))
        record: Record = speed_record.read(options.into) if options.into else {"machine": now, "cases": []}
        changed = speed_record.difference(record["machine"], now)
        if any(case["quick"] != options.quick for case in record["cases"]):
            changed = "one has small sizes, and the other has not"
        if changed:
            sys.exit(f"{options.into} cannot take it: {changed}. Measure every case anew, with --json.")
        for case in measure(options, Path(name)):
            record = speed_record.merged(record, [case])
            if options.json or options.into:
                speed_record.write(record, options.json or options.into)
    return record


if __name__ == "__main__":
    sys.exit(main())
