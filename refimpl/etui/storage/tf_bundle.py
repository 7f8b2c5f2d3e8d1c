"""Reading a TensorFlow tensor bundle: `x.index` and `x.data-00000-of-00001` beside it (SPEC.md, annex F.2).

Opening reads the index and checks that every tensor lies inside of its shard and shares no byte with another. A
tensor's bytes are read, and checked against their checksum, when they are asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etui import dtypes
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.closing import Closing
from etui.storage.crc32c import crc32c, masked
from etui.storage.open_files import OnDemandFile, OpenFiles
from etui.storage.ordered_code import slice_key
from etui.storage.protobuf import Message, decode
from etui.storage.sources import open_file
from etui.storage.sstable import FOOTER_BYTES, MAGIC, read_table
from etui.storage.tf_bundle_form import DTYPES, ENTRY, HEADER, VARIANT, read_strings, strings_crc, variants_crc

INDEX = ".index"
_LITTLE, _BIG = 0, 1
_VERSION = 1
_SHARDS = 100_000
_CHECKSUMS = {"bytes": strings_crc, "variant": variants_crc}

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class BundleTensor:
    """A tensor of a bundle.

    Attributes:
        name: its key.
        dtype: by its name in SPEC.md chapter 2.1; ``variant`` for one that is kept as bytes.
        shape: its shape.
        slices: of a partitioned tensor, the offset of each and its tensor; else empty.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    slices: list[tuple[tuple[int, ...], BundleTensor]] = field(default_factory=list)
    _shard: ByteSource | None = field(default=None, repr=False)
    _place: tuple[int, int] = (0, 0)
    _crc: int = 0
    _order: str = "<"
    _where: str = ""
    _checked: bool = False

    @property
    def nbytes(self) -> int:
        """Stored bytes."""
        return sum(part.nbytes for _, part in self.slices) if self.slices else self._place[1]

    def raw(self) -> memoryview:
        """The stored bytes of a tensor that is not partitioned, checked at the first reading.

        Raises:
            IntegrityError: ``bundle-crc``.
            StorageError: the shard cannot be read.
        """
        if self._shard is None:
            raise ValueError("a partitioned tensor has no bytes of its own")
        view = self._shard.view(*self._place)
        if not self._checked:
            checksum = _CHECKSUMS.get(self.dtype)
            count = math.prod(self.shape)
            found = checksum(view, count, self._order, self._where) if checksum is not None else crc32c(view)
            if masked(found) != self._crc:
                raise error("bundle-crc", where=self._where, found=shown(self.name))
            self._checked = True
        return view

    def read(self) -> Array:
        """The elements, read-only: without a copy where the storage can; those of strings are bytes objects.

        A variant gives its stored bytes. A partitioned tensor has elements in its slices only.

        Raises:
            RejectError: ``bundle-crc``, ``bundle-string``.
            StorageError: the shard cannot be read.
        """
        if self.dtype == "bytes":
            array = read_strings(self.raw(), math.prod(self.shape), self._order, self._where).reshape(self.shape)
        elif self.dtype == "variant":
            array = np.frombuffer(self.raw(), np.uint8)
        else:
            kind = dtypes.DTYPES[self.dtype].numpy
            if self._order == ">" and kind.itemsize > 1:
                return self._swapped(kind)
            return np.frombuffer(self.raw(), kind).reshape(self.shape)
        array.flags.writeable = False
        return array

    def _swapped(self, kind: np.dtype[Any]) -> Array:
        """Big-endian elements as little-endian ones; a complex number is two floats."""
        width = kind.itemsize // 2 if kind.kind == "c" else kind.itemsize
        array = np.frombuffer(self.raw(), f">u{width}").astype(f"<u{width}").view(kind).reshape(self.shape)
        array.flags.writeable = False
        return array


class Bundle(Closing):
    """An open bundle. A context manager that closes itself; arrays that were handed out stay valid.

    Attributes:
        name: of the index, for errors.
        tensors: each tensor by its name, in the order of the index; slices are within theirs.
    """

    def __init__(self, name: str, files: OpenFiles, tensors: dict[str, BundleTensor]) -> None:
        self.name = name
        self.tensors = tensors
        self._files = files

    def close(self) -> None:
        """Let go of the files."""
        self._files.close()


def is_index(path: Path) -> bool:
    """Whether a file ends as the index of a bundle does."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - len(MAGIC)))
            return size >= FOOTER_BYTES and file.read() == MAGIC
    except OSError:
        return False


def shard_name(name: str, shard: int, shards: int) -> str:
    """The name of a shard's file: `name` is the last part of the prefix, and may be empty."""
    return f"{name}.data-{shard:05}-of-{shards:05}"


def open_bundle(prefix: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> Bundle:
    """Open a bundle.

    Args:
        prefix: the path of its files without `.index`; one that ends in a separator has an empty last part.
        limits: refuse what is beyond these.

    Raises:
        RejectError: a code of SPEC.md, annex F.1 and F.2.
        MissingExtraError: ``extra-tensorflow``.
        StorageError: a file is not there or cannot be read.
    """
    folder, name = os.path.split(os.fspath(prefix))
    return _Opening(Path(folder), name, limits).bundle()


class _Opening:
    """Reads the index and binds its entries to the shards."""

    def __init__(self, folder: Path, name: str, limits: Limits) -> None:
        self._folder = folder
        self._name = name
        self._limits = limits
        self._where = name + INDEX
        self._files = OpenFiles(open_file)
        self._shards: dict[int, OnDemandFile] = {}
        self._extents: dict[int, list[tuple[int, int, str]]] = {}
        self._number = 0
        self._order = "<"
        self._bytes = 0

    def bundle(self) -> Bundle:
        try:
            with closing(open_file(self._folder / self._where)) as index:
                tensors = self._tensors(read_table(index, self._where, self._limits))
            self._check_overlap()
        except BaseException:
            self._files.close()
            raise
        return Bundle(self._where, self._files, tensors)

    def _tensors(self, table: Iterator[tuple[bytes, bytes]]) -> dict[str, BundleTensor]:
        # All keys before the first entry is decoded: that there are too many of them shows in a tenth of the time.
        entries = list(table)
        key, value = entries[0] if entries else (b"\xff", b"")
        if key:
            raise self._bad("bundle-index", "no header")
        self._header(decode(HEADER, value, where=self._where, limits=self._limits))
        # Keys of slices begin with a zero byte, so they come before the tensors that they belong to.
        slices: dict[bytes, bytes] = {}
        tensors: dict[str, BundleTensor] = {}
        for key, value in entries[1:]:
            if key.startswith(b"\0"):
                slices[key] = value
                continue
            try:
                name = key.decode()
            except UnicodeDecodeError:
                raise self._bad("bundle-index", f"the key {shown(key)}") from None
            tensors[name] = self._entry(name, value, slices)
        if slices:
            raise self._bad("bundle-slice", f"{len(slices)} slices of no tensor, {shown(next(iter(slices)))} the first")
        return tensors

    def _header(self, header: Message) -> None:
        version = header["version"]
        needed = version["min_consumer"] if version is not None else 0
        if needed > _VERSION:
            raise self._bad("bundle-version", f"a bundle for readers of version {needed}")
        self._number = header["num_shards"]
        if not 0 <= self._number <= _SHARDS:
            raise self._bad("bundle-shard", f"{self._number} shards")
        if header["endianness"] not in (_LITTLE, _BIG):
            raise self._bad("bundle-version", f"the byte order {header['endianness']}")
        self._order = ">" if header["endianness"] == _BIG else "<"

    def _entry(self, name: str, value: bytes, slices: dict[bytes, bytes]) -> BundleTensor:
        entry = decode(ENTRY, value, where=self._where, limits=self._limits)
        dtype = self._dtype(name, entry)
        shape = self._shape(name, entry["shape"])
        if not entry["slices"]:
            return self._bound(name, dtype, shape, entry)
        if entry["offset"] or entry["size"]:
            raise self._bad("bundle-slice", f"{shown(name)} with slices and bytes of its own")
        if dtype == "variant" or dtypes.DTYPES[dtype].safetensors is None:
            raise self._bad("bundle-dtype", f"slices of {shown(name)}, of {dtype}")
        tensor = BundleTensor(name, dtype, shape)
        for part in entry["slices"]:
            tensor.slices.append(self._slice(tensor, part, slices))
        return tensor

    def _slice(
        self, tensor: BundleTensor, part: Message, slices: dict[bytes, bytes]
    ) -> tuple[tuple[int, ...], BundleTensor]:
        extents = part["extent"]
        name, shape = tensor.name, tensor.shape
        if len(extents) != len(shape):
            raise self._bad("bundle-slice", f"a slice of {shown(name)} of {len(extents)} dimensions")
        box = [(extent["start"], extent.values.get("length", -1)) for extent in extents]
        value = slices.pop(slice_key(name, box), None)
        if value is None:
            raise self._bad("bundle-slice", f"no slice {box} of {shown(name)}")
        whole = [(0, size) if pair == (0, -1) else pair for pair, size in zip(box, shape, strict=True)]
        if any(start < 0 or size <= 0 or start + size > full for (start, size), full in zip(whole, shape, strict=True)):
            raise self._bad("bundle-slice", f"the slice {box} of {shown(name)} outside of it")
        entry = decode(ENTRY, value, where=self._where, limits=self._limits)
        found = self._shape(name, entry["shape"])
        if found != tuple(size for _, size in whole) or self._dtype(name, entry) != tensor.dtype or entry["slices"]:
            raise self._bad("bundle-slice", f"a slice of {shown(name)} of another shape or dtype than it has")
        return tuple(start for start, _ in whole), self._bound(name, tensor.dtype, found, entry)

    def _dtype(self, name: str, entry: Message) -> str:
        if entry["dtype"] == VARIANT:
            return "variant"
        dtype = DTYPES.get(entry["dtype"])
        if dtype is None:
            raise self._bad("bundle-dtype", f"{shown(name)} of the type {entry['dtype']}")
        return dtype

    def _shape(self, name: str, shape: Message | None) -> tuple[int, ...]:
        if shape is None:
            return ()
        sizes = tuple(dim["size"] for dim in shape["dim"])
        if shape["unknown_rank"] or min(sizes, default=0) < 0:
            raise self._bad("bundle-entry", f"{shown(name)} without a whole shape")
        if len(sizes) > self._limits.rank:
            raise self._bad("limit-rank", f"{shown(name)} of {len(sizes)} dimensions")
        return sizes

    def _bound(self, name: str, dtype: str, shape: tuple[int, ...], entry: Message) -> BundleTensor:
        """The tensor of an entry, whose bytes are inside of its shard and are as many as its shape says."""
        offset, size, number = entry["offset"], entry["size"], entry["shard_id"]
        if not 0 <= number < self._number:
            raise self._bad("bundle-shard", f"{shown(name)} in shard {number} of {self._number}")
        shard = self._shard(number)
        if offset < 0 or size < 0 or offset + size > shard.size:
            found = f"{shown(name)} at byte {offset} of {size} bytes, in a shard of {shard.size}"
            raise self._bad("bundle-entry", found)
        known = dtypes.DTYPES.get(dtype)
        if known is not None and known.bits and math.prod(shape) * known.numpy.itemsize != size:
            raise self._bad("bundle-entry", f"{shown(name)}, {dtype}{list(shape)} in {size} bytes")
        if dtype == "bytes" and math.prod(shape) > size:
            raise self._bad("bundle-entry", f"{shown(name)}, {math.prod(shape)} strings in {size} bytes")
        self._bytes += size
        if self._bytes > self._limits.foreign_bytes:
            raise self._bad("limit-foreign", f"tensors of {self._bytes} bytes and more")
        if size:
            self._extents.setdefault(number, []).append((offset, offset + size, name))
        return BundleTensor(
            name,
            dtype,
            shape,
            _shard=shard,
            _place=(offset, size),
            _crc=entry["crc32c"],
            _order=self._order,
            _where=shard_name(self._name, number, self._number),
        )

    def _shard(self, number: int) -> OnDemandFile:
        if number not in self._shards:
            path = self._folder / shard_name(self._name, number, self._number)
            if not path.is_file():
                raise self._bad("bundle-shard", f"no file {path.name}")
            self._shards[number] = self._files.add(str(path))
        return self._shards[number]

    def _check_overlap(self) -> None:
        for extents in self._extents.values():
            after, before = 0, ""
            for begin, end, name in sorted(extents):
                if begin < after:
                    raise self._bad("bundle-overlap", f"{shown(before)} and {shown(name)}")
                after, before = end, name

    def _bad(self, code: str, found: str) -> Exception:
        return error(code, where=self._where, found=found)
