"""One op run by the evaluator, as a model of one module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core.check import check
from etui.core.evaluate import evaluate
from etui.model import Model

Run = Callable[..., Any]


def model_of(module: Module, arguments: list[Any], variables: Mapping[str, Any], kwargs: dict[str, Any]) -> Model:
    """A graph that calls one module on its inputs, which stand for the arrays among the arguments."""
    weights = Weights()
    for role, value in variables.items():
        weights.add(f"op/{role}", Tensor.of(np.asarray(value)), role=role)
        module.params[role] = f"op/{role}"
    names: list[str] = []

    def reference(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            names.append(f"x{len(names)}")
            return OutputRef(names[-1], 0)
        return [reference(item) for item in value] if isinstance(value, list) else value

    args = [reference(value) for value in arguments]
    kwargs = {name: reference(value) for name, value in kwargs.items()}
    inputs = [Module(name, op="core:input", attrs={"shape": [None], "dtype": "float32"}) for name in names]
    calls = [*(Call(name, name) for name in names), Call("op", "op", args, kwargs)]
    graph = Graph([OutputRef(name, 0) for name in names], OutputRef("op", 0), calls)
    root = Module("model", "graph", "core:graph", modules=[*inputs, module], graph=graph)
    return Model(config=Config(root), weights=weights)


def arrays_of(value: Any) -> list[Any]:
    """The arrays of a nested list, in order."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for item in value for array in arrays_of(item)] if isinstance(value, list) else []


@pytest.fixture
def run() -> Run:
    """Run one op: ``run(op, inputs…, params={role: array}, kwargs={…}, training=…, **attrs)``, checked as a model."""

    def call(
        op: str,
        *arguments: Any,
        params: Mapping[str, Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        training: bool = False,
        output: int = 0,
        **attrs: Any,
    ) -> Any:
        module = Module("op", op=f"core:{op}", attrs=attrs)
        model = model_of(module, list(arguments), params or {}, kwargs or {})
        assert model.config is not None
        assert model.config.model.graph is not None
        model.config.model.graph.outputs = OutputRef("op", output)
        check(model)
        return evaluate(model, arrays_of([list(arguments), list((kwargs or {}).values())]), training=training)

    return call
