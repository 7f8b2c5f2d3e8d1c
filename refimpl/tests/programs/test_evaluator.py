"""`etui.run` without a program: the reference evaluator runs what the core vocabulary defines, and no other code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import etui
from etui.canonical.values import MapValue, OutputRef
from etui.checkpoints import Series
from etui.core.evaluate import evaluate
from etui.errors import EtuiError
from etui.programs.naming import signature_of
from etui.storage.numpy_files import write_arrays
from etui.testing.runnable import core_model, inputs_of

WORDS_MODEL = Path(__file__).parents[2] / "examples" / "models" / "words.keras"


@pytest.mark.clause("PG-43@b65802")
@pytest.mark.clause("PG-45@b30760")
def test_a_model_without_programs_is_evaluated(artifact: Path) -> None:
    """The outputs have the names and the numbers that the evaluator gives, and the result says who computed them."""
    expected = evaluate(core_model(), list(inputs_of().values()))
    result = etui.run(artifact, inputs_of())
    assert list(result.outputs) == ["features", "score"]
    for name, array in result.outputs.items():
        np.testing.assert_array_equal(array, expected[name])
    assert (result.kind, result.program, result.reason) == ("evaluator", None, "it has no program")
    assert result.passed == []
    with etui.open(artifact) as model:
        assert result.identity == model.digest


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_inputs_come_as_arrays_or_as_files(tmp_path: Path, form: str) -> None:
    """A map, a list in order, a file by name and files in order give the same, for both forms of an artifact."""
    etui.save(core_model(), tmp_path / "model", form=form)
    given = inputs_of()
    write_arrays(tmp_path / "in.npz", given)
    for name, array in given.items():
        np.save(tmp_path / f"{name}.npy", array)
    results = [
        etui.run(tmp_path / "model", inputs)
        for inputs in (
            given,
            list(given.values()),
            tmp_path / "in.npz",
            [tmp_path / "words.npy", str(tmp_path / "vector.npy")],
            [f"vector={tmp_path}/vector.npy", f"words={tmp_path}/words.npy"],
        )
    ]
    for result in results:
        np.testing.assert_array_equal(result["score"], results[0]["score"])
    assert len(results) == 5


@pytest.mark.library
def test_a_model_in_memory_is_run(artifact: Path) -> None:
    """An `etui.Model`, opened or made, is run without being saved."""
    with etui.open(artifact) as model:
        opened = etui.run(model, inputs_of())
    made = etui.run(core_model(), inputs_of())
    np.testing.assert_array_equal(opened["score"], made["score"])
    assert made.identity is None


@pytest.mark.library
def test_a_step_of_a_series_is_run(tmp_path: Path) -> None:
    """It gives what the model gives that was saved as that step."""
    series = Series(tmp_path / "series")
    series.save(core_model(seed=3), 7)
    (step,) = series
    np.testing.assert_array_equal(
        etui.run(step, inputs_of())["score"], etui.run(core_model(seed=3), inputs_of())["score"]
    )


@pytest.mark.library
@pytest.mark.parametrize("thing", [None, 5, object(), ["model.etui"]])
def test_what_is_no_model_is_told(thing: object) -> None:
    """Something that cannot be run is refused with what can."""
    with pytest.raises(EtuiError) as caught:
        etui.run(thing, {})  # type: ignore[arg-type]  # that is the point
    assert caught.value.code == "run-model"


@pytest.mark.library
def test_what_has_no_definition_is_named_with_the_reason() -> None:
    """Not the ops that only stay in Keras' terms because another one does."""
    with pytest.raises(EtuiError) as caught:
        etui.run(WORDS_MODEL, {})
    assert "'words': keras:TextVectorization stays" in (caught.value.found or "")
    assert "keras:Dense" not in str(caught.value)


@pytest.mark.clause("PG-42@ba5492")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"words": None}, "run-input"),
        ({"other": np.zeros(1)}, "run-input"),
        ({"vector": np.zeros((2, 4), np.float32)}, "run-input-shape"),
        ({"words": np.zeros((2, 6), np.float32)}, "run-input-dtype"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(artifact: Path, change: dict[str, np.ndarray], code: str) -> None:
    """A missing, an unknown, a misshapen input and one of another dtype have codes of their own."""
    with pytest.raises(EtuiError) as caught:
        etui.run(artifact, inputs_of() | change)
    assert caught.value.code == code


@pytest.mark.library
def test_what_an_op_cannot_take_is_a_coded_error(artifact: Path) -> None:
    """Inputs whose batches differ fit one by one, and the op that meets them says so."""
    with pytest.raises(EtuiError) as caught:
        etui.run(artifact, inputs_of() | {"vector": np.zeros((3, 5), np.float32)})
    assert caught.value.code == "core-evaluate"


@pytest.mark.clause("PG-41@2a4d14")
def test_the_code_of_the_author_is_not_run(tmp_path: Path) -> None:
    """A custom layer is named in the error, and neither imported nor looked up."""
    layer = etui.Module("evil", op="custom:os>system", attrs={"command": f"touch {tmp_path}/sprung"})
    root = etui.Module(
        "model",
        "graph",
        "core:graph",
        modules=[etui.Module("x", op="core:input", attrs={"shape": [None, 2], "dtype": "float32"}), layer],
        graph=etui.Graph(
            OutputRef("x", 0),
            OutputRef("evil", 0),
            [etui.Call("x", "x"), etui.Call("evil", "evil", [OutputRef("x", 0)])],
        ),
    )
    model = etui.Model(etui.Config(root), etui.Weights())
    with pytest.raises(EtuiError, match="custom:os>system") as caught:
        etui.run(model, np.zeros((1, 2)))
    assert caught.value.code == "run-none"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.library
def test_weights_alone_cannot_be_run(tmp_path: Path) -> None:
    """An artifact without a config says that it cannot be evaluated."""
    weights = etui.Weights()
    weights.add("w", etui.Tensor.of([1.0]), role="w")
    etui.save(etui.Model(weights=weights), tmp_path / "w.etui")
    with pytest.raises(EtuiError) as caught:
        etui.run(tmp_path / "w.etui", [])
    assert caught.value.code == "run-none"


@pytest.mark.library
def test_a_model_of_keras_is_run_without_keras(tmp_path: Path) -> None:
    """A `.keras` file is run as it is, in a process where no framework can be imported."""
    kernel = etui.Tensor.of(np.array([[1.0, 2.0]], np.float32).T)
    modules = [
        etui.Module("x", op="keras:InputLayer", attrs={"batch_shape": [None, 2], "dtype": "float32"}),
        etui.Module(
            "dense", op="keras:Dense", attrs={"units": 1, "use_bias": False}, params={"kernel": "dense/kernel"}
        ),
    ]
    calls = [etui.Call("x", "x"), etui.Call("dense", "dense", [OutputRef("x", 0)])]
    graph = etui.Graph([OutputRef("x", 0)], [OutputRef("dense", 0)], calls)
    model = etui.Model(etui.Config(etui.Module("m", "graph", "keras:Functional", modules=modules, graph=graph)))
    model.weights = etui.Weights()
    model.weights.add("dense/kernel", kernel, role="kernel")
    etui.save(model, tmp_path / "m.etui")
    etui.convert(tmp_path / "m.etui", tmp_path / "m.keras")
    script = (
        "import sys\n"
        "for name in ('keras', 'tensorflow', 'torch', 'jax', 'onnxruntime', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "import etui, numpy\n"
        "print(etui.run(sys.argv[1], numpy.array([[3.0, 4.0]])).value.tolist())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "m.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[[11.0]]\n"), done.stderr


class TestNames:
    """The names of inputs and outputs."""

    def config(self, inputs: object, outputs: object) -> etui.Config:
        model = core_model()
        assert model.config is not None
        graph = model.config.model.graph
        assert graph is not None
        graph.inputs, graph.outputs = inputs, outputs
        return model.config

    @pytest.mark.clause("PG-32@68042b")
    def test_the_keys_of_maps_and_the_ids_of_calls_are_the_names(self) -> None:
        """Maps give keys, joined where they are nested; lists give ids, with numbers where these come again."""
        words, vector = OutputRef("words", 0), OutputRef("vector", 0)
        last, joined = OutputRef("last", 0), OutputRef("joined", 0)
        cases = [
            ([words, vector], last, ["words", "vector"], ["last"]),
            ({"b": words, "a": vector}, {"z": last, "y": joined}, ["a", "b"], ["y", "z"]),
            (
                [words, vector],
                [last, [joined, last], last],
                ["words", "vector"],
                ["last", "joined", "last_1", "last_2"],
            ),
            ([words, vector], {"a": {"b": last, "c": [joined]}}, ["words", "vector"], ["a/b", "a/c"]),
            ([words, vector], MapValue(((1, last), ("x", joined))), ["words", "vector"], ["1", "x"]),
            ({"a": [words, vector]}, last, ["words", "vector"], ["last"]),
        ]
        for inputs, outputs, taken, given in cases:
            signature = signature_of(self.config(inputs, outputs))
            assert [spec.name for spec in signature.inputs] == taken
            assert [spec.name for spec in signature.outputs] == given
        assert len(cases) == 6

    @pytest.mark.library
    def test_one_tensor_may_be_given_very_often(self) -> None:
        """Names are numbered in one pass: one search for each name would take the square of their number."""
        module = etui.Module("x", op="core:input", attrs={"shape": [None, 2], "dtype": "float32"})
        ends = [OutputRef("x", 0)] * 50_000
        root = etui.Module(
            "m",
            "graph",
            "core:graph",
            modules=[module],
            graph=etui.Graph(OutputRef("x", 0), ends, [etui.Call("x", "x")]),
        )
        names = [spec.name for spec in signature_of(etui.Config(root)).outputs]
        assert names[:3] == ["x", "x_1", "x_2"]
        assert len(set(names)) == 50_000

    @pytest.mark.library
    def test_an_input_has_the_dtype_and_shape_of_its_module(self) -> None:
        """What the config leaves open is null."""
        model = core_model()
        assert model.config is not None
        words, vector = signature_of(model.config).inputs
        assert (words.dtype, words.shape) == ("int32", (None, None))
        assert (vector.dtype, vector.shape) == ("float32", (None, 5))

    @pytest.mark.library
    def test_the_one_output_is_the_value(self) -> None:
        """`value` is the output of a model that has one, and refused for two."""
        result = etui.run(core_model(), inputs_of())
        with pytest.raises(EtuiError) as caught:
            _ = result.value
        assert caught.value.code == "run-output"
