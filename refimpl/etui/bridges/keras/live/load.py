"""A file as a live model (SPEC.md, annex I)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from etui.bridges.keras.layout import Place, places
from etui.bridges.keras.live.budget import budget
from etui.bridges.keras.live.capture import OPTIMIZER, Captured, capture
from etui.bridges.keras.live.config import for_every_backend
from etui.bridges.keras.live.framework import Framework, framework_named
from etui.bridges.keras.live.optimizer import plan_optimizer
from etui.bridges.keras.live.restore import Plan, plan_assets, plan_groups
from etui.bridges.keras.live.safety import check_code, custom_objects_for, without_imports
from etui.bridges.keras.live.state import (
    plan_metrics,
    plan_state,
    restore_compiled_flags,
    restore_flags,
    restore_layer_flags,
)
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.bridges.keras.roles import adapter_shapes
from etui.bridges.keras.variables import dataset_names
from etui.bridges.located import locate
from etui.bridges.own import in_vocabulary
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.errors import EtuiError, error, shown
from etui.locating import naming
from etui.model import Model
from etui.report import Entry, Report

StrPath = str | os.PathLike[str]


def load(
    path: StrPath | Model,
    custom_objects: Mapping[str, Any] | None,
    *,
    compiled: bool,
    framework: str | None,
    strict: bool,
    report: Report,
) -> Any:
    """See `etui.keras.load`."""
    name = source_name(path)
    report.source, reading = name, Report(name)
    with naming(name):
        if isinstance(path, Model):
            model = replace(path, native={}, closing=None)
        else:
            model = locate(path).read(reading, native=False)
    with model:
        report.entries += [entry for entry in reading.entries if entry.status != "restored"]
        if strict:
            reading.require_complete()
        return build(model, custom_objects, compiled=compiled, framework=framework, strict=strict, report=report)


def source_name(path: StrPath | Model) -> str:
    """The name of a source, for messages."""
    return "an etui.Model" if isinstance(path, Model) else os.fspath(path)


def build(
    model: Model,
    custom_objects: Mapping[str, Any] | None,
    *,
    compiled: bool,
    framework: str | None,
    strict: bool,
    report: Report,
    trusted: bool = False,
) -> Any:
    """A live model of a neutral one.

    Args:
        model: the neutral model; it must have a config.
        custom_objects: classes and functions by name, beside those that are registered.
        compiled: compile it and restore its training state.
        framework: by name; by default the one whose dialect the config has.
        strict: refuse to give a model to which something of the source is lost.
        report: gets the account.
        trusted: the config comes from live objects of this process, so that its code may run.

    Raises:
        TransferError: ``not-complete``, ``live-config``, ``live-optimizer``, or a code that begins with ``keras-``.
        UnsafeError: ``live-code``.
        LimitError: ``limit-unstored``, the config asks for variables that the file does not store, beyond the limit.
        UnsupportedError: ``live-custom-missing``.
    """
    if model.config is None:
        hint = "Make the model in code and use `etui.keras.load_weights`."
        raise error("live-config", where=report.source, found="a file without a config", hint=hint)
    lowering = Report(report.source)
    model = in_vocabulary(model, "keras", lowering)
    report.entries += lowering.entries
    if strict:
        lowering.require_complete()
    root = None if model.config is None else model.config.model
    used = framework_named(framework, "keras" if root is None else residue(root).get("dialect", "keras"))
    model = in_dialect(model, used, report)
    report.target = f"a live model of {used.name} {used.version}"
    if not trusted:
        check_code(model)
    known = custom_objects_for(model, used, custom_objects)
    if not compiled:
        _leave_training(model, report)
    stored = sum(one.tensor.nbytes for one in model.weights.variables.values()) if model.weights is not None else 0
    with nullcontext() if trusted else budget(used, stored):
        live = _constructed(used, _config(model), known, safe=not trusted)
    _fill(used, live, model, report, strict=strict)
    return live


def in_dialect(model: Model, framework: Framework, report: Report) -> Model:
    """The model in the dialect of a framework."""
    found = residue(model.config.model).get("dialect", "keras") if model.config is not None else framework.dialect
    if found == framework.dialect:
        return model
    from etui.bridges.keras.dialects.normalize import to_dialect

    return to_dialect(model, framework.dialect, report)


def _config(model: Model) -> dict[str, Any]:
    # A config is written without a look at the weights.
    node: dict[str, Any] = Writing(replace(model, weights=model.weights or Weights())).config()
    compiled = node.get("compile_config")
    if isinstance(compiled, dict) and "optimizer" in compiled:
        node["compile_config"] = compiled | {"optimizer": for_every_backend(compiled["optimizer"])}
    return node


def _constructed(framework: Framework, tree: Any, known: Mapping[str, Any], *, safe: bool) -> Any:
    with _told(framework):
        return framework.deserialize(without_imports(tree) if safe else tree, known, safe=safe)


@contextmanager
def _told(framework: Framework) -> Iterator[None]:
    """What a framework or a class of the author's says of a file is told as what is wrong with the file."""
    try:
        yield
    except EtuiError:
        raise
    except Exception as fault:  # a config can make a framework raise anything
        # Frameworks put the config before the reason, which can be long.
        reason = str(fault).rpartition("Exception encountered: ")[2]
        found = f"{framework.name}: {type(fault).__name__}: {shown(reason, 600)}"
        raise error("live-build", found=found) from fault


def _leave_training(model: Model, report: Report) -> None:
    for name, document in (("training", "training.json"), ("optimizer", "optimizer.msgpack")):
        if getattr(model, name) is not None:
            report.add("document", document, "left-out", "the model is not to be compiled")
            setattr(model, name, None)
    if model.state is not None and model.state.metrics:
        report.add("state", "metrics", "left-out", "the model is not to be compiled")
        model.state.metrics = {}


def _fill(framework: Framework, live: Any, model: Model, report: Report, *, strict: bool) -> None:
    """Give a live model what the neutral one holds."""
    plan = Plan(framework, report)
    target = _under_stored_paths(capture(framework, live, need_config=False), model)
    finish = _plan(plan, target, model)
    if strict:
        report.require_complete()
    with _told(framework):
        plan.carry_out()
        finish()
    if model.weights is not None and model.config is not None:
        restore_layer_flags(target, model.config)
        restore_compiled_flags(target, model.training)
        restore_flags(plan, live, model.weights, target.variables)
    if strict:
        report.require_complete()


def _under_stored_paths(target: Captured, model: Model) -> Captured:
    """The live model with the paths of the stored one: a layer whose name the framework refuses has another there."""
    config, weights = model.config, model.weights
    if config is None or weights is None:
        return target
    groups = {place.group: place.path for place in places(config)}
    named = {dataset: path for _, path, dataset in dataset_names(config, weights)}

    def stored(path: str) -> str:
        return path if path in weights else named.get(target.datasets.get(path, ""), path)

    return replace(
        target,
        places=[replace(place, path=groups.get(place.group, place.path)) for place in target.places],
        variables={stored(path): variable for path, variable in target.variables.items()},
        datasets={stored(path): dataset for path, dataset in target.datasets.items()},
    )


def _plan(plan: Plan, target: Captured, model: Model) -> Any:
    live = target.tree.model
    config, weights = model.config, model.weights
    assert config is not None  # noqa: S101  build has looked
    restore_assets = plan_assets(target.tree, config, model.assets, plan.report)
    if weights is None:
        for path in target.datasets:
            plan.report.add("variable", path, "fresh", "the source holds no weights")
        return restore_assets
    stored = dict(Writing(_without_adapters(model, target.places)).datasets())
    names = {dataset: path for _, path, dataset in dataset_names(config, weights)}
    state = {name for name in stored if _is_training(name)}
    plan_groups(plan, _layers(target), {name: stored[name] for name in stored if name not in state}, names)
    _plan_adapters(plan, target, model)
    plan_state(plan, target, model.state)
    steps = [restore_assets]
    if model.optimizer is not None and OPTIMIZER in model.optimizer.optimizers:
        optimizer = model.optimizer.optimizers[OPTIMIZER]
        if _is_compiled(plan, live):
            steps.append(plan_optimizer(plan, live, optimizer, stored, target.variables))
    if model.training is not None:
        plan_metrics(plan, target, model.state, model.training)
    return lambda: [step() for step in steps]


def _is_compiled(plan: Plan, live: Any) -> bool:
    """Whether the framework compiled the model; it leaves models with a `compile` of their own alone."""
    optimizer = plan.framework.optimizer(live)
    if optimizer is not None and not isinstance(optimizer, str):
        return True
    detail = "the model's own `compile` was not called: call it, then `load_weights(..., optimizer=True)`"
    plan.report.add("optimizer", OPTIMIZER, "not-transferable", detail)
    return False


def _is_training(name: str) -> bool:
    return name.partition("/")[0] in (OPTIMIZER, "metrics")


def _layers(target: Captured) -> Any:
    """The tree without optimizers and metrics."""
    tree = target.tree
    return type(tree)(tree.framework, tree.model, [one for one in tree.held if not _is_training(f"{one.group}/")])


def _without_adapters(model: Model, modules: Iterable[Place]) -> Model:
    """The model with every low-rank adapter zero: the layout has a place for what it adapts alone."""
    weights = model.weights
    if weights is None:
        return model
    variables = dict(weights.variables)
    for place in modules:
        shapes = {role: weights[path].shape for role, path in place.module.params.items() if path in weights}
        for role, shape in adapter_shapes(place.op, place.attrs, shapes).items():
            path = place.module.params.get(role)
            if path in variables:
                zeros = Tensor.of(np.zeros(shape, np.float32))
                variables[path] = Variable(zeros, variables[path].role, variables[path].trainable)
    return replace(model, weights=Weights(variables, weights.aliases))


def _plan_adapters(plan: Plan, target: Captured, model: Model) -> None:
    """Variables of layers with a low-rank adapter, which the layer's own methods would merge."""
    weights = model.weights
    for place, held in target.objects():
        if weights is None or not getattr(held.thing, "lora_enabled", False):
            continue
        for path in place.module.params.values():
            variable = target.variables.get(path)
            entries = held.variables.values()
            if variable is None or any(variable is one for one in entries) or path not in weights:
                continue
            tensor: Tensor = weights[path].tensor
            if plan.fits("variable", path, variable, tensor):
                plan.put(variable, tensor)


def add_entries(report: Report, entries: list[Entry]) -> None:
    """Add entries that a report does not have yet."""
    known = {(entry.kind, entry.subject) for entry in report.entries}
    report.entries += [entry for entry in entries if (entry.kind, entry.subject) not in known]
