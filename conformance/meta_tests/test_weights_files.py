"""The checks of weights files that no vector can hold: the library passes them, and wrong answers fail them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from etui_conformance.checks import weights_files
from etui_conformance.checks.base import Check, Mismatch

Json = dict[str, Any]
Spoil = Callable[[Mapping[str, Any], Json], Json]
Ask = Callable[[Check, Spoil], None]
CHECKS = {check.id.removeprefix("weights-files/"): check for check in weights_files.checks()}
# A writer that cannot end may say anything, and what it leaves behind counts.
ANSWERED = sorted(CHECKS.keys() - {"index/earlier"})
REFUSING = sorted(CHECKS.keys() - {"index/earlier", "index/names"})


def accepting(_: Mapping[str, Any], reply: Json) -> Json:
    return {"id": reply["id"], "result": "ok"} if reply["result"] == "reject" else reply


def refusing(request: Mapping[str, Any], reply: Json) -> Json:
    refusal = {"class": "unsafe", "code": "sibling-name", "at": "model.weights.json"}
    return {"id": reply["id"], "result": "reject", **refusal} if request["op"] == "convert" else reply


@pytest.mark.library
@pytest.mark.parametrize("name", CHECKS)
def test_the_library_passes(name: str, ask: Ask) -> None:
    """The library answers each check as it must."""
    ask(CHECKS[name], lambda _, reply: reply)


@pytest.mark.library
@pytest.mark.parametrize("name", REFUSING)
def test_who_accepts_everything_fails(name: str, ask: Ask) -> None:
    """What is to be refused fails its check when it is accepted."""
    with pytest.raises(Mismatch, match="is not refused"):
        ask(CHECKS[name], accepting)


@pytest.mark.library
@pytest.mark.parametrize("name", ANSWERED)
def test_who_refuses_everything_fails(name: str, ask: Ask) -> None:
    """What is valid fails its check when it is refused."""
    with pytest.raises(Mismatch, match="is not converted"):
        ask(CHECKS[name], refusing)


@pytest.mark.library
def test_who_removes_the_earlier_files_fails(ask: Ask) -> None:
    """Earlier data files that a writer without success removed fail the check."""

    def removing(request: Mapping[str, Any], reply: Json) -> Json:
        if request["op"] == "convert" and reply["result"] != "ok":
            next(Path(request["path"]).parent.glob("*_00001.weights.h5")).unlink()
        return reply

    with pytest.raises(Mismatch, match="not as they were"):
        ask(CHECKS["index/earlier"], removing)
