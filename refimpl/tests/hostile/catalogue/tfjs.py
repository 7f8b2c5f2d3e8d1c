"""Hostile models of TensorFlow.js."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catalogue.case import Case, Make, case
from etui.testing.tfjs_models import Kit

Json = Any
CHAPTER = "TF.js"
ONE = np.array([1], "float32")
_CLAUSES = ("KJ-1", "KJ-2", "KJ-3", "KJ-4", "KJ-5", "KJ-6", "KJ-8", "KJ-13")


def with_entry(kit: Kit, **fields: Json) -> Path:
    """The sound model with another entry for its first weight."""
    (first, raw), *rest = kit.dense_weights()
    folder: Path = kit.write(kit.dense_topology(), [(first | fields, raw), *rest])
    return folder


def nested(depth: int) -> bytes:
    return b'{"modelTopology": {"model_config": ' + b"[" * depth + b"]" * depth + b'}, "format": "layers-model"}'


def raw_document(kit: Kit, data: bytes) -> Path:
    folder: Path = kit.dense()
    (folder / "model.json").write_bytes(data)
    return folder


def linked(kit: Kit, name: str) -> Path:
    """The sound model, one file of which is a symbolic link to a file elsewhere."""
    folder: Path = kit.dense()
    elsewhere = kit.folder / f"elsewhere{kit.count}"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    return folder


def piped(kit: Kit) -> Path:
    folder: Path = kit.dense()
    (folder / "group1-shard1of1.bin").unlink()
    os.mkfifo(folder / "group1-shard1of1.bin")
    return folder


def without(kit: Kit) -> Path:
    folder: Path = kit.dense()
    (folder / "group1-shard1of1.bin").unlink()
    return folder


def resized(kit: Kit, change: int) -> Path:
    folder: Path = kit.dense()
    path = folder / "group1-shard1of1.bin"
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + bytes(change))
    return folder


def strings(kit: Kit, raw: bytes, count: int = 2) -> Path:
    folder: Path = kit.write(
        {"node": []}, [({"name": "s", "shape": [count], "dtype": "string"}, raw)], kind="graph-model"
    )
    return folder


def graph_elsewhere(kit: Kit) -> Path:
    """Weights alone, beside which the graph is a link to a file of the system."""
    path: Path = kit.alone()
    (path.parent / "tensorflowjs_model.pb").symlink_to("/etc/hostname")
    return path


def repeated(kit: Kit) -> Path:
    """A small file that is named a hundred thousand times, so that a small model claims many bytes."""
    folder: Path = kit.dense()
    tree = kit.document(folder)
    tree["weightsManifest"][0]["paths"] *= 100_000
    tree["weightsManifest"][0]["weights"][0]["shape"] = [4, 300_000]
    (folder / "model.json").write_text(json.dumps(tree))
    return folder


def layer(kit: Kit, kind: str, config: dict[str, Json]) -> Path:
    topology = kit.dense_topology()
    topology["model_config"]["config"]["layers"][1] = {"class_name": kind, "config": config}
    folder: Path = kit.write(topology, kit.dense_weights())
    return folder


KINDS: dict[str, tuple[str, Callable[[Kit], Path]]] = {
    "a path upward": ("tfjs-path", lambda kit: kit.dense(paths=["../secret.bin"])),
    "a path upward inside": ("tfjs-path", lambda kit: kit.dense(paths=["a/../../secret.bin"])),
    "an absolute path": ("tfjs-path", lambda kit: kit.dense(paths=["/etc/hostname"])),
    "a drive": ("tfjs-path", lambda kit: kit.dense(paths=["C:secret.bin"])),
    "backslashes": ("tfjs-path", lambda kit: kit.dense(paths=["..\\secret.bin"])),
    "a URL": ("tfjs-path", lambda kit: kit.dense(paths=["https://example.org/w.bin"])),
    "a URL of a file": ("tfjs-path", lambda kit: kit.dense(paths=["file:///etc/hostname"])),
    "a URL without a scheme": ("tfjs-path", lambda kit: kit.dense(paths=["//example.org/w.bin"])),
    "a query": ("tfjs-path", lambda kit: kit.dense(paths=["w.bin?token=1"])),
    "an empty path": ("tfjs-path", lambda kit: kit.dense(weightsManifest=[{"paths": [""], "weights": []}])),
    "a path that is none": ("tfjs-path", lambda kit: kit.dense(weightsManifest=[{"paths": [3], "weights": []}])),
    "a zero byte": ("tfjs-path", lambda kit: kit.dense(weightsManifest=[{"paths": ["a\0b"], "weights": []}])),
    "a path of 5,000 letters": (
        "tfjs-path",
        lambda kit: kit.dense(weightsManifest=[{"paths": ["a" * 5000], "weights": []}]),
    ),
    "a link in place of a group": ("part-not-a-file", lambda kit: linked(kit, "group1-shard1of1.bin")),
    "a link in place of the document": ("part-not-a-file", lambda kit: linked(kit, "model.json")),
    "a pipe": ("part-not-a-file", piped),
    "a file that is not there": ("tfjs-data", without),
    "a short group": ("tfjs-data", lambda kit: resized(kit, -1)),
    "a long group": ("tfjs-data", lambda kit: resized(kit, 1)),
    "a file twice": ("tfjs-form", repeated),
    "a shape of 4 TiB": ("tfjs-data", lambda kit: with_entry(kit, shape=[2**20, 2**20])),
    "a shape beyond all": ("limit-tensor", lambda kit: with_entry(kit, shape=[2**40, 2**40])),
    "a shape beyond all that is empty": ("limit-tensor", lambda kit: with_entry(kit, shape=[0, 2**40, 2**40])),
    "another shape": ("tfjs-data", lambda kit: with_entry(kit, shape=[4, 4])),
    "a NaN scale": (
        "tfjs-quantization",
        lambda kit: with_entry(kit, quantization={"dtype": "uint8", "min": 0, "scale": float("nan")}),
    ),
    "an unknown dtype": ("tfjs-dtype", lambda kit: with_entry(kit, dtype="object")),
    "a wrong name": ("tfjs-weights", lambda kit: with_entry(kit, name="third/kernel")),
    "a name twice": ("tfjs-form", lambda kit: with_entry(kit, name="first/bias")),
    "no weights": ("tfjs-weights", lambda kit: kit.dense(weightsManifest=None)),
    "a manifest that is none": ("tfjs-form", lambda kit: kit.dense(weightsManifest={"paths": []})),
    "a group that is none": ("tfjs-form", lambda kit: kit.dense(weightsManifest=[None])),
    "strings of 4 GiB": ("tfjs-data", lambda kit: strings(kit, b"\xff\xff\xff\xff" * 2)),
    "2^40 strings": ("tfjs-data", lambda kit: strings(kit, b"\0" * 64, 2**40)),
    "a string too many": ("tfjs-data", lambda kit: strings(kit, b"\0" * 12)),
    "a bool of 2": (
        "bool-value",
        lambda kit: kit.write(
            {"node": []}, [({"name": "b", "shape": [1], "dtype": "bool"}, b"\2")], kind="graph-model"
        ),
    ),
    "names that are equal": (
        "path-collision",
        lambda kit: kit.write(
            {"node": []},
            [kit.weight(name, ONE) for name in ("\u00e9", "e\u0301")],
            kind="graph-model",
        ),
    ),
    "nesting of 100,000": ("keras-json", lambda kit: raw_document(kit, nested(100_000))),
    "nesting of 500": ("keras-json", lambda kit: raw_document(kit, nested(500))),
    "a key twice": ("keras-json", lambda kit: raw_document(kit, b'{"modelTopology": {}, "modelTopology": {}}')),
    "a number of a million digits": (
        "keras-json",
        lambda kit: raw_document(kit, b'{"modelTopology": {"class_name": ' + b"1" * 10**6 + b"}}"),
    ),
    "a lone surrogate": ("keras-json", lambda kit: raw_document(kit, b'{"modelTopology": {"node": "\\ud800"}}')),
    "no UTF-8": ("keras-json", lambda kit: raw_document(kit, b'{"modelTopology": "\xff"}')),
    "another format": ("tfjs-form", lambda kit: kit.dense(kind="image-model")),
    "no topology": ("tfjs-form", lambda kit: kit.dense(modelTopology=None)),
    "a topology that is none": ("tfjs-form", lambda kit: kit.dense(modelTopology="model.pb")),
    "a model that is none": ("tfjs-form", lambda kit: kit.dense(modelTopology={"model_config": 3})),
    "a config that is none": (
        "keras-config",
        lambda kit: kit.dense(modelTopology={"model_config": {"class_name": "Sequential", "config": 3}}),
    ),
    "a training config that is none": (
        "tfjs-form",
        lambda kit: kit.dense(modelTopology=kit.dense_topology() | {"training_config": 3}),
    ),
}

ALONE: dict[str, tuple[str, Callable[[Kit], Path]]] = {
    "weights alone: a path upward": ("tfjs-path", lambda kit: kit.alone(paths=["../secret.bin"])),
    "weights alone: a URL": ("tfjs-path", lambda kit: kit.alone(paths=["https://example.org/w.bin"])),
    "weights alone: a file too few": ("tfjs-data", lambda kit: kit.alone(paths=["shard1"])),
    "weights alone: a file 100,000 times": ("tfjs-form", lambda kit: kit.alone(paths=["shard1"] * 100_000)),
    "weights alone: a shape of 4 TiB": (
        "tfjs-data",
        lambda kit: kit.alone([({"name": "w", "shape": [2**20, 2**20], "dtype": "float32"}, b"")]),
    ),
    "weights alone: names that are equal": (
        "path-collision",
        lambda kit: kit.alone([kit.weight(name, ONE) for name in ("\u00e9", "e\u0301")]),
    ),
    "weights alone: a graph that is a link": ("part-not-a-file", graph_elsewhere),
}

# The kinds that a line of the facts tells of.
_LINES: dict[str, str] = {
    "a path upward": "`paths` with `..`",
    "a path upward inside": "`paths` with `..`",
    "a URL": "`paths` with URLs",
    "a URL of a file": "`paths` with URLs",
    "a URL without a scheme": "`paths` with URLs",
    "a NaN scale": "quantization with NaN scale",
    "a short group": "group bytes shorter than the manifest says",
}


# A document that is no JSON, or no model's, does not tell its format.
_UNTOLD = {
    "a link in place of the document",
    "nesting of 100,000",
    "nesting of 500",
    "a key twice",
    "a number of a million digits",
    "a lone surrogate",
    "no UTF-8",
    "another format",
}


def in_folder(make: Callable[[Kit], Path]) -> Make:
    """A model below a folder of its own, so that what lies beside the model is elsewhere."""

    def made(folder: Path) -> Path:
        return make(Kit(folder))

    return made


def _reader(name: str) -> str | None:
    return "tfjs-layers" if name in _UNTOLD else None


CASES: list[Case] = [
    *(
        case(CHAPTER, _LINES.get(name, ""), in_folder(make), code, *_CLAUSES, name=name, reader=_reader(name))
        for name, (code, make) in KINDS.items()
    ),
    *(
        case(CHAPTER, "", in_folder(make), code, "KJ-2", "KJ-3", "KJ-4", "KJ-5", name=name)
        for name, (code, make) in ALONE.items()
    ),
    case(CHAPTER, "", in_folder(lambda kit: kit.dense()), "", *_CLAUSES, name="good: a layers model"),
    case(CHAPTER, "", in_folder(lambda kit: kit.alone()), "", "KJ-5", name="good: weights alone"),
]
