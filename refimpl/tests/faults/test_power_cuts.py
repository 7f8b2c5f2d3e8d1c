"""Every state of the disk that a power cut may leave: old or new opens, and the next save goes through."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fault_system import FULL, NEITHER, NO_EXCHANGE, Abilities
from recorder import Dies, Recorder, recording
from saves import NOTHING, PLAIN, SAVES, Save
from worlds import Disk, Sync, Tree, build, worlds

from etui.errors import EtuiError, StorageError
from etui.storage import output

ABILITIES = pytest.mark.parametrize("abilities", [FULL, NO_EXCHANGE, NEITHER], ids=["full", "no-exchange", "neither"])
KINDS = pytest.mark.parametrize("kind", [save.name for save in PLAIN])
BEFORE = pytest.mark.parametrize("before", ["over", "new"])


@pytest.fixture(autouse=True)
def several_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a small file is written in several calls."""
    monkeypatch.setattr(output, "_GATHERED_BYTES", 256)


class Judge:
    """Finds out what a reader makes of a world, once for each, and what the next save does if asked."""

    def __init__(self, save: Save, folder: Path, *, saves: bool = False) -> None:
        self._save = save
        self._folder = folder
        self._saves = saves
        self.found: dict[Tree, str] = {}

    def state(self, disk: Disk) -> str:
        tree = disk.tree()
        if tree not in self.found:
            build(tree, self._folder)
            self.found[tree] = self._save.state(self._folder)
            if self._saves:
                # Whatever the cut has left beside, the next save is not disturbed by it.
                self._save.write(self._folder / self._save.target, "new")
                assert self._save.state(self._folder) == "new", tree
                assert self._save.others(self._folder) == [], tree
            shutil.rmtree(self._folder)
        return self.found[tree]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where the system has such a place: thousands of worlds are built."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def root(memory: Path) -> Path:
    """The folder in which the save is made."""
    (memory / "root").mkdir()
    return memory / "root"


def prepared(save: Save, before: str, root: Path, abilities: Abilities) -> tuple[Recorder, Path]:
    """A recorder of a folder with the old artifact or without, and the target."""
    shutil.rmtree(root)
    root.mkdir()
    if before == "over":
        save.write(root / save.target, "old")
    return Recorder(root, abilities), root / save.target


@pytest.mark.clause("F-6@674ad5", "F-7@291ba2", "F-8@a401d8")
@KINDS
@BEFORE
@ABILITIES
def test_a_power_cut_leaves_the_old_artifact_or_the_new_one(
    kind: str, before: str, abilities: Abilities, root: Path, memory: Path
) -> None:
    """In every state that a cut may leave, old or new opens; once the save has ended it is the new one."""
    save = SAVES[kind]
    recorder, target = prepared(save, before, root, abilities)
    with recording(recorder):
        save.write(target, "new")
    judge = Judge(save, memory / "world", saves=True)
    earlier = "old" if before == "over" else NOTHING
    replayed = 0
    for end, disk in worlds(recorder.before, recorder.log):
        allowed = {"new"} if end == len(recorder.log) else {earlier, "new"}
        assert judge.state(disk) in allowed, (end, disk.tree())
        replayed += 1
    assert set(judge.found.values()) == {earlier, "new"}
    assert replayed > len(judge.found) > (80 if kind == "directory" else 30)


def read(save: Save) -> Callable[[str], bool]:
    """Tells the names that a reader of the target looks at."""
    return lambda name: name == save.target or name.endswith(".old")


def calls_of(save: Save, before: str, root: Path, abilities: Abilities) -> list[str]:
    """The calls of a save, by name."""
    recorder, target = prepared(save, before, root, abilities)
    with recording(recorder):
        save.write(target, "new")
    return recorder.names


@pytest.mark.clause("F-6@674ad5", "F-8@a401d8")
@KINDS
@BEFORE
@ABILITIES
def test_a_power_cut_after_a_killed_save_leaves_the_old_artifact_or_the_new_one(
    kind: str, before: str, abilities: Abilities, root: Path, memory: Path
) -> None:
    """Names that a killed writer changed may not be durable when the next one removes what it left."""
    save = SAVES[kind]
    judge = Judge(save, memory / "world")
    earlier = "old" if before == "over" else NOTHING
    number = replayed = 0
    seen: set[str] = set()
    for number, _ in enumerate(calls_of(save, before, root, abilities), 1):
        recorder, target = prepared(save, before, root, abilities)
        recorder.dies_at = number
        with recording(recorder):
            with pytest.raises(Dies):
                save.write(target, "new")
            first = len(recorder.log)
            recorder.restart()
            if repr(recorder.log) in seen:
                continue
            seen.add(repr(recorder.log))
            save.write(target, "new")
        for _, disk in worlds(recorder.before, recorder.log, first, looked_at=read(save)):
            assert judge.state(disk) in {earlier, "new"}, (number, disk.tree())
            replayed += 1
    assert number > 8


@pytest.mark.clause("F-8@a401d8")
@KINDS
@BEFORE
@ABILITIES
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
def test_a_power_cut_after_a_failed_save_leaves_the_old_artifact_or_the_new_one(
    kind: str, before: str, abilities: Abilities, root: Path, memory: Path, *, for_ever: bool
) -> None:
    """Where the device fails at a call, and then the power, what was undone may be there still."""
    save = SAVES[kind]
    judge = Judge(save, memory / "world")
    earlier = "old" if before == "over" else NOTHING
    failed = replayed = 0
    for at, failing in enumerate(calls_of(save, before, root, abilities), 1):
        recorder, target = prepared(save, before, root, abilities)
        recorder.fails_at(at, failing if for_ever else None)
        with recording(recorder):
            try:
                save.write(target, "new")
            except StorageError:
                failed += 1
        for _, disk in worlds(recorder.before, recorder.log, recorder.first_fault, looked_at=read(save)):
            assert judge.state(disk) in {earlier, "new"}, (at, failing, disk.tree())
            replayed += 1
    assert failed > 3


@pytest.mark.library
@KINDS
@pytest.mark.parametrize("unheard", ["files", "folders"])
def test_a_flush_that_is_left_out_is_seen(kind: str, unheard: str, root: Path, memory: Path) -> None:
    """Were files or folders not flushed, a cut would leave neither content, or take a save back that has returned."""
    save = SAVES[kind]
    recorder, target = prepared(save, "over", root, FULL)
    with recording(recorder):
        save.write(target, "new")
    log = [
        entry
        for entry in recorder.log
        if not isinstance(entry, Sync) or (entry.node in recorder.before.files) != (unheard == "files")
    ]
    judge = Judge(save, memory / "world")

    def is_wrong(end: int, disk: Disk) -> bool:
        try:
            return judge.state(disk) not in ({"new"} if end == len(log) else {"old", "new"})
        except EtuiError:
            return True

    assert any(is_wrong(end, disk) for end, disk in worlds(recorder.before, log, looked_at=read(save)))
