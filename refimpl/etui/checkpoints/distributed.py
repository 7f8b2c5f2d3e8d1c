"""One artifact that several processes write: who writes which box, and the one commit (SPEC.md, annex R).

Every process makes the same plan, or gets it from the coordinator. Each writes its data parts at a place that all
reach, and says what it wrote. The coordinator then writes the documents and the manifest, which is the commit.

    plan = GlobalPlan.of(skeleton, boxes)                          # on each process, or once and sent as JSON
    result = write_rank(plan, rank, fetch, place)                  # on each process: its data is durable
    identity = commit(plan, skeleton, results, place)              # on the coordinator, after all have said so

How plans and results travel is the framework's business: both are JSON.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from etui import digest, dtypes
from etui.checkpoints.places import FolderPlace, Place, Written, WrittenPart
from etui.checkpoints.series_place import place_of
from etui.containers.cover import check_cover
from etui.containers.data_writer import DataPlan, Item, Progress, plan_data, write_data
from etui.containers.pieces import Array, Lazy, Piece
from etui.containers.tensors import Tensor
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model

__all__ = ["Box", "FolderPlace", "GlobalPlan", "Place", "RankResult", "absent", "commit", "place_of", "write_rank"]

Shape = tuple[int, ...]
_ROLES = ("optimizer", "state", "weights")


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a tensor that one process writes.

    Attributes:
        role: of the tensor's document: ``"weights"``, ``"optimizer"`` or ``"state"``.
        name: of the tensor there, as `Model.stored_tensors` gives it: a variable's path, ``optimizer/slots/…``,
            ``user/…``; of an encoded tensor that of a component, ``path#parts``.
        offset: of the box within the tensor, in elements; `None` for the whole tensor.
        shape: of the box.
        rank: who writes it.
    """

    role: str
    name: str
    offset: Shape | None
    shape: Shape
    rank: int

    @property
    def stored(self) -> str:
        """The name in the data part (W-11)."""
        return self.name if self.offset is None else f"{self.name}@{','.join(map(str, self.offset))}"


class _Part(NamedTuple):
    """A data part to be: who writes it, and its boxes with their dtypes."""

    rank: int
    role: str
    boxes: tuple[Box, ...]
    dtypes: tuple[str, ...]


def absent(dtype: str, shape: Sequence[int]) -> Tensor:
    """A tensor of a skeleton: known by dtype and shape, with elements that this process does not have.

    Args:
        dtype: one that safetensors holds as it is, or a complex one.
        shape: of the whole tensor.
    """
    box = tuple(shape)
    if dtype in {"complex64", "complex128"}:
        parts = absent("float32" if dtype == "complex64" else "float64", (*box, 2))
        return Tensor(dtype, box, encoding="complex", components={"parts": parts})
    return Tensor.lazy(dtype, box, partial(_refuse, dtype, box))


def _refuse(dtype: str, shape: Shape) -> Array:
    raise error("distributed-misuse", found=f"a look at the elements of {dtype}{list(shape)}, which others have")


@dataclass(frozen=True, slots=True)
class GlobalPlan:
    """Which process writes which boxes into which data part.

    Attributes:
        by_name: name of the part -> what it will hold, in the order of names.
    """

    by_name: Mapping[str, _Part] = field(default_factory=dict)

    @classmethod
    def of(
        cls, skeleton: Model, boxes: Iterable[Box], shard_size: int | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> GlobalPlan:
        """Lay the boxes out in data parts; the same input gives the same plan everywhere.

        A box without elements is left out. Of a tensor without elements, the first box stands for the whole.

        Args:
            skeleton: the model with its tensors, whose elements are not looked at; see `absent`.
            boxes: of all processes; together they cover each tensor once.
            shard_size: bytes of data in one part at most.
            limits: the limits in force.

        Raises:
            UsageError: ``distributed-misuse``, a box of no tensor of the skeleton, or one beyond it.
            InvalidError: ``chunk-form``, ``chunk-cover``: a gap or an overlap.
            LimitError: ``limit-chunks``.
        """
        known = _physical(skeleton)
        given: dict[tuple[str, str], list[Box]] = {key: [] for key in known}
        for box in boxes:
            if (box.role, box.name) not in given:
                raise error("distributed-misuse", where=shown(box.name), found=f"no such tensor in {box.role!r}")
            if box.rank < 0:
                raise error("distributed-misuse", where=shown(box.name), found=f"the rank {box.rank}")
            given[box.role, box.name].append(box)
        sound = [one for key, found in given.items() for one in _sound(known[key], key, found, limits)]
        own: defaultdict[tuple[str, int], list[Box]] = defaultdict(list)
        for box in sound:
            own[box.role, box.rank].append(box)
        made: dict[str, list[_Part]] = {role: [] for role in _ROLES}
        for (role, _), found in sorted(own.items(), key=lambda item: item[0]):
            made[role] += _shards(found, known, shard_size, limits)
        parts = {
            name: part for role in _ROLES for name, part in zip(_names(role, len(made[role])), made[role], strict=True)
        }
        if len(parts) > limits.parts:
            raise error("limit-parts", where="a distributed save", found=f"{len(parts)} data parts")
        return cls(parts)

    @property
    def ranks(self) -> list[int]:
        """The processes that write something, in order."""
        return sorted({part.rank for part in self.by_name.values()})

    def parts(self, rank: int) -> dict[str, list[Box]]:
        """The data parts of one process: name -> boxes in writing order."""
        return {name: list(part.boxes) for name, part in self.by_name.items() if part.rank == rank}

    def boxes(self, rank: int) -> list[Box]:
        """The boxes of one process."""
        return [box for boxes in self.parts(rank).values() for box in boxes]

    def for_rank(self, rank: int) -> GlobalPlan:
        """What one process needs of the plan."""
        return GlobalPlan({name: part for name, part in self.by_name.items() if part.rank == rank})

    def to_json(self) -> dict[str, Any]:
        """The plan as a JSON tree."""
        return {
            name: {
                "rank": part.rank,
                "boxes": [
                    [box.name, dtype, None if box.offset is None else list(box.offset), list(box.shape)]
                    for box, dtype in zip(part.boxes, part.dtypes, strict=True)
                ],
            }
            for name, part in self.by_name.items()
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> GlobalPlan:
        """The plan of such a tree, which a process of the same run made."""
        parts = {}
        for name, node in tree.items():
            rank, role = node["rank"], _role(name)
            boxes = tuple(
                Box(role, tensor, None if offset is None else tuple(offset), tuple(shape), rank)
                for tensor, _, offset, shape in node["boxes"]
            )
            parts[name] = _Part(rank, role, boxes, tuple(item[1] for item in node["boxes"]))
        return cls(parts)


@dataclass(frozen=True, slots=True)
class RankResult:
    """What one process wrote.

    Attributes:
        rank: who.
        parts: planned name of a data part -> what became of it.
        extra: what the place wants the coordinator to know, a JSON tree.
    """

    rank: int
    parts: Mapping[str, WrittenPart]
    extra: Any = None

    def to_json(self) -> dict[str, Any]:
        """The result as a JSON tree."""
        return {
            "rank": self.rank,
            "parts": {name: part.to_json() for name, part in self.parts.items()},
            "extra": self.extra,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> RankResult:
        """The result of such a tree."""
        parts = {name: WrittenPart.from_json(part) for name, part in tree["parts"].items()}
        return cls(tree["rank"], parts, tree["extra"])


def write_rank(
    plan: GlobalPlan,
    rank: int,
    fetch: Callable[[Box], Array],
    place: Place,
    progress: Progress | None = None,
    *,
    skip: Collection[Box] = (),
    resident: Callable[[Box], bool] = lambda _: False,
) -> RankResult:
    """Write the data parts of one process; they are durable when this returns.

    Args:
        plan: the plan, or the part of it that is this process's own.
        rank: this process.
        fetch: gives the elements of a box, of the planned dtype and shape; asked once for each, in writing order.
        place: where, the same for all.
        progress: called as (part name, bytes done, bytes in all) of this process.
        skip: boxes not to write, since the skeleton at the commit will not have their tensors.
        resident: of a box with elements, whether `fetch` gives them where they are, so that they take no memory and
            many may wait to be written.

    Raises:
        UsageError: ``tensor-promise``, another dtype or shape than planned.
        StorageError: ``storage-failed``.
    """
    planned: dict[str, DataPlan] = {}
    for name, part in plan.for_rank(rank).by_name.items():
        pairs = [pair for pair in zip(part.boxes, part.dtypes, strict=True) if pair[0] not in skip]
        items = [_item(box, dtype, _fetched(box, dtype, fetch, resident)) for box, dtype in pairs]
        if items:
            planned[name] = DataPlan({name: items})
    total = sum(one.nbytes for one in planned.values())
    done = 0
    parts: dict[str, WrittenPart] = {}
    with place.parts_writer() as writer:
        for name, data in sorted(planned.items()):
            own = getattr(writer, "write_data", partial(write_data, writer=writer))
            written = own(data, progress=progress, done=done, total=total)
            parts[name] = WrittenPart.of(written.entries[name], written.digests)
            done += data.nbytes
        writer.commit()
    return RankResult(rank, parts, place.said(writer))


def _item(box: Box, dtype: str, source: Lazy) -> Item:
    size = dtypes.byte_size(dtype, box.shape)
    return Item(box.name, box.stored, dtype, Piece(box.offset, box.shape, source), size)


def _fetched(
    box: Box, dtype: str, fetch: Callable[[Box], Array], resident: Callable[[Box], bool] = lambda _: False
) -> Lazy:
    """The elements of a box when they are asked for."""
    # The framework's memory does not change during a save, and is not copied for it.
    if 0 in box.shape:
        return Lazy(dtype, box.shape, partial(np.empty, box.shape, dtypes.by_name(dtype, "").numpy), fixed=True)
    load: Callable[[], Array] = partial(fetch, box)
    return Lazy(dtype, box.shape, load, fixed=True, view=load if resident(box) else None)


def commit(
    plan: GlobalPlan,
    skeleton: Model,
    results: Sequence[RankResult],
    place: Place,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> str:
    """Write documents and manifest over the data that every process has written, and put the whole in its place.

    Args:
        plan: the whole plan.
        skeleton: the model with the same tensors, or fewer of them where boxes were skipped; everything else as it is
            to be stored. Its tensors are given the pieces that the plan has for them.
        results: of all processes that have parts in the plan.
        place: the coordinator's.
        limits: the limits in force.

    Returns:
        The identity of the artifact.

    Raises:
        UsageError: ``distributed-misuse``; ``distributed-incomplete``, a process or a box is not there.
        IntegrityError: ``part-missing``, ``part-size``, data that was said to be written and is not.
        RejectError: the model breaks a clause of SPEC.md.
        StorageError: the target cannot be written; what was there is as it was.
    """
    known = _physical(skeleton)
    said = _by_part(plan, results)
    pieces: dict[tuple[str, str], list[Piece]] = {key: [] for key in known}
    names: dict[str, str] = {}
    for role in _ROLES:
        found = [name for name, part in plan.by_name.items() if part.role == role and name in said]
        names |= dict(zip(found, _names(role, len(found)), strict=True))
    laid: dict[str, dict[str, list[Item]]] = {role: {} for role in _ROLES}
    for name, part in plan.by_name.items():
        unplanned = set(said[name].digests) if name in said else set()
        for box, dtype in zip(part.boxes, part.dtypes, strict=True):
            there, wanted = box.stored in unplanned, (part.role, box.name) in known
            if there != wanted:
                what = "was not written" if wanted else "was written for no tensor of the model"
                raise error("distributed-incomplete", where=f"{name}, tensor {shown(box.stored)}", found=what)
            if there:
                unplanned.remove(box.stored)
                item = _item(box, dtype, _fetched(box, dtype, _elsewhere))
                laid[part.role].setdefault(names[name], []).append(item)
                pieces[part.role, box.name].append(item.piece)
        if unplanned:
            raise error("distributed-incomplete", where=name, found=f"the unplanned tensor {shown(min(unplanned))}")
    for key, tensor in known.items():
        if not pieces[key]:
            raise error("distributed-incomplete", where=shown(key[1]), found="no box of the plan is of this tensor")
        tensor.pieces = tuple(sorted(pieces[key], key=lambda piece: piece.offset or ()))
    plans = {document.name: DataPlan(laid.get(document.role, {})) for document, _ in skeleton.documents()}
    written = Written(
        {names[name]: part for name, part in said.items()}, names, {one.rank: one.extra for one in results}
    )
    return place.commit(skeleton, plans, written, limits)


def _elsewhere(box: Box) -> Array:
    raise error("distributed-misuse", where=shown(box.stored), found="a look at elements that another process has")


def _by_part(plan: GlobalPlan, results: Sequence[RankResult]) -> dict[str, WrittenPart]:
    """What was written of each planned part, by whom it was planned."""
    counts = Counter(result.rank for result in results)
    twice = [rank for rank, count in counts.items() if count > 1]
    lacking = set(plan.ranks) - counts.keys()
    if twice or lacking:
        found = f"two results of rank {min(twice)}" if twice else f"no result of rank {min(lacking)}"
        raise error("distributed-incomplete", found=found)
    said: dict[str, WrittenPart] = {}
    for result in results:
        for name, part in result.parts.items():
            if name not in plan.by_name or plan.by_name[name].rank != result.rank:
                raise error("distributed-incomplete", where=shown(name), found=f"a part that rank {result.rank} wrote")
            digest.parse(part.header_digest, name)
            said[name] = part
    return said


def _physical(model: Model) -> dict[tuple[str, str], Tensor]:
    """The plain tensors of a model by role and name, in writing order."""
    return {(role, name): plain for role, key, tensor in model.stored_tensors() for name, plain in tensor.physical(key)}


def _sound(tensor: Tensor, key: tuple[str, str], boxes: list[Box], limits: Limits) -> list[Box]:
    """The boxes of one tensor as they are written, in order."""
    role, name = key
    where = f"{role}, {shown(name)}"
    shape = tensor.shape
    if 0 in shape and boxes:
        return [Box(role, name, None, shape, min(box.rank for box in boxes))]
    spans = [(box.offset or (0,) * len(shape), box.shape) for box in boxes if 0 not in box.shape]
    check_cover(shape, spans, where, limits)
    if len(spans) == 1:
        return [Box(role, name, None, shape, next(box.rank for box in boxes if 0 not in box.shape))]
    full = [Box(role, name, box.offset or (0,) * len(shape), box.shape, box.rank) for box in boxes]
    return sorted((box for box in full if 0 not in box.shape), key=lambda box: box.offset or ())


def _shards(
    boxes: Sequence[Box], known: Mapping[tuple[str, str], Tensor], shard_size: int | None, limits: Limits
) -> list[_Part]:
    """The data parts of one process and document (W-24, W-25)."""
    role, rank = boxes[0].role, boxes[0].rank
    kinds = [known[role, box.name].dtype for box in boxes]
    sources = [_fetched(box, dtype, _elsewhere) for box, dtype in zip(boxes, kinds, strict=True)]
    tensors = [
        (box.name, Tensor(dtype, box.shape, pieces=(Piece(box.offset, box.shape, source),)))
        for box, dtype, source in zip(boxes, kinds, sources, strict=True)
    ]
    by_name = {box.stored: (box, dtype) for box, dtype in zip(boxes, kinds, strict=True)}
    laid = plan_data(role, tensors, shard_size, limits)
    shards = [[by_name[item.stored] for item in items] for _, items in sorted(laid.shards.items())]
    return [_Part(rank, role, tuple(box for box, _ in own), tuple(dtype for _, dtype in own)) for own in shards]


def _names(role: str, count: int) -> list[str]:
    if count == 1:
        return [f"{role}.safetensors"]
    return [f"{role}-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def _role(part: str) -> str:
    return part.removesuffix(".safetensors").partition("-")[0]
