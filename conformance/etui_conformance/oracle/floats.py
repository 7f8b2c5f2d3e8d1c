"""The float dtypes as bits: each element as a Python float, and a float rounded once to a dtype (W-21)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Small:
    """A float format without an own code of `struct`.

    Attributes:
        width: in bytes.
        exponent, fraction: the bits of either.
        bias: of the exponent.
        infinities: whether the largest exponent is that of infinities and NaNs, or of one NaN and numbers.
    """

    width: int
    exponent: int
    fraction: int
    bias: int
    infinities: bool

    def decode(self, bits: int) -> float:
        sign = -1.0 if bits >> (self.exponent + self.fraction) else 1.0
        exponent = bits >> self.fraction & ((1 << self.exponent) - 1)
        fraction = bits & ((1 << self.fraction) - 1)
        top, full = exponent == (1 << self.exponent) - 1, fraction == (1 << self.fraction) - 1
        if top and (self.infinities or full):
            return sign * (math.nan if fraction else math.inf)
        if exponent == 0:
            return sign * math.ldexp(fraction, 1 - self.bias - self.fraction)
        return sign * math.ldexp(fraction + (1 << self.fraction), exponent - self.bias - self.fraction)

    def encode(self, value: float) -> int:
        sign = (math.copysign(1.0, value) < 0) << (self.exponent + self.fraction)
        top = (1 << self.exponent) - 1 << self.fraction
        beyond = sign | (top if self.infinities else top | (1 << self.fraction) - 1)
        if math.isnan(value):
            return sign | top | (1 << self.fraction - 1 if self.infinities else (1 << self.fraction) - 1)
        if math.isinf(value):
            return beyond
        magnitude = abs(value)
        exponent = max(math.frexp(magnitude)[1] - 1, 1 - self.bias) if magnitude else 1 - self.bias
        # Scaling by a power of two is exact, and `round` goes to even.
        steps = round(math.ldexp(magnitude, self.fraction - exponent))
        bits = (exponent + self.bias - 1 << self.fraction) + steps
        largest = top - 1 if self.infinities else top + (1 << self.fraction) - 2
        return beyond if bits > largest else sign | bits


_SMALL = {
    "bfloat16": _Small(2, 8, 7, 127, infinities=True),
    "float8_e5m2": _Small(1, 5, 2, 15, infinities=True),
    "float8_e4m3fn": _Small(1, 4, 3, 7, infinities=False),
}
_STRUCT = {"float16": "<e", "float32": "<f", "float64": "<d"}


def decode(dtype: str, data: bytes) -> list[float]:
    """The elements of a float dtype."""
    if dtype in _STRUCT:
        return [value for (value,) in struct.iter_unpack(_STRUCT[dtype], data)]
    if dtype == "float8_e8m0fnu":
        return [math.nan if byte == 0xFF else math.ldexp(1.0, byte - 127) for byte in data]
    small = _SMALL[dtype]
    return [
        small.decode(int.from_bytes(data[at : at + small.width], "little")) for at in range(0, len(data), small.width)
    ]


def encode(dtype: str, values: list[float]) -> bytes:
    """The bytes of floats that are rounded once, to nearest and to even, to a float dtype."""
    if dtype in _STRUCT:
        return b"".join(_packed(_STRUCT[dtype], value) for value in values)
    if dtype == "float8_e8m0fnu":
        return bytes(_power(value) for value in values)
    small = _SMALL[dtype]
    return b"".join(small.encode(value).to_bytes(small.width, "little") for value in values)


def _packed(code: str, value: float) -> bytes:
    try:
        return struct.pack(code, value)
    except OverflowError:
        return struct.pack(code, math.copysign(math.inf, value))


def _power(value: float) -> int:
    """The code of the power of two that is next to a positive number, and of NaN for what has none."""
    if not value > 0 or math.isinf(value):
        return 0xFF
    fraction, exponent = math.frexp(value)
    # value = fraction * 2^exponent with fraction from 0.5 on; half way to the next power goes to the even code.
    code = exponent - 1 + 127
    if fraction > 0.75 or (fraction == 0.75 and code % 2):
        code += 1
    # Next below the smallest power lies zero, which the dtype does not have; half way between them goes to zero.
    if code < 0:
        return 0 if value > 2.0**-128 else 0xFF
    return code if code <= 254 else 0xFF
