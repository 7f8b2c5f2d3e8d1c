"""Properties of what is not valid: changed bits, and documents with changed bytes, held against the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import strategies as st

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.examine import examine
from etui_conformance.checks.exchange import (
    Question,
    about_document,
    about_packed,
    about_parts,
    ask_for,
    check_boxes,
    check_content,
    scope_of,
    told,
)
from etui_conformance.oracle import packed, reading, safetensors, writing
from etui_conformance.oracle.errors import Refusal, class_of
from etui_conformance.strategies import artifacts, layouts
from etui_conformance.strategies.drafts import JSON_DOCUMENTS, MANIFEST, MSGPACK_DOCUMENTS, Parts
from etui_conformance.strategies.mutations import mutations

_KINDS = {
    MANIFEST: "manifest",
    **{name: name.partition(".")[0] for name in (*JSON_DOCUMENTS, *MSGPACK_DOCUMENTS)},
}
_AREAS = {"manifest": "weights"}


@dataclass(frozen=True, slots=True)
class Flip:
    """A bit to turn over: the artifact, the byte's place as a share of all bytes, and the bit."""

    parts: Parts
    place: float
    bit: int

    def of(self, data: bytes) -> bytes:
        """Bytes with the bit turned over; without any bytes nothing is."""
        if not data:
            return data
        at = min(int(self.place * len(data)), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1 << self.bit]) + data[at + 1 :]


def family() -> list[Check]:
    """These properties, for `properties.checks`."""
    return [*_flipping(), *_documents()]


def _flipping() -> Iterator[Check]:
    found = "find any changed bit"
    for form in ("packed", "directory"):
        name = f"property/flips/validate-{form}"
        needs = frozenset({"validate", "weights", form})
        clauses = ("H-5", "H-7", *(("Z-3", "Z-4", "Z-7", "Z-8", "E-4") if form == "packed" else ("F-4",)))
        yield Check(name, clauses, needs, f"{found} of an artifact, {form}", partial(_flip, name=name, form=form))
    name = "property/flips/decode"
    clauses = ("H-5", "H-6", "E-2")
    needs = frozenset({"decode", "weights", "packed"})
    yield Check(name, clauses, needs, "never hand out what a changed bit gives", partial(_flip_decoded, name=name))
    name = "property/decode/untouched"
    needs = frozenset({"decode", "weights"})
    clauses = ("Z-12", "H-6", "S-10", "W-13", "CF-24")
    yield Check(name, clauses, needs, "open an artifact without its tensors", partial(_untouched, name=name))


def _documents() -> Iterator[Check]:
    for part, kind in _KINDS.items():
        name = f"property/documents/{kind}"
        needs = frozenset({"validate", _AREAS.get(kind, kind)})
        clauses: tuple[str, ...] = ("D-6", "E-1", "E-2", "CF-29")
        clauses += ("B-1", "B-2", "B-4", "B-10") if part in MSGPACK_DOCUMENTS else ("J-2", "J-6", "J-7")
        title = f"accept and refuse the same bytes of a {kind} document as the specification"
        yield Check(name, clauses, needs, title, partial(_document, name=name, part=part, kind=kind))


def _flips(parts: st.SearchStrategy[Parts]) -> st.SearchStrategy[Flip]:
    return st.builds(Flip, parts, st.floats(0, 1, exclude_max=True), st.integers(0, 7))


def _flip(context: Context, *, name: str, form: str) -> None:
    """Turn over one bit of the file, or of one part of the folder, and ask for a full verification."""
    scope = scope_of(context.session.hello)
    strategy = _flips(artifacts(scope, min_variables=1).map(writing.write) | layouts(scope))

    def body(flip: Flip) -> None:
        if form == "packed":
            question = about_packed(context.session, "validate", flip.of(packed.pack(flip.parts)))
        else:
            # The names by the bytes that they hold, so that each byte of the artifact is as likely as another.
            names = sorted(flip.parts)
            place = flip.place * sum(len(flip.parts[one]) for one in names)
            at = 0
            while place >= len(flip.parts[names[at]]):
                place -= len(flip.parts[names[at]])
                at += 1
            part = names[at]
            within = Flip(flip.parts, place / len(flip.parts[part]), flip.bit)
            damaged = {**flip.parts, part: within.of(flip.parts[part])}
            if part == MANIFEST and _is_valid(damaged):
                return  # another artifact, and a good one
            question = about_parts(context.session, "validate", damaged, form)
        refused_properly(question, "did not find a changed bit")

    examine(context, name, strategy, body)


def _is_valid(parts: Parts) -> bool:
    try:
        reading.read(parts, full=True)
    except Refusal:
        return False
    return True


def refused_properly(question: Question, complaint: str) -> None:
    """Check that a reply refuses, with any code and its class (E-1)."""
    reply = question.ask()
    if reply.result != "reject":
        raise question.mismatch(f"{question.op} {complaint}", "a refusal", told(reply))
    if reply.refusal != (class_of(str(reply.code)), reply.code):
        raise question.mismatch("a code of another class", f"{class_of(str(reply.code))} {reply.code}", told(reply))


def _flip_decoded(context: Context, *, name: str) -> None:
    """Decode with one bit turned over: a refusal, or a bit that nothing of the content depends on."""
    scope = scope_of(context.session.hello)
    strategy = _flips(artifacts(scope, min_variables=1).map(writing.write))

    def body(flip: Flip) -> None:
        archive = packed.pack(flip.parts)
        damaged = flip.of(archive)
        at = archive.rindex(flip.parts[MANIFEST])
        manifest = damaged[at : at + len(flip.parts[MANIFEST])]
        if manifest != flip.parts[MANIFEST] and _is_valid({**flip.parts, MANIFEST: manifest}):
            return  # no digest tells of a manifest, and only a full verification looks at checksums
        question = about_packed(context.session, "decode", damaged, want="all")
        reply = question.ask()
        if reply.result == "reject":
            return
        if reply.result != "ok":
            raise question.mismatch("neither decoded nor refused", "ok or a refusal", told(reply))
        check_content(question, reply.fields, reading.read(flip.parts), scope.areas)

    examine(context, name, strategy, body)


def _untouched(context: Context, *, name: str) -> None:
    """Destroy all data but that of one tensor, or of one chunk: it and the documents are still there."""
    scope = scope_of(context.session.hello)
    form = "packed" if "packed" in context.session.hello.forms else "directory"

    def body(parts: Parts) -> None:
        expected = reading.read(parts)
        index = reading.Artifact(parts).documents["weights"].index
        kept = max(index, key=lambda path: len(index[path].chunks))  # one that is cut, if any is
        names, box = chunk_names(parts, kept), None
        if len(index[kept].chunks) > 1:
            chunk = index[kept].chunks[-1]
            names = {chunk.part: {chunk.tensor}}
            box = [[start, start + size] for start, size in zip(chunk.offset, chunk.shape, strict=True)]
        damaged = {name: _destroyed(data, names.get(name, set())) for name, data in parts.items()}
        asked = [("weights", kept, box)]
        question = about_parts(context.session, "decode", damaged, form, want="documents", read=ask_for(asked))
        fields = question.accepted()
        check_boxes(question, fields, expected, asked)
        documents = {**expected, "tensors": {}}
        check_content(question, fields, documents, scope.areas)

    examine(context, name, layouts(scope), body, share=0.5)


def chunk_names(parts: Parts, path: str) -> dict[str, set[str]]:
    """The stored tensors that a variable needs: data part -> names."""
    found: dict[str, set[str]] = {}
    for chunk, _ in reading.Artifact(parts).documents["weights"].index[path].all_chunks():
        found.setdefault(chunk.part, set()).add(chunk.tensor)
    return found


def _destroyed(data: bytes, kept: set[str]) -> bytes:
    """A data part whose tensors have other bytes, but for the kept ones; another part as it is."""
    try:
        _, entries = safetensors.read(data)
    except Refusal:
        return data
    changed = bytearray(data)
    for name, entry in entries.items():
        if name not in kept:
            changed[entry.begin : entry.end] = bytes(byte ^ 0x55 for byte in data[entry.begin : entry.end])
    return bytes(changed)


def _document(context: Context, *, name: str, part: str, kind: str) -> None:
    """Change bytes of a valid document: the implementation accepts it exactly if the oracle does."""
    scope = scope_of(context.session.hello)
    having = set() if kind == "manifest" else {kind}

    @st.composite
    def drawn(draw: st.DrawFn) -> bytes:
        data = writing.write(draw(artifacts(scope, having)))[part]
        return data if draw(st.integers(0, 4)) == 4 else draw(mutations(part, data))

    def body(data: bytes) -> None:
        question = about_document(context.session, kind, data)
        refusal = _refusal(kind, data)
        if refusal is None:
            question.accepted()
        else:
            refused_properly(question, f"accepted what breaks a clause: {refusal}")

    examine(context, name, drawn(), body)


def _refusal(kind: str, data: bytes) -> Any:
    try:
        reading.check_document(kind, data)
    except Refusal as refusal:
        return refusal
    return None
