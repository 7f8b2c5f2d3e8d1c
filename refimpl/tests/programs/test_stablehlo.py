"""Programs of jax.export: made of core models, bound to the config, run over the weights as they are now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import programs, schemas
from etui.canonical import json
from etui.errors import EtuiError
from etui.model import Blob, Model
from etui.programs.binding import index_name
from etui.programs.stablehlo import main_name
from etui.storage.numpy_files import write_arrays
from etui.testing.runnable import core_model, inputs_of
from etui.testing.servers import web_server

jax = pytest.importorskip("jax")
pytestmark = pytest.mark.frameworks

MAIN, INDEX = main_name("stablehlo"), index_name("stablehlo")


def close(one: Mapping[str, np.ndarray], two: Mapping[str, np.ndarray], tolerance: float = 1e-5) -> None:
    """Two runs give the same names, and numbers that differ by rounding alone."""
    assert list(one) == list(two)
    assert one
    for name, array in one.items():
        np.testing.assert_allclose(array, two[name], rtol=tolerance, atol=tolerance)


@pytest.fixture
def program(artifact: Path) -> Path:
    """The artifact with a program of its own."""
    programs.add(artifact, "stablehlo")
    return artifact


@pytest.fixture(scope="module")
def made() -> Model:
    """The model with a program, in memory."""
    model = core_model()
    programs.add(model, "stablehlo")
    return model


def with_index(model: Model, **changes: Any) -> Model:
    """The model with other fields in the program's document."""
    tree = json.decode(model.programs[INDEX].read(), where="") | changes
    return replace(
        model, programs=model.programs | {INDEX: Blob.of(json.encode(tree), model.programs[INDEX].media_type)}
    )


def refusal(model: Model, **options: Any) -> str:
    with pytest.raises(EtuiError) as caught:
        etui.run(model, inputs_of(), program="stablehlo", **{"isolate": False, **options})
    return caught.value.code


class TestMade:
    """A program that is made of a core model."""

    @pytest.mark.clause("PG-30@f32b91")
    @pytest.mark.clause("PG-34@c05ad9")
    def test_its_document_says_what_it_takes_and_gives(self, made: Model) -> None:
        """The schema accepts `program.json`, whose variables and names are those of the model."""
        tree = json.decode(made.programs[INDEX].read(), where="")
        assert [str(fault) for fault in schemas.validate("program", tree, INDEX)] == []
        assert tree["config"] == made.fingerprint("config.json")
        assert tree["weights"] is None
        assert made.weights is not None
        assert {one["path"]: one["shape"] for one in tree["variables"]} == {
            path: list(variable.shape) for path, variable in made.weights.items()
        }
        assert [(one["name"], one["shape"]) for one in tree["inputs"]] == [
            ("words", [None, None]),
            ("vector", [None, 5]),
        ]
        assert [(one["name"], one["shape"]) for one in tree["outputs"]] == [
            ("features", [None, 5]),
            ("score", [None, 3]),
        ]

    @pytest.mark.clause("PG-35@4e4e78")
    def test_it_holds_no_weights(self, made: Model) -> None:
        """A model a hundred times as large has a program of about the same size, and no run of its numbers is in it."""
        large = core_model(units=30_000)
        found = programs.make(large, "stablehlo")
        assert found[MAIN].size < made.programs[MAIN].size + 200
        assert large.weights is not None
        assert large.weights["last/kernel"].tensor.nbytes > 10 * found[MAIN].size
        for variable in large.weights.values():
            assert variable.numpy().tobytes()[:16] not in found[MAIN].read()

    @pytest.mark.clause("PG-33@451e2b")
    def test_it_says_nothing_of_the_machine(self, made: Model) -> None:
        """No folder or source file is named in it, and each making gives the same bytes."""
        data = made.programs[MAIN].read()
        assert Path(etui.__file__).parent.as_posix().encode() not in data
        assert re.findall(rb"[\w/-]+\.py\b", data) == []
        assert programs.make(core_model(), "stablehlo")[MAIN].read() == data

    @pytest.mark.library
    def test_the_report_accounts_for_the_modules(self) -> None:
        """Each module is there as translated."""
        report = etui.Report()
        programs.make(core_model(), "stablehlo", report=report)
        modules = {entry.subject for entry in report.entries if entry.kind == "module"}
        assert {"embedding", "pooled", "concat", "joined", "last"} <= modules

    @pytest.mark.library
    def test_sizes_can_be_fixed_or_shared(self) -> None:
        """A size that is a number holds for every run, and one that is a word is free, the same word the same size."""
        model = core_model()
        programs.add(model, "stablehlo", "fixed", shapes={"words": [2, 6], "vector": [2, 5]}, platforms=["cpu"])
        programs.add(model, "stablehlo", "words", shapes={"words": ["batch", "length"], "vector": ["batch", 5]})
        fixed, free = programs.list(model)
        assert [spec.shape for spec in fixed.signatures[""].inputs] == [(2, 6), (2, 5)]
        assert [spec.shape for spec in free.signatures[""].inputs] == [(None, None), (None, 5)]
        expected = etui.run(model, inputs_of(), evaluator=True).outputs
        for name in ("fixed", "words"):
            close(etui.run(model, inputs_of(), program=name, isolate=False).outputs, expected)
        with pytest.raises(EtuiError) as caught:
            etui.run(model, inputs_of(batch=3), program="fixed", isolate=False)
        assert caught.value.code == "run-input-shape"
        assert etui.run(model, inputs_of(batch=3), program="words", isolate=False)["score"].shape == (3, 3)

    @pytest.mark.library
    @pytest.mark.parametrize(
        "options",
        [
            {"shapes": {"other": [1]}},
            {"shapes": {"vector": [1, 6]}},
            {"shapes": {"vector": [1]}},
            {"shapes": {"vector": ["1 + ", 5]}},
            {"batch": 3},
            {"platforms": ["abacus"]},
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, options: dict[str, Any]) -> None:
        """Shapes of other inputs or against the config, and options that there are not, have a code."""
        with pytest.raises(EtuiError) as caught:
            programs.make(core_model(), "stablehlo", **options)
        assert caught.value.code == "program-option"

    @pytest.mark.library
    def test_what_jax_does_not_export_is_refused(self) -> None:
        """Sizes that the ops cannot take are told with the reason of JAX."""
        model = core_model()
        assert model.config is not None
        model.config.find("words").attrs["shape"] = [7, None]
        model.config.find("vector").attrs["shape"] = [8, 5]
        with pytest.raises(EtuiError) as caught:
            programs.make(model, "stablehlo")
        assert caught.value.code == "stablehlo-export"
        assert "7" in caught.value.found

    @pytest.mark.library
    def test_a_model_in_float64_stays_so(self) -> None:
        """Such a program computes in float64, though JAX has no such arrays otherwise."""
        weights = etui.Weights()
        rng = np.random.default_rng(0)
        weights.add("dense/kernel", etui.Tensor.of(rng.normal(size=(4, 2))), role="kernel")
        modules = [
            etui.Module("x", op="core:input", attrs={"shape": [None, 4], "dtype": "float64"}),
            etui.Module(
                "dense",
                op="core:dense",
                attrs={
                    "units": 2,
                    "use_bias": False,
                    "activation": "tanh",
                    "precision": {"compute_dtype": "float64", "variable_dtype": "float64"},
                },
                params={"kernel": "dense/kernel"},
            ),
        ]
        x = etui.OutputRef("x", 0)
        graph = etui.Graph([x], [etui.OutputRef("dense", 0)], [etui.Call("x", "x"), etui.Call("dense", "dense", [x])])
        model = etui.Model(etui.Config(etui.Module("m", "graph", "core:graph", modules=modules, graph=graph)), weights)
        programs.add(model, "stablehlo")
        given = rng.normal(size=(3, 4))
        result = etui.run(model, given, program="stablehlo", isolate=False)
        assert result.value.dtype == np.float64
        np.testing.assert_allclose(result.value, etui.run(model, given, evaluator=True).value, rtol=1e-14, atol=1e-14)
        assert not jax.config.jax_enable_x64


class TestRun:
    """Running it."""

    @pytest.mark.library
    @pytest.mark.parametrize("form", ["packed", "directory"])
    def test_it_is_chosen_and_gives_what_the_evaluator_gives(self, tmp_path: Path, form: Any) -> None:
        """In a process of its own it runs from both forms, for any size of the batch, and equals the evaluator."""
        path = tmp_path / "model"
        etui.save(core_model(), path, form=form)
        programs.add(path, "stablehlo")
        result = etui.run(path, inputs_of(batch=5))
        assert (result.kind, result.program, result.passed) == ("stablehlo", "stablehlo", [])
        assert result.reason == "the first program that can be run here"
        close(result.outputs, etui.run(path, inputs_of(batch=5), evaluator=True).outputs)

    @pytest.mark.library
    def test_it_runs_from_a_url(self, program: Path) -> None:
        """An artifact on a web server is run where it is, in either process, and one in memory from a copy."""
        pytest.importorskip("aiohttp")
        expected = etui.run(program, inputs_of(), evaluator=True).outputs
        with web_server() as web:
            web.files["model.etui"] = program.read_bytes()
            url = f"{web.url}/model.etui?token=secret"
            close(etui.run(url, inputs_of(), program="stablehlo").outputs, expected)
            close(etui.run(url, inputs_of(), evaluator=True).outputs, expected)
            with pytest.raises(EtuiError) as caught:
                etui.run(url, {}, program="stablehlo")
            assert "secret" not in str(caught.value)
        with etui.open(program) as model:
            etui.save(model, "memory://programs/run.etui")
        close(etui.run("memory://programs/run.etui", inputs_of(), program="stablehlo").outputs, expected)

    @pytest.mark.library
    def test_a_model_that_was_changed_in_memory_is_run_as_it_is(self, program: Path) -> None:
        """Weights that were set after the artifact was opened are those that the other process gets."""
        with etui.open(program) as model:
            assert model.weights is not None
            trained = replace(model, weights=core_model(seed=5).weights)
            result = etui.run(trained, inputs_of())
            assert (result.kind, result.identity) == ("stablehlo", model.digest)
            close(result.outputs, etui.run(core_model(seed=5), inputs_of()).outputs)

    @pytest.mark.clause("PG-31@e84294")
    def test_other_weights_are_run_and_another_config_is_stale(self, made: Model) -> None:
        """A program goes on with trained weights; with another config, or a variable of another shape, it is stale."""
        trained = core_model(seed=7)
        trained.programs = made.programs
        assert programs.list(trained)[0].stale == ""
        result = etui.run(trained, inputs_of(), program="stablehlo", isolate=False)
        close(result.outputs, etui.run(trained, inputs_of(), evaluator=True).outputs)

        edited = core_model()
        edited.programs = made.programs
        assert edited.config is not None
        edited.config.find("joined").attrs["activation"] = "relu"
        assert "config.json" in programs.list(edited)[0].stale
        grown = core_model()
        grown.programs, grown.config = made.programs, made.config
        assert grown.weights is not None
        del grown.weights.variables["last/kernel"]
        assert "last/kernel" in programs.list(grown)[0].stale
        grown.weights.add("last/kernel", etui.Tensor.of(np.zeros((5, 4), np.float32)), role="kernel")
        assert "[5, 4]" in programs.list(grown)[0].stale
        assert refusal(grown) == "program-stale"
        assert "weights.json" in programs.list(with_index(made, weights="sha256:" + "0" * 64))[0].stale

    @pytest.mark.clause("PG-40@c1a506")
    @pytest.mark.clause("PG-44@312338")
    def test_a_stale_program_is_run_only_if_asked(self, made: Model) -> None:
        """By itself it is refused, a choice passes it over with the reason, and on request the result tells it."""
        model = core_model()
        model.programs = made.programs
        assert model.config is not None
        model.config.find("joined").attrs["activation"] = "relu"
        assert refusal(model) == "program-stale"
        chosen = etui.run(model, inputs_of())
        assert chosen.kind == "evaluator"
        assert "program-stale" in chosen.passed[0].reason
        asked = etui.run(model, inputs_of(), program="stablehlo", stale=True, isolate=False)
        assert "stale" in asked.reason
        close(asked.outputs, etui.run(made, inputs_of(), evaluator=True).outputs)
        assert not np.allclose(asked["features"], chosen["features"])

    @pytest.mark.clause("PG-42@ba5492")
    def test_inputs_are_looked_at_first(self, made: Model) -> None:
        """A choice that meets inputs which fit nothing says what the program takes."""
        with pytest.raises(EtuiError) as caught:
            etui.run(made, {"words": np.zeros((2, 6), np.int32)}, program="stablehlo", isolate=False)
        assert (caught.value.code, "vector" in caught.value.found) == ("run-input", True)

    @pytest.mark.library
    def test_without_jax_it_is_passed_over(self, program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its facts need no framework; that it cannot be run names the extra, and the evaluator takes its place."""
        monkeypatch.setattr("etui.programs.stablehlo.find_spec", lambda _: None)
        assert programs.list(program)[0].fault == ""
        result = etui.run(program, inputs_of())
        assert result.kind == "evaluator"
        assert "extra-jax" in result.passed[0].reason
        with pytest.raises(etui.MissingExtraError, match=re.escape("etui[jax]")):
            etui.run(program, inputs_of(), program="stablehlo")

    @pytest.mark.library
    def test_results_of_other_dtypes_come_back_from_the_other_process(self) -> None:
        """Outputs of bfloat16 are of bfloat16 here, and inputs of it are taken."""
        import ml_dtypes

        weights = etui.Weights()
        weights.add("dense/kernel", etui.Tensor.of(np.eye(2, dtype=ml_dtypes.bfloat16)), role="kernel")
        precision = {"compute_dtype": "bfloat16", "variable_dtype": "bfloat16"}
        modules = [
            etui.Module("x", op="core:input", attrs={"shape": [None, 2], "dtype": "bfloat16"}),
            etui.Module(
                "dense",
                op="core:dense",
                attrs={"units": 2, "use_bias": False, "precision": precision},
                params={"kernel": "dense/kernel"},
            ),
        ]
        x = etui.OutputRef("x", 0)
        graph = etui.Graph([x], [etui.OutputRef("dense", 0)], [etui.Call("x", "x"), etui.Call("dense", "dense", [x])])
        model = etui.Model(etui.Config(etui.Module("m", "graph", "core:graph", modules=modules, graph=graph)), weights)
        programs.add(model, "stablehlo")
        given = np.array([[1.5, -2]], ml_dtypes.bfloat16)
        result = etui.run(model, given, program="stablehlo")
        assert result.value.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(result.value, given)


class TestHostile:
    """Programs of strangers."""

    @pytest.mark.clause("PG-30@f32b91")
    @pytest.mark.parametrize(
        "changes",
        [
            {"format": "other"},
            {"version": "2.0"},
            {"more": 1},
            {"config": 7},
            {"variables": {}},
            {"variables": [{"path": "last/kernel", "dtype": "float31", "shape": [5, 3]}]},
            {"variables": [{"path": "last/kernel", "dtype": "float32", "shape": [-5, 3]}]},
            {"variables": [{"path": "last/kernel", "dtype": "float32", "shape": [5, 3]}] * 2},
            {"inputs": [{"name": "x", "dtype": "float32", "shape": [1.5]}]},
            {"inputs": [{"name": "x", "dtype": "float32", "shape": [1] * 33}]},
            {"inputs": [{"name": 1, "dtype": None, "shape": None}]},
            {"outputs": [{"name": "x", "dtype": None, "shape": None}] * 2},
            {"outputs": "x"},
        ],
    )
    def test_a_document_of_another_form_is_refused(self, made: Model, changes: dict[str, Any]) -> None:
        """Each field has one form, and a list of programs says why the program is refused."""
        model = with_index(made, **changes)
        assert "program-form" in programs.list(model)[0].fault
        assert refusal(model) == "program-form"

    @pytest.mark.clause("PG-30@f32b91")
    def test_a_document_that_is_not_there_or_of_another_type_is_refused(self, made: Model) -> None:
        """So is one that is no canonical JSON."""
        blob = made.programs[INDEX]
        for parts in (
            {},
            {INDEX: Blob.of(blob.read(), "application/json")},
        ):
            assert refusal(replace(made, programs={MAIN: made.programs[MAIN], **parts})) == "program-form"
        spaced = Blob.of(b" " + blob.read(), blob.media_type)
        assert refusal(replace(made, programs={MAIN: made.programs[MAIN], INDEX: spaced})) == "json-not-canonical"

    @pytest.mark.clause("PG-34@c05ad9")
    @pytest.mark.parametrize(
        "changes",
        [
            {"variables": []},
            {"inputs": []},
            {"outputs": []},
            {
                "inputs": [
                    {"name": "words", "dtype": "int32", "shape": [None, 6]},
                    {"name": "vector", "dtype": "float32", "shape": [None, 5]},
                ]
            },
            {
                "outputs": [
                    {"name": "a", "dtype": "float32", "shape": [None, 5]},
                    {"name": "b", "dtype": "float64", "shape": [None, 3]},
                ]
            },
        ],
    )
    def test_a_function_of_other_tensors_than_its_document_says_is_refused(
        self, made: Model, changes: dict[str, Any]
    ) -> None:
        """What the document states is what the function takes and gives, or nothing is run."""
        model = with_index(made, **changes)
        given: Any = inputs_of() if changes.get("inputs") != [] else {}
        with pytest.raises(EtuiError) as caught:
            etui.run(model, given, program="stablehlo", isolate=False)
        assert caught.value.code == "program-form"

    @pytest.mark.clause("PG-36@d1a58e")
    def test_a_function_that_calls_other_code_is_refused(self, made: Model) -> None:
        """A call of other code is found before anything is compiled, and asking for it does not help."""
        from jax import export

        def evil(variables: dict[str, Any], inputs: list[Any]) -> list[Any]:
            called = jax.ffi.ffi_call("evil_target", jax.ShapeDtypeStruct((2, 5), np.float32))(inputs[1])
            return [called, inputs[1][:, :3]]

        assert made.weights is not None
        variables = {path: jax.ShapeDtypeStruct(variable.shape, np.float32) for path, variable in made.weights.items()}
        inputs = [jax.ShapeDtypeStruct((2, 6), np.int32), jax.ShapeDtypeStruct((2, 5), np.float32)]
        check = export.DisabledSafetyCheck.custom_call("evil_target")
        data = export.export(jax.jit(evil), platforms=("cpu",), disabled_checks=[check])(variables, inputs).serialize()
        sizes = {
            "inputs": [
                {"name": "words", "dtype": "int32", "shape": [2, 6]},
                {"name": "vector", "dtype": "float32", "shape": [2, 5]},
            ],
            "outputs": [
                {"name": "a", "dtype": "float32", "shape": [2, 5]},
                {"name": "b", "dtype": "float32", "shape": [2, 3]},
            ],
        }
        model = with_index(made, **sizes)
        model.programs[MAIN] = Blob.of(bytes(data), "application/vnd.jax.export")
        assert refusal(model) == "program-effects"
        assert refusal(model, effects=True) == "program-effects"

    @pytest.mark.library
    @pytest.mark.parametrize("data", [b"", b"\xff" * 64, b"\x08\0\0\0" + b"\x7f" * 60], ids=["empty", "ones", "table"])
    def test_bytes_that_are_no_function_are_refused(self, made: Model, data: bytes) -> None:
        """What does not decode has a code, in a process of its own, and a choice runs the evaluator."""
        programs_of = made.programs | {MAIN: Blob.of(data, "application/vnd.jax.export")}
        model = replace(made, programs=programs_of)
        with pytest.raises(EtuiError) as caught:
            etui.run(model, inputs_of(), program="stablehlo")
        assert caught.value.code in {"program-form", "program-failed"}

    @pytest.mark.clause("PG-43@b65802")
    def test_the_next_program_is_tried(self, made: Model) -> None:
        """A program that fails in its process is passed over for the next one, and the result says why."""
        bad = {
            "programs/a/main.jax_export": Blob.of(b"\xff" * 64, "application/vnd.jax.export"),
            "programs/a/program.json": made.programs[INDEX],
        }
        result = etui.run(replace(made, programs=bad | made.programs), inputs_of())
        assert (result.kind, result.program) == ("stablehlo", "stablehlo")
        (passed,) = result.passed
        assert (passed.program, passed.kind) == ("a", "stablehlo")
        assert "[program-f" in passed.reason

    @pytest.mark.library
    def test_tied_weights_are_one_argument(self) -> None:
        """A variable that two modules share, one by an alias, is taken once."""
        model = core_model(units=5)
        assert model.weights is not None
        assert model.config is not None
        graph = model.config.model.graph
        assert graph is not None
        model.config.model.modules.append(
            etui.Module(
                "again",
                op="core:dense",
                attrs={"units": 5, "use_bias": False},
                params={"kernel": "again/kernel"},
            )
        )
        graph.calls.append(etui.Call("again", "again", [etui.OutputRef("last", 0)]))
        graph.outputs = etui.OutputRef("again", 0)
        model.weights.aliases["again/kernel"] = "last/kernel"
        programs.add(model, "stablehlo")
        tree = json.decode(model.programs[INDEX].read(), where="")
        assert [one["path"] for one in tree["variables"]].count("last/kernel") == 1
        assert "again/kernel" not in [one["path"] for one in tree["variables"]]
        close(
            etui.run(model, inputs_of(), program="stablehlo", isolate=False).outputs,
            etui.run(model, inputs_of(), evaluator=True).outputs,
        )

    @pytest.mark.library
    def test_what_ends_its_process_does_not_end_this_one(
        self, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A program that crashes its process is an error that names the signal, and a choice runs the evaluator."""
        crash = "import os, sys\nif 'etui.programs.worker' in ' '.join(sys.orig_argv): os.kill(os.getpid(), 11)\n"
        (tmp_path / "path").mkdir()
        (tmp_path / "path/sitecustomize.py").write_text(crash)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
        with pytest.raises(EtuiError, match="signal 11") as caught:
            etui.run(program, inputs_of(), program="stablehlo")
        assert caught.value.code == "program-failed"
        result = etui.run(program, inputs_of())
        assert result.kind == "evaluator"
        assert "signal 11" in result.passed[0].reason

    @pytest.mark.library
    def test_what_does_not_end_is_ended(self, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After the timeout the process is gone, and the error says so."""
        wait = "import sys, time\nif 'etui.programs.worker' in ' '.join(sys.orig_argv): time.sleep(600)\n"
        (tmp_path / "path").mkdir()
        (tmp_path / "path/sitecustomize.py").write_text(wait)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))
        with pytest.raises(EtuiError, match=r"within 0\.5 seconds") as caught:
            etui.run(program, inputs_of(), program="stablehlo", timeout=0.5)
        assert caught.value.code == "program-failed"
        for isolate, evaluator in ((False, False), (True, True)):
            with pytest.raises(EtuiError) as caught:
                etui.run(program, inputs_of(), timeout=1, isolate=isolate, evaluator=evaluator)
            assert caught.value.code == "program-option"

    @pytest.mark.clause("PG-41@2a4d14")
    def test_modules_of_the_callers_folder_are_not_imported(self, program: Path, tmp_path: Path) -> None:
        """A file that is named as a framework, in the folder where the command runs, is not run."""
        (tmp_path / "jax.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nraise SystemExit(1)\n")
        write_arrays(tmp_path / "in.npz", inputs_of())
        command = [
            sys.executable,
            "-P",
            "-m",
            "etui",
            "run",
            str(program),
            "--input",
            "in.npz",
            "--program",
            "stablehlo",
        ]
        environment = os.environ | {"PYTHONPATH": str(Path(etui.__file__).parent.parent)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not (tmp_path / "sprung").exists()
