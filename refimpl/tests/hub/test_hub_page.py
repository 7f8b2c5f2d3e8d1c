"""The page on the Hub shows what really happens."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hub_server import TOKEN, HubServer

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "refimpl/docs/hub.md"
# Other than `console`, so that no one runs them against the true Hub.
MARK, CONSOLE = "```sh-session\n", "```console\n"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that runs pages, as a module."""
    specification = importlib.util.spec_from_file_location("pages", ROOT / "refimpl/examples/pages.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "pages", module)
    specification.loader.exec_module(module)
    return module


@pytest.mark.library
def test_every_block_shows_the_real_output(
    pages: ModuleType, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each command of the page prints what stands below it; `ETUI_WRITE_PAGES` puts the real output into the page."""
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("\n$ ") >= 9
    assert text.count(MARK) >= 5
    found = pages.rendered(text.replace(MARK, CONSOLE)).replace(CONSOLE, MARK)
    if os.environ.get("ETUI_WRITE_PAGES"):
        PAGE.write_text(found, encoding="utf-8")
    assert found == text
