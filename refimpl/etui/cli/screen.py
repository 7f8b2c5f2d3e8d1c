"""Output for people: plain aligned text, or rich's tables and progress bars on a terminal where rich is installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol, TextIO
from unicodedata import east_asian_width

from etui.containers.data_writer import Progress

Row = Sequence[str]


class Screen(Protocol):
    """Where a command shows its result."""

    def line(self, text: str = "") -> None:
        """One line."""

    def table(self, columns: Row, rows: Iterable[Row], *, tight: bool = False) -> None:
        """A table; a column whose name begins with ``>`` is aligned to the right; `tight` saves room on a terminal."""

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, a line each."""


def printable(text: str) -> str:
    """A text with everything escaped that a terminal would act upon: a file's names are not ours."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def one_line(text: str) -> str:
    """A text of one line for the terminal."""
    return printable(" ".join(text.splitlines()))


def screen(stream: TextIO) -> Screen:
    """The screen for a stream: rich's on a terminal, if rich is installed."""
    return RichScreen(stream) if _rich_on(stream) else PlainScreen(stream)


class PlainScreen:
    """Aligned text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str = "") -> None:
        """One line."""
        self._stream.write(f"{printable(text)}\n")

    def table(self, columns: Row, rows: Iterable[Row], *, tight: bool = False) -> None:  # noqa: ARG002
        """Columns as wide as their longest cell, with two spaces in between."""
        right = [name.startswith(">") for name in columns]
        table = [[printable(name.removeprefix(">")) for name in columns]]
        table += [[printable(cell) for cell in row] for row in rows]
        widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
        for row in table:
            cells = [_padded(*cell) for cell in zip(row, widths, right, strict=True)]
            self._stream.write(f"  {'  '.join(cells)}".rstrip() + "\n")

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Values in one column behind the names."""
        found = [(printable(name), value) for name, value in pairs]
        widest = max((len(name) for name, _ in found), default=0)
        for name, value in found:
            self._stream.write(f"{name:<{widest}}  {printable(value)}\n")


class RichScreen:
    """Tables that fit the terminal, and names in bold."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, markup=False, highlight=False, emoji=False)

    def line(self, text: str = "") -> None:
        """One line."""
        self._console.print(printable(text), soft_wrap=True)

    def table(self, columns: Row, rows: Iterable[Row], *, tight: bool = False) -> None:
        """A table whose long cells are folded."""
        from rich.table import Table
        from rich.text import Text

        padding = (0, 1, 0, 0) if tight else (0, 1)
        table = Table(box=None, pad_edge=not tight, padding=padding, header_style="bold")
        for name in columns:
            table.add_column(
                printable(name.removeprefix(">")), justify="right" if name.startswith(">") else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self._console.print(table)

    def fields(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Values in one column behind the names."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(printable(name), Text(printable(value)))
        self._console.print(table)


@contextmanager
def progress_bar(title: str, stream: TextIO | None = None) -> Iterator[Progress | None]:
    """A progress bar on standard error, while that is a terminal and rich is installed; otherwise nothing.

    Yields:
        What to call as (part, bytes done, bytes in all), or `None`.
    """
    target = sys.stderr if stream is None else stream
    if not _rich_on(target):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[part]}", markup=False),
    )
    with Bars(*columns, console=Console(file=target), transient=True) as bars:
        task = bars.add_task(title, total=None, part="")

        def update(part: str, done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, part=printable(part))

        yield update


def _rich_on(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb" and find_spec("rich") is not None


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
