"""`etui.pull`: of one commit, only what is wanted and not there yet, verified before it takes its place."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hub_models import files_of, model
from hub_server import Fault, HubServer
from huggingface_hub import constants

import etui
from etui import digest, schemas
from etui.errors import EtuiError
from etui.testing.samples import everything

# huggingface_hub gives its HTTP library a file in a way that the library would have otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE = 300_000


def refusal(*arguments: Any, **options: Any) -> EtuiError:
    with pytest.raises(EtuiError) as caught:
        etui.pull(*arguments, **options)
    return caught.value


def downloads(hub: HubServer) -> list[str]:
    """The files that came down, by their path in the repository or their place in the store of large ones."""
    return sorted(
        one.path.rpartition("/")[2] for one in hub.asked("GET", "/resolve/|^/cdn/") if 200 <= one.status < 300
    )


def tree(place: Path) -> dict[str, bytes | None]:
    """Everything below a place, or the file that it is, with leftovers beside it."""
    beside = [path for path in place.parent.iterdir() if path.name.startswith(f".{place.name}.")]
    found = [place, *beside, *(place.rglob("*") if place.is_dir() else [])]
    return {str(path): path.read_bytes() if path.is_file() else None for path in found if os.path.lexists(path)}


@pytest.fixture
def published(hub: HubServer, tmp_path: Path) -> Path:
    """A model with everything, as a folder, that is on the Hub; no request is remembered."""
    etui.save(everything(), tmp_path / "published", form="directory")
    etui.push(tmp_path / "published", "ada/model", **hub.access)
    hub.requests.clear()
    return tmp_path / "published"


@pytest.mark.clause("HB-1@7663cf", "HB-12@891594")
def test_either_form_comes_out(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A pull gives the form that the name or the caller says, byte for byte; the card and other files are no part."""
    hub.repo().change({"assets.txt": b"no part", "assets/other.txt": b"no part"})
    etui.save(everything(), tmp_path / "packed.etui")
    identity = etui.open(published).digest
    for target, form, expected in [
        ("a.etui", None, "packed"),
        ("b", None, "directory"),
        ("c.etui", "directory", "directory"),
        ("d", "packed", "packed"),
    ]:
        done = etui.pull("ada/model", tmp_path / target, form=form, **hub.access)
        assert (done.form, done.identity) == (expected, identity)
        if expected == "packed":
            assert (tmp_path / target).read_bytes() == (tmp_path / "packed.etui").read_bytes()
        else:
            assert files_of(tmp_path / target) == files_of(published)
        assert list(schemas.validate("cli/pull", done.as_json(), "pull")) == []
    fetched = {one.path.partition(hub.repo().branches["main"] + "/")[2] for one in hub.asked("HEAD", "/resolve/")}
    assert fetched == set(files_of(published))


@pytest.mark.clause("HB-9@e88d9a")
def test_a_revision_is_found_once(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A branch that moves during the pull has no effect on it: every file is of the commit that it was first."""
    commit = hub.repo().branches["main"]
    moving = Fault(
        "POST", "/paths-info/", before=lambda: hub.repo().change({"manifest.json": b"{}", "weights.json": b"x"})
    )
    hub.faults.append(moving)
    done = etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert moving.times == 0
    assert hub.repo().branches["main"] != commit
    assert done.commit == commit
    assert files_of(tmp_path / "copy") == files_of(published)
    asked = [one.path for one in hub.requests if "/resolve/" in one.path or "/paths-info/" in one.path]
    assert asked
    assert [path for path in asked if commit not in path] == []
    assert len(hub.asked("GET", "/revision/main")) == 1


@pytest.mark.clause("HB-9@e88d9a")
def test_a_revision_pins(hub: HubServer, tmp_path: Path) -> None:
    """A commit, a branch and the main branch give the model that each of them has."""
    commits = []
    for size in (10, 20):
        etui.save(model(size), tmp_path / f"{size}.etui")
        commits.append(etui.push(tmp_path / f"{size}.etui", "ada/model", **hub.access).commit)
    etui.save(model(30), tmp_path / "30.etui")
    etui.push(tmp_path / "30.etui", "ada/model", revision="try/out", **hub.access)
    for revision, size in [(commits[0], 10), (commits[1], 20), (None, 20), ("main", 20), ("try/out", 30)]:
        etui.pull("ada/model", tmp_path / "copy.etui", revision=revision, **hub.access)
        assert (tmp_path / "copy.etui").read_bytes() == (tmp_path / f"{size}.etui").read_bytes()
    assert refusal("ada/model", tmp_path / "copy.etui", revision="0" * 40, **hub.access).code == "hub-revision"
    assert refusal("ada/model", tmp_path / "copy.etui", revision="other", **hub.access).code == "hub-revision"


@pytest.mark.library
def test_another_commit_than_the_pinned_one_is_refused(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A Hub that answers for a commit with another one is not believed."""
    answer = {"id": "ada/model", "sha": "1" * 40, "private": False}
    hub.faults.append(Fault("GET", "/revision/", content=json.dumps(answer).encode()))
    commit = hub.repo().branches["main"]
    assert refusal("ada/model", tmp_path / "copy", revision=commit, **hub.access).code == "hub-failed"


@pytest.mark.clause("HB-10@32be11")
@pytest.mark.parametrize("place", ["", "models/a"])
def test_a_repository_without_a_manifest(hub: HubServer, tmp_path: Path, place: str) -> None:
    """A commit without a manifest, or with a folder of its name, has no model."""
    repo = hub.state.create("ada/model")
    repo.change({"config.json": b"{}", "model.safetensors": b"x"})
    assert refusal("ada/model", tmp_path / "copy", path_in_repo=place, **hub.access).code == "manifest-missing"
    repo.change({f"{place}/manifest.json/x".removeprefix("/"): b"x"})
    assert refusal("ada/model", tmp_path / "copy", path_in_repo=place, **hub.access).code == "manifest-missing"
    assert not (tmp_path / "copy").exists()


@pytest.mark.clause("HB-11@faff5c")
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../outside.json", "part-name"),
        ("assets/../../outside", "part-name"),
        ("/outside", "part-name"),
        ("assets/con.txt", "part-name"),
        ("assets/.hidden", "part-name"),
        ("assets\\x", "part-name"),
        ("assets/" + "x" * 300, "limit-path"),
        ("Weights.json", "part-collision"),
        ("weights.json/x", "part-collision"),
        ("outside", "part-role"),
    ],
)
def test_names_that_would_escape(hub: HubServer, tmp_path: Path, published: Path, name: str, code: str) -> None:
    """A manifest that names a place outside of the folder is refused before any other file is asked for."""
    manifest = json.loads((published / "manifest.json").read_bytes())
    manifest["parts"][name] = {"role": "asset", "media_type": "text/plain", "size": 1, "digest": digest.of(b"x")}
    data = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
    hub.repo().change({"manifest.json": data, "outside": b"x", "outside.json": b"x"})
    target = tmp_path / "target" / "copy"
    target.parent.mkdir()
    assert refusal("ada/model", target, **hub.access).code == code
    assert list(target.parent.iterdir()) == []
    assert not (tmp_path / "outside.json").exists()
    assert {one.path.rpartition("/")[2] for one in hub.asked("GET", "/resolve/|^/cdn/")} == {"manifest.json"}


@pytest.mark.clause("HB-11@faff5c")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"weights.json": None}, "part-missing"),
        ({"weights.safetensors": b"short"}, "part-size"),
        ({"config.json": None, "config.json/x": b"a folder"}, "part-not-a-file"),
        ({"manifest.json": b"{"}, "json-syntax"),
        ({"manifest.json": b"\x80"}, "json-encoding"),
    ],
)
def test_what_the_commit_lacks_is_seen_first(
    hub: HubServer, tmp_path: Path, published: Path, change: dict[str, bytes | None], code: str
) -> None:
    """A part that is missing, a folder or of another size is refused before one is fetched, as is a bad manifest."""
    hub.repo().change(change)
    assert refusal("ada/model", tmp_path / "copy", **hub.access).code == code
    assert downloads(hub) == ["manifest.json"]
    assert not (tmp_path / "copy").exists()


@pytest.mark.clause("L-2@76176e")
def test_a_manifest_beyond_the_limit_is_not_fetched(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """The size that the commit says is checked before the manifest is downloaded."""
    fault = refusal("ada/model", tmp_path / "copy", limits=etui.Limits(document_bytes=100), **hub.access)
    assert fault.code == "limit-document"
    assert downloads(hub) == []


@pytest.mark.clause("HB-13@9ee1ab", "F-8@a401d8")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("name", ["weights.safetensors", "weights.json", "config.json", "optimizer.msgpack"])
def test_a_manipulated_file_is_found(hub: HubServer, tmp_path: Path, published: Path, name: str, form: Any) -> None:
    """A flipped bit in any part is a mismatch of digests, and the target is as it was, with nothing beside it."""
    data = bytearray((published / name).read_bytes())
    data[-3] ^= 1
    hub.repo().change({name: bytes(data)})
    target = tmp_path / "target" / "copy"
    target.parent.mkdir()
    etui.save(model(10), target, form=form)
    before = tree(target)
    assert refusal("ada/model", target, form=form, **hub.access).code == "digest-mismatch"
    assert tree(target) == before


@pytest.mark.clause("HB-13@9ee1ab")
@pytest.mark.parametrize(("path", "code"), [("/cdn/", "digest-mismatch"), ("manifest.json", "digest-mismatch")])
def test_a_file_that_changes_after_the_listing(
    hub: HubServer, tmp_path: Path, published: Path, path: str, code: str
) -> None:
    """Other bytes of the same size than the commit was said to have are refused, also at the second try."""
    part = published / ("manifest.json" if path == "manifest.json" else "weights.safetensors")
    target = f"/cdn/{digest.of(part.read_bytes()).removeprefix('sha256:')}" if path == "/cdn/" else path
    other = part.read_bytes().replace(b"0", b"1").replace(b"\0", b"\1")
    assert other != part.read_bytes()
    lying = Fault("GET", target, times=2, content=other)
    hub.faults.append(lying)
    assert refusal("ada/model", tmp_path / "copy", **hub.access).code == code
    assert lying.times == 0
    assert not (tmp_path / "copy").exists()
    # It was not believed, nor kept: what the Hub has in truth is fetched now.
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert files_of(tmp_path / "copy") == files_of(published)


@pytest.mark.clause("HB-14@c61191")
def test_an_identity_pins_the_model(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """An artifact of another identity is refused before a part is fetched, and what is no digest at once."""
    identity = etui.open(published).digest
    other = digest.of(b"other")
    assert refusal("ada/model", tmp_path / "copy", identity=other, **hub.access).code == "digest-mismatch"
    assert downloads(hub) == ["manifest.json"]
    hub.requests.clear()
    assert refusal("ada/model", tmp_path / "copy", identity="main", **hub.access).code == "digest-form"
    assert hub.requests == []
    assert etui.pull("ada/model", tmp_path / "copy", identity=identity, **hub.access).identity == identity


@pytest.mark.clause("HB-15@fef064")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("forget", [False, True])
def test_only_what_changed_comes_down(hub: HubServer, tmp_path: Path, form: Any, forget: bool) -> None:
    """Of a changed model the changed shard and documents come down, by the target alone, or by the cache alone."""
    for seed, place in ((0, "one"), (7, "two")):
        made = model(LARGE, LARGE)
        assert made.weights is not None
        made.weights.variables["dense_1/kernel"].tensor = etui.Tensor.of([float(seed)] * LARGE)
        etui.save(made, tmp_path / place, form="directory", shard_size=8 * LARGE)
        etui.push(tmp_path / place, "ada/model", revision=place, **hub.access)
    target = tmp_path / "copy"
    etui.pull("ada/model", target, revision="one", form=form, cache=tmp_path / "first", **hub.access)
    hub.requests.clear()
    cache = tmp_path / ("second" if forget else "first")
    if not forget:
        target = tmp_path / "other"
    done = etui.pull("ada/model", target, revision="two", form=form, cache=cache, **hub.access)
    shard = digest.of((tmp_path / "two/weights-00002-of-00002.safetensors").read_bytes()).removeprefix("sha256:")
    assert downloads(hub) == sorted(["manifest.json", "weights.json", shard])
    assert done.kept == (("weights-00001-of-00002.safetensors",) if forget else ())
    assert etui.verify(target).identity == etui.open(tmp_path / "two").digest
    hub.requests.clear()
    before = target.stat()
    again = etui.pull("ada/model", target, revision="two", form=form, cache=cache, **hub.access)
    assert (downloads(hub), again.fetched, len(again.kept)) == ([], (), 3)
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.clause("HB-15@fef064", "HB-13@9ee1ab")
def test_a_pull_that_was_stopped_goes_on(hub: HubServer, tmp_path: Path) -> None:
    """Files that were whole when a pull failed are not fetched again, and the target was not touched meanwhile."""
    etui.save(model(*[LARGE] * 4), tmp_path / "model", form="directory", shard_size=4 * LARGE)
    etui.push(tmp_path / "model", "ada/model", **hub.access)
    etui.save(model(10), tmp_path / "copy", form="directory")
    before = tree(tmp_path / "copy")
    last = digest.of((tmp_path / "model/weights-00004-of-00004.safetensors").read_bytes()).removeprefix("sha256:")
    hub.faults.append(Fault("GET", f"/cdn/{last}", times=1000, status=500))
    assert refusal("ada/model", tmp_path / "copy", **hub.access).code == "hub-failed"
    assert tree(tmp_path / "copy") == before
    whole = set(downloads(hub)) - {"manifest.json"}
    assert whole
    hub.faults.clear()
    hub.requests.clear()
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert last in downloads(hub)
    assert whole.isdisjoint(downloads(hub))
    assert files_of(tmp_path / "copy") == files_of(tmp_path / "model")


@pytest.mark.library
def test_a_download_that_is_cut_is_continued(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends in the middle of a file costs what was on its way: the rest is asked for as a range."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65_536)
    etui.save(model(LARGE), tmp_path / "model", form="directory")
    etui.push(tmp_path / "model", "ada/model", **hub.access)
    hub.faults.append(Fault("GET", "^/cdn/", cut=500_000))
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    first, second = hub.asked("GET", "^/cdn/")
    assert (first.sent, second.status) == (500_000, 206)
    assert 0 < int(second.range.removeprefix("bytes=").removesuffix("-")) <= 500_000
    assert files_of(tmp_path / "copy") == files_of(tmp_path / "model")


@pytest.mark.clause("HB-13@9ee1ab")
def test_a_download_that_ends_early_every_time(hub: HubServer, tmp_path: Path) -> None:
    """A file that never comes whole is an error, and nothing takes its place."""
    etui.save(model(LARGE), tmp_path / "model", form="directory")
    etui.push(tmp_path / "model", "ada/model", **hub.access)
    hub.faults.append(Fault("GET", "^/cdn/", times=1000, cut=0))
    assert refusal("ada/model", tmp_path / "copy", **hub.access).code in {"hub-unreachable", "hub-failed"}
    hub.faults[0].cut, hub.faults[0].content = None, b"too short"
    assert refusal("ada/model", tmp_path / "copy", **hub.access).code == "hub-failed"
    assert not (tmp_path / "copy").exists()


@pytest.mark.library
def test_a_damaged_cache_is_mended(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A file of the cache that has other bytes than the commit is fetched again, and no other one is."""
    etui.pull("ada/model", tmp_path / "first", **hub.access)
    names = ["weights.safetensors", "manifest.json"]
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_symlink() and path.name in names:
            names.remove(path.name)
            place = path.resolve()
            place.write_bytes(place.read_bytes()[:-1] + b"?")
    assert names == []
    hub.requests.clear()
    etui.pull("ada/model", tmp_path / "second", **hub.access)
    assert files_of(tmp_path / "second") == files_of(published)
    shard = digest.of((published / "weights.safetensors").read_bytes()).removeprefix("sha256:")
    assert downloads(hub) == sorted([shard, "manifest.json"])


@pytest.mark.library
@pytest.mark.parametrize(("make", "form"), [("file", "packed"), ("folder", "directory"), ("mixed", "directory")])
def test_what_is_no_etui_is_not_replaced(hub: HubServer, tmp_path: Path, published: Path, make: str, form: Any) -> None:
    """A target that would be lost is refused before the Hub is asked for anything."""
    target = tmp_path / "target"
    if make == "file":
        target.write_bytes(b"mine")
    elif make == "folder":
        target.mkdir()
        (target / "mine.txt").write_bytes(b"mine")
    else:
        etui.save(model(10), target, form="directory")
        (target / "mine.txt").write_bytes(b"mine")
    before = tree(target)
    assert refusal("ada/model", target, form=form, **hub.access).code == "target-not-etui"
    assert (tree(target), hub.requests) == (before, [])


@pytest.mark.library
def test_a_damaged_target_is_replaced(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """Parts of a damaged etui at the target are used only where they are those of the commit."""
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    data = (tmp_path / "copy/weights.safetensors").read_bytes()
    (tmp_path / "copy/weights.safetensors").write_bytes(data[:-1] + b"?")
    (tmp_path / "copy/config.json").unlink()
    done = etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert set(done.fetched) == {"weights.safetensors", "config.json"}
    assert files_of(tmp_path / "copy") == files_of(published)


@pytest.mark.library
def test_a_damaged_container_is_replaced(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A packed target with good parts, of which a byte of the archive itself was changed, is written anew."""
    target = tmp_path / "copy.etui"
    etui.pull("ada/model", target, **hub.access)
    good = target.read_bytes()
    time = good.index(b"PK\x03\x04", 4) + 10  # of the second member, in its local header
    target.write_bytes(good[:time] + bytes([good[time] ^ 1]) + good[time + 1 :])
    etui.pull("ada/model", target, **hub.access)
    assert target.read_bytes() == good


@pytest.mark.library
def test_an_unknown_form_is_refused(hub: HubServer, tmp_path: Path) -> None:
    """A form that is neither of the two is a misuse, whatever the Hub has."""
    assert refusal("ada/model", tmp_path / "copy", form="memory", **hub.access).code == "writer-misuse"
    assert hub.requests == []
