"""Modules of Keras in the terms of the vocabulary, without Keras (SPEC.md, annex L.1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import etui
from etui.bridges.keras.core.table import ALIASES, NOT_CORE, RULES, STRUCTURE, by_op
from etui.canonical.values import ModuleRef, ObjectValue, OutputRef
from etui.containers.config import Call, Module
from etui.core import vocabulary
from etui.core.check import check_module

X = OutputRef("x", 0)
_LSTM = {"units": 3, "activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True}


def _lstm(name: str, **more: Any) -> Module:
    roles = ("kernel", "recurrent_kernel", "bias")
    cell = Module("cell", "layer", "keras:LSTMCell", params={role: f"{name}/cell/{role}" for role in roles})
    attrs = {"trainable": True, "dtype": ObjectValue("keras:DTypePolicy", {"name": "float32"})} | _LSTM | more
    return Module(name, "layer", "keras:LSTM", attrs, modules=[cell])


@pytest.mark.clause("KC-1@95d653")
def test_every_rule_speaks_the_vocabulary() -> None:
    """Ops, attributes, roles and fixed values of the tables are those of the vocabulary, and no class has two rows."""
    assert len({rule.keras for rule in RULES}) == len(RULES) > 150
    for rule in RULES:
        op = vocabulary.ops()[rule.op]
        assert {attr.name for attr in rule.attrs} | rule.fixed.keys() <= op.attrs.keys(), rule.keras
        assert rule.roles.keys() | rule.homes.keys() <= op.params.keys(), rule.keras
    assert not (NOT_CORE.keys() & ({rule.keras for rule in RULES} | ALIASES.keys() | STRUCTURE.keys()))
    reached = set(by_op()) | set(STRUCTURE.values())
    assert vocabulary.ops().keys() - reached == {"parameter"}


@pytest.mark.clause("KC-1@95d653")
def test_a_layer_has_only_what_differs_from_the_defaults(kit: Any) -> None:
    """A Dense layer with Keras' whole config is a `dense` of its units and activation."""
    dense = kit.layer("Dense", params=("kernel", "bias"), units=4, activation="relu", use_bias=True)
    dense.attrs["kernel_initializer"] = ObjectValue("keras:initializers.GlorotUniform", {"seed": None})
    found, kept = kit.lifted(kit.model(dense))
    assert (found.op, found.attrs, kept) == ("core:dense", {"units": 4, "activation": "relu"}, {})
    assert found.params == {"kernel": "it/kernel", "bias": "it/bias"}


@pytest.mark.clause("KC-3@c8d872", "KC-22@781916")
@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [
        (
            "LayerNormalization",
            {"axis": -1, "center": False, "scale": False},
            {"axis": [-1], "center": False, "scale": False},
        ),
        ("MaxPooling1D", {"pool_size": [2], "strides": [2]}, {"pool_size": 2, "strides": None, "padding": "valid"}),
        ("ZeroPadding1D", {"padding": 1}, {"padding": [1, 1], "data_format": "channels_last"}),
        ("Dot", {"axes": 1}, {"axes": [1, 1], "normalize": False}),
        ("Dropout", {"rate": 0.5}, {"rate": 0.5, "seed": None, "noise_shape": None}),
        ("ReLU", {}, {"max_value": None, "negative_slope": 0.0, "threshold": 0}),
        ("Activation", {"activation": "swish"}, {"activation": ObjectValue("keras:activations.silu", None)}),
    ],
)
def test_one_meaning_is_one_module(kit: Any, kind: str, one: dict[str, Any], two: dict[str, Any]) -> None:
    """Two spellings of one layer give the same core module, and each its own spelling back."""
    args = [[X, X]] if kind == "Dot" else [X]
    found = []
    for attrs in (one, two):
        model = kit.model(kit.layer(kind, **attrs), shape=(None, 6, 4), calls=[Call("it", "it", list(args))])
        module, kept = kit.lifted(model)
        found.append(kit.bare(module))
        assert kept == {}
        assert kit.returned(model)
    assert found[0] == found[1]


@pytest.mark.clause("KC-2@aeef8f", "KC-22@781916")
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Module("it", "opaque", "custom:mine>Layer", {"width": 3}), "a class of the author's own"),
        (Module("it", "layer", "keras:Lambda", {"function": ObjectValue("keras:__lambda__", {})}), "code"),
        (
            Module("it", "layer", "keras:Dense", {"units": 3, "activation": ObjectValue("custom:bent", None)}),
            "custom:bent",
        ),
        (Module("it", "layer", "keras:Dense", {"units": 3, "lora_rank": 2}), "lora_rank"),
        (Module("it", "layer", "keras:Dense", {"units": 3, "new_attribute": 2}), "new_attribute"),
        (Module("it", "layer", "keras:Dense", {"units": 3.5}), "units"),
        (Module("it", "layer", "keras:Dense", {}), "does not tell units"),
        (Module("it", "layer", "keras:Dense", {"units": 3}), "the variables []"),
        (Module("it", "layer", "keras:ops.numpy.Tile", {"repeats": [1, 2]}), "no such operation"),
        (Module("it", "layer", "keras:ops.numpy.Reshape", {"newshape": [2, -1]}), "between samples"),
    ],
)
def test_what_the_vocabulary_lacks_stays(kit: Any, module: Module, reason: str) -> None:
    """A module that no op can say stays as it is, with the reason in the report, and the rest is translated."""
    model = kit.model(module)
    found, kept = kit.lifted(model)
    assert found == module
    assert [detail for subject, detail in kept.items() if subject == "it" and reason in detail] != []
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.op == "core:graph"
    assert kit.returned(model)


@pytest.mark.clause("KC-4@07655a", "KC-22@781916")
def test_variables_of_inner_layers_move_up(kit: Any) -> None:
    """The variables of an LSTM's cell belong to the op, under their own paths, and go back to the cell."""
    model = kit.model(_lstm("it"), shape=(None, 5, 4))
    found, kept = kit.lifted(model)
    assert kept == {}
    assert found.modules == []
    assert found.params == {role: f"it/cell/{role}" for role in ("kernel", "recurrent_kernel", "bias")}
    assert kit.returned(model)


@pytest.mark.clause("KC-5@4a7fad")
@pytest.mark.parametrize(
    ("policy", "precision"),
    [
        ("float32", None),
        ("float64", {"variable_dtype": "float64", "compute_dtype": "float64"}),
        ("mixed_bfloat16", {"variable_dtype": "float32", "compute_dtype": "bfloat16"}),
    ],
)
def test_a_policy_is_two_dtypes(kit: Any, policy: str, precision: Any) -> None:
    """A plain policy is one dtype for both, a mixed one two, and a quantized one leaves the layer as it is."""
    dropped = kit.layer("Dropout", rate=0.5, dtype=ObjectValue("keras:DTypePolicy", {"name": policy}))
    found, _ = kit.lifted(kit.model(dropped))
    assert found.attrs.get("precision") == precision
    other = kit.layer(
        "Dropout", rate=0.5, dtype=ObjectValue("keras:dtype_policies.QuantizedDTypePolicy", {"mode": "int8"})
    )
    assert kit.lifted(kit.model(other))[0].op == "keras:Dropout"


@pytest.mark.clause("KC-6@437b27", "KC-22@781916")
def test_initializers_are_by_role(kit: Any) -> None:
    """What is usual is left out, what is not is under its role, and an unknown initializer stays in the residue."""
    dense = kit.layer("Dense", params=("kernel", "bias"), units=4)
    dense.attrs |= {
        "kernel_initializer": ObjectValue("keras:initializers.HeNormal", {"seed": 3}),
        "bias_initializer": ObjectValue("custom:mine>Odd", {}),
        "kernel_regularizer": ObjectValue("keras:regularizers.L2", {"l2": 0.5}),
        "bias_constraint": ObjectValue("keras:constraints.NonNeg", {}),
    }
    model = kit.model(dense)
    found, kept = kit.lifted(model)
    assert kept == {}
    assert found.attrs == {
        "units": 4,
        "initializers": {"kernel": ObjectValue("core:initializers.he_normal", {"seed": 3})},
        "regularizers": {"kernel": ObjectValue("core:regularizers.l2", {"l2": 0.5})},
        "constraints": {"bias": ObjectValue("core:constraints.non_neg", {})},
    }
    assert kit.returned(model)
    dense.attrs["kernel_regularizer"] = ObjectValue("custom:mine>Odd", {})
    assert "custom:mine>Odd" in kit.lifted(kit.model(dense))[1]["it"]


@pytest.mark.clause("KC-7@ccca46")
def test_layers_and_old_functions_as_activations(kit: Any) -> None:
    """A layer in the place of an activation gives its parameters, and Keras 2's hard sigmoid its slope."""
    leaky = ObjectValue("keras:layers.LeakyReLU", {"negative_slope": 0.1, "name": "leaky"})
    scaled = ObjectValue("keras:layers.Rescaling", {"scale": 0.2, "offset": 0.5})
    clipped = ObjectValue("keras:layers.ReLU", {"max_value": 1.0})
    old = ObjectValue("keras:Sequential", {"layers": [scaled, clipped]})
    expected = [("leaky_relu", {"negative_slope": 0.1}), ("hard_sigmoid", {"slope": 0.2})]
    for value, (name, config) in zip((leaky, old), expected, strict=True):
        model = kit.model(kit.layer("Activation", activation=value))
        found, _ = kit.lifted(model)
        assert found.attrs["function"] == ObjectValue(f"core:activations.{name}", config)
        assert kit.returned(model)


@pytest.mark.clause("KC-8@e22791", "KC-22@781916")
def test_arguments_that_mean_nothing_are_left_out(kit: Any) -> None:
    """Nulls and the mode that a graph of Keras 3 replaces are no arguments of the core call, and come back."""
    call = Call("it", "it", [X], {"training": False, "mask": None})
    model = kit.model(kit.layer("BatchNormalization", params=(), center=False, scale=False), calls=[call])
    assert model.weights is not None
    module = model.config.find("it")
    module.params = {role: f"it/{role}" for role in ("moving_mean", "moving_variance")}
    model.weights = kit.weights(model.config.model)
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.graph is not None
    assert core.config.model.graph.calls[1] == Call("it", "it", [X])
    assert kit.returned(model)


@pytest.mark.clause("CV-31@6efaba", "KC-22@781916")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"use_causal_mask": 1}, {"use_causal_mask": True}),
        ({"use_causal_mask": 0}, {}),
        ({"return_attention_scores": True, "query_mask": [None, [None]]}, {"return_attention_scores": True}),
    ],
)
def test_flags_that_are_numbers(kit: Any, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """A flag that Keras takes as a number is true or false in the core call, and comes back as it was."""
    params = tuple(f"{role}_{kind}" for role in ("query", "key", "value", "output") for kind in ("kernel", "bias"))
    module = kit.layer("MultiHeadAttention", num_heads=2, key_dim=2)
    for name in ("query", "key", "value", "output"):
        held = Module(f"{name}_dense", "layer", "keras:EinsumDense")
        held.params = {kind: f"it/{name}_dense/{kind}" for kind in ("kernel", "bias")}
        module.modules.append(held)
    model = kit.model(module, shape=(None, 6, 4), calls=[Call("it", "it", [X, X], given)])
    found, kept = kit.lifted(model)
    assert (found.op, sorted(found.params), kept) == ("core:mha", sorted(params), {})
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.graph is not None
    assert core.config.model.graph.calls[1] == Call("it", "it", [X, X], expected)
    assert kit.returned(model)


@pytest.mark.clause("KC-22@781916")
def test_a_flag_that_is_a_tensor_stays(kit: Any) -> None:
    """A call whose flag the model computes has no equal in the vocabulary."""
    module = kit.layer("Dropout", rate=0.5)
    model = kit.model(module, calls=[Call("it", "it", [X], {"training": X})])
    model.config.model.residue["keras"] = {"dialect": "tf_keras"}
    found, kept = kit.lifted(model)
    assert found.op == "keras:Dropout"
    assert "it is called with training" in kept["it"]


@pytest.mark.clause("KC-1@95d653")
def test_a_model_within_a_model_has_no_masks_for_its_inputs(kit: Any) -> None:
    """Keras writes a null for the mask of each input of a model that is called; they say nothing."""
    inner = kit.model(kit.layer("Add"), calls=[Call("it", "it", [[X, X]])]).config.model
    inner.name, inner.kind = "it", "layer"
    model = kit.model(inner, calls=[Call("it", "it", [[X]], {"mask": [None]})])
    found, kept = kit.lifted(model)
    assert (found.op, kept) == ("core:graph", {})
    assert kit.returned(model)


@pytest.mark.clause("KC-1@95d653", "KC-22@781916")
@pytest.mark.parametrize(
    ("module", "args", "attrs", "inputs"),
    [
        (Module("it", "layer", "keras:ops.numpy.GetItem"), [X, [slice(None), 0, Ellipsis, None]],
         {"index": [[None, None, None], 0, "...", "newaxis"]}, [X]),
        (Module("it", "layer", "keras:ops.numpy.Subtract"), [2.0, X], {"function": "sub"}, [2.0, X]),
        (Module("it", "layer", "keras:ops.numpy.Abs"), [X], {"function": "abs"}, [X]),
        (Module("it", "layer", "keras:ops.numpy.Reshape", {"newshape": [-1, 24]}), [X], {"shape": [24]}, [X]),
        (Module("it", "layer", "keras:ops.numpy.Split", {"indices_or_sections": [1], "axis": 1}), [X],
         {"sections": [1, 5], "axis": 1}, [X]),
        (Module("it", "layer", "keras:ops.numpy.Einsum", {"subscripts": "abc,abc->ab"}), [X, X],
         {"equation": "abc,abc->ab"}, [[X, X]]),
        (Module("it", "layer", "keras:ops.numpy.Swapaxes", {"axis1": 1, "axis2": -1}), [X], {"axes": [0, 2, 1]}, [X]),
    ],
)  # fmt: skip
def test_operations(kit: Any, module: Module, args: list[Any], attrs: dict[str, Any], inputs: list[Any]) -> None:
    """Arguments of operations that are attributes of the op move there, and go back."""
    model = kit.model(module, shape=(None, 6, 4), calls=[Call("it", "it", args)])
    found, kept = kit.lifted(model)
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.graph is not None
    assert (kept, found.attrs, core.config.model.graph.calls[1].args) == ({}, attrs, inputs)
    assert kit.returned(model)


@pytest.mark.clause("KC-1@95d653")
@pytest.mark.parametrize(("kind", "terms"), [("StringLookup", ["[UNK]", "a", "b"]), ("IntegerLookup", [-1, 7, 9])])
def test_lookups(kit: Any, kind: str, terms: list[Any]) -> None:
    """A vocabulary is without its special terms; one that is not in the config leaves the layer as it is."""
    lookup = kit.layer(kind, vocabulary=terms, num_oov_indices=1, oov_token=terms[0], output_mode="int")
    model = kit.model(lookup)
    found, kept = kit.lifted(model)
    assert (kept, found.attrs) == ({}, {"vocabulary": terms[1:], "oov_token": terms[0]})
    assert kit.returned(model)
    for odd in ({"vocabulary": None}, {"num_oov_indices": 2}, {"vocabulary": [terms[1], terms[1]]}):
        assert kit.lifted(kit.model(replace(lookup, attrs=lookup.attrs | odd)))[0].op == f"keras:{kind}"


@pytest.mark.clause("KC-9@fd9848", "KC-22@781916")
def test_bidirectional(kit: Any) -> None:
    """The second layer that Keras makes of the first is written out, and goes away again."""
    forward, backward = _lstm("it/forward_layer"), _lstm("it/backward_layer")
    forward.name, backward.name = "forward_layer", "backward_layer"
    backward.attrs = {}
    wrapper = kit.layer("Bidirectional", merge_mode="ave", layer=ModuleRef("it/forward_layer"))
    wrapper.modules = [forward, backward]
    model = kit.model(wrapper, shape=(None, 5, 4))
    found, kept = kit.lifted(model)
    assert kept == {}
    assert found.attrs == {"merge": "mean"}
    ahead, behind = found.modules
    assert (ahead.name, behind.name) == ("forward", "backward")
    assert ahead.attrs == {"units": 3, "return_sequences": True, "zero_output_for_mask": True}
    assert behind.attrs == {"units": 3, "return_sequences": True, "zero_output_for_mask": True, "go_backwards": True}
    assert behind.params["kernel"] == "it/backward_layer/cell/kernel"
    assert kit.returned(model)


@pytest.mark.clause("KC-10@c4e54d", "KC-13@e41503", "KC-22@781916")
def test_builds_and_configs_without_weights(kit: Any) -> None:
    """What a layer was built for is residue, but for a model without an input; paths are those that would be."""
    dense = replace(kit.layer("Dense", name="dense", units=2), build={"input_shape": [None, 4]})
    root = Module("model", "layer", "keras:Sequential", {"trainable": True}, modules=[dense])
    root.build = {"input_shape": [None, 4]}
    model = etui.Model(etui.Config(root))
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.build == {"input_shape": [None, 4]}
    child = core.config.find("dense")
    assert (child.build, child.params) == (None, {"kernel": "dense/kernel", "bias": "dense/bias"})
    assert kit.returned(model)


@pytest.mark.clause("KC-11@355c92", "KC-31@08f384", "KC-22@781916")
def test_batch_norm_of_tf_keras(kit: Any) -> None:
    """The fused normalization of tf_keras averages the unbiased variance, that over two axes the biased one."""
    found = {}
    for shape in ((None, 4, 4, 3), (None, 3)):
        roles = ("gamma", "beta", "moving_mean", "moving_variance")
        norm = kit.layer("BatchNormalization", params=roles, axis=[len(shape) - 1], dtype="float32")
        model = kit.model(norm, shape=shape)
        assert model.config is not None
        model.config.model.residue = {"keras": {"dialect": "tf_keras"}}
        start = model.config.model.modules[0]
        start.attrs = {"batch_input_shape": shape, "dtype": "float32", "sparse": False, "ragged": False}
        module, kept = kit.lifted(model)
        assert kept == {}
        found[len(shape)] = module.attrs.get("moving_variance", "biased")
        assert kit.returned(model)
    assert found == {4: "unbiased", 2: "biased"}


@pytest.mark.clause("KC-12@0fe28f", "KC-22@781916")
def test_a_mask_that_keras_does_not_hand_on(kit: Any) -> None:
    """A sequence with a mask goes through a `slice` before a recurrent layer that is given its first states."""
    mask = kit.layer("Masking", name="masked", mask_value=0.0)
    states = {"initial_state": [OutputRef("first", 1), OutputRef("first", 2)]}
    first = _lstm("first", return_sequences=False, return_state=True)
    calls = [Call("masked", "masked", [X]), Call("first", "first", [X])]
    calls.append(Call("it", "it", [OutputRef("masked", 0)], states))
    model = kit.model(mask, first, _lstm("it"), shape=(None, 5, 4), calls=calls)
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.model.graph is not None
    slicing, call = core.config.model.graph.calls[-2:]
    assert core.config.find(slicing.module).attrs == {"index": ["..."]}
    assert (slicing.args, call.args) == ([OutputRef("masked", 0)], [OutputRef(slicing.id, 0)])
    assert kit.returned(model)
    calls[2] = Call("it", "it", [X], states)
    plain = etui.to_core(kit.model(mask, first, _lstm("it"), shape=(None, 5, 4), calls=calls))
    assert plain.config is not None
    assert not any(module.op == "core:slice" for _, module in plain.config.walk())


@pytest.mark.clause("KC-14@85b7ab")
def test_everything_else_is_the_same(kit: Any) -> None:
    """Weights, assets and native documents are those of the model, which stays as it is."""
    model = kit.model(kit.layer("Dense", params=("kernel", "bias"), units=4))
    model.assets["assets/it/words.txt"] = etui.Blob.of(b"a")
    before = model.fingerprint("config.json")
    model.native["native/keras/config.json"] = model.bind(etui.Blob.of(b"{}"), "keras", "3.15.1", "config.json")
    core = etui.to_core(model)
    assert core.weights is model.weights
    assert (core.assets, core.native) == (model.assets, model.native)
    assert model.fingerprint("config.json") == before != core.fingerprint("config.json")
    native = model.native["native/keras/config.json"]
    assert not core.is_fresh(native)
    assert etui.to_keras(core).is_fresh(native)


@pytest.mark.library
def test_translating_twice_changes_nothing(kit: Any) -> None:
    """A core model in the vocabulary is itself, and a model of Keras in Keras' terms is the same object."""
    model = kit.model(kit.layer("Dense", params=("kernel", "bias"), units=4), kit.layer("Lambda", name="odd"))
    core = etui.to_core(model)
    again = etui.to_core(core)
    assert again.fingerprint("config.json") == core.fingerprint("config.json")
    assert etui.to_keras(model) is model
    assert np.array_equal(again.weights["it/kernel"].numpy(), model.weights["it/kernel"].numpy())  # type: ignore[index]


_ODD_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2,
    10**30,
    0.5,
    float("nan"),
    "",
    "same",
    b"x",
    [],
    [None],
    [1, [2]],
    (1, 2),
]
_ODD_VALUES += [{"a": 1}, slice(1), np.zeros((2, 2)), ObjectValue("keras:initializers.Zeros", 3), ...]
_ODD = st.sampled_from([*_ODD_VALUES, ObjectValue("custom:x", None)])
_KEYS = [(rule, attr.key) for rule in RULES for attr in rule.attrs]
_CALL = st.lists(_ODD | st.just(X) | st.just([X, X]), max_size=3)


@given(
    st.sampled_from(_KEYS),
    st.lists(_ODD, min_size=12, max_size=12),
    _CALL,
    st.dictionaries(st.sampled_from(["mask", "training", "key"]), _ODD),
)
@settings(derandomize=True, deadline=None, max_examples=300)
@pytest.mark.clause("KC-2@aeef8f", "KC-22@781916")
def test_odd_values_are_no_errors(
    kit: Any, place: Any, values: list[Any], args: list[Any], kwargs: dict[str, Any]
) -> None:
    """A layer with values of any form in its config and its call is lifted or stays, and comes back as it was."""
    rule, _ = place
    module = kit.layer(rule.keras, **dict(zip((attr.key for attr in rule.attrs), values, strict=False)))
    module.attrs |= {"dtype": values[-1], "activity_regularizer": values[-2], "trainable": values[-3]}
    model = kit.model(module, shape=(None, 4, 4), calls=[Call("it", "it", args, kwargs)])
    assert kit.returned(model)
    found, _ = kit.lifted(model)
    if vocabulary.is_core(found):
        check_module(found, "it")


@pytest.mark.library
def test_a_shape_that_was_not_known_when_a_file_was_written_is_no_scalar(kit: Any) -> None:
    """Of a tensor whose recorded shape is empty, the shape is what follows from the layers before it."""
    dense = Module("layer", "layer", "keras:Dense", {"units": 3, "dtype": "float32"}, {"kernel": "k", "bias": "b"})
    held = kit.layer("TimeDistributed", layer=ModuleRef("it/layer"))
    held.modules.append(dense)
    model = kit.model(held, shape=(None, 6, 4))
    model.config.model.residue["keras"] = {"tensors": {"x": [[[], "float32"]]}}
    module, kept = kit.lifted(model)
    assert (module.op, kept) == ("core:time_distributed", {})
