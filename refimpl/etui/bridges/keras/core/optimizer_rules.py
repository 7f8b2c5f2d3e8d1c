"""Optimizers of Keras and of the vocabulary: classes, hyperparameters, and what both write where nothing is said.

SPEC.md, annex L.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.dialects.same import as_float
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer

LEGACY = "keras:optimizers.legacy."
_PREFIXES = (LEGACY, "keras:optimizers.experimental.", "keras:")
SCALERS: Mapping[str, bool] = {
    "keras:LossScaleOptimizer": False,
    "tf_keras:src.mixed_precision.loss_scale_optimizer.LossScaleOptimizerV3": True,
    "tf_keras:src.mixed_precision.loss_scale_optimizer.LossScaleOptimizer": True,
    "keras:mixed_precision.LossScaleOptimizer": True,
    "keras:mixed_precision.LossScaleOptimizerV3": True,
}
"""The scalers of a loss, and whether they are those of tf_keras."""

# Class -> algorithm.
ALGORITHMS = {
    "SGD": "sgd",
    "Adam": "adam",
    "AdamW": "adam",
    "RMSprop": "rmsprop",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "Adamax": "adamax",
    "Nadam": "nadam",
    "Ftrl": "ftrl",
    "Lion": "lion",
    "Adafactor": "adafactor",
    "Muon": "muon",
    "Lamb": "lamb",
    "ScheduleFreeAdamW": "schedule_free_adamw",
}
CLASSES = {algorithm: name for name, algorithm in ALGORITHMS.items() if name != "AdamW"}
# Keras' key -> that of the vocabulary, of each algorithm and of all.
_BETAS = {"beta_1": "beta_1", "beta_2": "beta_2"}
_ADAM = _BETAS | {"epsilon": "epsilon"}
OWN: dict[str, dict[str, str]] = {
    "sgd": {"momentum": "momentum", "nesterov": "nesterov"},
    "adam": _ADAM | {"amsgrad": "amsgrad"},
    "rmsprop": {"rho": "rho", "momentum": "momentum", "epsilon": "epsilon", "centered": "centered"},
    "adagrad": {"initial_accumulator_value": "initial_accumulator", "epsilon": "epsilon"},
    "adadelta": {"rho": "rho", "epsilon": "epsilon"},
    "adamax": _ADAM,
    "nadam": _ADAM,
    "ftrl": {
        "learning_rate_power": "learning_rate_power",
        "initial_accumulator_value": "initial_accumulator",
        "l1_regularization_strength": "l1",
        "l2_regularization_strength": "l2",
        "l2_shrinkage_regularization_strength": "l2_shrinkage",
        "beta": "beta",
    },
    "lion": _BETAS,
    "adafactor": {
        "beta_2_decay": "beta_2_decay",
        "epsilon_1": "epsilon_1",
        "epsilon_2": "epsilon_2",
        "clip_threshold": "clip_threshold",
    },
    "muon": {
        "adam_beta_1": "adam_beta_1",
        "adam_beta_2": "adam_beta_2",
        "epsilon": "epsilon",
        "adam_lr_ratio": "adam_rate_ratio",
        "momentum": "momentum",
        "ns_steps": "ns_steps",
        "nesterov": "nesterov",
        "adam_weight_decay": "adam_weight_decay",
        "rms_rate": "rms_rate",
    },
    "lamb": _ADAM,
    "schedule_free_adamw": _ADAM | {"warmup_steps": "warmup_steps"},
}
COMMON = {
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "clipnorm": "clip_norm",
    "global_clipnorm": "clip_global_norm",
    "clipvalue": "clip_value",
    "ema_momentum": "ema_momentum",
    "ema_overwrite_frequency": "ema_overwrite_frequency",
    "loss_scale_factor": "loss_scale",
    "gradient_accumulation_steps": "accumulation_steps",
}
# Keys that change no step of training, whatever their value.
IDLE = frozenset({"jit_compile", "is_legacy_optimizer", "use_ema", "relative_step"})
# Keys that are read together, by functions of their own.
MUON = ("muon_a", "muon_b", "muon_c", "exclude_layers", "exclude_embeddings")
EMA_MOMENTUM = 0.99
"""What Keras writes as `ema_momentum` of an optimizer that keeps no averages."""

# Slots of legacy optimizers by their names in the graph of TensorFlow.
GRAPH_SLOTS = {
    "m": "momentum",
    "v": "velocity",
    "vhat": "velocity_hat",
    "rms": "velocity",
    "mg": "average_gradient",
    "accum_grad": "accumulated_grad",
    "accum_var": "accumulated_delta_var",
}
GRAPH_SLOTS_OF_ADAMAX = {"m": "momentum", "v": "norm", "velocity": "norm"}


def class_name(algorithm: str) -> str:
    """The class of an optimizer of either Keras, without its package; the algorithm itself of another."""
    return next((algorithm.removeprefix(one) for one in _PREFIXES if algorithm.startswith(one)), algorithm)


def is_legacy(algorithm: str) -> bool:
    """Whether an optimizer is one of tf.keras before TensorFlow 2.11."""
    return algorithm.startswith(LEGACY)


def is_tf(optimizer: Optimizer) -> bool:
    """Whether an optimizer is one of tf_keras, legacy or not: only its config tells of compilation."""
    keys = optimizer.hyperparameters.keys() & {"jit_compile", "is_legacy_optimizer"}
    return bool(keys) or not optimizer.algorithm.startswith("keras:") or is_legacy(optimizer.algorithm)


def number(value: Any) -> float | None:
    """A number of a config as a float, or `None` for what is none."""
    return as_float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def inverse_time(rate: float, decay: float) -> ObjectValue:
    """The schedule rate / (1 + decay * clock)."""
    config = {"initial_learning_rate": rate, "decay_steps": 1.0, "decay_rate": decay}
    return ObjectValue("core:schedules.inverse_time_decay", config)
