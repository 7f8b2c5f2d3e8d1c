"""Attention (SPEC.md J.6): the elements of `value`, averaged with weights that compare `query` with `key`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.ops.activation import sigmoid, softmax_over, tanh
from etui.bridges.onnx.ops.random import LIMITS, refuse_drawing
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import (
    dimension,
    expand,
    floating,
    known,
    move_axis,
    reduced,
    reshape,
    shape_of,
    squeeze,
    transpose,
    truth,
    unsqueeze,
    where,
)
from etui.bridges.onnx.value import Value


def masks_of(graph: Any, mask: Mask, count: int) -> list[Value | None]:
    """The masks of so many inputs; those that are not there are `None`."""
    given = list(mask) if isinstance(mask, list | tuple) else [mask]
    found = [None if one is None else _flags(graph, one) for one in given]
    return (found + [None] * count)[:count]


def own_masks(graph: Any, mask: Mask, own: Sequence[Any]) -> list[Value | None]:
    """The masks of query, value and key: those of the call, else those that the inputs carry."""
    carried = masks_of(graph, mask, len(own))
    return [one if given is None else _flags(graph, given) for one, given in zip(carried, own, strict=True)]


def _flags(graph: Any, value: Any) -> Value:
    return truth(value if isinstance(value, Value) else graph.constant(np.asarray(value)))


def both(first: Value | None, second: Value | None) -> Value | None:
    """The pairs that both keep; `None` keeps all."""
    if first is None or second is None:
        return first if second is None else second
    return first & second


def causal(query: Value, key: Value) -> Value:
    """[1, queries, keys]: a query keeps the keys at its own place and before."""
    graph = query.graph
    zero, one = graph.constant(0), graph.constant(1)
    queries, keys = (graph.add("Range", zero, squeeze(dimension(x, 1), [0]), one) for x in (query, key))
    found: Value = unsqueeze(unsqueeze(queries, [1]) >= unsqueeze(keys, [0]), [0])
    return found


def kept_pairs(
    query_mask: Value | None, key_masks: Sequence[Value | None], attention_mask: Any, pairs: Value | None
) -> Value | None:
    """The pairs that all masks of a call keep, or `None` where there is no mask."""
    kept = None if query_mask is None else unsqueeze(query_mask, [query_mask.rank])
    for mask in key_masks:
        kept = both(kept, None if mask is None else unsqueeze(mask, [mask.rank - 1]))
    kept = both(kept, pairs)
    if attention_mask is None:
        return kept
    if kept is not None and attention_mask.rank == kept.rank + 1:
        kept = unsqueeze(kept, [1])
    return both(attention_mask, kept)


def weights_of(scores: Value, kept: Value | None, count: int = 1) -> Value:
    """The softmax of the scores along their last axes, over the pairs that are kept."""
    if kept is not None:
        kept = unsqueeze(kept, range(kept.rank - 2 * count, scores.rank - 2 * count))
        # Where the batch alone lacks queries or keys, a runtime broadcasts; the sizes of the scores are those of both.
        kept = expand(kept, [shape_of(scores)])
    return softmax_over(scores, list(range(scores.rank - count, scores.rank)), kept)


def project(x: Value, kernel: Value, bias: Value | None, axes: int = 1) -> Value:
    """The last axes of x times the first ones of the kernel, plus the bias."""
    sizes = known(kernel.shape, "a kernel")
    inner, outer = math.prod(sizes[:axes]), math.prod(sizes[axes:])
    x = floating(x)
    rows = reshape(x, [*[0] * (x.rank - axes), inner]) if axes > 1 else x
    matrix = kernel if kernel.rank == 2 else reshape(kernel, [inner, outer])
    y = rows @ matrix
    if len(sizes) - axes != 1:
        y = reshape(y, [*[0] * (y.rank - 1), *sizes[axes:]])
    return y if bias is None else y + bias


def kept_by_call(
    query: Value,
    value: Value,
    key: Value | None,
    mask: Mask,
    *,
    query_mask: Any = None,
    value_mask: Any = None,
    key_mask: Any = None,
    attention_mask: Any = None,
    use_causal_mask: bool = False,
    **_: Any,
) -> tuple[Value | None, Value | None]:
    """The mask of the query, and the pairs that all masks of a call of `mha` or `gqa` keep; `None` keeps all."""
    graph = query.graph
    query_mask, value_mask, key_mask = own_masks(graph, mask, [query_mask, value_mask, key_mask])
    given = None if attention_mask is None else _flags(graph, attention_mask)
    pairs = causal(query, value) if use_causal_mask else None
    return query_mask, kept_pairs(query_mask, [value_mask, None if key is None else key_mask], given, pairs)


@op("mha", masked=True, limits=LIMITS)
def mha(
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    key_dim: int,
    attention_axes: list[int] | None,
    mask: Mask = None,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    **given: Any,
) -> tuple[Any, Mask]:
    """Multi-head attention over the attention axes of [batch, …, features]; other axes are as that of the batch."""
    refuse_drawing(training, dropout)
    query_mask, kept = kept_by_call(query, value, key, mask, **given)

    rank = query.rank
    axes = list(range(1, rank - 1)) if attention_axes is None else [axis % rank for axis in attention_axes]
    count = len(axes)
    order = [*(axis for axis in range(rank - 1) if axis not in axes), rank - 1, *axes, rank]
    lead = rank - count

    def heads_first(x: Value, role: str) -> Value:
        """[batch, other axes…, heads, attention axes…, dimensions] of what is projected."""
        return transpose(project(x, given[f"{role}_kernel"], given.get(f"{role}_bias")), order)

    q = heads_first(query, "query")
    k, v = heads_first(value if key is None else key, "key"), heads_first(value, "value")
    queries, keys = ([dimension(x, axis) for axis in range(lead, x.rank - 1)] for x in (q, k))
    flat_q, flat_k, flat_v = (_flat(x, lead, count) for x in (q, k, v))
    scores = (flat_q @ move_axis(flat_k, -1, -2)) / math.sqrt(key_dim)
    wide = scores if count == 1 else reshape(scores, [*[0] * lead, *queries, *keys])
    weights = weights_of(wide, kept, count)
    flat_weights = (
        weights if count == 1 else reshape(weights, [*[0] * lead, dimension(scores, -2), dimension(scores, -1)])
    )
    mixed = flat_weights @ flat_v
    mixed = mixed if count == 1 else reshape(mixed, [*[0] * lead, *queries, dimension(v, -1)])
    back = transpose(mixed, [int(axis) for axis in np.argsort(order)])
    output = project(back, given["output_kernel"], given.get("output_bias"), axes=2)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


def _flat(x: Value, lead: int, count: int) -> Value:
    """The attention axes as one."""
    return x if count == 1 else reshape(x, [*[0] * lead, -1, dimension(x, -1)])


@op("gqa", masked=True, limits=LIMITS)
def gqa(
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    num_query_heads: int,
    num_key_value_heads: int,
    head_dim: int,
    use_gate: bool = False,
    mask: Mask = None,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    **given: Any,
) -> tuple[Any, Mask]:
    """As `mha` on [batch, time, features], where successive heads of the query share a head of key and value."""
    refuse_drawing(training, dropout)
    query_mask, kept = kept_by_call(query, value, key, mask, **given)
    shared = np.repeat(np.arange(num_key_value_heads), num_query_heads // num_key_value_heads)

    def projected(x: Value, role: str) -> Value:
        return move_axis(project(x, given[f"{role}_kernel"], given.get(f"{role}_bias")), 2, 1)

    q = projected(query, "query")
    k, v = (
        query.graph.add("Gather", projected(x, role), query.graph.constant(shared), axis=1)
        for x, role in ((value if key is None else key, "key"), (value, "value"))
    )
    weights = weights_of((q @ move_axis(k, -1, -2)) / math.sqrt(head_dim), kept)
    mixed = move_axis(weights @ v, 1, 2)
    if use_gate:
        mixed = mixed * sigmoid(project(query, given["gate_kernel"], given.get("gate_bias")))
    output = project(mixed, given["output_kernel"], given.get("output_bias"), axes=2)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


def _attend(
    scores: Value,
    query: Value,
    value: Value,
    mask: Mask,
    *,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
    dropout: float = 0.0,
    training: bool = False,
    **_: Any,
) -> tuple[Any, Mask]:
    """The weighted sum of the values by the softmax of the scores, 0 where the mask of the query is false."""
    refuse_drawing(training, dropout)
    query_mask, value_mask, _key_mask = masks_of(query.graph, mask, 3)
    pairs = causal(query, value) if use_causal_mask else None
    weights = weights_of(scores, kept_pairs(None, [value_mask], None, pairs))
    output = weights @ floating(value)
    if query_mask is not None:
        output = where(unsqueeze(query_mask, [query_mask.rank]), output, 0.0)
    return ([output, weights], [query_mask, None]) if return_attention_scores else (output, query_mask)


def _sums(query: Value, key: Value) -> Value:
    """[…, queries, keys, features]: each query plus each key."""
    return unsqueeze(query, [query.rank - 1]) + unsqueeze(key, [key.rank - 2])


@op("dot_attention", masked=True, limits=LIMITS)
def dot_attention(
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    score_mode: str,
    scale: Value | None = None,
    concat_score_weight: Value | None = None,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """Scores query·key · scale, or, for `concat`, concat_score_weight · Σ tanh(scale · (query + key))."""
    query, key = floating(query), floating(value if key is None else key)
    if score_mode == "dot":
        scores = query @ move_axis(key, -1, -2)
        scores = scores if scale is None else scores * scale
    else:
        sums = _sums(query, key)
        sums = tanh(sums if scale is None else scale * sums)
        scores = concat_score_weight * reduced("ReduceSum", sums, [sums.rank - 1])
    return _attend(scores, query, value, mask, **options)


@op("additive_attention", masked=True, limits=LIMITS)
def additive_attention(
    query: Value,
    value: Value,
    key: Value | None = None,
    *,
    scale: Value | None = None,
    mask: Mask = None,
    **options: Any,
) -> tuple[Any, Mask]:
    """Scores Σ scale · tanh(query + key)."""
    query, key = floating(query), floating(value if key is None else key)
    sums = tanh(_sums(query, key))
    scores = reduced("ReduceSum", sums if scale is None else scale * sums, [sums.rank - 1])
    return _attend(scores, query, value, mask, **options)
