"""The command `etui-conformance`: one module a command, and this one, which parses, runs, and says what went wrong.

Exit codes: 0 the implementation conforms, or the command did its work; 1 a check failed; 2 the suite itself could not
do its work, or was asked wrongly (SPEC.md CF-57); 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from typing import Final, NoReturn, Protocol, cast

from etui_conformance.cli.errors import CommandError
from etui_conformance.known_failures import KnownFailuresError
from etui_conformance.protocol.messages import PROTOCOL, SPEC
from etui_conformance.protocol.session import AdapterFailure
from etui_conformance.replay import ReplayError

COMMANDS: Final = ("run", "smoke", "list", "explain", "init", "copy", "matrix", "replay", "promote")
FAILED, USAGE = 1, 2
_EXTRA = frozenset({"hypothesis", "jsonschema", "rich"})
_INTERRUPTED = 130
_BROKEN_PIPE = 141


class Command(Protocol):
    """What the module of a command offers; the first line of its docstring is its help."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare what the command takes."""

    def run(self, options: argparse.Namespace) -> int:
        """Do the work, print, and return the exit code."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see `{self.prog} --help`")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: of the command; `None` for those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a narrow terminal encoding is no reason to fail
    try:
        options = _parser().parse_args(arguments)
        code = cast(Command, import_module(f"{__name__}.{options.command}")).run(options)
        sys.stdout.flush()
    except (CommandError, KnownFailuresError, ReplayError, FileNotFoundError) as fault:
        return _complain(str(fault), USAGE)
    except AdapterFailure as failure:
        return _complain(f"the adapter cannot be asked: {failure}", FAILED)
    except BrokenPipeError:
        # Whoever read the output has gone; the interpreter must not try to flush it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except Exception as fault:  # noqa: BLE001 (a fault of the suite is not one of the implementation)
        if isinstance(fault, ModuleNotFoundError) and fault.name in _EXTRA:
            return _complain(f'{fault.name} is not installed: pip install "etui[conformance]"', USAGE)
        traceback.print_exc()
        return _complain("the suite itself failed, as told above", USAGE)
    except KeyboardInterrupt:
        return _complain("interrupted", _INTERRUPTED)
    except SystemExit as leave:  # argparse, after --help and --version
        return leave.code if isinstance(leave.code, int) else USAGE
    return code


def suite_version() -> str:
    """The version of the package that the suite is part of."""
    try:
        return version("etui")
    except PackageNotFoundError:
        return "unknown"


def _complain(message: str, code: int) -> int:
    print(f"etui-conformance: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="etui-conformance",
        description="Ask an implementation of Etui whether it does what SPEC.md says, clause by clause.",
        epilog="Begin with `init`, which writes an adapter to fill in; `smoke` says whether it speaks; `run` asks "
        "everything. Exit codes: 0 conformant, 1 failures, 2 the suite could not do its work.",
        allow_abbrev=False,
    )
    shown = f"etui-conformance {suite_version()}, SPEC.md {SPEC}, protocol {PROTOCOL}"
    parser.add_argument("--version", action="version", version=shown)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = cast(Command, import_module(f"{__name__}.{name}"))
        summary, _, rest = (module.__doc__ or "").partition("\n")
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=rest.strip() or None,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.arguments(command)
    return parser
