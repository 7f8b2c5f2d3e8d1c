"""How long a distributed save and load of torch take beside DCP's own storages, as ratios within one run.

python refimpl/benchmarks/distributed.py [--mib 2048] [--tensors 40] [--rounds 5] [--world 4] [--no-fsync]

As many processes as asked for share a state over gloo: weights, and two slots of an optimizer for each, all sharded by
rows (`DTensor`, as FSDP2 has them), a step for each parameter and the options of a group. In each round each candidate
saves that state into a new folder, and loads it into other tensors of the same layout; rounds are interleaved, and the
order turns from round to round. Before each measurement the device is given time to write what waits (`os.sync`).

- `FileSystemWriter`: DCP's own files, one for each rank, with pickled metadata. No digests.
- `HuggingFaceStorageWriter`: safetensors, each rank its shard (`save_distributed`). No digests, and tensors alone.
- `etui folder`: `etui.torch.DistributedWriter`. SHA-256 of every tensor; verified when loading.
- `etui series`: the same as a step of one series for all rounds, in which nothing is the same as before.

All flush to the device (`fsync`) unless `--no-fsync` is given, which makes the call do nothing for all. `wall` is
from a barrier to the return of `dcp.save` on the last rank, `CPU` the sum over all processes. Each ratio is the median
of the rounds' ratios to `FileSystemWriter`, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

import etui
from etui.checkpoints import Retention, Series

OWN, HUB, FOLDER, SERIES = "FileSystemWriter", "HuggingFaceStorageWriter", "etui folder", "etui series"
CANDIDATES = (OWN, HUB, FOLDER, SERIES)
TARGET = 1.0
AXES = ("save wall", "save CPU", "load wall", "load CPU")
_COLUMNS = 1024


def state_of(mib: float, tensors: int, *, value: float) -> dict[str, Any]:
    """A state of so many MiB over all ranks, in so many parameters with two slots each."""
    world, rank = dist.get_world_size(), dist.get_rank()
    mesh = init_device_mesh("cpu", (world,))
    elements = int(mib * 2**20 / 4 / 3 / tensors)
    columns = min(_COLUMNS, max(elements // world, 1))
    rows = max(elements // columns // world, 1)

    def made(number: int) -> Any:
        local = torch.full((rows, columns), value)
        # No two shards are the same.
        local += torch.arange(columns) + 1000 * rank + number
        return DTensor.from_local(local, mesh, [Shard(0)], run_check=False)

    names = [f"layers.{number}.weight" for number in range(tensors)]
    model = {name: made(3 * number) for number, name in enumerate(names)}
    state = {
        name: {"step": torch.tensor(value), "exp_avg": made(3 * at + 1), "exp_avg_sq": made(3 * at + 2)}
        for at, name in enumerate(names)
    }
    group = {**torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))]).defaults, "params": names}
    return {"model": model, "optim": {"state": state, "param_groups": [group]}}


def tensors_of(state: dict[str, Any]) -> dict[str, Any]:
    """The same as a map of tensors, which is all that safetensors hold."""
    found = {f"model.{name}": tensor for name, tensor in state["model"].items()}
    for name, slots in state["optim"]["state"].items():
        found |= {f"optim.{name}.{slot}": tensor for slot, tensor in slots.items()}
    return found


def storages(name: str, folder: Path, step: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """What makes the writer, and the reader, of a candidate."""
    place = str(folder / f"{name.rsplit(maxsplit=1)[-1]}-{step}")
    if name == OWN:
        return lambda: dcp.FileSystemWriter(place), lambda: dcp.FileSystemReader(place)
    if name == HUB:
        return (
            lambda: dcp.HuggingFaceStorageWriter(place, save_distributed=True),
            lambda: dcp.HuggingFaceStorageReader(place),
        )
    if name == FOLDER:
        return lambda: etui.torch.DistributedWriter(place), lambda: etui.torch.DistributedReader(place)
    series = str(folder.parent / "series")
    return (
        lambda: etui.torch.DistributedWriter(series, step=step),
        lambda: etui.torch.DistributedReader(Series(series)[step]),
    )


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the slowest rank, and of all processors."""
    os.sync()
    dist.barrier()
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    spent = torch.tensor([time.perf_counter() - wall, time.process_time() - cpu], dtype=torch.float64)
    slowest, total = spent[:1].clone(), spent[1:].clone()
    dist.all_reduce(slowest, dist.ReduceOp.MAX)
    dist.all_reduce(total, dist.ReduceOp.SUM)
    return slowest.item(), total.item()


def measured(name: str, folder: Path, step: int, state: Any, other: Any) -> list[float]:
    """One round of one candidate: seconds on each axis."""
    writer, reader = storages(name, folder, step)
    saved, loaded = (tensors_of(state), tensors_of(other)) if name == HUB else (state, other)
    save = timed(lambda: dcp.save(saved, storage_writer=writer()))
    load = timed(lambda: dcp.load(loaded, storage_reader=reader()))
    first = next(iter(other["model"].values())).to_local()
    if not torch.equal(first, next(iter(state["model"].values())).to_local()):
        raise AssertionError(f"{name} did not load what was saved")
    first.zero_()
    return [*save, *load]


def rank_main(rank: int, world: int, folder: str, options: argparse.Namespace) -> None:
    """What one process does."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if options.no_fsync:
        setattr(os, "fsync", lambda _: None)  # noqa: B010  a type checker knows it as a function
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    other = state_of(options.mib, options.tensors, value=0.0)
    found: dict[str, list[list[float]]] = {name: [] for name in CANDIDATES}
    for number in range(options.rounds + 1):
        state = state_of(options.mib, options.tensors, value=float(number + 1))
        for name in CANDIDATES[number % 4 :] + CANDIDATES[: number % 4]:
            place = Path(folder, f"round-{number}")
            place.mkdir(exist_ok=True)
            found[name].append(measured(name, place, number, state, other))
            dist.barrier()
            if rank == 0:
                shutil.rmtree(place, ignore_errors=True)
                if name == SERIES:
                    series = Series(Path(folder, "series"))
                    series.prune(Retention(last=1))
            dist.barrier()
    if rank == 0:
        Path(folder, "result.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def table(found: dict[str, list[list[float]]]) -> list[str]:
    """Lines of ratios to DCP's own files; the first round, in which all is new to everyone, is left out."""
    lines = [f"{'':26}" + "".join(f"{axis:>24}" for axis in AXES)]
    for name in CANDIDATES:
        cells = []
        for axis in range(len(AXES)):
            ratios = [one[axis] / own[axis] for one, own in zip(found[name][1:], found[OWN][1:], strict=True)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        lines.append(f"{name:26}" + "".join(f"{cell:>24}" for cell in cells))
    hub = [one[0] / other[0] for one, other in zip(found[FOLDER][1:], found[HUB][1:], strict=True)]
    lines.append(f"{FOLDER} over {HUB}, save wall: {statistics.median(hub):.2f} ({min(hub):.2f}-{max(hub):.2f})")
    own = statistics.median(one[0] for one in found[OWN][1:])
    lines.append(f"seconds of {OWN}, save wall: {own:.3f}")
    return lines


def main() -> int:
    """Measure, and say what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--mib", type=float, default=2048, help="of the state over all ranks")
    parser.add_argument("--tensors", type=int, default=40, help="parameters; the state has three times as many tensors")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--world", type=int, default=4)
    parser.add_argument("--no-fsync", action="store_true", help="for all candidates")
    parser.add_argument("--folder", help="where to write; by default a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        torch.multiprocessing.spawn(rank_main, (options.world, folder, options), options.world)
        found = json.loads(Path(folder, "result.json").read_text())
    flush = "without fsync" if options.no_fsync else "with fsync"
    size = f"{options.mib:g} MiB in {3 * options.tensors} tensors"
    sys.stdout.write(f"{size}, {options.world} processes, {os.cpu_count()} processors, {flush}\n")
    sys.stdout.write("\n".join(table(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
