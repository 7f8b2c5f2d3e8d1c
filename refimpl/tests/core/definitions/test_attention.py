"""Attention, against sums over single heads and pairs that are written out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etui.core.ops.attention import drop_weights

Run = Callable[..., Any]
Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(23)
QUERY, VALUE, KEY = (RNG.normal(size=(2, size, width)) for size, width in ((3, 4), (5, 2), (5, 3)))
HEADS, DIM, WIDE = 2, 3, 2


def projections(widths: dict[str, tuple[int, int, int]], out: tuple[int, ...]) -> dict[str, Array]:
    found = {}
    for name, shape in widths.items():
        found[f"{name}_kernel"], found[f"{name}_bias"] = RNG.normal(size=shape), RNG.normal(size=shape[1:])
    return found | {"output_kernel": RNG.normal(size=out), "output_bias": RNG.normal(size=out[2:])}


def heads(x: Array, params: dict[str, Array], name: str) -> Array:
    """[batch, places, heads, dimensions]."""
    return np.asarray(np.einsum("bpf,fnd->bpnd", x, params[f"{name}_kernel"]) + params[f"{name}_bias"])


def attended(q: Array, k: Array, v: Array, kept: Array) -> tuple[Array, Array]:
    """The weighted sums [batch, queries, heads, dimensions] and weights, one query and head at a time."""
    batch, queries, count, dim = q.shape
    output, weights = np.zeros((batch, queries, count, v.shape[-1])), np.zeros((batch, count, queries, k.shape[1]))
    for b in range(batch):
        for n in range(count):
            for t in range(queries):
                left = np.flatnonzero(np.broadcast_to(kept, (batch, queries, k.shape[1]))[b, t])
                power = np.exp([q[b, t, n] @ k[b, s, n] / np.sqrt(dim) for s in left])
                weights[b, n, t, left] = power / power.sum() if len(left) else 0
                output[b, t, n] = sum((weights[b, n, t, s] * v[b, s, n] for s in left), np.zeros(v.shape[-1]))
    return output, weights


ALL = np.ones((2, 3, 5), bool)
MHA = projections({"query": (4, HEADS, DIM), "key": (3, HEADS, DIM), "value": (2, HEADS, WIDE)}, (HEADS, WIDE, 4))
ATTRS = {"num_heads": HEADS, "key_dim": DIM, "value_dim": WIDE}


def mha(kept: Array) -> tuple[Array, Array]:
    mixed, weights = attended(heads(QUERY, MHA, "query"), heads(KEY, MHA, "key"), heads(VALUE, MHA, "value"), kept)
    return np.einsum("btnd,ndo->bto", mixed, MHA["output_kernel"]) + MHA["output_bias"], weights


@pytest.mark.clause("CV-122@31c798", "CV-127@626b78")
def test_heads_are_weighted_and_summed(run: Run) -> None:
    """The output and the weights equal those of single heads; without a key, the value is the key."""
    output, weights = mha(ALL)
    np.testing.assert_allclose(run("mha", QUERY, VALUE, KEY, params=MHA, **ATTRS), output)
    scored: dict[str, Any] = {"kwargs": {"return_attention_scores": True}, "output": 1}
    np.testing.assert_allclose(run("mha", QUERY, VALUE, KEY, params=MHA, **ATTRS, **scored), weights)
    own = projections(dict.fromkeys(("query", "key", "value"), (4, HEADS, DIM)), (HEADS, DIM, 4))
    attrs = {"num_heads": HEADS, "key_dim": DIM}
    np.testing.assert_allclose(
        run("mha", QUERY, QUERY, params=own, **attrs), run("mha", QUERY, QUERY, QUERY, params=own, **attrs)
    )


@pytest.mark.clause("CV-120@946a3c", "CV-121@53b202")
def test_masks_are_joined(run: Run) -> None:
    """Masks of query, value, key, pairs and order count together; a query without a key gives the bias alone."""
    query_mask = np.array([[True, True, False], [True, True, True]])
    value_mask, key_mask = RNG.random((2, 5)) < 0.7, RNG.random((2, 5)) < 0.7
    pairs = RNG.random((2, 3, 5)) < 0.7
    pairs[1, 1] = False
    kept = query_mask[:, :, None] & value_mask[:, None] & key_mask[:, None] & pairs & np.tri(3, 5, dtype=bool)
    masks = {"query_mask": query_mask, "value_mask": value_mask, "key_mask": key_mask, "use_causal_mask": True}
    for attention_mask in (pairs, pairs[:, np.newaxis]):
        found = run("mha", QUERY, VALUE, KEY, params=MHA, kwargs={**masks, "attention_mask": attention_mask}, **ATTRS)
        np.testing.assert_allclose(found, mha(kept)[0])
        np.testing.assert_allclose(found[1, 1], MHA["output_bias"])


@pytest.mark.clause("CV-123@ffc511")
@pytest.mark.parametrize("axes", [None, [1], [2], [-2], [1, 2]])
def test_attention_axes(run: Run, axes: list[int] | None) -> None:
    """Attention goes along the named axes of an image of features; the others are as the batch."""
    x = RNG.normal(size=(2, 3, 4, 3))
    own = projections(dict.fromkeys(("query", "key", "value"), (3, HEADS, DIM)), (HEADS, DIM, 3))
    attrs: dict[str, Any] = {"num_heads": HEADS, "key_dim": DIM}
    found = run("mha", x, x, params=own, **attrs, **({} if axes is None else {"attention_axes": axes}))
    if axes == [1]:
        flat = x.transpose(0, 2, 1, 3).reshape(8, 3, 3)
        expected = run("mha", flat, flat, params=own, **attrs).reshape(2, 4, 3, 3).transpose(0, 2, 1, 3)
    elif axes in ([2], [-2]):
        flat = x.reshape(6, 4, 3)
        expected = run("mha", flat, flat, params=own, **attrs).reshape(x.shape)
    else:
        flat = x.reshape(2, 12, 3)
        expected = run("mha", flat, flat, params=own, **attrs).reshape(x.shape)
    np.testing.assert_allclose(found, expected)


@pytest.mark.clause("CV-124@5fb10c")
@pytest.mark.parametrize("gate", [False, True])
def test_heads_of_the_query_share_those_of_the_key(run: Run, gate: bool) -> None:
    """Of four heads, the first two go with the first head of key and value; a gate multiplies what is mixed."""
    widths = {"query": (4, 4, DIM), "key": (3, 2, DIM), "value": (2, 2, DIM)} | ({"gate": (4, 4, DIM)} if gate else {})
    params = projections(widths, (4, DIM, 4))
    q, k, v = heads(QUERY, params, "query"), heads(KEY, params, "key"), heads(VALUE, params, "value")
    mixed, _ = attended(q, k[:, :, [0, 0, 1, 1]], v[:, :, [0, 0, 1, 1]], ALL)
    mixed = mixed / (1 + np.exp(-heads(QUERY, params, "gate"))) if gate else mixed
    expected = np.einsum("btnd,ndo->bto", mixed, params["output_kernel"]) + params["output_bias"]
    attrs: dict[str, Any] = {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": DIM}
    attrs |= {"use_gate": True} if gate else {}
    np.testing.assert_allclose(run("gqa", QUERY, VALUE, KEY, params=params, **attrs), expected)


@pytest.mark.clause("CV-125@921780", "CV-126@aec7d8", "CV-127@626b78")
@pytest.mark.parametrize("form", ["dot", "concat", "additive"])
def test_scores_without_projections(run: Run, form: str) -> None:
    """Scores are products, or sums of tanh; masks of value and order exclude keys, that of the query gives 0."""
    query, value, key = (RNG.normal(size=(2, size, 3)) for size in (3, 4, 4))
    scale, weight = np.array(0.7), np.array(1.3)
    params: dict[str, Array] = {"scale": scale}
    if form == "dot":
        scores = np.einsum("btf,bsf->bts", query, key) * scale
    elif form == "concat":
        params["concat_score_weight"] = weight
        scores = weight * np.tanh(scale * (query[:, :, None] + key[:, None])).sum(axis=-1)
    else:
        params["scale"] = RNG.normal(size=3)
        scores = (params["scale"] * np.tanh(query[:, :, None] + key[:, None])).sum(axis=-1)
    query_mask, value_mask = np.array([[True, False, True]] * 2), np.array([[True, True, False, True]] * 2)
    power = np.exp(scores) * (value_mask[:, None] & np.tri(3, 4, dtype=bool))
    weights = power / power.sum(axis=-1, keepdims=True)
    expected = np.where(query_mask[..., None], weights @ value, 0)
    op = "additive_attention" if form == "additive" else "dot_attention"
    attrs: dict[str, Any] = {} if form == "additive" else {"use_scale": True}
    attrs |= {"score_mode": "concat"} if form == "concat" else {}
    kwargs = {"mask": [query_mask, value_mask], "use_causal_mask": True}
    np.testing.assert_allclose(run(op, query, value, key, params=params, kwargs=kwargs, **attrs), expected)
    kwargs |= {"return_attention_scores": True}
    np.testing.assert_allclose(run(op, query, value, key, params=params, kwargs=kwargs, output=1, **attrs), weights)


@pytest.mark.clause("CV-128@8c7a58")
def test_dropout_of_weights() -> None:
    """In training each weight is dropped by itself and the others are scaled; else nothing happens."""
    weights = np.full((4, 25, 25), 0.04)
    found = drop_weights(weights, 0.5, True, np.random.default_rng(2))
    assert {round(float(value), 9) for value in found.ravel()} == {0.0, 0.08}
    assert abs(found.mean() - 0.04) < 0.003
    assert drop_weights(weights, 0.5, False, None) is weights
