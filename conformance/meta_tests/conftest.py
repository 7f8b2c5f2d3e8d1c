"""What several tests of the suite use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import etui
from etui.testing import samples
from etui_conformance.adapters.reference import start
from etui_conformance.checks.base import Check, Context, Settings
from etui_conformance.protocol.in_process import Handle, InProcess

Json = dict[str, Any]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A packed artifact with a part of every role, as the reference library writes it."""
    path = tmp_path_factory.mktemp("artifact") / "everything.etui"
    etui.save(samples.everything(), path)
    return path.read_bytes()


@pytest.fixture
def ask(tmp_path: Path) -> Callable[[Check, Callable[[Mapping[str, Any], Json], Json]], None]:
    """Runs a check on the library behind something that changes its replies, that to `hello` included."""

    def run(check: Check, spoil: Callable[[Mapping[str, Any], Json], Json]) -> None:
        def begin() -> Handle:
            answer = start()
            return lambda request: spoil(request, dict(answer(request)))

        session = InProcess(begin, tmp_path)
        check.run(Context(session, Settings(), lambda: InProcess(begin, tmp_path)))

    return run
