"""What holds for every test: Hypothesis is repeatable in CI, and frameworks keep quiet."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from etui.testing.browsers import NoBrowserError, chromium

# Slow machines are no bug, so no example has a deadline; CI draws the same examples on every run.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# TensorFlow's native log would hide what the tests say; the setting counts only before its first import.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# Of a module: two at a time in one process get into each other's way.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium or Chrome without a window; without one, tests are skipped, and fail where all of them must run."""
    try:
        with chromium() as found:
            yield found
    except NoBrowserError as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
