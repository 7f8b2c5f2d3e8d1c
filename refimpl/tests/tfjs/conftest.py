"""A kit that makes small TensorFlow.js models, and TensorFlow.js itself, installed once into a cache folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from etui.testing.npm import bundle, locked, package, tensorflowjs
from etui.testing.tfjs_models import Kit

Json = Any
HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
MINUTES = 10


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Makes and reads small models of TensorFlow.js."""
    return Kit(tmp_path)


def run_script(command: list[str], tasks: list[dict[str, Json]], **environment: str) -> list[dict[str, Json]]:
    """Run tasks in a process of their own, and fail the test with its words if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONWARNINGS": "", **environment},
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command[:2]} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    results: list[dict[str, Json]] = json.loads(done.stdout)
    assert len(results) == len(tasks)
    return results


def once(folder: Path, work: Callable[[Path], Json]) -> Json:
    """What a work gives as JSON: done by the first process of a test run that asks, and read by the others."""
    with locked(folder):
        results = folder / "results.json"
        if not results.is_file():
            results.write_text(json.dumps(work(folder)))
        return json.loads(results.read_text())


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def prepared() -> Callable[[Path, Callable[[Path], Json]], Json]:
    """Does work in a folder that the processes of one test run share, once."""
    return once


Judge = Callable[[list[dict[str, Json]]], list[dict[str, Json]]]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Runs tasks in TensorFlow.js, all of them in one process."""
    packages = tensorflowjs()

    def ask(tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return run_script(["node", str(HERE / "judge.js")], tasks, NODE_PATH=str(packages))

    return ask


@pytest.fixture(scope="session")
def through_etui(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Has TensorFlow.js predict what etuis hold, by way of the JavaScript library."""
    library = bundle(package(LIBRARY / "js"), tmp_path_factory.mktemp("bundle"), "node.ts", "tfjs/index.ts")
    packages = tensorflowjs()

    def ask(tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return run_script(["node", str(LIBRARY / "tests" / "js" / "predict.mjs"), str(library), str(packages)], tasks)

    return ask


def _in_keras(framework: str, tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, str(HERE / "keras_models.py"), framework]
    return run_script(command, tasks, KERAS_BACKEND="tensorflow", **threads)


@pytest.fixture(scope="session")
def keras() -> Judge:
    """Runs tasks in tf_keras, all of them in one process."""
    return partial(_in_keras, "tf_keras")


@pytest.fixture(scope="session")
def keras_3() -> Judge:
    """Runs tasks in Keras 3, all of them in one process."""
    return partial(_in_keras, "keras")
