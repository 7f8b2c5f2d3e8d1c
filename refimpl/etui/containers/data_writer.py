"""Data parts on the writing side: layout, shards, and each tensor's digest in the same pass (SPEC.md chapter 12.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from json.encoder import encode_basestring
from typing import NamedTuple

from etui import digest, dtypes
from etui.containers.cover import Shape
from etui.containers.data_parts import Chunk, check_bools
from etui.containers.manifest import SAFETENSORS, PartEntry
from etui.containers.marks import mark, replaced
from etui.containers.pieces import Array, Held, Lazy, Piece, Source, Stored, raw_bytes
from etui.containers.tensors import Tensor
from etui.errors import error
from etui.garbage import no_garbage
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import SLICE_BYTES, ArtifactWriter, Buffer
from etui.storage.digesting import INLINE_BYTES, Digesting
from etui.storage.safetensors import plan
from etui.storage.writing import slices

Progress = Callable[[str, int, int], None]

# An upper bound of what a tensor adds to a header beside its name (W-25).
_HEADER_PER_TENSOR = 128
_HEADER_PER_DIMENSION = 20


# Small tensors are put together to about this size before they are written.
_GATHERED_BYTES = 1024 * 1024


class Item(NamedTuple):
    """A piece of a tensor on its way into a data part.

    Attributes:
        tensor: the physical tensor.
        stored: its name in the data part, which no other of the document has.
        dtype, piece: its dtype, box and elements.
        nbytes: bytes of the elements.
    """

    tensor: str
    stored: str
    dtype: str
    piece: Piece
    nbytes: int


class Rehearsal(NamedTuple):
    """What is known of a document's tensors before they are written.

    Attributes:
        placed: physical tensor -> its chunks in order, with marks in place of the digests.
        entries: data part -> its manifest entry, of no bytes.
    """

    placed: dict[str, tuple[Chunk, ...]]
    entries: dict[str, PartEntry]


@dataclass(slots=True)
class WrittenData:
    """What became of a document's tensors.

    Attributes:
        digests: name in the data parts -> digest of the tensor's bytes.
        entries: data part -> its manifest entry.
    """

    digests: dict[str, str] = field(default_factory=dict)
    entries: dict[str, PartEntry] = field(default_factory=dict)


@dataclass(slots=True)
class DataPlan:
    """The data parts that a document's tensors will make: part name -> tensors, in shard order."""

    shards: dict[str, list[Item]]

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
    items = list(_items(tensors))
    # Of most models, one shard holds everything: that is found out for all tensors at once.
    single = shard_size is None and _header_bytes(items) <= limits.safetensors_header_bytes
    shards = [items] if single and items else _shards(items, shard_size, limits)
    if len(shards) < 2:
        return DataPlan({f"{base}.safetensors": shard for shard in shards})
    total = len(shards)
    return DataPlan(
        {f"{base}-{number:05d}-of-{total:05d}.safetensors": shard for number, shard in enumerate(shards, 1)}
    )


def _shards(items: Iterable[Item], shard_size: int | None, limits: Limits) -> list[list[Item]]:
    shards: list[list[Item]] = []
    room = header_room = 0
    for item in items:
        header_bytes = _header_bytes([item])
        room -= item.nbytes if shard_size is not None else 0
        header_room -= header_bytes
        if not shards or room < 0 or header_room < 0:
            shards.append([])
            room = (shard_size or 0) - (item.nbytes if shard_size is not None else 0)
            header_room = limits.safetensors_header_bytes - header_bytes
        shards[-1].append(item)
    return shards


def _header_bytes(items: Sequence[Item]) -> int:
    """The bound of W-25 for tensors in one shard."""
    # Each character is escaped for itself, so that the names may be so together.
    names = encode_basestring("".join([item.stored for item in items])).encode("utf-8", "surrogatepass")
    dimensions = sum([len(item.piece.shape) for item in items])
    return len(names) - 2 + len(items) * (2 + _HEADER_PER_TENSOR) + dimensions * _HEADER_PER_DIMENSION


@no_garbage()
def rehearse(data: DataPlan) -> Rehearsal:
    """What `write_data` will give as far as it is known before, for a check of the documents."""
    placed: dict[str, tuple[Chunk, ...]] = {}
    boxes: dict[str, list[Chunk]] = {}
    numbers = count()
    for part, items in data.shards.items():
        for item, number in zip(items, numbers, strict=False):
            offset, shape, _ = item.piece
            if offset is None:
                placed[item.tensor] = (Chunk(part, item.stored, mark(number)),)
            else:
                boxes.setdefault(item.tensor, []).append(Chunk(part, item.stored, mark(number), offset, shape))
    entries = {
        part: PartEntry("data", SAFETENSORS, 0, header_size=0, header_digest=digest.of(b"")) for part in data.shards
    }
    # Those of one tensor may be in parts of several processes, in another order than that of W-8.
    chunks = {name: tuple(sorted(found, key=lambda chunk: chunk.offset or ())) for name, found in boxes.items()}
    return Rehearsal(placed | chunks, entries)


def complete(content: bytes, data: DataPlan, written: WrittenData) -> bytes:
    """The bytes of a document that was encoded for a rehearsal, with the digests of what was written since."""
    digests = [written.digests[item.stored] for items in data.shards.values() for item in items]
    return replaced(content, digests.__getitem__)


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
    digests = written.digests

    def found(item: Item, value: str) -> None:
        digests[item.stored] = value
        source = item.piece.source
        if isinstance(source, Stored) and value != source.chunk.digest:
            # Also where the caller reads without checks: damage never gets a digest of its own.
            raise error("digest-mismatch", where=source.place, found=f"{value}, not {source.chunk.digest}")

    with Digesting(found) as digesting:
        for part, items in sorted(data.shards.items()):
            layout = plan([(item.stored, item.dtype, item.piece.shape) for item in items])
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
    return written


def _counted(buffers: Iterable[Buffer], part: str, progress: Progress, done: int, total: int) -> Iterator[Buffer]:
    for buffer in buffers:
        yield buffer
        done += len(buffer)
        del buffer  # see `slices`
        progress(part, max(done, 0), total)


def _items(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[Item]:
    sizes: dict[tuple[str, Shape], int] = {}  # models repeat a few shapes many times
    for name, tensor in tensors:
        for physical, plain in tensor.physical(name) if tensor.encoding is not None else ((name, tensor),):
            dtype = plain.dtype
            for piece in plain.pieces:
                offset, shape, _ = piece
                nbytes = sizes.get((dtype, shape))
                if nbytes is None:
                    nbytes = sizes[dtype, shape] = dtypes.byte_size(dtype, shape)
                stored = physical if offset is None else f"{physical}@{','.join(map(str, offset))}"
                yield Item(physical, stored, dtype, piece, nbytes)


def _buffers(header: bytes, items: Iterable[Item], digesting: Digesting[Item]) -> Iterator[Buffer]:
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


def _large(item: Item, digesting: Digesting[Item]) -> Iterator[memoryview]:
    source = item.piece.source
    array = in_place(source)
    made = array is None and isinstance(source, Lazy)
    if made:
        digesting.make_room(item.nbytes)
    raw = raw_bytes(source.array() if array is None else array)
    if item.dtype == "bool":
        check_bools(raw, item.stored)
    digesting.add(item, raw, copied=made)
    passing = isinstance(source, Lazy) and not source.fixed
    if passing:
        digesting.begin()
    if item.nbytes <= SLICE_BYTES:
        yield raw
    else:
        yield from slices([raw])
    if passing:
        # Its callable may give the same memory with other elements the next time.
        del raw
        digesting.finish()


def in_place(source: Source) -> Array | None:
    """Elements that lie in memory anyway, as they are written; `None` where they have to be made."""
    if isinstance(source, Held):
        return source.values
    if isinstance(source, Lazy) and source.fixed and source.view is not None:
        array = source.look()
        return array if array.flags.c_contiguous and array.dtype.byteorder != ">" else None
    return None
