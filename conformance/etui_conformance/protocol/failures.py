"""How a run bears with an adapter that fails: what it waits for, what it counts, and when it gives up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from etui_conformance.protocol.session import FailureKind

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What a suite accepts of an adapter.

    Attributes:
        deadline: seconds for a reply to a small request; see `allowed`.
        slow: how many times the deadline a slow check may wait for one, such as for an artifact of a million modules.
        start: seconds from the start of the process to the reply to `hello`.
        farewell: seconds from `bye`, or the end of the input, to the end of the process.
        line: bytes of a reply (SPEC.md CF-13).
        stderr: bytes on standard error for one request; more is a flood, as soon as it cannot be the last request's.
        hangs: how often a run waits for the whole deadline before it gives the adapter up.
        restarts: how often a run starts the adapter again.
    """

    deadline: float = 20.0
    slow: float = 6.0
    start: float = 60.0
    farewell: float = 5.0
    line: int = 64 * MIB
    stderr: int = 4 * MIB
    hangs: int = 5
    restarts: int = 100

    def allowed(self, fields: Any, least: float | None = None) -> float:
        """Seconds for a reply: one more for each MiB in files that the request names, up to five times the least.

        Args:
            fields: of the request.
            least: for a small request, by default the deadline.
        """
        seconds = self.deadline if least is None else least
        return seconds + min(4 * seconds, _named_bytes(fields) / MIB)


@dataclass(slots=True)
class Patience:
    """Counts the failures of one run over all of its processes, and says when it is enough.

    Shrinking asks the same question many times: without a cap, an adapter that hangs would cost each time the deadline.
    """

    limits: Limits = field(default_factory=Limits)
    hangs: int = 0
    restarts: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, kind: FailureKind) -> None:
        """Take note of a failure after which the process has to be started again."""
        with self._lock:
            self.restarts += 1
            self.hangs += kind == "hang"

    @property
    def end(self) -> tuple[FailureKind, str] | None:
        """Why the adapter is not asked any more: the kind of its failures and a sentence; `None` while it is."""
        if self.hangs >= self.limits.hangs:
            return "hang", f"given up: it did not answer in time {self.hangs} times"
        if self.restarts >= self.limits.restarts:
            return "crash", f"given up: it had to be started again {self.restarts} times"
        return None


def _named_bytes(node: Any) -> int:
    """The sizes of the files that carry bytes of a message (SPEC.md, annex P.2)."""
    if isinstance(node, list):
        return sum(map(_named_bytes, node))
    if not isinstance(node, Mapping):
        return 0
    path = node.get("file")
    if isinstance(path, str) and Path(path).is_file():
        return Path(path).stat().st_size
    return sum(map(_named_bytes, node.values()))
