"""What a series of checkpoints takes, in bytes and in time, beside saving each checkpoint whole.

    python refimpl/benchmarks/series_cost.py [--mib 256] [--steps 20] [--frozen 0.9] [--folder DIR] [--json]

A model of large kernels and many small tensors is saved step by step; between two steps the last tenth of both changes.
In each round the same model is saved into the series and as an artifact of its own, one after the other, and hashed by
as many threads as Etui takes. Bytes are those of all files that are there at the end. The target is at
most 1.2 times one checkpoint and what changed in each step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import etui
from etui.checkpoints import Series
from etui.storage.digesting import thread_count

MIB = 1024 * 1024
KERNEL = (1024, 1024)
SMALL = 1024
TARGET = 1.2


class Case(NamedTuple):
    """A model in memory: its arrays, and how many at the end of each kind change between steps."""

    kernels: list[Any]
    small: list[Any]
    changing: tuple[int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(array.nbytes for array in self.kernels + self.small)

    @property
    def changed(self) -> int:
        """Bytes that change between two steps."""
        few, many = self.changing
        return sum(array.nbytes for array in [*self.kernels[-few:], *self.small[-many:]])

    def train(self, step: int) -> None:
        """Change what is not frozen."""
        few, many = self.changing
        for array in [*self.kernels[-few:], *self.small[-many:]]:
            np.add(array, np.float32(0.001 * (step + 1)), out=array)

    def model(self) -> etui.Model:
        """The model, which holds the arrays without a copy."""
        weights = etui.Weights()
        for number, kernel in enumerate(self.kernels):
            weights.add(f"layer{number:05}/kernel", etui.Tensor.of(kernel), role="kernel")
        for number, gamma in enumerate(self.small):
            weights.add(f"norm{number:05}/gamma", etui.Tensor.of(gamma), role="gamma")
        return etui.Model(weights=weights)


def case(mib: int, frozen: float) -> Case:
    """A model of so many MiB, a sixteenth of it in small tensors, of which the share `frozen` never changes."""
    generator = np.random.default_rng(0)
    small_bytes = mib * MIB // 16
    kernels = [
        generator.standard_normal(KERNEL, np.float32) for _ in range((mib * MIB - small_bytes) // (4 * 1024 * 1024))
    ]
    small = [generator.standard_normal(SMALL, np.float32) for _ in range(small_bytes // (4 * SMALL))]
    changing = tuple(max(1, round(len(arrays) * (1 - frozen))) for arrays in (kernels, small))
    return Case(kernels, small, (changing[0], changing[1]))


def hashed(arrays: list[Any]) -> None:
    """The digest of each array, by several threads."""
    with ThreadPoolExecutor(thread_count()) as threads:
        list(threads.map(lambda array: hashlib.sha256(array.reshape(-1).view(np.uint8)).digest(), arrays))


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes, in seconds."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(found: Case, steps: int, folder: Path) -> dict[str, Any]:
    """Save step by step; bytes, and the median seconds of a step after the first."""
    series = Series(folder / "run")
    taken: dict[str, list[float]] = {"series": [], "save": [], "digests": []}
    one = 0
    base = peak()
    for step in range(steps):
        found.train(step)
        model = found.model()
        alone = folder / "alone.etui"
        taken["save"].append(seconds(lambda alone=alone, model=model: etui.save(model, alone)))  # type: ignore[misc]
        taken["series"].append(seconds(lambda step=step, model=model: series.save(model, step)))  # type: ignore[misc]
        taken["digests"].append(seconds(lambda: hashed(found.kernels + found.small)))
        one = alone.stat().st_size
    memory = peak() - base
    took = size_of(folder / "run")
    verified = series.verify(steps - 1)
    if verified.identity != etui.save(found.model(), {}) or len(series) != steps:
        raise SystemExit("the last step is another artifact than the model")
    limit = TARGET * one + steps * found.changed
    return {
        "bytes": {"one": one, "changed": found.changed, "series": took, "limit": limit, "whole": steps * one},
        "ok": took <= limit,
        "seconds": {name: statistics.median(values[1:] or values) for name, values in taken.items()},
        "first": {name: values[0] for name, values in taken.items()},
        "memory": memory,
    }


def peak() -> int:
    """The most memory that the process had, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def main() -> int:
    """Measure, and print; whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="size of the model")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--frozen", type=float, default=0.9, help="share of the model that never changes")
    parser.add_argument("--folder", type=Path, help="where to write, by default a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        found = measure(case(options.mib, options.frozen), options.steps, folder)
    finally:
        shutil.rmtree(folder)
    found |= {"steps": options.steps, "frozen": options.frozen, "machine": platform.processor() or platform.machine()}
    if options.json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        show(found)
    return 0 if found["ok"] else 1


def show(found: dict[str, Any]) -> None:
    """Print the figures as ratios."""
    sizes, times = found["bytes"], found["seconds"]
    beyond = sizes["series"] - sizes["one"] - (found["steps"] - 1) * sizes["changed"]
    lines = [
        f"{found['steps']} checkpoints of {sizes['one'] / MIB:.0f} MiB, each changes {sizes['changed'] / MIB:.1f} MiB",
        f"  series: {sizes['series'] / MIB:.1f} MiB, {sizes['series'] / sizes['whole']:.2f} of all checkpoints whole",
        f"  target: {sizes['series'] / sizes['limit']:.2f} of {TARGET} x one + {found['steps']} x changed",
        f"  beyond one checkpoint and the changes: {beyond:,} bytes",
        f"  a step: {times['series'] / times['save']:.2f} x a save alone",
        f"  a step: {times['series'] / times['digests']:.2f} x the digests alone",
        f"  the first step: {found['first']['series'] / found['first']['save']:.2f} x a save alone",
        f"  memory: {found['memory'] / MIB:.0f} MiB beyond the model",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
