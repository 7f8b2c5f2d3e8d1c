"""Odd values anywhere in a model: the translation gives a model or an error with a code, never another exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from etui.bridges.keras.dialects.normalize import to_dialect
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Variable, Weights
from etui.errors import EtuiError
from etui.model import Model
from etui.report import Report

ODD: list[Any] = [
    None,
    [],
    {},
    (),
    [None, 2],
    {"a": [1]},
    float("nan"),
    -1,
    True,
    "x",
    b"x",
    Ellipsis,
    slice(None, None, None),
    np.zeros((2, 2), "float32"),
    ObjectValue("keras:initializers.Zeros", None),
    ObjectValue("keras:layers.Dense", [1]),
    ObjectValue("keras:Sequential", {"layers": [ObjectValue("keras:layers.ReLU", 3)]}),
    ObjectValue("keras:DTypePolicy", {"name": 3}),
    ObjectValue("custom:x", {"y": np.zeros(2)}),
]
ATTRS: dict[str, dict[str, Any]] = {
    "BatchNormalization": {"axis": [-1], "fused": True, "renorm": False},
    "Bidirectional": {"layer": None, "backward_layer": None, "merge_mode": "concat"},
    "Dense": {
        "activation": "hard_sigmoid",
        "kernel_regularizer": "l1_l2",
        "dtype": "float32",
        "batch_input_shape": [1, 2],
    },
    "GRU": {"recurrent_activation": "hard_sigmoid", "time_major": False, "zero_output_for_mask": False},
    "InputLayer": {"batch_input_shape": [None, 2], "batch_shape": [None, 2], "dtype": "float32"},
    "Lambda": {
        "function": ["a", None, None],
        "function_type": "lambda",
        "output_shape": None,
        "output_shape_type": "raw",
    },
    "LeakyReLU": {"alpha": 0.1, "negative_slope": 0.1},
    "MultiHeadAttention": {"query_shape": None, "use_gate": False},
    "RandomContrast": {"value_range": [0, 255], "factor": 0.1, "data_format": "channels_last"},
    "StringLookup": {"dtype": "int64", "oov_method": "floormod"},
}


def rooted(module: Module, dialect: str, **parts: Any) -> Model:
    """A model of one dialect."""
    if dialect == "tf_keras":
        module.residue = {"keras": {"dialect": dialect}}
    return Model(Config(module), Weights(), **parts)


def survives(model: Model, target: Any) -> bool:
    """Whether the translation ends in a model, and not in an error with a code."""
    try:
        to_dialect(model, target, Report())
    except EtuiError:
        return False
    return True


SIDES = [("tf_keras", "keras"), ("keras", "tf_keras")]


@pytest.mark.clause("KN-4@6cb9a8", "KN-5@5f0c00")
@pytest.mark.parametrize(("source", "target"), SIDES)
@pytest.mark.parametrize("name", sorted(ATTRS))
def test_odd_attributes(name: str, source: str, target: str) -> None:
    """Whatever an attribute holds, the translation ends in a model."""
    tried = 0
    for key in ATTRS[name]:
        for odd in ODD:
            layer = Module("odd", "layer", f"keras:{name}", ATTRS[name] | {key: odd}, build=odd)
            root = Module("m", "layer", "keras:Sequential", {"name": odd}, modules=[layer])
            assert survives(rooted(root, source), target)
            tried += 1
    assert tried >= 2 * len(ODD)


FUNCTIONS: dict[str, dict[str, Any]] = {
    "concat": {"axis": 1},
    "gather": {"indices": [0], "axis": 1, "batch_dims": 0},
    "image.resize": {"size": [2, 2], "method": "nearest", "antialias": False},
    "linalg.matmul": {"b": 1, "transpose_a": False},
    "math.add": {"y": 1.0},
    "one_hot": {"depth": 3, "on_value": 1, "dtype": "float32"},
    "pad": {"paddings": [[0, 0]], "mode": "CONSTANT", "constant_values": 0},
    "split": {"num_or_size_splits": [1, 2], "axis": 1},
}
OPS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    ("tf_keras:src.layers.core.tf_op_layer.TFOpLambda", {"function": function}, kwargs, SIDES[0])
    for function, kwargs in FUNCTIONS.items()
]
OPS += [
    (
        "tf_keras:src.layers.core.tf_op_layer.SlicingOpLambda",
        {"function": "__operators__.getitem"},
        {"slice_spec": [1]},
        SIDES[0],
    ),
    ("keras:ops.numpy.Pad", {"pad_width": [[0, 0]], "mode": "constant"}, {"constant_values": 1}, SIDES[1]),
    ("keras:ops.numpy.Split", {"indices_or_sections": 2, "axis": 1}, {}, SIDES[1]),
    ("keras:ops.numpy.Max", {"axis": 1, "initial": None, "keepdims": False}, {}, SIDES[1]),
    ("keras:ops.nn.OneHot", {"num_classes": 2, "sparse": False, "dtype": None}, {}, SIDES[1]),
    ("keras:ops.numpy.Flip", {"axis": 1}, {}, SIDES[1]),
]


def graphs(op: str, attrs: dict[str, Any], kwargs: dict[str, Any]) -> Iterator[Module]:
    """Graphs with an odd value in one place of one call."""

    def graph(attrs: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> Module:
        entry = Module("i", "layer", "keras:InputLayer", {"dtype": "float32"})
        calls = [Call("i", "i"), Call("f", "f", args, kwargs)]
        ends = Graph(OutputRef("i", 0), OutputRef("f", 0), calls)
        return Module("m", "graph", "keras:Functional", modules=[entry, Module("f", "layer", op, attrs)], graph=ends)

    first: list[Any] = [OutputRef("i", 0)]
    for odd in ODD:
        yield from (graph(attrs | {key: odd}, list(first), dict(kwargs)) for key in attrs)
        yield from (graph(dict(attrs), list(first), kwargs | {key: odd}) for key in kwargs)
        yield from (graph(dict(attrs), args, dict(kwargs)) for args in ([odd], [*first, odd], [], [[*first, odd]]))


@pytest.mark.clause("KN-11@13ec8c")
@pytest.mark.parametrize(("op", "attrs", "kwargs", "sides"), OPS)
def test_odd_calls(op: str, attrs: dict[str, Any], kwargs: dict[str, Any], sides: tuple[str, str]) -> None:
    """Whatever a call holds, the translation ends in a model."""
    results = [survives(rooted(module, sides[0]), sides[1]) for module in graphs(op, attrs, kwargs)]
    assert len(results) >= 4 * len(ODD)
    assert all(results)


@pytest.mark.clause("KN-17@6dbe4b", "KN-21@42c094")
@pytest.mark.parametrize(("source", "target"), SIDES)
def test_odd_training(source: str, target: str) -> None:
    """Whatever an optimizer or a loss holds, the translation ends in a model."""
    weights = Weights({"d/kernel": Variable(Tensor.of(np.ones((2, 3), "int32")), "kernel")})
    slots = {"d/kernel": {"momentum": Tensor.of(np.ones((2, 3), "float32"))}}
    keys = ["beta_1", "learning_rate", "decay", "epsilon", "momentum", "use_ema", "jit_compile", "loss_scale_factor"]
    makers: list[Callable[[Any], Training]] = [
        lambda odd: Training(loss=odd, metrics=[odd], weighted_metrics={"a": odd}),
        lambda odd: Training(loss=ObjectValue("keras:losses.Huber", {"reduction": odd, "fn": odd})),
        lambda odd: Training(metrics=ObjectValue("keras:metrics.MeanMetricWrapper", {"fn": odd, "dtype": odd})),
        lambda odd: Training(loss=ObjectValue("keras:losses.Huber", odd)),
        lambda odd: Training(residue={"keras": {"fields": {"sample_weight_mode": odd, "auto_scale_loss": odd}}}),
    ]
    tried = 0
    for odd in ODD:
        for make in makers:
            root = Module("m", "layer", "keras:Sequential")
            assert survives(rooted(root, source, training=make(odd)), target)
        for name in ("SGD", "Nadam", "Adafactor", "optimizers.legacy.Adam", "optimizers.legacy.RMSprop"):
            for key in keys:
                optimizer = Optimizer(
                    f"keras:{name}", {key: odd}, None, 2, 2, groups=[Group(["d/kernel"])], slots=slots
                )
                root = Module("m", "layer", "keras:Sequential")
                model = rooted(root, source, optimizer=OptimizerState({"optimizer": optimizer}))
                assert survives(replace(model, weights=weights), target)
                tried += 1
    assert tried >= len(ODD)
