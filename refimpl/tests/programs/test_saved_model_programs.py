"""The graphs of SavedModels, run by TensorFlow over the variables of the artifact."""

from __future__ import annotations

import importlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import etui
from etui import programs
from etui.bridges.tensorflow.saved_model.effects import does_more, effects_when_run
from etui.bridges.tensorflow.saved_model.program import INDEX, MAIN
from etui.bridges.tensorflow.saved_model.write import write_saved_model
from etui.canonical import json
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.model import Blob, Model
from etui.report import Report

pytest.importorskip("tensorflow")
pytest.importorskip("google_crc32c")
pytestmark = pytest.mark.frameworks


@pytest.fixture(scope="module")
def tf() -> Any:
    return importlib.import_module("tensorflow")


@pytest.fixture(scope="module")
def plain(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of a module that scales numbers and raises texts, with two signatures."""
    scale = tf.Variable([1.0, 2.0, 3.0], name="scale")
    x, t = tf.TensorSpec([None, 3], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="t")
    module = tf.Module()
    module.scale = scale
    module.serve = tf.function(lambda x, t: {"y": x * scale, "upper": tf.strings.upper(t)}, input_signature=[x, t])
    module.count = tf.function(lambda n: {"m": n + 1}, input_signature=[tf.TensorSpec([], tf.int64, name="n")])
    folder = tmp_path_factory.mktemp("plain") / "model"
    signatures = {
        "serving_default": module.serve.get_concrete_function(),
        "count": module.count.get_concrete_function(),
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.fixture(scope="module")
def reader(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel whose function reads any file."""
    path = tf.TensorSpec([], tf.string, name="path")
    module = tf.Module()
    module.serve = tf.function(lambda path: {"content": tf.io.read_file(path)}, input_signature=[path])
    folder = tmp_path_factory.mktemp("reader") / "model"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve.get_concrete_function()})
    return folder


@pytest.fixture(scope="module")
def keras_export(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, np.ndarray]:
    """A model of tf_keras as a SavedModel, with an input and what tf_keras computes of it."""
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(3)
    model = tf_keras.Sequential(
        [tf_keras.Input((4,)), tf_keras.layers.Dense(3, activation="relu"), tf_keras.layers.Dense(2)]
    )
    folder = tmp_path_factory.mktemp("keras") / "model"
    model.save(str(folder), save_format="tf")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    return folder, model(x).numpy(), x


GIVEN = {"x": np.array([[1, 2, 3]], np.float32), "t": np.array(["é", "b"])}


@pytest.mark.clause("PG-37@803f12")
def test_the_graphs_are_run_over_the_variables_as_they_are(plain: Path, tmp_path: Path) -> None:
    """A folder and an artifact made of it give what TensorFlow gives, and with other numbers what these give."""
    etui.convert(plain, tmp_path / "model.etui")
    for location in (plain, tmp_path / "model.etui"):
        result = etui.run(location, GIVEN, isolate=False)
        assert (result.kind, result.signature) == ("saved_model", "serving_default")
        np.testing.assert_array_equal(result["y"], [[1, 4, 9]])
        assert result["upper"].tolist() == ["é".encode(), b"B"]
    with etui.open(tmp_path / "model.etui") as model:
        assert model.weights is not None
        changed = replace(model, weights=etui.Weights())
        assert changed.weights is not None
        changed.weights.add("scale", etui.Tensor.of(np.array([5, 6, 7], np.float32)), role="scale")
        np.testing.assert_array_equal(etui.run(changed, GIVEN, isolate=False)["y"], [[5, 12, 21]])


@pytest.mark.library
def test_it_runs_in_a_process_of_its_own(plain: Path) -> None:
    """Numbers and texts come there and back."""
    result = etui.run(plain, GIVEN)
    np.testing.assert_array_equal(result["y"], [[1, 4, 9]])
    assert result["upper"].tolist() == ["é".encode(), b"B"]
    assert result.inputs[0].as_json() == {"name": "t", "dtype": "bytes", "shape": [2]}


@pytest.mark.library
def test_a_signature_is_chosen_or_named(plain: Path) -> None:
    """The one for serving is the default, another is run by its name, and one that is not there is refused."""
    assert list(programs.list(plain)[0].signatures) == ["count", "serving_default"]
    assert etui.run(plain, {"n": 4}, signature="count", isolate=False)["m"] == 5
    with pytest.raises(EtuiError) as caught:
        etui.run(plain, {"n": 4}, program="saved_model", signature="other", isolate=False)
    assert caught.value.code == "program-missing"


@pytest.mark.library
def test_a_model_of_keras_gives_what_keras_gives(keras_export: tuple[Path, Any, np.ndarray], tmp_path: Path) -> None:
    """The SavedModel, the artifact in the terms of Keras and that of the core vocabulary, and the evaluator agree."""
    folder, expected, x = keras_export
    etui.convert(folder, tmp_path / "keras.etui")
    etui.convert(folder, tmp_path / "core.etui", vocabulary="core")
    for location in (folder, tmp_path / "keras.etui", tmp_path / "core.etui"):
        result = etui.run(location, x, isolate=False)
        assert result.kind == "saved_model", result.passed
        np.testing.assert_array_equal(result.value, expected)
        np.testing.assert_allclose(etui.run(location, x, evaluator=True).value, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.library
def test_programs_of_all_kinds_agree_in_one_artifact(
    keras_export: tuple[Path, Any, np.ndarray], tmp_path: Path
) -> None:
    """A model of Keras gives the same by ONNX, by StableHLO, by its own graphs and by the evaluator."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("jax")
    folder, expected, x = keras_export
    path = tmp_path / "m.etui"
    etui.convert(folder, path)
    for kind in ("onnx", "stablehlo"):
        programs.add(path, kind)
    found = {one.name: one for one in programs.list(path)}
    assert sorted(found) == ["onnx", "saved_model", "stablehlo"]
    assert all(not one.stale and not one.fault for one in found.values())
    for name in found:
        result = etui.run(path, [x], program=name, isolate=False)
        np.testing.assert_allclose(result.value, expected, rtol=1e-5, atol=1e-5)
    assert etui.run(path, [x], isolate=False).kind == "onnx"
    assert etui.verify(path).parts > 6


@pytest.mark.clause("PG-40@c1a506")
def test_a_program_of_another_config_is_run_only_if_asked(
    keras_export: tuple[Path, Any, np.ndarray], tmp_path: Path
) -> None:
    """After an edit of the config the evaluator runs, which says why; asked for, the graphs are run as they were."""
    folder, expected, x = keras_export
    etui.convert(folder, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        assert model.config is not None
        model.config.model.modules[1].attrs["activation"] = "tanh"
        chosen = etui.run(model, x)
        assert chosen.kind == "evaluator"
        assert "program-stale" in chosen.passed[0].reason
        with pytest.raises(EtuiError) as caught:
            etui.run(model, x, program="saved_model")
        assert caught.value.code == "program-stale"
        asked = etui.run(model, x, program="saved_model", stale=True, isolate=False)
        np.testing.assert_array_equal(asked.value, expected)
        assert "stale" in asked.reason
        assert model.weights is not None
        del model.weights.variables[next(iter(model.weights.variables))]
        with pytest.raises(EtuiError) as caught:
            etui.run(model, x, program="saved_model", stale=True, isolate=False)
        assert caught.value.code in {"program-stale", "keras-variables"}


@pytest.mark.clause("PG-38@ae76af")
@pytest.mark.clause("PG-44@312338")
def test_graphs_that_reach_files_are_run_only_if_asked(reader: Path, tmp_path: Path) -> None:
    """What the author says of it does not count: the operation is found, never chosen, and run if the caller asks."""
    etui.convert(reader, tmp_path / "m.etui", strict=False)
    (tmp_path / "secret").write_text("a secret")
    given = {"path": np.array(str(tmp_path / "secret"))}
    with etui.open(tmp_path / "m.etui") as model:
        tree = json.decode(model.programs[INDEX].read(), where="") | {"effects": []}
        lying = replace(model, programs=model.programs | {INDEX: Blob.of(json.encode(tree))})
        assert programs.list(lying)[0].effects == ("ReadFile",)
        with pytest.raises(EtuiError) as caught:
            etui.run(lying, given)
        assert caught.value.code == "run-none"
        with pytest.raises(EtuiError) as caught:
            etui.run(lying, given, program="saved_model")
        assert (caught.value.code, caught.value.error_class) == ("program-effects", "unsafe")
        assert etui.run(lying, given, effects=True, isolate=False)["content"].item() == b"a secret"


@pytest.mark.clause("PG-38@ae76af")
def test_the_savers_of_tensorflow_do_not_count_unless_they_are_called(tf: Any, plain: Path) -> None:
    """Every SavedModel can save its variables; a function that names the saver could write files."""
    from tensorflow.core.protobuf import saved_model_pb2

    data = (plain / "saved_model.pb").read_bytes()
    assert b"SaveV2" in data
    assert effects_when_run(data, DEFAULT_LIMITS, "x") == []
    message = saved_model_pb2.SavedModel.FromString(data)
    functions = {one.signature.name: one for one in message.meta_graphs[0].graph_def.library.function}
    saver = next(name for name in functions if name.startswith("__inference__traced_save"))
    caller = next(one for name, one in functions.items() if name.startswith("__inference_signature_wrapper"))
    caller.node_def.add(name="hidden", op="PartitionedCall").attr["f"].func.name = saver
    assert "SaveV2" in effects_when_run(message.SerializeToString(), DEFAULT_LIMITS, "x")


@pytest.mark.clause("PG-38@ae76af")
def test_operations_are_told_by_the_words_of_their_names(tf: Any) -> None:
    """Of the operations that TensorFlow has, those that reach outside are found, and those that compute are not."""
    outside = [
        *("ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless", "PrintV2", "SaveV2"),
        *("RestoreV2", "ImmutableConst", "TFRecordReaderV2", "TextLineDataset", "LMDBReader", "SqlDataset", "RpcCall"),
        *("DebugIdentityV3", "InitializeTableFromTextFileV2", "WriteSummary", "TPUReplicate", "CollectiveReduce"),
        *("MergeV2Checkpoints", "ShardedFilename", "XlaCallModule", "_Send", "_Recv"),
    ]
    inside = [
        *("MatMul", "Conv2D", "ReadVariableOp", "VarHandleOp", "StatefulPartitionedCall", "Fingerprint", "HashTableV2"),
        *("LookupTableFindV2", "StringUpper", "FusedBatchNormV3", "TensorListReserve", "TensorArrayReadV3", "NoOp"),
        *("PlaceholderWithDefault", "While", "If", "Softmax", "SparseTensorDenseMatMul", "ConcatV2", "Identity"),
        *("Conv2DBackpropInput", "StaticRegexReplace", "Assert"),
    ]
    known = {name for name in (*outside, *inside) if hasattr(tf.raw_ops, name)}
    assert len(known) > 35
    assert [name for name in outside if not does_more(name)] == []
    assert [name for name in inside if does_more(name)] == []


def _renamed(data: bytes, prefix: str) -> bytes:
    """A SavedModel each of whose functions but the savers has a name that begins so."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString(data)
    (graph,) = message.meta_graphs
    functions = [*graph.graph_def.library.function]
    names = {one.signature.name: one.signature.name for one in functions}
    names = {name: name if "traced" in name else f"{prefix}_{name.rpartition('_')[2]}" for name in names}
    for one in functions:
        one.signature.name = names[one.signature.name]
    for node in (node for holder in (graph.graph_def.node, *(one.node_def for one in functions)) for node in holder):
        for value in node.attr.values():
            if value.HasField("func"):
                value.func.name = names[value.func.name]
    objects = graph.object_graph_def
    for name, new in names.items():
        if name != new and name in objects.concrete_functions:
            objects.concrete_functions[new].CopyFrom(objects.concrete_functions.pop(name))
    for node in objects.nodes:
        called = [names[name] for name in node.function.concrete_functions] if node.HasField("function") else []
        if called:
            node.function.concrete_functions[:] = called
        if node.HasField("bare_concrete_function"):
            bare = node.bare_concrete_function
            bare.concrete_function_name = names[bare.concrete_function_name]
    return bytes(message.SerializeToString())


@pytest.mark.clause("PG-38@ae76af")
def test_a_function_that_only_has_the_name_of_a_saver_counts(reader: Path, tmp_path: Path) -> None:
    """What an object of the file calls is run, whatever it is called: TensorFlow does run this one."""
    etui.convert(reader, tmp_path / "m.etui", strict=False)
    (tmp_path / "secret").write_text("a secret")
    given = {"path": np.array(str(tmp_path / "secret"))}
    data = _renamed((reader / "saved_model.pb").read_bytes(), "__inference__traced_save")
    assert effects_when_run(data, DEFAULT_LIMITS, "x") == ["ReadFile"]
    with etui.open(tmp_path / "m.etui") as model:
        main = Blob.of(data, model.programs[MAIN].media_type)
        disguised = replace(model, programs=model.programs | {MAIN: main})
        with pytest.raises(EtuiError) as caught:
            etui.run(disguised, given, program="saved_model")
        assert caught.value.code == "program-effects"
        assert etui.run(disguised, given, effects=True, isolate=False)["content"].item() == b"a secret"


@pytest.mark.clause("PG-38@ae76af")
def test_nodes_outside_of_functions_count_where_tensorflow_runs_them(tf: Any, plain: Path, tmp_path: Path) -> None:
    """A SavedModel of TensorFlow 1 has no objects, and its graph is run as a whole, when it is loaded already."""
    from tensorflow.core.protobuf import saved_model_pb2

    v1 = tf.compat.v1
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [3], name="x")
        written = tf.io.write_file(str(tmp_path / "sprung"), "x")
        signature = v1.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": x + 1})
        builder = v1.saved_model.Builder(str(tmp_path / "old"))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map={"serving_default": signature}, main_op=written
        )
        builder.save()
    old = (tmp_path / "old" / "saved_model.pb").read_bytes()
    assert effects_when_run(old, DEFAULT_LIMITS, "x") == ["WriteFile"]
    both = saved_model_pb2.SavedModel.FromString((plain / "saved_model.pb").read_bytes())
    assert effects_when_run(both.SerializeToString(), DEFAULT_LIMITS, "x") == []
    both.MergeFromString(old)
    assert "WriteFile" in effects_when_run(both.SerializeToString(), DEFAULT_LIMITS, "x")
    etui.convert(plain, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        main = Blob.of(old, model.programs[MAIN].media_type)
        with pytest.raises(EtuiError) as caught:
            etui.run(replace(model, programs=model.programs | {MAIN: main}), GIVEN)
        assert caught.value.code == "run-none"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.clause("KS-20@7c2427")
@pytest.mark.parametrize(
    "path", ["saved_model.pb", "variables/variables.index", "assets/../saved_model.pb", "../evil", "assetsx"]
)
def test_an_asset_does_not_take_the_place_of_the_graphs(plain: Path, reader: Path, tmp_path: Path, path: str) -> None:
    """A program whose assets would be other files of the folder than those below `assets/` is refused, not run."""
    etui.convert(plain, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        tree = json.decode(model.programs[INDEX].read(), where="") | {"assets": {path: "assets/other"}}
        other = Blob.of((reader / "saved_model.pb").read_bytes())
        changed = replace(
            model, programs=model.programs | {INDEX: Blob.of(json.encode(tree))}, assets={"assets/other": other}
        )
        with pytest.raises(EtuiError) as caught:
            etui.run(changed, GIVEN, program="saved_model", effects=True)
        assert caught.value.code == "savedmodel-program"
        with pytest.raises(EtuiError) as caught:
            write_saved_model(changed, tmp_path / "out", Report(), strict=False, progress=None, limits=DEFAULT_LIMITS)
        assert caught.value.code == "savedmodel-program"
    assert not (tmp_path / "out").exists()


# A name of an input or attribute that stands for something outside of the graph.
_OUTSIDE = re.compile(
    r"(^|_)(file|files|filename|filenames|path|dir|address|url|uri|server|port|vocab_file|descriptor_source|target)(_|$)"
)
# Looked at one by one: what is called so is in the graph.
_WITHIN = {"ApproxTopK": "recall_target"}


@pytest.mark.clause("PG-38@ae76af")
def test_every_operation_that_takes_the_name_of_a_file_is_found(tf: Any) -> None:
    """Of all operations that are registered, each whose inputs or attributes name files or machines is found."""
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    listed = pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList())
    operations = op_def_pb2.OpList.FromString(listed).op
    assert len(operations) > 1000
    reaching = {}
    for one in operations:
        names = {argument.name for argument in (*one.input_arg, *one.attr) if _OUTSIDE.search(argument.name)}
        if names - {_WITHIN.get(one.name)}:
            reaching[one.name] = names
    assert {"ReadFile", "DumpTensor", "LoadAndRemapMatrix", "DecodeProtoV2", "RemoteCall"} <= reaching.keys()
    assert [name for name in sorted(reaching) if not does_more(name)] == []
    assert does_more("Abort")
    assert does_more("WorkerHeartbeat")


@pytest.mark.library
@pytest.mark.parametrize(
    "changes",
    [
        {"signatures": {"serving_default": 1}},
        {"signatures": {"serving_default": {"inputs": 1, "outputs": {}, "method": ""}}},
        {
            "signatures": {
                "serving_default": {"inputs": {"x": {"dtype": 1, "shape": None}}, "outputs": {}, "method": ""}
            }
        },
        {
            "signatures": {
                "serving_default": {"inputs": {"x": {"dtype": "float32", "shape": "x"}}, "outputs": {}, "method": ""}
            }
        },
    ],
)
def test_signatures_of_another_form_are_refused(plain: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    """What the document says of signatures is checked before it is used."""
    etui.convert(plain, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        tree = json.decode(model.programs[INDEX].read(), where="") | changes
        wrong = replace(model, programs=model.programs | {INDEX: Blob.of(json.encode(tree))})
        assert "program-form" in programs.list(wrong)[0].fault


@pytest.mark.library
def test_a_program_of_the_kind_has_one_place(plain: Path, tmp_path: Path) -> None:
    """Parts of the media type in another folder are refused: annex G.4 names the one that they have."""
    etui.convert(plain, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        other = Model(model.config, model.weights, programs={"programs/other/main.pb": model.programs[MAIN]})
        assert "program-form" in programs.list(other)[0].fault


@pytest.mark.library
def test_what_tensorflow_refuses_is_a_coded_error(plain: Path, tmp_path: Path) -> None:
    """Graphs that TensorFlow cannot run with the inputs give its reason."""
    etui.convert(plain, tmp_path / "m.etui")
    with etui.open(tmp_path / "m.etui") as model:
        tree = json.decode(model.programs[INDEX].read(), where="")
        tree["signatures"]["serving_default"]["inputs"]["x"]["shape"] = [None, 4]
        wrong = replace(model, programs=model.programs | {INDEX: Blob.of(json.encode(tree))})
        given = GIVEN | {"x": np.zeros((1, 4), np.float32)}
        with pytest.raises(EtuiError) as caught:
            etui.run(wrong, given, program="saved_model", isolate=False)
        assert caught.value.code == "program-failed"


@pytest.mark.library
def test_without_tensorflow_the_error_names_it(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is listed, and running it says what to install."""
    monkeypatch.setattr("etui.programs.saved_model.find_spec", lambda _: None)
    assert programs.list(plain)[0].fault == ""
    with pytest.raises(etui.MissingExtraError, match="pip install tensorflow"):
        etui.run(plain, GIVEN, program="saved_model")
