"""Requests about artifacts, and what a reply must say, for the checks that draw their artifacts."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etui_conformance.checks.base import Mismatch
from etui_conformance.oracle import directory, packed, reading, writing
from etui_conformance.oracle.errors import Refusal, class_of
from etui_conformance.protocol import wire
from etui_conformance.protocol.session import Hello, Reply, Session
from etui_conformance.strategies.scope import Scope
from etui_conformance.strategies.tensors import box_of

Content = dict[str, Any]
Parts = Mapping[str, bytes]

_SHOWN = 300
_NANS = {"float32": ("<f", 4), "float64": ("<d", 8)}


def scope_of(hello: Hello) -> Scope:
    """What may be drawn for an implementation."""
    return Scope(hello.areas, hello.features, hello.dtypes)


@dataclass(frozen=True, slots=True)
class Question:
    """A request about an artifact, with what a replay of it needs.

    Attributes:
        session: whom to ask.
        op: the request.
        fields: of the message, as it is sent.
        files: the artifact, as bytes.
    """

    session: Session
    op: str
    fields: Mapping[str, Any]
    files: Mapping[str, bytes]

    def ask(self) -> Reply:
        """Send it."""
        return self.session.ask(self.op, **self.fields)

    def mismatch(self, message: str, expected: object, found: object) -> Mismatch:
        """A finding about the reply."""
        request = {"op": self.op, **self.fields}
        return Mismatch(message, expected=short(expected), found=short(found), request=request, files=self.files)

    def accepted(self) -> Mapping[str, Any]:
        """The fields of the reply, which must be `ok`.

        Raises:
            Mismatch: it is another.
        """
        reply = self.ask()
        if reply.result != "ok":
            raise self.mismatch(f"{self.op} did not accept what is valid", "ok", told(reply))
        return reply.fields

    def refused(self, codes: Sequence[str]) -> None:
        """Check that the reply refuses, with one of the codes and its class.

        Raises:
            Mismatch: it does not.
        """
        reply = self.ask()
        expected = " or ".join(f"{class_of(code)} {code}" for code in codes)
        if reply.result != "reject":
            raise self.mismatch(f"{self.op} did not refuse what is not valid", expected, told(reply))
        if reply.refusal not in {(class_of(code), code) for code in codes}:
            raise self.mismatch(f"{self.op} refused for another reason", expected, told(reply))


def from_difference(expected: bytes | None, found: bytes | None) -> tuple[str, str]:
    """Two byte strings, or the absence of one, from a little before the first byte in which they differ."""
    if expected is None or found is None:
        return (
            "no such part" if expected is None else short(expected),
            "no such part" if found is None else short(found),
        )
    pairs = enumerate(zip(expected, found, strict=False))
    first = next((index for index, (one, other) in pairs if one != other), min(len(expected), len(found)))
    start = max(0, first - 40)
    return tuple(f"from byte {start}: {short(data[start:])}" for data in (expected, found))  # type: ignore[return-value]


def told(reply: Reply) -> str:
    """A reply in a few words."""
    if reply.result == "ok":
        return "ok"
    if reply.result == "reject":
        return f"{reply.fields.get('class')} {reply.code} at {reply.fields.get('at')}"
    return f"{reply.result}: {reply.fields.get('what', reply.fields.get('message'))}"


def short(value: object) -> str:
    """A value in a length that a report can show."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … ({len(text)} characters)"


def about_parts(session: Session, op: str, parts: Parts, form: str, /, **fields: Any) -> Question:
    """A question about the artifact of these parts, in a form."""
    if form == "directory":
        artifact = wire.directory_artifact(parts, session.folder)
        return Question(
            session, op, {"artifact": artifact, **fields}, {f"artifact/{name}": parts[name] for name in parts}
        )
    return about_packed(session, op, packed.pack(parts), **fields)


def about_series(session: Session, op: str, files: Parts, step: int, /, **fields: Any) -> Question:
    """A question about a step of the series of these files."""
    artifact = wire.series_artifact(files, step, session.folder)
    shown = {f"series/{name}": data for name, data in files.items()}
    return Question(session, op, {"artifact": artifact, **fields}, shown)


def about_packed(session: Session, op: str, data: bytes, /, **fields: Any) -> Question:
    """A question about the bytes of an artifact in packed form."""
    artifact = wire.packed_artifact(data, session.folder)
    return Question(session, op, {"artifact": artifact, **fields}, {"artifact.etui": data})


def about_document(session: Session, kind: str, data: bytes) -> Question:
    """The question whether one document is valid."""
    fields = {"document": kind, "data": wire.bytes_to_wire(data, session.folder)}
    return Question(session, "validate", fields, {f"document.{kind}": data})


def to_encode(session: Session, content: Content, form: str, path: Path, /, **fields: Any) -> Question:
    """The request to write a content; a replay needs no more than the message."""
    message = {"content": wire.content_to_wire(content, session.folder), "form": form, "path": str(path), **fields}
    return Question(session, "encode", message, {})


def complete(content: Content) -> Content:
    """The content as a reader gives it: with the data of quantized tensors, which no strategy draws."""
    return reading.read(writing.write(content))


def read_form(form: str, path: Path) -> dict[str, bytes]:
    """The parts that an implementation wrote.

    Raises:
        Refusal: they are not in that form.
        OSError: there is nothing to read.
    """
    if form == "directory":
        return directory.read(path, full=True)
    return packed.unpack(path.read_bytes())


def check_written(question: Question, form: str, path: Path, expected: Parts) -> None:
    """Check that an implementation wrote exactly these parts, in the canonical bytes of the form.

    Raises:
        Mismatch: it wrote others.
    """
    try:
        found = read_form(form, path)
    except (Refusal, OSError) as trouble:
        raise question.mismatch(
            f"what {question.op} wrote is no artifact", "the canonical bytes", str(trouble)
        ) from None
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            what = f"{question.op} wrote other bytes than the canonical ones in {name}"
            raise question.mismatch(what, *from_difference(expected.get(name), found.get(name)))
    if form == "packed" and path.read_bytes() != packed.pack(expected):
        raise question.mismatch(f"{question.op} wrote another archive than the canonical one", "other bytes", "these")


def check_content(question: Question, fields: Mapping[str, Any], expected: Content, areas: frozenset[str]) -> None:
    """Check that a reply has the content that is expected, bit for bit, in the areas that the implementation claims.

    Raises:
        Mismatch: it has another.
    """
    found = wire.content_from_wire(fields.get("content"))
    for area in sorted(areas - {"parts"}):
        if not same(found.get(area), expected.get(area)):
            raise question.mismatch(f"{question.op} gave another {area} document", expected.get(area), found.get(area))
        ours = expected.get("tensors", {}).get(area, {})
        theirs = found.get("tensors", {}).get(area, {})
        if ours.keys() != theirs.keys():
            raise question.mismatch(f"{question.op} gave other tensors of {area}", sorted(ours), sorted(theirs))
        for name, tensor in ours.items():
            if not same_tensor(theirs[name], tensor):
                raise question.mismatch(f"{question.op} gave another tensor {name!r} of {area}", tensor, theirs[name])
    for field in ("metadata", *(["parts"] if "parts" in areas else [])):
        if not same(found.get(field, {}), expected.get(field, {})):
            raise question.mismatch(f"{question.op} gave other {field}", expected.get(field), found.get(field))


Asked = Sequence[tuple[str, str, Any]]
"""Boxes to read: document, name, and `[start, stop]` of each dimension or `None` for all."""


def ask_for(asked: Asked) -> list[dict[str, Any]]:
    """The field `read` of a request."""
    return [{"part": role, "name": name, "box": box} for role, name, box in asked]


def check_boxes(question: Question, fields: Mapping[str, Any], expected: Content, asked: Asked) -> None:
    """Check that a reply has the boxes that were asked for, in their order.

    Args:
        question: that was asked.
        fields: of the reply.
        expected: the content of the artifact.
        asked: what was asked for.

    Raises:
        Mismatch: it has others.
    """
    found = fields.get("read", [])
    if not isinstance(found, list) or len(found) != len(asked):
        raise question.mismatch("another number of boxes", f"{len(asked)} tensors", found)
    for (role, name, box), node in zip(asked, found, strict=True):
        tensor = wire.tensor_from_wire(node, f"the box of {name!r}")
        target = expected[role].get("aliases", {}).get(name, name)
        whole = expected["tensors"][role][target]
        ours = box_of(whole, box)
        kept = {key: tensor[key] for key in ours if key in tensor}
        if not (same_computed(tensor, ours) if "components" in whole else same(kept, ours)):
            raise question.mismatch(f"another box {box} of {name!r} of {role}", ours, tensor)


def same(one: Any, other: Any) -> bool:
    """Whether two trees are equal, with 1, 1.0 and true as different as they are in JSON."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def same_tensor(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether two tensors are equal bit for bit; of what is computed, as dequantized data is, every NaN is equal."""
    if "components" not in expected:
        return same(dict(found), dict(expected))
    parts, theirs = expected["components"], found.get("components", {})
    if parts.keys() != theirs.keys() or not all(same(theirs[name], parts[name]) for name in parts):
        return False
    return same_computed(found, expected)


def same_computed(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether two tensors of floats that were computed are equal but for the bits of NaN."""
    if (found["dtype"], found["shape"]) != (expected["dtype"], expected["shape"]):
        return False
    return without_nans(expected["dtype"], found["data"]) == without_nans(expected["dtype"], expected["data"])


def without_nans(dtype: str, data: bytes) -> bytes:
    """The data with one NaN in the place of every NaN."""
    if dtype in _NANS:
        form, width = _NANS[dtype]
        nan = struct.pack(form, float("nan"))
        items = [data[at : at + width] for at in range(0, len(data), width)]
        return b"".join(nan if struct.unpack(form, item)[0] != struct.unpack(form, item)[0] else item for item in items)
    test = _SMALL_NANS.get(dtype)
    if test is None:
        return data
    exponent, width = test
    items = [data[at : at + width] for at in range(0, len(data), width)]
    return b"".join(_one_nan(item, exponent, dtype) for item in items)


_SMALL_NANS = {
    "float16": (0x7C00, 2),
    "bfloat16": (0x7F80, 2),
    "float8_e5m2": (0x7C, 1),
    "float8_e4m3fn": (0x7E, 1),
    "float8_e8m0fnu": (0xFE, 1),
}
"""dtype -> the largest bits without the sign that are no NaN, and the width."""


def _one_nan(item: bytes, most: int, dtype: str) -> bytes:
    sign = 0 if dtype == "float8_e8m0fnu" else 1 << (len(item) * 8 - 1)
    return b"\xff" * len(item) if int.from_bytes(item, "little") & ~sign > most else item
