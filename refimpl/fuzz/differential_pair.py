"""Two adapters of the conformance protocol, asked the same."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.protocol.session import AdapterFailure, Reply, Session

COMPUTING: Final = frozenset({"evaluate", "step", "compute"})
"""Requests in which a `fault` may be the caller's: inputs that do not fit."""
_SECONDS: Final = 5.0
_MEBIBYTES: Final = 512
_DEADLINE: Final = 30.0
_FAILURES: Final = 10_000
_VARYING: Final = re.compile(r"\d+|0x[0-9a-f]+|'[^']*'|\"[^\"]*\"")


@dataclass(frozen=True, slots=True)
class Difference:
    """What two implementations do not agree about.

    Attributes:
        key: the same for cases that show the same, as far as can be told.
        text: what each of them said.
    """

    key: str
    text: str


class Pair:
    """Two adapters, in processes of their own.

    Args:
        commands: name -> what starts the adapter.
        folder: for what goes between them and us.
    """

    def __init__(self, commands: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        # A failure is a finding and no reason to stop.
        patience = Patience(Limits(deadline=_DEADLINE, hangs=_FAILURES, restarts=_FAILURES))
        self.sessions: dict[str, Session] = {
            name: ProcessSession(split_command(command), folder, patience) for name, command in commands.items()
        }

    def close(self) -> None:
        """End both."""
        for session in self.sessions.values():
            session.close()

    def ask(self, op: str, fields: Mapping[str, Any]) -> tuple[dict[str, Reply], Difference | None]:
        """The replies of both by name; a difference instead of them where one failed, or took too much."""
        replies = {}
        for name, session in self.sessions.items():
            before = _used()
            own = {key: value[name] if key == "path" else value for key, value in fields.items()}
            try:
                reply = _patiently(session, op, own)
            except AdapterFailure as failure:
                return {}, Difference(f"{name}: {op}: {general(str(failure))}", str(failure))
            if reply.result == "fault" and op not in COMPUTING:
                message = str(reply.fields.get("message"))
                return {}, Difference(f"{name}: {op}: fault {general(last_line(message))}", message)
            for process, (seconds, kibibytes) in _used().items():
                had = before.get(process, (0.0, kibibytes))
                if seconds - had[0] > _SECONDS:
                    return {}, Difference(f"{name}: {op}: slow", f"{seconds - had[0]:.1f} s of processor time")
                if kibibytes - had[1] > _MEBIBYTES * 1024:
                    return {}, Difference(f"{name}: {op}: memory", f"{(kibibytes - had[1]) // 1024} MiB more")
            replies[name] = reply
        return replies, None


def _patiently(session: Session, op: str, fields: Mapping[str, Any]) -> Reply:
    """The reply, where the machine had other things to do on the second try in a fresh process."""
    try:
        return session.ask(op, **fields)
    except AdapterFailure as failure:
        if failure.kind != "hang":
            raise
        return session.ask(op, **fields)


def general(text: str) -> str:
    """A text without what differs from case to case."""
    return _VARYING.sub("…", text)[:200]


def last_line(text: str) -> str:
    """The last line of a text, which of a traceback is the error."""
    return text.strip().rpartition("\n")[2]


def _used() -> dict[int, tuple[float, int]]:
    """The processor time, in seconds, and the peak of memory, in KiB, of each child; nothing but on Linux."""
    found = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        for number in map(int, listed.read_text().split()):
            try:
                fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{number}/status").read_text())
            except OSError:
                continue
            ticks = int(fields[11]) + int(fields[12])
            found[number] = (ticks / os.sysconf("SC_CLK_TCK"), int(peak[1]) if peak else 0)
    return found
