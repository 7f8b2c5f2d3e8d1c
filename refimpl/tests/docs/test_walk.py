"""A newcomer's walk: README.md and the first tutorial, command by command, in a fresh copy with its own environment.

To be cheap it borrows this environment's packages, except Etui and what the pages do not bring; `pip` builds and
installs Etui itself, without the network. `python refimpl/examples/walk.py` does the same with everything installed
anew.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import walk
from pages import REPOSITORY, all_pages, blocks

pytestmark = [pytest.mark.library, pytest.mark.frameworks]


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[walk.Newcomer]:
    made = walk.Newcomer(tmp_path, borrow=True)
    yield made
    made.close()


def faults(steps: list[walk.Step]) -> list[str]:
    """What went otherwise than the page says; an adapter in Rust is built where there is Rust."""
    spared = () if shutil.which("cargo") else ("cargo ",)
    return [
        f"{step.page}:{step.line} {step.command}\n{step.fault}"
        for step in steps
        if step.fault and not step.command.startswith(spared)
    ]


def test_the_readme_takes_no_step_that_is_not_written(newcomer: walk.Newcomer) -> None:
    """Every command of README.md works where the one before it has left the newcomer, and prints what stands there."""
    steps = list(newcomer.walk(walk.README))
    assert faults(steps) == []
    typed = [step.command for step in steps]
    for command in ("make demo", 'pip install ".[hdf5,tensorflow,cli', "etui verify shapes", ">>> import etui"):
        assert any(one.startswith(command) for one in typed)
    # What ran is what was installed there, and not this checkout.
    place, _ = newcomer.type('python -c "import etui; print(etui.__file__)"')
    assert Path(place.strip()).is_relative_to(newcomer.checkout / "env")


def test_the_tutorial_takes_no_step_that_is_not_written(newcomer: walk.Newcomer) -> None:
    """Every command of the tutorial works in the order of the page, in a checkout in which nothing was done before."""
    steps = list(newcomer.walk(walk.TUTORIAL))
    assert faults(steps) == []
    assert sum(step.command.startswith("python ") for step in steps) == 4
    assert len(steps) >= 17


def lines_for_the_shell(page: Path) -> list[str]:
    """What a page has in blocks for the shell."""
    shown = blocks(page.read_text(encoding="utf-8"))
    return [line for block in shown if block.language in {"", "sh"} for line in block.text.splitlines()]


def test_what_other_pages_have_for_the_shell(newcomer: walk.Newcomer) -> None:
    """What the other pages have `pip install` install are extras that there are."""
    walked = {REPOSITORY / walk.README, REPOSITORY / walk.TUTORIAL}
    lines = [line for page in all_pages() if page not in walked for line in lines_for_the_shell(page)]
    lines = [
        line for line in lines if not re.search(r"s3://bucket|https://example\.org", line)
    ]  # test_python_blocks.py
    assert len(lines) >= 3
    extras = [found for line in lines for found in re.findall(r'^pip install "\.\[([a-z0-9,]+)\]"(?: +#.*)?$', line)]
    assert len(extras) == len(lines)
    newcomer.type("python3 -m venv env && . env/bin/activate")
    # All at once, since each builds Etui anew, and without what this environment does not have.
    printed, status = newcomer.type(f'pip install --no-deps ".[{",".join(extras)}]"')
    assert (status, "does not provide the extra" in printed) == (0, False), printed


def test_a_step_that_is_not_written_is_missed(newcomer: walk.Newcomer) -> None:
    """A page that leaves out a step, prints otherwise, or names a command that fails, is told where."""
    shell = "```sh\nmkdir here\nfalse\n```\n\n```console\n$ cat missing.txt\nfound\n$ echo 1  # one\n1\n```\n"
    page = f"# Page\n\n{shell}\n```pycon\n>>> 1 + 1\n3\n```\n"
    (newcomer.checkout / "page.md").write_text(page, encoding="utf-8")
    found = {step.command.splitlines()[0]: step.fault for step in newcomer.walk("page.md")}
    assert [command for command, fault in found.items() if fault] == ["false", "cat missing.txt", ">>> 1 + 1"]
    assert "No such file" in found["cat missing.txt"]
    assert ">>> 1 + 1\n2" in found[">>> 1 + 1"]
