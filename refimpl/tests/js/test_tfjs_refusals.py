"""What TensorFlow.js cannot have is refused at once and in full; what it has in another dtype is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.model import Model

pytestmark = [pytest.mark.node, pytest.mark.library]

Json = Any
KERNEL = np.array([[0.5, 1.25], [-2.0, 0.25], [0.125, 3.0]])
INPUT: dict[str, Json] = {"shape": [2, 3], "dtype": "float32", "data": [1.0, -2.0, 0.5, 3.0, 0.25, -1.0]}


def chain(*modules: Module, shape: tuple[int | None, ...] = (None, 3), kwargs: Json | None = None) -> Module:
    """A model that calls modules one after the other."""
    start = Module("start", op="keras:InputLayer", attrs={"batch_shape": list(shape), "dtype": "float32"})
    calls = [Call("start", "start")]
    for before, one in zip([start, *modules], modules, strict=False):
        calls.append(Call(one.name, one.name, [OutputRef(before.name, 0)], kwargs or {}))
    graph = Graph(OutputRef("start", 0), OutputRef(modules[-1].name, 0), calls)
    return Module("model", "graph", "keras:Functional", modules=[start, *modules], graph=graph)


def dense(name: str = "dense", **attrs: Json) -> Module:
    """A Dense layer without a bias."""
    settings = {"units": 2, "use_bias": False, "activation": "linear", **attrs}
    return Module(name, op="keras:Dense", attrs=settings, params={"kernel": f"{name}/kernel"})


def saved(path: Path, root: Module, weights: dict[str, Any] | None = None) -> str:
    """Save a model; `dense/kernel` is there if nothing else is said."""
    arrays = {"dense/kernel": KERNEL.astype("float32")} if weights is None else weights
    variables = {name: Variable(Tensor.of(value), name.rsplit("/", 1)[-1]) for name, value in arrays.items()}
    etui.save(Model(config=Config(root), weights=Weights(variables)), path)
    return str(path)


Predict = Callable[[list[dict[str, Json]]], list[dict[str, Json]]]


@pytest.fixture
def ask(tmp_path: Path, tensorflowjs: Predict) -> Callable[..., Json]:
    """Has TensorFlow.js predict for models in memory: the results in their order."""

    def asked(*models: tuple[Module, dict[str, Any] | None]) -> list[Json]:
        paths = [saved(tmp_path / f"{number}.etui", *model) for number, model in enumerate(models)]
        return tensorflowjs([{"path": path, "inputs": [INPUT]} for path in paths])

    return asked


def test_weights_of_other_dtypes_are_cast_and_reported(ask: Callable[..., Json]) -> None:
    """A weight of another dtype predicts as its float32; the report tells the dtype, and whether that is exact."""
    dtypes = ["float64", "float16", ml_dtypes.bfloat16, "int64", "int32", "int8", "uint8", "bool", "float32"]
    kernels = [np.abs(KERNEL).astype(dtype) for dtype in dtypes]
    results = ask(*[(chain(dense()), {"dense/kernel": kernel}) for kernel in kernels])
    x = np.reshape(INPUT["data"], INPUT["shape"])
    details = {}
    for kernel, result in zip(kernels, results, strict=True):
        found = np.reshape(result["value"]["outputs"][0]["data"], (2, 2))
        np.testing.assert_allclose(found, x @ kernel.astype("float32"), rtol=1e-6)
        (entry,) = [one for one in result["value"]["report"]["entries"] if one["kind"] == "variable"]
        assert entry["subject"] == "dense/kernel"
        details[str(kernel.dtype)] = (entry["status"], entry["detail"])
    exact = {
        name: ("cast", f"{name} as float32, which is exact")
        for name in ("float16", "bfloat16", "int8", "uint8", "bool")
    }
    rounded = {name: ("cast", f"{name} as float32") for name in ("float64", "int64", "int32")}
    assert details == exact | rounded | {"float32": ("restored", "")}


def test_every_layer_that_cannot_be_had_is_listed(ask: Callable[..., Json]) -> None:
    """The refusal names each layer with its op and the reason, but none that only follows such a one."""
    own = Module("own", "opaque", "custom:mine>Own")
    strange = Module("strange", op="custom:mine>Strange")
    missing = Module("hash", op="keras:Hashing", attrs={"num_bins": 3})
    start = Module("start", op="keras:InputLayer", attrs={"batch_shape": [None, 3], "dtype": "float32"})
    names = ["own", "strange", "hash"]
    calls = [Call("start", "start"), *[Call(name, name, [OutputRef("start", 0)]) for name in names]]
    calls.append(Call("dense", "dense", [OutputRef("own", 0)]))
    graph = Graph(OutputRef("start", 0), [OutputRef("dense", 0), OutputRef("hash", 0)], calls)
    root = Module("model", "graph", "keras:Functional", modules=[start, own, strange, missing, dense()], graph=graph)
    (result,) = ask((root, None))
    assert result["error"]["code"] == "tfjs-layers"
    assert result["error"]["refused"] == [
        {"path": "own", "op": "custom:mine>Own", "reason": "its code is not in the artifact"},
        {"path": "strange", "op": "custom:mine>Strange", "reason": "mine>Strange is the author's own class"},
        {"path": "hash", "op": "keras:Hashing", "reason": "TensorFlow.js has no layer Hashing"},
    ]
    for name in names:
        assert name in result["error"]["message"]


REFUSED = {
    "a subclassed model": (Module("model", "opaque", "custom:mine>Model"), "its code is not in the artifact"),
    "an activation of the author's": (
        chain(dense(activation=ObjectValue("custom:mine>spike", None))),
        "TensorFlow.js has no activation spike",
    ),
    "a quantized layer": (
        chain(dense(dtype=ObjectValue("keras:QuantizedDTypePolicy", {"name": "int8_from_float32"}))),
        "it is quantized",
    ),
    "units that are not those of the kernel": (chain(dense(units=3)), "the shape of dense/kernel is [3,2]"),
    "a billion of units": (chain(dense(units=10**9)), "the shape of dense/kernel is [3,2]"),
    "a name of a prototype": (chain(Module("a", op="keras:constructor")), "TensorFlow.js has no layer constructor"),
    "an activation of a prototype": (
        chain(dense(activation="constructor")),
        "TensorFlow.js has no activation constructor",
    ),
    "an operation of a prototype": (
        chain(Module("a", op="keras:ops.numpy.toString")),
        "TensorFlow.js has no layer toString",
    ),
    "settings of another form": (
        chain(Module("a", op="keras:Reshape", attrs={"target_shape": 3})),
        "its settings have another form than its framework writes",
    ),
    "an argument that no layer takes": (
        chain(dense(), kwargs={"temperature": 2.0}),
        "the argument temperature of a call",
    ),
    "texts": (
        Module(
            "model",
            "graph",
            "keras:Functional",
            modules=[Module("start", op="keras:InputLayer", attrs={"batch_shape": [None, 1], "dtype": "string"})],
            graph=Graph(OutputRef("start", 0), OutputRef("start", 0), [Call("start", "start")]),
        ),
        "texts as input",
    ),
    "a layer that is no model": (dense(), "it is a layer and no model"),
}


def test_models_that_cannot_be_had_are_refused_with_the_reason(ask: Callable[..., Json]) -> None:
    """Classes without code, quantized layers, settings that do not fit and hostile names are refused with it."""
    results = ask(*[(root, None) for root, _ in REFUSED.values()])
    found = {name: result.get("error", {}) for name, result in zip(REFUSED, results, strict=True)}
    assert {name: error.get("code") for name, error in found.items()} == dict.fromkeys(REFUSED, "tfjs-layers")
    for name, (_, reason) in REFUSED.items():
        assert len(found[name]["refused"]) == 1, name
        assert found[name]["refused"][0]["reason"].startswith(reason), (name, found[name])


def test_an_artifact_without_config_or_weights_is_refused(tmp_path: Path, tensorflowjs: Predict) -> None:
    """What has no architecture, or no numbers, cannot become a model, and the refusal says what it lacks."""
    variables = Weights({"a": Variable(Tensor.of(KERNEL), "data")})
    etui.save(Model(weights=variables), tmp_path / "weights.etui")
    etui.save(Model(config=Config(chain(dense()))), tmp_path / "config.etui")
    tasks = [{"path": str(tmp_path / f"{name}.etui"), "inputs": [INPUT]} for name in ("weights", "config")]
    errors = [result["error"] for result in tensorflowjs(tasks)]
    assert [error["code"] for error in errors] == ["tfjs-model", "tfjs-model"]
    assert "no config" in errors[0]["message"]
    assert "no weights" in errors[1]["message"]


def test_what_training_would_miss_is_reported(ask: Callable[..., Json]) -> None:
    """Penalties that TensorFlow.js lacks, and variables that no layer reads, are left out by name."""
    kept = ObjectValue("keras:regularizers.L2", {"l2": 0.25})
    gone = ObjectValue("keras:regularizers.OrthogonalRegularizer", {"factor": 0.5, "mode": "rows"})
    first = dense("dense", kernel_regularizer=kept, activity_regularizer=kept)
    second = Module(
        "second",
        op="keras:Dense",
        attrs={"units": 2, "use_bias": False, "activation": "linear", "kernel_regularizer": gone},
        params={"kernel": "second/kernel"},
    )
    weights = {
        "dense/kernel": KERNEL.astype("float32"),
        "second/kernel": np.eye(2, dtype="float32"),
        "alone": np.zeros(3, "float32"),
    }
    (result,) = ask((chain(first, second), weights))
    left = [(one["kind"], one["subject"], one["detail"]) for one in result["value"]["report"]["entries"]]
    assert [one for one in left if one[2]] == [
        ("module", "dense", "the penalty of activities"),
        ("module", "second", "kernel_regularizer in training"),
        ("variable", "alone", "no layer of TensorFlow.js reads it"),
    ]
