"""The second act of the demonstration: Keras, PyTorch, JAX and Keras again, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "relay.py"


@pytest.mark.library
@pytest.mark.frameworks
def test_a_training_goes_through_all_frameworks(tmp_path: Path) -> None:
    """The losses of a short relay are those of the uninterrupted run, and the picture is drawn in both forms."""
    command = [sys.executable, str(SCRIPT), "--steps", "2", "--task", "digits", "--out", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("largest difference") == 4
    assert done.stdout.rstrip().endswith("as one")
    assert (tmp_path / "relay.png").stat().st_size > 10_000
    assert (tmp_path / "relay.svg").read_text().startswith("<?xml")
