"""The properties and sequences: the reference passes them, and each catches an implementation that breaks it."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from etui_conformance.adapters import reference
from etui_conformance.checks import properties, sequences
from etui_conformance.checks.base import Check, Context, Mismatch, Settings
from etui_conformance.checks.examine import FAILURES, Findings, examine, settings
from etui_conformance.oracle import packed
from etui_conformance.protocol.in_process import Handle, InProcess
from etui_conformance.protocol.session import AdapterFailure

Json = Any
Wrap = Callable[[Handle], Handle]

CHECKS: dict[str, Check] = {check.id: check for check in [*properties.checks(), *sequences.checks()]}
EXAMPLES = 40


def context_of(handle: Callable[[], Handle], folder: Path, examples: int = EXAMPLES) -> Context:
    """A context whose implementation is a handle."""

    def start() -> InProcess:
        return InProcess(handle, folder)

    return Context(start(), Settings(examples=examples), start)


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.clause("CF-40@9481f6")
def test_the_reference_passes(name: str, tmp_path: Path) -> None:
    """The reference library has every property, and no sequence shows anything of it."""
    CHECKS[name].run(context_of(reference.start, tmp_path, examples=8))


# Implementations that are wrong in one way each: what they make of the reply of the reference, or of the request.


def replying(op: str, change: Callable[[Mapping[str, Json], dict[str, Json]], None]) -> Wrap:
    """Wraps a handle so that a change is made to its accepting replies to an op."""

    def wrap(handle: Handle) -> Handle:
        def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
            reply = dict(handle(request))
            if request["op"] == op and reply["result"] == "ok":
                change(request, reply)
            return reply

        return answer

    return wrap


def tensors(reply: dict[str, Json]) -> list[dict[str, Json]]:
    found = reply.get("content", {}).get("tensors", {})
    return [tensor for entries in found.values() for tensor in entries.values()]


def quiet_nans(_request: Mapping[str, Json], reply: dict[str, Json]) -> None:
    """Every NaN of float32 gets the usual bits."""
    for tensor in tensors(reply):
        if tensor["dtype"] == "float32" and "data" in tensor:
            data = bytearray(base64.b64decode(tensor["data"]))
            for at in range(0, len(data), 4):
                bits = int.from_bytes(data[at : at + 4], "little")
                if bits & 0x7F800000 == 0x7F800000 and bits & 0x7FFFFF:
                    data[at : at + 4] = (0x7FC00000).to_bytes(4, "little")
            tensor["data"] = base64.b64encode(data).decode()


def integral(value: Json) -> Json:
    """A value whose integral floats are integers."""
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"].isdigit():
            return int(value["$float"])
        return {key: integral(item) for key, item in value.items()}
    return [integral(item) for item in value] if isinstance(value, list) else value


def without_floats(area: str) -> Callable[[Mapping[str, Json], dict[str, Json]], None]:
    def change(_request: Mapping[str, Json], reply: dict[str, Json]) -> None:
        if area in reply.get("content", {}):
            reply["content"][area] = integral(reply["content"][area])

    return change


def without_parts(_request: Mapping[str, Json], reply: dict[str, Json]) -> None:
    """Empty parts are forgotten."""
    parts = reply.get("content", {}).get("parts", {})
    for name in [name for name, part in parts.items() if part.get("data") == ""]:
        del parts[name]


def whole_tensors(request: Mapping[str, Json], reply: dict[str, Json]) -> None:
    """Boxes are given whole."""
    for asked, tensor in zip(request.get("read", []), reply.get("read", []), strict=True):
        if asked["box"] and "data" in tensor and any(start for start, _ in asked["box"]):
            tensor["data"] = base64.b64encode(base64.b64decode(tensor["data"])[::-1]).decode()


def first_chunks(_request: Mapping[str, Json], reply: dict[str, Json]) -> None:
    """Tensors of more than four elements are put together in the wrong order."""
    for tensor in tensors(reply):
        data = base64.b64decode(tensor.get("data", ""))
        if len(data) > 8:
            tensor["data"] = base64.b64encode(data[8:] + data[:8]).decode()


def rezipped(request: Mapping[str, Json], _reply: dict[str, Json]) -> None:
    """What was written gets other bytes that mean the same: documents in another order, a longer integer."""
    path = Path(request["path"])
    if request["form"] == "packed":
        parts = packed.unpack(path.read_bytes())
        path.write_bytes(packed.pack(parts, order=sorted(parts)))
    else:
        document = next(iter(path.glob("*.json")))
        document.write_bytes(document.read_bytes() + b"\n")


def copied(handle: Handle) -> Handle:
    """Writes the bytes of the last artifact that it read, and so passes every round trip."""
    last: dict[str, Json] = {}

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        if request["op"] == "decode":
            last["artifact"] = request["artifact"]
        reply = handle(request)
        if request["op"] == "encode" and "packed" in last.get("artifact", {}) and request["form"] == "packed":
            Path(request["path"]).write_bytes(base64.b64decode(last["artifact"]["packed"]["data"]))
        elif request["op"] == "encode":
            path = Path(request["path"])
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return reply

    return answer


def one_shard(handle: Handle) -> Handle:
    """Knows no shards."""
    return lambda request: handle({key: value for key, value in request.items() if key != "shard_size"})


def accepting(op: str) -> Wrap:
    """Accepts whatever it is asked to verify."""

    def wrap(handle: Handle) -> Handle:
        def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
            reply = handle(request)
            if request["op"] == op and reply["result"] == "reject":
                return {"id": request["id"], "result": "ok", "identity": "", "content": {}}
            return reply

        return answer

    return wrap


def refusing_later(handle: Handle) -> Handle:
    """Verifies the data when it opens an artifact, though nobody asked for a tensor."""

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        if request["op"] == "decode":
            verified = handle({"id": request["id"], "op": "validate", "artifact": request["artifact"]})
            if verified["result"] == "reject":
                return verified
        return handle(request)

    return answer


def never_valid(handle: Handle) -> Handle:
    """Refuses whatever has a tensor of strings."""

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        reply = handle(request)
        if request["op"] == "validate" and "artifact" in request:
            decoded = handle({"id": request["id"], "op": "decode", "want": "all", "artifact": request["artifact"]})
            if any("strings" in tensor for tensor in tensors(dict(decoded))):
                return {"id": request["id"], "result": "reject", "class": "invalid", "code": "weights-form", "at": ""}
        return reply

    return answer


BROKEN: dict[str, Wrap] = {
    "property/decode/weights": replying("decode", quiet_nans),
    "property/decode/config": replying("decode", without_floats("config")),
    "property/decode/training": replying("decode", without_floats("training")),
    "property/decode/optimizer": replying("decode", without_floats("optimizer")),
    "property/decode/state": replying("decode", without_floats("state")),
    "property/decode/parts": replying("decode", without_parts),
    "property/decode/boxes": replying("decode", whole_tensors),
    "property/decode/chunks": replying("decode", first_chunks),
    **{f"property/encode/{area}": copied for area in ("weights", "config", "training")},
    **{f"property/encode/{area}": replying("encode", rezipped) for area in ("optimizer", "state", "parts")},
    "property/encode/shards": one_shard,
    "property/transcode/forms": replying("transcode", rezipped),
    "property/transcode/shards": one_shard,
    "property/transcode/chunks": replying("transcode", rezipped),
    "property/transcode/further-fields": replying("transcode", rezipped),
    "property/validate": never_valid,
    "property/flips/validate-packed": accepting("validate"),
    "property/flips/validate-directory": accepting("validate"),
    "property/flips/decode": accepting("decode"),
    "property/decode/untouched": refusing_later,
    **{
        f"property/documents/{kind}": accepting("validate")
        for kind in ("manifest", "config", "weights", "training", "optimizer", "state")
    },
}


@pytest.mark.library
def test_each_property_has_a_broken_implementation() -> None:
    """None of the properties goes without an implementation that it must catch."""
    assert BROKEN.keys() == {name for name in CHECKS if name.startswith("property/")}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.clause("CF-51@f6dbc0", "CF-55@83a7ec")
def test_a_broken_implementation_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each property finds the implementation that lacks it, and hands over the request that shows it."""
    monkeypatch.setattr("etui_conformance.checks.examine.SHRINK_SECONDS", 0.0)  # small or not does not matter here
    with pytest.raises(Mismatch) as found:
        CHECKS[name].run(context_of(lambda: BROKEN[name](reference.start()), tmp_path, examples=60))
    assert found.value.request
    assert not getattr(found.value, "__notes__", [])
    assert found.value.files or "content" in found.value.request


# Leaks of state


def by_place() -> Handle:
    """An implementation that keeps the content of an artifact by its path."""
    handle = reference.start()
    kept: dict[str, dict[str, Json]] = {}

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        reply = dict(handle(request))
        if request["op"] == "reset":
            kept.clear()
        if request["op"] == "decode" and reply["result"] == "ok":
            own = {name: reply[name] for name in ("content", "identity")}
            reply |= kept.setdefault(f"{request['artifact']} {request['want']}", own)
        return reply

    return answer


def boxes_by_name() -> Handle:
    """An implementation that keeps each tensor that it gave by the tensor's name and box."""
    handle = reference.start()
    kept: dict[str, Json] = {}

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        reply = dict(handle(request))
        if request["op"] == "decode" and reply["result"] == "ok":
            pairs = zip(request.get("read", []), reply.get("read", []), strict=True)
            reply["read"] = [kept.setdefault(f"{asked['name']}{asked['box']}", tensor) for asked, tensor in pairs]
        return reply

    return answer


def spoiling() -> Handle:
    """An implementation whose failed writes take away what was there."""
    handle = reference.start()

    def answer(request: Mapping[str, Json]) -> Mapping[str, Json]:
        reply = handle(request)
        if request["op"] == "encode" and reply["result"] != "ok":
            path = Path(request["path"])
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        return reply

    return answer


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("sequence/reading", by_place),
        ("sequence/reading", boxes_by_name),
        ("sequence/writing", by_place),
        ("sequence/writing", spoiling),
    ],
    ids=["reading by place", "boxes by name", "writing by place", "failed writes"],
)
@pytest.mark.clause("CF-53@2c5123")
def test_a_leak_is_found(name: str, start: Callable[[], Handle], tmp_path: Path) -> None:
    """A sequence finds what an implementation keeps, and its finding names the steps."""
    with pytest.raises(Mismatch) as found:
        CHECKS[name].run(context_of(start, tmp_path, examples=60))
    assert ", after: " in str(found.value)
    steps = str(found.value).partition(", after: ")[2].split("; ")
    assert 2 <= len(steps) <= 15


@pytest.mark.library
def test_single_requests_see_no_leak(tmp_path: Path) -> None:
    """The same leak passes a property whose examples are independent of each other: sequences are needed."""
    CHECKS["property/decode/boxes"].run(context_of(by_place, tmp_path, examples=20))


# How failures become findings


@pytest.mark.clause("CF-55@83a7ec")
def test_the_smallest_failure_is_the_finding(tmp_path: Path) -> None:
    """A failure is made small before it is raised, as a mismatch and without the notes of Hypothesis."""
    context = context_of(reference.start, tmp_path)

    def body(number: int) -> None:
        if number > 1000:
            raise Mismatch(f"{number} is too large", request={"op": "decode", "number": number})

    with pytest.raises(Mismatch, match=r"^1001 is too large$") as found:
        examine(context, "test", st.integers(0, 10**6), body)
    assert found.value.request == {"op": "decode", "number": 1001}
    assert not getattr(found.value, "__notes__", [])


@pytest.mark.parametrize(("kind", "most"), [("hang", 1), ("crash", FAILURES)])
@pytest.mark.clause("CF-50@810bd8")
def test_an_adapter_that_falls_is_not_asked_for_ever(kind: Any, most: int, tmp_path: Path) -> None:
    """After the first hang, and after a few crashes, no smaller example is looked for."""
    asked: list[int] = []

    def body(number: int) -> None:
        if number > 10:
            asked.append(number)
            raise AdapterFailure(kind, "gone")

    with pytest.raises(AdapterFailure) as found:
        examine(context_of(reference.start, tmp_path), "test", st.integers(0, 10**6), body)
    assert found.value.kind == kind
    assert len(asked) == most


@pytest.mark.clause("CF-53@2c5123")
def test_a_failure_that_does_not_come_twice_is_kept(tmp_path: Path) -> None:
    """What fails once and passes when it is asked again is a finding all the same."""
    seen: set[int] = set()

    def body(number: int) -> None:
        if number not in seen and number > 100:
            seen.update(range(10**6))
            raise Mismatch("once")

    with pytest.raises(Mismatch, match=r"^once$"):
        examine(context_of(reference.start, tmp_path), "test", st.integers(0, 10**6), body)


@pytest.mark.library
def test_a_fault_of_the_suite_is_no_finding(tmp_path: Path) -> None:
    """An error that is no finding about the implementation comes through as it is."""

    def body(_number: int) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        examine(context_of(reference.start, tmp_path), "test", st.integers(), body)


@pytest.mark.clause("CF-54@9fc521")
def test_a_seed_repeats_a_run(tmp_path: Path) -> None:
    """The same seed gives the same examples, another seed others, and no seed always the same."""

    def drawn(seed: int | None, name: str = "test") -> list[int]:
        found: list[int] = []
        context = Context(InProcess(reference.start, tmp_path), Settings(seed=seed, examples=20), lambda: session)
        examine(context, name, st.integers(0, 10**9), found.append)
        return found

    session = InProcess(reference.start, tmp_path)
    assert drawn(None) == drawn(None)
    assert drawn(7) == drawn(7)
    assert len({tuple(drawn(None)), tuple(drawn(7)), tuple(drawn(8)), tuple(drawn(7, "other"))}) == 4


@pytest.mark.library
def test_settings_follow_the_run(tmp_path: Path) -> None:
    """A quick run draws few examples, a share of a run its share, and nothing is kept between runs."""
    context = context_of(reference.start, tmp_path, examples=100)
    quick = Context(context.session, Settings(quick=True, examples=100), context.fresh)
    assert settings(context).max_examples == 100
    assert settings(context, 0.12).max_examples == 12
    assert settings(quick).max_examples < 10
    assert settings(context).database is None
    assert settings(context).deadline is None
    assert hypothesis.Phase.reuse not in settings(context).phases
    assert not Findings().done
