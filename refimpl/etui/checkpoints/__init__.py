"""Checkpoints of training runs: series of steps, their retention, saving behind the training's back, and by many.

    from etui.checkpoints import Retention, Series

    series = Series("run/checkpoints", keep=Retention(last=3, best=("val_loss", "min", 1)))
    series.save(model, step=1000, metrics={"val_loss": 0.25})
    model = series.latest().open()

Importing this package imports nothing but itself: each name is resolved when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etui.checkpoints.asynchronous import AsyncSaver
    from etui.checkpoints.garbage import Collected, Pruned
    from etui.checkpoints.preemption import Preemption
    from etui.checkpoints.retention import Best, Retention
    from etui.checkpoints.series import Series
    from etui.checkpoints.step import Step

__all__ = ["AsyncSaver", "Best", "Collected", "Preemption", "Pruned", "Retention", "Series", "Step"]

_HOMES = {
    "asynchronous": ["AsyncSaver"],
    "garbage": ["Collected", "Pruned"],
    "preemption": ["Preemption"],
    "retention": ["Best", "Retention"],
    "series": ["Series"],
    "step": ["Step"],
}
_PLACES = {name: f"etui.checkpoints.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'etui.checkpoints' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
