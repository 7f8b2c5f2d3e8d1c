"""A model held against the vocabulary, in memory and in files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import etui
from etui import digest
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.core import vocabulary
from etui.core.check import check, check_module, shape_fault
from etui.errors import EtuiError, InvalidError
from etui.model import Model


def dense() -> Module:
    return Module("d", op="core:dense", attrs={"units": 2}, params={"kernel": "d/kernel", "bias": "d/bias"})


def model(module: Module, **shapes: tuple[int, ...]) -> Model:
    """A graph of one module, with variables of shapes."""
    source = Module("x", op="core:input", attrs={"shape": [None, 3], "dtype": "float32"})
    calls = [Call("x", "x"), Call(module.name, module.name, [OutputRef("x", 0)])]
    graph = Graph([OutputRef("x", 0)], OutputRef(module.name, 0), calls)
    weights = Weights()
    for path, shape in (shapes or {"d__kernel": (3, 2), "d__bias": (2,)}).items():
        weights.add(path.replace("__", "/"), Tensor.of(np.zeros(shape, np.float32)), role="kernel")
    return Model(
        config=Config(Module("m", "graph", "core:graph", modules=[source, module], graph=graph)), weights=weights
    )


@pytest.mark.clause("C-9@2bc586", "CV-6@e1024c", "CV-7@728f36")
def test_a_good_model_is_saved_and_opened(tmp_path: Any) -> None:
    """A core model passes when it is written and when it is read, and is the same afterwards."""
    path = tmp_path / "a.etui"
    etui.save(model(dense()), path)
    with etui.open(path) as found:
        assert found.config is not None
        assert found.config.find("d").op == "core:dense"
        check(found)


Change = Callable[[Module], object]


def attrs(**changed: Any) -> Change:
    return lambda module: module.attrs.update(changed)


FAULTS: dict[str, tuple[Change, str, str]] = {
    "an op that there is not": (lambda module: setattr(module, "op", "core:nothing"), "op-unknown", "core:nothing"),
    "an attribute of another op": (attrs(filters=2), "core-attrs", "filters"),
    "a whole number for a float": (attrs(precision=1), "core-attrs", "precision = 1"),
    "a boolean for an integer": (attrs(units=True), "core-attrs", "units = True"),
    "an integer for a boolean": (attrs(use_bias=0), "core-attrs", "use_bias = 0"),
    "too few units": (attrs(units=0), "core-attrs", "units = 0"),
    "a default that is written": (attrs(use_bias=True), "core-attrs", "the default"),
    "an attribute that is missing": (lambda module: module.attrs.clear(), "core-attrs", "no units"),
    "an activation that there is not": (attrs(activation="swoosh"), "core-attrs", "swoosh"),
    "an activation as an object without need": (
        attrs(activation=ObjectValue("core:activations.relu", {})),
        "core-attrs",
        "activation",
    ),
    "an object of another kind": (
        attrs(initializers={"kernel": ObjectValue("core:activations.relu", {})}),
        "core-attrs",
        "initializers",
    ),
    "a variable that the op does not have": (
        lambda module: module.params.update(gamma="d/bias"),
        "core-params",
        "gamma",
    ),
    "a variable that is missing": (lambda module: module.params.pop("bias"), "core-params", "kernel"),
    "a variable against its condition": (attrs(use_bias=False), "core-params", "bias"),
    "other units than the kernel has": (attrs(units=3), "core-shape", r"\[3, 2\]"),
    "a child module": (lambda module: module.modules.append(dense()), "core-modules", "which has none"),
}


@pytest.mark.clause(
    "C-9@2bc586",
    "CV-1@e90ac2",
    "CV-2@49bc01",
    "CV-3@214494",
    "CV-4@ca9277",
    "CV-5@fe6927",
    "CV-6@e1024c",
    "CV-7@728f36",
)
@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_refused_in_memory_and_by_a_writer(name: str, tmp_path: Any) -> None:
    """Each fault has its code, and its message says what was found in which module."""
    change, code, text = FAULTS[name]
    built = model(dense())
    assert built.config is not None
    change(built.config.find("d"))
    with pytest.raises(EtuiError, match=text) as refusal:
        check(built)
    assert refusal.value.code == code
    assert "at d" in refusal.value.where
    with pytest.raises(EtuiError) as refusal:
        etui.save(built, tmp_path / "a.etui")
    assert refusal.value.code == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.clause("CV-3@214494", "CV-7@728f36")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [(b'"units":2', b'"units":0', "core-attrs"), (b'"units":2', b'"units":3', "core-shape")],
)
def test_a_reader_refuses_what_a_writer_does(old: bytes, new: bytes, code: str) -> None:
    """A fault that got into a file is found when it is opened."""
    parts: dict[str, Any] = {}
    etui.save(model(dense()), parts)
    config = bytes(parts["config.json"])
    assert config.count(old) == 1
    changed = config.replace(old, new)
    manifest = bytes(parts["manifest.json"])
    before, after = (digest.of(data).encode() for data in (config, changed))
    parts["config.json"], parts["manifest.json"] = changed, manifest.replace(before, after)
    with pytest.raises(InvalidError) as refusal:
        etui.open(parts)
    assert refusal.value.code == code


@pytest.mark.clause("CV-5@fe6927")
def test_wrappers_have_their_children_and_graphs_their_graph() -> None:
    """A wrapper lacks its child, or has it under another name; a graph is no layer; a sequence may be both."""
    time = Module("t", op="core:time_distributed", modules=[Module("layer", op="core:identity")])
    check_module(time, "t")
    check_module(Module("s", op="core:sequential", modules=[Module("a", op="core:identity")]), "s")
    for wrong in (
        Module("t", op="core:time_distributed"),
        Module("t", op="core:time_distributed", modules=[Module("inner", op="core:identity")]),
        Module("g", op="core:graph"),
        Module("i", op="core:identity", modules=[Module("a", op="core:identity")]),
    ):
        with pytest.raises(InvalidError) as refusal:
            check_module(wrong, "t")
        assert refusal.value.code == "core-modules"


@pytest.mark.clause("CV-7@728f36")
@pytest.mark.parametrize(
    ("op", "attrs", "shapes", "good"),
    [
        ("dense", {"units": 2}, {"kernel": (3, 2), "bias": (2,)}, True),
        ("dense", {"units": 2}, {"kernel": (3, 2), "bias": (3,)}, False),
        ("dense", {"units": 2}, {"kernel": (3, 1, 2)}, False),
        ("conv", {"filters": 6, "kernel_size": [3, 2], "groups": 2}, {"kernel": (3, 2, 5, 6)}, True),
        ("conv", {"filters": 6, "kernel_size": [3, 2]}, {"kernel": (2, 3, 5, 6)}, False),
        ("depthwise_conv", {"kernel_size": [3], "depth_multiplier": 2}, {"kernel": (3, 4, 2), "bias": (8,)}, True),
        ("depthwise_conv", {"kernel_size": [3], "depth_multiplier": 2}, {"kernel": (3, 4, 2), "bias": (7,)}, False),
        (
            "separable_conv",
            {"kernel_size": [3, 3], "filters": 5},
            {"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 4, 5), "bias": (5,)},
            True,
        ),
        (
            "separable_conv",
            {"kernel_size": [3, 3], "filters": 5},
            {"depthwise_kernel": (3, 3, 4, 1), "pointwise_kernel": (1, 1, 3, 5)},
            False,
        ),
        ("batch_norm", {}, {"gamma": (4,), "moving_mean": (4,)}, True),
        ("batch_norm", {}, {"gamma": (4,), "moving_mean": (5,)}, False),
        ("layer_norm", {"axes": [1, 2]}, {"gamma": (4, 5), "beta": (4, 5)}, True),
        ("layer_norm", {"axes": [1, 2]}, {"gamma": (4, 5), "beta": (5, 4)}, False),
        ("layer_norm", {"axes": None}, {"gamma": (4, 5, 6)}, True),
        ("gru", {"units": 4}, {"kernel": (3, 12), "recurrent_kernel": (4, 12), "bias": (2, 12)}, True),
        ("gru", {"units": 4, "reset_after": False}, {"kernel": (3, 12), "bias": (12,)}, True),
        ("gru", {"units": 4}, {"bias": (12,)}, False),
        ("mha", {"num_heads": 2, "key_dim": 3}, {"query_kernel": (8, 2, 3), "value_kernel": (8, 2, 3)}, True),
        ("mha", {"num_heads": 2, "key_dim": 3}, {"value_kernel": (8, 2, 4)}, False),
        ("mha", {"num_heads": 2, "key_dim": 3}, {"output_kernel": (2, 3, 5), "output_bias": (5,)}, True),
        ("mha", {"num_heads": 2, "key_dim": 3}, {"output_kernel": (2, 3, 5), "output_bias": (6,)}, False),
        ("mha", {"num_heads": 2, "key_dim": 3, "output_dim": [7]}, {"output_bias": (6,)}, False),
        ("normalization", {}, {"count": ()}, True),
        ("normalization", {}, {"count": (1,)}, False),
        ("prelu", {}, {"alpha": (3, 4)}, True),
    ],
)
def test_shapes_follow_the_layouts(op: str, attrs: dict[str, Any], shapes: dict[str, Any], good: bool) -> None:
    """Sizes are attributes, products and quotients of them, or the same free number in all variables."""
    entry = vocabulary.ops()[op]
    assert (shape_fault(entry, vocabulary.filled(entry.attrs, attrs), shapes) == "") == good


@pytest.mark.clause("C-9@2bc586", "CV-3@214494")
def test_optimizers_and_objects_of_training_are_checked() -> None:
    """An unknown algorithm, hyperparameter, class or parameter is refused, each with its code; good ones pass."""
    good = Optimizer("core:adam", {"learning_rate": 0.001}, groups=[Group(["a"], {"learning_rate": 0.01})])
    loss = ObjectValue("core:losses.huber", {"delta": 2.0})
    check(Model(optimizer=OptimizerState({"optimizer": good}), training=Training(loss={"out": loss})))
    for optimizer, code in (
        (Optimizer("core:nothing"), "op-unknown"),
        (Optimizer("core:adam", {"rho": 0.9}), "core-optimizer"),
        (Optimizer("core:adam", {"learning_rate": 1}), "core-optimizer"),
        (Optimizer("core:adam", {"beta_1": 0.9}), "core-optimizer"),
        (Optimizer("core:adam", groups=[Group(["a"], {"rho": 0.9})]), "core-optimizer"),
        (Optimizer("core:adam", schedule=ObjectValue("core:schedules.nothing", {})), "op-unknown"),
    ):
        with pytest.raises(EtuiError) as refusal:
            check(Model(optimizer=OptimizerState({"optimizer": optimizer})))
        assert refusal.value.code == code
    for value, code in (
        (ObjectValue("core:losses.nothing", {}), "op-unknown"),
        (ObjectValue("core:losses.huber", {"delta": 1}), "core-object"),
        (ObjectValue("core:losses.huber", {"delta": 1.0}), "core-object"),
        (ObjectValue("core:losses.huber", []), "core-object"),
    ):
        with pytest.raises(EtuiError) as refusal:
            check(Model(training=Training(loss=[value])))
        assert refusal.value.code == code


@pytest.mark.clause("CO-1@8a87a9")
def test_a_group_may_have_a_default_where_the_optimizer_has_another_value() -> None:
    """A group of no weight decay is taken; the decay of the optimizer itself may not be its default."""
    groups = [Group(["a"], {"weight_decay": 0.0, "clip_norm": None, "learning_rate": None}), Group(["b"])]
    own = {"learning_rate": 0.5, "weight_decay": 0.25, "clip_norm": 1.0}
    check(Model(optimizer=OptimizerState({"optimizer": Optimizer("core:adam", own, groups=groups)})))
    with pytest.raises(EtuiError, match="default") as refusal:
        check(Model(optimizer=OptimizerState({"optimizer": Optimizer("core:adam", {"weight_decay": 0.0})})))
    assert refusal.value.code == "core-optimizer"


def _holders(value: ObjectValue) -> dict[str, Model]:
    """Models that have a value where values may be, by the place."""
    optimizer = Optimizer("keras:Own", {"own": value}, groups=[Group(["a"])])
    wrapped = Optimizer("keras:Wrap", inner=Optimizer("keras:Own", groups=[Group(["a"], {"own": [value]})]))
    return {
        "metadata": Model(metadata={"own": value}),
        "config.json at model/attrs": Model(config=Config(Module("model", op="keras:Own", attrs={"own": [value]}))),
        "training.json at loss": Model(training=Training(loss={"out": value})),
        "training.json at options": Model(training=Training(options={"own": value})),
        "optimizer.msgpack at optimizer": Model(optimizer=OptimizerState({"optimizer": optimizer})),
        "optimizer.msgpack at optimizer/inner": Model(optimizer=OptimizerState({"optimizer": wrapped})),
        "state.msgpack": Model(state=State(user={"own": {"deep": value}})),
    }


@pytest.mark.clause("CV-30@1b56ac", "CT-1@7f9aae")
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (ObjectValue("core:initializers.constant", {"value": 1}), "core-attrs"),
        (ObjectValue("core:activations.elu", {"alpha": 1.0}), "core-attrs"),
        (ObjectValue("core:regularizers.l2", None), "core-attrs"),
        (ObjectValue("core:constraints.non_neg", {"axis": 0}), "core-attrs"),
        (ObjectValue("core:losses.huber", {"alpha": 0.5}), "core-object"),
        (ObjectValue("core:metrics.auc", None), "core-object"),
        (ObjectValue("core:schedules.constant", {}), "core-object"),
    ],
)
def test_objects_are_checked_wherever_they_are(value: ObjectValue, code: str) -> None:
    """The kind of an object says the code, and its place does not; without a fault it is taken."""
    holders = _holders(value)
    for place, model in holders.items():
        with pytest.raises(EtuiError) as refusal:
            check(model)
        assert (refusal.value.code, place.split(" ")[0] in str(refusal.value)) == (code, True), place
    for model in _holders(ObjectValue("core:losses.huber", {"delta": 0.5})).values():
        check(model)
    assert len(holders) == 7


@pytest.mark.clause("CV-31@6efaba")
@pytest.mark.parametrize(
    ("kwargs", "found"),
    [
        ({"alpha": 1}, "'alpha', which core:dot_attention does not have"),
        ({"query": OutputRef("x", 0)}, "'query'"),
        ({"return_attention_scores": 1}, "return_attention_scores = 1, which is neither true nor false"),
        ({"training": "yes"}, "training = 'yes'"),
        ({"training": None, "mask": [None, None], "use_causal_mask": True}, ""),
    ],
)
@pytest.mark.parametrize("place", ["own", "shared", "framework"])
def test_arguments_of_calls_are_those_of_the_op(kwargs: dict[str, Any], found: str, place: str, tmp_path: Any) -> None:
    """They are checked under another name of a module, too, and in the graph of a framework's module."""
    attention = Module("a", op="core:dot_attention")
    built = model(attention, k=(1,))
    assert built.config is not None
    root = built.config.model
    assert root.graph is not None
    inputs = [OutputRef("x", 0), OutputRef("x", 0)]
    root.graph.calls[1].args = list(inputs)
    if place == "shared":
        root.modules.append(Module("b", "shared", target="a"))
        root.graph.calls.append(Call("b", "b", list(inputs)))
    if place == "framework":
        root.op = "keras:Functional"
    root.graph.calls[-1].kwargs = kwargs
    if not found:
        etui.save(built, tmp_path / "a.etui")
        return
    with pytest.raises(InvalidError, match=found) as refusal:
        etui.save(built, tmp_path / "a.etui")
    assert refusal.value.code == "core-call"
    assert refusal.value.where == f"config.json at the model/graph/calls/{root.graph.calls[-1].id}"


@pytest.mark.library
def test_other_namespaces_are_not_looked_at() -> None:
    """A model of Keras' own layers passes whatever its attributes are."""
    module = Module("d", op="keras:Dense", attrs={"anything": 1})
    check(Model(config=Config(module)))
