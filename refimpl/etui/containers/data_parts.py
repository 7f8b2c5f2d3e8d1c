"""Data parts on the reading side: a chunk's bytes, checked against its digest when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from etui import digest
from etui.errors import EtuiError, error, shown
from etui.limits import Limits
from etui.storage.base import ArtifactReader, ByteSource, is_remote
from etui.storage.plain_header import Entry
from etui.storage.safetensors import Header, Layout, TensorSpec, plan, read_header


class Chunk(NamedTuple):
    """A box of a tensor and where its bytes are.

    Attributes:
        part, tensor: the data part and the tensor in it.
        digest: digest of the tensor's bytes.
        offset, shape: the box within the logical tensor; `None` where the chunk is the whole tensor.
    """

    part: str
    tensor: str
    digest: str
    offset: tuple[int, ...] | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class DataPart:
    """A data part as the manifest lists it: sizes in bytes."""

    size: int
    header_size: int
    header_digest: str


class DataParts:
    """All data parts of one open artifact.

    A part's header is read when one of its tensors is first asked for, or by `check_all`. Where each reading is a
    request to a store, it is computed instead: it is the canonical header of the tensors that the documents name, and
    the manifest has its digest (RM-4).

    Attributes:
        describe: gives the tensors of a part, of which it gets the names that the documents' chunks have for them.
    """

    def __init__(self, reader: ArtifactReader, parts: Mapping[str, DataPart], *, verify: bool, limits: Limits) -> None:
        self._reader = reader
        self._parts = parts
        self._verify = verify
        self._limits = limits
        self._headers: dict[str, Header] = {}
        self._sources: dict[str, ByteSource] = {}
        self._claims: dict[str, set[str]] = {name: set() for name in parts}
        self._checked: set[tuple[str, str]] = set()
        self.describe: Callable[[str, Collection[str]], list[TensorSpec]] | None = None
        self._computed = False

    def has(self, part: str) -> bool:
        """Whether the manifest lists a data part of that name."""
        return part in self._parts

    def claim(self, part: object, tensor: object, where: str) -> None:
        """Note that a document's chunk names a tensor; each tensor may be named once (S-9)."""
        claimed = self._claims.get(part) if isinstance(part, str) else None
        if claimed is None:
            raise error("reference-missing", where=where, found=f"no data part {shown(part)} in the manifest")
        if not isinstance(tensor, str):
            raise error("reference-missing", where=where, found=f"{shown(tensor)} in place of a tensor's name")
        if tensor in claimed:
            raise error("tensor-unreferenced", where=where, found=f"a second chunk names {shown(tensor)} of {part}")
        claimed.add(tensor)

    def claim_all(self, parts: list[str], tensors: list[str]) -> bool:
        """`claim` for each of two columns, if none of that would be refused; else nothing is noted.

        Args:
            parts: the part of each chunk.
            tensors: the tensor of each chunk; no name is there twice.
        """
        by_part: dict[str, list[str]] = {part: [] for part in set(parts)}
        if not by_part.keys() <= self._claims.keys():
            return False
        if len(by_part) == 1:
            by_part[parts[0]] = tensors
        else:
            for part, tensor in zip(parts, tensors, strict=True):
                by_part[part].append(tensor)
        if not all(self._claims[part].isdisjoint(named) for part, named in by_part.items()):
            return False
        for part, named in by_part.items():
            self._claims[part].update(named)
        return True

    def header(self, part: str) -> Header:
        """The header of a data part, checked against the manifest and against the documents' chunks."""
        if part not in self._headers:
            source = self._reader.source(part)
            computed = self._compute(part) if is_remote(self._reader) else None
            if computed is not None:
                self._sources[part] = source
                self._headers[part] = computed
                return computed
            entry = self._parts[part]
            if is_remote(self._reader) and entry.header_size > self._limits.safetensors_header_bytes + 8:
                read_header(source, part, self._limits)  # refuses it before all of it is asked for
            begin = source.view(0, min(entry.header_size, source.size))
            found = digest.of(begin, entry.header_digest.partition(":")[0])
            if found != entry.header_digest:
                raise error("digest-mismatch", where=f"{part}, header", found=f"{found}, not {entry.header_digest}")
            header = read_header(_Begun(source, begin), part, self._limits)
            if header.size != entry.header_size:
                sizes = f"{header.size} bytes, and {entry.header_size} in the manifest"
                raise error("digest-mismatch", where=f"{part}, header", found=sizes)
            claimed = self._claims[part]
            unnamed = not claimed.issuperset(header.entries) and header.entries.keys() - claimed
            if unnamed:
                raise error("tensor-unreferenced", where=part, found=f"no chunk names {shown(min(unnamed))}")
            self._sources[part] = source
            self._headers[part] = header
        return self._headers[part]

    def _compute(self, part: str) -> Header | None:
        """The header that follows from the documents, if the manifest's digest confirms it."""
        specs = [] if self.describe is None else self.describe(part, self._claims[part])
        layout = self._layout(specs)
        if layout is None or not self._confirms(part, layout):
            return None
        self._computed = True
        return Header(layout.entries, len(layout.header))

    def _layout(self, specs: list[TensorSpec]) -> Layout | None:
        try:
            return plan(specs, self._limits)
        except EtuiError:
            return None  # what is wrong with them is told by the header that is there

    def _confirms(self, part: str, layout: Layout) -> bool:
        entry = self._parts[part]
        found = digest.of(layout.header, entry.header_digest.partition(":")[0])
        return (found, len(layout.header), layout.size) == (entry.header_digest, entry.header_size, entry.size)

    def source(self, part: str) -> ByteSource:
        """The bytes of a data part, whose header is checked."""
        self.header(part)
        return self._sources[part]

    def fetch(self, chunk: Chunk, dtype: str, shape: tuple[int, ...], *, verify: bool = False) -> memoryview:
        """The bytes of a chunk: read-only, mapped where the storage can.

        Args:
            chunk: which.
            dtype: the dtype that the document says (W-4).
            shape: the shape that the document says (W-9).
            verify: check the digest even if the artifact was opened without checks, or checked it before.

        Raises:
            InvalidError: ``bool-value``, and what `locate` raises.
            IntegrityError: ``digest-mismatch``.
        """
        entry = self.locate(chunk, dtype, shape)
        begin = self.header(chunk.part).size + entry.begin
        view = self._sources[chunk.part].view(begin, entry.end - entry.begin)
        key = (chunk.part, chunk.tensor)
        if verify or key not in self._checked:
            if verify or self._verify:
                found = digest.of(view, chunk.digest.partition(":")[0])
                if found != chunk.digest:
                    raise error("digest-mismatch", where=_place(chunk), found=f"{found}, not {chunk.digest}")
            if dtype == "bool":
                check_bools(view, _place(chunk))
            self._checked.add(key)
        return view

    def view(self, chunk: Chunk, dtype: str, shape: tuple[int, ...]) -> memoryview:
        """The bytes of a chunk as `fetch` gives them, and not checked: a view that outlives the reader."""
        entry = self.locate(chunk, dtype, shape)
        return self._sources[chunk.part].view(self.header(chunk.part).size + entry.begin, entry.end - entry.begin)

    def locate(self, chunk: Chunk, dtype: str, shape: tuple[int, ...]) -> Entry:
        """What the data part's header says of a chunk's tensor; its bytes are not touched.

        Raises:
            InvalidError: ``reference-missing``, ``chunk-mismatch``.
        """
        entry = self.header(chunk.part).entries.get(chunk.tensor)
        if entry is None:
            raise error("reference-missing", where=_place(chunk), found="the data part has no such tensor")
        if (entry.dtype, entry.shape) != (dtype, shape):
            found = f"{entry.dtype}{list(entry.shape)}, and {dtype}{list(shape)} in the document"
            raise error("chunk-mismatch", where=_place(chunk), found=found)
        return entry

    def check_claimed(self) -> None:
        """Refuse a data part of which no chunk names a tensor, after all documents were decoded (S-8, S-9)."""
        for part, claimed in self._claims.items():
            if not claimed:
                self.header(part)  # either it has no tensor, or one that no chunk names

    def check_all(self) -> None:
        """Read and check the header of every data part (S-1 to S-9)."""
        if self._computed:  # each byte is to be looked at now
            self._headers.clear()
        self.describe = None
        for part in self._parts:
            self.header(part)


@dataclass(frozen=True, slots=True)
class _Begun:
    """A source whose first bytes were read."""

    source: ByteSource
    begin: memoryview

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.view(offset, length))

    def view(self, offset: int, length: int) -> memoryview:
        if offset + length <= self.begin.nbytes:
            return self.begin[offset : offset + length]
        return self.source.view(offset, length)


def _place(chunk: Chunk) -> str:
    return f"{chunk.part}, tensor {shown(chunk.tensor)}"


def check_bools(view: memoryview, where: str) -> None:
    """Check that the bytes of a bool tensor are 0 and 1 (D-8).

    Raises:
        InvalidError: ``bool-value``.
    """
    values = np.frombuffer(view, np.uint8)
    if values.size and values.max() > 1:
        raise error("bool-value", where=where, found=f"a byte of {values.max()}")
