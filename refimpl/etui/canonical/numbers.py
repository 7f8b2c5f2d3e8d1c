"""The text of binary64 numbers in RFC 8785, which is that of ECMAScript's `Number::toString`."""

from __future__ import annotations

import math

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON parser keeps; its negative is the smallest (J-6)."""

_LONGEST_INTEGER = len(str(-MAX_INTEGER))
LONGEST_FLOAT = len("-0.0000012345678901234567")
"""Characters of the longest text that `float_text` gives for a number that is not integral."""


def float_text(value: float) -> str:
    """The shortest text of a finite binary64 number, as RFC 8785 lays out its digits; ``0`` for both zeros.

    Python's `repr` finds the same digits; only the bounds between positional and exponent form differ: ECMAScript is
    positional from 1e-6 up to, but not including, 1e21.
    """
    text = float.__repr__(value)
    if "e" not in text:
        text = text.removesuffix(".0")
        return "0" if text == "-0" else text
    mantissa, _, exponent_text = text.partition("e")
    exponent = int(exponent_text)
    if exponent < -6 or exponent >= 21:
        return f"{mantissa}e{exponent:+d}"
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.removeprefix("-").replace(".", "")
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return sign + digits.ljust(exponent + 1, "0")


def is_json_float(value: float) -> bool:
    """Whether a document holds the number as a plain JSON number with a fraction or exponent (J-6)."""
    return math.isfinite(value) and not value.is_integer()


def read_integer(text: str) -> int | None:
    """The value of a JSON number without fraction and exponent; `None` if J-6 does not allow it so.

    The length is checked before the digits are converted.
    """
    if len(text) > _LONGEST_INTEGER or text == "-0":
        return None
    value = int(text)
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else None


def read_float(text: str) -> float | None:
    """The value of a JSON number with fraction or exponent; `None` if J-6 does not allow it so."""
    if len(text) > LONGEST_FLOAT:
        return None
    value = float(text)
    return value if is_json_float(value) and float_text(value) == text else None
