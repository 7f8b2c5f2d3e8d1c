"""What every form of an artifact offers: byte sources, a reader and a writer. Nothing above `storage` sees more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import TracebackType
from typing import Literal, Protocol, Self

Buffer = bytes | bytearray | memoryview
Form = Literal["directory", "packed", "memory", "series"]

# Large enough that calls cost nothing, small enough that a few in flight stay far below the memory bounds.
SLICE_BYTES = 4 * 1024 * 1024


class ByteSource(Protocol):
    """A run of bytes that does not change while it is open."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """A copy of `length` bytes from `offset` on.

        Raises:
            ValueError: the range is not inside of the source.
            StorageError: ``storage-failed``.
        """

    def view(self, offset: int, length: int) -> memoryview:
        """The same bytes as a read-only view: without a copy where they are mapped or in memory.

        The view stays valid after the source and its reader are closed.

        Raises:
            ValueError: the range is not inside of the source.
            StorageError: ``storage-failed``.
        """


class ArtifactReader(Protocol):
    """An open artifact: parts by name. A context manager that closes itself.

    Attributes:
        form: how the parts are stored.
        location: where, for messages.
    """

    form: Form
    location: str

    def names(self) -> Mapping[str, int]:
        """Every part that is there with its size in bytes, `manifest.json` included, listed by the manifest or not.

        In directory form this walks the folder.
        """

    def source(self, name: str) -> ByteSource:
        """The bytes of a part; of its container, what belongs to this part alone is checked.

        Raises:
            IntegrityError: ``part-missing``, in directory form and in memory.
            InvalidError: ``zip-members`` in place of that in packed form; ``manifest-missing``.
            UnsafeError: ``part-not-a-file``, ``part-name``.
            RejectError: another ``zip-`` code, the part's local header is not canonical.
            StorageError: ``storage-failed``.
        """

    def check_members(self, listed: Mapping[str, int]) -> None:
        """The cheap check at open: what the manifest lists, name -> size in bytes, is what is there.

        Raises:
            UnsafeError: ``part-name``, ``part-collision``, ``part-not-a-file``.
            InvalidError: ``part-role`` (P-5), ``zip-members``, ``zip-order``.
            IntegrityError: ``part-missing``, ``part-size``.
            LimitError: ``limit-parts``, ``limit-path``.
        """

    def verify_container(self, listed: Collection[str]) -> None:
        """Check every byte that is the container's own, and that nothing is there that the manifest does not list.

        Raises:
            RejectError: what `source` raises, ``zip-crc``, ``part-unlisted``.
        """

    def close(self) -> None:
        """Let go of files. Views handed out stay valid."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def is_remote(reader: ArtifactReader) -> bool:
    """Whether a reader asks a store for each range: it has an attribute `remote` that says so."""
    return bool(getattr(reader, "remote", False))


def read_on(reader: ArtifactReader) -> None:
    """Tell a remote reader that most of the artifact will be read, which it then gets in large ranges."""
    if is_remote(reader):
        reader.read_on()  # type: ignore[attr-defined]  # remote readers have it


class ArtifactWriter(Protocol):
    """An artifact in the making. A context manager: leaving it without `commit` removes all that was written.

    Parts come in the order of clause Z-2 in every form: data parts; programs, native documents and assets; documents;
    `manifest.json`; within each group by name.
    """

    form: Form
    location: str

    def write(self, name: str, role: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Write one part, streaming.

        Args:
            name: the part's name.
            role: its role in the manifest; ``"manifest"`` for `manifest.json`.
            size: how many bytes `buffers` will give, exactly.
            buffers: contiguous buffers of any item type, each used before the next is asked for.

        Raises:
            UsageError: ``writer-misuse``, the order is wrong, or `buffers` gives more or fewer bytes than `size`.
            UnsafeError: ``part-name``, ``part-collision``.
            InvalidError: ``part-role``.
            LimitError: ``limit-parts``, ``limit-path``.
            StorageError: ``storage-failed``; an earlier artifact at the place is as it was.
        """

    def commit(self) -> None:
        """Make the artifact durable, then visible in one step. `manifest.json` must have been written.

        Raises:
            UsageError: ``writer-misuse``.
            StorageError: ``storage-failed``; an earlier artifact at the place is as it was.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...
