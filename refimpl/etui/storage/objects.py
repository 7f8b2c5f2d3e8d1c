"""Content-addressed objects and the records of steps: what a series of checkpoints needs of a place (SPEC.md annex Q).

A place is a folder (`local_objects`) or lies below a URL (`remote_objects`). Names in it are made of digests and
numbers alone. What the objects mean is for `etui.checkpoints` to know.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from etui import digest
from etui._version import SPEC_VERSION
from etui.canonical import json
from etui.errors import error, shown
from etui.storage.base import Buffer, ByteSource

MARK = "series.json"
MARK_BYTES = json.encode({"format": "etui-series", "version": SPEC_VERSION})
# A mark with fields of a newer version is longer, but not by much.
MOST_MARK_BYTES = 64 * 1024
# SPEC.md CS-34
MOST_RECORD_BYTES = 64 * 1024 * 1024
MOST_STEP = 2**53 - 1

_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)")
_RECORD = re.compile(r"(0|[1-9][0-9]{0,15})\.json")


class StoredObject(NamedTuple):
    """An object that is there: its digest, its size in bytes, and when it came, in seconds since the epoch."""

    digest: str
    size: int
    modified: float


class ObjectStore(Protocol):
    """Where the objects and the records of a series are.

    Every method raises ``storage-failed`` where the place cannot be read or written, and ``series-link`` where a link
    or a device is in it.

    Attributes:
        location: the place, for messages.
    """

    location: str

    def size_of(self, name: str) -> int | None:
        """The size of an object in bytes; `None` if it is not there."""

    def put(self, name: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Store an object whose bytes have the digest `name`, which the caller computed.

        Any thread may call it, several for the same object. The object is durable at the latest after `flush`.

        Args:
            name: the digest.
            size: how many bytes `buffers` will give, exactly.
            buffers: contiguous buffers of any item type, each used before the next is asked for.
        """

    def source(self, name: str) -> ByteSource:
        """The bytes of an object, unchecked.

        Raises:
            IntegrityError: ``series-object``, it is not there.
        """

    def flush(self) -> None:
        """Make durable what was put, and what `size_of` has found."""

    def steps(self) -> list[int]:
        """The numbers of the steps that have a record, sorted."""

    def record(self, step: int) -> bytes:
        """The record of a step.

        Raises:
            UsageError: ``series-step``, there is none.
        """

    def put_record(self, step: int, data: bytes, *, replace: bool = False) -> None:
        """Make a step visible and durable: the commit. `flush` was called before.

        Raises:
            UsageError: ``series-exists``, it is there, and not to be replaced.
        """

    def remove_record(self, step: int) -> None:
        """Remove the record of a step, durably.

        Raises:
            UsageError: ``series-step``, there is none.
        """

    def objects(self) -> Iterator[StoredObject]:
        """Every object that is there, in any order."""

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""

    def writing(self) -> AbstractContextManager[None]:
        """For the block, no garbage is collected; nothing where there are no locks.

        Raises:
            StorageError: ``series-busy``, garbage is being collected, and that takes long.
        """

    def cleaning(self, *, exclusive: bool = False) -> AbstractContextManager[None]:
        """For the block, nobody writes.

        Args:
            exclusive: the caller's word that nobody writes, where there are no locks.

        Raises:
            StorageError: ``series-busy``, somebody writes, or nobody knows.
        """


def object_names(name: str) -> tuple[str, str, str, str]:
    """The folders and the file of an object, below the series.

    Raises:
        InvalidError: ``digest-form``.
        UnsupportedError: ``digest-algorithm``.
    """
    algorithm, value = digest.parse(name, "an object")
    return "objects", algorithm, value[:2], value[2:]


def step_number(value: Any) -> int:
    """The number of a step as an `int`; an integer of NumPy or of a framework is one, too.

    Raises:
        UsageError: ``series-number``.
    """
    try:
        number = value if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = value
    record_name(number)
    return int(number)


def record_name(step: int) -> str:
    """The file of a step's record, in the folder ``steps``.

    Raises:
        UsageError: ``series-number``.
    """
    if type(step) is not int or not 0 <= step <= MOST_STEP:
        raise error("series-number", found=shown(step))
    return f"{step}.json"


def record_number(name: str) -> int | None:
    """The step of a file's name, or `None` if it is not that of a record."""
    match = _RECORD.fullmatch(name)
    step = int(match[1]) if match else MOST_STEP + 1
    return step if step <= MOST_STEP else None


def check_mark(data: bytes, where: str) -> None:
    """Check the bytes of `series.json` (CS-1).

    Raises:
        RejectError: ``series-form``, ``version-unsupported``, or a ``json-`` code.
    """
    if len(data) > MOST_MARK_BYTES:
        raise error("series-form", where=where, found=f"a {MARK} of {len(data)} bytes or more")
    tree = json.decode(data, where=f"{where}/{MARK}")
    version = tree.get("version")
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    if match is None:
        raise error("version-form", where=f"{where}/{MARK}", found=shown(version))
    if match[1] != SPEC_VERSION.partition(".")[0]:
        raise error("version-unsupported", where=f"{where}/{MARK}", found=shown(version))
    known = {name for name in tree if not name.startswith("x-")}
    if tree.get("format") != "etui-series" or (version == SPEC_VERSION and known != {"format", "version"}):
        raise error("series-form", where=f"{where}/{MARK}", found=shown(tree))
