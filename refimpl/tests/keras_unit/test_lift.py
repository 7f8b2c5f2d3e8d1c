"""Configs of Keras 1 and 2, and of Keras 3's legacy files, brought to the form of `config.json` (annex C)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.lift import dialect_of, lift, lift_object, lower
from etui.errors import EtuiError

Json = Any


def old(kind: str, name: str, **config: Json) -> dict[str, Json]:
    """A layer's node as legacy files write it."""
    return {"class_name": kind, "config": {"name": name, "trainable": True} | config}


def read(tree: Json, version: str | None) -> Any:
    """The neutral config of a legacy tree."""
    return ConfigReader(lift(tree, version), dialect_of(version), lambda _: False).read()


def only(kind: str, **config: Json) -> dict[str, Json]:
    """The lifted node of one layer in a Sequential model of Keras 1."""
    node: dict[str, Json] = lift({"class_name": "Sequential", "config": [old(kind, "it", **config)]}, "1.2.2")
    layer: dict[str, Json] = node["config"]["layers"][-1]
    return layer


@pytest.mark.library
@pytest.mark.parametrize(("version", "dialect"), [(None, "tf_keras"), ("1.1.0", "tf_keras"), ("2.4.0", "tf_keras"),
                                                  ("2.2.4-tf", "tf_keras"), ("3.15.1", "keras")])  # fmt: skip
def test_the_version_tells_the_dialect(version: str | None, dialect: str) -> None:
    """Versions from 3 on are of Keras 3, all others of Keras 2 and before."""
    assert dialect_of(version) == dialect


@pytest.mark.clause("KH-2@65b06f")
def test_classes_get_the_module_that_exports_them() -> None:
    """Layers, initializers and policies are told apart by their place, and an author's own class stays his own."""
    dense = old(
        "Dense",
        "a",
        kernel_initializer={"class_name": "Identity", "config": {}},
        kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.1}},
        dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}},
    )
    own = old("pack>Mine", "b", inner={"class_name": "Dense", "config": {"units": 1}})
    plain = old("Other", "c")
    tree = lift({"class_name": "Sequential", "config": {"name": "s", "layers": [dense, own, plain]}}, "2.4.0")
    assert (tree["module"], tree["registered_name"]) == ("keras", None)
    first, second, third = tree["config"]["layers"]
    assert first["module"] == "keras.layers"
    assert first["config"]["kernel_initializer"]["module"] == "keras.initializers"
    assert first["config"]["kernel_regularizer"]["module"] == "keras.regularizers"
    assert first["config"]["dtype"]["module"] == "keras.mixed_precision"
    assert (second["module"], second["class_name"], second["registered_name"]) == (None, "Mine", "pack>Mine")
    assert second["config"]["inner"]["module"] == "keras.layers"
    assert (third["module"], third["registered_name"]) == (None, "Other")
    assert read(tree, "2.4.0").find("b").op == "custom:pack>Mine"


@pytest.mark.clause("KH-2@65b06f")
def test_a_model_with_a_graph_is_a_functional_model() -> None:
    """`Model` of Keras 2 with layers and ends is Functional; calls without keyword arguments get empty ones."""
    layers = [
        old("InputLayer", "i", batch_input_shape=[None, 3]) | {"name": "i", "inbound_nodes": []},
        old("Dense", "d") | {"name": "d", "inbound_nodes": [[["i", 0, 0]]]},
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}
    tree = {"class_name": "Model", "config": config, "keras_version": "1.2.2", "backend": "theano"}
    lifted = lift(tree, "1.2.2")
    assert lifted["class_name"] == "Functional"
    assert lifted["module"] == "tf_keras.src.engine.functional"
    assert lifted.keys() == {"module", "class_name", "config", "registered_name"}
    assert lifted["config"]["layers"][1]["inbound_nodes"] == [[["i", 0, 0, {}]]]
    assert [call.module for call in read(tree, "1.2.2").model.graph.calls] == ["i", "d"]


@pytest.mark.clause("KH-3@f98992")
@pytest.mark.parametrize("nested", [False, True])
def test_a_sequential_model_gets_the_input_layer_that_its_first_layer_names(nested: bool) -> None:
    """The batch shape of the first layer, or of the first layer of a first model, becomes an input layer."""
    first = old("Dense", "d", batch_input_shape=[None, 4], dtype="float64", units=2)
    layers: Json = [first, old("Dense", "e", units=1)]
    if nested:
        layers = [{"class_name": "Sequential", "config": {"name": "in", "layers": layers}}]
    config = read({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, "2.0.8")
    names = [module.name for module in config.model.modules]
    assert names == (["in_input", "in"] if nested else ["d_input", "d", "e"])
    assert config.model.modules[0].attrs["batch_input_shape"] == [None, 4]
    assert config.model.modules[0].attrs["dtype"] == "float64"
    assert config.model.graph is not None


@pytest.mark.clause("KH-3@f98992")
def test_a_sequential_model_of_unknown_input_gets_no_input_layer() -> None:
    """Without a batch shape nothing is put in front; the list of an older file becomes a map with a name."""
    tree = lift({"class_name": "Sequential", "config": [old("Dense", "d")]}, "2.1.0")
    assert [node["config"]["name"] for node in tree["config"]["layers"]] == ["d"]
    assert tree["config"]["name"] == "sequential"


RENAMES: list[tuple[str, dict[str, Json], str, dict[str, Json]]] = [
    (
        "Dense",
        {"output_dim": 3, "input_dim": 2, "bias": True, "init": "zero", "W_regularizer": {"l1": 0.0, "l2": 0.1,
         "name": "WeightRegularizer"}},
        "Dense",
        {"units": 3, "use_bias": True, "kernel_initializer": "zeros"},
    ),
    ("Dropout", {"p": 0.5}, "Dropout", {"rate": 0.5}),
    ("GaussianNoise", {"sigma": 0.5}, "GaussianNoise", {"stddev": 0.5}),
    (
        "Convolution2D",
        {"nb_filter": 8, "nb_row": 3, "nb_col": 2, "border_mode": "same", "subsample": [1, 2], "dim_ordering": "th",
         "b_constraint": {"name": "MaxNorm", "m": 2, "axis": 0}},
        "Conv2D",
        {"filters": 8, "kernel_size": [3, 2], "padding": "same", "strides": [1, 2], "data_format": "channels_first"},
    ),
    (
        "AtrousConvolution1D",
        {"nb_filter": 8, "filter_length": 3, "atrous_rate": 2, "subsample_length": 1},
        "Conv1D",
        {"filters": 8, "kernel_size": [3], "dilation_rate": [2], "strides": [1]},
    ),
    (
        "LSTM",
        {"output_dim": 3, "inner_init": "orthogonal", "forget_bias_init": "one", "inner_activation": "hard_sigmoid",
         "dropout_W": 0.1, "dropout_U": 0.2, "consume_less": "gpu", "U_regularizer": None},
        "LSTM",
        {"units": 3, "recurrent_initializer": "orthogonal", "unit_forget_bias": True, "dropout": 0.1,
         "recurrent_activation": "hard_sigmoid", "recurrent_dropout": 0.2, "implementation": 2,
         "recurrent_regularizer": None},
    ),
    ("Embedding", {"input_dim": 5, "output_dim": 2, "init": "uniform", "dropout": 0.0}, "Embedding",
     {"input_dim": 5, "output_dim": 2, "embeddings_initializer": "uniform"}),
    ("MaxPooling1D", {"pool_length": 2, "stride": 2, "border_mode": "valid"}, "MaxPooling1D",
     {"pool_size": [2], "strides": [2], "padding": "valid"}),
    ("BatchNormalization", {"mode": 0, "beta_init": "zero", "gamma_init": "one"}, "BatchNormalization",
     {"beta_initializer": "zeros", "gamma_initializer": "ones"}),
    ("Merge", {"mode": "concat", "concat_axis": 1}, "Concatenate", {"axis": 1}),
    ("Merge", {"mode": "ave"}, "Average", {}),
    ("Merge", {"mode": "cos", "dot_axes": 1}, "Dot", {"axes": 1, "normalize": True}),
    ("UpSampling2D", {"size": [2, 2], "dim_ordering": "tf"}, "UpSampling2D",
     {"size": [2, 2], "data_format": "channels_last"}),
]  # fmt: skip


@pytest.mark.clause("KH-4@3fc7c2")
@pytest.mark.parametrize(("kind", "given", "expected", "config"), RENAMES, ids=[row[0] for row in RENAMES])
def test_layers_of_keras_1_get_the_names_of_keras_2(
    kind: str, given: dict[str, Json], expected: str, config: dict[str, Json]
) -> None:
    """Class and fields are renamed, and no name of Keras 1 stays."""
    lifted = only(kind, **given)
    assert (lifted["module"], lifted["class_name"]) == ("keras.layers", expected)
    found = lifted["config"]
    assert {key: found[key] for key in config} == config
    assert not (found.keys() & given.keys()) - config.keys()


@pytest.mark.clause("KH-4@3fc7c2")
def test_penalties_of_keras_1_get_a_class() -> None:
    """A regularizer that is a map of its fields becomes an object, and a constraint's limit gets its new name."""
    found = only("Dense", output_dim=1, W_regularizer={"l1": 0.5, "l2": 0.1, "name": "L1L2Regularizer"},
                 W_constraint={"name": "MaxNorm", "m": 3})["config"]  # fmt: skip
    assert found["kernel_regularizer"]["class_name"] == "L1L2"
    assert found["kernel_regularizer"]["module"] == "keras.regularizers"
    assert found["kernel_regularizer"]["config"] == {"l1": 0.5, "l2": 0.1}
    assert found["kernel_constraint"]["config"] == {"max_value": 3}


@pytest.mark.clause("KH-1@97946d")
@pytest.mark.parametrize(
    "node",
    [
        old("Graph", "g"),
        old("Merge", "m", mode=["aw=="]),
        old("Merge", "m", mode="lambda"),
        old("Embedding", "e", dropout=0.5),
        old("BatchNormalization", "b", mode=1),
    ],
    ids=lambda node: node["class_name"],
)
def test_what_keras_1_alone_can_say_is_refused(node: Json) -> None:
    """A layer without an equal in Keras 2 gives an error that names it."""
    with pytest.raises(EtuiError) as caught:
        lift({"class_name": "Sequential", "config": [node]}, "1.0.8")
    assert caught.value.code == "keras-legacy"


@pytest.mark.clause("K-3@83a649")
@pytest.mark.parametrize("tree", [{}, {"class_name": "Sequential", "config": 3}, {"class_name": "Sequential"},
                                  {"class_name": "Sequential", "config": [3]},
                                  {"class_name": "Sequential", "config": {"layers": {}}}])  # fmt: skip
def test_a_tree_of_another_form_is_refused(tree: Json) -> None:
    """What is no model gives `keras-config`."""
    with pytest.raises(EtuiError) as caught:
        lift(tree, "2.4.0")
    assert caught.value.code == "keras-config"


@pytest.mark.clause("KH-5@85f4f3")
def test_older_and_newer_optimizers_are_told_apart() -> None:
    """tf_keras writes newer optimizers as registered classes, and older ones by their plain name."""
    where = "training_config"
    newer = lift_object({"class_name": "Custom>Adam", "config": {}}, "optimizers", "2.21.0", where=where)
    assert (newer["module"], newer["class_name"]) == ("keras.optimizers", "Adam")
    older = lift_object({"class_name": "Adam", "config": {"decay": 0.0}}, "optimizers", "2.4.0", where=where)
    assert (older["module"], older["class_name"]) == ("keras.optimizers.legacy", "Adam")
    rate = {"class_name": "ExponentialDecay", "config": {}}
    three = lift_object({"class_name": "SGD", "config": {"learning_rate": rate}}, "optimizers", "3.15.1", where=where)
    assert three["module"] == "keras.optimizers"
    assert three["config"]["learning_rate"]["module"] == "keras.optimizers.schedules"
    mine = lift_object({"class_name": "mine>Adam", "config": {}}, "optimizers", "2.21.0", where=where)
    assert (mine["module"], mine["registered_name"]) == (None, "mine>Adam")


@pytest.mark.clause("KH-6@b8609b")
def test_lowering_gives_the_short_form_back() -> None:
    """What was lifted is written in the short form again, without a change to what is in the layers."""
    inner = {"class_name": "Sequential", "config": {"name": "in", "layers": [old("pack>Mine", "m")]}}
    layers = [
        old("InputLayer", "i", batch_shape=[None, 3]) | {"name": "i", "inbound_nodes": []},
        inner | {"name": "in", "inbound_nodes": [{"args": [], "kwargs": {}}]},
    ]
    config = {"name": "m", "trainable": True, "layers": layers, "input_layers": [["i", 0, 0]]}
    tree = {"class_name": "Functional", "config": config | {"output_layers": [["in", 1, 0]]}}
    before = copy.deepcopy(tree)
    assert lower(lift(tree, "3.15.1")) == before
    assert tree == before


@pytest.mark.library
@pytest.mark.parametrize("kind", ["AddLoss", "AddMetric"])
def test_layers_of_added_losses_are_of_the_inside_of_keras_2(kind: str) -> None:
    """They are no classes of the author's, so that the translation to Keras 3 tells that it has none of them."""
    tree = {"class_name": "Sequential", "config": {"name": "s", "layers": [old(kind, "a")]}}
    found = lift(tree, "2.15.0")
    assert found["config"]["layers"][0]["module"] == "tf_keras.src.engine.base_layer"
    assert read(tree, "2.15.0").model.modules[0].op == f"tf_keras:src.engine.base_layer.{kind}"
    assert lower(found)["config"]["layers"][0]["class_name"] == kind


@pytest.mark.clause("KH-6@b8609b", "KH-26@82a53d")
def test_operations_of_keras_3_are_told_from_layers() -> None:
    """`Add` without a flag is the operation, with one the layer; only the operation keeps its module when lowered."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 3]}},
        {"class_name": "Add", "config": {"name": "op"}},
        old("Add", "layer"),
        {"class_name": "Unheard", "config": {"name": "own"}},
    ]
    tree = lift({"class_name": "Sequential", "config": {"name": "s", "trainable": True, "layers": layers}}, "3.15.1")
    modules = [node["module"] for node in tree["config"]["layers"]]
    assert modules == ["keras.layers", "keras.src.ops.numpy", "keras.layers", None]
    lowered = lower(tree)["config"]["layers"]
    assert [node.get("module") for node in lowered] == [None, "keras.src.ops.numpy", None, None]
