"""Ctrl-C while a command writes: it takes effect where nothing is left behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from etui.containers.data_writer import Progress
from etui.errors import EtuiError

_NOTHING = "nothing was written"


@contextmanager
def interruptible(progress: Progress | None) -> Iterator[Progress]:
    """Let the first Ctrl-C take effect at the next call of the progress callback, and a second one at once.

    Python raises `KeyboardInterrupt` between any two instructions, also between the making of a temporary file and the
    statement that would remove it. The callback is called where the writer cleans up.

    Args:
        progress: is called as well, if there is one.

    Yields:
        The callback for the command.

    Raises:
        KeyboardInterrupt: Ctrl-C came before everything was written.
    """
    asked = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.default_int_handler(number, frame)
        asked.set()

    def update(part: str, done: int, total: int) -> None:
        if asked.is_set():
            raise KeyboardInterrupt(_NOTHING)
        if progress is not None:
            progress(part, done, total)

    if threading.current_thread() is not threading.main_thread():
        yield update
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield update
    except EtuiError as failure:
        if not asked.is_set():
            raise
        # The terminal interrupts every process of the command, and what failed may be one that works for this one.
        raise KeyboardInterrupt(_NOTHING) from failure
    finally:
        signal.signal(signal.SIGINT, before)
