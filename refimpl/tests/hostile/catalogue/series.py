"""Hostile series of checkpoints: records, layouts, objects, and what stands in their places."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import etui
from catalogue.case import Case, Make, case
from etui import digest
from etui.canonical import json
from etui.checkpoints import Series
from etui.containers import manifest
from etui.storage.objects import object_names, record_name
from etui.testing.samples import everything

CHAPTER = "Series"
STEP = 7
DATA = "weights.safetensors"
ZEROS = "sha256:" + "0" * 64

Tree = Any
Edit = Callable[[Tree], object]


def _tree(data: bytes) -> Tree:
    return json.decode(data, where="a document of the series")


class Kit:
    """A sound series of one step, and its files."""

    def __init__(self, folder: Path, model: etui.Model | None = None) -> None:
        self.root = folder / "run"
        series = Series(self.root)
        self.step = series.save(everything() if model is None else model, STEP, metrics={"loss": 0.5})
        self.record = self.root / "steps" / record_name(STEP)

    def object(self, name: str) -> Path:
        """The file of an object."""
        return self.root.joinpath(*object_names(name))

    def put(self, data: bytes) -> str:
        """Another object."""
        name = digest.of(data)
        self.object(name).parent.mkdir(parents=True, exist_ok=True)
        self.object(name).write_bytes(data)
        return name

    def change(self, path: Path, data: bytes) -> None:
        """Other bytes in a file that is there."""
        path.unlink()
        path.write_bytes(data)

    def reseal(self, edit: Edit, *, sealed: bool = True) -> None:
        """Another record, with a seal that is right."""
        tree = _tree(self.record.read_bytes())
        edit(tree)
        if sealed:
            bare = {name: value for name, value in tree.items() if name != "seal"}
            tree["seal"] = digest.of(json.encode(bare))
        self.change(self.record, json.encode(tree))

    def layout(self, data: bytes, part: str = DATA) -> None:
        """Another layout of a data part."""
        name = self.put(data)
        self.reseal(lambda tree: tree["layouts"].update({part: name}))

    def relay(self, edit: Edit) -> None:
        """An edit of the layout of the weights."""
        tree = _tree(self.object(self.step.layouts[DATA]).read_bytes())
        edit(tree)
        self.layout(json.encode(tree))

    def entry(self, name: str) -> Any:
        """The entry of a part in the manifest."""
        return manifest.decode(self.object(self.step.identity).read_bytes()).parts[name]


def series(change: Callable[[Kit], object], model: Callable[[], etui.Model] | None = None) -> Make:
    """A series with a change."""

    def make(folder: Path) -> Path:
        kit = Kit(folder, None if model is None else model())
        change(kit)
        return kit.root

    return make


def record(edit: Edit, *, sealed: bool = True) -> Make:
    """A series with an edit of its record."""
    return series(lambda kit: kit.reseal(edit, sealed=sealed))


def relaid(edit: Edit) -> Make:
    """A series with an edit of the layout of its weights."""
    return series(lambda kit: kit.relay(edit))


def pieces(count: int) -> bytes:
    """A layout of many pieces of one object, no two of which are one."""
    body = b",".join(b"[0,%d,1]" % (2 * index) for index in range(count))
    name = ZEROS.encode()
    return b'{"format":"etui-layout","objects":["' + name + b'"],"pieces":[' + body + b'],"version":"1.0"}'


def declared(count: int) -> Make:
    """A layout whose few pieces say that they are many bytes, in a part of which the manifest says so too."""

    def change(kit: Kit) -> None:
        tree = _tree(kit.object(kit.step.identity).read_bytes())
        entry = tree["parts"][DATA]
        data = np.zeros(1 << 16, np.uint8).tobytes()
        name = kit.put(data)
        entry["size"] = entry["header"]["size"] + count * len(data)
        identity = kit.put(json.encode(tree))
        layout = {
            "format": "etui-layout",
            "objects": [name],
            "pieces": [[0, 0, len(data)] for _ in range(count)],
            "version": "1.0",
        }
        kit.layout(json.encode(layout))
        kit.reseal(lambda found: found.update(identity=identity))

    return series(change)


def repeated() -> etui.Model:
    """A model of one tensor of zeros of 64 MiB."""
    weights = etui.Weights()
    weights.add("zeros", etui.Tensor.of(np.zeros(1 << 24, np.float32)), role="kernel")
    return etui.Model(weights=weights)


def repeat(kit: Kit) -> None:
    """The tensor is 1,024 pieces of one object of 64 KiB."""
    name = kit.put(bytes(1 << 16))
    layout = {
        "format": "etui-layout",
        "objects": [name],
        "pieces": [[0, 0, 1 << 16] for _ in range(1 << 10)],
        "version": "1.0",
    }
    kit.layout(json.encode(layout))


def linked(place: Callable[[Kit], Path]) -> Make:
    """What was at a place is outside of the series, and a link leads there."""

    def change(kit: Kit) -> None:
        path = place(kit)
        outside = kit.root.parent / "outside"
        path.rename(outside)
        path.symlink_to(outside)

    return series(change)


def device(place: Callable[[Kit], Path], make: Callable[[Path], object]) -> Make:
    """Something else than a file is at a place."""

    def change(kit: Kit) -> None:
        path = place(kit)
        path.unlink()
        make(path)

    return series(change)


def sized(what: Callable[[Kit], str], edit: Callable[[bytes], bytes]) -> Make:
    """An object with other bytes."""

    def change(kit: Kit) -> None:
        path = kit.object(what(kit))
        kit.change(path, edit(path.read_bytes()))

    return series(change)


def gone(what: Callable[[Kit], str]) -> Make:
    """An object that is not there."""
    return series(lambda kit: kit.object(what(kit)).unlink())


def identity(kit: Kit) -> str:
    """The object of the manifest."""
    return kit.step.identity


def layout(kit: Kit) -> str:
    """The object of a layout."""
    return kit.step.layouts[DATA]


def document(kit: Kit) -> str:
    """The object of a document."""
    return str(kit.entry("weights.json").digest)


def header(kit: Kit) -> str:
    """The object of a header."""
    return str(kit.entry(DATA).header_digest)


def tensors(kit: Kit) -> str:
    """The first object of tensors."""
    return str(_tree(kit.object(layout(kit)).read_bytes())["objects"][0])


def many_records(kit: Kit) -> None:
    """Two thousand records of one step."""
    for number in range(2000):
        tree = _tree(kit.record.read_bytes())
        tree["step"] = number + 1000
        bare = {name: value for name, value in tree.items() if name != "seal"}
        (kit.record.parent / f"{number + 1000}.json").write_bytes(
            json.encode(bare | {"seal": digest.of(json.encode(bare))})
        )
    kit.change(kit.record, b"{}")


def sparse(kit: Kit) -> None:
    """A record that is a file of 8 GiB without bytes."""
    os.truncate(kit.record, 8 << 30)


def large_layout(kit: Kit) -> None:
    """A layout that is a file of 600 MiB without bytes."""
    name = "sha256:" + "1" * 64
    kit.object(name).parent.mkdir(parents=True)
    kit.object(name).touch()
    os.truncate(kit.object(name), 600 << 20)
    kit.reseal(lambda tree: tree["layouts"].update({DATA: name}))


def renamed(name: str) -> Callable[[Kit], object]:
    """The record has another name."""
    return lambda kit: kit.record.rename(kit.record.with_name(name))


def grown(path: str, size: int) -> Make:
    """A file of the series that says it is very long."""
    return series(lambda kit: os.truncate(kit.root / path, size))


def beside(kit: Kit) -> None:
    """Names that lead elsewhere, or that are none, beside the record."""
    data = kit.record.read_bytes()
    for name in (
        "07.json",
        "+7.json",
        "7.JSON",
        "٧.json",
        "9007199254740992.json",
        "..7.json",
        "7.json.json",
        "-1.json",
    ):
        (kit.record.parent / name).write_bytes(data)
    (kit.root / "steps/7").mkdir()
    (kit.root / "objects/md5").symlink_to("/etc")
    (kit.root / "objects/sha256/zz").symlink_to("/etc")
    (kit.root / "notes").symlink_to("/etc/passwd")


def first(tree: Tree, piece: list[Any]) -> None:
    """Another first piece."""
    tree["pieces"][0] = piece


_RECORDS = [
    (
        "a seal of something else",
        record(lambda tree: tree["metrics"].update(loss=0.25), sealed=False),
        "series-seal",
        "CS-21",
    ),
    ("a seal that is no digest", record(lambda tree: tree.update(seal="x"), sealed=False), "digest-form", ""),
    ("another number in the record", record(lambda tree: tree.update(step=STEP + 1)), "step-form", "CS-20"),
    ("a number beyond 2^53", record(lambda tree: tree.update(step={"$int": str(2**60)})), "step-form", "CS-19"),
    ("a record under the name of another step", series(renamed("8.json")), "step-form", "CS-20"),
    ("an unknown field in the record", record(lambda tree: tree.update(path="/etc/passwd")), "step-form", "CS-19"),
    (
        "a metric of 10,000 digits",
        series(lambda kit: kit.change(kit.record, kit.record.read_bytes().replace(b"0.5", b"9" * 10_000))),
        "json-number",
        "",
    ),
    ("a time that is none", record(lambda tree: tree.update(time="2026-99-99T99:99:99.999Z")), "step-form", "CS-19"),
    (
        "a record nested 100,000 levels",
        series(lambda kit: kit.change(kit.record, b'{"a":' * 100_000)),
        "json-depth",
        "",
    ),
    (
        "a record with a key twice",
        series(lambda kit: kit.change(kit.record, b'{"a":1,"a":1}')),
        "json-duplicate-key",
        "",
    ),
    ("a record of 8 GiB of nothing", series(sparse), "limit-document", "CS-34"),
    ("a damaged record among 2,000", series(many_records), "step-form version-form", "CS-29"),
    (
        "a layout of a path outside",
        record(lambda tree: tree["layouts"].update({"../../../etc/passwd": ZEROS})),
        "step-form",
        "CS-19",
    ),
    ("a part without its layout", record(lambda tree: tree["layouts"].pop(DATA)), "series-layout", "CS-22"),
    (
        "an identity that leads elsewhere",
        record(lambda tree: tree.update(identity="sha256:../../../../etc/passwd")),
        "digest-form",
        "",
    ),
    (
        "an identity that is a layout",
        series(lambda kit: kit.reseal(lambda tree: tree.update(identity=kit.step.layouts[DATA]))),
        "manifest-form",
        "",
    ),
]
_LAYOUTS = [
    ("a layout of another format", relaid(lambda tree: tree.update(format="etui")), "layout-form", "CS-11"),
    (
        "a piece behind the end of its object",
        relaid(lambda tree: tree["pieces"][0].__setitem__(1, 2**52)),
        "series-layout",
        "CS-16",
    ),
    ("pieces that leave a gap", relaid(lambda tree: tree["pieces"][0].__setitem__(2, 1)), "series-layout", "CS-15"),
    (
        "pieces that overlap the next tensor",
        relaid(lambda tree: tree["pieces"].append([0, 0, 64])),
        "series-layout",
        "CS-15",
    ),
    ("a piece of a negative size", relaid(lambda tree: first(tree, [0, 0, -1])), "layout-form", "CS-11"),
    ("a piece of 2^60 bytes", relaid(lambda tree: first(tree, [0, 0, {"$int": str(2**60)}])), "layout-form", "CS-11"),
    ("a piece before its object", relaid(lambda tree: first(tree, [0, -8, 64])), "layout-form", "CS-11"),
    (
        "a piece of an object that is not listed",
        relaid(lambda tree: tree["pieces"].append([2**40, 0, 8])),
        "layout-form",
        "CS-12",
    ),
    ("an object that no piece uses", relaid(lambda tree: tree["objects"].append(ZEROS)), "layout-form", "CS-12"),
    (
        "two pieces that are one",
        relaid(lambda tree: tree.update(pieces=[[0, 0, 1], [0, 1, tree["pieces"][0][2] - 1], *tree["pieces"][1:]])),
        "layout-form",
        "CS-13",
    ),
    (
        "an object's name that leads elsewhere",
        relaid(lambda tree: tree["objects"].__setitem__(0, "sha256:/etc/passwd")),
        "digest-form",
        "",
    ),
    ("1,000,001 pieces", series(lambda kit: kit.layout(pieces(1_000_001))), "limit-pieces", "CS-18"),
    ("a layout of 600 MiB of nothing", series(large_layout), "limit-pieces", "CS-18"),
    (
        "a layout nested 100,000 levels",
        series(lambda kit: kit.layout(b'{"pieces":' + b"[" * 100_000)),
        "json-depth",
        "",
    ),
    ("a layout of 64 TiB in 2^20 pieces of 64 KiB", declared(1 << 20), "limit-pieces layout-form", ""),
    ("a part of 6 GiB in 99,999 pieces of 64 KiB", declared(99_999), "safetensors-layout series-layout", ""),
    ("a tensor of 1,024 pieces of one object", series(repeat, repeated), "series-layout", "CS-33"),
]
_OBJECTS = [
    ("no object of the manifest", gone(identity), "series-object", "CS-8"),
    ("no object of a document", gone(document), "series-object", "CS-8"),
    ("no object of a header", gone(header), "series-object", "CS-8"),
    ("no object of a layout", gone(layout), "series-object", "CS-8"),
    ("no object of tensors", gone(tensors), "series-object", "CS-8"),
    ("a document that is longer", sized(document, lambda data: data + b" "), "series-object", "CS-8"),
    ("a header that is shorter", sized(header, lambda data: data[:-1]), "series-object", "CS-8"),
    ("tensors that are cut", sized(tensors, lambda data: data[:-1]), "series-layout", "CS-16"),
    ("a manifest that is changed", sized(identity, lambda data: data.replace(b"etui", b"itue")), "digest-mismatch", ""),
    (
        "a layout that is changed",
        sized(layout, lambda data: data.replace(b"[0,0,", b"[0,1,")),
        "digest-mismatch",
        "CS-14",
    ),
    (
        "tensors that are changed",
        sized(tensors, lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "digest-mismatch",
        "CS-32",
    ),
    ("a document that is changed", sized(document, lambda data: data.replace(b"etui", b"itue")), "digest-mismatch", ""),
    (
        "a manifest of 8 GiB of nothing",
        series(lambda kit: os.truncate(kit.object(kit.step.identity), 8 << 30)),
        "limit-document",
        "",
    ),
]
_PLACES = [
    ("no mark", series(lambda kit: (kit.root / "series.json").unlink()), "series-form", "CS-1"),
    (
        "a mark of another format",
        series(lambda kit: (kit.root / "series.json").write_bytes(b'{"format":"x","version":"1.0"}')),
        "series-form",
        "CS-1",
    ),
    ("a mark of 8 GiB", grown("series.json", 8 << 30), "series-form", "CS-1"),
    ("a link in the place of the mark", linked(lambda kit: kit.root / "series.json"), "series-link", "CS-4"),
    ("a link in the place of a record", linked(lambda kit: kit.record), "series-link", "CS-4"),
    ("a link in the place of the records", linked(lambda kit: kit.record.parent), "series-link", "CS-4"),
    ("a link in the place of the objects", linked(lambda kit: kit.root / "objects"), "series-link", "CS-4"),
    (
        "a link in the place of a folder of objects",
        linked(lambda kit: kit.object(tensors(kit)).parent),
        "series-link",
        "CS-4",
    ),
    ("a link in the place of the manifest", linked(lambda kit: kit.object(identity(kit))), "series-link", "CS-4"),
    ("a link in the place of tensors", linked(lambda kit: kit.object(tensors(kit))), "series-link", "CS-4"),
    (
        "a folder in the place of tensors",
        device(lambda kit: kit.object(tensors(kit)), Path.mkdir),
        "series-link",
        "CS-4",
    ),
    ("a pipe in the place of tensors", device(lambda kit: kit.object(tensors(kit)), os.mkfifo), "series-link", "CS-4"),
    ("a pipe in the place of a record", device(lambda kit: kit.record, os.mkfifo), "series-link", "CS-4"),
    ("a pipe in the place of the mark", device(lambda kit: kit.root / "series.json", os.mkfifo), "series-link", "CS-4"),
    (
        "a device in the place of a record",
        device(lambda kit: kit.record, lambda path: path.symlink_to("/dev/zero")),
        "series-link",
        "CS-4",
    ),
]
_GOOD = [
    ("good: a step of everything", series(lambda _: None)),
    ("good: files of other names", series(beside)),
]
_ROWS = [*_RECORDS, *_LAYOUTS, *_OBJECTS, *_PLACES]

CASES: list[Case] = [
    *(case(CHAPTER, "", make, codes, *clauses.split(), name=name, series=True) for name, make, codes, clauses in _ROWS),
    *(case(CHAPTER, "", make, "", name=name, series=True) for name, make in _GOOD),
]
