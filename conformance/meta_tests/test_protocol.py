"""The protocol between suite and adapter: messages and their schemas, bytes on the wire, and processes that fail."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

from etui_conformance.checks import protocol, protocol_requests, protocol_samples, protocol_tensors
from etui_conformance.checks.base import Check
from etui_conformance.protocol import messages, wire
from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.protocol.session import AdapterFailure, Reply
from etui_conformance.resources import schemas_directory
from etui_conformance.results import CheckResult
from etui_conformance.runner import Plan, run

Json = Any

CHECKS = [*protocol.checks(), *protocol_tensors.checks(), *protocol_requests.checks()]
SHORT = Limits(deadline=2.0, start=20.0, farewell=2.0, line=10_000, stderr=100_000)
HELLO = {
    "result": "ok",
    "name": "scripted",
    "version": "0",
    "language": "Python",
    **{name: [] for name in ("ops", "areas", "forms", "features", "dtypes")},
}
# Answers hello and then does what the test says, with `request` at hand.
PROGRAM = f"""
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    reply = {{"id": request["id"], "result": "ok"}}
    if request["op"] == "hello":
        reply |= {HELLO!r}
    elif request["op"] == "bye":
        print(json.dumps(reply), flush=True)
        break
    else:
        %s
    print(json.dumps(reply), flush=True)
"""


def schema(name: str) -> jsonschema.Draft202012Validator:
    """The validator of a schema of the messages."""
    folder = schemas_directory()
    files = [path for path in folder.rglob("*.schema.json") if path.parent.name in ("conformance", "schemas")]
    resources = [referencing.Resource.from_contents(json.loads(path.read_text(encoding="utf-8"))) for path in files]
    registry = referencing.Registry().with_resources((each.id() or "", each) for each in resources)
    return jsonschema.Draft202012Validator(
        {"$ref": f"https://etui.dev/schemas/1.0/conformance/{name}"}, registry=registry
    )


def scripted(tmp_path: Path, action: str, limits: Limits = SHORT) -> ProcessSession:
    """A session with an adapter that does something at each request but hello and bye."""
    return ProcessSession([sys.executable, "-c", PROGRAM % action], tmp_path, Patience(limits))


@pytest.fixture(scope="module")
def judged() -> dict[str, CheckResult]:
    """What came of each check of the protocol with the reference adapter in a process."""
    command = [sys.executable, "-m", "etui_conformance.adapters.reference"]
    result = run(Plan(CHECKS), lambda folder: ProcessSession(command, folder))
    return {each.check.id: each for each in result.checks}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessSession]:
    """The reference adapter in a process."""
    command = [sys.executable, "-m", "etui_conformance.adapters.reference"]
    session = ProcessSession(command, tmp_path_factory.mktemp("reference"))
    yield session
    session.close()


# What an adapter must do


@pytest.mark.clause(
    "CF-1@d8df00",
    "CF-2@d2b137",
    "CF-3@3dd333",
    "CF-4@51574e",
    "CF-5@309b5e",
    "CF-6@9225c3",
    "CF-7@b97f66",
    "CF-8@8f8a5c",
    "CF-10@be6d28",
    "CF-11@0cf755",
    "CF-12@a1b2b4",
    "CF-13@0a7d40",
)
@pytest.mark.clause(
    "CF-14@87db3d",
    "CF-15@84c4d1",
    "CF-16@b774eb",
    "CF-17@9f81e3",
    "CF-18@a90869",
    "CF-19@5b81b8",
    "CF-20@67be5d",
    "CF-21@807714",
    "CF-22@9f8216",
    "CF-23@d3fdc8",
    "CF-24@172ff7",
)
@pytest.mark.clause(
    "CF-25@29b39c",
    "CF-26@ca0ad7",
    "CF-27@9e847a",
    "CF-28@d7ad51",
    "CF-29@3ec9c0",
    "CF-31@4eadf4",
    "CF-32@796290",
    "CF-33@2b071c",
    "CF-34@35b0f2",
    "CF-35@8c7ff6",
)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_the_reference_passes_every_check_of_the_protocol(check: Check, judged: dict[str, CheckResult]) -> None:
    """The adapter of the reference, in a process of its own, does what each clause of the protocol says."""
    assert (judged[check.id].status, judged[check.id].finding) == ("passed", None)


@pytest.mark.library
def test_every_clause_that_binds_an_adapter_is_cited_by_a_check() -> None:
    """Of the clauses on session, data and requests none is left to the other families but CF-30 and the advice CF-9."""
    cited = {clause for check in CHECKS for clause in check.clauses if clause.startswith("CF-")}
    assert cited == {f"CF-{number}" for number in range(1, 36)} - {"CF-9", "CF-30"}


@pytest.mark.clause("CF-3@3dd333", "CF-21@807714", "CF-23@d3fdc8")
def test_the_replies_of_the_reference_are_as_their_schemas_say(reference: ProcessSession) -> None:
    """The replies to hello and decode pass their schemas, and what carries the content passes that of contents."""
    hello = reference.ask("hello", protocol="1.0", spec="1.0", folder=str(reference.folder))
    schema("message.schema.json#/$defs/greeting").validate({"id": 1, "result": "ok", **hello.fields})
    artifact = wire.packed_artifact(protocol_samples.archive(protocol_samples.everything()), reference.folder)
    reply = reference.ask("decode", artifact=artifact, want="all", read=[])
    schema("message.schema.json#/$defs/decoded").validate({"id": 2, "result": reply.result, **reply.fields})
    assert set(reply.fields["content"]) == set(protocol_samples.everything())


@pytest.mark.clause("CF-3@3dd333", "CF-4@51574e", "CF-11@0cf755", "CF-15@84c4d1", "CF-21@807714", "CF-29@3ec9c0")
@pytest.mark.parametrize(
    "message",
    [
        {"op": "hello", "protocol": "1.0", "spec": "1.0", "folder": "/f"},
        {"id": 1, "result": "fine"},
        {"id": 1, "result": "reject", "class": "invalid", "code": "chunk-cover"},
        {"id": 1, "result": "reject", "class": "wrong", "code": "chunk-cover", "at": ""},
        {"id": 1, "result": "unsupported"},
        {"id": 1, "op": "hello", "protocol": "1", "spec": "1.0", "folder": "/f"},
        {"id": 1, "op": "decode", "artifact": {"packed": {}}, "want": "all"},
        {"id": 1, "op": "decode", "artifact": {"packed": {"data": "AA=", "file": "/f"}}, "want": "all"},
        {"id": 1, "op": "decode", "artifact": {"packed": {"data": "AB=="}}, "want": "all"},
        {"id": 1, "op": "decode", "artifact": {"packed": {"data": ""}}, "want": "some"},
        {"id": 1, "op": "validate", "document": "manifest"},
        {"id": 1, "op": "encode", "content": {}, "form": "zip", "path": "/f"},
        {"id": 1, "op": "encode", "content": {}, "form": "series", "path": "/f"},
        {"id": 1, "op": "encode", "content": {}, "form": "series", "path": "/f", "step": -1},
        {"id": 1, "op": "encode", "content": {}, "form": "series", "path": "/f", "step": 1, "replace": "yes"},
        {"id": 1, "op": "validate", "artifact": {"series": "/f"}},
        {"id": 1, "op": "step", "artifact": {"directory": "/f"}, "gradients": {"a": {"dtype": "float32", "shape": []}}},
    ],
    ids=json.dumps,
)
def test_the_schema_refuses_what_is_no_message(message: Json) -> None:
    """A request or a reply that lacks a field, or has another value in one, is refused by the schema."""
    assert not schema("message.schema.json").is_valid(message)


# Messages


@pytest.mark.clause("CF-1@d8df00", "CF-2@d2b137", "CF-3@3dd333")
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"", "garbage"),
        (b"Loading ...", "garbage"),
        (b'{"id":7,"result":"ok"', "garbage"),
        (b'{"id":7,"result":"ok","x":NaN}', "garbage"),
        (b'{"id":7,"result":"ok","x":"\xff"}', "garbage"),
        (b"[" * 100_000, "garbage"),
        (b"[7]", "garbage"),
        (b'{"id":7}', "garbage"),
        (b'{"id":7,"result":"yes"}', "garbage"),
        (b'{"id":7,"result":"reject","class":"invalid","code":"chunk-cover"}', "garbage"),
        (b'{"id":7,"result":"unsupported"}', "garbage"),
        (b'{"id":7,"result":"fault","message":1}', "garbage"),
        (b'{"id":6,"result":"ok"}', "wrong-id"),
        (b'{"id":"7","result":"ok"}', "wrong-id"),
        (b'{"result":"ok"}', "wrong-id"),
    ],
)
def test_a_line_that_is_no_reply_is_told_from_one_to_another_request(line: bytes, kind: str) -> None:
    """What is no message is garbage, and a message with another id is that."""
    with pytest.raises(AdapterFailure) as caught:
        messages.read_reply(line, 7)
    assert caught.value.kind == kind


@pytest.mark.clause("CF-2@d2b137", "CF-7@b97f66")
def test_a_reply_keeps_every_field() -> None:
    """A reply has its result, and all other fields as they were sent."""
    reply = messages.read_reply(b'{"id":7,"result":"reject","class":"invalid","code":"a-b","at":"x","more":[1]}', 7)
    assert reply == Reply("reject", {"class": "invalid", "code": "a-b", "at": "x", "more": [1]})
    assert reply.refusal == ("invalid", "a-b")


@pytest.mark.clause("CF-1@d8df00")
def test_a_request_is_one_line_whatever_its_texts_hold() -> None:
    """Line breaks and lone surrogates in texts leave the request one line of UTF-8."""
    fields = {"name": "a\nb\u2028\ud800", "other": "\N{SNOWMAN}"}
    line = messages.request_line(3, "decode", fields)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line.decode()) == {"id": 3, "op": "decode", **fields}


@pytest.mark.clause("CF-21@807714")
@pytest.mark.parametrize(
    "change",
    [{"name": None}, {"ops": "decode"}, {"areas": ["heads"]}, {"dtypes": ["float31"]}, {"forms": None}, {"ops": [1]}],
    ids=str,
)
def test_a_hello_with_other_names_is_refused(change: dict[str, Json]) -> None:
    """A hello that lacks a field, or lists what does not exist, starts no session."""
    good = {name: item for name, item in HELLO.items() if name != "result"}
    assert messages.read_hello(Reply("ok", good)).name == "scripted"
    with pytest.raises(AdapterFailure, match=next(iter(change))) as caught:
        messages.read_hello(Reply("ok", good | change))
    assert caught.value.kind == "start"


# Bytes, tensors, contents


@pytest.mark.clause("CF-11@0cf755", "CF-13@0a7d40")
@pytest.mark.parametrize("size", [0, 1, wire.INLINE - 1, wire.INLINE, wire.INLINE + 1])
def test_bytes_come_back_and_large_ones_go_by_file(size: int, tmp_path: Path) -> None:
    """Bytes survive the wire, inline below 1 MiB and in a file from there on."""
    data = bytes(size)
    node = wire.bytes_to_wire(data, tmp_path)
    assert set(node) == ({"file"} if size >= wire.INLINE else {"data"})
    assert wire.bytes_from_wire(node) == data


@pytest.mark.clause("CF-15@84c4d1", "CF-16@b774eb", "CF-17@9f81e3", "CF-18@a90869", "CF-19@5b81b8", "CF-20@67be5d")
def test_contents_come_back(tmp_path: Path) -> None:
    """A content with documents, tensors of each kind and parts survives the wire and passes its schema there."""
    content = protocol_samples.everything()
    numbers = {"dtype": "int8", "shape": [2], "data": b"\x01\xff"}
    content["tensors"]["weights"] |= {
        "words": {"dtype": "string", "shape": [2], "strings": [b"", "ä".encode()]},
        "steps": {
            "dtype": "float16",
            "shape": [2],
            "data": b"abcd",
            "components": {"values": numbers, "scale": numbers},
        },
    }
    sent = wire.content_to_wire(content, tmp_path)
    schema("content.schema.json").validate(sent)
    assert wire.content_from_wire(json.loads(json.dumps(sent))) == content


@pytest.mark.clause("CF-11@0cf755", "CF-15@84c4d1", "CF-16@b774eb", "CF-20@67be5d")
@pytest.mark.parametrize(
    "content",
    [
        [],
        {"tensors": []},
        {"tensors": {"config": {}}},
        {"tensors": {"weights": {"a": {"shape": [1], "data": ""}}}},
        {"tensors": {"weights": {"a": {"dtype": "int8", "shape": [-1], "data": ""}}}},
        {"tensors": {"weights": {"a": {"dtype": "int8", "shape": [1], "data": "no base64"}}}},
        {"tensors": {"weights": {"a": {"dtype": "int8", "shape": [1]}}}},
        {"tensors": {"weights": {"a": {"dtype": "int8", "shape": [1], "data": "", "file": "x"}}}},
        {"tensors": {"weights": {"a": {"dtype": "string", "shape": [1], "data": ""}}}},
        {"tensors": {"weights": {"a": {"dtype": "string", "shape": [1], "strings": [1]}}}},
        {"parts": {"assets/a": {"role": "asset", "media_type": "x", "file": "/nowhere/at/all"}}},
    ],
    ids=str,
)
def test_a_content_of_another_form_is_a_failure_of_the_adapter(content: Json) -> None:
    """What has not the form of a content is garbage of the adapter and no error of the suite."""
    with pytest.raises(AdapterFailure, match="garbage"):
        wire.content_from_wire(content)


# Processes


@pytest.mark.clause("CF-50@810bd8")
@pytest.mark.parametrize(
    ("action", "kind", "detail"),
    [
        ("os._exit(7)", "crash", "exit code 7"),
        ("os.write(1, b'{\"id\": '); os._exit(0)", "crash", "in the middle of a line"),
        ("os.close(1); time.sleep(60)", "crash", "closed its output"),
        ("time.sleep(60)", "hang", "no reply within"),
        ("os.write(1, b'{\"id\": '); time.sleep(60)", "hang", "7 bytes of a line"),
        ("print('Loading ...', flush=True)", "garbage", "Loading"),
        ("print('x' * 1_000_000, flush=True); time.sleep(60)", "garbage", "more than 10000 bytes"),
        ("reply['id'] -= 1", "wrong-id", "in place of"),
        ("os.write(2, b'x' * 300_000); time.sleep(60)", "stderr-flood", "more than 100000 bytes"),
        ("print('a word for people', file=sys.stderr); os._exit(1)", "crash", "a word for people"),
    ],
    ids=["exit", "half-line", "closed", "hang", "half-hang", "garbage", "long", "wrong-id", "flood", "words"],
)
def test_failures_are_told_apart_and_a_fresh_process_answers_next(
    action: str, kind: str, detail: str, tmp_path: Path
) -> None:
    """Each way to fail has its kind and its detail, and the session goes on with a process that was just started."""
    session = scripted(tmp_path, f"if request['op'] == 'fail': {action}", SHORT)
    try:
        assert session.ask("reset").result == "ok"
        for _ in range(2):
            with pytest.raises(AdapterFailure) as caught:
                session.ask("fail")
            assert caught.value.kind == kind
            assert detail in caught.value.detail
            assert session.ask("reset").result == "ok"
    finally:
        session.close()


@pytest.mark.clause("CF-2@d2b137", "CF-50@810bd8")
def test_a_line_too_many_is_found_at_the_next_request(tmp_path: Path) -> None:
    """An adapter that writes two replies to one request is caught when it is asked again."""
    session = scripted(tmp_path, "print(json.dumps(reply), flush=True)")
    session.ask("reset")
    time.sleep(0.2)
    with pytest.raises(AdapterFailure, match="nothing asked for"):
        session.ask("reset")
    session.close()


@pytest.mark.clause("CF-50@810bd8")
def test_a_request_that_nobody_reads_does_not_block_the_suite(tmp_path: Path) -> None:
    """Megabytes for an adapter that has stopped reading end in a hang after the deadline, and not in a deadlock."""
    session = scripted(tmp_path, "time.sleep(60)", Limits(deadline=0.5, farewell=0.5))
    begun = time.monotonic()
    with pytest.raises(AdapterFailure, match="hang"):
        session.ask("stop")
    lines = "(sys.stdin.readline() if first else time.sleep(60) for first in (True, False))"
    program = PROGRAM.replace("sys.stdin:", f"{lines}:", 1) % "pass"
    deaf = ProcessSession([sys.executable, "-c", program], tmp_path, Patience(Limits(deadline=0.5, farewell=0.5)))
    with pytest.raises(AdapterFailure, match="hang"):
        deaf.ask("encode", text="x" * 5_000_000)
    deaf.close()
    session.close()
    assert time.monotonic() - begun < 10


@pytest.mark.clause("CF-50@810bd8")
def test_standard_error_in_measure_is_no_failure(tmp_path: Path) -> None:
    """What an adapter logs below the limit for each request does not add up to a flood."""
    session = scripted(tmp_path, "os.write(2, b'x' * 60_000)")
    for _ in range(5):
        assert session.ask("reset").result == "ok"
    session.close()


@pytest.mark.clause("CF-50@810bd8")
@pytest.mark.parametrize(
    ("program", "detail"),
    [
        ("pass", "exit code 0"),
        ("input(); print('{}', flush=True); import time; time.sleep(60)", "None in place of"),
        ("import sys; sys.exit('no model found')", "no model found"),
        (PROGRAM.replace("'ok'", "'fault', 'message': 'no licence'", 1) % "pass", "no licence"),
    ],
)
def test_an_adapter_that_does_not_start_is_told(program: str, detail: str, tmp_path: Path) -> None:
    """Without a hello there is no session, and the failure says what was there in its place."""
    with pytest.raises(AdapterFailure, match=detail) as caught:
        ProcessSession([sys.executable, "-c", program], tmp_path, Patience(SHORT))
    assert caught.value.kind == "start"


@pytest.mark.library
def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A command that names no program fails as one that does not start."""
    with pytest.raises(AdapterFailure, match="No such file") as caught:
        ProcessSession([str(tmp_path / "nothing")], tmp_path)
    assert caught.value.kind == "start"


@pytest.mark.library
def test_patience_ends_after_the_hangs_that_it_allows(tmp_path: Path) -> None:
    """After the last hang that a run bears, each request fails at once and says why."""
    session = scripted(tmp_path, "time.sleep(60)", Limits(deadline=0.3, farewell=0.3, hangs=2))
    for _ in range(2):
        with pytest.raises(AdapterFailure, match="no reply within"):
            session.ask("reset")
    begun = time.monotonic()
    for _ in range(20):
        with pytest.raises(AdapterFailure, match="given up: it did not answer in time 2 times") as caught:
            session.ask("reset")
        assert caught.value.kind == "hang"
    assert time.monotonic() - begun < 0.3
    session.close()


@pytest.mark.library
def test_large_requests_have_more_time(tmp_path: Path) -> None:
    """A second is given for each MiB in files that a request names, wherever it does, up to five times the deadline."""
    limits = Limits(deadline=10)
    large, huge = tmp_path / "large", tmp_path / "huge"
    for path, size in ((large, 3 << 20), (huge, 1 << 33)):
        with path.open("wb") as file:
            file.truncate(size)
    packed = {"artifact": {"packed": {"file": str(large)}}, "path": str(huge)}
    several = {"inputs": [None, {"dtype": "uint8", "shape": [3 << 20], "file": str(large)}, {"file": str(large)}]}
    cases: list[tuple[Json, int]] = [
        ({}, 10),
        ({"data": {"data": "AAAA"}}, 10),
        ({"document": {"file": str(tmp_path / "no")}}, 10),
    ]
    cases += [(packed, 13), (several, 16), ({"data": {"file": str(huge)}}, 50)]
    assert [limits.allowed(fields) for fields, _ in cases] == [seconds for _, seconds in cases]


@pytest.mark.library
def test_patience_ends_after_the_restarts_that_it_allows(tmp_path: Path) -> None:
    """An adapter that ends at each request is started again as often as a run bears, and then no more."""
    session = scripted(tmp_path, "os._exit(1)", Limits(restarts=3))
    seen = []
    for _ in range(5):
        with pytest.raises(AdapterFailure) as caught:
            session.ask("reset")
        seen.append(caught.value.detail.startswith("given up"))
    assert seen == [False, False, False, True, True]


@pytest.mark.clause("CF-35@8c7ff6")
def test_the_end_of_a_session_is_the_end_of_the_process(tmp_path: Path) -> None:
    """After bye the exit code is known, the end of the input ends the process too, and a request starts another."""
    session = scripted(tmp_path, "pass")
    reply, code = session.farewell()
    assert (reply.result, code) == ("ok", 0)
    assert session.end_of_input() == 0
    assert session.ask("bye").result == "ok"
    assert session.ask("reset").result == "ok"
    session.close()


@pytest.mark.library
@pytest.mark.skipif(sys.platform == "win32", reason="paths have other separators there")
def test_commands_are_split_as_a_shell_would_but_without_one() -> None:
    """Quotes group words, and nothing else of a shell is there."""
    words = split_command("python3 'my adapter.py' --mode \"a b\" $HOME ;")
    assert words[1:] == ["my adapter.py", "--mode", "a b", "$HOME", ";"]
    assert Path(words[0]).is_absolute()
    for wrong in ("", "  ", "python3 'open"):
        with pytest.raises(ValueError, match=r"empty|quotation"):
            split_command(wrong)
