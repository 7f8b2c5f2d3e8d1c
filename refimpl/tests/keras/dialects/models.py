"""Small models for both Keras: each function makes the same model of whichever Keras it is given.

A case says what the model is fed, what it is trained with, and how far the predictions of the two may lie apart where
their operations are not the same: 0 means bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = list[np.ndarray]
Make = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model and how it is used.

    Attributes:
        make: makes the model of the Keras that it is given.
        inputs: makes the inputs.
        sides: which Keras the model is built with.
        loss: of training; `None` for a model that is not trained.
        optimizer: makes the optimizer, or names it.
        targets: shape of the targets but for the batch; by default that of the predictions.
        labels: number of classes of integer targets.
        options: of `compile`.
        bound: largest difference of predictions, relative to the largest prediction.
        losses: largest relative difference of the losses.
        steps: taken before the model is saved.
        back: largest difference of predictions on the way to Keras 2, where it is larger than `bound`.
        suffix: of the file that the model is saved to.
    """

    make: Callable[[Any], Any]
    inputs: Callable[[], Arrays]
    sides: tuple[str, ...] = ("tf_keras", "keras")
    loss: Any = "mse"
    optimizer: Any = None
    targets: tuple[int, ...] | None = None
    labels: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    bound: float = 0.0
    losses: float = 2e-6
    steps: int = 2
    back: float = 0.0
    suffix: str = ".keras"


CASES: dict[str, Case] = {}
BATCH = 4


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Normal numbers, a batch of `shape`."""
    return (np.random.default_rng(seed).normal(size=(BATCH, *shape)) * scale).astype("float32")


def whole(*shape: int, below: int = 9, seed: int = 0) -> np.ndarray:
    """Integers, a batch of `shape`; the last ones of each row are 0, which masks take as padding."""
    found = np.random.default_rng(seed).integers(1, below, size=(BATCH, *shape)).astype("int32")
    found[..., -1] = 0
    return found


def case(*inputs: Callable[[], np.ndarray], **options: Any) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Register a function that makes a model."""

    def register(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if make.__name__ in CASES:
            raise ValueError(make.__name__)
        CASES[make.__name__] = Case(make, lambda: [one() for one in inputs], **options)
        return make

    return register


VECTOR: Make = lambda: numbers(6)  # noqa: E731
SEQUENCE: Make = lambda: numbers(5, 3)  # noqa: E731
IMAGE: Make = lambda: numbers(8, 8, 3)  # noqa: E731
VOLUME: Make = lambda: numbers(5, 5, 5, 2)  # noqa: E731
TOKENS: Make = lambda: whole(5)  # noqa: E731
# Each token once: on TensorFlow, Keras 3's optimizers square the gradients of a repeated row one by one, and Keras 2
# their sum, as Keras 3 does on JAX and PyTorch.
DISTINCT: Make = lambda: np.arange(5 * BATCH).reshape(BATCH, 5).astype("int32")  # noqa: E731
OLD, NEW = ("tf_keras",), ("keras",)
ADAM = lambda k: k.optimizers.Adam(0.01)  # noqa: E731


def chain(k: Any, shape: tuple[int | None, ...], *layers: Any, dtype: str = "float32") -> Any:
    """A Sequential model."""
    return k.Sequential([k.Input(shape, dtype=dtype), *layers])


def schedules(k: Any) -> Any:
    """The module of learning-rate schedules."""
    return k.optimizers.schedules
