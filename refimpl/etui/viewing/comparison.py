"""How the tensors of one model differ from those of another, as `view.schema.json` says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui import dtypes
from etui.containers.encodings import FLOATS
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.tensor_differences import compare
from etui.viewing.slabs import ELEMENTS, pairs


@dataclass(frozen=True, slots=True)
class Distance:
    """How the elements b of a tensor differ from the elements a of another; the definitions are those of the schema.

    Attributes:
        changed: elements whose bits, or of two dtypes whose numbers, differ.
        max_abs, mean_abs: of ``abs(b - a)``.
        rel: Euclidean length of ``b - a`` by that of a.
        cosine: of the angle between a and b.
    """

    changed: int
    max_abs: float | None
    mean_abs: float | None
    rel: float | None
    cosine: float | None

    def as_json(self) -> dict[str, Any]:
        """As the schema `view.schema.json` describes it."""
        return {
            "changed": self.changed,
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "rel": self.rel,
            "cosine": self.cosine,
        }


def comparable(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors can be compared element by element: of one shape, and of one dtype or both of floats."""
    if first.shape != second.shape or not dtypes.by_name(first.dtype, "").bits:
        return False
    return first.dtype == second.dtype or {first.dtype, second.dtype} <= FLOATS


def distance(
    first: Tensor, second: Tensor, elements: int = ELEMENTS, seen: Callable[[int], None] | None = None
) -> Distance | None:
    """Compare the elements of two tensors that are `comparable`, piece by piece; `None` if they are equal.

    Args:
        first: the tensor that the other is measured against.
        second: the other.
        elements: looked at together; bounds the memory.
        seen: called with the number of elements of each piece.
    """
    changed = 0
    most = total = apart2 = first2 = second2 = dot = 0.0
    for one, two in pairs(first, second, elements):
        found = compare(one, two)
        a, b = _wide(one), _wide(two)
        with np.errstate(all="ignore"):
            if found is not None:
                changed += found.differing
                # Two equal infinities are no distance apart, and neither are two NaN.
                apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(b - a))
                most = math.nan if np.isnan(apart).any() else max(most, float(apart.max()))
                total += float(apart.sum())
                apart2 += float(np.dot(apart, apart))
            first2 += float(np.vdot(a, a).real)
            second2 += float(np.vdot(b, b).real)
            dot += float(np.vdot(a, b).real)
        if seen is not None:
            seen(one.size)
    if not changed:
        return None
    lengths = math.sqrt(first2) * math.sqrt(second2) if math.isfinite(first2 + second2) else math.nan
    cosine = _number(dot / lengths if lengths else math.nan)
    return Distance(
        changed,
        _number(most),
        _number(total / math.prod(first.shape)),
        _number(math.sqrt(apart2) / math.sqrt(first2) if 0 < first2 < math.inf else math.nan),
        None if cosine is None else max(-1.0, min(1.0, cosine)),
    )


def _wide(part: Array) -> Array:
    with np.errstate(invalid="ignore"):  # signalling NaN are numbers like any others here
        return part.astype(np.complex128 if part.dtype.kind == "c" else np.float64)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
