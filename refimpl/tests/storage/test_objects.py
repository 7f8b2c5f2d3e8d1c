"""The store of a series in a folder: objects by digest, records by number, locks, and nothing that a link leads to."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from etui import digest
from etui.errors import EtuiError, IntegrityError, InvalidError, StorageError, UnsafeError, UsageError
from etui.storage import local_objects, object_files, transaction
from etui.storage.base import Buffer
from etui.storage.local_objects import LocalObjects
from etui.storage.object_stores import open_store
from etui.storage.objects import object_names
from etui.storage.system import System, calls

DATA = bytes(range(256)) * 40
NAME = digest.of(DATA)


def buffers(data: bytes = DATA) -> Iterator[Buffer]:
    yield data[:100]
    yield memoryview(data)[100:]


@pytest.fixture
def store(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "run", create=True)


def path_of(store: LocalObjects, name: str = NAME) -> Path:
    return Path(store.location, *object_names(name))


def code_of(action: Callable[[], object]) -> str:
    """The code of the error that an action raises."""
    with pytest.raises(EtuiError) as caught:
        action()
    return caught.value.code


@pytest.mark.clause("CS-5@c13f5c")
def test_an_object_has_its_digest_as_its_name(store: LocalObjects) -> None:
    """What is put is found below the first two digits of its digest, and read in ranges."""
    assert store.size_of(NAME) is None
    store.put(NAME, len(DATA), buffers())
    store.flush()
    assert Path(store.location, "objects", "sha256", NAME[7:9], NAME[9:]).read_bytes() == DATA
    assert store.size_of(NAME) == len(DATA)
    source = store.source(NAME)
    assert (source.size, source.read(3, 7), bytes(source.view(300, 50))) == (len(DATA), DATA[3:10], DATA[300:350])
    assert bytes(source.view(len(DATA), 0)) == b""
    assert [(found.digest, found.size) for found in store.objects()] == [(NAME, len(DATA))]
    store.remove(NAME)
    store.remove(NAME)
    assert store.size_of(NAME) is None
    assert list(store.objects()) == []


@pytest.mark.clause("CS-6@6234a9")
def test_bytes_are_durable_before_they_have_their_name(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object is flushed before it is named, and its folder before `flush` returns; nothing is written after."""
    made: list[str] = []

    class Watching(System):
        def write(self, descriptor: int, data: memoryview, offset: int) -> int:
            made.append("write")
            return super().write(descriptor, data, offset)

        def fsync(self, descriptor: int) -> None:
            made.append("flush folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "flush")
            super().fsync(descriptor)

        def rename(self, path: Path, name: Path) -> None:
            made.append("name")
            super().rename(path, name)

    monkeypatch.setattr(calls, "system", Watching())
    store.put(NAME, len(DATA), buffers())
    assert made == ["write", "flush", "name"]
    store.flush()
    assert set(made[3:]) == {"flush folder"}
    made.clear()
    store.flush()
    assert made == ["flush folder"]
    made.clear()
    # Another writer may have named it, and not flushed that.
    other = LocalObjects(store.location, create=False)
    assert other.size_of(NAME) == len(DATA)
    other.flush()
    assert len(made) == 4


@pytest.mark.library
def test_an_object_of_another_size_than_was_said_is_not_named(store: LocalObjects) -> None:
    """More or fewer bytes than promised leave nothing behind."""
    for size in (len(DATA) - 1, len(DATA) + 1):
        assert code_of(lambda size=size: store.put(NAME, size, buffers())) == "writer-misuse"  # type: ignore[misc]
    assert store.size_of(NAME) is None
    assert list(path_of(store).parent.iterdir()) == []


@pytest.mark.library
def test_many_threads_may_put_the_same(store: LocalObjects) -> None:
    """Objects that several threads put at once are there once, whole."""
    contents = [bytes([number]) * 1000 for number in range(8)] * 4

    def put(data: bytes) -> None:
        store.put(digest.of(data), len(data), [data])

    threads = [threading.Thread(target=put, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.digest for found in store.objects()} == {digest.of(data) for data in contents}
    assert all(digest.of(store.source(found.digest).read(0, 1000)) == found.digest for found in store.objects())


@pytest.mark.clause("CS-8@042de9")
def test_an_object_that_is_not_there_is_told(store: LocalObjects) -> None:
    """A missing object is refused when it is asked for, and one that vanished or shrank when it is read."""
    assert code_of(lambda: store.source(NAME)) == "series-object"
    store.put(NAME, len(DATA), buffers())
    gone, shorter = store.source(NAME), store.source(NAME)
    path_of(store).write_bytes(DATA[:-1])
    assert code_of(lambda: shorter.read(0, 1)) == "series-object"
    assert code_of(lambda: shorter.view(0, 1)) == "series-object"
    path_of(store).unlink()
    with pytest.raises(IntegrityError, match="series-object"):
        gone.read(0, 1)
    with pytest.raises(ValueError, match="bytes"):
        gone.view(0, len(DATA) + 1)


@pytest.mark.library
def test_views_stay_valid_and_few_files_stay_open(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each map has a descriptor; beyond a number of them views are copies, and all of them outlive their files."""
    monkeypatch.setattr(object_files, "_most_maps", lambda: 4)
    contents = [bytes([number]) * 10_000 for number in range(12)]
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir())) if opened.exists() else 0
    views = []
    for data in contents:
        store.put(digest.of(data), len(data), [data])
        views.append(store.source(digest.of(data)).view(0, len(data)))
    if before:
        assert len(list(opened.iterdir())) <= before + 4
    for found in list(store.objects()):
        store.remove(found.digest)
    assert [bytes(view) for view in views] == contents


@pytest.mark.clause("CS-2@6d5479")
def test_records_are_listed_by_their_number(store: LocalObjects) -> None:
    """Steps are sorted as numbers."""
    for step in (10, 9, 2**53 - 1, 0):
        store.put_record(step, b"%d" % step)
    assert store.steps() == [0, 9, 10, 2**53 - 1]
    assert store.record(10) == b"10"
    store.remove_record(10)
    assert store.steps() == [0, 9, 2**53 - 1]
    assert code_of(lambda: store.record(10)) == "series-step"
    assert code_of(lambda: store.remove_record(10)) == "series-step"


@pytest.mark.clause("CS-25@75c682")
def test_a_record_is_replaced_only_if_that_is_asked_for(store: LocalObjects) -> None:
    """A second record of a number is refused, and the first one stays."""
    store.put_record(1, b"one")
    with pytest.raises(UsageError) as caught:
        store.put_record(1, b"two")
    assert caught.value.code == "series-exists"
    assert store.record(1) == b"one"
    store.put_record(1, b"two", replace=True)
    assert store.record(1) == b"two"


@pytest.mark.clause("CS-25@75c682")
def test_of_many_writers_of_one_step_one_wins(store: LocalObjects) -> None:
    """Of records that are put at the same moment, one is there, and every other writer is told."""
    outcomes: list[str] = []
    begin = threading.Barrier(8)

    def put(number: int) -> None:
        begin.wait()
        try:
            store.put_record(1, b"%d" % number)
        except UsageError as cause:
            outcomes.append(cause.code)
        else:
            outcomes.append(str(number))

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(outcomes) - {"series-exists"}
    assert outcomes.count("series-exists") == 7
    assert store.record(1) == winner.encode()


@pytest.mark.clause("CS-27@4f25f3")
def test_the_removal_of_a_record_is_durable(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the records is flushed when one is removed, and again before garbage is collected."""
    flushed: list[str] = []
    real = transaction.sync_folder

    def sync(path: Path) -> None:
        flushed.append(path.name)
        real(path)

    store.put_record(1, b"one")
    monkeypatch.setattr(local_objects, "sync_folder", sync)
    store.remove_record(1)
    assert flushed == ["steps"]
    with store.cleaning():
        assert flushed == ["steps", "steps"]


@pytest.mark.clause("CS-3@8d44ed")
def test_other_names_are_passed_over(store: LocalObjects) -> None:
    """Files that are no object and no record are neither listed nor touched."""
    store.put(NAME, len(DATA), buffers())
    store.put_record(1, b"one")
    strange = [Path(store.location, "steps", name) for name in ("01.json", "notes.txt", "2.json.bak")]
    strange += [path_of(store).with_name("0" * 61), path_of(store).with_name("Z" * 62)]
    strange += [Path(store.location, "objects", "sha256", "readme"), Path(store.location, "objects", "md5")]
    for path in strange:
        path.write_text("mine")
    Path(store.location, "objects", "sha256", "abc").mkdir()
    assert store.steps() == [1]
    assert [found.digest for found in store.objects()] == [NAME]
    with store.writing():
        pass
    with store.cleaning():
        pass
    assert [path.read_text() for path in strange] == ["mine"] * len(strange)


@pytest.mark.clause("CS-1@705691")
def test_a_place_that_is_no_series_is_refused(tmp_path: Path) -> None:
    """Without `create`, a folder without a mark is no series; with it, one that holds something else is left alone."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years")
    (tmp_path / "file").write_text("text")
    (tmp_path / "marked").mkdir()
    (tmp_path / "marked" / "series.json").write_text('{"format":"etui","version":"1.0"}')
    for name in ("missing", "other"):
        with pytest.raises(InvalidError) as caught:
            open_store(tmp_path / name, create=False)
        assert caught.value.code == "series-form"
    assert not (tmp_path / "missing").exists()
    for name in ("other", "file"):
        with pytest.raises(StorageError) as refused:
            open_store(tmp_path / name, create=True)
        assert refused.value.code in {"target-not-etui", "storage-failed"}
    assert code_of(lambda: open_store(tmp_path / "marked", create=True)) == "series-form"
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]


@pytest.mark.clause("CS-1@705691")
def test_a_series_is_made_once_and_opened_again(tmp_path: Path) -> None:
    """A missing or empty folder becomes a series, also where a killed writer left something; a store stays as it is."""
    for name in ("a/b/c", "empty", "killed"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "killed" / "steps").mkdir(parents=True, exist_ok=True)
        (tmp_path / "killed" / ".series.json.etui-00000000.tmp").write_text("{")
        store = open_store(str(tmp_path / name), create=True)
        assert (tmp_path / name / "series.json").read_bytes() == b'{"format":"etui-series","version":"1.0"}'
        assert open_store(tmp_path / name, create=False).steps() == []
        assert open_store(store, create=False) is store
    assert not (tmp_path / "killed" / ".series.json.etui-00000000.tmp").exists()


@pytest.mark.clause("CS-1@705691")
def test_steps_without_a_mark_are_not_taken_over(store: LocalObjects) -> None:
    """Where the mark was lost, records show that this is no empty place."""
    store.put_record(1, b"one")
    Path(store.location, "series.json").unlink()
    assert code_of(lambda: LocalObjects(store.location, create=True)) == "target-not-etui"


def whole(folder: Path) -> LocalObjects:
    """A series with an object and a record."""
    store = LocalObjects(folder, create=True)
    store.put(NAME, len(DATA), buffers())
    store.put_record(1, b"one")
    return LocalObjects(folder, create=False)


@pytest.mark.clause("CS-4@f540ee", "X-4@c431d3")
@pytest.mark.parametrize(
    "place", ["series.json", "objects", "objects/sha256", "shard", "object", "steps", "steps/1.json"]
)
def test_a_link_in_a_series_is_refused(place: str, tmp_path: Path) -> None:
    """A symbolic link in place of a file or a folder is neither read nor written through."""
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    store = whole(folder)
    path = {"shard": path_of(store).parent, "object": path_of(store)}.get(place, folder / place)
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = {found: found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()}
    actions: list[Callable[[], object]] = []
    if place == "series.json":
        actions = [lambda: LocalObjects(folder, create=False), lambda: LocalObjects(folder, create=True)]
    elif place.startswith("steps"):
        actions = [lambda: store.record(1)]
        if place == "steps":
            actions += [store.steps, lambda: store.put_record(2, b"two"), lambda: store.remove_record(1)]
        else:
            actions += [lambda: store.put_record(1, b"two", replace=True)]
    else:
        actions = [lambda: store.size_of(NAME), lambda: store.source(NAME), lambda: list(store.objects())]
        if place != "object":
            actions += [lambda: LocalObjects(folder, create=False).put(NAME, len(DATA), buffers())]
            actions += [lambda: store.remove(NAME)]
    codes = [code_of(action) for action in actions]
    # A record that is a link is refused by the transaction itself.
    assert set(codes) <= {"series-link", "storage-failed"}
    assert codes.count("series-link") >= len(codes) - (place == "steps/1.json")
    assert before == {found: found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()}


@pytest.mark.clause("CS-4@f540ee")
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    """A folder, a pipe or a socket in the place of an object or a record is refused, and never waited for."""
    store = whole(tmp_path / "run")
    with ExitStack() as stack:
        for path in (path_of(store), tmp_path / "run" / "steps" / "1.json"):
            path.unlink()
            if kind == "folder":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                server = stack.enter_context(socket.socket(socket.AF_UNIX))
                short = tmp_path / f"s{len(path.name)}"
                server.bind(str(short))
                short.rename(path)
        for action in (lambda: store.source(NAME), lambda: store.size_of(NAME), lambda: store.record(1)):
            with pytest.raises(UnsafeError) as caught:
                action()
            assert (caught.value.code, caught.value.clause) == ("series-link", "CS-4")


@pytest.mark.clause("CS-30@dd7207")
def test_writers_share_a_lock_and_the_collection_has_it_alone(store: LocalObjects) -> None:
    """Two writers are at work at once; garbage is not collected then, and a writer waits while it is."""
    other = LocalObjects(store.location, create=False)
    with store.writing(), other.writing():
        assert code_of(lambda: store.cleaning().__enter__()) == "series-busy"
        assert code_of(lambda: other.cleaning(exclusive=True).__enter__()) == "series-busy"
    events: list[str] = []
    entered = threading.Event()

    def write() -> None:
        entered.set()
        with other.writing():
            events.append("writing")

    with store.cleaning():
        assert code_of(lambda: other.cleaning().__enter__()) == "series-busy"
        thread = threading.Thread(target=write)
        thread.start()
        assert entered.wait(10)
        thread.join(0.2)
        events.append("collected")
    thread.join(10)
    assert events == ["collected", "writing"]


@pytest.mark.library
def test_a_lock_ends_with_the_save_though_a_forked_process_has_it_open(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was forked during a save, and lives on with its descriptors, does not keep garbage alive."""
    copies: list[int] = []

    class Forking(System):
        def open(self, name: Path | str, flags: int, mode: int = 0o666, folder: int | None = None) -> int:
            found = super().open(name, flags, mode, folder)
            copies.append(os.dup(found))
            return found

    with monkeypatch.context() as patch:
        patch.setattr(calls, "system", Forking())
        with store.writing():
            assert code_of(lambda: store.cleaning().__enter__()) == "series-busy"
    assert copies
    with store.cleaning():
        pass
    for descriptor in copies:
        os.close(descriptor)


@pytest.mark.clause("CS-30@dd7207")
def test_a_process_that_was_forked_in_a_save_does_not_end_its_lock(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the copy of a save ends that a forked process has, the parent goes on with its lock."""
    copies: list[int] = []

    class Forking(System):
        def open(self, name: Path | str, flags: int, mode: int = 0o666, folder: int | None = None) -> int:
            found = super().open(name, flags, mode, folder)
            copies.append(os.dup(found))
            return found

    with monkeypatch.context() as patch:
        patch.setattr(calls, "system", Forking())
        with store.writing():
            patch.setattr(os, "getpid", lambda: -1)
    assert code_of(lambda: store.cleaning().__enter__()) == "series-busy"
    for descriptor in copies:
        os.close(descriptor)
    with store.cleaning():
        pass


@pytest.mark.clause("CS-30@dd7207")
def test_a_lock_that_is_held_for_long_is_told(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer does not wait for ever."""
    monkeypatch.setattr(local_objects, "_PATIENCE", 0.05)
    with store.cleaning():
        assert code_of(lambda: store.writing().__enter__()) == "series-busy"


@pytest.mark.clause("CS-31@4d46f6")
def test_without_locks_a_collection_needs_the_callers_word(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that cannot lock, writers go on, and a collection begins only if nobody is said to write."""

    class Lockless(System):
        def flock(self, *_: object) -> None:
            raise OSError(95, "no locks")

    monkeypatch.setattr(calls, "system", Lockless())
    with store.writing():
        store.put_record(1, b"one")
    assert code_of(lambda: store.cleaning().__enter__()) == "series-busy"
    with store.cleaning(exclusive=True):
        assert store.steps() == [1]


@pytest.mark.clause("CS-25@75c682", "CS-30@dd7207")
def test_a_lock_for_one_alone_is_had_where_it_needs_a_file_that_can_be_written(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On NFS, which locks no folder and no file that is open for reading alone, writers and collections keep apart."""
    locked: list[bool] = []

    class Nfs(System):
        def flock(self, descriptor: int, shared: bool = False) -> None:
            writes = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
            locked.append(shared or writes)
            if not locked[-1]:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            super().flock(descriptor, shared)

    monkeypatch.setattr(calls, "system", Nfs())
    other = LocalObjects(store.location, create=False)
    with store.writing():
        assert code_of(lambda: other.cleaning(exclusive=True).__enter__()) == "series-busy"
        store.put_record(1, b"one")
    with store.cleaning():
        assert code_of(lambda: other.cleaning().__enter__()) == "series-busy"
    assert all(locked)
    assert len(locked) > 4


@pytest.mark.library
def test_a_lock_is_had_of_a_file_that_others_own(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not write into the lock file of another user locks it all the same."""

    class Reader(System):
        def open(self, name: Path | str, flags: int, mode: int = 0o666, folder: int | None = None) -> int:
            if Path(name).name in {"lock", "series.json"} and flags & os.O_RDWR:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return super().open(name, flags, mode, folder)

    with store.writing():
        pass
    monkeypatch.setattr(calls, "system", Reader())
    with store.writing():
        store.put_record(1, b"one")
        assert code_of(lambda: store.cleaning().__enter__()) == "series-busy"
    with store.cleaning():
        assert store.steps() == [1]


@pytest.mark.clause("CS-30@dd7207")
@pytest.mark.parametrize("again", [False, True])
def test_a_save_whose_lock_was_taken_away_commits_nothing(store: LocalObjects, again: bool) -> None:
    """Who removes the file `lock`, and so lets garbage be collected during a save, breaks no step."""
    lock = Path(store.location, "lock")
    with store.writing():
        store.put(NAME, len(DATA), buffers())
        lock.unlink()
        if again:
            with LocalObjects(store.location, create=False).cleaning():
                store.remove(NAME)
        assert code_of(lambda: store.put_record(1, b"one")) == "series-busy"
    assert store.steps() == []
    with store.writing(), LocalObjects(store.location, create=False).writing():
        store.put_record(1, b"one")
    assert store.steps() == [1]


@pytest.mark.library
def test_a_series_that_lost_its_mark_gets_no_other_one(store: LocalObjects) -> None:
    """A commit into a series whose mark is gone fails, and makes no file in its place."""
    mark = Path(store.location, "series.json")
    mark.unlink()
    assert code_of(lambda: store.put_record(1, b"one")) == "storage-failed"
    assert not mark.exists()


@pytest.mark.clause("CS-24@8eec86")
def test_what_a_failed_flush_left_is_flushed_by_the_next(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose flush failed is not taken for durable by the next commit."""
    flushed: list[Path] = []
    ill = [True]

    def sync(folder: Path) -> None:
        if ill[0]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flushed.append(folder)

    store.put(NAME, len(DATA), buffers())
    monkeypatch.setattr(local_objects, "sync_folder", sync)
    assert code_of(store.flush) == "storage-failed"
    ill[0] = False
    store.flush()
    assert path_of(store).parent in flushed


@pytest.mark.clause("CS-24@8eec86")
def test_a_flush_waits_for_that_of_another_thread(store: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one thread has put is durable when its flush returns, though another thread is flushing it."""
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()
    real = transaction.sync_folder

    def slow(folder: Path) -> None:
        begun.set()
        assert go.wait(10)
        real(folder)

    def second() -> None:
        store.flush()
        ended.set()

    store.put(NAME, len(DATA), buffers())
    monkeypatch.setattr(local_objects, "sync_folder", slow)
    threads = [threading.Thread(target=store.flush), threading.Thread(target=second)]
    threads[0].start()
    assert begun.wait(10)
    monkeypatch.setattr(local_objects, "sync_folder", real)
    threads[1].start()
    assert not ended.wait(0.2)
    go.set()
    for thread in threads:
        thread.join(10)
    assert ended.is_set()


@pytest.mark.library
def test_an_object_that_goes_while_all_are_listed_is_left_out(
    store: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing without a lock goes on where others collect garbage."""
    store.put(NAME, len(DATA), buffers())
    names = store._files.names

    def late(folder: str) -> list[str]:
        found = names(folder)
        if len(folder.split("/")) == 3:
            path_of(store).unlink()
        return found

    monkeypatch.setattr(store._files, "names", late)
    assert list(store.objects()) == []


@pytest.mark.library
@pytest.mark.parametrize("place", [None, 5, b"run"])
def test_what_is_no_place_is_a_type_error(place: Any) -> None:
    """A series needs a path, a URL or a store."""
    with pytest.raises(TypeError, match="object store"):
        open_store(place, create=False)


@pytest.mark.library
def test_leftovers_are_removed_by_the_next_writer_and_those_of_the_living_stay(store: LocalObjects) -> None:
    """What dead writers left is gone after the next save or the next cleaning; what is being written stays."""
    store.put(NAME, len(DATA), buffers())
    store.put_record(1, b"one")
    folder = Path(store.location)
    dead = [
        folder / "steps" / ".1.json.etui-00000000.tmp",
        path_of(store).with_name(f".{NAME[9:]}.etui-00000000.tmp"),
        folder / ".series.json.etui-00000000.tmp",
    ]
    for path in dead:
        path.write_text("half")
    living = transaction.FileTransaction(folder / "steps" / "2.json")
    dry = store.clear_leftovers(dry=True)
    assert {(found.path, found.fate) for found in dry} == {
        *((path, "removed") for path in dead),
        (Path(living.file.name), "held"),
    }
    other = LocalObjects(folder, create=False)
    with other.writing():
        assert [path.exists() for path in dead] == [False, True, False]
        other.put(NAME, len(DATA), buffers())
        assert not dead[1].exists()
    dead[1].write_text("half")
    with other.cleaning():
        assert not dead[1].exists()
    assert Path(living.file.name).exists()
    living.abort()
