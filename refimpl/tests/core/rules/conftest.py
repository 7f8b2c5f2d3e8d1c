"""The answers of the frameworks, each from one process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
Answers = Mapping[str, np.ndarray[Any, Any]]


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Answers]:
    """What a side of `rule_oracle.py` says; it is asked once."""

    @cache
    def ask(side: str) -> Answers:
        file = tmp_path_factory.mktemp("rules") / f"{side}.npz"
        done = subprocess.run(
            [sys.executable, str(HERE / "rule_oracle.py"), side, str(file)],
            env={**os.environ, "PYTHONWARNINGS": "", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"rule_oracle.py {side} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        with np.load(file) as found:
            return dict(found)

    return ask
