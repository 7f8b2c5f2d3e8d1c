"""The update rules of optimizers, one function each (SPEC.md, annex K.5)."""

from __future__ import annotations

from collections.abc import Callable

from etui.core.rules.adaptive import adam, adamax, lamb, nadam, schedule_free_adamw
from etui.core.rules.factored import adafactor
from etui.core.rules.matrix import muon
from etui.core.rules.momentum import lion, sgd
from etui.core.rules.squares import adadelta, adagrad, ftrl, rmsprop
from etui.core.rules.update import Array, Update

RULES: dict[str, Callable[[Update], Array]] = {
    "sgd": sgd,
    "adam": adam,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adamax": adamax,
    "nadam": nadam,
    "ftrl": ftrl,
    "lion": lion,
    "adafactor": adafactor,
    "muon": muon,
    "lamb": lamb,
    "schedule_free_adamw": schedule_free_adamw,
}
"""Each gives the variable's new value and puts the slots' new values in the place of the old ones."""

__all__ = ["RULES", "Array", "Update"]
