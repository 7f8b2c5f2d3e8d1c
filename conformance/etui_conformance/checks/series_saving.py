"""Series of checkpoints (annex Q): what an implementation saves, and leaves as it was."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import Question, about_parts, about_series, told
from etui_conformance.oracle import manifest, reading, series, writing
from etui_conformance.oracle.errors import Refusal
from etui_conformance.protocol.wire import content_to_wire, new_path

Json = Any
Content = dict[str, Any]

_TIME = "2026-01-31T12:00:00.125Z"
_NEEDS = frozenset({"series", "weights", "dtype:float32"})
_LARGE = 300_000
"""Elements of a tensor of more than 1 MiB."""


def checks() -> list[Check]:
    """A check for each thing that a writer must do, or must not."""
    rows: list[tuple[str, str, str, str, Callable[[Context], None]]] = [
        (
            "step",
            "encode",
            "CF-36 CS-1 CS-2 CS-5 CS-7 CS-11 CS-15 CS-16 CS-19 CS-20 CS-21 CS-22 CS-23",
            "Saves an artifact as a step of a new series.",
            _saves,
        ),
        (
            "pieces",
            "encode",
            "CS-12 CS-13 CS-17 CS-23",
            "Describes data parts by the fewest pieces, a tensor in one.",
            _cuts,
        ),
        ("metrics", "encode", "CF-36 CS-19", "Keeps metrics of every kind and the time.", _keeps_metrics),
        ("numbers", "encode", "CS-2 CS-20", "Saves the first and the last step that there can be.", _keeps_numbers),
        ("strangers", "encode", "CS-3", "Saves beside files of other names, and leaves them alone.", _keeps_strangers),
        ("earlier", "encode", "CS-6 CS-26", "Changes no file of earlier steps when it saves another.", _keeps_earlier),
        ("exists", "encode", "CS-25", "Does not replace a step that it was not asked to replace.", _keeps_existing),
        ("replace", "encode", "CF-36 CS-25", "Replaces a step that it is asked to replace.", _replaces),
        ("refused", "encode", "CS-24 CS-26", "Leaves a series as it was when it refuses a content.", _refuses),
        ("again", "transcode", "CF-36 CS-23", "Saves an artifact, and a step of another series, as a step.", _rewrites),
        ("damaged", "transcode", "CS-24 CS-26", "Makes no step of an artifact that is damaged.", _refuses_damage),
        ("foreign", "encode", "CS-1", "Makes no series in a folder of another format.", _refuses_folder),
    ]
    return [
        Check(f"series/save/{name}", tuple(clauses.split()), _NEEDS | {op}, title, run)
        for name, op, clauses, title, run in rows
    ]


def _content(*values: float) -> Content:
    """Tensors of which one is large, two are equal, and one is empty."""
    tensors = {
        "a": samples.tensor("float32", [len(values)], _floats(*values)),
        "b/large": samples.tensor("float32", [_LARGE], _floats(0.5) * _LARGE),
        "b/same": samples.tensor("float32", [len(values)], _floats(*values)),
        "c": samples.tensor("float32", [0, 2], b""),
    }
    return samples.weights(tensors)


def _floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def _save(context: Context, content: Content, path: Path, step: int, **fields: Any) -> Question:
    wired = content_to_wire(content, context.session.folder)
    message = {"content": wired, "form": "series", "path": str(path), "step": step, **fields}
    return Question(context.session, "encode", message, {})


def _files(question: Question, path: Path) -> dict[str, bytes]:
    """The files of a series that an implementation wrote."""
    try:
        return series.load(path)
    except (Refusal, OSError) as trouble:
        raise question.mismatch("what was written is no series", "a series", str(trouble)) from None


def _check_step(question: Question, path: Path, step: int, expected: Mapping[str, bytes]) -> dict[str, Json]:
    """Check that a step is an artifact of these parts; its record."""
    files = _files(question, path)
    try:
        found = series.parts(files, step, full=True)
        reading.read(found, full=True)
        record = series.read_record(files[series.record_name(step)], step)
    except (Refusal, KeyError) as trouble:
        raise question.mismatch("what was written is no step of a series", "a step", repr(trouble)) from None
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise question.mismatch(f"another part {name}", "the canonical bytes", "others")
    for name, data in files.items():
        if name.startswith("objects/") and series.object_name(manifest.digest(data)) != name:
            raise question.mismatch("an object that does not have the digest of its name", name, "other bytes")
    return record


def _saves(context: Context) -> None:
    content, path = _content(1, 2, 3), new_path(context.folder)
    expected = writing.write(content)
    question = _save(context, content, path, 100)
    found = question.accepted()
    record = _check_step(question, path, 100, expected)
    if found.get("identity") != record["identity"]:
        raise question.mismatch("the reply has another identity than the record", record["identity"], found)


def _cuts(context: Context) -> None:
    content, path = _content(*range(40)), new_path(context.folder)
    for step, size in ((1, None), (2, 200)):
        question = _save(context, content, path, step, **({} if size is None else {"shard_size": size}))
        question.accepted()
        _check_step(question, path, step, writing.write(content, size))
        split = series.split_tensors(_files(question, path), step)
        if split:
            raise question.mismatch("tensors in several pieces", "none", split)


def _keeps_metrics(context: Context) -> None:
    metrics = {
        "loss": 0.25,
        "one": {"$float": "1"},
        "nan": {"$float": "nan"},
        "more": {"$float": "inf"},
        "a/b c": -1e-300,
        "$$money": 2.5,
    }
    path = new_path(context.folder)
    question = _save(context, _content(1), path, 7, metrics=metrics, time=_TIME)
    question.accepted()
    record = _check_step(question, path, 7, writing.write(_content(1)))
    if record.get("metrics") != metrics or record["time"] != _TIME:
        raise question.mismatch("other metrics or another time", (metrics, _TIME), record)


def _keeps_numbers(context: Context) -> None:
    path = new_path(context.folder)
    for step in (0, 10, 2**53 - 1):
        question = _save(context, _content(step % 7), path, step)
        question.accepted()
        _check_step(question, path, step, writing.write(_content(step % 7)))
    question = _save(context, _content(1), path, 2**53)
    reply = question.ask()
    if reply.result == "ok":
        raise question.mismatch("a step was saved whose number is too large", "no ok", told(reply))


def _states(path: Path) -> dict[str, bytes]:
    """Each file of a series but its lock."""
    files = sorted(one for one in path.rglob("*") if one.is_file() and one.name != "lock")
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in files}


def _check_states(question: Question, path: Path, before: Mapping[str, bytes]) -> None:
    """Check that files are as they were."""
    after = _states(path)
    changed = sorted(name for name, data in before.items() if after.get(name) != data)
    if changed:
        raise question.mismatch("files that were there were changed", "none", changed)


def _keeps_earlier(context: Context) -> None:
    """What holds a file of an earlier step open sees no change either."""
    path = new_path(context.folder)
    _save(context, _content(1, 2), path, 1).accepted()
    before = _states(path)
    with ExitStack() as stack:
        held = {name: stack.enter_context((path / name).open("rb")) for name in before}
        for step, values in ((2, (1, 2)), (3, (3, 4)), (0, (2, 1))):
            question = _save(context, _content(*values), path, step)
            question.accepted()
            _check_states(question, path, before)
            _check_step(question, path, 1, writing.write(_content(1, 2)))
        for name, file in held.items():
            if file.read() != before[name]:
                raise question.mismatch("a file of an earlier step was written into", "no change", name)


def _keeps_strangers(context: Context) -> None:
    path = new_path(context.folder)
    strangers = {
        "notes.txt": b"mine",
        "steps/01.json": b"no record",
        "steps/9007199254740992.json": b"no record",
        "steps/notes/2.json": b"no record",
        "objects/sha256/notes": b"mine",
        "objects/md5/00/notes": b"mine",
    }
    for name, data in {**series.mark(), **strangers}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    for step in (1, 2):
        question = _save(context, _content(step), path, step)
        question.accepted()
        _check_states(question, path, strangers)
        _check_step(question, path, step, writing.write(_content(step)))


def _keeps_existing(context: Context) -> None:
    path = new_path(context.folder)
    _save(context, _content(1), path, 1).accepted()
    before = _states(path)[series.record_name(1)]
    for more in ({}, {"replace": False}):
        question = _save(context, _content(2), path, 1, **more)
        reply = question.ask()
        if reply.result == "ok" or _states(path)[series.record_name(1)] != before:
            raise question.mismatch("a step was replaced without being asked", "no ok", told(reply))
    _check_step(question, path, 1, writing.write(_content(1)))


def _replaces(context: Context) -> None:
    path = new_path(context.folder)
    _save(context, _content(1), path, 1).accepted()
    question = _save(context, _content(2), path, 1, replace=True)
    question.accepted()
    _check_step(question, path, 1, writing.write(_content(2)))


def _refuses(context: Context) -> None:
    path = new_path(context.folder)
    _save(context, _content(1), path, 1).accepted()
    broken = _content(2)
    broken["weights"]["aliases"] = {"tied": "nothing"}
    for step, more in ((2, {}), (1, {"replace": True})):
        question = _save(context, broken, path, step, **more)
        question.refused(["alias-target"])
        _check_step(question, path, 1, writing.write(_content(1)))
        if series.numbers(_files(question, path)) != [1]:
            raise question.mismatch("a refused content became a step", [1], series.numbers(_files(question, path)))


def _rewrites(context: Context) -> None:
    content, path = _content(1, 2), new_path(context.folder)
    parts = writing.write(content)
    form = min(context.session.hello.artifact_forms, default=None)
    target = {"form": "series", "path": str(path)}
    if form is not None:
        question = about_parts(context.session, "transcode", parts, form, step=3, **target)
        question.accepted()
        _check_step(question, path, 3, parts)
    question = about_series(context.session, "transcode", series.step(parts, 9), 9, step=4, **target)
    question.accepted()
    _check_step(question, path, 4, parts)


def _refuses_damage(context: Context) -> None:
    """One byte of a tensor is another: nothing becomes a step, and the step that was to be replaced stays."""
    path = new_path(context.folder)
    earlier, parts = writing.write(_content(5)), writing.write(_content(1, 2))
    target = {"form": "series", "path": str(path)}
    about_series(context.session, "transcode", series.step(earlier, 9), 9, step=1, **target).accepted()
    files = series.step(parts, 9)
    small = next(name for name, data in files.items() if name.startswith("objects/") and _floats(1, 2) in data)
    files[small] = files[small].replace(_floats(1, 2), _floats(1, 3))
    for step, more in ((2, {}), (1, {"replace": True})):
        question = about_series(context.session, "transcode", files, 9, step=step, **target, **more)
        question.refused(["digest-mismatch"])
        found = series.numbers(_files(question, path))
        if found != [1]:
            raise question.mismatch("other steps after a refusal", [1], found)
        _check_step(question, path, 1, earlier)


def _refuses_folder(context: Context) -> None:
    path = new_path(context.folder)
    path.mkdir()
    (path / "notes.txt").write_bytes(b"mine")
    question = _save(context, _content(1), path, 1)
    reply = question.ask()
    if reply.result == "ok" or [one.name for one in path.iterdir()] != ["notes.txt"]:
        raise question.mismatch("a folder of other files became a series", "no ok", told(reply))
