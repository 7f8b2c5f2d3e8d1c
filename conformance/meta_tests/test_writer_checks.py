"""The checks of writers, of rewriting and of strangers' artifacts: the reference passes them, and others do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etui_conformance.adapters.reference import start
from etui_conformance.checks import asset_names, natives, refusing, replacing, rewriting, strangers, writing
from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.resources import clauses

FAMILIES = (writing, replacing, rewriting, refusing, strangers, natives, asset_names)
CHECKS = {check.id: check for family in FAMILIES for check in family.checks()}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    session = InProcess(start, tmp_path_factory.mktemp("checks"))
    yield session
    session.close()


def run(check: Check, session: InProcess) -> None:
    assert check.needs <= session.hello.capabilities
    check.run(Context(session, Settings(), lambda: session))


@pytest.mark.library
@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if not check.slow])
def test_the_reference_passes(session: InProcess, name: str) -> None:
    """The adapter of the reference passes each check, and each cites clauses that there are."""
    run(CHECKS[name], session)
    assert CHECKS[name].clauses
    assert set(CHECKS[name].clauses) <= clauses().keys()


def answering(reply: dict[str, Any], *ops: str) -> Any:
    """An adapter that is the reference but for some ops, to which it gives always the same answer."""

    def begin() -> Any:
        reference = start()

        def handle(request: Any) -> Any:
            return {"id": request["id"], **reply} if request["op"] in ops else reference(request)

        return handle

    return begin


@pytest.mark.library
def test_who_says_ok_and_does_nothing_fails(tmp_path: Path) -> None:
    """An adapter that writes nothing and says it did fails every check that has it write."""
    said = {"result": "ok", "identity": f"sha256:{'0' * 64}"}
    session = InProcess(answering(said, "encode", "transcode", "convert"), tmp_path)
    failed = 0
    for check in CHECKS.values():
        if not check.slow and check.needs & {"encode", "transcode", "convert"}:
            with pytest.raises(Mismatch):
                run(check, session)
            failed += 1
    assert failed > 80


@pytest.mark.library
def test_who_refuses_everything_fails(tmp_path: Path) -> None:
    """An adapter that refuses whatever it is given fails every check: each has something valid in it."""
    refusal = {"result": "reject", "class": "invalid", "code": "path-form", "at": "weights.json"}
    ops = ("encode", "transcode", "convert", "decode", "validate")
    session = InProcess(answering(refusal, *ops), tmp_path)
    passed = []
    for name, check in CHECKS.items():
        try:
            if not check.slow:
                run(check, session)
                passed.append(name)
        except Mismatch:
            continue
    assert passed == []
