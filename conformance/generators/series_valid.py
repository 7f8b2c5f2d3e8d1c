"""Vectors of series that a reader must take, and of the documents in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from series_kit import DATA, Content, Entry, Family, Files, changed, laid, record
from vectors_contents import config, f32, joined, layer, numbers, optimizer, part, state, stored, training, weights

from etui_conformance.oracle import json, safetensors, series, writing
from etui_conformance.oracle.manifest import digest

LAST = 2**53 - 1


def add(family: Family) -> None:
    """Add the valid ones."""
    _steps(family)
    _layouts(family)
    _versions(family)


def whole() -> Content:
    """A training with tensors of every document, an asset, and metadata."""
    model = layer("model", attrs={"units": 3}, params={"bias": "b", "kernel": "k"})
    sgd: dict[str, Any] = {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 1, "step": 1}
    sgd |= {"groups": [{"variables": ["b", "k"]}], "slots": {"k": {"m": stored("optimizer/slots/k/m")}}}
    return joined(
        config(model),
        weights({"k": f32([2, 3], *range(6)), "b": f32([3], 7, 8, 9), "n": numbers("int64", [], 5)}),
        training(loss="mse"),
        optimizer({"optimizer/slots/k/m": f32([2, 3], *range(10, 16))}, {"optimizer": sgd}),
        state({"user/s": f32([1], 3)}, user={"s": stored("user/s")}),
        parts={"assets/words.txt": part("asset", b"[UNK]\nthe\n", "text/plain")},
        metadata={"note": 1},
    )


def small(*values: float) -> Content:
    """Weights of two tensors."""
    return weights({"a": f32([4], *values), "b": f32([2], 0.5, 0.25)})


def of(content: Content, step: int, **options: Any) -> Files:
    """The series of one step."""
    return series.step(writing.write(content, options.pop("shard_size", None)), step, **options)


def cut(parts: Files, step: int, name: str, objects: Sequence[bytes], pieces: Sequence[Sequence[int]]) -> Files:
    """The series of one step, one data part of which is made of these objects and pieces, and of its header."""
    files = series.step(parts, step)
    old = json.decode(files[series.record_name(step)])["layouts"][name]
    objects_before, _ = series.read_layout(files.pop(series.object_name(old)))
    for each in objects_before:
        del files[series.object_name(each)]
    described = series.layout([digest(data) for data in objects], pieces)
    files |= series.objects_of(described, *objects)
    record(step, lambda tree: tree["layouts"].update({name: digest(described)}))(files)
    if series.parts(files, step, full=True) != parts:
        raise ValueError("the pieces are not the artifact")
    return files


def _steps(family: Family) -> None:
    metrics = {"val_loss": 0.25, "accuracy": {"$float": "1"}}
    laws = "CS-1 CS-2 CS-5 CS-7 CS-11 CS-15 CS-19 CS-20 CS-21 CS-22 CS-23"
    family.valid("a step of a training", laws, whole(), of(whole(), 100, metrics=metrics), 100)
    before, after = of(small(1, 2, 3, 4), 3), of(small(1, 2, 3, 5), 12)
    family.valid("the second of two steps", "CS-2 CS-5", small(1, 2, 3, 5), before | after, 12)
    family.valid("the first of two steps", "CS-2 CS-5", small(1, 2, 3, 4), before | after, 3)
    same = of(small(1, 2, 3, 4), 3) | of(small(1, 2, 3, 4), 4)
    family.valid("two steps of one identity", "CS-5 CS-23", small(1, 2, 3, 4), same, 4)
    family.valid("step 0", "CS-2 CS-20", small(0, 0, 0, 0), of(small(0, 0, 0, 0), 0), 0)
    family.valid("the last step that there can be", "CS-2 CS-20", small(1, 1, 1, 1), of(small(1, 1, 1, 1), LAST), LAST)
    strange = {
        "nan": {"$float": "nan"},
        "less": {"$float": "-inf"},
        "more": {"$float": "inf"},
        "zero": {"$float": "-0"},
        "größe/µ ": 1e-300,
        "$loss": 0.5,
    }
    escaped = {f"$${name[1:]}" if name.startswith("$") else name: value for name, value in strange.items()}
    family.valid("metrics of every kind", "CS-19", small(2, 2, 2, 2), of(small(2, 2, 2, 2), 1, metrics=escaped), 1)
    beside = of(small(1, 2, 3, 4), 5)
    object_name = max(name for name in beside if name.startswith("objects/"))
    beside |= {
        "lock": b"",
        "notes.txt": b"mine",
        "steps/.5.json.etui-0123abcd.tmp": b"half",
        "steps/05.json": b"no record",
        "steps/9007199254740992.json": b"no record",
        "steps/notes/5.json": b"no record",
        "objects/sha256/notes.txt": b"mine",
        f"objects/md5/{object_name.rpartition('/')[2]}": b"mine",
        f"{object_name.rpartition('/')[0]}/.etui-0123abcd.tmp": b"half",
    }
    family.valid("files of other names", "CS-3", small(1, 2, 3, 4), beside, 5)
    bare = config(layer("model"))
    family.valid("an artifact without data parts", "CS-7 CS-22", bare, of(bare, 8), 8)
    for time in ("0001-01-01T00:00:00.000Z", "2028-02-29T23:59:59.999Z"):
        content = small(3, 3, 3, 3)
        family.valid(f"a step of {time}", "CS-19", content, of(content, 1, time=time), 1)


def _layouts(family: Family) -> None:
    content = weights({"a": f32([4], 1, 2, 3, 4), "b": f32([2], 5, 6), "c": f32([2], 1, 2)})
    parts = writing.write(content)
    size = safetensors.header_size(parts[DATA])
    data = parts[DATA][size:]
    a, b, c = data[:16], data[16:24], data[24:]
    family.valid(
        "an object for each tensor",
        "CS-11 CS-15",
        content,
        cut(parts, 1, DATA, [a, b, c], [(0, 0, 16), (1, 0, 8), (2, 0, 8)]),
        1,
    )
    around = b"before" + a + b"between" + b + c + b"behind"
    gaps = [(0, 6, 16), (0, 29, 16)]
    family.valid(
        "pieces of an object that has other bytes", "CS-13 CS-16", content, cut(parts, 2, DATA, [around], gaps), 2
    )
    backwards = [(0, 16, 16), (0, 0, 16)]
    family.valid("pieces that go backwards", "CS-12 CS-13", content, cut(parts, 3, DATA, [b + c + a], backwards), 3)
    twice = [(0, 0, 24), (0, 0, 8)]
    family.valid("pieces that share bytes", "CS-15 CS-16", content, cut(parts, 4, DATA, [a + b], twice), 4)
    halves = [(0, 0, 8), (1, 0, 8), (0, 8, 16)]
    family.valid(
        "a tensor in two pieces", "CS-17 CS-33", content, cut(parts, 5, DATA, [a[:8] + b + c, a[8:]], halves), 5
    )
    zeros = weights({"a": f32([16], *[0] * 16)})
    again = [(0, 0, 32), (1, 0, 32)]
    null = writing.write(zeros)
    family.valid(
        "a tensor in pieces that are as large as their objects",
        "CS-33",
        zeros,
        cut(null, 6, DATA, [b"\0" * 32, b"\0" * 33], again),
        6,
    )
    family.valid(
        "a tensor in pieces that repeat an object beside a larger one",
        "CS-33",
        zeros,
        cut(null, 6, DATA, [b"\0" * 20, b"\0" * 99], [(0, 0, 20), (0, 0, 20), (1, 0, 24)]),
        6,
    )
    sharded = writing.write(content, 16)
    family.valid("shards", "CS-7 CS-22", content, series.step(sharded, 7), 7, keeps=False)
    empty = weights({"a": f32([0, 3]), "b": f32([1], 5), "c": f32([0])})
    family.valid("tensors without elements", "CS-11 CS-15", empty, of(empty, 8), 8)
    bare = weights({"a": f32([0, 3])})
    family.valid("a data part without bytes", "CS-11 CS-15", bare, of(bare, 9), 9)


def _versions(family: Family) -> None:
    content = small(4, 3, 2, 1)
    files = of(content, 9)
    more = {"x-note": {"any": [1, None]}}
    record(9, lambda tree: tree.update(more))(files)
    laid(9, lambda tree: tree.update(more))(files)
    changed(series.MARK, lambda data: json.encode(json.decode(data) | more))(files)
    family.valid("fields that begin with x-", "CS-1 CS-11 CS-19", content, files, 9)
    files = of(content, 9)
    later = {"more": 1, "version": "1.7"}
    record(9, lambda tree: tree.update(later))(files)
    laid(9, lambda tree: tree.update(later))(files)
    changed(series.MARK, lambda data: json.encode(json.decode(data) | later))(files)
    family.valid("documents of a later minor version", "CS-1 CS-11 CS-19", content, files, 9)


def documents(family: Family) -> dict[str, Entry]:
    """Add the valid documents, and give them by their kinds."""
    files = of(small(1, 2, 3, 4), 100, metrics={"loss": 0.5})
    layouts = json.decode(files[series.record_name(100)])["layouts"]
    return {
        "series": family.document("series.json", "CS-1", "series", files[series.MARK]),
        "step": family.document("a record", "CS-19 CS-21", "step", files[series.record_name(100)]),
        "layout": family.document("a layout", "CS-11", "layout", files[series.object_name(layouts[DATA])]),
    }
