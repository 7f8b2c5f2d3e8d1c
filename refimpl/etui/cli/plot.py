"""Draw the graph of a model of any known format as SVG or PNG, without a browser."""

from __future__ import annotations

import argparse
from typing import get_args

from etui._version import SPEC_VERSION
from etui.cli.isolating import isolation_argument
from etui.cli.outcome import GOOD, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted
from etui.report import Report
from etui.viewing.boxes import Direction
from etui.viewing.plot import Picture, plot
from etui.viewing.themes import THEMES


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="a file or folder of any known format")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="the picture, .svg or .png; by default the model's name with .svg"
    )
    parser.add_argument("--depth", metavar="N", type=int, help="draw so many levels of nested models")
    parser.add_argument("--direction", choices=get_args(Direction), default="down", help="in which the graph goes")
    parser.add_argument("--theme", choices=THEMES, default="auto", help="auto is what the reader's system prefers")
    parser.add_argument("--no-fold", action="store_true", help="draw a long graph in one column")
    parser.add_argument("--scale", metavar="S", type=float, default=2.0, help="pixels in a unit, for a PNG (2)")
    isolation_argument(parser)


def run(options: argparse.Namespace) -> Outcome:
    """Draw, and write the picture."""
    with progress_bar("reading") as progress:
        picture = plot(
            options.location,
            options.output,
            depth=options.depth,
            direction=options.direction,
            theme=options.theme,
            fold=not options.no_fold,
            scale=options.scale,
            isolate=not options.no_isolate,
            progress=progress,
        )
    path = options.output or f"{picture.name}.svg"
    if options.output is None:
        picture.save(path)
    document = {
        "format": "etui-picture",
        "version": SPEC_VERSION,
        "picture": path,
        "kind": "png" if path.lower().endswith(".png") else "svg",
        "width": round(picture.width, 1),
        "height": round(picture.height, 1),
        "modules": picture.modules,
        "source_format": picture.source_format,
    }
    return Outcome(GOOD, document, lambda screen: _show(screen, picture, path))


def _show(screen: Screen, picture: Picture, path: str) -> None:
    drawn = f"{counted(picture.modules, 'module')}, {picture.width:.0f} × {picture.height:.0f}"
    screen.line(f"{path}: {drawn}")
    for entry in (picture.report or Report()).lost:
        screen.line(f"  ! {entry.kind} {entry.subject}: {entry.status}")
