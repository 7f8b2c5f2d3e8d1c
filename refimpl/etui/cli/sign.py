"""Sign an etui: every byte is verified, then its identity is signed with a private key."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from getpass import getpass

from etui import signing
from etui.cli.outcome import GOOD, Outcome
from etui.cli.own import require_own
from etui.cli.screen import Screen, progress_bar
from etui.signing import Signed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("location", metavar="X", help="an etui of either form")
    parser.add_argument(
        "--key",
        metavar="KEY",
        required=True,
        help="the private key, of P-256, P-384 or P-521, in PEM form",
    )
    parser.add_argument("--signature", metavar="FILE", help="where to write the signature; by default X.sig")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="the file that holds the key's password; a terminal is asked for it otherwise",
    )


def run(options: argparse.Namespace) -> Outcome:
    """Verify, sign, and write the signature beside the etui."""
    require_own(options.location)
    with progress_bar("verifying") as progress:
        signed = signing.sign(
            options.location,
            options.key,
            options.signature,
            password=_password(options.password_file),
            progress=progress,
        )
    return Outcome(GOOD, signed.as_json(), lambda screen: _show(screen, signed))


def _password(file: str | None) -> bytes | Callable[[], str] | None:
    if file is not None:
        return signing.read_password(file)
    return (lambda: getpass("Password of the key: ")) if sys.stdin.isatty() else None


def _show(screen: Screen, signed: Signed) -> None:
    screen.line(f"{signed.location}: every byte is as it was written, and signed")
    screen.fields(
        [("  identity", signed.identity), ("  signature", signed.signature), ("  public key", signed.public_key)]
    )
