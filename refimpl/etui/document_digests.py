"""Digests of documents while these are decoded: a large one is hashed by a thread beside what follows."""

from __future__ import annotations

from threading import Event, Thread
from types import TracebackType
from typing import Self

from etui import digest
from etui.errors import error

_INLINE_BYTES = 1024 * 1024


class DocumentDigests:
    """Checks documents against their digests. A context manager.

    When it is left, the first document that differs is refused, also if what was done meanwhile failed: a document
    that is not the one that was written is worth no other complaint.
    """

    def __init__(self) -> None:
        self._hashing: list[_Hashing] = []

    def add(self, name: str, content: bytes, expected: str) -> None:
        """Check `content` against its digest, now or until the context is left.

        Raises:
            IntegrityError: ``digest-mismatch``.
        """
        hashing = _Hashing(name, content, expected)
        if len(content) < _INLINE_BYTES:
            hashing.run()
            hashing.check()
            return
        # The thread gets Python's lock once, and keeps the caller from going on before it works without the lock.
        hashing.thread = Thread(target=hashing.run, name="etui-digest", daemon=True)
        hashing.thread.start()  # if there is none to be had, nothing is left to be checked
        self._hashing.append(hashing)
        hashing.begun.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hashing in self._hashing:
            hashing.check()


class _Hashing:
    def __init__(self, name: str, content: bytes, expected: str) -> None:
        self.thread: Thread | None = None
        self.begun = Event()
        self._name = name
        self._content = content
        self._expected = expected
        self._found = ""
        self._failure: BaseException | None = None

    def run(self) -> None:
        self.begun.set()
        try:
            self._found = digest.of(self._content, self._expected.partition(":")[0])
        except BaseException as cause:  # noqa: BLE001  it is raised by `check`
            self._failure = cause

    def check(self) -> None:
        if self.thread is not None:
            self.thread.join()
        if self._failure is not None:
            raise self._failure
        if self._found != self._expected:
            raise error("digest-mismatch", where=self._name, found=f"{self._found}, not {self._expected}")
