"""Layers models by hand: what is read, what comes back, and what the report says of it."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges
from etui.bridges.keras.modules import residue
from etui.bridges.tfjs.manifest import SHARD_BYTES
from etui.bridges.tfjs.topology_write import TopologyWriter
from etui.bridges.tfjs.training import own_training
from etui.conversion import read
from etui.errors import EtuiError, StorageError, TransferError, UsageError
from etui.report import Report

Json = Any


def kinds(report: Report, status: str) -> dict[str, str]:
    return {entry.subject: entry.detail for entry in report.entries if entry.status == status}


def sequential(*layers: dict[str, Json]) -> dict[str, Json]:
    config = {"name": "chain", "layers": list(layers)}
    return {"keras_version": "2.3.1", "model_config": {"class_name": "Sequential", "config": config}}


def node(kind: str, name: str, **config: Json) -> dict[str, Json]:
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32"} | config}


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.clause("KJ-1@209919", "I-1@5aed06")
def test_models_are_recognised_by_their_content(kit: Any, tmp_path: Path) -> None:
    """A folder or a file under any name is known by what the document holds, with a format or, as of old, without."""
    sound = kit.dense()
    assert bridges.of_source(sound).name == bridges.of_source(sound / "model.json").name == "tfjs-layers"
    renamed = (sound / "model.json").rename(sound / "other.txt")
    assert bridges.recognise(renamed) is bridges.by_name("tfjs-layers")
    assert bridges.recognise(sound) is None
    old = kit.dense(kind=None, modelTopology=kit.dense_topology()["model_config"])
    assert bridges.of_source(old).name == "tfjs-layers"
    graph = kit.write({"node": [], "versions": {}}, kind=None)
    assert bridges.of_source(graph).name == "tfjs-graph"
    (tmp_path / "package.json").write_text('{"name": "modelTopology"}')
    for other in (tmp_path, tmp_path / "package.json", kit.dense(kind="image-model")):
        assert bridges.recognise(other) is None


@pytest.mark.clause("KJ-10@192931", "KJ-11@f7275b")
def test_weights_are_found_by_name(kit: Any) -> None:
    """Each weight is the variable of its layer and role, in whatever order the manifest lists them."""
    weights = kit.dense_weights()
    model = kit.read(kit.write(kit.dense_topology(), weights[::-1]))
    assert list(model.weights) == [entry["name"] for entry, _ in weights]
    for entry, raw in weights:
        variable = model.weights[entry["name"]]
        assert (variable.role, variable.trainable) == (entry["name"].partition("/")[2], True)
        assert variable.numpy().tobytes() == raw


@pytest.mark.clause("KJ-11@f7275b")
def test_names_of_every_age_are_understood(kit: Any) -> None:
    """Names with an output slot, with the name of a cell, and without it are those of the same variables."""
    topology = sequential(
        node("Embedding", "words", batch_input_shape=[None, 5], input_dim=7, output_dim=3),
        node("Bidirectional", "both", layer=node("LSTM", "run", units=2, return_sequences=True), merge_mode="concat"),
        node("TimeDistributed", "each", layer=node("Dense", "point", units=2)),
        node("RNN", "stack", cell=node("StackedRNNCells", "cells", cells=[node("SimpleRNNCell", "deep", units=2)])),
    )
    shapes: dict[str, tuple[int, ...]] = {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}
    for cell, slot in (("/lstm_cell", ":0"), ("", "")):
        named: dict[str, tuple[int, ...]] = {"words/embeddings": (7, 3)}
        for way in ("forward", "backward"):
            named |= {f"both/{way}_run{cell}/{role}": shape for role, shape in shapes.items()}
        named |= {"each/kernel": (4, 2), "each/bias": (2,)}
        named |= {"stack/RNNCell_0/kernel": (2, 2), "stack/RNNCell_0/recurrent_kernel": (2, 2)}
        named |= {"stack/RNNCell_0/bias": (2,)}
        made = [kit.weight(name + slot, numbers(*shape, seed=at)) for at, (name, shape) in enumerate(named.items())]
        model = kit.read(kit.write(topology, made))
        paths = {entry["name"]: raw for entry, raw in made}
        assert (
            model.weights["both/forward_layer/cell/kernel"].numpy().tobytes()
            == paths[f"both/forward_run{cell}/kernel{slot}"]
        )
        assert (
            model.weights["both/backward_layer/cell/bias"].numpy().tobytes()
            == paths[f"both/backward_run{cell}/bias{slot}"]
        )
        assert len(model.weights) == len(named)


@pytest.mark.clause("KJ-11@f7275b")
def test_names_of_keras_3_are_those_of_its_archive(kit: Any) -> None:
    """A model that the converter made of a `.keras` file of Keras 3 keeps that file's names."""
    config = {"name": "chain", "trainable": True, "dtype": "float32"}
    first = {"name": "first", "trainable": True, "dtype": "float32", "units": 3, "activation": "relu", "use_bias": True}
    start = {"batch_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "start"}
    layers = [{"class_name": "InputLayer", "config": start}, {"class_name": "Dense", "config": first}]
    topology = {
        "keras_version": "3.3.0",
        "model_config": {"class_name": "Sequential", "config": config | {"layers": layers}},
    }
    made = [kit.weight("layers/dense/vars/0", numbers(4, 3)), kit.weight("layers/dense/vars/1", numbers(3))]
    model = kit.read(kit.write(topology, made))
    assert {path: v.shape for path, v in model.weights.items()} == {"first/kernel": (4, 3), "first/bias": (3,)}
    assert residue(model.config.model).get("dialect", "keras") == "keras"


@pytest.mark.clause("KJ-14@42dff2")
def test_a_model_comes_back_file_by_file(kit: Any) -> None:
    """What was read and not changed is written with the same bytes in every file."""
    topology = kit.dense_topology()
    quantized = {"dtype": "uint8", "min": -1.5, "scale": 0.0117, "original_dtype": "float32"}
    raw = bytes(range(12))
    (first, _), *rest = kit.dense_weights()
    weights = [(first | {"quantization": quantized}, raw), *rest]
    folder = kit.write(topology, weights, paths=["a/one", "a/two"], userDefinedMetadata={"who": "me"})
    model = kit.read(folder)
    assert model.metadata == {"who": "me"}
    assert kit.files(kit.back(model)) == kit.files(folder)


@pytest.mark.clause("KJ-7@9f2bb1", "KJ-9@e79768")
def test_quantized_weights_are_widened_and_say_so(kit: Any) -> None:
    """A quantized weight has the elements that TensorFlow.js computes, is reported as cast, and a change widens it."""
    quantized = {"dtype": "uint8", "min": -1.5, "scale": 0.0117}
    (first, _), *rest = kit.dense_weights()
    folder = kit.write(kit.dense_topology(), [(first | {"quantization": quantized}, bytes(range(12))), *rest])
    report = Report()
    model = kit.read(folder, report=report)
    expected = (np.arange(12) * 0.0117 - 1.5).astype("float32").reshape(4, 3)
    np.testing.assert_array_equal(model.weights["first/kernel"].numpy(), expected)
    assert list(kinds(report, "cast")) == ["first/kernel"]
    model.weights.variables["first/kernel"].tensor = etui.Tensor.of(expected + np.float32(1))
    back = kit.back(model)
    (group,) = kit.document(back)["weightsManifest"]
    assert all("quantization" not in entry for entry in group["weights"])
    np.testing.assert_array_equal(kit.read(back).weights["first/kernel"].numpy(), expected + np.float32(1))


@pytest.mark.clause("KJ-14@42dff2")
def test_changed_weights_keep_the_document(kit: Any) -> None:
    """Other elements of the same dtype and shape are written under the source's own document."""
    folder = kit.dense()
    model = kit.read(folder)
    model.weights.variables["second/bias"].tensor = etui.Tensor.of(np.array([5, 6], "float32"))
    one, two = kit.files(folder), kit.files(kit.back(model))
    assert one["model.json"] == two["model.json"]
    assert two["group1-shard1of1.bin"][-8:] == np.array([5, 6], "float32").tobytes()
    assert one["group1-shard1of1.bin"][:-8] == two["group1-shard1of1.bin"][:-8]


@pytest.mark.clause("KJ-15@ffc3c7", "KJ-18@32832d")
def test_without_the_document_a_new_one_says_the_same(kit: Any) -> None:
    """A document written anew has the same layers and weights, is the same in every run, and is read as the same."""
    folder = kit.dense()
    model = kit.read(folder, native=False)
    back, again = kit.back(model), kit.back(kit.read(folder, native=False))
    assert kit.files(back) == kit.files(again)
    tree = kit.document(back)
    assert tree["format"] == "layers-model"
    assert tree["modelTopology"]["keras_version"] == "2.3.1"
    layers = tree["modelTopology"]["model_config"]["config"]["layers"]
    assert [layer["class_name"] for layer in layers] == ["InputLayer", "Dense", "Dense"]
    assert all(set(layer) == {"class_name", "config"} for layer in layers)
    found = kit.read(back)
    assert {path: v.numpy().tobytes() for path, v in found.weights.items()} == {
        path: v.numpy().tobytes() for path, v in model.weights.items()
    }


@pytest.mark.clause("KJ-16@f82aa1")
def test_groups_are_cut_at_4_megabytes(kit: Any) -> None:
    """The bytes of the weights lie end to end in files of 4 MiB, the last one shorter."""
    wide = 600_000
    topology = sequential(node("Dense", "wide", batch_input_shape=[None, 4], units=wide, use_bias=False))
    array = numbers(4, wide)
    source = kit.write(topology, [kit.weight("wide/kernel", array)])
    back = kit.back(kit.read(source, native=False))
    (group,) = kit.document(back)["weightsManifest"]
    count = math.ceil(array.nbytes / SHARD_BYTES)
    assert group["paths"] == [f"group1-shard{at}of{count}.bin" for at in range(1, count + 1)]
    pieces = [(back / path).read_bytes() for path in group["paths"]]
    assert [len(piece) for piece in pieces[:-1]] == [SHARD_BYTES] * (count - 1)
    assert b"".join(pieces) == array.tobytes()
    np.testing.assert_array_equal(kit.read(back).weights["wide/kernel"].numpy(), array)


@pytest.mark.clause("KJ-17@d78394")
def test_what_tensorflowjs_does_not_have_is_named(kit: Any) -> None:
    """Layers, settings, activations, regularizers and constraints without an equal are lost, and strictness refuses."""
    topology = sequential(
        node("Dense", "start", batch_input_shape=[None, 6], units=6, activation="exponential"),
        node("Reshape", "fold", target_shape=[3, 2]),
        node("Conv1D", "causal", filters=2, kernel_size=[2], padding="causal", use_bias=False),
        node("GRU", "reset", units=2, reset_after=True, use_bias=False),
        node("Mystery", "unknown", units=3),
    )
    made = [
        kit.weight("start/kernel", numbers(6, 6)),
        kit.weight("start/bias", numbers(6)),
        kit.weight("causal/kernel", numbers(2, 2, 2)),
        kit.weight("reset/kernel", numbers(2, 6)),
        kit.weight("reset/recurrent_kernel", numbers(2, 6)),
        kit.weight("unknown/w", numbers(3)),
    ]
    model = kit.read(kit.write(topology, made), native=False)
    report = Report()
    with pytest.raises(TransferError) as caught:
        kit.back(model, report=report)
    assert caught.value.code == "not-complete"
    lost = kinds(report, "not-transferable")
    assert set(lost) == {"start", "causal", "reset", "unknown"}
    assert "exponential" in lost["start"]
    assert "padding" in lost["causal"]
    assert kit.document(kit.back(model, strict=False))["format"] == "layers-model"


@pytest.mark.clause("KJ-17@d78394")
@pytest.mark.parametrize(
    ("kind", "config", "lost"),
    [
        ("UpSampling2D", {"interpolation": "bilinear"}, True),
        ("UpSampling2D", {"interpolation": "nearest"}, False),
        ("BatchNormalization", {"axis": 1}, True),
        ("BatchNormalization", {"axis": 3}, False),
        ("BatchNormalization", {"axis": -1}, False),
        ("SeparableConv2D", {"data_format": "channels_first"}, True),
        ("SeparableConv2D", {"data_format": "channels_first", "use_bias": False}, False),
        ("SeparableConv2D", {"data_format": "channels_last"}, False),
    ],
)
def test_what_goes_along_another_axis_is_named(kind: str, config: dict[str, Json], lost: bool) -> None:
    """TensorFlow.js aligns corners, and adds and normalizes along the last axis, whatever the config says."""
    report = Report()
    built = {"module": "keras.layers", "class_name": kind, "config": {"name": "x", **config}}
    TopologyWriter(report, {}, {"": [None, 4, 4, 3]}).model(built)
    assert set(kinds(report, "not-transferable")) == ({""} if lost else set())


@pytest.mark.frameworks
@pytest.mark.clause("KJ-17@d78394")
def test_an_axis_of_keras_3_is_known_by_the_shape_of_its_input(tmp_path: Path) -> None:
    """Axis 1 is the last of two and not of four: Keras 3 writes down of what shape the input was."""
    import keras

    image = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.BatchNormalization(axis=1, name="norm")])
    row = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization(axis=1, name="norm")])
    for number, (model, expected) in enumerate([(image, {"norm"}), (row, set())]):
        model.save(tmp_path / f"{number}.keras")
        report = Report()
        etui.convert(
            tmp_path / f"{number}.keras", tmp_path / str(number), to="tfjs-layers", report=report, strict=False
        )
        assert set(kinds(report, "not-transferable")) == expected


@pytest.mark.clause("KJ-17@d78394")
def test_masks_that_are_not_heeded_are_named(kit: Any) -> None:
    """A mean over steps is another one where some are left out, and what a step gives means nothing where none is."""
    words = node("Embedding", "words", batch_input_shape=[None, 5], input_dim=7, output_dim=3)
    steps = node("LSTM", "run", units=2, return_sequences=True, zero_output_for_mask=True, use_bias=False)
    mean = node("GlobalAveragePooling1D", "mean")
    made = [kit.weight("words/embeddings", numbers(7, 3)), kit.weight("run/kernel", numbers(3, 8))]
    made.append(kit.weight("run/recurrent_kernel", numbers(2, 8)))
    for mask, expected in ((False, set()), (True, {"run", "mean"})):
        words["config"]["mask_zero"] = mask
        report = Report()
        model = kit.read(kit.write(sequential(words, steps, mean), made), native=False)
        tree = kit.document(kit.back(model, strict=False, report=report))
        assert set(kinds(report, "not-transferable")) == expected
        lstm = tree["modelTopology"]["model_config"]["config"]["layers"][2]
        assert ("zero_output_for_mask" in lstm["config"]) == mask


@pytest.mark.clause("KJ-19@a22176")
def test_wide_numbers_are_narrowed_and_say_so(kit: Any) -> None:
    """Numbers that TensorFlow.js does not have are cast, and integers that do not fit are lost."""
    model = kit.read(kit.dense(), native=False)
    variables = model.weights.variables
    variables["first/kernel"].tensor = etui.Tensor.of(np.arange(12.0).reshape(4, 3) / 3)
    variables["first/bias"].tensor = etui.Tensor.of(np.array([1, 2, 3], "float16"))
    variables["second/kernel"].tensor = etui.Tensor.of(np.arange(6).reshape(3, 2))
    report = Report()
    back = kit.back(model, report=report)
    assert set(kinds(report, "cast")) == {"first/kernel", "first/bias", "second/kernel"}
    dtypes = {entry["name"]: entry["dtype"] for entry in kit.document(back)["weightsManifest"][0]["weights"]}
    assert dtypes == {
        "first/kernel": "float32",
        "first/bias": "float32",
        "second/kernel": "int32",
        "second/bias": "float32",
    }
    found = kit.read(back).weights["first/kernel"].numpy()
    np.testing.assert_array_equal(found, (np.arange(12.0).reshape(4, 3) / 3).astype("float32"))
    variables["second/kernel"].tensor = etui.Tensor.of(np.full((3, 2), 2**31))
    with pytest.raises(TransferError):
        kit.back(model)


@pytest.mark.clause("KJ-20@6c665a")
def test_training_is_kept_for_both_readers(kit: Any) -> None:
    """Keras' training config stays, and beside it is TensorFlow.js' own where that has words for it."""
    adam = {"class_name": "Adam", "config": {"learning_rate": 0.125, "beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7}}
    training: dict[str, Json] = {"loss": "mse", "metrics": ["accuracy"], "loss_weights": None, "weighted_metrics": None}
    training |= {"sample_weight_mode": None, "optimizer_config": adam}
    folder = kit.dense(modelTopology=kit.dense_topology() | {"training_config": training})
    model = kit.read(folder, native=False)
    assert model.training.loss == "mse"
    tree = kit.document(kit.back(model))
    assert tree["modelTopology"]["training_config"]["loss"] == "mse"
    assert tree["trainingConfig"] == {
        "loss": "mean_squared_error",
        "metrics": ["accuracy"],
        "optimizer_config": {
            "class_name": "Adam",
            "config": {"learningRate": 0.125, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-7},
        },
    }
    training["optimizer_config"] = {"class_name": "Nadam", "config": {"learning_rate": 0.5}}
    folder = kit.dense(modelTopology=kit.dense_topology() | {"training_config": training})
    report = Report()
    tree = kit.document(kit.back(kit.read(folder, native=False), report=report))
    assert "trainingConfig" not in tree
    assert "Nadam" in kinds(report, "data-only")["trainingConfig"]


@pytest.mark.clause("KJ-20@6c665a")
def test_objects_of_training_have_words_too() -> None:
    """Losses, metrics and optimizers as objects or words become words, and settings without a word keep them out."""
    adam = {"class_name": "Adam", "config": {"learning_rate": 0.5, "beta_1": 0.8}}
    metric = {"class_name": "MeanMetricWrapper", "config": {"name": "mae", "fn": "mean_absolute_error"}}
    loss = {"class_name": "MeanSquaredError", "config": {"reduction": "auto"}}
    found, _ = own_training({"optimizer": adam, "loss": {"a": loss, "b": "KLDivergence"}, "metrics": [[metric]]})
    assert found == {
        "loss": {"a": "mean_squared_error", "b": "kullback_leibler_divergence"},
        "metrics": ["mae"],
        "optimizer_config": {"class_name": "Adam", "config": {"learningRate": 0.5, "beta1": 0.8}},
    }
    momentum = {"class_name": "SGD", "config": {"learning_rate": 0.5, "momentum": 0.9, "nesterov": True}}
    found, _ = own_training({"optimizer": momentum, "loss": ["mse"]})
    assert found is not None
    assert found["optimizer_config"]["class_name"] == "Momentum"
    assert found["optimizer_config"]["config"]["useNesterov"] is True
    sound = {"optimizer": adam, "loss": "mse", "metrics": None}
    assert own_training(sound)[0] is not None
    schedule = {"class_name": "ExponentialDecay", "config": {}}
    others: list[dict[str, Json]] = [
        {"loss": None},
        {"loss": "huber"},
        {"loss": loss | {"config": {"reduction": "sum"}}},
        {"loss": {"class_name": "BinaryCrossentropy", "config": {"from_logits": True}}},
        {"metrics": ["auc"]},
        {"loss_weights": [1, 2]},
        {"weighted_metrics": ["mae"]},
        {"optimizer": None},
        {"optimizer": {"class_name": "Adam", "config": {"learning_rate": schedule}}},
        {"optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.5, "amsgrad": True}}},
        {"optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.5, "clipnorm": 1.0}}},
        {"optimizer": {"class_name": "RMSprop", "config": {"learning_rate": 0.5, "decay": 0.1}}},
        {"optimizer": {"class_name": "Adagrad", "config": {"learning_rate": 0.5, "epsilon": 0.1}}},
        {"optimizer": {"class_name": "Lion", "config": {"learning_rate": 0.5}}},
    ]
    assert [own_training(sound | other)[0] for other in others] == [None] * len(others)
    assert all(own_training(sound | other)[1] for other in others)


@pytest.mark.clause("KJ-15@ffc3c7")
def test_layers_of_one_name_get_names_of_their_own(kit: Any) -> None:
    """Two models in a model may have layers of one name: the second one's gets another, in calls and weights too."""
    config: dict[str, Json] = {"name": "start", "batch_input_shape": [None, 2], "dtype": "float32", "sparse": False}
    start: dict[str, Json] = {"class_name": "InputLayer", "name": "start", "config": config, "inbound_nodes": []}
    parts = []
    for name in ("one", "two"):
        inner = sequential(node("Dense", "same", batch_input_shape=[None, 2], units=2))["model_config"]
        inner["config"]["name"] = name
        before = "start" if name == "one" else "one"
        calls: Json = [[[before, 0 if name == "one" else 1, 0, {}]]]
        parts.append(inner | {"name": name, "inbound_nodes": calls})
    config = {"name": "outer", "layers": [start, *parts]}
    config |= {"input_layers": [["start", 0, 0]], "output_layers": [["two", 1, 0]]}
    topology = {"keras_version": "2.3.1", "model_config": {"class_name": "Model", "config": config}}
    shapes: dict[str, tuple[int, ...]] = {"kernel": (2, 2), "bias": (2,)}
    made = [kit.weight(f"{way}{role}", numbers(*shapes[role])) for way in ("same/", "two/same/") for role in shapes]
    model = kit.read(kit.write(topology, made))
    report = Report()
    model.native.clear()
    tree = kit.document(kit.back(model, report=report))
    names = [entry["name"] for entry in tree["weightsManifest"][0]["weights"]]
    assert names == ["same/kernel", "same/bias", "two_same/kernel", "two_same/bias"]
    inner = tree["modelTopology"]["model_config"]["config"]["layers"][2]["config"]["layers"]
    assert [layer["config"]["name"] for layer in inner] == ["same_input", "two_same"]
    assert list(kinds(report, "translated")) == ["two/same"]


@pytest.mark.clause("KJ-15@ffc3c7")
def test_chains_that_wait_for_their_input_get_one(kit: Any) -> None:
    """A Sequential model without an input layer is given one, and calls of it are counted from the next number on."""
    config: dict[str, Json] = {"name": "start", "batch_input_shape": [None, 4], "dtype": "float32", "sparse": False}
    start: dict[str, Json] = {"class_name": "InputLayer", "name": "start", "config": config, "inbound_nodes": []}
    inner = sequential(node("Dense", "deep", units=2))["model_config"]
    inner["config"] |= {"name": "inner", "build_input_shape": [None, 4]}
    inner |= {"name": "inner", "inbound_nodes": [[["start", 0, 0, {}]]]}
    last = node("Activation", "last", activation="tanh") | {"name": "last", "inbound_nodes": [[["inner", 0, 0, {}]]]}
    outer: dict[str, Json] = {"name": "outer", "layers": [start, inner, last]}
    outer |= {"input_layers": [["start", 0, 0]], "output_layers": [["last", 0, 0]]}
    topology = {"keras_version": "2.3.1", "model_config": {"class_name": "Model", "config": outer}}
    made = [kit.weight("deep/kernel", numbers(4, 2)), kit.weight("deep/bias", numbers(2))]
    report = Report()
    tree = kit.document(kit.back(kit.read(kit.write(topology, made), native=False), report=report))
    _, inner, last = tree["modelTopology"]["model_config"]["config"]["layers"]
    first = inner["config"]["layers"][0]
    assert first == {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "deep_input"},
    }
    assert last["inbound_nodes"] == [[["inner", 1, 0, {}]]]
    assert list(kinds(report, "translated")) == ["inner"]
    unknown: dict[str, Json] = copy.deepcopy(topology)
    del unknown["model_config"]["config"]["layers"][1]["config"]["build_input_shape"]
    report = Report()
    with pytest.raises(TransferError):
        kit.back(kit.read(kit.write(unknown, made), native=False), report=report)
    assert list(kinds(report, "not-transferable")) == ["inner"]


@pytest.mark.clause("KJ-25@d92050")
def test_the_state_of_an_optimizer_comes_and_goes(kit: Any) -> None:
    """Slots that TensorFlow.js stores are those of the variables, and a state that has no word there is left out."""
    own: dict[str, Json] = {
        "class_name": "RMSProp",
        "config": {"learningRate": 0.5, "decay": 0.75, "momentum": 0, "epsilon": 1e-7},
    }
    training = {"loss": "mean_squared_error", "metrics": [], "optimizer_config": own}
    weights = kit.dense_weights()
    slots = [kit.weight("iter", np.array(3, "int32"), group="optimizer")]
    for suffix in ("rms", "momentum"):
        for at, (entry, _) in enumerate(weights):
            array = numbers(*entry["shape"], seed=at) ** 2 if suffix == "rms" else np.zeros(entry["shape"], "float32")
            slots.append(kit.weight(f"{entry['name']}/{suffix}", array, group="optimizer"))
    report = Report()
    model = kit.read(kit.write(kit.dense_topology(), [*weights, *slots], trainingConfig=training), report=report)
    optimizer = model.optimizer.optimizers["optimizer"]
    assert (optimizer.algorithm, optimizer.step, optimizer.hyperparameters["rho"]) == ("keras:RMSprop", 3, 0.75)
    assert {path: list(found) for path, found in optimizer.slots.items()} == {
        entry["name"]: ["velocity"] for entry, _ in weights
    }
    kernel = optimizer.slots["second/kernel"]["velocity"].numpy()
    np.testing.assert_array_equal(kernel, numbers(3, 2, seed=2) ** 2)
    assert set(kinds(report, "left-out")) == {f"{entry['name']}/momentum" for entry, _ in weights}
    model.native.clear()
    back = kit.document(kit.back(model))["weightsManifest"][0]["weights"]
    assert [entry["name"] for entry in back if entry.get("group")] == [
        "iter", *(f"{entry['name']}/rms" for entry, _ in weights),
    ]  # fmt: skip
    optimizer.hyperparameters["clipnorm"] = 1.0
    report = Report()
    assert "trainingConfig" not in kit.document(kit.back(model, report=report))
    assert {f"optimizer/{entry['name']}/velocity" for entry, _ in weights} < set(kinds(report, "left-out"))
    report = Report()
    odd = training | {"optimizer_config": {"class_name": "Momentum", "config": own["config"] | {"momentum": 0.5}}}
    model = kit.read(kit.write(kit.dense_topology(), [*weights, *slots], trainingConfig=odd), report=report)
    assert not model.optimizer.optimizers["optimizer"].slots
    assert len(kinds(report, "left-out")) == len(slots)


@pytest.mark.clause("KJ-25@d92050")
def test_the_count_of_sgd_comes_and_goes(kit: Any) -> None:
    """SGD without momentum has no slots, so that its number of updates is all its state, in both."""
    own = {"class_name": "SGD", "config": {"learningRate": 0.5}}
    training = {"loss": "mean_squared_error", "metrics": [], "optimizer_config": own}
    weights = [*kit.dense_weights(), kit.weight("iter", np.array(7, "int32"), group="optimizer")]
    folder = kit.write(kit.dense_topology(), weights, trainingConfig=training)
    report = Report()
    model = kit.read(folder, report=report)
    assert model.optimizer.optimizers["optimizer"].step == 7
    assert not kinds(report, "left-out")
    assert kit.files(kit.back(model)) == kit.files(folder)
    model.native.clear()
    back = kit.back(model)
    assert kit.document(back)["weightsManifest"][0]["weights"][-1] == weights[-1][0]
    assert kit.read(back).optimizer.optimizers["optimizer"].step == 7


def of_javascript(kit: Any, layers: list[tuple[str, dict[str, Json]]], weights: dict[str, Any]) -> Any:
    """The model of a Sequential that TensorFlow.js saved."""
    nodes = [{"class_name": kind, "config": config} for kind, config in layers]
    topology = {"class_name": "Sequential", "config": {"name": "chain", "layers": nodes}}
    topology |= {"keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"}
    entries = [kit.weight(name, array) for name, array in weights.items()]
    return kit.read(kit.write(topology, entries, kind="layers-model"))


@pytest.mark.clause("KJ-10@192931")
def test_what_javascript_leaves_out_or_writes_twice(kit: Any) -> None:
    """A size that is left open, the multiplier of a separable kernel, and the settings of a cell beside its RNN."""
    cell = {
        "name": "cell",
        "units": 2,
        "activation": "tanh",
        "use_bias": True,
        "dropout": 0,
        "kernel_regularizer": None,
    }
    rnn = {"name": "rnn", "trainable": True, **cell, "return_sequences": True, "unroll": False}
    rnn |= {"name": "rnn", "cell": {"class_name": "SimpleRNNCell", "config": cell}, "batch_input_shape": [None, 4, 3]}
    model = of_javascript(
        kit,
        [("RNN", rnn), ("Reshape", {"name": "reshape", "target_shape": [2, None]})],
        {
            "rnn/kernel": np.ones((3, 2), "float32"),
            "rnn/recurrent_kernel": np.ones((2, 2), "float32"),
            "rnn/bias": np.ones(2, "float32"),
        },
    )
    attrs = model.config.find("rnn").attrs
    assert attrs["return_sequences"] is True
    assert not {"units", "activation", "use_bias", "dropout", "kernel_regularizer"} & attrs.keys()
    assert model.config.find("rnn/cell").attrs["units"] == 2
    assert list(model.config.find("reshape").attrs["target_shape"]) == [2, -1]
    separable = {"name": "sep", "filters": 4, "kernel_size": [3, 3], "use_bias": False}
    separable |= {"batch_input_shape": [None, 6, 6, 2]}
    weights = {
        "sep/depthwise_kernel": np.ones((3, 3, 2, 5), "float32"),
        "sep/pointwise_kernel": np.ones((1, 1, 10, 4), "float32"),
    }
    for given, expected in (({}, 5), ({"depth_multiplier": None}, 5), ({"depth_multiplier": 2}, 2)):
        model = of_javascript(kit, [("SeparableConv2D", separable | given)], weights)
        assert model.config.find("sep").attrs["depth_multiplier"] == expected


@pytest.mark.clause("KJ-31@c1ac9b")
def test_layers_that_keras_computes_otherwise_are_named(kit: Any) -> None:
    """A setting that TensorFlow.js does not heed is one of Keras from now on, and the report names the layer."""
    topology = kit.dense_topology()
    up = {"name": "up", "size": [2, 2], "interpolation": "bilinear", "batch_input_shape": [None, 2, 2, 1]}
    inner = {"name": "inner", "layers": [{"class_name": "UpSampling2D", "config": up}]}
    elu = {"name": "elu", "alpha": 0.5}
    topology["model_config"]["config"]["layers"] = [
        {"class_name": "Sequential", "config": inner},
        {"class_name": "TimeDistributed", "config": {"name": "each", "layer": {"class_name": "ELU", "config": elu}}},
        {"class_name": "Flatten", "config": {"name": "flat"}},
    ]
    report = Report()
    kit.read(kit.write(topology), report=report)
    told = {entry.subject: entry.detail for entry in report.entries if entry.kind == "module"}
    assert told == {
        "inner/up": "is what Keras takes it for: UpSampling2D of TensorFlow.js does not heed interpolation",
        "each": "is what Keras takes it for: ELU of TensorFlow.js does not heed alpha",
    }
    report = Report()
    kit.read(kit.dense(), report=report)
    assert not [entry for entry in report.entries if entry.kind == "module"]


@pytest.mark.clause("KJ-18@32832d")
def test_a_number_that_json_does_not_have_is_refused(kit: Any) -> None:
    """NaN in a config has no form in JavaScript's JSON."""
    topology = kit.dense_topology()
    model = kit.read(kit.write(topology, kit.dense_weights()), native=False)
    model.config.find("first").attrs["rate"] = math.nan
    with pytest.raises(EtuiError) as caught:
        kit.back(model)
    assert caught.value.code == "tfjs-value"


@pytest.mark.library
def test_only_a_model_of_the_same_kind_of_folder_is_replaced(kit: Any) -> None:
    """A folder with other files stays, a file is no place for a folder, and a model is replaced by another one."""
    source, target = kit.dense(), kit.dense(userDefinedMetadata={"old": True})
    (target / "notes.txt").write_text("mine")
    with pytest.raises(StorageError) as caught:
        etui.convert(source, target, to="tfjs-layers")
    assert caught.value.code == "target-other-format"
    with pytest.raises(UsageError):
        etui.convert(source, source / "model.json", to="tfjs-layers")
    (target / "notes.txt").unlink()
    etui.convert(source, target, to="tfjs-layers")
    assert kit.files(target) == kit.files(source)
    etui.convert(target, target, to="tfjs-layers", native=False)
    assert kit.document(target)["convertedBy"] == "Etui"


@pytest.mark.library
def test_a_write_that_fails_leaves_what_was_there(kit: Any, tmp_path: Path) -> None:
    """A folder is replaced when all its files are whole, and a failure leaves no trace."""
    source, target = kit.dense(), kit.dense(userDefinedMetadata={"old": True})
    before, names = kit.files(target), sorted(path.name for path in tmp_path.iterdir())

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    for native in (True, False):
        with pytest.raises(KeyboardInterrupt):
            etui.convert(source, target, to="tfjs-layers", native=native, progress=fail)
        assert kit.files(target) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.library
def test_a_model_goes_through_an_etui(kit: Any, tmp_path: Path) -> None:
    """By way of an artifact a model comes back file by file, with its own document or, without, as one written anew."""
    source = kit.dense()
    etui.convert(source, tmp_path / "kept.etui")
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to="tfjs-layers")
    assert kit.files(tmp_path / "back") == kit.files(source)
    model, bridge = read(tmp_path / "back")
    with model:
        assert bridge.name == "tfjs-layers"
        before = copy.deepcopy(json.loads((source / "model.json").read_text()))
        assert kit.document(tmp_path / "back") == before
