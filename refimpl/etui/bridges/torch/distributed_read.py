"""The reading side of `torch.distributed.checkpoint` with an artifact as its storage (SPEC.md, annex R)."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import torch
from torch.distributed.checkpoint.metadata import (
    BytesStorageMetadata,
    ChunkStorageMetadata,
    Metadata,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner, ReadItem
from torch.distributed.checkpoint.storage import StorageReader
from torch.futures import Future

from etui.artifact import open_model
from etui.bridges.torch.arrays import tensor_of, torch_dtype, view_of
from etui.bridges.torch.distributed_entries import Entry, entries
from etui.bridges.torch.distributed_keys import Path
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report

_COMPLEX = {"complex64": np.complex64, "complex128": np.complex128}


class DistributedReader(StorageReader):
    """Hands out the boxes of an artifact that DCP's planner asks for, whoever wrote it and in whatever pieces.

    Args:
        source: path of an artifact, a step of a series, or an `etui.Model` that is open.
        model: key of the module's `state_dict` within the state; by default where it was, or ``model``. A tuple for one
            that is nested.
        optimizer: the same of an optimizer's; by default where it was, or ``optim``.
        verify: check the digest of each tensor that is read.
        report: gets an entry for each tensor and optimizer that torch has nothing for; on the coordinator one for each
            key that the state does not ask for, too, which DCP passes over. It refuses a key that is not stored.
        limits: refuse what is beyond these.
    """

    def __init__(
        self,
        source: Any,
        *,
        model: str | Path | None = None,
        optimizer: str | Path | None = None,
        verify: bool = True,
        report: Report | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.report = Report() if report is None else report
        self._source = source
        self._module = (model,) if isinstance(model, str) else model
        self._optimizer = (optimizer,) if isinstance(optimizer, str) else optimizer
        self._verify = verify
        self._limits = limits
        self._opened: Model | None = None
        self._entries: dict[str, Entry] = {}

    @property
    def checkpoint_id(self) -> str:
        """What is read."""
        return self._source if isinstance(self._source, str) else str(getattr(self._source, "location", self._source))

    def close(self) -> None:
        """Let go of the files that were opened here."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def __del__(self) -> None:
        if getattr(self, "_opened", None) is not None:
            self.close()

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Begin anew, with another artifact if there is one."""
        self.close()
        self._entries = {}
        if checkpoint_id is not None:
            self._source = checkpoint_id

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Whether it may be the path of an artifact."""
        return bool(os.fspath(checkpoint_id))

    def read_metadata(self, *_: Any) -> Metadata:
        """Which keys the artifact has as a state of torch, and in what pieces."""
        model = self._open()
        described: dict[str, Any] = {}
        self._entries = {}
        for key, entry in entries(model, self._module, self._optimizer, self.report).items():
            try:
                described[key] = _described(entry)
            except EtuiError as fault:
                if fault.code != "torch-dtype":
                    raise
                self.report.add("variable", key, "not-transferable", str(fault))
                continue
            self._entries[key] = entry
        paths = {key: entry.path for key, entry in self._entries.items()}
        return Metadata(described, planner_data=paths, storage_meta=StorageMeta(checkpoint_id=self.checkpoint_id))

    def _open(self) -> Model:
        if isinstance(self._source, Model):
            return self._source
        self.close()
        opening = getattr(self._source, "open", None)  # of a step of a series
        if opening is None or isinstance(self._source, str | os.PathLike):
            found = open_model(self._source, verify=self._verify, limits=self._limits)
        else:
            found = opening(verify=self._verify)
        self._opened = found
        return found

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Nothing: each rank reads for itself."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Leave a rank's plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Leave the plans as they are, and note what none of them asks for; on the coordinator."""
        asked = {item.storage_index.fqn for plan in plans for item in plan.items}
        for key, entry in self._entries.items():
            if key not in asked and not (entry.tensor is not None and 0 in entry.tensor.shape):
                self.report.add("state", key, "left-out", "the state that is loaded has no such key")
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Read what a rank's plan asks for; all is there when the future is done, as it is at once."""
        for item in plan.items:
            entry = self._entries.get(item.storage_index.fqn)
            if entry is None:
                found = f"{shown(item.storage_index.fqn)}, which the artifact does not have"
                raise error("distributed-misuse", where=self.checkpoint_id, found=found)
            if item.type == LoadItemType.BYTE_IO:
                planner.load_bytes(item, _pickled(entry.value))
            else:
                target = planner.resolve_tensor(item).detach()
                _fill(target, _elements(entry, item), item)
                planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done


def _pickled(value: Any) -> io.BytesIO:
    """A value as DCP's planners take one: what is unpickled there was pickled here, in this process's memory."""
    data = io.BytesIO()
    torch.save(value, data)
    data.seek(0)
    return data


def _described(entry: Entry) -> TensorStorageMetadata | BytesStorageMetadata:
    tensor = entry.tensor
    if tensor is None:
        if not isinstance(entry.value, torch.Tensor):
            return BytesStorageMetadata()
        return _pieces(entry.value.dtype, tuple(entry.value.shape), [])
    dtype = torch_dtype(tensor.dtype)
    if tensor.dtype in _COMPLEX:
        boxes = [(piece.offset[:-1], piece.shape[:-1]) for piece in _parts(tensor).pieces if piece.offset is not None]
    else:
        boxes = [(piece.offset, piece.shape) for piece in tensor.pieces if piece.offset is not None]
    return _pieces(dtype, tensor.shape, boxes)


def _pieces(
    dtype: torch.dtype, shape: tuple[int, ...], boxes: list[tuple[tuple[int, ...], tuple[int, ...]]]
) -> TensorStorageMetadata:
    found = boxes or [((0,) * len(shape), shape)]
    chunks = [ChunkStorageMetadata(torch.Size(offset), torch.Size(size)) for offset, size in found]
    return TensorStorageMetadata(TensorProperties(dtype=dtype), torch.Size(shape), chunks)


def _parts(tensor: Tensor) -> Tensor:
    return tensor.components["parts"]


def _elements(entry: Entry, item: ReadItem) -> Array | torch.Tensor:
    """The box that an item asks for: an offset within a piece, which has one within the tensor."""
    rank = len(item.lengths)
    piece = tuple(item.storage_index.offset or (0,) * rank)
    begin = [at + offset for at, offset in zip(piece, item.storage_offsets, strict=True)]
    box = tuple(slice(at, at + length) for at, length in zip(begin, item.lengths, strict=True))
    tensor = entry.tensor
    if tensor is None:
        assert isinstance(entry.value, torch.Tensor)  # noqa: S101  it was described as one
        return entry.value[box]
    if tensor.dtype in _COMPLEX:
        numbers = np.ascontiguousarray(_parts(tensor).read(box))
        return numbers.view(_COMPLEX[tensor.dtype]).reshape(numbers.shape[:-1])
    return tensor.read(box)


def _fill(target: torch.Tensor, elements: Array | torch.Tensor, item: ReadItem) -> None:
    if tuple(target.shape) != tuple(elements.shape):
        found = f"{list(elements.shape)} for a tensor of {list(target.shape)}"
        raise error("distributed-misuse", where=item.dest_index.fqn, found=found)
    if isinstance(elements, torch.Tensor):
        target.copy_(elements)
        return
    if target.device.type == "cpu" and not target.is_conj() and not target.is_neg():
        held = view_of(target)
        if held.dtype == elements.dtype:
            held[...] = elements
            return
    target.copy_(tensor_of(elements))
