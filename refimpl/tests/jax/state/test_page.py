"""The page on JAX shows what really happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]


@pytest.mark.library
@pytest.mark.frameworks
def test_the_page_on_jax_shows_the_real_output() -> None:
    """Each statement of the page prints what stands below it, in a process of its own."""
    page = ROOT / "refimpl/docs/jax.md"
    assert len(re.findall(r"^>>> ", page.read_text(encoding="utf-8"), re.MULTILINE)) >= 30
    environment = {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "refimpl/examples/pages.py"), str(page)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
