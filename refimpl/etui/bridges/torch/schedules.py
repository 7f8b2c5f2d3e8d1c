"""Learning-rate schedules of the core vocabulary as schedulers of torch, and back (SPEC.md, annex M.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from etui.bridges.torch.adapters import CoreOptimizer
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer
from etui.core.schedules import rate as rate_at
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, Transfer

_CLASS = "core:schedules."


class CoreSchedule(torch.optim.lr_scheduler.LRScheduler):
    """A schedule of the core vocabulary: call `step` after each step of the optimizer.

    Attributes:
        schedule: its `$object`.
        every: gradients to an update, where the schedule counts updates and the optimizer accumulates.
    """

    def __init__(self, optimizer: Any, schedule: ObjectValue, clock: int, *, every: int = 1) -> None:
        """Schedule an optimizer's rate.

        Args:
            optimizer: of torch; its rates are set at once.
            schedule: of the class ``core:schedules.*``.
            clock: what the schedule has counted.
            every: see the attribute.
        """
        self.schedule = schedule
        self.every = every
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        # torch's constructor steps once, from the number before.
        super().__init__(optimizer, last_epoch=clock * every - 1)

    @property
    def clock(self) -> int:
        """What the schedule has counted."""
        return int(self.last_epoch) // self.every

    def get_lr(self) -> list[float]:
        """The rate of each group."""
        found = float(rate_at(self.schedule, self.clock))
        return [group["lr"] if group.get("own_rate") else found for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The counter and the rates; the schedule itself is the one that the object was made with."""
        return {key: value for key, value in super().state_dict().items() if key not in {"schedule", "every"}}


def make_schedule(optimizer: Any, stored: Optimizer, report: Report | None = None) -> Any:
    """A scheduler that goes on where a stored optimizer's schedule stopped, or `None` where the rate is constant.

    Args:
        optimizer: of torch, as `make_optimizer` gives it.
        stored: what it continues.
        report: gets an entry.
    """
    inner = stored.inner if stored.inner is not None else stored
    if inner.schedule is None or optimizer is None:
        return None
    every = 1
    clock = inner.step
    if inner.schedule_clock == "micro_step":
        clock = inner.micro_step
    elif isinstance(optimizer, CoreOptimizer):
        every = optimizer.param_groups[0]["accumulation_steps"]
    made = CoreSchedule(optimizer, inner.schedule, clock, every=every)
    if report is not None:
        report.add("schedule", inner.schedule.class_name, "restored", "", Transfer(EXACT))
    return made


def read_schedule(scheduler: Any, into: Optimizer, report: Report) -> None:
    """Put a torch scheduler into canonical optimizer state, as a schedule of the vocabulary.

    Args:
        scheduler: a `CoreSchedule`, or one of `torch.optim.lr_scheduler` that counts the optimizer's steps.
        into: the state of its optimizer; its groups must have one rate.
        report: gets an entry: a scheduler without an equal is not transferable.
    """
    kind = type(scheduler).__name__
    rates = {float(rate) for rate in getattr(scheduler, "base_lrs", [])}
    if isinstance(scheduler, CoreSchedule):
        found: ObjectValue | None = scheduler.schedule
    elif kind not in _SCHEDULES or not type(scheduler).__module__.startswith("torch.") or len(rates) != 1:
        found = None
    else:
        found = _SCHEDULES[kind](scheduler, rates.pop())
    if found is None:
        detail = f"{kind} has no equal, or the groups have different rates"
        report.add("schedule", kind, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
        return
    counted = int(scheduler.last_epoch)
    inner = into.inner if into.inner is not None else into
    if not isinstance(scheduler, CoreSchedule) and counted != inner.micro_step:
        detail = f"{kind} has counted {counted}, and the optimizer {inner.micro_step} steps"
        report.add("schedule", kind, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
        return
    inner.schedule = found
    inner.schedule_clock = "step" if isinstance(scheduler, CoreSchedule) and scheduler.every > 1 else "micro_step"
    inner.hyperparameters.pop("learning_rate", None)
    into.learning_rate = inner.learning_rate = _last_rate(inner)
    report.add("schedule", found.class_name, "restored", kind, Transfer(EXACT))


def _last_rate(optimizer: Optimizer) -> float | None:
    """The rate that the last update was given (O-5); torch's groups hold that of the next one already."""
    if not optimizer.step:
        return None
    # The clock stood there before the gradient that made the update.
    gradients = int(optimizer.hyperparameters.get("accumulation_steps", 1))
    clock = optimizer.step if optimizer.schedule_clock == "step" else optimizer.micro_step // gradients * gradients
    return float(rate_at(optimizer.schedule, clock - 1))


def _object(name: str, **attrs: Any) -> ObjectValue:
    return ObjectValue(_CLASS + name, attrs)


def _step(scheduler: Any, rate: float) -> ObjectValue | None:
    return _object(
        "exponential_decay",
        initial_learning_rate=rate,
        decay_steps=float(scheduler.step_size),
        decay_rate=float(scheduler.gamma),
        staircase=True,
    )


def _exponential(scheduler: Any, rate: float) -> ObjectValue | None:
    gamma = float(scheduler.gamma)
    return _object("exponential_decay", initial_learning_rate=rate, decay_steps=1.0, decay_rate=gamma)


def _milestones(scheduler: Any, rate: float) -> ObjectValue | None:
    """Boundaries of the vocabulary are the last step of the value before, torch's the first of the one after."""
    steps = sorted(scheduler.milestones.elements())
    boundaries = sorted({float(step - 1) for step in steps})
    powers = [sum(step - 1 <= boundary for step in steps) for boundary in boundaries]
    values = [rate, *(rate * float(scheduler.gamma) ** power for power in powers)]
    return _object("piecewise_constant", boundaries=boundaries, values=values)


def _polynomial(scheduler: Any, rate: float) -> ObjectValue | None:
    return _object(
        "polynomial_decay",
        initial_learning_rate=rate,
        decay_steps=float(scheduler.total_iters),
        end_learning_rate=0.0,
        power=float(scheduler.power),
    )


def _cosine(scheduler: Any, rate: float) -> ObjectValue | None:
    """Equal up to `T_max`; behind it torch goes up again, where the vocabulary stays."""
    if scheduler.last_epoch > scheduler.T_max or not rate:
        return None
    floor = float(scheduler.eta_min) / rate
    return _object("cosine_decay", initial_learning_rate=rate, decay_steps=float(scheduler.T_max), alpha=floor)


_SCHEDULES: Mapping[str, Callable[[Any, float], ObjectValue | None]] = {
    "StepLR": _step,
    "ExponentialLR": _exponential,
    "MultiStepLR": _milestones,
    "PolynomialLR": _polynomial,
    "CosineAnnealingLR": _cosine,
}
