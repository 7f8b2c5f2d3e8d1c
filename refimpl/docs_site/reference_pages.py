"""Pages of reference that are made from the library itself: its commands, its error codes, its public names."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import etui
from etui import cli
from etui.error_codes import ERROR_CODES
from etui_conformance.cli import main as suite

Main = Callable[[Sequence[str] | None], int]

_WIDTH = "82"
_METAVAR = re.compile(r"^    ([a-z-]+)(?:\s|$)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^::: (\S+)", re.MULTILINE)


def commands() -> str:
    """The page of the commands: what each prints when it is asked for help."""
    lines = [
        "# Commands",
        "",
        "`etui` is the library on the command line, and `etui-conformance` the suite.",
        "This is what `--help` says of each command.",
        "With `--json` a command prints a document that has a [schema](schemas.md).",
        "Exit codes of `etui`: 0 good; 1 the answer is no; 2 wrong usage, or a missing extra; 3 refused for safety.",
    ]
    for program, main in (("etui", cli.main), ("etui-conformance", suite)):
        for arguments in _tree(main, []):
            level = "##" if not arguments[1:] else "###"
            lines += ["", f"{level} {' '.join([program, *arguments])}", "", "```text"]
            lines += [*_help(main, arguments).rstrip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


def _tree(main: Main, arguments: list[str]) -> Iterator[list[str]]:
    """A command and the commands in it."""
    yield arguments
    text = _help(main, arguments)
    if re.search(r"^usage: .*(COMMAND|ACTION) \.\.\.$", text, re.MULTILINE):
        _, _, listed = text.partition("positional arguments:")
        for name in _METAVAR.findall(listed.partition("\noptions:")[0]):
            yield from _tree(main, [*arguments, name])


def _help(main: Main, arguments: list[str]) -> str:
    printed, columns = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDTH
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([*arguments, "--help"])
    finally:
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns
    if not printed.getvalue().startswith("usage: "):
        raise ValueError(f"{arguments}: a command without help")
    return printed.getvalue()


def errors() -> str:
    """The page of the error codes."""
    lines = [
        "# Error codes",
        "",
        "Every refusal of the library is an [`etui.EtuiError`](api/errors.md) with one of these codes. The code, its",
        "class and its clause are fixed; the message adds the place and what was found. Chapter 20 has the classes.",
        "",
        "| code | class | clause | what is wrong | what to do |",
        "|---|---|---|---|---|",
    ]
    for code, entry in sorted(ERROR_CODES.items()):
        cells = [f"`{code}`", entry.error_class, entry.clause or "", entry.summary, entry.hint]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def public_names() -> list[str]:
    """The public names of the library, as `etui.open`, without the modules among them.

    They are read from the imports for type checkers, so that nothing is imported.
    """
    module = ast.parse(Path(etui.__file__).read_text(encoding="utf-8"))
    found = set()
    for statement in module.body:
        if isinstance(statement, ast.If):
            for imported in statement.body:
                if isinstance(imported, ast.ImportFrom) and imported.module != "etui":
                    found |= {alias.asname or alias.name for alias in imported.names}
    return [f"etui.{name}" for name in sorted(etui.__all__) if name in found]


def documented(pages: Path) -> set[str]:
    """The names that the pages of the API describe."""
    return {name for page in pages.glob("*.md") for name in _DIRECTIVE.findall(page.read_text(encoding="utf-8"))}


def rest(pages: Path) -> str:
    """What the index of the API adds: the public names that no page describes."""
    known = documented(pages)
    missing = [f"::: {name}" for name in public_names() if name not in known]
    return "\n\n".join(["", "## Further names", *missing, ""]) if missing else ""
