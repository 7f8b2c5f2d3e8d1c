"""Runs the commands and the Python of README.md, and compares what they print with what README.md shows.

    python refimpl/examples/readme.py           prints the differences; the exit code is 1 if there are any
    python refimpl/examples/readme.py --write   puts the real output into README.md

Blocks marked `console` are run by bash, line by line, and blocks marked `pycon` by Python, in the order of the page, in
a folder that holds the demo's models.
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
_BLOCK = re.compile(r"```(console|pycon)\n(.*?)```", re.DOTALL)
_PROMPTS = (">>> ", "... ")


def rendered(text: str) -> str:
    """The page with the real output in each of its blocks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in (Path(__file__).parent / "models").glob("*.keras"):
            shutil.copy(model, folder)
        with contextlib.chdir(folder):
            runners: dict[str, Callable[[str], str]] = {"console": Shell(folder).run, "pycon": Interpreter().run}
            return _BLOCK.sub(lambda block: f"```{block[1]}\n{runners[block[1]](block[2])}```", text)


class Shell:
    """Runs the lines that begin with `$` by bash, where `etui` is the command of this checkout."""

    def __init__(self, folder: Path) -> None:
        bin_ = folder / ".bin"
        bin_.mkdir()
        script = bin_ / "etui"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m etui "$@"\n')
        script.chmod(0o755)
        path = os.pathsep.join([str(bin_), os.environ.get("PATH", "")])
        self.environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": path, "PYTHONPATH": str(REPOSITORY / "refimpl")}

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
    """Compare or rewrite README.md."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the real output into README.md")
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    real = rendered(text)
    if options.write:
        README.write_text(real, encoding="utf-8")
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(text.splitlines(True), real.splitlines(True), "README.md", "real output")
    )
    return int(text != real)


if __name__ == "__main__":
    sys.exit(main())
