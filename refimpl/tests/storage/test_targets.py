"""What a writer is given, what it replaces, and what it refuses to lose."""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import resource
import signal
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError, StorageError, UsageError
from etui.limits import Limits
from etui.storage import create_artifact, open_artifact, transaction
from etui.storage.base import Form
from etui.storage.part_names import MANIFEST
from etui.storage.transaction import replace_file
from etui.testing.storage import sizes, with_manifest, write

OLD = with_manifest({"weights.safetensors": b"old" * 99, "assets/a.txt": b"old", "weights.json": b"{}"})
NEW = with_manifest({"weights.safetensors": b"new" * 99, "assets/b.txt": b"new", "weights.json": b"{}"})
FORMS = pytest.mark.parametrize("form", ["packed", "directory"])


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder: bytes of files, targets of links, and which folders there are."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = str(path.readlink()) if path.is_symlink() else "folder" if path.is_dir() else path.read_bytes()
    return found


def content_of(location: Path) -> dict[str, bytes]:
    """All parts of an artifact, fully verified."""
    with open_artifact(location) as reader:
        found = {name: reader.source(name).read(0, size) for name, size in reader.names().items()}
        reader.check_members(sizes(found))
        reader.verify_container(sizes(found))
    return found


def refusal(work: Callable[[], object], folder: Path) -> EtuiError:
    """The error that the work ends in, after which the folder is as it was."""
    before = snapshot(folder)
    with pytest.raises(EtuiError) as caught:
        work()
    assert snapshot(folder) == before
    return caught.value


@pytest.mark.library
def test_the_form_follows_from_the_target(tmp_path: Path) -> None:
    """Without a form, a separator at the end or an existing folder means a folder, and any other path a file."""
    cases: list[tuple[str, Form]] = [
        ("a.etui", "packed"),
        ("b", "packed"),
        ("c/", "directory"),
        ("d.etui/", "directory"),
    ]
    for name, form in cases:
        for _ in range(2):  # the second time the target is there, and its form decides
            write(f"{tmp_path}/{name}", OLD)
            with open_artifact(f"{tmp_path}/{name}") as reader:
                assert reader.form == form
    write(tmp_path / "c", NEW)
    assert content_of(tmp_path / "c") == NEW
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", NEW)
    assert content_of(tmp_path / "empty") == NEW


@pytest.mark.clause("I-1@5aed06")
def test_the_form_is_recognised_by_content(tmp_path: Path) -> None:
    """A packed artifact of any name and a folder named like a packed one open as what they are."""
    write(tmp_path / "picture.png", OLD, "packed")
    write(tmp_path / "folder.etui", OLD, "directory")
    for name, form in (("picture.png", "packed"), ("folder.etui", "directory")):
        with open_artifact(tmp_path / name) as reader:
            assert reader.form == form
        assert content_of(tmp_path / name) == OLD


@pytest.mark.library
@FORMS
def test_an_artifact_is_replaced_and_nothing_else_is_left(form: Form, tmp_path: Path) -> None:
    """A save over an artifact leaves the new one, whose mode is the earlier one's, and no other file."""
    target = tmp_path / "model"
    write(target, OLD, form)
    target.chmod(0o750)
    write(target, NEW, form)
    assert content_of(target) == NEW
    assert target.stat().st_mode & 0o777 == 0o750
    assert list(tmp_path.iterdir()) == [target]


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("manifest.json", "{}")


def other_manifest(path: Path) -> None:
    path.mkdir()
    (path / MANIFEST).write_text(json.dumps({"format": "webapp"}))


def etui_and_more(path: Path) -> None:
    write(path, OLD, "directory")
    (path / "assets/notes.txt").write_text("mine")


def etui_and_link(path: Path) -> None:
    write(path, OLD, "directory")
    (path / "link").symlink_to("/")


def damaged_manifest(path: Path) -> None:
    write(path, OLD, "directory")
    (path / MANIFEST).write_bytes(OLD[MANIFEST] + b" ")


def folder_of_files(path: Path) -> None:
    path.mkdir()
    (path / "thesis.txt").write_text("mine")


OTHERS: list[tuple[Form, Callable[[Path], Any]]] = [
    ("packed", lambda path: path.write_text("thesis")),
    ("packed", lambda path: path.write_bytes(b"PK\x03\x04")),
    ("packed", archive),
    ("packed", Path.mkdir),
    ("packed", lambda path: write(path, OLD, "directory")),
    ("packed", os.mkfifo),
    ("directory", lambda path: path.write_text("thesis")),
    ("directory", lambda path: write(path, OLD, "packed")),
    ("directory", folder_of_files),
    ("directory", other_manifest),
    ("directory", etui_and_more),
    ("directory", etui_and_link),
    ("directory", damaged_manifest),
]


@pytest.mark.library
@pytest.mark.parametrize(("form", "make"), OTHERS)
def test_what_is_not_an_etui_is_not_replaced(form: Form, make: Callable[[Path], Any], tmp_path: Path) -> None:
    """A file or folder that holds anything that a save would lose is refused and left alone."""
    target = tmp_path / "target"
    make(target)
    with pytest.raises(StorageError) as caught:
        create_artifact(target, form)
    assert caught.value.code == "target-not-etui"
    assert target.exists()
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.library
def test_a_damaged_or_empty_packed_artifact_may_be_replaced(tmp_path: Path) -> None:
    """A file that is empty, or begins as a packed artifact and is torn after that, holds nothing to be lost."""
    target = tmp_path / "m.etui"
    write(target, OLD)
    for data in (b"", target.read_bytes()[:200]):
        target.write_bytes(data)
        write(target, NEW)
        assert content_of(target) == NEW


@pytest.mark.library
@FORMS
def test_a_link_stands_for_what_it_points_to(form: Form, tmp_path: Path) -> None:
    """A save to a symbolic link replaces the artifact behind it and keeps the link; so with a link to nothing yet."""
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "latest"
    link.symlink_to("../model")
    for content in (OLD, NEW):
        write(link, content, form)
        assert link.readlink() == Path("../model")
        assert content_of(tmp_path / "model") == content_of(link) == content
        assert sorted(path.name for path in tmp_path.iterdir()) == ["links", "model"]


@pytest.mark.clause("X-4@c431d3")
def test_a_writer_follows_no_link_inside_of_a_folder(tmp_path: Path) -> None:
    """A link inside of an artifact's folder makes a save refuse, and nothing is written through it."""
    write(tmp_path / "model", OLD, "directory")
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "model/assets/a.txt").unlink()
    (tmp_path / "model/assets").rmdir()
    (tmp_path / "model/assets").symlink_to(outside)
    failure = refusal(lambda: write(tmp_path / "model", NEW, "directory"), tmp_path)
    assert failure.code == "target-not-etui"
    assert list(outside.iterdir()) == []


@pytest.mark.clause("F-8@a401d8")
@FORMS
def test_an_exception_of_the_caller_leaves_everything_as_it_was(form: Form, tmp_path: Path) -> None:
    """A source that raises, a block that is left early or a missing commit change nothing and leave nothing."""
    target = tmp_path / "model"
    write(target, OLD, form)

    def failing() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    for error in (KeyboardInterrupt, ZeroDivisionError, None):
        before = snapshot(tmp_path)
        try:
            with create_artifact(target, form) as writer:
                writer.write("config.json", "config", 2, [b"{}"])
                if error is KeyboardInterrupt:
                    writer.write("weights.json", "weights", 8, failing())
                elif error:
                    raise error
        except (KeyboardInterrupt, ZeroDivisionError):
            pass
        assert snapshot(tmp_path) == before
        assert content_of(target) == OLD


@pytest.mark.clause("F-8@a401d8")
@FORMS
def test_a_full_device_changes_nothing(form: Form, tmp_path: Path) -> None:
    """When the system refuses to make a file larger, the save fails and the earlier artifact is as it was."""
    target = tmp_path / "model"
    write(target, OLD, form)
    large = with_manifest({"weights.safetensors": bytes(3_000_000), "weights.json": b"{}"})
    before = snapshot(tmp_path)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failures = []
    try:
        for limit in (0, 1, 100, 1_000_000, 2_999_999):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(StorageError) as caught:
                write(target, large, form)
            failures.append(caught.value)
            assert snapshot(tmp_path) == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert {(failure.code, failure.errno) for failure in failures} == {("storage-failed", errno.EFBIG)}
    assert len(failures) == 5


@pytest.mark.clause("F-8@a401d8")
@FORMS
def test_places_that_cannot_be_written_are_storage_errors(form: Form, tmp_path: Path) -> None:
    """A parent that is missing, is a file, or vanishes while the save runs ends in a coded error with its errno."""
    (tmp_path / "file").touch()
    for place, number in (("missing/model", errno.ENOENT), ("file/model", errno.ENOTDIR)):
        failure = refusal(partial(write, tmp_path / place, OLD, form), tmp_path)
        assert isinstance(failure, StorageError)
        assert (failure.code, failure.errno) == ("storage-failed", number)
    (tmp_path / "parent").mkdir()
    with create_artifact(tmp_path / "parent" / "model", form) as writer:
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        (tmp_path / "parent").rename(tmp_path / "moved")
        with pytest.raises(StorageError):
            writer.commit()
    assert not (tmp_path / "parent").exists()


@pytest.mark.library
def test_nothing_at_the_location_is_a_storage_error(tmp_path: Path) -> None:
    """Opening what is not there, or is a pipe, ends in a coded error at once."""
    with pytest.raises(StorageError) as caught:
        open_artifact(tmp_path / "missing")
    assert (caught.value.code, caught.value.errno) == ("storage-failed", errno.ENOENT)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EtuiError) as refused:
        open_artifact(tmp_path / "pipe")
    assert refused.value.code == "part-not-a-file"


@pytest.mark.library
@FORMS
def test_what_a_live_writer_makes_is_left_alone(form: Form, tmp_path: Path) -> None:
    """Two writers for one place do not disturb each other: the last commit counts, and nothing is left."""
    target = tmp_path / "model"
    with create_artifact(target, form) as one, create_artifact(target, form) as two:
        for writer, content in ((one, OLD), (two, NEW)):
            for name, data in content.items():
                role = {"w": "data", "a": "asset"}[name[0]] if name[0] in "wa" else "manifest"
                writer.write(name, "weights" if name == "weights.json" else role, len(data), [data])
        two.commit()
        one.commit()
    assert content_of(target) == OLD
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.library
def test_leftovers_of_other_targets_and_of_live_writers_stay(tmp_path: Path) -> None:
    """A save removes only what carries its own target's name in the documented pattern and is not locked."""
    dead = tmp_path / ".m.etui.etui-0123abcd.tmp"
    live = tmp_path / ".m.etui.etui-0123abce.tmp"
    others = [tmp_path / name for name in (".other.etui.etui-0123abcd.tmp", ".m.etui.etui-xyz.tmp", "m.etui.tmp")]
    for path in (dead, live, *others):
        path.write_bytes(b"")
    with live.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        write(tmp_path / "m.etui", OLD)
    assert not dead.exists()
    assert all(path.exists() for path in (live, *others))


@pytest.mark.clause("F-8@a401d8")
def test_a_folder_that_is_moved_aside_is_found(tmp_path: Path) -> None:
    """Between the two renames of a system without an exchange, the earlier artifact opens at its own place."""
    write(tmp_path / "model", OLD, "directory")
    (tmp_path / "model").rename(tmp_path / ".model.etui-0123abcd.old")
    assert content_of(tmp_path / "model") == OLD
    with create_artifact(tmp_path / "model", "directory"):
        pass
    assert content_of(tmp_path / "model") == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.clause("F-8@a401d8")
@FORMS
@pytest.mark.parametrize("before", [True, False])
def test_a_folder_that_cannot_be_flushed_undoes_the_rename(
    form: Form, before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the last flush fails, what was at the place is there again, and the new artifact is gone.

    Where the flush after that fails as well, a power cut could bring the new one back, which therefore stays beside.
    """
    target = tmp_path / "model"
    if before:
        write(target, OLD, form)
    genuine, failures = transaction.sync_folder, 1

    def failing(path: Path) -> None:
        nonlocal failures
        if path == tmp_path and failures:
            failures -= 1
            raise OSError(errno.EIO, "the device failed")
        genuine(path)

    monkeypatch.setattr(transaction, "sync_folder", failing)
    failure = refusal(lambda: write(target, NEW, form), tmp_path)
    assert failure.code == "storage-failed"
    failures = 2
    with pytest.raises(StorageError):
        write(target, NEW, form)
    assert target.exists() == before
    left = [path for path in tmp_path.iterdir() if path != target]
    assert [content_of(path) for path in left] == [NEW]
    write(target, NEW, form)
    assert content_of(target) == NEW
    assert list(tmp_path.iterdir()) == [target]


MISUSES: list[tuple[str, list[tuple[str, str, int, list[Any]]]]] = [
    ("writer-misuse", [("config.json", "config", 3, [b"{}"])]),
    ("writer-misuse", [("config.json", "config", 1, [b"{}"])]),
    ("writer-misuse", [("config.json", "config", 2, [b"{", b"}", b"x"])]),
    ("writer-misuse", [("config.json", "config", 2, [b"{}"]), ("assets/a", "asset", 0, [])]),
    ("writer-misuse", [("config.json", "config", 2, [b"{}"]), ("config.json", "config", 2, [b"{}"])]),
    ("writer-misuse", [(MANIFEST, "manifest", 2, [b"{}"]), ("config.json", "config", 2, [b"{}"])]),
    ("part-role", [("config.json", "weights", 2, [b"{}"])]),
    ("part-role", [("other.json", "asset", 2, [b"{}"])]),
    ("part-name", [("assets/../a", "asset", 2, [b"{}"])]),
    ("part-collision", [("assets/A", "asset", 2, [b"{}"]), ("assets/a", "asset", 2, [b"{}"])]),
    ("part-collision", [("assets/a", "asset", 2, [b"{}"]), ("assets/a/b", "asset", 2, [b"{}"])]),
    ("limit-parts", [(f"assets/{number}", "asset", 0, []) for number in range(4)]),
    ("limit-path", [("assets/" + "a" * 249, "asset", 0, [])]),
]


@pytest.mark.clause("F-8@a401d8", "L-1@edac1f", "P-1@71c231", "P-3@83835b", "P-4@ffa67a", "Z-1@88c419", "Z-2@a6382e")
@pytest.mark.parametrize("form", ["packed", "directory", "memory", "file"])
@pytest.mark.parametrize(("code", "parts"), MISUSES)
def test_a_writer_refuses_what_no_reader_would_take(
    form: str, code: str, parts: list[tuple[str, str, int, list[Any]]], tmp_path: Path
) -> None:
    """Wrong sizes, orders, roles, names and numbers of parts are refused by every form, which then writes nothing."""
    targets: dict[str, Any] = {"memory": {}, "file": io.BytesIO()}
    target = targets.get(form, tmp_path / "model")
    chosen: Any = form if form not in targets else None
    with create_artifact(target, chosen, Limits(parts=3)) as writer:
        for part in parts[:-1]:
            writer.write(*part)
        with pytest.raises(EtuiError) as caught:
            writer.write(*parts[-1])
    assert caught.value.code == code
    assert list(tmp_path.iterdir()) == []
    assert target == {} if form == "memory" else True


@pytest.mark.library
def test_a_writer_ends_once(tmp_path: Path) -> None:
    """A commit needs a manifest, and comes once; afterwards nothing more is written."""
    with create_artifact(tmp_path / "m.etui") as writer:
        with pytest.raises(UsageError):
            writer.commit()
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        writer.commit()
        with pytest.raises(UsageError):
            writer.commit()
        with pytest.raises(UsageError):
            writer.write("assets/a", "asset", 0, [])
    assert content_of(tmp_path / "m.etui") == {MANIFEST: b"{}"}


@pytest.mark.library
@pytest.mark.parametrize(
    ("target", "form"), [({}, "packed"), (io.BytesIO(), "directory"), ("path", "memory"), ("", None)]
)
def test_a_form_that_does_not_suit_its_target_is_refused(target: Any, form: Any) -> None:
    """A mapping takes parts only, a file object the packed form only, and a path is no memory and not empty."""
    with pytest.raises(UsageError):
        create_artifact(target, form)


@pytest.mark.library
def test_buffers_of_any_item_type_are_written_as_bytes() -> None:
    """Arrays of several dimensions, of no elements and of wide items go in as their bytes."""
    array = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    views: Any = array
    buffers: list[Any] = [array, np.zeros((0, 3)), memoryview(views), bytearray(b"xyz"), b""]
    content: dict[str, bytes] = {}
    with create_artifact(content) as writer:
        writer.write("weights.safetensors", "data", 2 * array.nbytes + 3, buffers)
        writer.write(MANIFEST, "manifest", 2, [b"{}"])
        writer.commit()
    assert content["weights.safetensors"] == array.tobytes() * 2 + b"xyz"


@pytest.mark.clause("F-8@a401d8")
def test_a_foreign_file_stays_when_its_writing_fails(tmp_path: Path) -> None:
    """The transaction for files of other formats leaves the earlier file after any exception, and no temporary one."""
    target = tmp_path / "m.keras"
    target.write_bytes(b"earlier")

    def fail(cause: Exception) -> None:
        with replace_file(target) as file:
            file.write(b"half")
            raise cause

    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError())
    with pytest.raises(StorageError) as caught:
        fail(OSError(errno.ENOSPC, "no space"))
    assert (caught.value.code, caught.value.errno) == ("storage-failed", errno.ENOSPC)
    assert snapshot(tmp_path) == {"m.keras": b"earlier"}
