"""One small model under every optimizer and schedule that both Keras have."""

from __future__ import annotations

from typing import Any

from models import CASES, OLD, VECTOR, Case, chain, schedules


def _model(k: Any) -> Any:
    return chain(k, (6,), k.layers.Dense(4, activation="tanh"), k.layers.Dense(2))


def _add(name: str, make: Any, **options: Any) -> None:
    CASES[f"optimizer_{name}"] = Case(_model, lambda: [VECTOR()], optimizer=make, **options)


_add("sgd", lambda k: k.optimizers.SGD(0.1))
_add("sgd_momentum", lambda k: k.optimizers.SGD(0.1, momentum=0.9))
_add("sgd_nesterov", lambda k: k.optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.5))
_add("sgd_decay", lambda k: k.optimizers.SGD(0.1, weight_decay=0.1, clipvalue=0.2))
_add("adam_amsgrad", lambda k: k.optimizers.Adam(0.01, amsgrad=True, global_clipnorm=1.0), losses=1e-5)
_add("adamw", lambda k: k.optimizers.AdamW(0.01, weight_decay=0.02))
_add("adamax", lambda k: k.optimizers.Adamax(0.01))
_add("nadam", lambda k: k.optimizers.Nadam(0.01), sides=OLD)
_add("rmsprop", lambda k: k.optimizers.RMSprop(0.01), losses=1e-5)
_add("rmsprop_centered", lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True), losses=1e-5)
_add("adagrad", lambda k: k.optimizers.Adagrad(0.1))
_add("adadelta", lambda k: k.optimizers.Adadelta(1.0))
_add("ftrl", lambda k: k.optimizers.Ftrl(0.1, l1_regularization_strength=0.01, beta=0.1), losses=1e-5)
_add("lion", lambda k: k.optimizers.Lion(0.01))
_add("adafactor", lambda k: k.optimizers.Adafactor(0.01), losses=1e-5)
_add("ema", lambda k: k.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2))
_add("fresh", lambda k: k.optimizers.Adam(0.01), steps=0)
_add("exponential", lambda k: k.optimizers.SGD(schedules(k).ExponentialDecay(0.2, 2, 0.7, staircase=True)))
_add(
    "cosine",
    lambda k: k.optimizers.Adam(schedules(k).CosineDecay(0.1, 9, alpha=0.1, warmup_target=0.2, warmup_steps=3)),
)
_add("restarts", lambda k: k.optimizers.SGD(schedules(k).CosineDecayRestarts(0.1, 2)))
_add("piecewise", lambda k: k.optimizers.SGD(schedules(k).PiecewiseConstantDecay([2, 4], [0.1, 0.05, 0.01])))
_add("polynomial", lambda k: k.optimizers.SGD(schedules(k).PolynomialDecay(0.1, 4, 0.01, power=2.0)))
_add("inverse_time", lambda k: k.optimizers.SGD(schedules(k).InverseTimeDecay(0.1, 1, 0.5)))
_add("string", "rmsprop", sides=OLD)


def _legacy(name: str, make: Any, **options: Any) -> None:
    """An optimizer of TensorFlow 2.10 and before, in the format of its time."""
    CASES[f"legacy_{name}"] = Case(
        _model, lambda: [VECTOR()], sides=OLD, optimizer=make, suffix=".h5", losses=1e-5, **options
    )


_legacy("sgd", lambda k: k.optimizers.legacy.SGD(0.1))
_legacy("sgd_momentum", lambda k: k.optimizers.legacy.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=0.5))
_legacy("sgd_decay", lambda k: k.optimizers.legacy.SGD(0.1, decay=0.5))
_legacy("adam", lambda k: k.optimizers.legacy.Adam(0.01, decay=0.1))
_legacy("adam_amsgrad", lambda k: k.optimizers.legacy.Adam(0.01, amsgrad=True))
_legacy("adamax", lambda k: k.optimizers.legacy.Adamax(0.01))
_legacy("adadelta", lambda k: k.optimizers.legacy.Adadelta(1.0))
_legacy("rmsprop_momentum", lambda k: k.optimizers.legacy.RMSprop(0.01, momentum=0.5))
_legacy("rmsprop_centered", lambda k: k.optimizers.legacy.RMSprop(0.01, momentum=0.5, centered=True))
_legacy("ftrl", lambda k: k.optimizers.legacy.Ftrl(0.1))
_legacy("schedule", lambda k: k.optimizers.legacy.SGD(schedules(k).ExponentialDecay(0.2, 2, 0.7)))
