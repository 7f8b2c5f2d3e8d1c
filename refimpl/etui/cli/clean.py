"""Remove what saves that were killed left beside a target or in a folder, and put an earlier artifact back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from etui._version import SPEC_VERSION
from etui.cli.outcome import GOOD, NO, Outcome
from etui.cli.screen import Screen
from etui.cli.sizes import counted
from etui.storage.transaction import Cleared, clean

_SAID = {
    ("removed", False): "removed",
    ("removed", True): "would be removed",
    ("restored", False): "put back in its place",
    ("restored", True): "would be put back in its place",
    ("held", False): "kept: a living writer holds it, or it cannot be locked",
    ("stays", False): "kept: it could not be removed",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("path", metavar="PATH", help="a target of saves, which may be missing, or a folder of targets")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def run(options: argparse.Namespace) -> Outcome:
    """Clean; what could not be removed makes the answer no."""
    found = clean(Path(options.path), dry=options.dry_run)
    document = {
        "format": "etui-clean",
        "version": SPEC_VERSION,
        "path": options.path,
        "dry_run": options.dry_run,
        "leftovers": [
            {"path": str(one.path), "target": str(one.target), "kind": one.kind, "fate": one.fate} for one in found
        ],
    }
    code = NO if any(one.fate == "stays" for one in found) else GOOD
    return Outcome(code, document, lambda screen: _show(screen, found, dry=options.dry_run))


def _show(screen: Screen, found: Sequence[Cleared], *, dry: bool) -> None:
    for one in found:
        screen.line(f"{one.path}: {_SAID.get((one.fate, dry)) or _SAID[one.fate, False]}")
    screen.line(f"{counted(len(found), 'leftover')} found")
