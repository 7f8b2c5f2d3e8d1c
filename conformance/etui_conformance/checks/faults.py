"""Artifacts with exactly one named fault: the valid one is accepted, the faulty one refused with class and code."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.examine import examine, seed_of
from etui_conformance.checks.exchange import Question, about_packed, about_parts, scope_of
from etui_conformance.oracle import packed
from etui_conformance.protocol import wire
from etui_conformance.protocol.session import Session
from etui_conformance.strategies.faults import Case, Fault, Given, Ways, all_faults

_SHARE = 0.06


def checks() -> list[Check]:
    """A check for each fault."""
    return [
        Check(
            fault.id,
            fault.clauses,
            fault.needs | {"validate" if fault.full else "decode"},
            f"refuse, with {' or '.join(fault.codes)}: {fault.name}",
            partial(_refuse, fault=fault),
        )
        for fault in all_faults()
    ]


def _refuse(context: Context, *, fault: Fault) -> None:
    hello = context.session.hello
    ops = ["validate"] if fault.full else [op for op in ("decode", "validate") if op in hello.ops]
    forms = [form for form in ("packed", "directory") if form in hello.forms]
    # A quick run makes a fault in one of its ways, another seed in another.
    ways = Ways(seed_of(context, fault.id) % 60, most=1) if context.settings.quick else Ways()
    strategy = st.tuples(fault.cases(scope_of(hello), ways), st.sampled_from(ops), st.sampled_from(forms))

    def body(drawn: tuple[Case, str, str]) -> None:
        case, op, form = drawn
        form = case.faulty[0].form or form
        question(context.session, op, case.valid, form).accepted()
        for given in case.faulty:
            faulty = question(context.session, op, given, form)
            replace(faulty, files={**faulty.files, "sibling.etui": _packed(case.valid)}).refused(fault.codes)

    examine(context, fault.id, strategy, body, share=_SHARE)


def _packed(given: Given) -> bytes:
    """The valid sibling of a fault, with which it can become a vector."""
    return packed.pack(given.parts) if given.packed is None else given.packed


def question(session: Session, op: str, given: Given, form: str) -> Question:
    """A question about an artifact."""
    fields: dict[str, Any] = {"want": "all"} if op == "decode" else {}
    if given.packed is not None:
        return about_packed(session, op, given.packed, **fields)
    if given.spoil is not None:
        artifact = wire.directory_artifact(given.parts, session.folder)
        given.spoil(Path(artifact["directory"]))
        files = {f"artifact/{name}": data for name, data in given.parts.items()}
        return Question(session, op, {"artifact": artifact, **fields}, files)
    return about_parts(session, op, given.parts, form, **fields)
