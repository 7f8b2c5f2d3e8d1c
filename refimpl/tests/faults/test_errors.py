"""A save in which any one of its system calls fails: EIO, ENOSPC, EINTR, a short write, a device that stays full."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fault_system import FULL, NEITHER, NO_EXCHANGE, SHORT, SHORT_AND_FULL, Abilities, Failing, Watched, using
from saves import FOREIGN, MODELS, NOTHING, PLAIN, SAVES, Save

import etui
from etui.errors import StorageError
from etui.storage import output
from etui.storage.transaction import replace_file

ABILITIES = pytest.mark.parametrize("abilities", [FULL, NO_EXCHANGE, NEITHER], ids=["full", "no-exchange", "neither"])
BEFORE = pytest.mark.parametrize("before", ["over", "new"])
RECOGNISABLE = re.compile(r"\..+\.etui-[0-9a-f]{8}\.(tmp|old)")
ONCE: list[tuple[int | str, bool]] = [(errno.EIO, False), (errno.ENOSPC, False), (errno.EINTR, False)]
FOR_EVER: list[tuple[int | str, bool]] = [(errno.EIO, True), (errno.ENOSPC, True)]
SHORTS: list[tuple[int | str, bool]] = [(SHORT, False), (SHORT, True), (SHORT_AND_FULL, False)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where the system has such a place: thousands of saves go there."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as found:
        yield Path(found, "folder")


def prepare(save: Save, before: str, folder: Path) -> Path:
    """The folder with the old content or without, and the target in it."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    if before == "over":
        save.write(folder / save.target, "old")
    return folder / save.target


def calls_of(save: Save, before: str, folder: Path, abilities: Abilities) -> list[str]:
    """The calls of a save, by name."""
    target, watched = prepare(save, before, folder), Watched(abilities)
    with using(watched):
        save.write(target, "new")
    return watched.names


def attempt(save: Save, target: Path, system: Failing) -> bool:
    """Save the new content; whether the save says that it went well."""
    with using(system):
        try:
            save.write(target, "new")
        except StorageError:
            return False
    return True


@pytest.mark.clause("F-8@a401d8")
@pytest.mark.parametrize("kind", [save.name for save in PLAIN])
@BEFORE
@ABILITIES
@pytest.mark.parametrize("faults", [ONCE, FOR_EVER, SHORTS], ids=["once", "for ever", "short"])
def test_a_save_in_which_a_call_fails_changes_nothing_or_succeeds(
    kind: str,
    before: str,
    abilities: Abilities,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    faults: list[tuple[int | str, bool]],
) -> None:
    """Whichever call fails, and however, the save fails and leaves what was there, or ends and leaves the new one."""
    monkeypatch.setattr(output, "_GATHERED_BYTES", 1024)
    save, earlier = SAVES[kind], "old" if before == "over" else NOTHING
    struck = failed = 0
    for at, name in enumerate(calls_of(save, before, folder, abilities), 1):
        for fault, for_ever in faults if abilities == FULL else faults[:1]:
            if fault in {SHORT, SHORT_AND_FULL} and name != "write":
                continue
            target = prepare(save, before, folder)
            system = Failing(at, fault, for_ever=for_ever, abilities=abilities)
            saved = attempt(save, target, system)
            what = (at, name, fault, for_ever, saved)
            struck += system.struck
            failed += not saved
            # Where a file can neither be swapped nor have two names, one that was replaced cannot be put back.
            exempt = kind == "packed" and abilities == NEITHER and name in {"open", "fsync", "close"}
            assert save.state(folder) in ({"new"} if saved else {earlier, "new"} if exempt else {earlier}), what
            left = save.others(folder)
            assert all(RECOGNISABLE.fullmatch(beside) for beside in left), what
            if fault == SHORT:
                assert saved, what
            if not for_ever and not saved and name != "fsync":
                # A device that is sound again leaves no reason to keep anything.
                assert not left or name in {"unlink", "rmdir", "open"}, (what, left)
            save.write(target, "new")
            assert (save.state(folder), save.others(folder)) == ("new", []), what
    assert struck > 3
    assert failed or faults is SHORTS


@pytest.mark.clause("F-8@a401d8", "KT-24@4cf6bd", "KW-13@8fe7f7")
@pytest.mark.parametrize("kind", [save.name for save in MODELS + FOREIGN])
def test_another_format_whose_device_is_full_keeps_the_old_file(kind: str, folder: Path) -> None:
    """A writer of any format that gets ENOSPC at any call, and from then on, leaves the old content or the new one."""
    save = SAVES[kind]
    names = calls_of(save, "over", folder, FULL)
    # Of a long run of writes, which HDF5 makes, some are enough.
    chosen = [at for at, name in enumerate(names, 1) if name != "write" or at % 5 == 0 or names[at - 2] != "write"]
    failed = 0
    for at in chosen:
        target = prepare(save, "over", folder)
        saved = attempt(save, target, Failing(at, errno.ENOSPC, for_ever=True))
        assert save.state(folder) in ({"new"} if saved else {"old", "new"}), (at, names[at - 1])
        failed += not saved
    assert failed > 2


@pytest.mark.clause("F-8@a401d8")
@pytest.mark.parametrize("kind", [save.name for save in PLAIN])
def test_a_file_that_the_system_lets_grow_no_further_changes_nothing(kind: str, tmp_path: Path) -> None:
    """The kernel itself refuses to write beyond a limit, at any byte of the file; nothing is left."""
    save, folder = SAVES[kind], tmp_path / "folder"
    prepare(save, "over", folder)
    save.write(folder / save.target, "new")
    largest = max(path.stat().st_size for path in [folder / save.target, *folder.rglob("*")] if path.is_file())
    target = prepare(save, "over", folder)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    tried = 0
    try:
        for limit in [*range(8), *range(8, largest - 8, 97), *range(largest - 8, largest)]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(StorageError) as caught:
                save.write(target, "new")
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert (caught.value.code, caught.value.errno) == ("storage-failed", errno.EFBIG)
            assert (save.state(folder), save.others(folder)) == ("old", [])
            tried += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert tried > 30


@pytest.mark.clause("F-8@a401d8")
@pytest.mark.parametrize("kind", [save.name for save in PLAIN])
def test_signals_in_the_middle_of_a_save_do_not_disturb_it(kind: str, tmp_path: Path) -> None:
    """A timer that interrupts system calls all the time, whose handler returns, changes nothing about a save."""
    save, folder = SAVES[kind], tmp_path / "folder"
    target = prepare(save, "over", folder)
    met: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _: met.append(number))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        while len(met) < 200:
            for content in ("old", "new"):
                save.write(target, content)
                assert save.state(folder) == content
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert save.others(folder) == []


@pytest.mark.library
@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="Linux alone has a device that is always full")
def test_a_device_is_not_replaced_by_a_file() -> None:
    """A target that is a device is refused: a file beside it would take its place."""
    before = Path("/dev/full").stat().st_rdev
    with pytest.raises(StorageError) as caught, replace_file("/dev/full") as file:
        file.write(b"report")
    assert (caught.value.code, caught.value.errno) == ("storage-failed", errno.ENODEV)
    assert Path("/dev/full").stat().st_rdev == before


@pytest.mark.library
def test_output_to_a_full_device_ends_in_an_error() -> None:
    """A command whose answer cannot be printed does not say that all is well."""
    command = [sys.executable, "-m", "etui", "formats"]
    environment = os.environ | {"PYTHONPATH": str(Path(etui.__file__).parents[1])}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode != 0
