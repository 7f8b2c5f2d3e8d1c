"""Models of one Keras, put in the terms of the other without either, and judged by the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.dialects.layers import EVERY, ONLY_NEW, ONLY_OLD, RENAMED, class_of_layer, differences
from etui.bridges.keras.dialects.optimizers import ONLY_NEW as NEW_OPTIMIZERS
from etui.bridges.keras.dialects.optimizers import SHARED
from etui.bridges.keras.dialects.values import NAMES, ONLY_NEW_VALUES, ONLY_OLD_VALUES

pytestmark = pytest.mark.frameworks

HERE = Path(__file__).parent
OTHER: dict[Dialect, Dialect] = {"keras": "tf_keras", "tf_keras": "keras"}
AT_LEAST = {"keras": 40, "tf_keras": 60}
# A few models of each kind: what runs wherever the frameworks are. The rest runs with the mark `real`.
FEW = {
    "tf_keras": (
        "mlp named_optimizer deferred first_layer_with_a_shape hard_sigmoid_dense thresholded_relu activation_layers "
        "nested lstm_of_keras_2 self_attention given_state shapes logits optimizer_nadam optimizer_adafactor "
        "optimizer_cosine legacy_adam legacy_sgd_decay text_lookup"
    ),
    "keras": "mlp hard_sigmoid_dense activation_layers nested given_state self_attention arithmetic "
    "operations_on_shapes optimizer_sgd optimizer_adafactor optimizer_cosine text_lookup",
}
# Attributes that a class takes and its signature does not tell.
SWALLOWED = frozenset({"dropout", "keepdims", "seed", "unroll", "vocabulary_size", "zero_output_for_mask"})
# Names that are exported and are no class that a model can hold.
BASES = frozenset({"InputSpec", "Layer", "Loss", "Metric", "Optimizer", "OptimizerMap", "Reduction", "ReductionV2"}) | {
    "LearningRateSchedule",
    "Regularizer",
    "GroupedQueryAttention",
}


def journey(folder: Path, run: Callable[..., None], names: dict[str, str]) -> None:
    """Build with one Keras, convert without any, judge with the other: both ways."""
    for side, other in OTHER.items():
        place = folder / side
        place.mkdir()
        run("dialects/oracle.py", side, "build", place, *names.get(side, "").split())
        files = json.loads((place / "built.json").read_text())
        jobs = {name: [str(place / file), str(place / f"{name}.other.keras"), other] for name, file in files.items()}
        (place / "jobs.json").write_text(json.dumps(jobs))
        run("dialects/convert.py", place / "jobs.json", place / "converted.json")
        judged = {name: [job[1], str(place / f"{name}.npz")] for name, job in jobs.items()}
        (place / "judged.json").write_text(json.dumps(judged))
        run("dialects/oracle.py", other, "judge", place / "judged.json", place / "verdicts.json")


@pytest.fixture(scope="module")
def few(shared: Path, once: Any, run: Callable[..., None]) -> Path:
    """The journey of a few models."""
    found: Path = once(shared / "dialects-few", lambda folder: journey(folder, run, FEW))
    return found


@pytest.fixture(scope="module")
def all_of_them(shared: Path, once: Any, run: Callable[..., None]) -> Path:
    """The journey of every model."""
    found: Path = once(shared / "dialects", lambda folder: journey(folder, run, {}))
    return found


def stored(folder: Path, side: str, name: str) -> Any:
    return json.loads((folder / side / f"{name}.json").read_text())


def cases() -> dict[str, Any]:
    """The table of models, without a framework."""
    sys.path.insert(0, str(HERE / "dialects"))
    try:
        for name in ("dense", "operations", "optimizers", "sequences", "spatial"):
            import_module(name)
        found: dict[str, Any] = import_module("models").CASES
    finally:
        sys.path.remove(str(HERE / "dialects"))
    return found


def faults(folder: Path, side: Dialect) -> Iterator[tuple[str, Any]]:
    """The models that do not mean the same on the other side."""
    table = cases()
    for name, verdict in stored(folder, side, "verdicts").items():
        case = table[name]
        bound = max(case.bound, case.back if side == "keras" else 0.0)
        if "error" in verdict or verdict["predictions"] > bound or verdict.get("losses", 0.0) > case.losses:
            yield name, verdict
        if case.loss is not None and "losses" not in verdict and "error" not in verdict:
            yield name, "was not trained"


@pytest.mark.clause("KN-1@5d963b", "KN-2@bf0e6d", "KN-3@39efb4", "KN-8@d56a74")
@pytest.mark.parametrize("side", ["keras", "tf_keras"])
def test_a_few_models_mean_the_same_in_the_other_keras(few: Path, side: Dialect) -> None:
    """Predictions and the next three losses are those of the source, and nothing is reported as lost."""
    assert set(stored(few, side, "verdicts")) == set(FEW[side].split())
    assert dict(faults(few, side)) == {}
    converted = stored(few, side, "converted")
    assert {name: found for name, found in converted.items() if found["lost"] or found["error"]} == {}


@pytest.mark.real
@pytest.mark.clause("KN-1@5d963b", "KN-2@bf0e6d", "KN-3@39efb4", "KN-8@d56a74")
@pytest.mark.parametrize("side", ["keras", "tf_keras"])
def test_every_model_means_the_same_in_the_other_keras(all_of_them: Path, side: Dialect) -> None:
    """Predictions and the next three losses are those of the source, and nothing is reported as lost."""
    assert len(stored(all_of_them, side, "verdicts")) >= AT_LEAST[side]
    assert dict(faults(all_of_them, side)) == {}
    converted = stored(all_of_them, side, "converted")
    assert {name: found for name, found in converted.items() if found["lost"] or found["error"]} == {}


@pytest.mark.clause("KN-2@bf0e6d")
@pytest.mark.parametrize("side", ["keras", "tf_keras"])
def test_the_same_model_gives_the_same_bytes(few: Path, side: Dialect) -> None:
    """A second conversion gives the file of the first, byte for byte."""
    found = stored(few, side, "converted")
    assert found
    assert [name for name, result in found.items() if not result["same"]] == []


@pytest.fixture(scope="module")
def inventories(shared: Path, once: Any, run: Callable[..., None]) -> dict[str, Any]:
    """What both export."""

    def work(folder: Path) -> None:
        for side in OTHER:
            run("dialects/inventory.py", side, folder / f"{side}.json")

    folder = once(shared / "dialects-inventory", work)
    return {side: json.loads((folder / f"{side}.json").read_text()) for side in OTHER}


def own_names(classes: dict[str, Any]) -> set[str]:
    """Exported names but for second names of a class, and for bases."""
    return {name for name, facts in classes.items() if facts.get("own", name) == name} - BASES


@pytest.mark.clause("KN-4@6cb9a8")
@pytest.mark.parametrize("side", ["keras", "tf_keras"])
def test_no_layer_is_unaccounted_for(inventories: dict[str, Any], side: Dialect) -> None:
    """Every layer of one Keras has a namesake or another name in the other, or stands in a table with a reason."""
    here, there = (own_names(inventories[one]["layers"]) for one in (side, OTHER[side]))
    only = ONLY_OLD if side == "tf_keras" else ONLY_NEW
    renamed = RENAMED if side == "tf_keras" else {}
    assert len(here) > 100
    assert {name for name in here if name not in only and renamed.get(name, name) not in there} == set()
    assert all(reason.strip() and not reason.endswith(".") for reason in only.values())


@pytest.mark.clause("KN-5@5f0c00")
@pytest.mark.parametrize("side", ["keras", "tf_keras"])
def test_no_attribute_is_unaccounted_for(inventories: dict[str, Any], side: Dialect) -> None:
    """Every attribute in a layer's config is one that the other Keras takes, or stands in the table of the class."""
    only, checked = (ONLY_OLD if side == "tf_keras" else ONLY_NEW), 0
    for name, facts in inventories[side]["layers"].items():
        if not facts or facts["own"] != name or name in only or name in BASES or facts["config"] is None:
            continue
        renamed = RENAMED.get(name, name) if side == "tf_keras" else name
        table = differences(name)
        known = {*inventories[OTHER[side]]["layers"][renamed]["takes"], "dtype", *SWALLOWED}
        known |= {*EVERY.only_in(side), *table.only_in(side), *table.names_for(OTHER[side])}
        assert set(facts["config"]) - known == set(), name
        checked += 1
    assert checked > 90


@pytest.mark.clause("KN-4@6cb9a8")
@pytest.mark.parametrize("package", ["losses", "metrics", "initializers", "regularizers", "constraints", "activations"])
def test_no_other_class_is_unaccounted_for(inventories: dict[str, Any], package: str) -> None:
    """Losses, metrics and the like have a namesake, another name, or no equal by the table."""
    old, new = (own_names(inventories[side][package]) for side in ("tf_keras", "keras"))
    known = {*ONLY_OLD_VALUES[package], *NAMES.get(package, {}), *ONLY_NEW_VALUES[package]}
    functions = {"categorical_hinge", "huber", "logcosh", "log_cosh"} if package == "metrics" else set()
    activations = {"leaky_relu", "log_softmax", "relu6", "silu"} if package == "activations" else set()
    assert old
    assert new
    assert (old ^ new) - known - functions - activations - {"l1_l2"} == set()


@pytest.mark.clause("KN-17@6dbe4b")
def test_no_optimizer_is_unaccounted_for(inventories: dict[str, Any]) -> None:
    """Every optimizer and schedule is shared by both, or stands in the table of those without an equal."""
    new = own_names(inventories["keras"]["optimizers"])
    old = own_names(inventories["tf_keras"]["optimizers"])
    assert old == SHARED
    assert new - SHARED - {"LossScaleOptimizer"} == set(NEW_OPTIMIZERS)
    schedules = [own_names(inventories[side]["optimizers.schedules"]) for side in OTHER]
    assert schedules[0] == schedules[1] != set()


@pytest.mark.library
def test_layers_of_older_packages_are_known() -> None:
    """A layer of an experimental package of Keras 2 is the one that `keras.layers` exports."""
    assert class_of_layer("keras:layers.experimental.preprocessing.RandomFlip") == "RandomFlip"
    assert class_of_layer("keras:Dense") == "Dense"
    assert class_of_layer("custom:my>Dense") is None
