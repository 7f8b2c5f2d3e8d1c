"""Numbers as RFC 8785 writes them, which is as ECMAScript does, and the texts of `$float` and `$complex`."""

from __future__ import annotations

import math
import re

SAFE = (1 << 53) - 1
"""The largest integer that every parser of JSON keeps."""

_NAMED = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "-0": -0.0}
_TEXT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)


def shortest(value: float) -> str:
    """The text that ECMAScript's `Number::toString` gives to a finite float.

    Python's `repr` finds the same digits, the fewest that are read back as the value and the nearest among these;
    only where the point stands and when there is an exponent differ.
    """
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if 0 < point <= 21:
        padded = digits.ljust(point, "0")
        text = padded[:point] + ("." + padded[point:] if len(padded) > point else "")
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        text = digits[0] + ("." + digits[1:] if len(digits) > 1 else "") + f"e{point - 1:+d}"
    return sign + text


def float_text(value: float) -> str:
    """The text of a float in `$float` and `$complex` (chapter 5)."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "-0" if value == 0 and math.copysign(1, value) < 0 else shortest(value)


def parse_float_text(text: str) -> float | None:
    """The float of such a text, in shortest form or not, or `None` if it is none."""
    if text in _NAMED:
        return _NAMED[text]
    return float(text) if _TEXT.fullmatch(text) else None


def is_plain(value: float) -> bool:
    """Whether a float is a plain JSON number: finite and not integral (chapter 5)."""
    return math.isfinite(value) and not value.is_integer()
