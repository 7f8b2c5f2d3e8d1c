"""The text of numbers in canonical JSON."""

from __future__ import annotations

import math
import struct
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.canonical.numbers import float_text, is_json_float, read_float

# RFC 8785, appendix B: the bits of a binary64 and its text.
APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.clause("J-6@c73cf7")
@pytest.mark.parametrize("bits", APPENDIX_B)
def test_the_samples_of_rfc_8785(bits: str) -> None:
    """Each number of appendix B of RFC 8785 has the text that stands there."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert float_text(value) == APPENDIX_B[bits]


@pytest.mark.clause("J-6@c73cf7")
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_texts_of_floats_have_the_form_of_ecmascript(value: float) -> None:
    """The text gives back the number, has the digits of the shortest form, and no exponent from 1e-6 to below 1e21."""
    text = float_text(value)
    assert float(text) == value
    assert is_shortest(text, value)
    assert ("e" in text) == (value != 0 and not 1e-6 <= abs(value) < 1e21)
    assert "e+0" not in text
    assert "e-0" not in text


def is_shortest(text: str, value: float) -> bool:
    """Whether neither decimal beside `value` that has one digit less reads back as it."""
    exact = Decimal(abs(value))
    digits = len(Decimal(text).normalize().as_tuple().digits)
    if digits == 1:
        return True
    with localcontext(prec=1100):
        step = Decimal(1).scaleb(exact.adjusted() - digits + 2)
        below = exact // step * step
        return abs(value) not in (float(below), float(below + step))


@pytest.mark.clause("J-6@c73cf7")
@given(st.floats())
def test_reading_the_text_of_a_float_gives_its_bits(value: float) -> None:
    """A float that a document can hold is read from its text alone, and others are not read at all."""
    if is_json_float(value):
        assert read_float(float_text(value)) == value
    elif math.isfinite(value):
        assert read_float(float_text(value)) is None
