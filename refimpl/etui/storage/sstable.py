"""Sorted string tables as TensorFlow's bundles have them: sorted keys with values, in checksummed blocks.

    block   entries (shared, unshared and value lengths as varints, the unshared rest of the key, the value),
            restart offsets as uint32, their number as uint32; behind it a type byte and the masked CRC-32C of both
    table   data blocks, a metaindex block, an index block (last key -> place of a data block),
            a footer of 48 bytes: places of the two, padding, magic number

The form is that of TensorFlow's `lib/io/table_format.txt`. Reading checks every byte that is not padding: blocks may
not overlap, keys ascend, and restart offsets lead to whole keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.crc32c import crc32c, masked
from etui.storage.protobuf import read_varint, varint
from etui.storage.snappy import decompress

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER_BYTES = 48
_TRAILER_BYTES = 5
_PLAIN, _SNAPPY = 0, 1
_BLOCK_BYTES = 256 * 1024
# Blocks are of 256 KiB and the entry that fills them, and the largest checkpoints have some ten thousand tensors.
_LARGEST_BLOCK = 16 * 1024 * 1024
_MOST_KEYS = 250_000
_RESTART_INTERVAL = 16


class _Handle(NamedTuple):
    """The place of a block, without its trailer."""

    offset: int
    size: int


def read_table(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[tuple[bytes, bytes]]:
    """Each key with its value, in order.

    Args:
        source: the file.
        where: its name, for errors.
        limits: `document_bytes` bounds the file and what its blocks decompress to, `foreign_objects` the keys; there
            may be 250,000 keys and blocks of 16 MiB at most.

    Raises:
        MalformedError: ``bundle-index``.
        UnsupportedError: ``bundle-compression``.
        IntegrityError: ``bundle-crc``.
        LimitError: ``limit-foreign``.
        MissingExtraError: ``extra-tensorflow``.
    """
    if source.size > limits.document_bytes:
        raise error("limit-foreign", where=where, found=f"an index of {source.size} bytes")
    return _Reader(source, where, limits).table()


class _Reader:
    def __init__(self, source: ByteSource, where: str, limits: Limits) -> None:
        self._source = source
        self._where = where
        self._bytes_left = limits.document_bytes
        self._keys_left = min(limits.foreign_objects, _MOST_KEYS)

    def table(self) -> Iterator[tuple[bytes, bytes]]:
        end = self._source.size - FOOTER_BYTES
        footer = self._source.read(end, FOOTER_BYTES) if end >= 0 else b""
        if not footer.endswith(MAGIC):
            raise self._bad("no magic number at the end")
        metaindex, at = self._handle(footer, 0, end)
        index, _ = self._handle(footer, at, end)
        meta = list(self._block(metaindex))
        if meta:
            raise self._bad(f"a metaindex with {shown(meta[0][0])}")
        after, last = 0, None
        for limit, value in self._block(index):
            handle, _ = self._handle(value, 0, end)
            if handle.offset < after or max(handle.offset, metaindex.offset, index.offset) == handle.offset:
                raise self._bad(f"a block at {handle.offset} that overlaps another")
            after = handle.offset + handle.size + _TRAILER_BYTES
            for key, content in self._block(handle):
                if (last is not None and key <= last) or key > limit:
                    raise self._bad(f"the key {shown(key)} out of order")
                last = key
                yield key, content
        if after > metaindex.offset:
            raise self._bad("a block that reaches into the metaindex")

    def _handle(self, data: bytes, at: int, end: int) -> tuple[_Handle, int]:
        offset, at = self._varint(data, at)
        size, at = self._varint(data, at)
        if offset + size + _TRAILER_BYTES > end:
            raise self._bad(f"a block at {offset} of {size} bytes in a file of {self._source.size}")
        return _Handle(offset, size), at

    def _varint(self, data: bytes, at: int) -> tuple[int, int]:
        if at < len(data) and data[at] < 0x80:
            return data[at], at + 1
        return read_varint(data, at, len(data), self._where)

    def _block(self, handle: _Handle) -> Iterator[tuple[bytes, bytes]]:
        if handle.size > _LARGEST_BLOCK:
            raise error("limit-foreign", where=self._where, found=f"a block of {handle.size} bytes")
        stored = self._source.read(handle.offset, handle.size + _TRAILER_BYTES)
        kind, (expected,) = stored[-5], struct.unpack("<I", stored[-4:])
        if masked(crc32c(stored[:-4])) != expected:
            raise error("bundle-crc", where=self._where, found=f"the block at byte {handle.offset}")
        data = stored[:-_TRAILER_BYTES]
        if kind == _SNAPPY:
            data = decompress(data, self._where, min(self._bytes_left, _LARGEST_BLOCK))
        elif kind != _PLAIN:
            raise error("bundle-compression", where=self._where, found=f"the type {kind}")
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise error("limit-foreign", where=self._where, found="blocks of too many bytes")
        return self._entries(data)

    def _entries(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        (number,) = struct.unpack("<I", data[-4:]) if len(data) >= 4 else (0,)
        end = len(data) - 4 - 4 * number
        if end < 0 or not number:
            raise self._bad(f"a block of {len(data)} bytes with {number} restarts")
        restarts = np.frombuffer(data, "<u4", number, end)
        # An empty block has one restart, which leads to no key.
        met, expected = int(not end and not restarts[0]), int(restarts[0])
        at, key = 0, b""
        while at < end:
            self._keys_left -= 1
            if self._keys_left < 0:
                raise error("limit-foreign", where=self._where, found="an index of too many keys")
            start = at
            shared, at = self._varint(data, at)
            unshared, at = self._varint(data, at)
            size, at = self._varint(data, at)
            if start == expected and not shared and met < number:
                met += 1
                expected = int(restarts[met]) if met < number else end
            if shared > len(key) or at + unshared + size > end:
                raise self._bad(f"an entry at byte {start} of a block that reaches beyond it")
            key = key[:shared] + data[at : at + unshared]
            at += unshared
            yield key, data[at : at + size]
            at += size
        if met < number:
            raise self._bad(f"a restart at {expected}, where no whole key begins")

    def _bad(self, found: str) -> Exception:
        return error("bundle-index", where=self._where, found=found)


def write_table(entries: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The bytes of a table, uncompressed, in pieces.

    Args:
        entries: keys with values, the keys ascending.
    """
    index = _Block(1)
    block, offset, last = _Block(_RESTART_INTERVAL), 0, b""
    for key, value in entries:
        block.add(key, value)
        last = key
        if block.size >= _BLOCK_BYTES:
            stored = block.finish()
            index.add(last, _place(offset, stored))
            yield stored
            offset += len(stored)
            block = _Block(_RESTART_INTERVAL)
    if block.size:
        stored = block.finish()
        index.add(last, _place(offset, stored))
        yield stored
        offset += len(stored)
    meta = _Block(_RESTART_INTERVAL).finish()
    yield meta
    tail = index.finish()
    yield tail
    footer = _place(offset, meta) + _place(offset + len(meta), tail)
    yield footer.ljust(FOOTER_BYTES - len(MAGIC), b"\0") + MAGIC


def _place(offset: int, stored: bytes) -> bytes:
    return varint(offset) + varint(len(stored) - _TRAILER_BYTES)


class _Block:
    """A block in the making."""

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._data = bytearray()
        self._restarts = [0]
        self._count = 0
        self._key = b""

    @property
    def size(self) -> int:
        """Bytes of the entries so far."""
        return len(self._data)

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self._count and self._count % self._interval == 0:
            self._restarts.append(len(self._data))
        elif self._count:
            most = min(len(key), len(self._key))
            while shared < most and key[shared] == self._key[shared]:
                shared += 1
        self._data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        self._count += 1
        self._key = key

    def finish(self) -> bytes:
        data = bytes(self._data) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))
        data += bytes([_PLAIN])
        return data + struct.pack("<I", masked(crc32c(data)))
