"""Comparing the elements of two arrays: bit for bit, and by how much where they are floats."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from etui import dtypes
from etui.containers.encodings import FLOATS
from etui.containers.pieces import Array

# Elements compared at a time: bounds the memory of the float64 copies.
_SLICE = 1 << 20
_NUMERIC = FLOATS | {"complex64", "complex128"}


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """How the elements of two tensors of one shape differ.

    Attributes:
        elements: number of elements.
        differing: elements whose bits differ; of tensors of two dtypes, elements that differ as numbers. Two NaN of the
            same bits are equal.
        max_absolute: largest ``abs(a - b)`` in binary64, of float and complex tensors, else `None`. Two NaN differ by
            0, a NaN and a number by infinity.
        max_relative: largest ``abs(a - b) / max(abs(a), abs(b))`` in binary64, in the same way.
    """

    elements: int
    differing: int
    max_absolute: float | None
    max_relative: float | None

    def as_json(self) -> dict[str, Any]:
        """As the schema `cli/diff.schema.json` describes it; infinity is the string ``inf``."""
        return {
            "elements": self.elements,
            "differing": self.differing,
            "max_absolute": _number(self.max_absolute),
            "max_relative": _number(self.max_relative),
        }

    def __str__(self) -> str:
        text = f"{self.differing:,} of {self.elements:,} elements differ"
        if self.max_absolute is not None:
            text += f", by at most {self.max_absolute:.3g} (relative {self.max_relative:.3g})"
        return text


def _number(value: float | None) -> float | str | None:
    return value if value is None or isfinite(value) else str(value)


def compare(a: Array, b: Array) -> ValueDifference | None:
    """Compare the elements of two arrays, slice by slice; `None` if they are equal.

    Args:
        a: the elements of a tensor, of any dtype of Etui, C-contiguous.
        b: those of one of the same shape, and of the same dtype or both of float dtypes.
    """
    first, second = a.reshape(-1), b.reshape(-1)
    numeric = _is_numeric(a) and _is_numeric(b)
    differing = 0
    absolute = relative = 0.0
    for start in range(0, first.size, _SLICE):
        one, two = first[start : start + _SLICE], second[start : start + _SLICE]
        unequal = _unequal(one, two)
        count = int(np.count_nonzero(unequal))
        differing += count
        if numeric and count:
            apart, ratio = _distance(one[unequal], two[unequal])
            absolute, relative = max(absolute, apart), max(relative, ratio)
    if not differing:
        return None
    return ValueDifference(first.size, differing, absolute if numeric else None, relative if numeric else None)


def _is_numeric(array: Array) -> bool:
    return array.dtype != object and dtypes.of_array(array).name in _NUMERIC


def _unequal(a: Array, b: Array) -> Array:
    """Which elements differ: in their bits, or, of two dtypes, as numbers."""
    if a.dtype != b.dtype:
        one, two = _wide(a), _wide(b)
        return np.asarray((one != two) & ~(np.isnan(one) & np.isnan(two)))
    if a.dtype == object:
        return np.asarray(a != b)
    if a.dtype.itemsize == np.dtype(np.complex128).itemsize:
        return np.asarray((a.view(np.uint64) != b.view(np.uint64)).reshape(-1, 2).any(axis=1))
    bits = np.dtype(f"u{a.dtype.itemsize}")
    return np.asarray(a.view(bits) != b.view(bits))


def _distance(a: Array, b: Array) -> tuple[float, float]:
    one, two = _wide(a), _wide(b)
    with np.errstate(all="ignore"):
        apart = np.abs(one - two)
        scale = np.maximum(np.abs(one), np.abs(two))
        ratio = apart / scale
    alike = (one == two) | (np.isnan(one) & np.isnan(two))
    apart = np.where(alike, 0.0, np.where(np.isnan(apart), inf, apart))
    ratio = np.where(alike, 0.0, np.where(np.isnan(ratio), inf, ratio))
    return float(apart.max()), float(ratio.max())


def _wide(array: Array) -> Array:
    with np.errstate(invalid="ignore"):  # signalling NaN are numbers like any others here
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
