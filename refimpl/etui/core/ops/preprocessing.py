"""Raw data as numbers, and steps that are none (SPEC.md J.12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.ops.registry import Array, Mask, op
from etui.errors import error, shown


@op("rescale")
def rescale(x: Array, *, scale: Any, offset: Any, **_: Any) -> Array:
    """`x · scale + offset`; lists lie along the last axes."""
    x = floating(x)
    return np.asarray(x * np.asarray(scale, x.dtype) + np.asarray(offset, x.dtype))


@op("masking", masked=True)
def masking(x: Array, *, mask_value: float, **_: Any) -> tuple[Array, Mask]:
    """A step that has the mask value only is masked, and becomes zero."""
    kept = (x != mask_value).any(axis=-1)
    return np.where(kept[..., None], x, np.zeros((), x.dtype)), kept


@op("lookup")
def lookup(
    x: Array,
    *,
    vocabulary: Sequence[Any],
    num_oov_indices: int,
    oov_token: Any,
    mask_token: Any,
    invert: bool,
    **_: Any,
) -> Array:
    """The index of each term, or the term at each index.

    The indices count the mask token, if there is one, then the unknown term, if there is one, then the vocabulary.
    """
    terms = [*([] if mask_token is None else [mask_token]), *([oov_token] * num_oov_indices), *vocabulary]
    unknown = 0 if mask_token is None else 1
    if invert:
        rows = [terms[i] if 0 <= i < len(terms) else oov_token for i in x.ravel().tolist()]
        return np.array(rows, dtype=np.int64 if isinstance(vocabulary[0], int) else object).reshape(x.shape)
    places = {term: place for place, term in enumerate(terms) if place >= unknown + num_oov_indices}
    if mask_token is not None:
        places[mask_token] = 0
    found = []
    for item in x.ravel().tolist():
        term = item.decode("utf-8") if isinstance(item, bytes) else item
        if term not in places and not num_oov_indices:
            found_term = f"the unknown term {shown(term)}"
            raise error("core-evaluate", found=found_term, hint="Give terms of the vocabulary.")
        found.append(places.get(term, unknown))
    return np.array(found, dtype=np.int64).reshape(x.shape)


@op("one_hot")
def one_hot(x: Array, *, num_tokens: int, output_mode: str, count_weights: Array | None = None, **_: Any) -> Array:
    """Indices as vectors of 0 and 1, or for each sample, along the last axis, whether or how often each occurs.

    An index outside of the range is the vector of zeros. With `one_hot` a last axis of size 1, unless it is the only
    one, gives place to the vectors.
    """
    if output_mode == "one_hot":
        indices = x[..., 0] if x.ndim > 1 and x.shape[-1] == 1 else x
        return _vectors(indices, num_tokens)
    vectors = _vectors(x, num_tokens)
    if output_mode == "count":
        weights = 1 if count_weights is None else count_weights[..., None]
        return np.asarray((vectors * weights).sum(axis=-2))
    return np.asarray(vectors.max(axis=-2))


def _vectors(indices: Array, count: int) -> Array:
    return np.asarray(indices[..., None] == np.arange(count), np.float32)


@op("discretize")
def discretize(x: Array, *, boundaries: Sequence[float], **_: Any) -> Array:
    """The number of boundaries that are less than or equal to each element."""
    return np.digitize(x, np.asarray(boundaries, dtype=x.dtype if x.dtype.kind == "f" else np.float64))
