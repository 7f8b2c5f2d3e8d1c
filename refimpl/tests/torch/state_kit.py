"""What the tests of PyTorch's state share: models without Keras, and optimizers that have made some steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.core.optimizers import step

Array = npt.NDArray[Any]
LOSS = ObjectValue("core:losses.sparse_categorical_crossentropy", {"from_logits": True})


@dataclass(frozen=True, slots=True)
class Run:
    """Some steps of an optimizer by the reference: the state after them, and gradients for more."""

    optimizer: Optimizer
    variables: dict[str, Array]
    gradients: list[dict[str, Array]]


def run_of(
    rule: str, hyperparameters: dict[str, Any], shapes: dict[str, tuple[int, ...]], *, before: int = 10, after: int = 15
) -> Run:
    """Let the reference make `before` steps in float64, and draw gradients for `after` more."""
    rng = np.random.default_rng(7)
    optimizer = Optimizer(f"core:{rule}", {"learning_rate": 0.01, **hyperparameters}, 0.01)
    optimizer.groups, optimizer.fresh = [Group(list(shapes))], list(shapes)
    variables = {path: rng.normal(size=shape) for path, shape in shapes.items()}
    gradients = [{path: 0.1 * rng.normal(size=shape) for path, shape in shapes.items()} for _ in range(before + after)]
    for one in gradients[:before]:
        optimizer, variables = step(optimizer, variables, one)
    return Run(optimizer, variables, gradients[before:])


def small_model(dtype: str = "float32") -> etui.Model:
    """Two dense layers in the core vocabulary, with a loss."""
    rng = np.random.default_rng(3)
    weights = Weights()
    precision = {} if dtype == "float32" else {"precision": {"variable_dtype": dtype, "compute_dtype": dtype}}
    for name, shape in (("hidden", (4, 6)), ("head", (6, 3))):
        weights.add(f"{name}/kernel", Tensor.of(rng.normal(size=shape).astype(dtype)), role="kernel")
        weights.add(f"{name}/bias", Tensor.of(rng.normal(size=shape[1:]).astype(dtype)), role="bias")
    modules = [Module("x", op="core:input", attrs={"shape": [None, 4], "dtype": dtype})]
    for name, units, extra in (("hidden", 6, {"activation": "relu"}), ("head", 3, {})):
        params = {"kernel": f"{name}/kernel", "bias": f"{name}/bias"}
        modules.append(Module(name, op="core:dense", attrs={"units": units, **extra, **precision}, params=params))
    calls = [
        Call("x", "x"),
        Call("hidden", "hidden", [OutputRef("x", 0)]),
        Call("head", "head", [OutputRef("hidden", 0)]),
    ]
    graph = Graph([OutputRef("x", 0)], OutputRef("head", 0), calls)
    root = Module("net", "graph", "core:graph", modules=modules, graph=graph)
    return etui.Model(Config(root), weights, Training(loss=LOSS))


def trained_model(rule: str, **hyperparameters: Any) -> tuple[etui.Model, Run]:
    """The small model in float64 with an optimizer that has made ten steps, and gradients for more."""
    model = small_model("float64")
    assert model.weights is not None
    run = run_of(rule, hyperparameters, {path: one.shape for path, one in model.weights.variables.items()})
    for path, array in run.variables.items():
        model.weights.variables[path].tensor = Tensor.of(array)
    model.optimizer = OptimizerState({"optimizer": run.optimizer})
    return model, run
