"""Modules and their training state into artifacts, and out of them (SPEC.md, annex M.3)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from etui import conversion
from etui.artifact import save_model
from etui.bridges.torch.losses import make_loss, read_loss
from etui.bridges.torch.optimizers import make_optimizer
from etui.bridges.torch.optimizers_read import read_optimizer
from etui.bridges.torch.optimizers_rules import RULES
from etui.bridges.torch.schedules import make_schedule, read_schedule
from etui.bridges.torch.state_places import Place, origin, places, require_module, weights_of
from etui.canonical.values import ObjectValue
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.training import Training
from etui.core.vocabulary import NAMESPACE
from etui.locating import naming
from etui.model import Model
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, Transfer

StrPath = str | os.PathLike[str]
OPTIMIZER = "optimizer"


@dataclass(frozen=True, slots=True)
class Resumed:
    """What a training in torch goes on with.

    Attributes:
        module: the model.
        optimizer: over its parameters, or `None` where the file has none.
        scheduler: of the optimizer's rate, or `None` where the rate is constant.
        loss: called with the prediction first, then the target; `None` where the file has none.
        report: the account of the load.
    """

    module: Any
    optimizer: Any
    scheduler: Any
    loss: Any
    report: Report


def read_model(path: StrPath | Model, report: Report) -> Model:
    """A model of any format that is read, its file still open; one that is a model already is not closed with it."""
    if isinstance(path, Model):
        return replace(path, native={}, closing=None)
    reading = Report(os.fspath(path))
    model, _ = conversion.read(path, report=reading, native=False)
    report.entries += [entry for entry in reading.lost if entry.kind != "document"]
    return model


def source_name(path: StrPath | Model) -> str:
    """The name of a source, for messages."""
    return "an etui.Model" if isinstance(path, Model) else os.fspath(path)


def as_core(model: Model, report: Report) -> Model:
    """A model in the vocabulary: itself, or its translation."""
    names = [] if model.config is None else [module.op for _, module in model.config.walk() if module.kind != "shared"]
    names += [] if model.optimizer is None else [one.algorithm for _, one in model.optimizer.walk()]
    losses = [] if model.training is None else _leaves(model.training.loss)
    names += [loss.class_name if isinstance(loss, ObjectValue) else "" for loss in losses]
    if all(name.startswith(NAMESPACE) for name in names):
        return model
    from etui.translation import to_core

    return to_core(model, report)


def _leaves(value: Any) -> list[Any]:
    """The losses of a nesting of outputs."""
    if isinstance(value, Mapping | list | tuple):
        return [leaf for one in (value.values() if isinstance(value, Mapping) else value) for leaf in _leaves(one)]
    return [] if value is None else [value]


def load(
    path: StrPath | Model,
    *,
    strict: bool,
    allow: Collection[str],
    report: Report,
    device: Any = None,
    stock: bool = False,
) -> Resumed:
    """See `etui.torch.load`."""
    from etui.bridges.torch.build import to_module

    report.source, report.target = source_name(path), "a torch module"
    with read_model(path, report) as stored, naming(report.source):
        model = as_core(stored, report)
        module = to_module(model, report=report, strict=False, device=device).train()
        found = only(model.optimizer, report)
        optimizer = scheduler = None
        if found is not None:
            targets = [place.target for place in places(module) if place.is_parameter]
            after = getattr(module, "apply_constraints", None)
            optimizer = make_optimizer(found, targets, stock=stock, after=after, report=report)
            scheduler = make_schedule(optimizer, found, report)
        loss = make_loss(model.training, report)
    if strict:
        report.require_complete(allow)
    return Resumed(module, optimizer, scheduler, loss, report)


def only(state: OptimizerState | None, report: Report) -> Optimizer | None:
    """The optimizer of a run, where its rule is one of the vocabulary; the report says where it is none."""
    found = None if state is None else next(iter(state.optimizers.values()), None)
    rule = found if found is None or found.inner is None else found.inner
    if rule is not None and rule.algorithm.removeprefix(NAMESPACE) in RULES and rule.algorithm.startswith(NAMESPACE):
        return found
    if rule is not None:
        report.add("optimizer", OPTIMIZER, "not-transferable", rule.algorithm, Transfer(NOT_TRANSFERABLE))
    return None


def save(module: Any, optimizer: Any, path: StrPath, *, shard_size: int | None, **what: Any) -> str:
    """See `etui.torch.save`. The rest is as `captured` takes it."""
    return save_model(captured(module, optimizer, os.fspath(path), **what), path, shard_size=shard_size)


def captured(
    module: Any,
    optimizer: Any,
    target: str,
    *,
    example: tuple[Any, ...] | None,
    loss: Any,
    scheduler: Any,
    counters: Mapping[str, int],
    user: Mapping[str, Any],
    step: int | None,
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> Model:
    """The model that a save writes, see `etui.torch.capture`; `target` is where it goes, for the report."""
    module = require_module(module)
    report.source, report.target = f"a torch module {type(module).__name__}", target
    if example is None:
        held = places(module)
        model = capture(module, held, report)
        read = partial(read_optimizer, targets=[place.target for place in held if place.is_parameter], live=True)
    else:
        from etui.bridges.torch.trace import state as traces

        model, traced = traces.capture(module, example, report)
        read = partial(traces.optimizer_of, traced, module)
    if optimizer is not None:
        found = read(optimizer, step=step, report=report)
        if found is not None:
            model.optimizer = OptimizerState({OPTIMIZER: found})
            if scheduler is not None:
                read_schedule(scheduler, found, report)
    if loss is not None:
        model.training = _trained(model.training, loss, report)
    if counters or user:
        model.state = State(counters=dict(counters), user=dict(user))
    if strict:
        report.require_complete(allow)
    return model


def capture(module: Any, held: list[Place], report: Report) -> Model:
    """A module as a model: what it came from with its current weights, or its weights alone."""
    made = origin(module)
    model = Model(weights=weights_of(held)) if made is None else made
    assert model.weights is not None  # noqa: S101  both ways give weights
    for path in model.weights.variables:
        report.add("variable", path, "restored", "", Transfer(EXACT))
    for path, owner in model.weights.aliases.items():
        report.add("variable", path, "aliased", f"shares {owner}")
    if made is None:
        known = {name for place in held for name in place.names}
        for name in module.state_dict().keys() - known:
            report.add("state", name, "not-transferable", "extra state that is no tensor")
    return model


def _trained(before: Training | None, loss: Any, report: Report) -> Training | None:
    """The training document with another loss."""
    found, weights = read_loss(loss, report)
    training = Training() if before is None else before
    if found is not None:
        training.loss, training.loss_weights = found, weights
    return training if before is not None or found is not None else None
