"""Cases of attention (SPEC.md J.6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from semantics_cases import Array, Case, Net, Numbers, single


def cases() -> Iterator[tuple[str, Case]]:
    """Each op with its cases."""
    for op, maker in (
        ("mha", mha),
        ("gqa", gqa),
        ("dot_attention", dot_attention),
        ("additive_attention", additive_attention),
    ):
        for case in maker():
            yield op, case


def _projections(
    n: Numbers, widths: dict[str, tuple[int, int, int]], out: tuple[int, ...], *, bias: bool = True
) -> dict[str, Array]:
    params = {}
    for role, shape in widths.items():
        params[f"{role}_kernel"] = n(*shape)
        if bias:
            params[f"{role}_bias"] = n.kernel(*shape[1:])
    params["output_kernel"] = n.kernel(*out)
    return params | ({"output_bias": n.kernel(*out[2:])} if bias else {})


_QUERIES = np.array([[True, True, False], [True, True, True]])
_VALUES = np.array([[True, True, False, True], [True, False, True, True]])
_KEYS = np.array([[True, True, True, False], [False, True, True, True]])


def _pairs() -> Array:
    """Pairs that are kept; one query has no key."""
    kept = np.ones((2, 3, 4), bool)
    kept[0, 0, 1] = kept[1, 2, 0] = False
    kept[1, 1] = False
    return kept


def mha() -> Iterator[Case]:
    """Attention of many heads."""
    n = Numbers("mha")
    query, value, key = n(2, 3, 3), n(2, 4, 2), n(2, 4, 3)
    params = _projections(n, {"query": (3, 2, 2), "key": (3, 2, 2), "value": (2, 2, 3)}, (2, 3, 3))
    attrs = {"num_heads": 2, "key_dim": 2, "value_dim": 3}

    def one(name: str, title: str, clauses: str, outputs: int = 1, **named: Any) -> Case:
        return single(
            "mha", name, title, clauses, query, value, key, attrs=attrs, params=params, named=named, outputs=outputs
        )

    scores = {"return_attention_scores": True}
    yield one("plain", "Query, value, key; the value has another size", "CV-9 CV-122")
    yield one("scores", "The weights follow the output", "CV-120 CV-127", 2, **scores)
    yield one("causal", "A query keeps the keys up to its own place", "CV-121", use_causal_mask=True)
    yield one(
        "masks",
        "The masks of query, value and key are joined",
        "CV-120 CV-121",
        2,
        query_mask=_QUERIES,
        value_mask=_VALUES,
        key_mask=_KEYS,
        **scores,
    )
    yield one(
        "pairs",
        "A mask of pairs for all heads; a query without a key has weights of 0",
        "CV-120 CV-121",
        2,
        attention_mask=_pairs(),
        **scores,
    )
    heads = np.stack([_pairs(), ~_pairs()], axis=1)
    yield one(
        "pairs-heads",
        "A mask of pairs for each head, joined with others",
        "CV-121",
        attention_mask=heads,
        value_mask=_VALUES,
    )
    own = _projections(n, {"query": (3, 2, 3), "key": (2, 2, 3), "value": (2, 2, 3)}, (2, 3, 2, 2), bias=False)
    small = {"num_heads": 2, "key_dim": 3, "use_bias": False}
    yield single(
        "mha",
        "value-is-key",
        "Without a key the value is the key; an output of two axes; no biases",
        "CV-122",
        query,
        value,
        attrs=small | {"output_dim": [2, 2]},
        params=own,
    )
    image = n(1, 2, 3, 2)
    square = _projections(n, dict.fromkeys(("query", "key", "value"), (2, 2, 2)), (2, 2, 2))
    for name, title, axes in (
        ("axes-all", "Null is all axes but the first and the last, together", None),
        ("axes-one", "One axis alone", [1]),
        ("axes-last", "An axis that is counted from the end", [-2]),
    ):
        more = {} if axes is None else {"attention_axes": axes}
        yield single(
            "mha", name, title, "CV-123", image, image, attrs={"num_heads": 2, "key_dim": 2} | more, params=square
        )
    yield single(
        "mha",
        "dropout",
        "In inference nothing is dropped",
        "CV-128 CV-160",
        query,
        value,
        key,
        attrs=attrs | {"dropout": 0.5},
        params=params,
    )
    yield single(
        "mha",
        "dropout-all",
        "In training with the rate 1 the weighted sum is 0; the weights are given before their dropout",
        "CV-127 CV-128 CV-161",
        query,
        value,
        key,
        attrs=attrs | {"dropout": 1.0},
        params=params,
        named=scores,
        outputs=2,
        training=True,
    )
    yield _masked_attention("mha", "The mask of the query is carried and goes on; that of value counts", params, attrs)


def _masked_attention(op: str, title: str, params: dict[str, Array], attrs: dict[str, Any]) -> Case:
    """Query, value and key come from `masking`; a mean over the mask that is left comes after it."""
    n = Numbers(f"{op}/masked")
    net = Net()
    widths = (3, 2, 3) if op in ("mha", "gqa") else (2, 2, 2)
    refs = []
    for name, width, keep in zip(("query", "value", "key"), widths, (_QUERIES, _VALUES, _KEYS), strict=True):
        array = np.where(keep[..., np.newaxis], n(2, keep.shape[1], width), 0.0)
        refs.append(net.op("masking", net.give(name, array), name=f"{name}_before"))
    found = net.op(op, *refs, name="op", params=params, **attrs)
    net.outputs = [found, net.op("global_avg_pool", found, name="after")]
    clauses = "CV-12 CV-121 CV-127" if op in ("mha", "gqa") else "CV-12 CV-126 CV-127"
    return net.case("mask-carried", title, clauses)


def gqa() -> Iterator[Case]:
    """Heads of the query share those of key and value."""
    n = Numbers("gqa")
    query, value, key = n(2, 3, 3), n(2, 4, 2), n(2, 4, 3)
    widths = {"query": (3, 4, 2), "key": (3, 2, 2), "value": (2, 2, 2)}
    params = _projections(n, widths, (4, 2, 3))
    attrs = {"num_query_heads": 4, "num_key_value_heads": 2, "head_dim": 2}
    yield single(
        "gqa",
        "shared",
        "Runs of heads of the query go with one of key and value",
        "CV-124 CV-127",
        query,
        value,
        key,
        attrs=attrs,
        params=params,
        named={"return_attention_scores": True},
        outputs=2,
    )
    gate = _projections(n, widths | {"gate": (3, 4, 2)}, (4, 2, 3))
    yield single(
        "gqa",
        "gate",
        "The gate multiplies the weighted sums",
        "CV-124",
        query,
        value,
        key,
        attrs=attrs | {"use_gate": True},
        params=gate,
    )
    bare = _projections(n, {**widths, "key": (2, 2, 2), "gate": (3, 4, 2)}, (4, 2, 3), bias=False)
    yield single(
        "gqa",
        "no-bias",
        "No biases and no key; a gate",
        "CV-124",
        query,
        value,
        attrs=attrs | {"use_gate": True, "use_bias": False},
        params=bare,
    )
    masks: dict[str, Any] = {"query_mask": _QUERIES, "value_mask": _VALUES, "key_mask": _KEYS, "use_causal_mask": True}
    yield single(
        "gqa",
        "masks",
        "All masks together",
        "CV-120 CV-121",
        query,
        value,
        key,
        attrs=attrs,
        params=params,
        named=masks | {"attention_mask": _pairs(), "return_attention_scores": True},
        outputs=2,
    )
    yield single(
        "gqa",
        "dropout-all",
        "In training with the rate 1 the weighted sum is 0",
        "CV-127 CV-128",
        query,
        value,
        key,
        attrs=attrs | {"dropout": 1.0},
        params=params,
        named={"return_attention_scores": True},
        outputs=2,
        training=True,
    )
    yield _masked_attention("gqa", "The mask of the query is carried and goes on; that of value counts", params, attrs)


def _unprojected(op: str, forms: list[tuple[str, str, dict[str, Any], dict[str, Array]]]) -> Iterator[Case]:
    """Cases of attention without kernels."""
    n = Numbers(op)
    query, value, key = n(2, 3, 2), n(2, 4, 2), n(2, 4, 2)
    scores = {"return_attention_scores": True}
    for name, title, attrs, params in forms:
        yield single(
            op, name, title, "CV-125 CV-127", query, value, key, attrs=attrs, params=params, named=scores, outputs=2
        )
    _, _, attrs, params = forms[0]
    own: dict[str, Any] = {"attrs": attrs, "params": params}
    yield single(op, "value-is-key", "Without a key the value is the key", "CV-9 CV-125", query, value, **own)
    empty = np.array([[True, True, False, True], [False, False, False, False]])
    yield single(
        op,
        "masks",
        "The value's mask excludes keys, and the output is 0 where the query's is false",
        "CV-120 CV-126",
        query,
        value,
        key,
        named={"mask": [_QUERIES, empty], **scores},
        outputs=2,
        **own,
    )
    yield single(
        op,
        "causal",
        "A query keeps the keys up to its own place; the key's mask does nothing",
        "CV-126",
        query,
        value,
        key,
        named={"mask": [_QUERIES, _VALUES, _KEYS], "use_causal_mask": True, **scores},
        outputs=2,
        **own,
    )
    yield single(
        op,
        "dropout-all",
        "In training with the rate 1 the output is 0, and so are the weights, after their dropout",
        "CV-127 CV-128",
        query,
        value,
        key,
        attrs=attrs | {"dropout": 1.0},
        params=params,
        named=scores,
        outputs=2,
        training=True,
    )
    yield _masked_attention(op, "Carried masks of query and value count, that of the key does not", params, attrs)


def dot_attention() -> Iterator[Case]:
    """Scores are products, or sums of tanh."""
    scale, weight = np.asarray(0.75), np.asarray(-1.25)
    yield from _unprojected(
        "dot_attention",
        [
            ("dot", "Products", {}, {}),
            ("scale", "Products with a scale", {"use_scale": True}, {"scale": scale}),
            (
                "concat",
                "Sums of tanh, their scale inside",
                {"score_mode": "concat", "use_scale": True},
                {"scale": scale, "concat_score_weight": weight},
            ),
            ("concat-plain", "Sums of tanh", {"score_mode": "concat"}, {"concat_score_weight": weight}),
        ],
    )


def additive_attention() -> Iterator[Case]:
    """Scores are sums of tanh, their scale outside."""
    yield from _unprojected(
        "additive_attention",
        [
            ("scale", "With a scale", {}, {"scale": np.asarray([0.75, -1.5])}),
            ("plain", "Without a scale", {"use_scale": False}, {}),
        ],
    )
