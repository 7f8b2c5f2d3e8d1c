"""A few downloads at a time, in threads that an interrupt does not wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from threading import Thread

_TICK = 0.25


def in_threads(work: Callable[[str], None], names: Iterable[str], together: int, tick: Callable[[], None]) -> None:
    """Do something for each name, in the given order; the first fault ends it.

    Args:
        work: what to do.
        names: for what.
        together: at how many of them at a time.
        tick: called in this thread now and then; what it raises ends the waiting, and what is under way goes on unseen
            until the process ends.
    """
    waiting = deque(names)
    faults: list[BaseException] = []

    def run() -> None:
        while waiting and not faults:
            try:
                name = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                work(name)
            except BaseException as fault:  # noqa: BLE001 (it is raised in the thread that waits)
                faults.append(fault)

    threads = [Thread(target=run, name="etui-hub", daemon=True) for _ in range(min(together, len(waiting)))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_TICK)
                tick()
    except BaseException:
        waiting.clear()
        raise
    if faults:
        raise faults[0]
