"""The storages that a file of torch declares, held against those that it has (SPEC.md, annex M.5).

torch believes the pickle when it says how many elements a storage has, and would read on behind a shorter one. So the
pickle is read before by an unpickler that makes nothing of it: every class and function in it is an inert thing.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Mapping
from typing import Any, ClassVar

from etui.errors import error, shown

# Bytes of an element by the storage's class; the last one counts bytes.
_WIDTHS = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "UntypedStorage": 1,
}


# What an unpickler raises of bytes that are no pickle.
_FAULTS = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    struct.error,
)


class _Inert:
    """What stands for everything that a pickle names or makes: it takes anything, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take anything."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Keep nothing."""

    def __setstate__(self, state: Any) -> None:
        """Keep nothing."""

    def append(self, value: Any) -> None:
        """Keep nothing."""

    def extend(self, values: Any) -> None:
        """Keep nothing."""

    def add(self, value: Any) -> None:
        """Keep nothing."""


_STORAGES: dict[str, type] = {name: type(name, (_Inert,), {}) for name in _WIDTHS}


class _Reader(pickle._Unpickler):  # noqa: SLF001  see below
    """Notes the storages; `find_class` never looks anything up.

    This is the unpickler in Python: that in C takes memory for the largest number by which a pickle names a thing.
    """

    # The one opcode that takes memory for a declared size; torch does not know it.
    dispatch: ClassVar[dict[int, Any]] = {
        code: load
        for code, load in pickle._Unpickler.dispatch.items()  # noqa: SLF001
        if code != pickle.BYTEARRAY8[0]
    }

    def __init__(self, data: bytes, where: str) -> None:
        super().__init__(io.BytesIO(data))
        self.where = where
        self.found: list[tuple[str, str, int]] = []

    def find_class(self, module: str, name: str) -> Any:  # noqa: ARG002  where it would come from does not matter
        """A class of its own for each kind of storage, and one for all else."""
        return _STORAGES.get(name, _Inert)

    def persistent_load(self, pid: Any) -> Any:
        """Note a storage: its class, key and number of elements."""
        fits = isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and isinstance(pid[1], type)
        if not fits or not isinstance(pid[2], str) or type(pid[4]) is not int:
            raise error("torch-file", where=self.where, found=f"the storage {shown(pid)}")
        self.found.append((pid[1].__name__, pid[2], pid[4]))
        return _Inert()


def check_storages(data: bytes, folder: str, sizes: Mapping[str, int], where: str) -> None:
    """Check that each storage that a pickle declares has its bytes in the archive.

    Args:
        data: the pickle.
        folder: of the archive, in which its members are.
        sizes: member -> size in bytes.
        where: the file, for messages.

    Raises:
        MalformedError: ``torch-file``.
        UnsupportedError: ``torch-content``, a storage of a kind that is not read.
    """
    reader = _Reader(data, where)
    try:
        reader.load()
    except _FAULTS as cause:
        raise error("torch-file", where=where, found=shown(str(cause))) from cause
    for kind, key, number in reader.found:
        if kind not in _WIDTHS:
            raise error("torch-content", where=where, found="a storage of a kind that is not read")
        stored = sizes.get(f"{folder}/data/{key}", -1)
        if number * _WIDTHS[kind] != stored:
            found = f"the storage {shown(key)} of {number} elements of {_WIDTHS[kind]} bytes in {max(stored, 0)} bytes"
            raise error("torch-file", where=where, found=found)
