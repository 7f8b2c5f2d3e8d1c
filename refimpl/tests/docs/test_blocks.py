"""No block of code of README.md and the documentation is there without a test that runs it."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import walk
import yaml
from pages import REPOSITORY, Block, Mark, all_pages, blocks, mark

pytestmark = pytest.mark.library

TESTS = REPOSITORY / "refimpl" / "tests"
PYTHON = (TESTS / "docs" / "test_python_blocks.py").read_text(encoding="utf-8")
PROMPTED = re.compile(r"^(\$|>>>) ", re.MULTILINE)


def fault(page: str, block: Block, said: Mark) -> str:
    """Why no test runs a block or reads it as data; empty if one does."""
    by_its_test = bool(said.test) and Path(page).name in (REPOSITORY / said.test).read_text(encoding="utf-8")
    if said.test and not by_its_test:
        return f"{said.test} does not name the page"
    match block.language:
        case "console" | "pycon":
            # By tests/cli/test_pages.py, which takes every page that names no test.
            return "" if PROMPTED.search(block.text) else "nothing is typed in it"
        case "python" if block.title:
            script = Path(block.title).name
            others = [path for path in TESTS.rglob("test_*.py") if path != Path(__file__)]
            found = any(script in path.read_text(encoding="utf-8") for path in others)
            walked = block.title.startswith("tutorial/") and page == walk.TUTORIAL
            return "" if found or walked else f"no test runs {block.title}"
        case "python":
            return "" if by_its_test or f'"{page}": ' in PYTHON else "test_python_blocks.py does not have the page"
        case "sh" | "":
            return ""  # test_walk.py types those of every page
        case "js":
            return "" if by_its_test or page == "README.md" else "no test runs it"  # test_javascript_blocks.py
        case "text":
            return "commands in a text are run by nobody" if PROMPTED.search(block.text) else ""
        case "json":
            json.loads(block.text)
        case "yaml":
            yaml.safe_load(block.text)
        case "toml":
            tomllib.loads(block.text)
        case _:
            return "" if by_its_test else f"{block.language}: the page names no test that runs it"
    return ""


PAGES = [page.relative_to(REPOSITORY).as_posix() for page in all_pages()]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_read_by_a_test(page: str) -> None:
    """Each block of a page is of a kind that some test runs or reads, on that page."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    said = mark(text)
    if said.test:
        assert (REPOSITORY / said.test).is_file()
    assert [f"{page}:{block.line}: {why}" for block in blocks(text) if (why := fault(page, block, said))] == []
    # Whatever looks like a fence is a block, so that none escapes.
    fences = re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)
    assert len(fences) == 2 * len(blocks(text))


def test_the_blocks_are_found() -> None:
    """The pages have blocks of each kind that they are known to have."""
    kinds = Counter(
        block.language for page in PAGES for block in blocks((REPOSITORY / page).read_text(encoding="utf-8"))
    )
    assert kinds["console"] > 40
    assert kinds["pycon"] > 40
    assert kinds["python"] > 12
    assert {"sh", "text", "yaml"} <= set(kinds)


@pytest.mark.parametrize(
    ("block", "said", "why"),
    [
        (Block(1, "console", "", "no prompt\n"), Mark(), "nothing is typed in it"),
        (Block(1, "python", "recipes/none.py", "1\n"), Mark(), "no test runs recipes/none.py"),
        (Block(1, "python", "", "1\n"), Mark(), "test_python_blocks.py does not have the page"),
        (Block(1, "text", "", "$ ls\n"), Mark(), "commands in a text are run by nobody"),
        (Block(1, "js", "", "1;\n"), Mark(), "no test runs it"),
        (Block(1, "html", "", "<p>\n"), Mark(), "html: the page names no test that runs it"),
        (Block(1, "js", "", "1;\n"), Mark(test="refimpl/tests/docs/conftest.py"), "does not name the page"),
    ],
)
def test_a_block_that_nothing_runs_is_found(block: Block, said: Mark, why: str) -> None:
    """A block of each kind on a page of which no test knows is told."""
    assert why in fault("refimpl/docs/unknown.md", block, said)


@pytest.mark.parametrize(
    "data", [Block(1, "json", "", "{"), Block(1, "yaml", "", "a: [\n"), Block(1, "toml", "", "a=\n")]
)
def test_data_that_is_none_is_found(data: Block) -> None:
    """A block of data that does not parse fails."""
    with pytest.raises((ValueError, yaml.YAMLError)):
        fault("refimpl/docs/unknown.md", data, Mark())


@pytest.mark.parametrize("comment", ["elsewhere", "frameworks refimpl/tests/x.py", "a.py b.py"])
def test_a_mark_that_says_what_is_not_known_is_refused(comment: str) -> None:
    """A page that says how its blocks are run in other words than these is refused."""
    with pytest.raises(ValueError, match="not known"):
        mark(f"# A page\n\n<!-- blocks: {comment} -->\n")
