"""Whole models cross between frameworks and come back: the script that writes `crossing.md`, on small ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.frameworks
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def crossed(folder: Path, source: str, *names: str) -> dict[str, Any]:
    """The record of the script for models of a framework."""
    record = folder / "record.json"
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "crossing.py"), "--from", source, "--record", str(record), *names],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return dict(json.loads(record.read_text()))


@pytest.mark.clause("PT-1@65a29a", "PT-47@1f5231", "JX-4@52f12d", "KC-32@93bf80")
def test_architectures_of_keras_and_back(tmp_path: Path) -> None:
    """Two architectures predict the same in torch and JAX, in float64 to its last digits, and back in Keras in bits."""
    record = crossed(tmp_path, "keras", "MobileNet", "MobileNetV3Small")
    assert record["verdicts"] == {"same": 4}
    assert [(one["target"], one["back"]) for one in record["rows"]] == [("torch", True), ("jax", True)] * 2
    assert all(one["exact"] <= 1e-12 for one in record["rows"])


@pytest.mark.clause("PT-34@0279dd", "PT-49@bb9318", "JX-4@52f12d", "KC-23@609aea", "KC-27@3beb63")
def test_models_of_torch_and_back(tmp_path: Path) -> None:
    """Three models of torch give the same in Keras and JAX, and come back from Keras; only summed biases change."""
    names = ("ResNet", "LSTM, 2 layers, bidirectional", "transformer encoder")
    record = crossed(tmp_path, "torch", *names)
    assert record["verdicts"] == {"same": 12}
    back = {one["name"]: (one["difference"] == 0, one["note"]) for one in record["rows"] if one["target"] == "back"}
    assert back == {names[0]: (True, ""), names[1]: (False, "bias = bias_ih + bias_hh"), names[2]: (True, "")}
