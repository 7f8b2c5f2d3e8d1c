"""Text for people: aligned tables, folded paragraphs, and a progress bar on a terminal where rich is installed."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from etui_conformance.results import CheckResult

_WIDEST = 120
_FAILED = ("failed", "error", "unexpected-pass")


def printable(text: str) -> str:
    """A text with everything escaped that a terminal would act upon: an adapter's words are not ours."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode() for char in text
    )


def table(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Columns as wide as their longest cell, two spaces in between, the last one folded to the terminal."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    start = len(indent) + sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        cells = "".join(f"{cell:<{width}}  " for cell, width in zip(row[:-1], widths, strict=True))
        last = textwrap.wrap(row[-1], max(_width() - start, 30), break_on_hyphens=False) or [""]
        lines.append(f"{indent}{cells}{last[0]}".rstrip())
        lines += [" " * start + line for line in last[1:]]
    return "\n".join(lines)


def paragraph(text: str, indent: str = "") -> str:
    """A text folded to the terminal."""
    return textwrap.fill(printable(text), _width(), initial_indent=indent, subsequent_indent=indent)


def counted(number: int, what: str) -> str:
    """A number with its noun: `1 check`, `2 checks`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


@contextmanager
def progress(total: int) -> Iterator[Callable[[CheckResult], None]]:
    """A bar on standard error while that is a terminal and rich is there; otherwise nothing.

    Yields:
        What to call with each result.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb" or find_spec("rich") is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[failed]}", style="red", markup=False),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=total, failed="")
        failed = 0

        def update(result: CheckResult) -> None:
            nonlocal failed
            failed += result.status in _FAILED
            shown = f"{failed} failed" if failed else ""
            bars.update(task, advance=1, description=result.check.id, failed=shown)

        yield update


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
