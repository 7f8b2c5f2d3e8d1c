"""Compare the content of two models of any known format, every element of every tensor."""

from __future__ import annotations

import argparse

from etui import differences
from etui.cli.outcome import GOOD, NO, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted
from etui.differences import NOT_COUNTED, Difference

_MOST_CHANGES = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("a", metavar="A", help="a file or folder of any known format")
    parser.add_argument("b", metavar="B", help="another one")


def run(options: argparse.Namespace) -> Outcome:
    """Compare; a difference is the answer, and no error of the command."""
    with progress_bar("comparing") as progress:
        found = differences.diff(options.a, options.b, progress=progress)
    return Outcome(GOOD if found.same else NO, found.as_json(), lambda screen: show_difference(screen, found))


def show_difference(screen: Screen, found: Difference) -> None:
    """A difference for people."""
    verdict = "the same content" if found.same else "different content"
    screen.line(f"{found.a} and {found.b}: {verdict}")
    screen.line(f"  compared element by element: {counted(found.tensors, 'pair')} of tensors")
    if found.identical:
        screen.line(f"  both have the identity {found.identities[0]}")
    for change in found.changes[:_MOST_CHANGES]:
        mark = "-" if change.area in NOT_COUNTED else "!"
        screen.line(f"  {mark} {change.area}: {change}")
    if len(found.changes) > _MOST_CHANGES:
        screen.line(f"  … and {len(found.changes) - _MOST_CHANGES} more; --json has all")
    if any(change.area in NOT_COUNTED for change in found.changes):
        screen.line("  lines with - are about the layout and the framework's own documents, and do not count")
