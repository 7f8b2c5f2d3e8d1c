"""What the tests of the documentation share: its site, the scripts that run its pages, and a stand-in for the Hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TESTS = ROOT / "refimpl" / "tests"
sys.path[:0] = [str(ROOT / "refimpl" / "examples"), str(TESTS / "hub" / "standin"), str(ROOT / "refimpl")]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make site` builds it, by a process that reaches no network."""
    folder = tmp_path_factory.mktemp("site") / "site"
    code = (
        "import socket, sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo'): raise OSError(f'it asks the network: {arguments}')\n"
        "sys.addaudithook(refuse)\n"
        "from mkdocs.__main__ import cli\n"
        "cli(['build', '--strict', '--quiet', '--site-dir', sys.argv[1]])\n"
    )
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder
