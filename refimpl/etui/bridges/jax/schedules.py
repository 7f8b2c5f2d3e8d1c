"""Learning-rate schedules of the core vocabulary as functions that run inside `jax.jit` (SPEC.md annex K.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer
from etui.core import schedules, vocabulary
from etui.errors import error, shown

Schedule = Callable[[Any], Any]


def schedule(value: Any) -> Schedule:
    """The rate as a function of the clock, in JAX's default float dtype.

    Args:
        value: an `$object` of the class ``core:schedules.<name>``.

    Raises:
        TransferError: ``jax-optimizer``, no schedule of the core vocabulary.
    """
    if not isinstance(value, ObjectValue) or not vocabulary.defines(value.class_name, "class"):
        raise error("jax-optimizer", where="schedule", found=shown(getattr(value, "class_name", value)))
    return lambda clock: schedules.rate(value, clock, jnp)


def rate_of(optimizer: Optimizer, hyperparameters: Mapping[str, Any]) -> float | Schedule:
    """The rate of an optimizer: a number, or a function of the completed updates.

    Where gradients are accumulated and the schedule counts them, the update after n others comes at the gradient that
    completes its k: at the clock (n + 1)·k − 1, moved by what the stored counters say beyond that.

    Args:
        optimizer: of the core vocabulary.
        hyperparameters: its own with defaults, or those of a group.
    """
    if optimizer.schedule is None:
        rate = hyperparameters.get("learning_rate")
        if rate is None:
            raise error("jax-optimizer", where="learning_rate", found="an optimizer without a rate")
        return float(rate)
    steps = int(hyperparameters.get("accumulation_steps", 1))
    if optimizer.schedule_clock != "micro_step" or steps == 1:
        ahead = optimizer.micro_step - optimizer.step if optimizer.schedule_clock == "micro_step" else 0
        rule = schedule(optimizer.schedule)
        return rule if not ahead else lambda count: rule(count + ahead)
    offset = optimizer.micro_step - optimizer.micro_step % steps - optimizer.step * steps
    of_clock = schedule(optimizer.schedule)
    return lambda count: of_clock((count + 1) * steps - 1 + offset)
