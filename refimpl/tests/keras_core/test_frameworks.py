"""Every model of the corpora goes to the vocabulary and back, judged by Keras 3 and tf_keras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from etui.bridges.keras.core.listing import PACKAGES, STAYS
from etui.bridges.keras.core.table import ALIASES, NOT_CORE, RULES, STRUCTURE

HERE = Path(__file__).parent
MINUTES = 20
AT_LEAST = {"keras": 140, "tf_keras": 80, "classes": 8}
LIFTED = {"keras": 110, "tf_keras": 70, "classes": 8}
# Strings are tensors of TensorFlow alone, and the class Abs is in older files: the tests of single modules have them.
BY_HAND = {"keras:StringLookup", "keras:IntegerLookup", "keras:ops.numpy.Abs"}

pytestmark = [pytest.mark.frameworks, pytest.mark.real]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The verdict of each case of a side, which a process of its own gives; Keras 3 runs on JAX."""
    found: dict[str, Any] = {}

    def of(side: str) -> dict[str, Any]:
        if side not in found:
            target = tmp_path_factory.mktemp("judge") / f"{side}.json"
            done = subprocess.run(
                [sys.executable, str(HERE / "judge.py"), side, str(target)],
                env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(HERE.parents[1]), "PYTHONWARNINGS": ""},
                capture_output=True,
                text=True,
                timeout=60 * MINUTES,
                check=False,
            )
            if done.returncode:
                pytest.fail(f"the judge of {side} ended with {done.returncode}:\n{done.stderr[-4000:]}")
            found[side] = json.loads(target.read_text())
        return dict(found[side])

    return of


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Any:
    """Prints lines past the capture of output, so that they are seen where tests pass."""

    def lines(*found: str) -> None:
        with capsys.disabled():
            sys.stdout.write("".join(f"\n{line}" for line in found) + "\n")

    return lines


each_side = pytest.mark.parametrize("side", ["keras", "tf_keras", "classes"])


@each_side
@pytest.mark.clause("KC-22@781916")
def test_documents_are_the_same_there_and_back(verdicts: Any, side: str) -> None:
    """Config, training, optimizer, weights and state of every model come back byte for byte."""
    found = verdicts(side)
    assert len(found) >= AT_LEAST[side]
    assert {name: one["documents"] for name, one in found.items() if one["documents"]} == {}


@each_side
@pytest.mark.clause("KC-1@95d653")
def test_lifted_models_hold_to_the_vocabulary(verdicts: Any, side: str) -> None:
    """Annex J has nothing to say against any translated model."""
    found = verdicts(side)
    assert len(found) >= AT_LEAST[side]
    assert {name: one["check"] for name, one in found.items() if one["check"]} == {}


@pytest.mark.parametrize("side", ["keras", "classes"])
@pytest.mark.clause("KC-23@609aea")
def test_predictions_without_residue(verdicts: Any, side: str, show: Any) -> None:
    """A model rebuilt from core attributes alone predicts bit for bit as the original: they carry the meaning."""
    found = verdicts(side)
    whole = {name: one["difference"] for name, one in found.items() if not one["kept"]}
    assert {name: difference for name, difference in whole.items() if difference != 0.0} == {}
    show(f"{side}: {len(whole)} of {len(found)} models, all with the same predictions")
    assert len(whole) >= LIFTED[side]


@each_side
@pytest.mark.clause("KC-2@aeef8f")
def test_what_does_not_lift_has_a_reason(verdicts: Any, side: str, show: Any) -> None:
    """Every module that stays has a reason of words; the list is printed."""
    found = verdicts(side)
    reasons = Counter(detail for one in found.values() for detail in one["kept"])
    show(f"{side}: modules that stay", *(f"  {count:3} {detail}" for detail, count in reasons.most_common()))
    assert all(" stays: " in detail and len(detail.partition(" stays: ")[2]) > 10 for detail in reasons)
    assert sum(not one["kept"] for one in found.values()) >= LIFTED[side]


@pytest.mark.clause("KC-1@95d653", "KC-2@aeef8f")
def test_every_exported_layer_is_in_a_table() -> None:
    """The layers that Keras exports are those of the rules, of the structure, and of those that stay with a reason."""
    code = "import keras.layers as l; print(*(n for n in dir(l) if isinstance(getattr(l, n), type)))"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONWARNINGS": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    exported = set(done.stdout.split())
    layers = {rule.keras for rule in RULES if not rule.keras.startswith(("ops.", "src."))}
    assert len(exported) > 150
    assert exported - layers - NOT_CORE.keys() - ALIASES.keys() == {"InputLayer"} <= STRUCTURE.keys()
    assert (layers | NOT_CORE.keys() | ALIASES.keys()) - exported == set()
    assert all(reason for reason in NOT_CORE.values())


@pytest.mark.clause("KC-1@95d653")
def test_every_mapped_class_is_exercised(verdicts: Any) -> None:
    """Each class that has a core op is in one of the models that are judged."""
    found = verdicts("classes")
    held = {kind for one in found.values() for kind in one["classes"]}
    assert {f"keras:{rule.keras}" for rule in RULES} - held == BY_HAND


_LIVE = """
import sys, numpy as np, keras, etui
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="gelu"), keras.layers.Dropout(0.5)])
model.compile("adam", "mse")
x = np.ones((2, 4), "float32")
model.train_on_batch(x, np.zeros((2, 3), "float32"))
etui.keras.save(model, sys.argv[1], vocabulary="core")
with etui.open(sys.argv[1]) as stored:
    print(stored.config.find("dense").op, stored.optimizer.optimizers["optimizer"].algorithm)
again = etui.keras.load(sys.argv[1])
assert np.array_equal(again(x), model(x))
steps = [one.train_on_batch(x, np.ones((2, 3), "float32")) for one in (model, again)]
assert steps[0] == steps[1], steps
assert etui.keras.load_weights(again, sys.argv[1], optimizer=True).ok
"""


@pytest.mark.clause("KC-32@93bf80")
def test_live_models_of_core_artifacts(tmp_path: Path) -> None:
    """A live model is saved in the vocabulary, and loaded from it goes on training as if it had never been away."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(HERE.parents[1]), "PYTHONWARNINGS": ""}
    command = [sys.executable, "-c", _LIVE, str(tmp_path / "live.etui")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["core:dense", "core:adam"]


@pytest.mark.clause("KC-50@8d9cbf")
def test_every_exported_class_of_training_is_in_a_table() -> None:
    """What Keras exports of optimizers, losses, metrics and their like has a core name, or a reason why it stays."""
    lines = ["import keras, inspect"]
    for package in PACKAGES:
        wanted = "callable(o) and n not in ('get', 'serialize', 'deserialize')"
        wanted += "" if package == "activations" else " and inspect.isclass(o)"
        name = "n" if package == "activations" else "o.__name__"  # several names of one class are one
        lines.append(f"print({package!r}, *({name} for n, o in vars(keras.{package}).items() if {wanted}))")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONWARNINGS": ""}
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = {line.split()[0]: set(line.split()[1:]) for line in done.stdout.splitlines()}
    assert found.keys() == PACKAGES.keys()
    assert sum(map(len, found.values())) > 130
    for package, exported in found.items():
        known = PACKAGES[package].keys() | STAYS.get(package, {}).keys()
        assert (package, exported - known) == (package, set())
