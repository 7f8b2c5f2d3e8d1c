"""The `.keras` files of tf_keras 2: read without it, written back, and judged by it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

pytestmark = [pytest.mark.frameworks, pytest.mark.real]

AT_LEAST = 12
OWN_COUNTERS = ("iteration:0", "learning_rate:0", "current_learning_rate:0")


@pytest.fixture(scope="module")
def folder(shared: Path, once: Any, run: Callable[..., None]) -> Path:
    """The models of tf_keras, their conversions, and what tf_keras says of them."""

    def work(folder: Path) -> None:
        run("tf_keras_oracle.py", "build", folder)
        originals = {name: folder / f"{name}.keras" for name in json.loads((folder / "build.json").read_text())}
        jobs = {
            name: {"original": str(path), "folder": str(folder), "dialect": "tf_keras"}
            for name, path in originals.items()
        }
        (folder / "jobs.json").write_text(json.dumps(jobs))
        run("reconvert.py", folder / "jobs.json", folder / "converted.json")
        converted = json.loads((folder / "converted.json").read_text())
        judged = {
            name: {
                "original": str(path),
                "data": str(folder / f"{name}.npz"),
                "converted": {way: result["path"] for way, result in converted[name].items()},
            }
            for name, path in originals.items()
        }
        (folder / "judged.json").write_text(json.dumps(judged))
        run("tf_keras_oracle.py", "judge", folder / "judged.json", folder / "verdicts.json")

    found: Path = once(shared / "tf-keras", work)
    return found


def stored(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.clause("K-58@3c09cf")
def test_tf_keras_sees_the_same_model(folder: Path) -> None:
    """A file written back predicts, and takes the next 3 training steps, bit for bit like the original in tf_keras."""
    verdicts = stored(folder, "verdicts")
    assert len(verdicts) >= AT_LEAST
    assert all(set(ways) == {"packed", "directory", "neutral"} for ways in verdicts.values())
    wrong = {
        (name, way): seen
        for name, ways in verdicts.items()
        for way, checks in ways.items()
        if (seen := {check: text for check, text in checks.items() if text})
    }
    assert wrong == {}
    assert all("losses" in checks for ways in verdicts.values() for checks in ways.values())


@pytest.mark.clause("K-58@3c09cf")
def test_nothing_of_tf_keras_is_lost(folder: Path) -> None:
    """Every conversion of a tf_keras file ends without an error and reports no item as lost."""
    results = [result for ways in stored(folder, "converted").values() for result in ways.values()]
    assert len(results) >= 3 * AT_LEAST
    assert [(result["error"], result["lost"]) for result in results if result["error"] or result["lost"]] == []


@pytest.mark.clause("K-19@5f61ba", "K-48@6a0db9")
def test_values_are_those_that_tf_keras_had_in_memory(folder: Path) -> None:
    """Every variable is below its layer's path, under its name, trainable as in tf_keras, and equal bit for bit."""
    names, compared = stored(folder, "build"), 0
    for name, converted in stored(folder, "converted").items():
        values = np.load(folder / f"{name}.npz", allow_pickle=False)
        with etui.open(converted["packed"]["etui"]) as model:
            mine = dict(model.weights or {})
            for index, (layer, label, trainable) in enumerate(names[name]["weights"]):
                role = role_of(label)
                expected = values[f"w{index}"]
                matching = [
                    path
                    for path, variable in mine.items()
                    if path.startswith(layer)
                    and path.rpartition("/")[2] == role
                    and variable.trainable == trainable
                    and same_bits(variable.numpy(), expected)
                ]
                assert matching, f"{name}: {layer}{role}"
                del mine[matching[0]]
                compared += 1
        assert not mine, f"{name}: {list(mine)} is not in tf_keras"
    assert compared > 4 * AT_LEAST


@pytest.mark.clause("K-55@def5af", "K-56@142b97")
def test_slots_are_those_that_tf_keras_had_in_memory(folder: Path) -> None:
    """The slots of every optimizer have the bits that tf_keras had in memory, for variables of the same names."""
    names, compared = stored(folder, "build"), 0
    for name, converted in stored(folder, "converted").items():
        values = np.load(folder / f"{name}.npz", allow_pickle=False)
        theirs = Counter(
            (role_of(label), values[f"o{index}"].tobytes())
            for index, label in enumerate(names[name]["optimizer"])
            if label not in OWN_COUNTERS
        )
        with etui.open(converted["packed"]["etui"]) as model:
            [(_, optimizer)] = model.optimizer.walk() if model.optimizer else []
            assert optimizer.step == 3
            mine = Counter(
                (path.rpartition("/")[2], tensor.numpy().tobytes())
                for path, slots in optimizer.slots.items()
                for tensor in slots.values()
            )
        assert mine == theirs, name
        compared += sum(theirs.values())
    assert compared > 4 * AT_LEAST


def role_of(label: str) -> str:
    """The role of a tf_keras variable by the names of Keras 3, which differ for one layer."""
    if "depthwise_conv2d/depthwise_kernel" in label:
        return "kernel"
    return label.rpartition("/")[2].partition(":")[0]


def same_bits(one: np.ndarray, two: np.ndarray) -> bool:
    return one.shape == two.shape and one.tobytes() == two.tobytes()
