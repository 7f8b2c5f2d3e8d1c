"""Optimizers of Keras in the terms of the vocabulary (SPEC.md, annex L.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from etui.bridges.keras.core.optimizer_rules import (
    ALGORITHMS,
    COMMON,
    GRAPH_SLOTS,
    GRAPH_SLOTS_OF_ADAMAX,
    IDLE,
    MUON,
    OWN,
    SCALERS,
    class_name,
    inverse_time,
    is_legacy,
    is_tf,
    number,
)
from etui.bridges.keras.core.training import lift_schedule
from etui.bridges.keras.dialects.same import is_among, is_same
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.vocabulary import filled, optimizers
from etui.errors import shown
from etui.report import Report
from etui.transfer import EXACT, Transfer

WRITTEN = "written"
"""Key of Keras' facts that holds what Keras wrote: its algorithm, hyperparameters, schedule, and names of slots."""

_PLACEHOLDERS, _PLACEHOLDER = ("r", "c"), ("int32", ())
# What a null stands for, Keras' own smallest number.
_EPSILON = 1e-7
# After so many steps of Nadam 0.96 ** step is nothing beside 1, and each step multiplies by beta_1.
_STEADY = 1000


class NotCoreError(Exception):
    """An optimizer that the vocabulary does not have; the message says why."""


def lift_optimizer(optimizer: Optimizer, report: Report, place: str) -> Optimizer:
    """An optimizer of Keras 3 or tf_keras, legacy or not, in the terms of the vocabulary.

    Args:
        optimizer: what Keras' bridges read; it stays as it is.
        report: gets an entry for it and for each of its slots.
        place: what the report calls it.

    Returns:
        A new optimizer, or the same one, reported as ``data-only``, if the vocabulary does not have it.
    """
    quiet = Report()
    try:
        lifted = (
            _lift_scaler(optimizer, place, quiet) if optimizer.algorithm in SCALERS else lift(optimizer, quiet, place)
        )
    except NotCoreError as reason:
        report.add("optimizer", place, "data-only", str(reason))
        return optimizer
    report.entries += quiet.entries
    report.add("optimizer", place, "translated", lifted.algorithm, Transfer(EXACT))
    for path, slots in lifted.slots.items():
        for name in slots:
            report.add("slot", f"{place}/{path}/{name}", "restored", transfer=Transfer(EXACT))
    for name in lifted.shared_slots:
        report.add("slot", f"{place}/{name}", "restored", transfer=Transfer(EXACT))
    return lifted


def _lift_scaler(optimizer: Optimizer, place: str, report: Report) -> Optimizer:
    given, old = optimizer.hyperparameters, SCALERS[optimizer.algorithm]
    if optimizer.inner is None:
        raise NotCoreError("a scaler of the loss without an optimizer")
    h: dict[str, Any] = {"minimum_scale": 1.0, "count_skipped": True} if old else {}
    for key, core in (("initial_scale", "initial_scale"), ("dynamic_growth_steps", "growth_steps")):
        value = given.get(key)
        if value is not None:
            h[core] = number(value) if core == "initial_scale" else value
            if h[core] is None:
                raise NotCoreError(f"{key} is {shown(value)}")
    if given.get("dynamic", True) is False:
        h["dynamic"] = False
    shared = dict(optimizer.shared_slots)
    if old:
        settings = optimizer.residue.get("tensorflow", {}).get("settings", {})
        names = {"dynamic_scale": "current_loss_scale", "step_counter": "good_steps"}
        shared |= {name: settings[other] for name, other in names.items() if isinstance(settings.get(other), Tensor)}
    inner = lift_optimizer(optimizer.inner, report, f"{place}/inner")
    if inner is optimizer.inner:
        raise NotCoreError(f"it scales the loss for {inner.algorithm}")
    lifted = replace(
        optimizer,
        algorithm="core:loss_scale",
        hyperparameters=_without_defaults("loss_scale", h),
        shared_slots=shared,
        inner=inner,
        groups=[Group(list(group.variables)) for group in optimizer.groups],
    )
    lifted.residue = _residue(optimizer, {})
    return lifted


def lift(optimizer: Optimizer, report: Report, place: str) -> Optimizer:
    """The same as `lift_optimizer`, of an optimizer that wraps no other.

    Raises:
        NotCoreError: the vocabulary does not have it.
    """
    name = class_name(optimizer.algorithm)
    algorithm = ALGORITHMS.get(name)
    if algorithm is None or not optimizer.algorithm.startswith("keras:"):
        raise NotCoreError(f"{optimizer.algorithm} is not in the core vocabulary")
    facts = optimizer.residue.get("keras", {})
    if facts.get("variables") or facts.get("datasets"):
        raise NotCoreError("its state has variables that no rule explains")
    h = _hyperparameters(optimizer, algorithm)
    lifted = replace(optimizer, algorithm=f"core:{algorithm}")
    lifted.groups = [
        Group(list(group.variables), dict(group.hyperparameters), group.extra) for group in optimizer.groups
    ]
    lifted.schedule, lifted.schedule_clock = _schedule(optimizer, h, report, place)
    names = _slots(lifted, optimizer, name)
    if algorithm == "muon":
        h["adam_variables"] = _left_to_adam(optimizer)
    lifted.hyperparameters = _without_defaults(algorithm, h)
    lifted.residue = _residue(optimizer, names)
    return lifted


def _residue(optimizer: Optimizer, names: dict[str, str]) -> dict[str, Any]:
    """What Keras wrote, beside its other facts."""
    written: dict[str, Any] = {"algorithm": optimizer.algorithm, "hyperparameters": dict(optimizer.hyperparameters)}
    if optimizer.schedule is not None:
        written["schedule"] = optimizer.schedule
    if names:
        written["slots"] = names
    facts = dict(optimizer.residue.get("keras", {})) | {WRITTEN: written}
    return dict(optimizer.residue) | {"keras": facts}


def _without_defaults(algorithm: str, h: dict[str, Any]) -> dict[str, Any]:
    defaults = filled(optimizers()[algorithm].hyperparameters, {})
    return {key: value for key, value in h.items() if not is_same(value, defaults[key])}


def _hyperparameters(optimizer: Optimizer, algorithm: str) -> dict[str, Any]:
    """Hyperparameters in the terms of the vocabulary."""
    given = {("learning_rate" if key == "lr" else key): value for key, value in optimizer.hyperparameters.items()}
    legacy, tf = is_legacy(optimizer.algorithm), is_tf(optimizer)
    names, attrs = COMMON | OWN[algorithm], optimizers()[algorithm].hyperparameters
    h: dict[str, Any] = {}
    for key, value in given.items():
        if key in IDLE or (key == "decay" and legacy) or (key in MUON and algorithm == "muon"):
            continue
        if key == "adaptive_epsilon" and is_same(value, False):
            continue
        if key not in names:
            raise NotCoreError(f"it has {key} = {shown(value)}")
        default, fitting = attrs[names[key]].default, _fit(attrs[names[key]].type, value)
        if value is None:
            fitting = _EPSILON if key == "epsilon" else None if key == "rms_rate" else default
        elif fitting is None:
            raise NotCoreError(f"it has {key} = {shown(value)}")
        h[names[key]] = fitting
    _settle(h, given, tf=tf)
    if algorithm == "muon":
        h["ns_coefficients"] = [_fit("number", given.get(key, 0.0)) for key in MUON[:3]]
    if legacy and (algorithm == "adagrad" or (algorithm == "rmsprop" and not h.get("momentum"))):
        h["epsilon_mode"] = "outside"
    if legacy and algorithm == "nadam":
        h["schedule_decay"] = number(given.get("decay")) or 0.0
    return h


def _settle(h: dict[str, Any], given: dict[str, Any], *, tf: bool) -> None:
    """What one hyperparameter makes of another."""
    for key in ("clip_norm", "clip_global_norm", "clip_value"):
        if not (h.get(key) or 0) > 0:
            h.pop(key, None)
    if h.get("accumulation_steps", 1) < 1:
        del h["accumulation_steps"]
    # Of several limits Keras heeds the first.
    limits = [key for key in ("clip_norm", "clip_global_norm", "clip_value") if key in h]
    for key in limits[1:]:
        del h[key]
    if not given.get("use_ema"):
        h.pop("ema_momentum", None)
        h.pop("ema_overwrite_frequency", None)
    elif tf:
        h["ema_start"] = "initial"


def _fit(kind: str, value: Any) -> Any:
    """A hyperparameter as the vocabulary has it, or `None`."""
    if kind == "boolean":
        return bool(value) if is_among(value, (True, False, 0, 1)) else None
    if kind == "integer":
        return value if type(value) is int else None
    return number(value)


def _schedule(optimizer: Optimizer, h: dict[str, Any], report: Report, place: str) -> tuple[Any, str | None]:
    """The schedule and its clock; the decay of a legacy optimizer is one."""
    own = optimizer.hyperparameters
    decay = number(own.get("decay", 0.0)) if is_legacy(optimizer.algorithm) else 0.0
    decay = 0.0 if class_name(optimizer.algorithm) == "Nadam" else decay
    if optimizer.schedule is not None:
        if decay:
            raise NotCoreError("it decays a rate that a schedule gives")
        return lift_schedule(optimizer.schedule, f"{place}/schedule", report), optimizer.schedule_clock
    if not decay:
        return None, None
    rate = h.pop("learning_rate", None)
    rate = optimizer.learning_rate if rate is None else rate
    if rate is None:
        raise NotCoreError("it has a decay and no rate")
    return inverse_time(rate, decay), "micro_step"


def _slots(lifted: Optimizer, optimizer: Optimizer, name: str) -> dict[str, str]:
    """Give the slots the vocabulary's names; what they were called, where that is another name.

    Placeholders go, and the product that Nadam keeps is there.
    """
    names: dict[str, str] = {}
    legacy = is_legacy(optimizer.algorithm)
    table = GRAPH_SLOTS_OF_ADAMAX if name == "Adamax" else GRAPH_SLOTS
    lifted.slots = {}
    for path, slots in optimizer.slots.items():
        kept = {}
        for key, tensor in slots.items():
            own = table.get(key, key) if legacy else key
            if own != key:
                names[own] = key
            if not (name == "Adafactor" and key in _PLACEHOLDERS and (tensor.dtype, tensor.shape) == _PLACEHOLDER):
                kept[own] = tensor
        lifted.slots[path] = kept
    lifted.shared_slots = dict(optimizer.shared_slots)
    if name == "Nadam" and "momentum_cache" in lifted.shared_slots:
        lifted.shared_slots["u_product"] = lifted.shared_slots.pop("momentum_cache")
        names["u_product"] = "momentum_cache"
    elif name == "Nadam" and "u_product" not in lifted.shared_slots and optimizer.slots:
        lifted.shared_slots["u_product"] = _product(optimizer)
        names["u_product"] = ""
    return names


def _product(optimizer: Optimizer) -> Tensor:
    """The product over t of beta_1 (1 - 0.5 * 0.96^t), which tf_keras does not store."""
    beta = number(optimizer.hyperparameters.get("beta_1", 0.9)) or 0.0
    early = min(optimizer.step, _STEADY)
    dtype = next(tensor.dtype for slots in optimizer.slots.values() for tensor in slots.values())
    kind = dtype if dtype in ("float16", "float32", "float64") else "float32"
    with np.errstate(all="ignore"):  # a file may say any factor and any number of steps
        product = np.prod([beta * (1 - 0.5 * 0.96**number) for number in range(1, early + 1)])
        return Tensor.of(np.asarray(product * np.float64(beta) ** float(optimizer.step - early), kind))


def _left_to_adam(optimizer: Optimizer) -> list[str]:
    """The matrices that Muon leaves to AdamW: those with a velocity; before there are slots, those of embeddings."""
    given = optimizer.hyperparameters
    if optimizer.slots:
        return [path for path, slots in optimizer.slots.items() if len(slots.get("velocity", _SCALAR).shape) == 2]
    if given.get("exclude_layers"):
        raise NotCoreError("it leaves layers to AdamW whose names it tells by patterns, and has no slots yet")
    if not given.get("exclude_embeddings", True):
        return []
    return [path for path in optimizer.variables() if "embedding" in path.lower()]


_SCALAR = Tensor.of(np.zeros((), np.float32))


def written_of(optimizer: Optimizer) -> Optimizer | None:
    """The optimizer as Keras wrote it, with the slots of now, or `None` if Keras did not write it."""
    facts = optimizer.residue.get("keras", {})
    written = facts.get(WRITTEN)
    if not isinstance(written, dict):
        return None
    names: dict[str, str] = written.get("slots", {})
    found = replace(optimizer, algorithm=written["algorithm"], hyperparameters=dict(written["hyperparameters"]))
    schedule = written.get("schedule")
    found.schedule = schedule
    found.schedule_clock = None if schedule is None else "micro_step"
    found.slots = {p: {names.get(key, key): t for key, t in slots.items()} for p, slots in optimizer.slots.items()}
    rest = {names.get(key, key): tensor for key, tensor in optimizer.shared_slots.items()}
    found.shared_slots = {key: tensor for key, tensor in rest.items() if key}
    return found
