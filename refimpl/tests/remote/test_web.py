"""Web servers that do not do what they should: nothing wrong is read, nothing hangs, and what can be mended is."""

from __future__ import annotations

import os
import resource
import time
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import aiohttp
import numpy as np
import pytest

import etui
from etui.bridges.located import locate
from etui.containers.pieces import Array
from etui.errors import EtuiError
from etui.limits import Limits
from etui.model import Model
from etui.storage import remote, remote_download, remote_http, remote_spool
from etui.storage.remote_failures import PAUSES
from etui.testing.equality import same
from etui.testing.servers import Web, WebHandler, web_server

Build = Callable[..., Model]
TRIES = len(PAUSES) + 1
LAYER = "layer_1/kernel"


def names(model: Model) -> list[str]:
    assert model.weights is not None
    return list(model.weights)


def values(model: Model, path: str) -> Array:
    """The elements of a variable."""
    assert model.weights is not None
    return model.weights[path].numpy()


@pytest.fixture
def served(web: Web, tmp_path: Path, build: Build) -> Model:
    """A model with tensors beyond the tail, at `model.etui`."""
    model = build(4, 300_000)
    etui.save(model, tmp_path / "model.etui")
    web.files["model.etui"] = (tmp_path / "model.etui").read_bytes()
    return model


def read(web: Web, **options: object) -> Array:
    with etui.open(f"{web.url}/model.etui", storage_options=options or None) as opened:
        return np.array(values(opened, LAYER))


def times(count: int, bad: Callable[[WebHandler, bytes], None]) -> Callable[[WebHandler, bytes], None]:
    """The bad answer so many times, and then the good one."""
    left = [count]

    def answer(handler: WebHandler, data: bytes) -> None:
        left[0] -= 1
        if left[0] >= 0:
            bad(handler, data)
        else:
            handler.send_range(data)

    return answer


def failing(handler: WebHandler, data: bytes) -> None:
    handler.send(500, b"a bad moment")


def busy(handler: WebHandler, data: bytes) -> None:
    handler.send(429, b"later")


def fewer(handler: WebHandler, data: bytes) -> None:
    """States the range and sends less of it."""
    span = handler.span(data)
    assert span is not None
    field = f"bytes {span[0]}-{span[1]}/{len(data)}"
    handler.send(206, data[span[0] : span[1]], Content_Range=field)


def more(handler: WebHandler, data: bytes) -> None:
    """States the range and sends what follows it, too."""
    span = handler.span(data)
    assert span is not None
    handler.send(206, data[span[0] : span[1] + 1] + b"0" * 100, Content_Range=f"bytes {span[0]}-{span[1]}/{len(data)}")


def cut(handler: WebHandler, data: bytes) -> None:
    """Promises all bytes of the range, and closes in the middle."""
    span = handler.span(data)
    assert span is not None
    body = data[span[0] : span[1] + 1]
    handler.close_connection = True
    handler.send(
        206,
        body[: len(body) // 2],
        Content_Range=f"bytes {span[0]}-{span[1]}/{len(data)}",
        Content_Length=str(len(body)),
        Connection="close",
    )


def elsewhere(handler: WebHandler, data: bytes) -> None:
    """Sends and states another range."""
    span = handler.span(data)
    assert span is not None
    first, last = span[0] - 64, span[1] - 64
    handler.send(206, data[first : last + 1], Content_Range=f"bytes {first}-{last}/{len(data)}")


def unstated(handler: WebHandler, data: bytes) -> None:
    span = handler.span(data)
    assert span is not None
    handler.send(206, data[span[0] : span[1] + 1])


def in_parts(handler: WebHandler, data: bytes) -> None:
    handler.send(206, b"--part\r\n\r\n--part--", Content_Type="multipart/byteranges; boundary=part")


def nothing(handler: WebHandler, data: bytes) -> None:
    handler.send(204, b"")


def deaf(handler: WebHandler, data: bytes) -> None:
    """Knows no ranges."""
    handler.send(200, data)


def compressed(handler: WebHandler, data: bytes) -> None:
    handler.send(200, data, Content_Encoding="gzip")


PASSING = [failing, busy, fewer, more, cut, elsewhere, unstated, in_parts, nothing]


@pytest.mark.clause("RM-8@a8dbc2")
@pytest.mark.parametrize("bad", PASSING)
def test_two_bad_answers_are_asked_for_again(web: Web, served: Model, bad: Callable[[WebHandler, bytes], None]) -> None:
    """A server that has two bad moments gives the right bytes in the end."""
    web.behaviours["model.etui"] = times(2, bad)
    assert np.array_equal(read(web), values(served, LAYER))
    assert len(web.take()) == 4


@pytest.mark.clause("RM-8@a8dbc2")
@pytest.mark.parametrize("bad", PASSING)
def test_a_server_that_never_answers_well_is_given_up(
    web: Web, served: Model, bad: Callable[[WebHandler, bytes], None]
) -> None:
    """After a few tries there is a coded error, which names the file, and nothing was read."""
    web.behaviours["model.etui"] = times(1000, bad)
    with pytest.raises(EtuiError) as refusal:
        read(web)
    assert refusal.value.code in {"remote-failed", "remote-read"}
    assert refusal.value.where == f"{web.url}/model.etui"
    assert len(web.take()) == TRIES


@pytest.mark.library
@pytest.mark.parametrize(("status", "code"), [(404, "storage-failed"), (403, "storage-failed"), (400, "remote-failed")])
def test_what_a_second_try_does_not_mend_is_not_tried_again(web: Web, served: Model, status: int, code: str) -> None:
    """A server that says no is asked once for each of the two forms, and for one where the answer is final."""
    web.behaviours["model.etui"] = lambda handler, _: handler.send(status, b"")
    with pytest.raises(EtuiError) as refusal:
        read(web)
    assert refusal.value.code == code
    assert [one.path for one in web.take()].count("/model.etui") == 1


@pytest.mark.clause("RM-10@5104d1")
def test_a_server_without_ranges_sends_the_file_once(web: Web, served: Model) -> None:
    """The whole file that comes is kept outside of memory, and is not asked for again."""
    web.behaviours["model.etui"] = deaf
    tracemalloc.start()
    with etui.open(f"{web.url}/model.etui") as opened:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for path in names(opened):
            assert np.array_equal(values(opened, path), values(served, path))
    assert len(web.take()) == 1
    assert peak < 3 * 1024 * 1024 < len(web.files["model.etui"])
    assert etui.verify(f"{web.url}/model.etui").tensors == 4
    assert len(web.take()) == 1


@pytest.mark.library
def test_a_whole_file_of_unknown_size_is_refused(web: Web, served: Model) -> None:
    """A server that streams without an end in sight is not listened to."""

    def endless(handler: WebHandler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(100_000):
                handler.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    for behaviour in (endless, compressed):
        web.behaviours["model.etui"] = behaviour
        with pytest.raises(EtuiError) as refusal:
            read(web)
        assert refusal.value.code == "remote-ranges"


@pytest.mark.library
@pytest.mark.parametrize("most", [1000, 1 << 60])
def test_a_whole_file_beyond_all_measure_is_refused_at_once(
    web: Web, served: Model, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A file that is larger than the limit, or than the folder for temporary files has room, is not taken."""
    sent = []

    def vast(handler: WebHandler, data: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(1 << 50))
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            for _ in range(2048):
                handler.wfile.write(bytes(1 << 16))
                sent.append(1 << 16)

    monkeypatch.setattr(remote_http, "_MOST_WHOLE_BYTES", most)
    web.behaviours["model.etui"] = vast
    with pytest.raises(EtuiError) as refusal:
        read(web)
    assert refusal.value.code == "remote-ranges"
    assert len(web.take()) == 1
    assert sum(sent) < 64 * 1024 * 1024


@pytest.mark.clause("RM-1@9e610d")
def test_documents_that_lie_where_none_belongs_cost_nothing(web: Web, tmp_path: Path, build: Build) -> None:
    """An archive with a document in front of much data is refused as a local one is, and the data is not read."""
    from etui.storage.packed_layout import Member, end_records

    parts: dict[str, bytes] = {}
    etui.save(build(2, 2_000_000), parts)
    archive, directory = bytearray(), b""
    order = ["weights.json", *sorted(parts.keys() - {"weights.json", "manifest.json"}), "manifest.json"]
    for name in order:
        member = Member(name, len(parts[name]), zlib.crc32(parts[name]), len(archive))
        archive += member.local_header() + parts[name]
        directory += member.central_header()
    archive += directory + end_records(len(order), len(directory), len(archive))
    (tmp_path / "odd.etui").write_bytes(archive)
    web.files["odd.etui"] = bytes(archive)
    codes = []
    for location in (tmp_path / "odd.etui", f"{web.url}/odd.etui"):
        with pytest.raises(EtuiError) as refusal:
            etui.open(location)
        codes.append(refusal.value.code)
    assert codes == ["zip-order"] * 2
    assert sum(one.sent for one in web.take()) < 1_000_000 < len(archive) // 10


@pytest.mark.clause("RM-8@a8dbc2")
def test_no_more_is_taken_of_an_answer_than_was_asked_for(web: Web, served: Model) -> None:
    """A body of gigabytes in place of a range is left when it is too long."""

    def flood(handler: WebHandler, data: bytes) -> None:
        span = handler.span(data)
        assert span is not None
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {span[0]}-{span[1]}/{len(data)}")
        handler.send_header("Content-Length", str(1 << 40))
        handler.end_headers()
        with suppress(OSError):
            while True:
                handler.wfile.write(bytes(1 << 16))

    web.behaviours["model.etui"] = flood
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EtuiError) as refusal:
        read(web)
    assert refusal.value.code == "remote-read"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


@pytest.mark.library
def test_a_redirection_is_followed_and_a_ring_of_them_is_not(web: Web, served: Model) -> None:
    """A file that has moved is read where it is; two that point at each other are an error."""
    web.behaviours["old.etui"] = lambda handler, _: handler.send(302, b"", Location=f"{web.url}/model.etui")
    with etui.open(f"{web.url}/old.etui") as opened:
        assert np.array_equal(values(opened, LAYER), values(served, LAYER))
    web.behaviours["model.etui"] = lambda handler, _: handler.send(302, b"", Location=f"{web.url}/old.etui")
    with pytest.raises(EtuiError) as refusal:
        etui.open(f"{web.url}/old.etui")
    assert refusal.value.code == "remote-failed"


@pytest.mark.clause("RM-22@e8da27")
@pytest.mark.parametrize("where", ["request", "session", "url"])
def test_what_is_for_one_host_is_not_told_to_another(web: Web, served: Model, where: str) -> None:
    """Headers, user, password and cookies go along to another place of a host, and not to another host."""
    given: dict[str, Any] = {"headers": {"X-Own-Key": "secret"}, "cookies": {"session": "secret"}}
    own = {"x-own-key", "cookie"}
    base, options = web.url, given
    if where == "session":
        given["headers"]["Authorization"] = "Bearer secret"
        options = {"client_kwargs": given}
        own |= {"authorization"}
    if where == "url":
        base, options, own = web.url.replace("//", "//me:secret@"), {}, {"authorization"}
    with web_server() as other:
        other.files["far.etui"] = web.files["model.etui"]
        web.behaviours["away.etui"] = lambda handler, _: handler.send(302, b"", Location=f"{other.url}/far.etui")
        web.behaviours["near.etui"] = lambda handler, _: handler.send(302, b"", Location="/away.etui")
        web.behaviours["first.etui"] = lambda handler, _: handler.send(302, b"", Location=f"{web.url}/near.etui")
        with etui.open(f"{base}/first.etui", storage_options=options) as opened:
            assert np.array_equal(values(opened, LAYER), values(served, LAYER))
        here, there = web.take(), other.take()
    assert [one.path for one in here] == ["/first.etui", "/near.etui", "/away.etui"] * 2
    assert all(own <= one.headers.keys() for one in here)
    assert len(there) == 2
    assert all(one.range and not {"x-own-key", "cookie", "authorization"} & one.headers.keys() for one in there)


@pytest.mark.library
def test_a_redirection_to_no_web_server_is_refused(web: Web, served: Model) -> None:
    """A server cannot lead to a file of this machine."""
    for place in ("file:///etc/hostname", "ftp://127.0.0.1/model.etui"):
        web.behaviours["old.etui"] = lambda handler, _, place=place: handler.send(302, b"", Location=place)  # type: ignore[misc]
        with pytest.raises(EtuiError) as refusal:
            etui.open(f"{web.url}/old.etui")
        assert refusal.value.code == "remote-failed"
        assert len(web.take()) == 1


@pytest.mark.library
def test_a_server_that_hangs_is_given_up(web: Web, served: Model) -> None:
    """Silence for as long as the caller allows is a failure, however often it is tried."""
    web.behaviours["model.etui"] = lambda *_: time.sleep(1)
    begin = time.monotonic()
    with pytest.raises(EtuiError) as refusal:
        read(web, client_kwargs={"timeout": aiohttp.ClientTimeout(sock_read=0.1)})
    assert refusal.value.code == "remote-failed"
    assert len(web.take()) == TRIES
    assert time.monotonic() - begin < 30


@pytest.mark.clause("RM-9@a1a03d")
def test_a_file_that_becomes_another_one_is_refused(web: Web, served: Model, build: Build, tmp_path: Path) -> None:
    """Another size, another entity tag, or the server's own word: the reader does not go on."""
    etui.save(build(4, 300_000, seed=1), tmp_path / "other.etui")
    other, old = (tmp_path / "other.etui").read_bytes(), web.files["model.etui"]
    assert len(other) == len(old)

    def tagged(handler: WebHandler, data: bytes) -> None:
        handler.send_range(data, ETag=f'"{hash(data)}"')

    def honest(handler: WebHandler, data: bytes) -> None:
        tag = f'"{hash(data)}"'
        if handler.asked.headers.get("if-match", tag) != tag:
            handler.send(412, b"")
        else:
            handler.send_range(data, ETag=tag)

    def silent(handler: WebHandler, data: bytes) -> None:
        handler.send_range(data)

    cases = [
        (silent, old + b"0", "remote-changed"),
        (tagged, other, "remote-changed"),
        (honest, other, "remote-changed"),
    ]
    # Where the server tells nothing, the digest does.
    cases.append((silent, other, "digest-mismatch"))
    found = []
    for behaviour, later, _ in cases:
        web.files["model.etui"], web.behaviours["model.etui"] = old, behaviour
        with etui.open(f"{web.url}/model.etui") as opened:
            web.files["model.etui"] = later
            with pytest.raises(EtuiError) as refusal:
                values(opened, LAYER)
            found.append(refusal.value.code)
    assert found == [code for _, _, code in cases]


@pytest.mark.library
@pytest.mark.parametrize("size", [0, 1, 21, 1000])
def test_what_is_no_artifact_is_refused_as_a_local_file_is(web: Web, served: Model, tmp_path: Path, size: int) -> None:
    """A file that ends early, an empty one included, has the code that a local one has."""
    (tmp_path / "short.etui").write_bytes(web.files["model.etui"][:size])
    web.files["short.etui"] = web.files["model.etui"][:size]
    codes = []
    for location in (tmp_path / "short.etui", f"{web.url}/short.etui"):
        with pytest.raises(EtuiError) as refusal:
            etui.open(location)
        codes.append(refusal.value.code)
    assert codes[0] == codes[1]


@pytest.mark.clause("RM-7@ec7c71", "F-3@bbe75c")
def test_a_folder_on_a_web_server_is_read_and_verified(web: Web, served: Model, tmp_path: Path) -> None:
    """Without listings, directory form is read by the names in its manifest; names are escaped in the URLs."""
    served.assets["assets/a%25b+c=d.txt"] = etui.Blob.of(b"text")
    identity = etui.save(served, f"{tmp_path}/model/", shard_size=1_500_000)
    files = [path for path in (tmp_path / "model").rglob("*") if path.is_file()]
    assert len(files) > 4
    for path in files:
        web.files[path.relative_to(tmp_path).as_posix()] = path.read_bytes()
    with etui.open(f"{web.url}/model") as opened:
        assert opened.digest == identity
        assert np.array_equal(values(opened, LAYER), values(served, LAYER))
        assert opened.assets["assets/a%25b+c=d.txt"].read() == b"text"
    web.files["model/unlisted.txt"] = b"which a server that cannot list does not tell"
    assert etui.verify(f"{web.url}/model/").identity == identity
    del web.files["model/weights-00002-of-00004.safetensors"]
    with pytest.raises(EtuiError) as refusal:
        etui.verify(f"{web.url}/model/")
    assert refusal.value.code == "part-missing"


@pytest.mark.library
def test_nothing_is_written_over_http(web: Web, build: Build) -> None:
    """A save to a web server is refused before a tensor is made."""
    for target in (f"{web.url}/new.etui", f"{web.url}/new/"):
        with pytest.raises(EtuiError) as refusal:
            etui.save(build(1, 1), target)
        assert refusal.value.code == "remote-readonly"
    assert web.take() == []


@pytest.mark.library
def test_memory_is_bounded_whatever_the_size(
    web: Web, tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification and a conversion of 48 MiB have a few pieces in memory, and the rest in a temporary file."""
    monkeypatch.setattr(remote_spool, "PIECE_BYTES", remote_spool.BLOCK_BYTES)
    etui.save(build(12, 1024 * 1024), tmp_path / "large.etui")
    web.files["large.etui"] = (tmp_path / "large.etui").read_bytes()
    peaks = []
    for act in (
        lambda: etui.verify(f"{web.url}/large.etui"),
        lambda: etui.convert(f"{web.url}/large.etui", tmp_path / "copy.etui"),
    ):
        tracemalloc.start()
        act()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 32 * 1024 * 1024
    assert (tmp_path / "copy.etui").read_bytes() == web.files["large.etui"]


@pytest.mark.library
def test_a_full_disk_is_an_error_of_the_file_system(
    web: Web, served: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder for temporary files has no room, the error says so, with the system's number."""
    import errno
    import os

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(EtuiError) as refusal:
        etui.verify(f"{web.url}/model.etui")
    assert refusal.value.code == "storage-failed"
    assert getattr(refusal.value, "errno", None) == errno.ENOSPC


@pytest.mark.library
def test_a_copy_ends_when_a_piece_of_it_fails(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file of another format, no further piece is asked for when one is refused."""
    monkeypatch.setattr(remote_download, "PIECE_BYTES", 1000)
    web.files["model.keras"] = bytes(1_000_000)

    def refuse(handler: WebHandler, data: bytes) -> None:
        span = handler.span(data)
        if span == (0, 999):
            handler.send(403, b"")
        else:
            time.sleep(0.002)
            handler.send_range(data)

    web.behaviours["model.keras"] = refuse
    with pytest.raises(EtuiError) as refusal:
        etui.convert(f"{web.url}/model.keras", tmp_path / "x.etui")
    assert refusal.value.code == "storage-failed"
    assert len(web.take()) < 500


@pytest.mark.library
def test_a_file_beyond_the_limit_is_not_copied(web: Web, tmp_path: Path) -> None:
    """A file of another format that is larger than the limits allow is refused by its size alone."""
    web.files["model.keras"] = bytes(10_000)
    with pytest.raises(EtuiError) as refusal:
        locate(f"{web.url}/model.keras", limits=Limits(foreign_bytes=9_999))
    assert refusal.value.code == "limit-foreign"
    assert sum(one.sent for one in web.take()) < 10


@pytest.mark.library
def test_a_temporary_file_of_a_stated_size_takes_no_memory_before_it_has_room() -> None:
    """A size that no disk has is refused by the system, and no list of its blocks is made."""
    with pytest.raises(EtuiError) as refusal:
        remote_spool.Spool(1 << 62, lambda *_: memoryview(b""), "a file", threads=1)
    assert refusal.value.code == "storage-failed"


@pytest.mark.library
def test_the_thread_that_brought_the_last_block_may_let_go_of_the_file() -> None:
    """An artifact that nobody has any more is let go of wherever that is found out."""
    spool = remote_spool.Spool(1, lambda *_: memoryview(b"1"), "a file", threads=1)
    spool._pool.submit(spool.__del__).result()
    with pytest.raises(EtuiError) as refusal:
        spool.view(0, 1)
    assert refusal.value.code == "storage-failed"


@pytest.mark.library
def test_who_waits_for_a_file_that_is_closed_meanwhile_is_told() -> None:
    """A reader in another thread gets an error, and neither fewer bytes nor one of the machinery's own."""
    began, go_on = Event(), Event()

    def slow(offset: int, length: int) -> memoryview:
        began.set()
        go_on.wait(10)
        return memoryview(bytes(length))

    size = 2 * remote_spool.PIECE_BYTES
    spool = remote_spool.Spool(size, slow, "a file", threads=1)
    with ThreadPoolExecutor(2) as pool:
        read = pool.submit(spool.view, 0, size)  # of which the second half waits for its turn
        began.wait(10)
        closing = pool.submit(spool.close)
        while not spool._closed:
            time.sleep(0.001)
        time.sleep(0.05)
        go_on.set()
        closing.result()
        fault = read.exception()
    assert isinstance(fault, EtuiError)
    assert fault.code == "storage-failed"


@pytest.mark.library
def test_another_process_is_told_to_open_for_itself(web: Web, served: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process has after a fork lacks the threads that bring blocks: an error, and no waiting for ever."""
    with etui.open(f"{web.url}/model.etui") as opened:
        for path in names(opened)[:2]:
            values(opened, path)
        monkeypatch.setattr(remote.RemoteFile, "single_reads", 0)
        values(opened, names(opened)[2])
        process = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: process + 1)
        with pytest.raises(EtuiError) as refusal:
            values(opened, names(opened)[3])
        monkeypatch.undo()
        assert refusal.value.code == "remote-failed"
        assert refusal.value.hint == "Open it in each process."
        assert np.array_equal(values(opened, names(opened)[3]), values(served, names(opened)[3]))


@pytest.mark.library
def test_a_file_system_that_is_not_made_for_many_at_once_is_asked_one_by_one(tmp_path: Path, build: Build) -> None:
    """An artifact within a ZIP archive is read through fsspec's chain of file systems."""
    import zipfile

    model = build(30, 1000)
    etui.save(model, tmp_path / "model.etui")
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.write(tmp_path / "model.etui", "inner/model.etui")
    url = f"zip://inner/model.etui::file://{tmp_path}/archive.zip"
    with etui.open(url) as opened:
        assert same(opened, model)
    assert etui.verify(url).tensors == 30
