"""Models that were made to harm, to mislead, or that were damaged: refused with a code, in little time and memory."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
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
    cuts = sum(len(range(0, len(data), 7)) for data in kit.files(folder).values())
    outcomes: dict[str, int] = {}
    for _ in kit.damaged(folder, seed=7, step=7, flips=FLIPS):
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
    assert sum(outcomes.values()) == cuts + FLIPS > FLIPS
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
