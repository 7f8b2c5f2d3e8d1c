"""Weights of a manifest: their bytes, their quantization against numpy's own formulas, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.bridges.tfjs.weight import DTYPES, Quantization, Weight, decode, encode, read_weight
from etui.errors import EtuiError
from etui.limits import Limits

Json = Any


def entry(**fields: Json) -> dict[str, Json]:
    return {"name": "w", "shape": [2], "dtype": "float32"} | fields


def refused(node: Json) -> str:
    with pytest.raises(EtuiError) as caught:
        read_weight(node, "x", Limits())
    return caught.value.code


@pytest.mark.clause("KJ-7@9f2bb1")
@pytest.mark.parametrize("bits", [8, 16])
@given(minimum=st.floats(-1e3, 1e3), scale=st.floats(1e-6, 10), seed=st.integers(0, 2**32 - 1))
def test_affine_quantization_is_that_of_the_formula(bits: int, minimum: float, scale: float, seed: int) -> None:
    """Stored integers become scale x stored + min, computed in binary64 and rounded once to binary32."""
    stored = np.random.default_rng(seed).integers(0, 2**bits, 50).astype(f"uint{bits}")
    weight = Weight("w", (50,), "float32", Quantization(f"uint{bits}", minimum, scale))
    found = decode(weight, stored.tobytes(), "x")
    expected = [struct.unpack("<f", struct.pack("<f", int(v) * scale + minimum))[0] for v in stored]
    assert found.dtype == np.float32
    assert found.tolist() == expected


@pytest.mark.clause("KJ-7@9f2bb1")
def test_integers_round_as_javascript_does() -> None:
    """A half of a quantized integer goes up, also below zero."""
    weight = Weight("w", (4,), "int32", Quantization("uint8", -1.5, 0.5))
    assert decode(weight, bytes([0, 1, 2, 4]), "x").tolist() == [-1, -1, 0, 1]


@pytest.mark.clause("KJ-7@9f2bb1")
def test_float16_widens_every_value() -> None:
    """Each of the 65,536 bit patterns of binary16 becomes the same number in binary32."""
    raw = np.arange(2**16, dtype="uint16")
    weight = Weight("w", (2**16,), "float32", Quantization("float16"))
    found = decode(weight, raw.tobytes(), "x")
    np.testing.assert_array_equal(found, raw.view("float16").astype("float32"))


@pytest.mark.clause("KJ-9@e79768")
@given(
    bits=st.sampled_from([8, 16]), minimum=st.floats(-10, 10), scale=st.floats(1e-3, 10), seed=st.integers(0, 2**32 - 1)
)
def test_quantized_weights_are_stored_again_with_the_same_bytes(
    bits: int, minimum: float, scale: float, seed: int
) -> None:
    """What was widened and not changed is stored with the bits that it had."""
    stored = np.random.default_rng(seed).integers(0, 2**bits, 64).astype(f"uint{bits}").tobytes()
    weight = Weight("w", (64,), "float32", Quantization(f"uint{bits}", minimum, scale))
    assert encode(weight, decode(weight, stored, "x")) == stored


@pytest.mark.clause("KJ-9@e79768")
def test_elements_that_quantization_does_not_hold_are_not_stored_so() -> None:
    """A changed, an infinite or a too large element keeps a weight from being stored in fewer bits."""
    weight = Weight("w", (2,), "float32", Quantization("uint8", 0.0, 0.5))
    assert encode(weight, np.array([0.5, 127.5], "float32")) == bytes([1, 255])
    for other in (0.6, 128.0, -0.5, np.inf, np.nan):
        assert encode(weight, np.array([0.5, other], "float32")) is None
    half = Weight("w", (1,), "float32", Quantization("float16"))
    assert encode(half, np.array([1e6], "float32")) is None


@pytest.mark.clause("KJ-6@069b68")
@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "string"])
def test_numbers_of_every_dtype_come_back(dtype: str) -> None:
    """The elements of each numeric dtype are read from little-endian bytes and written to the same."""
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    weight = read_weight(entry(shape=[2, 3], dtype=dtype), "x", Limits())
    raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
    assert weight.size == len(raw)
    np.testing.assert_array_equal(decode(weight, raw, "x"), array)
    assert encode(weight, array) == raw


@pytest.mark.clause("KJ-6@069b68")
def test_strings_are_lengths_and_bytes() -> None:
    """A string is its length in four bytes and its bytes, which need not be text."""
    weight = read_weight(entry(shape=[3], dtype="string"), "x", Limits())
    raw = b"\x02\0\0\0hi" + b"\0\0\0\0" + b"\x01\0\0\0\xff"
    found = decode(weight, raw, "x")
    assert found.tolist() == [b"hi", b"", b"\xff"]
    assert encode(weight, found) == raw


@pytest.mark.clause("KJ-6@069b68", "KJ-8@cf2434")
def test_entries_of_another_form_are_refused() -> None:
    """Each fault of an entry has its code, and the sound one beside it is read."""
    read_weight(entry(quantization={"dtype": "uint8", "min": 0, "scale": 1}), "x", Limits())
    nan, inf = float("nan"), float("inf")
    cases: list[tuple[Json, str]] = [
        ([], "tfjs-form"),
        (entry(name=""), "tfjs-form"),
        (entry(name=3), "tfjs-form"),
        (entry(group=3), "tfjs-form"),
        (entry(dtype="float64"), "tfjs-dtype"),
        (entry(dtype=["float32"]), "tfjs-dtype"),
        (entry(shape=[2, -1]), "shape-form"),
        (entry(shape=2), "shape-form"),
        (entry(shape=[1] * 33), "limit-rank"),
        (entry(shape=[2**40, 2**40]), "limit-tensor"),
        (entry(shape=[0, 2**62, 2**62], dtype="string"), "limit-tensor"),
        (entry(quantization=None), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint4", "min": 0, "scale": 1}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8"}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": nan, "scale": 1}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": 0, "scale": nan}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": 0, "scale": inf}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": 0, "scale": 0}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": 0, "scale": 1e38}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": 10**400, "scale": 1}), "tfjs-quantization"),
        (entry(quantization={"dtype": "uint8", "min": True, "scale": 1}), "tfjs-quantization"),
        (entry(dtype="int32", quantization={"dtype": "uint8", "min": 2**31, "scale": 1}), "tfjs-quantization"),
        (entry(dtype="int32", quantization={"dtype": "float16"}), "tfjs-quantization"),
        (entry(dtype="bool", quantization={"dtype": "uint8", "min": 0, "scale": 1}), "tfjs-quantization"),
    ]
    assert [(node, refused(node)) for node, _ in cases] == cases
