"""Preprocessing of numbers (SPEC.md, annex J.12); of strings, JAX has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etui.bridges.jax.ops.registry import Array, Mask, op


def _dtype(compute: Any) -> Any:
    return jnp.float32 if compute is None else compute


@op("rescale", precise="params")
def rescale(x: Array, *, scale: Any, offset: Any, compute: Any, **_: Any) -> Array:
    """`x` · scale + offset, in real numbers."""
    dtype = x.dtype if compute is None and jnp.issubdtype(x.dtype, jnp.floating) else _dtype(compute)
    return x.astype(dtype) * jnp.asarray(scale, dtype) + jnp.asarray(offset, dtype)


@op("masking", masked=True)
def masking(x: Array, *, mask_value: float, **_: Any) -> tuple[Array, Mask]:
    """Zero where all features are the value; the mask is the rest."""
    kept = jnp.any(x != jnp.asarray(mask_value, x.dtype), axis=-1)
    return jnp.where(kept[..., None], x, 0), kept


@op("lookup")
def lookup(
    x: Array,
    *,
    vocabulary: Sequence[int],
    num_oov_indices: int,
    oov_token: int | None,
    mask_token: int | None,
    invert: bool,
    **_: Any,
) -> Array:
    """The index of each integer in the vocabulary, or the integer at each index.

    Index 0 is the mask token's, if there is one; then comes that for all else, then the vocabulary.
    """
    terms = np.asarray(vocabulary, np.int64)
    first = (mask_token is not None) + num_oov_indices
    wide = jax.dtypes.canonicalize_dtype(np.int64)
    x = jnp.asarray(x).astype(wide)
    if invert:
        before = ([] if mask_token is None else [mask_token]) + [_default(oov_token)] * num_oov_indices
        table = jnp.asarray(np.concatenate([np.asarray(before, np.int64), terms]), wide)
        inside = (x >= 0) & (x < table.size)
        return jnp.where(inside, table[jnp.clip(x, 0, table.size - 1)], _default(oov_token))
    order = np.argsort(terms, kind="stable")
    ranked, places = jnp.asarray(terms[order], wide), jnp.asarray(order, wide)
    at = jnp.clip(jnp.searchsorted(ranked, x), 0, terms.size - 1)
    outside = jnp.mod(x, num_oov_indices) + (mask_token is not None) if num_oov_indices else -1
    found = jnp.where(ranked[at] == x, places[at] + first, outside)
    return found if mask_token is None else jnp.where(x == mask_token, 0, found)


def _default(oov_token: int | None) -> int:
    return -1 if oov_token is None else oov_token


@op("one_hot", precise="all")
def one_hot(
    x: Array, *, num_tokens: int, output_mode: str, count_weights: Array | None = None, compute: Any, **_: Any
) -> Array:
    """Ones at indices: for each index, for each sample at most once, or counted, with weights if there are."""
    dtype = _dtype(compute) if count_weights is None or output_mode != "count" else count_weights.dtype
    x = jnp.asarray(x).astype(jnp.int32)
    if x.ndim == 0:
        x = x[None]
    if output_mode == "one_hot":
        if x.ndim > 1 and x.shape[-1] == 1:
            x = x[..., 0]
        return jax.nn.one_hot(x, num_tokens, dtype=dtype)
    ones = jax.nn.one_hot(x, num_tokens, dtype=dtype)
    axis = 1 if x.ndim > 1 else 0
    if output_mode == "multi_hot":
        return jnp.max(ones, axis=axis)
    if count_weights is not None:
        ones = ones * count_weights[..., None]
    return jnp.sum(ones, axis=axis)


@op("discretize")
def discretize(x: Array, *, boundaries: Sequence[float], **_: Any) -> Array:
    """The number of boundaries that are not above each element."""
    edges = jnp.asarray(boundaries, x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else jnp.float32)
    wide = jax.dtypes.canonicalize_dtype(np.int64)
    return jnp.searchsorted(edges, x.astype(edges.dtype), side="right").astype(wide)
