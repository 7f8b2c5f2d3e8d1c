"""One variable at one step of an optimizer: what an update rule works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any  # arrays of NumPy, whose arithmetic has no closer static type


@dataclass(slots=True)
class Update:
    """One variable at one step.

    Attributes:
        path: of the variable.
        variable: its value, weight decay applied.
        gradient: of the variable's dtype; unscaled, averaged and clipped.
        rate: the learning rate.
        step: number of this update, from 1 on.
        h: the hyperparameters, defaults filled in.
        slots: by name; a rule replaces the arrays by the new ones.
        shared: the numbers that the optimizer keeps once, advanced to this step.
    """

    path: str
    variable: Array
    gradient: Array
    rate: float
    step: int
    h: Mapping[str, Any]
    slots: dict[str, Array]
    shared: Mapping[str, float]

    def average(self, name: str, decay: float, value: Array) -> Array:
        """Move the slot `name` towards `value`: slot <- decay * slot + (1 - decay) * value; gives the new slot."""
        self.slots[name] = decay * self.slots[name] + (1 - decay) * value
        return self.slots[name]


def bias(decay: float, step: int) -> float:
    """How much of an average that began at zero is there after so many steps: 1 - decay^step."""
    return float(1 - decay**step)


def norm(x: Array) -> float:
    """The Euclidean norm of all elements."""
    return float(np.sqrt(np.sum(np.square(x), dtype=np.float64)))


def root_mean_square(x: Array) -> float:
    """The root of the mean of the squares of all elements."""
    return float(np.sqrt(np.mean(np.square(x), dtype=np.float64)))
