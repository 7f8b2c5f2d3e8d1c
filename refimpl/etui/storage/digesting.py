"""Digests in the same pass as the write: slices are hashed by a second thread while the first one writes them.

Hashing and writing both release Python's lock, so the pass takes as long as the slower of the two. The slices are
views: nothing is copied, and at most `_IN_FLIGHT` of them are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from etui import digest
from etui.storage.base import Buffer
from etui.storage.writing import slices

_IN_FLIGHT = 4
# Below this size handing a slice to the other thread takes longer than hashing it.
_INLINE_BYTES = 128 * 1024


class Digesting:
    """Hashes one piece after the other. A context manager, which ends its thread.

    Args:
        algorithm: of the digests.
    """

    def __init__(self, algorithm: str = digest.DEFAULT_ALGORITHM) -> None:
        self._algorithm = algorithm
        self._hasher = digest.new(algorithm)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="etui-digest")
        self._pending: deque[Future[None]] = deque()

    def through(self, data: Buffer) -> Iterator[memoryview]:
        """Give `data` in slices, each of which is hashed while the caller writes it.

        The bytes must not change before `finish`.
        """
        for view in slices([data]):
            if view.nbytes <= _INLINE_BYTES and not self._pending:
                self._hasher.update(view)
            else:
                if len(self._pending) == _IN_FLIGHT:
                    self._pending.popleft().result()
                self._pending.append(self._pool.submit(self._hasher.update, view))
            yield view

    def finish(self) -> str:
        """The digest of everything that went through since the last call."""
        while self._pending:
            self._pending.popleft().result()
        value = f"{self._algorithm}:{self._hasher.hexdigest()}"
        self._hasher = digest.new(self._algorithm)
        return value

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._pending.clear()
