"""What the tests of the Hub share: a stand-in on this machine, and a client that asks no other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read once, when huggingface_hub is imported: no Xet, of which there is no stand-in, and no word to the true Hub.
os.environ["HF_HUB_DISABLE_XET"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["NO_PROXY"] = "127.0.0.1,localhost"
sys.path.insert(0, str(Path(__file__).parent / "standin"))

import huggingface_hub
from hub_server import HubServer, running
from huggingface_hub import constants


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the tests of a module: to make one takes longer than most tests."""
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The client keeps what it downloads in the test's folder, has no token of its own, and does not wait to retry."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """The stand-in, empty; `access` is what `push` and `pull` take to reach it as ada."""
    with running() as server:
        yield server
