"""What scenarios share: the framework of the process, small models, and comparisons bit for bit."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import numpy as np

FRAMEWORK = os.environ["ETUI_TEST_FRAMEWORK"]
k: Any = import_module(FRAMEWORK)
KERAS3 = FRAMEWORK == "keras"

Scenario = Callable[[Path], None]
SCENARIOS: dict[str, Scenario] = {}
EVERYWHERE: set[str] = set()
X = np.random.default_rng(1).normal(size=(8, 4)).astype("float32")
Y = np.random.default_rng(2).normal(size=(8, 2)).astype("float32")


def once(function: Scenario) -> Scenario:
    """Register a scenario that holds whatever the backend: it runs with one backend of Keras 3, and with tf_keras."""
    assert function.__name__ not in SCENARIOS
    SCENARIOS[function.__name__] = function
    return function


def everywhere(function: Scenario) -> Scenario:
    """Register a scenario that each backend may break in its own way."""
    EVERYWHERE.add(function.__name__)
    return once(function)


def dense_model(name: str | None = None, *, units: int = 3, dropout: float = 0.0) -> Any:
    """Two dense layers with names, and perhaps a dropout between them."""
    inputs = k.Input((4,), name="features")
    hidden = k.layers.Dense(units, activation="relu", name="hidden")(inputs)
    if dropout:
        hidden = k.layers.Dropout(dropout, seed=7, name="drop")(hidden)
    return k.Model(inputs, k.layers.Dense(2, name="head")(hidden), name=name)


def compiled(model: Any, optimizer: Any = None, loss: Any = "mse", **options: Any) -> Any:
    """The model, compiled; step by step where to compile these small steps costs more than to run them."""
    given = {"run_eagerly": not KERAS3 or k.backend.backend() != "jax", **options}
    model.compile(optimizer=optimizer or k.optimizers.Adam(0.01), loss=loss, **given)
    return model


def step(model: Any, x: Any = X, y: Any = Y, steps: int = 1) -> list[dict[str, bytes]]:
    """What training on a batch reports, bit for bit."""
    found = []
    for _ in range(steps):
        logs = model.train_on_batch(x, y, return_dict=True)
        found.append({name: np.asarray(value).tobytes() for name, value in logs.items()})
    return found


def array(variable: Any) -> np.ndarray:
    """The elements of a variable."""
    return np.array(k.ops.convert_to_numpy(variable.value)) if KERAS3 else np.array(variable.numpy())


def values(model: Any) -> list[bytes]:
    """The bits of all weights."""
    return [array(variable).tobytes() for variable in model.weights]


def optimizer_values(model: Any) -> list[bytes]:
    """The bits of all variables of the optimizer."""
    return [array(variable).tobytes() for variable in model.optimizer.variables]


def iterations(model: Any) -> int:
    """The count of the optimizer."""
    return int(array(model.optimizer.variables[0]))


def predict(model: Any, x: Any = X) -> Any:
    """What the model makes of a batch."""
    return k.tree.map_structure(np.asarray, model.predict_on_batch(x)) if KERAS3 else model.predict_on_batch(x)


def assert_same_future(one: Any, two: Any, x: Any = X, y: Any = Y, steps: int = 3) -> None:
    """Both models predict and go on training alike, bit for bit."""
    assert values(one) == values(two)
    assert optimizer_values(one) == optimizer_values(two)
    assert np.asarray(predict(one, x)).tobytes() == np.asarray(predict(two, x)).tobytes()
    losses = step(one, x, y, steps)
    assert losses == step(two, x, y, steps)
    assert len({found["loss"] for found in losses}) > 1
    assert values(one) == values(two)


def counts(report: Any, kind: str = "variable") -> dict[str, int]:
    """How many entries of a kind have each status."""
    return dict(report.counts().get(kind, {}))


class Refused:
    """A block that must end with the error of a code; its text is kept."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.text = ""
        self.error: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, value: object, trace: object) -> bool:
        assert value is not None, f"nothing was raised, and {self.code} was to be"
        found = getattr(value, "code", None)
        if found == self.code:
            self.text, self.error = str(value), value
            return True
        return False
