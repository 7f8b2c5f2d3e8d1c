"""Arrays of several processes into one artifact, each process what its devices have (SPEC.md, annex R)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import jax

from etui.bridges.jax.processes import Processes
from etui.bridges.jax.spread import Spread, document_digests
from etui.checkpoints.distributed import GlobalPlan, RankResult, commit, write_rank
from etui.checkpoints.places import FolderPlace, Place
from etui.checkpoints.series_place import place_of
from etui.containers.data_writer import Progress
from etui.errors import EtuiError, error, shown
from etui.model import Model

StrPath = str | os.PathLike[str]

_PACKED = frozenset({"int4", "uint4"})
_COORDINATOR = 0
_END = "end"


def save(
    make: Callable[[], Model],
    begin: Callable[[], Place],
    *,
    shard_size: int | None = None,
    timeout: float,
    progress: Progress | None = None,
) -> str:
    """Save together with the other processes of the program; see `etui.jax.save_distributed`.

    Args:
        make: gives the model, the same on each process but for where its arrays are.
        begin: makes the place to save at; the coordinator calls it.
        shard_size: bytes of data in one part at most.
        timeout: seconds after which a process that gives no sign of life counts as gone.
        progress: called while this process writes.

    Returns:
        The identity of the artifact.
    """
    processes = Processes(timeout)
    with processes.alive():
        if processes.rank == _COORDINATOR:
            return _coordinate(processes, make, begin, shard_size, progress)
        return _follow(processes, make, progress)


def _coordinate(
    processes: Processes,
    make: Callable[[], Model],
    begin: Callable[[], Place],
    shard_size: int | None,
    progress: Progress | None,
) -> str:
    """Plan, write what is this process's own, and commit when all others have written."""
    others = [rank for rank in range(processes.size) if rank != _COORDINATOR]
    waiting = list(others)  # for what they are to write
    place: Place | None = None
    try:
        model = make()
        spread = Spread.of(model, processes.size)
        plan = GlobalPlan.of(model, spread.boxes(), shard_size)
        place = begin()
        orders = {"place": place.to_json(), "documents": document_digests(model) if others else {}}
        for rank in others:
            processes.tell(f"orders/{rank}", {**orders, "plan": plan.for_rank(rank).to_json()})
            waiting.remove(rank)
        own = plan.for_rank(_COORDINATOR)
        results = [write_rank(own, _COORDINATOR, spread.fetch, place, progress, resident=spread.resident)]
        for rank in others:
            answer = _sound(processes.hear(f"result/{rank}", rank), rank)
            _check_same(answer["local"], results[0], plan, rank)
            results.append(RankResult.from_json(answer["result"]))
        identity = _committed(plan, model, results, place)
    except BaseException as fault:
        if place is not None:
            place.abort()
        # Whoever cannot be told any more finds out by the time-out.
        with suppress(EtuiError):
            for rank in waiting:
                processes.tell(f"orders/{rank}", _failure(fault))
            processes.tell(_END, _failure(fault))
        raise
    processes.tell(_END, {"identity": identity})
    with suppress(EtuiError):  # it is saved, whatever becomes of the service
        processes.forget()
    return identity


def _committed(plan: GlobalPlan, model: Model, results: list[RankResult], place: Place) -> str:
    """Commit; the model's tensors are afterwards what they were before."""
    own = [(plain, plain.pieces) for _, key, tensor in model.stored_tensors() for _, plain in tensor.physical(key)]
    try:
        return commit(plan, model, results, place)
    finally:
        for tensor, pieces in own:
            tensor.pieces = pieces


def _follow(processes: Processes, make: Callable[[], Model], progress: Progress | None) -> str:
    """Write what the coordinator has planned for this process, and wait for the commit."""
    rank = processes.rank
    try:
        model = make()
        spread = Spread.of(model, processes.size)
        orders = _sound(processes.hear(f"orders/{rank}", _COORDINATOR), _COORDINATOR)
        _check_documents(orders["documents"], document_digests(model))
        plan = GlobalPlan.from_json(orders["plan"])
        place = place_of(orders["place"])
        result = write_rank(plan, rank, spread.fetch, place, progress, resident=spread.resident)
        answer = {"result": result.to_json(), "local": list(spread.local_digests())}
    except BaseException as fault:
        with suppress(EtuiError):
            processes.tell(f"result/{rank}", _failure(fault))
        raise
    processes.tell(f"result/{rank}", answer)
    identity: str = _sound(processes.hear(_END, _COORDINATOR), _COORDINATOR)["identity"]
    return identity


def folder(target: StrPath) -> Place:
    """The coordinator's place for an artifact in directory form.

    Raises:
        UsageError: ``distributed-misuse``.
        StorageError: as `FolderPlace.begin` says.
    """
    if "://" in os.fspath(target):
        hint = "Save into a series of checkpoints there, or to a path."
        raise error("distributed-misuse", where=os.fspath(target), found="a URL", hint=hint)
    return FolderPlace.begin(target)


def _failure(fault: BaseException) -> dict[str, str]:
    return {"failure": str(fault) if isinstance(fault, EtuiError) else f"{type(fault).__name__}: {fault}"}


def _sound(answer: dict[str, Any], rank: int) -> dict[str, Any]:
    """What another process tells, unless it failed.

    Raises:
        StorageError: ``distributed-process``.
    """
    if "failure" in answer:
        raise error("distributed-process", where=f"process {rank}", found=shown(answer["failure"], 600))
    return answer


def _check_documents(wanted: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Whether this process would write the same documents as the coordinator.

    Raises:
        TransferError: ``distributed-differs``.
    """
    for name in sorted(wanted.keys() | own.keys()):
        if wanted.get(name) != own.get(name):
            found = "the coordinator alone has it" if name not in own else "other names, shapes, flags or values"
            raise error("distributed-differs", where=name, found=found)


def _check_same(told: list[list[str]], own: RankResult, plan: GlobalPlan, rank: int) -> None:
    """Whether what each process has for itself is what the coordinator wrote.

    Raises:
        TransferError: ``distributed-differs``.
    """
    written = {
        (box.role, box.stored): own.parts[name].digests[box.stored]
        for name, boxes in plan.parts(_COORDINATOR).items()
        for box in boxes
    }
    for role, stored, found in told:
        if written.get((role, stored), found) != found:
            raise error("distributed-differs", where=f"{role}, {stored}", found=f"other elements on process {rank}")


def gathered(tree: Any) -> Any:
    """A tree whose arrays of packed integers are on each host as a whole: their bytes cannot be cut at any box."""
    return jax.tree.map(_gathered_leaf, tree)


def _gathered_leaf(leaf: Any) -> Any:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or str(leaf.dtype) not in _PACKED:
        return leaf
    from jax.experimental.multihost_utils import process_allgather

    # As whole bytes: not every way of communication knows halves of one.
    return process_allgather(leaf.astype("int8"), tiled=True).astype(leaf.dtype)
