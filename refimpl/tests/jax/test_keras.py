"""Functions, losses and a step of training give what Keras gives on its JAX backend."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.frameworks
SCRIPT = Path(__file__).with_name("keras_scenarios.py")
BOUND = 1e-5

NAMES = [
    node.name
    for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and any(getattr(mark, "id", "") == "scenario" for mark in node.decorator_list)
]
NAMES = [name for name in NAMES if name != "scenario"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float | str]:
    """What each scenario printed, a difference or a traceback; Keras runs in a process of its own."""
    settings = {"KERAS_HOME": str(tmp_path_factory.mktemp("keras")), "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    result = subprocess.run(
        [sys.executable, SCRIPT], env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    differences: dict[str, float | str] = json.loads(result.stdout.splitlines()[-1])
    return differences


@pytest.mark.clause("JX-4@52f12d", "JX-5@fc6d80", "JX-7@578e7e", "JX-9@fc5590", "JX-11@904068")
@pytest.mark.parametrize("name", NAMES)
def test_scenario_is_that_of_keras(name: str, found: dict[str, float | str]) -> None:
    """A scenario differs from Keras by 1e-5 of the largest number at most."""
    difference = found[name]
    assert isinstance(difference, float), difference
    assert difference <= BOUND


@pytest.mark.library
def test_no_scenario_is_left_out(found: dict[str, float | str]) -> None:
    """Every scenario of the script was run."""
    assert list(found) == NAMES
    assert len(NAMES) > 20
