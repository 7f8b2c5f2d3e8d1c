"""Hostile and damaged legacy HDF5 files: refused with a code, in little time and memory."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from etui import conversion
from etui.errors import EtuiError
from etui.limits import Limits
from etui.report import Report
from etui.storage.hdf5 import Hdf5File, open_hdf5
from etui.storage.sources import BytesSource
from etui.testing.h5_files import node, ramp, sequential, source, whole
from etui.testing.parts import present

SECONDS, SPARE = 2.0, 256 << 20
MODEL = sequential(source(), node("Dense", "dense", units=2))
DENSE = {"dense/kernel:0": ramp(3, 2), "dense/bias:0": ramp(2)}


def made(make: Any, **options: Any) -> bytes:
    """The bytes of a file that h5py writes."""
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as content:
        make(content)
    return file.getvalue()


def opened(data: bytes) -> Hdf5File:
    """The structure of a file whose groups may have lists."""
    return open_hdf5(BytesSource(data), "f.h5", Limits(), lists=True)


def refusal(data: bytes) -> str:
    """The code with which a file is refused."""
    with pytest.raises(EtuiError) as caught:
        opened(data)
    return caught.value.code


def one_for_all(count: int, size: int) -> bytes:
    """A list of so many texts, every one of which names the same long text in the heap."""

    def make(file: Any) -> None:
        file.attrs["layer_names"] = np.array(["x" * size] + ["y"] * (count - 1), dtype=object)

    data = made(make)
    at = data.index(size.to_bytes(4, "little"))
    element = data[at : at + 16]
    return data[:at] + element * count + data[at + 16 * count :]


@pytest.mark.clause("K-38@e94201")
@pytest.mark.parametrize("latest", [False, True])
def test_lists_of_texts_are_read_where_they_are_asked_for(latest: bool) -> None:
    """Of fixed or varying length, bytes or text, and without elements of any type."""

    def make(file: Any) -> None:
        file.attrs["fixed"] = np.array([b"a", b"bc"])
        file.attrs["varying"] = np.array(["ä", "b" * 999], dtype=object)
        file.attrs["none"] = np.zeros(0)
        file.attrs["null"] = h5py.Empty("S4")
        file.attrs["one"] = "text" * 500_000

    found = opened(made(make, libver="latest" if latest else None))
    assert found.lists[""] == {"fixed": ["a", "bc"], "varying": ["ä", "b" * 999], "none": [], "null": []}
    assert found.groups[""] == {"one": "text" * 500_000}


def deep_list(file: Any) -> None:
    file.attrs["x"] = np.array([[b"a"], [b"b"]])


def number(file: Any) -> None:
    file.attrs["x"] = 3


def numbers(file: Any) -> None:
    file.attrs["x"] = np.arange(3)


def not_utf8(file: Any) -> None:
    file.attrs["x"] = np.array([b"\xff"])


def long_text(file: Any) -> None:
    file.attrs["x"] = "x" * (33 << 20)


def many_texts(file: Any) -> None:
    for at in range(9):
        file.create_group(str(at)).attrs["x"] = "x" * (4 << 20)


def on_dataset(file: Any) -> None:
    file.create_dataset("d", data=1).attrs["x"] = np.array([b"a", b"b"])


REFUSED = [deep_list, number, numbers, not_utf8, long_text, many_texts, on_dataset]


@pytest.mark.clause("K-38@e94201")
@pytest.mark.parametrize("make", REFUSED)
def test_attributes_that_are_no_lists_of_texts_are_refused(make: Any) -> None:
    """Numbers, more dimensions, bytes that are no text, texts of more than 32 MiB in all, and lists on datasets."""
    assert refusal(made(make)) == "hdf5-attribute"


@pytest.mark.clause("K-38@e94201")
def test_a_list_may_take_a_mebibyte_of_elements() -> None:
    """Elements of 1 MiB in all are read, and one more is refused before any is; of varying length each is 16 bytes."""

    def listed(texts: np.ndarray) -> bytes:
        return made(lambda file: file.attrs.__setitem__("x", texts), libver="latest")

    assert len(opened(listed(np.array([b"x" * 1024] * 1024))).lists[""]["x"]) == 1024
    assert refusal(listed(np.array([b"x" * 1024] * 1025))) == "hdf5-attribute"
    assert len(opened(listed(np.array(["x"] * (1 << 16), dtype=object))).lists[""]["x"]) == 1 << 16
    assert refusal(listed(np.array(["x"] * ((1 << 16) + 1), dtype=object))) == "hdf5-attribute"


@pytest.mark.clause("K-38@e94201", "X-2@ca2f55")
def test_one_long_text_under_many_names_is_refused() -> None:
    """4,000 elements that all name 4 MiB in the heap would be 16 GiB."""
    data = one_for_all(4000, 4 << 20)
    assert len(data) < 5 << 20
    assert refusal(data) == "hdf5-attribute"
    assert opened(one_for_all(3, 1000)).lists[""]["layer_names"] == ["x" * 1000] * 3


@pytest.mark.clause("E-2@310409")
def test_no_damage_gives_anything_but_a_coded_error_or_a_sound_read(tmp_path: Path) -> None:
    """Cut short at many lengths, and with a byte changed at many places, a file is refused or read."""
    path = whole(tmp_path / "a.h5", MODEL, {"dense": DENSE}, optimizer={"iteration:0": np.int64(0)})
    data = path.read_bytes()
    chance = random.Random(4)
    damaged = [data[:length] for length in sorted(chance.sample(range(len(data)), 60))]
    for at in sorted(chance.sample(range(len(data)), 200)):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        damaged.append(bytes(changed))
    refused = 0
    for number_, found in enumerate(damaged):
        target = tmp_path / f"{number_}.h5"
        target.write_bytes(found)
        try:
            model, _ = conversion.read(target, report=Report())
            for variable in present(model.weights).variables.values():
                variable.numpy()
            model.close()
        except EtuiError:
            refused += 1
    assert refused >= 60
