"""What of Keras' training has an equal in the vocabulary, and what stays as it is, with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etui.bridges.keras.core.objects import ACTIVATION_ALIASES, ACTIVATIONS, OBJECT_CLASSES
from etui.bridges.keras.core.optimizer_rules import ALGORITHMS
from etui.bridges.keras.core.training_classes import LOSSES, METRICS, SCHEDULES

_BASE = "a base class; a class of the author's own has its meaning in code"
_WRAPPER = "it wraps a function of the author's own; one of Keras' functions becomes a metric of the vocabulary"

PACKAGES: dict[str, Mapping[str, str]] = {
    "optimizers": {name: f"core:{rule}" for name, rule in ALGORITHMS.items()}
    | {"LossScaleOptimizer": "core:loss_scale"},
    "optimizers.schedules": {twin.keras: f"core:schedules.{twin.core}" for twin in SCHEDULES},
    "losses": {twin.keras: f"core:losses.{twin.core}" for twin in LOSSES},
    "metrics": {twin.keras: f"core:metrics.{twin.core}" for twin in METRICS},
    **{kind: {one.keras: f"core:{kind}.{one.core}" for one in classes} for kind, classes in OBJECT_CLASSES.items()},
    "activations": {name: f"core:activations.{name}" for name in ACTIVATIONS}
    | {name: f"core:activations.{target}" for name, target in ACTIVATION_ALIASES.items()},
}
"""Package of Keras -> class or function that it exports -> name in the vocabulary."""

STAYS: dict[str, Mapping[str, str]] = {
    "optimizers": {
        "MultiOptimizer": "it gives layers to several optimizers, of which the vocabulary holds one",
        "Optimizer": _BASE,
        "OptimizerMap": "a part of MultiOptimizer",
    },
    "optimizers.schedules": {"LearningRateSchedule": _BASE},
    "losses": {"Loss": _BASE},
    "metrics": {"Metric": _BASE, "MeanMetricWrapper": _WRAPPER},
    "initializers": {
        "Initializer": _BASE,
        "STFT": "it is the matrix of a spectrogram, which the vocabulary does not have",
    },
    "regularizers": {"Regularizer": _BASE},
    "constraints": {"Constraint": _BASE},
    "activations": {
        "sparsemax": "Keras 3.15 computes another function by this name: its results do not sum to 1",
        "threshold": "a layer cannot name it, as it takes arguments; the operation of that name is core:activation",
    },
}
"""Package of Keras -> class or function that it exports -> why it stays as it is."""


def training_listing() -> Iterator[str]:
    """A line for each class of Keras' training: its name in the vocabulary, or why it has none."""
    for package, found in PACKAGES.items():
        rows = {**found, **STAYS.get(package, {})}
        for name in sorted(rows):
            yield f"{package + '.' + name:<52}{rows[name]}"
