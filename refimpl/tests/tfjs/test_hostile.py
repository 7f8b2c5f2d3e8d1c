"""Models that were made to harm, to mislead, or that were damaged: refused with a code, in little time and memory."""

from __future__ import annotations

import copy
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui import bridges
from etui.errors import EtuiError

Json = Any
HERE = Path(__file__).parent
SECONDS, SPARE = 2.0, 256 * 2**20
FLIPS = 400
ONE = np.array([1], "float32")


def with_entry(kit: Any, **fields: Json) -> Path:
    """The sound model with another entry for its first weight."""
    (first, raw), *rest = kit.dense_weights()
    folder: Path = kit.write(kit.dense_topology(), [(first | fields, raw), *rest])
    return folder


def nested(depth: int) -> bytes:
    return b'{"modelTopology": {"model_config": ' + b"[" * depth + b"]" * depth + b'}, "format": "layers-model"}'


def raw_document(kit: Any, data: bytes) -> Path:
    folder: Path = kit.dense()
    (folder / "model.json").write_bytes(data)
    return folder


def linked(kit: Any, name: str) -> Path:
    """The sound model, one file of which is a symbolic link to a file elsewhere."""
    folder: Path = kit.dense()
    elsewhere = kit.folder / f"elsewhere{kit.count}"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    return folder


def piped(kit: Any) -> Path:
    folder: Path = kit.dense()
    (folder / "group1-shard1of1.bin").unlink()
    os.mkfifo(folder / "group1-shard1of1.bin")
    return folder


def without(kit: Any) -> Path:
    folder: Path = kit.dense()
    (folder / "group1-shard1of1.bin").unlink()
    return folder


def resized(kit: Any, change: int) -> Path:
    folder: Path = kit.dense()
    path = folder / "group1-shard1of1.bin"
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + bytes(change))
    return folder


def strings(kit: Any, raw: bytes, count: int = 2) -> Path:
    folder: Path = kit.write(
        {"node": []}, [({"name": "s", "shape": [count], "dtype": "string"}, raw)], kind="graph-model"
    )
    return folder


def repeated(kit: Any) -> Path:
    """A small file that is named a hundred thousand times, so that a small model claims many bytes."""
    folder: Path = kit.dense()
    tree = kit.document(folder)
    tree["weightsManifest"][0]["paths"] *= 100_000
    tree["weightsManifest"][0]["weights"][0]["shape"] = [4, 300_000]
    (folder / "model.json").write_text(json.dumps(tree))
    return folder


def layer(kit: Any, kind: str, config: dict[str, Json]) -> Path:
    topology = kit.dense_topology()
    topology["model_config"]["config"]["layers"][1] = {"class_name": kind, "config": config}
    folder: Path = kit.write(topology, kit.dense_weights())
    return folder


KINDS: dict[str, tuple[str, Callable[[Any], Path]]] = {
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


@pytest.mark.clause(
    "KJ-2@315c41",
    "KJ-3@1a00de",
    "KJ-4@ba210b",
    "KJ-5@e4b6ef",
    "KJ-6@069b68",
    "KJ-8@cf2434",
    "KJ-13@c5d974",
    "KJ-1@209919",
)
def test_hostile_models_are_refused_in_time_and_memory(kit: Any) -> None:
    """Each kind of a hostile model is refused with its code within 2 s of CPU time and 256 MB above the base."""
    made = {kind: make(kit) for kind, (_, make) in KINDS.items()}
    command = [sys.executable, str(HERE / "bounded_reader.py"), str(SPARE), str(kit.dense()), *map(str, made.values())]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert not done.returncode, done.stderr[-2000:]
    results = dict(zip(made, json.loads(done.stdout), strict=True))
    assert {kind: code for kind, (code, _) in results.items()} == {kind: code for kind, (code, _) in KINDS.items()}
    assert max(seconds for _, seconds in results.values()) < SECONDS


@pytest.mark.clause("KJ-12@9ed6f5")
def test_nothing_that_a_config_names_is_run_or_opened(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code, modules and file names in a topology stay data."""
    marshalled = "4wEAAAAAAAAAAAAAAAEAAAADAAAA8wYAAACXAHwAUwCpAKkBcgEAAA=="
    config = {"name": "second", "trainable": True, "dtype": "float32", "function": [marshalled, None, None]}
    config |= {"function_type": "lambda", "vocabulary": "/etc/passwd", "module": "os", "arguments": {}}
    topology = kit.dense_topology()
    topology["model_config"]["config"]["layers"][1] = {"class_name": "Lambda", "config": config}
    folder = kit.write(topology, kit.dense_weights()[:2])
    opened: list[Any] = []
    monkeypatch.setattr("builtins.open", lambda *args, **_: opened.append(args))
    model = kit.read(folder)
    assert not opened
    assert model.config is not None
    attrs = model.config.find("second").attrs
    assert (attrs["function"], attrs["vocabulary"]) == ([marshalled, None, None], "/etc/passwd")


@pytest.mark.clause("KJ-5@e4b6ef")
def test_every_truncation_and_many_flips_are_refused_or_read_soundly(kit: Any) -> None:
    """A damaged document or group gives a coded error or a model, and never another exception."""
    folder = kit.dense()
    sound = kit.files(folder)
    draw = random.Random(7)
    cases = [(name, data[:length]) for name, data in sound.items() for length in range(0, len(data), 7)]
    for _ in range(FLIPS):
        name = draw.choice(sorted(sound))
        data = bytearray(sound[name])
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        cases.append((name, bytes(data)))
    outcomes: dict[str, int] = {}
    for name, data in cases:
        (folder / name).write_bytes(data)
        try:
            for kind in ("layers", "graph"):
                bridges.by_name(f"tfjs-{kind}").translator.recognises(folder)
            model = kit.read(folder)
            for variable in model.weights.variables.values():
                variable.numpy()
            outcome = "read"
        except EtuiError as refusal:
            outcome = refusal.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        (folder / name).write_bytes(sound[name])
    assert sum(outcomes.values()) == len(cases) > FLIPS
    assert outcomes["read"] > 10
    assert len(outcomes) > 4


def places_in(tree: Json, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value of a tree."""
    yield way
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, item in items:
        yield from places_in(item, (*way, key))


ODD: list[Json] = [
    None, True, -1, 10**20, 1.5, "", "first", "../x", "a/b", [], [[1]], [None], {}, {"a": [1]}, ["first", 0, 0],
    {"class_name": "X", "config": {}}, {"class_name": "L2", "config": 3}, {"class_name": "Sequential", "config": []},
    {"class_name": "__tuple__", "items": [1]}, {"class_name": "Dense", "config": {"name": "q", "dtype": "float32"}},
]  # fmt: skip


@pytest.mark.clause("KJ-2@315c41", "KJ-12@9ed6f5")
def test_odd_values_anywhere_in_a_topology_are_refused_or_kept(kit: Any) -> None:
    """A document with any value in the place of another gives a coded error or a model that can be written."""
    calls = [[["start", 0, 0, {}]], [["first", 0, 0, {}]]]
    start = {"name": "start", "batch_input_shape": [None, 4], "dtype": "float32", "sparse": False}
    nodes = [{"class_name": "InputLayer", "name": "start", "config": start, "inbound_nodes": []}]
    for node, call in zip(kit.dense_topology()["model_config"]["config"]["layers"], calls, strict=True):
        nodes.append(node | {"name": node["config"]["name"], "inbound_nodes": [call]})
    config = {"name": "net", "layers": nodes, "input_layers": [["start", 0, 0]], "output_layers": [["second", 0, 0]]}
    adam = {"class_name": "Adam", "config": {"learningRate": 0.5, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-7}}
    training = {"loss": "mean_squared_error", "metrics": ["accuracy"], "optimizer_config": adam}
    topology = {"keras_version": "tfjs-layers 4.22.0", "model_config": {"class_name": "Model", "config": config}}
    folder = kit.write(topology, kit.dense_weights(), trainingConfig=training)
    sound = kit.document(folder)
    ways = [(key, *way) for key in ("modelTopology", "trainingConfig") for way in places_in(sound[key]) if way]
    draw = random.Random(11)
    outcomes: dict[str, int] = {}
    for way in ways:
        tree = copy.deepcopy(sound)
        node = tree
        for step in way[:-1]:
            node = node[step]
        node[way[-1]] = draw.choice(ODD)
        (folder / "model.json").write_text(json.dumps(tree))
        try:
            model = kit.read(folder, native=draw.random() < 0.5)
            kit.back(model, strict=False)
            outcome = "written"
        except EtuiError as refusal:
            outcome = refusal.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert sum(outcomes.values()) == len(ways) > 60
    assert outcomes["written"] > 10
    assert outcomes["keras-config"] > 10


@pytest.mark.library
def test_a_file_that_changes_while_the_model_is_open_is_noticed(kit: Any) -> None:
    """Weights are never taken from another file than the one that was there at the beginning."""
    folder = kit.dense()
    model = kit.read(folder)
    path = folder / "group1-shard1of1.bin"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(EtuiError) as caught:
        model.weights["first/kernel"].numpy()
    assert caught.value.code == "storage-failed"
