"""Which boxes of a model's tensors lie on which devices, and who writes them (SPEC.md, annex R)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from etui import digest, dtypes
from etui.checkpoints.distributed import Box
from etui.containers.data_writer import plan_data, rehearse
from etui.containers.pieces import Array, Lazy, Piece, raw_bytes
from etui.containers.tensors import Tensor
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS
from etui.model import Model

Shape = tuple[int, ...]
Span = tuple[Shape, Shape]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Global:
    """A tensor whose elements are an array of JAX."""

    array: Any
    tensor: Tensor
    elements: Any

    def holders(self) -> dict[Span, list[int]]:
        """Offset and shape of each box, in the order of the devices -> the processes that have it."""
        found: dict[Span, list[int]] = {}
        for device, index in self.array.sharding.devices_indices_map(self.array.shape).items():
            ranks = found.setdefault(self._span(index), [])
            if device.process_index not in ranks:
                ranks.append(device.process_index)
        return found

    def own(self) -> dict[Span, Any]:
        """The boxes on devices of this process, each once."""
        return {self._span(shard.index): shard.data for shard in reversed(self.array.addressable_shards)}

    def _span(self, index: tuple[slice, ...]) -> Span:
        bounds = [part.indices(size) for part, size in zip(index, self.array.shape, strict=True)]
        offset, shape = tuple(one[0] for one in bounds), tuple(one[1] - one[0] for one in bounds)
        # An axis that the array does not have is that of a complex number's parts.
        missing = len(self.tensor.shape) - len(shape)
        return offset + (0,) * missing, shape + self.tensor.shape[len(shape) :]


@dataclass(slots=True)
class Spread:
    """The tensors of a model by where their elements are.

    Attributes:
        arrays: role and name -> an array of JAX.
        local: role and name -> a tensor that this process has as a whole, as each may for itself; then it must be the
            same for all. It may also be an array of all that lies on devices of this process alone.
        processes: how many there are.
    """

    arrays: dict[Key, _Global] = field(default_factory=dict)
    local: dict[Key, Tensor] = field(default_factory=dict)
    processes: int = 1
    _shards: tuple[Key, dict[Span, Any]] | None = None

    @classmethod
    def of(cls, model: Model, processes: int) -> Spread:
        """Look at where a model's tensors are; nothing is fetched.

        Args:
            model: with arrays of JAX behind its tensors.
            processes: how many save it together.
        """
        found = cls(processes=processes)
        for role, key, tensor in model.stored_tensors():
            for name, plain in tensor.physical(key):
                array, elements = _array_of(plain)
                if array is not None:
                    found.arrays[role, name] = _Global(array, plain, elements)
                if array is None or (processes > 1 and array.is_fully_addressable):
                    found.local[role, name] = plain
        return found

    def boxes(self) -> list[Box]:
        """Every box, each for a process that has it: the one with the least to write so far."""
        made = [box for key, tensor in self.local.items() for box in _local(key, tensor)]
        load = [0] * self.processes
        load[0] = sum(tensor.nbytes for tensor in self.local.values())
        for (role, name), one in self.arrays.items():
            for (offset, shape), ranks in () if (role, name) in self.local else one.holders().items():
                rank = min(ranks, key=lambda rank: (load[rank], rank))
                load[rank] += dtypes.byte_size(one.tensor.dtype, shape)
                made.append(Box(role, name, offset, shape, rank))
        return made

    def fetch(self, box: Box) -> Array:
        """The elements of a box that this process has.

        Raises:
            StorageError: ``distributed-differs``, it has no such box.
        """
        key = (box.role, box.name)
        offset = (0,) * len(box.shape) if box.offset is None else box.offset
        if key in self.local:
            for piece in self.local[key].pieces:
                if (piece.offset or (0,) * len(piece.shape), piece.shape) == (offset, box.shape):
                    return piece.source.array()
        if key in self.arrays:
            if self._shards is None or self._shards[0] != key:
                self._shards = (key, self.arrays[key].own())
            shard = self._shards[1].get((offset, box.shape))
            if shard is not None:
                found: Array = self.arrays[key].elements(shard)
                return found
        raise error("distributed-differs", where=shown(box.stored), found="a box that is on no device of this process")

    def resident(self, box: Box) -> bool:
        """Whether `fetch` gives a box where it is: on devices of the host, and not as a complex number's parts."""
        one = self.arrays.get((box.role, box.name))
        if one is None or len(one.array.shape) != len(one.tensor.shape):
            return False
        return all(device.platform == "cpu" for device in one.array.sharding.device_set)

    def local_digests(self) -> Iterator[tuple[str, str, str]]:
        """Role, name in the data part, and digest of each box that every process has for itself."""
        for key, tensor in self.local.items():
            for box in _local(key, tensor):
                yield box.role, box.stored, digest.of(raw_bytes(np.asarray(self.fetch(box), order="C")))


def _local(key: Key, tensor: Tensor) -> list[Box]:
    return [Box(*key, piece.offset, piece.shape, 0) for piece in tensor.pieces]


def _array_of(tensor: Tensor) -> tuple[Any, Any]:
    """The array of JAX that a tensor's elements are fetched from, and what fetches a part of it; or twice `None`."""
    source = tensor.pieces[0].source if len(tensor.pieces) == 1 else None
    load: Any = source.load if isinstance(source, Lazy) else None
    value = getattr(load, "value", None)
    if isinstance(value, jax.Array) and hasattr(load, "elements"):
        return value, load.elements
    return None, None


def document_digests(model: Model) -> dict[str, str]:
    """Document -> digest of it as if its data were empty, so that processes can compare what they would write."""
    found, nothing = {}, digest.of(b"")
    for document, container in model.documents():
        tensors = [(key, _whole(tensor)) for key, tensor in document.tensors(container)]
        marked = rehearse(plan_data(document.role, tensors, None, DEFAULT_LIMITS)).placed
        placed = {name: tuple(chunk._replace(digest=nothing) for chunk in chunks) for name, chunks in marked.items()}
        found[document.name] = digest.of(document.encode(container, placed, model.version))
    return found


def _whole(tensor: Tensor) -> Tensor:
    """The tensor in one piece."""
    if tensor.encoding is not None:
        parts: Mapping[str, Tensor] = {name: _whole(part) for name, part in tensor.components.items()}
        return Tensor(tensor.dtype, tensor.shape, encoding=tensor.encoding, components=parts)
    return Tensor(tensor.dtype, tensor.shape, pieces=(Piece(None, tensor.shape, tensor.pieces[0].source),))
