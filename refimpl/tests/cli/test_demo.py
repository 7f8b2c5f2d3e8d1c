"""The demo: it runs on any `.keras` file, and says so when a claim does not hold."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

import etui

pytestmark = pytest.mark.library

SCRIPT = Path(__file__).parents[2] / "examples/demo.py"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keras_file: str) -> ModuleType:
    """The demo as a module, whose command line names a folder with one small model."""
    specification = importlib.util.spec_from_file_location("demo", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "demo", module)
    specification.loader.exec_module(module)
    (tmp_path / "models").mkdir()
    (tmp_path / keras_file).rename(tmp_path / "models/small.keras")
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["demo.py", "--models", str(tmp_path / "models"), "--out", str(out)])
    return module


def test_the_demo_shows_its_commands_and_checks_its_claims(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The demo shows each command with its output and ends with claims that all hold."""
    assert demo.main() == 0
    out = capsys.readouterr().out
    for command in ("convert", "inspect", "validate", "verify", "diff"):
        assert f"\n$ etui {command} small" in out
    assert "9 of 9 claims hold" in out
    assert "NO" not in out
    assert etui.verify(tmp_path / "out/small.etui").identity in out


@pytest.mark.parametrize("oracle", ["datasets_of", "config_of", "safetensors_agrees"])
def test_a_claim_that_does_not_hold_fails_the_demo(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, oracle: str
) -> None:
    """If what a claim is computed from differs, the claim is marked and the exit code is 1."""
    answers = iter(range(100))
    monkeypatch.setattr(demo, oracle, lambda _: next(answers) if oracle != "safetensors_agrees" else False)
    assert demo.main() == 1
    assert "  NO   " in capsys.readouterr().out


def test_the_demo_without_models_fails(demo: ModuleType, tmp_path: Path) -> None:
    """A folder without a model is no success."""
    (tmp_path / "models/small.keras").unlink()
    with pytest.raises(SystemExit, match=r"no \.keras file"):
        demo.main()


def test_a_command_that_answers_otherwise_ends_the_demo(demo: ModuleType, tmp_path: Path) -> None:
    """A model that cannot be converted ends the demo with the command's output."""
    (tmp_path / "models/small.keras").write_bytes(b"PK\x03\x04")
    with pytest.raises(SystemExit, match="exit code 1 in place of 0"):
        demo.main()


def test_the_demo_keeps_its_claims_for_the_models_of_the_repository(
    demo: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For the committed models every claim holds, in less than a minute."""
    models = sorted((SCRIPT.parent / "models").glob("*.keras"))
    assert models
    monkeypatch.setattr(sys, "argv", ["demo.py", "--out", str(tmp_path / "out")])
    began = time.monotonic()
    assert demo.main() == 0
    assert time.monotonic() - began < 60
    assert f"{9 * len(models)} of {9 * len(models)} claims hold" in capsys.readouterr().out
