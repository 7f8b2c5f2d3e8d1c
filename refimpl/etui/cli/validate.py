"""Check the structure of an etui: container, documents, schemas, headers; not the bytes of its tensors."""

from __future__ import annotations

import argparse

from etui import validation
from etui.cli.outcome import GOOD, NO, UNSAFE, Outcome
from etui.cli.own import require_own
from etui.cli.screen import Screen
from etui.cli.sizes import counted
from etui.validation import Validation

_MOST_FAULTS = 50


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="an etui of either form")


def run(options: argparse.Namespace) -> Outcome:
    """Validate; faults are the answer, and no error of the command."""
    require_own(options.location)
    found = validation.validate(options.location)
    unsafe = any(fault.error_class == "unsafe" for fault in found.faults)
    code = UNSAFE if unsafe else GOOD if found.ok else NO
    return Outcome(code, found.as_json(), lambda screen: _show(screen, found))


def _show(screen: Screen, found: Validation) -> None:
    count = len(found.faults)
    verdict = "valid" if found.ok else f"not valid, {counted(count, 'fault')}"
    screen.line(f"{found.location}: {verdict}")
    for fault in found.faults[:_MOST_FAULTS]:
        screen.line(f"  ! {fault.message}")
    if count > _MOST_FAULTS:
        screen.line(f"  … and {count - _MOST_FAULTS} more; --json has all")
    for note in found.notes:
        screen.line(f"  note: {note}")
    if found.identity is not None:
        screen.line(f"  identity: {found.identity}")
