"""The adapter that a command line names, and how it is opened."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from etui_conformance.adapters import null
from etui_conformance.cli.errors import CommandError
from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.protocol.session import Session

HELP = (
    "the command that starts the adapter, run without a shell; "
    f"or `reference`, or `null:NAME` with one of {', '.join(null.NAMES)}"
)
_NULL = "null:"


def add_adapter(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a command that asks one adapter."""
    parser.add_argument("--adapter", required=True, metavar="COMMAND", help=HELP)
    add_deadline(parser)


def add_deadline(parser: argparse.ArgumentParser) -> None:
    """Declare how long to wait."""
    parser.add_argument(
        "--deadline",
        type=float,
        default=Limits().deadline,
        metavar="SECONDS",
        help="how long to wait for a reply (default: %(default)g)",
    )


def opener(command: str, deadline: float) -> Callable[[Path], Session]:
    """What starts the adapter of a command line anew; all of its processes share one patience.

    Raises:
        CommandError: there is no such program.
    """
    words = _words(command)
    if shutil.which(words[0]) is None:
        raise CommandError(f"there is no program {words[0]!r} to start the adapter with")
    if deadline <= 0:
        raise CommandError("--deadline takes seconds, more than 0")
    patience = Patience(Limits(deadline=deadline))
    return lambda folder: ProcessSession(words, folder, patience)


def _words(command: str) -> list[str]:
    if command == "reference":
        return [sys.executable, "-m", "etui_conformance.adapters.reference"]
    if command.startswith(_NULL):
        name = command.removeprefix(_NULL)
        if name not in null.NAMES:
            raise CommandError(f"there is no null adapter {name!r}; there are {', '.join(null.NAMES)}")
        return [sys.executable, "-m", "etui_conformance.adapters.null", name]
    try:
        return split_command(command)
    except ValueError as fault:
        raise CommandError(f"--adapter {command!r}: {fault}") from fault
