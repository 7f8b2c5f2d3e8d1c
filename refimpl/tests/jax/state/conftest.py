"""Optimizers that Keras trained, each in a file; they are made once in a test run, by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[2]
MINUTES = 10


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files; the processes of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "jax-trained"
    try:
        folder.mkdir()
    except FileExistsError:
        for _ in range(60 * MINUTES):
            if (folder / "finished").exists():
                return folder
            time.sleep(1)
        pytest.fail("the process that trains did not finish")
    environment = {**os.environ, "PYTHONPATH": f"{LIBRARY}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(HERE / "keras_side.py"), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    (folder / "finished").touch()
    if done.returncode:
        pytest.fail(f"training ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return folder


@pytest.fixture
def x64() -> Iterator[None]:
    """64-bit types in JAX."""
    import jax

    with jax.enable_x64(True):
        yield
