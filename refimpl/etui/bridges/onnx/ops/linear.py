"""Products with a kernel and look-ups in a table (SPEC.md J.3)."""

from __future__ import annotations

from typing import Any

from etui.bridges.onnx.ops.registry import Activation, Mask, op
from etui.bridges.onnx.tools import floating
from etui.bridges.onnx.value import INT64, Value


@op("dense")
def dense(x: Value, *, kernel: Value, bias: Value | None = None, activation: Activation, **_: Any) -> Value:
    """`activation(x · kernel + bias)` over the last axis."""
    y = floating(x) @ kernel
    return activation(y if bias is None else y + bias)


@op("einsum_dense")
def einsum_dense(
    x: Value, *, equation: str, kernel: Value, bias: Value | None = None, activation: Activation, **_: Any
) -> Value:
    """`activation(einsum(equation, x, kernel) + bias)`; the bias has 1 where it is broadcast."""
    y = x.graph.add("Einsum", floating(x), kernel, equation=equation.replace(" ", ""))
    return activation(y if bias is None else y + bias)


@op("embedding", masked=True)
def embedding(indices: Value, *, embeddings: Value, mask_zero: bool, **_: Any) -> tuple[Value, Mask]:
    """`embeddings[indices]`; with `mask_zero` the index 0 is masked."""
    graph = indices.graph
    rows = graph.cast(indices, INT64)
    mask = ~graph.add("Equal", rows, graph.constant(0)) if mask_zero else None
    return graph.add("Gather", embeddings, rows, axis=0), mask
