"""Whatever is saved, replaced, pruned, exported and collected, and wherever a process ends: no step loses a byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

import etui
from etui.checkpoints import Series, data_objects, garbage, step_writer
from etui.checkpoints.retention import Best, Retention
from etui.errors import EtuiError
from etui.testing.memory_objects import Disk, Killed, MemoryObjects

NUMBERS = st.integers(0, 6)
LIVES = st.none() | st.integers(0, 12)
"""How many write-side calls a process lives for."""
# A rule by a metric that no step has would be refused.
LOSS = {"loss": 0.0}
# Few values, so that steps share tensors, in other names and other orders too.
CHOICES = st.lists(st.integers(0, 5), min_size=1, max_size=4)
RETENTIONS = st.builds(
    Retention,
    last=st.integers(1, 3),
    every=st.none() | st.integers(2, 4),
    best=st.none() | st.builds(Best, st.just("loss"), st.sampled_from(["min", "max"]), st.integers(1, 2)),
)


def model(choices: list[int]) -> etui.Model:
    """A model of tensors of which some are large enough for an object of their own."""
    weights = etui.Weights()
    for index, choice in enumerate(choices):
        array = np.full(SIZES[choice], choice, np.float32)
        weights.add(f"layer_{index}/kernel", etui.Tensor.of(array), role="kernel")
    return etui.Model(weights=weights)


SIZES = (3, 5, 3, 40, 41, 60)
OWN_OBJECT, GROUP = 150, 120
"""Bytes, in place of the real bounds, which would make the examples large."""


def parts(choices: list[int]) -> dict[str, bytes]:
    """The parts of a model as it is saved alone."""
    found: dict[str, bytes] = {}
    etui.save(model(choices), found)
    return found


class Machine(RuleBasedStateMachine):
    """A series on a disk in memory, beside what each step must hold.

    Attributes:
        expected: step -> the choices of its model.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk({}, {})
        self.expected: dict[int, list[int]] = {}
        self.series = self.process(None)

    def process(self, calls: int | None) -> Series:
        """The series in a new process, which ends at a write-side call; never for `None`."""
        return Series(MemoryObjects(self.disk, calls))

    def records(self) -> dict[int, bytes]:
        """The records that are there, by their steps."""
        return {number: self.series.store.record(number) for number in self.series.store.steps()}

    def objects(self) -> dict[str, int]:
        """The sizes of the objects that are there."""
        return {found.digest: found.size for found in self.series.store.objects()}

    def dies(self, calls: int | None, act: Callable[[Series], object]) -> bool:
        """Act; whether the process ended on the way, in which case another one takes over."""
        try:
            act(self.series if calls is None else self.process(calls))
        except Killed:
            self.series = self.process(None)
            return True
        return False

    @rule(number=NUMBERS, choices=CHOICES, loss=st.floats(), calls=LIVES)
    def save(self, number: int, choices: list[int], loss: float, calls: int | None) -> None:
        """Save a step: it is there or it is not, and one that was there is refused."""
        if number in self.expected:
            with pytest.raises(EtuiError, match="series-exists"):
                self.series.save(model(choices), number)
            return
        died = self.dies(calls, lambda series: series.save(model(choices), number, metrics={"loss": loss}))
        assert number in self.records() or died
        if number in self.records():
            self.expected[number] = choices

    @precondition(lambda self: self.expected)
    @rule(data=st.data(), choices=CHOICES, calls=LIVES)
    def replace(self, data: st.DataObject, choices: list[int], calls: int | None) -> None:
        """Replace a step: it holds the new model or, if the process ended, the old one."""
        number = data.draw(st.sampled_from(sorted(self.expected)))
        before = self.records()[number]
        died = self.dies(calls, lambda series: series.save(model(choices), number, replace=True, metrics=LOSS))
        if self.records()[number] != before or not died:
            self.expected[number] = choices

    @rule(keep=RETENTIONS, calls=st.none() | st.integers(0, 4))
    def prune(self, keep: Retention, calls: int | None) -> None:
        """Prune: what the plan keeps is kept, and nothing else unless the process ended."""
        planned = keep.plan(self.series.steps())
        died = self.dies(calls, lambda series: series.prune(keep))
        there = set(self.records())
        kept = {step.number for step in planned.kept}
        assert kept <= there
        assert died or kept == there
        self.expected = {number: choices for number, choices in self.expected.items() if number in there}
        if not died:
            self.only_what_is_used()

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove a step; its objects stay until they are collected."""
        number = data.draw(st.sampled_from(sorted(self.expected)))
        self.series.remove(number)
        del self.expected[number]

    @rule(calls=LIVES)
    def collect(self, calls: int | None) -> None:
        """Collect garbage: afterwards nothing is left that no step refers to."""
        dry = self.series.collect(dry=True)
        before = self.objects()
        if not self.dies(calls, lambda series: series.collect()):
            self.only_what_is_used()
            assert len(before) - len(self.objects()) == dry.objects
            assert sum(before.values()) - sum(self.objects().values()) == dry.bytes

    def only_what_is_used(self) -> None:
        """Exactly the objects that steps refer to are there."""
        assert set(self.objects()) == garbage.marked(self.series.store, self.series.store.steps())

    @invariant()
    def every_step_is_whole(self) -> None:
        """Each step is, byte for byte, the artifact that its model is when it is saved alone."""
        assert {step.number for step in self.series.steps()} == set(self.expected)
        for number, choices in self.expected.items():
            found: dict[str, bytes] = {}
            self.series[number].export(found)
            assert found == parts(choices)


class FolderMachine(Machine):
    """The same in a folder, where no process ends."""

    def __init__(self) -> None:
        self.folder = TemporaryDirectory()
        super().__init__()

    def process(self, calls: int | None) -> Series:
        """Another process with the same folder; whether it ends is not up to it."""
        del calls
        return Series(Path(self.folder.name) / "run")

    def teardown(self) -> None:
        """Remove the folder."""
        self.folder.cleanup()


def run(
    monkeypatch: pytest.MonkeyPatch, examples: int, *, shrink: bool = True, machine: type[Machine] = Machine
) -> None:
    """Run the machine with bounds under which its small tensors are of both kinds."""
    for module in (data_objects, step_writer):
        monkeypatch.setattr(module, "OBJECT_BYTES", OWN_OBJECT)
    monkeypatch.setattr(data_objects, "GROUP_BYTES", GROUP)
    monkeypatch.setattr(data_objects, "_WASTE_BYTES", OWN_OBJECT)
    phases = set(Phase) if shrink else {Phase.generate}
    chosen = settings(
        max_examples=examples,
        stateful_step_count=12,
        deadline=None,
        phases=phases,
        database=None,
        derandomize=not shrink,
    )
    run_state_machine_as_test(machine, settings=chosen)


@pytest.mark.clause("CS-24@8eec86", "CS-25@75c682", "CS-26@2f96b5", "CS-27@4f25f3", "CS-28@17325b")
def test_no_step_loses_a_byte_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving, replacing, pruning, removing, collecting and dying anywhere leave every step whole, and no rubbish."""
    run(monkeypatch, 150)


@pytest.mark.clause("CS-25@75c682", "CS-28@17325b")
def test_no_step_in_a_folder_loses_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds in a folder, with its files and its lock, and two objects of one series."""
    run(monkeypatch, 12, machine=FolderMachine)


def forgetting(begin: bytes) -> Callable[[pytest.MonkeyPatch], None]:
    """A collection that does not see that objects are in use which begin so."""

    def spoil(monkeypatch: pytest.MonkeyPatch) -> None:
        names = garbage.referenced

        def forgetful(store: MemoryObjects, *arguments: Any, **named: Any) -> Iterator[str]:
            for name in names(store, *arguments, **named):
                if not store.source(name).read(0, store.size_of(name) or 0).startswith(begin):
                    yield name

        monkeypatch.setattr(garbage, "referenced", forgetful)

    return spoil


def objects_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series that removes objects before the records that refer to them."""

    def prune(store: MemoryObjects, dropped: set[int], **_: Any) -> None:
        kept = garbage.marked(store, [number for number in store.steps() if number not in dropped])
        for found in list(store.objects()):
            if found.digest not in kept:
                store.remove(found.digest)
        for number in dropped:
            store.remove_record(number)

    monkeypatch.setattr(garbage, "prune", prune)


def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series that refers to what its last save wrote, whether or not that is there still."""
    current = Series._current

    def stale(self: Series, there: list[int]) -> Any:
        return self._known[2] if self._known is not None else current(self, there)

    monkeypatch.setattr(Series, "_current", stale)


def record_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series whose records are there before their objects."""
    held: list[tuple[Any, ...]] = []
    put, commit = MemoryObjects.put, MemoryObjects.put_record

    def later(self: MemoryObjects, digest: str, size: int, buffers: Any) -> None:
        held.append((self, digest, size, [bytes(memoryview(buffer).cast("B")) for buffer in buffers]))

    def early(self: MemoryObjects, step: int, data: bytes, *, replace: bool = False) -> None:
        commit(self, step, data, replace=replace)
        while held:
            put(*held.pop())

    monkeypatch.setattr(MemoryObjects, "put", later)
    monkeypatch.setattr(MemoryObjects, "put_record", early)


@pytest.mark.library
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(forgetting(b'{"format":"etui",'), id="forgets manifests"),
        pytest.param(forgetting(b'{"format":"etui-layout"'), id="forgets layouts"),
        pytest.param(forgetting(b'{"aliases":'), id="forgets documents"),
        pytest.param(forgetting(b"\xf8\0\0\0\0\0\0\0{"), id="forgets headers"),
        pytest.param(forgetting(b"\0\0\x40\x40"), id="forgets tensors"),
        objects_first,
        trusting,
        record_first,
    ],
)
def test_the_machine_finds_a_series_that_loses_something(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """A collection that forgets something, and any other order of removing and writing, fail the test above."""
    spoil(monkeypatch)
    with pytest.raises((AssertionError, EtuiError, BaseExceptionGroup)):
        run(monkeypatch, 400, shrink=False)
