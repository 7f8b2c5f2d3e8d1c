"""Configs: modules, graphs and their way back, without the documents that Keras wrote."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import ModuleRef, ObjectValue, OutputRef
from etui.containers.config import Call, Graph
from etui.errors import EtuiError, TransferError

Json = Any


def refusal(kit: Any, tree: Json) -> str:
    """The code with which a config is refused."""
    with pytest.raises(EtuiError) as caught:
        kit.model(tree)
    return caught.value.code


@pytest.mark.clause("K-6@160278", "K-13@40046b")
def test_a_layer_is_a_module_with_its_config_as_attributes(kit: Any) -> None:
    """The name is the module's, the build config is `build`, and all else in the config is in `attrs`."""
    zeros: Json = {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None}
    dense = kit.layer("Dense", "head", {"input_shape": [None, 4]}, units=3, kernel_initializer=zeros, gain=1.0)
    model = kit.round_trip(kit.sequential([kit.input("start", 4), dense]))
    module = model.config.find("head")
    assert (module.name, module.kind, module.op) == ("head", "layer", "keras:Dense")
    assert module.attrs == {
        "trainable": True,
        "dtype": "float32",
        "units": 3,
        "kernel_initializer": ObjectValue("keras:initializers.Zeros", {}),
        "gain": 1.0,
    }
    assert module.build == {"input_shape": [None, 4]}
    assert type(module.attrs["gain"]) is float
    assert module.residue == {}


@pytest.mark.clause("K-16@159605", "C-12@ba0ef6")
def test_shared_layers_are_called_several_times(kit: Any) -> None:
    """Each inbound node is a call, in an order in which they can be made, although layers are listed otherwise."""
    t = kit.tensor
    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(kit.layer("Dense", "shared", units=4), [t("x")], [t("between")]),
        kit.called(kit.layer("Dense", "between", units=4), [t("shared")]),
        kit.called(kit.layer("Add", "sum"), [[t("shared", 0), t("shared", 1)]]),
    ]
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["sum", 0, 0]))
    graph = model.config.model.graph
    assert [call.id for call in graph.calls] == ["x", "shared", "between", "shared:1", "sum"]
    assert graph.calls[0] == Call("x", "x", [], {})
    assert graph.calls[4].args == [[OutputRef("shared", 0), OutputRef("shared:1", 0)]]
    assert (graph.inputs, graph.outputs) == (OutputRef("x", 0), OutputRef("sum", 0))
    assert (model.config.model.kind, model.config.model.op) == ("graph", "keras:Functional")


@pytest.mark.clause("K-16@159605")
def test_ids_of_calls_stay_apart(kit: Any) -> None:
    """A layer that is named like another's second call does not take its id."""
    t = kit.tensor
    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(kit.layer("Dense", "a", units=4), [t("x")], [t("a")]),
        kit.called(kit.layer("Dense", "a:1", units=4), [t("a", 1)]),
    ]
    graph = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["a:1", 0, 0])).config.model.graph
    assert [call.id for call in graph.calls] == ["x", "a", "a:1", "a:1'"]


@pytest.mark.clause("K-11@58d76f", "C-14@f295e4")
def test_inputs_and_outputs_keep_their_nesting(kit: Any) -> None:
    """Dicts, lists of one and several outputs of one layer come back as they were."""
    t = kit.tensor
    layers = [
        kit.called(kit.input("a", 4)),
        kit.called(kit.input("b", 4)),
        kit.called(
            kit.layer("LSTM", "rnn", units=2, return_state=True), {"args": [t("a")], "kwargs": {"mask": t("b")}}
        ),
    ]
    ends = {"left": ["a", 0, 0], "right": [["b", 0, 0]]}, [["rnn", 0, 2], {"x": ["rnn", 0, 0]}]
    graph = kit.round_trip(kit.functional(layers, *ends)).config.model.graph
    assert graph.inputs == {"left": OutputRef("a", 0), "right": [OutputRef("b", 0)]}
    assert graph.outputs == [OutputRef("rnn", 2), {"x": OutputRef("rnn", 0)}]
    assert graph.calls[2].kwargs == {"mask": OutputRef("b", 0)}


@pytest.mark.clause("K-7@32e2b5")
def test_operations_are_nodes_of_the_graph(kit: Any) -> None:
    """An operation is a module of the namespace's `ops`, with its arguments in the call."""
    t = kit.tensor
    item = {
        "module": "keras.src.ops.numpy",
        "class_name": "GetItem",
        "config": {"name": "get_item"},
        "registered_name": "GetItem",
    }
    key = [{"class_name": "__ellipsis__", "config": {}}, 3]
    layers = [kit.called(kit.input("x", 4)), kit.called(item, {"args": [t("x"), key], "kwargs": {}})]
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["get_item", 0, 0]))
    assert model.config.find("get_item").op == "keras:ops.numpy.GetItem"
    assert model.config.model.graph.calls[1].args == [OutputRef("x", 0), [Ellipsis, 3]]
    assert len(model.weights) == 0


@pytest.mark.clause("K-17@4b37f9")
def test_a_sequential_model_is_a_chain(kit: Any) -> None:
    """With an input layer its calls are written, and without one it is a layer whose op says the same."""
    model = kit.round_trip(kit.dense_model(), kit.dense_arrays(), names=None)
    root = model.config.model
    assert (root.kind, root.op) == ("graph", "keras:Sequential")
    assert [(call.module, call.args) for call in root.graph.calls] == [
        ("start", []),
        ("first", [OutputRef("start", 0)]),
        ("second", [OutputRef("first", 0)]),
    ]
    late = kit.round_trip(kit.sequential([kit.layer("Dense", "first", units=3)]))
    assert (late.config.model.kind, late.config.model.graph) == ("layer", None)
    assert kit.round_trip(kit.sequential([])).config.model.modules == []


@pytest.mark.clause("K-58@3c09cf", "C-15@33b2a1")
def test_models_nest(kit: Any) -> None:
    """A model inside of a model is a module with a graph of its own; Keras counts its calls from 1 among outputs."""
    t = kit.tensor
    inner = kit.functional(
        [kit.called(kit.input("i", 4)), kit.called(kit.layer("Dense", "d", units=4), [t("i")])],
        ["i", 0, 0],
        ["d", 0, 0],
        "inner",
    )
    block = kit.sequential([kit.input("s", 4), kit.layer("Dense", "e", units=4)], "block")
    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(inner, [t("x")], [t("block")]),
        kit.called(block, [t("inner", 0)]),
    ]
    tree = kit.functional(layers, ["x", 0, 0], [["inner", 2, 0], ["block", 0, 0]])
    model = kit.round_trip(tree)
    assert model.config.model.graph.outputs == [OutputRef("inner:1", 0), OutputRef("block", 0)]
    assert model.config.find("inner/d").op == "keras:Dense"
    assert model.config.find("inner").kind == model.config.find("block").kind == "graph"


@pytest.mark.clause("K-12@83e131", "C-15@33b2a1")
def test_a_layer_of_two_models_is_defined_once(kit: Any) -> None:
    """A layer that Keras wrote twice under one id is one module, and `shared` at its second place."""
    t = kit.tensor
    dense = kit.layer("Dense", "both", units=4) | {"shared_object_id": 1}
    inner = kit.functional(
        [kit.called(kit.input("i", 4)), kit.called(dense, [t("i")])], ["i", 0, 0], ["both", 0, 0], "inner"
    )
    layers = [kit.called(kit.input("x", 4)), kit.called(inner, [t("x")]), kit.called(dense, [t("inner")])]
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["both", 0, 0]))
    assert model.config.find("both").kind == "shared"
    assert model.config.find("both").target == "inner/both"
    changed = dense | {"config": dense["config"] | {"units": 5}}
    layers[2] = kit.called(changed, [t("inner")])
    assert kit.round_trip(kit.functional(layers, ["x", 0, 0], ["both", 0, 0])).config.find("both").kind == "layer"


@pytest.mark.clause("K-14@54e278")
def test_held_layers_are_children(kit: Any) -> None:
    """A wrapper's layer is its child under the attribute's name, and the attribute refers to it."""
    lstm = kit.layer("LSTM", "lstm", units=3)
    arrays: dict[str, Any] = {}
    names = {"layers/bidirectional/forward_layer": "forward_lstm", "layers/time_distributed/layer": "inner"}
    model = kit.model(
        kit.sequential(
            [kit.layer("Bidirectional", "both", layer=lstm), kit.layer("TimeDistributed", "each", layer=lstm)]
        ),
        arrays,
        names=names,
    )
    both = model.config.find("both")
    assert both.attrs["layer"] == ModuleRef("both/forward_layer")
    assert model.config.find("both/forward_layer").op == "keras:LSTM"
    assert model.config.find("each").attrs["layer"] == ModuleRef("each/layer")
    cells = [kit.layer("GRUCell", "one", units=2), kit.layer("GRUCell", "two", units=2)]
    stack = kit.layer("StackedRNNCells", "stack", cells=cells)
    tree = kit.sequential([kit.layer("RNN", "rnn", cell=stack)])
    model = kit.round_trip(tree)
    assert model.config.find("rnn/cell").attrs["cells"] == [ModuleRef("rnn/cell/one"), ModuleRef("rnn/cell/two")]


@pytest.mark.clause("K-14@54e278", "C-7@2332d1")
def test_a_custom_layer_holds_what_the_weights_file_shows(kit: Any) -> None:
    """A layer in a custom layer's config is its child where the file has a group for it, and else data."""
    inner = kit.layer("Dense", "zz", units=2)
    block = {
        "module": None,
        "class_name": "Block",
        "config": {"name": "block", "dtype": "float32", "hidden": inner, "other": inner, "many": [inner]},
        "registered_name": "mine>Block",
    }
    names = {"": "model", "layers/block": "block", "layers/block/_hidden": "zz", "layers/block/many/dense": "zz"}
    model = kit.round_trip(kit.sequential([block]), names=names)
    module = model.config.find("block")
    assert (module.kind, module.op) == ("opaque", "custom:mine>Block")
    assert module.attrs["hidden"] == ModuleRef("block/hidden")
    assert module.attrs["other"].class_name == "keras:layers.Dense"
    assert module.attrs["many"] == [ModuleRef("block/zz")]
    assert model.config.find("block/hidden").op == "keras:Dense"


@pytest.mark.clause("C-7@2332d1", "C-10@b7635b")
def test_a_subclassed_model_is_opaque(kit: Any) -> None:
    """A model whose class is the author's own keeps its config as data and its modules from the weights file."""
    tree = {
        "module": "my.models",
        "class_name": "Net",
        "config": {"name": "net", "trainable": True, "units": 4, "layers": "three"},
        "registered_name": "Net",
        "build_config": {"input_shape": [8, 4]},
        "compile_config": {},
    }
    arrays = {"enc/vars/0": [1.0], "layers/dense_1/vars/0": [2.0], "blocks/block/vars/0": [3.0]}
    names = {"": "net", "enc": "dense", "layers/dense_1": "head", "blocks/block": "block_7"}
    model = kit.round_trip(tree, arrays, names=names)
    assert (model.config.model.kind, model.config.model.op) == ("opaque", "custom:Net")
    assert model.config.model.attrs["layers"] == "three"
    found = {path: (module.kind, module.op) for path, module in model.config.walk() if path}
    assert found == {
        "blocks": ("layer", "keras:Container"),
        "blocks/block": ("opaque", "keras:Layer"),
        "enc": ("opaque", "keras:Layer"),
        "head": ("opaque", "keras:Layer"),
    }
    assert set(model.weights) == {"blocks/block/0", "enc/0", "head/0"}


@pytest.mark.clause("D-3@4c720b", "K-13@40046b")
def test_names_that_no_path_can_hold_are_escaped(kit: Any) -> None:
    """A layer's name with a slash or percent sign is escaped in paths and comes back unchanged."""
    tree = kit.sequential([kit.layer("Dense", "a/b%20@ä", units=1), kit.layer("Dense", "..", units=1)], "x/y")
    model = kit.round_trip(tree)
    assert [path for path, _ in model.config.walk()] == ["", "a%2Fb%2520%40ä", "%2E%2E"]
    assert model.config.model.name == "x%2Fy"


@pytest.mark.clause("K-58@3c09cf", "K-59@cab9b0")
@pytest.mark.parametrize(
    "change",
    [
        {"registered_name": "Dense"},
        {"build_config": None},
        {"compile_config": {"optimizer": "adam"}},
        {"extra": [1, {"a": 2.0}]},
        {"module": "keras.src.layers.core.dense"},
        {"shared_object_id": 1},
        {"config": {"units": 3}},
        {"config": {"name": "other", "units": 3}},
        {"config": {"name": "first", "table": {"z": 1, "a": [{"y": 1, "b": 2}]}}},
        {"name": "first"},
    ],
)
def test_oddities_of_a_node_are_kept(kit: Any, change: dict[str, Json]) -> None:
    """Fields that are more, fewer or other than usual come back, in a layer of a Functional model and of another."""
    t = kit.tensor
    dense = kit.layer("Dense", "first", units=3) | change
    call = [{"args": [t("x")], "kwargs": {}}]
    layers = [kit.called(kit.input("x", 4)), dense | {"name": "first", "inbound_nodes": call}]
    kit.round_trip(kit.functional(layers, ["x", 0, 0], ["first", 0, 0]))
    kit.round_trip(kit.sequential([dense | {"name": "first"}]))
    odd = kit.round_trip(kit.sequential([kit.layer("Wrapper", "w", layer=dense)]))
    assert odd.config.find("w").attrs["layer"].class_name.endswith("ense")


@pytest.mark.clause("K-58@3c09cf")
@pytest.mark.parametrize("compiled", ["absent", None, {}])
def test_models_that_were_not_compiled_come_back(kit: Any, compiled: Json) -> None:
    """No compile config, an empty one and null are three things."""
    tree = kit.sequential([kit.layer("Dense", "d", units=1)])
    del tree["compile_config"]
    if compiled != "absent":
        tree["compile_config"] = compiled
    model = kit.round_trip(tree)
    assert model.training is None
    kit.round_trip(tree, version="2.15.0")


@pytest.mark.clause("K-64@2e8b7d", "C-15@33b2a1")
@pytest.mark.parametrize("nested_first", [False, True])
def test_a_model_of_two_models_is_defined_once(kit: Any, nested_first: bool) -> None:
    """Keras gives ids to the layers of a model at its second place alone, and none to one that a nested model has."""
    t = kit.tensor
    initializer: dict[str, Json] = {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    }

    def block(first: bool, mark: bool) -> Json:
        zeros = initializer if first else initializer | {"shared_object_id": 3}
        dense = kit.layer("Dense", "d", units=4, bias_initializer=zeros) | ({} if first else {"shared_object_id": 2})
        made = {"module": "keras", "class_name": "Sequential", "registered_name": None, "compile_config": {},
                "config": {"name": "block", "trainable": True, "layers": [kit.input("i", 4), dense]}}  # fmt: skip
        return made | ({"shared_object_id": 1} if mark else {})

    nested = kit.functional(
        [kit.called(kit.input("n", 4)), kit.called(block(nested_first, not nested_first), [t("n")])],
        ["n", 0, 0], ["block", 0, 0], "nested",
    )  # fmt: skip
    nested["compile_config"] = {}
    outer = kit.called(block(not nested_first, True), [t("x")])
    both = [kit.called(nested, [t("x")]), outer] if nested_first else [outer, kit.called(nested, [t("x")])]
    add = kit.called(kit.layer("Add", "sum"), [[t("nested"), t("block")]])
    layers = [kit.called(kit.input("x", 4)), *both, add]
    first = "layers/functional/layers/sequential" if nested_first else "layers/sequential"
    arrays = {f"{first}/layers/dense/vars/{at}": np.ones(shape, "float32") for at, shape in enumerate([(4, 4), (4,)])}
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["sum", 0, 0]), arrays)
    place, other = ("nested/block", "block") if nested_first else ("block", "nested/block")
    assert (model.config.find(other).kind, model.config.find(other).target) == ("shared", place)
    assert set(model.weights.variables) == {f"{place}/d/kernel", f"{place}/d/bias"}


@pytest.mark.clause("K-64@2e8b7d")
def test_a_layer_that_a_wrapper_has_as_well_is_defined_once(kit: Any) -> None:
    """Keras gives ids to the objects in a layer where a wrapper has it, and none to them where it stands alone."""
    t = kit.tensor
    zeros: dict[str, Json] = {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    }

    def dense(**more: Json) -> Json:
        return kit.layer("Dense", "d", units=4, bias_initializer=zeros | more) | {"shared_object_id": 1}

    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(dense(), [t("x")]),
        kit.called(kit.layer("TimeDistributed", "w", layer=dense(shared_object_id=2)), [t("d")]),
    ]
    arrays = {f"layers/dense/vars/{at}": np.ones(shape, "float32") for at, shape in enumerate([(4, 4), (4,)])}
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["w", 0, 0]), arrays)
    assert (model.config.find("w/layer").kind, model.config.find("w/layer").target) == ("shared", "d")
    assert set(model.weights.variables) == {"d/kernel", "d/bias"}


@pytest.mark.clause("K-64@2e8b7d")
def test_an_id_that_two_layers_may_have_links_none(kit: Any) -> None:
    """Where two layers without ids are like one with an id, none of them is taken for it."""
    t = kit.tensor
    dense = kit.layer("Dense", "d", units=4)

    def nested(name: str) -> Json:
        layers = [kit.called(kit.input("n", 4)), kit.called(dense, [t("n")])]
        return kit.functional(layers, ["n", 0, 0], ["d", 0, 0], name)

    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(nested("a"), [t("x")]),
        kit.called(nested("b"), [t("a")]),
        kit.called(dense | {"shared_object_id": 1}, [t("b")]),
    ]
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["d", 0, 0]))
    assert [model.config.find(path).kind for path in ("a/d", "b/d", "d")] == ["layer"] * 3


@pytest.mark.clause("K-12@83e131")
def test_an_object_that_is_a_module_elsewhere_is_a_reference(kit: Any) -> None:
    """A layer in another layer's config that was met before is a reference to that module."""
    table = kit.layer("Embedding", "table", input_dim=9, output_dim=4) | {"shared_object_id": 1}
    tied = {
        "module": None,
        "class_name": "Untied",
        "config": {"name": "untied", "dtype": "float32", "table": table},
        "registered_name": "mine>Untied",
    }
    model = kit.round_trip(kit.sequential([table, tied]))
    assert model.config.find("untied").attrs["table"] == ModuleRef("table")


def graph_with(kit: Any, call: Json, ends: Json = (["x", 0, 0], ["d", 0, 0])) -> Json:
    """A Functional model of one Dense layer that is called in a given way."""
    dense = kit.layer("Dense", "d", units=1) | {"name": "d", "inbound_nodes": call}
    return kit.functional([kit.called(kit.input("x", 4)), dense], *ends)


@pytest.mark.clause("K-3@83a649", "V-9@19ad5e")
def test_configs_of_another_form_are_refused(kit: Any) -> None:
    """References into nothing, calls in a circle, layers without names and nodes that are none are refused."""
    t = kit.tensor
    ok = [{"args": [t("x")], "kwargs": {}}]
    assert len(kit.model(graph_with(kit, ok)).config.model.modules) == 2
    twice = kit.called(kit.layer("Dense", "d", units=1), [t("d")])
    bad: list[Json] = [
        {},
        {"class_name": "Sequential", "config": None, "module": "keras"},
        {"class_name": "Sequential", "config": {"layers": [1]}, "module": "keras"},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "A", "config": {}}]}, "module": "keras"},
        graph_with(kit, [{"args": [t("nobody")], "kwargs": {}}]),
        graph_with(kit, [{"args": [t("x", 1)], "kwargs": {}}]),
        graph_with(kit, [{"args": [t("x", 0, -1)], "kwargs": {}}]),
        graph_with(kit, [{"args": [t("x", 0, 2**31 - 1)], "kwargs": {}}]),
        graph_with(kit, ok, (["x", 0, 0], ["d", 0, 2**60])),
        graph_with(kit, [{"args": [t("d")], "kwargs": {}}]),
        graph_with(kit, [{"args": 1, "kwargs": {}}]),
        graph_with(kit, [5]),
        graph_with(kit, "no list"),
        graph_with(kit, ok, (["x", 0, 0], ["d", 1, 0])),
        graph_with(kit, ok, (["x", 0, 0], 5)),
        kit.functional([kit.called(kit.input("x", 4)), twice, twice], ["x", 0, 0], ["d", 0, 0]),
        kit.functional({"a": 1}, ["x", 0, 0], ["d", 0, 0]),
    ]
    assert [refusal(kit, tree) for tree in bad] == ["keras-config"] * len(bad)


@pytest.mark.clause("K-39@de352d")
def test_outputs_that_nobody_names_are_bounded(kit: Any) -> None:
    """The highest output of a call makes room for those before it, which all calls together have not without end."""
    sparse = [{"args": [kit.tensor("x", 0, 4095)], "kwargs": {}}]
    assert len(kit.model(graph_with(kit, sparse)).config.model.modules) == 2
    both = [{"args": [kit.tensor("x", 0, 4095), kit.tensor("d", 0, 1)], "kwargs": {}}]
    assert refusal(kit, graph_with(kit, both)) == "limit-foreign"


@pytest.mark.clause("K-60@e528a0")
def test_ops_that_are_not_keras_are_named(kit: Any) -> None:
    """A module of another framework is refused with its op."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    model.config.find("second").op = "torch:nn.Linear"
    with pytest.raises(TransferError, match=r"second.*torch:nn\.Linear") as caught:
        kit.back(model)
    assert caught.value.code == "keras-op"


@pytest.mark.clause("K-60@e528a0")
def test_a_sequential_model_with_other_calls_is_refused(kit: Any) -> None:
    """The op says that modules are a chain, so that calls which are none have no form in Keras."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    calls = model.config.model.graph.calls
    model.config.model.graph = Graph(OutputRef("start", 0), OutputRef("first", 0), calls)
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-graph"


@pytest.mark.clause("K-58@3c09cf", "K-59@cab9b0")
def test_ends_of_another_form_are_kept(kit: Any) -> None:
    """A reference to an output that counts a custom model's calls from 1 comes back as it was."""
    t = kit.tensor
    net = {
        "module": None,
        "class_name": "Net",
        "config": {"name": "net", "dtype": "float32"},
        "registered_name": "mine>Net",
        "compile_config": {},
    }
    layers = [kit.called(kit.input("x", 4)), kit.called(net, [t("x")])]
    model = kit.round_trip(kit.functional(layers, ["x", 0, 0], ["net", 1, 0]))
    assert model.config.model.graph.outputs == OutputRef("net", 0)
    assert kit.round_trip(kit.functional(layers, ["x", 0, 0], ["net", 0, 0])).config.model.graph.outputs == (
        OutputRef("net", 0)
    )


@pytest.mark.clause("C-13@fc15f0")
def test_new_calls_need_no_residue(kit: Any) -> None:
    """A call that was added to the neutral graph is written, though its tensors' shapes are not known."""
    layers = [kit.called(kit.input("x", 4)), kit.called(kit.layer("Dense", "d", units=4), [kit.tensor("x")])]
    model = kit.model(kit.functional(layers, ["x", 0, 0], ["d", 0, 0]))
    graph = model.config.model.graph
    graph.calls.append(Call("again", "d", [OutputRef("d", 0)]))
    graph.outputs = OutputRef("again", 0)
    config = kit.content(kit.back(model))["config"]["config"]
    assert config["output_layers"] == ["d", 1, 0]
    assert config["layers"][1]["inbound_nodes"][1]["args"][0]["config"]["keras_history"] == ["d", 0, 0]
    model.config.find("d").attrs["stray"] = OutputRef("d", 0)
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-value"


@pytest.mark.clause("N-4@fc390c", "K-58@3c09cf")
def test_edits_of_the_neutral_graph_are_written(kit: Any) -> None:
    """What the neutral document says is what Keras gets, although the residue knows the former calls."""
    t = kit.tensor
    layers = [
        kit.called(kit.input("x", 4)),
        kit.called(kit.layer("Dense", "a", units=4), [t("x")]),
        kit.called(kit.layer("Dense", "b", units=4), [t("a")]),
    ]
    model = kit.model(kit.functional(layers, ["x", 0, 0], ["b", 0, 0]))
    model.config.model.graph.calls[2].args = [OutputRef("x", 0)]
    model.config.find("b").attrs["units"] = 7
    config = kit.content(kit.back(model))["config"]["config"]
    assert config["layers"][2]["config"]["units"] == 7
    assert config["layers"][2]["inbound_nodes"][0]["args"][0]["config"]["keras_history"] == ["x", 0, 0]
    assert json.dumps(config["layers"][1]) == json.dumps(layers[1])


@pytest.mark.library
def test_hundreds_of_layers_are_no_burden(kit: Any) -> None:
    """A chain of 2,000 calls, listed backwards, is put in order without recursion."""
    t = kit.tensor
    count = 2000
    layers = [
        kit.called(kit.layer("Dense", f"d{at}", units=4), [t(f"d{at - 1}" if at else "x")]) for at in range(count)
    ]
    tree = kit.functional([*reversed(layers), kit.called(kit.input("x", 4))], ["x", 0, 0], [f"d{count - 1}", 0, 0])
    graph = kit.round_trip(tree).config.model.graph
    assert [call.id for call in graph.calls] == ["x", *(f"d{at}" for at in range(count))]
