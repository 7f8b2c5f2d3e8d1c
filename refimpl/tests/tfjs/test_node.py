"""TensorFlow.js and tf_keras judge the models that Etui wrote: whether they load, and what they predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.bridges.tfjs import vocabulary
from etui.report import Report

pytestmark = [pytest.mark.node, pytest.mark.frameworks]

Json = Any
# Two implementations of one function in float32: each rounds in its own order.
BOUND = 1e-5
FROM_KERAS = ["dense", "trained", "resumed", "image", "signal", "recurrent", "towers", "nested"]
FROM_KERAS += ["late", "states", "masked", "frames", "double"]
FROM_KERAS_3 = ["dense", "resumed", "image", "recurrent", "towers", "nested", "states", "masked", "frames"]
# A hard sigmoid between the gates of a cell is another function in Keras 3.
NOT_IN_KERAS_3 = ["recurrent"]
FROM_JAVASCRIPT = ["dense", "trained", "image", "recurrent", "graph", "volume", "cells", "sizes", "stepped"]


def for_javascript(inputs: list[Json]) -> list[Json]:
    """Inputs of the dtypes that TensorFlow.js has."""
    return [one | {"dtype": "int32" if one["dtype"].startswith("int") else "float32"} for one in inputs]


def distance(one: list[Json], two: list[Json]) -> float:
    """The largest difference of outputs, relative to the largest number among them."""
    assert [list(output["shape"]) for output in one] == [list(output["shape"]) for output in two]
    pairs = [(np.array(a["data"]), np.array(b["data"])) for a, b in zip(one, two, strict=True)]
    return max(float(np.abs(a - b).max() / max(1e-6, np.abs(b).max())) for a, b in pairs)


def value(result: dict[str, Json]) -> Json:
    assert "error" not in result, result["error"]
    return result["value"]


class Journey:
    """Models on their way between tf_keras, Keras 3 and TensorFlow.js.

    Args:
        folder: where the files are.
        judges: what runs tasks, by the name of the framework.
    """

    def __init__(self, folder: Path, judges: dict[str, Callable[..., Any]]) -> None:
        self.folder = folder
        self.judges = judges
        self.made: dict[str, Json] = {}
        self.tasks: dict[str, list[Json]] = {name: [] for name in judges}
        self.asked: dict[str, list[str]] = {name: [] for name in judges}

    def make(self, judge: str, names: list[str]) -> None:
        """Make models in a framework."""
        field = "folder" if judge == "node" else "path"
        suffix = "" if judge == "node" else ".keras"
        tasks = [{"do": "make", "name": name, field: str(self.place(judge, name, suffix))} for name in names]
        for name, result in zip(names, self.judges[judge](tasks), strict=True):
            self.made[f"{judge} {name}"] = value(result)

    def place(self, *parts: str) -> Path:
        """A place for the file of a model."""
        *folders, name, suffix = parts
        folder = self.folder.joinpath(*folders)
        folder.mkdir(exist_ok=True)
        return folder / f"{name}{suffix}"

    def ask(self, judge: str, model: str, target: Path) -> None:
        """Have a framework predict what a model in a file gives for the model's inputs."""
        inputs = self.made[model]["inputs"]
        if judge == "node":
            task = {"kind": "layers", "folder": str(target), "inputs": for_javascript(inputs)}
        else:
            task = {"path": str(target), "inputs": inputs}
        self.tasks[judge].append({"do": "predict", **task})
        self.asked[judge].append(model)

    def results(self) -> Json:
        """What each model predicted where it was made, and everywhere else."""
        found = {}
        for judge, tasks in self.tasks.items():
            found[judge] = dict(zip(self.asked[judge], self.judges[judge](tasks), strict=True))
        return {"made": self.made, "found": found}


@pytest.fixture(scope="module")
def journey(
    shared: Path, judge: Callable[..., Any], keras: Callable[..., Any], keras_3: Callable[..., Any], prepared: Any
) -> dict[str, Json]:
    """Models of tf_keras and Keras 3 go to TensorFlow.js and back, and those of TensorFlow.js to both."""

    def work(folder: Path) -> Json:
        way = Journey(folder, {"node": judge, "tf_keras": keras, "keras": keras_3})
        way.make("node", FROM_JAVASCRIPT)
        way.make("tf_keras", FROM_KERAS)
        way.make("keras", FROM_KERAS_3)
        for package, names in (("tf_keras", FROM_KERAS), ("keras", FROM_KERAS_3)):
            for name in names:
                there, back = (
                    way.place("there", f"{package}_{name}", ""),
                    way.place("back", f"{package}_{name}", ".keras"),
                )
                etui.convert(way.place(package, name, ".keras"), there, to="tfjs-layers")
                etui.convert(there, back, dialect=package)
                way.ask("node", f"{package} {name}", there)
                way.ask(package, f"{package} {name}", back)
        for name in FROM_JAVASCRIPT:
            source, anew = way.place("node", name, ""), way.place("anew", name, "")
            etui.convert(source, anew, to="tfjs-layers", native=False)
            etui.convert(source, way.place("back", name, ".keras"), dialect="tf_keras")
            way.ask("node", f"node {name}", anew)
            way.ask("tf_keras", f"node {name}", way.place("back", name, ".keras"))
            if name not in NOT_IN_KERAS_3:
                etui.convert(source, way.place("back_3", name, ".keras"), dialect="keras")
                way.ask("keras", f"node {name}", way.place("back_3", name, ".keras"))
        return way.results()

    found: dict[str, Json] = prepared(shared / "tfjs", work)
    return found


@pytest.mark.clause("KJ-15@ffc3c7", "KJ-10@192931")
@pytest.mark.parametrize(("judged_by", "least"), [("node", 29), ("tf_keras", 21), ("keras", 16)])
def test_models_predict_the_same_everywhere(journey: dict[str, Json], judged_by: str, least: int) -> None:
    """A model of any of the three gives the same predictions in the others after its conversion, and at home again."""
    results = journey["found"][judged_by]
    assert len(results) >= least
    found = {name: distance(value(result), journey["made"][name]["outputs"]) for name, result in results.items()}
    assert {name: far for name, far in found.items() if far > BOUND} == {}


@pytest.mark.clause("KJ-20@6c665a", "KJ-25@d92050")
def test_training_goes_on_in_tensorflowjs(journey: dict[str, Json], shared: Path, judge: Callable[..., Any]) -> None:
    """A compiled model takes its next steps in TensorFlow.js with the losses that it has in tf_keras."""
    tasks, expected = [], []
    for name in ("trained", "resumed"):
        made = journey["made"][f"tf_keras {name}"]
        tasks.append({"do": "train", "folder": str(shared / "tfjs" / "there" / f"tf_keras_{name}"), "steps": 3})
        tasks[-1] |= {"inputs": made["inputs"], "targets": made["target"]}
        expected.append(made["losses"])
    np.testing.assert_allclose([value(result) for result in judge(tasks)], expected, rtol=1e-5)


@pytest.mark.clause("KJ-25@d92050")
def test_training_goes_on_in_keras(shared: Path, journey: Any, judge: Callable[..., Any], keras: Any) -> None:
    """A model that TensorFlow.js trained takes its next steps in tf_keras with the losses that it has there."""
    assert journey["found"]["node"]
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(3, 4)).astype("float32"), rng.normal(size=(3, 2)).astype("float32")
    given = {
        key: [{"shape": list(array.shape), "dtype": "float32", "data": array.reshape(-1).tolist()}]
        for key, array in (("inputs", x), ("targets", y))
    }
    task = {"do": "train", "steps": 4, **given}
    folder = shared / "tfjs"
    native, anew = judge([task | {"folder": f"{folder}/node/trained"}, task | {"folder": f"{folder}/anew/trained"}])
    (there,) = keras([task | {"path": f"{folder}/back/trained.keras"}])
    assert value(native) == value(anew)
    np.testing.assert_allclose(value(there), value(native), rtol=1e-5)


@pytest.mark.clause("KJ-14@42dff2")
def test_models_of_javascript_come_back_file_by_file(journey: dict[str, Json], shared: Path, tmp_path: Path) -> None:
    """What TensorFlow.js saved, with the state of an optimizer too, is written again byte for byte."""
    assert journey["made"]
    for name in FROM_JAVASCRIPT:
        source = shared / "tfjs" / "node" / name
        etui.convert(source, tmp_path / name, to="tfjs-layers")
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["model.json", "weights.bin"]
        for path in source.iterdir():
            assert (tmp_path / name / path.name).read_bytes() == path.read_bytes()


@pytest.mark.clause("KJ-17@d78394")
def test_what_is_named_as_missing_is_missing(keras: Any, judge: Callable[..., Any], tmp_path: Path) -> None:
    """A model with layers that TensorFlow.js lacks is refused, by Etui with their names and by TensorFlow.js."""
    (result,) = keras([{"do": "make", "name": "missing", "path": f"{tmp_path}/missing.keras"}])
    report = Report()
    with pytest.raises(etui.TransferError):
        etui.convert(tmp_path / "missing.keras", tmp_path / "missing", to="tfjs-layers", report=report)
    assert {entry.subject for entry in report.lost} == {"reset", "minus", "power", "parts"}
    etui.convert(tmp_path / "missing.keras", tmp_path / "missing", to="tfjs-layers", strict=False)
    inputs = for_javascript(value(result)["inputs"])
    (seen,) = judge([{"do": "predict", "kind": "layers", "folder": f"{tmp_path}/missing", "inputs": inputs}])
    assert "error" in seen


@pytest.mark.clause("KJ-17@d78394")
def test_the_vocabulary_is_that_of_the_package(judge: Callable[..., Any]) -> None:
    """Every class of the tables is in TensorFlow.js' own registry, and every layer there is in the tables."""
    asked = {
        "activation": sorted(vocabulary.ACTIVATIONS),
        "loss": sorted(vocabulary.LOSSES),
        "metric": sorted(vocabulary.METRICS),
    }
    camel = {kind: [_camel(name) for name in names] for kind, names in asked.items()}
    tasks: list[Json] = [{"do": "understood", "kind": kind, "names": names} for kind, names in camel.items()]
    registry, *understood = map(value, judge([{"do": "registry"}, *tasks]))
    classes = set(registry)
    assert len(classes) > 100
    others = {name for name in classes if name[0].islower()} | _OPTIMIZERS
    others |= vocabulary.INITIALIZERS | set(vocabulary.SAME_INITIALIZER.values()) | vocabulary.CONSTRAINTS
    others |= set(vocabulary.REGULARIZERS.values())
    assert classes - others == vocabulary.LAYERS | vocabulary.OTHERS
    assert others <= classes
    assert understood == list(camel.values())


_OPTIMIZERS = {"Adadelta", "Adagrad", "Adam", "Adamax", "Momentum", "RMSProp", "SGD"}


def _camel(name: str) -> str:
    """A name as TensorFlow.js turns what a document says into its own."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
