"""README.md and the pages of the documentation show what really happens."""

from __future__ import annotations

import importlib.util
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
PROMPT = re.compile(r"^```(?:console|pycon|sh-session)$", re.MULTILINE)


def _marked(pattern: str) -> list[Path]:
    """The pages with prompts whose comment on their blocks is of that form."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *DOCS)}
    marks = {path: "".join(re.findall(r"<!-- blocks: (.*?) -->", text)) for path, text in texts.items()}
    return [path for path, text in texts.items() if PROMPT.search(text) and re.fullmatch(pattern, marks[path])]


PLAIN = _marked("")
# The walk through the tutorial is a test of its own, with these blocks and the commands between them.
FRAMEWORKS = [path for path in _marked("frameworks.*") if path.name != "tutorial.md"]


def _name(page: Path) -> str:
    return page.name


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


def test_no_page_is_left_out(pages: ModuleType) -> None:
    """Every page with prompts is run below, or names the test that runs it."""
    prompted = {path for path in pages.all_pages() if PROMPT.search(path.read_text(encoding="utf-8"))}
    named = {path for path in prompted if pages.mark(path.read_text(encoding="utf-8")).test}
    walked = {ROOT / "refimpl/docs/tutorial.md"}
    assert {*PLAIN, *FRAMEWORKS} | named | walked == prompted
    assert len(PLAIN) >= 11
    assert len(FRAMEWORKS) >= 5


@pytest.mark.parametrize("page", PLAIN, ids=_name)
def test_every_block_shows_the_real_output(pages: ModuleType, page: Path) -> None:
    """Each command and each Python statement of a page prints what stands below it."""
    text = page.read_text(encoding="utf-8")
    assert pages.rendered(text) == text


@pytest.mark.frameworks
@pytest.mark.parametrize("page", FRAMEWORKS, ids=_name)
def test_a_page_on_a_framework_shows_the_real_output(page: Path) -> None:
    """Each statement of a page on a framework prints what stands below it, in a process of its own."""
    done = subprocess.run([sys.executable, str(SCRIPT), str(page)], capture_output=True, text=True, check=False)
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
