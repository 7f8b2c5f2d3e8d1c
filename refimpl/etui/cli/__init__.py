"""The command `etui`: one module a command, and this one, which parses, runs, prints, and chooses the exit code.

Exit codes: 0 good; 1 the answer is no: invalid, differs, failed; 2 wrong usage, or an extra that is not installed;
3 refused for safety; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn, Protocol, cast

from etui._version import SPEC_VERSION, __version__
from etui.cli.outcome import NO, UNSAFE, USAGE, Outcome
from etui.cli.screen import one_line, screen
from etui.errors import EtuiError, error
from etui.shortage import shortage

COMMANDS = (
    "convert",
    "inspect",
    "validate",
    "verify",
    "sign",
    "diff",
    "view",
    "plot",
    "run",
    "programs",
    "checkpoints",
    "push",
    "pull",
    "clean",
    "formats",
)
_INTERRUPTED = 130
_BROKEN_PIPE = 141
_EXIT_CODES = {"unsafe": UNSAFE, "usage": USAGE, "extra": USAGE}


class Command(Protocol):
    """What the module of a command offers; its docstring's first line is its help."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the command takes."""

    def run(self, options: argparse.Namespace) -> Outcome:
        """Do the work; print nothing."""


class _Parser(argparse.ArgumentParser):
    """Raises what is wrong with a command line, so that it is reported as every other error."""

    def error(self, message: str) -> NoReturn:
        raise error(
            "command-usage",
            where=self.prog.removeprefix("etui").strip(),
            found=message,
            hint=f"See `{self.prog} --help`.",
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        argv: the arguments; `None` for those of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal encoding is no reason to fail
    try:
        return _run(arguments)
    except KeyboardInterrupt as interruption:
        print(f"etui: {': '.join(['interrupted', *map(str, interruption.args)])}", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter must not try to flush it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


def _run(arguments: list[str]) -> int:
    try:
        options = _parser().parse_args(arguments)
        with shortage():
            outcome = cast(Command, import_module(f"etui.cli.{options.command}")).run(options)
            if options.json:
                _print_json(outcome.document)
            else:
                outcome.show(screen(sys.stdout))
        sys.stdout.flush()
    except EtuiError as failure:
        message = one_line(": ".join([*getattr(failure, "__notes__", ()), str(failure)]))
        if "--json" in arguments:
            _print_json({**failure.as_json(), "message": message})
        else:
            print(f"etui: {message}", file=sys.stderr)
        return _EXIT_CODES.get(failure.error_class, NO)
    except SystemExit as leave:  # argparse, after --help and --version
        return leave.code if isinstance(leave.code, int) else USAGE
    return outcome.code


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=2, allow_nan=False))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="etui",
        description="Convert, inspect, check and compare neural-network models and training state.",
        epilog="Exit codes: 0 good; 1 the answer is no; 2 wrong usage or a missing extra; 3 refused for safety.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"etui {__version__}, SPEC.md {SPEC_VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = cast(Command, import_module(f"etui.cli.{name}"))
        summary = (module.__doc__ or "").partition("\n")[0]
        command = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        command.add_argument("--json", action="store_true", help="print JSON as its schema in schemas/cli describes it")
        module.arguments(command)
    return parser
