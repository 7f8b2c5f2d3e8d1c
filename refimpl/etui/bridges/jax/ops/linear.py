"""Dense, einsum and embedding ops (SPEC.md, annex J.3)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from etui.bridges.jax.ops.registry import Activation, Array, Mask, op


@op("dense")
def dense(x: Array, *, kernel: Array, bias: Array | None = None, activation: Activation, **_: Any) -> Array:
    """`x` [..., in] times kernel [in, units], plus bias."""
    y = jnp.matmul(x, kernel)
    return activation(y if bias is None else y + bias)


@op("einsum_dense")
def einsum_dense(
    x: Array, *, kernel: Array, bias: Array | None = None, equation: str, activation: Activation, **_: Any
) -> Array:
    """The product of x and kernel that the equation says, plus bias."""
    y = jnp.einsum(equation, x, kernel)
    return activation(y if bias is None else y + bias)


@op("embedding", masked=True)
def embedding(indices: Array, *, embeddings: Array, mask_zero: bool, **_: Any) -> tuple[Array, Mask]:
    """The rows [*indices, output_dim] of embeddings; the mask, if any, is where the index is not zero."""
    rows = indices if jnp.issubdtype(indices.dtype, jnp.integer) else indices.astype(jnp.int32)
    return jnp.take(embeddings, rows, axis=0), (indices != 0) if mask_zero else None
