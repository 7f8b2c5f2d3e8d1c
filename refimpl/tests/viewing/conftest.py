"""What the tests of viewing share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import etui
from etui.testing.samples import everything

MODELS = Path(__file__).parents[2] / "examples" / "models"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A packed artifact with everything."""
    etui.save(everything(), tmp_path / "sample.etui")
    return tmp_path / "sample.etui"


@pytest.fixture
def demo() -> Callable[[str], Path]:
    """The path of a model of the demonstration: ``shapes.keras`` or ``words.keras``."""
    return lambda name: MODELS / name
