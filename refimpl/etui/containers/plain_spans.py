"""The digests of many plain tensors checked by columns, where a data part has just the tensors of a document.

The counterpart of `etui.containers.plain_weights` for `verify`: nothing is refused here. Where something does not hold,
the check of one tensor after the other says what.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from operator import sub
from typing import NamedTuple

from etui import digest
from etui.storage.base import ByteSource


class Run(NamedTuple):
    """Neighbours in a document.

    Attributes:
        start, stop: of their places.
        size: bytes of all.
        largest: bytes of the largest.
    """

    start: int
    stop: int
    size: int
    largest: int


class Spans:
    """Where the bytes of tensors are in a data part, and the digests that a document has of them.

    Args:
        source: the data part.
        names: of the tensors.
        begins, ends: of each, in the part.
        digests: of each, without the algorithm, which is SHA-256.
    """

    def __init__(
        self, source: ByteSource, names: list[str], begins: list[int], ends: list[int], digests: list[str]
    ) -> None:
        self.names = names
        self._source = source
        self._begins = begins
        self._ends = ends
        self._digests = digests

    def runs(self, least: int) -> Iterator[Run]:
        """All tensors in runs of at least so many bytes; the last may be shorter."""
        sizes = list(map(sub, self._ends, self._begins))
        start = size = 0
        for stop, after in enumerate(accumulate(sizes), 1):
            if after - size >= least or stop == len(sizes):
                yield Run(start, stop, after - size, max(sizes[start:stop]))
                start, size = stop, after

    def hold(self, run: Run) -> bool:
        """Whether each tensor of a run has its digest."""
        view = self._source.view
        chosen = slice(run.start, run.stop)
        return all(
            digest.of(view(begin, end - begin)) == f"sha256:{known}"
            for begin, end, known in zip(self._begins[chosen], self._ends[chosen], self._digests[chosen], strict=True)
        )
