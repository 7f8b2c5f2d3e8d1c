"""Checks of how tensors and bytes travel: their bits, their files, and what a content has of them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import Question, about_packed, check_content, complete, short
from etui_conformance.checks.protocol import READS
from etui_conformance.checks.protocol_samples import KERNEL, TIED, archive, floats, large, noted, weights, weights_of
from etui_conformance.oracle import writing
from etui_conformance.protocol import wire
from etui_conformance.protocol.session import AdapterFailure

_BASE: Final = ("decode", "weights", "packed")
# A quiet NaN with a payload, a signalling one, a negative one, minus zero, the least subnormal, infinities.
_FLOATS: Final = struct.pack("<7I", 0x7FC01234, 0x7F800001, 0xFFC00000, 0x80000000, 0x00000001, 0x7F800000, 0xFF800000)
_TENSORS: Final[dict[str, tuple[dict[str, Any], tuple[str, ...]]]] = {
    "float32": ({"dtype": "float32", "shape": [7], "data": _FLOATS}, ()),
    "bool": ({"dtype": "bool", "shape": [2, 2], "data": b"\x01\x00\x00\x01"}, ()),
    "int64": ({"dtype": "int64", "shape": [2], "data": struct.pack("<2q", -(2**63), 2**63 - 1)}, ()),
    "bfloat16": ({"dtype": "bfloat16", "shape": [3], "data": bytes.fromhex("c17f00800100")}, ()),
    "int4": ({"dtype": "int4", "shape": [3], "data": b"\xf8\x07\xff"}, ("encoding.packed4",)),
    "uint4": ({"dtype": "uint4", "shape": [3], "data": b"\x0f\x00\x08"}, ("encoding.packed4",)),
    "complex64": ({"dtype": "complex64", "shape": [1], "data": floats(1.5, -0.0)}, ("encoding.complex",)),
    "scalar": ({"dtype": "float32", "shape": [], "data": floats(-0.0)}, ()),
    "empty": ({"dtype": "float32", "shape": [0, 3], "data": b""}, ()),
}
_STRINGS: Final = {
    "string": {"dtype": "string", "shape": [2, 2], "strings": [b"", "\u00e4\u2028".encode(), b"a\nb", b"\0"]},
    "bytes": {"dtype": "bytes", "shape": [2], "strings": [b"\xff\xfe", b""]},
}
_QUANTIZED: Final = {
    "dtype": "float32",
    "shape": [2, 2],
    "data": b"",
    "components": {
        "scale": {"dtype": "float32", "shape": [1, 2], "data": floats(0.5, 3)},
        "values": {"dtype": "int8", "shape": [2, 2], "data": b"\x80\x7f\x00\x01"},
        "zero_point": {"dtype": "int8", "shape": [1, 2], "data": b"\x01\xff"},
    },
}


def checks() -> list[Check]:
    """The checks of tensors and bytes."""
    found = [
        _round(f"tensor/{name}", "CF-15", tensor, features, f"Gives a tensor with every bit: {name}.")
        for name, (tensor, features) in _TENSORS.items()
    ]
    found += [
        _round(f"tensor/{name}", "CF-16", tensor, ("encoding.string",), f"Gives elements of dtype {name} one by one.")
        for name, tensor in _STRINGS.items()
    ]
    title = "Gives a quantized tensor dequantized, and its components."
    found.append(_round("tensor/quantized", "CF-17", _QUANTIZED, ("encoding.quantized",), title))
    return [
        *found,
        _check("bytes-by-file", ("CF-11",), READS, "Takes the same bytes inline and out of a file.", _by_file),
        _check(
            "document-by-file",
            ("CF-11",),
            ("validate", "weights"),
            "Takes a document inline and out of a file.",
            _document_by_file,
        ),
        _check("large-reply", ("CF-12", "CF-13"), READS, "Gives 1 MiB and more in a file of the folder.", _large_reply),
        _check("extensions", ("CF-19",), READS, "Gives documents with their x- fields.", _extensions),
        _check("tensors", ("CF-20",), READS, "Gives each tensor once, and no alias.", _tensors),
    ]


def _check(
    name: str, clauses: tuple[str, ...], needs: tuple[str, ...], title: str, run: Callable[[Context], None]
) -> Check:
    return Check(f"protocol/{name}", clauses, frozenset(needs), title, run)


def _round(name: str, clause: str, tensor: dict[str, Any], features: tuple[str, ...], title: str) -> Check:
    dtypes = {tensor["dtype"], *(each["dtype"] for each in tensor.get("components", {}).values())}
    needs = (*_BASE, *(f"dtype:{each}" for each in dtypes), *(f"feature:{each}" for each in features))
    return _check(name, (clause,), needs, title, lambda context: _given(context, tensor))


def _given(context: Context, tensor: dict[str, Any]) -> None:
    content = weights_of({KERNEL: tensor})
    question = about_packed(context.session, "decode", archive(content), want="all")
    check_content(question, question.accepted(), complete(content), context.session.hello.areas)


def _by_file(context: Context) -> None:
    data, expected = archive(weights()), complete(weights())
    for by_file in (False, True):
        artifact = wire.packed_artifact(data, context.folder, by_file=by_file)
        fields = {"artifact": artifact, "want": "all"}
        question = Question(context.session, "decode", fields, {"artifact.etui": data})
        check_content(question, question.accepted(), expected, context.session.hello.areas)


def _document_by_file(context: Context) -> None:
    data = writing.write(weights())["weights.json"]
    for by_file in (False, True):
        fields = {"document": "weights", "data": wire.bytes_to_wire(data, context.folder, by_file=by_file)}
        Question(context.session, "validate", fields, {"document.json": data}).accepted()


def _large_reply(context: Context) -> None:
    content = large()
    question = about_packed(context.session, "decode", archive(content), want="all")
    fields = question.accepted()
    try:
        tensor = fields["content"]["tensors"]["weights"][KERNEL]
    except (KeyError, TypeError) as fault:
        raise AdapterFailure("garbage", f"a content without the tensor {KERNEL}") from fault
    file = tensor.get("file")
    if not isinstance(file, str):
        size = len(base64.b64decode(tensor.get("data", "")))
        raise question.mismatch("so many bytes are not given by file", "a file", f"{size} bytes inline")
    if not Path(file).is_absolute() or context.folder not in Path(file).resolve().parents:
        raise question.mismatch("a file of a reply is elsewhere", f"an absolute path below {context.folder}", file)
    check_content(question, fields, complete(content), context.session.hello.areas)


def _extensions(context: Context) -> None:
    question = about_packed(context.session, "decode", archive(noted()), want="all")
    check_content(question, question.accepted(), complete(noted()), context.session.hello.areas)


def _tensors(context: Context) -> None:
    question = about_packed(context.session, "decode", archive(weights()), want="all")
    content = wire.content_from_wire(question.accepted().get("content"))
    found = content.get("tensors", {}).get("weights", {})
    expected = weights()["tensors"]["weights"]
    if TIED in found:
        raise question.mismatch("an alias stands among the tensors", sorted(expected), sorted(found))
    if found != expected:
        raise question.mismatch("the tensors are others", short(expected), short(found))
