"""Properties that hold for every artifact: the oracle and the implementation read and write the same.

Reading and writing are asked apart, each against the oracle, since a copier of bytes passes any round trip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import strategies as st

from etui_conformance.checks import damage
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.examine import examine
from etui_conformance.checks.exchange import (
    Content,
    Question,
    about_parts,
    ask_for,
    check_boxes,
    check_content,
    check_written,
    complete,
    read_form,
    scope_of,
    short,
    to_encode,
)
from etui_conformance.oracle import reading, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol import wire
from etui_conformance.strategies import artifacts, boxes, layouts
from etui_conformance.strategies.artifacts import TENSOR_DOCUMENTS
from etui_conformance.strategies.drafts import Parts, seal, take_apart
from etui_conformance.strategies.layouts import lay_out

_READ: dict[str, tuple[str, ...]] = {
    "weights": (
        "W-18",
        "W-19",
        "W-20",
        "W-22",
        "W-26",
        "L-2",
        "D-1",
        "D-9",
        "W-14",
        "W-21",
        "CF-15",
        "CF-16",
        "CF-17",
        "CF-20",
    ),
    "config": ("C-1", "C-2", "C-3", "C-8", "C-11", "C-14", "C-15", "C-7", "C-10", "C-16", "V-2", "V-9", "CF-19"),
    "training": ("T-1", "T-2", "T-3", "T-4", "V-2", "CF-19"),
    "optimizer": ("O-1", "O-6", "O-7", "O-8", "O-9", "O-14", "B-12", "O-4", "O-5", "O-12", "O-13", "O-15", "D-9"),
    "state": ("R-1", "B-12", "R-2", "R-3", "R-4", "D-9"),
    "parts": ("A-1", "N-1", "N-2"),
}
_WRITTEN: dict[str, tuple[str, ...]] = {
    "weights": (
        "D-5",
        "D-9",
        "J-7",
        "S-1",
        "S-2",
        "S-5",
        "W-11",
        "W-12",
        "W-14",
        "W-18",
        "W-19",
        "W-23",
        "W-26",
        "W-1",
        "W-2",
        "W-3",
    ),
    "config": ("C-1", "C-3", "C-11", "C-14", "D-5", "J-6", "J-7", "V-2", "V-3", "V-4", "C-4", "Q-10"),
    "training": ("T-1", "T-3", "D-5", "J-7", "T-2"),
    "optimizer": ("O-1", "O-7", "O-9", "O-14", "D-5", "B-2", "B-3", "B-4", "B-8", "B-9", "W-23", "O-16"),
    "state": ("R-1", "D-5", "B-2", "B-3", "B-4", "B-8", "B-9", "W-23", "R-4"),
    "parts": ("A-1", "N-1", "N-2", "M-2"),
}
_MANIFEST = ("H-1", "H-4", "H-8", "M-2", "M-3", "M-4", "M-7", "Z-2", "Z-3", "Z-4", "Z-6", "Z-8")
_LEAST = {"weights": 3}
"""Fewest variables of the artifacts that show an area."""
_SHARD_SIZES = st.sampled_from([1, 16, 64, 400, 1 << 20])


@dataclass(frozen=True, slots=True)
class Read:
    """An artifact, the form to give it in, and the boxes to read: document, name, box."""

    parts: Parts
    form: str
    boxes: Sequence[tuple[str, str, Any]]


@dataclass(frozen=True, slots=True)
class Write:
    """A content, the form to write it in, and the size of shards."""

    content: Content
    form: str
    shard_size: int | None = None


def checks() -> list[Check]:
    """The properties, one check each."""
    return [*_reading(), *_writing(), *_rewriting(), *damage.family()]


def _reading() -> Iterator[Check]:
    for area, clauses in _READ.items():
        name = f"property/decode/{area}"
        needs = frozenset({"decode", area, *([] if area != "parts" else ["config"])})
        run = partial(_decode, name=name, area=area)
        yield Check(name, (*clauses, "CF-23", "H-8"), needs, f"read {area} of any kind, bit for bit", run)
    lazily = frozenset({"decode", "weights"})
    yield Check(
        "property/decode/boxes",
        ("W-6", "W-13", "W-14", "CF-24", "CF-25", "Z-12"),
        lazily,
        "give any box of a tensor, whatever chunks it lies in",
        partial(_boxes, name="property/decode/boxes"),
    )
    yield Check(
        "property/decode/chunks",
        ("W-6", "W-7", "W-8", "W-9", "W-10", "S-9", "D-9"),
        lazily | {"feature:chunks"},
        "put tensors together of chunks in any shards",
        partial(_chunks, name="property/decode/chunks"),
    )


def _writing() -> Iterator[Check]:
    for area, clauses in _WRITTEN.items():
        name = f"property/encode/{area}"
        needs = frozenset({"encode", area, *([] if area != "parts" else ["config"])})
        run = partial(_encode, name=name, area=area)
        title = f"write the canonical bytes of any artifact with {area}"
        yield Check(name, (*clauses, *_MANIFEST, "CF-26"), needs, title, run)
    yield Check(
        "property/encode/shards",
        ("W-24", "P-5", "D-5", "CF-26"),
        frozenset({"encode", "weights"}),
        "fill shards in the one order",
        partial(_encode, name="property/encode/shards", area="weights", sharded=True),
    )


def _rewriting() -> Iterator[Check]:
    needs = frozenset({"transcode", "weights"})
    yield Check(
        "property/transcode/forms",
        ("D-5", "H-8", "Q-8", "CF-27"),
        needs | {"packed", "directory"},
        "keep the identity from form to form",
        partial(_transcode, name="property/transcode/forms", sharded=False),
    )
    yield Check(
        "property/transcode/shards",
        ("D-5", "W-23", "W-24", "CF-27"),
        needs,
        "write tensors of any shards into those that are asked for",
        partial(_transcode, name="property/transcode/shards", sharded=True),
    )
    yield Check(
        "property/transcode/chunks",
        ("D-5", "W-6", "W-11", "CF-27"),
        needs | {"feature:chunks"},
        "keep the content of tensors in chunks",
        partial(_transcode_chunks, name="property/transcode/chunks"),
    )
    yield Check(
        "property/transcode/further-fields",
        ("Q-6", "Q-8"),
        needs,
        "keep the further fields of the manifest and of its entries",
        partial(_transcode_fields, name="property/transcode/further-fields"),
    )
    yield Check(
        "property/validate",
        ("H-7", "S-10", "CF-28"),
        frozenset({"validate", "weights"}),
        "find nothing wrong with a valid artifact",
        partial(_validate, name="property/validate"),
    )


def forms_of(context: Context) -> st.SearchStrategy[str]:
    """The forms that an implementation claims."""
    return st.sampled_from([form for form in ("packed", "directory") if form in context.session.hello.forms])


def _with(area: str) -> set[str]:
    """The documents that an artifact with an area must have; parts go with any."""
    return set() if area == "parts" else {area}


@st.composite
def reads(draw: st.DrawFn, parts: Parts, count: int = 3) -> list[tuple[str, str, Any]]:
    """Boxes of the tensors of an artifact, some of them asked for by an alias."""
    content = reading.Artifact(parts).content(tensors=False)
    found: list[tuple[str, str, list[int]]] = []
    for role in TENSOR_DOCUMENTS:
        document = content.get(role, {})
        index = document.get("variables" if role == "weights" else "tensors", {})
        found += [(role, name, entry["shape"]) for name, entry in index.items()]
        found += [(role, name, index[target]["shape"]) for name, target in document.get("aliases", {}).items()]
    if not found:
        return []
    chosen = draw(st.lists(st.sampled_from(found), min_size=1, max_size=count))
    return [(role, name, draw(boxes(shape))) for role, name, shape in chosen]


def _decode(context: Context, *, name: str, area: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)

    @st.composite
    def drawn(draw: st.DrawFn) -> Read:
        parts = writing.write(draw(artifacts(scope, _with(area), _LEAST.get(area, 0))))
        return Read(parts, draw(forms), draw(reads(parts)))

    def body(one: Read) -> None:
        expected = reading.read(one.parts)
        question = about_parts(context.session, "decode", one.parts, one.form, want="all", read=ask_for(one.boxes))
        fields = question.accepted()
        _check_opened(question, fields, one.parts, expected)
        check_content(question, fields, expected, scope.areas)
        check_boxes(question, fields, expected, one.boxes)

    examine(context, name, drawn(), body)


def _check_opened(question: Question, fields: Any, parts: Parts, expected: Content) -> None:
    """Check what every decoding says of the whole artifact."""
    if fields.get("identity") != reading.identity(parts):
        raise question.mismatch("another identity", reading.identity(parts), fields.get("identity"))
    if fields.get("profile", fields.get("content", {}).get("profile")) != expected["profile"]:
        raise question.mismatch("another profile", expected["profile"], fields.get("profile"))


def _boxes(context: Context, *, name: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)

    @st.composite
    def drawn(draw: st.DrawFn) -> Read:
        parts = draw(layouts(scope))
        return Read(parts, draw(forms), draw(reads(parts, 5)))

    def body(one: Read) -> None:
        question = about_parts(
            context.session, "decode", one.parts, one.form, want="documents", read=ask_for(one.boxes)
        )
        fields = question.accepted()
        check_boxes(question, fields, reading.read(one.parts), one.boxes)
        if wire.content_from_wire(fields.get("content")).get("tensors"):
            raise question.mismatch("tensors where documents were wanted", "none", short(fields["content"]["tensors"]))

    examine(context, name, drawn(), body)


def _chunks(context: Context, *, name: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)

    def body(drawn: tuple[Parts, str]) -> None:
        parts, form = drawn
        question = about_parts(context.session, "decode", parts, form, want="all")
        check_content(question, question.accepted(), reading.read(parts), scope.areas)

    examine(context, name, st.tuples(layouts(scope), forms), body)


def _encode(context: Context, *, name: str, area: str, sharded: bool = False) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)
    sizes: st.SearchStrategy[int | None] = _SHARD_SIZES if sharded else st.none()
    strategy = st.builds(Write, artifacts(scope, _with(area), _LEAST.get(area, 0)), forms, sizes)

    def body(one: Write) -> None:
        path = wire.new_path(context.folder, ".etui" if one.form == "packed" else "")
        more = {} if one.shard_size is None else {"shard_size": one.shard_size}
        question = to_encode(context.session, complete(one.content), one.form, path, **more)
        fields = question.accepted()
        expected = writing.write(one.content, one.shard_size)
        check_written(question, one.form, path, expected)
        if fields.get("identity") != reading.identity(expected):
            raise question.mismatch("another identity", reading.identity(expected), fields.get("identity"))

    examine(context, name, strategy, body)


def _transcode(context: Context, *, name: str, sharded: bool) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)
    sizes: st.SearchStrategy[int | None] = st.none() | _SHARD_SIZES if sharded else st.none()

    @st.composite
    def drawn(draw: st.DrawFn) -> tuple[Parts, Content, str, str, int | None]:
        content = draw(artifacts(scope, {"weights"} if sharded else (), min_variables=int(sharded)))
        parts = writing.write(content)
        if sharded:
            parts = seal(lay_out(draw, take_apart(parts), scope, cut=False))
        return parts, content, draw(forms), draw(forms), draw(sizes)

    def body(one: tuple[Parts, Content, str, str, int | None]) -> None:
        parts, content, source, target, size = one
        _rewrite(context, parts, writing.write(content, size), source=source, target=target, size=size)

    examine(context, name, drawn(), body)


def _rewrite(
    context: Context, parts: Parts, expected: Parts, *, source: str, target: str, size: int | None = None
) -> None:
    """Ask to write an artifact anew, and compare the bytes."""
    path = wire.new_path(context.folder, ".etui" if target == "packed" else "")
    more = {} if size is None else {"shard_size": size}
    question = about_parts(context.session, "transcode", parts, source, form=target, path=str(path), **more)
    fields = question.accepted()
    check_written(question, target, path, expected)
    if fields.get("identity") != reading.identity(expected):
        raise question.mismatch("another identity", reading.identity(expected), fields.get("identity"))


def _transcode_chunks(context: Context, *, name: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)

    def body(drawn: tuple[Parts, str, str]) -> None:
        parts, source, target = drawn
        path = wire.new_path(context.folder, ".etui" if target == "packed" else "")
        question = about_parts(context.session, "transcode", parts, source, form=target, path=str(path))
        question.accepted()
        try:
            found = reading.read(read_form(target, path), full=True)
        except (Refusal, OSError) as trouble:
            raise question.mismatch("what was written is no artifact", "a valid artifact", str(trouble)) from None
        expected = reading.read(parts)
        if found != expected:
            raise question.mismatch("another content was written", expected, found)
        for own, entry in take_apart(read_form(target, path)).leaves():
            for chunk in entry["chunks"]:
                right = f"{own}@{','.join(map(str, chunk['offset']))}" if "offset" in chunk else own
                if chunk["tensor"] != right:
                    raise question.mismatch("a tensor of another name was written", right, chunk["tensor"])

    examine(context, name, st.tuples(layouts(scope), forms, forms), body)


def _transcode_fields(context: Context, *, name: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)

    def body(drawn: tuple[Content, str, str, str]) -> None:
        content, further, source, target = drawn
        draft = take_apart(writing.write(content))
        draft.manifest[further] = [1, {"b": None, "a": "kept"}]
        for entry in draft.manifest["parts"].values():
            if "digest" in entry:
                entry[further] = {"of": entry["role"]}
        parts = seal(draft)
        _rewrite(context, parts, parts, source=source, target=target)

    fields = st.sampled_from(["x-note", "x-", "x-é"])
    examine(context, name, st.tuples(artifacts(scope), fields, forms, forms), body, share=0.5)


def _validate(context: Context, *, name: str) -> None:
    scope, forms = scope_of(context.session.hello), forms_of(context)
    whole = artifacts(scope).map(writing.write)

    def body(drawn: tuple[Parts, str]) -> None:
        parts, form = drawn
        question = about_parts(context.session, "validate", parts, form)
        fields = question.accepted()
        if fields.get("identity") != reading.identity(parts):
            raise question.mismatch("another identity", reading.identity(parts), fields.get("identity"))

    examine(context, name, st.tuples(whole | layouts(scope), forms), body)
