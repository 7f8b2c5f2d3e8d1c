"""The commands `etui push` and `etui pull`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from hub_models import model
from hub_server import TOKEN, Fault, HubServer
from huggingface_hub import constants

import etui
from etui import schemas
from etui.cli import main

# huggingface_hub gives its HTTP library a file in a way that the library would have otherwise.
pytestmark = [
    pytest.mark.library,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(hub: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs a command line in an empty folder, with the stand-in as the Hub and ada's token in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    etui.save(model(10, 20), tmp_path / "model.etui")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return code, *capsys.readouterr()

    return call


def document(schema: str, answer: tuple[int, str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer[1])
    assert [str(fault) for fault in schemas.validate(schema, found, schema)] == []
    return found


def test_a_model_goes_there_and_back(hub: HubServer, run: Run) -> None:
    """What is pushed by one command is pulled by the other; both say what they did."""
    code, out, err = run("push", "model.etui", "ada/model", "--message", "The first")
    identity = etui.open("model.etui").digest or ""
    assert (code, err) == (0, "")
    assert out.startswith("ada/model: published\n")
    assert identity in out
    assert "README.md, a model card" in out
    assert hub.repo().messages[-1] == "The first"
    code, out, err = run("push", "model.etui", "ada/model")
    assert (code, out.partition("\n")[0]) == (0, "ada/model: has it already")
    code, out, err = run("pull", "ada/model", "copy.etui")
    assert (code, err) == (0, "")
    assert out.startswith("copy.etui: every byte is as it was published\n")
    assert hub.repo().branches["main"] in out
    assert Path("copy.etui").read_bytes() == Path("model.etui").read_bytes()
    assert "3 parts that were here" not in out
    assert "that were here" in run("pull", "ada/model", "copy.etui")[1]


def test_every_option_is_taken(hub: HubServer, run: Run) -> None:
    """A private repository, a branch, a folder and no card; a pinned identity, a form and a commit."""
    options = ("--private", "--revision", "try", "--path-in-repo", "a/b", "--no-card", "--json")
    pushed = document("cli/push", run("push", "model.etui", "ada/model", *options))
    assert (pushed["revision"], pushed["path_in_repo"], pushed["card"]) == ("try", "a/b", False)
    assert hub.repo().private
    assert set(hub.repo().paths("try")) >= {"a/b/manifest.json", "a/b/weights.safetensors"}
    options = ("--revision", pushed["commit"], "--path-in-repo", "a/b", "--form", "packed", "--json")
    pulled = document("cli/pull", run("pull", "ada/model", "copy", *options, "--identity", pushed["identity"]))
    assert (pulled["form"], pulled["commit"], pulled["target"]) == ("packed", pushed["commit"], "copy")
    assert Path("copy").read_bytes() == Path("model.etui").read_bytes()


def test_refusals_are_one_line(hub: HubServer, run: Run) -> None:
    """A refusal is one line with its code, or a document, and exit code 1; a wrong name or a missing option is 2."""
    code, out, err = run("pull", "ada/none", "copy.etui")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "[hub-missing]" in err
    code, out, err = run("pull", "ada/none", "copy.etui", "--json")
    assert (code, json.loads(out)["code"]) == (1, "hub-missing")
    assert run("pull", "none", "copy.etui")[0] == 2
    assert run("push", "model.etui", "none")[0] == 2
    assert run("push", "model.etui")[0] == 2
    assert run("push", "missing.etui", "ada/model")[0] == 1
    Path("other.keras").write_bytes(b"PK")
    assert run("push", "other.keras", "ada/model")[0] in {1, 2}
    assert set(hub.state.repos) == set()
    hub.state.create("ada/model").change({"manifest.json": b"{}"})
    assert run("push", "model.etui", "ada/model")[0] == 1


def test_an_interrupt_during_a_pull_takes_effect(hub: HubServer, run: Run) -> None:
    """Ctrl-C while a download hangs ends the command at once, and nothing is written."""
    run("push", "model.etui", "ada/model")
    gone = Event()

    def hang() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert gone.wait(20)

    hub.faults.append(Fault("GET", "^/cdn/", before=hang))
    code, out, err = run("pull", "ada/model", "copy.etui")
    assert not gone.is_set()
    gone.set()
    assert (code, out, err) == (130, "", "etui: interrupted: nothing was written\n")
    assert not Path("copy.etui").exists()
    assert [path.name for path in Path().iterdir() if ".etui-" in path.name] == []
