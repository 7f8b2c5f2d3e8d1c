"""Systems that stand in for the real one: they count calls, end the process at one, or let it fail."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from etui.storage.system import System, calls

CALLS = tuple(name for name in vars(System) if not name.startswith("_"))
SHORT, SHORT_AND_FULL = "short", "short and full"


class Abilities(NamedTuple):
    """What a file system can do: ext4 and XFS can all, NFS has no exchange, and FAT neither."""

    exchange: bool = True
    link: bool = True


FULL, NO_EXCHANGE, NEITHER = Abilities(), Abilities(exchange=False), Abilities(exchange=False, link=False)


class Watched(System):
    """Makes the calls, and hands each to `perform` before.

    Args:
        abilities: of the file system that it stands for.

    Attributes:
        names: the calls so far.
    """

    def __init__(self, abilities: Abilities = FULL) -> None:
        self.names: list[str] = []
        genuine = {name: getattr(System, name).__get__(self) for name in CALLS}
        if not abilities.exchange:
            genuine["exchange"] = lambda *_: False
        if not abilities.link:
            genuine["link"] = _refuse
        for name, call in genuine.items():
            setattr(self, name, partial(self._call, name, call))

    def _call(self, name: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.names.append(name)
        return self.perform(name, partial(call, **named), *arguments)

    def perform(self, _name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        """Make a call of that name."""
        return call(*arguments)


def _refuse(*_: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


class Killing(Watched):
    """Ends the process by SIGKILL in front of the n-th call, from 1; 0 for never."""

    def __init__(self, last: int, abilities: Abilities = FULL) -> None:
        super().__init__(abilities)
        self._last = last

    def perform(self, _name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        if len(self.names) == self._last:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)


class Failing(Watched):
    """Lets the n-th call fail, from 1.

    Args:
        at: the call.
        fault: an errno; or `SHORT`, the call takes half of its bytes if it is a write; or `SHORT_AND_FULL`, and there
            is no space for the next one.
        for_ever: every later call of the same name fails as well, as on a device that is full or broken.
        abilities: as of `Watched`.

    Attributes:
        struck: whether a fault was met.
    """

    def __init__(self, at: int, fault: int | str, *, for_ever: bool = False, abilities: Abilities = FULL) -> None:
        super().__init__(abilities)
        self._at = at
        self._fault = fault
        self._for_ever = for_ever
        self._name = ""
        self._full = False
        self.struck = False

    def perform(self, name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        if name == "write" and self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if len(self.names) == self._at:
            self._name = name
        elif not (self._for_ever and name == self._name):
            return call(*arguments)
        if isinstance(self._fault, int):
            self.struck = True
            if name == "close":
                call(*arguments)  # the descriptor is gone even where closing it tells of a fault
            raise OSError(self._fault, os.strerror(self._fault))
        if name != "write" or len(arguments[1]) < 2:
            return call(*arguments)
        self.struck = True
        self._full = self._fault == SHORT_AND_FULL
        descriptor, data, offset = arguments
        return call(descriptor, data[: len(data) // 2], offset)


@contextmanager
def using(system: System) -> Iterator[None]:
    """Let the write path use a system in the block."""
    genuine, calls.system = calls.system, system
    try:
        yield
    finally:
        calls.system = genuine
