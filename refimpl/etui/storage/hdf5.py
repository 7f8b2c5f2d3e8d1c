"""Untrusted HDF5, read through h5py behind a structural check, and HDF5 written with repeatable bytes.

libhdf5 is asked for the structure alone: names, shapes, types, and where the raw bytes lie. Everything is checked
against the size of the file before an element is read, and the elements are then read and decoded here, not by
libhdf5, which follows links to other files, inflates without bound, and trusts every size that it is told.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from etui import dtypes
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, MIB, Limits
from etui.storage.base import ByteSource
from etui.storage.hdf5_layout import Layout, read_elements, scan_layout
from etui.storage.hdf5_types import attribute_text, element_type, load_h5py

if TYPE_CHECKING:
    import h5py

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ATTRIBUTES = 256
# Below this size a dataset may be as compressible as it likes: it cannot hurt.
_SMALL = MIB


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset of a checked file.

    Attributes:
        path: its place in the file, without a leading slash.
        dtype: dtype of the array that `read` gives; ml_dtypes' types included.
        shape: its shape.
        attrs: its attributes, texts only.
        layout: where its bytes lie.
        source: the file.
    """

    path: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    attrs: dict[str, str]
    stored: np.dtype[Any]
    layout: Layout
    source: ByteSource = field(repr=False)

    @property
    def dtype_name(self) -> str:
        """The dtype by its name in SPEC.md chapter 2.1."""
        return dtypes.of_array(np.empty(0, self.dtype)).name

    def read(self) -> np.ndarray[Any, Any]:
        """The elements: read-only, C-contiguous, little-endian; without a copy where the bytes lie in one piece.

        Raises:
            MalformedError: ``hdf5-syntax``, compressed bytes that do not decode.
            InvalidError: ``bool-value``.
        """
        array = read_elements(self.source, self.layout, self.stored, self.shape, self.path)
        if self.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
            raise error("bool-value", where=f"/{self.path}")
        array = array.view(self.dtype)
        array.flags.writeable = False
        return array


@dataclass(frozen=True, slots=True)
class Hdf5File:
    """The checked structure of one HDF5 file.

    Attributes:
        groups: path -> attributes (texts), the root under the empty path; in the order of the file.
        datasets: path -> dataset.
    """

    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def children(self, path: str) -> list[str]:
        """Names of the groups and datasets directly below a group, sorted."""
        prefix = f"{path}/" if path else ""
        found = {
            name[len(prefix) :]
            for name in (*self.groups, *self.datasets)
            if name and name.startswith(prefix) and "/" not in name[len(prefix) :]
        }
        return sorted(found)


def open_hdf5(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> Hdf5File:
    """Check the structure of an HDF5 file and return it; no element is read.

    Args:
        source: the file's bytes; datasets read from it later.
        where: the file's name for messages.
        limits: bounds on objects, levels, names and sizes.

    Raises:
        MissingExtraError: h5py is not installed.
        RejectError: a code that begins with ``hdf5-`` (SPEC.md, annex B), or ``limit-foreign``.
    """
    h5py = load_h5py()
    _check_superblock(source, where)
    try:
        with h5py.File(_Reader(source), "r") as file:
            return _Scan(file, source, where, limits).run()
    except EtuiError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as reason:
        raise error("hdf5-syntax", where=where, found=shown(str(reason), 200)) from None


def _check_superblock(source: ByteSource, where: str) -> None:
    """The file begins with its signature, and ends where it says: nothing is in front of it or behind it."""
    head = source.read(0, min(source.size, 64))
    if head[:8] != _SIGNATURE:
        raise error("hdf5-syntax", where=where, found=f"a file that begins with {head[:8]!r}")
    version = head[8] if len(head) > 8 else -1
    at = {0: 24, 1: 28, 2: 12, 3: 12}.get(version)
    sizes = head[13:14] if version in (0, 1) else head[9:10]
    if at is None or sizes != b"\x08" or len(head) < at + 24:
        raise error("hdf5-syntax", where=where, found=f"a superblock of version {version}")
    base, _, end = (int.from_bytes(head[at + step : at + step + 8], "little") for step in (0, 8, 16))
    if base != 0 or end != source.size:
        raise error("hdf5-syntax", where=where, found=f"bytes {base} to {end} in a file of {source.size} bytes")


class _Reader(io.RawIOBase):
    """A byte source as the file object that h5py asks for."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._source.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._source.size - self._position))
        if count:
            view[:count] = self._source.read(self._position, count)
            self._position += count
        return count


class _Scan:
    """One walk over a file's objects."""

    def __init__(self, file: h5py.File, source: ByteSource, where: str, limits: Limits) -> None:
        self.file, self.source, self.where, self.limits = file, source, where, limits
        self.found = Hdf5File()
        self.seen: set[int] = set()
        self.declared = 0
        self.extents: list[tuple[int, int, str]] = []

    def run(self) -> Hdf5File:
        from h5py import h5g

        stack: list[tuple[str, Any]] = [("", h5g.open(self.file.id, b"/"))]
        while stack:
            path, group = stack.pop()
            self._take(path, group)
            self.found.groups[path] = self._attributes(path, group)
            stack.extend(reversed(list(self._members(path, group))))
        self._check_extents()
        return self.found

    def _place(self, path: str) -> str:
        return f"{self.where} at /{path}"

    def _take(self, path: str, item: Any) -> None:
        """Refuse an object that was met before: a cycle, or one object under two names."""
        from h5py import h5o

        address = h5o.get_info(item).addr
        if address in self.seen:
            raise error("hdf5-shared", where=self._place(path), found="an object that has another name too")
        self.seen.add(address)
        if len(self.seen) > self.limits.foreign_objects:
            raise error("limit-foreign", where=self.where, found=f"more than {self.limits.foreign_objects} objects")

    def _members(self, path: str, group: Any) -> Iterator[tuple[str, Any]]:
        """The child groups; datasets are taken down on the way."""
        from h5py import h5d, h5g, h5l, h5o

        raw: list[bytes] = []
        room = self.limits.foreign_objects - len(self.seen) + 1

        def take(name: bytes) -> bool | None:
            raw.append(name)
            return True if len(raw) > room else None

        group.links.iterate(take)
        folded: set[str] = set()
        for name in raw:
            child = self._child_path(path, name)
            if (key := unicodedata.normalize("NFC", child)) in folded:
                raise error("hdf5-name", where=self._place(path), found=f"two names equal to {shown(key)}")
            folded.add(key)
            if group.links.get_info(name).type != h5l.TYPE_HARD:
                raise error("hdf5-link", where=self._place(child), found="a soft or external link")
            item = h5o.open(group, name)
            if isinstance(item, h5g.GroupID):
                yield child, item
            elif isinstance(item, h5d.DatasetID):
                self._take(child, item)
                self._dataset(child, item)
            else:
                raise error("hdf5-type", where=self._place(child), found="a named datatype")

    def _child_path(self, path: str, raw: bytes) -> str:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise error("hdf5-name", where=self._place(path), found=shown(raw)) from None
        if name in ("", ".", "..") or "/" in name or any(ord(c) < 32 or ord(c) == 127 for c in name):
            raise error("hdf5-name", where=self._place(path), found=shown(name))
        child = f"{path}/{name}" if path else name
        if child.count("/") >= self.limits.depth or len(child.encode()) > self.limits.path_bytes:
            found = f"{child.count('/') + 1} levels, {len(child.encode())} bytes"
            raise error("limit-foreign", where=self._place(path), found=found)
        return child

    def _attributes(self, path: str, item: Any) -> dict[str, str]:
        from h5py import h5a

        count = h5a.get_num_attrs(item)
        if count > _ATTRIBUTES:
            raise error("hdf5-attribute", where=self._place(path), found=f"{count} attributes")
        found = {}
        for index in range(count):
            attribute = h5a.open(item, index=index)
            name = attribute.name.decode("utf-8")
            found[name] = attribute_text(attribute, f"{self._place(path)}, attribute {shown(name)}")
        return found

    def _dataset(self, path: str, item: Any) -> None:
        where = self._place(path)
        attrs = self._attributes(path, item)
        stored, dtype = element_type(item.get_type(), attrs, where)
        space = item.get_space()
        if space.get_simple_extent_type() not in (0, 1):
            raise error("hdf5-type", where=where, found="a dataset without a dataspace")
        shape = tuple(int(size) for size in item.shape)
        if len(shape) > self.limits.rank:
            raise error("limit-rank", where=where, found=f"{len(shape)} dimensions")
        nbytes = int(np.prod(shape, dtype=object)) * stored.itemsize
        self.declared += nbytes
        if nbytes > self.limits.tensor_bytes or self.declared > self.limits.foreign_bytes:
            raise error("limit-foreign", where=where, found=f"{nbytes} bytes, {self.declared} with those before")
        layout = scan_layout(item, shape, stored.itemsize, self.source.size, where)
        if layout.inflated > max(_SMALL, self.limits.foreign_inflation * layout.stored_bytes):
            found = f"{layout.stored_bytes} stored bytes that become {layout.inflated}"
            raise error("limit-foreign", where=where, found=found)
        self.extents.extend((start, start + size, path) for start, size in layout.extents())
        self.found.datasets[path] = Dataset(path, dtype, shape, attrs, stored, layout, self.source)

    def _check_extents(self) -> None:
        """Refuse raw bytes that belong to two datasets or chunks: small files that read as large ones."""
        end, owner = 0, ""
        for start, stop, path in sorted(self.extents):
            if start < end:
                raise error("hdf5-shared", where=self._place(path), found=f"bytes that belong to /{owner} too")
            end, owner = stop, path
