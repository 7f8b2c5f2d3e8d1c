"""What the tests of signing share: a key, an artifact in either form, and its signature."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import signing
from etui.testing.samples import everything

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("signing_kit")


@pytest.fixture
def key(tmp_path: Path) -> Any:
    """The key of whoever signs."""
    return kit.Key(tmp_path, "key")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An artifact with everything, in packed form."""
    etui.save(everything(), tmp_path / "model.etui")
    return tmp_path / "model.etui"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same artifact in directory form."""
    etui.save(everything(), tmp_path / "folder", form="directory")
    return tmp_path / "folder"


@pytest.fixture
def signed(packed: Path, key: Any) -> Path:
    """The signature of the artifact."""
    signing.sign(packed, key.private)
    return packed.with_name("model.etui.sig")
