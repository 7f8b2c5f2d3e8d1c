"""Runs the scenarios of live models, each framework and backend in a process of its own, once in a test run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
MINUTES = 20
ONCE = ("keras-torch", "tf_keras")
FRAMEWORKS = ("keras-tensorflow", "keras-jax", "keras-torch", "tf_keras")


def run_all(framework: str, folder: Path) -> None:
    """Run every scenario; one that fails is told apart by its test."""
    package, _, backend = framework.partition("-")
    environment = {**os.environ, "PYTHONPATH": f"{LIBRARY}{os.pathsep}{HERE}", "PYTHONWARNINGS": ""}
    environment |= {"ETUI_TEST_FRAMEWORK": package, "KERAS_BACKEND": backend or "tensorflow"}
    done = subprocess.run(
        [sys.executable, str(HERE / "run_scenarios.py"), str(folder / "work"), str(folder / "outcome.json")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"the scenarios of {framework} ended with {done.returncode}:\n{done.stderr[-4000:]}")


@pytest.fixture(scope="session")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What became of each scenario with a framework; the processes of one test run share it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "live"

    def of(framework: str) -> dict[str, Any]:
        folder = shared / framework
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            for _ in range(60 * MINUTES):
                if (folder / "finished").exists():
                    break
                time.sleep(1)
        else:
            try:
                run_all(framework, folder)
            finally:
                (folder / "finished").touch()
        found: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
        return found

    return of


def checker(framework: str, outcome: Callable[[str], dict[str, Any]]) -> Callable[[str], None]:
    """Asserts that a scenario went well with a framework."""

    def check(name: str) -> None:
        found = outcome(framework)
        assert name in found, f"no scenario {name}"
        if found[name]["fault"]:
            pytest.fail(f"{name} with {framework}:\n{found[name]['fault']}")

    return check


@pytest.fixture(params=FRAMEWORKS)
def holds(request: pytest.FixtureRequest, outcome: Callable[[str], dict[str, Any]]) -> Callable[[str], None]:
    """Asserts that a scenario went well with tf_keras and with each backend of Keras 3."""
    return checker(request.param, outcome)


@pytest.fixture(params=ONCE)
def holds_once(request: pytest.FixtureRequest, outcome: Callable[[str], dict[str, Any]]) -> Callable[[str], None]:
    """Asserts that a scenario went well with tf_keras and with one backend of Keras 3, the quickest."""
    return checker(request.param, outcome)
