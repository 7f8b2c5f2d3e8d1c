"""Fingerprints of documents whose data lies in other files: what is read for them, and when."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field

import numpy as np
import pytest

from etui.containers.config import Config, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Blob, Model, Native

DOCUMENT = "optimizer.msgpack"


@dataclass
class Slots:
    """Two slots of an optimizer, of which the readings are counted."""

    fixed: bool = True
    arrays: list[Array] = field(default_factory=lambda: [np.arange(6.0), np.ones(3)])
    read: int = 0

    def tensor(self, at: int) -> Tensor:
        """A slot that is read when it is asked for."""

        def load() -> Array:
            self.read += 1
            return self.arrays[at]

        return Tensor.lazy("float64", self.arrays[at].shape, load, fixed=self.fixed)


def model_of(*tensors: Tensor) -> Model:
    """A model with an optimizer that has a slot for each tensor."""
    weights = Weights()
    slots = {}
    for at, tensor in enumerate(tensors):
        weights.add(f"v{at}", Tensor.of(np.zeros(tensor.shape)), role="kernel")
        slots[f"v{at}"] = {"momentum": tensor}
    optimizer = Optimizer("keras:SGD", groups=[Group(list(slots))], slots=slots)
    return Model(weights=weights, optimizer=OptimizerState({"optimizer": optimizer}))


def bound(model: Model) -> Native:
    """A native document that was translated to the model's optimizer."""
    return model.bind(Blob.of(b"{}"), "keras", "3", DOCUMENT)


def slots_of(model: Model) -> dict[str, dict[str, Tensor]]:
    """The slots of the model's optimizer."""
    assert model.optimizer is not None
    return model.optimizer.optimizers["optimizer"].slots


@pytest.mark.clause("N-3@2ee5a9")
def test_data_of_a_file_is_not_read_to_see_that_it_is_the_same() -> None:
    """A binding to slots that lie in a file, and the question whether it holds, read none of them."""
    made = Slots()
    model = model_of(made.tensor(0), made.tensor(1))
    native = bound(model)
    assert model.is_fresh(native)
    assert made.read == 0


@pytest.mark.clause("N-2@ec26e1")
def test_the_text_of_a_binding_is_the_digest_of_the_content() -> None:
    """A binding as text is the fingerprint that the same values in memory have, and is made once."""
    made = Slots()
    model = model_of(made.tensor(0), made.tensor(1))
    native = bound(model)
    plain = model_of(*map(Tensor.of, made.arrays))
    assert native.bindings[DOCUMENT] == plain.fingerprint(DOCUMENT) == model.fingerprint(DOCUMENT)
    before = made.read
    assert dict(native.bindings) == {DOCUMENT: plain.fingerprint(DOCUMENT)}
    assert made.read == before
    assert len(native.bindings) == 1


@pytest.mark.clause("N-3@2ee5a9")
@pytest.mark.parametrize("fixed", [True, False])
def test_a_binding_holds_for_equal_data_alone(fixed: bool) -> None:
    """Another slot with the same elements leaves a document current, one with others or in another place does not."""
    made = Slots(fixed)
    model = model_of(made.tensor(0), made.tensor(1))
    native = bound(model)
    slots = slots_of(model)
    slots["v1"]["momentum"] = Tensor.of(np.ones(3))
    assert model.is_fresh(native)
    slots["v1"]["momentum"] = made.tensor(1)
    assert model.is_fresh(native)
    slots["v1"]["momentum"] = Tensor.of(np.zeros(3))
    assert not model.is_fresh(native)
    slots["v1"], slots["v0"] = slots["v0"], {"momentum": made.tensor(1)}
    assert not model.is_fresh(native)
    model.optimizer = None
    assert not model.is_fresh(native)


@pytest.mark.clause("N-3@2ee5a9")
def test_data_that_may_change_is_hashed_when_it_is_bound() -> None:
    """The values of a framework's variables count as they were when the document was bound."""
    made = Slots(fixed=False)
    model = model_of(made.tensor(0), made.tensor(1))
    native = bound(model)
    assert made.read == 2
    made.arrays[1] = np.zeros(3)
    assert not model.is_fresh(native)
    made.arrays[1] = np.ones(3)
    assert model.is_fresh(native)


@pytest.mark.library
def test_a_binding_keeps_no_document() -> None:
    """A native document whose neutral one is all in memory costs a digest and no copy of the document."""
    model = Model(config=Config(Module("m", op="keras:M", attrs={"text": "x" * 2**20})))
    tracemalloc.start()
    try:
        native = model.bind(Blob.of(b"{}"), "keras", "3", "config.json")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2**16
    assert model.is_fresh(native)
    assert dict(native.bindings) == {"config.json": model.fingerprint("config.json")}
