"""Layers and calls of Keras 2 in the terms of Keras 3 and back: what becomes of each, and what is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.assets import written_assets
from etui.bridges.keras.dialects.normalize import dialect_of, to_dialect
from etui.bridges.keras.model_write import Writing
from etui.canonical.values import ModuleRef, ObjectValue, OutputRef
from etui.containers.config import Config, Module
from etui.model import Blob, Model
from etui.report import Report

Json = Any
OLD = "2.21.0"
POLICY = ObjectValue("keras:DTypePolicy", {"name": "float32"})


def old_input(name: str, *shape: int | None, dtype: str = "float32") -> Json:
    """An input layer as tf_keras writes it."""
    config = {"batch_input_shape": [None, *shape], "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}


def placed(node: Json, *inbound: Json) -> Json:
    """A layer with its inbound nodes."""
    return node | {"name": node["config"]["name"], "inbound_nodes": list(inbound)}


def old_graph(layers: list[Json], inputs: Json, outputs: Json, name: str = "model") -> Json:
    """A Functional model as tf_keras writes it."""
    config = {"name": name, "trainable": True, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    identity = {"module": "tf_keras.src.engine.functional", "class_name": "Functional"}
    return identity | {"config": config, "registered_name": "Functional", "build_config": {"input_shape": [None, 4]}}


def old_chain(kit: Any, *layers: Json) -> Model:
    """A Sequential model of Keras 2 behind an input of 4 numbers, without variables."""
    config = {"name": "model", "layers": [old_input("start", 4), *layers]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    found: Model = kit.model(tree, version=OLD)
    return found


def new_chain(kit: Any, *layers: Json) -> Model:
    """A Sequential model of Keras 3 behind an input of 4 numbers, without variables."""
    found: Model = kit.model(kit.sequential([kit.input("start", 4), *layers]))
    return found


def config_of(model: Model) -> Config:
    """The config, which is there."""
    assert model.config is not None
    return model.config


def module(model: Model, path: str) -> Module:
    """One module."""
    return config_of(model).find(path)


def translated(model: Model, dialect: Any, *, lost: bool = False) -> tuple[Model, Report]:
    """A model in the terms of a dialect, which holds and can be written."""
    before = Report()
    report = Report()
    found = to_dialect(model, dialect, report)
    assert dialect_of(found) == dialect
    assert bool(report.lost) == lost, report.lost
    assert Writing(found).config()["config"]
    assert to_dialect(found, dialect, before) is found
    assert before.entries == []
    return found, report


@pytest.mark.clause("KN-1@5d963b", "KN-5@5f0c00")
def test_a_model_in_the_right_terms_stays_the_same_object(kit: Any) -> None:
    """Nothing is done where nothing is to be done."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    report = Report()
    assert to_dialect(model, "keras", report) is model
    assert report.entries == []


@pytest.mark.clause("KN-3@39efb4", "KN-7@065797")
def test_variables_are_shared_and_documents_dropped(kit: Any) -> None:
    """The weights are the same object, the source stays as it was, and its own documents are left out."""
    config = {"name": "model", "layers": [old_input("start", 4), kit.layer("Dense", "first", units=3)]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    arrays = {"layers/dense/vars/0": np.ones((4, 3), "float32"), "layers/dense/vars/1": np.zeros(3, "float32")}
    path = kit.write(tree, arrays, version=OLD)
    model = kit.read(path)
    before = kit.content(path)["config"]
    found, report = translated(model, "keras")
    assert found.weights is model.weights
    assert Writing(model).config() == before
    assert found.native == {}
    assert {entry.subject: entry.status for entry in report.entries if entry.kind == "document"} == {
        "native/keras/config.json": "left-out",
        "native/keras/metadata.json": "left-out",
    }
    assert set(model.native) == {"native/keras/config.json", "native/keras/metadata.json"}


@pytest.mark.clause("KN-5@5f0c00", "KN-13@e33046")
def test_attributes_are_those_of_keras_3(kit: Any) -> None:
    """Attributes that change nothing go, others get their new names, and policies become objects."""
    leaky = kit.layer("LeakyReLU", "leaky", alpha=0.25, batch_input_shape=[None, 4], dynamic=False)
    lstm = kit.layer("LSTM", "lstm", units=2, time_major=False, implementation=2, dtype="mixed_float16")
    found, _ = translated(old_chain(kit, leaky, lstm), "keras")
    assert module(found, "leaky").attrs == {"dtype": POLICY, "trainable": True, "negative_slope": 0.25}
    assert module(found, "start").attrs["batch_shape"] == [None, 4]
    assert module(found, "start").attrs["dtype"] == "float32"
    mixed = ObjectValue("keras:DTypePolicy", {"name": "mixed_float16"})
    assert module(found, "lstm").attrs == {"dtype": mixed, "trainable": True, "units": 2}
    back, _ = translated(found, "tf_keras")
    assert module(back, "leaky").attrs == {"dtype": "float32", "trainable": True, "alpha": 0.25}
    policy = ObjectValue("keras:mixed_precision.Policy", {"name": "mixed_float16"})
    assert module(back, "lstm").attrs["dtype"] == policy
    assert module(back, "start").attrs["batch_input_shape"] == [None, 4]


@pytest.mark.clause("KN-24@2c6ee1")
def test_a_slash_in_a_name_becomes_a_line(kit: Any) -> None:
    """Keras 3 refuses a slash in the name of a layer, of a model and of what they hold: free names without one."""
    inner = kit.layer("TimeDistributed", "each/step", layer=kit.layer("Dense", "dense/inner", units=2))
    layers = [kit.layer("Dense", name, units=4) for name in ("conv1/bn", "conv1_bn", "conv1//bn")]
    nested: Json = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    nested |= {"config": {"name": "block/a", "layers": [old_input("in/put", 4), *layers]}}
    outer = {"name": "my/model", "layers": [old_input("mag/cqt", 4), nested, inner]}
    tree = nested | {"config": outer}
    found, report = translated(kit.model(tree, version=OLD), "keras")
    written = Writing(found).config()["config"]
    assert written["name"] == "my_model"
    assert [layer["config"]["name"] for layer in written["layers"]] == ["mag_cqt", "block_a", "each_step"]
    below = written["layers"][1]["config"]["layers"]
    assert [layer["config"]["name"] for layer in below] == ["in_put", "conv1_bn_1", "conv1_bn", "conv1__bn"]
    assert written["layers"][2]["config"]["layer"]["config"]["name"] == "dense_inner"
    told = {entry.subject: entry.detail for entry in report.entries if "takes no /" in str(entry.detail)}
    assert len(told) == 8
    assert told["block%2Fa/conv1%2Fbn"] == "called conv1_bn_1: Keras 3 takes no / in the name of a layer"


@pytest.mark.clause("KN-24@2c6ee1")
def test_outputs_are_compiled_by_their_new_names(kit: Any) -> None:
    """Losses, their weights and metrics by output follow an output that is called otherwise in Keras 3."""
    one, two = (placed(kit.layer("Dense", name, units=1), [["i/n", 0, 0, {}]]) for name in ("a/b", "plain"))
    ends = [[name, 0, 0] for name in ("a/b", "plain")]
    tree = old_graph([placed(old_input("i/n", 4)), one, two], [["i/n", 0, 0]], ends)
    by_output = {"a/b": "mse", "plain": "mae"}
    compiled: Json = {"loss": by_output, "metrics": by_output, "weighted_metrics": {"a/b": "mse"}}
    compiled |= {"loss_weights": {"a/b": 2.0, "plain": 1.0}, "optimizer": None}
    model = kit.model(tree | {"compile_config": compiled}, version=OLD)
    found, _ = translated(model, "keras")
    training = found.training
    assert training is not None
    assert training.loss_weights == {"a_b": 2.0, "plain": 1.0}
    for listed in (training.loss, training.metrics):
        assert list(listed) == ["a_b", "plain"]
    assert list(training.weighted_metrics) == ["a_b"]
    graph = Writing(found).config()["config"]
    assert graph["output_layers"] == [["a_b", 0, 0], ["plain", 0, 0]]
    assert graph["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] == ["i_n", 0, 0]


@pytest.mark.clause("KN-24@2c6ee1")
def test_keys_of_outputs_stay(kit: Any) -> None:
    """Losses by the keys of a map of outputs keep them, whatever the layers are called."""
    head = placed(kit.layer("Dense", "a/b", units=1), [["in", 0, 0, {}]])
    tree = old_graph([placed(old_input("in", 4)), head], {"in": ["in", 0, 0]}, {"a/b": ["a/b", 0, 0]})
    compiled: Json = {"loss": {"a/b": "mse"}, "metrics": None, "loss_weights": {"a/b": 2.0}, "optimizer": None}
    found, _ = translated(kit.model(tree | {"compile_config": compiled}, version=OLD), "keras")
    assert found.training is not None
    assert found.training.loss.keys() == found.training.loss_weights.keys() == {"a/b"}
    assert Writing(found).config()["config"]["output_layers"] == {"a/b": ["a_b", 0, 0]}


@pytest.mark.clause("KN-24@2c6ee1")
def test_a_shared_layer_has_one_new_name(kit: Any) -> None:
    """A layer that two models list gets a name that is free in both, and the losses follow it."""

    def shared() -> Json:
        return kit.layer("Dense", "a/b", units=4) | {"shared_object_id": 7}

    inner = old_graph([placed(old_input("x", 4)), placed(shared(), [["x", 0, 0, {}]])], [["x", 0, 0]], [["a/b", 0, 0]])
    inner = placed(inner | {"config": inner["config"] | {"name": "inner"}}, [["in", 0, 0, {}]])
    layers = [
        placed(old_input("in", 4)),
        inner,
        placed(shared(), [["inner", 1, 0, {}]]),
        placed(kit.layer("Dense", "a_b", units=4), [["in", 0, 0, {}]]),
    ]
    tree = old_graph(layers, [["in", 0, 0]], [["a/b", 0, 0], ["a_b", 0, 0]])
    compiled: Json = {"loss": {"a/b": "mse", "a_b": "mae"}, "metrics": None, "optimizer": None}
    found, report = translated(kit.model(tree | {"compile_config": compiled}, version=OLD), "keras")
    assert config_of(found).find("a%2Fb").target == "inner/a%2Fb"
    written = Writing(found).config()["config"]
    assert [layer["config"]["name"] for layer in written["layers"]] == ["in", "inner", "a_b_1", "a_b"]
    assert written["layers"][1]["config"]["layers"][1]["config"]["name"] == "a_b_1"
    assert found.training is not None
    assert list(found.training.loss) == ["a_b_1", "a_b"]
    assert sum("takes no /" in str(entry.detail) for entry in report.entries) == 1


@pytest.mark.clause("KN-5@5f0c00")
def test_boundaries_that_were_found_have_no_number_of_them_in_keras_2(kit: Any) -> None:
    """Keras 3 keeps how many bins a Discretization looked for beside the ones it found; Keras 2 takes either."""
    bins = kit.layer("Discretization", "bins", bin_boundaries=[0.5, 1.5], num_bins=3)
    model = kit.model(kit.sequential([kit.input("start", 2), bins]))
    found, _ = translated(model, "tf_keras")
    attrs = module(found, "bins").attrs
    assert (attrs["bin_boundaries"], attrs["num_bins"]) == ([0.5, 1.5], None)


REFUSED_BY_KERAS_3 = [
    ("LSTM", {"units": 2, "time_major": True}, "time_major"),
    ("Softmax", {"robust_masking": True}, "robust_masking"),
    ("Conv2DTranspose", {"filters": 1, "kernel_size": 2, "groups": 2}, "groups"),
    ("CategoryEncoding", {"num_tokens": 3, "sparse": True}, "sparse"),
    ("LocallyConnected1D", {"filters": 1, "kernel_size": 2}, "shared weights"),
    ("RandomHeight", {"factor": 0.1}, "random size"),
    ("RandomCrop", {"height": 2, "width": 2}, "leaves it as it is"),
    ("CuDNNLSTM", {"units": 2}, "two biases"),
    ("BatchNormalization", {"axis": [1, 2]}, "several"),
    ("BatchNormalization", {"axis": -1, "renorm": True}, "renormalization"),
]


@pytest.mark.clause("KN-4@6cb9a8", "KN-5@5f0c00")
@pytest.mark.parametrize(("kind", "attrs", "reason"), REFUSED_BY_KERAS_3)
def test_what_keras_3_cannot_say_is_reported(kit: Any, kind: str, attrs: Json, reason: str) -> None:
    """A class or a value without an equal is lost, with the reason, and the module keeps its class."""
    found, report = translated(old_chain(kit, kit.layer(kind, "odd", **attrs)), "keras", lost=True)
    assert [(entry.kind, entry.subject) for entry in report.lost] == [("module", "odd")]
    assert reason in report.lost[0].detail
    assert module(found, "odd").op == f"keras:{kind}"


REFUSED_BY_KERAS_2 = [
    ("RMSNormalization", {}, "root mean square"),
    ("GroupQueryAttention", {"head_dim": 2, "num_query_heads": 2, "num_key_value_heads": 1}, "fewer keys"),
    ("LayerNormalization", {"rms_scaling": True}, "rms_scaling"),
    ("MultiHeadAttention", {"num_heads": 1, "key_dim": 2, "use_gate": True}, "use_gate"),
    ("Dense", {"units": 2, "lora_rank": 1}, "lora_rank"),
    ("RandomCrop", {"height": 2, "width": 2}, "leaves it as it is"),
    ("Resizing", {"height": 2, "width": 2, "antialias": True}, "antialias"),
    ("Dense", {"units": 2, "activation": "celu"}, "celu"),
    ("LSTM", {"units": 2, "recurrent_activation": "hard_sigmoid"}, "hard sigmoid"),
    ("StringLookup", {"vocabulary": ["a"], "oov_method": "other"}, "oov_method"),
]


@pytest.mark.clause("KN-4@6cb9a8", "KN-5@5f0c00", "KN-10@2c8d02")
@pytest.mark.parametrize(("kind", "attrs", "reason"), REFUSED_BY_KERAS_2)
def test_what_keras_2_cannot_say_is_reported(kit: Any, kind: str, attrs: Json, reason: str) -> None:
    """A class or a value without an equal is lost, with the reason."""
    _, report = translated(new_chain(kit, kit.layer(kind, "odd", **attrs)), "tf_keras", lost=True)
    assert [(entry.kind, entry.subject) for entry in report.lost] == [("module", "odd")]
    assert reason in report.lost[0].detail


@pytest.mark.clause("KN-9@c26db3")
@pytest.mark.parametrize("value", ["hard_sigmoid", {"module": "keras.activations", "class_name": "function"}])
def test_the_hard_sigmoid_of_keras_2_is_an_object_in_keras_3(kit: Any, value: Json) -> None:
    """Both activations of a cell become the function of Keras 2, and its name again on the way back."""
    if isinstance(value, dict):
        value |= {"config": "hard_sigmoid", "registered_name": "hard_sigmoid"}
    layer = kit.layer("LSTM", "lstm", units=2, activation=value, recurrent_activation=value)
    found, _ = translated(old_chain(kit, layer), "keras")
    for key in ("activation", "recurrent_activation"):
        activation = module(found, "lstm").attrs[key]
        assert activation.class_name == "keras:Sequential"
        scaled, clipped = activation.config["layers"]
        assert (scaled.class_name, clipped.class_name) == ("keras:layers.Rescaling", "keras:layers.ReLU")
        assert (scaled.config["scale"], scaled.config["offset"], clipped.config["max_value"]) == (0.2, 0.5, 1.0)
        assert scaled.config["dtype"] == clipped.config["dtype"] == POLICY
    back, _ = translated(found, "tf_keras")
    assert module(back, "lstm").attrs["recurrent_activation"] == "hard_sigmoid"


@pytest.mark.clause("KN-10@2c8d02")
def test_the_hard_sigmoid_of_keras_3_is_two_layers_in_keras_2(kit: Any) -> None:
    """In a chain and in a graph, whoever used the layer's output uses that of the second layer."""
    found, report = translated(
        new_chain(kit, kit.layer("Dense", "d", units=2, activation="hard_sigmoid"), kit.layer("Dense", "e", units=1)),
        "tf_keras",
    )
    assert [child.name for child in config_of(found).model.modules] == ["start", "d", "d_scaled", "d_clipped", "e"]
    assert module(found, "d").attrs["activation"] == "linear"
    assert (module(found, "d_scaled").attrs["scale"], module(found, "d_scaled").attrs["offset"]) == (1 / 6, 0.5)
    assert module(found, "d_clipped").attrs["max_value"] == 1.0
    assert any(entry.subject == "d" and "two layers" in entry.detail for entry in report.entries)
    dense = kit.layer("Dense", "d", units=4, activation="hard_sigmoid")
    calls = [[kit.tensor("start")], [kit.tensor("d", 0)]]
    tree = kit.functional(
        [kit.called(kit.input("start", 4)), kit.called(dense, *calls)], [["start", 0, 0]], [["d", 1, 0]]
    )
    graph = config_of(translated(kit.model(tree), "tf_keras")[0]).model.graph
    assert graph is not None
    assert [(call.module, call.args) for call in graph.calls[2:]] == [
        ("d_scaled", [OutputRef("d", 0)]),
        ("d_clipped", [OutputRef("d_scaled", 0)]),
        ("d", [OutputRef("d_clipped", 0)]),
        ("d_scaled", [OutputRef("d:1", 0)]),
        ("d_clipped", [OutputRef("d_scaled:1", 0)]),
    ]
    assert graph.outputs == [OutputRef("d_clipped:1", 0)]


@pytest.mark.clause("KN-10@2c8d02")
def test_a_hard_sigmoid_inside_of_a_wrapper_is_reported(kit: Any) -> None:
    """A layer that no model lists has no place behind it."""
    inner = kit.layer("Dense", "inner", units=2, activation="hard_sigmoid")
    _, report = translated(new_chain(kit, kit.layer("TimeDistributed", "each", layer=inner)), "tf_keras", lost=True)
    assert [entry.subject for entry in report.lost] == ["each/layer"]


@pytest.mark.clause("KN-12@6aee2b")
def test_initial_states_are_an_argument_in_keras_3(kit: Any) -> None:
    """The list of an input and its states becomes the input and `initial_state`; a merge keeps its list."""
    states = [["a", 0, 0, {}], ["b", 0, 0, {}], ["b", 0, 0, {"mask": None, "training": None}]]
    layers = [
        placed(old_input("a", 5, 4)),
        placed(old_input("b", 2)),
        placed(kit.layer("LSTM", "lstm", units=2), states),
        placed(kit.layer("Concatenate", "one", axis=-1), [["lstm", 0, 0, {}]]),
    ]
    tree = old_graph(layers, [["a", 0, 0], ["b", 0, 0]], [["one", 0, 0]])
    found, _ = translated(kit.model(tree, version=OLD), "keras")
    graph = config_of(found).model.graph
    assert graph is not None
    calls = {call.id: call for call in graph.calls}
    assert calls["lstm"].args == [OutputRef("a", 0)]
    assert calls["lstm"].kwargs == {"initial_state": [OutputRef("b", 0), OutputRef("b", 0)]}
    assert calls["one"].args == [[OutputRef("lstm", 0)]]


@pytest.mark.clause("KN-12@6aee2b")
def test_positional_arguments_have_names_in_keras_2(kit: Any) -> None:
    """What stands behind the first argument is given by name, and masks that Keras 2 hands on by itself go."""
    attention = kit.layer("MultiHeadAttention", "mha", num_heads=1, key_dim=2)
    a, b = kit.tensor("a", shape=(None, 5, 4)), kit.tensor("b", shape=(None, 5, 4))
    node = {"args": [a, b, a], "kwargs": {"query_mask": b, "use_causal_mask": True}}
    layers = [kit.called(kit.input("a", 5, 4)), kit.called(kit.input("b", 5, 4)), kit.called(attention, node)]
    tree = kit.functional(layers, [["a", 0, 0], ["b", 0, 0]], [["mha", 0, 0]])
    found, _ = translated(kit.model(tree), "tf_keras")
    graph = config_of(found).model.graph
    assert graph is not None
    call = graph.calls[-1]
    assert call.args == [OutputRef("a", 0)]
    assert call.kwargs == {"use_causal_mask": True, "value": OutputRef("b", 0), "key": OutputRef("a", 0)}
    assert module(found, "mha").attrs["query_shape"] is None


@pytest.mark.clause("KN-14@35f35d")
def test_the_input_that_a_first_layer_tells_is_a_layer_in_keras_3(kit: Any) -> None:
    """A Sequential model without an input layer gets one, of the shape and dtype of its first layer."""
    first = kit.layer("Dense", "first", units=3, batch_input_shape=[2, 4], dtype="float64")
    config = {"name": "model", "layers": [first]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    found, _ = translated(kit.model(tree, version=OLD), "keras")
    assert [child.name for child in config_of(found).model.modules] == ["first_input", "first"]
    attrs = module(found, "first_input").attrs
    assert (attrs["batch_shape"], attrs["dtype"]) == ([2, 4], "float64")
    assert "batch_input_shape" not in module(found, "first").attrs


@pytest.mark.clause("KN-15@74957a")
def test_a_fused_normalization_is_reported(kit: Any) -> None:
    """The axis becomes a number; over four axes the report tells of the other variance, and of nothing else."""
    layer = kit.layer("BatchNormalization", "norm", axis=[-1], build={"input_shape": [None, 2, 2, 4]})
    flat = kit.layer("BatchNormalization", "flat", axis=[1], build={"input_shape": [None, 4]})
    found, report = translated(old_chain(kit, layer, flat), "keras")
    assert [module(found, name).attrs["axis"] for name in ("norm", "flat")] == [-1, 1]
    told = [entry.subject for entry in report.entries if "variance of a sample" in entry.detail]
    assert told == ["norm"]


@pytest.mark.clause("KN-5@5f0c00")
@pytest.mark.parametrize(("bias", "expected"), [((2, 6), True), ((6,), False), (None, False)])
def test_a_gru_that_does_not_tell_is_told_by_its_bias(kit: Any, bias: Any, expected: bool) -> None:
    """`reset_after` is true where the bias has two rows, and else false, as in the Keras that did not write it."""
    config = {"name": "model", "layers": [old_input("start", 5, 4), kit.layer("GRU", "gru", units=2, use_bias=True)]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    shapes = [(4, 6), (2, 6), *([bias] if bias else [])]
    arrays = {f"layers/gru/cell/vars/{at}": np.zeros(shape, "float32") for at, shape in enumerate(shapes)}
    model = kit.model(tree, arrays if bias else {}, version=OLD)
    assert module(translated(model, "keras")[0], "gru").attrs["reset_after"] is expected


@pytest.mark.clause("KN-16@7cb9f5")
def test_code_stays_data(kit: Any) -> None:
    """The code of a lambda is moved as it is, and a function by name keeps its name."""
    lambda_layer, named = kit.layer("Lambda", "code", arguments={"n": 2}), kit.layer("Lambda", "named", arguments={})
    lambda_layer["config"] |= {"function": ["b64", None, None], "function_type": "lambda", "module": "m"}
    named["config"] |= {"function": "abs", "function_type": "function", "module": "builtins", "output_shape": None}
    found, _ = translated(old_chain(kit, lambda_layer, named), "keras")
    code = ObjectValue("keras:__lambda__", {"code": "b64", "defaults": None, "closure": None})
    assert module(found, "code").attrs["function"] == code
    assert set(module(found, "code").attrs) == {"dtype", "trainable", "function", "arguments"}
    assert module(found, "named").attrs["function"] == ObjectValue("custom:abs", None)
    back, _ = translated(found, "tf_keras")
    assert module(back, "code").attrs["function"] == ("b64", None, None)
    assert module(back, "code").attrs["function_type"] == "lambda"
    assert module(back, "named").attrs["function_type"] == "function"


@pytest.mark.clause("KN-6@68dae3")
def test_a_class_of_the_author_keeps_its_attributes(kit: Any) -> None:
    """Only the objects of Keras in them are translated."""
    initializer = {"module": "keras.initializers", "class_name": "VarianceScaling", "registered_name": None}
    config = {"scale": 1.0, "mode": "fan_in", "distribution": "normal", "seed": None, "dtype": "float32"}
    own = kit.layer("Mine", "mine", rng_type="x", init=initializer | {"config": config}, batch_input_shape=[None, 4])
    own |= {"module": "author", "registered_name": "author>Mine"}
    found, _ = translated(old_chain(kit, own), "keras")
    attrs = module(found, "mine").attrs
    assert attrs["rng_type"] == "x"
    assert attrs["batch_input_shape"] == [None, 4]
    assert attrs["init"].config == {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None}


@pytest.mark.clause("KN-5@5f0c00")
def test_layers_of_a_layer_have_the_groups_of_the_other_keras(kit: Any) -> None:
    """The projections of an attention are public in Keras 3 and private in Keras 2; empty groups go."""
    layer = kit.layer("MultiHeadAttention", "mha", num_heads=1, key_dim=2, query_shape=[None, 5, 4])
    tree = old_graph(
        [placed(old_input("a", 5, 4)), placed(layer, [["a", 0, 0, {"value": ["a", 0, 0]}]])],
        [["a", 0, 0]],
        [["mha", 0, 0]],
    )
    shapes = {"_query_dense": [(4, 1, 2), (1, 2)], "_output_dense": [(1, 2, 4), (4,)]}
    arrays = {
        f"layers/multi_head_attention/{name}/vars/{at}": np.zeros(shape, "float32")
        for name, own in shapes.items()
        for at, shape in enumerate(own)
    }
    model = kit.model(tree, arrays, version=OLD, names={"layers/multi_head_attention/_softmax": "softmax"})
    found, _ = translated(model, "keras")
    written = Writing(found).written().datasets
    assert sorted(written) == sorted(name.replace("/_", "/") for name in arrays)
    back, _ = translated(found, "tf_keras")
    assert sorted(Writing(back).written().datasets) == sorted(arrays)


@pytest.mark.clause("KN-1@5d963b", "KN-5@5f0c00")
def test_both_directions_of_a_layer_that_goes_backwards_are_written_down(kit: Any) -> None:
    """Keras 2 turns the second layer around by itself; Keras 3 would let both go backwards, and refuses that."""
    layer = kit.layer("LSTM", "lstm", units=2, go_backwards=True)
    found, _ = translated(old_chain(kit, kit.layer("Bidirectional", "both", layer=layer)), "keras")
    both = module(found, "both")
    assert both.attrs["backward_layer"] == ModuleRef("both/backward_layer")
    forward, backward = module(found, "both/forward_layer"), module(found, "both/backward_layer")
    assert (forward.attrs["go_backwards"], backward.attrs["go_backwards"]) == (True, False)
    assert backward.attrs["name"] == "backward_lstm"
    usual = kit.layer("Bidirectional", "both", layer=kit.layer("LSTM", "lstm", units=2, go_backwards=False))
    assert "backward_layer" not in module(translated(old_chain(kit, usual), "keras")[0], "both").attrs


@pytest.mark.clause("KN-4@6cb9a8")
def test_a_class_that_keras_does_not_export_is_reported(kit: Any) -> None:
    """What is inside of one Keras is not looked for in the other."""
    node = kit.layer("Odd", "odd", module="tf_keras.src.layers.odd") | {"registered_name": "Odd"}
    _, report = translated(old_chain(kit, node), "keras", lost=True)
    assert [entry.subject for entry in report.lost] == ["odd"]
    assert "inside of Keras 2" in report.lost[0].detail


@pytest.mark.clause("KN-1@5d963b")
@pytest.mark.parametrize(
    ("summary", "bins", "expected"),
    [
        ([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]], 2, [2.0]),
        ([[1.0, 2.0, 3.0], [2.0, 1.0, 1.0]], 4, [1.0, 2.0]),
        ([[], []], 4, None),
        ([[1.0, 2.0], [0.0, 0.0]], 4, None),
        ([[1.0, np.inf], [1.0, 1.0]], 1, None),
        ([[1.0, 2.0]], 4, None),
        ([1.0, 2.0], 4, None),
    ],
)
def test_boundaries_that_keras_2_finds_in_a_summary_are_written_down(
    kit: Any, summary: Any, bins: int, expected: Any
) -> None:
    """Keras 2 makes the boundaries of an adapted layer of the summary of its data, and Keras 3 only asks its config."""
    layer = kit.layer("Discretization", "bins", bin_boundaries=None, num_bins=bins, epsilon=0.01)
    config = {"name": "model", "layers": [old_input("start", 4), layer]}
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    arrays = {"layers/discretization/vars/0": np.array(summary, "float32")}
    found, _ = translated(kit.model(tree, arrays, version=OLD), "keras")
    assert module(found, "bins").attrs.get("bin_boundaries") == expected
    assert module(found, "bins").attrs["num_bins"] == bins


@pytest.mark.clause("KN-11@13ec8c")
def test_the_dtype_of_a_sequential_model_within_is_known(kit: Any) -> None:
    """A sum of what a shared encoder gives, as in a siamese network, is an operation of Keras 3."""
    inner = {"name": "encoder", "layers": [old_input("start", 4), kit.layer("Dense", "dense", units=2)]}
    encoder = {"module": "keras", "class_name": "Sequential", "config": inner, "registered_name": None}
    function = {"name": "sum", "dtype": "float32", "function": "math.reduce_sum"}
    identity = {"module": "tf_keras.src.layers.core.tf_op_layer", "class_name": "TFOpLambda"}
    layers = [
        placed(old_input("a", 4)),
        placed(encoder, [["a", 0, 0, {}]]),
        placed(identity | {"config": function, "registered_name": "TFOpLambda"}, ["encoder", 0, 0, {"axis": 1}]),
    ]
    found, _ = translated(kit.model(old_graph(layers, [["a", 0, 0]], [["sum", 0, 0]]), version=OLD), "keras")
    assert module(found, "sum").op == "keras:ops.numpy.Sum"


@pytest.mark.library
def test_a_vocabulary_stays_where_the_layer_within_looks_for_it(kit: Any) -> None:
    """Both look for it below the attribute of the layer that a TextVectorization made, which no config tells of."""
    config = {
        "name": "model",
        "layers": [old_input("start", 1, dtype="string"), kit.layer("TextVectorization", "text")],
    }
    tree = {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    model = kit.model(tree, version=OLD)
    held = Module("lookup_layer", "layer", "keras:StringLookup", residue={"keras": {"group": "_lookup_layer"}})
    module(model, "text").modules = [held]
    model.assets = {f"assets/text/{way}vocabulary.txt": Blob.of(b"a") for way in ("", "lookup_layer/")}
    members = [f"assets/layers/text_vectorization/{way}vocabulary.txt" for way in ("", "_lookup_layer/")]
    found, _ = translated(model, "keras")
    for one in (model, found):
        assert [member for member, _ in written_assets(config_of(one), one.assets)] == members


@pytest.mark.clause("KN-4@6cb9a8")
@pytest.mark.parametrize("kind", ["LayerScale", "StochasticDepth"])
def test_a_class_of_the_inside_of_both_has_its_place_in_either(kit: Any, kind: str) -> None:
    """The layers of ConvNeXt are exported by neither Keras, and are the same in both."""
    there = kit.layer(kind, "odd", module="tf_keras.src.applications.convnext") | {"registered_name": kind}
    found, _ = translated(old_chain(kit, there), "keras")
    assert module(found, "odd").op == f"keras:src.applications.convnext.{kind}"
    back, _ = translated(found, "tf_keras")
    assert module(back, "odd").op == f"tf_keras:src.applications.convnext.{kind}"
