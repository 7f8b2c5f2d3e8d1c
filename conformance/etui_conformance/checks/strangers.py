"""Artifacts from a stranger: what they name elsewhere is not touched, and what they are called means nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.checks.exchange import Question, about_document, about_parts, check_content, check_written
from etui_conformance.checks.samples import Content
from etui_conformance.oracle import directory, packed, writing
from etui_conformance.protocol.wire import new_path

_SUFFIXES = {"packed": ("", ".zip", ".json", ".safetensors", ".d"), "directory": ("", ".etui", ".zip", ".json")}


def checks() -> list[Check]:
    """The checks of names and of files elsewhere."""
    reader = frozenset({"decode", "weights", "dtype:uint8"})
    found = [
        Check(
            f"strangers/names/{form}",
            ("I-1",),
            reader | {form},
            f"Opens the {form} form whatever it is called.",
            partial(_called, form),
        )
        for form in _SUFFIXES
    ]
    title = "Takes a path in an attribute for a text, and does not open the file."
    for op in ("decode", "transcode", "validate"):
        needs = frozenset({op, "config"})
        found.append(Check(f"strangers/files/{op}", ("A-2", "X-1"), needs, title, partial(_files, op)))
    title = "Reports the class, the code and the place of a refusal."
    needs = frozenset({"validate", "config", "weights", "state"})
    found.append(Check("strangers/refusals", ("E-1",), needs, title, _refusals))
    return found


_REFUSED: tuple[tuple[str, bytes, str], ...] = (
    ("config", b"[", "json-syntax"),
    ("config", b'{"a":"\xff"}', "json-encoding"),
    ("config", b'{"a":"\\ud800"}', "json-surrogate"),
    ("config", b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "json-depth"),
    ("config", b'{"a":1,"a":1}', "json-duplicate-key"),
    ("config", b'{"a": 1}', "json-not-canonical"),
    ("config", b'{"a":1.0}', "json-number"),
    ("state", b"\xc1", "msgpack-syntax"),
    ("state", b"\x81\xa1a\xa1\xff", "msgpack-encoding"),
    ("state", b"\x81\x01\x01", "msgpack-key"),
    ("state", b"\x81\xa1a\xcc\x01", "msgpack-not-canonical"),
    ("weights", b'{"aliases":{},"format":"etui-weights","variables":{},"version":"1"}', "version-form"),
    ("weights", b'{"aliases":{},"format":"etui-weights","variables":{},"version":"2.0"}', "version-unsupported"),
    ("weights", b'{"aliases":{},"format":"etui-weights","more":1,"variables":{},"version":"1.0"}', "weights-form"),
    ("weights", b'{"aliases":{"a":"b"},"format":"etui-weights","variables":{},"version":"1.0"}', "alias-target"),
)


def _refusals(context: Context) -> None:
    """One fault each, of several classes."""
    for kind, data, code in _REFUSED:
        question = about_document(context.session, kind, data)
        question.refused([code])
        place = question.ask().fields.get("at")
        if not isinstance(place, str) or not place:
            raise question.mismatch("a refusal without a place", "the part, and a place in it", place)


def _called(form: str, context: Context) -> None:
    content = samples.weights({"a": samples.FLAG})
    parts = writing.write(content)
    for suffix in _SUFFIXES[form]:
        path = new_path(context.folder, suffix)
        if form == "packed":
            path.write_bytes(packed.pack(parts))
        else:
            directory.write(parts, path)
        artifact: Any = {"packed": {"file": str(path)}} if form == "packed" else {"directory": str(path)}
        question = Question(context.session, "decode", {"artifact": artifact, "want": "all"}, {})
        check_content(question, question.accepted(), content, context.session.hello.areas & {"weights"})


def _files(op: str, context: Context) -> None:
    """The attributes name a file with words in it, and a pipe, at which whoever opens it waits."""
    words, pipe = new_path(context.folder, ".txt"), new_path(context.folder)
    words.write_text("canary\nbird\n", encoding="utf-8")
    with suppress(AttributeError, OSError):  # not every system has named pipes
        os.mkfifo(pipe)
    for path in (words, pipe):
        content = _naming(path)
        parts = writing.write(content)
        for form in sorted(context.session.hello.artifact_forms):
            target = new_path(context.folder)
            more: dict[str, Any] = {"decode": {"want": "all"}, "transcode": {"form": form, "path": str(target)}}.get(
                op, {}
            )
            question = about_parts(context.session, op, parts, form, **more)
            fields = question.accepted()
            if "canary" in str(fields):
                raise Mismatch(f"{op} gave what stands in a file", expected="the path of it", found="its content")
            if op == "decode":
                check_content(question, fields, content, context.session.hello.areas & {"config"})
            if op == "transcode":
                check_written(question, form, target, parts)


def _naming(path: Path) -> Content:
    """A config that names a file under names by which layers take their vocabularies."""
    text = str(path)
    attrs = {"vocabulary": text, "file": text, "path": text, "filename": text, "url": f"file://{text}"}
    modules = [
        {"name": "a", "kind": "layer", "op": "keras:StringLookup", "attrs": attrs},
        {"name": "b", "kind": "layer", "op": "keras:TextVectorization", "attrs": attrs},
        {"name": "c", "kind": "layer", "op": "other:Words", "attrs": {"words": {"$object": _object(text)}}},
    ]
    return samples.config(modules=modules, attrs=attrs)


def _object(text: str) -> dict[str, Any]:
    return {"class": "other:Loader", "config": {"path": text}}
