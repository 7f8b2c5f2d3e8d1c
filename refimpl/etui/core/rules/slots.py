"""The slots that each optimizer keeps, their shapes, and how they begin (SPEC.md, annex K.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.core.rules.matrix import uses_adam
from etui.core.rules.update import Array

Shape = tuple[int, ...]
# Slots whose presence and shape follow from the algorithm alone.
_PLAIN: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "adam": ("momentum", "velocity"),
    "rmsprop": ("velocity",),
    "adagrad": ("accumulator",),
    "adadelta": ("accumulated_grad", "accumulated_delta_var"),
    "adamax": ("momentum", "norm"),
    "nadam": ("momentum", "velocity"),
    "ftrl": ("accumulator", "linear"),
    "lion": ("momentum",),
    "adafactor": ("v",),
    "muon": ("momentum",),
    "lamb": ("momentum", "velocity"),
    "schedule_free_adamw": ("momentum", "velocity"),
}


def slot_shapes(name: str, h: Mapping[str, Any], path: str, shape: Shape) -> dict[str, Shape]:
    """The slots that an optimizer keeps for a variable, with their shapes.

    Args:
        name: the algorithm, without its namespace.
        h: its hyperparameters, defaults filled in.
        path: of the variable.
        shape: of the variable.
    """
    slots = dict.fromkeys(_PLAIN[name], shape)
    if name == "sgd" and h["momentum"]:
        slots["momentum"] = shape
    if name == "adam" and h["amsgrad"]:
        slots["velocity_hat"] = shape
    if name == "rmsprop":
        slots |= {"momentum": shape} if h["momentum"] else {}
        slots |= {"average_gradient": shape} if h["centered"] else {}
    if name == "adafactor" and len(shape) > 1:
        slots |= {"r": shape[:-1], "c": (*shape[:-2], shape[-1])}
    if name == "muon" and uses_adam(h, path, len(shape)):
        slots["velocity"] = shape
    if h["accumulation_steps"] > 1:
        slots["gradient_accumulator"] = shape
    if h["ema_momentum"] is not None:
        slots["average"] = shape
    return slots


def fresh_slot(name: str, slot: str, h: Mapping[str, Any], shape: Shape, variable: Array) -> Array:
    """A slot as it is before the first step.

    Args:
        name: the algorithm, without its namespace.
        slot: the slot's name.
        h: its hyperparameters, defaults filled in.
        shape: of the slot.
        variable: the value that the variable has then.
    """
    copied = slot == "average" and h["ema_start"] == "initial"
    if copied or (name == "schedule_free_adamw" and slot == "momentum"):
        return variable.copy()
    value = h["initial_accumulator"] if slot == "accumulator" else 0.0
    return np.full(shape, value, variable.dtype)
