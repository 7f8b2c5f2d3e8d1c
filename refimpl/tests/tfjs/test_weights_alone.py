"""Weights without a model: a manifest in a file of its own, as packages of JavaScript ship them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges
from etui.bridges.tfjs.weights import GRAPH, MEDIA_TYPE, NATIVE, PROGRAM
from etui.errors import EtuiError
from etui.report import Report

Json = Any

HOW = {"dtype": "uint8", "min": -1.0, "scale": 0.25}
KERNEL = np.array([[1, 2, 3], [4, 5, 6]], "float32")


def groups(kit: Any) -> list[tuple[dict[str, Json], bytes]]:
    """Weights of several kinds: plain, quantized, untrained, of integers, and of an optimizer."""
    return [
        kit.weight("conv/filters", KERNEL),
        ({"name": "conv/bias", "shape": [4], "dtype": "float32", "quantization": HOW}, bytes([0, 4, 8, 12])),
        kit.weight("norm/moving_mean", np.array([1, 2], "float32")),
        kit.weight("count", np.array(7, "int32")),
        kit.weight("adam/m", np.array([0.5], "float32"), group="optimizer"),
        kit.weight("odd//", np.array([3], "float32")),
    ]


def alone(kit: Any, weights: Any = None, **options: Any) -> Path:
    """The path of a manifest of `groups`, or of other weights."""
    path: Path = kit.alone(groups(kit) if weights is None else weights, **options)
    return path


def changed(model: Any) -> Any:
    """The model after its first variable was doubled."""
    variable = model.weights.variables["conv/filters"]
    variable.tensor = etui.Tensor.of(variable.numpy() * 2)
    return model


@pytest.mark.clause("KJ-26@0add24")
def test_a_manifest_is_known_by_its_content(kit: Any) -> None:
    """A list of groups is weights alone under any name, and other lists, objects and folders are not."""
    path = alone(kit, name="face_model-weights_manifest.json")
    assert bridges.of_source(path).name == "tfjs-weights"
    assert bridges.recognise(path.parent) is None
    folder = alone(kit).parent
    assert bridges.of_source(folder).name == "tfjs-weights"
    (folder / "model.json").write_bytes((kit.dense() / "model.json").read_bytes())
    assert bridges.of_source(folder).name == "tfjs-layers"
    others = [b"[]", b"[{}]", b'[{"paths": []}]', b'["paths", "weights"]', b'{"paths": [], "weights": []}', b"[", b""]
    for other in others:
        path.write_bytes(other)
        assert bridges.recognise(path) is None, other


@pytest.mark.clause("KJ-27@2def89")
def test_each_weight_is_a_variable(kit: Any) -> None:
    """Path, role, dtype and flag follow from the entry, and what was quantized is widened and says so."""
    report = Report()
    model = kit.read(alone(kit), kind="weights", report=report)
    assert model.config is None
    assert {path: (v.role, v.dtype, v.shape, v.trainable) for path, v in model.weights.items()} == {
        "conv/filters": ("filters", "float32", (2, 3), True),
        "conv/bias": ("bias", "float32", (4,), True),
        "norm/moving_mean": ("moving_mean", "float32", (2,), False),
        "count": ("count", "int32", (), False),
        "adam/m": ("m", "float32", (1,), False),
        "odd/%/%": ("data", "float32", (1,), True),
    }
    np.testing.assert_array_equal(model.weights["conv/filters"].numpy(), KERNEL)
    assert model.weights["conv/bias"].numpy().tolist() == [-1, 0, 1, 2]
    told = {entry.subject: (entry.status, entry.detail) for entry in report.entries if entry.kind == "variable"}
    assert told["conv/bias"][0] == "cast"
    assert told["conv/bias"][1].startswith("stored as uint8")
    assert all("its flag is a guess" in detail for _, detail in told.values())
    assert len(told) == len(model.weights)


@pytest.mark.clause("KJ-28@330d09")
def test_a_manifest_comes_back_file_by_file(kit: Any, tmp_path: Path) -> None:
    """What was read and not changed is written with the same bytes, by way of an artifact too."""
    path = alone(kit)
    assert kit.files(kit.back(kit.read(path, kind="weights"), kind="weights")) == kit.files(path.parent)
    etui.convert(path, tmp_path / "kept.etui")
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to="tfjs-weights")
    assert kit.files(tmp_path / "back") == kit.files(path.parent)
    # In place of itself, which is a folder of this format and of nothing else.
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to="tfjs-weights")
    assert kit.files(tmp_path / "back") == kit.files(path.parent)


@pytest.mark.clause("KJ-28@330d09", "KJ-29@a5ee3f")
@pytest.mark.parametrize("how", ["changed", "without the document", "a document of something else", "left out"])
def test_otherwise_a_new_manifest_lists_the_variables(kit: Any, how: str) -> None:
    """A manifest that is stale, malformed, or was not kept is written anew, in one group of plain weights."""
    model = kit.read(alone(kit), kind="weights", native=how != "left out")
    if how == "changed":
        model = changed(model)
    elif how == "without the document":
        model.native.clear()
    elif how == "a document of something else":
        model.native[NATIVE] = model.bind(etui.Blob.of(b'{"a": 1}'), "tfjs", None, "weights.json")
    report = Report()
    back = kit.back(model, kind="weights", report=report)
    assert set(kit.files(back)) == {"weights_manifest.json", "group1-shard1of1.bin"}
    (group,) = json.loads((back / "weights_manifest.json").read_text())
    assert group["paths"] == ["group1-shard1of1.bin"]
    assert [entry["name"] for entry in group["weights"]] == [entry["name"] for entry, _ in groups(kit)]
    assert not any("quantization" in entry for entry in group["weights"])
    again = kit.read(back, kind="weights")
    for name, variable in model.weights.items():
        np.testing.assert_array_equal(variable.numpy(), again.weights[name].numpy())
    assert ("document", "weights_manifest.json", "regenerated") in {
        (e.kind, e.subject, e.status) for e in report.entries
    }
    assert kit.files(kit.back(model, kind="weights")) == kit.files(back)


@pytest.mark.clause("KJ-29@a5ee3f")
def test_any_model_can_be_written_as_weights(kit: Any) -> None:
    """Aliases become copies, wide numbers are narrowed, and the rest of a model is left out and says so."""
    model = kit.read(kit.dense())
    model.weights.add("wide", etui.Tensor.of(np.array([0.1, 2.5])), role="wide", trainable=False)
    model.weights.add("big", etui.Tensor.of(np.array([2**40])), role="big", trainable=False)
    model.weights.add("text", etui.Tensor.of(np.array([b"a", b"bc"], object)), role="text", trainable=False)
    model.weights.aliases["tied/kernel"] = "first/kernel"
    report = Report()
    with pytest.raises(EtuiError) as caught:
        kit.back(model, kind="weights", report=report)
    assert caught.value.code == "not-complete"
    assert [(e.subject, e.status) for e in report.lost] == [("big", "not-transferable")]
    del model.weights.variables["big"]
    report = Report()
    back = kit.back(model, kind="weights", report=report)
    status = {(e.kind, e.subject): e.status for e in report.entries}
    assert status["variable", "wide"] == "cast"
    assert status["variable", "tied/kernel"] == "translated"
    assert status["document", "config.json"] == "left-out"
    again = kit.read(back, kind="weights").weights
    assert list(again.variables) == [*model.weights.variables, "tied/kernel"]
    np.testing.assert_array_equal(again["tied/kernel"].numpy(), model.weights["first/kernel"].numpy())
    assert again["wide"].numpy().tolist() == np.array([0.1, 2.5], "float32").tolist()
    assert again["text"].numpy().tolist() == [b"a", b"bc"]


@pytest.mark.clause("KJ-30@0e28a6", "KJ-27@2def89")
def test_a_graph_beside_the_weights_is_a_program(kit: Any, tmp_path: Path) -> None:
    """What the first converters wrote comes back file by file, and the weights of a frozen graph are not trained."""
    folder = alone(kit, files={GRAPH: b"\n\0graph"}).parent
    etui.convert(folder, tmp_path / "kept.etui")
    with etui.open(tmp_path / "kept.etui") as model:
        assert model.weights is not None
        assert model.programs[PROGRAM].read() == b"\n\0graph"
        assert model.programs[PROGRAM].media_type == MEDIA_TYPE
        assert not any(variable.trainable for variable in model.weights.variables.values())
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to="tfjs-weights")
    assert kit.files(tmp_path / "back") == kit.files(folder)
    with pytest.raises(EtuiError) as caught:
        kit.read(folder, kind="weights", limits=etui.Limits(document_bytes=6))
    assert caught.value.code == "limit-document"


@pytest.mark.library
def test_a_model_without_weights_is_refused(kit: Any) -> None:
    """Nothing is written where there is nothing to write."""
    model = kit.read(kit.dense())
    model.weights = None
    with pytest.raises(EtuiError) as caught:
        kit.back(model, kind="weights")
    assert caught.value.code == "tfjs-nothing"


@pytest.mark.clause("KJ-2@315c41", "KJ-3@1a00de", "KJ-4@ba210b", "KJ-5@e4b6ef", "KJ-6@069b68", "KJ-8@cf2434")
def test_faults_have_the_codes_of_models(kit: Any) -> None:
    """Groups, files and entries of a manifest alone are checked as those of a model are."""
    sound = groups(kit)
    first, raw = sound[0]

    def edited(change: Callable[[list[Json]], object]) -> Path:
        path = alone(kit)
        tree = json.loads(path.read_text())
        change(tree)
        path.write_text(json.dumps(tree))
        return path

    def without_a_file() -> Path:
        path = alone(kit)
        (path.parent / "shard2").unlink()
        return path

    def linked() -> Path:
        path = alone(kit)
        elsewhere = path.parent.parent / f"elsewhere{kit.count}"
        (path.parent / "shard2").rename(elsewhere)
        (path.parent / "shard2").symlink_to(elsewhere)
        return path

    def linked_graph() -> Path:
        path = alone(kit)
        (path.parent / GRAPH).symlink_to("/etc/passwd")
        return path

    cases = [
        (edited(lambda tree: tree.append(None)), "tfjs-form"),
        (edited(lambda tree: tree.append(tree[0])), "tfjs-form"),
        (edited(lambda tree: tree[0].update(paths=3)), "tfjs-form"),
        (edited(lambda tree: tree[0]["paths"].__setitem__(0, "../shard1")), "tfjs-path"),
        (edited(lambda tree: tree[0]["paths"].pop()), "tfjs-data"),
        (alone(kit, [(first | {"dtype": "float64"}, raw)]), "tfjs-dtype"),
        (alone(kit, [(first | {"quantization": {"dtype": "uint8"}}, raw)]), "tfjs-quantization"),
        (without_a_file(), "tfjs-data"),
        (linked(), "part-not-a-file"),
        (linked_graph(), "part-not-a-file"),
    ]
    for path, code in cases:
        assert bridges.of_source(path).name == "tfjs-weights"
        with pytest.raises(EtuiError) as caught:
            kit.read(path, kind="weights")
        assert caught.value.code == code, path.read_text()
    assert len(cases) == 10


@pytest.mark.clause("KJ-2@315c41", "KJ-5@e4b6ef")
def test_damaged_manifests_are_refused_or_read_soundly(kit: Any) -> None:
    """Every truncation and many flipped bits of weights alone give a coded error or a model."""
    path = alone(kit)
    read, refused = 0, set()
    for _ in kit.damaged(path.parent, seed=5, step=13, flips=200):
        try:
            model = kit.read(path, kind="weights")
            for variable in model.weights.variables.values():
                variable.numpy()
            read += 1
        except EtuiError as refusal:
            refused.add(refusal.code)
    assert read > 20
    assert len(refused) > 3


@pytest.mark.library
def test_a_folder_with_other_files_is_not_replaced(kit: Any) -> None:
    """A folder is replaced only if all that is in it belongs to the weights."""
    path = alone(kit)
    model = kit.read(path, kind="weights")
    write = bridges.by_name("tfjs-weights").translator.write
    write(model, path.parent, Report(), strict=True)
    (path.parent / "notes.txt").write_text("mine")
    before = kit.files(path.parent)
    with pytest.raises(EtuiError) as caught:
        write(kit.read(path, kind="weights"), path.parent, Report(), strict=True)
    assert caught.value.code == "target-other-format"
    assert kit.files(path.parent) == before


@pytest.mark.node
@pytest.mark.frameworks
@pytest.mark.clause("KJ-28@330d09", "KJ-29@a5ee3f", "KJ-7@9f2bb1")
def test_tensorflowjs_loads_the_same_numbers(kit: Any, judge: Callable[..., Any]) -> None:
    """`tf.loadWeights` gives the elements that the variables have, of the source's manifest and of a new one."""
    stored = np.arange(256, dtype="uint8")
    how = {"dtype": "uint8", "min": -0.7230364, "scale": 0.0061}
    wide = {"dtype": "uint16", "min": -3, "scale": 1 / 3}
    weights = [
        *groups(kit),
        ({"name": "q8", "shape": [256], "dtype": "float32", "quantization": how}, stored.tobytes()),
        ({"name": "q16", "shape": [256], "dtype": "int32", "quantization": wide}, stored.astype("uint16").tobytes()),
        (
            {"name": "half", "shape": [256], "dtype": "float32", "quantization": {"dtype": "float16"}},
            stored.astype("float16").tobytes(),
        ),
    ]
    path = alone(kit, weights)
    model = kit.read(path, kind="weights")
    anew = kit.back(kit.read(path, kind="weights", native=False), kind="weights")
    tasks = [{"do": "alone", "folder": str(folder)} for folder in (path.parent, anew)]
    for result in judge(tasks):
        assert "error" not in result, result["error"]
        found = {one["name"]: np.array(one["data"], one["dtype"]).reshape(one["shape"]) for one in result["value"]}
        assert len(found) == len(weights)
        for name, array in found.items():
            expected = model.weights["odd/%/%" if name == "odd//" else name].numpy()
            assert (array.dtype, array.shape, array.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


@pytest.mark.clause("KJ-32@636658")
def test_a_config_gives_the_weights_their_layers(kit: Any, tmp_path: Path) -> None:
    """With the config of a model the weights become that model's, and what does not fit it is refused."""
    (entry, raw), *rest = kit.dense_weights()
    how = {"dtype": "uint8", "min": -1.0, "scale": 0.25}
    weights = [(entry | {"quantization": how}, bytes(range(len(raw) // 4))), *rest]
    weights.append(kit.weight("iter", np.array(3, "int32"), group="optimizer"))
    config = tmp_path / "config.json"
    etui.convert(kit.dense(), config)
    path = kit.alone(weights)
    report = etui.convert(path, tmp_path / "whole.etui", config=config)
    status = {(e.kind, e.subject): e.status for e in report.entries}
    assert status["variable", "first/kernel"] == "cast"
    assert status["slot", "iter"] == "left-out"
    with etui.open(tmp_path / "whole.etui") as model:
        assert model.config is not None
        assert model.weights is not None
        assert not any(name.endswith("weights_manifest.json") for name in model.native)
        assert [(path, v.role, v.trainable) for path, v in model.weights.items()] == [
            ("first/kernel", "kernel", True),
            ("first/bias", "bias", True),
            ("second/kernel", "kernel", True),
            ("second/bias", "bias", True),
        ]
        assert model.weights["first/kernel"].numpy().reshape(-1).tolist() == [at / 4 - 1 for at in range(12)]
        np.testing.assert_array_equal(
            model.weights["second/bias"].numpy(), np.frombuffer(kit.dense_weights()[3][1], "float32")
        )
    etui.convert(tmp_path / "whole.etui", tmp_path / "whole", to="tfjs-layers")
    assert kit.document(tmp_path / "whole")["format"] == "layers-model"
    for wrong in (weights[1:], [*weights, kit.weight("third/bias", np.array([1], "float32"))]):
        with pytest.raises(EtuiError) as caught:
            etui.convert(kit.alone(wrong), tmp_path / "wrong.etui", config=config)
        assert caught.value.code == "tfjs-weights"
