"""Raw data as numbers, and steps that are none (SPEC.md J.12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.bridges.onnx.builder import ML
from etui.bridges.onnx.ops.registry import Mask, op
from etui.bridges.onnx.tools import any_of, floating, reduced, squeeze, unsqueeze, where
from etui.bridges.onnx.value import FLOAT, INT64, STRING, Value
from etui.errors import error


@op("rescale")
def rescale(x: Value, *, scale: Any, offset: Any, **_: Any) -> Value:
    """`x · scale + offset`; lists lie along the last axes."""
    constant = x.graph.constant
    return floating(x) * constant(np.asarray(scale), FLOAT) + constant(np.asarray(offset), FLOAT)


@op("masking", masked=True)
def masking(x: Value, *, mask_value: float, **_: Any) -> tuple[Value, Mask]:
    """A step that has the mask value only is masked, and becomes zero."""
    graph = x.graph
    value = graph.constant(mask_value, FLOAT)
    other = ~graph.add("Equal", *graph.common(x, value))
    kept = any_of(other, [x.rank - 1])
    return where(unsqueeze(kept, [kept.rank]), x, 0), kept


@op("lookup")
def lookup(
    x: Value,
    *,
    vocabulary: Sequence[Any],
    num_oov_indices: int,
    oov_token: Any,
    mask_token: Any,
    invert: bool,
    **_: Any,
) -> Value:
    """The index of each term, or the term at each index.

    The indices count the mask token, if there is one, then the unknown term, if there is one, then the vocabulary.
    """
    terms = [*([] if mask_token is None else [mask_token]), *([oov_token] * num_oov_indices), *vocabulary]
    unknown = 0 if mask_token is None else 1
    strings = isinstance(vocabulary[0], str) if vocabulary else x.kind == STRING
    if invert:
        return _terms(x, terms, oov_token, strings)
    places = {term: place for place, term in enumerate(terms) if place >= unknown + num_oov_indices}
    if mask_token is not None:
        places[mask_token] = 0
    return _places(x, places, unknown if num_oov_indices else len(terms), len(terms), strings)


def _places(x: Value, places: dict[Any, int], default: int, count: int, strings: bool) -> Value:
    graph = x.graph
    if strings != (x.kind == STRING):
        raise error("onnx-op", found="a look-up of strings among integers, or of integers among strings")
    if not places:
        return x * 0 + default if not strings else graph.cast(graph.add("Equal", x, x), INT64) * 0 + default
    kind, keys = ("strings", [str(term) for term in places]) if strings else ("int64s", [int(term) for term in places])
    attrs: dict[str, Any] = {f"keys_{kind}": keys, "values_int64s": list(places.values()), "default_int64": default}
    x = x if strings else graph.cast(x, INT64)
    found: Value = graph.add("LabelEncoder", x, domain=ML, **attrs)
    if default == count:  # an unknown term is refused: this table has no place for it
        found = graph.add("Gather", graph.constant(np.arange(count)), found, axis=0)
    return found


def _terms(x: Value, terms: Sequence[Any], oov_token: Any, strings: bool) -> Value:
    graph = x.graph
    x = graph.cast(x, INT64)
    within = (x >= 0) & (x < len(terms))
    table = np.array([*terms, oov_token], dtype=object if strings else np.int64)
    return graph.one("Gather", graph.constant(table), where(within, x, len(terms)), axis=0)


@op("one_hot")
def one_hot(x: Value, *, num_tokens: int, output_mode: str, count_weights: Any = None, **_: Any) -> Value:
    """Indices as vectors of 0 and 1, or for each sample, along the last axis, whether or how often each occurs."""
    if output_mode == "one_hot":
        last = x.shape[-1] if x.rank > 1 else None
        if x.rank > 1 and not isinstance(last, int):
            raise error("onnx-shape", found=f"one_hot of a tensor of the shape {list(x.shape)}")
        return _vectors(squeeze(x, [x.rank - 1]) if last == 1 else x, num_tokens)
    vectors = _vectors(x, num_tokens)
    if output_mode == "count":
        if count_weights is not None:
            weights = count_weights if isinstance(count_weights, Value) else x.graph.constant(np.asarray(count_weights))
            vectors = vectors * floating(unsqueeze(weights, [weights.rank]))
        return reduced("ReduceSum", vectors, [vectors.rank - 2])
    return reduced("ReduceMax", vectors, [vectors.rank - 2])


def _vectors(indices: Value, count: int) -> Value:
    graph = indices.graph
    pair = graph.common(unsqueeze(indices, [indices.rank]), graph.constant(np.arange(count)))
    return graph.cast(graph.add("Equal", *pair), FLOAT)


@op("discretize")
def discretize(x: Value, *, boundaries: Sequence[float], **_: Any) -> Value:
    """The number of boundaries that are less than or equal to each element."""
    graph = x.graph
    if not boundaries:
        return graph.cast(x, INT64) * 0
    least = graph.constant(np.asarray(boundaries), FLOAT)
    reached = unsqueeze(floating(x), [x.rank]) >= least
    return reduced("ReduceSum", graph.cast(reached, INT64), [x.rank])
