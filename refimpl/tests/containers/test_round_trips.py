"""Each container through its document and back, bit for bit."""

from __future__ import annotations

from typing import NamedTuple

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


@pytest.mark.clause("D-1@2c2de7", "D-5@94980c", "W-1@81776a", "W-2@bf5002", "W-3@4ab185", "W-14@118588", "R-1@3d2da9")
@given(containers.weights())
def test_weights_come_back_bit_for_bit(weights: Weights) -> None:
    """Paths, order, roles, flags, aliases and every bit of the tensors survive, and writing twice gives the same."""
    assert survives(Model(weights=weights))


@pytest.mark.clause(
    "D-5@94980c",
    "C-1@dd6453",
    "C-2@1c195b",
    "C-3@59fafa",
    "C-5@649a6c",
    "C-10@b7635b",
    "C-11@695e1b",
    "C-12@ba0ef6",
    "C-13@fc15f0",
    "C-14@f295e4",
    "C-16@f3c92d",
)
@given(containers.configs())
def test_a_config_comes_back_as_it_was(config: Config) -> None:
    """Modules of every kind and unknown op, their order, graphs, sharing, values and residue survive."""
    assert survives(Model(config=config))


@pytest.mark.clause("D-5@94980c", "T-1@bb58c9", "T-2@1147ab", "T-3@fa1d97")
@given(containers.trainings())
def test_training_comes_back_as_it_was(training: Training) -> None:
    """Losses, metrics, weightings, precision, options and residue survive."""
    model = Model(config=Config(Module("model", op="keras:Sequential")), training=training)
    assert survives(model)


@pytest.mark.clause(
    "D-5@94980c",
    "O-1@219480",
    "O-2@941acb",
    "O-4@fba7c5",
    "O-5@06fdad",
    "O-6@3df4ac",
    "O-7@a041bd",
    "O-8@1d677f",
    "O-9@4b191f",
    "O-12@e1282c",
    "O-13@c49fe4",
    "O-14@164285",
    "O-15@8fa8b4",
    "O-16@b9348c",
)
@given(containers.optimizer_states())
def test_the_state_of_optimizers_comes_back_bit_for_bit(optimizer: OptimizerState) -> None:
    """Steps, rates with every bit, groups, slots, fresh variables, wrapped optimizers and residue survive."""
    assert survives(Model(weights=optimized(), optimizer=optimizer))


@pytest.mark.clause("D-5@94980c", "R-1@3d2da9", "R-2@d02840", "R-3@f088eb", "R-4@6e14c2")
@given(containers.states())
def test_other_state_comes_back_bit_for_bit(state: State) -> None:
    """Counters, generators, metrics, positions, the caller's values and residue survive."""
    assert survives(Model(weights=Weights(), state=state))


@pytest.mark.clause("D-5@94980c", "M-7@f9c1ab")
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


@pytest.mark.clause("M-1@517769", "J-7@920d0a", "B-1@ddbf33")
def test_documents_are_canonical() -> None:
    """What a writer makes of each document decodes as canonical, and encodes to the same bytes again."""
    weights = optimized()
    model = Model(Config(Module("m", op="keras:M")), weights, Training(loss="mse"), state=State({"epoch": 1}))
    documents = {name: data for name, data in parts_of(model).items() if name.endswith((".json", ".msgpack"))}
    assert sorted(documents) == ["config.json", MANIFEST, "state.msgpack", "training.json", "weights.json"]
    for name, data in documents.items():
        codec = msgpack if name.endswith(".msgpack") else json
        assert codec.encode(codec.decode(data, where=name)) == data


class Step(NamedTuple):
    """What a user may keep."""

    number: int
    loss: Tensor


@pytest.mark.library
def test_a_named_tuple_is_kept_as_a_tuple() -> None:
    """A tuple with names in the user's state, which has no form of its own in a document, comes back as a tuple."""
    model = Model(weights=optimized(), state=State(user={"step": Step(3, Tensor.of(np.ones(2, np.float32)))}))
    with etui.open(parts_of(model)) as opened:
        assert opened.state is not None
        step = opened.state.user["step"]
        assert (type(step), step[0], step[1].numpy().tolist()) == (tuple, 3, [1.0, 1.0])
