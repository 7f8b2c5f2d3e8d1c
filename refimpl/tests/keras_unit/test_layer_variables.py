"""The variables of layers without a weights file, as measured on Keras 3.15 and tf_keras 2.21 (annex C)."""

from __future__ import annotations

from typing import Any

import pytest

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.layer_variables import LayerVariables, layer_variables
from etui.bridges.keras.layout import adopt_groups
from etui.bridges.keras.lift import lift
from etui.bridges.keras.names import snake_case

Json = Any
VERSIONS = {"keras": "3.15.1", "tf_keras": "2.21.0"}


def node(kind: str, name: str, **config: Json) -> dict[str, Json]:
    """A layer's node as legacy files write it."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32"} | config}


def model(*layers: Json, name: str = "s") -> dict[str, Json]:
    """A Sequential model of layers."""
    return {"class_name": "Sequential", "config": {"name": name, "dtype": "float32", "layers": list(layers)}}


def variables(dialect: str, *layers: Json) -> list[LayerVariables]:
    """The variables of the layers of a Sequential model."""
    tree = lift(model(*layers), VERSIONS[dialect])
    return layer_variables(ConfigReader(tree, dialect, lambda _: False).read(), dialect)


def shown(found: LayerVariables) -> list[str]:
    """Layout names without the layer's own group, in the order of the layer's weights."""
    return [one.layout.removeprefix(f"{found.group}/").replace("/vars/", "/").removeprefix("vars/")
            for one in found.variables]  # fmt: skip


CELL = ["cell/0", "cell/1", "cell/2"]
BOTH = [f"{way}_layer/{one}" for way in ("forward", "backward") for one in CELL]
PROJECTIONS = ["query_dense", "key_dense", "value_dense", "output_dense"]
LSTM = node("LSTM", "lstm")
CASES: list[tuple[str, Json, list[str], list[str]]] = [
    ("keras", node("Dense", "d"), ["0", "1"], ["_kernel", "bias"]),
    ("tf_keras", node("Dense", "d", use_bias=False), ["0"], ["kernel"]),
    ("tf_keras", node("DepthwiseConv2D", "d"), ["0", "1"], ["depthwise_kernel", "bias"]),
    ("keras", node("DepthwiseConv2D", "d"), ["0", "1"], ["kernel", "bias"]),
    ("keras", node("Conv2D", "d"), ["0", "1"], ["_kernel", "bias"]),
    ("keras", node("Conv2DTranspose", "d"), ["0", "1"], ["kernel", "bias"]),
    ("tf_keras", node("LocallyConnected1D", "d"), ["0", "1"], ["kernel", "bias"]),
    ("tf_keras", node("CuDNNLSTM", "d"), ["0", "1", "2"], ["kernel", "recurrent_kernel", "bias"]),
    ("tf_keras", node("ThresholdedReLU", "d"), [], []),
    ("tf_keras", node("BatchNormalization", "d", trainable=False), ["0", "1", "2", "3"],
     ["gamma", "beta", "moving_mean", "moving_variance"]),
    ("tf_keras", node("SyncBatchNormalization", "d"), ["0", "1", "2", "3"],
     ["gamma", "beta", "moving_mean", "moving_variance"]),
    ("tf_keras", node("RandomFourierFeatures", "d"), ["0", "1", "2"], ["kernel_scale", "unscaled_kernel", "bias"]),
    ("tf_keras", node("Normalization", "d", mean=None), ["0", "1", "2"], ["adapt_mean", "adapt_variance", "count"]),
    ("keras", node("Normalization", "d", mean=1.0), [], []),
    ("tf_keras", LSTM, CELL, ["kernel", "recurrent_kernel", "bias"]),
    ("keras", node("ConvLSTM2D", "d"), CELL, ["kernel", "recurrent_kernel", "bias"]),
    ("keras", node("RNN", "r", cell=node("GRUCell", "g", use_bias=False)), CELL[:2], ["kernel", "recurrent_kernel"]),
    ("tf_keras", node("Bidirectional", "b", layer=LSTM), BOTH, ["kernel", "recurrent_kernel", "bias"] * 2),
    ("keras", node("TimeDistributed", "t", layer=node("Dense", "d")), ["layer/0", "layer/1"], ["_kernel", "bias"]),
    ("tf_keras", node("MultiHeadAttention", "m"), [f"_{one}/{at}" for one in PROJECTIONS for at in (0, 1)],
     ["kernel", "bias"] * 4),
    ("keras", node("MultiHeadAttention", "m", use_bias=False), [f"{one}/0" for one in PROJECTIONS], ["_kernel"] * 4),
    ("keras", node("GroupQueryAttention", "m", use_bias=False), [f"_{one}/0" for one in PROJECTIONS], ["_kernel"] * 4),
    ("keras", node("SpectralNormalization", "n", layer=node("Dense", "d")), ["0", "layer/1", "1"],
     ["kernel", "bias", "vector_u"]),
    ("tf_keras", node("StringLookup", "l", output_mode="int"), [], []),
    ("tf_keras", node("StringLookup", "l", output_mode="tf_idf"), ["idf_weights"], ["idf_weights"]),
    ("keras", node("StringLookup", "l", output_mode="tf_idf"), [], []),
]  # fmt: skip


@pytest.mark.clause("KH-7@62e0d0")
@pytest.mark.parametrize(("dialect", "layer", "layouts", "attributes"), CASES,
                         ids=[f"{row[0]}-{row[1]['class_name']}" for row in CASES])  # fmt: skip
def test_layers_have_the_variables_that_the_frameworks_list(
    dialect: str, layer: Json, layouts: list[str], attributes: list[str]
) -> None:
    """Layout names and the attributes of TensorFlow's objects are those that were measured."""
    (found,) = variables(dialect, layer)
    kind = "GroupedQueryAttention" if layer["class_name"] == "GroupQueryAttention" else layer["class_name"]
    assert found.group == f"layers/{snake_case(kind)}"
    assert found.name == layer["config"]["name"]
    assert shown(found) == layouts
    assert [one.attribute for one in found.variables] == attributes
    assert found.known
    assert f"{found.group}/vars" in found.groups


@pytest.mark.clause("KH-7@62e0d0")
def test_trainable_variables_come_first_and_a_frozen_layer_moves_its_own_behind() -> None:
    """The order of a nested model's weights follows the flags of its layers."""
    layers = [node("Dense", "a"), node("BatchNormalization", "n"), node("Dense", "b")]
    orders = []
    for frozen in (None, 0):
        inner = [dict(layer, config=layer["config"] | {"trainable": at != frozen}) for at, layer in enumerate(layers)]
        (found,) = variables("tf_keras", model(*inner, name="in"))
        orders.append(shown(found))
    first = [f"layers/{one}" for one in ("dense/0", "dense/1", "batch_normalization/0", "batch_normalization/1")]
    last = ["layers/batch_normalization/2", "layers/batch_normalization/3"]
    second = ["layers/dense_1/0", "layers/dense_1/1"]
    assert orders == [first + second + last, first[2:] + second + first[:2] + last]


@pytest.mark.clause("KH-7@62e0d0")
def test_a_frozen_model_lists_layer_after_layer() -> None:
    """Nothing of a frozen model is trainable, so that each layer's variables stay together."""
    layers = [node("BatchNormalization", "n", trainable=False), node("Dense", "b", trainable=False)]
    (found,) = variables("keras", model(*layers, name="in"))
    assert [one.role for one in found.variables] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "kernel",
        "bias",
    ]
    assert [one.trainable for one in found.variables] == [False] * 6
    assert [one.own for one in found.variables] == [True, True, False, False, True, True]


@pytest.mark.clause("KH-7@62e0d0")
def test_owners_and_names_say_where_a_variable_is() -> None:
    """The way to the owner follows attributes and list numbers, and the names are those of Keras."""
    stacked = node("StackedRNNCells", "cells", cells=[node("LSTMCell", "one"), node("LSTMCell", "two")])
    (found,) = variables("tf_keras", node("Bidirectional", "b", layer=node("RNN", "rnn", cell=stacked)))
    assert len(found.variables) == 12
    second = found.variables[3]
    assert second.layout == "layers/bidirectional/forward_layer/cell/cells/lstm_cell_1/vars/0"
    assert second.owner == ("forward_layer", "cell", "cells", "1")
    assert second.names == ("b", "forward_rnn", "cells", "two")
    assert found.variables[6].names[1] == "backward_rnn"
    (inner,) = variables("keras", model(node("Dropout", "x"), node("Dense", "d"), name="in"))
    assert [one.owner for one in inner.variables] == [("layers", "1")] * 2


@pytest.mark.clause("KH-7@62e0d0")
def test_a_variable_that_is_stored_twice_is_listed_once() -> None:
    """SpectralNormalization shares its layer's kernel, and the second name in the layout is told."""
    (found,) = variables("keras", node("SpectralNormalization", "n", layer=node("Dense", "d")))
    assert found.variables[0].copies == ("layers/spectral_normalization/layer/vars/0",)
    assert [one.copies for one in found.variables[1:]] == [(), ()]


@pytest.mark.clause("KH-7@62e0d0")
def test_what_attributes_do_not_decide_has_alternatives() -> None:
    """A quantized layer may have zero points or not, and a layer of an unknown class has no known variables."""
    quantized = {"module": "keras", "class_name": "QuantizedDTypePolicy", "registered_name": None}
    policy = quantized | {"config": {"mode": "int4/128", "source_name": "float32"}}
    (found,) = variables("keras", node("Dense", "d", dtype=policy))
    counts = [len(found.variables), *(len(other) for other in found.alternatives)]
    assert counts[:2] == [5, 3]
    (own,) = variables("keras", node("pack>Mine", "m"))
    assert (own.known, own.variables) == (False, ())


@pytest.mark.library
@pytest.mark.parametrize(("dialect", "private"), [("keras", ""), ("tf_keras", "_")])
def test_layers_that_a_file_shows_have_the_attributes_of_their_maker(dialect: str, private: str) -> None:
    """The projections of attention have their biases also where the groups of a file brought them into the config."""
    attention = node("MultiHeadAttention", "a", num_heads=2, key_dim=3, value_dim=None, use_bias=True)
    config = ConfigReader(lift(model(attention), VERSIONS[dialect]), dialect, lambda _: False).read()
    held = [f"layers/multi_head_attention/{private}{name}" for name in PROJECTIONS]
    groups = {"", "layers", "layers/multi_head_attention", *held, *(f"{one}/vars" for one in held)}
    adopt_groups(config, {group: {} for group in groups}, set())
    roles = [one.role for one in layer_variables(config, dialect)[0].variables]
    assert roles == ["kernel", "bias"] * 4
