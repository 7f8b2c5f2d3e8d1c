"""README.md and the pages of the documentation show what really happens."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.library

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "refimpl/examples/pages.py"
DOCS = sorted((ROOT / "refimpl/docs").glob("*.md"))


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that runs the pages, as a module."""
    specification = importlib.util.spec_from_file_location("pages", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "pages", module)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("README.md", 16),
        ("refimpl/docs/checkpoints.md", 12),
        ("refimpl/docs/conformance.md", 2),
        ("refimpl/docs/core-vocabulary.md", 7),
        ("refimpl/docs/implement-etui.md", 15),
        ("refimpl/docs/keras-formats.md", 12),
        ("refimpl/docs/remote.md", 12),
        ("refimpl/docs/signing.md", 18),
    ],
)
def test_every_block_shows_the_real_output(pages: ModuleType, name: str, least: int) -> None:
    """Each command and each Python statement of a page prints what stands below it."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(re.findall(r"^(?:\$|>>>) ", text, re.MULTILINE)) >= least
    assert pages.rendered(text) == text


@pytest.mark.frameworks
@pytest.mark.parametrize(("name", "least"), [("live-keras.md", 12), ("pytorch.md", 30)])
def test_a_page_on_a_framework_shows_the_real_output(name: str, least: int) -> None:
    """Each statement of a page on live models prints what stands below it, in a process of its own."""
    page = ROOT / "refimpl/docs" / name
    assert len(re.findall(r"^>>> ", page.read_text(encoding="utf-8"), re.MULTILINE)) >= least
    # On some processors oneDNN's fastest convolutions end the process in their backward pass.
    settings = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    environment = {**os.environ, **settings}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(page)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_a_block_with_other_output_is_found(pages: ModuleType) -> None:
    """Output that is wrong, missing or too much is replaced by the real one, and prose is left alone."""
    wrong = (
        "a\n```console\n$ echo 1; false\n2\n```\n```pycon\n>>> 1 + 1\n3\n4\n>>> 1 / 0\n```\n```\n$ echo prose\n```\n"
    )
    right = (
        "a\n```console\n$ echo 1; false\n1\n```\n```pycon\n>>> 1 + 1\n2\n"
        ">>> 1 / 0\nZeroDivisionError: division by zero\n```\n```\n$ echo prose\n```\n"
    )
    assert pages.rendered(wrong) == right


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", *(f"refimpl/docs/{path.name}" for path in DOCS)])
def test_links_lead_somewhere(name: str) -> None:
    """Each relative link of a page is a file of the repository."""
    page = ROOT / name
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert len(links) >= (6 if name == "README.md" else 0)
    assert [link for link in links if not (page.parent / link).exists()] == []
