"""Trainings that began in Keras on JAX and go on in Keras on torch and in tf_keras."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BENCHMARK = ROOT / "refimpl" / "benchmarks" / "resume.py"
TARGETS = ("keras-torch", "tf_keras")


@pytest.mark.frameworks
@pytest.mark.library
def test_keras_goes_on_in_every_keras() -> None:
    """The losses are those of Keras on JAX, or as near as the same state put by hand; tf_keras has no Lamb."""
    path = os.pathsep.join(str(ROOT / name) for name in ("refimpl", "conformance"))
    chosen = ["--optimizer=adam-schedule", "--optimizer=lamb", *(f"--target={name}" for name in TARGETS)]
    done = subprocess.run(
        [sys.executable, str(BENCHMARK), "--model=mlp", *chosen],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("| mlp")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(row[1], row[2], row[4]) for row in rows] == [
        ("adam-schedule", "keras-torch", "exact"),
        ("adam-schedule", "tf_keras", "exact"),
        ("lamb", "keras-torch", "exact"),
        ("lamb", "tf_keras", "not-transferable"),
    ]
    assert all(row[5] for row in rows[:3])
    assert rows[3][5:7] == ["", ""]
