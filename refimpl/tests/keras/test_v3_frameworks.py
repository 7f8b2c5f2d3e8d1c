"""`.keras` -> Etui -> `.keras`, judged by real Keras 3 on each of its backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

BACKENDS = ("tensorflow", "jax", "torch")
AT_LEAST = 30
# Written anew without the native documents, a config numbers shared objects 1, 2, …: it is compared so numbered.
NEUTRAL_MAY_DIFFER = {"config"}
# The file has a low-rank adapter added to its kernel, so the values in memory are not those in the file.
MERGED_WHEN_SAVED = {"low_rank_adapters", "low_rank_convolution", "low_rank_adapter_on_int8"}
# The order in which a user's class makes its layers, and the flags of those that it freezes, are not in the file.
OWN_ATTRIBUTES = {
    "custom_layer_frozen_inside",
    "custom_layer_with_containers",
    "subclassed_autoencoder",
    "subclassed_inside_functional",
    "subclassed_with_tied_table",
}

pytestmark = [pytest.mark.frameworks, pytest.mark.real]
each_backend = pytest.mark.parametrize("backend", BACKENDS)


@each_backend
@pytest.mark.library
def test_the_whole_corpus_is_judged(journey: Callable[[str], Any], backend: str) -> None:
    """Every model that the backend can build is saved, converted every way and judged, and there are at least 30."""
    trip = journey(backend)
    assert trip.built["failed"] == {}
    assert all(trip.built["left_out"].values())
    assert len(trip.cases) >= AT_LEAST
    assert set(trip.converted) == set(trip.verdicts) == set(trip.cases)
    assert all(set(ways) == {"packed", "directory", "neutral"} for ways in trip.converted.values())
    assert all(set(ways) == {"packed", "neutral"} for ways in trip.verdicts.values())


@each_backend
@pytest.mark.clause("K-58@3c09cf")
def test_nothing_is_lost_on_the_way(journey: Callable[[str], Any], backend: str) -> None:
    """Every conversion there and back ends without an error and reports no item as lost."""
    trip = journey(backend)
    results = {(name, way): result for name in trip.cases for way, result in trip.converted[name].items()}
    assert len(results) == 3 * len(trip.cases) > 0
    assert {key: [result["error"], *result["lost"]] for key, result in results.items() if is_bad(result)} == {}


def is_bad(result: dict[str, Any]) -> bool:
    return bool(result["error"] or result["lost"])


@each_backend
@pytest.mark.clause("K-62@1a29ed")
def test_both_forms_give_the_same_file(journey: Callable[[str], Any], backend: str) -> None:
    """The directory form and the packed form lead back to the same bytes of a `.keras` file."""
    trip = journey(backend)
    digests = {
        name: [trip.converted[name][way].get("sha256") for way in ("packed", "directory")] for name in trip.cases
    }
    assert len(digests) >= AT_LEAST
    assert [name for name, (one, two) in digests.items() if one is None or one != two] == []


@each_backend
@pytest.mark.clause("N-1@bcd909", "N-3@2ee5a9")
def test_keras_sees_the_same_model(journey: Callable[[str], Any], backend: str) -> None:
    """Predictions, the next 3 losses, config, optimizer and assets equal the original's bit for bit in Keras."""
    assert_equal_in_keras(journey(backend), "packed", set())


@each_backend
@pytest.mark.clause("K-58@3c09cf")
def test_keras_sees_the_same_model_without_native_documents(journey: Callable[[str], Any], backend: str) -> None:
    """A `.keras` written from the neutral documents alone is the same model to Keras, config and training included."""
    assert_equal_in_keras(journey(backend), "neutral", NEUTRAL_MAY_DIFFER)


def assert_equal_in_keras(trip: Any, way: str, may_differ: set[str]) -> None:
    wrong: dict[str, dict[str, str]] = {}
    trained = 0
    for name, case in trip.built["cases"].items():
        verdict = trip.verdicts[name][way]
        random = {"losses", "variables_after", "optimizer_after"} if case["random"] else set()
        found = {check: text for check, text in verdict.items() if text and check not in may_differ | random}
        if found:
            wrong[name] = found
        trained += "losses" in verdict
    assert wrong == {}
    assert trained == len(trip.cases) >= AT_LEAST


@each_backend
@pytest.mark.clause("K-19@5f61ba", "K-48@6a0db9", "K-49@caeb83")
def test_variables_are_those_of_the_live_model(journey: Callable[[str], Any], backend: str) -> None:
    """The artifact lists the weights that Keras had in memory, in its order, with their bits and trainable flags."""
    trip = journey(backend)
    compared, wrong = 0, []
    for name in set(trip.cases) - MERGED_WHEN_SAVED:
        names, values = live(trip.folder, name)
        with etui.open(trip.converted[name]["packed"]["etui"]) as model:
            mine = [(v.trainable, v.numpy().shape, v.numpy().tobytes()) for v in variables_of(model).values()]
        flags = [trainable for *_, trainable in names["weights"]]
        theirs = [(flag, v.shape, v.tobytes()) for flag, v in zip(flags, values["weights"], strict=True)]
        compared += len(theirs)
        if name in OWN_ATTRIBUTES:
            same = sorted(row[1:] for row in mine) == sorted(row[1:] for row in theirs)
        else:
            same = mine == theirs
        if not same:
            wrong.append(name)
    assert wrong == []
    assert compared > len(trip.cases)


@each_backend
@pytest.mark.clause("K-55@def5af", "K-56@142b97")
def test_slots_belong_to_the_variables_that_keras_made_them_for(journey: Callable[[str], Any], backend: str) -> None:
    """Every slot is at the path of its variable and under its name, with the bits that Keras had in memory."""
    trip = journey(backend)
    compared, wrong = 0, []
    for name in set(trip.cases) - MERGED_WHEN_SAVED - OWN_ATTRIBUTES:
        names, values = live(trip.folder, name)
        expected: dict[str, list[bytes]] = {}
        for (path, *_), value in zip(names["optimizer"], values["optimizer"], strict=True):
            expected.setdefault(path.rpartition("/")[2], []).append(value.tobytes())
        with etui.open(trip.converted[name]["packed"]["etui"]) as model:
            keras_paths = dict(zip(variables_of(model), (row[0] for row in names["weights"]), strict=True))
            for path, slot, tensor in slots_of(model):
                label = f"{keras_paths[path].replace('/', '_')}_{slot}"
                compared += label in expected
                if label in expected and tensor.numpy().tobytes() not in expected[label]:
                    wrong.append((name, path, slot))
    assert wrong == []
    assert compared > 10 * AT_LEAST


def live(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Names and values of the variables as Keras had them in memory."""
    from_oracle = np.load(folder / f"{name}.values.npz", allow_pickle=False)
    places = json.loads(str(from_oracle["structure"]))["dict"]
    values = {part: [from_oracle[key] for key in place["list"]] for part, place in places.items()}
    return json.loads((folder / f"{name}.json").read_text()), values


def variables_of(model: etui.Model) -> dict[str, Any]:
    """The model's weights, but for the table that a lookup layer stores and Keras does not hold as a variable."""
    return {path: v for path, v in (model.weights or {}).items() if v.role != "idf_weights"}


def slots_of(model: etui.Model) -> list[tuple[str, str, Any]]:
    """The slots of a model's optimizers, and of those that they wrap."""
    states = model.optimizer.walk() if model.optimizer else ()
    return [
        (path, slot, tensor)
        for _, state in states
        for path, slots in state.slots.items()
        for slot, tensor in slots.items()
    ]
