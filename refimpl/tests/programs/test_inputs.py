"""Inputs of a run: files of NumPy and JSON, hostile ones too, and whether they fit."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from etui.errors import EtuiError
from etui.limits import Limits
from etui.programs.facts import Spec
from etui.programs.inputs import fitted, read_inputs
from etui.storage.numpy_files import read_arrays, write_array, write_arrays

pytestmark = pytest.mark.library


def refusal(*arguments: Any, **options: Any) -> str:
    """The code with which `read_inputs` refuses."""
    with pytest.raises(EtuiError) as caught:
        read_inputs(*arguments, **options)
    return caught.value.code


def npy(array: Any, **options: Any) -> bytes:
    """The bytes of an `.npy` file."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An `.npy` file with any header."""
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + size + text.encode() + data


class TestNumpyFiles:
    """What NumPy writes is read, and nothing else."""

    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_arrays_come_by_name_as_numpy_wrote_them(self, tmp_path: Path, save: Any) -> None:
        """An `.npz` file, compressed or not, gives each array with its dtype, shape and order of axes."""
        arrays = {
            "a": np.arange(6, dtype=np.int16).reshape(2, 3),
            "big": np.arange(4.0).astype(">f8"),
            "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "none": np.zeros((0, 3), np.float32),
            "scalar": np.array(7),
            "flags": np.array([True, False]),
            "texts": np.array(["a", "bc"]),
        }
        save(tmp_path / "in.npz", **arrays)
        found = read_inputs([str(tmp_path / "in.npz")])
        assert isinstance(found, dict)
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)

    def test_arrays_in_order_come_from_several_files(self, tmp_path: Path) -> None:
        """Each `.npy` file is the next input; with a name in front it is the input of that name."""
        np.save(tmp_path / "a.npy", np.arange(3))
        np.save(tmp_path / "b.npy", np.arange(4))
        a, b = str(tmp_path / "a.npy"), str(tmp_path / "b.npy")
        ordered = read_inputs([a, b])
        assert [len(one) for one in ordered] == [3, 4]
        named = read_inputs([f"y={a}", f"x={b}"])
        assert isinstance(named, dict)
        assert {name: len(one) for name, one in named.items()} == {"y": 3, "x": 4}
        assert refusal([a, f"x={b}"]) == "run-input"
        assert refusal([f"x={a}", f"x={b}"]) == "run-input"

    def test_a_file_whose_name_has_an_equals_sign_is_that_file(self, tmp_path: Path) -> None:
        """`=` in the name of a file that is there names no input."""
        np.save(tmp_path / "lr=1.npy", np.arange(3))
        assert isinstance(read_inputs([str(tmp_path / "lr=1.npy")]), list)

    def test_objects_are_not_unpickled(self, tmp_path: Path) -> None:
        """A pickled array is refused before anything of it is looked at."""

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "sprung",)

        (tmp_path / "in.npy").write_bytes(npy(np.array([Trap()], dtype=object), allow_pickle=True))
        np.savez(tmp_path / "in.npz", allow_pickle=True, x=np.array([Trap()], dtype=object))
        for name in ("in.npy", "in.npz"):
            assert refusal([str(tmp_path / name)]) == "run-input-file"
        assert not (tmp_path / "sprung").exists()

    @pytest.mark.parametrize(
        "data",
        [
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", b"1234"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n", b"1234"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 0), }\n"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 1099511627776, 1099511627776), }\n"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 40 + "), }\n", b"1234"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os').getcwd(), }\n", b"1234"),
            header("(" * 4000 + ")" * 4000),
            header("{'descr': '<f4', 'fortran_order': False}\n", b"1234"),
            header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", b"1234"),
            header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"),
            header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"),
            header("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
            header("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }\n", b"\xff\xff\xff\x7f"),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", b"1234", (3, 0)),
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n", b"1234", (9, 0)),
            b"\x93NUMPY",
            b"\x93NUMPY\x01\x00\xff\xff{",
        ],
    )
    def test_a_hostile_array_is_refused(self, tmp_path: Path, data: bytes) -> None:
        """A header that lies about sizes, or is no header, is refused before an array is made of it."""
        (tmp_path / "in.npy").write_bytes(data)
        assert refusal([str(tmp_path / "in.npy")]) == "run-input-file"

    def test_a_bomb_is_refused_before_it_is_inflated(self, tmp_path: Path) -> None:
        """A member that is to become far larger than it is, and members beyond the bound of all, are refused."""
        with zipfile.ZipFile(tmp_path / "in.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(
                "x.npy", header("{'descr': '|i1', 'fortran_order': False, 'shape': (9999999,), }\n") + bytes(9999999)
            )
        assert (tmp_path / "in.npz").stat().st_size < 20_000
        assert refusal([str(tmp_path / "in.npz")]) == "limit-foreign"
        np.savez(tmp_path / "two.npz", a=np.zeros(1000), b=np.zeros(1000))
        assert refusal([str(tmp_path / "two.npz")], Limits(foreign_bytes=10_000)) == "limit-foreign"
        assert refusal([str(tmp_path / "two.npz")], Limits(foreign_objects=1)) == "limit-foreign"

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize(
        ("names", "code"),
        [
            (["readme.txt"], "run-input-file"),
            (["../x.npy"], "foreign-zip-name"),
            (["x.npy", "x.npy"], "foreign-zip-duplicate"),
        ],
    )
    def test_an_archive_with_other_members_is_refused(self, tmp_path: Path, names: list[str], code: str) -> None:
        """A member that is no array, one that leads elsewhere, and one that comes twice are refused."""
        with zipfile.ZipFile(tmp_path / "in.npz", "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), npy(np.zeros(1)))
        assert refusal([str(tmp_path / "in.npz")]) == code

    def test_an_archive_without_its_end_is_refused(self, tmp_path: Path) -> None:
        """A file that was cut is refused before a member is read."""
        np.savez(tmp_path / "in.npz", x=np.zeros(3))
        (tmp_path / "in.npz").write_bytes((tmp_path / "in.npz").read_bytes()[:-9])
        assert refusal([str(tmp_path / "in.npz")]) == "foreign-zip"

    def test_what_is_written_is_what_numpy_reads(self, tmp_path: Path) -> None:
        """Arrays come back through NumPy with their names, and the same arrays give the same bytes."""
        arrays = {"a/b": np.arange(3.0), "c": np.array(["x"]), "empty": np.zeros((2, 0)), "scalar": np.float32(2)}
        write_arrays(tmp_path / "a.npz", {name: np.asarray(one) for name, one in arrays.items()})
        write_arrays(tmp_path / "b.npz", {name: np.asarray(one) for name, one in arrays.items()})
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
        with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
            assert found.files == list(arrays)
            for name, array in arrays.items():
                np.testing.assert_array_equal(found[name], array)
        write_array(tmp_path / "a.npy", np.arange(6).reshape(2, 3).T)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.arange(6).reshape(2, 3).T)

    @pytest.mark.parametrize("name", ["../x", "/x", "a//b", "..", "a/../b", "", "con"])
    def test_no_name_leads_out_of_the_folder_that_it_is_unpacked_into(self, tmp_path: Path, name: str) -> None:
        """The names of a hostile program's outputs become harmless names of members."""
        write_arrays(tmp_path / "out.npz", {name: np.zeros(1)})
        (member,) = zipfile.ZipFile(tmp_path / "out.npz").namelist()
        assert not member.startswith("/")
        assert not {"", ".", ".."} & set(member.split("/"))
        assert isinstance(read_arrays(tmp_path / "out.npz"), dict)


class TestJson:
    """Small inputs as JSON."""

    def write(self, tmp_path: Path, text: str) -> str:
        (tmp_path / "in.json").write_text(text)
        return str(tmp_path / "in.json")

    def test_nested_lists_are_arrays(self, tmp_path: Path) -> None:
        """A map gives inputs by name, a list gives them in order, and a file with a name one alone."""
        found = read_inputs(
            [self.write(tmp_path, '{"a": [[1, 2], [3, 4]], "t": ["x"], "n": 1.5, "b": [true], "e": []}')]
        )
        assert isinstance(found, dict)
        assert {name: (one.dtype.kind, one.shape) for name, one in found.items()} == {
            "a": ("i", (2, 2)),
            "t": ("O", (1,)),
            "n": ("f", ()),
            "b": ("b", (1,)),
            "e": ("f", (0,)),
        }
        ordered = read_inputs([self.write(tmp_path, "[[1, 2], [3.5]]")])
        assert [np.asarray(one).tolist() for one in ordered] == [[1, 2], [3.5]]
        alone = read_inputs([f"x={self.write(tmp_path, '[[1, 2], [3, 4]]')}"])
        assert isinstance(alone, dict)
        assert alone["x"].tolist() == [[1, 2], [3, 4]]

    @pytest.mark.parametrize(
        "text",
        [
            '{"a": [1], "a": [2]}',
            '{"a": NaN}',
            '{"a": [[1], [2, 3]]}',
            '{"a": [[1], 2]}',
            '{"a": [1, "x"]}',
            '{"a": [1, true]}',
            '{"a": [null]}',
            '{"a": {"b": 1}}',
            '{"a": [18446744073709551616]}',
            f'{{"a": {"9" * 5000}}}',
            "[" * 100_000,
            f'{{"a": {"[" * 80}1{"]" * 80}}}',
            "7",
            "",
            "\x00\x01",
        ],
    )
    def test_what_is_no_array_is_refused(self, tmp_path: Path, text: str) -> None:
        """Keys that come twice, lists of different lengths, other values, and what is no JSON are refused."""
        assert refusal([self.write(tmp_path, text)]) == "run-input-file"

    def test_a_large_file_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        """JSON is for small inputs."""
        with (tmp_path / "in.json").open("wb") as file:
            file.truncate(2**30)
        assert refusal([str(tmp_path / "in.json")]) == "run-input-file"


FLOATS, WORDS = Spec("x", "float32", (None, 2)), Spec("w", "int32", (None,))


class TestFit:
    """Inputs against what a model or program takes."""

    def test_inputs_come_by_name_or_in_order(self) -> None:
        """Both give the same, and so do the names that NumPy gives to arrays without any."""
        x, w = np.zeros((3, 2), np.float32), np.zeros(3, np.int32)
        for given in ({"w": w, "x": x}, [x, w]):
            arrays, casts = fitted(given, [FLOATS, WORDS])
            assert list(arrays) == ["x", "w"]
            assert casts == []
        assert list(fitted({"arr_0": x}, [FLOATS])[0]) == ["x"]
        both, _ = fitted({"arr_1": w, "arr_0": x}, [FLOATS, WORDS])
        assert both["x"] is x
        assert both["w"] is w
        with pytest.raises(EtuiError, match="arr_0"):
            fitted({"arr_0": x}, [FLOATS, WORDS])

    def test_the_error_says_what_is_taken(self) -> None:
        """Names, dtypes and shapes, so that the next call can be right; of very many inputs the first."""
        optional = Spec("mask", None, None, optional=True)
        calls: list[Any] = [{}, [1]]
        for given in calls:
            with pytest.raises(EtuiError) as caught:
                fitted(given, [FLOATS, WORDS, optional])
            assert caught.value.hint == ("It takes 'x' float32[?, 2]; 'w' int32[?]; 'mask' of any dtype or nothing.")
        with pytest.raises(EtuiError) as caught:
            fitted({}, [Spec(f"n{number}") for number in range(10_000)])
        assert caught.value.hint is not None
        assert caught.value.hint.endswith("; and 9,992 more.")
        assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({}, "run-input"),
            ({"x": np.zeros((3, 2)), "y": 1}, "run-input"),
            ([np.zeros((3, 2)), 1], "run-input"),
            ({"x": None}, "run-input"),
            ({"x": np.zeros((3, 3))}, "run-input-shape"),
            ({"x": np.zeros(2)}, "run-input-shape"),
            ({"x": np.array([["a", "b"]])}, "run-input-dtype"),
            ({"x": np.zeros((1, 2), complex)}, "run-input-dtype"),
            ({"x": np.array([[object(), 1]])}, "run-input-dtype"),
            ({"x": np.zeros((1, 2), "M8[s]")}, "run-input-dtype"),
            ({"x": [[1], [2, 3]]}, "run-input"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, given: Any, code: str) -> None:
        """A missing, unknown or misshapen input has a code, and the message says what the input is."""
        with pytest.raises(EtuiError) as caught:
            fitted(given, [FLOATS])
        assert caught.value.code == code

    def test_integers_are_never_changed_by_a_cast(self) -> None:
        """Those that the dtype of the input has are cast, and told; another one is refused, as a fraction is."""
        arrays, casts = fitted({"w": np.array([1, 2**31 - 1])}, [WORDS])
        assert arrays["w"].dtype == np.int32
        assert casts == ["w: int64 to int32"]
        for value in (2**31, -(2**31) - 1, 0.5):
            with pytest.raises(EtuiError) as caught:
                fitted({"w": np.array([value])}, [WORDS])
            assert caught.value.code == "run-input-dtype"

    def test_floats_are_cast_and_told(self) -> None:
        """Another width of a float, and integers for floats, are cast with a sentence."""
        for dtype in (np.float64, np.float16, np.uint8, ml_dtypes.bfloat16, np.bool_):
            arrays, casts = fitted({"x": np.ones((1, 2), dtype)}, [FLOATS])
            assert arrays["x"].dtype == np.float32
            assert casts == [f"x: {np.dtype(dtype).name} to float32"]

    def test_dtypes_that_numpy_does_not_know_come_through_its_files(self, tmp_path: Path) -> None:
        """An array of bfloat16, which NumPy saves as raw bytes, is one of bfloat16 where the input is."""
        array = np.arange(4).astype(ml_dtypes.bfloat16)
        np.save(tmp_path / "x.npy", array)
        found = read_inputs([str(tmp_path / "x.npy")])
        arrays, _ = fitted(found, [Spec("x", "bfloat16", (None,))])
        assert arrays["x"].dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(arrays["x"], array)

    def test_texts_are_of_the_kind_that_the_input_takes(self) -> None:
        """Texts become `str`, or UTF-8 where the input is of bytes."""
        given = {"t": np.array(["é", "b"])}
        assert fitted(given, [Spec("t", "string", (None,))])[0]["t"].tolist() == ["é", "b"]
        assert fitted(given, [Spec("t", "bytes", (None,))])[0]["t"].tolist() == ["é".encode(), b"b"]
        with pytest.raises(EtuiError) as caught:
            fitted({"t": np.array([b"\xff"], dtype=object)}, [Spec("t", "string", (None,))])
        assert caught.value.code == "run-input-dtype"

    def test_an_optional_input_may_be_left_out(self) -> None:
        """It is then not among the arrays."""
        specs = [FLOATS, Spec("mask", "bool", (None,), optional=True)]
        assert list(fitted([np.zeros((1, 2), np.float32)], specs)[0]) == ["x"]
        assert list(fitted({"x": np.zeros((1, 2), np.float32)}, specs)[0]) == ["x"]


def test_json_numbers_that_are_written_are_read(tmp_path: Path) -> None:
    """The numbers of a file that Python wrote come back."""
    (tmp_path / "in.json").write_text(json.dumps({"x": [[0.1, -2e300]]}))
    found = read_inputs([str(tmp_path / "in.json")])
    assert isinstance(found, dict)
    assert found["x"].tolist() == [[0.1, -2e300]]
