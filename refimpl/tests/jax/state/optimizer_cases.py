"""Optimizers of Keras, and what they are in the core vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui import ObjectValue

BEFORE, AFTER = 7, 20
"""Steps before the transfer, an odd number so that gradients are pending, and after it."""


@dataclass(frozen=True)
class Case:
    """One optimizer.

    Attributes:
        keras: the expression that makes it.
        algorithm, hyperparameters, schedule: of the core vocabulary.
        inner: of a wrapper, what it wraps.
        infinite: step at which a gradient is not finite, or `None`.
    """

    keras: str
    algorithm: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    schedule: Any = None
    inner: Case | None = None
    infinite: int | None = None


def _schedule(name: str, **attrs: Any) -> ObjectValue:
    return ObjectValue(f"core:schedules.{name}", attrs)


_FALL = _schedule("exponential_decay", initial_learning_rate=0.05, decay_steps=4.0, decay_rate=0.7)
_FALL_K = "schedules.ExponentialDecay(0.05, 4, 0.7)"
_COSINE = _schedule("cosine_decay", initial_learning_rate=0.01, decay_steps=15.0, warmup_target=0.05, warmup_steps=5.0)
_COSINE_K = "schedules.CosineDecay(0.01, 15, warmup_target=0.05, warmup_steps=5)"
_K = "keras.optimizers."
_STAIRS = _schedule("piecewise_constant", boundaries=[9.0, 14.0], values=[0.05, 0.02, 0.01])

CASES: dict[str, Case] = {
    "sgd": Case(_K + "SGD(0.05)", "sgd", {"learning_rate": 0.05}),
    "momentum": Case(_K + "SGD(0.05, momentum=0.9)", "sgd", {"momentum": 0.9}),
    "nesterov": Case(_K + "SGD(0.05, momentum=0.9, nesterov=True)", "sgd", {"momentum": 0.9, "nesterov": True}),
    "scheduled": Case(_K + f"SGD({_FALL_K}, momentum=0.9)", "sgd", {"momentum": 0.9}, _FALL),
    "adam": Case(_K + "Adam(0.01)", "adam", {}),
    "adam-scheduled": Case(_K + f"Adam({_COSINE_K})", "adam", {}, _COSINE),
    "adamw": Case(_K + "AdamW(0.01, weight_decay=0.1)", "adam", {"weight_decay": 0.1}),
    "amsgrad": Case(_K + "Adam(0.01, amsgrad=True, epsilon=1e-3)", "adam", {"amsgrad": True, "epsilon": 1e-3}),
    "rmsprop": Case(_K + "RMSprop(0.01, epsilon=1e-3)", "rmsprop", {"epsilon": 1e-3}),
    "rmsprop-all": Case(
        _K + f"RMSprop({_FALL_K}, momentum=0.5, centered=True)", "rmsprop", {"momentum": 0.5, "centered": True}, _FALL
    ),
    "adagrad": Case(_K + "Adagrad(0.05)", "adagrad", {}),
    "adadelta": Case(_K + "Adadelta(0.5)", "adadelta", {}),
    "adamax": Case(_K + "Adamax(0.01, epsilon=1e-3)", "adamax", {"epsilon": 1e-3}),
    "nadam": Case(_K + "Nadam(0.01)", "nadam", {}),
    "ftrl": Case(
        _K + "Ftrl(0.05, l1_regularization_strength=0.01, l2_regularization_strength=0.02, "
        "l2_shrinkage_regularization_strength=0.03, beta=0.1)",
        "ftrl",
        {"l1": 0.01, "l2": 0.02, "l2_shrinkage": 0.03, "beta": 0.1},
    ),
    "lion": Case(_K + "Lion(0.01, weight_decay=0.01)", "lion", {"weight_decay": 0.01}),
    "adafactor": Case(_K + "Adafactor(0.05, weight_decay=0.01)", "adafactor", {"weight_decay": 0.01}),
    "adafactor-scheduled": Case(_K + f"Adafactor({_FALL_K})", "adafactor", {}, _FALL),
    "muon": Case(
        _K + "Muon(0.01, adam_lr_ratio=0.5, exclude_layers=['second'])",
        "muon",
        {
            "adam_rate_ratio": 0.5,
            "weight_decay": 0.004,
            "adam_weight_decay": 0.004,
            "adam_variables": ["second/kernel"],
        },
    ),
    "lamb": Case(_K + "Lamb(0.01, weight_decay=0.01)", "lamb", {"weight_decay": 0.01}),
    "schedule-free": Case(_K + "ScheduleFreeAdamW(0.01, warmup_steps=9)", "schedule_free_adamw", {"warmup_steps": 9}),
    "clip-norm": Case(_K + "Adam(0.01, clipnorm=0.8)", "adam", {"clip_norm": 0.8}),
    "clip-global": Case(_K + "SGD(0.05, global_clipnorm=1.5)", "sgd", {"clip_global_norm": 1.5}),
    "clip-value": Case(_K + "SGD(0.05, clipvalue=0.3)", "sgd", {"clip_value": 0.3}),
    "average": Case(
        _K + "SGD(0.05, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)",
        "sgd",
        {"ema_momentum": 0.9, "ema_overwrite_frequency": 3},
    ),
    "accumulated": Case(
        _K + "Adam(schedules.PiecewiseConstantDecay([9, 14], [0.05, 0.02, 0.01]), gradient_accumulation_steps=2, "
        "weight_decay=0.01, use_ema=True, ema_momentum=0.8, clipnorm=0.5)",
        "adam",
        {"accumulation_steps": 2, "weight_decay": 0.01, "ema_momentum": 0.8, "clip_norm": 0.5},
        _STAIRS,
    ),
    "loss-scale": Case(_K + "SGD(0.05, loss_scale_factor=8.0)", "sgd", {"loss_scale": 8.0}),
    "loss-scaler": Case(
        _K + "LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=16.0, dynamic_growth_steps=4)",
        "loss_scale",
        {"initial_scale": 16.0, "growth_steps": 4},
        inner=Case("", "adam"),
        infinite=10,
    ),
    "constrained": Case(_K + "SGD(0.2, momentum=0.5)", "sgd", {"momentum": 0.5}),
}


def gradients(shapes: Mapping[str, Any], case: Case) -> Iterator[dict[str, np.ndarray]]:
    """The same gradients on both sides."""
    generator = np.random.default_rng(3)
    for index in range(BEFORE + AFTER):
        found = {path: generator.normal(size=tuple(shape)) for path, shape in shapes.items()}
        if index == case.infinite:
            found[next(iter(found))][0] = np.inf
        yield found
