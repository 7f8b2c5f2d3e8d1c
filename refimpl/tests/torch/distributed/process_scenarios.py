"""What the worlds of processes do; each scenario gives a JSON tree, which a test judges."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import time
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from processes import in_world  # type: ignore[import-not-found]
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

import etui
from etui.checkpoints import Series
from etui.storage.system import System, calls

# What every process would import for itself is imported before they are forked.
for _name in ("torch._dynamo", "etui.bridges.torch.distributed", "etui.bridges.torch.distributed_read"):
    import_module(_name)

WORLD = 4


class Block(nn.Module):  # type: ignore[misc]
    """Two layers with a norm, of sizes that four processes cannot share evenly."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Any) -> Any:
        """The sum of the input and what the layers make of it."""
        return x + self.down(torch.tanh(self.up(self.norm(x))))


class Net(nn.Module):  # type: ignore[misc]
    """Tied embeddings, blocks, buffers of which one is not trained, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.blocks = nn.ModuleList([Block(6, 8), Block(6, 8)])
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.embed.weight
        self.temper = nn.Parameter(torch.ones(3), requires_grad=False)
        self.register_buffer("scale", torch.tensor(0.5))
        self.register_buffer("seen", torch.zeros(2, dtype=torch.int64))

    def forward(self, x: Any) -> Any:
        """Logits of each token."""
        hidden = self.embed(x)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(hidden) * self.scale


def make(kind: str, size: int) -> tuple[nn.Module, Any, Any]:
    """The module, laid over the processes, its optimizer and a scheduler."""
    torch.manual_seed(5)
    net: nn.Module = Net()
    if size > 1 and kind == "fsdp":
        for block in net.blocks:
            fully_shard(block)
        fully_shard(net)
    elif size > 1:
        both = kind == "both" and size == WORLD
        shape, names = ((2, size // 2), ("data", "tensor")) if both else ((size,), ("tensor",))
        mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
        for block in net.blocks:
            parallelize_module(block, mesh["tensor"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
            if both:
                fully_shard(block, mesh=mesh["data"])
        if both:
            fully_shard(net, mesh=mesh["data"])
    trained = [param for param in net.parameters() if param.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    return net, optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)


def train(net: nn.Module, optimizer: Any, scheduler: Any, numbers: range) -> list[str]:
    """Steps on the batches of these numbers; the losses to the bit."""
    losses = []
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        batch = torch.randint(0, 11, (8,), generator=generator)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(batch), batch.roll(1))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(float(loss.detach()).hex())
    return losses


def state_of(net: nn.Module, optimizer: Any, scheduler: Any, epoch: int) -> dict[str, Any]:
    """What is saved."""
    model, optim = get_state_dict(net, optimizer)
    run = {"epoch": epoch, "best": float("inf"), "names": ["a", ("b", None)]}
    return {
        "model": model,
        "optim": optim,
        "scheduler": scheduler.state_dict(),
        "run": run,
        "rng": torch.get_rng_state(),
    }


def _save_training(rank: int, folder: str, kind: str) -> Any:
    net, optimizer, scheduler = make(kind, WORLD)
    train(net, optimizer, scheduler, range(3))
    state = state_of(net, optimizer, scheduler, 3)
    writer = etui.torch.DistributedWriter(f"{folder}/etui")
    dcp.save(state, storage_writer=writer)
    dcp.save(state, storage_writer=dcp.FileSystemWriter(f"{folder}/own"))
    series = etui.torch.DistributedWriter(Series(f"{folder}/series"), step=3, metrics={"loss": 1.5})
    dcp.save(state, storage_writer=series)
    asynchronously: Any = dcp.async_save
    later: Any = asynchronously(state, storage_writer=etui.torch.DistributedWriter(f"{folder}/later"))
    later.result()
    losses = train(net, optimizer, scheduler, range(3, 6))
    return {"losses": losses, "identities": [writer.identity, series.identity] if rank == 0 else []}


def _resume(rank: int, folder: str, kind: str, source: str, size: int) -> Any:
    torch.manual_seed(99 + rank)
    net, optimizer, scheduler = make(kind, size)
    state = state_of(net, optimizer, scheduler, 0)
    readers: dict[str, Any] = {
        "etui": lambda: etui.torch.DistributedReader(f"{folder}/etui"),
        "series": lambda: etui.torch.DistributedReader(Series(f"{folder}/series")[3]),
        "own": lambda: dcp.FileSystemReader(f"{folder}/own"),
    }
    dcp.load(state, storage_reader=readers[source]())
    set_state_dict(net, optimizer, model_state_dict=state["model"], optim_state_dict=state["optim"])
    scheduler.load_state_dict(state["scheduler"])
    rng = hashlib.sha256(bytes(state["rng"].tolist())).hexdigest()
    return {"losses": train(net, optimizer, scheduler, range(3, 6)), "run": repr(state["run"]), "rng": rng}


def _load_alone(_: int, folder: str, kind: str) -> Any:
    net, optimizer, scheduler = make(kind, 1)
    etui.torch.load_into(net, optimizer, f"{folder}/etui")
    with etui.open(f"{folder}/etui") as found:
        assert found.state is not None
        scheduler.load_state_dict(found.state.user["scheduler"])
    return {"losses": train(net, optimizer, scheduler, range(3, 6))}


def _training(folder: Path, kind: str) -> Any:
    found: dict[str, Any] = {"saved": in_world(WORLD, folder, _save_training, str(folder), kind)}
    for size in (WORLD, 2, 1):
        for source in ("etui", "own", *(["series"] if size == 2 else [])):
            found[f"{source} as {size}"] = in_world(size, folder, _resume, str(folder), kind, source, size)
    found["alone"] = in_world(1, folder, _load_alone, str(folder), kind)
    return found


def fsdp(folder: Path) -> Any:
    """FSDP2 as four processes, resumed as four, two and one."""
    return _training(folder, "fsdp")


def tensor_parallel(folder: Path) -> Any:
    """Tensor parallelism as four processes, resumed as four, two and one."""
    return _training(folder, "tensor")


def both(folder: Path) -> Any:
    """FSDP2 over tensor parallelism as two by two processes, resumed as four, two and one."""
    return _training(folder, "both")


def _numbers(dtype: torch.dtype, *shape: int) -> torch.Tensor:
    width = torch.empty(0, dtype=dtype).element_size()
    count = torch.Size(shape).numel()
    raw = torch.arange(count * width, dtype=torch.int64) * 37 % (2 if dtype == torch.bool else 113)
    return raw.to(torch.uint8).view(dtype).reshape(shape)


DTYPES = [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.int64, torch.bool]
SHAPES = {"uneven": (7, 3), "one row": (1, 5), "three rows": (3, 2), "none": (0, 4), "deep": (5, 2, 3), "flat": (9,)}


def laid(whole: torch.Tensor, mesh: Any, placements: Any) -> Any:
    """A tensor that each process has, laid over them; gloo carries not every dtype."""
    return distribute_tensor(whole, mesh, placements, src_data_rank=None)


def _odd_state(size: int, *, zeros: bool, other: bool = False) -> dict[str, Any]:
    """Tensors of odd sizes, laid over the processes in every way."""
    mesh = init_device_mesh("cpu", (size,))
    grid = init_device_mesh("cpu", (2, size // 2)) if size == WORLD else None
    state: dict[str, Any] = {}
    for dtype in DTYPES:
        for name, shape in SHAPES.items():
            whole = _numbers(dtype, *shape)
            whole = torch.zeros_like(whole) if zeros else whole
            last = 0 if other else len(shape) - 1
            state[f"{dtype} {name} rows"] = laid(whole, mesh, [Shard(0)])
            state[f"{dtype} {name} columns"] = laid(whole, mesh, [Shard(last)])
            state[f"{dtype} {name} copies"] = laid(whole, mesh, [Replicate()])
            state[f"{dtype} {name} plain"] = whole
            if grid is not None and not zeros:
                state[f"{dtype} {name} grid"] = laid(whole, grid, [Shard(0), Shard(last)])
            elif name != "none":
                state[f"{dtype} {name} grid"] = laid(whole, mesh, [Shard(0)])
            else:
                state[f"{dtype} {name} grid"] = whole
    turned = _numbers(torch.float32, 6, 4).t()
    local = torch.zeros(4, 6).t().contiguous().t() if zeros else turned
    state["turned"] = DTensor.from_local(local, mesh, [Replicate()], run_check=False)
    state["scalar"] = torch.zeros(()) if zeros else torch.tensor(2.5)
    state["values"] = None if zeros else [1, (2.0, "drei"), {1, 2}]
    return {"model": {"w": state.pop("scalar")}, "more": state}


def _save_odd(rank: int, folder: str) -> Any:
    writer = etui.torch.DistributedWriter(f"{folder}/etui")
    state = _odd_state(WORLD, zeros=False)
    # As in a pipeline, whose stages have keys of their own.
    state["model"][f"stage.{rank}"] = torch.full((2, rank), float(rank))
    dcp.save(state, storage_writer=writer)
    alone = {"only": distribute_tensor(torch.ones(1, 3), init_device_mesh("cpu", (WORLD,)), [Shard(0)])}
    dcp.save(alone, storage_writer=etui.torch.DistributedWriter(f"{folder}/alone"))
    return rank


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().flatten().view(torch.uint8)


def _load_odd(_: int, folder: str, size: int) -> Any:
    state = _odd_state(size, zeros=True, other=True)
    state["model"] |= {f"stage.{stage}": torch.zeros(2, stage) for stage in range(WORLD)}
    dcp.load(state, storage_reader=etui.torch.DistributedReader(f"{folder}/etui"))
    wrong, seen = [], 0
    for name, found in state["more"].items():
        if not isinstance(found, torch.Tensor):
            continue
        if name == "turned":
            expected = _numbers(torch.float32, 6, 4).t()
        else:
            dtype, rest = name.removeprefix("torch.").split(" ", 1)
            expected = _numbers(getattr(torch, dtype), *SHAPES[rest.rsplit(" ", 1)[0]])
        seen += 1
        if tuple(found.shape) != tuple(expected.shape):
            wrong.append(name)
        local = found.to_local() if isinstance(found, DTensor) else found
        if isinstance(found, DTensor):
            expected = laid(expected, found.device_mesh, found.placements).to_local()
        if local.numel() and not _bytes(local).equal(_bytes(expected)):
            wrong.append(name)
    for stage in range(WORLD):
        found = state["model"][f"stage.{stage}"]
        seen += 1
        if found.tolist() != [[float(stage)] * stage] * 2:
            wrong.append(f"stage {stage}")
    return {"wrong": wrong, "seen": seen, "values": repr(state["more"]["values"]), "scalar": state["model"]["w"].item()}


def odd(folder: Path) -> Any:
    """Odd tensors of four processes, loaded by two and by one under other layouts."""
    found: dict[str, Any] = {"saved": in_world(WORLD, folder, _save_odd, str(folder))}
    for size in (2, 1):
        found[f"as {size}"] = in_world(size, folder, _load_odd, str(folder), size)
    return found


class _Refusing:
    """A value that no artifact keeps."""


class _UnsendableError(Exception):
    """An error that pickles, and cannot be made of that again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def _fail(rank: int, folder: str) -> Any:
    mesh = init_device_mesh("cpu", (WORLD,))
    state: dict[str, Any] = {"w": distribute_tensor(torch.arange(8.0), mesh, [Shard(0)])}
    writer = etui.torch.DistributedWriter(f"{folder}/etui")
    dcp.save(state, storage_writer=writer)
    identity = writer.identity

    class Full(System):
        """A device without room."""

        def write(self, *_: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def unsendable(*_: Any) -> None:
        if rank == WORLD // 2:
            raise _UnsendableError("out of ", "order")

    said = []
    for case in ("a full device", "a value", "an error that cannot be sent"):
        used = writer
        if case == "a value":
            state["odd"] = _Refusing()
        elif case != "a full device":
            del state["odd"]
            used = etui.torch.DistributedWriter(f"{folder}/etui", progress=unsendable)
        elif rank == WORLD // 2:
            calls.system = Full()
        try:
            dcp.save(state, storage_writer=used)
        except BaseException as cause:
            said.append(str(cause))
        calls.system = System()
        during = sorted(path.name for path in Path(folder).glob("*etui*")) if rank == 0 else []
        used.close()
        torch.distributed.barrier()
        said.append(f"{len(during)} names before")
    dcp.save(state, storage_writer=writer)
    return {"said": said, "identities": [identity, writer.identity]}


def failures(folder: Path) -> Any:
    """A rank that fails: all are told, the earlier artifact stays, and the next save works."""
    return in_world(WORLD, folder, _fail, str(folder))


Death = tuple[int, float]


class Killing(System):
    """Ends the process by SIGKILL in front of its n-th call that writes; 0 for never. Counts them."""

    def __init__(self, last: int = 0) -> None:
        self.count = 0
        names = [name for name in vars(System) if not name.startswith("_")]
        for name in names:
            setattr(self, name, self._counted(getattr(System, name).__get__(self), last))

    def _counted(self, call: Any, last: int) -> Any:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count == last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **named)

        return counted


def _kill_later(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def _save_to_be_killed(rank: int, target: str, step: int | None, number: int, death: Death = (-1, 0)) -> Any:
    """Save a state that its number says; the victim dies at a call (from 1), or after so many seconds (below 1)."""
    victim, moment = death
    mesh = init_device_mesh("cpu", (WORLD,))
    local = torch.full((3, 40), float(number * 10 + rank))
    model = {name: DTensor.from_local(local + at, mesh, [Shard(0)], run_check=False) for at, name in enumerate("abc")}
    state = {"model": model, "count": torch.tensor(number), "number": number}
    writer = etui.torch.DistributedWriter(target, step=step)
    torch.distributed.barrier()
    system = Killing(int(moment) if rank == victim else 0)
    calls.system = system
    if rank == victim and 0 < moment < 1:
        Thread(target=_kill_later, args=(moment,), daemon=True).start()
    begin = time.monotonic()
    dcp.save(state, storage_writer=writer)
    return {"count": system.count, "seconds": time.monotonic() - begin, "identity": writer.identity}


def _standing(folder: Path, into: str) -> list[str]:
    """The identities of what is at the target and passes full verification, a series as a whole."""
    if into == "folder":
        return [etui.verify(folder / into).identity]
    series = Series(folder / into, create=False)
    checked = series.verify()
    return [one.identity for one in checked]


def kills(folder: Path) -> Any:
    """A rank killed at 30 moments of a save over an earlier artifact, or of a step behind an earlier one."""
    found = []
    for into, steps in (("folder", [None, None]), ("series", [1, 2])):
        target = str(folder / into)
        for step, number in zip(steps, (1, 2), strict=True):
            counted = in_world(WORLD, folder, _save_to_be_killed, f"{target}-scratch", step, number)
        first = in_world(WORLD, folder, _save_to_be_killed, target, steps[0], 1)
        earlier = _standing(folder, into)
        counts = [one["count"] for one in counted]
        for at, (rank, wanted) in enumerate(_moments(counts, max(one["seconds"] for one in counted))):
            died: list[int] = []
            moment, number = wanted, 100 * at
            while not died:
                # Another state each time: what the last one left would spare this one its calls.
                number += 4
                codes = in_world(WORLD, folder, _save_to_be_killed, target, steps[1], number, (rank, moment))
                died = [at for at, code in enumerate(codes) if code == -signal.SIGKILL]
                standing = _standing(folder, into)
                if into == "series" and 2 in Series(target).store.steps():
                    Series(target).remove(2)
                elif standing != earlier:
                    in_world(WORLD, folder, _save_to_be_killed, target, steps[0], 1)
                # Threads do not make the same calls each time: the save may have ended before.
                moment = int(moment * 0.9) if moment >= 1 else moment / 2
            entry = {"into": into, "rank": rank, "moment": wanted, "died": died, "standing": standing}
            found.append(entry | {"earlier": earlier})
        last = in_world(WORLD, folder, _save_to_be_killed, target, steps[1], 3)
        names = sorted(path.name for path in folder.iterdir() if into in path.name and "scratch" not in path.name)
        collected = Series(target).collect().objects if into == "series" else 0
        end = {"first": first[0]["identity"], "last": last[0]["identity"], "names": names, "collected": collected}
        found.append({"into": into, "end": end, "standing": _standing(folder, into), "counts": counts})
    return found


def _moments(counts: list[int], length: float) -> list[Death]:
    """Who dies when: each rank at its first call, the coordinator at its last, all anywhere, some by the clock."""
    chance = random.Random(sum(counts))
    moments: list[Death] = [*((rank, 1.0) for rank in range(WORLD)), (0, float(counts[0]))]
    while len(moments) < 13:
        rank = len(moments) % WORLD
        moments.append((rank, float(chance.randint(1, counts[rank]))))
    return moments + [(chance.randrange(WORLD), min(chance.random() * length / 2, 0.9)) for _ in range(2)]
