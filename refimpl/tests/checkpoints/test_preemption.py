"""Signals that ask a training to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

import pytest

import etui
from etui.checkpoints import Preemption
from etui.errors import UsageError

LIBRARY = Path(etui.__file__).parents[1]
pytestmark = [
    pytest.mark.library,
    pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself these signals there"),
]


def send(number: int) -> None:
    """Send a signal to this process, whose handler has run when this returns."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_interrupts_nothing(number: int) -> None:
    """The flag is set by either signal, which it names; handlers are as they were afterwards."""
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    with Preemption() as preemption:
        assert (preemption.requested, preemption.signal) == (False, None)
        send(number)
        assert (preemption.requested, preemption.signal) == (True, number)
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before
    assert preemption.requested  # whoever asks later is told, too


def test_handlers_are_restored_when_the_block_raises() -> None:
    """An error within leaves no handler behind, whether a signal came or not."""

    def leave(*numbers: int) -> None:
        with Preemption():
            for number in numbers:
                send(number)
            raise ZeroDivisionError

    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
    for numbers in ((), (signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)):
        with pytest.raises(ZeroDivisionError):
            leave(*numbers)
        assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)] == before


def test_the_second_signal_does_what_it_always_does() -> None:
    """A second Ctrl-C raises KeyboardInterrupt, and the handler of before takes a second SIGTERM."""

    def twice() -> None:
        with Preemption() as preemption:
            send(signal.SIGINT)
            assert preemption.requested
            send(signal.SIGINT)

    # Other tests of the process may have put a handler of theirs in its place.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            twice()
    finally:
        signal.signal(signal.SIGINT, earlier)

    seen: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGUSR1, note)
    try:
        with Preemption([signal.SIGUSR1]) as preemption:
            send(signal.SIGUSR1)
            assert (seen, preemption.signal) == ([], signal.SIGUSR1)
            send(signal.SIGUSR1)
            assert seen == [signal.SIGUSR1]
        assert signal.getsignal(signal.SIGUSR1) is note
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_others_set_meanwhile_stays() -> None:
    """What is not this object's own is not taken away, neither by a signal nor at the end."""
    before = signal.getsignal(signal.SIGUSR1)
    try:
        with Preemption([signal.SIGUSR1]):
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_it_may_be_used_again_within_another_one_and_by_other_signs() -> None:
    """Objects nest, each tells its own signals, and a program may ask by itself."""
    with Preemption([signal.SIGUSR1]) as outer, Preemption([signal.SIGUSR2, signal.SIGUSR2]) as inner:
        send(signal.SIGUSR2)
        assert (outer.requested, inner.signal) == (False, signal.SIGUSR2)
        outer.request()
        assert outer.signal == signal.SIGTERM
    with outer:
        send(signal.SIGUSR1)
        assert outer.signal == signal.SIGTERM  # the first counts


@pytest.mark.parametrize("signals", [[], [0], [signal.SIGKILL], [signal.SIGUSR1, signal.SIGSTOP], [10**6]])
def test_signals_that_cannot_be_watched_are_refused(signals: list[int]) -> None:
    """No signals, unknown ones, and those that the system keeps are refused, and no handler is left."""
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(UsageError) as caught:
        Preemption(signals).__enter__()
    assert caught.value.code == "save-async-preemption"
    assert signal.getsignal(signal.SIGUSR1) == before


def test_the_main_thread_alone_watches() -> None:
    """Other threads are refused with a code, and so is an object that watches already."""
    codes: list[str] = []

    def watch(preemption: Preemption) -> None:
        try:
            preemption.__enter__()
        except UsageError as fault:
            codes.append(fault.code)

    thread = threading.Thread(target=watch, args=(Preemption(),))
    thread.start()
    thread.join(60)
    with Preemption() as preemption:
        watch(preemption)
    assert codes == ["save-async-preemption"] * 2


def test_a_handler_of_another_language_is_left_alone() -> None:
    """Where a handler was set before Python, which could not restore it, the signal is refused."""
    script = (
        "import ctypes, signal, etui\n"
        "from etui.checkpoints import Preemption\n"
        "signal.getsignal = lambda number: None\n"
        "try:\n"
        "    Preemption().__enter__()\n"
        "except etui.UsageError as fault:\n"
        "    print(fault.code)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "save-async-preemption"
