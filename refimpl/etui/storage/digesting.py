"""Digests of tensors beside their writing: a few threads hash what the caller writes meanwhile.

Every tensor has a digest of its own, so that several are hashed at once and none waits for the one before. Hashing and
writing both release Python's lock. Nothing is copied: what is in memory or mapped may wait for its turn as long as
it takes, and of what was made for the writing only so much waits as `_COPIED_BYTES` says.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Self, TypeVar

from etui import digest
from etui.storage.base import SLICE_BYTES, Buffer
from etui.storage.writing import slices

# Beyond this, threads wait for memory.
_MOST_THREADS = 8
# Below this size handing data to another thread takes longer than hashing it.
INLINE_BYTES = 32 * 1024
# Work for a thread is handed over in amounts of about this size: each time, the caller loses Python's lock.
JOB_BYTES = 4 * 1024 * 1024
_LEAST_JOB_BYTES = 512 * 1024
_COPIED_BYTES = 24 * 1024 * 1024

Key = TypeVar("Key")


def thread_count() -> int:
    """How many threads compute checksums: one for each processor that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
    return min(os.cpu_count() or 1, _MOST_THREADS)


@contextmanager
def digest_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for digests, which end when the block does; what was not begun by then never is."""
    threads = ThreadPoolExecutor(thread_count(), "etui-digest")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


class Digesting(Generic[Key]):
    """Hashes one piece of data after the other. A context manager, which ends its threads.

    Args:
        found: is called with each piece's key and digest, in the thread that calls the methods; what it raises ends
            the work.
        algorithm: of the digests.
    """

    def __init__(self, found: Callable[[Key, str], None], algorithm: str = digest.DEFAULT_ALGORITHM) -> None:
        digest.new(algorithm)  # refused now if it is not known
        self._found = found
        self._algorithm = algorithm
        self._pool = ThreadPoolExecutor(thread_count(), "etui-digest")
        self._batch: list[tuple[Key, Buffer]] = []
        self._batch_bytes = self._batch_copied = 0
        self._jobs: deque[tuple[Future[list[tuple[Key, str]]], int]] = deque()
        self._copied = 0
        self._ended = False

    def add(self, key: Key, data: Buffer, *, copied: bool = False) -> None:
        """Hash `data`, which must not change before `finish`.

        Args:
            key: what it is called when its digest is found.
            data: contiguous bytes; at most `INLINE_BYTES` are hashed at once, in this thread.
            copied: whether it takes memory of its own until it is hashed.
        """
        size = len(data)
        if size <= INLINE_BYTES:
            self._found(key, digest.of(data, self._algorithm))
            return
        self._batch.append((key, data))
        self._batch_bytes += size
        self._batch_copied += size if copied else 0
        if self._batch_bytes >= JOB_BYTES:
            self._hand_over()

    def make_room(self, size: int) -> None:
        """Wait until `size` bytes more may be copied, or until nothing that was copied waits."""
        if self._copied + self._batch_copied + size <= _COPIED_BYTES:
            return
        self._hand_over()
        while self._copied and self._copied + size > _COPIED_BYTES:
            self._collect()

    def begin(self) -> None:
        """Hand over what waits for more, if it is worth it: the caller will add nothing before `finish`."""
        if self._batch_bytes >= _LEAST_JOB_BYTES:
            self._hand_over()

    def finish(self) -> None:
        """Wait until everything is hashed; what was not handed over yet, the waiting thread does."""
        batch, self._batch, self._batch_bytes, self._batch_copied = self._batch, [], 0, 0
        last = self._hash(batch)
        while self._jobs:
            self._collect()
        for key, value in last:
            self._found(key, value)

    def _hand_over(self) -> None:
        if self._batch:
            self._jobs.append((self._pool.submit(self._hash, self._batch), self._batch_copied))
            self._copied += self._batch_copied
            self._batch, self._batch_bytes, self._batch_copied = [], 0, 0
        while self._jobs and self._jobs[0][0].done():
            self._collect()

    def _collect(self) -> None:
        job, copied = self._jobs.popleft()
        for key, value in job.result():
            self._found(key, value)
        self._copied -= copied

    def _hash(self, batch: list[tuple[Key, Buffer]]) -> list[tuple[Key, str]]:
        done = []
        for key, data in batch:
            if len(data) <= SLICE_BYTES and not self._ended:
                done.append((key, digest.of(data, self._algorithm)))
                continue
            hasher = digest.new(self._algorithm)
            for view in slices([data]):
                if self._ended:
                    return []
                hasher.update(view)
            done.append((key, f"{self._algorithm}:{hasher.hexdigest()}"))
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._pool.shutdown(cancel_futures=True)
