"""Legacy HDF5 of tf_keras 2 and Keras 3: read without them, written back, and judged by them (annex C)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.testing.parts import present

pytestmark = [pytest.mark.frameworks, pytest.mark.real]

AT_LEAST = 15
WAYS = {"native", "neutral", "archive", "translated", "mapped", "plain"}
# Models whose file with the source's own documents is judged too: its arrays are those of the file without them.
VERBATIM = ("adam", "nested", "own", "legacy_adam")
# Models of which a class or an optimizer is one framework's alone, and a policy whose rounding differs.
UNLIKE = ("own", "mixed")
OTHER = {"keras": "tf_keras", "tf_keras": "keras"}


@pytest.fixture(scope="module", params=["tf_keras", "keras"])
def folder(request: pytest.FixtureRequest, shared: Path, once: Any, run: Callable[..., None]) -> Path:
    """The models of one framework, their conversions, and what the frameworks say of them."""
    framework: str = request.param

    def work(folder: Path) -> None:
        run("h5_oracle.py", framework, "build", folder)
        names = list(json.loads((folder / "build.json").read_text()))
        jobs = {
            name: {
                "whole": str(folder / f"{name}.h5"),
                "weights": str(folder / f"{name}.weights-only.h5"),
                "folder": str(folder),
                "dialect": framework,
            }
            for name in names
        }
        (folder / "jobs.json").write_text(json.dumps(jobs))
        run("h5_convert.py", folder / "jobs.json", folder / "converted.json")
        converted = json.loads((folder / "converted.json").read_text())
        judged: dict[str, dict[str, Any]] = {
            name: {
                "original": str(folder / f"{name}.h5"),
                "data": str(folder / f"{name}.npz"),
                "files": {
                    way: converted[name][way]["path"]
                    for way in ("native", "neutral", "archive")
                    if way != "native" or name in VERBATIM
                },
                "weights": {way: converted[name][way]["path"] for way in ("mapped", "plain")},
            }
            for name in names
        }
        # From a .keras file tf_keras restores no older optimizer, and not the product of Nadam.
        partly = ("legacy_", "nadam") if framework == "tf_keras" else ("legacy_",)
        for name in (name for name in names if name.startswith(partly)):
            del judged[name]["files"]["archive"]
        (folder / "judged.json").write_text(json.dumps(judged))
        run("h5_oracle.py", framework, "judge", folder / "judged.json", folder / "verdicts.json")
        other = {
            f"{name} {way}": {
                "original": ways[way]["path"],
                "data": judged[name]["data"],
                "compiled": True,
            }
            for name, ways in converted.items()
            for way in ("translated",)
            if not ways[way]["error"]
        }
        (folder / "other.json").write_text(json.dumps(other))
        run("h5_oracle.py", OTHER[framework], "predict", folder / "other.json", folder / "elsewhere.json")

    found: Path = once(shared / f"legacy-{framework}", work)
    return found


def stored(folder: Path, name: str) -> Any:
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.clause("KH-18@4d6d06", "KH-22@0c6453")
def test_the_framework_sees_the_same_model(folder: Path) -> None:
    """Files written back load, predict and train 3 more steps bit for bit; weights load by order and by name."""
    verdicts = stored(folder, "verdicts")
    assert len(verdicts) >= AT_LEAST
    wrong = {
        (name, way): seen
        for name, ways in verdicts.items()
        for way, checks in ways.items()
        if (seen := {check: text for check, text in checks.items() if text})
    }
    assert wrong == {}
    assert all({"neutral", "mapped False", "mapped True", "plain False"} <= set(ways) for ways in verdicts.values())
    assert sum("losses" in ways["neutral"] for ways in verdicts.values()) >= AT_LEAST - 1


@pytest.mark.clause("KH-18@4d6d06")
def test_nothing_is_lost(folder: Path) -> None:
    """Every conversion ends without an error, and reports no item as lost and no slot as not understood."""
    converted = stored(folder, "converted")
    assert len(converted) >= AT_LEAST
    assert all(set(ways) == WAYS for ways in converted.values())
    results = {
        (name, way): result for name, ways in converted.items() for way, result in ways.items() if way != "translated"
    }
    assert {key: result["error"] for key, result in results.items() if result["error"]} == {}
    assert {key: result["lost"] for key, result in results.items() if result["lost"]} == {}
    assert {key: result["data-only"] for key, result in results.items() if result["data-only"]} == {}


@pytest.mark.clause("KH-7@62e0d0", "KH-12@8a704b")
def test_values_are_those_that_were_in_memory(folder: Path) -> None:
    """Every variable has its role, the flag of the framework, and the bits that it had in memory."""
    names, compared = stored(folder, "build"), 0
    for name, ways in stored(folder, "converted").items():
        with np.load(folder / f"{name}.npz") as values, etui.open(ways["neutral"]["etui"]) as model:
            mine = dict(present(model.weights))
            for index, (role, trainable) in enumerate(names[name]):
                expected = values[f"w{index}"]
                matching = [
                    path
                    for path, variable in mine.items()
                    if variable.trainable == trainable
                    and (
                        variable.role in (role, f"depthwise_{role}", role.removeprefix("depthwise_"))
                        or variable.role.isdecimal()
                    )
                    and variable.numpy().shape == expected.shape
                    and variable.numpy().tobytes() == expected.tobytes()
                ]
                assert matching, f"{name}: {role}"
                del mine[matching[0]]
                compared += 1
            assert not mine, f"{name}: {list(mine)} is not in the framework"
    assert compared > 4 * AT_LEAST


@pytest.mark.clause("KH-15@c022ca")
def test_slots_are_those_that_were_in_memory(folder: Path) -> None:
    """The optimizer's arrays are in the artifact with the bits that they had in memory, none by number."""
    compared = 0
    for name, ways in stored(folder, "converted").items():
        with np.load(folder / f"{name}.npz") as values, etui.open(ways["neutral"]["etui"]) as model:
            theirs = sorted(values[key].tobytes() for key in values if key[0] == "o" and values[key].ndim)
            optimizers = [] if model.optimizer is None else [one for _, one in model.optimizer.walk()]
            mine = sorted(
                tensor.numpy().tobytes()
                for one in optimizers
                for slots in one.slots.values()
                for tensor in slots.values()
                if tensor.shape
            )
            assert mine == theirs, name
            assert not any("variables" in one.residue.get("keras", {}) for one in optimizers)
            compared += len(mine)
    assert compared > 10 * AT_LEAST


@pytest.mark.clause("KH-18@4d6d06", "KH-24@087f56")
def test_files_load_in_the_other_framework(folder: Path) -> None:
    """What was translated for the other framework loads there compiled, predicts the same within 1e-5, and trains."""
    elsewhere = stored(folder, "elsewhere")
    kept = {name: seen for name, seen in elsewhere.items() if name.partition(" ")[0] not in UNLIKE}
    assert {name: seen for name, seen in kept.items() if any(seen.values())} == {}
    assert sum("trains" in seen for seen in kept.values()) >= AT_LEAST - 5
