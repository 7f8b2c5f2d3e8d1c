"""Tensors in memory: how arrays become tensors, come back, and are read in part."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etui import dtypes
from etui.containers.data_parts import check_bools
from etui.containers.tensors import Tensor
from etui.testing import tensors as strategies
from etui.testing import values
from etui.testing.hostile import refused_with
from etui_conformance.oracle import floats

Array = npt.NDArray[Any]


def same_elements(first: Array, second: Array) -> bool:
    """Whether two arrays hold the same, to the bit."""
    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    return first.tolist() == second.tolist() if first.dtype == object else first.tobytes() == second.tobytes()


def boxes(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """A sub-box of a shape; a dimension at the end may be left out."""
    bounds = [sorted((draw(st.integers(0, size)), draw(st.integers(0, size)))) for size in shape]
    return tuple(slice(*pair) for pair in bounds[: draw(st.integers(0, len(shape)))])


@pytest.mark.clause("D-9@84c729", "W-18@3e4d03", "W-19@30ac02")
@given(values.dtypes().flatmap(lambda name: st.tuples(st.just(name), values.tensors(st.just(name)))))
def test_an_array_of_any_dtype_comes_back_bit_for_bit(case: tuple[str, Array]) -> None:
    """Each dtype of the table keeps every bit of an array through its encoding, and the result cannot be written to."""
    name, array = case
    tensor = Tensor.of(array, dtype=name)
    assert (tensor.dtype, tensor.shape) == (name, array.shape)
    assert (tensor.encoding is None) == (dtypes.by_name(name, "").safetensors is not None)
    assert same_elements(tensor.numpy(), array)
    assert not tensor.numpy().flags.writeable


@pytest.mark.clause("D-9@84c729")
@pytest.mark.parametrize("dtype", [">f4", ">i2", ">u8", ">c16"])
def test_big_endian_arrays_are_stored_little_endian(dtype: str) -> None:
    """An array in the other byte order, or in another memory order, gives the same tensor as the plain one."""
    plain = np.arange(6).reshape(2, 3).astype(np.dtype(dtype).newbyteorder("<"))
    for odd in (plain.astype(dtype), np.asfortranarray(plain), np.repeat(plain, 2, axis=1)[:, ::2]):
        assert same_elements(Tensor.of(odd).numpy(), plain)


@pytest.mark.library
def test_text_keeps_zero_bytes_at_its_end() -> None:
    """Lists of texts and of byte strings keep what numpy's own text types would drop."""
    assert Tensor.of(["a\0", "b"]).numpy().tolist() == ["a\0", "b"]
    assert Tensor.of([[b"\0"], [b""]]).numpy().tolist() == [[b"\0"], [b""]]
    assert Tensor.of(np.array(["ä\0"], np.dtypes.StringDType())).numpy().tolist() == ["ä\0"]


@pytest.mark.library
def test_an_array_that_fits_no_dtype_is_refused() -> None:
    """Mixed or foreign objects, dates, structures, surrogates and broken promises are refused with a code."""
    refused = {
        "dtype-unknown": [
            lambda: Tensor.of(np.array(["a", b"b"], object)),
            lambda: Tensor.of(np.array([], object)),
            lambda: Tensor.of(np.array([1], object)),
            lambda: Tensor.of(np.zeros(2, "datetime64[s]")),
            lambda: Tensor.of(np.zeros(2, "f4,i4")),
            lambda: Tensor.of(np.zeros(2, np.longdouble)),
            lambda: Tensor.of(np.array([b"\xff"], object), dtype="string"),
            lambda: Tensor.lazy("float128", (1,), lambda: np.zeros(1)),
        ],
        "tensor-promise": [
            lambda: Tensor.of(np.zeros(2, np.float32), dtype="float64"),
            lambda: Tensor.lazy("complex64", (1,), lambda: np.zeros(1, np.complex64)),
            lambda: Tensor.chunked("int4", (1,), [((0,), np.zeros(1, ml_dtypes.int4))]),
        ],
        "encoding-content": [lambda: Tensor.of(["\ud800"])],
    }
    count = 0
    for code, calls in refused.items():
        for call in calls:
            assert refused_with(call) == code
            count += 1
    assert count == 12


@pytest.mark.library
def test_a_lazy_tensor_is_made_whenever_it_is_read_and_held_to_its_promise() -> None:
    """A lazy tensor calls its source once per reading and refuses an array of another dtype or shape."""
    calls: list[int] = []

    def load() -> Array:
        calls.append(1)
        return np.ones((2, 2), np.float32)

    tensor = Tensor.lazy("float32", [2, 2], load)
    assert calls == []
    assert tensor.numpy().tolist() == tensor.read([slice(0, 2)]).tolist() == [[1, 1], [1, 1]]
    assert not tensor.numpy().flags.writeable
    assert len(calls) == 3
    for promised in (Tensor.lazy("float64", (2, 2), load), Tensor.lazy("float32", (4,), load)):
        assert refused_with(promised.numpy) == "tensor-promise"


@pytest.mark.clause("W-7@e4bdc3", "W-13@322181")
@given(st.data(), strategies.tensors())
def test_any_box_of_a_tensor_is_that_of_the_whole(data: st.DataObject, tensor: Tensor) -> None:
    """Any sub-box of any tensor, in chunks or not, holds the elements that the whole tensor has there."""
    box = boxes(data.draw, tensor.shape)  # type: ignore[arg-type]  # a data object draws as a DrawFn does
    assert same_elements(tensor.read(box), tensor.numpy()[box] if box else tensor.numpy())


@pytest.mark.clause("W-13@322181")
@given(st.data(), strategies.chunked_tensors())
def test_reading_a_box_reads_the_chunks_that_meet_it_and_no_other(data: st.DataObject, tensor: Tensor) -> None:
    """Each chunk is read exactly if it shares an element with the box."""
    read: list[int] = []

    def spied(index: int, array: Array) -> Tensor:
        def load() -> Array:
            read.append(index)
            return array

        return Tensor.lazy(tensor.dtype, array.shape, load)

    pieces = list(tensor.pieces)
    if len(pieces) < 2:
        return
    chunks = [(piece.offset or (), spied(index, piece.source.array())) for index, piece in enumerate(pieces)]
    box = boxes(data.draw, tensor.shape)  # type: ignore[arg-type]  # a data object draws as a DrawFn does
    Tensor.chunked(tensor.dtype, tensor.shape, chunks).read(box)
    wanted = np.zeros(tensor.shape, bool)
    wanted[box] = True
    meeting = [
        index
        for index, piece in enumerate(pieces)
        if wanted[tuple(slice(o, o + n) for o, n in zip(piece.offset or (), piece.shape, strict=True))].any()
    ]
    assert sorted(read) == meeting


@pytest.mark.library
def test_a_box_of_another_form_is_refused() -> None:
    """A box with a step or with too many slices is refused with `box-form`; bounds count as in Python."""
    tensor = Tensor.of(np.zeros((2, 2)))
    for box in ([slice(0, 2, 2)], [slice(None)] * 3):
        assert refused_with(partial(tensor.read, box)) == "box-form"
    assert tensor.read([slice(-1, None)]).shape == (1, 2)
    assert tensor.read([slice(2, 0)]).shape == (0, 2)


@pytest.mark.clause("W-6@95679b", "W-7@e4bdc3", "L-2@76176e")
def test_chunks_that_do_not_cover_the_tensor_once_are_refused() -> None:
    """Gaps, overlaps, chunks outside, empty ones, ones of another rank or dtype, and too many cuts have their codes."""
    ones = np.ones
    cases: list[tuple[str, tuple[int, ...], list[tuple[tuple[int, ...], Array]]]] = [
        ("chunk-cover", (4,), [((0,), ones(2)), ((3,), ones(1))]),
        ("chunk-cover", (4,), [((0,), ones(3)), ((2,), ones(2))]),
        ("chunk-cover", (4,), [((0,), ones(2)), ((0,), ones(2))]),
        ("chunk-cover", (2, 2), [((0, 0), ones((1, 2))), ((0, 0), ones((2, 1)))]),
        # As many elements as the tensor has, and every edge of the tensor met: only the positions are wrong.
        ("chunk-cover", (2, 2), [((0, 0), ones((1, 2))), ((0, 1), ones((1, 1))), ((1, 1), ones((1, 1)))]),
        ("chunk-cover", (), [((), ones(())), ((), ones(()))]),
        ("chunk-cover", (4,), []),
        ("chunk-form", (4,), [((0,), ones(2)), ((2,), ones(3))]),
        ("chunk-form", (4,), [((-1,), ones(2)), ((1,), ones(3))]),
        ("chunk-form", (4,), [((0,), ones(4)), ((4,), ones(0))]),
        ("chunk-form", (4,), [((0, 0), ones((2, 1))), ((2, 0), ones((2, 1)))]),
        ("chunk-mismatch", (4,), [((0,), ones(2)), ((2,), ones(2, np.float32))]),
        ("limit-chunks", (2,) * 22, [((0,) * 22, ones((1,) * 22)), ((1,) * 22, ones((1,) * 22))]),
    ]
    for code, shape, chunks in cases:
        assert refused_with(partial(Tensor.chunked, "float64", shape, chunks)) == code


@pytest.mark.clause("W-7@e4bdc3")
def test_a_pinwheel_of_chunks_covers_a_square() -> None:
    """Five chunks that no straight cut makes, and that cover each element once, are taken."""
    whole = np.arange(9).reshape(3, 3)
    places = [((0, 0), (1, 2)), ((0, 2), (2, 1)), ((1, 0), (2, 1)), ((1, 1), (1, 1)), ((2, 1), (1, 2))]
    chunks = [(at, whole[tuple(slice(o, o + n) for o, n in zip(at, size, strict=True))]) for at, size in places]
    assert same_elements(Tensor.chunked("int64", (3, 3), chunks).numpy(), whole)


@pytest.mark.clause("E-2@310409")
def test_a_cover_that_cuts_many_dimensions_is_checked_at_once() -> None:
    """A few chunks that cut many dimensions cost no more than their number, though their corners are millions."""
    shape = (2,) * 18
    chunks = [((0,) * 18, np.ones((1,) * 18, np.int8)) for _ in range(16)]
    assert refused_with(partial(Tensor.chunked, "int8", shape, chunks)) == "chunk-cover"


@pytest.mark.clause("W-21@38877b")
@given(strategies.quantized_tensors())
def test_a_quantized_tensor_is_computed_in_binary64_and_rounded_once(tensor: Tensor) -> None:
    """Every element is (value - zero point) x scale of its block in binary64, rounded once to the logical dtype."""
    found = tensor.numpy()
    with np.errstate(all="ignore"):
        values_, scale = (tensor.components[name].numpy().astype(np.float64) for name in ("values", "scale"))
        zero = tensor.components.get("zero_point")
        zeros = zero.numpy().astype(np.float64) if zero is not None else np.zeros(scale.shape)
        for index in np.ndindex(*tensor.shape):
            block = tuple(
                at // (size // blocks) for at, size, blocks in zip(index, tensor.shape, scale.shape, strict=True)
            )
            exact = np.float64((values_[index] - zeros[block]) * scale[block])
            rounded = np.frombuffer(floats.encode(tensor.dtype, [float(exact)]), found.dtype)[0]
            assert rounded.tobytes() == found[index].tobytes() or (np.isnan(rounded) and np.isnan(found[index]))


@pytest.mark.clause("W-21@38877b")
@pytest.mark.parametrize(
    ("dtype", "midpoint", "bits"),
    [
        # Each lies half way between two numbers of the dtype, the nearer to zero of which is even.
        ("bfloat16", 1 + 2**-8, 0x3F80),
        ("float16", 1 + 2**-11, 0x3C00),
        ("float8_e4m3fn", 1 + 2**-4, 0x38),
        ("float8_e5m2", 1 + 2**-3, 0x3C),
    ],
)
def test_a_quantized_tensor_does_not_go_through_binary32(dtype: str, midpoint: float, bits: int) -> None:
    """What binary32 cannot tell from the midpoint of two numbers is rounded to the one on its own side."""
    scale = Tensor.of(np.array([2.0**-40]))
    steps = int(midpoint * 2**40)
    values_ = np.array([steps, steps + 1, steps - 1, -steps - 1, 0], np.int64)
    found = Tensor.quantized(Tensor.of(values_), scale, dtype=dtype).numpy()
    width = found.dtype.itemsize
    sign = 1 << (8 * width - 1)
    stored = np.frombuffer(found.tobytes(), f"<u{width}")
    assert stored.tolist() == [bits, bits + 1, bits, sign | bits + 1, 0]


@pytest.mark.clause("W-21@38877b")
def test_a_dtype_of_powers_has_the_nearest_one_and_nan_for_what_it_lacks() -> None:
    """A number half way between two powers becomes that with an even code; zero, signs and overflow become NaN."""
    cases = {0.5: 126, 0.74: 126, 0.75: 126, 0.76: 127, 1.0: 127, 1.5: 128, 3.0: 128, 3.1: 129, 2.0**-127: 0}
    cases |= {
        1.1 * 2.0**-128: 0,
        2.0**-128: 255,
        1.9 * 2.0**-129: 255,
        2.0**-200: 255,
        0.0: 255,
        -1.0: 255,
        float("nan"): 255,
    }
    cases |= {2.0**127: 254, 1.4 * 2.0**127: 254, 1.5 * 2.0**127: 254, 1.6 * 2.0**127: 255, float("inf"): 255}
    scale = Tensor.of(np.array(list(cases)))
    ones = Tensor.of(np.ones(len(cases), np.int8))
    found = Tensor.quantized(ones, scale, dtype="float8_e8m0fnu").numpy()
    assert dict(zip(cases, found.tobytes(), strict=True)) == cases


@pytest.mark.clause("W-17@318438", "W-20@119ff3", "W-22@d85c62")
def test_components_that_do_not_fit_are_refused_when_a_tensor_is_made() -> None:
    """Scales of another rank or that do not divide, float values, and other zero points are refused."""
    eight, half = Tensor.of(np.zeros((4, 2), np.int8)), Tensor.of(np.zeros((1, 2), np.float32))
    nibbles = Tensor.of(np.zeros((4, 2), ml_dtypes.uint4))
    wrong: list[Callable[[], Tensor]] = [
        lambda: Tensor.quantized(eight, Tensor.of(np.zeros(2, np.float32)), dtype="float32"),
        lambda: Tensor.quantized(eight, Tensor.of(np.zeros((3, 2), np.float32)), dtype="float32"),
        lambda: Tensor.quantized(eight, Tensor.of(np.zeros((0, 2), np.float32)), dtype="float32"),
        lambda: Tensor.quantized(eight, Tensor.of(np.zeros((1, 2), np.int8)), dtype="float32"),
        lambda: Tensor.quantized(half, half, dtype="float32"),
        lambda: Tensor.quantized(eight, half, dtype="int8"),
        lambda: Tensor.quantized(eight, half, Tensor.of(np.zeros((1, 2), np.uint8)), dtype="float32"),
        lambda: Tensor.quantized(eight, half, Tensor.of(np.zeros((4, 2), np.int8)), dtype="float32"),
        lambda: Tensor.quantized(nibbles, half, Tensor.of(np.zeros((1, 2), np.uint8)), dtype="float32"),
    ]
    assert [refused_with(call) for call in wrong] == ["encoding-components"] * len(wrong)
    zero = Tensor.of(np.full((1, 2), 3, ml_dtypes.uint4))
    assert Tensor.quantized(nibbles, half, zero, dtype="bfloat16").numpy().shape == (4, 2)


@pytest.mark.clause("D-8@918f53")
def test_a_bool_byte_is_zero_or_one() -> None:
    """The bytes 0 and 1 are bools, and any other byte is refused, however it got into an array."""
    check_bools(memoryview(bytes([0, 1, 1])), "here")
    check_bools(memoryview(b""), "here")
    assert refused_with(lambda: check_bools(memoryview(bytes([0, 2])), "here")) == "bool-value"


@pytest.mark.library
def test_sizes_count_stored_bytes() -> None:
    """`nbytes` is what a tensor takes in a data part: half a byte for 4-bit elements, offsets for strings."""
    assert Tensor.of(np.zeros((3, 4), np.float32)).nbytes == 48
    assert Tensor.of(np.zeros(3, ml_dtypes.int4)).nbytes == 2
    assert Tensor.of(np.zeros(3, np.complex64)).nbytes == 24
    assert Tensor.of(["ab", "ä"]).nbytes == 3 * 8 + 4
    assert repr(Tensor.of(["ab"])) == "Tensor(string[1], string)"
