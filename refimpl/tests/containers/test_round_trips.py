"""Each container through its document and back, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

import etui
from etui.canonical import json, msgpack
from etui.containers.config import Config, Module
from etui.containers.optimizer import OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.model import Model
from etui.storage.part_names import MANIFEST
from etui.testing import containers
from etui.testing.equality import same
from etui.testing.hostile import parts_of


def optimized() -> Weights:
    """The variables that the strategy for optimizers names."""
    weights = Weights()
    for path in ("dense/kernel", "dense/bias"):
        weights.add(path, Tensor.of(np.zeros(2, np.float32)), role="kernel")
    return weights


def survives(model: Model) -> bool:
    """Whether a model is the same after a round trip, and the second artifact has the bytes of the first."""
    parts = parts_of(model)
    with etui.open(parts) as opened:
        return same(opened, model) and parts_of(opened) == parts


@pytest.mark.clause("D-1", "D-5", "W-1", "W-2", "W-3", "W-14", "R-1")
@given(containers.weights())
def test_weights_come_back_bit_for_bit(weights: Weights) -> None:
    """Paths, order, roles, flags, aliases and every bit of the tensors survive, and writing twice gives the same."""
    assert survives(Model(weights=weights))


@pytest.mark.clause("D-5", "C-1", "C-2", "C-3", "C-5", "C-10", "C-11", "C-12", "C-13", "C-14", "C-16")
@given(containers.configs())
def test_a_config_comes_back_as_it_was(config: Config) -> None:
    """Modules of every kind and unknown op, their order, graphs, sharing, values and residue survive."""
    assert survives(Model(config=config))


@pytest.mark.clause("D-5", "T-1", "T-2", "T-3")
@given(containers.trainings())
def test_training_comes_back_as_it_was(training: Training) -> None:
    """Losses, metrics, weightings, precision, options and residue survive."""
    model = Model(config=Config(Module("model", op="keras:Sequential")), training=training)
    assert survives(model)


@pytest.mark.clause(
    "D-5", "O-1", "O-2", "O-4", "O-5", "O-6", "O-7", "O-8", "O-9", "O-12", "O-13", "O-14", "O-15", "O-16"
)
@given(containers.optimizer_states())
def test_the_state_of_optimizers_comes_back_bit_for_bit(optimizer: OptimizerState) -> None:
    """Steps, rates with every bit, groups, slots, fresh variables, wrapped optimizers and residue survive."""
    assert survives(Model(weights=optimized(), optimizer=optimizer))


@pytest.mark.clause("D-5", "R-1", "R-2", "R-3", "R-4")
@given(containers.states())
def test_other_state_comes_back_bit_for_bit(state: State) -> None:
    """Counters, generators, metrics, positions, the caller's values and residue survive."""
    assert survives(Model(weights=Weights(), state=state))


@pytest.mark.clause("D-5", "M-7")
def test_the_same_content_gives_the_same_bytes_however_it_was_made() -> None:
    """Maps filled in another order, arrays in another memory layout and lazy tensors give the same artifact."""
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    first, second = Weights(), Weights()
    first.add("b", Tensor.of(kernel), role="kernel")
    first.add("a", Tensor.of(np.array([True])), role="bias")
    first.aliases |= {"y": "a", "x": "b"}
    second.add("b", Tensor.lazy("float32", (2, 3), lambda: np.asfortranarray(kernel)), role="kernel")
    second.add("a", Tensor.of([True]), role="bias")
    second.aliases |= {"x": "b", "y": "a"}
    models = [
        Model(Config(Module("m", op="keras:M", attrs=attrs)), weights, metadata=attrs)
        for attrs, weights in (({"a": 1, "b": 2}, first), ({"b": 2, "a": 1}, second))
    ]
    assert parts_of(models[0]) == parts_of(models[1])


@pytest.mark.clause("M-1", "J-7", "B-1")
def test_documents_are_canonical() -> None:
    """What a writer makes of each document decodes as canonical, and encodes to the same bytes again."""
    weights = optimized()
    model = Model(Config(Module("m", op="keras:M")), weights, Training(loss="mse"), state=State({"epoch": 1}))
    documents = {name: data for name, data in parts_of(model).items() if name.endswith((".json", ".msgpack"))}
    assert sorted(documents) == ["config.json", MANIFEST, "state.msgpack", "training.json", "weights.json"]
    for name, data in documents.items():
        codec = msgpack if name.endswith(".msgpack") else json
        assert codec.encode(codec.decode(data, where=name)) == data
