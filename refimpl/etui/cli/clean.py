"""Remove what saves that were killed left at a target, in a folder or in a series, and put earlier artifacts back."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from etui._version import SPEC_VERSION
from etui.cli.outcome import GOOD, NO, Outcome
from etui.cli.screen import Screen
from etui.cli.sizes import counted
from etui.errors import error
from etui.storage.local_objects import LocalObjects
from etui.storage.objects import MARK
from etui.storage.transaction import Cleared, clean
from etui.storage.urls import is_url

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
    parser.add_argument(
        "path", metavar="PATH", help="a target of saves, which may be missing, a folder of targets, or a series"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def run(options: argparse.Namespace) -> Outcome:
    """Clean; what could not be removed makes the answer no."""
    if is_url(options.path):
        what = "a URL: what an upload left there is unseen, and goes with the next save"
        raise error("command-usage", where="clean", found=what)
    path = Path(options.path)
    found = clean(path, dry=options.dry_run)
    if (path / MARK).is_file():
        # A series has leftovers in its folders, too.
        known = {one.path for one in found}
        inside = LocalObjects(path, create=False).clear_leftovers(dry=options.dry_run)
        found += [one for one in inside if one.path not in known]
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
