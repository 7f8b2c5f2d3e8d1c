"""One hostile file, or a good one beside it, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """A file, by the line of the facts that it shows.

    Attributes:
        chapter, line: of `facts.LINES`; an empty line for what goes beyond them.
        name: what is in the file.
        make: makes it in an empty folder, and gives the path to open.
        codes: the codes that it may be refused with; none where it must be read, as data.
        clauses: what its refusal proves.
        etui: whether it is an artifact, which is verified; anything else is converted.
        reader: the bridge that reads it, where its content does not tell its format.
        series: whether it is the folder of a series of checkpoints, whose steps are opened.
        config: a file that is handed over as the config of the case's weights, beside the case's folder.
    """

    chapter: str
    line: str
    name: str
    make: Make
    codes: frozenset[str]
    clauses: tuple[str, ...] = ()
    etui: bool = False
    reader: str | None = None
    series: bool = False
    config: Callable[[Path], Path] | None = None

    @property
    def way(self) -> str:
        """The way of opening it that decides."""
        if self.series:
            return "steps"
        return "verify" if self.etui else "config" if self.config else "reader" if self.reader else "convert"

    @property
    def title(self) -> str:
        """A name for people, unlike any other case's."""
        return f"{self.chapter}: {self.name}"


def case(chapter: str, line: str, make: Make, codes: str, *clauses: str, name: str = "", **rest: Any) -> Case:
    """A case whose codes are given in one text; its name is the line unless there are several of the line."""
    return Case(chapter, line, name or line, make, frozenset(codes.split()), clauses, **rest)
