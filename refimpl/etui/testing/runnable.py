"""Models of the core vocabulary that can be run, made without a framework."""

from __future__ import annotations

from typing import Any

import numpy as np

import etui
from etui.canonical.values import OutputRef


def core_model(*, seed: int = 0, units: int = 3) -> etui.Model:
    """A model of two inputs and two outputs: embedded words and a vector, joined, through two dense layers.

    Args:
        seed: of its weights.
        units: of the output ``score``, of shape [batch, units]; ``features`` is of shape [batch, 5].
    """
    rng = np.random.default_rng(seed)
    weights = etui.Weights()
    weights.add("embedding/embeddings", etui.Tensor.of(rng.normal(size=(10, 4)).astype(np.float32)), role="embeddings")
    weights.add("joined/kernel", etui.Tensor.of(rng.normal(size=(9, 5)).astype(np.float32)), role="kernel")
    weights.add("joined/bias", etui.Tensor.of(rng.normal(size=5).astype(np.float32)), role="bias")
    weights.add("last/kernel", etui.Tensor.of(rng.normal(size=(5, units)).astype(np.float32)), role="kernel")
    modules = [
        etui.Module("words", op="core:input", attrs={"shape": [None, None], "dtype": "int32"}),
        etui.Module("vector", op="core:input", attrs={"shape": [None, 5], "dtype": "float32"}),
        etui.Module(
            "embedding",
            op="core:embedding",
            attrs={"input_dim": 10, "output_dim": 4},
            params={"embeddings": "embedding/embeddings"},
        ),
        etui.Module("pooled", op="core:global_avg_pool"),
        etui.Module("concat", op="core:concat"),
        etui.Module(
            "joined",
            op="core:dense",
            attrs={"units": 5, "activation": "tanh"},
            params={"kernel": "joined/kernel", "bias": "joined/bias"},
        ),
        etui.Module(
            "last", op="core:dense", attrs={"units": units, "use_bias": False}, params={"kernel": "last/kernel"}
        ),
    ]
    calls = [
        etui.Call("words", "words"),
        etui.Call("vector", "vector"),
        etui.Call("embedding", "embedding", [OutputRef("words", 0)]),
        etui.Call("pooled", "pooled", [OutputRef("embedding", 0)]),
        etui.Call("concat", "concat", [[OutputRef("pooled", 0), OutputRef("vector", 0)]]),
        etui.Call("joined", "joined", [OutputRef("concat", 0)]),
        etui.Call("last", "last", [OutputRef("joined", 0)]),
    ]
    graph = etui.Graph(
        [OutputRef("words", 0), OutputRef("vector", 0)],
        {"score": OutputRef("last", 0), "features": OutputRef("joined", 0)},
        calls,
    )
    root = etui.Module("model", "graph", "core:graph", modules=modules, graph=graph)
    return etui.Model(etui.Config(root), weights)


def inputs_of(batch: int = 2, seed: int = 1) -> dict[str, np.ndarray]:
    """Inputs that the model takes: ``words``, int32 of [batch, 6], and ``vector``, float32 of [batch, 5]."""
    rng = np.random.default_rng(seed)
    return {
        "words": rng.integers(0, 10, (batch, 6)).astype(np.int32),
        "vector": rng.normal(size=(batch, 5)).astype(np.float32),
    }


def core_input(name: str, *shape: int | None, dtype: str = "float32", **attrs: Any) -> etui.Module:
    """An input of a batch of any size."""
    return etui.Module(name, op="core:input", attrs={"shape": [None, *shape], "dtype": dtype, **attrs})


def core_graph(name: str, modules: list[etui.Module], calls: list[etui.Call], inputs: Any, outputs: Any) -> etui.Module:
    """A graph of modules."""
    return etui.Module(name, "graph", "core:graph", modules=modules, graph=etui.Graph(inputs, outputs, calls))


def remasked(kind: str, given: Any) -> etui.Model:
    """A mean over steps in a chain or a graph, whose call gives a mask or null in the place of what its input has.

    Args:
        kind: ``chain`` or ``graph``.
        given: the argument ``mask`` of the call; the output ``m`` is the model's second input, of shape [batch, 3].
    """
    mean = etui.Module("mean", op="core:global_avg_pool")
    inner = etui.Module("inner", op="core:sequential", modules=[mean])
    if kind == "graph":
        called = [etui.Call("v", "v"), etui.Call("mean", "mean", [OutputRef("v", 0)])]
        inner = core_graph("inner", [core_input("v", 3, 1), mean], called, [OutputRef("v", 0)], OutputRef("mean", 0))
    masking = etui.Module("made", op="core:masking")
    modules = [core_input("x", 3, 1), core_input("m", 3, dtype="bool"), masking, inner]
    calls = [etui.Call("x", "x"), etui.Call("m", "m"), etui.Call("made", "made", [OutputRef("x", 0)])]
    calls.append(etui.Call("inner", "inner", [OutputRef("made", 0)], {"mask": given}))
    root = core_graph("g", modules, calls, [OutputRef("x", 0), OutputRef("m", 0)], OutputRef("inner", 0))
    return etui.Model(config=etui.Config(root), weights=etui.Weights())
