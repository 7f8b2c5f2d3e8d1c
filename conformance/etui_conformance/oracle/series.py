"""Series of checkpoints (SPEC.md, annex Q): the files of a series, and each step as the parts of its artifact.

files = series.load("run")                      # name below the series -> bytes
parts = series.parts(files, 100, full=True)     # as `reading.read` takes them
files |= series.step(parts, 200, metrics={"loss": 0.5}, time="2026-01-31T12:00:00.000Z")
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any

from etui_conformance.oracle import json, manifest, reading, safetensors, values
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.manifest import check_digest, check_version, digest
from etui_conformance.oracle.names import MANIFEST, role_of
from etui_conformance.oracle.numbers import SAFE

MARK = "series.json"
MOST_PIECES = 1_000_000
MOST_LAYOUT = 128 << 20
MOST_RECORD = 64 << 20
OWN_OBJECT = 1 << 20
"""Bytes from which on a tensor is an object of its own."""

Files = Mapping[str, bytes]
Piece = tuple[int, int, int]

_RECORD = re.compile(r"steps/(0|[1-9][0-9]*)\.json")
_OURS = re.compile(r"steps(?:/(?:0|[1-9][0-9]{0,15})\.json)?|objects(?:/sha256(?:/[0-9a-f]{2}(?:/[0-9a-f]{62})?)?)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


# Names


def record_name(step: int) -> str:
    """The file of a step's record (CS-2)."""
    return f"steps/{step}.json"


def object_name(name: str) -> str:
    """The file of an object (CS-5)."""
    digits = name.removeprefix("sha256:")
    return f"objects/sha256/{digits[:2]}/{digits[2:]}"


def numbers(files: Files) -> list[int]:
    """The steps that have a record (CS-2, CS-3)."""
    found = [int(match[1]) for match in map(_RECORD.fullmatch, files) if match]
    return sorted(step for step in found if step <= SAFE)


# Documents


def check_document(kind: str, data: bytes) -> None:
    """Check a document of this annex alone.

    Args:
        kind: `series`, `step` or `layout`.
        data: its bytes.

    Raises:
        Refusal: it breaks a clause.
        KeyError: there is no such kind.
    """
    readers: dict[str, Callable[[bytes], object]] = {"series": read_mark, "step": read_record, "layout": read_layout}
    readers[kind](data)


def read_mark(data: bytes) -> dict[str, Any]:
    """The document `series.json` (CS-1)."""
    _, tree = _document(data, MARK, "etui-series", "series-form")
    return tree


def read_record(data: bytes, step: int | None = None) -> dict[str, Any]:
    """The record of a step (CS-19 to CS-21).

    Args:
        data: its bytes.
        step: the number in the name of its file.
    """
    at = "record" if step is None else record_name(step)
    if len(data) > MOST_RECORD:
        raise Refusal("limit-document", at, f"{len(data)} bytes")
    fields = ("identity", "seal", "step", "time")
    form, tree = _document(data, at, "etui-step", "step-form", fields, optional=("layouts", "metrics"))
    check_digest(tree["identity"], pointer(at, "identity"))
    check_digest(tree["seal"], pointer(at, "seal"))
    if tree["seal"] != seal(tree):
        raise Refusal("series-seal", pointer(at, "seal"), "not the digest of the record without it")
    number = form.natural(tree["step"], pointer(at, "step"))
    if "layouts" in tree:
        for name, described in form.map(tree["layouts"], pointer(at, "layouts"), filled=True).items():
            if role_of(name) != "data":
                form.refuse(pointer(at, "layouts", name), "not the name of a data part")
            check_digest(described, pointer(at, "layouts", name))
    if "metrics" in tree:
        for name, value in form.value_map(tree["metrics"], pointer(at, "metrics"), filled=True).items():
            _check_metric(form, name, value, pointer(at, "metrics", name))
    _check_time(form, tree["time"], pointer(at, "time"))
    if step is not None and number != step:
        form.refuse(pointer(at, "step"), f"{number} in the record of step {step}")
    return tree


def _check_metric(form: Form, name: str, value: Any, at: str) -> None:
    """Refuse what is not a float of chapter 5 by a name."""
    if not name:
        form.refuse(at, "a metric without a name")
    if values.tag_of(value) != "$float" and type(value) is not float:
        form.refuse(at, "not a float")


def _check_time(form: Form, value: Any, at: str) -> None:
    """Refuse what is not a moment of the calendar, in UTC and to the millisecond."""
    text = form.text(value, at)
    if _TIME.fullmatch(text) is None:
        form.refuse(at, "not a time in UTC to the millisecond")
    try:
        datetime.fromisoformat(text)
    except ValueError as fault:
        form.refuse(at, str(fault))


def read_layout(data: bytes, at: str = "layout") -> tuple[list[str], list[Piece]]:
    """The objects and the pieces of a layout (CS-11 to CS-13, CS-18)."""
    if len(data) > MOST_LAYOUT:
        raise Refusal("limit-pieces", at, f"a layout of {len(data)} bytes")
    form, tree = _document(data, at, "etui-layout", "layout-form", ("objects", "pieces"))
    objects = form.list(tree["objects"], pointer(at, "objects"))
    for index, name in enumerate(objects):
        check_digest(name, pointer(at, "objects", index))
    if isinstance(tree["pieces"], list) and len(tree["pieces"]) > MOST_PIECES:
        raise Refusal("limit-pieces", at, f"{len(tree['pieces'])} pieces")
    pieces: list[Piece] = []
    for index, piece in enumerate(form.list(tree["pieces"], pointer(at, "pieces"))):
        place = pointer(at, "pieces", index)
        if len(form.list(piece, place)) != 3:
            form.refuse(place, "not the number of an object, an offset and a size")
        number, offset, size = (form.natural(one, place) for one in piece)
        if size == 0 or number >= len(objects):
            form.refuse(place, "a piece of nothing")
        pieces.append((number, offset, size))
    first = list(dict.fromkeys(number for number, _, _ in pieces))
    if first != list(range(len(objects))) or len(set(objects)) != len(objects):
        form.refuse(pointer(at, "objects"), "not each object once, in the order of the pieces")
    for (one, begin, size), (other, offset, _) in pairwise(pieces):
        if one == other and begin + size == offset:
            form.refuse(pointer(at, "pieces"), "two pieces that are one")
    return objects, pieces


def _document(
    data: bytes, at: str, name: str, code: str, fields: Sequence[str] = (), *, optional: Sequence[str] = ()
) -> tuple[Form, dict[str, Any]]:
    tree = json.decode(data, at)
    if tree.get("format") != name:
        raise Refusal(code, pointer(at, "format"), f"not {name}")
    form = Form(at, code, check_version(tree.get("version"), pointer(at, "version")))
    form.fields(tree, at, required=("format", "version", *fields), optional=optional)
    return form, tree


def seal(tree: Mapping[str, Any]) -> str:
    """The seal of a record (CS-21)."""
    return digest(json.encode({key: value for key, value in tree.items() if key != "seal"}))


# Reading


def load(path: str | os.PathLike[str]) -> dict[str, bytes]:
    """The files of a series in a folder.

    Raises:
        Refusal: ``series-link``, something else is in the place of a file or folder of a series (CS-4).
    """
    root = Path(path)
    found: dict[str, bytes] = {}
    for folder, below, names in os.walk(root):
        place = Path(folder)
        for name in [*below, *names]:
            child = place / name
            relative = child.relative_to(root).as_posix()
            if not _is_ours(relative):
                below[:] = [each for each in below if each != name]
                continue
            mode = child.lstat().st_mode
            is_file = relative == MARK or relative.endswith(".json") or relative.count("/") == 3
            if not (stat.S_ISREG(mode) if is_file else stat.S_ISDIR(mode)):
                raise Refusal("series-link", relative, stat.filemode(mode))
            if is_file:
                found[relative] = child.read_bytes()
    return found


def _is_ours(name: str) -> bool:
    """Whether a name below a series is that of a file or folder of it (CS-3)."""
    return name == MARK or _OURS.fullmatch(name) is not None


def parts(files: Files, step: int, *, full: bool = False) -> dict[str, bytes]:
    """The parts of the artifact that a step is.

    Args:
        files: of the series.
        step: its number.
        full: whether to check each object against its name (CS-32).

    Raises:
        Refusal: the series breaks a clause; what is within the parts is for `reading.read`.
        KeyError: there is no such step.
    """
    if MARK not in files:
        raise Refusal("series-form", MARK, "not there")
    read_mark(files[MARK])
    record = read_record(files[record_name(step)], step)
    data = _object(files, record["identity"])
    if digest(data) != record["identity"]:
        raise Refusal("digest-mismatch", MANIFEST, "not the manifest of the identity")
    listed = manifest.read(data)
    found = {MANIFEST: data}
    described = record.get("layouts", {})
    if set(described) != set(listed.of_role("data")):
        raise Refusal("series-layout", pointer(record_name(step), "layouts"), "not those of the data parts")
    for name, entry in listed.parts.items():
        if entry["role"] == "data":
            found[name] = _data_part(files, name, entry, described[name], full=full)
        else:
            found[name] = _object(files, entry["digest"], entry["size"])
    return found


def read(files: Files, step: int, *, full: bool = False) -> dict[str, Any]:
    """What a step means; see `parts` and `reading.read`."""
    return reading.read(parts(files, step, full=full), full=full)


def _object(files: Files, name: str, size: int | None = None) -> bytes:
    """The bytes of an object (CS-8)."""
    data = files.get(object_name(name))
    if data is None:
        raise Refusal("series-object", name, "not there")
    if size is not None and len(data) != size:
        raise Refusal("series-object", name, f"{len(data)} bytes, not {size}")
    return data


def _data_part(files: Files, name: str, entry: Mapping[str, Any], layout: str, *, full: bool) -> bytes:
    """The bytes of a data part (CS-14 to CS-17)."""
    header = _object(files, entry["header"]["digest"], entry["header"]["size"])
    data = _object(files, layout)
    if digest(data) != layout:
        raise Refusal("digest-mismatch", name, "not the layout of its digest")
    objects, pieces = read_layout(data, name)
    if sum(size for _, _, size in pieces) != entry["size"] - len(header):
        raise Refusal("series-layout", name, "pieces of another size than the data section")
    found = [header]
    for number, offset, size in pieces:
        content = _object(files, objects[number])
        if full and digest(content) != objects[number]:
            raise Refusal("digest-mismatch", name, "an object that does not have the digest of its name")
        if offset + size > len(content):
            raise Refusal("series-layout", name, f"a piece up to {offset + size} of {len(content)} bytes")
        found.append(content[offset : offset + size])
    whole = b"".join(found)
    if digest(header) == entry["header"]["digest"]:
        sizes = [len(_object(files, one)) for one in objects]
        for tensor, pieces_of_it in _pieces_of_tensors(whole, pieces, name):
            there = sum(sizes[number] for number in {number for number, _, _ in pieces_of_it})
            if len(pieces_of_it) > 1 and sum(size for _, _, size in pieces_of_it) > there:
                raise Refusal("series-layout", pointer(name, tensor), "larger than the objects that it is in")
    return whole


def _pieces_of_tensors(data: bytes, pieces: Sequence[Piece], at: str) -> Iterator[tuple[str, list[Piece]]]:
    """Each tensor of a data part with the pieces that it is in, cut to it."""
    header, entries = safetensors.read(data, at)
    ends = list(accumulate((size for _, _, size in pieces), initial=header))
    for name, entry in entries.items():
        found = []
        for (number, offset, size), begin in zip(pieces, ends, strict=False):
            first, last = max(entry.begin, begin), min(entry.end, begin + size)
            if first < last:
                found.append((number, offset + first - begin, last - first))
        yield name, found


def split_tensors(files: Files, step: int) -> list[str]:
    """The tensors of a step that are in several pieces, which no writer leaves so (CS-17)."""
    record = read_record(files[record_name(step)], step)
    artifact = parts(files, step)
    return [
        tensor
        for name, described in record.get("layouts", {}).items()
        for tensor, pieces in _pieces_of_tensors(artifact[name], read_layout(_object(files, described))[1], name)
        if len(pieces) > 1
    ]


# Writing


def mark() -> dict[str, bytes]:
    """A series without a step: its one file."""
    return {MARK: json.encode({"format": "etui-series", "version": "1.0"})}


def objects_of(*contents: bytes) -> dict[str, bytes]:
    """The files of objects."""
    return {object_name(digest(data)): data for data in contents}


def layout(objects: Sequence[str], pieces: Sequence[Sequence[int]]) -> bytes:
    """The bytes of a layout; what it says is not checked."""
    tree = {
        "format": "etui-layout",
        "objects": list(objects),
        "pieces": [list(one) for one in pieces],
        "version": "1.0",
    }
    return json.encode(tree)


def record(
    number: int,
    identity: str,
    layouts: Mapping[str, str],
    *,
    metrics: Mapping[str, Any] | None = None,
    time: str = "2026-01-31T12:00:00.000Z",
    more: Mapping[str, Any] | None = None,
) -> bytes:
    """The bytes of a record; what it says is not checked.

    Args:
        number: of the step.
        identity: of its artifact.
        layouts: data part -> digest of its layout.
        metrics: in their tagged form.
        time: when it was saved.
        more: further fields.
    """
    tree: dict[str, Any] = {"format": "etui-step", "version": "1.0", "step": number, "identity": identity}
    tree |= {
        "time": time,
        **({"layouts": dict(layouts)} if layouts else {}),
        **({"metrics": dict(metrics)} if metrics else {}),
    }
    tree |= more or {}
    return json.encode({**tree, "seal": seal(tree)})


def step(artifact: Files, number: int, **options: Any) -> dict[str, bytes]:
    """The files that an artifact is as a step: its record, and every object, large tensors apart from small ones.

    Args:
        artifact: name of a part -> bytes.
        number: of the step.
        options: as `record` takes them.
    """
    listed = manifest.read(artifact[MANIFEST])
    found = objects_of(artifact[MANIFEST])
    layouts = {}
    for name, entry in listed.parts.items():
        data = artifact[name]
        if entry["role"] != "data":
            found |= objects_of(data)
            continue
        size, entries = safetensors.read(data, name)
        runs = _runs([data[one.begin : one.end] for one in entries.values()])
        own = list(dict.fromkeys(digest(run) for run in runs))
        described = layout(own, [(own.index(digest(run)), 0, len(run)) for run in runs])
        found |= objects_of(data[:size], described, *runs)
        layouts[name] = digest(described)
    made = record(number, digest(artifact[MANIFEST]), layouts, **options)
    return {**mark(), record_name(number): made, **found}


def _runs(tensors: Sequence[bytes]) -> list[bytes]:
    """Large tensors, and small ones that are neighbours as one (CS-9)."""
    found: list[bytes] = []
    for is_small, group in groupby(filter(None, tensors), lambda data: len(data) < OWN_OBJECT):
        tensors_of_it = list(group)
        found += [b"".join(tensors_of_it)] if is_small else tensors_of_it
    return found
