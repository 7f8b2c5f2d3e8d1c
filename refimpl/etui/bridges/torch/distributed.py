"""`torch.distributed.checkpoint` with an artifact as its storage (SPEC.md, annex R).

DCP's planners decide who writes and who reads what. The writer puts it into data parts and leaves one artifact, whose
manifest the coordinator writes after all ranks' data is durable. The reader says what an artifact has, and hands out
the boxes that a plan asks for.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Mapping
from dataclasses import replace as changed
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.checkpoint.metadata import Metadata, MetadataIndex, StorageMeta
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner, WriteItem, WriteItemType
from torch.distributed.checkpoint.storage import StorageWriter, WriteResult
from torch.distributed.tensor import DTensor
from torch.futures import Future

from etui.bridges.torch.arrays import view_of
from etui.bridges.torch.distributed_faults import sendable
from etui.bridges.torch.distributed_keys import STATE, Keys, Path, names_below, sort_keys
from etui.bridges.torch.distributed_model import Kind, Whole, complete, skeleton
from etui.bridges.torch.distributed_values import encode
from etui.canonical.value_types import Value
from etui.checkpoints.distributed import Box, FolderPlace, GlobalPlan, Place, RankResult, commit, place_of, write_rank
from etui.checkpoints.series import Series
from etui.checkpoints.series_place import SeriesPlace
from etui.containers.data_writer import Progress
from etui.containers.pieces import Array
from etui.dtypes import DTYPES
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.report import Report

_COMPLEX = {"complex64": "float32", "complex128": "float64"}
Index = tuple[str, tuple[int, ...]]


class DistributedWriter(StorageWriter):
    """Writes a distributed state dict as one artifact, in directory form, or as a step of a series.

    Args:
        target: folder of the artifact, which all ranks reach by this path; what is there stays until the save is done.
            With a step: a `Series`, or its folder or URL.
        step: number of the step; for a `Series`, the ``checkpoint_id`` of a save is one as well.
        metrics: of the step, name -> number.
        replace: replace a step of that number, in place of refusing it.
        model: key of the module's `state_dict` within the state, where it is not ``model`` or one of the names that
            checkpoints of torch use; a tuple for one that is nested.
        module: the module itself, to tell its parameters from its buffers where no optimizer is saved.
        shard_size: bytes of data in one part at most; `None` for one part of each document and rank.
        progress: called on each rank as (part, bytes done, bytes in all).
        report: gets an entry for each optimizer.
        limits: refuse to write what is beyond these.

    Attributes:
        identity: of the artifact, on the coordinator after a save.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | Series,
        *,
        step: int | None = None,
        metrics: Mapping[str, float] | None = None,
        replace: bool = False,
        model: str | Path | None = None,
        module: torch.nn.Module | None = None,
        shard_size: int | None = None,
        progress: Progress | None = None,
        report: Report | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.identity: str | None = None
        self.report = Report() if report is None else report
        self._target: str | os.PathLike[str] | Series = target
        self._step = step
        self._metrics = metrics
        self._replace = replace
        self._model = (model,) if isinstance(model, str) else model
        self._trainable = None if module is None else _trainable(module)
        self._shard_size = shard_size
        self._progress = progress
        self._limits = limits
        self._place: Place | None = None
        self._plan = GlobalPlan()
        self._whole = Whole(Keys(), {})

    @property
    def checkpoint_id(self) -> str:
        """Where the artifact will be."""
        place = self._target.location if isinstance(self._target, Series) else os.fspath(self._target)
        return place if self._step is None else f"{place}, step {self._step}"

    def close(self) -> None:
        """Remove what an unfinished save has written; a rank that failed leaves that to the coordinator."""
        place, self._place = self._place, None
        if place is not None:
            place.abort()

    def __del__(self) -> None:
        if getattr(self, "_place", None) is not None:
            self.close()

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin anew, at another target if there is one, or as another step."""
        self.close()
        self.identity = None
        if checkpoint_id is None:
            return
        if self._step is None and not isinstance(self._target, Series):
            self._target = checkpoint_id
        elif str(checkpoint_id).isdecimal():
            self._step = int(str(checkpoint_id))
        else:
            raise error("series-number", where=self.checkpoint_id, found=shown(checkpoint_id))

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Refuse a save of which every rank would commit its own part."""
        if kwargs.get("use_collectives") is False:
            found = "a save without collectives, of which no rank would know the whole"
            raise error("distributed-misuse", where=self.checkpoint_id, found=found)

    def storage_meta(self) -> StorageMeta:
        """Where the artifact will be, for DCP's messages."""
        return StorageMeta(checkpoint_id=self.checkpoint_id)

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it may be the path of a folder."""
        return bool(os.fspath(checkpoint_id)) and "://" not in os.fspath(checkpoint_id)

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Leave a rank's plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Lay out what the ranks will write, and begin the artifact; the coordinator's."""
        if not all(plan.usable for plan in plans):
            found = "plans that are left out since they were sent before"
            hint = "Give DCP a planner with `enable_plan_caching=False`."
            raise error("distributed-misuse", where=self.checkpoint_id, found=found, hint=hint)
        paths: dict[str, Path] = {}
        for plan in plans:
            paths |= plan.planner_data or {}
        tensors: dict[str, Kind] = {}
        for plan in plans:
            for item in plan.items:
                paths.setdefault(item.index.fqn, (item.index.fqn,))
                if item.tensor_data is not None:
                    dtype = _dtype(item.tensor_data.properties.dtype, item.index.fqn)
                    tensors[item.index.fqn] = dtype, tuple(item.tensor_data.size)
        given = {item.index.fqn for plan in plans for item in plan.items}
        paths = {key: path for key, path in paths.items() if key in given}
        keys = sort_keys(paths, {key: shape for key, (_, shape) in tensors.items()}, self._model)
        self._whole = Whole(keys, tensors, trainable=self._trainable)
        places = keys.tensors(tensors)
        boxes: list[Box] = []
        indices: dict[tuple[str, str], Index] = {}
        for rank, plan in enumerate(plans):
            for item in (item for item in plan.items if item.index.fqn in places):
                box = _box(item, rank, *places[item.index.fqn], tensors[item.index.fqn][0])
                boxes.append(box)
                indices[box.role, box.stored] = _index(item)
                if 0 not in box.shape:
                    # Should it be all of the tensor, its name has no offset.
                    indices[box.role, box.name] = _index(item)
        self._plan = GlobalPlan.of(skeleton(self._whole), boxes, self._shard_size, self._limits)
        self._place = self._begin()
        shared = {"place": self._place.to_json(), "model": keys.model}
        return [
            changed(plan, storage_data={**shared, **_own(self._plan.for_rank(rank), rank, indices)})
            for rank, plan in enumerate(plans)
        ]

    def _begin(self) -> Place:
        target, step = self._target, self._step
        if step is not None:
            return SeriesPlace.begin(target, step, metrics=self._metrics, replace=self._replace, limits=self._limits)
        if isinstance(target, Series):
            raise error("series-number", where=target.location, found="a save to a series without a step")
        return FolderPlace.begin(target, self._limits)

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write a rank's data parts; they are durable when the future is done, as it is at once."""
        with sendable(f"rank {plan.storage_data['rank']}"):
            told = self._write(plan, planner)
        size = sum(part.size for part in told["result"].parts.values())
        done: Future[list[WriteResult]] = Future()
        done.set_result([WriteResult(MetadataIndex("etui"), size, told)])
        return done

    def _write(self, plan: SavePlan, planner: SavePlanner) -> dict[str, Any]:
        """Write them, and give what the coordinator is to know."""
        told = plan.storage_data
        own, rank = GlobalPlan.from_json(told["plan"]), told["rank"]
        indices: dict[tuple[str, str], Index] = told["indices"]
        items = {_index(item): item for item in plan.items}
        values = {
            item.index.fqn: _value(item, planner)
            for item in plan.items
            if item.tensor_data is None or not item.tensor_data.chunk.sizes
        }
        owners = _ties(planner, told["model"])
        skip = [box for box in own.boxes(rank) if indices[box.role, box.stored][0] in owners]
        place = self._place if self._place is not None else place_of(told["place"], self._limits)

        def tensor_of(box: Box) -> torch.Tensor:
            tensor = planner.resolve_data(items[indices[box.role, box.stored]])
            assert isinstance(tensor, torch.Tensor)  # noqa: S101  boxes are of tensors alone
            return tensor.detach()

        def resident(box: Box) -> bool:
            if type(planner) is not DefaultSavePlanner:  # another may make what it gives
                return False
            tensor = tensor_of(box)
            return tensor.device.type == "cpu" and tensor.is_contiguous() and not (tensor.is_conj() or tensor.is_neg())

        def fetch(box: Box) -> Array:
            tensor = tensor_of(box)
            return view_of(torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor)

        result = write_rank(own, rank, fetch, place, self._progress, skip=skip, resident=resident)
        return {"result": result, "values": values, "owners": dict(owners.values())}

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:  # noqa: ARG002
        """Write the documents and the manifest, and put the artifact in its place; the coordinator's."""
        assert self._place is not None  # noqa: S101  `prepare_global_plan` was called here
        told = [one.storage_data for own in results for one in own]
        whole = self._whole
        whole.values = {key: value for one in told for key, value in one["values"].items()}
        whole.owners = {name: owner for one in told for name, owner in one["owners"].items()}
        ranks: list[RankResult] = [one["result"] for one in told]
        try:
            with sendable("the coordinator"):
                model = complete(whole, self.report)
                self.identity = commit(self._plan, model, ranks, self._place, limits=self._limits)
        finally:
            self.close()


def _trainable(module: torch.nn.Module) -> Collection[str]:
    """The names of the parameters that train, those of tied ones included."""
    return {name for name, param in module.named_parameters(remove_duplicate=False) if param.requires_grad}


def _index(item: WriteItem) -> Index:
    return item.index.fqn, tuple(item.index.offset or ())


def _dtype(dtype: torch.dtype, key: str) -> str:
    """The name of a dtype that a data part holds.

    Raises:
        TransferError: ``torch-dtype``.
    """
    name = str(dtype).removeprefix("torch.")
    if name not in _COMPLEX and (name not in DTYPES or DTYPES[name].safetensors is None):
        raise error("torch-dtype", where=key, found=str(dtype))
    return name


def _box(item: WriteItem, rank: int, role: str, name: str, dtype: str) -> Box:
    """The box of an item; a complex tensor's is one of its real and imaginary parts."""
    assert item.tensor_data is not None  # noqa: S101  it is one of a tensor
    offset, shape = tuple(item.tensor_data.chunk.offsets), tuple(item.tensor_data.chunk.sizes)
    if dtype in _COMPLEX:
        return Box(role, f"{name}#parts", (*offset, 0), (*shape, 2), rank)
    return Box(role, name, offset, shape, rank)


def _own(plan: GlobalPlan, rank: int, indices: Mapping[tuple[str, str], Index]) -> dict[str, Any]:
    """What the coordinator tells a rank of its plan."""
    own = {(box.role, box.stored): indices.get((box.role, box.stored), ("", ())) for box in plan.boxes(rank)}
    return {"rank": rank, "plan": plan.to_json(), "indices": own}


def _value(item: WriteItem, planner: SavePlanner) -> Value:
    """What an item without data of its own is."""
    lookup = getattr(planner, "lookup_object", None)
    if item.type != WriteItemType.BYTE_IO:
        return encode(planner.resolve_data(item), item.index.fqn)
    if lookup is not None:
        return encode(lookup(item.index), item.index.fqn)
    # A planner of another make gives bytes alone, which it has just pickled.
    data = planner.resolve_data(item)
    assert isinstance(data, io.BytesIO)  # noqa: S101  by the item's type
    data.seek(0)
    return encode(torch.load(data, weights_only=True), item.index.fqn)


def _ties(planner: SavePlanner, model: Path | None) -> dict[str, tuple[str, str]]:
    """The tensors of a module that are others too: key -> its name, and the name of the one that is stored.

    Tied are those that are the same memory with the same shape. Of them, the first is stored of which an optimizer
    has state, else the first.
    """
    state = getattr(planner, "state_dict", None)
    if model is None or not isinstance(state, dict):
        return {}
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    paths: Mapping[str, Path] = getattr(planner, "mappings", None) or {key: (key,) for key in tensors}
    trained = {path[-2] for path in paths.values() if len(path) > 2 and path[-3] == STATE}
    flat = (str(path[-1]) for path in paths.values() if str(path[-1]).startswith(f"{STATE}."))
    trained |= {key.removeprefix(f"{STATE}.").rpartition(".")[0] for key in flat}
    same: dict[Any, list[tuple[str, str]]] = {}
    for key, name in names_below(model, paths, tensors).items():
        tensor = tensors[key]
        local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        if local.numel() and local.layout == torch.strided:
            memory = (local.device, local.data_ptr(), local.dtype, local.stride(), tuple(tensor.shape))
            same.setdefault(memory, []).append((key, name))
    found: dict[str, tuple[str, str]] = {}
    for group in same.values():
        owner = next((name for _, name in group if name in trained), group[0][1])
        found |= {key: (name, owner) for key, name in group if name != owner}
    return found
