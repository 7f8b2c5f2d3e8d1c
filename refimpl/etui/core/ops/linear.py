"""Products with a kernel and look-ups in a table (SPEC.md J.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.registry import Activation, Array, Mask, op
from etui.errors import error


@op("dense")
def dense(x: Array, *, kernel: Array, bias: Array | None = None, activation: Activation, **_: Any) -> Array:
    """`activation(x · kernel + bias)` over the last axis."""
    y = floating(x, kernel) @ kernel
    return activation(y if bias is None else y + bias)


@op("einsum_dense")
def einsum_dense(
    x: Array, *, equation: str, kernel: Array, bias: Array | None = None, activation: Activation, **_: Any
) -> Array:
    """`activation(einsum(equation, x, kernel) + bias)`; the bias has 1 where it is broadcast."""
    y = np.einsum(equation, floating(x, kernel), kernel)
    return activation(y if bias is None else y + bias)


@op("embedding", masked=True)
def embedding(indices: Array, *, embeddings: Array, mask_zero: bool, **_: Any) -> tuple[Array, Mask]:
    """`embeddings[indices]`; with `mask_zero` the index 0 is masked."""
    rows = indices.astype(np.int64)
    if rows.size and not (rows.min() >= 0 and rows.max() < len(embeddings)):
        found = f"the indices {rows.min()} to {rows.max()} in a table of {len(embeddings)} rows"
        raise error("core-evaluate", found=found, hint="Give indices from 0 to input_dim - 1.")
    return embeddings[rows], indices != 0 if mask_zero else None
