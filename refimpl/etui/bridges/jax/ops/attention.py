"""Attention (SPEC.md, annex J.6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from etui.bridges.jax.ops.activation import masked_softmax
from etui.bridges.jax.ops.randomness import dropped, needed
from etui.bridges.jax.ops.registry import Array, Mask, op

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
Penalise = Callable[[Array], None]


def _parts(value: Any) -> list[Any]:
    """Query, value and key (or `None`) of inputs, or their masks."""
    items = list(value) if isinstance(value, list | tuple) else [value]
    return [*items, None, None][:3]


def _causal(query: int, key: int) -> Array:
    """[query, key], true where the key is not behind the query."""
    return jnp.arange(query)[:, None] >= jnp.arange(key)[None, :]


def _joined(masks: Sequence[Mask]) -> Mask:
    """Kept where all keep; none if there is none."""
    joined: Mask = None
    for mask in masks:
        if mask is not None:
            joined = mask.astype(bool) if joined is None else joined & mask.astype(bool)
    return joined


def _attention_mask(mask: Any, keywords: dict[str, Any], query: int, key: int) -> tuple[Mask, Mask]:
    """The mask [batch, query, key] of all that is given, and the query's own, which the output keeps."""
    carried = _parts(mask)
    rows, columns, keys = (
        carried[place] if keywords.get(name) is None else keywords[name]
        for place, name in enumerate(("query_mask", "value_mask", "key_mask"))
    )
    masks = [
        None if rows is None else rows[..., :, None],
        None if columns is None else columns[..., None, :],
        None if keys is None else keys[..., None, :],
        _causal(query, key)[None] if keywords.get("use_causal_mask") else None,
    ]
    pairs, given = _joined(masks), keywords.get("attention_mask")
    if pairs is not None and given is not None and given.ndim == pairs.ndim + 1:
        pairs = pairs[:, None]  # what is given has the axis of the heads
    return _joined([pairs, given]), rows


def _attended(
    query: Array, key: Array, value: Array, mask: Mask, *, axes: Sequence[int], keywords: dict[str, Any]
) -> tuple[Array, Array]:
    """Attention of projected tensors [batch, *, heads, size] over the axes: the output, and the scores.

    The scores are [batch, *other axes, heads, *query axes, *key axes]; the mask has all of it but the heads.
    """
    rank = query.ndim - 3
    letters = iter(_LETTERS)
    batch, heads, size, wide = (next(letters) for _ in range(4))
    middle_q, middle_k, others = "", "", ""
    for axis in range(1, rank + 1):
        letter = next(letters)
        middle_q += letter
        if axis in axes:
            middle_k += next(letters)
        else:
            middle_k += letter
            others += letter
    q_axes = "".join(middle_q[axis - 1] for axis in axes)
    k_axes = "".join(middle_k[axis - 1] for axis in axes)
    scores_in = f"{batch}{others}{heads}{q_axes}{k_axes}"
    query = query * jnp.asarray(1.0 / math.sqrt(query.shape[-1]), query.dtype)
    scores = jnp.einsum(f"{batch}{middle_k}{heads}{size},{batch}{middle_q}{heads}{size}->{scores_in}", key, query)
    if mask is not None:
        while mask.ndim < scores.ndim:
            mask = jnp.expand_dims(mask, -2 * len(axes) - 1)
    over = range(scores.ndim - len(axes), scores.ndim)
    scores = masked_softmax(scores, mask, over)
    fed = scores
    if keywords["training"] and keywords["dropout"]:
        fed = dropped(scores, keywords["dropout"], None, needed(keywords["rng"], keywords["where"]))
    output = jnp.einsum(f"{scores_in},{batch}{middle_k}{heads}{wide}->{batch}{middle_q}{heads}{wide}", fed, value)
    return output, scores


def _project(x: Array, kernel: Array, bias: Array | None, penalise: Penalise, *, axes: int = 1) -> Array:
    """`x` times a kernel over its last axes, plus bias."""
    y = jnp.tensordot(x, kernel, axes=axes)
    y = y if bias is None else y + bias
    penalise(y)
    return y


def _given(output: Array, scores: Array, rows: Mask, keywords: dict[str, Any]) -> tuple[Any, Mask]:
    if keywords.get("return_attention_scores"):
        return [output, scores], [rows, None]
    return output, rows


@op("mha", masked=True, penalises=True)
def mha(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    query_kernel: Array,
    key_kernel: Array,
    value_kernel: Array,
    output_kernel: Array,
    query_bias: Array | None = None,
    key_bias: Array | None = None,
    value_bias: Array | None = None,
    output_bias: Array | None = None,
    attention_axes: Sequence[int] | None,
    mask: Any,
    penalise: Penalise,
    **keywords: Any,
) -> tuple[Any, Mask]:
    """Attention of several heads, each over its own projections."""
    key = value if key is None else key
    joined, rows = _attention_mask(mask, keywords, query.shape[1], value.shape[1])
    q = _project(query, query_kernel, query_bias, penalise)
    k = _project(key, key_kernel, key_bias, penalise)
    v = _project(value, value_kernel, value_bias, penalise)
    rank = q.ndim - 3
    axes = range(1, rank + 1) if attention_axes is None else [axis % query.ndim for axis in attention_axes]
    output, scores = _attended(q, k, v, joined, axes=list(axes), keywords=keywords)
    output = _project(output, output_kernel, output_bias, penalise, axes=2)
    return _given(output, scores, rows, keywords)


@op("gqa", masked=True, penalises=True)
def gqa(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    query_kernel: Array,
    key_kernel: Array,
    value_kernel: Array,
    output_kernel: Array,
    query_bias: Array | None = None,
    key_bias: Array | None = None,
    value_bias: Array | None = None,
    output_bias: Array | None = None,
    gate_kernel: Array | None = None,
    gate_bias: Array | None = None,
    num_query_heads: int,
    num_key_value_heads: int,
    mask: Any,
    penalise: Penalise,
    **keywords: Any,
) -> tuple[Any, Mask]:
    """Attention whose key and value heads serve several neighbouring query heads each."""
    key = value if key is None else key
    joined, rows = _attention_mask(mask, keywords, query.shape[1], value.shape[1])
    q = _project(query, query_kernel, query_bias, penalise)
    k = _project(key, key_kernel, key_bias, penalise)
    gate: Array | None = None
    if gate_kernel is not None:
        gate = jax.nn.sigmoid(_project(query, gate_kernel, gate_bias, _ignore))
        penalise(gate)
    v = _project(value, value_kernel, value_bias, penalise)
    repeats = num_query_heads // num_key_value_heads
    k, v = jnp.repeat(k, repeats, axis=2), jnp.repeat(v, repeats, axis=2)
    output, scores = _attended(q, k, v, joined, axes=[1], keywords=keywords)
    output = output if gate is None else output * gate
    output = _project(output, output_kernel, output_bias, penalise, axes=2)
    for given in (output, scores) if keywords.get("return_attention_scores") else (output,):
        penalise(given)
    return _given(output, scores, rows, keywords)


def _ignore(_: Array) -> None:
    return None


def _weighted(scores: Array, value: Array, mask: Any, keywords: dict[str, Any]) -> tuple[Any, Mask]:
    """The values weighted by the softmax of scores [batch, query, key]; zero where the query is masked."""
    rows, columns, _ = _parts(mask)
    masks = [
        None if columns is None else columns[..., None, :],
        _causal(scores.shape[-2], scores.shape[-1])[None] if keywords.get("use_causal_mask") else None,
    ]
    weights = masked_softmax(scores, _joined(masks), [-1])
    if keywords["training"] and keywords["dropout"]:
        weights = dropped(weights, keywords["dropout"], None, needed(keywords["rng"], keywords["where"]))
    output = jnp.matmul(weights, value)
    if rows is not None:
        output = jnp.where(rows.astype(bool)[..., None], output, 0)
    return _given(output, weights, rows, keywords)


@op("dot_attention", masked=True)
def dot_attention(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    scale: Array | None = None,
    concat_score_weight: Array | None = None,
    score_mode: str,
    mask: Any,
    **keywords: Any,
) -> tuple[Any, Mask]:
    """Attention by products of queries and keys, or by the sum of tanh(query + key)."""
    key = value if key is None else key
    if score_mode == "dot":
        scores = jnp.matmul(query, jnp.swapaxes(key, -2, -1))
        scores = scores if scale is None else scores * scale
    else:
        sums = query[..., :, None, :] + key[..., None, :, :]
        scores = jnp.sum(jnp.tanh(sums if scale is None else scale * sums), axis=-1)
        scores = scores if concat_score_weight is None else concat_score_weight * scores
    return _weighted(scores, value, mask, keywords)


@op("additive_attention", masked=True)
def additive_attention(
    query: Array,
    value: Array,
    key: Array | None = None,
    *,
    scale: Array | None = None,
    mask: Any,
    **keywords: Any,
) -> tuple[Any, Mask]:
    """Attention by the sum of scale · tanh(query + key)."""
    key = value if key is None else key
    sums = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
    scores = jnp.sum(sums if scale is None else scale * sums, axis=-1)
    return _weighted(scores, value, mask, keywords)
