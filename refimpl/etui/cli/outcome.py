"""What a command gives back: an exit code, a JSON document, and a way to show it to people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from etui.cli.screen import Screen

GOOD, NO, USAGE, UNSAFE = 0, 1, 2, 3
"""Exit codes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a command.

    Attributes:
        code: exit code.
        document: what ``--json`` prints.
        show: prints the same for people.
    """

    code: int
    document: dict[str, Any]
    show: Callable[[Screen], None]
