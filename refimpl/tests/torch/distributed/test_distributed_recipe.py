"""The recipe of FSDP2, run as the script that it is: by two processes in two parts, and then by one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import etui
from etui.checkpoints import Series

RECIPE = Path(__file__).parents[3] / "examples" / "recipes" / "torch_fsdp.py"
pytestmark = [pytest.mark.library, pytest.mark.frameworks]


def run(folder: Path, steps: int, world: int) -> list[str]:
    """What the first process prints of its own; the environment is the one that torchrun makes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": str(Path(etui.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    if world > 1:
        environment |= {"WORLD_SIZE": str(world), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", str(RECIPE), str(folder), "--steps", str(steps)]
    ranks = [environment | {"RANK": str(rank)} for rank in range(world)] if world > 1 else [environment]
    running = [
        subprocess.Popen(command, env=one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for one in ranks
    ]
    told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * world, told
    return told[0][0].splitlines()


def test_it_goes_on_bit_for_bit_and_as_another_number_of_processes(tmp_path: Path) -> None:
    """A run in two parts ends with the very step of one run, and one process goes on from what two have saved."""
    assert run(tmp_path, 20, 2) == ["begins", "done at step 20"]
    series = Series(tmp_path)
    straight = series[20].identity
    assert [step.number for step in series.steps()] == [10, 20]
    series.remove(20)
    series.collect()
    assert run(tmp_path, 20, 2) == ["goes on from step 10", "done at step 20"]
    assert series[20].identity == straight
    assert run(tmp_path, 30, 1) == ["goes on from step 20", "done at step 30"]
    assert [step.number for step in series.steps()] == [20, 30]
    assert len(series.verify()) == 2
    with series[30].open() as found:
        assert found.optimizer is not None
        assert found.optimizer.optimizers["optimizer"].step == 30
