"""What the tests of programs share: an artifact whose model can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

import etui
from etui.testing.runnable import core_model


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A packed artifact of the core vocabulary."""
    path = tmp_path / "model.etui"
    etui.save(core_model(), path)
    return path
