"""The graphs of SavedModels as programs, and the way back to a SavedModel (SPEC.md, annex G)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import etui
from etui.bridges.tensorflow.layer_order import layer_order
from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.bridges.tensorflow.saved_model.program import INDEX, KEPT, MAIN, MEDIA_TYPE, METADATA, signatures_of
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Graph
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model
from etui.report import Report
from etui.testing.saved_models import Maker, keras_model, module

pytest.importorskip("google_crc32c")


def read(folder: Path, report: Report | None = None, *, native: bool = True) -> Model:
    return saved_model.read(folder, Report() if report is None else report, limits=DEFAULT_LIMITS, native=native)


def write(model: Model, folder: Path, report: Report | None = None, *, strict: bool = True) -> Path:
    saved_model.write(model, folder, Report() if report is None else report, strict=strict)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestProgram:
    """The graphs as a program, and back."""

    @pytest.mark.clause("KS-17@049413")
    @pytest.mark.clause("KS-19@25b8bc")
    def test_the_program_has_the_graphs_verbatim_and_the_signatures_as_data(self, tmp_path: Path) -> None:
        """Its parts are those of the table."""
        folder = keras_model().write(tmp_path / "m")
        with read(folder) as model:
            assert set(model.programs) == {MAIN, METADATA, KEPT, INDEX}
            assert model.programs[MAIN].read() == (folder / "saved_model.pb").read_bytes()
            assert model.programs[METADATA].read() == (folder / "keras_metadata.pb").read_bytes()
            assert model.programs[MAIN].media_type == MEDIA_TYPE
            assert signatures_of(model, DEFAULT_LIMITS) == {
                "serving_default": {
                    "inputs": {"x": {"dtype": "float32", "shape": [None, 3]}},
                    "outputs": {"y": {"dtype": "float32", "shape": None}},
                    "method": "tensorflow/serving/predict",
                }
            }

    @pytest.mark.clause("KS-18@d57c17")
    @pytest.mark.parametrize("operation", ["ReadFile", "EagerPyFunc", "WriteFile", "PyFunc"])
    def test_operations_that_reach_outside_are_named_and_not_run(self, tmp_path: Path, operation: str) -> None:
        """The report and the program list them; a graph without them is verbatim."""
        maker, report = module(), Report()
        maker.graph = (
            b"\n" + bytes([5 + len(operation)]) + b"\n\x01f\x12" + bytes([len(operation)]) + operation.encode()
        )
        with read(maker.write(tmp_path / "m"), report) as model:
            assert operation in model.programs[INDEX].read().decode()
        entry = next(one for one in report.entries if one.subject == MAIN)
        assert entry.status == "data-only"
        assert operation in entry.detail
        maker.graph, report = b"", Report()
        read(maker.write(tmp_path / "n"), report).close()
        assert next(one.status for one in report.entries if one.subject == MAIN) == "verbatim"

    @pytest.mark.clause("KS-21@3481b7")
    def test_a_fingerprint_is_left_out_and_other_files_are_handed_on(self, tmp_path: Path) -> None:
        """A hash of bytes that may change would be wrong; a file that no rule knows may matter to its owner."""
        folder, report = module().write(tmp_path / "m"), Report()
        (folder / "fingerprint.pb").write_bytes(b"\x08\x01")
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "a b.txt").write_bytes(b"x")
        with read(folder, report) as model:
            assert {name: native.bindings for name, native in model.native.items()} == {
                "native/tensorflow/assets.extra/a%20b.txt": {}
            }
            write(model, tmp_path / "n")
        assert files(tmp_path / "n") == {name: data for name, data in files(folder).items() if name != "fingerprint.pb"}
        assert next(one.status for one in report.entries if one.subject == "fingerprint.pb") == "left-out"

    @pytest.mark.clause("KS-22@d98dc5")
    @pytest.mark.parametrize("maker", [module(), keras_model(), keras_model(legacy=True)])
    def test_an_unchanged_model_gives_the_same_files(self, tmp_path: Path, maker: Maker) -> None:
        """By way of an artifact in packed form, in directory form, or of none."""
        folder = maker.write(tmp_path / "m")
        for way in ("a.etui", "b/"):
            etui.convert(folder, f"{tmp_path}/{way}")
            etui.convert(f"{tmp_path}/{way}", tmp_path / "n", to="tf-savedmodel")
            assert files(tmp_path / "n") == files(folder)
        etui.convert(folder, tmp_path / "o", to="tf-savedmodel")
        assert files(tmp_path / "o") == files(folder)

    @pytest.mark.clause("KS-22@d98dc5")
    def test_changed_values_are_written_below_the_same_graphs(self, tmp_path: Path) -> None:
        """A variable, a slot and the rate are those that the model has now."""
        folder = keras_model().write(tmp_path / "m")
        with read(folder) as model:
            assert model.weights is not None
            assert model.optimizer is not None
            model.weights.variables["d/kernel"].tensor = etui.Tensor.of(np.full((3, 2), 9, "float32"))
            optimizer = model.optimizer.optimizers["optimizer"]
            optimizer.slots["d/bias"]["momentum"] = etui.Tensor.of(np.full(2, 5, "float32"))
            optimizer.step = optimizer.micro_step = 4
            write(model, tmp_path / "n")
        with read(tmp_path / "n") as model:
            assert model.weights is not None
            assert model.optimizer is not None
            assert (model.weights["d/kernel"].numpy() == 9).all()
            optimizer = model.optimizer.optimizers["optimizer"]
            assert (optimizer.slots["d/bias"]["momentum"].numpy() == 5).all()
            assert optimizer.step == 4
        assert (tmp_path / "n" / "saved_model.pb").read_bytes() == (folder / "saved_model.pb").read_bytes()

    @pytest.mark.clause("KS-23@821757")
    def test_a_program_of_another_config_is_not_written(self, tmp_path: Path) -> None:
        """After an edit the graphs compute something else, so tf_keras makes the model from the config."""
        with read(keras_model().write(tmp_path / "m")) as model:
            assert model.config is not None
            model.config.find("d").attrs["activation"] = "relu"
            report = Report()
            write(model, tmp_path / "n", report)
        assert [one.detail for one in report.entries if one.status == "stale"] == ["config.json changed since"]
        with read(tmp_path / "n") as model:
            assert model.config is not None
            assert model.config.find("d").attrs["activation"] == "relu"
            assert model.programs == {}

    @pytest.mark.clause("KS-23@821757")
    @pytest.mark.parametrize("change", ["shape", "dtype", "gone", "more"])
    def test_a_program_of_other_variables_is_not_written(self, tmp_path: Path, change: str) -> None:
        """Graphs take each variable with its dtype and shape; a model that has only graphs cannot be written then."""
        with read(module().write(tmp_path / "m")) as model:
            assert model.weights is not None
            if change == "gone":
                del model.weights.variables["w"]
            elif change == "more":
                model.weights.add("x", etui.Tensor.of(np.ones(1)), role="x")
            else:
                array = np.ones((2, 3), "float32") if change == "shape" else np.ones((2, 2), "float64")
                model.weights.variables["w"].tensor = etui.Tensor.of(array)
            report = Report()
            with pytest.raises(etui.TransferError) as refusal:
                write(model, tmp_path / "n", report)
        assert refusal.value.code == "savedmodel-target"
        assert [one.status for one in report.entries] == ["stale"]
        assert not (tmp_path / "n").exists()

    @pytest.mark.clause("KS-24@dcc197")
    def test_a_changed_compile_config_is_written_into_the_metadata(self, tmp_path: Path) -> None:
        """The graphs stay; only what tf_keras compiles with is another."""
        folder = keras_model().write(tmp_path / "m")
        with read(folder) as model:
            assert model.training is not None
            assert model.optimizer is not None
            model.training.loss = "mae"
            model.optimizer.optimizers["optimizer"].hyperparameters["beta_1"] = 0.5
            report = Report()
            write(model, tmp_path / "n", report)
        assert [one.subject for one in report.entries if one.status == "regenerated"] == ["keras_metadata.pb"]
        with read(tmp_path / "n") as model:
            assert model.training is not None
            assert model.optimizer is not None
            assert model.training.loss == "mae"
            assert model.optimizer.optimizers["optimizer"].hyperparameters["beta_1"] == 0.5
            assert len(model.optimizer.optimizers["optimizer"].slots) == 2
        assert (tmp_path / "n" / "saved_model.pb").read_bytes() == (folder / "saved_model.pb").read_bytes()

    @pytest.mark.clause("KS-20@7c2427")
    @pytest.mark.parametrize(
        ("part", "content", "code"),
        [
            (INDEX, None, "savedmodel-program"),
            (INDEX, b"", "json-syntax"),
            (INDEX, b"{}", "savedmodel-program"),
            (INDEX, b'{"format":"etui-saved-model"}', "savedmodel-program"),
            (INDEX, b"\xff", "json-encoding"),
            (KEPT, None, "savedmodel-program"),
            (KEPT, b"{}", "protobuf-syntax"),
            (KEPT, b"\x0a\xff\xff\xff\xff\xff", "protobuf-syntax"),
            (KEPT, b"\x0a\x09\x0a\x01k\x12\x04int8", "savedmodel-program"),
        ],
    )
    def test_programs_that_are_not_of_the_form_are_refused(
        self, tmp_path: Path, part: str, content: bytes | None, code: str
    ) -> None:
        """Nothing is written from a program that lacks a part or has another's."""
        with read(module().write(tmp_path / "m")) as model:
            if content is None:
                del model.programs[part]
            else:
                model.programs[part] = Blob.of(content)
            with pytest.raises(etui.RejectError) as refusal:
                write(model, tmp_path / "n")
        assert refusal.value.code == code
        assert not (tmp_path / "n").exists()

    @pytest.mark.library
    def test_a_keras_file_leaves_the_program_out(self, tmp_path: Path) -> None:
        """The config says what the graphs compute, so nothing is lost, and the report names it."""
        pytest.importorskip("h5py")
        report = etui.convert(keras_model().write(tmp_path / "m"), tmp_path / "m.keras")
        assert report.ok
        assert {one.status for one in report.entries if one.kind == "program"} == {"left-out"}


class TestRebuilt:
    """Folders without graphs."""

    @pytest.mark.clause("KS-25@0633d9")
    @pytest.mark.clause("KS-17@049413")
    @pytest.mark.parametrize("legacy", [False, True])
    def test_a_model_without_a_program_is_written_from_its_config_and_read_again(
        self, tmp_path: Path, legacy: bool
    ) -> None:
        """Everything of the model is there again, and no program is made up."""
        with read(keras_model(legacy=legacy).write(tmp_path / "m")) as model:
            model.programs = {}
            write(model, tmp_path / "n")
            with read(tmp_path / "n") as again:
                assert again.config is not None
                assert model.config is not None
                assert again.config.model.op == "keras:Sequential"
                assert again.config.model == model.config.model
                assert again.programs == {}
                assert again.training == model.training
                assert again.weights is not None
                assert model.weights is not None
                assert list(again.weights) == list(model.weights)
                one, two = (found.optimizer.optimizers["optimizer"] for found in (again, model) if found.optimizer)
                assert (one.algorithm, one.step, one.learning_rate) == (two.algorithm, two.step, two.learning_rate)
                for path, slots in two.slots.items():
                    for name, tensor in slots.items():
                        assert (one.slots[path][name].numpy() == tensor.numpy()).all()
                write(again, tmp_path / "o")
        assert files(tmp_path / "o") == files(tmp_path / "n")

    @pytest.mark.clause("KS-25@0633d9")
    def test_operations_of_tf_keras_take_no_layers_variables(self, tmp_path: Path) -> None:
        """An operation is a layer that counts and has no variables: those of the next layer stay its own."""
        maker = keras_model()
        assert maker.metadata is not None
        enter, last = maker.metadata[0]["model_config"]["config"]["layers"]
        relu = {"name": "tf.nn.relu", "trainable": True, "dtype": "float32", "function": "nn.relu"}
        layers = [
            enter | {"name": "input", "inbound_nodes": []},
            {"class_name": "TFOpLambda", "config": relu, "inbound_nodes": [["input", 0, 0, {"name": None}]]},
            last | {"name": "d", "inbound_nodes": [[["tf.nn.relu", 0, 0, {}]]]},
        ]
        layers[1]["name"] = "tf.nn.relu"
        ends = {"input_layers": [["input", 0, 0]], "output_layers": [["d", 0, 0]]}
        config = {"name": "m", "layers": layers, **ends}
        maker.metadata[0]["model_config"] = {"class_name": "Functional", "config": config}
        with read(maker.write(tmp_path / "m")) as model:
            model.programs = {}
            write(model, tmp_path / "n")
            with read(tmp_path / "n") as again:
                assert again.config is not None
                assert again.config == model.config
                assert not again.config.find("tf.nn.relu").params
                assert again.weights is not None
                assert list(again.weights) == ["d/kernel", "d/bias"]

    @pytest.mark.clause("KS-26@6b80b7")
    def test_a_model_that_only_code_or_graphs_tell_is_refused(self, tmp_path: Path) -> None:
        """Without its program, a module has no form; nor has a layer whose code alone names its variables."""
        with read(module().write(tmp_path / "m")) as model:
            model.programs = {}
            with pytest.raises(etui.TransferError) as refusal:
                write(model, tmp_path / "n")
            assert refusal.value.code == "savedmodel-target"
        maker = keras_model()
        assert maker.metadata is not None
        maker.metadata[0].pop("training_config")
        maker.metadata[0]["model_config"]["config"]["layers"][1]["class_name"] = "Own"
        with read(maker.write(tmp_path / "own")) as model:
            model.programs = {}
            with pytest.raises(etui.TransferError) as refusal:
                write(model, tmp_path / "n")
        assert refusal.value.code == "savedmodel-target"
        assert "d/0" in str(refusal.value)
        assert not (tmp_path / "n").exists()

    @pytest.mark.clause("KS-27@1a29ed")
    @pytest.mark.parametrize("program", [True, False])
    def test_the_same_model_gives_the_same_bytes(self, tmp_path: Path, program: bool) -> None:
        """Twice written is byte for byte the same."""
        with read(keras_model().write(tmp_path / "m")) as model:
            if not program:
                model.programs = {}
            one, two = (files(write(model, tmp_path / name)) for name in "no")
        assert one == two
        assert len(one) == 4

    @pytest.mark.clause("KS-27@1a29ed")
    def test_an_artifact_in_between_changes_no_byte(self, tmp_path: Path) -> None:
        """Written from what was read, or from the artifact that it became."""
        with read(keras_model().write(tmp_path / "m")) as model:
            model.programs = {}
            etui.save(model, tmp_path / "m.etui")
            one = files(write(model, tmp_path / "n"))
        etui.convert(tmp_path / "m.etui", tmp_path / "o", to="tf-savedmodel")
        assert files(tmp_path / "o") == one

    @pytest.mark.library
    def test_a_folder_may_be_written_over_itself(self, tmp_path: Path) -> None:
        """What is read lazily from the folder is written before the folder is replaced."""
        folder = keras_model().write(tmp_path / "m")
        before = files(folder)
        etui.convert(folder, folder, to="tf-savedmodel")
        assert files(folder) == before
        assert [path.name for path in tmp_path.iterdir()] == ["m"]

    @pytest.mark.library
    def test_a_vocabulary_among_the_assets_becomes_an_attribute(self, tmp_path: Path) -> None:
        """Without graphs there is nothing that would read the file."""
        maker = keras_model()
        assert maker.metadata is not None
        maker.metadata[0].pop("training_config")
        layer = {"class_name": "StringLookup", "config": {"name": "look", "trainable": True, "dtype": "int64"}}
        layer["config"] |= {"vocabulary": None, "has_input_vocabulary": False}  # type: ignore[operator]
        maker.metadata[0]["model_config"]["config"]["layers"].insert(1, layer)
        with read(maker.write(tmp_path / "m")) as model:
            model.programs = {}
            model.assets = {"assets/look/vocabulary.txt": Blob.of(b"a\nb")}
            report = Report()
            write(model, tmp_path / "n", report)
            assert model.config is not None
            assert model.config.find("look").attrs["vocabulary"] is None
        assert [one.status for one in report.entries if one.kind == "asset"] == ["translated"]
        with read(tmp_path / "n") as model:
            assert model.config is not None
            assert model.config.find("look").attrs["vocabulary"] == ["a", "b"]

    @pytest.mark.library
    def test_layers_are_numbered_by_depth(self) -> None:
        """The order of tf_keras: the deepest first, then as a search from the outputs meets them."""

        def call(name: str, *inputs: str) -> Call:
            return Call(name, name, [[OutputRef(one, 0) for one in inputs]] if inputs else [])

        calls = [
            call("i"),
            call("far", "i"),
            call("j"),
            call("near", "i"),
            call("sum", "near", "far"),
            call("spare", "j"),
        ]
        graph = Graph([OutputRef("i", 0), OutputRef("j", 0)], OutputRef("sum", 0), calls)
        names = [one.id for one in calls]
        assert layer_order(graph, names) == ["i", "near", "far", "j", "sum", "spare"]
