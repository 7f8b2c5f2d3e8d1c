"""A save into a series of checkpoints that is killed, in which calls fail, and that a power cut meets."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fault_system import FULL, NEITHER, NO_EXCHANGE, SHORT, SHORT_AND_FULL, Abilities, Failing, Watched, using
from recorder import Dies, Recorder, recording
from saves import NOTHING, SERIES
from worlds import Disk, Sync, Tree, build, worlds

import etui
from etui.checkpoints import Series
from etui.errors import EtuiError, StorageError

DRIVER = Path(__file__).parent / "harness" / "kill_driver.py"
SAVE = SERIES[0]
BEFORE = pytest.mark.parametrize("before", ["over", "new"])
KILLED: list[tuple[str, str, Abilities]] = [
    (SAVE.name, "over", FULL),
    (SAVE.name, "new", NEITHER),
]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where the system has such a place: thousands of worlds are built."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


def prepared(before: str, folder: Path) -> Path:
    """The folder with one step in the series, or without a series, and the place of the series."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    if before == "over":
        SAVE.write(folder / SAVE.target, "old")
    return folder / SAVE.target


@pytest.mark.clause("CS-24@8eec86", "CS-26@2f96b5")
def test_a_killed_save_leaves_the_earlier_steps_and_perhaps_the_new_one() -> None:
    """Killed at any call, a save leaves a series whose steps are whole; the next save goes through and tidies up."""
    environment = os.environ | {"PYTHONPATH": str(Path(etui.__file__).parents[1])}
    command = [sys.executable, str(DRIVER), json.dumps(KILLED)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results: list[list[dict[str, Any]]] = json.loads(done.stdout)
    assert len(results) == len(KILLED)
    count = saved = left = 0
    for run, (*killed, ended) in zip(KILLED, results, strict=True):
        earlier = "old" if run[1] == "over" else NOTHING
        assert (ended["code"], ended["state"], ended["beside"]) == (0, "new", []), run
        assert {result["code"] for result in killed} == {-signal.SIGKILL}, run
        states = [result["state"] for result in killed]
        assert states[0] == earlier, run
        assert set(states) <= {earlier, "new"}, run
        assert states == sorted(states, key=[earlier, "new"].index), run
        for result in killed:
            left += len(result["beside"])
            if "next" in result:
                assert (result["after"], result["next"]) == ([], "new"), (run, result)
                saved += 1
        count += len(states)
    assert count > 100
    assert saved > 8
    assert left > 20


@pytest.mark.clause("CS-26@2f96b5")
@BEFORE
@pytest.mark.parametrize("abilities", [FULL, NO_EXCHANGE, NEITHER], ids=["full", "no-exchange", "neither"])
def test_a_save_in_which_a_call_fails_changes_nothing_or_succeeds(
    before: str, abilities: Abilities, memory: Path
) -> None:
    """Whichever call fails, and however, no step is lost, and the next save goes through and leaves nothing beside."""
    folder = memory / "folder"
    earlier = "old" if before == "over" else NOTHING
    faults: list[tuple[int | str, bool]] = [(errno.EIO, False)]
    if abilities == FULL:
        faults += [(errno.ENOSPC, True), (errno.EINTR, False), (SHORT, False), (SHORT_AND_FULL, False)]
    target, watched = prepared(before, folder), Watched(abilities)
    with using(watched):
        SAVE.write(target, "new")
    struck = failed = 0
    for at, name in enumerate(watched.names, 1):
        for fault, for_ever in faults:
            if fault in {SHORT, SHORT_AND_FULL} and name != "write":
                continue
            target = prepared(before, folder)
            system = Failing(at, fault, for_ever=for_ever, abilities=abilities)
            saved = True
            with using(system):
                try:
                    SAVE.write(target, "new")
                except StorageError:
                    saved = False
            struck += system.struck
            failed += not saved
            what = (at, name, fault, for_ever, saved)
            # A file that can neither be swapped nor have two names cannot be put back: here a record that is new.
            assert SAVE.state(folder) in ({"new"} if saved else {earlier}), what
            assert saved or fault != SHORT, what
            SAVE.write(target, "new")
            assert (SAVE.state(folder), SAVE.others(folder)) == ("new", []), what
    assert struck > 30
    assert failed > 30


class Judge:
    """Finds out what a reader makes of a world, once for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.found: dict[Tree, str] = {}

    def state(self, disk: Disk, *, saves: bool = False) -> str:
        """What is found; and with `saves` the next save goes through, which tells more of fewer worlds."""
        tree = disk.tree()
        if tree not in self.found:
            build(tree, self._folder)
            self.found[tree] = SAVE.state(self._folder)
            if saves:
                SAVE.write(self._folder / SAVE.target, "new")
                assert SAVE.state(self._folder) == "new", tree
                collected = Series(self._folder / SAVE.target).collect()
                assert SAVE.state(self._folder) == "new", tree
                assert collected.kept > 4
            shutil.rmtree(self._folder)
        return self.found[tree]


def recorded(before: str, root: Path) -> Recorder:
    """What a save does, from one step or from nothing."""
    target = prepared(before, root)
    recorder = Recorder(root)
    with recording(recorder):
        SAVE.write(target, "new")
    return recorder


@pytest.mark.clause("CS-6@6234a9", "CS-24@8eec86", "CS-26@2f96b5")
@BEFORE
def test_a_power_cut_leaves_the_earlier_steps_and_perhaps_the_new_one(before: str, memory: Path) -> None:
    """In every state that a cut may leave, all steps that are there are whole; once the save has ended it is there."""
    recorder = recorded(before, memory / "root")
    judge = Judge(memory / "world")
    earlier = "old" if before == "over" else NOTHING
    replayed = 0
    for end, disk in worlds(recorder.before, recorder.log):
        allowed = {"new"} if end == len(recorder.log) else {earlier, "new"}
        assert judge.state(disk, saves=replayed % 64 == 0) in allowed, (end, disk.tree())
        replayed += 1
    assert set(judge.found.values()) == {earlier, "new"}
    assert replayed > len(judge.found) > 100


@pytest.mark.clause("CS-6@6234a9", "CS-26@2f96b5")
def test_a_power_cut_after_a_killed_save_leaves_the_earlier_steps(memory: Path) -> None:
    """What a killed save left may not be durable when the next one refers to it; its steps are whole all the same."""
    root = memory / "root"
    judge = Judge(memory / "world")
    number = replayed = 0
    seen: set[str] = set()
    for number, _ in enumerate(recorded("over", root).names, 1):
        target = prepared("over", root)
        recorder = Recorder(root)
        recorder.dies_at = number
        with recording(recorder):
            with pytest.raises(Dies):
                SAVE.write(target, "new")
            first = len(recorder.log)
            recorder.restart()
            if repr(recorder.log) in seen:
                continue
            seen.add(repr(recorder.log))
            SAVE.write(target, "new")
        # The worlds in front of the last flushes are those of a save alone.
        found = [(end, disk) for end, disk in worlds(recorder.before, recorder.log, max(first, len(recorder.log) - 12))]
        for end, disk in found[:: max(len(found) // 40, 1)] + found[-1:]:
            allowed = {"new"} if end == len(recorder.log) else {"old", "new"}
            assert judge.state(disk) in allowed, (number, disk.tree())
            replayed += 1
    assert number > 40
    assert replayed > 400


@pytest.mark.library
@pytest.mark.parametrize("unheard", ["files", "folders"])
def test_a_flush_that_is_left_out_is_seen(unheard: str, memory: Path) -> None:
    """Were objects or their folders not flushed, a cut would leave a step that lacks something."""
    recorder = recorded("over", memory / "root")
    log = [
        entry
        for entry in recorder.log
        if not isinstance(entry, Sync) or (entry.node in recorder.before.files) != (unheard == "files")
    ]
    judge = Judge(memory / "world")

    def is_wrong(end: int, disk: Disk) -> bool:
        try:
            return judge.state(disk) not in ({"new"} if end == len(log) else {"old", "new"})
        except EtuiError:
            return True

    assert any(is_wrong(end, disk) for end, disk in worlds(recorder.before, log, len(log) - 1))


@pytest.mark.clause("CS-27@4f25f3", "CS-28@17325b")
def test_a_pruning_that_ends_at_any_call_leaves_whole_steps(memory: Path) -> None:
    """Killed at any call, or cut off from power, a pruning has removed no object that a step which is there needs."""
    root, world = memory / "root", memory / "world"

    def dropped(number: int) -> tuple[Recorder, bool]:
        target = prepared("over", root)
        SAVE.write(target, "new")
        recorder = Recorder(root)
        recorder.dies_at = number
        with recording(recorder):
            try:
                Series(target).prune(drop=[1])
            except Dies:
                return recorder, False
        return recorder, True

    number = replayed = 0
    ended = False
    seen: set[Tree] = set()
    while not ended:
        number += 1
        recorder, ended = dropped(number)
        for _, disk in worlds(recorder.before, recorder.log):
            tree = disk.tree()
            if tree not in seen:
                seen.add(tree)
                build(tree, world)
                steps = [step.number for step in Series(world / SAVE.target, create=False)]
                assert steps in ([1, 2], [2]), steps
                assert len(Series(world / SAVE.target, create=False).verify()) == len(steps)
                shutil.rmtree(world)
                replayed += 1
    assert number > 10
    assert replayed > 6
