"""Modes of the vocabulary's optimizers that Keras does not have: what becomes of them there (SPEC.md, annex L.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etui.bridges.keras.core.optimizer_rules import inverse_time
from etui.bridges.keras.dialects.same import is_same
from etui.containers.optimizer import Optimizer
from etui.containers.pieces import Array
from etui.core.optimizers import rate_of
from etui.core.vocabulary import filled, optimizers
from etui.transfer import APPROXIMATE, NOT_TRANSFERABLE, REPARAMETRISED, Transfer

# Largest difference after 20 further steps, in parts of the way that the variables went, with an epsilon of 1e-8 and
# gradients of sizes from 0.001 to 10; it grows with epsilon. The tests of KC-59 measure it.
_BOUNDS = {"adam": 1e-6, "nadam": 1e-5, "adamax": 1e-8, "rmsprop": 1e-5, "adagrad": 1e-5}


def bound_of(name: str, epsilon: float) -> float:
    """How much an optimizer with another place of epsilon differs at most, by measurement."""
    return _BOUNDS[name] * max(1.0, epsilon / 1e-8)


Slot = Callable[[Array], Array]


@dataclass(slots=True)
class Conversion:
    """An optimizer on its way to Keras.

    Attributes:
        optimizer: in the terms of the vocabulary, a copy that may be changed.
        h: all hyperparameters; the modes are set to those of Keras one by one.
        slots: slot name -> what is done to its numbers, and the formula.
        notes: place below the optimizer, how it fares, and why.
    """

    optimizer: Optimizer
    h: dict[str, Any]
    slots: dict[str, tuple[Slot, str]] = field(default_factory=dict)
    notes: list[tuple[str, Transfer, str]] = field(default_factory=list)

    def exactly(self, place: str, formula: str) -> None:
        """Something is the same by a formula."""
        self.notes.append((place, Transfer(REPARAMETRISED, formula), ""))

    def nearly(self, place: str, formula: str, bound: float, why: str) -> None:
        """Something is nearly the same."""
        self.notes.append((place, Transfer(APPROXIMATE, formula, bound), why))

    def lost(self, place: str, why: str) -> None:
        """Keras has nothing like it."""
        self.notes.append((place, Transfer(NOT_TRANSFERABLE), why))


def convert(name: str, conversion: Conversion) -> None:
    """Bring the modes of an optimizer to those that Keras has.

    Args:
        name: the algorithm.
        conversion: is changed.
    """
    _counters(conversion)
    for part in (_gradients, _decay, _averages):
        part(name, conversion)
    own = _OWN.get(name)
    if own is not None:
        own(conversion)
    for key in _left(name, conversion.h):
        conversion.lost(key, f"Keras has no {key} = {conversion.h[key]!r}")


# Hyperparameters that no config of Keras holds, and which must then have their default.
_MODES = frozenset(
    {
        "decay_mode",
        "decay_excluded",
        "clip_epsilon",
        "ema_start",
        "maximize",
        "momentum_form",
        "dampening",
        "epsilon_mode",
        "epsilon_root",
        "amsgrad_max_of",
        "rate_decay",
        "schedule_decay",
        "schedule_base",
        "relative_step",
    }
)


def modes_of(name: str) -> frozenset[str]:
    """The hyperparameters of an algorithm that no config of Keras 3 holds under a name of its own."""
    return frozenset(optimizers()[name].hyperparameters) & (_MODES | {"ns_coefficients", "adam_variables"})


def _left(name: str, h: dict[str, Any]) -> Iterator[str]:
    defaults = filled(optimizers()[name].hyperparameters, {})
    yield from (key for key in sorted(modes_of(name) & _MODES) if not is_same(h[key], defaults[key]))


def _counters(conversion: Conversion) -> None:
    """Keras has one counter, of gradients, and its schedules follow it."""
    optimizer, k = conversion.optimizer, conversion.h["accumulation_steps"]
    by_step = optimizer.schedule is not None and optimizer.schedule_clock == "step"
    if by_step and k > 1:
        conversion.lost("schedule_clock", "the schedules of Keras count gradients, and this one counts updates")
    if optimizer.micro_step // k != optimizer.step:
        if optimizer.schedule is not None and not by_step:
            conversion.lost("micro_step", "Keras counts updates and gradients by one number")
        conversion.exactly("micro_step", "micro_step = step * accumulation_steps + micro_step mod accumulation_steps")
        optimizer.micro_step = optimizer.step * k + optimizer.micro_step % k
    if by_step:
        optimizer.schedule_clock = "micro_step"


def _gradients(_: str, conversion: Conversion) -> None:
    h = conversion.h
    limits = [key for key in ("clip_value", "clip_norm", "clip_global_norm") if h[key] is not None]
    if len(limits) > 1:
        conversion.lost("clip", f"Keras clips in one way, and not by {' and '.join(limits)}")
    if h["clip_epsilon"] and any(key != "clip_value" for key in limits):
        limit = min(h[key] for key in limits if key != "clip_value")
        why = "where it clips, Keras divides by the norm alone"
        conversion.nearly("clip_epsilon", "clip_epsilon = 0", h["clip_epsilon"] / limit, why)
    h["clip_epsilon"] = 0.0


def _decay(name: str, conversion: Conversion) -> None:
    h = conversion.h
    if h["decay_mode"] == "decoupled":
        return
    if not h["weight_decay"]:
        h["decay_mode"] = "decoupled"
    elif name == "sgd" and not h["momentum"]:
        # Without momentum both subtract rate * decay * variable, once.
        conversion.exactly("weight_decay", "decay_mode = decoupled")
        h["decay_mode"] = "decoupled"


def _averages(_: str, conversion: Conversion) -> None:
    if conversion.h["ema_momentum"] is None or conversion.optimizer.step:
        conversion.h["ema_start"] = "first_step"


def _sgd(conversion: Conversion) -> None:
    h, optimizer = conversion.h, conversion.optimizer
    if not h["momentum"]:
        h["dampening"], h["momentum_form"] = 0.0, "velocity"
        return
    if h["momentum_form"] == "velocity":
        h["dampening"] = 0.0
    elif optimizer.schedule is None and not h["dampening"]:
        rate = rate_of(optimizer)
        conversion.slots["momentum"] = (lambda buffer: -rate * buffer, "momentum = -learning_rate * momentum")
        h["momentum_form"] = "velocity"
        conversion.exactly("momentum_form", "v = -learning_rate * b, at a constant rate")


def _adam(conversion: Conversion) -> None:
    h, step = conversion.h, conversion.optimizer.step
    if not h["amsgrad"]:
        h["amsgrad_max_of"] = "raw"
    if h["epsilon_mode"] == "corrected":
        if h["epsilon"]:
            formula = "epsilon = epsilon * sqrt(1 - beta_2 ^ (step + 1))"
            why = "Keras does not correct the average before it adds epsilon"
            conversion.nearly("epsilon_mode", formula, bound_of("adam", h["epsilon"]), why)
            h["epsilon"] *= math.sqrt(1 - h["beta_2"] ** (step + 1))
        h["epsilon_mode"] = "uncorrected"


def _rmsprop(conversion: Conversion) -> None:
    h, optimizer = conversion.h, conversion.optimizer
    _inside("rmsprop", conversion)
    if not h["momentum"]:
        h["momentum_form"] = "velocity"
    elif h["momentum_form"] == "buffer" and optimizer.schedule is None:
        rate = rate_of(optimizer)
        conversion.slots["momentum"] = (lambda buffer: rate * buffer, "momentum = learning_rate * momentum")
        h["momentum_form"] = "velocity"
        conversion.exactly("momentum_form", "v = learning_rate * b, at a constant rate")


def _inside(name: str, conversion: Conversion) -> None:
    """Epsilon below the root in place of beside it."""
    h = conversion.h
    if h["epsilon_mode"] == "outside":
        if h["epsilon"]:
            why = "Keras adds epsilon to what is below the root"
            conversion.nearly("epsilon_mode", "epsilon = epsilon ^ 2", bound_of(name, h["epsilon"]), why)
            h["epsilon"] **= 2
        h["epsilon_mode"] = "inside"


def _adagrad(conversion: Conversion) -> None:
    h, optimizer = conversion.h, conversion.optimizer
    _inside("adagrad", conversion)
    if h["rate_decay"] and optimizer.schedule is None and h["accumulation_steps"] == 1:
        optimizer.schedule = inverse_time(rate_of(optimizer), h["rate_decay"])
        optimizer.schedule_clock, optimizer.learning_rate, h["learning_rate"] = "micro_step", None, None
        h["rate_decay"] = 0.0
        conversion.exactly("rate_decay", "learning_rate / (1 + rate_decay * clock)")


def _adamax(conversion: Conversion) -> None:
    h = conversion.h
    if h["epsilon_mode"] == "in_max":
        epsilon = h["epsilon"]
        if epsilon:
            conversion.slots["norm"] = (
                lambda largest: np.maximum(largest - epsilon, 0),
                "norm = max(norm - epsilon, 0)",
            )
            why = "Keras adds epsilon after the largest is taken"
            conversion.nearly("epsilon_mode", "norm = norm - epsilon", bound_of("adamax", epsilon), why)
        h["epsilon_mode"] = "after_max"


def _nadam(conversion: Conversion) -> None:
    h, step = conversion.h, conversion.optimizer.step
    if h["epsilon_mode"] == "uncorrected":
        if h["epsilon"]:
            formula = "epsilon = epsilon / sqrt(1 - beta_2 ^ (step + 1))"
            why = "Keras corrects the average before it adds epsilon"
            conversion.nearly("epsilon_mode", formula, bound_of("nadam", h["epsilon"]), why)
            h["epsilon"] /= math.sqrt(1 - h["beta_2"] ** (step + 1))
        h["epsilon_mode"] = "corrected"


def _adafactor(conversion: Conversion) -> None:
    """Keras takes the smaller of the rate and 1 / sqrt(t), whatever its config says."""
    h, optimizer = conversion.h, conversion.optimizer
    if h["relative_step"] or optimizer.schedule is not None:
        return
    rate = rate_of(optimizer)
    last = int(1 / rate**2) if rate else 0
    if optimizer.step < last:
        conversion.exactly("relative_step", f"up to step {last} the rate is the smaller of both")
        h["relative_step"] = True


_OWN: dict[str, Callable[[Conversion], None]] = {
    "sgd": _sgd,
    "adam": _adam,
    "rmsprop": _rmsprop,
    "adagrad": _adagrad,
    "adamax": _adamax,
    "nadam": _nadam,
    "adafactor": _adafactor,
}
