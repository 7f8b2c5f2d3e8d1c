"""Every optimizer of Keras 3.15, their options, and every learning rate schedule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
from keras import layers, optimizers
from keras.optimizers import schedules

from .registry import Sample, case, fit, numbers, one_hot, register, tokens


def _network(embedding: bool = True) -> keras.Model:
    """A small model with a matrix, a convolution, a vector and an embedding, and with a frozen layer in between.

    Some optimizers of Keras fail in TensorFlow on the sparse gradient of an embedding; a one-hot code replaces it then.
    """
    text, image = keras.Input((4,), dtype="int32"), keras.Input((5, 5, 2))
    table = layers.Embedding(9, 3, name="words") if embedding else layers.CategoryEncoding(9)
    words = table(text) if not embedding else layers.Flatten()(table(text))
    picture = layers.Flatten()(layers.BatchNormalization()(layers.Conv2D(2, 3, name="filters")(image)))
    x = layers.Dense(6, activation="relu", name="frozen", trainable=False)(layers.Concatenate()([words, picture]))
    return keras.Model([text, image], layers.Dense(3, activation="softmax", name="head")(x))


def _trained(make: Callable[[], optimizers.Optimizer], steps: int = 3, embedding: bool = True) -> Sample:
    model = _network(embedding)
    model.compile(make(), "categorical_crossentropy")
    return fit(model, [tokens(9, 8, 4), numbers(8, 5, 5, 2)], one_hot(3, 8), steps)


OPTIMIZERS: dict[str, Callable[[], optimizers.Optimizer]] = {
    "sgd": lambda: optimizers.SGD(0.1),
    "sgd_momentum": lambda: optimizers.SGD(0.1, momentum=0.9),
    "sgd_nesterov": lambda: optimizers.SGD(0.1, momentum=0.8, nesterov=True, weight_decay=0.01),
    "adam": lambda: optimizers.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-5, name="own_name"),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.02),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True),
    "adamw_amsgrad": lambda: optimizers.AdamW(0.01, amsgrad=True),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "rmsprop_momentum": lambda: optimizers.RMSprop(0.01, momentum=0.5),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True, rho=0.8),
    "adagrad": lambda: optimizers.Adagrad(0.05, initial_accumulator_value=0.2),
    "adadelta": lambda: optimizers.Adadelta(1.0, rho=0.9),
    "adamax": lambda: optimizers.Adamax(0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=0.001, l2_regularization_strength=0.002, beta=0.1),
    "lion": lambda: optimizers.Lion(0.001),
    "lamb": lambda: optimizers.Lamb(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "adafactor_absolute": lambda: optimizers.Adafactor(0.01, relative_step=False, beta_2_decay=-0.7),
    "muon": lambda: optimizers.Muon(0.01, exclude_layers=["head"], exclude_embeddings=True),
    "muon_without_exclusions": lambda: optimizers.Muon(0.01, exclude_embeddings=False, adam_weight_decay=0.01),
    "schedule_free_adamw": lambda: optimizers.ScheduleFreeAdamW(0.01, warmup_steps=2),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.01), initial_scale=64.0, dynamic_growth_steps=2
    ),
    "loss_scale_sgd": lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.01, momentum=0.9), name="outer"),
}
for _name, _make in OPTIMIZERS.items():
    register(f"optimizer_{_name}", partial(_trained, _make, embedding=_name != "rmsprop_centered"))

OPTIONS: dict[str, Callable[[], optimizers.Optimizer]] = {
    "ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=2),
    "ema_sgd": lambda: optimizers.SGD(0.1, use_ema=True),
    "accumulation": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "accumulation_and_ema": lambda: optimizers.SGD(
        0.1, momentum=0.9, gradient_accumulation_steps=4, use_ema=True, ema_overwrite_frequency=3
    ),
    "clipnorm": lambda: optimizers.RMSprop(0.01, clipnorm=0.5),
    "global_clipnorm": lambda: optimizers.Adam(0.01, global_clipnorm=0.3),
    "clipvalue": lambda: optimizers.Nadam(0.01, clipvalue=0.01),
    "loss_scale_factor": lambda: optimizers.Adam(0.01, loss_scale_factor=8.0),
    "everything": lambda: optimizers.AdamW(
        schedules.CosineDecay(0.01, 20, warmup_target=0.02, warmup_steps=3),
        amsgrad=True,
        use_ema=True,
        gradient_accumulation_steps=2,
        global_clipnorm=1.0,
        loss_scale_factor=4.0,
    ),
}
for _name, _make in OPTIONS.items():
    register(f"optimizer_with_{_name}", partial(_trained, _make, 5, _name not in ("loss_scale_factor", "everything")))


@case()
def optimizer_for_each_group_of_variables() -> Sample:
    groups = {"filters.*": optimizers.Adam(0.01, amsgrad=True), "head.*": optimizers.RMSprop(0.02)}
    by_path = optimizers.OptimizerMap(optimizers.SGD(0.1, momentum=0.9), groups)
    return _trained(lambda: optimizers.MultiOptimizer(by_path))


@case()
def optimizer_with_decay_exclusions() -> Sample:
    model = _network()
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(optimizer, "categorical_crossentropy")
    return fit(model, [tokens(9, 8, 4), numbers(8, 5, 5, 2)], one_hot(3, 8))


@case()
def optimizer_with_changed_learning_rate() -> Sample:
    sample = _trained(lambda: optimizers.Adam(0.01))
    sample.model.optimizer.learning_rate = 0.00375
    return sample


SCHEDULES: dict[str, Callable[[], schedules.LearningRateSchedule]] = {
    "exponential": lambda: schedules.ExponentialDecay(0.1, 2, 0.9, staircase=True),
    "piecewise": lambda: schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01]),
    "polynomial": lambda: schedules.PolynomialDecay(0.1, 4, end_learning_rate=0.01, power=2.0, cycle=True),
    "inverse_time": lambda: schedules.InverseTimeDecay(0.1, 2, 0.5),
    "cosine": lambda: schedules.CosineDecay(0.1, 8, alpha=0.1, warmup_target=0.2, warmup_steps=2),
    "cosine_restarts": lambda: schedules.CosineDecayRestarts(0.1, 3, t_mul=2.0, m_mul=0.9, alpha=0.05),
}


def _scheduled(make: Callable[[], schedules.LearningRateSchedule]) -> Sample:
    return _trained(lambda: optimizers.SGD(make(), momentum=0.9))


for _name, _schedule in SCHEDULES.items():
    register(f"schedule_{_name}", partial(_scheduled, _schedule))
