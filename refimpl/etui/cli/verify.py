"""Check every byte of an etui: digests, sizes, containers, content."""

from __future__ import annotations

import argparse

from etui import verification
from etui.cli.outcome import GOOD, Outcome
from etui.cli.own import require_own
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, size_text
from etui.verification import Verification


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="an etui of either form")


def run(options: argparse.Namespace) -> Outcome:
    """Verify; the first fault is the error of the command."""
    require_own(options.location)
    with progress_bar("verifying") as progress:
        found = verification.verify(options.location, progress=progress)
    return Outcome(GOOD, found.as_json(), lambda screen: _show(screen, found))


def _show(screen: Screen, found: Verification) -> None:
    screen.line(f"{found.location}: every byte is as it was written")
    screen.fields(
        [
            ("  identity", found.identity),
            ("  form", found.form),
            ("  profile", found.profile),
            (
                "  checked",
                f"{counted(found.parts, 'part')}, {counted(found.tensors, 'tensor')}, {size_text(found.bytes)}",
            ),
        ]
    )
