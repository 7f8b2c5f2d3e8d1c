"""Models of few modules and many calls: what runs or writes them out refuses them, and what does not, stays quick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.bridges.keras.core import shapes
from etui.canonical.values import OutputRef
from etui.cli import main
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.weights import Weights
from etui.core import extent
from etui.core.evaluate import evaluate
from etui.errors import EtuiError
from etui.model import Model
from etui.testing.view_models import doubled

DEPTH = 40


@pytest.mark.library
def test_calls_are_counted_on_all_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level has its input's call and two of the level below; the model may have as many as the bound, and no more."""
    calls = 3 + 2 * (3 + 2 * 3)
    for bound, refused in ((calls, False), (calls - 1, True)):
        monkeypatch.setattr(extent, "MOST_CALLS", bound)
        if refused:
            with pytest.raises(EtuiError, match="more than 20 calls"):
                extent.check_calls(Config(doubled(3)), "core-evaluate")
        else:
            extent.check_calls(Config(doubled(3)), "core-evaluate")


@pytest.mark.library
def test_a_shared_module_counts_as_the_one_that_it_stands_for() -> None:
    """What a `shared` module stands for is counted at each of its calls; what stands for its owner has no end."""
    shared = Module("again", "shared", target="m")
    root = Module("root", "layer", "core:sequential", modules=[doubled(16), shared])
    with pytest.raises(EtuiError) as caught:
        extent.check_calls(Config(root), "core-evaluate")
    assert caught.value.code == "core-evaluate"
    endless = Module("root", "layer", "core:sequential", modules=[doubled(1, Module("m", "shared", target="m"))])
    with pytest.raises(EtuiError):
        extent.check_calls(Config(endless), "core-evaluate")


@pytest.mark.library
def test_the_evaluator_and_the_emitter_refuse_a_model_of_too_many_calls(tmp_path: Path) -> None:
    """A model of 2^40 calls is refused before the first is made, and one of 2^6 is run."""
    pytest.importorskip("onnx")
    arrays = np.array([[-1.0, 2.0, 3.0, -4.0]], np.float32)
    assert evaluate(Model(config=Config(doubled(6))), [arrays])[0].tolist() == [[0.0, 2.0, 3.0, 0.0]]
    with pytest.raises(EtuiError) as caught:
        evaluate(Model(config=Config(doubled(DEPTH))), [arrays])
    assert caught.value.code == "core-evaluate"
    path = tmp_path / "m.etui"
    etui.save(Model(config=Config(doubled(DEPTH)), weights=Weights()), path)
    with pytest.raises(EtuiError) as caught:
        etui.onnx.export(path, tmp_path / "m.onnx")
    assert caught.value.code == "onnx-op"


@pytest.mark.library
def test_a_model_of_many_calls_goes_to_keras_without_making_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shapes within a model that is called twice on each of 40 levels are looked at once for each level."""
    seen = 0
    model = shapes._model

    def counted(*arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        return model(*arguments)

    monkeypatch.setattr(shapes, "_model", counted)
    etui.save(Model(config=Config(doubled(DEPTH))), tmp_path / "m.etui")
    etui.convert(tmp_path / "m.etui", tmp_path / "m.keras")
    assert 0 < seen <= DEPTH * DEPTH


@pytest.mark.library
def test_a_model_that_is_called_on_ever_other_shapes_is_looked_at_so_often_and_no_more() -> None:
    """Shapes are exact below the bound, and behind it the work for one model does not grow any more."""
    pad = Module("m", op="core:pad", attrs={"padding": [[0, 1]]})
    assert shapes.output_shapes(doubled(2, pad), [(None, 4)]) == [(None, 8)]
    known: shapes.Models = {}
    assert len(shapes.output_shapes(doubled(14, pad), [(None, 4)], known)) == 1
    assert len(known) == 14
    assert max(len(found) for found in known.values()) <= 2 * shapes._MOST_CALLS


@pytest.mark.library
def test_an_output_that_no_memory_holds_is_an_error_with_a_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output spread to 10^13 rows without their memory is refused where the command looks at it."""
    source = Module("input", op="core:input", attrs={"shape": [None, 4], "dtype": "float32"})
    wide = Module("wide", op="core:broadcast_to", attrs={"shape": [10**13, 4]})
    calls = [Call("input", "input"), Call("wide", "wide", [OutputRef("input", 0)])]
    graph = Graph([OutputRef("input", 0)], [OutputRef("wide", 0)], calls)
    etui.save(
        Model(config=Config(Module("top", "graph", "core:graph", modules=[source, wide], graph=graph))),
        tmp_path / "m.etui",
    )
    np.save(tmp_path / "x.npy", np.ones((1, 4), np.float32))
    arguments = ["run", str(tmp_path / "m.etui"), "--evaluator", "--input", str(tmp_path / "x.npy"), "--json"]
    assert main(arguments) == 1
    assert json.loads(capsys.readouterr().out)["code"] == "out-of-memory"
