"""The golden vectors, asked of an implementation: each valid one read, verified and written, each fault refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from etui_conformance import vectors
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import (
    Content,
    Question,
    about_document,
    about_packed,
    about_parts,
    check_content,
    check_written,
    read_form,
    same,
    to_encode,
)
from etui_conformance.oracle import packed, reading
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.wire import new_path
from etui_conformance.vectors import Vector

_MANIFEST = "manifest.json"


def checks() -> list[Check]:
    """A check for each vector and each request that it is about."""
    found = vectors.load()
    by_id = {vector.id: vector for vector in found}
    return [check for vector in found for check in _checks(vector, by_id)]


def _checks(vector: Vector, by_id: Mapping[str, Vector]) -> list[Check]:
    if vector.sibling is not None:
        sibling = by_id[vector.sibling]
        title = f"Refuse {vector.name} with {' or '.join(vector.codes)}."
        held = {"decode": frozenset[str](), "validate": sibling.holds}
        return [_check(vector, op, title, partial(_refused, vector, sibling, op), held[op]) for op in vector.ops]
    if vector.kind == "document":
        return [_check(vector, "validate", f"Accept {vector.name}.", partial(_accepted, vector))]
    whole = vector.holds
    made = [
        _check(vector, "decode", f"Read {vector.name}, bit for bit.", partial(_decoded, vector)),
        _check(vector, "validate", f"Verify {vector.name}.", partial(_accepted, vector), whole),
        _check(vector, "transcode", f"Rewrite {vector.name}.", partial(_rewritten, vector), whole),
    ]
    if vector.encode is not None:
        written = partial(_encoded, vector, vector.encode)
        made.append(_check(vector, "encode", f"Write {vector.name}, byte for byte.", written, whole))
    return made


def _check(
    vector: Vector, op: str, title: str, run: Callable[[Context], None], more: frozenset[str] = frozenset()
) -> Check:
    return Check(f"vector/{vector.id}/{op}", vector.clauses, vector.needs | {op} | more, title, run)


def ask(vector: Vector, op: str, context: Context, **fields: object) -> Question:
    """The request `op` about a vector."""
    session = context.session
    if vector.document is not None:
        return about_document(session, vector.document, vector.data())
    if vector.kind == "packed":
        return about_packed(session, op, vector.data(), **fields)
    question = about_parts(session, op, vector.parts(), "directory", **fields)
    set_up(Path(question.fields["artifact"]["directory"]), vector.setup)
    return question


def set_up(folder: Path, steps: Sequence[vectors.Step]) -> None:
    """Make what files alone cannot show: links, folders and pipes in the place of parts.

    Args:
        folder: a copy of the vector's artifact; what is moved out of it goes beside it, and so needs a name of its own.
        steps: `do` and the places: move `at` -> `to`, link `at` -> `to`, folder `at`, pipe `at`.
    """
    for step in steps:
        at = folder / step["at"]
        target = step.get("to", "").replace("outside", f"{folder.name}-outside")
        at.parent.mkdir(parents=True, exist_ok=True)
        match step["do"]:
            case "move":
                at.rename(folder / target)
            case "link":
                at.symlink_to(target)
            case "folder":
                at.mkdir()
            case "pipe":
                os.mkfifo(at)


def possible(vector: Vector) -> bool:
    """Whether this operating system can make the fault of a vector: Windows has no pipes, and links ask for rights."""
    return os.name == "posix" or not {step["do"] for step in vector.setup} & {"link", "pipe"}


def _refused(vector: Vector, sibling: Vector, op: str, context: Context) -> None:
    """The valid sibling is accepted in the same session, and then the fault is refused."""
    if not possible(vector):
        return
    ask(sibling, op, context, **_want(op)).accepted()
    ask(vector, op, context, **_want(op)).refused(vector.codes)


def _accepted(vector: Vector, context: Context) -> None:
    question = ask(vector, "validate", context)
    _check_identity(question, question.accepted(), vector)


def _decoded(vector: Vector, context: Context) -> None:
    question = ask(vector, "decode", context, **_want("decode"))
    found = question.accepted()
    _check_identity(question, found, vector)
    expected = vector.content()
    if found.get("profile") != expected["profile"]:
        raise question.mismatch("decode gave another profile", expected["profile"], found.get("profile"))
    check_content(question, found, expected, context.session.hello.areas)


def _encoded(vector: Vector, artifact: str, context: Context) -> None:
    form = "directory" if vector.kind == "directory" else "packed"
    path = new_path(context.folder, ".etui" if form == "packed" else "")
    question = to_encode(context.session, vector.content(), form, path, **_sharded(vector))
    question.accepted()
    check_written(question, form, path, _parts(vector, artifact))


def _rewritten(vector: Vector, context: Context) -> None:
    """The rewrite has the bytes that are settled, and in any case the same content."""
    form = "directory" if vector.kind == "directory" else "packed"
    path = new_path(context.folder, ".etui" if form == "packed" else "")
    question = ask(vector, "transcode", context, form=form, path=str(path), **_sharded(vector))
    question.accepted()
    if vector.transcode is not None:
        check_written(question, form, path, _parts(vector, vector.transcode))
        return
    expected = vector.content()
    try:
        found: Content = reading.read(read_form(form, path), full=True)
    except (Refusal, OSError) as trouble:
        raise question.mismatch("what transcode wrote is no artifact", "an artifact", str(trouble)) from None
    if not same(found, expected):
        raise question.mismatch("transcode wrote another content", expected, found)


def _parts(vector: Vector, artifact: str) -> dict[str, bytes]:
    """The parts of an artifact among the files of a vector."""
    return packed.unpack(vector.file(artifact)) if artifact.endswith(".etui") else vector.parts(artifact)


def _check_identity(question: Question, found: Mapping[str, object], vector: Vector) -> None:
    if vector.document is not None:
        return
    parts = vector.parts() if vector.kind == "directory" else packed.unpack(vector.data())
    identity = f"sha256:{hashlib.sha256(parts[_MANIFEST]).hexdigest()}"
    if found.get("identity") != identity:
        raise question.mismatch("the identity is not the digest of the manifest", identity, found.get("identity"))


def _want(op: str) -> dict[str, str]:
    return {"want": "all"} if op == "decode" else {}


def _sharded(vector: Vector) -> dict[str, int]:
    return {} if vector.shard_size is None else {"shard_size": vector.shard_size}
