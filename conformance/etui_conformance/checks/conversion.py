"""Conversions from foreign formats and to them, by the vectors of annexes B to H and L."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.protocol.session import Reply
from etui_conformance.protocol.wire import new_path
from etui_conformance.resources import vectors_directory

Vector = Mapping[str, Any]

_FOLDER = "formats"
_MANIFEST = "manifest.json"
_OWN = "etui"
_REQUEST = "CF-30"
_TICK = 2.1
"""Seconds, more than the two that an archive's clock counts by."""

_SHOWN = 12
"""So many differences are named; the rest is counted."""


_SAME_BYTES = {
    "keras": "K-62",
    "keras-h5": "KH-19",
    "keras-weights": "KW-12",
    "tf-savedmodel": "KS-27",
    "tfjs-layers": "KJ-18",
}
"""For each format, the clause that wants the same bytes for the same model."""


def checks() -> list[Check]:
    """A check for each conversion that the vectors hold, and one for each format that is to be written alike twice."""
    firsts = {vector["to"]: vector for vector in reversed(vectors()) if vector.get("writes")}
    twice = [_twice_check(clause, firsts[name]) for name, clause in _SAME_BYTES.items() if name in firsts]
    return [*(_check(vector) for vector in vectors()), *twice]


@cache
def vectors() -> tuple[Vector, ...]:
    """The vectors as their manifest lists them."""
    listed = json.loads((folder() / _MANIFEST).read_text(encoding="utf-8"))
    return tuple(listed["vectors"])


def folder() -> Path:
    """The folder of the vectors.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    return vectors_directory() / _FOLDER


def _check(vector: Vector) -> Check:
    if vector["result"] == "reject":
        run, title = _refuse, f"Refuses {vector['name']}."
    elif not vector.get("writes"):
        run, title = _read, f"Reads {vector['name']}."
    else:
        run, title = _write, f"Writes {vector['name']}."
    return Check(
        id=f"vector/{vector['id']}",
        clauses=(*vector["clauses"], _REQUEST),
        needs=frozenset({"convert"} if vector["format"] == _OWN else {"convert", f"format:{vector['format']}"}),
        title=title,
        run=lambda context: run(context, vector),
        slow=vector.get("writes", False),
    )


def _read(context: Context, vector: Vector) -> None:
    """The conversion of a file of a framework gives the expected artifact."""
    target = new_path(context.folder, ".etui")
    reply = _asked(context, vector, target)
    if reply.result != "ok":
        raise Mismatch("not converted", expected="ok", found=dict(reply.fields))
    _compare_reports(vector, reply)
    _compare(vector, target.read_bytes(), (folder() / vector["expected"]).read_bytes())
    if reply.fields.get("identity") != vector["identity"]:
        raise Mismatch("another identity", expected=vector["identity"], found=reply.fields.get("identity"))


def _refuse(context: Context, vector: Vector) -> None:
    """A file with one fault is refused with its code, and the file that it was made of is not."""
    sibling = next(one for one in vectors() if one["id"] == vector["sibling"])
    if (reply := _asked(context, sibling, new_path(context.folder, ".etui"))).result != "ok":
        raise Mismatch("the file without the fault is refused too", expected="ok", found=dict(reply.fields))
    reply = _asked(context, vector, new_path(context.folder, ".etui"))
    expected = (vector["class"], vector["code"])
    if reply.refusal != expected:
        raise Mismatch("not refused as it must be", expected=expected, found=reply.refusal or reply.result)


def _write(context: Context, vector: Vector) -> None:
    """What is written to a foreign format is there, and gives the expected artifact when it is read again."""
    # In a folder of its own: some formats are several files.
    place = new_path(context.folder)
    place.mkdir()
    target = place / f"written{vector['suffix']}"
    reply = _asked(context, vector, target)
    if reply.result != "ok":
        raise Mismatch("not converted", expected="ok", found=dict(reply.fields))
    _compare_reports(vector, reply)
    again = target
    if vector["to"] != _OWN:
        again = place / "again.etui"
        back = context.session.ask("convert", source=str(target), to=_OWN, path=str(again), options={"strict": False})
        if back.result != "ok":
            raise Mismatch("what was written is not read again", expected="ok", found=dict(back.fields))
    identity = _identity(again.read_bytes())
    if identity != vector["identity"]:
        raise Mismatch(
            "what was written holds something else when it is read again",
            expected=vector["identity"],
            found=identity,
            files={"again.etui": again.read_bytes()},
        )
    shutil.rmtree(place, ignore_errors=True)


def _twice_check(clause: str, vector: Vector) -> Check:
    return Check(
        id=f"conversion/twice/{vector['to']}",
        clauses=(clause,),
        needs=frozenset({"convert", f"format:{vector['format']}"}),
        title=f"Writes the same bytes again: {vector['name']}.",
        run=lambda context: _write_twice(context, vector),
        slow=True,
    )


def _write_twice(context: Context, vector: Vector) -> None:
    """The same model written to two places gives the same files."""
    found: list[dict[str, bytes]] = []
    for _ in range(2):
        if found:
            time.sleep(_TICK)
        place = new_path(context.folder)
        place.mkdir()
        reply = _asked(context, vector, place / f"written{vector['suffix']}")
        if reply.result != "ok":
            raise Mismatch("not converted", expected="ok", found=dict(reply.fields))
        files = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        found.append(files)
    if not found[0]:
        raise Mismatch("nothing was written", expected="files", found="none")
    if wrong := sorted(name for name in found[0].keys() | found[1].keys() if found[0].get(name) != found[1].get(name)):
        raise Mismatch("other bytes for the same model", expected="the same files twice", found=wrong)


def _asked(context: Context, vector: Vector, target: Path) -> Reply:
    """The reply to the conversion that a vector asks for."""
    for name, digest in vector.get("files", {}).items():
        if hashlib.sha256((folder() / name).read_bytes()).hexdigest() != digest:
            raise RuntimeError(f"{folder() / name} is not the file that the vector was made of")
    options = {"strict": False, **vector.get("options", {})}
    if "config" in vector:
        options["config"] = str(folder() / vector["config"])
    source = str(folder() / vector["source"])
    return context.session.ask("convert", source=source, to=vector["to"], path=str(target), options=options)


def _compare_reports(vector: Vector, reply: Reply) -> None:
    """A report, where there is one, says the expected of each item."""
    if (report := reply.fields.get("report")) is None:
        return
    said = sorted(f"{entry['status']} {entry['kind']} {entry['subject']}" for entry in report["entries"])
    if said != vector["report"]:
        lacking = [line for line in vector["report"] if line not in said]
        surplus = [line for line in said if line not in vector["report"]]
        raise Mismatch("the report says something else", expected=lacking, found=surplus)


def _compare(vector: Vector, found: bytes, expected: bytes) -> None:
    """The artifact is the expected one, byte for byte; else the places that differ are named."""
    if found == expected:
        return
    from etui_conformance.oracle import packed

    one, two = packed.unpack(expected), packed.unpack(found)
    wrong = [f"{name} is missing" for name in one.keys() - two.keys()]
    wrong += [f"{name} is too much" for name in two.keys() - one.keys()]
    for name in sorted(one.keys() & two.keys() - {_MANIFEST}):
        if one[name] != two[name]:
            wrong += [f"{name}{place}" for place in _places(name, one[name], two[name])]
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    raise Mismatch(
        f"another artifact: {'; '.join(wrong[:_SHOWN]) or _MANIFEST}{more}",
        expected=vector["identity"],
        found=f"sha256:{hashlib.sha256(two[_MANIFEST]).hexdigest()}",
        files={"found.etui": found},
    )


def _places(name: str, one: bytes, two: bytes) -> Iterator[str]:
    from etui_conformance.oracle import json as canonical
    from etui_conformance.oracle import msgpack

    if name.endswith(".json"):
        yield from _differing(canonical.decode(one), canonical.decode(two), "")
    elif name.endswith(".msgpack"):
        yield from _differing(msgpack.decode(one), msgpack.decode(two), "")
    else:
        yield f": {len(one)} and {len(two)} bytes"


def _differing(one: Any, two: Any, at: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(one.keys() | two.keys()):
            if key in one and key in two:
                yield from _differing(one[key], two[key], f"{at}/{key}")
            else:
                yield f" {at}/{key} is {'missing' if key in one else 'too much'}"
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, (first, second) in enumerate(zip(one, two, strict=True)):
            yield from _differing(first, second, f"{at}/{index}")
    elif type(one) is not type(two) or one != two:
        yield f" {at}"


def _identity(data: bytes) -> str:
    from etui_conformance.oracle import packed

    return f"sha256:{hashlib.sha256(packed.unpack(data)[_MANIFEST]).hexdigest()}"
