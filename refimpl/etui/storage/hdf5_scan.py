"""The structure of an untrusted HDF5 file, through h5py: what is there and where its bytes lie. No element is read.

libhdf5 itself can loop or crash on damaged files, so that `hdf5_worker` runs this in a process of its own.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from etui import dtypes
from etui.errors import EtuiError, error, shown
from etui.limits import MIB, Limits
from etui.storage.base import ByteSource
from etui.storage.hdf5_layout import Layout, scan_layout
from etui.storage.hdf5_types import attribute_list, attribute_text, element_type, load_h5py

if TYPE_CHECKING:
    import h5py

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_ATTRIBUTES = 256
# Below this size a dataset may be as compressible as it likes: it cannot hurt.
SMALL_BYTES = MIB
_BEAT = 256
_BEAT_NAMES = 16_384
# All texts of a file whose groups hold lists of texts and whole documents.
LISTED_BYTES = 32 * MIB
TEXT_BYTES = MIB


@dataclass(frozen=True, slots=True)
class Found:
    """A dataset.

    Attributes:
        shape: its shape.
        stored: numpy's text for the dtype of the stored bytes, in their byte order.
        dtype: the dtype by its name in SPEC.md chapter 2.1.
        attrs: its attributes.
        layout: where its bytes lie.
    """

    shape: tuple[int, ...]
    stored: str
    dtype: str
    attrs: dict[str, str]
    layout: Layout


@dataclass(frozen=True, slots=True)
class Index:
    """Groups and datasets by their path; the root is the group of the empty path.

    Attributes:
        groups: the attributes of each group that are one text.
        datasets: each dataset.
        lists: the attributes of groups that are lists of texts.
    """

    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    datasets: dict[str, Found] = field(default_factory=dict)
    lists: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def scan(
    source: ByteSource, where: str, limits: Limits, beat: Callable[[], None] = lambda: None, *, lists: bool = False
) -> Index:
    """The structure of a file, checked against its size and the limits.

    Args:
        source: the file's bytes.
        where: the file's name for messages.
        limits: bounds on objects, levels, names and sizes.
        beat: called every now and then, to show that there is progress.
        lists: whether attributes of groups may be lists of texts, and texts as long as a document.

    Raises:
        MissingExtraError: h5py is not installed.
        RejectError: a code that begins with ``hdf5-``, or ``limit-foreign``.
    """
    h5py = load_h5py()
    _check_superblock(source, where)
    try:
        with h5py.File(_Reader(source), "r") as file:
            return _Scan(file, source, where, limits, beat, lists=lists).run()
    except EtuiError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as reason:
        raise error("hdf5-syntax", where=where, found=shown(str(reason), 200)) from None


def _check_superblock(source: ByteSource, where: str) -> None:
    """The file begins with its signature, and ends where it says: nothing is in front of it or behind it."""
    head = source.read(0, min(source.size, 64))
    if head[:8] != SIGNATURE:
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

    def __init__(
        self,
        file: h5py.File,
        source: ByteSource,
        where: str,
        limits: Limits,
        beat: Callable[[], None],
        *,
        lists: bool,
    ) -> None:
        self.file, self.where, self.limits, self.beat, self.lists = file, where, limits, beat, lists
        self.room = LISTED_BYTES
        self.size = source.size
        self.index = Index()
        self.seen: set[int] = set()
        self.declared = 0

    def run(self) -> Index:
        from h5py import h5g, h5o

        self._take("", h5o.get_info(h5g.open(self.file.id, b"/")).addr)
        stack: list[tuple[str, bytes]] = [("", b"/")]
        while stack:
            path, name = stack.pop()
            if len(self.index.groups) % _BEAT == 0:
                self.beat()
            # Of groups that are still to come only the names are kept: libhdf5 is slow with very many open objects.
            group = h5g.open(self.file.id, name)
            self.index.groups[path] = self._attributes(path, group, lists=self.lists)
            stack.extend(reversed([(child, name + b"/" + last) for child, last in self._members(path, group)]))
        return self.index

    def _place(self, path: str) -> str:
        return f"{self.where} at /{path}"

    def _take(self, path: str, address: int) -> None:
        """Refuse an object that was met before: a cycle, or one object under two names."""
        if address in self.seen:
            raise error("hdf5-shared", where=self._place(path), found="an object that has another name too")
        self.seen.add(address)
        if len(self.seen) > self.limits.foreign_objects:
            raise error("limit-foreign", where=self.where, found=f"more than {self.limits.foreign_objects} objects")
        if len(self.seen) % _BEAT == 0:
            self.beat()

    def _members(self, path: str, group: Any) -> Iterator[tuple[str, bytes]]:
        """The child groups, with the last segment of their path as it is stored; datasets are taken down on the way."""
        from h5py import h5d, h5l, h5o

        folded: set[str] = set()
        for name, kind in self._links(group):
            child = self._child_path(path, name)
            if (key := unicodedata.normalize("NFC", child)) in folded:
                raise error("hdf5-name", where=self._place(path), found=f"two names equal to {shown(key)}")
            folded.add(key)
            if kind != h5l.TYPE_HARD:
                raise error("hdf5-link", where=self._place(child), found="a soft or external link")
            found = h5o.get_info(group, name)
            self._take(child, found.addr)
            if found.type == h5o.TYPE_GROUP:
                yield child, name
            elif found.type == h5o.TYPE_DATASET:
                self._dataset(child, h5d.open(group, name))
            else:
                raise error("hdf5-type", where=self._place(child), found="a named datatype")

    def _links(self, group: Any) -> list[tuple[bytes, int]]:
        """The name and the kind of each link."""
        links: list[tuple[bytes, int]] = []
        room = self.limits.foreign_objects - len(self.seen) + 1

        def take(name: bytes, info: Any) -> bool | None:
            links.append((name, info.type))
            if len(links) % _BEAT_NAMES == 0:
                self.beat()
            return True if len(links) > room else None

        group.links.iterate(take, info=True)
        return links

    def _child_path(self, path: str, raw: bytes) -> str:
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise error("hdf5-name", where=self._place(path), found=shown(raw)) from None
        if name in ("", ".", "..") or "/" in name or any(ord(char) < 32 or ord(char) == 127 for char in name):
            raise error("hdf5-name", where=self._place(path), found=shown(name))
        child = f"{path}/{name}" if path else name
        if child.count("/") >= self.limits.depth or len(child.encode()) > self.limits.path_bytes:
            found = f"{child.count('/') + 1} levels, {len(child.encode())} bytes"
            raise error("limit-foreign", where=self._place(path), found=found)
        return child

    def _attributes(self, path: str, item: Any, *, lists: bool = False) -> dict[str, str]:
        """The attributes that are one text; those of a group that are lists of texts are taken down on the way."""
        from h5py import h5a

        count = h5a.get_num_attrs(item)
        if count > _ATTRIBUTES:
            raise error("hdf5-attribute", where=self._place(path), found=f"{count} attributes")
        found = {}
        for index in range(count):
            attribute = h5a.open(item, index=index)
            name = attribute.name.decode("utf-8")
            where = f"{self._place(path)}, attribute {shown(name)}"
            listed = attribute_list(attribute, where, self.room) if lists else None
            if listed is None:
                found[name] = attribute_text(attribute, where, self.room if lists else min(self.room, TEXT_BYTES))
            else:
                self.index.lists.setdefault(path, {})[name] = listed
            self.room -= sum(len(text.encode()) for text in ([found[name]] if listed is None else listed))
        return found

    def _dataset(self, path: str, item: Any) -> None:
        where = self._place(path)
        attrs = self._attributes(path, item)
        stored, dtype = element_type(item.get_type(), attrs, where)
        if item.get_space().get_simple_extent_type() not in (0, 1):
            raise error("hdf5-type", where=where, found="a dataset without a dataspace")
        shape = tuple(int(size) for size in item.shape)
        if len(shape) > self.limits.rank:
            raise error("limit-rank", where=where, found=f"{len(shape)} dimensions")
        nbytes = int(np.prod(shape, dtype=object)) * stored.itemsize
        self.declared += nbytes
        if nbytes > self.limits.tensor_bytes or self.declared > self.limits.foreign_bytes:
            raise error("limit-foreign", where=where, found=f"{nbytes} bytes, {self.declared} with those before")
        layout = scan_layout(item, shape, stored.itemsize, self.size, where, beat=self.beat)
        if layout.inflated > max(SMALL_BYTES, self.limits.foreign_inflation * layout.stored_bytes):
            found = f"{layout.stored_bytes} stored bytes that become {layout.inflated}"
            raise error("limit-foreign", where=where, found=found)
        name = dtypes.of_array(np.empty(0, dtype)).name
        self.index.datasets[path] = Found(shape, stored.str, name, attrs, layout)
