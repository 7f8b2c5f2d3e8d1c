"""Runs the commands and the Python of the documentation, and compares what they print with what the pages show.

    python refimpl/examples/pages.py [PAGE ...]           prints the differences; the exit code is 1 if there are any
    python refimpl/examples/pages.py --write [PAGE ...]   puts the real output into the pages

Blocks marked `console` are run by bash, line by line, and blocks marked `pycon` by Python, in the order of the page, in
a folder that holds the demo's models. A block `python title="recipes/…"` is that script of this folder, as it is, which
a test of its own runs. Without arguments the pages are README.md and those below `refimpl/docs`;
`live-keras.md` needs Keras.
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
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
DOCS = REPOSITORY / "refimpl" / "docs"
_BLOCK = re.compile(r"```(console|pycon)\n(.*?)```", re.DOTALL)
_SCRIPT = re.compile(r'```python title="([a-z_/]+\.py)"\n.*?```', re.DOTALL)
_PROMPTS = (">>> ", "... ")
_COMMANDS = {  # of the shell, with what Python is given to run them
    "etui": "-m etui",
    "etui-conformance": "-c 'import sys; from etui_conformance.cli import main; sys.exit(main())'",
    "python": "",
}


def rendered(text: str) -> str:
    """The page with the real output in each of its blocks, and with the scripts that it shows."""
    text = _SCRIPT.sub(lambda block: f'```python title="{block[1]}"\n{_script(block[1])}```', text)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in (Path(__file__).parent / "models").glob("*.keras"):
            shutil.copy(model, folder)
        with contextlib.chdir(folder):
            runners: dict[str, Callable[[str], str]] = {"console": Shell(folder).run, "pycon": Interpreter().run}
            return _BLOCK.sub(lambda block: f"```{block[1]}\n{runners[block[1]](block[2])}```", text)


def _script(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


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
    changed = 0
    for page in [path.resolve() for path in options.pages] or [README, *sorted(DOCS.glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        real = rendered(text)
        changed += text != real
        if options.write:
            page.write_text(real, encoding="utf-8")
        else:
            names = (str(page), f"{page}: real output")
            sys.stdout.writelines(difflib.unified_diff(text.splitlines(True), real.splitlines(True), *names))
    return 0 if options.write else int(changed > 0)


if __name__ == "__main__":
    sys.exit(main())
