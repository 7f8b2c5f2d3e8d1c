"""The list of models by which the `.keras` bridge is judged, and the small tools with which they are built.

A case is a function that returns a `Sample`: one seeded Keras model, fixed data for it, and (unless the case is about
an untrained model) a few finished training steps, so that optimizer slots, moving averages and counters are not at
their starting values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
TENSORFLOW_ONLY = ("tensorflow",)
STRINGS = "string tensors exist in TensorFlow only"


@dataclass(frozen=True)
class Sample:
    """A model with the batch it is judged on. `y is None` says that no training step can be taken."""

    model: keras.Model
    x: Any
    y: Any = None
    sample_weight: Any = None


@dataclass(frozen=True)
class Case:
    """One registered model. `reason` says why a backend is missing, `random` why training is not reproducible."""

    name: str
    build: Callable[[], Sample]
    backends: tuple[str, ...]
    reason: str
    random: str


CASES: dict[str, Case] = {}


def register(
    name: str,
    build: Callable[[], Sample],
    backends: tuple[str, ...] = BACKENDS,
    reason: str = "",
    random: str = "",
) -> None:
    """Add one case; a backend may be left out, and training may be left unjudged, only with a reason."""
    if name in CASES:
        raise ValueError(f"two cases are named {name}")
    if backends != BACKENDS and not reason:
        raise ValueError(f"{name}: a case that leaves out a backend needs a reason")
    CASES[name] = Case(name, build, backends, reason, random)


def case(
    backends: tuple[str, ...] = BACKENDS, reason: str = "", random: str = ""
) -> Callable[[Callable[[], Sample]], Callable[[], Sample]]:
    """Register the decorated builder under its own name."""

    def add(build: Callable[[], Sample]) -> Callable[[], Sample]:
        register(build.__name__, build, backends, reason, random)
        return build

    return add


def spare_tracing(model: keras.Model) -> None:
    """Run a small TensorFlow model step by step: tracing it costs more. What compile() was told is saved all the same.

    Float8 layers stay traced, because Keras cannot differentiate them otherwise.
    """
    float8 = any("float8" in layer.dtype_policy.name for layer in model._flatten_layers())
    if keras.backend.backend() == "tensorflow" and not float8:
        model.run_eagerly = True


def fit(model: keras.Model, x: Any, y: Any, steps: int = 3, sample_weight: Any = None) -> Sample:
    """Take `steps` training steps on the one batch and return the sample."""
    spare_tracing(model)
    for _ in range(steps):
        model.train_on_batch(x, y, sample_weight=sample_weight)
    return Sample(model, x, y, sample_weight)


def numbers(*shape: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    """Standard normal numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def classes(count: int, *shape: int, seed: int = 1) -> np.ndarray:
    """Integer labels in [0, count)."""
    return np.random.default_rng(seed).integers(0, count, size=shape).astype("int32")


def one_hot(count: int, rows: int, seed: int = 1) -> np.ndarray:
    """One-hot float labels of shape (rows, count)."""
    codes: np.ndarray = np.eye(count, dtype="float32")[classes(count, rows, seed=seed)]
    return codes


def tokens(vocabulary: int, rows: int, length: int, seed: int = 2) -> np.ndarray:
    """Token ids from 1 upwards with a tail of zeros of varying length in each row, as a padded text has."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, vocabulary, size=(rows, length)).astype("int32")
    for row in range(rows):
        ids[row, length - row % (length - 1) :] = 0 if row % (length - 1) else ids[row, length:]
    return ids


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Build layers under another global dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def floatx(name: str) -> Iterator[None]:
    """Build layers and optimizers with another default float type."""
    before = keras.config.floatx()
    keras.config.set_floatx(name)
    try:
        with policy(name):
            yield
    finally:
        keras.config.set_floatx(before)
