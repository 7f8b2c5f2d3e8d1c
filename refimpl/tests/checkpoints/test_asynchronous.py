"""Saving in the background: order, errors that never vanish, interrupts, forks, and the end of the process."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.checkpoints import AsyncSaver, Series, asynchronous
from etui.containers.weights import Weights
from etui.errors import StorageError, UsageError
from etui.moment import Moment

LIBRARY = Path(etui.__file__).parents[1]
MINUTE = 60


def model_of(value: float, size: int = 1000) -> etui.Model:
    """A model of one variable."""
    weights = Weights()
    weights.add("w", etui.Tensor.of(np.full(size, value, np.float32)), role="kernel")
    return etui.Model(weights=weights)


def content(path: Path) -> float:
    """The number that the variable of an artifact is full of."""
    with etui.open(path) as model:
        assert model.weights is not None
        array = model.weights["w"].numpy()
        assert (array == array[0]).all()
        return float(array[0])


class Target:
    """Takes steps as a series does, slowly: each is written when `go` is called."""

    location = "a test"

    def __init__(self, *faults: BaseException | None) -> None:
        self.begun: list[int] = []
        self.written: list[tuple[int, float]] = []
        self.options: list[dict[str, Any]] = []
        self.faults = list(faults)
        self.gate = threading.Semaphore(0)
        self.arrived = threading.Semaphore(0)

    def go(self, count: int = 1) -> None:
        self.gate.release(count)

    def save(self, model: etui.Model, step: int, **options: Any) -> str:
        self.begun.append(step)
        self.options.append(options)
        self.arrived.release()
        assert self.gate.acquire(timeout=MINUTE)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        assert model.weights is not None
        self.written.append((step, float(model.weights["w"].numpy()[0])))
        return f"step {step}"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException | None]]:
    """The errors that were handed to the hook for threads."""
    found: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: found.append(arguments.exc_value))
    yield found
    assert not asynchronous._PENDING


def run(script: str, *arguments: str, code: int = 0, environment: dict[str, str] | None = None) -> str:
    """What a script prints, standard error included."""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(LIBRARY), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * MINUTE,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.clause("AS-1@b18083", "AS-3@54b233", "AS-4@5b9d47")
def test_steps_of_a_series_are_written_while_the_arrays_change(tmp_path: Path) -> None:
    """Each step has the state of its moment, the identity of a save in the foreground, its metrics and its time."""
    array = np.zeros(300_000, np.float32)
    weights = Weights()
    weights.add("w", etui.Tensor.of(array), role="kernel")
    series = Series(tmp_path / "series")
    with AsyncSaver(series) as saver:
        for step in range(5):
            array[:] = step
            saver.save(etui.Model(weights=weights), step, metrics={"loss": step / 2})
            array[:] = -1
        assert saver.wait() == series.latest()
    steps = series.steps()
    assert [one.number for one in steps] == [0, 1, 2, 3, 4]
    assert [one.metrics for one in steps] == [{"loss": step / 2} for step in range(5)]
    for one in steps:
        assert one.identity == etui.save(model_of(one.number, len(array)), tmp_path / "foreground.etui")
        assert one.export(tmp_path / "exported.etui") == one.identity
        assert content(tmp_path / "exported.etui") == one.number
    assert [one.time for one in steps] == sorted(one.time for one in steps)


@pytest.mark.clause("AS-1@b18083", "AS-3@54b233", "AS-4@5b9d47")
@pytest.mark.parametrize("name", ["model.etui", "model"])
def test_an_artifact_is_replaced_by_each_save(tmp_path: Path, name: str) -> None:
    """The path of an artifact, in either form, has the last save when the saver is closed."""
    told: set[tuple[str, int, int, bool]] = set()

    def progress(part: str, done: int, total: int) -> None:
        told.add((part, done, total, threading.current_thread() is threading.main_thread()))

    with AsyncSaver(tmp_path / name) as saver:
        for value in range(4):
            saver.save(model_of(value), shard_size=2000, progress=progress)
        identity = saver.wait()
    assert ("weights.safetensors", 4000, 4000, False) in told
    assert not any(one[-1] for one in told)
    assert content(tmp_path / name) == 3
    assert identity == etui.save(model_of(3), tmp_path / "other.etui", shard_size=2000)
    assert {item.name for item in tmp_path.iterdir()} == {name, "other.etui"}


@pytest.mark.clause("AS-2@661159", "AS-3@54b233")
def test_a_save_returns_before_it_is_written_and_the_next_one_waits() -> None:
    """One save is under way at a time: the second call returns when the first write has ended."""
    target = Target()
    saver = AsyncSaver(target)
    states = [saver.busy]
    assert saver.wait() is None
    saver.save(model_of(1), 1, metrics={"a": 1.0}, replace=True, shard_size=5)
    states.append(saver.busy)
    assert target.written == []
    thread = threading.Thread(target=saver.save, args=(model_of(2), 2))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert target.begun == [1]
    target.go()
    thread.join(MINUTE)
    assert target.arrived.acquire(timeout=MINUTE)
    assert target.arrived.acquire(timeout=MINUTE)
    assert target.begun == [1, 2]
    assert target.written == [(1, 1.0)]
    target.go()
    assert saver.wait() == "step 2"
    assert target.written == [(1, 1.0), (2, 2.0)]
    states.append(saver.busy)
    assert states == [False, True, False]
    saver.close()
    first = target.options[0]
    assert {name: first[name] for name in ("metrics", "replace", "shard_size")} == {
        "metrics": {"a": 1.0},
        "replace": True,
        "shard_size": 5,
    }
    assert first["time"] < target.options[1]["time"]


@pytest.mark.clause("AS-5@a51511")
@pytest.mark.parametrize("call", ["save", "wait", "close", "exit"])
def test_an_error_is_raised_by_the_next_call_once(call: str, told: list[BaseException | None]) -> None:
    """The very error of the write is raised, with the step it belongs to; the call after it goes on."""
    fault = OSError("out of room")
    target = Target(fault)
    saver = AsyncSaver(target)
    saver.save(model_of(1), 7)
    target.go(3)
    calls: dict[str, Callable[[], object]] = {
        "save": lambda: saver.save(model_of(2), 8),
        "wait": saver.wait,
        "close": saver.close,
        "exit": lambda: saver.__exit__(None, None, None),
    }
    with pytest.raises(OSError, match="out of room") as caught:
        calls[call]()
    assert caught.value is fault
    assert fault.__notes__ == ["in the background save of a test, step 7"]
    assert saver.wait() is None
    if call in {"close", "exit"}:
        with pytest.raises(UsageError) as closed:
            saver.save(model_of(2), 8)
        assert closed.value.code == "save-async-closed"
    else:
        saver.save(model_of(2), 8)  # the one that raised had begun nothing
        assert saver.wait() == "step 8"
    saver.close()
    assert target.written == ([] if call in {"close", "exit"} else [(8, 2.0)])
    assert told == []


class OneArray(Moment):
    """An array that changes in place, of which a model is made in the thread that writes; with or without a fault."""

    def __init__(self, array: np.ndarray, *, fault: Exception | None = None) -> None:
        self.array, self.fault = array, fault
        self.threads: list[str] = []

    def changing(self) -> Any:
        return {"tensor": etui.Tensor.of(self.array), "notes": ["mine"]}

    def model(self, held: Any) -> etui.Model:
        self.threads.append(threading.current_thread().name)
        if self.fault is not None:
            raise self.fault
        weights = Weights()
        weights.add("w", held["tensor"], role="kernel")
        return etui.Model(weights=weights)


@pytest.mark.clause("AS-1@b18083", "AS-5@a51511")
def test_a_moment_becomes_a_model_in_the_thread_that_writes(told: list[BaseException | None]) -> None:
    """What may change is copied within the call; what goes wrong with the rest is raised by the next call."""
    target = Target()
    saver = AsyncSaver(target)
    array = np.full(1000, 1, np.float32)
    moment = OneArray(array)
    saver.save(moment, 1)
    array[:] = 2
    target.go(2)
    assert saver.wait() == "step 1"
    assert target.written == [(1, 1.0)]
    assert moment.threads == ["etui-save a test, step 1"]
    fault = ValueError("no such layer")
    saver.save(OneArray(array, fault=fault), 2)
    with pytest.raises(ValueError, match="no such layer") as caught:
        saver.save(model_of(3), 3)
    assert caught.value is fault
    assert fault.__notes__ == ["in the background save of a test, step 2"]
    saver.save(model_of(3), 3)
    saver.close()
    assert target.written == [(1, 1.0), (3, 3.0)]
    assert told == []


class NoMemory(Moment):
    """A moment for which there is no memory, in the call or afterwards."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once

    def changing(self) -> None:
        """See `Moment`."""
        if self.at_once:
            raise MemoryError

    def model(self, held: None) -> etui.Model:  # noqa: ARG002  as `Moment` has it
        """See `Moment`."""
        raise MemoryError


@pytest.mark.library
def test_a_moment_without_memory_is_refused_with_a_code() -> None:
    """Where memory lacks to look at a live model or to describe it, the error has the code that other saves have."""
    target = Target()
    target.go()
    with AsyncSaver(target) as saver:
        for at_once in (True, False):
            with pytest.raises(StorageError) as caught:  # noqa: PT012  by which of both calls is the point of the test
                saver.save(NoMemory(at_once=at_once), 1)
                assert not at_once
                saver.wait()
            assert caught.value.code == "out-of-memory"
        saver.save(model_of(3), 1)
    assert target.written == [(1, 3.0)]


@pytest.mark.clause("AS-4@5b9d47", "AS-5@a51511")
def test_a_step_that_cannot_be_written_is_not_there(tmp_path: Path) -> None:
    """A write that fails in the middle leaves the steps of before, and a reader sees no part of it."""
    series = Series(tmp_path / "series")
    with AsyncSaver(series) as saver:
        saver.save(model_of(1), 1)
        saver.wait()
        broken = model_of(2)
        assert broken.weights is not None
        flags = np.full(10, 2, np.uint8).view(bool)
        broken.weights.add("bad", etui.Tensor.lazy("bool", (10,), lambda: flags), role="mask")
        saver.save(broken, 2)
        with pytest.raises(etui.InvalidError) as caught:
            saver.wait()
        assert caught.value.code == "bool-value"
        assert [step.number for step in series.steps()] == [1]
        saver.save(model_of(1), 1)
        with pytest.raises(UsageError) as caught_again:
            saver.wait()
        assert caught_again.value.code == "series-exists"
    series.verify()


@pytest.mark.clause("AS-5@a51511", "AS-7@3f921c")
def test_a_block_that_raises_waits_for_the_write_and_tells_both(told: list[BaseException | None]) -> None:
    """Leaving by an error ends the write first; if that failed, too, neither error hides the other."""

    def leave(target: Target, fault: type[BaseException]) -> None:
        with AsyncSaver(target) as saver:
            saver.save(model_of(1), 1)
            target.go()
            raise fault

    target = Target()
    with pytest.raises(ZeroDivisionError):
        leave(target, ZeroDivisionError)
    assert target.written == [(1, 1.0)]

    fault = OSError("out of room")
    with pytest.raises(OSError, match="out of room") as caught:
        leave(Target(fault), ZeroDivisionError)
    assert caught.value is fault
    assert isinstance(fault.__context__, ZeroDivisionError)
    assert told == []

    fault = OSError("out of room")
    with pytest.raises(KeyboardInterrupt) as interrupted:
        leave(Target(fault), KeyboardInterrupt)
    assert interrupted.value.__notes__ == ["a test: the last save failed, too: out of room"]
    assert told == [fault]


def drop(holder: list[AsyncSaver]) -> None:
    """Let go of the only saver in a list."""
    holder.clear()
    gc.collect()


@pytest.mark.clause("AS-6@82f158")
@pytest.mark.parametrize("kind", ["early", "late"])
def test_a_dropped_saver_tells_its_error(kind: str, told: list[BaseException | None]) -> None:
    """An object that is dropped after its write failed, or before, warns, and hands the error to the hook."""
    fault = OSError("out of room")
    target = Target(fault)
    holder = [AsyncSaver(target)]
    holder[0].save(model_of(1), 1)
    thread = holder[0]._writing
    assert thread is not None
    if kind == "early":
        target.go()
        thread.join(MINUTE)
    with pytest.warns(ResourceWarning, match="dropped without close"):
        drop(holder)
    target.go()
    thread.join(MINUTE)
    assert told == [fault]


@pytest.mark.clause("AS-6@82f158")
def test_a_dropped_saver_whose_write_is_whole_says_nothing(told: list[BaseException | None]) -> None:
    """There is nothing to tell of a save that is written; one that is under way ends well after the warning."""
    target = Target()
    holder = [AsyncSaver(target)]
    holder[0].save(model_of(1), 1)
    target.go()
    holder[0].wait()
    drop(holder)
    holder = [AsyncSaver(target)]
    holder[0].save(model_of(2), 2)
    thread = holder[0]._writing
    assert thread is not None
    with pytest.warns(ResourceWarning, match="under way"):
        drop(holder)
    target.go()
    thread.join(MINUTE)
    assert target.written == [(1, 1.0), (2, 2.0)]
    assert told == []


@pytest.mark.library
def test_a_write_lets_go_of_its_snapshot() -> None:
    """Neither a write that is done nor an error that waits to be raised keeps the arrays of the snapshot."""
    held: list[weakref.ref[Any]] = []

    class Watched(Target):
        def save(self, model: etui.Model, step: int, **options: Any) -> str:
            assert model.weights is not None
            source = model.weights["w"].tensor.pieces[0].source
            held.append(weakref.ref(source.array().base))
            return super().save(model, step, **options)

    target = Watched(None, OSError("out of room"))
    target.go(2)
    saver = AsyncSaver(target)
    saver.save(model_of(1), 1)
    saver.wait()
    saver.save(model_of(1), 2)
    thread = saver._writing
    assert thread is not None
    thread.join(MINUTE)
    saver._snapshots.release()
    gc.collect()
    assert [one() for one in held] == [None, None]
    with pytest.raises(OSError, match="out of room"):
        saver.close()


@pytest.mark.library
def test_calls_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Metrics for an artifact, a series without a step, what is no model, and a call within a call."""
    cases: list[tuple[str, Callable[[], None]]] = [
        ("save-async-target", lambda: AsyncSaver(tmp_path / "a.etui").save(model_of(1), metrics={"a": 1.0})),
        ("save-async-target", lambda: AsyncSaver(tmp_path / "a.etui").save(model_of(1), replace=True)),
        ("save-async-target", lambda: AsyncSaver(Target()).save(model_of(1))),
        ("series-number", lambda: AsyncSaver(Target()).save(model_of(1), True)),
        ("live-model", lambda: AsyncSaver(Target()).save(object(), 1)),
    ]
    for code, call in cases:
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == code
    assert not (tmp_path / "a.etui").exists()

    saver = AsyncSaver(Target())
    inner = etui.Tensor.lazy("float32", (1,), lambda: saver.wait() or np.ones(1, np.float32))
    weights = Weights()
    weights.add("w", inner, role="kernel")
    with pytest.raises(UsageError) as caught:
        saver.save(etui.Model(weights=weights), 1)
    assert caught.value.code == "save-async-within"
    assert saver.wait() is None  # the failed call left it free


@pytest.mark.library
def test_a_snapshot_that_fails_begins_no_write_and_keeps_the_saver() -> None:
    """A tensor that cannot be read is an error of `save` itself; the next save goes on."""

    def broken() -> Any:
        raise OSError("gone")

    weights = Weights()
    weights.add("w", etui.Tensor.lazy("float32", (1,), broken), role="kernel")
    target = Target()
    target.go()
    with AsyncSaver(target) as saver:
        with pytest.raises(OSError, match="gone"):
            saver.save(etui.Model(weights=weights), 1)
        assert target.begun == []
        saver.save(model_of(3), 2)
    assert target.written == [(2, 3.0)]


@pytest.mark.clause("AS-5@a51511")
@pytest.mark.parametrize("moment", ["before", "after", "cancel"])
def test_an_interrupt_while_the_thread_starts_loses_nothing(
    moment: str, monkeypatch: pytest.MonkeyPatch, told: list[BaseException | None]
) -> None:
    """An interrupt before the thread runs leaves no save behind; one after that changes nothing for the save."""
    target = Target(OSError("out of room"))
    target.go(2)
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        if moment == "after":
            start(self)
            assert target.arrived.acquire(timeout=MINUTE)
        raise RuntimeError("can't start new thread") if moment == "cancel" else KeyboardInterrupt

    saver = AsyncSaver(target)
    with monkeypatch.context() as patch:
        patch.setattr(asynchronous._Writing, "start", interrupted)
        expected = StorageError if moment == "cancel" else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            saver.save(model_of(1), 1)
    if moment == "after":
        with pytest.raises(OSError, match="out of room"):
            saver.save(model_of(2), 2)
        assert target.begun == [1]
    else:
        assert getattr(caught.value, "code", None) == ("out-of-memory" if moment == "cancel" else None)
        assert target.begun == []
        target.faults.clear()
        saver.save(model_of(2), 2)
        assert saver.wait() == "step 2"
    saver.close()
    assert told == []


@pytest.mark.clause("AS-5@a51511")
def test_an_interrupt_while_the_call_waits_keeps_the_error(
    monkeypatch: pytest.MonkeyPatch, told: list[BaseException | None]
) -> None:
    """Ctrl-C ends the waiting and not the write, whose error is raised by the call after."""
    target = Target(OSError("out of room"))
    saver = AsyncSaver(target)
    saver.save(model_of(1), 1)

    def interrupted(self: threading.Thread, timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    for call in (saver.wait, saver.close, lambda: saver.save(model_of(2), 2)):
        with monkeypatch.context() as patch:
            patch.setattr(asynchronous._Writing, "join", interrupted)
            with pytest.raises(KeyboardInterrupt):
                call()
    assert saver.busy
    target.go()
    with pytest.raises(OSError, match="out of room"):
        saver.close()
    assert target.begun == [1]
    assert told == []


@pytest.mark.library
def test_a_failure_of_the_worker_that_is_no_exception_is_told_as_well(told: list[BaseException | None]) -> None:
    """SystemExit and the like in a thread, which Python passes over, reach the caller, or the hook."""
    target = Target(SystemExit(3), SystemExit(4))
    target.go(2)
    holder = [AsyncSaver(target)]
    holder[0].save(model_of(1), 1)
    with pytest.raises(SystemExit):
        holder[0].wait()
    holder[0].save(model_of(1), 2)
    thread = holder[0]._writing
    assert thread is not None
    thread.join(MINUTE)
    with pytest.warns(ResourceWarning):
        drop(holder)
    assert [type(one) for one in told] == [RuntimeError]
    assert "SystemExit(4)" in str(told[0])


PROGRAM = """
import sys, threading, time
import numpy as np
import etui
from etui.checkpoints import AsyncSaver, Series, asynchronous
from etui.containers.weights import Weights

class Slow:
    location = "slow"
    def __init__(self, series): self.series = series
    def save(self, *arguments, **options):
        time.sleep(0.5)
        return self.series.save(*arguments, **options)

def model_of(value):
    weights = Weights()
    weights.add("w", etui.Tensor.of(np.full(2_000_000, value, np.float32)), role="kernel")
    return etui.Model(weights=weights)

series = Series(sys.argv[1])
saver = AsyncSaver(Slow(series))
"""


@pytest.mark.clause("AS-7@3f921c")
@pytest.mark.parametrize("end", ["", "sys.exit(0)", "del saver"])
def test_python_ends_when_the_write_has_ended(tmp_path: Path, end: str) -> None:
    """A program that ends without `close` ends after its last step is whole, with its pools of threads at work."""
    run(PROGRAM + "saver.save(model_of(5), 1)\n" + end, str(tmp_path / "series"))
    series = Series(tmp_path / "series", create=False)
    assert [step.number for step in series.steps()] == [1]
    series.verify()


@pytest.mark.clause("AS-6@82f158")
def test_python_tells_an_error_that_nobody_asked_for_when_it_ends(tmp_path: Path) -> None:
    """The traceback of a write that failed is printed, with its step, also when the program itself ends by an error."""
    failing = PROGRAM + "saver.save(model_of(5), 1); saver.wait(); saver.save(model_of(6), 1)\n"
    for end, code in (("", 0), ("raise ZeroDivisionError", 1)):
        place = tmp_path / f"series{code}"
        printed = run(failing + end, str(place), code=code)
        assert "series-exists" in printed
        assert "in the background save of slow, step 1" in printed
        assert ("ZeroDivisionError" in printed) == bool(code)


@pytest.mark.clause("AS-8@b413d3")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on POSIX alone")
def test_a_forked_process_has_no_part_in_the_saves_of_its_parent(tmp_path: Path) -> None:
    """The child neither waits nor writes nor tells, and may save for itself; the parent's save is whole."""
    script = PROGRAM + (
        "import os, warnings\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "saver.save(model_of(1), 1)\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert not saver.busy and not asynchronous._PENDING\n"
        "    begin = time.monotonic()\n"
        "    assert saver.wait() is None and time.monotonic() - begin < 0.4\n"
        "    saver.save(model_of(2), 2); saver.close()\n"
        "    print('child', [step.number for step in series.steps()])\n"
        "    sys.exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "print('parent', saver.wait().number)\n"
    )
    printed = run(script, str(tmp_path / "series"))
    assert "parent 1" in printed
    assert "child" in printed
    series = Series(tmp_path / "series", create=False)
    assert [step.number for step in series.steps()] == [1, 2]
    series.verify()


@pytest.mark.library
@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on POSIX alone")
def test_a_forked_process_looks_for_cycles_though_its_parent_held_back() -> None:
    """A process that is forked while a thread of its parent holds the search for cycles back does search for them."""
    script = (
        "import gc, os, threading, warnings\n"
        "from etui.garbage import no_garbage\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "def forked():\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os._exit(10 + gc.isenabled())\n"
        "    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
        "def beside():\n"
        "    begun, done = threading.Event(), threading.Event()\n"
        "    def hold():\n"
        "        with no_garbage():\n"
        "            begun.set()\n"
        "            done.wait()\n"
        "    thread = threading.Thread(target=hold)\n"
        "    thread.start()\n"
        "    begun.wait()\n"
        "    found = gc.isenabled(), forked()\n"
        "    done.set()\n"
        "    thread.join()\n"
        "    return (*found, gc.isenabled())\n"
        "print(beside(), forked())\n"
        "gc.disable()\n"
        "print(beside(), forked())\n"
    )
    assert run(script).splitlines() == ["(False, 11, True) 11", "(False, 10, False) 10"]


@pytest.mark.library
def test_many_threads_may_save() -> None:
    """Calls of several threads are made one after the other, and every save is written."""
    target = Target()
    target.go(1000)
    with AsyncSaver(target) as saver:
        threads = [threading.Thread(target=lambda step=step: saver.save(model_of(step), step)) for step in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(MINUTE)
    assert sorted(target.written) == [(step, float(step)) for step in range(12)]
