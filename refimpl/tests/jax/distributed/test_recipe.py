"""The recipe of a manager of checkpoints, run as the script that it is: on devices, and on processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import etui
from etui.checkpoints import Series

RECIPE = Path(__file__).parents[3] / "examples" / "recipes" / "jax_manager.py"
pytestmark = [pytest.mark.library, pytest.mark.frameworks]


def started(folder: Path, devices: int, *arguments: str) -> subprocess.Popen[str]:
    """The recipe on its way."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(etui.__file__).parents[1]),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, str(RECIPE), str(folder), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def printed(*running: subprocess.Popen[str]) -> list[list[str]]:
    """What each process prints of its own."""
    found = []
    for process in running:
        out, log = process.communicate(timeout=180)
        assert process.returncode == 0, log[-3000:]
        found.append([line for line in out.splitlines() if line.startswith(("begins", "goes on", "done"))])
    return found


def steps(folder: Path) -> dict[int, str]:
    """The steps that are there, each by its identity; every byte is checked."""
    series = Series(folder, create=False)
    series.verify()
    return {step.number: step.identity for step in series.steps()}


def test_it_goes_on_bit_for_bit_and_keeps_what_it_should(tmp_path: Path) -> None:
    """A run in two parts ends with the very steps of one run: the last two and the best of all."""
    straight, parts = tmp_path / "straight", tmp_path / "parts"
    running = started(straight, 4, "--steps", "60"), started(parts, 4, "--steps", "30")
    assert [lines[0] for lines in printed(*running)] == ["begins", "begins"]
    assert printed(started(parts, 4, "--steps", "60"))[0][0] == "goes on from step 30"
    assert steps(parts) == steps(straight)
    best = Series(straight).best("loss")
    assert best is not None
    assert sorted(steps(straight)) == sorted({best.number, 50, 60})


def test_two_processes_go_on_where_one_ended(tmp_path: Path, free_port: str) -> None:
    """Two processes of two devices each go on with the steps of one process of four, and save steps together."""
    printed(started(tmp_path, 4, "--steps", "20"))
    both = [
        started(tmp_path, 2, "--steps", "40", "--processes", f"127.0.0.1:{free_port}", "2", str(rank))
        for rank in (0, 1)
    ]
    for lines in printed(*both):
        assert lines[0] == "goes on from step 20"
        assert lines[1].startswith("done at step 40")
    assert {30, 40} <= steps(tmp_path).keys()
    latest = Series(tmp_path).latest()
    assert latest is not None
    with latest.open() as model:
        assert model.weights is not None
        assert model.optimizer is not None
        assert len(model.weights["params/w1"].tensor.pieces) == 4
        assert model.optimizer.optimizers["optimizer"].step == 40
