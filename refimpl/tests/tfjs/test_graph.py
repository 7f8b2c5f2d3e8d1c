"""Graph models by hand: the graph is handed on as it is, and its weights are variables that may change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.bridges.tfjs.graph import MEDIA_TYPE, PROGRAM
from etui.errors import EtuiError
from etui.report import Report

Json = Any

GRAPH = {
    "node": [
        {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"}}},
        {"name": "a/w", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}},
        {"name": "b", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}},
        {"name": "y", "op": "AddV2", "input": ["x", "a/w"], "attr": {"T": {"type": "DT_FLOAT"}}},
    ],
    "library": {},
    "versions": {"producer": 1},
}
SIGNATURE = {"inputs": {"x": {"name": "x:0", "dtype": "DT_FLOAT"}}, "outputs": {"y": {"name": "y:0"}}}
HOW = {"dtype": "uint8", "min": -1.0, "scale": 0.25, "original_dtype": "float32"}


def graph(kit: Any, **fields: Json) -> Path:
    weights = [
        ({"name": "a/w", "shape": [4], "dtype": "float32", "quantization": HOW}, bytes([0, 4, 8, 12])),
        kit.weight("b//", np.array([[1], [2]], "int32")),
        ({"name": "words", "shape": [2], "dtype": "string"}, b"\2\0\0\0hi\0\0\0\0"),
    ]
    options = {"kind": "graph-model", "signature": SIGNATURE} | fields
    folder: Path = kit.write(GRAPH, weights, **options)
    return folder


@pytest.mark.clause("KJ-21@a58563", "KJ-22@8046ae")
def test_a_graph_model_is_a_program_and_its_weights(kit: Any) -> None:
    """The document is a program byte for byte, each weight a variable by its name, and the signature is metadata."""
    folder = graph(kit, userDefinedMetadata={"labels": ["a", "b"]})
    report = Report()
    model = kit.read(folder, kind="graph", report=report)
    assert model.config is None
    assert model.programs[PROGRAM].read() == (folder / "model.json").read_bytes()
    assert model.programs[PROGRAM].media_type == MEDIA_TYPE
    assert model.metadata == {"labels": ["a", "b"], "signature": SIGNATURE}
    assert {path: (v.dtype, v.shape, v.trainable) for path, v in model.weights.items()} == {
        "a/w": ("float32", (4,), False),
        "b/%/%": ("int32", (2, 1), False),
        "words": ("bytes", (2,), False),
    }
    assert model.weights["a/w"].numpy().tolist() == [-1, 0, 1, 2]
    assert model.weights["words"].numpy().tolist() == [b"hi", b""]
    assert [entry.subject for entry in report.entries if entry.status == "cast"] == ["a/w"]


@pytest.mark.clause("KJ-23@8e1297")
def test_a_graph_model_comes_back_file_by_file(kit: Any, tmp_path: Path) -> None:
    """What was read and not changed is written with the same bytes, by way of an artifact too."""
    folder = graph(kit)
    assert kit.files(kit.back(kit.read(folder, kind="graph"), kind="graph")) == kit.files(folder)
    etui.convert(folder, tmp_path / "graph.etui")
    etui.convert(tmp_path / "graph.etui", tmp_path / "back", to="tfjs-graph")
    assert kit.files(tmp_path / "back") == kit.files(folder)


@pytest.mark.clause("KJ-23@8e1297")
def test_changed_weights_go_into_the_same_graph(kit: Any) -> None:
    """A change that quantization holds keeps the document; another one leaves the graph and widens the weight."""
    folder = graph(kit)
    model = kit.read(folder, kind="graph")
    model.weights.variables["a/w"].tensor = etui.Tensor.of(np.array([2, 1, 0, -1], "float32"))
    one, two = kit.files(folder), kit.files(kit.back(model, kind="graph"))
    assert one["model.json"] == two["model.json"]
    assert two["group1-shard1of1.bin"][:4] == bytes([12, 8, 4, 0])
    model.weights.variables["a/w"].tensor = etui.Tensor.of(np.array([0.1, 1, 0, -1], "float32"))
    report = Report()
    back = kit.back(model, kind="graph", report=report)
    assert kit.document(back)["modelTopology"] == GRAPH
    assert "quantization" not in kit.document(back)["weightsManifest"][0]["weights"][0]
    np.testing.assert_array_equal(
        kit.read(back, kind="graph").weights["a/w"].numpy(), np.array([0.1, 1, 0, -1], "float32")
    )
    assert [(e.kind, e.subject) for e in report.entries if e.status == "translated"] == [
        ("variable", "a/w"), ("program", PROGRAM),
    ]  # fmt: skip


@pytest.mark.clause("KJ-23@8e1297")
def test_changed_metadata_is_written(kit: Any) -> None:
    """The author's own map is written into the document, and what the graph is stays."""
    model = kit.read(graph(kit), kind="graph")
    model.metadata["who"] = "me"
    tree = kit.document(kit.back(model, kind="graph"))
    assert tree["userDefinedMetadata"] == {"who": "me"}
    assert (tree["signature"], tree["modelTopology"]) == (SIGNATURE, GRAPH)


@pytest.mark.clause("KJ-24@b8d8cc")
def test_other_weights_than_the_graph_has_are_refused(kit: Any) -> None:
    """A weight too many, one too few, another shape or dtype, or no graph at all, is refused with a code."""
    made = [np.array([1], "float32"), np.array([1, 2], "float32"), np.zeros((4,), "float64"), np.zeros((4,), "int32")]
    changes = [("more", made[0]), ("a/w", made[1]), ("a/w", made[2]), ("a/w", made[3])]
    for path, array in changes:
        model = kit.read(graph(kit), kind="graph")
        model.weights.variables.pop(path, None)
        model.weights.add(path, etui.Tensor.of(array), role="data", trainable=False)
        with pytest.raises(EtuiError) as caught:
            kit.back(model, kind="graph")
        assert caught.value.code == "tfjs-graph"
    model = kit.read(graph(kit), kind="graph")
    del model.weights.variables["a/w"]
    with pytest.raises(EtuiError) as caught:
        kit.back(model, kind="graph")
    assert caught.value.code == "tfjs-graph"
    for programs in ({}, {PROGRAM: etui.Blob.of(b"{}")}):
        model.programs = programs
        with pytest.raises(EtuiError) as caught:
            kit.back(model, kind="graph")
        assert caught.value.code == "tfjs-graph"


@pytest.mark.clause("KJ-3@1a00de")
def test_a_program_that_names_files_elsewhere_is_not_written(kit: Any, tmp_path: Path) -> None:
    """A document from an artifact is data of a stranger too: nothing is written outside of the model's folder."""
    model = kit.read(graph(kit), kind="graph")
    evil = model.programs[PROGRAM].read().replace(b"group1-shard1of1.bin", b"../../evil.bin")
    model.programs[PROGRAM] = etui.Blob.of(evil, MEDIA_TYPE)
    with pytest.raises(EtuiError) as caught:
        kit.back(model, kind="graph")
    assert caught.value.code == "tfjs-path"
    assert not list(tmp_path.rglob("evil.bin"))


@pytest.mark.clause("KJ-5@e4b6ef", "KJ-6@069b68")
def test_damaged_graph_models_are_refused_or_read_soundly(kit: Any) -> None:
    """Every truncation and many flipped bits of a graph model give a coded error or a model."""
    folder = graph(kit)
    read, refused = 0, set()
    for _ in kit.damaged(folder, seed=3, step=11, flips=200):
        try:
            model = kit.read(folder, kind="graph")
            for variable in model.weights.variables.values():
                variable.numpy()
            read += 1
        except EtuiError as refusal:
            refused.add(refusal.code)
    assert read > 20
    assert len(refused) > 3
