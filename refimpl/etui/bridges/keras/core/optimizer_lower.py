"""Optimizers of the vocabulary as Keras has them (SPEC.md, annex L.2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.core.optimizer_lift import WRITTEN, NotCoreError, lift, written_of
from etui.bridges.keras.core.optimizer_modes import Conversion, Slot, convert, modes_of
from etui.bridges.keras.core.optimizer_rules import CLASSES, COMMON, EMA_MOMENTUM, OWN, SCALERS, is_legacy, is_tf
from etui.bridges.keras.core.training import lower_schedule
from etui.bridges.keras.dialects.same import is_same
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.parameters import hyperparameters
from etui.core.vocabulary import NAMESPACE
from etui.report import Report
from etui.transfer import APPROXIMATE, EXACT, KINDS, NOT_TRANSFERABLE, REPARAMETRISED, Transfer

_SCALER = "core:loss_scale"
_STATUSES = {APPROXIMATE: "approximated", NOT_TRANSFERABLE: "not-transferable"}


def lower_optimizer(
    optimizer: Optimizer, report: Report, place: str = "optimizer", dialect: Dialect | None = None
) -> Optimizer:
    """An optimizer of the vocabulary as one of Keras; one of Keras stays as it is.

    Args:
        optimizer: it stays as it is.
        report: gets an entry for it, for each of its slots, and for each mode that Keras does not have.
        place: what the report calls it.
        dialect: the Keras that it is for; by default the one that wrote it, or else Keras 3.

    Raises:
        InvalidError: ``core-optimizer``.
    """
    if not optimizer.algorithm.startswith(NAMESPACE):
        return optimizer
    if optimizer.algorithm == _SCALER:
        return _lower_scaler(optimizer, report, place, dialect)
    conversion = Conversion(_copy(optimizer), hyperparameters(optimizer))
    lowered = _as_written(optimizer, conversion.h, dialect)
    if lowered is None:
        lowered = _of_keras_3(conversion)
    for part, transfer, why in conversion.notes:
        report.add("optimizer", f"{place}/{part}", _STATUSES.get(transfer.kind, "translated"), why, transfer)
    worst = max((transfer.kind for _, transfer, _ in conversion.notes), key=KINDS.index, default=EXACT)
    report.add("optimizer", place, _STATUSES.get(worst, "translated"), lowered.algorithm, Transfer(worst))
    for path, slots in lowered.slots.items():
        for name in slots:
            made = conversion.slots.get(name)
            transfer = Transfer(EXACT) if made is None else Transfer(REPARAMETRISED, made[1])
            status = "restored" if made is None else "translated"
            report.add("slot", f"{place}/{path}/{name}", status, transfer=transfer)
    for name in lowered.shared_slots:
        report.add("slot", f"{place}/{name}", "restored", transfer=Transfer(EXACT))
    return lowered


def _copy(optimizer: Optimizer) -> Optimizer:
    groups = [Group(list(group.variables), dict(group.hyperparameters), group.extra) for group in optimizer.groups]
    slots = {path: dict(slots) for path, slots in optimizer.slots.items()}
    return replace(optimizer, groups=groups, slots=slots, shared_slots=dict(optimizer.shared_slots))


def _without_written(optimizer: Optimizer) -> dict[str, Any]:
    """The residue without what Keras wrote of what the vocabulary says better."""
    facts = {key: value for key, value in optimizer.residue.get("keras", {}).items() if key != WRITTEN}
    rest = {key: value for key, value in optimizer.residue.items() if key != "keras"}
    return rest | ({"keras": facts} if facts else {})


# --- as it was written ------------------------------------------------------------------------------------------------


def _as_written(optimizer: Optimizer, h: dict[str, Any], dialect: Dialect | None) -> Optimizer | None:
    """The class that Keras wrote, with what was edited since, or `None` if that class cannot say it."""
    written = written_of(optimizer)
    if written is None or (dialect is not None and is_tf(written) != (dialect == "tf_keras")):
        return None
    try:
        before = lift(written, Report(), "")
    except NotCoreError:
        return None
    name = optimizer.algorithm.removeprefix(NAMESPACE)
    then = hyperparameters(before) if before.algorithm == optimizer.algorithm else {}
    same_modes = bool(then) and all(is_same(h[key], then[key]) for key in modes_of(name))
    if not same_modes or any(group.hyperparameters for group in optimizer.groups):
        return None
    k = h["accumulation_steps"]
    if optimizer.micro_step // k != optimizer.step or (k > 1 and optimizer.schedule_clock == "step"):
        return None
    edited = _edited(written, name, h, then)
    if edited is None:
        return None
    lowered = replace(written, hyperparameters=edited, residue=_without_written(optimizer))
    lowered.groups = _copy(optimizer).groups
    if not is_same(optimizer.schedule, before.schedule):
        _schedule(lowered, optimizer, h)
    if name == "adafactor" and not is_tf(written):
        _placeholders(lowered)
    return lowered


def _edited(written: Optimizer, name: str, h: dict[str, Any], then: dict[str, Any]) -> dict[str, Any] | None:
    """The hyperparameters as they were written, but for those that mean something else now."""
    names = {core: key for key, core in (COMMON | OWN[name]).items()}
    derived = _config(name, h)
    edited = dict(written.hyperparameters)
    for core, key in names.items():
        if is_same(h[core], then[core]):
            continue
        own = "lr" if key == "learning_rate" and "lr" in edited else key
        if own not in edited and is_tf(written):
            return None
        edited[own] = derived[key]
    if (h["ema_momentum"] is None) != (then["ema_momentum"] is None):
        edited["use_ema"] = derived["use_ema"]
    return edited


def _schedule(lowered: Optimizer, optimizer: Optimizer, h: dict[str, Any]) -> None:
    """Another schedule than the one that was written, or none."""
    own = lowered.hyperparameters
    lowered.schedule = lower_schedule(optimizer.schedule)
    lowered.schedule_clock = None if lowered.schedule is None else "micro_step"
    if is_legacy(lowered.algorithm) and "decay" in own:
        own["decay"] = 0.0
    if lowered.schedule is not None:
        own.pop("learning_rate", None)
    elif "learning_rate" not in own:
        own["learning_rate"] = h["learning_rate"] if h["learning_rate"] is not None else optimizer.learning_rate


# --- as Keras 3 has it ------------------------------------------------------------------------------------------------


def _of_keras_3(conversion: Conversion) -> Optimizer:
    optimizer, h = conversion.optimizer, conversion.h
    name = optimizer.algorithm.removeprefix(NAMESPACE)
    if isinstance(optimizer.schedule, ObjectValue) and optimizer.schedule.class_name == "core:schedules.constant":
        optimizer.learning_rate = h["learning_rate"] = float(optimizer.schedule.config["value"])
        optimizer.schedule = optimizer.schedule_clock = None
    convert(name, conversion)
    for group in optimizer.groups:
        for key, value in group.hyperparameters.items():
            if not is_same(value, h.get(key)):
                conversion.lost(f"groups/{key}", f"Keras has one {key} for all variables")
        group.hyperparameters = {}
    lowered = replace(
        optimizer, algorithm=f"keras:{'AdamW' if name == 'adam' and h['weight_decay'] else CLASSES[name]}"
    )
    lowered.hyperparameters = _config(name, h)
    lowered.residue = _without_written(optimizer)
    lowered.schedule = lower_schedule(optimizer.schedule)
    if lowered.schedule is not None:
        del lowered.hyperparameters["learning_rate"]
    elif lowered.learning_rate is None:
        lowered.learning_rate = h["learning_rate"]
    if lowered.schedule is None and lowered.hyperparameters["learning_rate"] is None:
        lowered.hyperparameters["learning_rate"] = lowered.learning_rate
    for slots in lowered.slots.values():
        for key, (change, _) in conversion.slots.items():
            if key in slots:
                slots[key] = Tensor.lazy(slots[key].dtype, slots[key].shape, partial(_changed, slots[key], change))
    if name == "adafactor":
        _placeholders(lowered)
    return lowered


def _changed(tensor: Tensor, change: Slot) -> Any:
    before = tensor.numpy()
    return np.asarray(change(before)).astype(before.dtype)


def _config(name: str, h: dict[str, Any]) -> dict[str, Any]:
    """All hyperparameters of Keras 3 of an optimizer, the modes apart."""
    config = {key: h[core] for key, core in (COMMON | OWN[name]).items()}
    config["use_ema"] = h["ema_momentum"] is not None
    if not config["use_ema"]:
        config["ema_momentum"] = EMA_MOMENTUM
    if config["gradient_accumulation_steps"] == 1:
        config["gradient_accumulation_steps"] = None
    config["weight_decay"] = h["weight_decay"] or None
    if name == "adafactor":
        config["relative_step"] = True
    if name == "muon":
        config |= _muon(h)
    return config


def _muon(h: dict[str, Any]) -> dict[str, Any]:
    """What tells Keras' Muon which matrices it leaves to AdamW, and the polynomial of the iteration."""
    config = dict(zip(("muon_a", "muon_b", "muon_c"), h["ns_coefficients"], strict=True))
    paths = h["adam_variables"]
    embeddings = [path for path in paths if "embedding" in path.lower()]
    # Keras looks for patterns in paths; a path is one once what would have a meaning there is escaped.
    named = ["".join(f"\\{sign}" if sign in _SIGNS else sign for sign in path) for path in paths]
    return config | {
        "exclude_embeddings": bool(paths) and embeddings == paths,
        "exclude_layers": [] if embeddings == paths else named,
    }


_SIGNS = frozenset(".^$*+?{}[]\\|()")


def _placeholders(lowered: Optimizer) -> None:
    """Keras 3 has scalars in place of the rows and columns of what has fewer than two axes."""
    for path, slots in lowered.slots.items():
        if "v" in slots and len(slots["v"].shape) < 2 and "r" not in slots:
            blank = {name: Tensor.of(np.zeros((), np.int32)) for name in ("r", "c")}
            lowered.slots[path] = blank | slots


# --- scalers ----------------------------------------------------------------------------------------------------------


def _lower_scaler(optimizer: Optimizer, report: Report, place: str, dialect: Dialect | None) -> Optimizer:
    h = hyperparameters(optimizer)
    inner = None if optimizer.inner is None else lower_optimizer(optimizer.inner, report, f"{place}/inner", dialect)
    facts = optimizer.residue.get("keras", {})
    written = facts.get(WRITTEN, {})
    text = written.get("algorithm", "")
    old = SCALERS.get(text, False) and dialect != "keras"
    lowered = replace(_copy(optimizer), inner=inner, residue=_without_written(optimizer))
    same_class = bool(written) and old == SCALERS.get(text)
    given = dict(written.get("hyperparameters", {})) if same_class else {}
    config = {"initial_scale": h["initial_scale"], "dynamic_growth_steps": h["growth_steps"]}
    if not h["dynamic"]:
        config["dynamic_growth_steps"] = None
    kept = {key: value for key, value in given.items() if key not in config or _means(value, config[key], key)}
    # A scaler that Keras puts around the optimizer by itself has no config of its own.
    stated = {key for key, value in config.items() if key in given or not is_same(value, _SCALER_DEFAULTS[key])}
    lowered.hyperparameters = {k: v for k, v in config.items() if k in stated or not same_class} | kept
    lowered.algorithm = text if old else "keras:LossScaleOptimizer"
    own = facts.get("own")
    if old:
        _settings(lowered)
        if own and own[0] and inner is not None:
            lowered.residue["keras"] = lowered.residue["keras"] | {"own": [inner.micro_step, own[1]]}
    else:
        if not own:
            lowered.residue["keras"] = dict(lowered.residue.get("keras", {})) | {"own": [0, 0.0]}
        _report_modes(h, report, place)
    report.add("optimizer", place, "translated", lowered.algorithm, Transfer(EXACT))
    return lowered


_SCALER_DEFAULTS = {"initial_scale": 2.0**15, "dynamic_growth_steps": 2000}


def _means(value: Any, core: Any, key: str) -> bool:
    default = _SCALER_DEFAULTS[key]
    return is_same(default if value is None and core is not None else value, core)


def _settings(lowered: Optimizer) -> None:
    """tf_keras has no place for the scale and its count in a file; checkpoints have one."""
    names = {"dynamic_scale": "current_loss_scale", "step_counter": "good_steps"}
    found = {names[key]: lowered.shared_slots.pop(key) for key in names if key in lowered.shared_slots}
    if found:
        framework = dict(lowered.residue.get("tensorflow", {}))
        settings = dict(framework.get("settings", {}))
        lowered.residue["tensorflow"] = framework | {"settings": settings | found}


def _report_modes(h: dict[str, Any], report: Report, place: str) -> None:
    """Keras 3 doubles and halves, without a least scale, and does not count what it skips."""
    fixed = {"growth_factor": 2.0, "backoff_factor": 0.5, "minimum_scale": 0.0, "dynamic": True, "count_skipped": False}
    for key, value in fixed.items():
        if not is_same(h[key], value):
            why = f"Keras 3 has no {key} = {h[key]!r}"
            report.add("optimizer", f"{place}/{key}", "not-transferable", why, Transfer(NOT_TRANSFERABLE))
