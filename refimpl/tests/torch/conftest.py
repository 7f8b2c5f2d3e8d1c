"""What all tests of PyTorch share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True, scope="session")
def own_convolutions() -> Iterator[None]:
    """Convolutions of torch itself: on some processors oneDNN's end the process in their backward pass."""
    torch: Any = pytest.importorskip("torch")
    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    yield
    torch.backends.mkldnn.enabled = before
