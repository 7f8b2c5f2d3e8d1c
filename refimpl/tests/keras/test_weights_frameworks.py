"""Weights files and model JSON of Keras 3 and tf_keras, read without either; what is written is judged by them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.real]
each_library = pytest.mark.parametrize("library", ["keras", "tf_keras"])
AT_LEAST = 12
# Ways that the judge looks at, beside the file that the framework wrote: fewer for tf_keras, which has no index.
WAYS = {"keras": 9, "tf_keras": 6}


@dataclass(frozen=True)
class Trip:
    """What became of the models of one library.

    Attributes:
        results: the answer of `weights_convert.py`, by model.
        verdicts: the answer of `weights_oracle.py judge`, by model and way.
    """

    results: dict[str, dict[str, Any]]
    verdicts: dict[str, dict[str, str]]


@pytest.fixture
def trip(
    shared: Path, run: Callable[..., None], once: Callable[[Path, Callable[[Path], None]], Path], library: str
) -> Trip:
    """Builds, converts and judges the models, once for all tests."""

    def travel(folder: Path) -> None:
        environment = {"KERAS_BACKEND": "tensorflow"}
        run("weights_oracle.py", "build", library, folder, **environment)
        run("weights_convert.py", library, folder)
        run("weights_oracle.py", "judge", library, folder, **environment)

    folder = once(shared / f"weights-{library}", travel)
    return Trip(*(json.loads((folder / f"{name}.json").read_text()) for name in ("results", "verdicts")))


@each_library
@pytest.mark.clause("KW-6@64a7e4", "KW-8@4c8a81")
def test_files_are_read_without_a_framework(trip: Trip, library: str) -> None:
    """Every value is the framework's own, bit for bit, with and without a config, and nothing is refused."""
    assert len(trip.results) >= AT_LEAST
    assert {name: one["error"] for name, one in trip.results.items() if one["error"]} == {}
    assert all(
        one["count"] >= 2 and one["values"] == {"from_h5": True, "h5.plain": True} for one in trip.results.values()
    )


@each_library
@pytest.mark.clause("KW-6@64a7e4", "KW-18@8ce9f5")
def test_a_weights_file_with_its_config_is_the_whole_model(trip: Trip, library: str) -> None:
    """Config, weights, training config, and optimizer state are those of the `.keras` file of the same model."""
    ways = {"h5", "json"} if library == "keras" else {"h5"}
    assert all(set(one["same"]) == ways for one in trip.results.values())
    assert {name: one["same"] for name, one in trip.results.items() if any(one["same"].values())} == {}


@each_library
@pytest.mark.clause("KW-19@358f01")
def test_json_is_that_of_keras(trip: Trip, library: str) -> None:
    """JSON that is written from the neutral config is what `to_json` of Keras 3 gave, but for numbers of objects."""
    assert len(trip.results) >= AT_LEAST
    assert [name for name, one in trip.results.items() if not one["json"]] == []


@each_library
@pytest.mark.clause("KW-11@fcc4b2", "KW-12@100395", "KW-19@358f01")
def test_the_framework_loads_what_is_written(trip: Trip, library: str) -> None:
    """Predictions and the next 3 losses, so the optimizer's state too, equal those of the model that was saved."""
    assert len(trip.verdicts) >= AT_LEAST
    assert {name: len(ways) for name, ways in trip.verdicts.items()} == dict.fromkeys(trip.verdicts, WAYS[library])
    wrong = {f"{name}, {way}": text for name, ways in trip.verdicts.items() for way, text in ways.items() if text}
    assert wrong == {}
