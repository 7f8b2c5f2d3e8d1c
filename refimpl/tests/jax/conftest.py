"""Models of one op, and both ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model


def weights_of(variables: Mapping[str, Any], frozen: tuple[str, ...] = ()) -> Weights:
    weights = Weights()
    for path, value in variables.items():
        array = np.asarray(value)
        still = path.rpartition("/")[2] in ("moving_mean", "moving_variance", "mean", "variance", "count", *frozen)
        weights.add(path, Tensor.of(array), role=path.rpartition("/")[2], trainable=not still)
    return weights


def one_op(
    op: str,
    attrs: Mapping[str, Any],
    inputs: list[Any],
    params: Mapping[str, Any] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    modules: list[Module] | None = None,
    outputs: int | None = None,
    listed: bool = False,
    variables: Mapping[str, Any] | None = None,
    frozen: tuple[str, ...] = (),
    residual: Mapping[str, Any] | None = None,
) -> Model:
    """A model that calls one op on its inputs; `outputs` is the number where the op gives several."""
    params = params or {}
    named = [Module(f"x{index}", op="core:input", attrs=_input(value)) for index, value in enumerate(inputs)]
    refs = [OutputRef(module.name, 0) for module in named]
    layer = Module(
        "op",
        op=f"core:{op}",
        attrs=dict(attrs),
        params={role: f"op/{role}" for role in params},
        modules=modules or [],
        residue=dict(residual or {}),
    )
    calls = [Call(module.name, module.name) for module in named]
    calls.append(Call("op", "op", [list(refs)] if listed else list(refs), dict(kwargs or {})))
    result: Any = OutputRef("op", 0) if outputs is None else [OutputRef("op", index) for index in range(outputs)]
    root = Module("model", "graph", "core:graph", modules=[*named, layer], graph=Graph(refs, result, calls))
    held = {**{f"op/{role}": value for role, value in params.items()}, **(variables or {})}
    return Model(config=Config(root), weights=weights_of(held, frozen))


def _input(value: Any) -> dict[str, Any]:
    array = np.asarray(value)
    return {"shape": [None, *array.shape[1:]], "dtype": array.dtype.name}


def difference(found: Any, wanted: Any) -> float:
    """The largest difference, over the largest element of what is wanted."""
    found, wanted = (value if isinstance(value, list | tuple) else [value] for value in (found, wanted))
    assert len(found) == len(wanted)
    worst = 0.0
    for one, other in zip(found, wanted, strict=True):
        first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
        assert first.shape == second.shape, (first.shape, second.shape)
        if second.size:
            scale = max(float(np.max(np.abs(second))), 1e-3)
            worst = max(worst, float(np.max(np.abs(first - second))) / scale)
    return worst


@pytest.fixture
def make() -> Callable[..., Model]:
    return one_op


@pytest.fixture
def tools() -> SimpleNamespace:
    return SimpleNamespace(one_op=one_op, difference=difference, weights_of=weights_of)
