"""Runs the commands and the Python of the documentation, and compares what they print with what the pages show.

    python refimpl/examples/pages.py [PAGE ...]           prints the differences; the exit code is 1 if there are any
    python refimpl/examples/pages.py --write [PAGE ...]   puts the real output into the pages

Blocks marked `console` are run by bash, line by line, and blocks marked `pycon` by Python, in the order of the page, in
a folder that holds the demo's models. A block `python title="recipes/…"` is that script of this folder, as it is, which
a test of its own runs; it is in the page's folder, too. Without arguments the pages are README.md and those below
`refimpl/docs`.

A page says in a comment how its blocks are run, unless this script runs them without a framework:

    <!-- blocks: frameworks KERAS_BACKEND=jax -->     in a process of its own, with these variables of the environment
    <!-- blocks: frameworks digests-vary -->          where numbers differ from machine to machine, and so the digests
    <!-- blocks: refimpl/tests/hub/test_hub_page.py -->    by this test alone
"""

from __future__ import annotations

import argparse
import code
import contextlib
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "refimpl" / "docs"
_BLOCK = re.compile(r"```(console|pycon)\n(.*?)```", re.DOTALL)
_SCRIPT = re.compile(r'```python title="([a-z_/]+\.py)"\n.*?```', re.DOTALL)
_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<language>[^\s`]*)[ \t]*(?P<rest>[^\n]*)\n(?P<text>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]*)"')
_MARK = re.compile(r"<!-- blocks: ([^\n]*?) -->")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PROMPTS = (">>> ", "... ")
_COMMANDS = {  # of the shell, with what Python is given to run them
    "etui": "-m etui",
    "etui-conformance": "-c 'import sys; from etui_conformance.cli import main; sys.exit(main())'",
    "python": "",
}
# Frameworks keep quiet, and compute alike on every processor: oneDNN's fastest convolutions end the process on some.
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page.

    Attributes:
        line: of the page, on which it begins.
        language: what stands behind the back-ticks, or empty.
        title: the script that it shows, or empty.
        text: its lines.
    """

    line: int
    language: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """What a page says of how its blocks are run.

    Attributes:
        frameworks: whether they need keras, tensorflow, torch or jax.
        digests_vary: whether digests in the output are those of numbers that differ from machine to machine.
        settings: variables of the environment.
        test: the test that runs them instead of this script, or empty.
    """

    frameworks: bool = False
    digests_vary: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    test: str = ""


def all_pages() -> list[Path]:
    """README.md and the pages of the documentation."""
    return [README, *sorted(DOCS.rglob("*.md"))]


def blocks(text: str) -> list[Block]:
    """The blocks of code of a page."""
    found = []
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 1
        found.append(Block(line, fence["language"], "".join(_TITLE.findall(fence["rest"])), fence["text"]))
    return found


def mark(text: str) -> Mark:
    """What a page says of how its blocks are run.

    Raises:
        ValueError: it says what is not known here.
    """
    found = _MARK.search(text)
    if found is None:
        return Mark()
    words = found[1].split()
    settings = {name: value for name, equals, value in (word.partition("=") for word in words) if equals}
    tests = [word for word in words if word.endswith(".py")]
    flags = {word for word in words if "=" not in word and word not in tests}
    if flags - {"frameworks", "digests-vary"} or len(tests) > 1 or (tests and len(words) > 1):
        raise ValueError(f"not known: {found[0]}")
    return Mark("frameworks" in flags, "digests-vary" in flags, settings, "".join(tests))


def same(text: str, real: str) -> bool:
    """Whether a page shows the real output; where digests vary, whatever they are."""
    if mark(text).digests_vary:
        text, real = (_DIGEST.sub("sha256:…", page) for page in (text, real))
    return text == real


def rendered(text: str) -> str:
    """The page with the real output in each of its blocks, and with the scripts that it shows."""
    text = _SCRIPT.sub(lambda block: f'```python title="{block[1]}"\n{_script(block[1])}```', text)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in [*(Path(__file__).parent / "models").glob("*.keras"), *map(_path, _SCRIPT.findall(text))]:
            shutil.copy(path, folder)
        with contextlib.chdir(folder):
            runners: dict[str, Callable[[str], str]] = {"console": Shell(folder).run, "pycon": Interpreter().run}
            return _BLOCK.sub(lambda block: f"```{block[1]}\n{runners[block[1]](block[2])}```", text)


def _path(script: str) -> Path:
    return Path(__file__).parent / script


def _script(name: str) -> str:
    return _path(name).read_text(encoding="utf-8")


class Shell:
    """Runs the lines that begin with `$` by bash, where the commands are those of this checkout, which is `$ETUI`."""

    def __init__(self, folder: Path) -> None:
        bin_ = folder / ".bin"
        bin_.mkdir()
        for name, arguments in _COMMANDS.items():
            script = bin_ / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            script.chmod(0o755)
        self.environment = {
            **os.environ,
            "COLUMNS": "100",
            "ETUI": str(REPOSITORY),
            "LC_ALL": "C.UTF-8",
            "PATH": os.pathsep.join([str(bin_), os.environ.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "refimpl"), str(REPOSITORY / "conformance")]),
        }

    def run(self, block: str) -> str:
        """The block with the output of each command behind it."""
        lines = []
        for line in block.splitlines():
            if line.startswith("$ "):
                lines.append(line)
                done = subprocess.run(
                    ["bash", "-c", line[2:].partition("  #")[0]],
                    env=self.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
                lines += done.stdout.decode().splitlines()
        return "".join(f"{line}\n" for line in lines)


class Interpreter:
    """Runs the lines that begin with a prompt, as Python's own prompt does."""

    def __init__(self) -> None:
        self.console = code.InteractiveConsole({"__name__": "__console__"})

    def run(self, block: str) -> str:
        """The block with what each statement prints behind it; of a traceback, the last line."""
        lines: list[str] = []
        for line in block.splitlines():
            if line.startswith(_PROMPTS) or line == "...":
                lines += [line, *self._answer(line[4:])]
        return "".join(f"{line}\n" for line in lines)

    def _answer(self, line: str) -> list[str]:
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            self.console.push(line)
        return [*output.getvalue().splitlines(), *errors.getvalue().splitlines()[-1:]]


def main() -> int:
    """Compare or rewrite the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", metavar="PAGE", nargs="*", type=Path, help="by default all")
    parser.add_argument("--write", action="store_true", help="put the real output into the pages")
    options = parser.parse_args()
    paths = [path.resolve() for path in options.pages] or [path for path in all_pages() if not _mark_of(path).test]
    return max(_page(path, write=options.write, alone=len(paths) == 1) for path in paths)


def _mark_of(path: Path) -> Mark:
    return mark(path.read_text(encoding="utf-8"))


def _page(path: Path, *, write: bool, alone: bool) -> int:
    text = path.read_text(encoding="utf-8")
    if mark(text).frameworks:
        settings = {**_QUIET, **mark(text).settings}
        if not alone:
            again = [sys.executable, __file__, *(["--write"] if write else []), str(path)]
            return subprocess.run(again, check=False).returncode
        os.environ.update(settings)
    real = rendered(text)
    if same(text, real):
        return 0
    if write:
        path.write_text(real, encoding="utf-8")
        return 0
    names = (str(path), f"{path}: real output")
    sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), real.splitlines(True), *names))
    return 1


if __name__ == "__main__":
    sys.exit(main())
