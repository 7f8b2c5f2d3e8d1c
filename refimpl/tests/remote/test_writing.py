"""What a store has when a save ended, wherever it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

import etui
from etui import artifact
from etui.checkpoints import Series
from etui.errors import EtuiError
from etui.model import Model
from etui.storage import create_artifact, remote_store, remote_writing
from etui.storage.part_names import MANIFEST
from etui.testing.equality import same
from etui.testing.servers import S3, Asked

Build = Callable[..., Model]
PART = 5 * 1024 * 1024  # the smallest that S3 takes


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in parts of 5 MiB, so that a small model has some."""
    monkeypatch.setattr(remote_store, "PART_BYTES", PART)
    monkeypatch.setattr(remote_writing, "_SMALL_BYTES", 1024)


def files(url: str) -> set[str]:
    fs, path = fsspec.core.url_to_fs(url)
    fs.invalidate_cache()
    return {name.removeprefix(path.rstrip("/") + "/") for name in fs.find(path)}


def contents(url: str) -> dict[str, bytes]:
    fs, path = fsspec.core.url_to_fs(url)
    return {name: fs.cat_file(f"{path.rstrip('/')}/{name}") for name in files(url)}


def read(url: str, model: Model) -> bool:
    """Whether the artifact at a URL is whole, and that model."""
    etui.verify(url)
    with etui.open(url) as opened:
        return same(opened, model)


@pytest.mark.clause("RM-12@dd6a89")
def test_a_large_file_is_sent_in_parts_with_checksums(s3: S3, small_parts: None, build: Build) -> None:
    """Each part of an upload carries the CRC-32 of its bytes, and the file is there after the last."""
    model = build(5, 1024 * 1024)
    s3.take()
    etui.save(model, "s3://bucket/model.etui")
    asked = s3.take()
    parts = [one for one in asked if one.method == "PUT" and "partNumber=" in one.query]
    assert len(parts) == 5
    assert all("x-amz-checksum-crc32" in one.headers for one in parts)
    assert [one.method for one in asked if one.method in {"PUT", "POST"}] == ["POST", *["PUT"] * 5, "POST"]
    assert read("s3://bucket/model.etui", model)


@pytest.mark.library
def test_a_part_that_the_store_refuses_for_a_moment_is_sent_again(s3: S3, small_parts: None, build: Build) -> None:
    """One 500 in the middle of an upload does not end it: the file system's own library tries again."""
    refused: list[str] = []

    def refuse(asked: Asked) -> int | None:
        if "partNumber=2&" in asked.query and not refused:
            refused.append(asked.query)
            return 500
        return None

    s3.refuse = refuse
    model = build(3, 1024 * 1024)
    etui.save(model, "s3://bucket/model.etui")
    assert len(refused) == 1
    assert read("s3://bucket/model.etui", model)


SAVE = """
import sys, json, numpy as np, etui
from fsspec.config import conf
from etui.storage import create_artifact, remote_store, remote_writing
remote_store.PART_BYTES, remote_writing._SMALL_BYTES = {part}, 1024
conf["s3"] = json.loads(sys.argv[1])
weights = etui.Weights()
for number in range(3):
    weights.add(f"layer_{{number}}/kernel", etui.Tensor.of(np.full(1024 * 1024, number, np.float32)), role="kernel")
print("ready", flush=True)
etui.save(etui.Model(weights=weights), sys.argv[2], shard_size=int(sys.argv[3]) or None)
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of other processes."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def save_until(s3: S3, url: str, at: int, shard_size: int = 0) -> tuple[int, int]:
    """Save in another process, which is killed at its request number `at` that changes something.

    Returns:
        How the process ended, and how many such requests it made.
    """
    import json

    code = SAVE.format(part=PART)
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(s3.options), url, str(shard_size)], stdout=subprocess.PIPE
    )
    count = [0]

    def refuse(asked: Asked) -> int | None:
        if asked.method in {"PUT", "POST", "DELETE"}:
            count[0] += 1
            if count[0] == at:
                os.kill(process.pid, signal.SIGKILL)
                return 500
        return None

    s3.refuse = refuse
    process.communicate()
    s3.refuse = lambda _: None
    return process.returncode, count[0]


@pytest.mark.clause("RM-12@dd6a89", "F-8@a401d8")
def test_an_upload_killed_at_every_part_leaves_the_earlier_model(s3: S3, build: Build, scratch: Path) -> None:
    """Whichever request the process dies at, the earlier artifact is whole; without a kill, the new one is there."""
    earlier = build(2, 1000)
    url = "s3://bucket/model.etui"
    etui.save(earlier, url)
    # The begin of the upload, three parts, its end.
    for at in range(1, 6):
        code, count = save_until(s3, url, at)
        assert (code, count >= at) == (-signal.SIGKILL, True)
        assert read(url, earlier)
    code, count = save_until(s3, url, 0)
    assert (code, count) == (0, 5)
    assert not read(url, earlier)
    # Nor is anything left in the folder for temporary files, where the system has files without a name.
    assert list(scratch.iterdir()) == [] or not Path("/proc/self/fd").is_dir()


@pytest.mark.clause("RM-13@f398a6", "RM-14@a174b9", "RM-15@b41ab7")
def test_a_folder_killed_at_an_object_is_no_artifact_until_its_manifest(
    s3: S3, build: Build, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the last request there is no model; what is left of an upload goes with the next one after a while."""
    for at in (1, 5):
        url = f"s3://bucket/model-{at}/"
        code, _ = save_until(s3, url, at, shard_size=4 * 1024 * 1024)
        assert code == -signal.SIGKILL
        assert MANIFEST not in files(url)
        with pytest.raises(EtuiError) as refusal:
            etui.open(url)
        assert refusal.value.code == "manifest-missing"
    model = build(1, 10)
    assert len(files(url)) > 2
    monkeypatch.setattr(remote_writing, "_GRACE_SECONDS", -60.0)
    etui.save(model, url)
    assert files(url) == {MANIFEST, "weights.json", "weights.safetensors"}
    assert read(url, model)


@pytest.mark.clause("RM-13@f398a6")
def test_the_manifest_is_the_last_object_of_a_folder(s3: S3, small_parts: None, build: Build) -> None:
    """Its request begins when every other has been answered."""
    etui.save(build(3, 1024 * 1024), "s3://bucket/model/", shard_size=4 * 1024 * 1024)
    put = [one.path for one in s3.take() if one.method in {"PUT", "POST"}]
    assert len(put) == 5
    assert put[-1] == f"/bucket/model/{MANIFEST}"


@pytest.mark.clause("RM-14@a174b9")
@pytest.mark.parametrize("url", ["memory://run/model/", "s3://bucket/model/"])
def test_a_folder_with_an_artifact_is_not_replaced(memory: str, s3: S3, build: Build, url: str) -> None:
    """The one that is there stays as it is, also where it came while another save ran."""
    model = build(2, 1000)
    etui.save(model, url)
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(2, 1000, seed=1), url)
    assert refusal.value.code == "remote-exists"
    assert read(url, model)


BASES = ["memory://run", "s3://bucket", "unconditional://run"]


@pytest.fixture(params=BASES)
def two(request: pytest.FixtureRequest, memory: str, s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder for two writers, also in a store that cannot be asked not to replace a file."""
    if request.param.startswith("unconditional"):
        monkeypatch.setattr(remote_store, "_CONDITIONAL", set())
        return "memory://run/two/"
    return f"{request.param}/two/"


def write_late(url: str, writer: Any, model: Model, shard_size: int | None = None) -> str:
    """Write with a writer that began earlier, and say how it was refused."""

    def act() -> None:
        with writer:
            artifact.write(model, writer, shard_size=shard_size)
            writer.commit()

    with pytest.raises(EtuiError) as refusal:
        act()
    return refusal.value.code


@pytest.mark.clause("RM-14@a174b9", "RM-19@af1fe8", "RM-20@8ff37d")
@pytest.mark.parametrize("shard_size", [None, 400])
def test_a_writer_that_began_before_another_ended_touches_nothing_of_it(
    two: str, build: Build, shard_size: int | None
) -> None:
    """Its first part of the same name is refused, and it removes what it has put, and nothing else."""
    late, model = create_artifact(two), build(3, 100)
    etui.save(model, two)
    before = contents(two)
    assert write_late(two, late, build(3, 100, seed=1), shard_size) == "remote-busy"
    assert contents(two) == before
    assert read(two, model)


@pytest.mark.clause("RM-20@8ff37d")
def test_a_writer_that_fails_midway_leaves_the_parts_of_another(two: str, build: Build) -> None:
    """Of two uploads at once, the one that is given up removes its own parts, and the other one goes on."""
    model = build(3, 100)
    with create_artifact(two) as first:
        late = create_artifact(two)
        artifact.write(model, first)
        while len(files(two)) < 2:
            time.sleep(0.01)  # its parts are on their way
        with late:
            late.write("weights-00001-of-00001.safetensors", "data", 8, [b"12345678"])
            late.write("weights.json", "weights", 1, [b"1"])
        first.commit()
    assert read(two, model)
    assert files(two) == {MANIFEST, "weights.json", "weights.safetensors"}


def remove_part(fs: Any, path: str) -> None:
    fs.rm_file(path)


def lengthen_part(fs: Any, path: str) -> None:
    fs.pipe_file(path, fs.cat_file(path) + b"0")


def replace_part(fs: Any, path: str) -> None:
    fs.pipe_file(path, fs.cat_file(path)[:-1] + b"0")


def add_part(fs: Any, path: str) -> None:
    fs.pipe_file(f"{path.rpartition('/')[0]}/assets/other", b"0")


def add_unfinished(fs: Any, path: str) -> None:
    fs.pipe_file(f"{path}.etui-0123abcd.tmp", b"0")


CHANGES = [(base, change) for base in BASES[:2] for change in (remove_part, lengthen_part, add_part, add_unfinished)]
# The store in memory says nothing of a file's content.
CHANGES.append((BASES[1], replace_part))


@pytest.mark.clause("RM-21@9c3073")
@pytest.mark.parametrize(("base", "change"), CHANGES)
@pytest.mark.usefixtures("memory", "s3")
def test_a_manifest_comes_only_if_all_parts_are_as_they_were_put(
    build: Build, monkeypatch: pytest.MonkeyPatch, base: str, change: Callable[[Any, str], None]
) -> None:
    """A part that another has removed or replaced, or one that is none of this artifact's, ends the save."""
    url = f"{base}/changed/"
    fs, path = fsspec.core.url_to_fs(url)
    with create_artifact(url) as writer:
        artifact.write(build(2, 100), writer)
        check = remote_writing.RemoteDirectoryWriter._check_parts

        def changed(self: remote_writing.RemoteDirectoryWriter) -> None:
            change(fs, f"{path.rstrip('/')}/weights.safetensors")
            check(self)

        monkeypatch.setattr(remote_writing.RemoteDirectoryWriter, "_check_parts", changed)
        with pytest.raises(EtuiError) as refusal:
            writer.commit()
    assert refusal.value.code == "remote-busy"
    assert MANIFEST not in files(url)
    assert files(url) <= {"assets/other", "weights.safetensors.etui-0123abcd.tmp"}


@pytest.mark.clause("RM-19@af1fe8")
def test_each_object_of_a_folder_is_put_on_the_condition_that_none_is_there(
    s3: S3, small_parts: None, build: Build
) -> None:
    """The request that makes an object visible says so, whether it is sent whole or in parts."""
    etui.save(build(1, 5 * 1024 * 1024), "s3://bucket/model/", shard_size=1 << 30)
    asked = [one for one in s3.take() if one.method in {"PUT", "POST"} and "partNumber" not in one.query]
    making = [one for one in asked if one.query != "uploads"]
    assert sorted(one.method for one in making) == ["POST", "PUT", "PUT"]
    assert [one.headers.get("if-none-match") for one in making] == ["*"] * 3


@pytest.mark.clause("RM-15@b41ab7", "RM-18@16a437")
def test_the_parts_of_an_upload_that_may_go_on_are_not_touched(
    memory: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a day of its last part another save is refused, and after that it removes all of them."""
    fs, url, day = fsspec.filesystem("memory"), f"{memory}/model/", 86_400
    ages = {"weights-00001-of-00002.safetensors": 5 * day, "weights.json.etui-0123abcd.tmp": day - 60}
    for name in ages:
        fs.pipe_file(f"/run/model/{name}", b"0")

    def time_of(entry: dict[str, Any]) -> float:
        return time.time() - ages[entry["name"].removeprefix("/run/model/")]

    monkeypatch.setattr(remote_writing, "time_of", time_of)
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(1, 10), url)
    assert refusal.value.code == "remote-busy"
    assert files(url) == set(ages)
    ages["weights.json.etui-0123abcd.tmp"] = day + 60
    with create_artifact(url):
        assert files(url) == set()
    etui.save(build(1, 10), url)
    assert files(url) == {MANIFEST, "weights.json", "weights.safetensors"}


@pytest.mark.clause("RM-14@a174b9")
@pytest.mark.parametrize("what", ["folder", "series"])
def test_a_commit_whose_answer_was_lost_is_one(
    memory: str, build: Build, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Where the library tries again and is told that the file is there, it has the bytes that were sent: no error."""
    fs, model, lost = fsspec.filesystem("memory"), build(1, 10), []
    whole = type(fs).pipe_file

    def losing(self: Any, path: str, data: bytes, **options: Any) -> None:
        whole(self, path, data, **options)
        if path.endswith((MANIFEST, "/steps/7.json")):
            lost.append(path)
            whole(self, path, data, **options)

    monkeypatch.setattr(type(fs), "pipe_file", losing)
    if what == "folder":
        etui.save(model, f"{memory}/model/")
        assert read(f"{memory}/model/", model)
    else:
        series = Series(f"{memory}/series")
        series.save(model, 7)
        assert [step.number for step in Series(f"{memory}/series").steps()] == [7]
        with pytest.raises(EtuiError) as refusal:
            series.save(build(1, 10, seed=1), 7)
        assert refusal.value.code == "series-exists"
    assert len(lost) == 1


@pytest.mark.clause("RM-16@f7e4fe")
def test_a_folder_with_other_files_is_not_written_into(memory: str, build: Build) -> None:
    """What is not of an artifact stays, and no part comes beside it."""
    fsspec.filesystem("memory").pipe_file("/run/model/notes.txt", b"mine")
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(1, 10), f"{memory}/model/")
    assert refusal.value.code == "target-not-etui"
    assert files(f"{memory}/model") == {"notes.txt"}


@pytest.mark.library
def test_a_file_that_is_no_artifact_is_not_replaced(memory: str, build: Build) -> None:
    """A packed artifact and an empty file are replaced, any other file is not."""
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/run/model.etui", b"something else")
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(1, 10), f"{memory}/model.etui")
    assert refusal.value.code == "target-not-etui"
    assert fs.cat_file("/run/model.etui") == b"something else"
    fs.pipe_file("/run/model.etui", b"")
    for seed in range(2):
        model = build(1, 10, seed=seed)
        etui.save(model, f"{memory}/model.etui")
        assert read(f"{memory}/model.etui", model)


@pytest.mark.clause("RM-12@dd6a89", "F-8@a401d8")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_save_that_fails_leaves_nothing(
    memory: str, build: Build, form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A tensor that cannot be made ends the save: no file in the store, none in the folder for temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(remote_writing, "_SMALL_BYTES", 16)
    model = build(3, 1000)
    assert model.weights is not None

    def broken() -> Any:
        raise ZeroDivisionError

    model.weights.add("broken", etui.Tensor.lazy("float32", (1000,), broken), role="kernel")
    with pytest.raises(ZeroDivisionError):
        etui.save(model, f"{memory}/model{'.etui' if form == 'packed' else '/'}", shard_size=4000)
    assert files(memory) == set()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.clause("RM-12@dd6a89")
def test_a_store_that_keeps_less_than_was_sent_is_found(
    memory: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of the new file is asked for, and another one is an error."""
    fs = fsspec.filesystem("memory")
    whole = type(fs).pipe_file

    def short(self: Any, path: str, data: bytes, **options: Any) -> None:
        whole(self, path, data[:-1], **options)

    monkeypatch.setattr(type(fs), "pipe_file", short)
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(1, 10), f"{memory}/model.etui")
    assert refusal.value.code == "remote-write"


@pytest.mark.clause("RM-12@dd6a89")
def test_a_store_that_shows_files_before_they_are_whole_gets_them_under_another_name(
    memory: str, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files appear at once, an upload that ends in the middle leaves the earlier one, and its rest is removed."""
    monkeypatch.setattr(remote_store, "_ATOMIC", set())
    model, url = build(1, 10), f"{memory}/model.etui"
    etui.save(model, url)
    assert files(memory) == {"model.etui"}
    fs = fsspec.filesystem("memory")
    whole = type(fs).pipe_file

    def broken(self: Any, path: str, data: bytes, **options: Any) -> None:
        whole(self, path, data, **options)
        raise ConnectionResetError

    monkeypatch.setattr(type(fs), "pipe_file", broken)
    with pytest.raises(EtuiError) as refusal:
        etui.save(build(1, 10, seed=1), url)
    assert refusal.value.code == "remote-failed"
    assert files(memory) == {"model.etui"}
    assert read(url, model)
