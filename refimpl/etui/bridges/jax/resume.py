"""Models with their training state into JAX and back: `load` and `save` of functions (SPEC.md annex N.3)."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import jax
import numpy as np

from etui.bridges.jax import functions, optax_build, optax_read, optax_write, placing, trees, wrappers
from etui.bridges.jax.optax_write import MAIN
from etui.containers.optimizer import Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.core.vocabulary import is_core_config
from etui.errors import TransferError, error, shown
from etui.model import Model
from etui.report import LOST, Entry, Report
from etui.saving import save as save_artifact
from etui.transfer import NOT_TRANSFERABLE, Transfer

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Resumed:
    """A model that goes on training where the stored one stood.

    Attributes:
        function: the model as a pure function.
        params: its trainable variables by path.
        state: its other variables by path.
        tx: the optimizer, an `optax.GradientTransformation`, or `None`; constraints are a part of it.
        opt_state: the state of `tx`.
        loss: the loss that the model was compiled with, or `None`.
        optimizer: what `tx` is in the words of the core vocabulary; `save` writes it with the state.
        report: the account.
    """

    function: Any
    params: dict[str, Any]
    state: dict[str, Any]
    tx: Any
    opt_state: Any
    loss: Any
    optimizer: Optimizer | None
    report: Report

    def loss_scale(self, opt_state: Any) -> Any:
        """By what the loss is multiplied before its gradients are taken; 1 without loss scaling."""
        found = [level.hyperparameters.get("loss_scale") for level in self._levels()]
        fixed = [level for level in self._levels() if level.hyperparameters.get("dynamic") is False]
        if fixed:
            return optax_build.hyperparameters_of(fixed[0])["initial_scale"]
        constant = next((number for number in found if number is not None), None)
        return wrappers.loss_scale(opt_state) if constant is None else constant

    def _levels(self) -> Iterator[Optimizer]:
        return iter(()) if self.optimizer is None else optax_write.levels(self.optimizer)


def load(
    path: StrPath | Model, *, dtype: str | None, stock: bool, strict: bool, allow: Collection[str], report: Report
) -> Resumed:
    """Load a model with its training state; see `etui.jax.load`."""
    if isinstance(path, Model):
        return _load(path, dtype, report, stock=stock, strict=strict, allow=allow)
    from etui.conversion import read

    report.source, report.target = os.fspath(path), "jax"
    model, _ = read(path, report=report, native=False)
    with model:
        return _load(model, dtype, report, stock=stock, strict=strict, allow=allow)


def function_of(path: StrPath | Model, *, dtype: str | None, strict: bool, report: Report) -> Any:
    """A function whose model can be saved when its file is closed; see `etui.jax.to_function`."""

    def of(model: Model) -> Any:
        core = in_core(model, report)
        core.state = in_memory(core.state)
        return functions.function_of(core, dtype=dtype, strict=strict, report=report)

    if isinstance(path, Model):
        return of(path)
    from etui.conversion import read

    model, _ = read(path, report=report, native=False)
    with model:
        return of(model)


def _load(
    model: Model, dtype: str | None, report: Report, *, stock: bool, strict: bool, allow: Collection[str]
) -> Resumed:
    core = in_core(model, report)
    core.state = in_memory(core.state)
    function = functions.function_of(core, dtype=dtype, strict=False, report=report)
    tx = state = description = None
    stored = main_optimizer(core)
    if stored is not None:
        names = trees.paths_of(function.params, flat=True)
        built = _built(stored, names, function.constrain, stock, report)
        if built is not None:
            tx, description = built.transformation, _without_slots(built.description, set(names.values()))
            state = optax_write.state_of(built, stored, function.params, names, report, elsewhere=function.state)
    loss = loss_of(core, report)
    report.entries = once(report.entries)
    core.optimizer = None if description is None else OptimizerState({MAIN: description})
    if strict:
        report.require_complete(allow)
    return Resumed(function, dict(function.params), dict(function.state), tx, state, loss, description, report)


def _built(
    stored: Optimizer, names: Mapping[trees.KeyPath, str], project: optax_build.Project, stock: bool, report: Report
) -> optax_build.Built | None:
    """The transformation; `None` where optax cannot express the optimizer, which the report then says."""
    try:
        return optax_build.build(stored, names, project=project, stock=stock)
    except TransferError as cause:
        report.add("optimizer", MAIN, "not-transferable", cause.found, Transfer(NOT_TRANSFERABLE))
        return None


def once(entries: list[Entry]) -> list[Entry]:
    """One entry for each item: the last one, or the first that says that something was lost."""
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.kind, entry.subject)
        if key not in found or found[key].status not in LOST:
            found[key] = entry
    return list(found.values())


def in_core(model: Model, report: Report) -> Model:
    """The model in the core vocabulary; a model that is in it already stays as it is."""
    if model.config is not None and is_core_config(model.config):
        optimizer = main_optimizer(model)
        if optimizer is None or _is_core(optimizer):
            return replace(model)
    from etui.translation import to_core

    return to_core(model, report)


def _is_core(optimizer: Optimizer) -> bool:
    return all(level.algorithm.startswith("core:") for level in optax_write.levels(optimizer))


def main_optimizer(model: Model) -> Optimizer | None:
    """The one optimizer of a model.

    Raises:
        TransferError: ``jax-optimizer``, there are several.
    """
    if model.optimizer is None:
        return None
    found = model.optimizer.optimizers
    if len(found) > 1:
        raise error("jax-optimizer", where="optimizers", found=f"{len(found)} optimizers: {shown(sorted(found))}")
    return next(iter(found.values()), None)


def loss_of(model: Model, report: Report) -> Any:
    """The compiled loss as a function, or `None`; what JAX cannot compute is in the report."""
    from etui.bridges.jax.losses import loss_of as compiled

    if model.training is None:
        return None
    try:
        return compiled(model)
    except TransferError as cause:
        report.add("training", "loss", "data-only", str(cause))
        return None


def in_memory(value: Any) -> Any:
    """A container or value with every tensor read, so that it outlives the file."""
    if isinstance(value, Tensor):
        return Tensor.of(np.array(value.numpy()), dtype=value.dtype)
    if isinstance(value, dict):
        return {key: in_memory(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(in_memory(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{item.name: in_memory(getattr(value, item.name)) for item in fields(value)})
    return value


def _without_slots(optimizer: Optimizer, given: set[str]) -> Optimizer:
    """A description without the slots that the state of optax holds; those of frozen variables stay."""
    kept = {path: in_memory(slots) for path, slots in optimizer.slots.items() if path not in given}
    inner = None if optimizer.inner is None else _without_slots(optimizer.inner, given)
    residue = in_memory(optimizer.residue)
    return replace(optimizer, slots=kept, shared_slots={}, inner=inner, residue=residue)


def save(
    function: Any,
    params: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
    opt_state: Any,
    path: StrPath,
    *,
    shard_size: int | None,
    **what: Any,
) -> str:
    """Save a function, its variables and its training; see `etui.jax.save`. The rest is as `captured` takes it."""
    model = captured(function, params, state, opt_state, os.fspath(path), **what)
    return save_artifact(model, path, shard_size=shard_size)


def captured(
    function: Any,
    params: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
    opt_state: Any,
    target: str,
    *,
    optimizer: Optimizer | None,
    counters: Mapping[str, int] | None,
    user: Mapping[str, Any] | None,
    report: Report,
) -> Model:
    """The model that a save writes, see `etui.jax.capture`; `target` is where it goes, for the report."""
    if isinstance(function, Resumed):
        optimizer = function.optimizer if optimizer is None else optimizer
        function = function.function
    if not isinstance(function, functions.Function):
        raise error("jax-argument", found=f"a {type(function).__name__}", hint="For other trees there is `save_tree`.")
    report.source, report.target = report.source or "jax", target
    given = {**function.state, **function.params, **(state or {}), **(params or {})}
    source = function.model
    weights = _weights(source.weights, given, report)
    model = replace(source, weights=weights, optimizer=None, native={}, manifest=None, digest=None, closing=None)
    if opt_state is not None:
        model.optimizer = OptimizerState({MAIN: _optimizer(function, opt_state, optimizer, weights, report)})
    model.state = _state(source.state, counters, user)
    return model


def _weights(source: Weights | None, given: Mapping[str, Any], report: Report) -> Weights:
    """The variables with new values, in the model's own order, with its roles, flags and aliases."""
    assert source is not None  # noqa: S101  a function has weights
    unknown = [path for path in given if path not in source.variables]
    if unknown:
        raise error("jax-variables", where=unknown[0], found="a variable that the model does not have")
    made: dict[str, Variable] = {}
    for path, variable in source.variables.items():
        value = given.get(path)
        if value is None or np.shape(value) != variable.shape:
            found = "no value" if value is None else f"the shape {list(np.shape(value))}, not {list(variable.shape)}"
            raise error("jax-variables", where=path, found=found)
        made[path] = Variable(placing.tensor_of(value, path), variable.role, variable.trainable)
        report.add("variable", path, "restored")
    return Weights(made, dict(source.aliases), dict(source.extra))


def _optimizer(
    function: Any, opt_state: Any, description: Optimizer | None, weights: Weights, report: Report
) -> Optimizer:
    names = trees.paths_of(function.params, flat=True)
    made = optax_read.optimizer_of(opt_state, names, report, description=description, order=list(weights.variables))
    if description is None:
        return made
    kept = list(optax_write.levels(description))[-1].slots
    return _with_slots(made, {path: slots for path, slots in kept.items() if path not in set(names.values())})


def _with_slots(optimizer: Optimizer, more: Mapping[str, dict[str, Tensor]]) -> Optimizer:
    if optimizer.inner is not None:
        return replace(optimizer, inner=_with_slots(optimizer.inner, more))
    fresh = [path for path in optimizer.fresh if path not in more]
    return replace(optimizer, slots={**optimizer.slots, **more}, fresh=fresh)


def _state(source: State | None, counters: Mapping[str, int] | None, user: Mapping[str, Any] | None) -> State | None:
    made = State() if source is None else replace(source)
    made.counters = {**made.counters, **(counters or {})}
    made.user = {**made.user, **{key: _plain(value) for key, value in (user or {}).items()}}
    return made if source is not None or made.counters or made.user else None


def _plain(value: Any) -> Any:
    return Tensor.of(np.asarray(value)) if isinstance(value, (jax.Array, np.ndarray)) else value
