"""Where the raw bytes of an HDF5 dataset lie, and how they become elements, without libhdf5's own decoders."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui.errors import error
from etui.storage.base import Buffer, ByteSource

DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3
_CHUNKS = 1 << 22
_BEAT_CHUNKS = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """One stored chunk: the index of its first element, the place of its bytes, and the filters that were skipped."""

    first: tuple[int, ...]
    start: int
    size: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Storage of one dataset.

    Attributes:
        start: of the one run of bytes of a contiguous dataset, else `None`.
        compact: bytes that lay inside of the object header, else `None`.
        chunk_shape, chunks, filters: of a chunked dataset; filters in the order in which they were applied.
        stored_bytes: bytes that are in the file.
        inflated: bytes that they become.
    """

    stored_bytes: int
    inflated: int
    start: int | None = None
    compact: bytes | None = None
    chunk_shape: tuple[int, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    filters: tuple[int, ...] = ()

    def extents(self) -> Iterator[tuple[int, int]]:
        """Start and size of each run of bytes in the file."""
        if self.start is not None:
            yield self.start, self.stored_bytes
        for chunk in self.chunks:
            yield chunk.start, chunk.size


def scan_layout(
    item: Any,
    shape: Sequence[int],
    width: int,
    file_size: int,
    where: str,
    *,
    beat: Callable[[], None] = lambda: None,
) -> Layout:
    """The layout of an `h5py.h5d.DatasetID`, checked against the file's size.

    Args:
        item: the dataset.
        shape: its shape.
        width: bytes of one element.
        file_size: bytes of the file.
        where: the place, for messages.
        beat: called every now and then, to show that there is progress.

    Raises:
        UnsafeError: ``hdf5-external``, the elements are in other files.
        InvalidError: ``hdf5-unstored``, elements are declared that are not stored.
        UnsupportedError: ``hdf5-filter``.
    """
    from h5py import h5d

    plan = item.get_create_plist()
    nbytes = int(np.prod(shape, dtype=object)) * width
    kind = plan.get_layout()
    if plan.get_external_count() or kind == h5d.VIRTUAL:
        raise error("hdf5-external", where=where, found="elements that are in other files")
    if nbytes == 0:
        return Layout(0, 0, compact=b"")
    if kind == h5d.CHUNKED:
        return _scan_chunks(item, tuple(shape), width, file_size, where, beat=beat)
    stored = item.get_storage_size()
    if stored != nbytes:
        raise error("hdf5-unstored", where=where, found=f"{stored} of {nbytes} bytes")
    if kind == h5d.COMPACT:
        buffer = np.empty(tuple(shape), np.dtype(f"V{width}"))
        item.read(_all(), _all(), buffer, mtype=item.get_type())
        return Layout(nbytes, nbytes, compact=buffer.tobytes())
    start = item.get_offset()
    if start is None or start + nbytes > file_size:
        raise error("hdf5-unstored", where=where, found=f"{nbytes} bytes at {start} in a file of {file_size}")
    return Layout(nbytes, nbytes, start=int(start))


def _all() -> Any:
    from h5py import h5s

    return h5s.ALL


def _scan_chunks(
    item: Any, shape: tuple[int, ...], width: int, file_size: int, where: str, *, beat: Callable[[], None]
) -> Layout:
    plan = item.get_create_plist()
    filters = tuple(plan.get_filter(index)[0] for index in range(plan.get_nfilters()))
    if len(set(filters)) != len(filters) or not set(filters) <= {DEFLATE, SHUFFLE, FLETCHER32}:
        raise error("hdf5-filter", where=where, found=f"filters {list(filters)}")
    chunk_shape = tuple(int(size) for size in plan.get_chunk())
    counts = [-(-size // step) for size, step in zip(shape, chunk_shape, strict=True)]
    expected = int(np.prod(counts, dtype=object))
    stored = item.get_num_chunks()
    if stored != expected or expected > _CHUNKS:
        raise error("hdf5-unstored", where=where, found=f"{stored} of {expected} chunks")
    chunks: list[Chunk] = []

    def take(info: Any) -> None:
        chunks.append(Chunk(tuple(info.chunk_offset), info.byte_offset, info.size, info.filter_mask))
        if len(chunks) % _BEAT_CHUNKS == 0:
            beat()

    item.chunk_iter(take)
    chunk_bytes = int(np.prod(chunk_shape, dtype=object)) * width
    grid = {tuple(step * at for step, at in zip(chunk_shape, index, strict=True)) for index in np.ndindex(*counts)}
    for chunk in chunks:
        if chunk.start + chunk.size > file_size or (not filters and chunk.size != chunk_bytes):
            found = f"{chunk.size} bytes at {chunk.start} for a chunk of {chunk_bytes}"
            raise error("hdf5-unstored", where=where, found=found)
    if {chunk.first for chunk in chunks} != grid or len(chunks) != expected:
        raise error("hdf5-unstored", where=where, found="chunks that do not cover the dataset")
    total = sum(chunk.size for chunk in chunks)
    return Layout(total, expected * chunk_bytes, chunk_shape=chunk_shape, chunks=tuple(chunks), filters=filters)


def read_elements(
    source: ByteSource, layout: Layout, stored: np.dtype[Any], shape: tuple[int, ...], path: str
) -> np.ndarray[Any, Any]:
    """The elements of a dataset as a C-contiguous little-endian array.

    Args:
        source: the file.
        layout: of the dataset, as `scan_layout` gives it.
        stored: dtype of the stored bytes, in their byte order.
        shape: shape of the dataset.
        path: of the dataset, for messages.

    Raises:
        MalformedError: ``hdf5-syntax``.
    """
    if layout.chunk_shape:
        # Nothing is copied that need not be, since a chunk may be as large as its dataset.
        fetch = source.read if layout.filters else source.view
        array = np.empty(shape, stored.newbyteorder("<"))
        for chunk in layout.chunks:
            data = _decode(fetch(chunk.start, chunk.size), chunk, layout, stored.itemsize, path)
            box = tuple(slice(at, at + size) for at, size in zip(chunk.first, layout.chunk_shape, strict=True))
            target = array[box]
            whole = np.frombuffer(data, stored).reshape(layout.chunk_shape)
            del data
            target[...] = whole[tuple(slice(0, size) for size in target.shape)]
            del whole
    elif layout.start is None:
        array = np.frombuffer(layout.compact or b"", stored).reshape(shape)
    else:
        array = np.frombuffer(source.view(layout.start, layout.stored_bytes), stored).reshape(shape)
    return array.astype(stored.newbyteorder("<"), copy=False)


def _decode(data: Buffer, chunk: Chunk, layout: Layout, width: int, path: str) -> Buffer:
    size = int(np.prod(layout.chunk_shape)) * width
    where = f"/{path}, chunk {list(chunk.first)}"
    for index in reversed(range(len(layout.filters))):
        if chunk.skipped >> index & 1:
            continue
        kind = layout.filters[index]
        if kind == FLETCHER32:
            data, sum_ = data[:-4], data[-4:]
            if int.from_bytes(sum_, "little") != fletcher32(data):
                raise error("hdf5-syntax", where=where, found="a wrong checksum")
        elif kind == DEFLATE:
            data = _inflate(data, size + 4, where)
        elif len(data) == size:
            data = np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()
    if len(data) != size:
        raise error("hdf5-syntax", where=where, found=f"{len(data)} bytes in place of {size}")
    return data


def _inflate(data: Buffer, most: int, where: str) -> bytes:
    """Inflate at most `most` bytes: four more than a chunk has, for a checksum that was taken first."""
    inflater = zlib.decompressobj()
    try:
        out = inflater.decompress(data, most)
    except zlib.error as reason:
        raise error("hdf5-syntax", where=where, found=str(reason)) from None
    if inflater.unconsumed_tail or not inflater.eof:
        raise error("hdf5-syntax", where=where, found=f"compressed bytes that do not end after {most}")
    return out


def fletcher32(data: Buffer) -> int:
    """The checksum of HDF5's filter of this name: two sums modulo 65,535 over big-endian 16-bit words."""
    words = np.frombuffer(bytes(data) + b"\0" * (len(data) % 2), ">u2")
    low = high = 0
    for start in range(0, len(words), 1 << 16):
        part = words[start : start + (1 << 16)].astype(np.int64)
        high = int((high + low * len(part) + part @ np.arange(len(part), 0, -1)) % 65535)
        low = int((low + part.sum()) % 65535)
    return high << 16 | low
