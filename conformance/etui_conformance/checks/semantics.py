"""Checks of meaning: what core ops compute, what losses and their like give, and where the steps of an optimizer lead.

They compare with vectors of the reference evaluator, in float64 (`conformance/vectors/core`). The tolerance stands in
each file: 1e-9 of a number, where orders of summation and libraries of functions differ by 1e-15 or so. The formulas of
SPEC.md differ from likely mistakes by far more, because the cases have epsilons of ordinary size.

A vector of an optimizer is a chain: after each step, what the implementation said of variables and optimizer is written
into an artifact, from which it takes the next step. So the chain shows, too, that training which is stopped, saved and
resumed goes on as if it had not been.

    {"op": "evaluate", "artifact": …, "inputs": […], "training": false}    outputs and changed variables are compared
    {"op": "compute", "object": {"$object": …}, "inputs": {…}}            outputs
    {"op": "step", "artifact": …, "gradients": {…}}                       weights, tensors, counters, rates of each step
    {"op": "decode" …}, and the others                                    refused with a code, or simply not done where
                                                                          there is none; a sibling is taken
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.checks.closeness import check_close
from etui_conformance.oracle import packed, reading, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.session import AdapterFailure, Reply
from etui_conformance.protocol.wire import packed_artifact, tensor_from_wire
from etui_conformance.resources import vectors_directory

Json = Mapping[str, Any]
MANIFEST = "core/manifest.json"
_NEEDS = {
    "evaluate": ("evaluate", "config", "weights", "packed"),
    "step": ("step", "weights", "optimizer", "packed"),
    "compute": ("compute",),
    "decode": ("decode", "packed"),
}


def checks() -> list[Check]:
    """A check for each case that the manifest of the vectors lists."""
    return [
        Check(
            id=case["id"],
            clauses=tuple(case["clauses"]),
            needs=frozenset((*_NEEDS[case["op"]], *case.get("needs", ()))),
            title=case["title"],
            run=partial(run, entry["file"], case["id"]),
        )
        for entry in manifest()["files"]
        for case in entry["cases"]
    ]


@cache
def manifest() -> Json:
    """The manifest of the vectors of meaning."""
    return _read(vectors_directory() / MANIFEST)


@cache
def vectors(file: str) -> Json:
    """A file of vectors, by its name in the manifest."""
    return _read((vectors_directory() / MANIFEST).parent / file)


def run(file: str, name: str, context: Context) -> None:
    """Ask what a case asks, and compare.

    Raises:
        Mismatch: the reply is another than the vector has.
        AdapterFailure: there is none.
    """
    content = vectors(file)
    prefix = f"semantics/{content['subject']}/"
    case = next(case for case in content["cases"] if prefix + case["name"] == name)
    if "sibling" in case:
        _refused(content["siblings"][case["sibling"]], case, context)
    else:
        _COMPARED[case["op"]](case, case.get("tolerance", content["tolerance"]), context)


def _evaluated(case: Json, tolerance: Mapping[str, float], context: Context) -> None:
    reply = _asked(context, "evaluate", case["request"])
    expected = case["expected"]
    outputs, variables = _member(reply, "outputs", list), _member(reply, "variables", dict)
    _same("the number of outputs", len(expected["outputs"]), len(outputs))
    for index, (one, two) in enumerate(zip(expected["outputs"], outputs, strict=True)):
        check_close(f"output {index}", one, two, tolerance)
    _same("the changed variables", sorted(expected["variables"]), sorted(variables))
    for path, one in expected["variables"].items():
        check_close(f"the variable {path}", one, variables[path], tolerance)


def _computed(case: Json, tolerance: Mapping[str, float], context: Context) -> None:
    outputs = _member(_asked(context, "compute", case["request"]), "outputs", dict)
    expected = case["expected"]["outputs"]
    _same("the names of the outputs", sorted(expected), sorted(outputs))
    for name, one in expected.items():
        # A state has its own dtype (CT-5); all else may be computed more exactly.
        check_close(name, one, outputs[name], tolerance, exact_dtype=name.startswith("state/"))


def _stepped(case: Json, tolerance: Mapping[str, float], context: Context) -> None:
    """The whole chain; each step but the first is taken from an artifact of what the step before it gave."""
    artifact = case["request"]["artifact"]
    content = reading.read(packed.unpack(base64.b64decode(artifact["packed"]["data"])))
    for number, (gradients, expected) in enumerate(
        zip(case["request"]["gradients"], case["expected"]["steps"], strict=True), 1
    ):
        reply = _asked(context, "step", {"artifact": artifact, "gradients": gradients})
        weights, tensors = _member(reply, "weights", dict), _member(reply, "tensors", dict)
        document = _member(reply, "optimizer", dict)
        step = f"after step {number}"
        lacking = sorted(expected["weights"].keys() - weights.keys())
        _same(f"the variables that are missing {step}", [], lacking)
        for path, one in expected["weights"].items():
            check_close(f"the variable {path} {step}", one, weights[path], tolerance)
        _same(f"the tensors of the optimizer {step}", sorted(expected["tensors"]), sorted(tensors))
        for name, one in expected["tensors"].items():
            check_close(f"{name} {step}", one, tensors[name], tolerance)
        _same(f"the counters {step}", expected["counters"], _of_each(document, ("step", "micro_step")))
        for path, rate in expected.get("learning_rates", {}).items():
            found = _of_each(document, ("learning_rate",)).get(path, {}).get("learning_rate")
            _same_rate(f"the learning_rate of {path} {step}", rate, found, tolerance)
        content = _after(content, document, weights, tensors)
        artifact = packed_artifact(_packed(content, step), context.folder)


def _same_rate(what: str, expected: float | None, found: Any, tolerance: Mapping[str, float]) -> None:
    """A rate is null, or a number as it stands in JSON; those of the vectors have no other form."""
    number = type(found) in (int, float)
    near = number and expected is not None and abs(found - expected) <= tolerance["rtol"] * abs(expected)
    if not near and not (expected is None and found is None):
        raise Mismatch(f"{what}: another", expected=expected, found=found)


def _of_each(document: Json, fields: Sequence[str]) -> dict[str, Any]:
    """Some fields of each optimizer of a document, those of what it wraps under `<path>/inner`."""
    found: dict[str, Any] = {}
    waiting = list(document.get("optimizers", {}).items())
    while waiting:
        path, optimizer = waiting.pop(0)
        found[path] = {field: optimizer.get(field) for field in fields}
        if "inner" in optimizer:
            waiting.append((f"{path}/inner", optimizer["inner"]))
    return found


def _after(content: Json, document: Json, weights: Json, tensors: Json) -> dict[str, Any]:
    """A content with the variables and the optimizer of a reply in the place of its own."""
    known = content["tensors"]["weights"]
    variables = {path: tensor_from_wire(weights[path], path) if path in weights else known[path] for path in known}
    slots = {name: tensor_from_wire(tensor, name) for name, tensor in tensors.items()}
    further = {"format": content["optimizer"]["format"], "version": content["optimizer"]["version"]}
    return {
        **content,
        "optimizer": {**document, **further},
        "tensors": {**content["tensors"], "weights": variables, "optimizer": slots},
    }


def _packed(content: Json, step: str) -> bytes:
    try:
        parts = writing.write(dict(content))
        reading.read(parts)
    except (Refusal, KeyError, TypeError, ValueError) as fault:
        raise Mismatch(f"what the reply says of the optimizer {step} is no valid content", found=str(fault)) from fault
    return packed.pack(parts)


def _refused(sibling: Json, case: Json, context: Context) -> None:
    """The sibling is taken, and the case refused with its code; where it has none, any answer but `ok` is right."""
    _asked(context, sibling["op"], sibling["request"])
    reply = context.session.ask(case["op"], **case["request"])
    expected = case["expected"]
    if "not" in expected:
        if reply.result == expected["not"]:
            request = {"op": case["op"], **case["request"]}
            raise Mismatch("done", expected="any other answer", found=_said(reply), request=request)
        return
    if reply.refusal != (expected["class"], expected["code"]):
        raise Mismatch(
            "not refused as it must be",
            expected=f"{expected['class']} {expected['code']}",
            found=_said(reply),
            request={"op": case["op"], **case["request"]},
        )


def _asked(context: Context, op: str, request: Json) -> Reply:
    """The reply to a request that an implementation takes."""
    reply = context.session.ask(op, **request)
    if reply.result != "ok":
        raise Mismatch("not done", expected="ok", found=_said(reply), request={"op": op, **request})
    return reply


def _said(reply: Reply) -> str:
    words = [str(reply.fields.get(name)) for name in ("class", "code", "at", "what", "message") if name in reply.fields]
    return " ".join([reply.result, *words])


def _member(reply: Reply, name: str, kind: type) -> Any:
    found = reply.fields.get(name)
    if not isinstance(found, kind):
        raise AdapterFailure("garbage", f"a reply without {name!r}, or with another form of it")
    return found


def _same(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Mismatch(f"{what}: others", expected=expected, found=found)


def _read(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


_COMPARED: dict[str, Callable[[Json, Mapping[str, float], Context], None]] = {
    "evaluate": _evaluated,
    "compute": _computed,
    "step": _stepped,
}
