"""HDF5 files with repeatable bytes: groups, contiguous datasets and text attributes, as Keras lays them out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np

from etui.storage.base import SLICE_BYTES
from etui.storage.closing import Closing
from etui.storage.failures import storage_errors
from etui.storage.hdf5_types import OPAQUE, load_h5py
from etui.storage.transaction import nameless_file

_T = TypeVar("_T")


class Hdf5Writer(Closing):
    """One HDF5 file in the making. A context manager that completes the file.

    Each dataset is written when it is given, so that one array at a time is in memory. No time is recorded.

    Args:
        file: where to write: seekable, open for reading and writing, empty.

    Raises:
        MissingExtraError: h5py is not installed.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._target = _Patient(file)
        self._file = load_h5py().File(self._target, "w", track_order=False)

    def group(self, path: str, attrs: Mapping[str, str | list[str]]) -> None:
        """Make a group, and those that lead to it, with attributes: texts, or lists of texts of equal width.

        A list without elements is one of numbers, as Keras writes it.
        """
        group = self._file.require_group(f"/{path}")
        for name, value in attrs.items():
            texts = [text.encode() for text in value] if isinstance(value, list) else []
            group.attrs[name] = value if isinstance(value, str) else np.array(texts) if texts else np.zeros(0)

    def dataset(self, path: str, array: np.ndarray[Any, Any]) -> None:
        """Write a dataset, and make the groups that lead to it.

        A dtype that HDF5 lacks is stored as opaque bytes, and named in the attribute `dtype` where several are as wide.
        """
        name = next((key[1] for key, dtype in OPAQUE.items() if dtype == array.dtype), None)
        opaque = any(dtype == array.dtype for dtype in OPAQUE.values())
        stored = np.ascontiguousarray(array).reshape(array.shape)
        stored = stored.view(f"V{array.dtype.itemsize}") if opaque else stored
        dataset = self._file.create_dataset(f"/{path}", data=stored, track_times=False)
        if name is not None:
            dataset.attrs["dtype"] = name
        self._target.check()

    def close(self) -> None:
        """Complete the file.

        Raises:
            OSError: the file cannot be written.
        """
        self._file.close()
        self._target.check()


class _Patient:
    """A file that keeps its first fault to itself, and lets nothing through from then on.

    libhdf5 cannot close a file that it cannot write: it tries again for ever after, at last when the process ends.

    Args:
        file: what to write to.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._fault: OSError | None = None

    def check(self) -> None:
        """Raise the fault."""
        if self._fault is not None:
            raise self._fault

    def write(self, data: memoryview) -> int:
        return self._try(lambda: self._file.write(data), len(data))

    def truncate(self, size: int) -> int:
        return self._try(lambda: self._file.truncate(size), size)

    def flush(self) -> None:
        self._try(self._file.flush, None)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._try(lambda: self._file.seek(offset, whence), 0)

    def tell(self) -> int:
        return self._try(self._file.tell, 0)

    def read(self, size: int) -> bytes:
        return self._try(lambda: self._file.read(size), b"").ljust(size, b"\0")

    def _try(self, call: Callable[[], _T], otherwise: _T) -> _T:
        if self._fault is None:
            try:
                return call()
            except OSError as fault:
                self._fault = fault
        return otherwise


@contextmanager
def spool(target: Path) -> Iterator[IO[bytes]]:
    """A nameless temporary file beside a target, which is gone when it is closed: what is spooled fits there as well.

    Raises:
        StorageError: ``storage-failed``.
    """
    with storage_errors(str(target)), nameless_file(target) as file:
        yield file


def spooled(file: IO[bytes]) -> Iterator[bytes]:
    """The content of a spooled file in slices."""
    file.seek(0)
    while data := file.read(SLICE_BYTES):
        yield data
