"""Reading a step as the artifact that it is: parts by name, put together from objects (SPEC.md annex Q)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from etui import digest
from etui.checkpoints import layouts
from etui.checkpoints.layouts import Layout
from etui.checkpoints.records import Record
from etui.containers import manifest as manifest_container
from etui.containers.manifest import Manifest, PartEntry
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource, Form
from etui.storage.closing import Closing
from etui.storage.objects import ObjectStore
from etui.storage.part_names import MANIFEST, check_part_names
from etui.storage.reading import missing
from etui.storage.sources import BytesSource, check_range


class StepReader(Closing):
    """An `ArtifactReader` of a step.

    Args:
        store: has the objects.
        record: of the step.
        limits: refuse what is beyond these.

    Attributes:
        manifest: of the step.
        copies: whether views take memory of their own, as they do where nothing can be mapped.

    Raises:
        RejectError: ``series-object``, ``digest-mismatch``, or what the manifest breaks.
        StorageError: the series cannot be read.
    """

    def __init__(self, store: ObjectStore, record: Record, limits: Limits = DEFAULT_LIMITS) -> None:
        self.form: Form = "series"
        self.location = f"{store.location}, step {record.step}"
        self.copies = "://" in store.location
        self._store = store
        self._layouts = record.layouts
        self._limits = limits
        self._data: dict[str, _DataSource] = {}
        self._document = self._checked(record.identity, MANIFEST, limits.document_bytes, "limit-document")
        self.manifest: Manifest = manifest_container.decode(self._document, limits)

    def names(self) -> Mapping[str, int]:
        """Every part with its size; a step has those that the manifest lists."""
        listed = {name: entry.size for name, entry in self.manifest.parts.items()}
        return listed | {MANIFEST: len(self._document)}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part.

        Raises:
            IntegrityError: ``part-missing``, ``series-object``, ``digest-mismatch`` of a layout.
            InvalidError: ``series-layout``, ``layout-form``.
        """
        if name == MANIFEST:
            return BytesSource(self._document)
        entry = self.manifest.parts.get(name)
        if entry is None:
            raise missing(name, self.location)
        if entry.digest is not None:
            return self._object(entry.digest, entry.size, name)
        if name not in self._data:
            self._data[name] = self._data_source(name, entry)
        return self._data[name]

    def layout(self, name: str) -> Layout:
        """The layout of a data part, checked against the part's size.

        Raises:
            IntegrityError: ``series-object``, ``digest-mismatch``.
            RejectError: ``series-layout``, ``layout-form``, ``limit-pieces``.
        """
        if name not in self._layouts:
            raise error("series-layout", where=self.location, found=f"no layout of {name}")
        content = self._checked(self._layouts[name], f"the layout of {name}", layouts.MOST_BYTES, "limit-pieces")
        found = layouts.decode(content, name, self._limits)
        entry = self.manifest.parts[name]
        if found.size != entry.size - (entry.header_size or 0):
            sizes = f"{found.size} bytes in pieces for a data section of {entry.size - (entry.header_size or 0)}"
            raise error("series-layout", where=name, found=sizes)
        return found

    def object_sizes(self, name: str) -> list[int]:
        """The sizes of the objects of a data part's layout, in its order; what was read of them tells, where it can."""
        source = self.source(name)
        return source.sizes() if isinstance(source, _DataSource) else []

    def check_members(self, listed: Mapping[str, int]) -> None:
        """The names are legal, and each data part has a layout, and nothing else has one (CS-22)."""
        check_part_names(listed, self._limits)
        data = {name for name, entry in self.manifest.parts.items() if entry.role == "data"}
        if data != self._layouts.keys():
            odd = min(data ^ self._layouts.keys())
            found = f"no layout of {odd}" if odd in data else f"a layout of {shown(odd)}, which is no data part"
            raise error("series-layout", where=self.location, found=found)

    def verify_container(self, listed: Collection[str]) -> None:
        """Each layout fits, and every object that the step needs is there and large enough."""
        for name in listed:
            source = self.source(name)
            if isinstance(source, _DataSource):
                source.sizes()

    def close(self) -> None:
        """Let go of what was looked up; views that were handed out stay valid."""
        self._data.clear()

    def _data_source(self, name: str, entry: PartEntry) -> _DataSource:
        header = self._object(entry.header_digest or "", entry.header_size or 0, f"{name}, header")
        return _DataSource(self._store, name, header, self.layout(name))

    def _object(self, name: str, size: int, where: str) -> ByteSource:
        source = self._store.source(name)
        if source.size != size:
            found = f"{source.size} bytes, not {size}, in {name}"
            raise error("series-object", where=f"{self.location}, {where}", found=found)
        return source

    def _checked(self, name: str, where: str, most: int, code: str) -> bytes:
        """The bytes of a document of which nothing but the digest is known; beyond `most` bytes refused with `code`."""
        source = self._store.source(name)
        if source.size > most:
            raise error(code, where=f"{self.location}, {where}", found=f"{source.size} bytes")
        data = source.read(0, source.size)
        found = digest.of(data, name.partition(":")[0])
        if found != name:
            raise error("digest-mismatch", where=f"{self.location}, {where}", found=f"{found}, not {name}")
        return data


class _DataSource:
    """The bytes of a data part: its header, which is an object, and the pieces of its layout."""

    def __init__(self, store: ObjectStore, name: str, header: ByteSource, layout: Layout) -> None:
        self._store = store
        self._name = name
        self._header = header
        self._layout = layout
        self._reach = layout.reach()
        self._objects: dict[int, ByteSource] = {}

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._header.size + self._layout.size

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        check_range(self.size, offset, length)
        pieces = self._pieces(offset, length)
        if len(pieces) == 1:
            source, begin, size = pieces[0]
            return source.read(begin, size)
        return b"".join([source.read(begin, size) for source, begin, size in pieces])

    def view(self, offset: int, length: int) -> memoryview:
        """A view of a range: without a copy within a piece, if the store can."""
        check_range(self.size, offset, length)
        pieces = self._pieces(offset, length)
        if len(pieces) == 1:
            source, begin, size = pieces[0]
            return source.view(begin, size)
        return memoryview(b"".join([source.read(begin, size) for source, begin, size in pieces]))

    def sizes(self) -> list[int]:
        """The size of every object, each of which is there and as long as the pieces need."""
        return [self._object(number).size for number in range(len(self._layout.objects))]

    def _pieces(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """Where a range is; beyond one piece, no larger than the bytes that are there (CS-33)."""
        pieces: list[tuple[ByteSource, int, int]] = []
        header = self._header.size
        taken = 0
        if offset < header and length:
            taken = min(length, header - offset)
            pieces.append((self._header, offset, taken))
        begin = max(offset, header)
        there = header if offset < header else 0
        seen: set[int] = set()
        for number, at, size in self._layout.find(begin - header, max(offset + length - begin, 0)):
            source = self._object(number)
            if number not in seen:
                seen.add(number)
                there += source.size
            pieces.append((source, at, size))
            taken += size
        if taken > there:
            found = f"a range of {length} bytes in objects of {there}"
            raise error("series-layout", where=self._name, found=found)
        return pieces

    def _object(self, number: int) -> ByteSource:
        source = self._objects.get(number)
        if source is None:
            name = self._layout.objects[number]
            source = self._store.source(name)
            if source.size < self._reach[number]:
                found = f"a piece that ends at {self._reach[number]} of {name}, which has {source.size} bytes"
                raise error("series-layout", where=self._name, found=found)
            self._objects[number] = source
        return source
