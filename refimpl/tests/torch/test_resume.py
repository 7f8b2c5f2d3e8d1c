"""Trainings that began in Keras and go on in torch, and what the extra `torch` is for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT / "refimpl" / "benchmarks" / "resume.py"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(ROOT / name) for name in ("refimpl", "conformance"))
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path, "KERAS_BACKEND": "jax"},
    )


@pytest.mark.frameworks
@pytest.mark.clause("PT-50@16de3a", "PT-51@c65c90", "PT-53@8d7efc")
def test_keras_goes_on_in_torch() -> None:
    """After fifty steps of Keras, twenty of torch lose what Keras would have, to the last bits in float64."""
    chosen = [f"--optimizer={name}" for name in ("adam", "sgd-momentum-schedule")]
    done = _run(str(BENCHMARK), "--target=torch", "--model=mlp", *chosen)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| mlp")]
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(rows) == 4


@pytest.mark.frameworks
@pytest.mark.library
def test_wrong_transfers_are_caught() -> None:
    """A fresh state, a step that is off by one and torch's own epsilon are beyond the limits of the table."""
    done = _run(str(BENCHMARK), "--target=torch", "--model=mlp", "--optimizer=adam", "--controls")
    rows = [line for line in done.stdout.splitlines() if line.startswith("| mlp")]
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert len(rows) == 3


@pytest.mark.library
def test_torch_is_imported_when_it_is_used(tmp_path: Path) -> None:
    """Neither `import etui` nor `etui.torch` imports torch; without it, the error says what to install."""
    script = """
import sys
import etui
assert etui.torch.__name__ == "etui.torch"
assert "torch" not in sys.modules
sys.modules["torch"] = None
for call in (etui.torch.load, lambda path: etui.torch.save(None, None, path), lambda path: etui.torch.CoreOptimizer):
    try:
        call("x.etui")
    except etui.MissingExtraError as fault:
        print(fault.code)
"""
    done = _run("-c", script)
    assert done.stdout.split() == ["extra-torch"] * 3, done.stderr
