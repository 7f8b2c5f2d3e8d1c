"""What holds for every test of faults: nothing needs to reach the device, as the machine itself does not fall."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "harness"))


@pytest.fixture(scope="module", autouse=True)
def no_wait_for_the_device() -> Iterator[None]:
    """The seam sees that a flush is asked for; what it would do is worlds.py's matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
