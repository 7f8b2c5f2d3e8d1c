"""What holds for every test of the storage layer."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_wait_for_the_device() -> Iterator[None]:
    """A test that must not survive a power cut need not flush; test_durability.py sees that the library asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
