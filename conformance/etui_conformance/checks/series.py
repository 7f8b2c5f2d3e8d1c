"""Series of checkpoints (annex Q): the golden ones read, verified, exported and refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from etui_conformance import vectors
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import Question, about_document, about_series, check_content, check_written
from etui_conformance.checks.vectors import possible, set_up
from etui_conformance.oracle import json, manifest, packed, series
from etui_conformance.protocol.wire import new_path
from etui_conformance.vectors import Vector

Json = Any


def checks() -> list[Check]:
    """A check for each vector and each request that it is about, and for limits that no file of a vector reaches."""
    found = vectors.load_series()
    by_id = {vector.id: vector for vector in found}
    return [*(check for vector in found for check in _of_vector(vector, by_id)), *_of_limits()]


# Vectors


def _of_vector(vector: Vector, by_id: Mapping[str, Vector]) -> list[Check]:
    if vector.sibling is not None:
        sibling = by_id[vector.sibling]
        title = f"Refuse {vector.name} with {' or '.join(vector.codes)}."
        held = {"decode": frozenset[str](), "validate": sibling.holds}
        return [_check(vector, op, title, partial(_refused, vector, sibling, op), held[op]) for op in vector.ops]
    if vector.document is not None:
        return [_check(vector, "validate", f"Accept {vector.name}.", partial(_accepted, vector))]
    made = [
        _check(vector, "decode", f"Read {vector.name}, bit for bit.", partial(_decoded, vector)),
        _check(vector, "validate", f"Verify {vector.name}.", partial(_accepted, vector), vector.holds),
    ]
    if vector.transcode is not None:
        title = f"Export {vector.name}, byte for byte."
        more = vector.holds | {"packed"}
        made.append(_check(vector, "transcode", title, partial(_exported, vector), more))
    return made


def _check(
    vector: Vector, op: str, title: str, run: Callable[[Context], None], more: frozenset[str] = frozenset()
) -> Check:
    return Check(f"vector/{vector.id}/{op}", vector.clauses, vector.needs | {op} | more, title, run)


def ask(vector: Vector, op: str, context: Context, sibling: Vector | None = None, **fields: Any) -> Question:
    """The request `op` about a vector."""
    if vector.document is not None:
        return about_document(context.session, vector.document, vector.data())
    files = vectors.series_files(vector, sibling)
    question = about_series(context.session, op, files, vector.step or 0, **fields)
    set_up(Path(question.fields["artifact"]["series"]), vector.setup)
    return question


def _refused(vector: Vector, sibling: Vector, op: str, context: Context) -> None:
    """The valid sibling is accepted in the same session, and then the fault is refused."""
    if not possible(vector):
        return
    ask(sibling, op, context, **_want(op)).accepted()
    ask(vector, op, context, sibling, **_want(op)).refused(vector.codes)


def _accepted(vector: Vector, context: Context) -> None:
    question = ask(vector, "validate", context)
    found = question.accepted()
    if vector.document is None:
        _check_identity(question, found, vector)


def _decoded(vector: Vector, context: Context) -> None:
    question = ask(vector, "decode", context, **_want("decode"))
    found = question.accepted()
    _check_identity(question, found, vector)
    expected = vector.content()
    if found.get("profile") != expected["profile"]:
        raise question.mismatch("decode gave another profile", expected["profile"], found.get("profile"))
    check_content(question, found, expected, context.session.hello.areas)


def _exported(vector: Vector, context: Context) -> None:
    path = new_path(context.folder, ".etui")
    question = ask(vector, "transcode", context, form="packed", path=str(path))
    question.accepted()
    check_written(question, "packed", path, packed.unpack(vector.file(vector.transcode or "")))


def _check_identity(question: Question, found: Mapping[str, Json], vector: Vector) -> None:
    identity = json.decode(vector.parts()[series.record_name(vector.step or 0)])["identity"]
    if found.get("identity") != identity:
        raise question.mismatch("the identity is not that of the record", identity, found.get("identity"))


def _want(op: str) -> dict[str, Any]:
    return {"want": "all"} if op == "decode" else {}


# Limits


def _of_limits() -> list[Check]:
    title = "Refuse a layout of more than 1,000,000 pieces, and take one of so many."
    needs = frozenset({"series", "validate"})
    longer = "Refuse a record of more than 64 MiB, and take one of so many bytes."
    return [
        Check("series/limits/pieces", ("CS-18",), needs, title, _pieces, slow=True),
        Check("series/limits/record", ("CS-34",), needs, longer, _long_record, slow=True),
    ]


def _pieces(context: Context) -> None:
    """The pieces are every other byte of one object, so that no two of them are one."""
    name = manifest.digest(b"")
    for count, codes in ((series.MOST_PIECES, ()), (series.MOST_PIECES + 1, ("limit-pieces",))):
        data = series.layout([name], [(0, 2 * index, 1) for index in range(count)])
        question = about_document(context.session, "layout", data)
        if codes:
            question.refused(codes)
        else:
            question.accepted()


def _long_record(context: Context) -> None:
    """A field that begins with `x-` fills the record up."""
    identity = manifest.digest(b"")
    short = len(series.record(1, identity, {}, more={"x-fill": ""}))
    for size, codes in ((series.MOST_RECORD, ()), (series.MOST_RECORD + 1, ("limit-document",))):
        data = series.record(1, identity, {}, more={"x-fill": "x" * (size - short)})
        question = about_document(context.session, "step", data)
        if codes:
            question.refused(codes)
        else:
            question.accepted()
