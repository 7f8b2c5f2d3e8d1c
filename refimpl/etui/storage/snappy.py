"""Decompressing raw snappy, which the tables of TensorFlow may use for their blocks.

The form is that of https://github.com/google/snappy/blob/main/format_description.txt.
"""

from __future__ import annotations

from etui.errors import error
from etui.storage.protobuf import read_varint

# A copy of 3 bytes gives 64: nothing that snappy writes grows by more.
_RATIO = 22


def decompress(data: bytes, where: str, limit: int) -> bytes:
    """The decompressed bytes.

    Args:
        data: one raw snappy stream.
        where: names the place in errors.
        limit: decompressed bytes at most.

    Raises:
        MalformedError: ``bundle-index``, the stream does not decode to the length that it declares.
        LimitError: ``limit-foreign``; nothing is allocated.
    """
    size, at = read_varint(data, 0, len(data), where)
    if size > limit:
        raise error("limit-foreign", where=where, found=f"a block of {size} bytes")
    if size > _RATIO * len(data):
        raise _bad(where, f"{len(data)} bytes that declare {size}")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        kind, at = tag & 3, at + 1
        length = (tag >> 2) + 1
        if kind == 0:
            if length > 60:
                width = length - 60
                length = int.from_bytes(data[at : at + width], "little") + 1
                at += width
            if at + length > len(data):
                raise _bad(where, "a literal beyond the end")
            out += data[at : at + length]
            at += length
        else:
            width = (0, 1, 2, 4)[kind]
            if at + width > len(data):
                raise _bad(where, "a copy beyond the end")
            offset = int.from_bytes(data[at : at + width], "little")
            at += width
            if kind == 1:
                length = (tag >> 2 & 7) + 4
                offset |= tag >> 5 << 8
            _copy(out, offset, length, where)
        if len(out) > size:
            break
    if len(out) != size:
        raise _bad(where, f"another length than the declared {size}")
    return bytes(out)


def _copy(out: bytearray, offset: int, length: int, where: str) -> None:
    """Append `length` bytes from `offset` before the end, which may reach into themselves."""
    if not 0 < offset <= len(out):
        raise _bad(where, f"a copy from {offset} bytes back")
    start = len(out) - offset
    if length > offset:
        pattern = bytes(out[start:])
        out += (pattern * (length // offset + 1))[:length]
    else:
        out += out[start : start + length]


def _bad(where: str, found: str) -> Exception:
    return error("bundle-index", where=where, found=f"snappy, {found}")
