"""Properties of series of checkpoints (annex Q): drawn steps, changed bits, and documents with changed bytes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import strategies as st

from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.damage import refused_properly
from etui_conformance.checks.examine import examine
from etui_conformance.checks.exchange import about_document, about_series, check_content, scope_of
from etui_conformance.oracle import json, manifest, reading, series, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.strategies import artifacts, layouts
from etui_conformance.strategies.drafts import Parts
from etui_conformance.strategies.mutations import mutations

_METRICS = st.dictionaries(
    st.text("ab/ ", min_size=1, max_size=3),
    st.sampled_from([0.5, -1e-300, {"$float": "nan"}, {"$float": "3"}, {"$float": "-inf"}]),
    max_size=2,
)
_LAYOUT = series.layout([manifest.digest(b"a"), manifest.digest(b"b")], [(0, 0, 8), (1, 16, 8), (0, 16, 64)])
_STEPS = st.sampled_from([0, 1, 9, 10, 1200, 2**53 - 1])


def checks() -> list[Check]:
    """The properties."""
    found = [
        _check("decode", "read any artifact as a step", "CS-5 CS-7 CS-11 CS-15 CS-19 CS-22", _decoded, "decode"),
        _check("flips", "find any changed bit of a series", "CS-5 CS-14 CS-21 CS-32 E-1", _flipped, "validate"),
    ]
    for kind, clauses in (("step", "CS-19 CS-21"), ("layout", "CS-11 CS-12 CS-13"), ("series", "CS-1")):
        title = f"accept and refuse the same bytes of a {kind} document as the specification"
        run = partial(_document, kind=kind)
        found.append(_check(kind, title, f"{clauses} E-1 CF-29", run, "validate"))
    return found


def _check(name: str, title: str, clauses: str, run: Any, op: str) -> Check:
    full = f"property/series/{name}"
    return Check(full, tuple(clauses.split()), frozenset({"series", "weights", op}), title, partial(run, name=full))


@dataclass(frozen=True, slots=True)
class Saved:
    """A step of a series that is drawn.

    Attributes:
        parts: of its artifact.
        files: of the series.
        step: its number.
    """

    parts: Parts
    files: dict[str, bytes]
    step: int


def _saved(context: Context) -> st.SearchStrategy[Saved]:
    """Artifacts of every layout as steps, each in a series of its own."""
    scope = scope_of(context.session.hello)

    def save(parts: Parts, step: int, metrics: dict[str, Any]) -> Saved:
        return Saved(parts, series.step(parts, step, metrics=metrics), step)

    return st.builds(save, artifacts(scope, min_variables=1).map(writing.write) | layouts(scope), _STEPS, _METRICS)


def _decoded(context: Context, *, name: str) -> None:
    """A step means what its artifact means."""

    def body(saved: Saved) -> None:
        question = about_series(context.session, "decode", saved.files, saved.step, want="all")
        check_content(question, question.accepted(), reading.read(saved.parts), context.session.hello.areas)

    examine(context, name, _saved(context), body)


def _flipped(context: Context, *, name: str) -> None:
    """One bit of one file is another: a full verification refuses, unless what is there now is a series as good."""

    def body(drawn: tuple[Saved, float, float, int]) -> None:
        saved, file, place, bit = drawn
        names = sorted(each for each, data in saved.files.items() if data)
        chosen = names[int(file * len(names))]
        data = bytearray(saved.files[chosen])
        data[int(place * len(data))] ^= 1 << bit
        files = {**saved.files, chosen: bytes(data)}
        if _is_valid(files, saved.step):
            return  # a mark of another minor version, for example
        question = about_series(context.session, "validate", files, saved.step)
        refused_properly(question, f"did not find a changed bit of {chosen}")

    share = st.floats(0, 1, exclude_max=True)
    examine(context, name, st.tuples(_saved(context), share, share, st.integers(0, 7)), body)


def _is_valid(files: dict[str, bytes], step: int) -> bool:
    try:
        series.read(files, step, full=True)
    except Refusal:
        return False
    return True


def _document(context: Context, *, name: str, kind: str) -> None:
    """Change bytes of a valid document: the implementation accepts it exactly if the oracle does."""

    @st.composite
    def drawn(draw: st.DrawFn) -> bytes:
        saved = draw(_saved(context))
        record = saved.files[series.record_name(saved.step)]
        data = {"step": record, "series": saved.files[series.MARK]}.get(kind)
        if data is None:
            described = sorted(json.decode(record).get("layouts", {}).values())
            found = [saved.files[series.object_name(each)] for each in described]
            data = draw(st.sampled_from([*found, _LAYOUT]))
        if draw(st.integers(0, 4)) == 4:
            return data
        changed: bytes = draw(mutations(f"{kind}.json", data))
        return _sealed(changed) if kind == "step" and draw(st.booleans()) else changed

    def body(data: bytes) -> None:
        question = about_document(context.session, kind, data)
        refusal = _refusal(kind, data)
        if refusal is None:
            question.accepted()
        else:
            refused_properly(question, f"accepted what breaks a clause: {refusal}")

    examine(context, name, drawn(), body)


def _sealed(data: bytes) -> bytes:
    """A record whose seal is right again, so that the fault is another one; as it is where it is no object."""
    try:
        tree = json.decode(data)
        return json.encode({**tree, "seal": series.seal(tree)})
    except Refusal:
        return data


def _refusal(kind: str, data: bytes) -> Refusal | None:
    try:
        series.check_document(kind, data)
    except Refusal as refusal:
        return refusal
    return None
