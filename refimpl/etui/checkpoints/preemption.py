"""Preemption: a signal asks a training to end, which saves at its next step and stops (SPEC.md, annex R.2).

    with AsyncSaver(series) as saver, Preemption() as preemption:
        for step in range(steps):
            train()
            if preemption.requested:
                saver.save(etui.torch.capture(module, optimizer), step)
                break

A signal only sets a flag, so that no step is cut in two.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Self

from etui.errors import error, shown

_Handler = Callable[[int, FrameType | None], object] | int | None


class Preemption:
    """Watches for signals that ask a process to end. A context manager, which restores the handlers that were there.

    The first signal sets `requested` and interrupts nothing. The next one of its kind does what it would have done
    without this object: it ends the process, or raises `KeyboardInterrupt`.

    Args:
        signals: to watch for. Batch systems send SIGTERM some time before they kill a job; SIGINT is Ctrl-C.

    Raises:
        UsageError: ``save-async-preemption``, no signals, or one that cannot be watched.
    """

    def __init__(self, signals: Iterable[int] = (signal.SIGTERM, signal.SIGINT)) -> None:
        self._signals = tuple(dict.fromkeys(signals))
        self._before: dict[int, _Handler] = {}
        self._found: int | None = None
        known = signal.valid_signals()
        refused = [one for one in self._signals if one not in known]
        if refused or not self._signals:
            raise error("save-async-preemption", found=f"signals {shown(list(map(int, refused or self._signals)))}")

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._found is not None

    @property
    def signal(self) -> int | None:
        """The number of the signal that came; a shell gives the exit code 128 and this to who ends by it."""
        return self._found

    def request(self) -> None:
        """Ask for the end as SIGTERM would, for another sign than a signal, such as a file or a message."""
        self._found = self._found or int(signal.SIGTERM)

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise error("save-async-preemption", found="a thread that is not the main one, which alone gets signals")
        if self._before:
            raise error("save-async-preemption", found="a Preemption that watches already")
        foreign = [one for one in self._signals if signal.getsignal(one) is None]
        if foreign:
            found = f"signal {int(foreign[0])}, whose handler was not set by Python and could not be restored"
            raise error("save-async-preemption", found=found)
        try:
            for one in self._signals:
                self._before[one] = signal.getsignal(one)
                signal.signal(one, self._note)
        except BaseException as fault:
            self._restore()
            if not isinstance(fault, OSError | ValueError):
                raise
            raise error("save-async-preemption", found=f"signal {int(one)}: {fault}") from fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signature of a handler
        self._found = self._found or number
        self._give_back(number)

    def _give_back(self, number: int) -> None:
        # A handler that somebody else set meanwhile stays.
        if number in self._before and signal.getsignal(number) == self._note:
            signal.signal(number, self._before[number])

    def _restore(self) -> None:
        for number in list(self._before):
            self._give_back(number)
            del self._before[number]
