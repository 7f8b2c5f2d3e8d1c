"""The clauses of annex P on sessions: greeting, order, forms of replies, and that nothing is kept between requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.checks.exchange import about_packed, about_parts, check_content, complete, short, told
from etui_conformance.checks.protocol_samples import archive, everything, noted, weights
from etui_conformance.oracle import directory, packed, reading, writing
from etui_conformance.protocol import wire
from etui_conformance.protocol.messages import AREAS, OPS, PROTOCOL, SPEC
from etui_conformance.protocol.process import ProcessSession
from etui_conformance.protocol.session import Reply, Session

READS: Final = ("decode", "weights", "packed", "dtype:float32")
_STRANGE_OPS: Final = ("dance", "Decode", "", "decode ", "__class__")


def checks() -> list[Check]:
    """The checks of sessions."""
    return [
        _check("hello", ("CF-21",), (), "Answers hello, again too, with names that exist.", _hello),
        _check("hello-version", ("CF-22",), (), "Does not claim a protocol that it cannot know.", _hello_version),
        _check("unknown-op", ("CF-5",), (), "Answers what it does not know or claim with unsupported.", _unknown_op),
        _check(
            "goes-on", ("CF-2", "CF-3", "CF-8"), READS, "Goes on after refusals, and what is unsupported.", _goes_on
        ),
        _check("reject-form", ("CF-4", "E-1"), READS, "Refuses with class, code and place.", _reject_form),
        _check("claims", ("CF-6",), READS, "Does what its hello claims.", _claims),
        _check("unknown-fields", ("CF-7",), READS, "Ignores fields of a request that it does not know.", _surplus),
        _check("one-line", ("CF-1",), READS, "Gives text with line breaks in a reply of one line.", _one_line),
        _check("areas", ("CF-18",), READS, "Gives the areas that it claims, and no others.", _areas),
        _check("no-state/bytes", ("CF-10",), READS, "Sees new bytes under names that it saw before.", _no_state),
        _check("no-state/file", ("CF-10",), READS, "Reads a file again that has other bytes now.", _no_state_in_files),
        _check(
            "no-state/directory",
            ("CF-10",),
            (*READS, "directory"),
            "Reads a folder again that has another artifact now.",
            _no_state_in_folders,
        ),
        _check("no-state/refusals", ("CF-10",), READS, "Opens what is valid after what is not.", _no_state_of_refusals),
        _check("reset", ("CF-34",), READS, "Forgets everything with reset, and works on.", _reset),
        _check("bye", ("CF-35",), (), "Ends with exit code 0 after bye.", _bye),
        _check("end-of-input", ("CF-35",), (), "Ends when its input does.", _end_of_input),
    ]


def _check(
    name: str, clauses: tuple[str, ...], needs: tuple[str, ...], title: str, run: Callable[[Context], None]
) -> Check:
    return Check(f"protocol/{name}", clauses, frozenset(needs), title, run)


def _expect(session: Session, result: str, op: str, /, **fields: Any) -> Reply:
    reply = session.ask(op, **fields)
    if reply.result != result:
        raise Mismatch(
            f"{op!r} was answered otherwise", expected=result, found=told(reply), request={"op": op, **fields}
        )
    return reply


def _open(context: Context, content: dict[str, Any]) -> None:
    """Check that a content is decoded as it is."""
    question = about_packed(context.session, "decode", archive(content), want="all")
    check_content(question, question.accepted(), complete(content), context.session.hello.areas)


def _hello(context: Context) -> None:
    fields = {"protocol": PROTOCOL, "spec": SPEC, "folder": str(context.folder)}
    reply = _expect(context.session, "ok", "hello", **fields)
    hello = context.session.hello
    for name in ("ops", "areas", "forms", "features", "dtypes"):
        listed = reply.fields.get(name, [])
        always = {"hello", "reset", "bye"}
        if len(set(listed)) != len(listed) or set(listed) - always != getattr(hello, name):
            raise Mismatch(f"a second hello has other {name}", expected=sorted(getattr(hello, name)), found=listed)


def _hello_version(context: Context) -> None:
    session = context.fresh()
    _expect(session, "unsupported", "hello", protocol="99.0", spec=SPEC, folder=str(session.folder))


def _unknown_op(context: Context) -> None:
    hello = context.session.hello
    for op in (*_STRANGE_OPS, *(op for op in OPS if op not in hello.ops)):
        _expect(context.session, "unsupported", op)


def _goes_on(context: Context) -> None:
    session = context.session
    for _ in range(3):
        _open(context, weights())
        broken = wire.packed_artifact(b"PK no more", context.folder)
        _expect(session, "reject", "decode", artifact=broken, want="all")
        _expect(session, "unsupported", "dance")
    _open(context, weights(2))


def _reject_form(context: Context) -> None:
    parts = writing.write(weights())
    parts["weights.json"] = parts["weights.json"].replace(b'"order":0', b'"order":9')
    question = about_parts(context.session, "decode", parts, "packed", want="all")
    reply = question.ask()
    expected = ("integrity", "digest-mismatch")
    if reply.refusal != expected or not isinstance(reply.fields.get("at"), str):
        raise question.mismatch("the refusal has another form", " ".join(expected), told(reply))


def _claims(context: Context) -> None:
    session = context.session
    ops = session.hello.ops
    artifact = wire.packed_artifact(archive(weights()), context.folder)
    _expect(session, "ok", "decode", artifact=artifact, want="all")
    _expect(session, "ok", "decode", artifact=artifact, want="documents")
    new = {"form": "packed", "path": str(wire.new_path(context.folder, ".etui"))}
    if "validate" in ops:
        _expect(session, "ok", "validate", artifact=artifact)
    if "transcode" in ops:
        _expect(session, "ok", "transcode", artifact=artifact, **new)
    if "encode" in ops:
        _expect(session, "ok", "encode", content=wire.content_to_wire(weights(), context.folder), **new)


def _surplus(context: Context) -> None:
    surplus = {"x-trace": {"id": [1, None]}, "priority": "high", "time": 0.5}
    question = about_packed(context.session, "decode", archive(weights()), want="all", **surplus)
    check_content(question, question.accepted(), complete(weights()), context.session.hello.areas)


def _one_line(context: Context) -> None:
    _open(context, noted())


def _areas(context: Context) -> None:
    question = about_packed(context.session, "decode", archive(everything()), want="all")
    fields = question.accepted()
    areas = context.session.hello.areas
    check_content(question, fields, complete(everything()), areas)
    given = fields["content"]
    surplus = (set(AREAS) - areas) & (set(given) | set(given.get("tensors", {})))
    if surplus:
        raise question.mismatch("a content has areas that hello does not name", sorted(areas), sorted(surplus))


def _no_state(context: Context) -> None:
    for seed in (1, 2, 1, 3, 2):
        _open(context, weights(seed))
    _open(context, noted())
    _open(context, weights())


def _no_state_in_files(context: Context) -> None:
    path = wire.new_path(context.folder, ".etui")
    for seed in (1, 2, 1):
        path.write_bytes(archive(weights(seed)))
        artifact = {"packed": {"file": str(path)}}
        _check_identity(context, artifact, writing.write(weights(seed)))


def _no_state_in_folders(context: Context) -> None:
    path = wire.new_path(context.folder)
    for seed in (1, 2, 1):
        directory.write(writing.write(weights(seed)), path)
        _check_identity(context, {"directory": str(path)}, writing.write(weights(seed)))


def _check_identity(context: Context, artifact: dict[str, Any], parts: dict[str, bytes]) -> None:
    fields = _expect(context.session, "ok", "decode", artifact=artifact, want="all").fields
    request = {"op": "decode", "artifact": artifact, "want": "all"}
    files = {"artifact.etui": packed.pack(parts)}
    if fields.get("identity") != reading.identity(parts):
        raise Mismatch(
            "another artifact was opened than the one that is there",
            expected=reading.identity(parts),
            found=fields.get("identity"),
            request=request,
            files=files,
        )
    found = wire.content_from_wire(fields.get("content")).get("tensors")
    if found != reading.read(parts).get("tensors"):
        raise Mismatch("the tensors are those of another artifact", found=short(found), request=request, files=files)


def _no_state_of_refusals(context: Context) -> None:
    good = writing.write(weights())
    for part in ("weights.safetensors", "weights.json", "manifest.json"):
        bad = dict(good)
        bad[part] = bytes([bad[part][0] ^ 1]) + bad[part][1:]
        reply = about_parts(context.session, "decode", bad, "packed", want="all").ask()
        if reply.result != "reject":
            raise Mismatch(f"a changed byte in {part} was not refused", expected="reject", found=told(reply))
        _open(context, weights())


def _reset(context: Context) -> None:
    _open(context, weights(1))
    _expect(context.session, "ok", "reset")
    _open(context, weights(2))
    _expect(context.session, "ok", "reset")
    _expect(context.session, "ok", "reset")
    _open(context, weights(1))


def _bye(context: Context) -> None:
    session = context.fresh()
    if not isinstance(session, ProcessSession):
        _expect(session, "ok", "bye")
        return
    reply, code = session.farewell()
    if reply.result != "ok" or code != 0:
        found = f"{told(reply)}, {'no end in time' if code is None else f'exit code {code}'}"
        raise Mismatch("bye was not followed by an end", expected="ok, exit code 0", found=found)


def _end_of_input(context: Context) -> None:
    session = context.fresh()
    if isinstance(session, ProcessSession) and session.end_of_input() is None:
        raise Mismatch("the end of the input was not followed by an end", expected="an exit", found="it still runs")
