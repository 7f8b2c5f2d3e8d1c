"""Programs of several processes on this machine, with several devices each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[2]
Run = Callable[..., list[int]]


# Below those that the system gives to whoever asks for any, so that none is taken between here and its use; each
# process of a test run has some for itself.
_FIRST_PORT, _PORTS = 20_000, 200
_PORTS_GIVEN = count()


def _free_port() -> str:
    first = _FIRST_PORT + _PORTS * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(_PORTS):
        port = first + next(_PORTS_GIVEN) % _PORTS
        with socket.socket() as place, suppress(OSError):
            place.bind(("127.0.0.1", port))
            return str(port)
    raise AssertionError("no port is free")


@pytest.fixture
def free_port() -> str:
    """A port for the service of a program's processes."""
    return _free_port()


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs a program in processes of its own and gives how each ended."""

    def call(
        scenarios: str, folder: Path, *, processes: int = 2, devices: int = 2, program: str = "program.py", **more: str
    ) -> list[int]:
        port = _free_port()
        environment = {
            **os.environ,
            "PYTHONPATH": f"{LIBRARY}{os.pathsep}{HERE}",
            "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
            "JAX_PLATFORMS": "cpu",
            "OMP_NUM_THREADS": "1",
            **more,
        }
        running = []
        for rank in range(processes):
            arguments = [scenarios, str(folder), str(rank), str(processes), port]
            with (folder / f"log-{rank}").open("w") as log:
                command = [sys.executable, str(HERE / program), *arguments]
                running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        try:
            return [one.wait(timeout=180) for one in running]
        finally:
            for one in running:
                one.kill()

    return call


@pytest.fixture(scope="session")
def seen_by() -> Callable[[Path, str, int], dict[str, Any]]:
    """Gives what one process saw in a scenario."""

    def call(folder: Path, scenario: str, rank: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((folder / f"{scenario}-{rank}.json").read_text())
        return found

    return call
