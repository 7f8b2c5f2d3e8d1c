"""Writers over an artifact that is there: it stays as it was until the new one is whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import Question, about_parts, check_written, to_encode
from etui_conformance.checks.samples import Content
from etui_conformance.oracle import directory, packed, writing
from etui_conformance.protocol.wire import new_path

_NEEDS = frozenset({"weights", "dtype:uint8"})


def checks() -> list[Check]:
    """The checks of each form."""
    found = []
    for form in ("packed", "directory"):
        asks: tuple[tuple[str, tuple[str, ...], str, str, Callable[[str, Context], None]], ...] = (
            ("in-place", ("F-7",), "encode", "Changes no file of an artifact that it replaces.", _in_place),
            (
                "refused",
                ("F-8",),
                "encode",
                "Leaves an artifact as it was when it refuses a content.",
                _refused,
            ),
            (
                "damaged",
                ("F-8",),
                "transcode",
                "Leaves an artifact as it was when its source is damaged.",
                _damaged,
            ),
            ("onto-itself", ("F-7", "F-8"), "transcode", "Writes an artifact anew in its own place.", _onto_itself),
        )
        found += [
            Check(f"replacing/{name}/{form}", clauses, _NEEDS | {op, form}, title, partial(ask, form))
            for name, clauses, op, title, ask in asks
        ]
    title = "Writes nothing through a symbolic link in the folder of an artifact."
    found.append(Check("replacing/links", ("X-4",), _NEEDS | {"encode", "directory"}, title, _links))
    return found


def _content(byte: bytes) -> Content:
    return samples.weights({"a": samples.tensor("uint8", [3], byte * 3), "b/c": samples.tensor("uint8", [1], byte)})


def _misordered() -> Content:
    content = _content(b"x")
    content["weights"]["variables"]["a"]["order"] = 7
    return content


_REFUSED: Mapping[str, Callable[[], Content]] = {
    "a path with an empty segment": lambda: samples.weights({"a//b": samples.FLAG}),
    "an alias to nothing": lambda: samples.weights({"a": samples.FLAG}, {"b": "c"}),
    "an order that does not begin at 0": _misordered,
    "a name beyond the limit": lambda: samples.weights({"n" * 256: samples.FLAG}),
}


def _placed(parts: Mapping[str, bytes], form: str, context: Context) -> Path:
    """An artifact in the suite's own bytes."""
    path = new_path(context.folder, ".etui" if form == "packed" else "")
    if form == "packed":
        path.write_bytes(packed.pack(parts))
    else:
        directory.write(parts, path)
    return path


def _files(path: Path) -> dict[Path, bytes]:
    """Each file of an artifact with its bytes."""
    found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {one: one.read_bytes() for one in found}


def _in_place(form: str, context: Context) -> None:
    """What holds a file of the earlier artifact open, or has it under another name, sees no change."""
    path = _placed(writing.write(_content(b"\1")), form, context)
    before = _files(path)
    kept = new_path(context.folder)
    kept.mkdir()
    with ExitStack() as stack:
        handles = {file: stack.enter_context(file.open("rb")) for file in before}
        links = {file: kept / str(number) for number, file in enumerate(before)}
        for file, link in links.items():
            os.link(file, link)
        question = to_encode(context.session, _content(b"\2"), form, path)
        question.accepted()
        for file, data in before.items():
            if handles[file].read() != data or links[file].read_bytes() != data:
                raise question.mismatch(f"encode changed {file.name} in place", data, "other bytes in the same file")
    check_written(question, form, path, writing.write(_content(b"\2")))


def _writes(form: str, context: Context) -> None:
    """That it writes at all: who refuses everything changes nothing either."""
    question = to_encode(context.session, _content(b"\2"), form, new_path(context.folder))
    question.accepted()


def _refused(form: str, context: Context) -> None:
    _writes(form, context)
    for what, make in _REFUSED.items():
        path = _placed(writing.write(_content(b"\1")), form, context)
        before = _files(path)
        question = to_encode(context.session, make(), form, path)
        reply = question.ask()
        if reply.result != "reject":
            raise question.mismatch(f"encode did not refuse {what}", "a refusal", reply.result)
        _unchanged(question, path, before)


def _unchanged(question: Question, path: Path, before: Mapping[Path, bytes]) -> None:
    try:
        found = _files(path)
    except OSError as trouble:
        raise question.mismatch("the earlier artifact is gone", sorted(map(str, before)), str(trouble)) from None
    if found != before:
        raise question.mismatch("the earlier artifact was changed", sorted(map(str, before)), sorted(map(str, found)))


def _damaged(form: str, context: Context) -> None:
    """The fault is in the last tensor, so that a writer meets it in the middle of its work."""
    parts = writing.write(_content(b"\2"))
    whole = new_path(context.folder)
    about_parts(context.session, "transcode", parts, form, form=form, path=str(whole)).accepted()
    data = bytearray(parts["weights.safetensors"])
    data[-1] ^= 0xFF
    parts["weights.safetensors"] = bytes(data)
    path = _placed(writing.write(_content(b"\1")), form, context)
    before = _files(path)
    question = about_parts(context.session, "transcode", parts, form, form=form, path=str(path))
    reply = question.ask()
    if reply.result != "reject":
        raise question.mismatch("transcode did not refuse damaged data", "a refusal", reply.result)
    _unchanged(question, path, before)


def _onto_itself(form: str, context: Context) -> None:
    """Source and target are one: a writer that truncates its target first reads nothing."""
    path = _placed(writing.write(_content(b"\1")), form, context)
    artifact = {"packed": {"file": str(path)}} if form == "packed" else {"directory": str(path)}
    fields = {"artifact": artifact, "form": form, "path": str(path), "shard_size": 1}
    question = Question(context.session, "transcode", fields, {})
    question.accepted()
    check_written(question, form, path, writing.write(_content(b"\1"), 1))


def _links(context: Context) -> None:
    """Files of the artifact are links to files elsewhere; to refuse to write is as good as to replace the links."""
    _writes("directory", context)
    parts = writing.write(_content(b"\1"))
    expected = writing.write(_content(b"\2"))
    for linked in (sorted(parts), sorted(parts.keys() - {"manifest.json"})):
        path = _placed(parts, "directory", context)
        elsewhere = new_path(context.folder)
        elsewhere.mkdir()
        for name in linked:
            (path / name).rename(elsewhere / name)
            (path / name).symlink_to(elsewhere / name)
        question = to_encode(context.session, _content(b"\2"), "directory", path)
        reply = question.ask()
        for name in linked:
            if not (elsewhere / name).is_file() or (elsewhere / name).read_bytes() != parts[name]:
                raise question.mismatch(
                    f"encode wrote through the link {name}", "the file behind it as it was", "another"
                )
        if reply.result == "ok":
            check_written(question, "directory", path, expected)
