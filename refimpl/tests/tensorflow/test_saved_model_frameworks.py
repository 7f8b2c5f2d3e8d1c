"""SavedModels of TensorFlow, tf_keras and Keras 3: read where none of them is, and judged by them after Etui wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google_crc32c")
pytest.importorskip("tensorflow")
pytest.importorskip("tf_keras")

pytestmark = pytest.mark.frameworks

HERE = Path(__file__).parent
LIBRARY = HERE.parents[1]
MINUTES = 30
CASES = (
    *("mlp", "normalized", "legacy_adam", "legacy_rmsprop", "recurrent", "branched", "convolutional", "authored"),
    *("subclassed", "text", "adapted", "mixed", "of_2_4", "keras_saved_by_tensorflow", "keras_3_export"),
    *("keras_3_normalized", "module", "stateful_table", "calls_python", "tensorflow_1"),
)
ARCHIVES = ("keras_3_branched", "keras_3_sequential")


@dataclass(frozen=True)
class Journey:
    """What became of the SavedModels.

    Attributes:
        built: what TensorFlow wrote and reads itself.
        read: what Etui holds for each tensor.
        converted: the ways that they went.
        verdicts: what the frameworks said.
    """

    built: dict[str, Any]
    read: dict[str, dict[str, list[str]]]
    converted: dict[str, dict[str, Any]]
    verdicts: dict[str, dict[str, str]]


def run(script: str, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{LIBRARY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{script} {arguments[0]} ended with {done.returncode}:\n{done.stderr[-4000:]}")


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("saved_models")
    run("saved_model_oracle.py", "build", folder)
    run("saved_model_reconvert.py", folder)
    run("saved_model_oracle.py", "judge", folder)
    names = ("build", "read", "converted", "verdict")
    return Journey(*(json.loads((folder / f"{name}.json").read_text()) for name in names))


@pytest.mark.clause("KS-3@a04b13")
@pytest.mark.clause("KS-17@049413")
@pytest.mark.parametrize("name", CASES)
def test_every_tensor_is_read_bit_for_bit(journey: Journey, name: str) -> None:
    """What Etui holds for each key is what TensorFlow reads, in a process without a framework."""
    kinds = {"string": "bytes"}
    expected = {key: [kinds.get(dtype, dtype), sha] for key, (dtype, sha) in journey.built[name]["tensors"].items()}
    assert journey.read[name] == expected
    assert expected


@pytest.mark.clause("KS-10@f1479e")
@pytest.mark.clause("KS-22@d98dc5")
@pytest.mark.clause("KS-25@0633d9")
@pytest.mark.parametrize("name", [*CASES, *ARCHIVES])
def test_what_etui_writes_is_served_and_loaded_with_the_same_results(journey: Journey, name: str) -> None:
    """By `tf.saved_model.load` over the graphs; by tf_keras with and without graphs, and from `.keras`."""
    ways = journey.converted[name]
    assert {way: result["error"] for way, result in ways.items() if result["error"]} == {}
    assert {way: result["lost"] for way, result in ways.items() if result["lost"]} == {}
    checks = journey.verdicts[name]
    assert len(checks) == sum(len(result["checks"]) for result in ways.values()) > 0
    assert {check: said for check, said in checks.items() if said} == {}


@pytest.mark.clause("KS-22@d98dc5")
@pytest.mark.parametrize("name", ["mlp", "module", "keras_3_export"])
def test_changed_weights_are_served(journey: Journey, name: str) -> None:
    """After a kernel was halved, the served output is the one that NumPy computes."""
    assert journey.converted[name]["halved"]["checks"] == ["halved"]
    assert journey.verdicts[name]["halved: halved"] == ""


@pytest.mark.library
def test_the_cases_are_all_that_the_oracle_makes(journey: Journey) -> None:
    """No case is made and not looked at."""
    assert set(journey.built) == {*CASES, *ARCHIVES}
