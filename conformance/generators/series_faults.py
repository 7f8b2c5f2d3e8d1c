"""Vectors of series that a reader must refuse, each one edit away from a valid one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from series_kit import (
    DATA,
    Change,
    Edit,
    Entry,
    Family,
    Files,
    changed,
    flipped,
    laid,
    put_layout,
    record,
    without,
)
from series_valid import cut, documents, small, whole
from vectors_contents import f32, weights
from vectors_kit import FULL
from vectors_parts import drop, put

from etui_conformance.oracle import json, safetensors, series, writing
from etui_conformance.oracle.manifest import digest

_STEP = 100
_ZEROS = "sha256:" + "0" * 64
_ASSET = "assets/words.txt"
_SHARD = "state-00001-of-00002.safetensors"


def add(family: Family) -> None:
    """Add the faults."""
    files = series.step(writing.write(whole()), _STEP, metrics={"loss": 0.5})
    base = family.valid("what faults are made of", "CS-1 CS-19", whole(), files, _STEP)
    _marks(family, base)
    _records(family, base)
    _objects(family, base)
    _links(family, base)
    _layouts(family)
    _documents(family)


def _marks(family: Family, base: Entry) -> None:
    def mark(edit: Edit) -> Change:
        def change(files: Files) -> None:
            tree = json.decode(files[series.MARK])
            edit(tree)
            files[series.MARK] = json.encode(tree)

        return change

    rows: list[tuple[str, str, str, Change]] = [
        ("no series.json", "CS-1", "series-form", without(series.MARK)),
        ("series.json of another format", "CS-1", "series-form", mark(put("etui", "format"))),
        ("series.json with an unknown field", "CS-1 Q-7", "series-form", mark(put(1, "comment"))),
        ("series.json without a version", "CS-1 Q-4", "version-form", mark(drop("version"))),
        ("series.json of the next major version", "CS-1 Q-5", "version-unsupported", mark(put("2.0", "version"))),
        (
            "series.json with a line break",
            "CS-1 J-7",
            "json-not-canonical",
            changed(series.MARK, lambda data: data + b"\n"),
        ),
        ("series.json that is empty", "CS-1 J-2", "json-syntax", changed(series.MARK, lambda _: b"")),
    ]
    for name, clauses, code, change in rows:
        family.fault(base, name, clauses, code, change, place=series.MARK)


def _record_edits() -> list[tuple[str, str, str, Edit]]:
    form = "step-form"
    return [
        ("a record of another format", "CS-19", form, put("etui-layout", "format")),
        ("a record with an unknown field", "CS-19 Q-7", form, put(1, "comment")),
        ("a record of the next major version", "Q-5", "version-unsupported", put("2.0", "version")),
        ("a record without a version", "Q-4", "version-form", drop("version")),
        *((f"a record without {name}", "CS-19", form, drop(name)) for name in ("identity", "step", "time")),
        ("a record with an identity that is too short", "H-1 CS-19", "digest-form", put("sha256:00", "identity")),
        ("an identity of an unknown algorithm", "H-3 CS-19", "digest-algorithm", put("md5:" + "0" * 32, "identity")),
        ("a number that is a text", "CS-19", form, put(str(_STEP), "step")),
        ("a negative number", "CS-19 CS-2", form, put(-1, "step")),
        ("layouts that are empty", "CS-19", form, put({}, "layouts")),
        ("layouts in a list", "CS-19", form, put([_ZEROS], "layouts")),
        ("a layout's digest that is too short", "H-1 CS-19", "digest-form", put("sha256:00", "layouts", DATA)),
        ("metrics that are empty", "CS-19", form, put({}, "metrics")),
        ("a metric that is an integer", "CS-19", form, put(1, "metrics", "loss")),
        ("a metric that is a text", "CS-19", form, put("0.5", "metrics", "loss")),
        ("a metric that is null", "CS-19", form, put(None, "metrics", "loss")),
        ("a metric whose name is a tag", "V-1 CS-19", "value-tag", put({"$loss": 0.5}, "metrics")),
        ("a metric without a name", "CS-19", form, put(0.5, "metrics", "")),
        ("a metric with a needless tag", "V-3 CS-19", "value-not-canonical", put({"$float": "0.5"}, "metrics", "loss")),
        ("a metric with an unknown tag", "V-1 CS-19", "value-tag", put({"$number": "1"}, "metrics", "loss")),
        *(
            (f"the time {time!r}", "CS-19", form, put(time, "time"))
            for time in (
                "2026-01-31T12:00:00Z",
                "2026-01-31T12:00:00.000",
                "2026-01-31T12:00:00.000+00:00",
                "2026-01-31 12:00:00.000Z",
                "2026-01-31T12:00:00.000000Z",
                "2026-02-29T12:00:00.000Z",
                "2026-01-31T24:00:00.001Z",
                "2026-13-01T12:00:00.000Z",
                "0000-01-01T12:00:00.000Z",
                "2026-01-31T12:00:60.000Z",
                "2026-01-31T12:00:00.000Z\n",
            )
        ),
        ("a time that is a number", "CS-19", form, put(1769860800, "time")),
    ]


def _records(family: Family, base: Entry) -> None:
    place = series.record_name(_STEP)
    for name, clauses, code, edit in _record_edits():
        family.fault(base, name, clauses, code, record(_STEP, edit), place=place)
    rows: list[tuple[str, str, str, Change]] = [
        ("the number of another step", "CS-20", "step-form", record(_STEP, put(_STEP + 1, "step"))),
        ("no layout of a data part", "CS-22", "series-layout", record(_STEP, drop("layouts", DATA))),
        (
            "a layout of what is no data part",
            "CS-19",
            "step-form",
            record(_STEP, lambda tree: tree["layouts"].update({_ASSET: tree["layouts"][DATA]})),
        ),
        (
            "a layout of a name that leads elsewhere",
            "CS-19",
            "step-form",
            record(_STEP, lambda tree: tree["layouts"].update({"../../weights.safetensors": tree["layouts"][DATA]})),
        ),
        (
            "a layout of a data part that is not there",
            "CS-22",
            "series-layout",
            record(_STEP, lambda tree: tree["layouts"].update({_SHARD: tree["layouts"][DATA]})),
        ),
        ("a record without its seal", "CS-19 CS-21", "step-form", record(_STEP, drop("seal"), sealed=False)),
        ("a changed metric", "CS-21", "series-seal", record(_STEP, put(0.75, "metrics", "loss"), sealed=False)),
        (
            "a changed time",
            "CS-21",
            "series-seal",
            record(_STEP, put("2026-01-31T12:00:01.000Z", "time"), sealed=False),
        ),
        ("another seal", "CS-21", "series-seal", record(_STEP, put(_ZEROS, "seal"), sealed=False)),
        ("a seal that is too short", "H-1 CS-21", "digest-form", record(_STEP, put("sha256:00", "seal"), sealed=False)),
        ("a record with a line break", "J-7 CS-19", "json-not-canonical", changed(place, lambda data: data + b"\n")),
        ("a record that is cut", "J-2 CS-19", "json-syntax", changed(place, lambda data: data[:-1])),
        ("a record that is empty", "J-2 CS-19", "json-syntax", changed(place, lambda _: b"")),
        (
            "a record with a key twice",
            "J-3 CS-19",
            "json-duplicate-key",
            changed(place, lambda data: data.replace(b'"step":', b'"step":1,"step":')),
        ),
    ]
    for name, clauses, code, change in rows:
        family.fault(base, name, clauses, code, change, place=place)


def _named(base: Entry) -> dict[str, str]:
    """What the objects of the base are -> the file of each."""
    parts = series.parts(base.files, _STEP)
    described = json.decode(base.files[series.record_name(_STEP)])["layouts"][DATA]
    objects, _ = series.read_layout(base.files[series.object_name(described)])
    header = parts[DATA][: safetensors.header_size(parts[DATA])]
    found = {
        "the manifest": digest(parts["manifest.json"]),
        "a document": digest(parts["weights.json"]),
        "an asset": digest(parts[_ASSET]),
        "a header": digest(header),
        "a layout": described,
        "tensors": objects[0],
    }
    return {name: series.object_name(each) for name, each in found.items()}


def _objects(family: Family, base: Entry) -> None:
    named = _named(base)
    for what, name in named.items():
        family.fault(base, f"no object of {what}", "CS-7 CS-8", "series-object", without(name), place=name)
    for what in ("a document", "an asset", "a header"):
        for how, edit in (("shorter", lambda data: data[:-1]), ("longer", lambda data: data + b"\n")):
            change = changed(named[what], edit)
            family.fault(base, f"an object of {what} that is {how}", "CS-8", "series-object", change, place=named[what])
    for what, clauses in (
        ("the manifest", "CS-5 H-8"),
        ("a document", "CS-5 H-5"),
        ("a header", "CS-5 H-5"),
        ("a layout", "CS-5 CS-14"),
        ("tensors", "CS-5 H-6"),
    ):
        change = changed(named[what], flipped)
        family.fault(base, f"a changed byte of {what}", clauses, "digest-mismatch", change, place=named[what])
    change = changed(named["an asset"], flipped)
    family.fault(
        base, "a changed byte of an asset", "CS-5 H-7", "digest-mismatch", change, ops=FULL, place=named["an asset"]
    )
    content = small(1, 2, 3, 4)
    parts = writing.write(content)
    data = parts[DATA][safetensors.header_size(parts[DATA]) :]
    padded = cut(parts, _STEP, DATA, [data + b"more"], [(0, 0, len(data))])
    other = family.valid("an object that is longer than the pieces in it", "CS-5 CS-16", content, padded, _STEP)
    name = series.object_name(digest(data + b"more"))
    family.fault(
        other,
        "a changed byte that is in no piece",
        "CS-32",
        "digest-mismatch",
        changed(name, flipped),
        ops=FULL,
        place=name,
    )


def _links(family: Family, base: Entry) -> None:
    named = _named(base)

    def moved(name: str) -> list[dict[str, str]]:
        up = "../" * (name.count("/") + 1)
        return [{"do": "move", "at": name, "to": "../outside"}, {"do": "link", "at": name, "to": f"{up}outside"}]

    places = {
        "series.json": series.MARK,
        "a record": series.record_name(_STEP),
        "an object of tensors": named["tensors"],
        "an object of the manifest": named["the manifest"],
        "the folder of records": "steps",
        "the folder of objects": "objects",
        "a folder of objects": named["tensors"].rpartition("/")[0],
    }
    for what, name in places.items():
        setup = moved(name)
        family.fault(base, f"a link in the place of {what}", "CS-4", "series-link", setup=setup, place=name)
    for what in ("a record", "an object of tensors"):
        name = places[what]
        for kind in ("folder", "pipe"):
            family.fault(
                base,
                f"a {kind} in the place of {what}",
                "CS-4",
                "series-link",
                without(name),
                setup=[{"do": kind, "at": name}],
                place=name,
            )


def _layout_edits() -> list[tuple[str, str, str, Edit]]:
    form, fits = "layout-form", "series-layout"
    return [
        ("a layout of another format", "CS-11", form, put("etui-step", "format")),
        ("a layout with an unknown field", "CS-11 Q-7", form, put(1, "comment")),
        ("a layout of the next major version", "Q-5", "version-unsupported", put("2.0", "version")),
        ("a layout without a version", "Q-4", "version-form", drop("version")),
        ("a layout without objects", "CS-11", form, drop("objects")),
        ("a layout without pieces", "CS-11", form, drop("pieces")),
        ("pieces that are a map", "CS-11", form, put({}, "pieces")),
        ("a piece that is a number", "CS-11", form, put(0, "pieces", 0)),
        ("a piece of two numbers", "CS-11", form, put([0, 0], "pieces", 0)),
        ("a piece of four numbers", "CS-11", form, put([0, 0, 16, 0], "pieces", 0)),
        ("a piece of a flag", "CS-11", form, put([False, 0, 16], "pieces", 0)),
        ("a piece of nothing", "CS-11", form, lambda tree: tree["pieces"].insert(0, [0, 5, 0])),
        ("a piece before its object", "CS-11", form, put([0, -1, 16], "pieces", 0)),
        ("a piece of a negative size", "CS-11", form, put([0, 0, -16], "pieces", 0)),
        ("a piece of an object that is not listed", "CS-12", form, put([2, 0, 8], "pieces", 1)),
        ("an object's digest that is too short", "H-1 CS-11", "digest-form", put("sha256:00", "objects", 0)),
        ("an object of an unknown algorithm", "H-3 CS-11", "digest-algorithm", put("md5:" + "0" * 32, "objects", 0)),
        ("an object that no piece uses", "CS-12", form, lambda tree: tree["objects"].append(_ZEROS)),
        (
            "objects in another order than the pieces use them",
            "CS-12",
            form,
            lambda tree: tree.update(
                objects=tree["objects"][::-1], pieces=[[1 - one, *rest] for one, *rest in tree["pieces"]]
            ),
        ),
        (
            "an object that is listed twice",
            "CS-12",
            form,
            lambda tree: (tree["objects"].append(tree["objects"][0]), put([2, 16, 8], "pieces", 2)(tree)),
        ),
        (
            "a piece that is cut in two",
            "CS-13",
            form,
            lambda tree: tree.update(pieces=[[0, 0, 8], [0, 8, 8], *tree["pieces"][1:]]),
        ),
        ("pieces that leave a gap", "CS-15", fits, put([0, 0, 15], "pieces", 0)),
        ("pieces of more than the data section", "CS-15", fits, put([1, 0, 9], "pieces", 1)),
        ("pieces without the last one", "CS-15", fits, lambda tree: tree["pieces"].pop()),
        ("a piece twice", "CS-15", fits, lambda tree: tree["pieces"].append(tree["pieces"][-1])),
        ("a piece that begins behind its object", "CS-16", fits, put([0, 24, 16], "pieces", 0)),
        ("a piece that ends behind its object", "CS-16", fits, put([0, 9, 16], "pieces", 0)),
        ("a piece at the end of the world", "CS-16", fits, put([0, 2**53 - 17, 16], "pieces", 0)),
        ("an object that is not there", "CS-8", "series-object", put(_ZEROS, "objects", 1)),
        ("pieces in another order", "H-6", "digest-mismatch", put([0, 8, 16], "pieces", 0)),
    ]


def _layouts(family: Family) -> None:
    content = weights({"a": f32([4], 1, 2, 3, 4), "b": f32([2], 5, 6), "c": f32([2], 7, 8)})
    parts = writing.write(content)
    data = parts[DATA][safetensors.header_size(parts[DATA]) :]
    a, b, c = data[:16], data[16:24], data[24:]
    files = cut(parts, _STEP, DATA, [a + c, b], [(0, 0, 16), (1, 0, 8), (0, 16, 8)])
    base = family.valid("what faults of layouts are made of", "CS-11 CS-15", content, files, _STEP)
    for name, clauses, code, edit in _layout_edits():
        family.fault(base, name, clauses, code, laid(_STEP, edit), place="(layout)")
    raw: list[tuple[str, str, str, Callable[[bytes], bytes]]] = [
        ("a layout with a line break", "J-7 CS-11", "json-not-canonical", lambda text: text + b"\n"),
        ("a layout that is cut", "J-2 CS-11", "json-syntax", lambda text: text[:-1]),
        ("a layout that is empty", "J-2 CS-11", "json-syntax", lambda _: b""),
        (
            "a layout nested too deep",
            "J-8 CS-11",
            "json-depth",
            lambda _: b'{"pieces":' + b"[" * 500 + b"]" * 500 + b"}",
        ),
    ]
    described = series.object_name(json.decode(files[series.record_name(_STEP)])["layouts"][DATA])
    for name, clauses, code, change in raw:
        other = partial(put_layout, step=_STEP, data=change(files[described]))
        family.fault(base, name, clauses, code, other, place="(layout)")
    _ranges(family)


def _ranges(family: Family) -> None:
    """A tensor that is larger than what is stored of it (CS-33)."""
    content = weights({"a": f32([16], *[0] * 16)})
    parts = writing.write(content)
    objects = [b"\0" * 32, b"\0" * 33]
    files = cut(parts, _STEP, DATA, objects, [(0, 0, 32), (1, 0, 32)])
    base = family.valid("a tensor in two pieces of zeros", "CS-33", content, files, _STEP)
    again = [[0, 0, 32], [0, 0, 32]]

    def repeat(tree: dict[str, object]) -> None:
        tree |= {"objects": tree["objects"][:1], "pieces": again}  # type: ignore[index]

    family.fault(
        base,
        "a tensor in pieces that repeat an object",
        "CS-33",
        "series-layout",
        laid(_STEP, repeat),
        place="(layout)",
    )


def _documents(family: Family) -> None:
    valid = documents(family)
    common: dict[str, list[tuple[str, str, str, Edit]]] = {
        "series": [
            ("series.json of another format", "CS-1", "series-form", put("etui", "format")),
            ("series.json with an unknown field", "CS-1 Q-7", "series-form", put(1, "comment")),
            ("series.json of the next major version", "Q-5", "version-unsupported", put("2.0", "version")),
        ],
        "step": [row for row in _record_edits() if "layout" not in row[0]][:12],
        "layout": _layout_edits()[:13],
    }
    for kind, rows in common.items():
        (data,) = valid[kind].stored.values()
        for name, clauses, code, edit in rows:
            tree = json.decode(data)
            edit(tree)
            if kind == "step":
                tree["seal"] = series.seal(tree)
            family.document(f"{name}, alone", clauses, kind, json.encode(tree), (valid[kind], code))
    (data,) = valid["step"].stored.values()
    broken = data.replace(b'"loss":0.5', b'"loss":0.6')
    family.document("a record with a broken seal, alone", "CS-21", "step", broken, (valid["step"], "series-seal"))
