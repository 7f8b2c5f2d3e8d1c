"""What docs/durability.md says of places: who may write, what vanishes, links, permissions, calls that lack."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from fault_system import FULL, NO_EXCHANGE, Abilities, Watched, using
from saves import CONTENTS, PLAIN, SAVES

from etui.errors import EtuiError, StorageError
from etui.storage import create_artifact
from etui.storage.part_names import role_of
from etui.storage.transaction import clean, make_folders, replace_file, resolved

KINDS = pytest.mark.parametrize("kind", [save.name for save in PLAIN])
NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anyone may go through."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def as_someone_else() -> Iterator[None]:
    """Without the rights of root, whom permissions do not bind."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.clause("F-8@a401d8")
@KINDS
def test_a_folder_that_may_not_be_written_keeps_its_artifact(kind: str, open_folder: Path) -> None:
    """A save into a read-only folder is refused with the system's reason."""
    save = SAVES[kind]
    save.write(open_folder / save.target, "old")
    open_folder.chmod(0o555)
    with as_someone_else(), pytest.raises(StorageError) as caught:
        save.write(open_folder / save.target, "new")
    open_folder.chmod(0o755)
    assert (caught.value.code, caught.value.errno) == ("storage-failed", errno.EACCES)
    assert (save.state(open_folder), save.others(open_folder)) == ("old", [])


@pytest.mark.clause("F-8@a401d8")
@KINDS
@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_folder_that_vanishes_ends_the_save(kind: str, after: int, tmp_path: Path) -> None:
    """A folder that is removed while a save into it runs ends it with an error, and is not made again."""
    save = SAVES[kind]
    place = tmp_path / "place"
    place.mkdir()

    def work() -> None:
        with create_artifact(place / save.target, "packed" if kind == "packed" else "directory") as writer:
            for number, (name, data) in enumerate(CONTENTS["new"].items(), 1):
                writer.write(name, role_of(name) or "", len(data), [data])
                if number == after:
                    shutil.rmtree(place)
            writer.commit()

    with pytest.raises(StorageError):
        work()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.clause("F-8@a401d8")
@KINDS
def test_writers_at_once_and_a_reader_beside_them_meet_whole_artifacts(kind: str, tmp_path: Path) -> None:
    """Two writers of one place both succeed, again and again; a reader gets old or new, or an error with a code."""
    save = SAVES[kind]
    target = tmp_path / save.target
    save.write(target, "old")
    faults: list[BaseException] = []
    seen: list[str] = []
    ended = threading.Event()

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as fault:
                faults.append(fault)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def writer() -> None:
        for _ in range(15):
            for content in ("old", "new"):
                save.write(target, content)

    def reader() -> None:
        while not ended.is_set():
            try:
                seen.append(save.state(tmp_path))
            except EtuiError:
                # A folder that is replaced while it is read loses the parts that were not opened; it is never mixed.
                assert kind == "directory"

    reading = guarded(reader)
    for thread in [guarded(writer), guarded(writer)]:
        thread.join()
    while not seen and reading.is_alive():
        pass
    ended.set()
    reading.join()
    assert faults == []
    assert set(seen) <= {"old", "new"}
    assert seen
    save.write(target, "new")
    assert (save.state(tmp_path), save.others(tmp_path)) == ("new", [])


@pytest.mark.library
@KINDS
def test_a_chain_of_links_stands_for_its_end(kind: str, tmp_path: Path) -> None:
    """A link to a link to a place, empty at first, is followed to the end, and every link stays."""
    save = SAVES[kind]
    (tmp_path / "far").mkdir()
    (tmp_path / "second").symlink_to(Path("far", save.target))
    (tmp_path / "first").symlink_to("second")
    for content in ("old", "new"):
        save.write(tmp_path / "first", content)
        assert save.state(tmp_path / "far") == content
        assert save.others(tmp_path / "far") == []
    assert (tmp_path / "first").readlink() == Path("second")
    assert (tmp_path / "second").readlink() == Path("far", save.target)


@pytest.mark.library
def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    """Links that lead to each other are no place, and stay."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StorageError) as caught, replace_file(tmp_path / "a"):
        pass
    assert caught.value.errno == errno.ELOOP
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.library
@pytest.mark.parametrize("made", ["folder", "filled folder", "pipe"])
def test_what_is_no_file_is_not_replaced_by_one(made: str, tmp_path: Path) -> None:
    """A file of another format never takes the place of a folder, whatever is in it, or of a pipe."""
    target = tmp_path / "target"
    if made == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()
        if made == "filled folder":
            (target / "thesis.txt").write_text("mine")
    with pytest.raises(StorageError) as caught, replace_file(target) as file:
        file.write(b"x")
    assert caught.value.errno == (errno.ENODEV if made == "pipe" else errno.EISDIR)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert (target / "thesis.txt").exists() == (made == "filled folder")


@pytest.mark.library
@KINDS
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o777, 0o500])
def test_permissions_are_kept_and_never_wider(kind: str, mode: int, tmp_path: Path) -> None:
    """What takes the place of an artifact has its permissions, and no others may read it while it is written."""
    save = SAVES[kind]
    target = tmp_path / save.target
    save.write(target, "old")
    target.chmod(mode)
    modes: list[int] = []

    class Looking(Watched):
        def perform(self, _name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
            modes.extend(path.stat().st_mode for path in tmp_path.glob(".*.tmp"))
            return call(*arguments)

    with using(Looking()):
        save.write(target, "new")
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert len(modes) > 3
    owner = stat.S_IRWXU
    assert not any(stat.S_IMODE(one) & ~(mode | owner) for one in modes)
    assert (save.state(tmp_path), save.others(tmp_path)) == ("new", [])


@pytest.mark.library
@KINDS
def test_new_artifacts_have_the_permissions_of_new_files(kind: str, tmp_path: Path) -> None:
    """Where nothing was, the umask decides, as for any program."""
    save = SAVES[kind]
    before = os.umask(0o027)
    try:
        save.write(tmp_path / save.target, "new")
        make_folders(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    files = [path for path in [tmp_path / save.target, *(tmp_path / save.target).rglob("*")] if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}
    folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o750}


class Lacking(Watched):
    """A system on which some calls always fail."""

    def __init__(self, number: int, *names: str, abilities: Abilities = FULL) -> None:
        super().__init__(abilities)
        self._number = number
        self._names = names

    def perform(self, name: str, call: Callable[..., Any], /, *arguments: Any) -> Any:
        if name in self._names and (name != "fsync" or stat.S_ISDIR(os.fstat(arguments[0]).st_mode)):
            raise OSError(self._number, os.strerror(self._number))
        return call(*arguments)


@pytest.mark.library
@KINDS
@pytest.mark.parametrize("abilities", [FULL, NO_EXCHANGE])
def test_a_system_without_locks_saves_and_leaves_what_others_left(
    kind: str, abilities: Abilities, tmp_path: Path
) -> None:
    """Where nothing can be locked, saves go on, and a leftover, which may be someone's work, stays."""
    save = SAVES[kind]
    leftover = tmp_path / f".{save.target}.etui-0123abcd.tmp"
    leftover.write_bytes(b"someone's")
    with using(Lacking(errno.ENOLCK, "flock", abilities=abilities)):
        for content in ("old", "new"):
            save.write(tmp_path / save.target, content)
            assert (save.state(tmp_path), save.others(tmp_path)) == (content, [leftover.name])
        assert [one.fate for one in clean(tmp_path / save.target)] == ["held"]
    assert [one.fate for one in clean(tmp_path / save.target)] == ["removed"]


@pytest.mark.library
@KINDS
@pytest.mark.parametrize(("number", "saved"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_system_that_cannot_flush_folders_saves(kind: str, number: int, saved: bool, tmp_path: Path) -> None:
    """Where folders have no flush, as on some network file systems, saves go on; a flush that fails ends them."""
    save = SAVES[kind]
    save.write(tmp_path / save.target, "old")
    with using(Lacking(number, "fsync")):
        if saved:
            save.write(tmp_path / save.target, "new")
        else:
            with pytest.raises(StorageError):
                save.write(tmp_path / save.target, "new")
    assert save.state(tmp_path) == ("new" if saved else "old")


@pytest.mark.library
def test_a_path_that_goes_through_a_link_ends_where_it_leads(tmp_path: Path) -> None:
    """A folder on the way may be a link; leftovers are made beside the real place."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert resolved(tmp_path / "link" / "m.etui") == tmp_path.resolve() / "real" / "m.etui"
    with replace_file(tmp_path / "link" / "m.bin") as file:
        assert Path(file.name).parent == tmp_path.resolve() / "real"
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["m.bin"]
