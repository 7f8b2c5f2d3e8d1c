"""A repository of the Hub as a URL, and the Hub together with other stores."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest
from hub_models import files_of, model
from hub_server import HubServer

import etui
from etui.errors import EtuiError

# huggingface_hub gives its HTTP library a file in a way that the library would have otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE = 300_000


@pytest.fixture
def first(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The commit of a model that is on the Hub, with a later one on the main branch; fsspec knows the stand-in."""
    monkeypatch.setitem(fsspec.config.conf, "hf", hub.access)
    etui.save(model(LARGE, 10), tmp_path / "one.etui")
    etui.save(model(LARGE, 10, seed=5), tmp_path / "two.etui")
    commit = etui.push(tmp_path / "one.etui", "ada/model", **hub.access).commit
    etui.push(tmp_path / "two.etui", "ada/model", **hub.access)
    hub.requests.clear()
    return commit


@pytest.mark.clause("HB-1@7663cf", "HB-9@e88d9a")
def test_a_repository_is_opened_by_its_url(hub: HubServer, tmp_path: Path, first: str) -> None:
    """`etui.open` reads the documents of a commit or a branch, and then the one tensor that is asked for."""
    for url, name, seed in [("hf://ada/model", "two", 5), (f"hf://ada/model@{first}", "one", 0)]:
        with etui.open(url) as opened:
            assert opened.digest == etui.open(tmp_path / f"{name}.etui").digest
            assert opened.weights is not None
            hub.requests.clear()
            value = opened.weights["dense_1/kernel"].numpy()
        np.testing.assert_array_equal(value, np.arange(10, dtype=np.float32) + 1 + seed)
        assert sum(one.sent for one in hub.asked("GET", "^/cdn/")) == 40


@pytest.mark.clause("HB-12@891594")
def test_other_files_are_no_parts(hub: HubServer, first: str) -> None:
    """The full verification of a repository ignores the card, the attributes and what else is there, and no part."""
    hub.repo().change({"assets/other.txt": b"no part"})
    assert etui.verify("hf://ada/model").tensors == 2
    data = bytearray(hub.repo().paths()["weights.safetensors"])
    data[-1] ^= 1
    hub.repo().change({"weights.safetensors": bytes(data)})
    fsspec.filesystem("hf").invalidate_cache()
    with pytest.raises(EtuiError) as caught:
        etui.verify("hf://ada/model")
    assert caught.value.code == "digest-mismatch"


@pytest.mark.library
def test_from_store_to_store(hub: HubServer, tmp_path: Path, first: str) -> None:
    """A pull may go into another store, and a push may come from one."""
    url = f"memory://hub-{hub.server_port}/model.etui"
    done = etui.pull("ada/model", url, revision=first, **hub.access)
    assert (done.target, done.form, done.kept) == (url, "packed", ())
    assert fsspec.filesystem("memory").cat(url) == (tmp_path / "one.etui").read_bytes()
    pushed = etui.push(url, "ada/copy", **hub.access)
    assert pushed.identity == done.identity
    etui.save(etui.open(tmp_path / "one.etui"), tmp_path / "folder", form="directory")
    files = hub.repo("ada/copy").paths()
    assert {name: files[name] for name in files_of(tmp_path / "folder")} == files_of(tmp_path / "folder")


@pytest.mark.clause("HB-2@0dc801", "RM-16@f7e4fe")
def test_a_save_into_a_repository_is_refused(hub: HubServer, first: str) -> None:
    """The directory form is not written through a URL of the Hub, where each file would be a commit."""
    before = list(hub.repo().commits)
    with pytest.raises(EtuiError) as caught:
        etui.save(model(10), "hf://ada/model", form="directory")
    assert caught.value.error_class == "storage"
    assert list(hub.repo().commits) == before


@pytest.mark.clause("RM-12@dd6a89", "F-8@a401d8")
def test_a_packed_file_is_one_commit(hub: HubServer, tmp_path: Path, first: str) -> None:
    """A packed artifact is saved and replaced through a URL of the Hub in one commit each, with nothing beside it."""
    before = hub.repo().paths()
    for number, seed in enumerate((3, 4), 1):
        identity = etui.save(model(LARGE, seed=seed), "hf://ada/model/more/model.etui")
        assert len(hub.repo().commits) == 3 + number
        with etui.open("hf://ada/model/more/model.etui") as opened:
            assert opened.digest == identity
    assert set(hub.repo().paths()) == {*before, "more/model.etui"}


@pytest.mark.clause("HB-1@7663cf", "P-6@339932")
def test_names_with_escapes(hub: HubServer, tmp_path: Path, first: str) -> None:
    """Names of parts with every character that they may have get there and back, and are read through a URL."""
    made = model(10)
    contents = {"assets/caf%C3%A9+x=1/%2Ehidden.txt": b"one", "assets/a%25b-c_d.tar.gz": b"two"}
    made.assets = {name: etui.Blob.of(data) for name, data in contents.items()}
    etui.save(made, tmp_path / "names.etui")
    etui.push(tmp_path / "names.etui", "ada/names", path_in_repo="some+where=1", **hub.access)
    etui.pull("ada/names", tmp_path / "copy.etui", path_in_repo="some+where=1", **hub.access)
    assert (tmp_path / "copy.etui").read_bytes() == (tmp_path / "names.etui").read_bytes()
    with etui.open("hf://ada/names/some+where=1") as opened:
        assert {name: blob.read() for name, blob in opened.assets.items()} == contents
