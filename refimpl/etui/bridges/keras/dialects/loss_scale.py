"""Scalers of the loss in the terms of the other Keras (SPEC.md, annex E)."""

from __future__ import annotations

from typing import Any

import numpy as np

from etui.bridges.keras.dialects.same import is_among
from etui.bridges.keras.dialects.values import TITLES, Values
from etui.bridges.keras.optimizer_table import TF_OLD_SCALER, TF_SCALER
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor

_NEW = "keras:LossScaleOptimizer"
SCALERS = frozenset(
    {_NEW, TF_SCALER, TF_OLD_SCALER, *(f"keras:mixed_precision.LossScaleOptimizer{end}" for end in ("", "V3"))}
)
# What both start with where a config does not say it.
_DEFAULTS = {"initial_scale": 2.0**15, "dynamic_growth_steps": 2000}
# What a scaler of Keras 3 says as every optimizer does, and what means nothing.
_COMMON: dict[str, tuple[Any, ...] | None] = {
    "learning_rate": None,
    "weight_decay": (None,),
    "clipnorm": (None,),
    "global_clipnorm": (None,),
    "clipvalue": (None,),
    "use_ema": (False,),
    "ema_momentum": None,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": (None,),
    "gradient_accumulation_steps": (None, 1),
}
# The state by its names here: the scale, and the count of steps since it last changed; and in objects of tf_keras.
_SCALE, _COUNT = "dynamic_scale", "step_counter"
_OBJECTS = {_SCALE: "current_loss_scale", _COUNT: "good_steps"}
_FRAMEWORK, _SETTINGS = "tensorflow", "settings"


def translated_scaler(optimizer: Optimizer, values: Values, place: str) -> None:
    """Put a scaler in the target's terms.

    Args:
        optimizer: the scaler, a copy whose wrapped optimizer is in the target's terms already.
        values: tells the target, and gets what has no equal.
        place: what the report calls it.
    """
    given, kept = optimizer.hyperparameters, dict(_DEFAULTS)
    for key, value in given.items():
        if key in _DEFAULTS:
            kept[key] = value if value is not None else _DEFAULTS[key]
        elif key != "dynamic":
            allowed = _COMMON.get(key, ())
            if allowed is not None and not is_among(value, allowed):
                detail = f"a scaler of {TITLES[values.target]} has no {key}, which is {value!r} here"
                values.lost("optimizer", place, detail)
    if given.get("dynamic", True) is not True:
        values.lost("optimizer", f"{place}/dynamic", "the scale is fixed, and that of Keras 3 never is")
    optimizer.residue = {key: value for key, value in optimizer.residue.items() if key != "keras"}
    if values.target == "keras":
        optimizer.algorithm, optimizer.hyperparameters = _NEW, kept
        _to_keras(optimizer, values, place, kept["initial_scale"])
    else:
        optimizer.algorithm, optimizer.hyperparameters = TF_SCALER, {"dynamic": True} | kept
        _to_tf_keras(optimizer, values, place)


def _to_keras(optimizer: Optimizer, values: Values, place: str, start: object) -> None:
    inner = optimizer.inner
    facts = {} if inner is None else inner.residue.get("keras", {})
    # The iteration and the rate of a scaler stay as they begin.
    optimizer.residue["keras"] = {"own": [0, 0.0]} | ({"stored": False} if facts.get("stored") is False else {})
    settings = optimizer.residue.pop(_FRAMEWORK, {}).get(_SETTINGS, {})
    if inner is None or not inner.slots:
        return
    begin = {_SCALE: np.float32(start if isinstance(start, int | float) else 2.0**15), _COUNT: np.int32(0)}
    for name, other in _OBJECTS.items():
        found = settings.get(other)
        detail = f"{other} of tf_keras" if isinstance(found, Tensor) else "as it begins: the source does not hold it"
        value = found.numpy().reshape(()) if isinstance(found, Tensor) and found.shape == () else begin[name]
        optimizer.shared_slots[name] = Tensor.of(np.asarray(value, begin[name].dtype))
        values.report.add("slot", f"{place}/{name}", "translated", detail)


def _to_tf_keras(optimizer: Optimizer, values: Values, place: str) -> None:
    settings: dict[str, Tensor] = {}
    for name, kind in ((_SCALE, np.float32), (_COUNT, np.int64)):
        found = optimizer.shared_slots.pop(name, None)
        if found is not None:
            settings[_OBJECTS[name]] = Tensor.of(np.asarray(found.numpy(), kind))
            detail = "in checkpoints alone: from other files tf_keras begins with the initial scale"
            values.report.add("slot", f"{place}/{name}", "translated", detail)
    if settings:
        optimizer.residue[_FRAMEWORK] = {_SETTINGS: settings}
