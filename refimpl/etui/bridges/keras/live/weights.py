"""Stored variables into a live model, by path (SPEC.md, annex I)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from etui.bridges.keras.live.capture import OPTIMIZER, Captured, capture
from etui.bridges.keras.live.framework import require_framework
from etui.bridges.keras.live.load import source_name
from etui.bridges.keras.live.match import Matching, Side
from etui.bridges.keras.live.optimizer import plan_optimizer
from etui.bridges.keras.live.restore import Plan, finish
from etui.bridges.keras.live.state import plan_metrics, plan_state
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.located import locate
from etui.bridges.own import in_vocabulary
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.weights import Weights
from etui.errors import error
from etui.locating import naming
from etui.model import Model
from etui.report import Report

StrPath = str | os.PathLike[str]


def load_weights(
    model: Any,
    path: StrPath | Model,
    matching: Matching,
    *,
    optimizer: bool,
    state: bool,
    strict: bool,
    report: Report,
) -> None:
    """See `etui.keras.load_weights`."""
    framework = require_framework(model)
    report.source, report.target = source_name(path), f"a live model of {framework.name} {framework.version}"
    if not model.built:
        raise error("live-unbuilt", where=report.target, found=f"the model {model.name}")
    target = capture(framework, model, need_config=False)
    reading = Report(report.source)
    source = _read(path, target, reading)
    with source, naming(report.source):
        if source.weights is None:
            raise error("live-nothing", where=report.source, found="no weights in the file")
        report.entries += [entry for entry in reading.lost if entry.kind != "document"]
        _load(Plan(framework, report), target, source, matching, optimizer=optimizer, state=state, strict=strict)


def _read(path: StrPath | Model, target: Captured, report: Report) -> Model:
    """The stored model; a format that holds weights alone is read along the live model's config."""
    if isinstance(path, Model):
        return in_vocabulary(replace(path, native={}, closing=None), "keras", report)
    found = locate(path)
    options: dict[str, Any] = {}
    if found.bridge.takes_config:
        options["config"] = replace(target.content, datasets={}, trained={})
    with naming(os.fspath(path)):
        model = found.read(report, native=False, **options)
        return in_vocabulary(model, "keras", report)


def _load(
    plan: Plan, target: Captured, source: Model, matching: Matching, *, optimizer: bool, state: bool, strict: bool
) -> None:
    ours, theirs = source.weights, target.model.weights
    assert ours is not None  # noqa: S101  load_weights has looked
    assert theirs is not None  # noqa: S101  capture gives them
    report = plan.report

    def fits(path: str, stored: str) -> bool:
        if path in theirs.aliases:
            return _same_alias(plan, target, source, path, stored)
        if path not in target.variables:
            report.add("variable", path, "not-transferable", "the layer computes it, and takes it up in whole models")
            return False
        detail = "" if path == stored else f"from {stored}"
        return plan.fits("variable", path, target.variables[path], ours[stored].tensor, detail)

    for part in source.assets:
        report.add("asset", part, "left-out", "files of layers go with whole models")
    stored_side = _without_training(source, ours, report)
    pairs = matching.pairs(stored_side, Side.of(theirs, target.model.config), report, fits)
    for path, stored in pairs.items():
        if path in target.variables and path not in theirs.aliases:
            plan.put(target.variables[path], ours[stored].tensor)
    place_it = _nothing
    if optimizer:
        place_it = _plan_optimizer(plan, target, source, {stored: path for path, stored in pairs.items()})
    if state:
        plan_state(plan, target, source.state)
        plan_metrics(plan, target, source.state, source.training)
    if strict:
        report.require_complete()
    if not pairs:
        raise error("live-nothing", where=report.source, found="none of the variables fits")
    plan.verify()
    plan.carry_out()
    place_it()
    _finish(plan, target)


def _without_training(source: Model, weights: Weights, report: Report) -> Side:
    """The stored side but for variables of an optimizer which the file's config does not name.

    Keras writes such files once the same model was written as `.h5`.
    """
    side = Side.of(weights, source.config)
    if source.config is None:
        return side
    placed = side.datasets | residue(source.config.model).get("loose", {})
    training = [path for path, place in placed.items() if str(place).startswith((f"{OPTIMIZER}/", "metrics/"))]
    for path in training:
        report.add("stored variable", path, "left-out", "of an optimizer or metric that the config does not name")
    kept = {path: one for path, one in weights.variables.items() if path not in training}
    return replace(side, weights=Weights(kept, weights.aliases))


def _nothing() -> None:
    """No optimizer to put in place."""


def _finish(plan: Plan, target: Captured) -> None:
    """Have each layer that was changed make what it derives from its variables."""
    changed = {id(variable) for variable, _ in plan.values}
    for _, held in target.objects():
        if changed & {id(variable) for variable in held.variables.values()}:
            finish(held.thing)


def _same_alias(plan: Plan, target: Captured, source: Model, path: str, stored: str) -> bool:
    """A variable that the model has at two paths takes what the file has for both, if that is the same."""
    theirs, ours = target.model.weights, source.weights
    assert theirs is not None  # noqa: S101
    assert ours is not None  # noqa: S101
    owner = theirs.aliases[path]
    other = owner if owner in ours else stored
    if ours.resolve(other) == ours.resolve(stored) or ours[other].numpy().tobytes() == ours[stored].numpy().tobytes():
        plan.report.add("variable", path, "aliased", f"is {owner}")
        return True
    detail = f"it is {owner} in the model, and other than that in the file"
    plan.report.add("variable", path, "not-transferable", detail)
    return False


def _plan_optimizer(plan: Plan, target: Captured, source: Model, names: dict[str, str]) -> Any:
    """Plan the optimizer's state, its variables under the paths that they have in the live model."""
    found = source.optimizer.optimizers.get(OPTIMIZER) if source.optimizer is not None else None
    if found is None:
        raise error("live-optimizer", where=plan.report.source, found="no optimizer in the file")
    renamed = _renamed(found, names)
    model = Model(target.model.config, target.model.weights, target.model.training)
    model.optimizer = OptimizerState({OPTIMIZER: renamed})
    stored = {name: tensor for name, tensor in Writing(model).datasets() if name.startswith(f"{OPTIMIZER}/")}
    return plan_optimizer(plan, target.tree.model, renamed, stored, target.variables)


def _renamed(optimizer: Optimizer, names: dict[str, str]) -> Optimizer:
    lost = [path for path in optimizer.variables() if path not in names]
    if lost:
        found = f"slots of {len(lost)} variables that are not loaded, such as {lost[0]}"
        raise error("live-optimizer", where=OPTIMIZER, found=found)
    return Optimizer(
        optimizer.algorithm,
        dict(optimizer.hyperparameters),
        optimizer.learning_rate,
        optimizer.step,
        optimizer.micro_step,
        optimizer.schedule,
        optimizer.schedule_clock,
        [Group([names[path] for path in one.variables], one.hyperparameters) for one in optimizer.groups],
        {names[path]: slots for path, slots in optimizer.slots.items()},
        [names[path] for path in optimizer.fresh],
        dict(optimizer.shared_slots),
        None if optimizer.inner is None else _renamed(optimizer.inner, names),
        dict(optimizer.residue),
    )
