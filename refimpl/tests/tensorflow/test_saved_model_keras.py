"""Models of Keras in SavedModels, read without a framework (SPEC.md, annex G.2)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import etui
from etui.bridges.keras.content import Content, Renamed, Stored
from etui.bridges.keras.model_read import read_model
from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.bridges.tensorflow.saved_model.schema import GRAPH
from etui.limits import DEFAULT_LIMITS
from etui.model import Model
from etui.report import Report
from etui.storage.protobuf import encode
from etui.storage.tf_bundle import open_bundle
from etui.testing.saved_models import (
    INT64,
    LAYER,
    STRING,
    Maker,
    Node,
    keras_model,
    message,
    optimizer_config,
    user,
    variable,
)

pytest.importorskip("google_crc32c")


def read(folder: Path, report: Report | None = None, *, native: bool = True) -> Model:
    return saved_model.read(folder, Report() if report is None else report, limits=DEFAULT_LIMITS, native=native)


def refused(maker: Maker, folder: Path) -> str:
    with pytest.raises(etui.RejectError) as refusal:
        read(maker.write(folder)).close()
    return refusal.value.code


class TestKeras:
    """Models with the metadata of Keras."""

    @pytest.mark.clause("KS-9@3b1670")
    @pytest.mark.clause("KS-10@f1479e")
    def test_a_model_becomes_config_weights_training_and_optimizer(self, tmp_path: Path) -> None:
        """A Sequential model of one layer, with every value where it belongs."""
        maker, report = keras_model(), Report()
        with read(maker.write(tmp_path / "m"), report) as model:
            assert model.config is not None
            assert model.weights is not None
            assert model.optimizer is not None
            assert model.config.model.op == "keras:Sequential"
            assert model.config.find("input").attrs["batch_input_shape"] == [None, 3]
            assert {path: one.role for path, one in model.weights.variables.items()} == {
                "d/kernel": "kernel",
                "d/bias": "bias",
            }
            assert model.weights["d/kernel"].numpy().tobytes() == maker.nodes[2].value.tobytes()
            optimizer = model.optimizer.optimizers["optimizer"]
            assert (optimizer.algorithm, optimizer.step) == ("keras:Adam", 1)
            slots = {path: list(found) for path, found in optimizer.slots.items()}
            assert slots == {key: ["momentum", "velocity"] for key in ("d/kernel", "d/bias")}
            assert (optimizer.slots["d/bias"]["velocity"].numpy() == maker.nodes[11].value).all()
            assert model.training is not None
            assert model.training.loss == "mse"
        assert report.ok

    @pytest.mark.clause("KS-13@5a0928")
    @pytest.mark.parametrize("legacy", [False, True])
    def test_the_rate_is_that_of_the_variable(self, tmp_path: Path, legacy: bool) -> None:
        """The variable is what the last step used; the config may be of earlier."""
        with read(keras_model(legacy=legacy).write(tmp_path / "m")) as model:
            assert model.optimizer is not None
            assert model.optimizer.optimizers["optimizer"].learning_rate == 0.25

    @pytest.mark.clause("KS-12@4dfb55")
    def test_slots_of_an_older_optimizer_are_named_as_newer_ones(self, tmp_path: Path) -> None:
        """`m` is the momentum and `v` the velocity of its variable."""
        maker = keras_model(legacy=True)
        with read(maker.write(tmp_path / "m")) as model:
            assert model.optimizer is not None
            optimizer = model.optimizer.optimizers["optimizer"]
            assert optimizer.algorithm == "keras:optimizers.legacy.Adam"
            found = {
                (path, name): tensor.numpy()
                for path, slots in optimizer.slots.items()
                for name, tensor in slots.items()
            }
            expected = dict(
                zip(
                    [
                        ("d/kernel", "momentum"),
                        ("d/bias", "momentum"),
                        ("d/kernel", "velocity"),
                        ("d/bias", "velocity"),
                    ],
                    (node.value for node in maker.nodes[7:]),
                    strict=True,
                )
            )
            assert found.keys() == expected.keys()
            assert all((found[key] == expected[key]).all() for key in expected)

    @pytest.mark.clause("KS-8@e6b311")
    def test_older_folders_have_the_metadata_in_their_objects(self, tmp_path: Path) -> None:
        """TensorFlow 2.4 wrote no file of metadata."""
        import json

        maker = keras_model()
        assert maker.metadata is not None
        for at, tree in maker.metadata.items():
            maker.nodes[at].content["user_object"]["metadata"] = json.dumps(tree).encode()
        maker.metadata = None
        with read(maker.write(tmp_path / "m")) as model:
            assert model.weights is not None
            assert list(model.weights) == ["d/kernel", "d/bias"]

    @pytest.mark.clause("KS-7@7b1e8d")
    @pytest.mark.parametrize("at", [12, -1, 2**31 - 1])
    def test_metadata_of_an_object_that_is_not_there_is_refused(self, tmp_path: Path, at: int) -> None:
        """Metadata describes objects of the graph."""
        maker = keras_model()
        assert maker.metadata is not None
        maker.metadata[at] = {"class_name": "Dense", "name": "x"}
        assert refused(maker, tmp_path / "m") == "savedmodel-metadata"

    @pytest.mark.clause("KS-7@7b1e8d")
    def test_metadata_that_describes_an_object_twice_is_refused(self, tmp_path: Path) -> None:
        """Two descriptions of one object may differ."""
        folder = keras_model().write(tmp_path / "m")
        data = (folder / "keras_metadata.pb").read_bytes()
        (folder / "keras_metadata.pb").write_bytes(data + data)
        with pytest.raises(etui.InvalidError) as refusal:
            read(folder)
        assert refusal.value.code == "savedmodel-metadata"

    @pytest.mark.clause("KS-10@f1479e")
    @pytest.mark.clause("KS-11@8c5d8f")
    def test_an_authors_layer_has_its_variables_in_the_order_of_a_keras_file(self, tmp_path: Path) -> None:
        """Trainable ones first, those in lists too, then the layers that it holds by the names of attributes."""
        maker = keras_model()
        assert maker.metadata is not None
        layers = maker.metadata[0]["model_config"]["config"]["layers"]
        layers[1] = {"class_name": "Own", "config": {"name": "d", "trainable": True, "dtype": "float32"}}
        maker.metadata[0].pop("training_config")
        maker.metadata[1]["class_name"] = "Own"
        maker.nodes[:] = [
            user("_tf_keras_sequential", layer__0=1),
            user("_tf_keras_layer", still=2, listed=3, held=6, last=5),
            variable(np.zeros(1, "float32"), trainable=False),
            Node({"user_object": {"identifier": "trackable_list_wrapper"}}, {"0": 4}),
            variable(np.full(2, 1, "float32")),
            variable(np.full(3, 2, "float32")),
            Node({"user_object": {"identifier": "trackable_list_wrapper"}}, {"0": 7, "1": 8}),
            user("_tf_keras_layer", kernel=9),
            user("_tf_keras_layer", kernel=10),
            variable(np.full(4, 3, "float32")),
            variable(np.full(5, 4, "float32")),
        ]
        for at in (7, 8):
            maker.metadata[at] = {"name": f"x{at}", "class_name": "Dense", "config": {}, **LAYER}
        with read(maker.write(tmp_path / "m")) as model:
            assert model.weights is not None
            found = {path: (one.shape, one.trainable) for path, one in model.weights.variables.items()}
        assert found == {
            "d/0": ((2,), True),
            "d/1": ((3,), True),
            "d/2": ((1,), False),
            "d/held/dense/0": ((4,), True),
            "d/held/dense_1/0": ((5,), True),
        }

    @pytest.mark.clause("KS-28@725173")
    @pytest.mark.parametrize("way", ["constants", "inverted", "asset", "neither"])
    def test_a_vocabulary_is_found_in_the_graph(self, tmp_path: Path, way: str) -> None:
        """In the order of the terms' numbers; where the graph tells nothing, nothing is made up."""
        maker = keras_model()
        assert maker.metadata is not None
        maker.metadata[0].pop("training_config")
        config = {
            "name": "look",
            "trainable": True,
            "dtype": "int64",
            "vocabulary": None,
            "has_input_vocabulary": False,
        }
        maker.metadata[0]["model_config"]["config"]["layers"].insert(
            1, {"class_name": "StringLookup", "config": config}
        )
        at = len(maker.nodes)
        maker.metadata[at] = {"name": "look", "class_name": "StringLookup", "config": config, **LAYER}
        maker.nodes[0].children["layer-1"] = at
        maker.nodes += [
            user("_tf_keras_layer", lookup_table=at + 1),
            Node({"resource": b""}, {"_initialize": at + 2}),
            Node({"function": {"concrete_functions": ["f"]}}),
            *(Node({"constant": {"operation": name}}) for name in ("Const_1", "Const")),
            Node({"asset": {"asset_file_def_index": 0}}),
        ]
        bound = {"asset": [at + 5, at + 1], "inverted": [at + 1, at + 4, at + 3], "neither": [at + 1, 999]}
        value = {"bound_inputs": bound.get(way, [at + 1, at + 3, at + 4])}
        maker.functions = [{"key": "f", "value": value}]
        maker.assets = {"assets/v.txt": "b\né\n".encode()}
        terms = {"dtype": STRING, "tensor_shape": {"dim": [{"size": 2}]}, "string_val": ["é".encode(), b"b"]}
        numbers = {
            "dtype": INT64,
            "tensor_shape": {"dim": [{"size": 2}]},
            "tensor_content": b"\2" + bytes(7) + b"\1" + bytes(7),
        }
        nodes = [
            {"name": name, "op": "Const", "attr": [{"key": "value", "value": {"tensor": tensor}}]}
            for name, tensor in (("Const", numbers), ("Const_1", terms))
        ]
        maker.graph = encode(message(GRAPH, {"node": nodes}))
        with read(maker.write(tmp_path / "m")) as model:
            assert model.config is not None
            attrs = model.config.find("look").attrs
        assert attrs["vocabulary"] == (None if way == "neither" else ["b", "é"])
        assert attrs["has_input_vocabulary"] == (way != "neither")


@pytest.mark.clause("KS-25@0633d9")
def test_the_edge_to_the_model_in_a_checkpoint_is_none_in_a_saved_model(tmp_path: Path) -> None:
    """A Functional model that a checkpoint has below its root is the root of the SavedModel that is written of it."""
    outer = {"module": "keras.layers", "registered_name": None}
    start = outer | {"class_name": "InputLayer", "config": {"name": "i", "batch_input_shape": [None, 2]}}
    dense = outer | {"class_name": "Dense", "config": {"name": "d", "units": 2}}
    layers = [start | {"name": "i", "inbound_nodes": []}, dense | {"name": "d", "inbound_nodes": [[["i", 0, 0, {}]]]}]
    config = {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}
    tree = {"module": "keras", "class_name": "Functional", "config": config, "registered_name": None}
    arrays = {"layers/dense/vars/0": np.ones((2, 2), "float32"), "layers/dense/vars/1": np.ones(2, "float32")}
    datasets: dict[str, Stored] = {
        name: Renamed(name, array.dtype.name, array.shape, lambda array=array: array)  # type: ignore[misc]
        for name, array in arrays.items()
    }
    groups: dict[str, dict[str, str]] = {path: {} for path in ("", "layers", "layers/dense", "layers/dense/vars")}
    model = read_model(Content(tree, "tf_keras", groups, datasets), Report(), "config")
    assert model.config is not None
    facts = {"root": "model"}
    model.config.model.residue["tensorflow"] = facts
    saved_model.write(model, tmp_path / "m", Report(), strict=True)
    with open_bundle(tmp_path / "m" / "variables" / "variables") as bundle:
        found = {key for key in bundle.tensors if key.endswith("VARIABLE_VALUE")}
    assert found == {f"layer_with_weights-0/{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in ("kernel", "bias")}
    assert model.config.model.residue["tensorflow"] == facts


@pytest.mark.library
def test_a_loss_scaler_has_the_state_of_the_optimizer_in_it(tmp_path: Path) -> None:
    """What the scaler lists is the state of the inner optimizer, and the folder that is written again holds it."""
    maker = keras_model()
    scaler = {"inner_optimizer": optimizer_config(), "dynamic": True, "initial_scale": 8.0, "dynamic_growth_steps": 5}
    assert maker.metadata is not None
    maker.metadata[0]["training_config"]["optimizer_config"] = {"class_name": "LossScaleOptimizerV3", "config": scaler}
    maker.nodes[4].children["loss_scale"] = len(maker.nodes)
    maker.nodes.append(user())
    report = Report()
    with read(maker.write(tmp_path / "m"), report) as model:
        assert model.optimizer is not None
        inner = model.optimizer.optimizers["optimizer"].inner
        assert inner is not None
        assert {key: list(found) for key, found in inner.slots.items()} == {
            key: ["momentum", "velocity"] for key in ("d/kernel", "d/bias")
        }
        assert not report.lost
        written = Report()
        saved_model.write(model, tmp_path / "n", written, strict=True)
    assert [entry.subject for entry in written.entries if entry.kind == "slot" and entry.status != "restored"] == []


@pytest.mark.library
def test_a_variable_that_a_metric_has_by_two_names_is_one(tmp_path: Path) -> None:
    """MeanIoU has its matrix under its own name and that of the argument, and the state holds it once."""
    maker = keras_model()
    assert maker.metadata is not None
    config = {"name": "mean_io_u", "dtype": "float32", "num_classes": 2}
    maker.metadata[0]["training_config"]["metrics"] = [[{"class_name": "MeanIoU", "config": config}]]
    start = len(maker.nodes)
    maker.nodes[0].children["keras_api"] = start
    maker.nodes += [
        user(metrics=start + 1),
        user("trackable_list_wrapper", **{"0": start + 2}),
        user("_tf_keras_metric", total_confusion_matrix=start + 3, total_cm=start + 3),
        variable(np.eye(2, dtype="float32"), "total_confusion_matrix", trainable=False),
    ]
    maker.metadata[start + 2] = {"name": "mean_io_u", "class_name": "MeanIoU", "config": config}
    with read(maker.write(tmp_path / "m")) as model:
        assert model.state is not None
        assert {name: list(state) for name, state in model.state.metrics.items()} == {"mean_io_u": ["0"]}
