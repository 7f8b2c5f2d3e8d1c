"""Data parts on the writing side: layout, shards, and each tensor's digest in the same pass (SPEC.md chapter 12.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring

from etui import digest, dtypes
from etui.containers.data_parts import Chunk, check_bools
from etui.containers.manifest import SAFETENSORS, PartEntry
from etui.containers.tensors import Lazy, Piece, Stored, Tensor, raw_bytes
from etui.errors import error
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ArtifactWriter, Buffer
from etui.storage.digesting import INLINE_BYTES, Digesting
from etui.storage.safetensors import TensorSpec, plan
from etui.storage.writing import slices

Progress = Callable[[str, int, int], None]

# An upper bound of what a tensor adds to a header beside its name (W-25).
_HEADER_PER_TENSOR = 128
_HEADER_PER_DIMENSION = 20


# Small tensors are put together to about this size before they are written.
_GATHERED_BYTES = 1024 * 1024


@dataclass(slots=True)
class _Item:
    tensor: str
    stored: str
    dtype: str
    piece: Piece
    nbytes: int

    @property
    def header_bytes(self) -> int:
        name = len(encode_basestring(self.stored).encode("utf-8", "surrogatepass"))
        return name + _HEADER_PER_TENSOR + _HEADER_PER_DIMENSION * len(self.piece.shape)


@dataclass(slots=True)
class WrittenData:
    """What became of a document's tensors.

    Attributes:
        placed: physical tensor -> its chunks in order.
        entries: data part -> its manifest entry.
    """

    placed: dict[str, tuple[Chunk, ...]] = field(default_factory=dict)
    entries: dict[str, PartEntry] = field(default_factory=dict)


@dataclass(slots=True)
class DataPlan:
    """The data parts that a document's tensors will make: part name -> tensors, in shard order."""

    shards: dict[str, list[_Item]]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(item.nbytes for items in self.shards.values() for item in items)


@no_garbage()
def plan_data(
    base: str, tensors: Iterable[tuple[str, Tensor]], shard_size: int | None, limits: Limits = DEFAULT_LIMITS
) -> DataPlan:
    """Lay out a document's tensors; nothing is read.

    Args:
        base: name of the document without its extension.
        tensors: names and tensors in writing order.
        shard_size: bytes of data in one shard at most (W-24); `None` for one data part, unless its header would be
            too large (W-25).
        limits: the limits in force.
    """
    shards: list[list[_Item]] = []
    room = header_room = 0
    for item in _items(tensors):
        room -= item.nbytes if shard_size is not None else 0
        header_room -= item.header_bytes
        if not shards or room < 0 or header_room < 0:
            shards.append([])
            room = (shard_size or 0) - (item.nbytes if shard_size is not None else 0)
            header_room = limits.safetensors_header_bytes - item.header_bytes
        shards[-1].append(item)
    if len(shards) < 2:
        return DataPlan({f"{base}.safetensors": shard for shard in shards})
    total = len(shards)
    return DataPlan(
        {f"{base}-{number:05d}-of-{total:05d}.safetensors": shard for number, shard in enumerate(shards, 1)}
    )


def rehearse(data: DataPlan) -> WrittenData:
    """What `write_data` will give, with digests of nothing: for a check of the documents before the data is written."""
    stand_in = digest.of(b"")
    digests = {item.stored: stand_in for items in data.shards.values() for item in items}
    entries = {part: PartEntry("data", SAFETENSORS, 0, header_size=0, header_digest=stand_in) for part in data.shards}
    return WrittenData(_placed(data, digests), entries)


def write_data(
    data: DataPlan, writer: ArtifactWriter, progress: Progress | None = None, done: int = 0, total: int = 0
) -> WrittenData:
    """Write planned data parts, one tensor in memory at a time, and note each tensor's place and digest.

    Args:
        data: the plan.
        writer: takes the parts.
        progress: called as (part name, bytes done, bytes in all).
        done: bytes that were done before.
        total: bytes in all.
    """
    written = WrittenData()
    digests: dict[str, str] = {}

    def found(item: _Item, value: str) -> None:
        digests[item.stored] = value
        source = item.piece.source
        if isinstance(source, Stored) and value != source.chunk.digest:
            # Also where the caller reads without checks: damage never gets a digest of its own.
            raise error("digest-mismatch", where=source.place, found=f"{value}, not {source.chunk.digest}")

    with Digesting(found) as digesting:
        for part, items in sorted(data.shards.items()):
            layout = plan(TensorSpec(item.stored, item.dtype, item.piece.shape) for item in items)
            by_name = {item.stored: item for item in items}
            header = layout.header
            buffers = _buffers(header, [by_name[name] for name in layout.entries], digesting)
            if progress is not None:
                buffers = _counted(buffers, part, progress, done - len(header), total)
            writer.write(part, "data", layout.size, buffers)
            done += layout.size - len(header)
            written.entries[part] = PartEntry(
                "data", SAFETENSORS, layout.size, header_size=len(header), header_digest=digest.of(header)
            )
        digesting.finish()
    written.placed = _placed(data, digests)
    return written


@no_garbage()
def _placed(data: DataPlan, digests: Mapping[str, str]) -> dict[str, tuple[Chunk, ...]]:
    placed: dict[str, tuple[Chunk, ...]] = {}
    boxes: dict[str, list[Chunk]] = {}
    for part, items in data.shards.items():
        for item in items:
            offset, shape, _ = item.piece
            if offset is None:
                placed[item.tensor] = (Chunk(part, item.stored, digests[item.stored]),)
            else:
                boxes.setdefault(item.tensor, []).append(Chunk(part, item.stored, digests[item.stored], offset, shape))
    return placed | {name: tuple(found) for name, found in boxes.items()}


def _counted(buffers: Iterable[Buffer], part: str, progress: Progress, done: int, total: int) -> Iterator[Buffer]:
    for buffer in buffers:
        yield buffer
        done += len(buffer)
        del buffer  # see `slices`
        progress(part, max(done, 0), total)


def _items(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[_Item]:
    for name, tensor in tensors:
        for physical, plain in tensor.physical(name):
            for piece in plain.pieces:
                at = "" if piece.offset is None else f"@{','.join(map(str, piece.offset))}"
                yield _Item(physical, physical + at, plain.dtype, piece, dtypes.byte_size(plain.dtype, piece.shape))


def _buffers(header: bytes, items: Iterable[_Item], digesting: Digesting[_Item]) -> Iterator[Buffer]:
    """The bytes of a data part: small tensors put together, large ones in slices."""
    yield header
    small: list[bytes] = []
    gathered = 0
    for item in items:
        if item.nbytes <= INLINE_BYTES:
            data = item.piece.source.array().tobytes()
            if item.dtype == "bool":
                check_bools(memoryview(data), item.stored)
            digesting.add(item, data)
            small.append(data)
            gathered += item.nbytes
        if gathered >= _GATHERED_BYTES or (small and item.nbytes > INLINE_BYTES):
            yield b"".join(small)
            small, gathered = [], 0
        if item.nbytes > INLINE_BYTES:
            yield from _large(item, digesting)
    if small:
        yield b"".join(small)


def _large(item: _Item, digesting: Digesting[_Item]) -> Iterator[memoryview]:
    source = item.piece.source
    made = isinstance(source, Lazy)
    if made:
        digesting.make_room(item.nbytes)
    raw = raw_bytes(source.array())
    if item.dtype == "bool":
        check_bools(raw, item.stored)
    digesting.add(item, raw, copied=made)
    yield from slices([raw])
    if isinstance(source, Lazy) and not source.fixed:
        # Its callable may give the same memory with other elements the next time.
        del raw
        digesting.finish()
