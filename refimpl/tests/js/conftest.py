"""The JavaScript package, installed, and bundled once for a test run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etui.testing import npm

Json = Any
HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
MINUTES = 5


@pytest.fixture(scope="session")
def javascript() -> Path:
    """The folder of the JavaScript package, with its tools installed."""
    return npm.package(LIBRARY / "js")


@pytest.fixture(scope="session")
def bundled(javascript: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for Node, as modules that need no others."""
    return npm.bundle(javascript, tmp_path_factory.mktemp("bundle"), "node.ts", "tfjs/index.ts")


Predict = Callable[[list[dict[str, Json]]], list[dict[str, Json]]]


@pytest.fixture(scope="session")
def tensorflowjs(bundled: Path) -> Predict:
    """Has TensorFlow.js predict what etuis hold, all tasks in one process."""
    packages = npm.tensorflowjs()

    def ask(tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
        command = ["node", str(HERE / "predict.mjs"), str(bundled), str(packages)]
        results: list[dict[str, Json]] = json.loads(run(command, json.dumps(tasks)))
        assert len(results) == len(tasks)
        return results

    return ask


@pytest.fixture(scope="session")
def in_keras() -> Callable[..., str]:
    """Runs a script of this folder with Keras of one name."""

    def ask(script: str, *arguments: str) -> str:
        threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
        surroundings = {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(LIBRARY), "PYTHONWARNINGS": "", **threads}
        return run([sys.executable, str(HERE / script), *arguments], "", **surroundings)

    return ask


def run(command: list[str], given: str, **environment: str) -> str:
    """What a process says, or a failed test with its complaint."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        input=given,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command[:2]} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout
