"""The checks that make their artifacts: the library passes them, and each kind of wrong answer fails one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from etui_conformance.checks import generated
from etui_conformance.checks.base import Check, Mismatch
from etui_conformance.protocol.messages import FEATURES

Json = dict[str, Any]
Spoil = Callable[[Mapping[str, Any], Json], Json]
Ask = Callable[[Check, Spoil], None]
CHECKS = {check.id.removeprefix("generated/"): check for check in generated.checks()}


def as_it_is(_: Mapping[str, Any], reply: Json) -> Json:
    return reply


def without_features(_: Mapping[str, Any], reply: Json) -> Json:
    return reply | ({"features": []} if "features" in reply else {})


def saying_unsupported(request: Mapping[str, Any], reply: Json) -> Json:
    if request["op"] == "decode":
        return {"id": reply["id"], "result": "unsupported", "what": "feature:chunks"}
    return without_features(request, reply)


def refusing_what_is_lacking(request: Mapping[str, Any], reply: Json) -> Json:
    if request["op"] == "decode":
        refusal = {"class": "unsupported", "code": "feature-unknown", "at": "manifest.json /requires"}
        return {"id": reply["id"], "result": "reject", **refusal}
    return without_features(request, reply)


def accepting(_: Mapping[str, Any], reply: Json) -> Json:
    return {"id": reply["id"], "result": "ok"} if reply["result"] == "reject" else reply


def refusing(request: Mapping[str, Any], reply: Json) -> Json:
    refusal = {"class": "invalid", "code": "part-unlisted", "at": "notes.txt"}
    return {"id": reply["id"], "result": "reject", **refusal} if request["op"] == "decode" else reply


def another_box(_: Mapping[str, Any], reply: Json) -> Json:
    for tensor in reply.get("read", []):
        data = base64.b64decode(tensor["data"])
        tensor["data"] = base64.b64encode(bytes([data[0] ^ 1]) + data[1:]).decode()
    return reply


@pytest.mark.clause("W-13@322181", "F-5@162e12", "I-1@5aed06", "J-8@055c86", "B-11@bf4fe0", "V-8@07939e", "E-2@310409")
@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if not check.slow])
def test_the_library_passes(name: str, ask: Ask) -> None:
    """The library opens, reads and refuses what each check makes."""
    ask(CHECKS[name], as_it_is)


@pytest.mark.library
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("boxes/0001", another_box),
        ("unlisted", refusing),
        ("names/packed", refusing),
        ("names/directory", refusing),
        ("depth/json", accepting),
        ("depth/json", refusing),
        ("depth/msgpack", accepting),
        ("limits/tensor-value", accepting),
        *((f"features/{feature}", without_features) for feature in FEATURES),
    ],
)
def test_a_wrong_answer_fails(name: str, spoil: Spoil, ask: Ask) -> None:
    """Another box, a refusal of what is valid, and an acceptance of what is not, or not implemented, are found."""
    with pytest.raises(Mismatch):
        ask(CHECKS[name], spoil)


@pytest.mark.library
@pytest.mark.parametrize("spoil", [saying_unsupported, refusing_what_is_lacking])
def test_either_way_of_saying_that_a_feature_is_lacking_passes(spoil: Spoil, ask: Ask) -> None:
    """An implementation without a feature refuses what requires it, or says that it does not support it."""
    ask(CHECKS["features/chunks"], spoil)


@pytest.mark.library
def test_checks_are_cheap_to_list_and_large_ones_are_slow() -> None:
    """What makes files of many megabytes is left out of quick runs."""
    slow = {name.partition("/")[0] for name, check in CHECKS.items() if check.slow}
    assert slow == {"lengths", "limits", "zip64"}
    assert {name for name, check in CHECKS.items() if name.startswith("limits/") and not check.slow} == {
        "limits/tensor-value"
    }
    assert len(CHECKS) > 30
