"""`etui.push`: one commit, of what changed, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hub_models import files_of, model
from hub_server import TOKEN, Fault, HubServer
from hub_state import ATTRIBUTES

import etui
from etui.bridges.hub import Pushed
from etui.errors import EtuiError
from etui.testing.samples import everything

# huggingface_hub gives its HTTP library a file in a way that the library would have otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE = 400_000  # float32, more than what goes up from memory


def refusal(*arguments: Any, **options: Any) -> EtuiError:
    with pytest.raises(EtuiError) as caught:
        etui.push(*arguments, **options)
    return caught.value


def uploads(hub: HubServer) -> int:
    """Bytes of large files that went up."""
    return sum(one.received for one in hub.asked("PUT", "^/store/"))


@pytest.mark.clause("HB-1@7663cf", "HB-2@0dc801")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_an_artifact_is_published_in_one_commit(hub: HubServer, tmp_path: Path, form: Any) -> None:
    """Each part is a file at the root of a new repository, whichever form the artifact has, after one commit."""
    etui.save(everything(), tmp_path / "folder", form="directory")
    identity = etui.save(everything(), tmp_path / "model.etui", form=form)
    done = etui.push(tmp_path / "model.etui", "ada/model", **hub.access)
    files = hub.repo().paths()
    expected = files_of(tmp_path / "folder")
    assert "native/keras/config.json" in expected or len(expected) > 5
    assert {path: files[path] for path in expected} == expected
    assert set(files) - set(expected) == {".gitattributes", "README.md"}
    assert (done.identity, done.commit) == (identity, hub.repo().branches["main"])
    assert (set(done.changed), done.removed, done.parts) == (set(expected), (), len(expected))
    assert len(hub.asked("POST", "/commit/")) == 1


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory", "memory"])
def test_large_parts_go_up_from_where_they_are(hub: HubServer, tmp_path: Path, form: Any) -> None:
    """Parts beyond a mebibyte go up from a packed file, a folder and memory, in pieces where the Hub asks for them."""
    hub.part_bytes = 300_000
    place: Any = {} if form == "memory" else tmp_path / "model"
    etui.save(model(LARGE), place, **({} if form == "memory" else {"form": form}))
    etui.push(place, "ada/model", **hub.access)
    etui.save(model(LARGE), tmp_path / "expected", form="directory")
    assert hub.repo().paths()["weights.safetensors"] == files_of(tmp_path / "expected")["weights.safetensors"]
    assert len(hub.asked("PUT", r"^/store/.*\?part=")) == -(
        -(tmp_path / "expected/weights.safetensors").stat().st_size // 300_000
    )


@pytest.mark.clause("HB-8@a0180c")
def test_only_changed_files_go_up(hub: HubServer, tmp_path: Path) -> None:
    """Of a model with one changed shard, that shard and the documents go up, and of the same model nothing at all."""
    sizes = (LARGE, LARGE, LARGE)
    etui.save(model(*sizes), tmp_path / "one", form="directory", shard_size=4 * LARGE)
    changed = model(*sizes)
    assert changed.weights is not None
    changed.weights.variables["dense_1/kernel"].tensor = model(LARGE, seed=7).weights.variables["dense_0/kernel"].tensor  # type: ignore[union-attr]
    etui.save(changed, tmp_path / "two.etui", shard_size=4 * LARGE)
    etui.push(tmp_path / "one", "ada/model", **hub.access)
    hub.requests.clear()
    done = etui.push(tmp_path / "two.etui", "ada/model", **hub.access)
    assert done.changed == ("manifest.json", "weights-00002-of-00003.safetensors", "weights.json")
    assert 4 * LARGE < uploads(hub) < 4 * LARGE + 1000
    hub.requests.clear()
    again = etui.push(tmp_path / "two.etui", "ada/model", **hub.access)
    assert (again.changed, again.removed, again.card, again.commit) == ((), (), False, done.commit)
    assert {one.method for one in hub.requests} <= {"GET", "POST", "HEAD"}
    assert hub.asked("POST", "preupload|commit") == []
    assert len(hub.repo().commits) == 3


@pytest.mark.clause("HB-4@851dc4", "HB-5@38d227")
def test_parts_of_the_earlier_artifact_go_and_others_stay(hub: HubServer, tmp_path: Path) -> None:
    """Parts that only the earlier manifest lists are removed; a card, attributes and other files stay as they are."""
    etui.save(model(10, 10), tmp_path / "one", form="directory", shard_size=40)
    etui.save(model(10, 10), tmp_path / "two", form="directory")
    etui.push(tmp_path / "one", "ada/model", **hub.access)
    others = {"README.md": b"# mine", "notes/a.txt": b"a", "weights-00009-of-00009.safetensors": b"b"}
    hub.repo().change(dict(others))
    done = etui.push(tmp_path / "two", "ada/model", **hub.access)
    assert done.removed == ("weights-00001-of-00002.safetensors", "weights-00002-of-00002.safetensors")
    assert hub.repo().paths() == {**files_of(tmp_path / "two"), **others, ".gitattributes": ATTRIBUTES}


@pytest.mark.clause("HB-5@38d227")
@pytest.mark.parametrize("listed", ["README.md", ".gitattributes", "../other", "notes/a.txt", "manifest.json/x", ""])
def test_an_earlier_manifest_does_not_have_other_files_removed(hub: HubServer, tmp_path: Path, listed: str) -> None:
    """A manifest that lists what can be no part does not have the writer remove it."""
    etui.save(model(10), tmp_path / "model", form="directory")
    repo = hub.state.create("ada/model")
    earlier = {"format": "etui", "parts": {listed: {}, "weights.json": {}}}
    others = {"README.md": b"# mine", "notes/a.txt": b"a"}
    repo.change(
        {**others, "manifest.json": json.dumps(earlier, separators=(",", ":")).encode(), "weights.json": b"old"}
    )
    done = etui.push(tmp_path / "model", "ada/model", **hub.access)
    assert done.removed == ()
    assert repo.paths() == {**files_of(tmp_path / "model"), **others, ".gitattributes": ATTRIBUTES}


@pytest.mark.clause("HB-6@0d8766")
@pytest.mark.parametrize(
    "there",
    [
        {"config.json": b"{}"},
        {"config.json": b"{}", "manifest.json": b"{}"},
        {"manifest.json": b"[]"},
        {"weights.safetensors": b"x", "manifest.json": b'{"format":"etui","parts":[]}'},
        {"weights.json/x": b"a folder", "manifest.json": b'{"format":"etui","parts":{"weights.json":{}}}'},
        {"native": b"a file where a folder is to be"},
    ],
)
def test_files_of_others_are_not_replaced(hub: HubServer, tmp_path: Path, there: dict[str, bytes]) -> None:
    """A file that no manifest of an etui lists is in the way of a part, and nothing goes up."""
    etui.save(everything(), tmp_path / "model.etui")
    repo = hub.state.create("ada/model")
    repo.change(dict(there))
    before = repo.paths()
    assert refusal(tmp_path / "model.etui", "ada/model", **hub.access).code == "hub-target"
    assert repo.paths() == before
    assert uploads(hub) == 0
    done = etui.push(tmp_path / "model.etui", "ada/model", path_in_repo="etui/", **hub.access)
    assert done.path_in_repo == "etui"
    after = repo.paths()
    assert {path: after[path] for path in before} == before
    assert "etui/manifest.json" in after


@pytest.mark.clause("HB-6@0d8766")
def test_a_file_with_the_bytes_of_a_part_is_in_nobodys_way(hub: HubServer, tmp_path: Path) -> None:
    """What is there already as it would be written is not lost, so it is not refused."""
    etui.save(model(10), tmp_path / "model", form="directory")
    hub.state.create("ada/model").change({"weights.json": (tmp_path / "model/weights.json").read_bytes()})
    assert "weights.json" not in etui.push(tmp_path / "model", "ada/model", **hub.access).changed


@pytest.mark.clause("HB-1@7663cf")
@pytest.mark.parametrize("folder", ["../x", "a//b", ".git", "a/./b", "/a", "a b", "con", "x/.."])
def test_a_folder_has_the_form_of_a_part_name(hub: HubServer, tmp_path: Path, folder: str) -> None:
    """A folder of the repository whose path could be no part's name is refused before the Hub is asked."""
    etui.save(model(10), tmp_path / "model.etui")
    assert refusal(tmp_path / "model.etui", "ada/model", path_in_repo=folder, **hub.access).code == "part-name"
    with pytest.raises(EtuiError) as caught:
        etui.pull("ada/model", tmp_path / "copy.etui", path_in_repo=folder, **hub.access)
    assert caught.value.code == "part-name"
    assert hub.requests == []


@pytest.mark.clause("HB-7@6cca4e")
def test_a_card_is_added_where_there_is_none(hub: HubServer, tmp_path: Path) -> None:
    """A new repository gets a card that says how to open the model, unless it has one or none is wanted."""
    etui.save(model(10), tmp_path / "model.etui")
    assert etui.push(tmp_path / "model.etui", "ada/model", path_in_repo="m", **hub.access).card
    text = hub.repo().paths()["README.md"].decode()
    assert text.startswith("---\nlibrary_name: etui\n")
    assert "etui pull ada/model model.etui --path-in-repo m" in text
    assert 'etui.pull("ada/model", "model.etui", path_in_repo=\'m\')' in text
    assert not etui.push(tmp_path / "model.etui", "ada/other", card=False, **hub.access).card
    assert "README.md" not in hub.repo("ada/other").paths()


@pytest.mark.clause("HB-3@1c9f26")
def test_a_branch_that_others_changed_refuses_the_commit(hub: HubServer, tmp_path: Path) -> None:
    """A commit between the look and the push is not overwritten; the next push builds upon it."""
    etui.save(model(10), tmp_path / "one.etui")
    etui.save(model(20), tmp_path / "two.etui")
    etui.push(tmp_path / "one.etui", "ada/model", **hub.access)
    hub.faults.append(Fault("POST", "/commit/", before=lambda: hub.repo().change({"notes.txt": b"theirs"})))
    assert refusal(tmp_path / "two.etui", "ada/model", **hub.access).code == "hub-changed"
    assert hub.repo().messages[-1] == "by someone else"
    etui.push(tmp_path / "two.etui", "ada/model", **hub.access)
    assert hub.repo().paths()["notes.txt"] == b"theirs"
    etui.pull("ada/model", tmp_path / "copy.etui", **hub.access)
    assert (tmp_path / "copy.etui").read_bytes() == (tmp_path / "two.etui").read_bytes()


@pytest.mark.library
def test_a_branch_is_made_and_named(hub: HubServer, tmp_path: Path) -> None:
    """A branch that is not there begins at the main one, which stays as it is; the message is the caller's."""
    etui.save(model(10), tmp_path / "one.etui")
    etui.save(model(20), tmp_path / "two.etui")
    first = etui.push(tmp_path / "one.etui", "ada/model", **hub.access)
    done = etui.push(tmp_path / "two.etui", "ada/model", revision="try/out", message="Ten more", **hub.access)
    assert hub.repo().branches == {"main": first.commit, "try/out": done.commit}
    assert hub.repo().messages[-1] == "Ten more"
    again = etui.push(tmp_path / "one.etui", "ada/model", revision="try/out", **hub.access)
    assert (again.revision, hub.repo().branches["main"]) == ("try/out", first.commit)


@pytest.mark.library
@pytest.mark.parametrize(("revision", "code"), [("0" * 40, "hub-revision"), ("refs/pr/7", "hub-revision")])
def test_what_is_no_branch_is_not_pushed_to(hub: HubServer, tmp_path: Path, revision: str, code: str) -> None:
    """A commit and a pull request that is not there are refused, and made by nobody."""
    etui.save(model(10), tmp_path / "model.etui")
    hub.state.create("ada/model")
    assert refusal(tmp_path / "model.etui", "ada/model", revision=revision, **hub.access).code == code
    assert set(hub.repo().branches) == {"main"}


@pytest.mark.library
def test_nothing_private_gets_into_a_public_repository(hub: HubServer, tmp_path: Path) -> None:
    """A new repository is as private as was asked; one that is there must be so already, and is never changed."""
    etui.save(model(10), tmp_path / "model.etui")
    etui.push(tmp_path / "model.etui", "ada/secret", private=True, **hub.access)
    etui.push(tmp_path / "model.etui", "ada/open", private=False, **hub.access)
    assert (hub.repo("ada/secret").private, hub.repo("ada/open").private) == (True, False)
    for name, private in (("ada/open", True), ("ada/secret", False)):
        before = hub.repo(name).paths()
        assert refusal(tmp_path / "model.etui", name, private=private, **hub.access).code == "hub-visibility"
        assert hub.repo(name).paths() == before
    assert etui.push(tmp_path / "model.etui", "ada/secret", private=True, **hub.access).changed == ()


@pytest.mark.clause("H-7@2b485b")
def test_a_damaged_artifact_is_not_published(hub: HubServer, tmp_path: Path) -> None:
    """A flipped bit is found before the Hub has a repository."""
    etui.save(model(1000), tmp_path / "model", form="directory")
    data = bytearray((tmp_path / "model/weights.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model/weights.safetensors").write_bytes(data)
    assert refusal(tmp_path / "model", "ada/model", **hub.access).code == "digest-mismatch"
    assert hub.state.repos == {}


@pytest.mark.library
def test_patterns_of_the_repository_leave_no_part_out(hub: HubServer, tmp_path: Path) -> None:
    """A `.gitignore` of the repository that names parts has no effect on them."""
    etui.save(model(10), tmp_path / "model", form="directory")
    hub.state.create("ada/model").change({".gitignore": b"*.safetensors\n*.json\n"})
    etui.push(tmp_path / "model", "ada/model", **hub.access)
    files = hub.repo().paths()
    assert {path: files[path] for path in files_of(tmp_path / "model")} == files_of(tmp_path / "model")


@pytest.mark.library
def test_a_commit_without_a_part_is_noticed(hub: HubServer, tmp_path: Path) -> None:
    """The push looks at what the Hub has committed, and says so where a part is other than it was sent."""
    etui.save(model(10), tmp_path / "model.etui")
    repo = hub.state.create("ada/model")
    hub.faults.append(Fault("POST", "/paths-info/", times=0))
    original = repo.commit

    def losing(branch: str, files: Any, message: str) -> str:
        return original(branch, {path: file for path, file in files.items() if path != "weights.json"}, message)

    repo.commit = losing  # type: ignore[method-assign]
    fault = refusal(tmp_path / "model.etui", "ada/model", **hub.access)
    assert (fault.code, "weights.json" in fault.found) == ("hub-incomplete", True)


@pytest.mark.library
def test_a_folder_that_changes_meanwhile_is_not_committed(hub: HubServer, tmp_path: Path) -> None:
    """A save into the folder between the check and the upload is noticed before the commit."""
    etui.save(model(LARGE), tmp_path / "model", form="directory")
    other = lambda: etui.save(model(LARGE, seed=1), tmp_path / "model", form="directory")  # noqa: E731
    hub.faults.append(Fault("POST", "/repos/create", before=other))
    assert refusal(tmp_path / "model", "ada/model", **hub.access).code == "hub-source"
    assert set(hub.repo().paths()) == {".gitattributes"}


@pytest.mark.library
@pytest.mark.parametrize(
    "name", ["model", "a/b/c", "", "ada/", "/model", "ada/mo del", "ada/..x", "a--b/c", "ada/model.git"]
)
def test_names_of_repositories(hub: HubServer, tmp_path: Path, name: str) -> None:
    """What is no user/name is refused by both sides, and no request is made."""
    etui.save(model(10), tmp_path / "model.etui")
    assert refusal(tmp_path / "model.etui", name, **hub.access).code == "hub-name"
    with pytest.raises(EtuiError) as caught:
        etui.pull(name, tmp_path / "copy.etui", **hub.access)
    assert caught.value.code == "hub-name"
    assert hub.requests == []


@pytest.mark.library
def test_the_result_is_a_document(hub: HubServer, tmp_path: Path) -> None:
    """What `push` gives is a document that its schema accepts."""
    from etui import schemas

    etui.save(model(10), tmp_path / "model.etui")
    done = etui.push(tmp_path / "model.etui", "ada/model", **hub.access)
    assert isinstance(done, Pushed)
    assert list(schemas.validate("cli/push", done.as_json(), "push")) == []
    assert TOKEN not in json.dumps(done.as_json())
