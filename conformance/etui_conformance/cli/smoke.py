"""Say in a few seconds whether the adapter speaks the protocol, and whether the suite itself works.

First the suite looks whether its vectors are whole, and tries itself on adapters that are wrong on purpose: if it
does not find their faults, it is the suite that is broken (exit code 2). Then it greets the adapter and asks it the
first few questions (exit code 1 if it fails).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from etui_conformance import vectors
from etui_conformance.checks import protocol, protocol_requests
from etui_conformance.checks.base import Check, Settings
from etui_conformance.cli.adapters import add_adapter, opener
from etui_conformance.cli.screen import printable, table
from etui_conformance.profiles import PROFILES
from etui_conformance.results import RunResult
from etui_conformance.runner import Open, Plan
from etui_conformance.runner import run as run_plan

_FIRST: Final = ("protocol/hello", "protocol/unknown-op", "protocol/decode", "protocol/goes-on", "protocol/bye")
_WRONG: Final[Mapping[str, str]] = {
    "always-accept": "mismatch",
    "always-reject": "mismatch",
    "crash": "crash",
    "garbage": "garbage",
    "wrong-id": "wrong-id",
}
"""Null adapters, with what the suite must find at the request to decode."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_adapter(parser)


def run(options: argparse.Namespace) -> int:
    """Try the suite, then the adapter."""
    checks = [check for check in (*protocol.checks(), *protocol_requests.checks()) if check.id in _FIRST]
    print("the suite:")
    troubles = [trouble for name, kind in _WRONG.items() if (trouble := _trouble(name, kind, checks)) is not None]
    troubles += _lost_vectors()
    for trouble in troubles:
        print(f"  {trouble}")
    if troubles:
        print("The suite does not work: do not trust what it says on this machine.")
        return 2
    print(f"  works: it finds what is wrong with {len(_WRONG)} adapters that are wrong on purpose")
    print("  is whole: its vectors are those that it was made with")
    print("the adapter:")
    result = run_plan(Plan(checks, Settings(quick=True)), opener(options.adapter, options.deadline))
    _show(result)
    return result.exit_code


def _trouble(name: str, kind: str, checks: list[Check]) -> str | None:
    """What the suite did not find at a null adapter."""
    open_session: Open = opener(f"null:{name}", 5.0)
    decoding = [check for check in checks if check.id == "protocol/decode"]
    (result,) = run_plan(Plan(decoding, Settings(quick=True), repeating=0.0), open_session).checks
    found = result.finding.kind if result.finding else result.status
    return None if found == kind else f"of the adapter {name} it says {found}, not {kind}"


def _lost_vectors() -> list[str]:
    """The files of vectors that are not there, or not as they were made."""
    lost = []
    for vector in vectors.load():
        for name in vector.files:
            try:
                vector.file(name)
            except (OSError, vectors.BrokenVectorsError) as fault:
                lost.append(str(fault))
    return lost


def _show(result: RunResult) -> None:
    hello = result.hello
    print(f"  {printable(f'{hello.name} {hello.version} ({hello.language})')}")
    for each in result.checks:
        detail = each.check.title
        if each.finding is not None:
            detail = printable(f"{each.finding.kind}: {each.finding.detail}")
        elif each.lacking:
            detail = f"hello does not name {', '.join(each.lacking)}"
        print(table([[each.status, each.check.id, detail]], "  "))
    within = [name for name, profile in PROFILES.items() if not profile.lacking(hello.capabilities)]
    print(f"  names all that is needed for: {', '.join(within) or 'no profile yet'}")
