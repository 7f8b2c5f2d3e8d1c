"""Files of tf_keras and Keras 2.13 to 2.15: older nodes, no names of groups, metrics in the weights file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.weights.metric_state import unused_metrics
from etui.canonical.values import OutputRef

Json = Any
VERSION = "2.21.0"


def tf_input(name: str, *shape: int | None) -> Json:
    """An input layer as tf_keras writes it."""
    config = {"batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def placed(node: Json, *inbound: Json) -> Json:
    """A layer with its inbound nodes."""
    return node | {"name": node["config"]["name"], "inbound_nodes": list(inbound)}


def functional(layers: list[Json], inputs: Json, outputs: Json, name: str = "model") -> Json:
    """A Functional model as tf_keras writes it."""
    config = {"name": name, "trainable": True, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {
        "module": "tf_keras.src.engine.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
        "build_config": {"input_shape": [None, 4]},
    }


def operation(name: str, function: str) -> Json:
    """A TensorFlow function in a graph."""
    return {
        "module": "tf_keras.src.layers.core.tf_op_layer",
        "class_name": "TFOpLambda",
        "config": {"name": name, "trainable": True, "dtype": "float32", "function": function},
        "registered_name": "TFOpLambda",
    }


@pytest.mark.clause("K-18@006678", "K-7@32e2b5", "K-58@3c09cf")
def test_inbound_nodes_of_tf_keras_are_calls(kit: Any) -> None:
    """Single and several inputs, keyword tensors, slices and constants become arguments, and nodes again."""
    inner = functional(
        [placed(tf_input("i", 4)), placed(kit.layer("Dense", "d", units=4), [["i", 0, 0, {}]])],
        [["i", 0, 0]],
        [["d", 0, 0]],
        "inner",
    )
    cut = {"slice_spec": [{"start": None, "stop": 4, "step": None}]}
    layers = [
        placed(tf_input("a", 4)),
        placed(tf_input("b", 4)),
        placed(kit.layer("Dense", "shared", units=4), [["a", 0, 0, {}]], [["b", 0, 0, {}]]),
        placed(kit.layer("Add", "add"), [["shared", 0, 0, {}], ["shared", 1, 0, {}]]),
        placed(operation("relu", "nn.relu"), ["add", 0, 0, {"name": None}]),
        placed(operation("plus", "math.add"), ["relu", 0, 0, {"y": ["a", 0, 0], "name": None}]),
        placed(operation("cut", "__operators__.getitem"), ["plus", 0, 0, cut]),
        placed(operation("minus", "math.subtract"), ["_CONSTANT_VALUE", -1, 1.5, {"y": ["cut", 0, 0]}]),
        placed(inner, [["minus", 0, 0, {}]]),
        placed(kit.layer("Attention", "att"), [["inner", 1, 0, {"training": False}], ["a", 0, 0, {"training": False}]]),
    ]
    model = kit.round_trip(functional(layers, {"a": ["a", 0, 0], "b": ["b", 0, 0]}, [["att", 0, 0]]), version=VERSION)
    calls = {call.id: call for call in model.config.model.graph.calls}
    assert calls["shared"].args == [OutputRef("a", 0)]
    assert calls["add"].args == [[OutputRef("shared", 0), OutputRef("shared:1", 0)]]
    assert calls["plus"].kwargs == {"y": OutputRef("a", 0), "name": None}
    assert calls["cut"].kwargs == {"slice_spec": [slice(None, 4, None)]}
    assert calls["minus"].args == [1.5]
    assert calls["att"].args == [[OutputRef("inner", 0), OutputRef("a", 0)]]
    assert calls["att"].kwargs == {"training": False}
    assert model.config.model.op == "keras:Functional"
    assert model.config.find("relu").op == "tf_keras:src.layers.core.tf_op_layer.TFOpLambda"
    assert "inbound_nodes" not in model.config.model.residue["keras"]


@pytest.mark.clause("K-58@3c09cf", "K-59@cab9b0")
@pytest.mark.parametrize(
    "node",
    [
        [["a", 0, 0, {}], ["a", 0, 0, {"x": 1}]],
        [[["a", 0, 0, {}]]],
        {"z": ["a", 0, 0, {}]},
        [["a", 0, 0]],
        [],
    ],
)
def test_inbound_nodes_of_another_form_are_kept(kit: Any, node: Json) -> None:
    """A node that the calls do not give back exactly comes back nevertheless."""
    layers = [placed(tf_input("a", 4)), placed(kit.layer("Dense", "d", units=1), node)]
    if isinstance(node, dict):
        layers[1]["inbound_nodes"] = [[node]]
    kit.round_trip(functional(layers, [["a", 0, 0]], [["d", 0, 0]]), version=VERSION)


@pytest.mark.clause("K-18@006678", "K-58@3c09cf")
def test_layers_of_the_older_form_within_a_newer_file(kit: Any) -> None:
    """What tf_keras writes of a Sequential model once it has saved to HDF5 is read as the layers that it is."""

    def written(node: Json, *, older: bool) -> Json:
        return {key: node[key] for key in ("class_name", "config")} if older else node

    def tree(*, older: bool) -> Json:
        listed = [tf_input("i", 4), kit.layer("Dense", "d", units=4)]
        held = {"name": "net", "layers": [written(node, older=older) for node in listed]}
        net = {"module": "keras", "class_name": "Sequential", "config": held, "registered_name": None}
        return functional([placed(tf_input("x", 4)), placed(net, [["x", 0, 0, {}]])], [["x", 0, 0]], [["net", 1, 0]])

    older, newer = (kit.model(tree(older=older), version=VERSION) for older in (True, False))
    assert older.config == newer.config
    assert older.config.find("net/d").op == "keras:Dense"


@pytest.mark.clause("K-54@e77d06", "K-55@def5af", "R-3@f088eb")
def test_optimizer_and_metrics_of_tf_keras(kit: Any) -> None:
    """No rate is stored, SGD always has a momentum, and the metrics' state is kept."""
    tree = kit.sequential([tf_input("start", 4), kit.layer("Dense", "first", units=3), kit.layer("Dense", "second")])
    tree["compile_config"] = {
        "optimizer": kit.optimizer("SGD", "SGD", momentum=0.0),
        "loss": "mse",
        "metrics": ["mae"],
        "loss_weights": None,
        "weighted_metrics": None,
        "run_eagerly": None,
        "steps_per_execution": None,
        "jit_compile": None,
    }
    arrays = kit.dense_arrays()
    slots = {f"optimizer/vars/{at + 1}": array + 1 for at, array in enumerate(arrays.values())}
    arrays |= slots | {"optimizer/vars/0": np.int64(9)}
    arrays |= {"metrics/mean/vars/0": np.float32(2.5), "metrics/mean/vars/1": np.float32(4)}
    model = kit.round_trip(tree, arrays, version=VERSION)
    optimizer = model.optimizer.optimizers["optimizer"]
    assert (optimizer.step, optimizer.learning_rate) == (9, 0.125)
    assert {path: list(found) for path, found in optimizer.slots.items()} == {
        path: ["momentum"] for path in ("first/kernel", "first/bias", "second/kernel", "second/bias")
    }
    assert {name: tensor.numpy().item() for name, tensor in model.state.metrics["mean"].items()} == {"0": 2.5, "1": 4.0}
    assert model.training.metrics == ["mae"]


@pytest.mark.clause("K-54@e77d06", "K-58@3c09cf")
def test_an_optimizer_that_is_given_by_its_name_only(kit: Any) -> None:
    """The string `adam` stands for the class, whose slots have names; its arguments are not in the file."""
    tree = kit.sequential([tf_input("start", 4), kit.layer("Dense", "first", units=3), kit.layer("Dense", "second")])
    tree["compile_config"] = kit.compiled("adam")
    arrays = kit.dense_arrays()
    slots = [array + at for array in arrays.values() for at in (1, 2)]
    arrays |= {f"optimizer/vars/{at + 1}": array for at, array in enumerate(slots)} | {"optimizer/vars/0": np.int64(2)}
    optimizer = kit.round_trip(tree, arrays, version=VERSION).optimizer.optimizers["optimizer"]
    assert (optimizer.algorithm, optimizer.hyperparameters, optimizer.learning_rate) == ("keras:Adam", {}, None)
    assert set(optimizer.slots["second/bias"]) == {"momentum", "velocity"}


@pytest.mark.clause("K-58@3c09cf")
def test_groups_without_names_are_written_without_names(kit: Any) -> None:
    """tf_keras gives the groups of its weights file no attribute."""
    path = kit.write(kit.dense_model(), kit.dense_arrays(), version=VERSION)
    model = kit.read(path, native=False)
    assert "groups" in model.config.model.residue["keras"]
    assert all(not attrs for _, _, attrs in kit.content(kit.back(model))["weights"].values())
    assert model.config.model.residue["keras"]["dialect"] == "tf_keras"


@pytest.mark.library
def test_the_dialect_is_told_without_metadata(kit: Any) -> None:
    """Without a version, the module of a Functional model tells who wrote the file."""
    layers = [placed(tf_input("a", 4)), placed(kit.layer("Flatten", "f"), [["a", 0, 0, {}]])]
    model = kit.model(functional(layers, [["a", 0, 0]], [["f", 0, 0]]), version=None)
    assert model.config.model.residue["keras"]["dialect"] == "tf_keras"
    assert "dialect" not in kit.model(kit.dense_model(), version=None).config.model.residue.get("keras", {})


@pytest.mark.library
def test_the_state_of_metrics_is_bounded() -> None:
    """A few metrics of many thresholds are made, and not as many as a config may ask for with a few bytes each."""
    metric = {"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": 1_000_000}}

    def state(count: int) -> dict[str, Any] | None:
        compiled = {"loss": "mse", "metrics": [metric | {"registered_name": None}] * count}
        return unused_metrics({"class_name": "Sequential", "compile_config": compiled})

    few = state(2)
    assert few is not None
    assert [tensor.shape for tensor in few.values()] == [(), (), *[(1_000_000,)] * 8]
    assert state(5) is None
