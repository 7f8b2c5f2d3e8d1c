"""A kit that makes small TensorFlow.js models by hand, and TensorFlow.js itself, installed once into a cache folder."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui import bridges
from etui.limits import Limits
from etui.model import Model
from etui.report import Report

Json = Any
HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
TFJS = "4.22.0"
MINUTES = 10


class Kit:
    """Makes and reads models of TensorFlow.js in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    @staticmethod
    def weight(name: str, array: Any, **fields: Json) -> tuple[dict[str, Json], bytes]:
        """An entry of a manifest, and the bytes of its weight."""
        found = np.asarray(array)
        return {"name": name, "shape": list(found.shape), "dtype": found.dtype.name, **fields}, found.tobytes()

    @staticmethod
    def dense_topology() -> dict[str, Json]:
        """A Dense layer `first` of 4 to 3 and a Dense layer `second` of 3 to 2, as Keras 2.3 wrote them."""
        first = {"name": "first", "trainable": True, "batch_input_shape": [None, 4], "dtype": "float32", "units": 3}
        second = {"name": "second", "trainable": True, "dtype": "float32", "units": 2}
        return {
            "keras_version": "2.3.1",
            "backend": "tensorflow",
            "model_config": {
                "class_name": "Sequential",
                "config": {
                    "name": "chain",
                    "layers": [
                        {"class_name": "Dense", "config": first | {"activation": "relu", "use_bias": True}},
                        {"class_name": "Dense", "config": second | {"activation": "linear", "use_bias": True}},
                    ],
                },
            },
        }

    def dense_weights(self) -> list[tuple[dict[str, Json], bytes]]:
        """The weights of `dense_topology`."""
        rng = np.random.default_rng(0)
        shapes = {"first/kernel": (4, 3), "first/bias": (3,), "second/kernel": (3, 2), "second/bias": (2,)}
        return [self.weight(name, rng.normal(size=shape).astype("float32")) for name, shape in shapes.items()]

    def write(
        self,
        topology: Json,
        weights: Sequence[tuple[dict[str, Json], bytes]] = (),
        *,
        paths: Sequence[str] = ("group1-shard1of1.bin",),
        kind: str | None = "layers-model",
        files: Mapping[str, bytes] | None = None,
        **fields: Json,
    ) -> Path:
        """A folder with a `model.json` and one group, which is cut evenly over its paths.

        `files` are written besides; `fields` go over those of the document, and `None` removes one.
        """
        self.count += 1
        folder = self.folder / f"made{self.count}"
        folder.mkdir()
        data = b"".join(raw for _, raw in weights)
        step = -(-len(data) // max(1, len(paths)))
        for at, path in enumerate(paths):
            if ".." not in path and "://" not in path and not path.startswith("/") and "\\" not in path:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data[at * step : (at + 1) * step])
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
        tree: dict[str, Json] = {
            "format": kind,
            "generatedBy": "keras v2.3.1",
            "convertedBy": "TensorFlow.js Converter v4.22.0",
            "modelTopology": topology,
            "weightsManifest": [{"paths": list(paths), "weights": [entry for entry, _ in weights]}],
        }
        tree = {key: value for key, value in (tree | fields).items() if value is not None}
        (folder / "model.json").write_text(json.dumps(tree))
        return folder

    def dense(self, **options: Any) -> Path:
        """The sound model of this kit."""
        return self.write(self.dense_topology(), self.dense_weights(), **options)

    @staticmethod
    def read(path: Path, *, kind: str = "layers", native: bool = True, report: Report | None = None) -> Model:
        """The model of a folder."""
        bridge = bridges.by_name(f"tfjs-{kind}").translator
        return bridge.read(path, report or Report(), limits=Limits(), native=native)

    def back(self, model: Model, *, kind: str = "layers", strict: bool = True, report: Report | None = None) -> Path:
        """Write a model into a new folder."""
        self.count += 1
        path = self.folder / f"back{self.count}"
        bridges.by_name(f"tfjs-{kind}").translator.write(model, path, report or Report(), strict=strict)
        return path

    @staticmethod
    def files(folder: Path) -> dict[str, bytes]:
        """Every file of a folder with its bytes."""
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    @staticmethod
    def document(folder: Path) -> dict[str, Json]:
        """The tree of a folder's `model.json`."""
        found: dict[str, Json] = json.loads((folder / "model.json").read_text())
        return found


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Makes and reads small models of TensorFlow.js."""
    return Kit(tmp_path)


def run_script(command: list[str], tasks: list[dict[str, Json]], **environment: str) -> list[dict[str, Json]]:
    """Run tasks in a process of their own, and fail the test with its words if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(LIBRARY), "PYTHONWARNINGS": "", **environment},
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{command[:2]} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    results: list[dict[str, Json]] = json.loads(done.stdout)
    assert len(results) == len(tasks)
    return results


def cache_folder() -> Path:
    """Where the packages of npm stay between test runs: a folder of the user's, outside of the repository."""
    base = os.environ.get("ETUI_NODE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "etui-tests" / f"tfjs-{TFJS}"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process after the other works in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(folder: Path, *packages: str) -> Path:
    """Install packages of npm, once, and give the folder that holds them."""
    with locked(folder):
        return _install(folder, " ".join(packages))


def _install(folder: Path, wanted: str) -> Path:
    found = folder / "node_modules"
    mark = folder / "installed"
    if mark.is_file() and mark.read_text() == wanted:
        return found
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.fail(
            "these tests run TensorFlow.js: install Node 18 or newer with npm, or leave them out: -m 'not node'"
        )
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *wanted.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    if done.returncode:
        pytest.fail(f"npm could not install {wanted}; is there a network?\n{done.stderr[-2000:]}")
    mark.write_text(wanted)
    return found


def once(folder: Path, work: Callable[[Path], Json]) -> Json:
    """What a work gives as JSON: done by the first process of a test run that asks, and read by the others."""
    with locked(folder):
        results = folder / "results.json"
        if not results.is_file():
            results.write_text(json.dumps(work(folder)))
        return json.loads(results.read_text())


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def prepared() -> Callable[[Path, Callable[[Path], Json]], Json]:
    """Does work in a folder that the processes of one test run share, once."""
    return once


Judge = Callable[[list[dict[str, Json]]], list[dict[str, Json]]]


@pytest.fixture(scope="session")
def judge() -> Judge:
    """Runs tasks in TensorFlow.js, all of them in one process."""
    packages = install(cache_folder(), f"@tensorflow/tfjs@{TFJS}")

    def ask(tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
        return run_script(["node", str(HERE / "judge.js")], tasks, NODE_PATH=str(packages))

    return ask


def _in_keras(package: str, tasks: list[dict[str, Json]]) -> list[dict[str, Json]]:
    threads = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [sys.executable, str(HERE / "keras_models.py"), package]
    return run_script(command, tasks, KERAS_BACKEND="tensorflow", **threads)


@pytest.fixture(scope="session")
def keras() -> Judge:
    """Runs tasks in tf_keras, all of them in one process."""
    return partial(_in_keras, "tf_keras")


@pytest.fixture(scope="session")
def keras_3() -> Judge:
    """Runs tasks in Keras 3, all of them in one process."""
    return partial(_in_keras, "keras")
