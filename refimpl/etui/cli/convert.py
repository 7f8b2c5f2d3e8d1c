"""Convert a model, and account for everything in it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from etui import bridges, conversion
from etui._version import SPEC_VERSION
from etui.artifact import open_model
from etui.bridges.own import VOCABULARIES
from etui.cli.interruption import interruptible
from etui.cli.isolating import isolation_argument
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import parse_size
from etui.errors import TransferError
from etui.report import Report
from etui.storage.transaction import replace_file
from etui.storage.urls import is_url, local

_MOST_LINES = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    names = ", ".join(bridge.name for bridge in bridges.bridges())
    parser.add_argument("source", metavar="SRC", help="a file or folder; its format is told by its content")
    parser.add_argument("target", metavar="DST", help="what to write: the suffix says the format, a folder is an etui")
    parser.add_argument("--to", metavar="FORMAT", help=f"the format of DST: {names}")
    parser.add_argument("--form", choices=("packed", "directory"), help="the form of an etui")
    parser.add_argument("--config", metavar="FILE", help="take the config from this file: SRC holds weights alone")
    parser.add_argument("--dialect", choices=("keras", "tf_keras"), help="write DST for Keras 3 or for tf_keras")
    parser.add_argument(
        "--vocabulary", choices=VOCABULARIES, help="the terms of an etui: the core vocabulary, or those of Keras"
    )
    parser.add_argument("--report", metavar="FILE", help="write the report there as JSON, also if DST is not written")
    parser.add_argument("--lenient", action="store_true", help="write DST even if something is lost")
    parser.add_argument("--shard-size", metavar="SIZE", type=parse_size, help="cut data into parts of at most 2GB, say")
    parser.add_argument("--no-native", action="store_true", help="leave the source framework's own documents out")
    isolation_argument(parser)


def run(options: argparse.Namespace) -> Outcome:
    """Convert; the report is written even if the conversion is refused."""
    report = Report()
    try:
        with progress_bar("converting") as bar, interruptible(bar) as progress:
            conversion.convert(
                options.source,
                options.target,
                to=options.to,
                strict=not options.lenient,
                native=not options.no_native,
                shard_size=options.shard_size,
                form=options.form,
                config=options.config,
                dialect=options.dialect,
                vocabulary=options.vocabulary,
                progress=progress,
                report=report,
                isolate=not options.no_isolate,
            )
    except TransferError:
        _write_report(options.report, report)
        raise
    _write_report(options.report, report)
    identity = _identity(options.target, options.to)
    document = {
        "format": "etui-conversion",
        "version": SPEC_VERSION,
        "identity": identity,
        "report": report.as_json(),
    }
    return Outcome(GOOD, document, lambda screen: _show(screen, report, identity))


def _identity(target: str, to: str | None) -> str | None:
    """The digest of what was written, if that is an etui."""
    bridge = bridges.of_target(target, to) if is_url(target) else bridges.recognise(local(target))
    if bridge is None or bridge.name != bridges.OWN:
        return None
    with open_model(target) as model:
        return model.digest


def _write_report(path: str | None, report: Report) -> None:
    if path is not None:
        with replace_file(path) as file:
            file.write(json.dumps(report.as_json(), indent=2).encode() + b"\n")


def _show(screen: Screen, report: Report, identity: str | None) -> None:
    lines: list[Any] = list(report.lines())
    for line in lines[:_MOST_LINES]:
        screen.line(line)
    if len(lines) > _MOST_LINES:
        screen.line(f"  … and {len(lines) - _MOST_LINES} more lines; --report FILE or --json has all")
    if identity is not None:
        screen.line(f"  identity: {identity}")
