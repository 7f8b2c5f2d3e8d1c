"""Attention (SPEC.md J.6): the elements of `value`, averaged with weights that compare `query` with `key`.

`kept` is the boolean array of the pairs of query and key that count. A query none of whose keys is kept has the
weights 0, and so the result 0 before the output's own kernel and bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.core.activations import sigmoid, softmax_over
from etui.core.ops.floats import floating
from etui.core.ops.random import Rng, dropped
from etui.core.ops.registry import Array, Mask, op


def masks_of(mask: Mask, count: int) -> list[Array | None]:
    """The masks of so many inputs; those that are not there are `None`."""
    given = list(mask) if isinstance(mask, (list, tuple)) else [mask]
    found = [None if one is None else np.asarray(one) != 0 for one in given]
    return (found + [None] * count)[:count]


def own_masks(mask: Mask, own: Sequence[Any]) -> list[Array | None]:
    """The masks of query, value and key: those of the call, else those that the inputs carry."""
    carried = masks_of(mask, len(own))
    return [one if given is None else np.asarray(given) != 0 for one, given in zip(carried, own, strict=True)]


def causal(queries: int, keys: int) -> Array:
    """[queries, keys]: a query keeps the keys at its own place and before."""
    return np.arange(queries)[:, np.newaxis] >= np.arange(keys)[np.newaxis, :]


def both(first: Array | None, second: Array | None) -> Array | None:
    """The pairs that both keep; `None` keeps all."""
    if first is None or second is None:
        return first if second is None else second
    return first & second


def kept_pairs(
    query_mask: Array | None,
    key_masks: Sequence[Array | None],
    attention_mask: Any,
    causal_sizes: tuple[int, int] | None,
) -> Array | None:
    """The pairs that all masks of a call keep, or `None` where there is no mask.

    Args:
        query_mask: [batch, queries].
        key_masks: [batch, keys] each.
        attention_mask: [batch, queries, keys], or with the heads as a second axis.
        causal_sizes: the numbers of queries and keys, if the causal mask counts.
    """
    kept = None if query_mask is None else query_mask[..., :, np.newaxis]
    for mask in key_masks:
        kept = both(kept, None if mask is None else mask[..., np.newaxis, :])
    kept = both(kept, None if causal_sizes is None else causal(*causal_sizes)[np.newaxis])
    if attention_mask is None:
        return kept
    given = np.asarray(attention_mask) != 0
    if kept is not None and given.ndim == kept.ndim + 1:
        kept = kept[:, np.newaxis]
    return both(given, kept)


def weights_of(scores: Array, kept: Array | None, count: int = 1) -> Array:
    """The softmax of the scores along their last axes, over the pairs that are kept.

    Args:
        scores: [batch, …, queries…, keys…].
        kept: broadcasts to the scores from the left; the axes that it lacks are before those of queries and keys.
        count: how many axes the keys have, and the queries.
    """
    if kept is not None:
        lacking = tuple(range(kept.ndim - 2 * count, scores.ndim - 2 * count))
        kept = np.expand_dims(kept, lacking) if lacking else kept
    return softmax_over(scores, tuple(range(scores.ndim - count, scores.ndim)), kept)


def drop_weights(weights: Array, dropout: float, training: bool, rng: Rng) -> Array:
    """The weights after dropout, each by itself."""
    return dropped(weights, rng, dropout, weights.shape) if training and dropout > 0 else weights


def project(x: Array, kernel: Array, bias: Array | None, axes: int = 1) -> Array:
    """The last axes of x times the first ones of the kernel, plus the bias."""
    y = np.tensordot(x, kernel, axes=axes)
    return y if bias is None else y + bias


def kept_by_call(
    query: Array,
    value: Array,
    key: Array | None,
    mask: Mask,
    *,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
    attention_mask: Any = None,
    use_causal_mask: bool = False,
    **_: Any,
) -> tuple[Array | None, Array | None]:
    """The mask of the query, and the pairs that all masks of a call of `mha` or `gqa` keep; `None` keeps all."""
    query_mask, value_mask, key_mask = own_masks(mask, [query_mask, value_mask, key_mask])
    sizes = (query.shape[1], value.shape[1]) if use_causal_mask else None
    return query_mask, kept_pairs(query_mask, [value_mask, None if key is None else key_mask], attention_mask, sizes)


@op("mha", masked=True)
def mha(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    key_dim: int,
    attention_axes: list[int] | None,
    mask: Mask = None,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    rng: Rng = None,
    **given: Any,
) -> tuple[Any, Mask]:
    """Multi-head attention over the attention axes of [batch, …, features]; other axes are as that of the batch.

    Q, K and V are `query`, `key` and `value` (key = value if there is none) times their kernels plus their biases. The
    weights are softmax(Q·K / √key_dim) over all places on the attention axes, for each head; the weighted sum of V
    times the output's kernel, summed over heads and dimensions, plus its bias, is the result.
    """
    query_mask, kept = kept_by_call(query, value, key, mask, **given)

    rank = query.ndim
    axes = list(range(1, rank - 1)) if attention_axes is None else [axis % rank for axis in attention_axes]
    count = len(axes)

    def heads_first(x: Array, role: str) -> Array:
        """[batch, other axes…, heads, attention axes…, dimensions] of what is projected."""
        y = project(x, given[f"{role}_kernel"], given.get(f"{role}_bias"))
        others = [axis for axis in range(rank - 1) if axis not in axes]
        return np.transpose(y, [*others, rank - 1, *axes, rank])

    q = heads_first(query, "query")
    k, v = heads_first(value if key is None else key, "key"), heads_first(value, "value")
    lead, queries, keys = q.shape[: rank - count], q.shape[rank - count : -1], k.shape[rank - count : -1]
    q, k, v = (x.reshape(*lead, -1, x.shape[-1]) for x in (q, k, v))
    scores = (q @ np.swapaxes(k, -1, -2)) / math.sqrt(key_dim)
    weights = weights_of(scores.reshape(*lead, *queries, *keys), kept, count)
    dropped_weights = drop_weights(weights, dropout, training, rng).reshape(scores.shape)
    mixed = (dropped_weights @ v).reshape(*lead, *queries, v.shape[-1])

    others = [axis for axis in range(rank - 1) if axis not in axes]
    back = np.argsort([*others, rank - 1, *axes, rank])
    output = project(np.transpose(mixed, back), given["output_kernel"], given.get("output_bias"), axes=2)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


@op("gqa", masked=True)
def gqa(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    num_query_heads: int,
    num_key_value_heads: int,
    head_dim: int,
    use_gate: bool = False,
    mask: Mask = None,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    rng: Rng = None,
    **given: Any,
) -> tuple[Any, Mask]:
    """As `mha` on [batch, time, features], where successive heads of the query share a head of key and value.

    Head i of the query goes with head i // (num_query_heads / num_key_value_heads). The gate, if there is one, is
    sigmoid(query times its kernel plus its bias), which multiplies the weighted sums.
    """
    query_mask, kept = kept_by_call(query, value, key, mask, **given)

    def projected(x: Array, role: str) -> Array:
        return np.moveaxis(project(x, given[f"{role}_kernel"], given.get(f"{role}_bias")), 2, 1)

    q = projected(query, "query")
    shared = num_query_heads // num_key_value_heads
    k = np.repeat(projected(value if key is None else key, "key"), shared, axis=1)
    v = np.repeat(projected(value, "value"), shared, axis=1)
    weights = weights_of((q @ np.swapaxes(k, -1, -2)) / math.sqrt(head_dim), kept)
    mixed = np.moveaxis(drop_weights(weights, dropout, training, rng) @ v, 1, 2)
    if use_gate:
        mixed = mixed * sigmoid(project(query, given["gate_kernel"], given.get("gate_bias")))
    output = project(mixed, given["output_kernel"], given.get("output_bias"), axes=2)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


def attend(
    scores: Array,
    value: Array,
    masks: list[Array | None],
    *,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    rng: Rng = None,
    **_: Any,
) -> tuple[Any, Mask]:
    """The weighted sum of the values by the softmax of the scores, 0 where the mask of the query is false.

    The mask of the value excludes keys, that of the key does nothing. The weights are given after their dropout.
    """
    query_mask, value_mask, *_others = masks
    sizes = (scores.shape[-2], scores.shape[-1]) if use_causal_mask else None
    weights = weights_of(scores, kept_pairs(None, [value_mask], None, sizes))
    weights = drop_weights(weights, dropout, training, rng)
    output = weights @ value
    if query_mask is not None:
        output = np.where(query_mask[..., np.newaxis], output, 0)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


@op("dot_attention", masked=True)
def dot_attention(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    score_mode: str,
    scale: Array | None = None,
    concat_score_weight: Array | None = None,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """Scores query·key · scale, or, for `concat`, concat_score_weight · Σ tanh(scale · (query + key))."""
    query, value, key = floating(query), floating(value), floating(value if key is None else key)
    factor = 1 if scale is None else scale
    if score_mode == "dot":
        scores = (query @ np.swapaxes(key, -1, -2)) * factor
    else:
        sums = query[..., :, np.newaxis, :] + key[..., np.newaxis, :, :]
        scores = concat_score_weight * np.sum(np.tanh(factor * sums), axis=-1)
    return attend(np.asarray(scores), value, masks_of(mask, 3), **options)


@op("additive_attention", masked=True)
def additive_attention(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    scale: Array | None = None,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """Scores Σ scale · tanh(query + key)."""
    query, value, key = floating(query), floating(value), floating(value if key is None else key)
    sums = np.tanh(query[..., :, np.newaxis, :] + key[..., np.newaxis, :, :])
    return attend(np.sum(sums if scale is None else scale * sums, axis=-1), value, masks_of(mask, 3), **options)
