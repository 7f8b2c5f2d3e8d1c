"""Checks of what each request must do, beyond what the clauses of the format say of readers and writers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import (
    Question,
    about_document,
    about_packed,
    about_parts,
    check_content,
    check_written,
    complete,
    short,
    to_encode,
)
from etui_conformance.checks.protocol import READS
from etui_conformance.checks.protocol_samples import (
    BIAS,
    KERNEL,
    TIED,
    archive,
    dense_model,
    everything,
    noted,
    weights,
)
from etui_conformance.oracle import content as contents
from etui_conformance.oracle import packed, reading, writing
from etui_conformance.protocol import wire
from etui_conformance.protocol.messages import AREAS
from etui_conformance.protocol.session import AdapterFailure

_WRITES: Final = ("weights", "packed", "dtype:float32")
_ALL: Final = (*AREAS, "packed", "dtype:float32", "dtype:uint32")
_COMPUTES: Final = ("config", "weights", "packed", "dtype:float64")


def checks() -> list[Check]:
    """The checks of requests."""
    return [
        _check("decode", ("CF-23", "H-8"), READS, "Answers decode with identity, profile and content.", _decode),
        _check("documents", ("CF-24", "Z-12"), READS, "Gives documents without the data sections.", _documents),
        _check("read", ("CF-25", "W-13"), READS, "Gives boxes of tensors, by aliases too.", _read),
        _check("untouched", ("CF-14",), (*READS, "directory"), "Leaves artifacts as they are.", _untouched),
        *(
            _check(
                f"encode/{form}",
                ("CF-26",),
                ("encode", *_WRITES, form),
                f"Writes the canonical artifact in {form} form, in place of an earlier one.",
                _encoding(form),
            )
            for form in ("packed", "directory")
        ),
        _check("encode/shards", ("CF-26", "W-24"), ("encode", *_WRITES), "Writes shards of the size asked.", _shards),
        _check("transcode", ("CF-27", "C-10", "Q-8"), ("transcode", *_ALL), "Keeps what it does not know.", _transcode),
        _check("validate", ("CF-28", "H-7"), ("validate", *_WRITES), "Verifies every byte.", _validate),
        _check("validate/document", ("CF-29",), ("validate", "weights"), "Checks one document alone.", _document),
        _check("evaluate", ("CF-31",), ("evaluate", *_COMPUTES), "Computes a dense op.", _evaluate),
        _check(
            "step",
            ("CF-32",),
            ("step", *_COMPUTES, "training", "optimizer"),
            "Takes one step of gradient descent.",
            _step,
        ),
        _check("compute", ("CF-33",), ("compute", "dtype:float64"), "Computes an activation.", _compute),
    ]


def _check(
    name: str, clauses: tuple[str, ...], needs: tuple[str, ...], title: str, run: Callable[[Context], None]
) -> Check:
    return Check(f"protocol/{name}", clauses, frozenset(needs), title, run)


def _decode(context: Context) -> None:
    parts = writing.write(noted())
    question = about_parts(context.session, "decode", parts, "packed", want="all")
    fields = question.accepted()
    _check_identity(question, fields.get("identity"), parts)
    if fields.get("profile") != "weights":
        raise question.mismatch("decode gave another profile", "weights", fields.get("profile"))
    check_content(question, fields, complete(noted()), context.session.hello.areas)


def _documents(context: Context) -> None:
    data, start = _changed_data(weights())
    question = about_packed(context.session, "decode", data, want="documents")
    content = wire.content_from_wire(question.accepted().get("content"))
    if "tensors" in content:
        raise question.mismatch("documents were asked for, and tensors given", "no field tensors", content["tensors"])
    if content.get("weights") != weights()["weights"]:
        raise question.mismatch(f"the byte at {start} is of no document", weights()["weights"], content.get("weights"))


def _changed_data(content: dict[str, Any]) -> tuple[bytes, int]:
    """The packed form with a changed byte of the bias, which no header and no document shows."""
    data = bytearray(archive(content))
    start = bytes(data).index(content["tensors"]["weights"][BIAS]["data"])
    data[start] ^= 1
    return bytes(data), start


def _read(context: Context) -> None:
    data, _ = _changed_data(weights())  # what is not read is not looked at
    kernel = complete(weights())["tensors"]["weights"][KERNEL]
    boxes: list[tuple[str, list[list[int]] | None]] = [
        (KERNEL, None),
        (TIED, None),
        (KERNEL, [[0, 2], [1, 3]]),
        (TIED, [[1, 2], [0, 3]]),
        (KERNEL, [[1, 1], [0, 3]]),
        (KERNEL, [[0, 2], [2, 2]]),
    ]
    asked = [{"part": "weights", "name": name, "box": box} for name, box in boxes]
    question = about_packed(context.session, "decode", data, want="documents", read=asked)
    given = question.accepted().get("read")
    if not isinstance(given, list) or len(given) != len(boxes):
        raise question.mismatch("read has another number of tensors", len(boxes), short(given))
    for (name, box), node in zip(boxes, given, strict=True):
        found = wire.tensor_from_wire(node, f"read of {name}")
        expected = contents.box_of(kernel, box)
        if found != expected:
            raise question.mismatch(f"the box {box} of {name} is another", expected, found)


def _untouched(context: Context) -> None:
    parts = writing.write(everything() if set(AREAS) <= context.session.hello.areas else weights())
    for form in ("directory", "packed"):
        question = about_parts(context.session, "decode", parts, form, want="all")
        if form == "packed":
            artifact = wire.packed_artifact(packed.pack(parts), context.folder, by_file=True)
            question = Question(question.session, "decode", {"artifact": artifact, "want": "all"}, question.files)
        before = _snapshot(question)
        question.accepted()
        if _snapshot(question) != before:
            raise question.mismatch(
                "the artifact that was read has changed", sorted(before), sorted(_snapshot(question))
            )


def _snapshot(question: Question) -> dict[str, bytes]:
    artifact = question.fields["artifact"]
    root = Path(artifact.get("directory") or artifact["packed"]["file"])
    files = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def _encoding(form: str) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        path = wire.new_path(context.folder)
        for content in (weights(1), noted(), weights(2)):
            expected = writing.write(content)
            question = to_encode(context.session, content, form, path)
            _check_identity(question, question.accepted().get("identity"), expected)
            check_written(question, form, path, expected)

    return run


def _shards(context: Context) -> None:
    path = wire.new_path(context.folder)
    for size in (1, 12, 24, 36, 1 << 30):
        question = to_encode(context.session, weights(), "packed", path, shard_size=size)
        question.accepted()
        check_written(question, "packed", path, writing.write(weights(), size))


def _transcode(context: Context) -> None:
    given = writing.write(everything())
    for form in sorted({"packed", "directory"} & context.session.hello.forms):
        for size in (None, 12):
            path = wire.new_path(context.folder)
            fields = {"form": form, "path": str(path), **({} if size is None else {"shard_size": size})}
            question = about_parts(context.session, "transcode", given, "packed", **fields)
            expected = writing.write(everything(), size)
            _check_identity(question, question.accepted().get("identity"), expected)
            check_written(question, form, path, expected)


def _validate(context: Context) -> None:
    parts = writing.write(weights())
    question = about_parts(context.session, "validate", parts, "packed")
    _check_identity(question, question.accepted().get("identity"), parts)
    data, _ = _changed_data(weights())
    about_packed(context.session, "validate", data).refused(["digest-mismatch", "zip-crc"])


def _document(context: Context) -> None:
    data = writing.write(noted())["weights.json"]
    about_document(context.session, "weights", data).accepted()
    about_document(context.session, "weights", data[:-1]).refused(["json-syntax"])
    about_document(context.session, "weights", data.replace(b'"order":0', b'"order":7')).refused(["weights-order"])
    about_document(context.session, "weights", data).accepted()


def _evaluate(context: Context) -> None:
    given = _tensor([2, 2], 1.0, 2.0, 0.25, -4.0)
    inputs = [wire.tensor_to_wire(given, context.folder)]
    data = archive(dense_model())
    question = about_packed(context.session, "evaluate", data, inputs=inputs, training=False)
    fields = question.accepted()
    outputs = fields.get("outputs")
    if not isinstance(outputs, list) or len(outputs) != 1:
        raise question.mismatch("evaluate gave another number of outputs", 1, short(outputs))
    _check_tensor(question, outputs[0], _tensor([2, 1], 0.5, 5.0))
    if fields.get("variables") != {}:
        raise question.mismatch("evaluate changed variables", {}, short(fields.get("variables")))


def _step(context: Context) -> None:
    gradients = {BIAS: _tensor([1], 4.0), KERNEL: _tensor([2, 1], 1.0, -2.0)}
    content = _descending()
    sent = {path: wire.tensor_to_wire(tensor, context.folder) for path, tensor in gradients.items()}
    question = about_packed(context.session, "step", archive(content), gradients=sent)
    fields = question.accepted()
    expected = {BIAS: _tensor([1], -0.5), KERNEL: _tensor([2, 1], 1.75, -0.5)}
    given = fields.get("weights")
    if not isinstance(given, dict) or not expected.keys() <= given.keys():
        raise question.mismatch("step gave other variables", sorted(expected), short(given))
    for path, tensor in expected.items():
        _check_tensor(question, given[path], tensor)
    try:
        after = fields["optimizer"]["optimizers"]["optimizer"]
        steps = after["step"], after["micro_step"]
    except (KeyError, TypeError) as fault:
        raise AdapterFailure("garbage", "a step without the optimizer's document") from fault
    if steps != (8, 8):
        raise question.mismatch("step counted otherwise", "step 8, micro_step 8", steps)
    if fields.get("tensors") != {}:
        raise question.mismatch("step gave slots to an optimizer that has none", {}, short(fields.get("tensors")))


def _descending() -> dict[str, Any]:
    """The dense model with gradient descent at a rate of 1/4, after 7 steps."""
    content = dense_model()
    content["profile"] = "training"
    state = {
        "algorithm": "core:sgd",
        "groups": [{"variables": [BIAS, KERNEL]}],
        "hyperparameters": {"learning_rate": 0.25},
        "learning_rate": 0.25,
        "micro_step": 7,
        "step": 7,
    }
    document = {"format": "etui-optimizer", "optimizers": {"optimizer": state}, "tensors": {}, "version": "1.0"}
    return content | {"optimizer": document}


def _compute(context: Context) -> None:
    given = {"x": wire.tensor_to_wire(_tensor([3], -2.0, 0.0, 3.5), context.folder)}
    fields = {"object": {"$object": {"class": "core:activations.relu", "config": {}}}, "inputs": given}
    question = Question(context.session, "compute", fields, {})
    outputs = question.accepted().get("outputs")
    if not isinstance(outputs, dict) or "y" not in outputs:
        raise question.mismatch("compute gave other outputs", "y", short(outputs))
    _check_tensor(question, outputs["y"], _tensor([3], 0.0, 0.0, 3.5))


def _tensor(shape: list[int], *values: float) -> dict[str, Any]:
    return {"dtype": "float64", "shape": shape, "data": struct.pack(f"<{len(values)}d", *values)}


def _check_tensor(question: Question, node: Any, expected: dict[str, Any]) -> None:
    """Check for equality; these numbers are exact in every order of the sums."""
    found = wire.tensor_from_wire(node, f"a tensor of {question.op}")
    if (found["dtype"], found["shape"]) != (expected["dtype"], expected["shape"]) or (
        _values(found["data"]) != _values(expected["data"])
    ):
        raise question.mismatch(f"{question.op} gave another tensor", expected, found)


def _values(data: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(data) // 8}d", data)


def _check_identity(question: Question, found: object, parts: dict[str, bytes]) -> None:
    expected = reading.identity(parts)
    if found != expected:
        raise question.mismatch(f"{question.op} gave another identity", expected, found)
