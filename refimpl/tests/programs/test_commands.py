"""`etui run` and `etui programs`: what they print, write and refuse, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import schemas
from etui.cli import main
from etui.cli.run import _plain, _values
from etui.errors import EtuiError
from etui.model import Blob
from etui.storage.numpy_files import write_arrays
from etui.testing.runnable import core_model, inputs_of

pytestmark = pytest.mark.library

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, artifact: Path) -> Run:
    """Runs a command line in a folder with model.etui and in.npz."""
    monkeypatch.chdir(tmp_path)
    write_arrays(tmp_path / "in.npz", inputs_of())

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        return (code, *capsys.readouterr())

    return call


def document(run: Run, schema: str, *arguments: str) -> Any:
    """What a command prints with --json, which its schema accepts."""
    code, out, err = run(*arguments, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [str(fault) for fault in schemas.validate(schema, found, schema)] == []
    return found


def test_run_prints_what_ran_and_a_summary(run: Run) -> None:
    """People see who computed the outputs, why, and the range and first values of each."""
    code, out, err = run("run", "model.etui", "--input", "in.npz")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == ["ran the reference evaluator", "because it has no program"]
    assert "2 outputs" in lines
    assert any(line.startswith("features float32 2 × 5 ") for line in lines)
    assert any(line.startswith("score float32 2 × 3 ") for line in lines)


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_outputs_are_written_as_they_were_computed(run: Run, tmp_path: Path, suffix: str) -> None:
    """The file has every output by its name, with its numbers."""
    expected = etui.run(core_model(), inputs_of()).outputs
    found = document(run, "cli/run", "run", "model.etui", "--input", "in.npz", "--output", f"out.{suffix}")
    assert found["output"] == f"out.{suffix}"
    if suffix == "npz":
        with np.load(tmp_path / "out.npz", allow_pickle=False) as written:
            arrays = {name: written[name] for name in written.files}
    else:
        tree = json.loads((tmp_path / "out.json").read_text())
        arrays = {name: np.array(value, np.float32) for name, value in tree.items()}
    assert list(arrays) == list(expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, expected[name])


def test_json_has_the_values_and_their_range(run: Run) -> None:
    """Few elements are listed, and the range is that of the finite ones."""
    found = document(run, "cli/run", "run", "model.etui", "--input", "in.npz")
    assert found["ran"] == {"kind": "evaluator", "program": None, "signature": None, "reason": "it has no program"}
    assert [one["name"] for one in found["inputs"]] == ["words", "vector"]
    for output in found["outputs"]:
        values = np.array(output["values"])
        assert output["min"] == values.min()
        assert output["max"] == values.max()
        assert output["nonfinite"] == 0
    with etui.open("model.etui") as model:
        assert found["identity"] == model.digest


def test_many_values_are_not_listed(run: Run, tmp_path: Path) -> None:
    """More than 64 elements are told by their range alone."""
    write_arrays(tmp_path / "many.npz", inputs_of(batch=20))
    found = document(run, "cli/run", "run", "model.etui", "--input", "many.npz")
    features, score = found["outputs"]
    assert (features["values"], features["shape"]) == (None, [20, 5])
    assert len(score["values"]) == 20


def test_numbers_that_json_does_not_have_are_tagged() -> None:
    """NaN and infinities are tagged as in a document, bytes are texts, and a complex number is a pair."""
    values = _values(np.array([1.5, np.nan, np.inf, -np.inf]))
    assert values == [1.5, {"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}]
    assert _values(np.array([1 + 2j])) == [[1.0, 2.0]]
    assert _values(np.array([b"a\xff", "b"], dtype=object)) == ["a\\xff", "b"]
    assert _values(np.array(True)) is True


def test_arrays_that_numpy_has_no_dtype_for_are_written_as_float32() -> None:
    """bfloat16 becomes float32, which has its numbers; bytes with a zero at the end are refused."""
    import ml_dtypes

    assert _plain(np.ones(1, ml_dtypes.bfloat16), "x").dtype == np.float32
    assert _plain(np.ones(1, ml_dtypes.int4), "x").dtype == np.int8
    assert _plain(np.array(["é"], dtype=object), "x").tolist() == ["é"]
    assert _plain(np.array([b"a", b"bc"], dtype=object), "x").tolist() == [b"a", b"bc"]
    with pytest.raises(EtuiError) as caught:
        _plain(np.array([b"a\0"], dtype=object), "x")
    assert caught.value.code == "run-output"


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["--input", "in.npz", "--program", "absent"], "program-missing", 2),
        (["--input", "absent.npz"], "storage-failed", 1),
        (["--input", "model.etui"], "run-input-file", 2),
        (["--input", "words=words.npy"], "run-input", 2),
        (["--input", "in.npz", "--output", "out.csv"], "run-output", 2),
        (["--input", "in.npz", "--output", "out.npy"], "run-output", 2),
        (["--input", "in.npz", "--timeout", "5"], "program-option", 2),
        (["--input", "in.npz", "--timeout", "-5"], "command-usage", 2),
        (["--input", "in.npz", "--program", "x", "--evaluator"], "command-usage", 2),
        ([], "run-input", 2),
    ],
)
def test_what_cannot_be_run_is_refused(run: Run, tmp_path: Path, arguments: list[str], code: str, status: int) -> None:
    """Each refusal has its code and its exit code, and writes nothing."""
    np.save(tmp_path / "words.npy", inputs_of()["words"])
    before = sorted(path.name for path in tmp_path.iterdir())
    found, out, err = run("run", "model.etui", *arguments, "--json")
    assert (found, err) == (status, "")
    fault = json.loads(out)
    assert fault["code"] == code
    assert schemas.validate("error", fault, "error") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("text", ["soon", "nan", "0", "-1", "inf"])
def test_what_is_no_time_is_told_in_words(run: Run, text: str) -> None:
    """The message is about the text, and names nothing of the program's inside."""
    code, _, err = run("run", "model.etui", "--timeout", text)
    assert code == 2
    assert f"'{text}' is no time in seconds" in err


def test_a_program_is_added_listed_run_and_removed(run: Run, artifact: Path) -> None:
    """The four steps by the command line, after which the artifact is what it was."""
    pytest.importorskip("jax")
    before = artifact.read_bytes()
    assert run("programs", "list", "model.etui")[1] == "no programs\n"
    shape = ["--shape", "words=batch,6", "--shape", "vector=batch,5", "--platforms", "cpu"]
    added = document(run, "cli/programs", "programs", "add", "model.etui", "stablehlo", "--name", "fast", *shape)
    (program,) = added["programs"]
    assert (program["name"], program["kind"], program["stale"], program["fault"]) == ("fast", "stablehlo", None, None)
    assert program["signatures"][0]["inputs"][0] == {"name": "words", "dtype": "int32", "shape": [None, 6]}
    assert etui.verify(artifact).identity == added["identity"]
    listed = run("programs", "list", "model.etui")[1]
    assert "fast: stablehlo, " in listed
    assert "current" in listed
    ran = document(run, "cli/run", "run", "model.etui", "--input", "in.npz")
    assert (ran["ran"]["program"], ran["passed"]) == ("fast", [])
    assert run("programs", "add", "model.etui", "stablehlo", "--name", "fast")[0] == 2
    removed = document(run, "cli/programs", "programs", "remove", "model.etui", "fast")
    assert removed["programs"] == []
    assert artifact.read_bytes() == before


def test_a_program_that_is_refused_is_listed_with_the_reason(run: Run, artifact: Path) -> None:
    """People and JSON see why, and what the evaluator was taken instead of."""
    etui.programs.add_parts(artifact, {"programs/x/main": Blob.of(b"", "application/vnd.jax.export")})
    (program,) = document(run, "cli/programs", "programs", "list", "model.etui")["programs"]
    assert "program-form" in program["fault"]
    assert "x: stablehlo, 0 B, refused: " in run("programs", "list", "model.etui")[1]
    out = run("run", "model.etui", "--input", "in.npz")[1]
    assert "  not x: " in out


@pytest.mark.parametrize("text", ["words", "=1", "words="])
def test_a_shape_has_a_name_and_sizes(run: Run, text: str) -> None:
    """Another form is wrong usage."""
    assert run("programs", "add", "model.etui", "stablehlo", "--shape", text)[0] == 2
