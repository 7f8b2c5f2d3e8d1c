"""Artifacts behind a URL: what is read of them, in as few requests as there can be (SPEC.md, annex S.1).

The tail of a packed artifact has its directory, its manifest and its documents, so that one request opens it, and a
second one where they are large. A tensor is one request more: where it lies follows from the documents.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from errno import EACCES, EISDIR, ENOENT
from threading import Lock
from typing import TypeVar

from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage import zip_records as z
from etui.storage.base import ArtifactReader, ByteSource, Form
from etui.storage.closing import Closing
from etui.storage.packed import PackedReader
from etui.storage.packed_directory import most_directory_bytes
from etui.storage.packed_layout import is_first_header
from etui.storage.part_names import MANIFEST, check_part_names, role_of
from etui.storage.reading import missing
from etui.storage.remote_spool import Spool
from etui.storage.remote_store import Store, is_missing
from etui.storage.sources import BytesSource, check_range
from etui.storage.urls import Options, protocol, suffix_of

TAIL_BYTES = 512 * 1024
HEAD_BYTES = 1024
# Documents that lie before a directory which is itself before the tail.
_GUESS_BYTES = 8 * 1024 * 1024

_Result = TypeVar("_Result")
# In a repository of the Hub other files lie beside an artifact (HB-12).
_HUB = "hf"
_DOCUMENTS = frozenset({"config", "weights", "training", "optimizer", "state", "manifest"})


class RemoteFile:
    """A file of a store as a byte source.

    The first ranges are read as they are asked for. From then on, or after `read_on`, they come in blocks that are kept
    in a temporary file, so that neighbouring tensors are one request and no byte comes twice.

    Args:
        store: where the file is.
        key: what the store calls it.
        size: in bytes, if that is known; else the store is asked when it is needed.
        part: of which artifact's part it is the file, and that artifact, for the error that says that it is missing.
    """

    # So many ranges are read one by one; whoever asks for more reads on, and gets neighbours with each.
    single_reads = 16

    def __init__(self, store: Store, key: str, size: int | None = None, part: tuple[str, str] | None = None) -> None:
        self.where = store.shown(key)
        self._store = store
        self._key = key
        self._size = size
        self._part = part
        self._end = b""  # the last bytes of the file, as far as they are in memory
        self._reads = 0
        self._read_to = -1
        self._expects_all = False
        self._spool: Spool | None = None
        self._lock = Lock()
        self._closed = False

    @property
    def size(self) -> int:
        """Number of bytes."""
        if self._size is None:
            self._size = self._ask(lambda: self._store.size(self._key))
        return self._size

    @property
    def held(self) -> int:
        """Where the bytes begin that are in memory, up to the end of the file."""
        return self.size - len(self._end)

    def hold_tail(self, length: int) -> bytes:
        """Read the last bytes into memory; of a file that is no longer than that, the size is known by it."""
        self._end, size = self._ask(lambda: self._store.tail(self._key, length))
        self._size = size if self._size is None else self._size
        return self._end

    def conclude_size(self, size: int) -> None:
        """Take the size that the tail says, where the store has not said it."""
        if self._size is None:
            self._size = max(size, len(self._end))

    def hold_from(self, start: int) -> None:
        """Read all from `start` on into memory, of which the end is there."""
        if start < self.held:
            more = self._ask(lambda: self._store.fetch(self._key, start, self.held - start))
            self._end = b"".join((more, self._end))

    def read(self, offset: int, length: int) -> bytes:
        """A copy of a range."""
        return bytes(self.view(offset, length))

    def view(self, offset: int, length: int) -> memoryview:
        """A range, which stays in memory or in a temporary file as long as the view is there."""
        check_range(self.size, offset, length)
        if offset >= self.held:
            return memoryview(self._end)[offset - self.held : offset - self.held + length]
        if self._closed:
            raise error("storage-failed", where=self.where, found="an artifact that was closed")
        self._note_read(offset, length)
        if self._spool is None and (self._expects_all or self._reads > self.single_reads):
            self._begin_blocks()
        if self._spool is not None:
            return self._spool.view(offset, length)
        return self._ask(lambda: self._store.fetch(self._key, offset, length))

    def _note_read(self, offset: int, length: int) -> None:
        """Count a range; one that follows the last one counts for several, as more of them are likely to come."""
        self._reads += self.single_reads // 2 if offset == self._read_to else 1
        self._read_to = offset + length

    def read_on(self) -> None:
        """Expect that most of the file will be read."""
        self._expects_all = True

    def _begin_blocks(self) -> None:
        with self._lock:
            if self._spool is None:
                self.check_size()
                self._spool = Spool(self.size, self._block, self.where, threads=self._store.threads)
            self._spool.expects_all = self._expects_all

    def _block(self, offset: int, length: int) -> memoryview:
        return memoryview(self._ask(lambda: self._store.range(self._key, offset, length)))

    def check_size(self) -> None:
        """Check that the file is as long as was concluded from its content, or as its part should be.

        Raises:
            IntegrityError: ``part-size``.
            StorageError: ``remote-changed``.
        """
        found = self._ask(lambda: self._store.size(self._key))
        if found != self.size and self._part is not None:
            raise error("part-size", where=self._part[0], found=f"{found} bytes, not {self.size}")
        if found != self.size:
            raise error("remote-changed", where=self.where, found=f"a file of {found} bytes, not of {self.size}")

    def _ask(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except OSError as cause:
            absent = self._absent(cause)
            if absent is not None:
                raise absent from cause
            raise

    def _absent(self, cause: OSError) -> Exception | None:
        """What is raised in place of an error that says that the file is not there."""
        return missing(*self._part) if self._part is not None and is_missing(cause) else None

    def close(self) -> None:
        """Let go of the file. Views stay valid."""
        self._closed = True
        if self._spool is not None:
            self._spool.close()


class RemotePacked(PackedReader):
    """A packed artifact of a store.

    A member's local header, which says nothing that the directory does not, is read by the full verification alone.
    """

    remote = True

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._file = RemoteFile(store, store.key())
        try:
            self._hold_directory(limits)
            super().__init__(self._file, store.where, limits=limits, close=self._let_go, eager=False)
            self._file.hold_from(self._documents_begin())
        except BaseException:
            self._let_go()
            raise

    def _hold_directory(self, limits: Limits) -> None:
        """Have the end of the file in memory, with the directory, and with luck the documents too."""
        end = self._file.hold_tail(TAIL_BYTES)
        tail = z.read_tail(BytesSource(end))
        if isinstance(tail, str):
            self._file.conclude_size(len(end))  # the reader says what is wrong
            return
        length = tail.directory_size + len(tail.raw)
        self._file.conclude_size(tail.directory_offset + length)
        # What is longer has an entry that is refused.
        if tail.count <= limits.parts + 1 and length <= most_directory_bytes(tail.count, limits) + len(tail.raw):
            begin = self._file.size - length
            if 0 <= begin < self._file.held:
                self._file.hold_from(max(0, begin - _GUESS_BYTES))

    def _documents_begin(self) -> int:
        """Where the documents begin that the archive ends with, up to one beyond the limit.

        Any other lies where none belongs (Z-2), in front of as many bytes as whoever made the archive liked.
        """
        begin = self._file.size
        for name, member in reversed(self._members.items()):
            if role_of(name) not in _DOCUMENTS or member.size > self._limits.document_bytes:
                break
            begin = member.data_offset
        return begin

    def read_on(self) -> None:
        """Expect that most of the artifact will be read."""
        self._file.read_on()

    def verify_container(self, listed: Collection[str]) -> None:
        """Check the file's size, every local header and every CRC-32."""
        self._file.check_size()
        self._eager = True
        super().verify_container(listed)

    def _let_go(self) -> None:
        self._file.close()
        self._store.close()


class RemoteDirectory(Closing):
    """An artifact in directory form in a store.

    The documents are read, several at once, when the manifest has named them. Any other part is asked for when it is
    used, so that one that is missing, or of another size, is refused then, or by the full verification.
    """

    remote = True

    def __init__(self, store: Store, limits: Limits) -> None:
        self.form: Form = "directory"
        self.location = store.where
        self._store = store
        self._limits = limits
        self._sizes: dict[str, int] = {}
        self._sources: dict[str, ByteSource] = {}
        try:
            self._sources[MANIFEST] = self._document(MANIFEST, None)
        except BaseException:
            store.close()
            raise

    def _document(self, name: str, size: int | None) -> ByteSource:
        """A document with all its bytes, which are as many as the manifest says; of the manifest, as there are."""
        file = RemoteFile(self._store, self._store.key(name), part=(name, self.location))
        file.hold_tail(TAIL_BYTES if size is None else size + 1)
        if size is not None and file.size != size:
            raise error("part-size", where=name, found=f"{file.size} bytes, not {size}")
        if file.size <= self._limits.document_bytes:
            file.hold_from(0)
        return file

    def names(self) -> Mapping[str, int]:
        """Every file below the folder with its size; of a store that cannot list, the listed parts."""
        if self._store.read_only:
            return {**self._sizes, MANIFEST: self._sources[MANIFEST].size}
        return {name: int(entry["size"]) for name, entry in self._store.files().items()}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""
        if name not in self._sources:
            if name not in self._sizes:
                raise missing(name, self.location)
            part = (name, self.location)
            self._sources[name] = RemoteFile(self._store, self._store.key(name), self._sizes[name], part)
        return self._sources[name]

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Every listed document is there with its size (F-3, F-4)."""
        check_part_names(listed, self._limits)
        self._sizes = dict(listed)
        documents = {
            name: size
            for name, size in listed.items()
            if role_of(name) in _DOCUMENTS and size <= self._limits.document_bytes
        }
        with ThreadPoolExecutor(self._store.threads, "etui-remote") as pool:
            found = {name: pool.submit(self._document, name, size) for name, size in documents.items()}
            self._sources |= {name: job.result() for name, job in found.items()}

    def verify_container(self, listed: Collection[str]) -> None:
        """Every part is there with its size, and nothing else is, where the store can list (F-3 to F-5)."""
        if self._store.read_only:
            with ThreadPoolExecutor(self._store.threads, "etui-remote") as pool:
                sizes = dict(zip(listed, pool.map(self._size_of, listed), strict=True))
        else:
            sizes = dict(self.names())
            unlisted = sizes.keys() - {*listed, MANIFEST}
            if unlisted and protocol(self.location) != _HUB:
                raise error("part-unlisted", where=self.location, found=shown(min(unlisted)))
        for name in listed:
            if name not in sizes:
                raise missing(name, self.location)
            if sizes[name] != self._sizes[name]:
                raise error("part-size", where=name, found=f"{sizes[name]} bytes, not {self._sizes[name]}")

    def _size_of(self, name: str) -> int:
        try:
            return self._store.size(self._store.key(name))
        except OSError as cause:
            if is_missing(cause):
                raise missing(name, self.location) from cause
            raise

    def read_on(self) -> None:
        """Expect that most of the artifact will be read."""
        for name in self._sizes:
            source = self.source(name)
            if isinstance(source, RemoteFile) and role_of(name) not in _DOCUMENTS:
                source.read_on()

    def close(self) -> None:
        """Let go of files."""
        for source in self._sources.values():
            if isinstance(source, RemoteFile):
                source.close()
        self._store.close()


def open_remote(url: str, limits: Limits = DEFAULT_LIMITS, *, options: Options | None = None) -> ArtifactReader:
    """Open the artifact that a URL names.

    A URL that ends with `/` names a folder. Without a suffix, a folder is looked for first, and a file after that; with
    one, a file and then a folder.

    Args:
        url: of the file or the folder.
        limits: the limits in force.
        options: of the file system; see `etui.storage.remote_store.Store`.

    Raises:
        RejectError: as for a local artifact.
        StorageError: nothing is there, or the store refuses: ``storage-failed``, ``remote-failed``, ``remote-read``,
            ``remote-changed``, ``remote-ranges``.
        UsageError: ``remote-url``.
        MissingExtraError: ``extra-remote``.
    """
    kinds: list[type[RemotePacked | RemoteDirectory]] = [RemotePacked, RemoteDirectory]
    if not suffix_of(url):
        kinds.reverse()
    if url.endswith("/"):
        return RemoteDirectory(Store(url, options), limits)
    try:
        return kinds[0](Store(url, options), limits)
    except EtuiError as first:
        if not is_absent(first):
            raise
        try:
            return kinds[1](Store(url, options), limits)
        except EtuiError as second:
            # The file is the likelier of two places at which nothing is.
            likely = first if kinds[0] is RemotePacked or not is_absent(second) else second
            raise (likely if is_absent(second) else second) from None


def is_absent(fault: EtuiError) -> bool:
    """Whether nothing is there, as far as the store tells: some refuse what is not there."""
    return fault.code == "manifest-missing" or (isinstance(fault, OSError) and fault.errno in {ENOENT, EACCES, EISDIR})


def begins_as_packed(url: str) -> bool:
    """Whether the file that a URL names begins as a packed artifact alone does (I-1)."""
    with closing(Store(url)) as store:
        size = store.size(store.key())
        return is_first_header(store.range(store.key(), 0, min(size, HEAD_BYTES)))
