"""How often a store is asked, and for what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import etui
from etui import digest
from etui.containers.pieces import Array
from etui.errors import EtuiError
from etui.model import Model
from etui.storage import remote, remote_store
from etui.storage.remote_spool import BLOCK_BYTES
from etui.testing.equality import same
from etui.testing.samples import everything
from etui.testing.servers import S3, Asked, Web

Build = Callable[..., Model]
TAIL = remote.TAIL_BYTES


def place(web: Web, tmp_path: Path, model: Model, name: str = "model.etui", shard_size: int | None = None) -> bytes:
    """Save a model into a file and let the web server have it."""
    etui.save(model, tmp_path / name, shard_size=shard_size)
    web.files[name] = (tmp_path / name).read_bytes()
    return web.files[name]


def ranges(asked: list[Asked]) -> list[str]:
    assert {one.method for one in asked} <= {"GET"}
    return [one.range for one in asked]


def names(model: Model) -> list[str]:
    assert model.weights is not None
    return list(model.weights)


def values(model: Model, path: str) -> Array:
    """The elements of a variable."""
    assert model.weights is not None
    return model.weights[path].numpy()


@pytest.fixture
def little_tail(monkeypatch: pytest.MonkeyPatch) -> int:
    """A tail in which a small model's documents have no room."""
    monkeypatch.setattr(remote, "TAIL_BYTES", 2048)
    return 2048


@pytest.mark.clause("RM-1@9e610d", "RM-2@e4d445", "RM-4@fe88a2", "Z-12@b531e7")
def test_a_small_artifact_is_opened_by_one_request_and_a_tensor_is_one_more(
    web: Web, tmp_path: Path, build: Build
) -> None:
    """The tail has all documents, and the place of a tensor follows from them."""
    model = build(4, 300_000)
    data = place(web, tmp_path, model)
    with etui.open(f"{web.url}/model.etui") as opened:
        assert ranges(web.take()) == [f"bytes=-{TAIL}"]
        found = values(opened, "layer_1/kernel")
        (asked,) = web.take()
    assert np.array_equal(found, values(model, "layer_1/kernel"))
    first, last = map(int, asked.range.removeprefix("bytes=").split("-"))
    assert data[first : last + 1] == found.tobytes()
    assert asked.sent == found.nbytes


@pytest.mark.clause("RM-1@9e610d")
def test_documents_beyond_the_tail_are_a_second_request(
    web: Web, tmp_path: Path, build: Build, little_tail: int
) -> None:
    """However large the documents are, one further request has all that the tail has not."""
    data = place(web, tmp_path, build(50, 8))
    with etui.open(f"{web.url}/model.etui") as opened:
        asked = web.take()
        assert len(names(opened)) == 50
    assert asked[0].range == f"bytes=-{little_tail}"
    assert len(asked) == 2
    begin, last = map(int, asked[1].range.removeprefix("bytes=").split("-"))
    # It begins with the first document, and ends where the tail begins.
    assert data[begin:].startswith(b'{"aliases"')
    assert last == len(data) - little_tail - 1


@pytest.mark.library
def test_a_directory_that_is_larger_than_the_tail_is_read_with_a_guess_at_the_documents(
    web: Web, tmp_path: Path, build: Build, little_tail: int
) -> None:
    """Of very many parts, the directory is a request of its own, which has the documents too if they are not large."""
    place(web, tmp_path, build(50, 8), shard_size=64)
    with etui.open(f"{web.url}/model.etui") as opened:
        assert len(web.take()) == 2
        assert len(names(opened)) == 50


@pytest.mark.clause("RM-3@2038e2")
def test_a_store_that_tells_no_size_needs_no_further_request(s3: S3, build: Build) -> None:
    """S3 is asked for the tail alone, and the end record says how long the file is."""
    etui.save(build(4, 300_000), "s3://bucket/model.etui")
    s3.take()
    with etui.open("s3://bucket/model.etui") as opened:
        assert ranges(s3.take()) == [f"bytes=-{TAIL}"]
        values(opened, "layer_3/kernel")
        (asked,) = s3.take()
        assert asked.sent == 1_200_000


@pytest.mark.clause("RM-2@e4d445", "RM-5@fcd797")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_one_tensor_of_a_large_model_is_three_requests_and_little_more_than_its_bytes(
    s3: S3, build: Build, form: str
) -> None:
    """Of 32 MiB in S3, at most a megabyte more than the tensor is transferred, from opening to the tensor."""
    model = build(8, 1024 * 1024)
    url = "s3://bucket/model.etui" if form == "packed" else "s3://bucket/model/"
    etui.save(model, url)
    s3.take()
    with etui.open(url) as opened:
        found = values(opened, "layer_5/kernel")
    asked = s3.take()
    assert len(asked) <= 3
    assert sum(one.sent for one in asked) <= found.nbytes + 1_000_000
    assert np.array_equal(found, values(model, "layer_5/kernel"))


@pytest.mark.library
def test_a_very_large_tensor_is_read_in_pieces(s3: S3, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor beyond the size of one answer comes in several, which together are its bytes."""
    monkeypatch.setattr(remote_store, "RANGE_BYTES", 8 * BLOCK_BYTES)
    model = build(1, 5 * 1024 * 1024)
    etui.save(model, "s3://bucket/model.etui")
    s3.take()
    with etui.open("s3://bucket/model.etui") as opened:
        s3.take()
        found = values(opened, "layer_0/kernel")
    asked = s3.take()
    assert sorted(one.sent for one in asked) == [4 * BLOCK_BYTES, 8 * BLOCK_BYTES, 8 * BLOCK_BYTES]
    assert np.array_equal(found, values(model, "layer_0/kernel"))


@pytest.mark.clause("RM-11@04422b")
def test_who_reads_all_gets_neighbours_together(s3: S3, build: Build, tmp_path: Path) -> None:
    """A conversion of 2,000 tensors is a dozen requests, and no byte of them comes twice."""
    model = build(2000, 2000)
    etui.save(model, "s3://bucket/model.etui")
    s3.take()
    etui.convert("s3://bucket/model.etui", tmp_path / "copy.etui")
    asked = [one for one in s3.take() if one.method == "GET"]
    assert len(asked) <= 12
    assert sum(one.sent for one in asked) <= 16_000_000 + 4 * TAIL
    with etui.open(tmp_path / "copy.etui") as copy:
        assert same(copy, model)


@pytest.mark.clause("RM-11@04422b")
def test_who_reads_one_after_the_other_gets_more_and_more(s3: S3, build: Build) -> None:
    """A loop over the variables needs far fewer requests than there are variables."""
    model = build(1000, 4000)
    etui.save(model, "s3://bucket/model.etui")
    s3.take()
    with etui.open("s3://bucket/model.etui") as opened:
        for path in sorted(names(opened)):
            values(opened, path)
    assert len(s3.take()) <= 40


@pytest.mark.library
@pytest.mark.parametrize("url", ["memory://run/model.etui", "memory://run/model/", "memory://run/model"])
def test_everything_survives_a_store(memory: str, url: str) -> None:
    """A model with everything in it comes back from a store as it was, and with the identity of a local save."""
    model = everything()
    parts: dict[str, bytes] = {}
    identity = etui.save(model, parts)
    assert etui.save(model, url) == identity
    with etui.open(url) as opened:
        assert opened.digest == identity
        assert same(opened, model)
    assert etui.verify(url).identity == identity
    assert etui.validate(url).ok
    assert etui.diff(url, model).same


@pytest.mark.clause("RM-4@fe88a2")
def test_a_header_that_is_not_the_computed_one_is_read(web: Web, tmp_path: Path, build: Build) -> None:
    """Where the manifest has another digest, the header that is there says what is wrong, as in a local file."""
    from etui.canonical import json
    from etui.testing.storage import write

    parts: dict[str, bytes] = {}
    etui.save(build(2, 16), parts)
    data = bytearray(parts["weights.safetensors"])
    data[data.index(b"layer_0")] = ord("L")  # which comes before the others, too
    parts["weights.safetensors"] = bytes(data)
    manifest = json.decode(parts["manifest.json"], where="manifest.json")
    size = manifest["parts"]["weights.safetensors"]["header"]["size"]
    manifest["parts"]["weights.safetensors"]["header"]["digest"] = digest.of(bytes(data[:size]))
    parts["manifest.json"] = json.encode(manifest)
    with (tmp_path / "odd.etui").open("wb") as file:
        write(file, parts)
    web.files["odd.etui"] = (tmp_path / "odd.etui").read_bytes()
    codes = []
    for location in (tmp_path / "odd.etui", f"{web.url}/odd.etui"):
        with etui.open(location) as opened, pytest.raises(EtuiError) as refusal:
            values(opened, "layer_0/kernel")
        codes.append(refusal.value.code)
    assert codes == ["tensor-unreferenced"] * 2


def damaged(data: bytes, what: str) -> bytes:
    """The bytes of an artifact with a fault that opening it remotely does not look at."""
    if what == "head":
        return b"X" + data[1:]
    if what == "front":
        return b"0123456789abcdef" + data
    if what == "header":
        return data.replace(b'"dtype":"F32"', b'"dtype":"F64"', 1)
    assert what == "local"
    at = data.index(b"PK\x03\x04", 4)
    return data[: at + 10] + b"\x01" + data[at + 11 :]


@pytest.mark.clause("RM-5@fcd797", "RM-6@fa6cdc", "H-7@2b485b")
@pytest.mark.parametrize(("what", "code"), [("head", "zip-layout"), ("local", "zip-field"), ("header", "zip-crc")])
def test_the_full_verification_checks_what_reading_leaves_out(
    web: Web, tmp_path: Path, build: Build, what: str, code: str
) -> None:
    """What an open artifact does not need is not looked at, and is found by the verification."""
    data = place(web, tmp_path, build(2, 200_000))
    web.files["model.etui"] = damaged(data, what)
    with etui.open(f"{web.url}/model.etui") as opened:
        values(opened, "layer_1/kernel")
    with pytest.raises(EtuiError) as refusal:
        etui.verify(f"{web.url}/model.etui")
    assert refusal.value.code == code


@pytest.mark.clause("RM-6@fa6cdc", "RM-3@2038e2")
def test_bytes_in_front_of_an_artifact_are_found_where_the_store_tells_no_size(
    s3: S3, tmp_path: Path, build: Build
) -> None:
    """In S3 a file that is longer than its end record says opens, gives no wrong tensor, and does not verify."""
    import fsspec

    etui.save(build(2, 200_000), tmp_path / "model.etui")
    data = damaged((tmp_path / "model.etui").read_bytes(), "front")
    fsspec.filesystem("s3").pipe_file("bucket/model.etui", data)
    with etui.open("s3://bucket/model.etui") as opened, pytest.raises(EtuiError) as refusal:
        values(opened, "layer_1/kernel")
    assert refusal.value.code == "digest-mismatch"
    with pytest.raises(EtuiError) as refusal:
        etui.verify("s3://bucket/model.etui")
    assert refusal.value.code == "remote-changed"


@pytest.mark.clause("RM-6@fa6cdc", "F-3@bbe75c", "F-4@8c1cdb")
@pytest.mark.parametrize(
    ("change", "code"),
    [("missing", "part-missing"), ("longer", "part-size"), ("more", "part-unlisted"), ("header", "digest-mismatch")],
)
def test_the_parts_of_a_folder_are_looked_at_when_they_are_needed(
    memory: str, build: Build, change: str, code: str
) -> None:
    """A folder opens by its documents; the verification finds a part that is missing or longer, and one too many."""
    import fsspec

    url = f"{memory}/model/"
    etui.save(build(2, 200_000), url)
    fs, part = fsspec.filesystem("memory"), "/run/model/weights.safetensors"
    if change == "missing":
        fs.rm(part)
    elif change == "longer":
        fs.pipe_file(part, fs.cat_file(part) + b"0")
    elif change == "header":
        fs.pipe_file(part, damaged(fs.cat_file(part), "header"))
    else:
        fs.pipe_file("/run/model/more", b"0")
    with etui.open(url) as opened:
        if change == "missing":
            with pytest.raises(EtuiError, match="part-missing"):
                values(opened, "layer_1/kernel")
        else:
            values(opened, "layer_1/kernel")
    with pytest.raises(EtuiError) as refusal:
        etui.verify(url)
    assert refusal.value.code == code
