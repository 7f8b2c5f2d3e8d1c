"""What goes wrong between a machine and the Hub: an error with a code, and both sides as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from hub_models import files_of, model
from hub_server import TOKEN, Fault, HubServer
from huggingface_hub import constants

import etui
from etui.errors import EtuiError, MissingExtraError, StorageError

# huggingface_hub gives its HTTP library a file in a way that the library would have otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

LARGE = 300_000
SHARDS = 3
ANSWERS = [
    (401, (), "hub-access"),
    (403, (), "hub-access"),
    (403, (("X-Error-Code", "GatedRepo"),), "hub-access"),
    (404, (("X-Error-Code", "RepoNotFound"),), "hub-missing"),
    (404, (("X-Error-Code", "RevisionNotFound"),), "hub-revision"),
    (404, (("X-Error-Code", "EntryNotFound"),), "hub-missing"),
    (404, (), "hub-missing"),
    (400, (), "hub-refused"),
    (413, (), "hub-refused"),
    (429, (("Retry-After", "1"),), "hub-busy"),
    (408, (), "hub-failed"),
    (500, (), "hub-failed"),
    (503, (), "hub-failed"),
]


@pytest.fixture
def published(hub: HubServer, tmp_path: Path) -> Path:
    """A model in shards, as a folder, that is on the Hub; no request is remembered."""
    etui.save(model(*[LARGE] * SHARDS), tmp_path / "published", form="directory", shard_size=4 * LARGE)
    etui.push(tmp_path / "published", "ada/model", **hub.access)
    hub.requests.clear()
    return tmp_path / "published"


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The same with other numbers in every shard."""
    etui.save(model(*[LARGE] * SHARDS, seed=50), tmp_path / "changed", form="directory", shard_size=4 * LARGE)
    return tmp_path / "changed"


def refusal(call: Callable[..., object], *arguments: Any, **options: Any) -> EtuiError:
    with pytest.raises(EtuiError) as caught:
        call(*arguments, **options)
    return caught.value


@contextmanager
def command(hub: HubServer, cache: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, with the token in the environment, which is gone at the end."""
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "etui", *arguments],
        env={**os.environ, **settings, "HF_HUB_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(hub: HubServer, cache: Path, *arguments: str) -> None:
    """The command, which ends well."""
    with command(hub, cache, *arguments) as process:
        said = process.communicate(timeout=60)
        assert process.returncode == 0, said


def run_and_kill(hub: HubServer, fault: Fault, cache: Path, *arguments: str) -> None:
    """The command, which is killed at the request of a fault; no fault is left."""
    begun: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()

    def kill() -> None:
        process = begun.get(timeout=60)
        process.send_signal(signal.SIGKILL)
        process.wait()

    fault.before = kill
    # Before the process begins, which else might be past the request.
    hub.faults.append(fault)
    with command(hub, cache, *arguments) as process:
        begun.put(process)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
    hub.faults.clear()


@pytest.mark.library
@pytest.mark.parametrize("answer", ANSWERS)
def test_each_answer_has_a_code(hub: HubServer, tmp_path: Path, published: Path, answer: tuple[int, Any, str]) -> None:
    """A refusal of the Hub at any request of a pull is a storage error with its code, what it says, and no target."""
    status, headers, code = answer
    for path in ("/revision/", "/paths-info/", "manifest.json", "/cdn/"):
        for method in ("GET", "POST", "HEAD"):
            hub.faults.append(Fault(method, path, 1000, status, "no luck today", headers))
        fault = refusal(etui.pull, "ada/model", tmp_path / "copy", **hub.access)
        assert isinstance(fault, StorageError)
        assert (path, fault.code) == (path, code)
        assert "ada/model" in fault.where
        assert f"HTTP {status}" in fault.found
        assert not (tmp_path / "copy").exists()
        hub.faults.clear()


REFUSALS = [(403, "hub-access"), (400, "hub-refused"), (412, "hub-changed"), (500, "hub-failed")]


@pytest.mark.clause("HB-2@0dc801", "F-8@a401d8")
@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize("path", ["/preupload/", "objects/batch", "^/store/", "/verify$", "/commit/"])
def test_a_push_that_is_refused_changes_nothing(
    hub: HubServer, published: Path, changed: Path, path: str, answer: tuple[int, str]
) -> None:
    """Whatever request of a push is refused, the branch has the earlier model; the next push goes through."""
    status, code = answer
    before = hub.repo().paths()
    hub.faults += [Fault(method, path, 1000, status, "no luck today") for method in ("POST", "PUT")]
    fault = refusal(etui.push, changed, "ada/model", **hub.access)
    assert (fault.code, "no luck today" in fault.found) == (code, True)
    assert hub.repo().paths() == before
    hub.faults.clear()
    etui.push(changed, "ada/model", **hub.access)
    after = hub.repo().paths()
    assert {name: after[name] for name in files_of(changed)} == files_of(changed)


@pytest.mark.clause("HB-8@a0180c")
def test_what_is_uploaded_is_not_uploaded_twice(hub: HubServer, published: Path, changed: Path) -> None:
    """After a commit that was refused, the next push sends no large file again."""
    hub.faults.append(Fault("POST", "/commit/", status=500))
    refusal(etui.push, changed, "ada/model", **hub.access)
    assert len(hub.asked("PUT", "^/store/")) == SHARDS
    hub.requests.clear()
    done = etui.push(changed, "ada/model", **hub.access)
    assert hub.asked("PUT", "^/store/") == []
    assert len([name for name in done.changed if name.endswith(".safetensors")]) == SHARDS


@pytest.mark.clause("HB-2@0dc801", "F-8@a401d8")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_an_upload_that_is_cut(hub: HubServer, tmp_path: Path, published: Path, form: Any) -> None:
    """A connection that ends within each upload is tried again; one that always does leaves the earlier model."""
    target = tmp_path / "model"
    etui.save(model(*[LARGE] * SHARDS, seed=50), target, form=form, shard_size=4 * LARGE)
    before = hub.repo().paths()
    hub.faults.append(Fault("PUT", "^/store/", 1000, cut=100_000))
    assert refusal(etui.push, target, "ada/model", **hub.access).code == "hub-unreachable"
    assert hub.repo().paths() == before
    hub.faults[0].times = SHARDS
    done = etui.push(target, "ada/model", **hub.access)
    assert hub.faults[0].times == 0
    etui.pull("ada/model", tmp_path / "copy", form=form, **hub.access)
    assert etui.verify(tmp_path / "copy").identity == done.identity


@pytest.mark.clause("HB-2@0dc801", "F-6@674ad5", "F-8@a401d8")
def test_a_push_that_is_killed_at_every_request(hub: HubServer, tmp_path: Path, published: Path, changed: Path) -> None:
    """A process that dies at any upload, or before its commit, leaves the earlier model; the next push goes through."""
    before = hub.repo().paths()
    kills = ["/preupload/", "objects/batch", *["^/store/[0-9a-f]+$"] * SHARDS, "/verify$", "/commit/"]
    killed = 0
    for number, path in enumerate(kills):
        hub.state.store.clear()
        skip = kills[:number].count(path)
        fault = Fault("PUT" if "store" in path and "verify" not in path else "POST", path, cut=1000)
        hub.faults.append(Fault(fault.method, path, skip))
        run_and_kill(hub, fault, tmp_path / "home", "push", str(changed), "ada/model")
        killed += 1
        assert hub.repo().paths() == before
    assert killed == len(kills)
    run(hub, tmp_path / "home", "push", str(changed), "ada/model")
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert files_of(tmp_path / "copy") == files_of(changed)


@pytest.mark.clause("HB-13@9ee1ab", "F-8@a401d8")
def test_a_pull_that_is_killed_at_every_request(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A process that dies at any download leaves the target as it was, and the next pull fetches it."""
    target = tmp_path / "copy"
    etui.save(model(10), target, form="directory")
    before = files_of(target)
    kills = ["/revision/", "/paths-info/", "manifest.json", "weights.json", "^/cdn/"]
    killed = 0
    for number, path in enumerate(kills):
        # A cache of its own: files are fetched side by side, and one that an earlier process kept is not asked for.
        home = tmp_path / f"home-{number}"
        fault = Fault("POST" if path == "/paths-info/" else "GET", path)
        run_and_kill(hub, fault, home, "pull", "ada/model", str(target))
        killed += 1
        assert files_of(target) == before
    assert killed == len(kills)
    run(hub, home, "pull", "ada/model", str(target))
    assert files_of(target) == files_of(published)
    assert [path.name for path in tmp_path.iterdir() if ".etui-" in path.name] == []


@pytest.mark.clause("HB-16@505bf7")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_token_is_never_shown(hub: HubServer, tmp_path: Path, published: Path, changed: Path, status: int) -> None:
    """A Hub that says the token back does not get it into a message, a document or a traceback."""
    pulls = ["/revision/", "/paths-info/", "manifest.json", "/cdn/"]
    pushes = [*pulls[:2], "/preupload/", "objects/batch", "^/store/[0-9a-f]+$", "/verify$", "/commit/"]
    refused = told = 0
    for path, is_push in [*((path, False) for path in pulls), *((path, True) for path in pushes)]:
        methods = ("GET", "HEAD", "POST", "PUT")
        hub.faults += [Fault(method, path, 1000, status, "you sent {authorization} today") for method in methods]
        call: Callable[..., object] = etui.push if is_push else etui.pull
        fault = refusal(call, *((changed, "ada/model") if is_push else ("ada/model", tmp_path / "copy")), **hub.access)
        text = "".join(traceback.format_exception(fault)) + json.dumps(fault.as_json())
        assert TOKEN not in text + repr(fault)
        refused += 1
        told += "you sent" in text
        hub.faults.clear()
    # An answer to HEAD, as is asked of some files, has no body that could say it.
    assert (refused, told >= 8) == (len(pulls) + len(pushes), True)
    kept = [data for repo in hub.state.repos.values() for files in repo.commits.values() for data in files.values()]
    assert kept
    assert all(TOKEN.encode() not in file.data for file in kept)


@pytest.mark.clause("HB-16@505bf7")
def test_a_token_of_the_environment_is_never_shown(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """The command shows no token, neither when it works nor when the Hub says the token back."""
    hub.faults.append(Fault("GET", "/revision/", 1, 403, "you sent {authorization} today"))
    outputs = []
    for expected in (1, 0):
        with command(hub, tmp_path / "home", "pull", "ada/model", str(tmp_path / "copy"), "--json") as process:
            out, err = process.communicate(timeout=60)
        assert process.returncode == expected
        outputs.append(out + err)
    assert "you sent" in outputs[0]
    assert all(one.token == TOKEN for one in hub.asked("GET", "/revision/"))
    assert TOKEN not in "".join(outputs)
    assert all(TOKEN.encode() not in data for data in files_of(tmp_path / "copy").values())


@pytest.mark.library
def test_a_token_goes_to_the_hub_alone(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """The host of large files, to which the Hub leads, is not shown the token."""
    etui.pull("ada/model", tmp_path / "copy", **hub.access)
    assert {one.token for one in hub.asked("GET", "^/cdn/")} == {""}
    assert {one.token for one in hub.asked("POST", "/paths-info/")} == {TOKEN}


@pytest.mark.library
def test_what_is_private_needs_a_token(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """Without a token, and with one that is not valid, a private repository is not read, and none is written."""
    assert etui.pull("ada/model", tmp_path / "public", endpoint=hub.url, token=False).parts == SHARDS + 2
    hub.repo().private = True
    for token in (False, "hf_wrong"):
        for call in (
            lambda token=token: etui.pull("ada/model", tmp_path / "copy", endpoint=hub.url, token=token),
            lambda token=token: etui.push(published, "ada/model", endpoint=hub.url, token=token),
            lambda token=token: etui.push(published, "ada/new", endpoint=hub.url, token=token),
        ):
            assert refusal(call).code == "hub-access"
    assert refusal(etui.push, published, "bob/model", **hub.access).code == "hub-access"
    assert set(hub.state.repos) == {"ada/model"}


@pytest.mark.library
def test_offline(hub: HubServer, tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, or where huggingface_hub is told to use none, both say so, and how to go on."""
    nowhere = {"endpoint": "http://127.0.0.1:9", "token": TOKEN}
    for options in (nowhere, {"endpoint": "http://nowhere.invalid", "token": False}):
        assert refusal(etui.pull, "ada/model", tmp_path / "copy", **options).code == "hub-unreachable"
        assert refusal(etui.push, published, "ada/model", **options).code == "hub-unreachable"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for call in (
        lambda: etui.pull("ada/model", tmp_path / "copy", **hub.access),
        lambda: etui.push(published, "ada/model", **hub.access),
    ):
        fault = refusal(call)
        assert fault.code == "hub-unreachable"
        assert "Unset HF_HUB_OFFLINE" in str(fault)
    assert hub.requests == []


@pytest.mark.library
@pytest.mark.parametrize("content", [b"<html>log in to the network</html>", b"[]", b"{}", b'{"id":"ada/model"}'])
def test_what_is_no_answer_of_the_hub(hub: HubServer, tmp_path: Path, published: Path, content: bytes) -> None:
    """A page of a network that wants a password, or other JSON than is due, is a failure of the Hub."""
    hub.faults.append(Fault("GET", "/revision/", 1000, content=content))
    assert refusal(etui.pull, "ada/model", tmp_path / "copy", **hub.access).code == "hub-failed"
    assert refusal(etui.push, published, "ada/model", **hub.access).code == "hub-failed"
    hub.faults[0] = Fault("POST", "/paths-info/", 1000, content=content)
    assert refusal(etui.pull, "ada/model", tmp_path / "copy", **hub.access).code in {"hub-failed", "manifest-missing"}


@pytest.mark.library
def test_a_full_disk_says_so(hub: HubServer, tmp_path: Path, published: Path) -> None:
    """A cache that cannot be written is an error of this machine's storage, not of the Hub."""
    (tmp_path / "file").write_bytes(b"")
    fault = refusal(etui.pull, "ada/model", tmp_path / "copy", cache=tmp_path / "file", **hub.access)
    assert fault.code == "storage-failed"


@pytest.mark.library
def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without huggingface_hub both say which extra brings it."""
    etui.save(model(10), tmp_path / "model.etui")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: etui.pull("ada/model", tmp_path / "copy"),
        lambda: etui.push(tmp_path / "model.etui", "ada/model"),
    ):
        fault = refusal(call)
        assert isinstance(fault, MissingExtraError)
        assert 'pip install "etui[hub]"' in str(fault)


@pytest.mark.library
def test_the_client_is_imported_late() -> None:
    """Neither `etui.push` nor the command imports huggingface_hub before it is used."""
    program = (
        "import sys, etui, etui.cli; etui.push, etui.pull; etui.cli._parser(); print('huggingface_hub' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
