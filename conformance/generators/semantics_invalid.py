"""What a reader refuses of the core vocabulary: artifacts, steps and objects with one fault each (SPEC.md J.1, K).

Each names a sibling without the fault, which is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from semantics_cases import Net, Numbers, variable
from semantics_computed import DATA
from semantics_steps import SHAPES, Run, made, model_of
from semantics_store import Json, packed, tensor

from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.model import Model
from etui.testing.hostile import Edit, all_of, append, drop, put, tampered

_CONFIG, _TRAINING, _OPTIMIZER = "config.json", "training.json", "optimizer.msgpack"


def files() -> Iterator[tuple[str, dict[str, Json], list[Json]]]:
    """Each file by its name, with the siblings and the cases."""
    yield "invalid/modules", *_of_artifact(_model(), _CONFIG, _MODULE_FAULTS, "config", "weights")
    yield "invalid/graphs", *_of_artifact(_graphs(), _CONFIG, _GRAPH_FAULTS, "config", "weights")
    yield "invalid/shapes", *_of_artifact(_shaped(), _CONFIG, _SHAPE_FAULTS, "config", "weights")
    yield "invalid/training", *_of_artifact(_trained(), _TRAINING, _TRAINING_FAULTS, "config", "training", "weights")
    yield "invalid/optimizers", *_of_artifact(_optimized(), _OPTIMIZER, _OPTIMIZER_FAULTS, "optimizer", "weights")
    yield "invalid/slots", *slots()
    yield "invalid/objects", *objects()


Faults = Mapping[str, tuple[str, str, str, Edit]]
"""Name -> title, clauses, code, edit."""


def _of_artifact(model: Model, part: str, faults: Faults, *areas: str) -> tuple[dict[str, Json], list[Json]]:
    """The model as the sibling, and a case for each fault of one of its documents."""
    siblings = {"valid": {"op": "decode", "request": {"artifact": packed(model), "want": "all"}}}
    found = []
    for name, (title, clauses, code, edit) in faults.items():
        request = {"artifact": packed(tampered(model, part, edit)), "want": "all"}
        found.append(_case(name, title, clauses, "decode", request=request, code=code) | {"needs": list(areas)})
    return siblings, found


def _case(name: str, title: str, clauses: str, op: str, *, request: Json, code: str) -> Json:
    kind = "unsupported" if code == "op-unknown" else "invalid"
    return {
        "name": name,
        "title": title,
        "clauses": clauses.split(),
        "op": op,
        "sibling": "valid",
        "request": request,
        "expected": {"class": kind, "code": code},
    }


# --- config -----------------------------------------------------------------------------------------------------------


def _model() -> Model:
    """A dense module, a convolution and an activation with parameters."""
    n = Numbers("invalid/modules")
    net = Net()
    x = net.give("x", n(2, 4, 3))
    leaky = ObjectValue("core:activations.leaky_relu", {"negative_slope": 0.25})
    dense = net.module("dense", name="dense", params={"kernel": n(3, 2), "bias": n(2)}, units=2, activation=leaky)
    dense.attrs["regularizers"] = {"kernel": ObjectValue("core:regularizers.l2", {"l2": 0.5})}
    conv = net.module("conv", name="conv", params={"kernel": n(2, 2, 4)}, filters=4, kernel_size=[2], use_bias=False)
    net.outputs = [net.call(net.module("activation", name="last", function="tanh"), net.call(conv, net.call(dense, x)))]
    return net.model()


_DENSE, _CONV, _LAST = (("model", "modules", index) for index in (1, 2, 3))


def _object(kind: str, name: str, config: Any) -> Json:
    return {"$object": {"class": f"core:{kind}.{name}", "config": config}}


_MODULE_FAULTS: dict[str, tuple[str, str, str, Edit]] = {
    "op": ("An op that there is not", "C-9", "op-unknown", put("core:nothing", *_LAST, "op")),
    "attribute-of-another": ("An attribute of another op", "CV-3", "core-attrs", put(2, *_DENSE, "attrs", "filters")),
    "default-written": (
        "A default that is written",
        "CV-1 CV-3",
        "core-attrs",
        put(True, *_DENSE, "attrs", "use_bias"),
    ),
    "default-of-common": (
        "A default of a common attribute",
        "CV-1 CV-3",
        "core-attrs",
        put(True, *_LAST, "attrs", "trainable"),
    ),
    "default-list": ("A default that is null", "CV-1 CV-3", "core-attrs", put(None, *_CONV, "attrs", "strides")),
    "required-missing": (
        "An attribute without a default is missing",
        "CV-1 CV-3",
        "core-attrs",
        drop(*_CONV, "attrs", "filters"),
    ),
    "integer-for-boolean": (
        "An integer for a boolean",
        "CV-2 CV-3",
        "core-attrs",
        put(0, *_DENSE, "attrs", "use_bias"),
    ),
    "boolean-for-integer": (
        "A boolean for an integer",
        "CV-2 CV-3",
        "core-attrs",
        put(True, *_DENSE, "attrs", "units"),
    ),
    "float-for-integer": (
        "A float for an integer",
        "CV-2 CV-3",
        "core-attrs",
        put({"$float": "2"}, *_DENSE, "attrs", "units"),
    ),
    "too-small": ("Less than the least", "CV-2 CV-3", "core-attrs", put(0, *_DENSE, "attrs", "units")),
    "tuple-for-list": (
        "A tuple for a list",
        "CV-2 CV-3",
        "core-attrs",
        put({"$tuple": [2]}, *_CONV, "attrs", "kernel_size"),
    ),
    "choice": (
        "None of the choices",
        "CV-2 CV-3",
        "core-attrs",
        put("channels_middle", *_CONV, "attrs", "data_format"),
    ),
    "padding": ("A padding that there is not", "CV-2 CV-3", "core-attrs", put("full", *_CONV, "attrs", "padding")),
    "integer-for-float": (
        "An integer for a float, in the config of an object",
        "CV-2 CV-3",
        "core-attrs",
        put(1, *_DENSE, "attrs", "activation", "$object", "config", "negative_slope"),
    ),
    "object-default": (
        "A default in the config of an object",
        "CV-1 CV-3",
        "core-attrs",
        put(0.2, *_DENSE, "attrs", "activation", "$object", "config", "negative_slope"),
    ),
    "object-parameter": (
        "A parameter that the object does not have",
        "CV-3",
        "core-attrs",
        put(0.5, *_DENSE, "attrs", "activation", "$object", "config", "slope"),
    ),
    "object-of-another-kind": (
        "An object of another kind",
        "CV-2 CV-3",
        "core-attrs",
        put(_object("constraints", "max_norm", {"max_value": 0.5}), *_DENSE, "attrs", "regularizers", "kernel"),
    ),
    "activation-as-object": (
        "An activation without parameters as an object",
        "CV-3 CV-4",
        "core-attrs",
        put(_object("activations", "tanh", {}), *_LAST, "attrs", "function"),
    ),
    "activation-by-name": (
        "An activation by its name alone whose parameters have no defaults",
        "CV-2 CV-3",
        "core-attrs",
        put("threshold", *_LAST, "attrs", "function"),
    ),
    "activation": (
        "An activation that there is not",
        "CV-2 CV-3",
        "core-attrs",
        put("swoosh", *_LAST, "attrs", "function"),
    ),
    "precision": (
        "A precision of integers",
        "CV-2 CV-3",
        "core-attrs",
        put("int32", *_LAST, "attrs", "precision", "compute_dtype"),
    ),
    "child": (
        "A child of an op that has none",
        "CV-5",
        "core-modules",
        put([{"kind": "layer", "name": "child", "op": "core:identity"}], *_LAST, "modules"),
    ),
    "role-missing": ("A variable is missing", "CV-6", "core-params", drop(*_DENSE, "params", "bias")),
    "role-of-another": (
        "A variable that the op does not have",
        "CV-6",
        "core-params",
        put("dense/bias", *_CONV, "params", "gamma"),
    ),
    "role-against-condition": (
        "A variable whose condition does not hold",
        "CV-6",
        "core-params",
        put(False, *_DENSE, "attrs", "use_bias"),
    ),
    "role-of-condition": (
        "A variable whose condition holds is missing",
        "CV-6",
        "core-params",
        drop(*_CONV, "attrs", "use_bias"),
    ),
    "units": ("Another number of units than the kernel has", "CV-7", "core-shape", put(3, *_DENSE, "attrs", "units")),
    "kernel-size": ("Another size than the kernel has", "CV-7", "core-shape", put([3], *_CONV, "attrs", "kernel_size")),
    "kernel-rank": ("Another number of axes", "CV-7", "core-shape", put([2, 2], *_CONV, "attrs", "kernel_size")),
    "swapped": (
        "A bias in the place of a kernel",
        "CV-7",
        "core-shape",
        all_of(put("dense/bias", *_DENSE, "params", "kernel"), put("dense/kernel", *_DENSE, "params", "bias")),
    ),
}


def _graphs() -> Model:
    """A graph in a graph, a chain, and a wrapper."""
    n = Numbers("invalid/graphs")
    net = Net()
    inner = net.module(
        "graph",
        name="inner",
        modules=[
            Module("a", op="core:input", attrs={"shape": [None, 4, 3], "dtype": "float64"}),
            net.module("identity"),
        ],
    )
    inner.kind = "graph"
    inner.graph = Graph(
        [OutputRef("a", 0)],
        OutputRef("identity", 0),
        [Call("a", "a"), Call("identity", "identity", [OutputRef("a", 0)])],
    )
    chain = net.module(
        "sequential", name="chain", modules=[net.module("relu", name="relu"), net.module("elu", name="elu")]
    )
    wrapper = net.module("time_distributed", name="time", modules=[net.module("softmax", name="layer")])
    net.outputs = [net.call(wrapper, net.call(chain, net.call(inner, net.give("x", n(2, 4, 3)))))]
    return net.model()


_CALLS = ("model", "graph", "calls")
_INNER, _CHAIN, _TIME = (("model", "modules", index) for index in (1, 2, 3))
_GRAPH_FAULTS: dict[str, tuple[str, str, str, Edit]] = {
    "graph-without": (
        "A graph that has none",
        "CV-5",
        "core-modules",
        all_of(drop(*_INNER, "graph"), put("layer", *_INNER, "kind")),
    ),
    "graph-of-a-layer": ("A graph of an op that has none", "CV-5", "core-modules", put("core:identity", *_INNER, "op")),
    "wrapper-without": ("A wrapper without what it wraps", "CV-5", "core-modules", drop(*_TIME, "modules")),
    "wrapper-other-name": (
        "A wrapper with a child of another name",
        "CV-5",
        "core-modules",
        put("inner", *_TIME, "modules", 0, "name"),
    ),
    "wrapper-two": (
        "A wrapper with one child more",
        "CV-5",
        "core-modules",
        append({"kind": "layer", "name": "more", "op": "core:identity"}, *_TIME, "modules"),
    ),
    "child-of-input": (
        "A child of an input",
        "CV-5",
        "core-modules",
        put([{"kind": "layer", "name": "child", "op": "core:identity"}], *_INNER, "modules", 0, "modules"),
    ),
    "child-op": ("An unknown op in a chain", "C-9", "op-unknown", put("core:swish", *_CHAIN, "modules", 0, "op")),
    "child-attrs": (
        "An attribute of another op in a chain",
        "CV-3",
        "core-attrs",
        put({"rate": 0.5}, *_CHAIN, "modules", 1, "attrs"),
    ),
    **{
        name: (title, "CV-31", "core-call", put(kwargs, *_CALLS, index, "kwargs"))
        for name, title, index, kwargs in (
            ("argument", "An argument that a graph does not have", 1, {"alpha": 1}),
            ("argument-of-a-chain", "An argument that a chain does not have", 2, {"name": "chain"}),
            ("argument-of-another", "An argument of another op", 3, {"use_causal_mask": True}),
            ("argument-of-a-graph", "An input of a graph by its name", 1, {"a": {"$output": ["x", 0]}}),
            ("flag-number", "A flag that is a number", 3, {"training": 1}),
            ("flag-text", "A flag that is a text", 3, {"training": "true"}),
        )
    },
    "argument-inside": (
        "An argument that the op does not have, in an inner graph",
        "CV-31",
        "core-call",
        put({"x": {"$output": ["a", 0]}}, *_INNER, "graph", "calls", 1, "kwargs"),
    ),
    "argument-shared": (
        "An argument that the op does not have, by another name of the module",
        "C-15 CV-31",
        "core-call",
        all_of(
            append({"kind": "shared", "name": "again", "target": "chain"}, "model", "modules"),
            append(
                {"args": [{"$output": ["time", 0]}], "id": "again", "kwargs": {"rate": 0.5}, "module": "again"}, *_CALLS
            ),
        ),
    ),
    "argument-foreign": (
        "An argument that the op does not have, in a graph of a framework",
        "CV-31",
        "core-call",
        all_of(put("keras:Functional", "model", "op"), put({"alpha": 1}, *_CALLS, 2, "kwargs")),
    ),
}


def _shaped() -> Model:
    """Ops whose layouts have products, quotients, and sizes that must agree."""
    n = Numbers("invalid/shapes")
    net = Net()
    image, steps, axes = net.give("image", n(1, 4, 4, 4)), net.give("steps", n(2, 3, 2)), net.give("axes", n(2, 3, 4))
    grouped = net.module(
        "conv",
        name="grouped",
        params={"kernel": n(2, 2, 2, 4)},
        filters=4,
        kernel_size=[2, 2],
        groups=2,
        use_bias=False,
    )
    depth = net.module(
        "depthwise_conv",
        name="depth",
        params={"kernel": n(2, 2, 4, 2), "bias": n(8)},
        kernel_size=[2, 2],
        depth_multiplier=2,
    )
    gru = net.module(
        "gru", name="gru", params={"kernel": n(2, 6), "recurrent_kernel": n(2, 6), "bias": n(2, 6)}, units=2
    )
    wide = {"kernel": n(2, 9), "recurrent_kernel": n(3, 9), "bias": n(2, 9)}
    more = net.module("gru", name="more", params=wide, units=3)
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    batch = net.module("batch_norm", name="batch", params={role: n.positive(4) for role in roles})
    other = net.module("batch_norm", name="other", params={role: n.positive(2) for role in roles})
    plain = net.module(
        "depthwise_conv", name="plain", params={"kernel": n(1, 1, 4, 1), "bias": n(4)}, kernel_size=[1, 1]
    )
    norm = net.module("layer_norm", name="norm", params={"gamma": n(3, 4), "beta": n(3, 4)}, axes=[1, 2])
    net.outputs = [net.call(grouped, image), net.call(depth, image), net.call(gru, steps), net.call(norm, axes)]
    net.outputs += [net.call(batch, image), net.call(plain, image), net.call(other, steps), net.call(more, steps)]
    return net.model()


_GROUPED, _DEPTH, _GRU, _NORM, _BATCH, _PLAIN, _OTHER, _MORE = (("model", "modules", index) for index in range(3, 11))
_SHAPE_FAULTS: dict[str, tuple[str, str, str, Edit]] = {
    "filters": ("Another number of filters", "CV-7", "core-shape", put(2, *_GROUPED, "attrs", "filters")),
    "multiplier": ("A product that is another", "CV-7", "core-shape", put(4, *_DEPTH, "attrs", "depth_multiplier")),
    "gates": ("Another number of units for all gates", "CV-7", "core-shape", put(3, *_GRU, "attrs", "units")),
    "sizes": (
        "A size that nothing fixes, but that all variables must have",
        "CV-7",
        "core-shape",
        all_of(put("other/gamma", *_BATCH, "params", "gamma"), put("batch/gamma", *_OTHER, "params", "gamma")),
    ),
    "product": (
        "A size that is no product of two others",
        "CV-7",
        "core-shape",
        all_of(put("plain/bias", *_DEPTH, "params", "bias"), put("depth/bias", *_PLAIN, "params", "bias")),
    ),
    "gates-bias": (
        "A bias that is not for all gates",
        "CV-7",
        "core-shape",
        all_of(put("more/bias", *_GRU, "params", "bias"), put("gru/bias", *_MORE, "params", "bias")),
    ),
    "rows": ("One row where a condition asks for two", "CV-7", "core-shape", put(False, *_GRU, "attrs", "reset_after")),
    "axes": ("One axis where there are two", "CV-7", "core-shape", put([1], *_NORM, "attrs", "axes")),
}

# --- training and optimizer -------------------------------------------------------------------------------------------


def _trained() -> Model:
    """A model with a loss and metrics."""
    model = _model()
    model.training = Training(
        loss=ObjectValue("core:losses.huber", {"delta": 0.5}),
        metrics=[
            ObjectValue("core:metrics.mean_squared_error", {}),
            ObjectValue("core:metrics.auc", {"num_thresholds": 20}),
        ],
    )
    return model


_LOSS = ("loss", "$object")
_METRIC = ("metrics", 1, "$object")
_TRAINING_FAULTS: dict[str, tuple[str, str, str, Edit]] = {
    "class": ("A loss that there is not", "C-9 CT-1", "op-unknown", put("core:losses.nothing", *_LOSS, "class")),
    "integer-for-float": ("An integer for a float", "CT-1", "core-object", put(2, *_LOSS, "config", "delta")),
    "default": ("A default that is written", "CT-1", "core-object", put({"$float": "1"}, *_LOSS, "config", "delta")),
    "parameter": ("A parameter of another loss", "CT-1", "core-object", put(0.5, *_LOSS, "config", "alpha")),
    "choice": ("A reduction that there is not", "CT-1", "core-object", put("median", *_LOSS, "config", "reduction")),
    "metric": ("A parameter of another metric", "CT-1", "core-object", put(2, *_METRIC, "config", "k")),
    "null": ("A config that is null", "CV-30 CT-1", "core-object", put(None, *_METRIC, "config")),
    "initializer": (
        "An initializer with a parameter of another, outside of a config",
        "CV-30",
        "core-attrs",
        put({"$object": {"class": "core:initializers.constant", "config": {"stddev": 0.5}}}, "metrics", 0),
    ),
    "activation": (
        "An activation that has a default, outside of a config",
        "CV-30",
        "core-attrs",
        put({"$object": {"class": "core:activations.elu", "config": {"alpha": {"$float": "1"}}}}, "metrics", 0),
    ),
    "metric-least": ("Less than the least", "CT-1", "core-object", put(1, *_METRIC, "config", "num_thresholds")),
    **{
        name: (title, f"{clause} CT-1", "core-object", put(_object(kind, one, config), "metrics", 0))
        for name, title, clause, kind, one, config in (
            ("average", "An average that there is not", "CT-10", "metrics", "f1_score", {"average": "mean"}),
            ("average-empty", "An average without a name", "CT-10", "metrics", "fbeta_score", {"average": ""}),
            ("aggregation", "A mean of another metric", "CT-10", "metrics", "r2_score", {"class_aggregation": "macro"}),
            ("dtype-integer", "A mean in integers", "CT-11", "metrics", "mean", {"dtype": "int32"}),
            ("dtype-narrow", "Counts in 8 bits", "CT-11", "metrics", "recall", {"dtype": "float8_e5m2"}),
            ("dtype-complex", "A loss of complex numbers", "CT-11", "losses", "huber", {"dtype": "complex64"}),
            ("dtype-text", "A loss of texts", "CT-11", "losses", "dice", {"dtype": "string"}),
            ("dtype-loss-integer", "A loss in integers", "CT-11", "losses", "dice", {"dtype": "int64"}),
            ("dtype-matrix", "A matrix of booleans", "CT-11", "metrics", "binary_iou", {"dtype": "bool"}),
        )
    },
}


def _optimized() -> Model:
    """An optimizer with groups and a schedule, which took no step yet."""
    n = Numbers("invalid/optimizers")
    weights = Weights({path: variable(path, n(*shape)) for path, shape in SHAPES.items()})
    schedule = ObjectValue(
        "core:schedules.exponential_decay", {"initial_learning_rate": 0.5, "decay_steps": 8.0, "decay_rate": 0.75}
    )
    groups = [Group(["dense/kernel"], {"weight_decay": 0.25}), Group(["dense/bias"], {"weight_decay": 0.0})]
    optimizer = Optimizer(
        "core:adam",
        {"beta_1": 0.75, "weight_decay": 0.5},
        groups=groups,
        fresh=sorted(SHAPES),
        schedule=schedule,
        schedule_clock="step",
    )
    return Model(weights=weights, optimizer=OptimizerState({"optimizer": optimizer}))


_OWN = ("optimizers", "optimizer")
_OPTIMIZER_FAULTS: dict[str, tuple[str, str, str, Edit]] = {
    "algorithm": ("An algorithm that there is not", "C-9 CO-1", "op-unknown", put("core:sgdm", *_OWN, "algorithm")),
    "hyperparameter": (
        "A hyperparameter of another",
        "CO-1",
        "core-optimizer",
        put(0.5, *_OWN, "hyperparameters", "rho"),
    ),
    "type": ("An integer for a float", "CO-1", "core-optimizer", put(1, *_OWN, "hyperparameters", "beta_1")),
    "default": ("A default that is written", "CO-1", "core-optimizer", put(0.9, *_OWN, "hyperparameters", "beta_1")),
    "choice": ("None of the choices", "CO-1", "core-optimizer", put("mixed", *_OWN, "hyperparameters", "epsilon_mode")),
    "group": (
        "A hyperparameter of another, in a group",
        "CO-1",
        "core-optimizer",
        put(0.5, *_OWN, "groups", 0, "hyperparameters", "rho"),
    ),
    "group-type": (
        "A boolean for a float, in a group",
        "CO-1",
        "core-optimizer",
        put(True, *_OWN, "groups", 0, "hyperparameters", "weight_decay"),
    ),
    "schedule": (
        "A schedule that there is not",
        "C-9 CT-1",
        "op-unknown",
        put("core:schedules.step", *_OWN, "schedule", "$object", "class"),
    ),
    "schedule-parameter": (
        "A parameter of another schedule",
        "CT-1",
        "core-object",
        put(2.5, *_OWN, "schedule", "$object", "config", "power"),
    ),
    "schedule-missing": (
        "A parameter without a default is missing",
        "CT-1",
        "core-object",
        drop(*_OWN, "schedule", "$object", "config", "decay_rate"),
    ),
}

# --- steps and objects ------------------------------------------------------------------------------------------------


def slots() -> tuple[dict[str, Json], list[Json]]:
    """Artifacts whose slots no step can use."""
    run = Run("adam", "slots", "", at=3)
    gradients = {path: tensor(np.ones(shape)) for path, shape in SHAPES.items()}

    def request(name: str = "", slot: Tensor | None = None) -> Json:
        optimizer, variables = made(run)
        if name and slot is None:
            del optimizer.slots["dense/bias"][name]
        elif slot is not None:
            optimizer.slots["dense/bias"][name] = slot
        return {"artifact": packed(model_of(run, optimizer, variables)), "gradients": gradients}

    siblings = {"valid": {"op": "step", "request": request()}}
    return siblings, [
        _case("missing", "A slot is missing", "CO-3", "step", request=request("velocity"), code="core-slots"),
        _case(
            "shape",
            "A slot has another shape",
            "CO-3",
            "step",
            request=request("velocity", Tensor.of(np.ones(3))),
            code="core-slots",
        ),
    ]


def objects() -> tuple[dict[str, Json], list[Json]]:
    """Objects that the vocabulary does not have so."""
    inputs = {"y_true": tensor(DATA["numbers"]), "y_pred": tensor(DATA["others"])}

    def request(name: str, config: Any) -> Json:
        return {"object": _object("losses", name, config), "inputs": inputs}

    siblings = {"valid": {"op": "compute", "request": request("huber", {"delta": 0.5})}}
    return siblings, [
        _case(
            "class",
            "A loss that there is not",
            "C-9 CT-1",
            "compute",
            request=request("nothing", {}),
            code="op-unknown",
        ),
        _case(
            "type",
            "An integer for a float",
            "CT-1",
            "compute",
            request=request("huber", {"delta": 2}),
            code="core-object",
        ),
        _case(
            "default",
            "A default that is written",
            "CT-1",
            "compute",
            request=request("huber", {"delta": {"$float": "1"}}),
            code="core-object",
        ),
        _case(
            "parameter",
            "A parameter of another loss",
            "CT-1",
            "compute",
            request=request("huber", {"delta": 0.5, "q": 0.5}),
            code="core-object",
        ),
        _case(
            "list", "A config that is no map", "CT-1", "compute", request=request("huber", [0.5]), code="core-object"
        ),
    ]
