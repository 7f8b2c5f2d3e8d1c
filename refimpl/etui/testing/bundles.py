"""Tensor bundles of TensorFlow that are wrong on purpose, and the pieces that they are made of."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etui.storage.crc32c import crc32c, masked
from etui.storage.protobuf import Message, encode, varint
from etui.storage.sstable import FOOTER_BYTES, MAGIC
from etui.storage.tf_bundle_form import DIM, ENTRY, EXTENT, HEADER, SHAPE, SLICE, VERSION

FLOAT = 1


def header(shards: int = 1, **values: Any) -> bytes:
    """The header's entry; `endianness` and `min_consumer` as given."""
    version = Message(VERSION, {"producer": 1, "min_consumer": values.pop("min_consumer", 0)})
    return encode(Message(HEADER, {"num_shards": shards, "version": version} | values))


def entry(data: bytes, shape: Sequence[int], offset: int = 0, **values: Any) -> bytes:
    """The entry of a tensor of float32 with these bytes, with other fields as given."""
    fields = {
        "dtype": FLOAT,
        "shape": Message(SHAPE, {"dim": [Message(DIM, {"size": size}) for size in shape]}),
        "offset": offset,
        "size": len(data),
        "crc32c": masked(crc32c(data)),
    }
    return encode(Message(ENTRY, fields | values))


def slices(*boxes: Sequence[tuple[int, int]]) -> list[Message]:
    """The slices of a partitioned tensor: start and length of each dimension; a length of -1 is left out."""
    return [
        Message(
            SLICE,
            {
                "extent": [
                    Message(EXTENT, {"start": start} | ({"length": length} if length >= 0 else {}))
                    for start, length in box
                ]
            },
        )
        for box in boxes
    ]


def block(entries: Sequence[tuple[bytes, bytes]], *, kind: int = 0, restarts: Sequence[int] = (0,)) -> bytes:
    """A block without shared prefixes, with its trailer; `kind` other than 0 takes `entries` as stored bytes."""
    data = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    return sealed(data + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts)), kind)


def sealed(data: bytes, kind: int = 0) -> bytes:
    """Bytes of a block with the trailer."""
    data += bytes([kind])
    return data + struct.pack("<I", masked(crc32c(data)))


def table(blocks: Sequence[tuple[bytes, bytes]], *, places: Mapping[int, tuple[int, int]] | None = None) -> bytes:
    """An index of blocks with their last keys; `places` overrides what the index says of a block."""
    out, listed = b"", []
    for number, (last, content) in enumerate(blocks):
        offset, size = (places or {}).get(number, (len(out), len(content) - 5))
        listed.append((last, varint(offset) + varint(size)))
        out += content
    return out + tail(len(out), block([]), block(listed))


def tail(offset: int, metaindex: bytes, index: bytes) -> bytes:
    """Metaindex, index and footer behind data blocks of `offset` bytes."""
    footer = varint(offset) + varint(len(metaindex) - 5)
    footer += varint(offset + len(metaindex)) + varint(len(index) - 5)
    return metaindex + index + footer.ljust(FOOTER_BYTES - 8, b"\0") + MAGIC


def simple(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """An index of one block."""
    return table([(entries[-1][0], block(entries))])


def write(prefix: Path, index: bytes, *shards: bytes) -> Path:
    """Write a bundle; gives the path of its index."""
    path = prefix.with_name(prefix.name + ".index")
    path.write_bytes(index)
    for number, data in enumerate(shards):
        prefix.with_name(f"{prefix.name}.data-{number:05}-of-{len(shards):05}").write_bytes(data)
    return path
