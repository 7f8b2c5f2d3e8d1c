"""Data parts on the reading side: a chunk's bytes, checked against its digest when they are first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from etui import digest
from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.base import ArtifactReader, ByteSource
from etui.storage.plain_header import Entry
from etui.storage.safetensors import Header, read_header


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

    A part's header is read when one of its tensors is first asked for, or by `check_all`.
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
            entry = self._parts[part]
            source = self._reader.source(part)
            begin = source.view(0, min(entry.header_size, source.size))
            found = digest.of(begin, entry.header_digest.partition(":")[0])
            if found != entry.header_digest:
                raise error("digest-mismatch", where=f"{part}, header", found=f"{found}, not {entry.header_digest}")
            header = read_header(source, part, self._limits)
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
        for part in self._parts:
            self.header(part)


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
