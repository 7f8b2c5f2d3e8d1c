"""The table of dtypes, shapes and sizes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import save

from etui import dtypes
from etui.errors import InvalidError, LimitError
from etui.limits import DEFAULT_LIMITS
from etui.testing import values as strategies


@pytest.mark.clause("D-7@2d9350")
@pytest.mark.parametrize("name", ["float", "float128", "Float32", "", "int2", "datetime64", None, 4, ["int8"]])
def test_other_dtypes_are_refused(name: object) -> None:
    """A dtype that is not in the table is refused, and so is what is no text."""
    with pytest.raises(InvalidError, match="dtype-unknown"):
        dtypes.by_name(name, "x")


@pytest.mark.clause("D-7@2d9350")
def test_every_dtype_has_its_width_and_numpy_dtype() -> None:
    """Each row of the table leads to a numpy dtype of that name and width, in little-endian order."""
    assert len(dtypes.DTYPES) == 22
    for name, dtype in dtypes.DTYPES.items():
        assert dtypes.by_name(name, "x") is dtype
        if dtype.bits >= 8:
            assert (dtype.numpy.name, dtype.numpy.itemsize * 8) == (name, dtype.bits)
            assert dtype.numpy == dtype.numpy.newbyteorder("<")
            assert dtypes.of_array(np.zeros(1, dtype.numpy)) is dtype
    assert dtypes.of_array(np.zeros(1, ml_dtypes.int4)).name == "int4"


@pytest.mark.clause("D-7@2d9350")
def test_safetensors_agrees_on_the_dtypes_of_plain_tensors() -> None:
    """The official library writes each plain dtype under the name of the table, and the table has no other names."""
    plain = [dtype for dtype in dtypes.DTYPES.values() if dtype.safetensors]
    assert len(plain) == len(dtypes.BY_SAFETENSORS) == 16
    for dtype in plain:
        if dtype.name != "float8_e8m0fnu":  # the writer of the official library knows it, its numpy side does not
            assert f'"dtype":"{dtype.safetensors}"'.encode() in save({"a": np.zeros(1, dtype.numpy)})


@pytest.mark.library
@pytest.mark.parametrize("array", [np.zeros(1, "M8[s]"), np.zeros(1, "U3"), np.zeros(0, "S"), np.zeros(1, "i4,i4")])
def test_arrays_of_other_dtypes_are_refused(array: np.ndarray[Any, Any]) -> None:
    """Dates, numpy's fixed-width texts and structures have no dtype of the table."""
    with pytest.raises(InvalidError, match="dtype-unknown"):
        dtypes.of_array(array)


@pytest.mark.library
def test_byte_order_does_not_change_the_dtype() -> None:
    """A big-endian array has the dtype of its little-endian twin."""
    assert dtypes.of_array(np.zeros(1, ">c16")).name == "complex128"


@pytest.mark.clause("D-10@5e1f73")
@pytest.mark.parametrize("shape", [None, 3, "3", (3,), {}, [-1], [1.0], [True], [None], [[1]], [3, -1]])
def test_other_shapes_are_refused(shape: object) -> None:
    """A shape is a list of non-negative integers; a bool and a float are none."""
    with pytest.raises(InvalidError, match="shape-form"):
        dtypes.check_shape(shape, "x")


@pytest.mark.clause("D-10@5e1f73")
@pytest.mark.parametrize("shape", [[], [0], [3, 0, 2], [2**53 - 1]])
def test_scalars_and_empty_shapes_pass(shape: list[int]) -> None:
    """No dimension and dimensions of zero are legal."""
    assert dtypes.check_shape(shape, "x") == tuple(shape)


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3")
def test_shapes_of_too_many_dimensions_are_refused() -> None:
    """A shape has at most 32 dimensions, or fewer if the caller says so."""
    assert len(dtypes.check_shape([1] * 32, "x")) == 32
    with pytest.raises(LimitError, match="limit-rank"):
        dtypes.check_shape([1] * 33, "x")
    with pytest.raises(LimitError, match="limit-rank"):
        dtypes.check_shape([1, 1], "x", replace(DEFAULT_LIMITS, rank=1))


@pytest.mark.clause("L-2@76176e")
@pytest.mark.parametrize("shape", [[2**48 + 1], [2**40, 2**40], [2**53 - 1] * 32, [0, 2**40, 2**40], [2**32, 2**32]])
def test_tensors_of_too_many_bytes_are_refused(shape: list[int]) -> None:
    """A tensor beyond 2^48 bytes is refused without overflow, also where a zero hides its other dimensions."""
    with pytest.raises(LimitError, match="limit-tensor"):
        dtypes.check_size("uint8", shape, "x")
    assert dtypes.check_size("uint8", [2**48], "x") == 2**48


@pytest.mark.clause("D-9@84c729")
@given(strategies.tensors(strategies.small_dtypes()))
def test_sizes_are_those_of_numpy(array: np.ndarray[Any, Any]) -> None:
    """The size of a tensor of whole bytes is that of the array in memory."""
    assert dtypes.byte_size(dtypes.of_array(array).name, array.shape) == array.nbytes


@pytest.mark.library
@given(strategies.shapes())
def test_four_bit_elements_take_half_a_byte(shape: tuple[int, ...]) -> None:
    """Two 4-bit elements share a byte, and the last may have one alone."""
    assert dtypes.byte_size("int4", shape) == -(-prod(shape) // 2)


@pytest.mark.library
def test_importing_dtypes_leaves_ml_dtypes_alone() -> None:
    """The rare dtypes are imported when the first tensor has one."""
    code = "import sys; from etui import dtypes; sys.exit('ml_dtypes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
