"""The record of the benchmark: the machine, and the cases with all that was measured; of one sitting or of several.

    {"machine": {…}, "cases": [{"name": …, "date": …, "load": …, "minutes": …, "rows": […], …}, …]}

Figures are compared within a case only, so each case may have its own hour, but all have the machine and the packages.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from speed_candidates import THREADS
from speed_cases import NAMES
from speed_measure import total_memory

PACKAGES = (
    *("etui", "numpy", "safetensors", "h5py", "google-crc32c", "isal", "torch", "keras", "tf_keras", "tensorflow"),
    *("tensorflow-cpu", "jax", "orbax-checkpoint", "matplotlib"),
)
Record = dict[str, Any]


def machine(folder: Path) -> dict[str, Any]:
    """What the figures depend on.

    Args:
        folder: where the files are.
    """
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
    }


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = [(mount[1], mount[2]) for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(found, key=lambda one: len(one[0]))[1] if found else "unknown"


def read(path: Path) -> Record:
    """A record that `write` wrote."""
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    return record


def write(record: Record, path: Path) -> None:
    """Write a record, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """The first thing in which two machines differ, or nothing."""
    for name in before.keys() | now.keys():
        if before.get(name) != now.get(name):
            return f"{name} was {before.get(name)} and is {now.get(name)}"
    return ""


def merged(record: Record, cases: Iterable[dict[str, Any]]) -> Record:
    """The record with cases in place of those of the same names, in the order of the program."""
    found = {case["name"]: case for case in [*record["cases"], *cases]}
    return {**record, "cases": [found[name] for name in sorted(found, key=_order)]}


def _order(name: str) -> tuple[int, int]:
    """The place of a case in the program; points of a curve follow each other by size."""
    curve, _, size = name.partition("/")
    return NAMES.index(curve), int(size or 0)
