"""What the elements of a tensor are like: counts, extremes, mean, spread and histogram, as `view.schema.json` says.

Each element is looked at twice, in pieces of bounded size, so that a tensor may be larger than the memory.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui import dtypes
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.viewing.slabs import ELEMENTS, passes

BINS = 64
LOOKS = 2
VALUES_BYTES = 16 * 1024
_LEAST, _MOST = 1e-140, 1e140

Seen = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the elements of a tensor are like; the definitions are those of `view.schema.json`.

    Attributes:
        count: elements.
        nan, inf, zeros: elements that are NaN, infinite, zero.
        min, max, mean, std: of the finite elements, in binary64; `None` without any, or where it overflows.
        histogram: number of finite elements in each of the equal bins from `min` to `max`; empty without any.
        values: all elements as bytes, little-endian and in C order; `None` where they are not asked for or too many.
    """

    count: int
    nan: int = 0
    inf: int = 0
    zeros: int = 0
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    histogram: tuple[int, ...] = ()
    values: bytes | None = None

    def as_json(self) -> dict[str, Any]:
        """As the schema `view.schema.json` describes it; infinity and NaN do not occur."""
        bins = {"edges": [self.min, self.max], "counts": list(self.histogram)} if self.histogram else None
        return {
            "count": self.count,
            "nan": self.nan,
            "inf": self.inf,
            "zeros": self.zeros,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "std": self.std,
            "histogram": bins,
            "values": None if self.values is None else base64.b64encode(self.values).decode(),
        }


def statistics(
    tensor: Tensor, *, values_bytes: int = VALUES_BYTES, elements: int = ELEMENTS, seen: Seen | None = None
) -> Statistics:
    """Look at every element of a tensor; digests of stored ones are checked as by any other reading.

    Args:
        tensor: of any dtype, shape and encoding.
        values_bytes: keep all elements if they have no more bytes than that.
        elements: looked at together; bounds the memory.
        seen: called with the number of elements of each piece, of which each is looked at `LOOKS` times.

    Raises:
        RejectError: the content is refused, ``digest-mismatch`` included.
        StorageError: it cannot be read; ``out-of-memory``.
    """
    count = math.prod(tensor.shape)
    if not dtypes.by_name(tensor.dtype, "").bits:
        return _of_texts(tensor, count, elements)
    begin = passes(tensor, elements)
    values = _values(tensor, count, values_bytes)
    first = _First()
    for part in begin():
        first.add(_wide(part))
        if seen is not None:
            seen(part.size)
    found = Statistics(count, first.nan, first.inf, first.zeros, values=values)
    if not first.finite:
        return found
    low, high = first.min, first.max
    mean = first.sum / first.finite
    if not math.isfinite(mean):  # the sum of the largest numbers overflows
        mean = sum(float((_finite(_wide(part)) / first.finite).sum()) for part in begin())
    second = _Second(low, high, mean)
    for part in begin():
        second.add(_wide(part))
        if seen is not None:
            seen(part.size)
    spread = second.scale * math.sqrt(second.squares / first.finite)
    return Statistics(
        count,
        first.nan,
        first.inf,
        first.zeros,
        low,
        high,
        mean,
        spread if math.isfinite(spread) else None,
        tuple(second.bins.tolist()),
        values,
    )


class _First:
    """The first look: counts, extremes, and the sum."""

    def __init__(self) -> None:
        self.nan = self.inf = self.zeros = self.finite = 0
        self.min, self.max = math.inf, -math.inf
        self.sum = 0.0

    def add(self, part: Array) -> None:
        kept = _finite(part)
        if kept.size < part.size:
            nan = int(np.count_nonzero(np.isnan(part)))
            self.nan += nan
            self.inf += part.size - kept.size - nan
        if not kept.size:
            return
        self.zeros += kept.size - int(np.count_nonzero(kept))
        self.finite += kept.size
        self.min, self.max = min(self.min, float(kept.min())), max(self.max, float(kept.max()))
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum += float(kept.sum())


class _Second:
    """The second look: distances from the mean, and the bins."""

    def __init__(self, low: float, high: float, mean: float) -> None:
        self.low, self.high, self.mean = low, high, mean
        self.width = high - low
        # The square of a distance neither overflows nor vanishes where distances are measured in this.
        self.scale = 1.0
        if math.isinf(self.width):
            self.scale = high / 2 - low / 2
        elif self.width and not _LEAST < self.width < _MOST:
            self.scale = self.width
        self.squares = 0.0
        self.bins = np.zeros(BINS if low < high else 1, np.int64)

    def add(self, part: Array) -> None:
        kept = _finite(part)
        if math.isinf(self.width):
            apart = kept / self.scale - self.mean / self.scale
        else:
            apart = (kept - self.mean) / self.scale if self.scale != 1 else kept - self.mean
        self.squares += float(np.dot(apart, apart))
        self.bins += np.bincount(self._places(kept), minlength=self.bins.size)

    def _places(self, kept: Array) -> Array:
        """The bin of each element."""
        if not self.width:
            return np.zeros(kept.size, np.int64)
        low, width = self.low, self.width
        if math.isinf(width):
            kept, low, width = kept / 2, low / 2, self.high / 2 - low / 2
        return np.minimum((BINS * ((kept - low) / width)).astype(np.int64), BINS - 1)


def _finite(part: Array) -> Array:
    mask = np.isfinite(part)
    return part if mask.all() else part[mask]


def _wide(part: Array) -> Array:
    """Elements of any dtype as binary64; complex ones as their absolute values."""
    with np.errstate(invalid="ignore", over="ignore"):  # signalling NaN are numbers like any others here
        if part.dtype.kind == "c":
            size = np.abs(part.astype(np.complex128))
            # numpy's infinity with a NaN beside it is infinite; here it is no number.
            return np.where(np.isnan(part), np.nan, size)
        return part.astype(np.float64)


def _values(tensor: Tensor, count: int, most: int) -> bytes | None:
    if dtypes.by_name(tensor.dtype, "").numpy.itemsize * count > most:
        return None
    array = tensor.numpy()
    # The upper half of the byte in which a 4-bit integer lies in memory is not its sign.
    return (array.astype(np.int8) if tensor.dtype == "int4" else array).tobytes()


def _of_texts(tensor: Tensor, count: int, elements: int) -> Statistics:
    """Of strings and bytes the empty ones are counted, which their offsets tell; no text is decoded."""
    offsets, _ = (tensor.components[name].numpy() for name in ("offsets", "data"))  # both checked by their digests
    empty = 0
    for start in range(0, count, elements):
        part = offsets[start : start + elements + 1]
        empty += int(np.count_nonzero(part[1:] == part[:-1]))
    return Statistics(count, zeros=empty)
