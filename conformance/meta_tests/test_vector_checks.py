"""The checks of the vectors find what is wrong: the library, with each kind of answer spoilt, fails them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from etui_conformance import vectors
from etui_conformance.adapters.reference import start
from etui_conformance.checks import vectors as family
from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.protocol.in_process import Handle, InProcess

Json = dict[str, Any]
BY_ID = {vector.id: vector for vector in vectors.load()}
CHECKS = family.checks()


def vector_of(check: Check) -> vectors.Vector:
    return BY_ID[check.id.removeprefix("vector/").rpartition("/")[0]]


def some(op: str, *, valid: bool) -> list[Check]:
    """Every twentieth check of a request about valid or about invalid vectors, and no fewer than ten."""
    found = [check for check in CHECKS if check.id.endswith(f"/{op}") and vector_of(check).valid == valid]
    chosen = found[:: max(1, min(20, len(found) // 10))]
    assert len(chosen) >= 10
    return chosen


def spoilt(tmp_path: Path, spoil: Callable[[Mapping[str, Any], Json], Json]) -> Context:
    """The library behind something that changes its replies."""

    def begin() -> Handle:
        answer = start()
        return lambda request: spoil(request, answer(request)) if request["op"] != "hello" else answer(request)

    return Context(InProcess(begin, tmp_path), Settings(), lambda: InProcess(begin, tmp_path))


def accepts(_: Mapping[str, Any], reply: Json) -> Json:
    return {"id": reply["id"], "result": "ok"} if reply["result"] == "reject" else reply


def refuses(_: Mapping[str, Any], reply: Json) -> Json:
    refusal = {"result": "reject", "class": "malformed", "code": "json-syntax", "at": "weights.json"}
    return {"id": reply["id"], **refusal} if reply["result"] == "ok" else reply


def other_code(_: Mapping[str, Any], reply: Json) -> Json:
    return reply | ({"class": "malformed", "code": "zip-nothing"} if reply["result"] == "reject" else {})


def other_class(_: Mapping[str, Any], reply: Json) -> Json:
    return reply | ({"class": "transfer"} if reply["result"] == "reject" else {})


def other_identity(_: Mapping[str, Any], reply: Json) -> Json:
    return reply | ({"identity": "sha256:" + "0" * 64} if reply["result"] == "ok" else {})


def other_profile(_: Mapping[str, Any], reply: Json) -> Json:
    return reply | ({"profile": "other"} if "profile" in reply else {})


def one_bit(_: Mapping[str, Any], reply: Json) -> Json:
    """The first bit of what the content has: of a tensor, or else a part; or a field of a document."""
    content = reply.get("content", {})
    held = [*(tensor for each in content.get("tensors", {}).values() for tensor in each.values())]
    held += content.get("parts", {}).values()
    for one in held:
        if one.get("strings"):
            one["strings"][0] = base64.b64encode(base64.b64decode(one["strings"][0]) + b"\0").decode()
            return reply
        if one.get("data"):
            data = base64.b64decode(one["data"])
            one["data"] = base64.b64encode(bytes([data[0] ^ 1]) + data[1:]).decode()
            return reply
    for document in ("config", "weights", "training", "optimizer", "state"):
        if document in content:
            content[document]["format"] = "other"
    return reply


def longer(request: Mapping[str, Any], reply: Json) -> Json:
    """A byte more in what was written: in the archive, or in the manifest of the folder."""
    if reply["result"] == "ok" and "path" in request:
        path = Path(request["path"])
        target = path / "manifest.json" if path.is_dir() else path
        target.write_bytes(target.read_bytes() + b"\n")
    return reply


@pytest.mark.clause("CF-51@f6dbc0", "CF-52@5afbae")
@pytest.mark.parametrize(
    ("spoil", "op", "valid"),
    [
        (accepts, "decode", False),
        (accepts, "validate", False),
        (refuses, "decode", False),
        (refuses, "validate", False),
        (other_code, "decode", False),
        (other_class, "validate", False),
        (refuses, "decode", True),
        (refuses, "validate", True),
        (refuses, "encode", True),
        (refuses, "transcode", True),
        (other_identity, "decode", True),
        (other_identity, "validate", True),
        (other_profile, "decode", True),
        (one_bit, "decode", True),
        (longer, "encode", True),
        (longer, "transcode", True),
    ],
)
def test_a_spoilt_answer_fails_the_checks(
    spoil: Callable[[Mapping[str, Any], Json], Json], op: str, valid: bool, tmp_path: Path
) -> None:
    """Accepting or refusing all, another code, class, identity or bit, and a byte more that is written are found."""
    context = spoilt(tmp_path, spoil)
    asked = some(op, valid=valid)
    if spoil is other_identity:
        asked = [check for check in asked if vector_of(check).document is None]  # a document has none
    asked += [check for check in CHECKS if valid and check.id == f"vector/chunks/0001/{op}"]
    assert len(asked) >= 10
    for check in asked:
        with pytest.raises(Mismatch) as caught:
            check.run(context)
        assert caught.value.request is not None, check.id


@pytest.mark.library
def test_an_unspoilt_answer_passes_the_same_checks(tmp_path: Path) -> None:
    """The checks that spoilt answers fail are passed by the library as it is."""
    context = spoilt(tmp_path, lambda _, reply: reply)
    asked = [*some("decode", valid=False), *some("validate", valid=True), *some("transcode", valid=True)]
    for check in asked:
        check.run(context)
    assert len(asked) > 50
