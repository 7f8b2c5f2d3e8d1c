"""Arrays in the files of NumPy: `.npy` with one, and `.npz`, a ZIP archive of these.

Nothing is unpickled, and no array is made before its size was checked against the bytes that are there.
"""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.part_names import escape
from etui.storage.sources import mapped_file
from etui.storage.transaction import replace_file
from etui.storage.zip_foreign import ForeignZip, Member, write_zip

Array = npt.NDArray[Any]

_MAGIC = b"\x93NUMPY"
_ZIP = b"PK"
_SUFFIX = ".npy"
_HEADER_BYTES = 10_000  # what NumPy takes from files that are not trusted
_LAST_CHARACTER = 0x10FFFF
_WIDTHS = {b"\x01\x00": 2, b"\x02\x00": 4}  # of the header's length, by the version
# An item of a header: a dtype that is no record, whether the first axis varies fastest, or the shape.
# `~` is for spaces, and `#` for a size.
_SHAPE = r"(~(?:#~,~(?:#~(?:,~#~)*,?~)?)?)"
_VALUE = rf"'([<>|=][biufcSUV][0-9]{{1,9}})'|(True|False)|\({_SHAPE}\)"
_PATTERN = rf"~'(descr|fortran_order|shape)'~:~(?:{_VALUE})~(?:,|(?=\}}))"
_ITEM = _PATTERN.replace("~", "[ ]{0,4}").replace("#", "(?:0|[1-9][0-9]{0,18})")
_ITEMS = re.compile(_ITEM)
_LITERAL = re.compile(rf"\{{(?:{_ITEM}){{3}}[ ]{{0,4}}\}}")


def is_numpy(data: bytes) -> bool:
    """Whether a file that begins so is one of NumPy's."""
    return data.startswith((_MAGIC, _ZIP))


def read_arrays(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Array | dict[str, Array]:
    """The array of an `.npy` file, or those of an `.npz` file by their names; which it is, its content says.

    Arrays may be views of a mapped file. Those of dtypes that NumPy does not know, such as bfloat16, are of raw bytes.

    Raises:
        UsageError: ``run-input-file``, it is neither, or an array is of Python objects, dates or records.
        RejectError: a ``foreign-zip`` code; ``limit-foreign``.
        StorageError: ``storage-failed``.
    """
    where = os.fspath(path)
    source = mapped_file(where)
    try:
        if source.read(0, min(len(_MAGIC), source.size)) == _MAGIC:
            return _array(source, where, limits)
        with ForeignZip(source, where, limits) as archive:
            found = {}
            for name in archive.names():
                if not name.endswith(_SUFFIX):
                    raise error("run-input-file", where=where, found=f"the member {shown(name)}")
                place = f"{where}, {shown(name)}"
                found[name.removesuffix(_SUFFIX)] = _array(archive.source(name), place, limits)
            return found
    finally:
        source.close()


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write an `.npz` file, whose bytes depend on nothing but the arrays; what was there stays until it is whole.

    A name that a file cannot have is escaped as that of a part (P-6).

    Raises:
        StorageError: ``storage-failed``.
    """
    write_zip(path, _members(arrays))


def write_array(path: str | os.PathLike[str], array: Array) -> None:
    """Write an `.npy` file; what was there stays until it is whole.

    Raises:
        StorageError: ``storage-failed``.
    """
    with replace_file(path) as file:
        for piece in _pieces(array):
            file.write(piece)


def _members(arrays: Mapping[str, Array]) -> Iterator[Member]:
    for name, array in arrays.items():
        pieces = _pieces(array)
        yield _member_name(name) + _SUFFIX, sum(memoryview(piece).nbytes for piece in pieces), pieces


def _member_name(name: str) -> str:
    try:
        return escape(name)
    except EtuiError:  # an empty segment, or one that leads elsewhere
        return "%2F".join(segment and segment.replace("%", "%25").replace(".", "%2E") for segment in name.split("/"))


def _pieces(array: Array) -> list[bytes | memoryview]:
    header = io.BytesIO()
    plain = np.ascontiguousarray(array).reshape(array.shape)
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(plain))
    return [header.getvalue(), plain.reshape(-1).view(np.uint8).data if plain.nbytes else b""]


def _array(source: ByteSource, where: str, limits: Limits) -> Array:
    """The array of an `.npy` file, once its header was held against the bytes behind it."""
    shape, by_columns, dtype, start = _header(source, where)
    # NumPy measures an array without elements by its other sizes.
    if len(shape) > limits.rank or math.prod(max(size, 1) for size in shape) * dtype.itemsize > limits.tensor_bytes:
        raise error("run-input-file", where=where, found=f"the shape {shown(shape)}")
    there = source.size - start
    if math.prod(shape) * dtype.itemsize != there:
        found = f"{there} bytes for an array of the shape {shown(shape)} and {dtype}"
        raise error("run-input-file", where=where, found=found)
    flat = np.frombuffer(source.view(start, there), dtype) if there else np.empty(0, dtype)
    if dtype.kind == "U" and there:
        codes = flat.view(np.dtype(np.uint32).newbyteorder(dtype.byteorder))
        if codes.max() > _LAST_CHARACTER:
            raise error("run-input-file", where=where, found="a text with a character that there is not")
    return flat.reshape(shape, order="F" if by_columns else "C")


def _header(source: ByteSource, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order of axes, dtype, and where the elements begin.

    The header is a literal of Python with three items, which a pattern takes apart: no parser of Python sees it.
    """
    head = source.read(0, min(source.size, _HEADER_BYTES + 12))
    width = _WIDTHS.get(head[6:8], 0)
    start = 8 + width
    if not head.startswith(_MAGIC) or not width or len(head) < start:
        raise error("run-input-file", where=where, found=f"the beginning {shown(head[:8])}")
    stop = start + int.from_bytes(head[8:start], "little")
    text = head[start:stop].decode("latin-1")
    sound = stop <= len(head) and _LITERAL.fullmatch(text.strip(" \n")) is not None
    items = {item[1]: item for item in _ITEMS.finditer(text)} if sound else {}
    if len(items) != 3 or not (items["descr"][2] and items["fortran_order"][3] and items["shape"][4] is not None):
        raise error("run-input-file", where=where, found=f"the header {shown(text)}")
    try:
        dtype = np.dtype(items["descr"][2])
    except (TypeError, ValueError) as cause:
        raise error("run-input-file", where=where, found=f"the dtype {shown(items['descr'][2])}") from cause
    if not dtype.itemsize:
        raise error("run-input-file", where=where, found=f"the dtype {dtype}, whose elements have no bytes")
    shape = tuple(int(size) for size in items["shape"][4].split(",") if size.strip())
    return shape, items["fortran_order"][3] == "True", dtype, stop
