"""Speed and memory of saving, opening and loading, beside safetensors and beside the bytes alone, in one run.

    python refimpl/benchmarks/storage.py [--mib 1024] [--tensors 40] [--repeats 5] [--json]

Every figure is a ratio to the plain write or the plain read of the same bytes in the same round; rounds interleave all
candidates and the median counts. Nothing is flushed to the device in the timed part unless the row says so, and the
page cache is warm. Extra memory is the growth of the peak resident size over what the arrays themselves take, each
measured in a process of its own (Linux only).
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import safetensors.numpy
from safetensors import safe_open

import etui
from etui.storage.base import Form

MIB = 1024 * 1024


def arrays(mib: int, tensors: int) -> dict[str, np.ndarray]:
    """Random float32 arrays of `mib` MiB in all."""
    rows = mib * MIB // 4 // tensors // 1024
    generator = np.random.default_rng(0)
    return {f"layer_{index}/kernel": generator.random((rows, 1024), np.float32) for index in range(tensors)}


def model_of(values: dict[str, np.ndarray]) -> etui.Model:
    """A model that holds the arrays without copying them."""
    weights = etui.Weights()
    for path, array in values.items():
        weights.add(path, etui.Tensor.of(array), role="kernel")
    return etui.Model(weights=weights)


def plain_write(values: dict[str, np.ndarray], path: Path) -> None:
    """The limit of saving: one write per array."""
    with path.open("wb", buffering=0) as file:
        for array in values.values():
            view = array.data.cast("B")
            while view:
                view = view[file.write(view) :]


def plain_read(path: Path) -> None:
    """The limit of loading: one read into a buffer that is there already."""
    buffer = bytearray(path.stat().st_size)
    with path.open("rb", buffering=0) as file:
        view = memoryview(buffer)
        while view:
            view = view[file.readinto(view) :]


def without_fsync(save: Callable[[], object]) -> Callable[[], object]:
    """The same save without waiting for the device, as the other candidates do it."""

    def run() -> None:
        with mock.patch("os.fsync", return_value=None):
            save()

    return run


def etui_load_all(path: Path, *, verify: bool, copy: bool) -> None:
    """Open, and hand out every tensor."""
    with etui.open(path, verify=verify) as model:
        assert model.weights is not None
        for variable in model.weights.values():
            array = variable.numpy()
            if copy:
                array.copy()


def etui_load_one(path: Path, name: str) -> None:
    """Open, and hand out a copy of one tensor, verified."""
    with etui.open(path) as model:
        assert model.weights is not None
        model.weights[name].numpy().copy()


def safetensors_load_one(path: Path, name: str) -> None:
    """The same by safetensors, which checks nothing."""
    with safe_open(path, "np") as file:
        file.get_tensor(name)


def safetensors_open(path: Path) -> None:
    """Open and list the names."""
    with safe_open(path, "np") as file:
        list(file.keys())


def time_all(values: dict[str, np.ndarray], folder: Path, repeats: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of every candidate, `repeats` interleaved rounds after one that warms up."""
    model = model_of(values)
    first = next(iter(values))
    raw, official = folder / "raw.bin", folder / "official.safetensors"
    packed, directory = folder / "packed.etui", folder / "directory"
    groups: dict[str, dict[str, Callable[[], object]]] = {
        "save": {
            "plain write": lambda: plain_write(values, raw),
            "safetensors": lambda: safetensors.numpy.save_file(values, official),
            "etui packed": without_fsync(lambda: etui.save(model, packed, form="packed")),
            "etui directory": without_fsync(lambda: etui.save(model, directory, form="directory")),
            "etui packed, with fsync": lambda: etui.save(model, packed, form="packed"),
        },
        "load all": {
            "plain read": lambda: plain_read(raw),
            "safetensors": lambda: safetensors.numpy.load_file(official),
            "etui mapped, unverified": lambda: etui_load_all(packed, verify=False, copy=False),
            "etui copied, unverified": lambda: etui_load_all(packed, verify=False, copy=True),
            "etui mapped, verified": lambda: etui_load_all(packed, verify=True, copy=False),
        },
        "open": {
            "safetensors": lambda: safetensors_open(official),
            "etui packed": lambda: etui.open(packed).close(),
            "etui directory": lambda: etui.open(directory).close(),
        },
        "load one": {
            "safetensors": lambda: safetensors_load_one(official, first),
            "etui packed, verified": lambda: etui_load_one(packed, first),
        },
    }
    seconds: dict[str, dict[str, list[float]]] = {
        group: {name: [] for name in candidates} for group, candidates in groups.items()
    }
    for round_number in range(repeats + 1):
        for group, candidates in groups.items():
            for name, run in candidates.items():
                gc.collect()
                start = time.perf_counter()
                run()
                if round_number:
                    seconds[group][name].append(time.perf_counter() - start)
    return seconds


def _status(field: str) -> int:
    """A memory field of this process, in KiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def _grown(task: Callable[[], object], queue: multiprocessing.Queue[float]) -> None:
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    task()
    queue.put((_status("VmHWM") - before) / 1024)


def _measure(task: str, size: tuple[int, int], path: str, form: Form, queue: multiprocessing.Queue[float]) -> None:
    """Save a model of (MiB, tensors) and measure the save, or open the one that was saved and measure the opening."""
    warm = f"{path}.warm"
    etui.save(model_of(arrays(1, 1)), warm, form="packed")
    etui.open(warm).close()
    if task == "save":
        model = model_of(arrays(*size))
        _grown(lambda: etui.save(model, path, form=form), queue)
    else:
        _grown(lambda: etui.open(path), queue)


def memory(mib: int, tensors: int, folder: Path) -> dict[str, float]:
    """Extra memory in MiB of a save and of an opening, each in a fresh process."""
    context = multiprocessing.get_context("spawn")
    found = {}
    forms: tuple[Form, ...] = ("packed", "directory")
    for form in forms:
        for task in ("save", "open"):
            queue: multiprocessing.Queue[float] = context.Queue()
            path = str(folder / f"memory-{form}")
            process = context.Process(target=_measure, args=(task, (mib, tensors), path, form, queue))
            process.start()
            found[f"{task}, {form}"] = queue.get()
            process.join()
    return found


def main() -> int:
    """Run, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--tensors", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", help="where to write; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        extra = memory(options.mib, options.tensors, folder)
        seconds = time_all(arrays(options.mib, options.tensors), folder, options.repeats)
    medians = {
        group: {name: statistics.median(found) for name, found in rows.items()} for group, rows in seconds.items()
    }
    if options.json:
        json.dump(
            {"mib": options.mib, "tensors": options.tensors, "median_seconds": medians, "extra_mib": extra}, sys.stdout
        )
        return 0
    print(
        f"{options.mib} MiB of float32 in {options.tensors} tensors, {os.cpu_count()} cores, {options.repeats} rounds"
    )
    for group, rows in medians.items():
        base, limit = next(iter(rows.items()))
        print(f"\n{group:<28} median s   ratio to {base}   spread")
        for name, value in rows.items():
            found = seconds[group][name]
            print(
                f"  {name:<26} {value:8.4f}   {value / limit:8.2f}   {min(found) / limit:.2f}–{max(found) / limit:.2f}"
            )
    print("\nextra memory, MiB")
    for name, value in extra.items():
        print(f"  {name:<26} {value:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
