"""The pieces of a plain tensor: elements in memory, made by a callable when they are needed, or in a data part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from etui import digest, dtypes
from etui.containers.cover import Shape
from etui.containers.data_parts import Chunk, DataParts
from etui.errors import error, shown

Array = npt.NDArray[Any]


def raw_bytes(array: Array) -> memoryview:
    """The bytes of a C-contiguous array; ml_dtypes' arrays have no buffer format of their own."""
    return array.reshape(-1).view(np.uint8).data


def canonical(array: Array) -> Array:
    """C order and little-endian, without a copy where it is so already; a 0-d array stays 0-d."""
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    return np.asarray(array, order="C")


def readonly(array: Array) -> Array:
    """The same elements, not to be changed by way of it."""
    view = array.view()
    view.flags.writeable = False
    return view


class Source(Protocol):
    """Where the elements of one piece are."""

    def check(self) -> None:
        """Check that the piece has the size that is said of it, without its elements."""

    def array(self, *, verify: bool = False) -> Array:
        """The piece as a read-only, C-contiguous, little-endian array of the tensor's dtype."""


@dataclass(frozen=True, slots=True)
class Held:
    """A piece in memory."""

    values: Array

    def check(self) -> None:
        """Nothing to check: the array has its size."""

    def array(self, *, verify: bool = False) -> Array:  # noqa: ARG002  there is nothing to verify
        """The array itself."""
        return self.values


@dataclass(frozen=True, slots=True)
class Lazy:
    """A piece that a callable makes whenever it is asked for; it is never kept.

    Attributes:
        dtype, shape: promised of what the callable gives.
        load: the callable.
        fixed: whether it gives the same elements each time, as one that reads an open file does.
        view: gives them where they are, if that can be had without a copy: with any strides, in memory of others.
        constant: whether nothing ever changes what `view` gave.
    """

    dtype: str
    shape: Shape
    load: Callable[[], Array]
    fixed: bool = False
    view: Callable[[], Array] | None = None
    constant: bool = False

    def check(self) -> None:
        """Nothing to check: who made the tensor said its size."""

    def array(self, *, verify: bool = False) -> Array:  # noqa: ARG002  there is nothing to verify
        """What the callable gives, checked against the promised dtype and shape."""
        return self._promised(readonly(canonical(self.load())))

    def look(self) -> Array:
        """The elements as they are now, to be copied at once unless they are constant: read-only, with any strides."""
        return self._promised(readonly(np.asarray((self.view or self.load)())))

    def _promised(self, array: Array) -> Array:
        if array.shape != self.shape or dtypes.of_array(array).name != self.dtype:
            raise error(
                "tensor-promise",
                found=f"{array.dtype}{list(array.shape)}, and {self.dtype}{list(self.shape)} was promised",
            )
        return array


@dataclass(slots=True)
class Stored:
    """A piece in a data part."""

    parts: DataParts
    chunk: Chunk
    dtype: str
    shape: Shape

    @property
    def place(self) -> str:
        """Where the bytes are, for messages."""
        return f"{self.chunk.part}, tensor {shown(self.chunk.tensor)}"

    def check(self) -> None:
        """Check that the data part has the chunk with its dtype and shape."""
        self.parts.locate(self.chunk, self.dtype, self.shape)

    def array(self, *, verify: bool = False) -> Array:
        """The chunk's bytes as an array, without a copy; its digest is checked at the first read."""
        view = self.parts.fetch(self.chunk, self.dtype, self.shape, verify=verify)
        return np.frombuffer(view, dtypes.by_name(self.dtype, "").numpy).reshape(self.shape)

    def pinned(self) -> Pinned:
        """The same piece, which stays valid when the artifact is closed; its bytes are not touched."""
        view = self.parts.view(self.chunk, self.dtype, self.shape)
        return Pinned(self.parts, self.chunk, self.dtype, self.shape, view)


@dataclass(slots=True)
class Pinned(Stored):
    """A piece in a data part, with a view of its bytes."""

    bytes: memoryview

    def check(self) -> None:
        """Nothing to check: it was looked up when the view was made."""

    def array(self, *, verify: bool = False) -> Array:
        """The chunk's bytes as an array, without a copy; who writes them checks the digest anyway."""
        found = digest.of(self.bytes, self.chunk.digest.partition(":")[0]) if verify else self.chunk.digest
        if found != self.chunk.digest:
            raise error("digest-mismatch", where=self.place, found=f"{found}, not {self.chunk.digest}")
        return np.frombuffer(self.bytes, dtypes.by_name(self.dtype, "").numpy).reshape(self.shape)


class Piece(NamedTuple):
    """A box of a plain tensor: `offset` is `None` where the piece is the whole tensor."""

    offset: Shape | None
    shape: Shape
    source: Source

    def digest(self) -> str:
        """The digest of the elements' bytes; nothing is read where a document has it."""
        if isinstance(self.source, Stored):
            return self.source.chunk.digest
        return digest.of(raw_bytes(self.source.array()))
