"""Untrusted HDF5: what is read, and what is refused with which code, before anything is allocated."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest
from h5py import h5p

from etui.errors import EtuiError
from etui.limits import Limits
from etui.storage.hdf5 import Hdf5File, open_hdf5
from etui.storage.hdf5_layout import fletcher32
from etui.storage.hdf5_writer import Hdf5Writer
from etui.storage.sources import BytesSource, FileSource, Window

Make = Callable[[Any], object]


def made(make: Make, **options: Any) -> bytes:
    """The bytes of a file that h5py writes."""
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as content:
        make(content)
    return file.getvalue()


def opened(data: bytes, limits: Limits | None = None) -> Hdf5File:
    """The checked structure of a file."""
    return open_hdf5(BytesSource(data), "f.h5", limits or Limits())


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """The code with which a file is refused, at opening or at reading its datasets."""

    def read_all() -> None:
        for dataset in opened(data, limits).datasets.values():
            dataset.read()

    with pytest.raises(EtuiError) as caught:
        read_all()
    return caught.value.code


NUMBERS = np.arange(24, dtype="float32").reshape(4, 6) * 1.5
READ: dict[str, tuple[Any, dict[str, Any]]] = {
    "contiguous": (NUMBERS, {}),
    "big-endian": (NUMBERS.astype(">f4"), {}),
    "big-endian chunks": (NUMBERS.astype(">f4"), {"chunks": (3, 4)}),
    "chunks that do not divide the shape": (NUMBERS, {"chunks": (3, 4)}),
    "gzip": (NUMBERS, {"chunks": (2, 3), "compression": "gzip"}),
    "gzip and shuffle": (NUMBERS, {"chunks": (2, 3), "compression": "gzip", "shuffle": True}),
    "shuffle alone": (NUMBERS, {"chunks": (2, 5), "shuffle": True}),
    "checksum": (NUMBERS, {"chunks": (2, 3), "fletcher32": True}),
    "every filter": (NUMBERS, {"chunks": (3, 5), "fletcher32": True, "compression": "gzip", "shuffle": True}),
    "unlimited": (NUMBERS, {"maxshape": (None, None), "chunks": (4, 6)}),
    "no elements": (np.zeros((3, 0), "float64"), {}),
    "scalar": (np.float64(2.5), {}),
    "float16": (NUMBERS.astype("float16"), {}),
    "complex": (NUMBERS.astype("complex64") * 1j, {}),
    "bool": (NUMBERS > 7, {}),
    **{name: (NUMBERS.astype(name), {}) for name in ("int8", "uint8", "int16", "uint32", "int64", "uint64", "float64")},
}


@pytest.mark.clause("K-30@4bc2df", "K-35@56ae7b", "K-36@0e94ab")
@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("latest", [False, True])
def test_sound_datasets_are_read_bit_for_bit(name: str, latest: bool) -> None:
    """Every layout, byte order, filter and plain type gives the elements that were stored, little-endian."""
    array, options = READ[name]
    data = made(lambda file: file.create_dataset("a/b", data=array, **options), libver="latest" if latest else None)
    found = opened(data)
    assert list(found.groups) == ["", "a"]
    values = found.datasets["a/b"].read()
    assert values.dtype == np.asarray(array).dtype.newbyteorder("<")
    assert values.shape == np.shape(array)
    assert values.tobytes() == np.asarray(array).astype(values.dtype).tobytes()
    assert not values.flags.writeable


@pytest.mark.clause("K-36@0e94ab")
@pytest.mark.parametrize(
    ("width", "named", "expected"),
    [
        (2, "bfloat16", ml_dtypes.bfloat16),
        (1, None, ml_dtypes.float8_e4m3fn),
        (1, "float8_e4m3fn", ml_dtypes.float8_e4m3fn),
        (1, "float8_e5m2", ml_dtypes.float8_e5m2),
    ],
)
def test_opaque_bytes_are_what_their_attribute_names(width: int, named: str | None, expected: Any) -> None:
    """Types that HDF5 lacks are opaque bytes whose attribute `dtype` names them."""
    raw = np.arange(6 * width, dtype="uint8").view(f"V{width}")

    def make(file: Any) -> None:
        dataset = file.create_dataset("x", data=raw)
        if named is not None:
            dataset.attrs["dtype"] = named

    dataset = opened(made(make)).datasets["x"]
    assert dataset.dtype == np.dtype(expected).name
    assert dataset.read().tobytes() == raw.tobytes()


@pytest.mark.clause("K-37@e9d713")
def test_names_that_differ_by_case_are_two_names() -> None:
    """HDF5 names are taken as they are, case and spaces included."""
    found = opened(made(lambda file: [file.create_dataset(name, data=1) for name in ("a", "A", "ä b")]))
    assert set(found.datasets) == {"a", "A", "ä b"}


def named_type(file: Any) -> None:
    file["t"] = np.dtype("f4")


def one_chunk_of_two(file: Any) -> None:
    file.create_dataset("x", shape=(8,), dtype="f4", chunks=(4,))[:4] = 1


def scale_offset(file: Any) -> None:
    file.create_dataset("x", data=np.arange(64), chunks=(8,), scaleoffset=0)


def no_space(file: Any) -> None:
    file.create_dataset("x", data=h5py.Empty("f4"))


def attribute(value: Any) -> Make:
    return lambda file: file.create_group("g").attrs.__setitem__("name", value)


def many_attributes(file: Any) -> None:
    for number in range(300):
        file.attrs[f"a{number}"] = "x"


def many_texts(count: int) -> Make:
    """Texts of 1 MiB, the longest that may be; `ä` has two bytes."""

    def make(file: Any) -> None:
        for number in range(count):
            file.create_group(str(number)).attrs["name"] = "ä" * (1 << 19)

    return make


def deep(file: Any) -> None:
    file.create_group("/".join("a" * 200))


def raw_name(name: bytes) -> Make:
    def make(file: Any) -> None:
        plan = h5p.create(h5p.LINK_CREATE)
        h5py.h5g.create(file.id, name, lcpl=plan)

    return make


REFUSED: list[Any] = [
    pytest.param(one_chunk_of_two, "hdf5-unstored", id="half", marks=pytest.mark.clause("K-34@9c114a")),
    pytest.param(scale_offset, "hdf5-filter", id="scale-offset", marks=pytest.mark.clause("K-35@56ae7b")),
    pytest.param(named_type, "hdf5-type", id="named type", marks=pytest.mark.clause("K-36@0e94ab")),
    pytest.param(no_space, "hdf5-type", id="no dataspace", marks=pytest.mark.clause("K-36@0e94ab")),
    pytest.param(raw_name(b"a\x01"), "hdf5-name", id="control", marks=pytest.mark.clause("K-37@e9d713")),
    pytest.param(attribute(1), "hdf5-attribute", id="number", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(attribute(["a", "b"]), "hdf5-attribute", id="texts", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(attribute("x" * (1 << 21)), "hdf5-attribute", id="2 MiB", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(attribute(b"\xff"), "hdf5-attribute", id="bytes", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(many_texts(33), "hdf5-attribute", id="33 MiB in all", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(many_attributes, "hdf5-attribute", id="300", marks=pytest.mark.clause("K-38@e94201")),
    pytest.param(deep, "limit-foreign", id="200 levels", marks=pytest.mark.clause("K-39@de352d")),
    *(
        pytest.param(
            lambda file, value=value, options=options: file.create_dataset("x", data=value, **options),
            "hdf5-type",
            id=f"type {name}",
            marks=pytest.mark.clause("K-36@0e94ab"),
        )
        for name, value, options in [
            ("texts", ["a", "b"], {}),
            ("numbers of varying count", None, {"shape": (2,), "dtype": h5py.vlen_dtype("f4")}),
        ]
    ),
]


@pytest.mark.parametrize(("make", "code"), REFUSED)
def test_hostile_files_are_refused_with_their_code(make: Make, code: str) -> None:
    """Each class of hostile file has its code, whether it was written in the old or in the latest layout."""
    assert refusal(made(make)) == code
    assert refusal(made(make, libver="latest")) == code


@pytest.mark.clause("K-38@e94201")
@pytest.mark.parametrize("latest", [False, True])
def test_attributes_at_their_limits_are_read(latest: bool) -> None:
    """Texts of 1 MiB each and 32 MiB in all, and 256 of them on one object."""
    options = {"libver": "latest"} if latest else {}
    found = opened(made(many_texts(32), **options)).groups
    assert [len(found[str(number)]["name"].encode()) for number in range(32)] == [1 << 20] * 32
    many = made(lambda file: [file.attrs.__setitem__(f"a{number}", "x") for number in range(256)], **options)
    assert len(opened(many).groups[""]) == 256


@pytest.mark.clause("K-39@de352d", "L-3@a15eb3")
def test_limits_bound_objects_and_the_sum_of_sizes() -> None:
    """A caller's lower limits hold for the number of objects and for all datasets together."""
    data = made(lambda file: [file.create_dataset(f"d{number}", data=NUMBERS) for number in range(9)])
    assert refusal(data, Limits(foreign_objects=9)) == "limit-foreign"
    assert refusal(data, Limits(foreign_bytes=9 * NUMBERS.nbytes - 1)) == "limit-foreign"
    assert len(opened(data, Limits(foreign_objects=10, foreign_bytes=9 * NUMBERS.nbytes)).datasets) == 9


@pytest.mark.clause("K-39@de352d")
@pytest.mark.parametrize(("more", "code"), [(0, ""), (1, "limit-foreign")])
def test_no_file_declares_more_than_the_sum_that_is_allowed(tmp_path: Path, more: int, code: str) -> None:
    """2^40 bytes in two datasets of a file with holes are opened, without being read, and a byte more is refused."""
    with h5py.File(tmp_path / "holes.h5", "w") as file:
        for name, size in (("a", 2**39), ("b", 2**39), *((("c", more),) if more else ())):
            options = h5p.create(h5p.DATASET_CREATE)
            options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            file.create_dataset(name, (size,), "uint8", dcpl=options)
    size = (tmp_path / "holes.h5").stat()
    assert size.st_size > 2**40 > 2**20 > size.st_blocks * 512
    source = FileSource(os.open(tmp_path / "holes.h5", os.O_RDONLY), "holes.h5")
    try:
        if code:
            with pytest.raises(EtuiError, match=r"with those before") as caught:
                open_hdf5(source, "holes.h5", Limits())
            assert caught.value.code == code
        else:
            assert [found.shape for found in open_hdf5(source, "holes.h5", Limits()).datasets.values()] == [
                (2**39,)
            ] * 2
    finally:
        source.close()


@pytest.mark.clause("K-33@99c375")
def test_two_datasets_over_the_same_bytes_are_refused() -> None:
    """A dataset whose address was moved onto another's bytes is found."""
    data = made(lambda file: [file.create_dataset(name, data=NUMBERS) for name in "ab"])
    one, two = (opened(data).datasets[name].layout.start or 0 for name in "ab")
    moved = data.replace(two.to_bytes(8, "little"), one.to_bytes(8, "little"))
    assert moved != data
    assert refusal(moved) == "hdf5-shared"


@pytest.mark.clause("K-33@99c375")
def test_chunks_over_the_same_bytes_are_refused() -> None:
    """Many entries of a chunk index that name one chunk are found."""
    data = made(lambda file: file.create_dataset("x", data=np.arange(16.0), chunks=(4,)))
    starts = [chunk.start for chunk in opened(data).datasets["x"].layout.chunks]
    moved = data.replace(starts[1].to_bytes(8, "little"), starts[0].to_bytes(8, "little"))
    assert moved != data
    assert refusal(moved) == "hdf5-shared"


@pytest.mark.clause("K-30@4bc2df")
def test_bytes_around_the_file_are_refused() -> None:
    """A user block in front, an archive behind, another format and no bytes at all are no HDF5 file."""
    data = made(lambda file: file.create_dataset("x", data=NUMBERS))
    blocked = io.BytesIO()
    with h5py.File(blocked, "w", userblock_size=512) as file:
        file["x"] = 1
    for bad in (b"", b"PK\x03\x04", data + b"PK", b"\0" * 512 + data, blocked.getvalue(), data[:8]):
        assert refusal(bad) == "hdf5-syntax"


@pytest.mark.clause("K-30@4bc2df", "E-2@310409")
@pytest.mark.parametrize("latest", [False, True])
def test_every_truncation_is_refused(latest: bool) -> None:
    """A file that ends early is refused wherever it ends."""
    options = {"chunks": (2, 3), "compression": "gzip"}
    data = made(
        lambda file: [file.create_dataset("a", data=NUMBERS), file.create_dataset("b/c", data=NUMBERS, **options)],
        libver="latest" if latest else None,
    )
    codes = {refusal(data[:end]) for end in range(0, len(data), 7)}
    assert codes == {"hdf5-syntax"}


@pytest.mark.clause("K-30@4bc2df")
def test_compressed_bytes_that_grow_beyond_their_chunk_are_refused() -> None:
    """A chunk's stream is inflated no further than the chunk is large, whatever it would become."""
    from zlib import compress

    def make(file: Any) -> None:
        dataset = file.create_dataset("x", shape=(64,), dtype="u1", chunks=(64,), compression="gzip")
        dataset.id.write_direct_chunk((0,), compress(b"\0" * (1 << 20)))

    assert refusal(made(make)) == "hdf5-syntax"


@pytest.mark.clause("K-30@4bc2df")
@pytest.mark.parametrize("at", [-1, 5])
def test_a_wrong_checksum_is_refused(at: int) -> None:
    """A bit that flips in a chunk with a checksum is found."""
    data = bytearray(made(lambda file: file.create_dataset("x", data=NUMBERS, chunks=(4, 6), fletcher32=True)))
    chunk = opened(bytes(data)).datasets["x"].layout.chunks[0]
    data[chunk.start + (at if at >= 0 else chunk.size - 1)] ^= 1
    assert refusal(bytes(data)) == "hdf5-syntax"


@pytest.mark.library
@pytest.mark.parametrize("length", [0, 1, 2, 3, 720, 721, 200_001])
def test_the_checksum_is_that_of_the_format(length: int) -> None:
    """Fletcher's sum in blocks equals the sum taken word by word."""
    data = bytes(range(1, 256)) * (length // 255 + 1)
    data = data[:length]
    low = high = 0
    for at in range(0, length, 2):
        low = (low + int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")) % 65535
        high = (high + low) % 65535
    assert fletcher32(data) == high << 16 | low


@pytest.mark.clause("D-8@918f53")
def test_a_bool_that_is_neither_0_nor_1_is_refused() -> None:
    """A byte 2 in a dataset of booleans is refused when it is read."""
    data = bytearray(made(lambda file: file.create_dataset("x", data=np.array([True] * 16))))
    data[opened(bytes(data)).datasets["x"].layout.start or 0] = 2
    assert refusal(bytes(data)) == "bool-value"


@pytest.mark.clause("K-62@1a29ed")
def test_writing_is_repeatable_and_read_by_h5py(tmp_path: Path) -> None:
    """The same groups and datasets make the same bytes, which h5py reads as they were given."""
    arrays: dict[str, Any] = {
        "a/vars/0": NUMBERS,
        "a/vars/1": np.asarray(np.float32(2.5)),
        "b": NUMBERS.astype(ml_dtypes.bfloat16),
        "c": NUMBERS.astype(ml_dtypes.float8_e4m3fn),
        "d": NUMBERS.astype(ml_dtypes.float8_e5m2),
        "e": np.zeros((0, 3), "int64"),
        "f": NUMBERS > 3,
        "g": NUMBERS[:, ::2],
    }
    files = []
    for name in ("one", "two"):
        with (tmp_path / name).open("w+b") as file, Hdf5Writer(file) as writer:
            writer.group("a/vars", {"name": "größe"})
            for path, array in arrays.items():
                writer.dataset(path, array)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    found = opened(files[0])
    assert found.groups["a/vars"] == {"name": "größe"}
    assert {path: dataset.read().tobytes() for path, dataset in found.datasets.items()} == {
        path: np.ascontiguousarray(array).tobytes() for path, array in arrays.items()
    }
    assert [found.datasets[path].dtype for path in arrays] == [array.dtype.name for array in arrays.values()]
    with h5py.File(tmp_path / "one") as file:
        assert file["b"].attrs["dtype"] == "bfloat16"
        assert "dtype" not in file["c"].attrs
        assert (file["a/vars/0"][()] == NUMBERS).all()


@pytest.mark.library
def test_a_file_inside_of_another_is_read_in_place(tmp_path: Path) -> None:
    """The worker reads a part of an open file, and a file in memory."""
    data = made(lambda file: file.create_dataset("x", data=NUMBERS))
    (tmp_path / "outer").write_bytes(b"before" + data + b"behind")
    file = FileSource(os.open(tmp_path / "outer", os.O_RDONLY), "outer")
    try:
        found = open_hdf5(Window(Window(file, 2, len(data) + 8), 4, len(data)), "inner")
        assert found.datasets["x"].read().tobytes() == NUMBERS.tobytes()
    finally:
        file.close()
