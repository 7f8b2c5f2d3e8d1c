"""A source in Keras' layout may know more than a file: which variables were trained, which layers are there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.content import Content, Renamed
from etui.bridges.keras.model_read import read_model
from etui.report import Report

ZERO = np.zeros((2, 2), np.float32)


def array(path: str, value: Any) -> Renamed:
    found = np.asarray(value)
    return Renamed(path, found.dtype.name, found.shape, lambda: found)


def dense(name: str, *, bias: bool = False) -> dict[str, Any]:
    config = {"name": name, "units": 2, "use_bias": bias, "dtype": "float32", "trainable": True}
    return {"module": "keras.layers", "class_name": "Dense", "config": config, "registered_name": None}


def sequential(*names: str) -> dict[str, Any]:
    optimizer = {
        "module": "keras.optimizers",
        "class_name": "Adam",
        "config": {"learning_rate": 0.5, "name": "adam"},
        "registered_name": None,
    }
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "model", "layers": [dense(name) for name in names]},
        "registered_name": None,
        "compile_config": {"optimizer": optimizer, "loss": "mse"},
    }


def content(trained: list[str] | None) -> Content:
    """Two layers of equal shape, and an optimizer that has slots of one variable."""
    stored = {"layers/dense/vars/0": ZERO, "layers/dense_1/vars/0": ZERO + 1, "optimizer/vars/0": np.int64(3)}
    stored |= {"optimizer/vars/1": np.float32(0.5), "optimizer/vars/2": ZERO + 2, "optimizer/vars/3": ZERO + 3}
    found = Content(sequential("one", "two"), "keras", {}, {path: array(path, value) for path, value in stored.items()})
    parents = {""}
    for path in stored:
        steps = path.split("/")[:-1]
        parents |= {"/".join(steps[: at + 1]) for at in range(len(steps))}
    found.groups = {path: {} for path in parents}
    if trained is not None:
        found.trained = {"optimizer": trained}
    return found


@pytest.mark.clause("K-56@142b97")
def test_slots_go_to_the_variables_that_the_source_names() -> None:
    """Slots that fit two variables belong to the one that the source says; without its word they stay unassigned."""
    for name, path in (("layers/dense/vars/0", "one/kernel"), ("layers/dense_1/vars/0", "two/kernel")):
        model = read_model(content([name]), Report(), "config")
        assert model.optimizer is not None
        optimizer = model.optimizer.optimizers["optimizer"]
        assert optimizer.variables() == [path]
        assert {slot: tensor.numpy()[0, 0] for slot, tensor in optimizer.slots[path].items()} == {
            "momentum": 2.0,
            "velocity": 3.0,
        }
    model = read_model(content(None), Report(), "config")
    assert model.optimizer is not None
    assert model.optimizer.optimizers["optimizer"].slots == {}
    # A name that the model does not have is no knowledge.
    model = read_model(content(["layers/other/vars/0"]), Report(), "config")
    assert model.optimizer is not None
    assert model.optimizer.optimizers["optimizer"].slots == {}


@pytest.mark.clause("K-15@06a275", "KL-2@df506c")
def test_a_layer_that_the_source_knows_has_its_class_and_name() -> None:
    """A group without a layer in the config becomes the layer that the source says, and an unknown one otherwise."""
    tree = {"module": None, "class_name": "Own", "config": {"name": "own"}, "registered_name": "Own"}
    stored = {"layers/dense/vars/0": array("layers/dense/vars/0", ZERO)}
    groups: dict[str, dict[str, str]] = {name: {} for name in ("", "layers", "layers/dense", "layers/dense/vars")}
    groups["layers/dense/vars"] = {"name": "dense_7"}
    known = Content(tree, "keras", groups, stored)
    model = read_model(known, Report(), "config")
    assert list(model.weights or ()) == ["dense_7/0"]
    known.implied = lambda group: ("encoder", dense("dense_7")) if group == "layers/dense" else None
    report = Report()
    model = read_model(known, report, "config")
    assert list(model.weights or ()) == ["encoder/kernel"]
    assert model.config is not None
    assert model.config.find("encoder").op == "keras:Dense"
    assert report.ok
