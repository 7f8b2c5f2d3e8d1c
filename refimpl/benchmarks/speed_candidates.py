"""What a candidate of the benchmark is: a way to store tensors, with its tasks by axis and variant.

A task takes the path that is the candidate's own, and returns what it loaded, which is let go of when the clock has
stopped. Nothing is at the path when a task of an axis in `WRITING` starts; other tasks find what the last save left.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from speed_cases import Payload

SAVE, SYNCED, COPIED, MAPPED, ONE, OPEN, VERIFY, DIGEST = AXES = (
    "save",
    "save, flushed",
    "load, copied",
    "load, mapped",
    "load one",
    "open",
    "verify",
    "digest",
)
READ = "read"
WRITING = frozenset({SAVE, SYNCED})
Key = tuple[str, str]
Tasks = dict[Key, Callable[[Path], Any]]
FILLED = "into memory that is there"
THREADS = len(os.sched_getaffinity(0))


class Candidate(ABC):
    """One way to store the tensors of a case.

    Attributes:
        name: for people.
        family: candidates of one family share a process.
        needs: packages that have to be installed.
        kinds: of the cases that it takes part in.
        most: tensors at most.
        why: the reason of `most`.
        in_place: tasks that fill memory which is there already.
        essential: whether it takes part in every round, however long it takes.
        folder: whether its path is an empty folder when a save starts; otherwise nothing is there.
        case: what is stored.
        shared: folder for what several candidates read.
    """

    name: ClassVar[str] = ""
    family: ClassVar[str] = "numpy"
    needs: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[frozenset[str]] = frozenset({"formats"})
    most: ClassVar[int | None] = None
    why: ClassVar[str] = ""
    in_place: ClassVar[frozenset[Key]] = frozenset()
    essential: ClassVar[bool] = False
    folder: ClassVar[bool] = False

    def __init__(self, payload: Payload, shared: Path) -> None:
        self.payload = payload
        self.case = payload.case
        self.shared = shared

    @cached_property
    def one(self) -> str:
        """The tensor that is loaded alone."""
        return self.case.paths()[self.case.tensors // 2]

    def gives(self, key: Key) -> bool:
        """Whether a task gives the arrays in memory that was not there before."""
        return key[0] in {COPIED, READ} and key not in self.in_place

    def prepare(self) -> None:  # noqa: B027  most have nothing to write
        """Write into `shared` what candidates of the case read, once, before anything is measured."""

    def ready(self, axis: str) -> None:
        """Make what a task needs and is no part of it."""
        if axis in WRITING | {DIGEST}:
            self.payload.arrays  # noqa: B018  made now

    @abstractmethod
    def tasks(self) -> Tasks:
        """The tasks by axis and variant, in the order in which they are run."""

    @classmethod
    def missing(cls) -> str:
        """The first package that is not installed."""
        return next((name for name in cls.needs if find_spec(name) is None), "")


class Loaded:
    """What a task has loaded, with the reader that it comes from.

    Args:
        reader: closed when the clock has stopped.
        arrays: let go of before.
    """

    def __init__(self, reader: Any, arrays: list[Any]) -> None:
        self.reader = reader
        self.arrays = arrays

    def close(self) -> None:
        """Let go of the arrays, then of their reader."""
        self.arrays.clear()
        self.reader.close()


def flush(path: Path) -> None:
    """Wait until a file, or every file below a folder, is on the device."""
    for file in [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]:
        handle = os.open(file, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def then_flushed(save: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """A save of a format that does not flush, and the flush after it."""

    def run(path: Path) -> None:
        save(path)
        flush(path)

    return run
