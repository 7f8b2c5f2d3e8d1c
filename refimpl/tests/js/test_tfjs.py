"""Models that Keras made, opened in JavaScript, predict by TensorFlow.js what Keras, the evaluator and ONNX predict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.core.evaluate import evaluate
from etui.schemas import validate

pytestmark = [pytest.mark.node, pytest.mark.frameworks, pytest.mark.library]

Json = Any
# Two implementations of one function in float32: each adds up in its own order.
BOUND = 1e-5
TRAINED = ("pictures", "sentences", "towers")
LEAST = {"keras": 46, "tf_keras": 101}


def for_javascript(inputs: list[Json]) -> list[Json]:
    """Inputs of the dtypes that TensorFlow.js has."""
    return [one | {"dtype": "int32" if one["dtype"].startswith("int") else "float32"} for one in inputs]


def arrays(given: list[Json]) -> list[Any]:
    """Inputs or outputs as arrays."""
    return [np.asarray(one["data"], one.get("dtype", "float64")).reshape(one["shape"]) for one in given]


def distance(one: list[Any], two: list[Any]) -> float:
    """The largest difference of outputs, relative to the largest number among them."""
    assert [np.shape(output) for output in one] == [np.shape(output) for output in two]
    pairs = list(zip(one, two, strict=True))
    return max(float(np.abs(a - b).max() / max(1e-6, np.abs(b).max())) for a, b in pairs)


def value(result: dict[str, Json]) -> Json:
    assert "error" not in result, result["error"]
    return result["value"]


class Zoo:
    """Models of one Keras, as etuis in the terms of Keras and of the core vocabulary, and what TensorFlow.js predicts.

    Args:
        folder: where the files are.
        made: what Keras predicted, by the model's name.
        predict: has TensorFlow.js predict.
    """

    def __init__(self, folder: Path, made: dict[str, Json], predict: Callable[..., Any]) -> None:
        self.folder = folder
        self.least = LEAST[folder.name.rstrip("0123456789")]
        self.made = made
        self.found: dict[tuple[str, str], Json] = {}
        tasks: list[Json] = []
        names: list[tuple[str, str]] = []
        for name, model in made.items():
            for terms in ("keras", "core"):
                target = folder / f"{name}.{terms}.etui"
                etui.convert(folder / f"{name}.keras", target, vocabulary=terms, strict=terms == "keras")
                tasks.append({"path": str(target), "inputs": for_javascript(model["inputs"])})
                names.append((name, terms))
        for name in TRAINED:
            path = str(folder / f"{name}.keras.etui")
            tasks.append({"path": path, "inputs": for_javascript(made[name]["inputs"]), "again": True})
            names.append((name, "again"))
        self.found = dict(zip(names, predict(tasks), strict=True))

    def distances(self, terms: str) -> dict[str, float]:
        """How far TensorFlow.js is from Keras, by the model's name."""
        results = {name: value(found) for (name, one), found in self.found.items() if one == terms}
        return {
            name: distance(arrays(result["outputs"]), arrays(self.made[name]["outputs"]))
            for name, result in results.items()
        }


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def zoo(request: Any, tmp_path_factory: Any, in_keras: Callable[..., str], tensorflowjs: Callable[..., Any]) -> Zoo:
    """Every model of the zoo, made by one of the two."""
    folder = tmp_path_factory.mktemp(request.param)
    made = json.loads(in_keras("keras_zoo.py", request.param, str(folder)))
    return Zoo(folder, made, tensorflowjs)


@pytest.mark.parametrize("terms", ["keras", "core"])
def test_models_predict_what_keras_predicts(zoo: Zoo, terms: str) -> None:
    """Every layer computes in TensorFlow.js what it computes in Keras, whichever names the config has."""
    found = zoo.distances(terms)
    assert len(found) >= zoo.least
    assert {name: far for name, far in found.items() if not far <= BOUND} == {}


def test_trained_models_predict_the_same_everywhere(zoo: Zoo, tmp_path: Path) -> None:
    """A model that Keras trained gives the same numbers by TensorFlow.js, the reference evaluator and onnxruntime."""
    seen = 0
    for name in TRAINED:
        made = zoo.made[name]
        expected, inputs = arrays(made["outputs"]), arrays(made["inputs"])
        javascript = arrays(value(zoo.found[(name, "keras")])["outputs"])
        with etui.open(zoo.folder / f"{name}.core.etui") as model:
            evaluated = evaluate(model, inputs)
        target = tmp_path / f"{name}.etui"
        etui.onnx.export(zoo.folder / f"{name}.keras", target)
        session = etui.onnx.session(target)
        names = [one.name for one in session.get_inputs()]
        onnx = session.run(None, dict(zip(names, inputs, strict=True)))
        listed = evaluated if isinstance(evaluated, list | tuple) else [evaluated]
        for found in (javascript, listed, onnx):
            assert distance([np.asarray(one) for one in found], expected) <= BOUND
            seen += 1
    assert seen == 3 * len(TRAINED)


def test_a_model_that_tensorflowjs_saved_predicts_the_same(zoo: Zoo) -> None:
    """What TensorFlow.js saves of the model, the layers of this package among it, loads and predicts the same again."""
    for name in TRAINED:
        again, before = value(zoo.found[(name, "again")]), value(zoo.found[(name, "keras")])
        assert again["outputs"] == before["outputs"]
        assert again["layers"] == before["layers"]


def test_predictions_leave_no_tensor_behind(zoo: Zoo) -> None:
    """A prediction keeps no memory of TensorFlow.js but its outputs."""
    left = {name: value(found)["left"] for (name, terms), found in zoo.found.items() if terms == "keras"}
    assert len(left) >= zoo.least
    assert {name: count for name, count in left.items() if count} == {}


def test_layers_are_those_of_tensorflowjs_where_it_has_them(zoo: Zoo) -> None:
    """A picture model is made of TensorFlow.js' own layers, with the names that they have in Keras."""
    layers = value(zoo.found[("pictures", "keras")])["layers"]
    assert set(layers.values()) >= {
        "Conv2D",
        "BatchNormalization",
        "SeparableConv2D",
        "DepthwiseConv2D",
        "Dense",
        "Add",
    }
    assert layers["classes"] == "Dense"
    assert layers["pixels"] == "InputLayer"
    own = {name for name, kind in layers.items() if kind.startswith("Etui")}
    assert all(name.startswith("cropping2d") for name in own)


def test_the_report_accounts_for_every_variable(zoo: Zoo) -> None:
    """The report names each variable once, and what is left to the caller: training and the optimizer."""
    for name in TRAINED:
        result = value(zoo.found[(name, "keras")])
        report = result["report"]
        assert validate("report", report, "report") == []
        with etui.open(zoo.folder / f"{name}.keras.etui") as model:
            assert model.weights is not None
            paths = sorted(model.weights)
        entries = [entry for entry in report["entries"] if entry["kind"] == "variable"]
        assert sorted(entry["subject"] for entry in entries) == paths
        assert {entry["status"] for entry in entries} == {"restored"}
        assert report["ok"]
        assert report["counts"]["training"] == {"left-out": 1}
        assert report["counts"]["optimizer"] == {"left-out": 1}
        assert result["last"] == 1


def test_layers_of_one_name_in_several_models_are_named_in_the_report(zoo: Zoo) -> None:
    """The second layer of a name, which TensorFlow.js cannot tell from the first, gets another one, and is reported."""
    report = value(zoo.found[("towers", "keras")])["report"]
    renamed = {entry["subject"]: entry["detail"] for entry in report["entries"] if entry["kind"] == "module"}
    assert len(renamed) == 1
    ((path, detail),) = renamed.items()
    assert path in {"tower/same", "tower/deep/same"}
    assert detail == "is named same_1 in TensorFlow.js"
