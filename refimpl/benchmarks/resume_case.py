"""What the modules of `resume.py` share: the cases, what a target makes of them, and the lines of the table.

It imports none of the others, and no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from etui.report import Report
from etui.transfer import EXACT, KINDS

Array = npt.NDArray[Any]
Batch = tuple[Array, Array]
BEFORE, AFTER, BATCH = 50, 20, 32
LOSS = "sparse_categorical_crossentropy"
DTYPES = ("float32", "float64")
# Largest relative loss difference of a faithful transfer: by model and dtype.
LIMITS = {("mlp", "float32"): 2e-6, ("mlp", "float64"): 1e-12, ("cnn", "float32"): 2e-6, ("cnn", "float64"): 1e-6}
# Keras on JAX computes a power of the step, and a root of the sizes, in float32 even where all else is float64.
FLOORS = {"adafactor": 1e-8, "muon": 1e-8}
FAITHFUL = ("exact", "reparametrised")


@dataclass(frozen=True, slots=True)
class Case:
    """One interrupted training.

    Attributes:
        optimizer: key of `OPTIMIZERS`.
        model: ``mlp`` or ``cnn``.
        dtype: ``float32`` or ``float64``, of the variables and of all arithmetic.
        path: of the etui that Keras saved after `BEFORE` steps.
        arrays: file of NumPy for other processes: the further batches as ``x`` and ``y``, the weights as
            ``weights/<layer>/<number>``, the variables of the optimizer as ``optimizer/<number>/<name>``.
        batches: those of the further steps, inputs with channels last and class numbers.
        losses: of the uninterrupted training on them.
    """

    optimizer: str
    model: str
    dtype: str
    path: Path
    arrays: Path
    batches: list[Batch]
    losses: list[float]


@dataclass(frozen=True, slots=True)
class Result:
    """What a target made of a case.

    Attributes:
        losses: one for each batch, before the step on it.
        transfer: the worst transfer class in the target's report.
        reason: what the report says where a transfer is not faithful.
    """

    losses: list[float]
    transfer: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        model, optimizer: of the case.
        target, variant: where and how it was resumed.
        transfer: class of the transfer.
        figures: largest relative difference of the loss by dtype, for those that were run.
        floors: that of the state which was put into the target by hand, where it was measured.
        reason: why the transfer is not faithful.
        good: whether the figures are what they should be.
    """

    model: str
    optimizer: str
    target: str
    variant: str
    transfer: str
    figures: dict[str, float]
    floors: dict[str, float]
    reason: str
    good: bool

    def cells(self) -> list[str]:
        """The line, for people."""
        found = []
        for dtype in DTYPES:
            floor = f" ({self.floors[dtype]:.1e})" if dtype in self.floors else ""
            found.append(f"{self.figures[dtype]:.1e}{floor}" if dtype in self.figures else "")
        return [self.model, self.optimizer, self.target, self.variant, self.transfer, *found, "" if self.good else "no"]


def _keras(name: str, **options: Any) -> Callable[[Any], Any]:
    return lambda keras: getattr(keras.optimizers, name)(**options)


def _decayed(name: str, rate: float, **options: Any) -> Callable[[Any], Any]:
    def make(keras: Any) -> Any:
        schedule = keras.optimizers.schedules.ExponentialDecay(rate, decay_steps=10, decay_rate=0.9)
        return getattr(keras.optimizers, name)(schedule, **options)

    return make


# Each makes the optimizer with Keras 3 or, where that has it, with tf_keras.
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": _keras("SGD", learning_rate=0.02),
    "sgd-momentum": _keras("SGD", learning_rate=0.02, momentum=0.9),
    "sgd-nesterov": _keras("SGD", learning_rate=0.02, momentum=0.9, nesterov=True),
    "sgd-momentum-schedule": _decayed("SGD", 0.02, momentum=0.9),
    "adam": _keras("Adam", learning_rate=0.003),
    "adam-schedule": _decayed("Adam", 0.003),
    "adam-clipnorm": _keras("Adam", learning_rate=0.003, global_clipnorm=0.5),
    "adam-ema": _keras("Adam", learning_rate=0.003, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=7),
    "adam-accumulation": _keras("Adam", learning_rate=0.003, gradient_accumulation_steps=3),
    "adamw": _keras("AdamW", learning_rate=0.003, weight_decay=0.01),
    "amsgrad": _keras("Adam", learning_rate=0.003, amsgrad=True),
    "rmsprop": _keras("RMSprop", learning_rate=0.002),
    "rmsprop-centered": _keras("RMSprop", learning_rate=0.002, momentum=0.5, centered=True),
    "adagrad": _keras("Adagrad", learning_rate=0.02),
    "adadelta": _keras("Adadelta", learning_rate=1.0),
    "adamax": _keras("Adamax", learning_rate=0.003),
    "nadam": _keras("Nadam", learning_rate=0.003),
    "ftrl": _keras("Ftrl", learning_rate=0.05),
    "lion": _keras("Lion", learning_rate=0.0005),
    "lamb": _keras("Lamb", learning_rate=0.01),
    "adafactor": _keras("Adafactor", learning_rate=0.01),
    "muon": _keras("Muon", learning_rate=0.005),
}


def _mlp(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((16,), name="x")
    # Not tanh: Keras on JAX computes it in float32 even where all else is float64.
    hidden = layers.Dense(32, activation="relu", name="hidden")(inputs)
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(hidden), name="mlp")


def _cnn(keras: Any) -> Any:
    layers = keras.layers
    inputs = keras.Input((8, 8, 2), name="x")
    x = layers.Conv2D(6, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.MaxPooling2D(2, name="pool")(layers.Activation("relu", name="relu")(x))
    x = layers.Flatten(name="flat")(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(x), name="cnn")


MODELS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {"mlp": (_mlp, (16,)), "cnn": (_cnn, (8, 8, 2))}


def keras_losses(net: Any, batches: list[Batch]) -> list[float]:
    """Train a compiled Keras model; the loss of each batch alone, before the step on it."""
    losses = []
    for x, y in batches:
        net.reset_metrics()
        losses.append(float(net.train_on_batch(x, y)))
    return losses


def worst(report: Report) -> tuple[str, str]:
    """The worst transfer class, and what the report says about it."""
    found = [
        (one.transfer.kind, one.transfer.formula or one.detail)
        for one in report.entries
        if one.transfer is not None and one.kind != "module"
    ]
    return max(found, key=lambda one: KINDS.index(one[0]), default=(EXACT, ""))
