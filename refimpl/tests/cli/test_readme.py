"""README.md shows what really happens."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.library

ROOT = Path(__file__).parents[3]


@pytest.fixture
def readme(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that runs README.md, as a module."""
    specification = importlib.util.spec_from_file_location("readme", ROOT / "refimpl/examples/readme.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    monkeypatch.setitem(sys.modules, "readme", module)
    specification.loader.exec_module(module)
    return module


def test_every_block_of_the_readme_shows_the_real_output(readme: ModuleType) -> None:
    """Each command and each Python statement of README.md prints what stands below it."""
    text = readme.README.read_text(encoding="utf-8")
    assert len(re.findall(r"^\$ ", text, re.MULTILINE)) >= 8
    assert len(re.findall(r"^>>> ", text, re.MULTILINE)) >= 8
    assert readme.rendered(text) == text


def test_a_block_with_other_output_is_found(readme: ModuleType) -> None:
    """Output that is wrong, missing or too much is replaced by the real one, and prose is left alone."""
    wrong = (
        "a\n```console\n$ echo 1; false\n2\n```\n```pycon\n>>> 1 + 1\n3\n4\n>>> 1 / 0\n```\n```\n$ echo prose\n```\n"
    )
    right = (
        "a\n```console\n$ echo 1; false\n1\n```\n```pycon\n>>> 1 + 1\n2\n"
        ">>> 1 / 0\nZeroDivisionError: division by zero\n```\n```\n$ echo prose\n```\n"
    )
    assert readme.rendered(wrong) == right


def test_links_of_the_readme_lead_somewhere() -> None:
    """Each relative link of README.md is a file of the repository."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(links) >= 6
    assert [link for link in links if not (ROOT / link).exists()] == []
