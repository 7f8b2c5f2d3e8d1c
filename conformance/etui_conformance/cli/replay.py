"""Repeat a failure that a run wrote out: its request alone, and then its whole check."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from etui_conformance.checks import all_checks
from etui_conformance.cli.adapters import add_adapter, opener
from etui_conformance.cli.screen import paragraph, printable, table
from etui_conformance.protocol.session import AdapterFailure
from etui_conformance.replay import Failure, read_failure, requests_of
from etui_conformance.runner import Open, Plan, opened
from etui_conformance.runner import run as run_plan

_SHOWN = 1000
_LONGEST_TEXT, _BEGINNING = 80, 16


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the failure: REPORT/failures/NUMBER")
    add_adapter(parser)


def run(options: argparse.Namespace) -> int:
    """Repeat it and say whether it fails still: exit code 1 if so."""
    failure = read_failure(options.folder)
    open_session = opener(options.adapter, options.deadline)
    print(f"{failure.check}  [{', '.join(failure.clauses)}]")
    print(paragraph(failure.detail, "  "))
    rows = [["request", "no single one shows it" if failure.request is None else _short(failure.request)]]
    if failure.request is not None:
        rows.append(["reply alone", _asked(replace(failure, earlier=()), open_session)])
    if failure.request is not None and failure.earlier:
        rows.append([f"after the {len(failure.earlier)} before it", _asked(failure, open_session)])
    rows += [[f"{side} then", text] for side in ("expected", "found") if (text := getattr(failure, side)) is not None]
    print(f"\n{table(rows, '  ')}")
    check = next((check for check in all_checks() if check.id == failure.check), None)
    if check is None:
        print("\nthe check is not part of this suite any more")
        return 2
    result = run_plan(Plan([check], failure.settings), open_session).checks[0]
    found = result.finding
    print(f"\nthe whole check: {result.status}" + (f", {printable(found.detail)}" if found else ""))
    if failure.leak and result.status == "passed":
        print("The failure came from state of earlier requests, which a single check does not make.")
    return {"passed": 0, "failed": 1}.get(result.status, 2)


def _asked(failure: Failure, open_session: Open) -> str:
    """The reply of a fresh process to the request of a failure, after those that came before it."""
    with opened(open_session) as session:
        *earlier, (op, fields) = requests_of(failure, session.folder)
        for earlier_op, earlier_fields in earlier:
            with suppress(AdapterFailure):
                session.ask(earlier_op, **earlier_fields)
        try:
            reply = session.ask(op, **fields)
        except AdapterFailure as trouble:
            return printable(str(trouble))
        return _short({"result": reply.result, **reply.fields})


def _short(message: object) -> str:
    text = json.dumps(_abridged(message), ensure_ascii=False)
    return printable(text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …")


def _abridged(node: Any) -> Any:
    """A message with its long texts cut: base64 says nothing to people."""
    if isinstance(node, dict):
        return {key: _abridged(item) for key, item in node.items()}
    if isinstance(node, list):
        return [_abridged(item) for item in node]
    if isinstance(node, str) and len(node) > _LONGEST_TEXT:
        return f"{node[:_BEGINNING]}… ({len(node)} characters)"
    return node
