"""What the writers of all forms share: the order of calls, the names, and the promised sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.base import SLICE_BYTES, Buffer, Form
from etui.storage.part_names import MANIFEST, Collisions, check_part_name, order_key, role_of


def slices(buffers: Iterable[Buffer]) -> Iterator[memoryview]:
    """The bytes of contiguous buffers as flat views of at most `SLICE_BYTES`; empty ones are left out."""
    for buffer in buffers:
        view = memoryview(buffer)
        if view.nbytes and (view.ndim != 1 or view.format != "B"):
            view = view.cast("B")
        for start in range(0, view.nbytes, SLICE_BYTES):
            yield view[start : start + SLICE_BYTES]
        # The buffer may be all that holds its memory, and the next one is made when it is asked for.
        del buffer, view


class Content(NamedTuple):
    """A part on its way: its name, its size in bytes, and its bytes in views of at most `SLICE_BYTES`."""

    name: str
    size: int
    data: Iterator[memoryview]


class CheckedWriter(ABC):
    """An `ArtifactWriter` that checks its caller; the forms say where the bytes go.

    Args:
        form: how the parts are stored.
        location: where, for messages.
        limits: the limits in force.
    """

    def __init__(self, form: Form, location: str, limits: Limits) -> None:
        self.form: Form = form
        self.location = location
        self._limits = limits
        self._written = 0
        self._last: tuple[int, str] | None = None
        self._collisions = Collisions()
        self._state = "open"

    def write(self, name: str, role: str, size: int, buffers: Iterable[Buffer]) -> None:
        """Write one part; see `ArtifactWriter.write`."""
        self._check(name, role)
        self._state = "writing"
        self._put(Content(name, size, exactly(size, slices(buffers), name)))
        self._state = "open"
        self._written += 1

    def commit(self) -> None:
        """Publish; see `ArtifactWriter.commit`."""
        if self._state != "open" or self._last is None or self._last[1] != MANIFEST:
            raise error("writer-misuse", where=self.location, found="a commit without a manifest, or a second one")
        self._state = "committing"
        self._publish()
        self._state = "committed"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._state != "committed":
            self._state = "aborted"
            self._abort()

    def _check(self, name: str, role: str) -> None:
        if self._state != "open":
            raise error("writer-misuse", where=self.location, found=f"a part for a writer that is {self._state}")
        check_part_name(name, self._limits)
        if role_of(name) != role:
            raise error("part-role", where=name, found=f"the role {shown(role)}, and the name is of {role_of(name)}")
        if self._written >= self._limits.parts and name != MANIFEST:
            raise error("limit-parts", where=name, found=f"part {self._written + 1}")
        key = order_key(name)
        if self._last is not None and key <= self._last:
            raise error("writer-misuse", where=name, found=f"a part written after {shown(self._last[1])}")
        self._collisions.add(name)
        self._last = key

    @abstractmethod
    def _put(self, part: Content) -> None:
        """Take the bytes of a part, all of them."""

    @abstractmethod
    def _publish(self) -> None:
        """Make durable and visible."""

    @abstractmethod
    def _abort(self) -> None:
        """Remove what was written. Called once, also after a `_publish` that failed."""


def exactly(size: int, data: Iterator[memoryview], name: str) -> Iterator[memoryview]:
    """The views of `data`, which must be of `size` bytes in all.

    Raises:
        UsageError: ``writer-misuse``.
    """
    left = size
    for view in data:
        left -= view.nbytes
        if left < 0:
            break
        yield view
        del view  # see `slices`
    if left:
        given = f"at least {size - left}" if left < 0 else f"{size - left}"
        raise error("writer-misuse", where=name, found=f"{given} bytes for a part of {size}")
