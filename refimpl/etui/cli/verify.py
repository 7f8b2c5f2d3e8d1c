"""Check every byte of an etui: digests, sizes, containers, content; with a key, its signature too."""

from __future__ import annotations

import argparse

from etui import signing, verification
from etui.cli.outcome import GOOD, Outcome
from etui.cli.own import require_own
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, size_text
from etui.errors import error
from etui.signing import Checked
from etui.verification import Verification


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="an etui of either form")
    parser.add_argument(
        "--public-key", metavar="KEY", help="the public key, in PEM form, of whoever must have signed it"
    )
    parser.add_argument("--signature", metavar="FILE", help="the signature to check by the key; by default X.sig")


def run(options: argparse.Namespace) -> Outcome:
    """Verify; the first fault is the error of the command."""
    if options.signature is not None and options.public_key is None:
        raise error("command-usage", where="verify", found="--signature without the --public-key to check it by")
    require_own(options.location)
    with progress_bar("verifying") as progress:
        if options.public_key is None:
            found = verification.verify(options.location, progress=progress)
            return Outcome(GOOD, found.as_json(), lambda screen: _show(screen, found))
        checked = signing.verify(options.location, options.signature, options.public_key, progress=progress)
    return Outcome(GOOD, checked.as_json(), lambda screen: _show(screen, checked.verification, checked))


def _show(screen: Screen, found: Verification, checked: Checked | None = None) -> None:
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
            *([("  signature", checked.signature), ("  signed by", checked.public_key)] if checked else []),
        ]
    )
