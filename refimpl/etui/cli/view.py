"""Show a model of any known format, or what differs between two, on a page in the browser."""

from __future__ import annotations

import argparse
from typing import Any

from etui._version import SPEC_VERSION
from etui.cli.isolating import isolation_argument
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted
from etui.viewing.page import Page, view

_MOST_LINES = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="a file or folder of any known format")
    parser.add_argument("other", metavar="Y", nargs="?", help="another one, which the page compares with X")
    parser.add_argument("--html", metavar="OUT", help="write the page there, and open no browser")
    parser.add_argument("--no-data", action="store_true", help="read no tensor: the page shows no statistics")
    isolation_argument(parser)


def run(options: argparse.Namespace) -> Outcome:
    """Write the page, and open it unless a place for it was named."""
    with progress_bar("reading") as progress:
        page = view(
            options.location,
            options.other,
            html=options.html,
            data=not options.no_data,
            browser=options.html is None,
            isolate=not options.no_isolate,
            progress=progress,
        )
    document = {
        "format": "etui-page",
        "version": SPEC_VERSION,
        "page": str(page.path),
        "opened": page.opened,
        "artifacts": [_artifact(artifact) for artifact in page.payload["artifacts"]],
        "different": _different(page),
    }
    return Outcome(GOOD, document, lambda screen: _show(screen, options, page, document))


def _artifact(artifact: dict[str, Any]) -> dict[str, Any]:
    tables = artifact["statistics"]
    return {
        "name": artifact["name"],
        "source_format": artifact["source_format"],
        "identity": artifact["identity"],
        "tensors": None if tables is None else sum(map(len, tables.values())),
        "report": artifact["report"],
    }


def _different(page: Page) -> int | None:
    """How many tensors that both models have differ; `None` where they were not compared."""
    tables = page.payload.get("differences")
    return None if tables is None else sum(map(len, tables.values()))


def _show(screen: Screen, options: argparse.Namespace, page: Page, found: dict[str, Any]) -> None:
    for artifact, report in zip(found["artifacts"], page.reports, strict=True):
        screen.line(f"{artifact['name']}: {artifact['identity']}")
        if report is not None:
            lines = list(report.lines())[1:]  # the first names source and target
            for line in lines[:_MOST_LINES]:
                screen.line(line)
            if len(lines) > _MOST_LINES:
                screen.line(f"  … and {len(lines) - _MOST_LINES} more lines; the page has all")
        if artifact["tensors"] is not None:
            screen.line(f"  every element of {counted(artifact['tensors'], 'tensor')} was looked at")
    if found["different"] is not None:
        screen.line(f"tensors of both with other elements: {found['different']:,}")
    screen.line(f"page: {found['page']}")
    if not found["opened"] and options.html is None:
        screen.line("  no browser was found that could open it")
