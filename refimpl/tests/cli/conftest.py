"""What the tests of the commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import schemas
from etui.cli import main
from etui.testing.samples import everything


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Answer:
        code = main(list(arguments))
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def run_json(run: Run) -> Callable[..., tuple[int, Any]]:
    """Runs a command line with --json, and gives the exit code and the document, which its schema accepts."""

    def call(schema: str, *arguments: str) -> tuple[int, Any]:
        answer = run(*arguments, "--json")
        assert answer.err == ""
        document = json.loads(answer.out)
        assert [str(fault) for fault in schemas.validate(schema, document, schema)] == []
        return answer.code, document

    return call


@pytest.fixture
def sample(tmp_path: Path) -> str:
    """The name of a packed artifact with everything, in the folder of `run`."""
    etui.save(everything(), tmp_path / "sample.etui")
    return "sample.etui"


@pytest.fixture
def keras_file(tmp_path: Path) -> str:
    """The name of a small `.keras` file, in the folder of `run`."""
    kernel = etui.Module(
        "dense", op="keras:Dense", attrs={"units": 1, "use_bias": False}, params={"kernel": "dense/kernel"}
    )
    model = etui.Model(
        config=etui.Config(etui.Module("small", op="keras:Sequential", modules=[kernel])), weights=etui.Weights()
    )
    assert model.weights is not None
    model.weights.add("dense/kernel", etui.Tensor.of([[1.0]]), role="kernel")
    etui.save(model, tmp_path / "small.etui")
    etui.convert(tmp_path / "small.etui", tmp_path / "small.keras")
    return "small.keras"


@pytest.fixture
def unsafe(tmp_path: Path) -> str:
    """The name of an artifact whose weights are a link to a file outside of it."""
    etui.save(everything(), tmp_path / "unsafe", form="directory")
    data = tmp_path / "unsafe/weights.safetensors"
    data.rename(tmp_path / "outside")
    data.symlink_to(tmp_path / "outside")
    return "unsafe"
