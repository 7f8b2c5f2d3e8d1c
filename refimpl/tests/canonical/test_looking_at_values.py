"""Equality of values, and the references in them."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui.canonical import values as v
from etui.testing import values as strategies

NAN = math.nan

DIFFERENT: list[Any] = [
    *(None, False, True, 0, 1, 0.0, -0.0, 1.0, NAN, math.inf, "", "1", b"", b"1", [], (), {}, [1], (1,), [1.0], [True]),
    *(
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"b": 1},
        {"a": 1, "b": 2},
        {1: 1},
        {1.0: 1},
        {True: 1},
        {(1,): 1},
        {(True,): 1},
    ),
    *(0j, complex(0.0, -0.0), complex(NAN, 0), slice(1), slice(1.0), slice(None), ..., v.DtypeName("int8")),
    *(np.zeros(1), np.zeros((1, 1)), np.zeros(0), -np.zeros(1), np.zeros(1, np.float32), np.zeros(1, np.int64)),
    *(v.VariableRef("a"), v.ModuleRef("a"), v.StoredTensor("a"), v.OutputRef("a", 0), v.OutputRef("a", 1)),
    *(
        v.ObjectValue("a:b", 1),
        v.ObjectValue("a:b", 1.0),
        v.ObjectValue("a:b", 1, 0),
        v.ObjectValue("a:b", 1, 0, {"k": {}}),
    ),
    *(v.MapValue(((1, 1), (True, 1))), v.MapValue(((1, 1), (1.0, 1))), v.MapValue((([1], 1),))),
]


@pytest.mark.library
def test_values_are_equal_to_the_type_and_the_bit() -> None:
    """No two of many similar values are equal, and each is equal to itself."""
    assert len(DIFFERENT) > 50
    for row, first in enumerate(DIFFERENT):
        for column, second in enumerate(DIFFERENT):
            assert v.equal(first, second) == (row == column), (first, second)


@pytest.mark.library
@given(st.integers(1, 2**52 - 1))
def test_nan_is_equal_to_nan(payload: int) -> None:
    """Floats that are NaN are one value, and arrays with other NaN bits are not."""
    (other,) = struct.unpack("<d", (payload | 0x7FF << 52).to_bytes(8, "little"))
    assert v.equal([other], [NAN])
    assert v.equal(np.array([NAN]), np.array([other])) == (struct.pack("<d", other) == struct.pack("<d", NAN))


@pytest.mark.library
@given(strategies.values())
def test_a_value_equals_its_copy(value: Any) -> None:
    """Equality does not hang on identity or on the order of the entries of a map."""
    copy = v.from_msgpack(v.to_msgpack(value), "x")
    assert v.equal(copy, value)
    assert v.equal(value, copy)
    assert not v.equal([value], [value, value])


@pytest.mark.library
def test_references_are_found_wherever_they_stand() -> None:
    """References in keys and items of maps, tuples, slices, objects and residues are found, in order."""
    expected: list[v.Reference] = [
        *(v.VariableRef("a"), v.ModuleRef("b"), v.OutputRef("c", 0), v.AssetRef("assets/d"), v.StoredTensor("e")),
        *(v.VariableRef("f"), v.VariableRef("g"), v.VariableRef("h"), v.VariableRef("i"), v.VariableRef("j")),
    ]
    a, b, c, d, e, f, g, h, i, j = expected
    residue = {"keras": {"x": j}}
    value = [
        a,
        (b,),
        {c: d},
        {"k": [e]},
        slice(None, f),
        v.MapValue(((g, 1), ([h], 2))),
        v.ObjectValue("a:b", i, None, residue),
    ]
    assert list(v.references(value)) == expected
    assert list(v.references(["$variable", {"$variable": "a"}, np.zeros(2), 1.0])) == []
