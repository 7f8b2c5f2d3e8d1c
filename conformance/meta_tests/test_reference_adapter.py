"""The adapter of the reference library answers each request of the protocol, in this process and in one of its own."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui_conformance.adapters.reference import start
from etui_conformance.protocol.in_process import InProcess
from etui_conformance.protocol.session import AdapterFailure

Json = Any


@pytest.fixture
def session(tmp_path: Path) -> Iterator[InProcess]:
    session = InProcess(start, tmp_path)
    yield session
    session.close()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def plain(array: np.ndarray[Any, Any], dtype: str | None = None) -> Json:
    return {"dtype": dtype or array.dtype.name, "shape": list(array.shape), "data": b64(array.tobytes())}


def variable(order: int, tensor: Json, **more: Json) -> Json:
    return {"dtype": tensor["dtype"], "shape": tensor["shape"], "order": order, "role": "x", "trainable": True, **more}


def weights(tensors: dict[str, Json], **more: Json) -> Json:
    variables = {
        path: variable(order, tensor, **({"encoding": "quantized"} if "components" in tensor else {}))
        for order, (path, tensor) in enumerate(tensors.items())
    }
    document = {"format": "etui-weights", "version": "1.0", "variables": variables, "aliases": {}, **more}
    return {"weights": document, "tensors": {"weights": tensors}}


TENSORS: dict[str, Json] = {
    "plain": plain(np.array([[1, -0.0], [np.inf, 1e-45]], "<f4")),
    "flags": plain(np.array([True, False])),
    "empty": plain(np.zeros((2, 0), "<i8")),
    "half": {"dtype": "bfloat16", "shape": [2], "data": b64(b"\x01\x7f\xc1\xff")},
    "complex": plain(np.array(1 - 2j, "<c8")),
    "nibbles": {"dtype": "int4", "shape": [3], "data": b64(b"\xf8\x07\xff")},
    "texts": {"dtype": "string", "shape": [2], "strings": [b64("é".encode()), ""]},
    "bytes": {"dtype": "bytes", "shape": [1, 1], "strings": [b64(b"\xff\0")]},
    "steps": {
        "dtype": "float32",
        "shape": [2, 2],
        "data": b64(np.array([[0.5, 6], [1, -2]], "<f4").tobytes()),
        "components": {"scale": plain(np.array([[0.5, 2]], "<f4")), "values": plain(np.array([[1, 3], [2, -1]], "i1"))},
    },
}
STATE: dict[str, Json] = {
    "format": "etui-state",
    "version": "1.0",
    "counters": {"epoch": 3},
    "user": {"raw": {"$bytes": "AAE="}, "nan": {"$float": "nan"}, "kept": {"$stored": "user/kept"}},
    "tensors": {"user/kept": {"dtype": "uint8", "shape": [1]}},
}
PARTS: dict[str, Json] = {
    "assets/words.txt": {"role": "asset", "media_type": "text/plain", "data": b64(b"a\nb")},
    "native/keras/config.json": {
        "role": "native",
        "media_type": "application/json",
        "framework": "keras",
        "framework_version": None,
        "bindings": {"weights.json": f"sha256:{'0' * 64}"},
        "data": b64(b"{}"),
    },
}


def whole() -> Json:
    content = weights(TENSORS, **{"x-note": [1, {"a": None}]})
    content["state"] = STATE
    content["tensors"]["state"] = {"user/kept": plain(np.array([7], "u1"))}
    return copy.deepcopy({**content, "parts": PARTS, "metadata": {"made": {"$float": "1"}}})


def bare(content: Json) -> Json:
    """A content without what a decoder adds: the profile, and the encodings that follow from dtypes."""
    content = json.loads(json.dumps(content))
    content.pop("profile", None)
    for entry in content["weights"]["variables"].values():
        entry.pop("encoding", None)
    return content


def artifact(form: str, path: Path) -> Json:
    return {"directory": str(path)} if form == "directory" else {"packed": {"file": str(path)}}


@pytest.mark.clause(
    "CF-15@84c4d1", "CF-16@b774eb", "CF-17@9f81e3", "CF-19@5b81b8", "CF-20@67be5d", "CF-23@d3fdc8", "CF-26@ca0ad7"
)
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_content_comes_back_as_it_was_written(session: InProcess, tmp_path: Path, form: str) -> None:
    """What is encoded is decoded as the same content, every dtype to the bit, in both forms and with one identity."""
    made = session.ask("encode", content=whole(), form=form, path=str(tmp_path / "m"))
    assert made.result == "ok", made
    for want in ("all", "documents"):
        found = session.ask("decode", artifact=artifact(form, tmp_path / "m"), want=want)
        assert found.result == "ok", found
        assert found.fields["identity"] == made.fields["identity"]
        expected = whole() if want == "all" else {name: item for name, item in whole().items() if name != "tensors"}
        assert bare(found.fields["content"]) == bare(expected)
        assert found.fields["profile"] == "checkpoint"


@pytest.mark.clause("CF-11@0cf755")
def test_a_packed_artifact_may_come_inside_of_the_message(session: InProcess, tmp_path: Path) -> None:
    """An artifact given as base64 is decoded as the file is, and data in a file encoded as base64 is."""
    path = tmp_path / "m.etui"
    content = whole()
    (tmp_path / "asset").write_bytes(b"a\nb")
    content["parts"]["assets/words.txt"] = {
        "role": "asset",
        "media_type": "text/plain",
        "file": str(tmp_path / "asset"),
    }
    made = session.ask("encode", content=content, form="packed", path=str(path))
    found = session.ask("decode", artifact={"packed": {"data": b64(path.read_bytes())}}, want="all")
    assert found.fields["identity"] == made.fields["identity"]
    assert bare(found.fields["content"]) == bare(whole())


@pytest.mark.clause("CF-12@a1b2b4")
def test_large_data_goes_by_file_until_the_next_reply(session: InProcess, tmp_path: Path) -> None:
    """From 1 MiB on the bytes of a reply are in a file of the folder, which is gone after the next but one request."""
    large = np.arange(1 << 18, dtype="<f4")
    content = weights({"large": plain(large)})
    session.ask("encode", content=content, form="packed", path=str(tmp_path / "m.etui"))
    reply = session.ask("decode", artifact=artifact("packed", tmp_path / "m.etui"), want="all")
    path = Path(reply.fields["content"]["tensors"]["weights"]["large"]["file"])
    assert path.parent == tmp_path
    assert path.read_bytes() == large.tobytes()
    again = {**content, "tensors": {"weights": {"large": {"dtype": "float32", "shape": [1 << 18], "file": str(path)}}}}
    assert session.ask("encode", content=again, form="packed", path=str(tmp_path / "n.etui")).result == "ok"
    session.ask("reset")
    assert not path.exists()
    assert (tmp_path / "n.etui").read_bytes() == (tmp_path / "m.etui").read_bytes()


@pytest.mark.clause("CF-24@172ff7", "CF-25@29b39c")
def test_boxes_of_tensors_are_read_alone(session: InProcess, tmp_path: Path) -> None:
    """A box is given under a variable's name or an alias, also where the data of another part is damaged."""
    content = weights({name: TENSORS[name] for name in ("plain", "flags")}, aliases={"tied": "plain"})
    boxes = [
        {"part": "weights", "name": "tied", "box": [[0, 2], [1, 2]]},
        {"part": "weights", "name": "plain", "box": None},
    ]
    whole_artifact = artifact("directory", tmp_path / "m")
    session.ask("encode", content=content, form="directory", path=str(tmp_path / "m"), shard_size=1)
    data = bytearray((tmp_path / "m/weights-00002-of-00002.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m/weights-00002-of-00002.safetensors").write_bytes(data)
    reply = session.ask("decode", artifact=whole_artifact, want="documents", read=boxes)
    assert reply.fields["read"] == [plain(np.array([[-0.0], [1e-45]], "<f4")), TENSORS["plain"]]
    assert session.ask("decode", artifact=whole_artifact, want="all").refusal == ("integrity", "digest-mismatch")


@pytest.mark.clause("CF-27@9e847a", "CF-28@d7ad51")
def test_transcoding_keeps_the_identity(session: InProcess, tmp_path: Path) -> None:
    """An artifact that is written anew in the other form is the same one, and full verification passes it."""
    made = session.ask("encode", content=whole(), form="packed", path=str(tmp_path / "m.etui"))
    source = artifact("packed", tmp_path / "m.etui")
    again = session.ask("transcode", artifact=source, form="directory", path=str(tmp_path / "m"))
    assert again.fields == made.fields
    assert session.ask("validate", artifact=artifact("directory", tmp_path / "m")).fields == made.fields
    (tmp_path / "m/stray").write_bytes(b"")
    assert session.ask("validate", artifact=artifact("directory", tmp_path / "m")).code == "part-unlisted"
    assert session.ask("decode", artifact=artifact("directory", tmp_path / "m"), want="all").result == "ok"


@pytest.mark.clause("CF-29@3ec9c0")
def test_a_document_is_checked_alone(session: InProcess) -> None:
    """A document is checked without an artifact around it, and what it refers to counts as there."""
    chunk = {"digest": f"sha256:{'0' * 64}", "part": "weights.safetensors", "tensor": "a"}
    entry = {"chunks": [chunk], "dtype": "float32", "order": 0, "role": "x", "shape": [1], "trainable": True}
    good = {"aliases": {}, "format": "etui-weights", "variables": {"a": entry}, "version": "1.0"}
    bad = {**good, "aliases": {"b": "c"}}

    def ask(document: Json) -> Any:
        data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        return session.ask("validate", document="weights", data={"data": b64(data)})

    assert ask(good).result == "ok"
    assert ask(bad).refusal == ("invalid", "alias-target")
    assert session.ask("validate", document="poem", data={"data": ""}).result == "fault"


@pytest.mark.clause("CF-4@51574e", "CF-8@8f8a5c")
def test_a_writer_refuses_content_by_the_codes_of_the_clauses(session: InProcess, tmp_path: Path) -> None:
    """Content that breaks a clause is refused with its code, and nothing is written."""
    ask = {"form": "packed", "path": str(tmp_path / "m.etui")}
    faults = {
        "path-form": weights({"a//b": TENSORS["plain"]}),
        "encoding-content": weights({"a": {"dtype": "string", "shape": [1], "strings": [b64(b"\xff")]}}),
        "alias-target": weights({"a": TENSORS["plain"]}, aliases={"b": "c"}),
        "limit-path": weights({"a" * 256: TENSORS["plain"]}),
        "profile-parts": {"training": {"format": "etui-training", "version": "1.0"}},
        "version-form": {**whole(), "state": {**STATE, "version": "1.1"}},
    }
    for code, content in faults.items():
        assert session.ask("encode", content=content, **ask).code == code
    assert not (tmp_path / "m.etui").exists()
    assert session.ask("encode", content=weights({"a": TENSORS["plain"]}), **ask).result == "ok"


@pytest.mark.clause("CF-5@309b5e", "CF-22@9f8216")
def test_what_it_does_not_do_is_unsupported(session: InProcess) -> None:
    """An unknown op and another major version of the protocol are unsupported, and the adapter goes on."""
    assert session.ask("sing").result == "unsupported"
    assert session.ask("hello", protocol="2.0", folder="/").result == "unsupported"
    assert session.ask("reset").result == "ok"


@pytest.mark.library
def test_a_request_that_makes_no_sense_is_a_fault(session: InProcess, tmp_path: Path) -> None:
    """What the protocol does not allow, and a place that cannot be written, are faults with a message."""
    content = weights({"a": {"dtype": "float32", "shape": [2], "data": "AAAA"}})
    broken: list[dict[str, Json]] = [
        {"op": "decode", "artifact": {"folder": "x"}},
        {"op": "decode", "artifact": {"directory": str(tmp_path / "nothing")}},
        {"op": "encode", "content": content, "form": "packed", "path": str(tmp_path / "m")},
        {"op": "encode", "content": {"weights": content["weights"]}, "form": "packed", "path": str(tmp_path / "m")},
    ]
    for request in broken:
        op = request.pop("op")
        reply = session.ask(op, **request)
        assert reply.result == "fault", reply
        assert reply.fields["message"]


def network() -> Json:
    """A core graph of one dense module with a constraint, and an optimizer for its kernel."""
    non_neg = {"$object": {"class": "core:constraints.non_neg", "config": {}}}
    module = {
        "name": "dense",
        "kind": "layer",
        "op": "core:dense",
        "attrs": {"constraints": {"kernel": non_neg}, "units": 1},
        "params": {"bias": "dense/bias", "kernel": "dense/kernel"},
    }
    read = {"$output": ["input", 0]}
    calls = [
        {"id": "input", "module": "input", "args": [], "kwargs": {}},
        {"id": "dense", "module": "dense", "args": [read], "kwargs": {}},
    ]
    source = {"name": "input", "kind": "layer", "op": "core:input", "attrs": {"dtype": "float32", "shape": [None, 2]}}
    graph = {"inputs": read, "outputs": {"$output": ["dense", 0]}, "calls": calls}
    model = {"name": "m", "kind": "graph", "op": "core:graph", "modules": [source, module], "graph": graph}
    tensors = {"dense/kernel": plain(np.array([[1], [0.5]], "<f4")), "dense/bias": plain(np.array([0.25], "<f4"))}
    content = weights(tensors)
    content["config"] = {"format": "etui-config", "version": "1.0", "model": model}
    sgd = {
        "algorithm": "core:sgd",
        "groups": [{"variables": ["dense/kernel", "dense/bias"]}],
        "learning_rate": 0.5,
        "step": 0,
        "micro_step": 0,
    }
    content["optimizer"] = {
        "format": "etui-optimizer",
        "version": "1.0",
        "optimizers": {"optimizer": sgd},
        "tensors": {},
    }
    return content


@pytest.mark.clause("CF-31@4eadf4", "CF-32@796290")
def test_a_core_model_is_computed_and_trained(session: InProcess, tmp_path: Path) -> None:
    """A graph runs in the precision of its modules; a step changes what has gradients, within its constraints."""
    made = session.ask("encode", content=network(), form="packed", path=str(tmp_path / "m.etui"))
    assert made.result == "ok", made
    place = artifact("packed", tmp_path / "m.etui")
    found = session.ask("evaluate", artifact=place, inputs=[plain(np.array([[2, 4]], "<f4"))], training=False)
    assert found.fields == {"outputs": [plain(np.array([[4.25]], "<f4"))], "variables": {}}
    stepped = session.ask("step", artifact=place, gradients={"dense/kernel": plain(np.array([[1], [2]], "<f4"))})
    assert stepped.fields["weights"]["dense/kernel"] == plain(np.array([[0.5], [0]], "<f4"))
    assert stepped.fields["weights"]["dense/bias"] == plain(np.array([0.25], "<f4"))
    assert stepped.fields["optimizer"]["optimizers"]["optimizer"]["step"] == 1
    assert stepped.fields["tensors"] == {}


@pytest.mark.clause("CF-33@2b071c")
def test_objects_are_computed(session: InProcess) -> None:
    """Each kind of object of the vocabulary is computed from its inputs."""
    x = plain(np.array([-1.0, 3.0]))
    two = plain(np.array([1.0, 1.0]))
    cases: dict[str, tuple[Json, Json, float]] = {
        "losses.mean_squared_error": ({}, {"y_true": two, "y_pred": x}, 4.0),
        "metrics.mean_absolute_error": ({}, {"y_true": two, "y_pred": x}, 2.0),
        "schedules.exponential_decay": (
            {"initial_learning_rate": {"$float": "1"}, "decay_steps": {"$float": "1"}, "decay_rate": 0.5},
            {"clock": plain(np.array([3]))},
            0.125,
        ),
        "activations.relu": ({}, {"x": x}, 3.0),
        "regularizers.l1": ({"l1": 0.5}, {"x": x}, 2.0),
        "constraints.non_neg": ({}, {"x": x}, 3.0),
        "initializers.ones": ({}, {"shape": plain(np.array([2]))}, 1.0),
    }
    for name, (config, inputs, expected) in cases.items():
        reply = session.ask("compute", object={"$object": {"class": f"core:{name}", "config": config}}, inputs=inputs)
        assert reply.result == "ok", reply
        result = next(iter(reply.fields["outputs"].values()))
        found = np.frombuffer(base64.b64decode(result["data"]), result["dtype"])
        assert found[-1] == expected, name


@pytest.mark.clause("CF-30@743702")
def test_a_file_of_another_format_is_converted(session: InProcess, tmp_path: Path) -> None:
    """A safetensors file becomes an etui, with its identity and the report, and goes back."""
    content = weights({"plain": TENSORS["plain"]})
    session.ask("encode", content=content, form="packed", path=str(tmp_path / "m.etui"))
    flat = str(tmp_path / "m.safetensors")
    out = session.ask("convert", source=str(tmp_path / "m.etui"), to="safetensors", path=flat)
    assert out.result == "ok", out
    assert out.fields["report"]["ok"]
    back = session.ask("convert", source=flat, to="etui", path=str(tmp_path / "n.etui"))
    found = session.ask("decode", artifact=artifact("packed", tmp_path / "n.etui"), want="all")
    assert back.fields["identity"] == found.fields["identity"]
    assert found.fields["content"]["tensors"]["weights"] == {"plain": TENSORS["plain"]}


@pytest.mark.clause("CF-1@d8df00", "CF-2@d2b137", "CF-35@8c7ff6")
def test_it_speaks_by_lines_in_a_process_of_its_own(tmp_path: Path) -> None:
    """The adapter answers lines by lines, survives one that is no request, and ends with 0 after bye."""
    requests = [
        {"id": 1, "op": "hello", "protocol": "1.0", "spec": "1.0", "folder": str(tmp_path)},
        {"id": 2, "op": "encode", "content": whole(), "form": "packed", "path": str(tmp_path / "m.etui")},
        {"id": 3, "op": "validate", "artifact": artifact("packed", tmp_path / "m.etui")},
    ]
    lines = [json.dumps(request) for request in requests]
    lines += ["no request", '{"id":4,"op":"decode","artifact":{"directory":"\\ud800"}}', '{"id":5,"op":"bye"}', "{}"]
    command = [sys.executable, "-m", "etui_conformance.adapters.reference"]
    ran = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=True, timeout=60)
    replies = [json.loads(line) for line in ran.stdout.splitlines()]
    found = {reply["id"]: reply["result"] for reply in replies}
    assert found == {1: "ok", 2: "ok", 3: "ok", None: "fault", 4: "fault", 5: "ok"}
    assert len(replies) == len(found)
    assert replies[1]["identity"] == replies[2]["identity"]


@pytest.mark.library
def test_a_handle_that_breaks_the_protocol_is_a_failure_of_the_adapter(tmp_path: Path) -> None:
    """A handle that raises, replies with no JSON or with another id fails as a process would, and is greeted anew."""
    starts: list[None] = []

    def broken() -> Any:
        starts.append(None)
        good = start()

        def handle(request: Any) -> Any:
            match request["op"]:
                case "crash":
                    raise RuntimeError("broken")
                case "garbage":
                    return {"id": request["id"], "result": "ok", "value": float("nan")}
                case "silence":
                    return None
                case "wrong":
                    return {"id": 0, "result": "ok"}
            return good(request)

        return handle

    session = InProcess(broken, tmp_path)
    for op, kind in (("crash", "crash"), ("garbage", "garbage"), ("silence", "garbage"), ("wrong", "wrong-id")):
        with pytest.raises(AdapterFailure) as failure:
            session.ask(op)
        assert failure.value.kind == kind
    assert len(starts) == 5
    with pytest.raises(AdapterFailure, match="start"):
        InProcess(lambda: lambda request: {"id": request["id"], "result": "ok"}, tmp_path)
