"""TensorFlow.js computes what the vectors of the core vocabulary say, op by op."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.node, pytest.mark.library]

Json = Any
VECTORS = Path(__file__).parents[3] / "conformance" / "vectors" / "core" / "ops"
# The vectors are in float64, and TensorFlow.js computes in float32.
BOUND = 1e-5
ONE_AXIS = "an input of one axis, which TensorFlow.js takes for one of two"
TRAINS = "a call that trains while the model predicts"
NO_SHAPE = "a model whose input has no shape in the config"
NO_LOOKUP = "TensorFlow.js has no lookup, nor has this package"
INNER_MASK = "a model in the model whose input carries a mask"
# What is refused, and why.
REFUSED = {
    "batch_norm/call-training": TRAINS,
    "binary/floats": ONE_AXIS,
    "binary/integers": ONE_AXIS,
    "binary/logical": ONE_AXIS,
    "binary/nan": ONE_AXIS,
    "graph/mask-argument": INNER_MASK,
    "graph/masks": INNER_MASK,
    "graph/mode": TRAINS,
    "lookup/integers": NO_LOOKUP,
    "lookup/integers-back": NO_LOOKUP,
    "lookup/words-back": NO_LOOKUP,
    "matmul/vector": ONE_AXIS,
    "one_hot/modes": ONE_AXIS,
    "parameter/value": "a call without tensors",
    "sequential/chain": NO_SHAPE,
    "sequential/mask-argument": INNER_MASK,
    "sequential/root": NO_SHAPE,
    "take/axes": ONE_AXIS,
    "time_distributed/mask": "a recurrent layer in time steps that carry a mask",
    "unary/logical": ONE_AXIS,
    "unary/not-finite": ONE_AXIS,
    "where/forms": ONE_AXIS,
}
# Rounded to 16 bits by the op (CV-10), which TensorFlow.js does not do.
ROUNDED = {"identity/precision-float16", "identity/precision-bfloat16"}
# Texts, and inputs that are left out.
NO_NUMBERS = {"input/left-out", "lookup/words", "lookup/words-mask", "lookup/words-known"}


@cache
def cases() -> dict[str, Json]:
    """The cases of inference, by op and name."""
    found = {}
    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            if not case["request"]["training"]:
                found[f"{path.stem}/{case['name']}"] = case
    return found


def others(case: Json) -> bool:
    """Whether the first axes of the inputs differ: `predict` wants as many samples of each."""
    return len({tensor["shape"][0] for tensor in case["request"]["inputs"]}) > 1


def array(tensor: Json) -> Any:
    """A tensor of a case."""
    dtype = np.dtype("bool" if tensor["dtype"] == "bool" else tensor["dtype"])
    return np.frombuffer(base64.b64decode(tensor["data"]), dtype).reshape(tensor["shape"])


def given(tensor: Json) -> Json:
    """A tensor as a task has it."""
    values = array(tensor)
    dtype = {"b": "bool", "f": "float32"}.get(values.dtype.kind, "int32")
    numbers = [one if np.isfinite(one) else str(one) for one in values.reshape(-1).tolist()]
    return {"shape": list(values.shape), "dtype": dtype, "data": numbers}


def far(found: list[Json], expected: list[Json]) -> float:
    """The largest difference, relative to the largest number; infinite where shapes, or what is no number, differ."""
    if len(found) != len(expected):
        return float("inf")
    worst = 0.0
    for one, tensor in zip(found, expected, strict=True):
        wanted = array(tensor).astype("float64").reshape(-1)
        numbers = np.array([np.nan if x is None else x for x in one["data"]], "float64")
        if one["shape"] != tensor["shape"]:
            return float("inf")
        # JSON has neither NaN nor infinity: both come as null.
        finite = np.isfinite(wanted)
        if not (np.isfinite(numbers) == finite).all():
            return float("inf")
        if finite.any():
            scale = max(1e-6, float(np.abs(wanted[finite]).max()))
            worst = max(worst, float(np.abs(numbers[finite] - wanted[finite]).max()) / scale)
    return worst


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any, tensorflowjs: Callable[..., Any]) -> dict[str, Json]:
    """What TensorFlow.js makes of every case."""
    folder = tmp_path_factory.mktemp("cases")
    tasks, names = [], []
    for number, (name, case) in enumerate(cases().items()):
        if name in NO_NUMBERS:
            continue
        path = folder / f"{number}.etui"
        path.write_bytes(base64.b64decode(case["request"]["artifact"]["packed"]["data"]))
        tasks.append({"path": str(path), "inputs": [given(tensor) for tensor in case["request"]["inputs"]]})
        names.append(name)
    return dict(zip(names, tensorflowjs(tasks), strict=True))


def test_ops_compute_what_the_vocabulary_says(found: dict[str, Json]) -> None:
    """Every case of every op that is not refused gives the outputs of the vector."""
    left = set(REFUSED) | ROUNDED
    judged = {name: result for name, result in found.items() if name not in left and not others(cases()[name])}
    assert len(judged) >= 330
    assert {name: result["error"]["message"] for name, result in judged.items() if "error" in result} == {}
    expected = {name: case["expected"]["outputs"] for name, case in cases().items()}
    distances = {name: far(result["value"]["outputs"], expected[name]) for name, result in judged.items()}
    assert {name: distance for name, distance in distances.items() if not distance <= BOUND} == {}


def test_what_is_refused_is_named_with_its_reason(found: dict[str, Json]) -> None:
    """A model that TensorFlow.js cannot have is refused before it is built, with each layer that is to blame."""
    refused = {name: result["error"] for name, result in found.items() if result.get("error", {}).get("refused")}
    assert {name: error["code"] for name, error in refused.items()} == dict.fromkeys(REFUSED, "tfjs-layers")
    assert {name: error["refused"][0]["reason"] for name, error in refused.items()} == REFUSED


def test_inputs_with_other_numbers_of_samples_are_never_taken_for_right(found: dict[str, Json]) -> None:
    """Inputs with other numbers of samples are refused by TensorFlow.js, or cut to the first one's."""
    differ = {name: result for name, result in found.items() if name not in REFUSED and others(cases()[name])}
    assert len(differ) >= 5
    for name, result in differ.items():
        assert "error" in result or far(result["value"]["outputs"], cases()[name]["expected"]["outputs"]) > BOUND
