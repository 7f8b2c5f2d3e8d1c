"""Modules that users wrote, saved and loaded by their core graph (SPEC.md, annex M.2 and M.3)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from etui.bridges.torch.arrays import tensor_of
from etui.bridges.torch.optimizers import Target
from etui.bridges.torch.optimizers_into import fit_optimizer
from etui.bridges.torch.optimizers_read import read_optimizer
from etui.bridges.torch.trace import slots
from etui.bridges.torch.trace.walk import Traced, from_module
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report
from etui.transfer import EXACT, REPARAMETRISED, Transfer

Paths = Mapping[str, str] | Callable[[str], str] | None


def capture(module: Any, example: tuple[Any, ...], report: Report) -> tuple[Model, Traced]:
    """The core model of a module, and how it was traced.

    Args:
        module: of torch.
        example: its inputs.
        report: gets an entry for each variable, and for each count of batches, which is left out.
    """
    traced = from_module(module, *example)
    for path in traced.model.weights or ():
        report.add("variable", path, "restored", "", Transfer(EXACT))
    for name in _unread(module, traced):
        report.add("variable", name, "left-out", "a tensor that no layer of the graph reads")
    return traced.model, traced


def _unread(module: Any, traced: Traced) -> Iterator[str]:
    known = {name for binding in slots.parameter_bindings(traced) for name in binding.names}
    shared = {id(tensor) for name, tensor in module.state_dict(keep_vars=True).items() if name in known}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if name not in known and id(tensor) not in shared:
            yield name


def optimizer_of(traced: Traced, module: Any, optimizer: Any, step: int | None, report: Report) -> Optimizer | None:
    """The state of a traced module's optimizer, by the variables of its graph.

    Args:
        traced: the module as it was traced.
        module: of torch.
        optimizer: over its parameters.
        step: updates that it has made, for SGD, which does not count them.
        report: gets an entry for each slot.
    """
    found = read_optimizer(optimizer, _targets(traced, module), step=step, report=report)
    return None if found is None else slots.to_core(found, traced, report)


def _targets(traced: Traced, module: Any) -> list[Target]:
    held = module.state_dict(keep_vars=True)
    found = slots.parameter_bindings(traced)
    return [Target(one.path, held[one.name], one) for one in found if isinstance(held[one.name], nn.Parameter)]


def plan(
    module: Any, optimizer: Any, stored: Model, *, example: tuple[Any, ...], names: Paths, report: Report
) -> Callable[[], None]:
    """Plan to put a stored model into a module that its user wrote; nothing is changed before the plan is carried out.

    Args:
        module: of torch.
        optimizer: over its parameters, or `None`.
        stored: of the core vocabulary, with weights.
        example: inputs of the module.
        names: path of a variable of the module's graph -> path in the file; where a map has none, the same path, or
            else the variable of the same role in the file's module of the same path.
        report: gets an entry for each variable of either side, and each slot.

    Returns:
        A function without arguments that does it.
    """
    traced = from_module(module, *example)
    weights = stored.weights if stored.weights is not None else Weights()
    wanted = traced.model.weights if traced.model.weights is not None else Weights()
    source = _sources(wanted, weights, names, _twins(traced.model, stored))
    renamed = _fitting(wanted, weights, source, _summed(traced.model, stored), report)
    values = list(slots.arrays(_only(traced, renamed), renamed, report))
    apply = None
    inner = None if stored.optimizer is None else next(iter(stored.optimizer.optimizers.values()), None)
    if optimizer is not None and inner is None:
        report.add("optimizer", "optimizer", "missing", "the file has none")
    elif optimizer is not None and inner is not None:
        back = {weights.resolve(found): path for path, found in source.items() if found in weights}
        ours = slots.to_torch(slots.renamed(inner, back), traced, report)
        apply = fit_optimizer(ours, _targets(traced, module), optimizer, report)
    elif inner is not None:
        report.add("optimizer", "optimizer", "left-out", "no optimizer was given to load it into")
    held = module.state_dict(keep_vars=True)

    def carry_out() -> None:
        with torch.no_grad():
            for name, array in values:
                held[name].copy_(tensor_of(array))
        if apply is not None:
            apply()

    return carry_out


def _sources(wanted: Weights, weights: Weights, names: Paths, twins: Mapping[str, str]) -> dict[str, str]:
    """Path of each variable of the module's graph -> path in the file, which need not have it."""
    return {path: _stored(path, names, path if path in weights else twins.get(path, path)) for path in wanted}


def _fitting(
    wanted: Weights, weights: Weights, source: Mapping[str, str], summed: Collection[str], report: Report
) -> Weights:
    """The variables of the file that fit, by their paths in the module's graph; the others are reported."""
    fitting = Weights()
    for path, variable in wanted.variables.items():
        found = source[path]
        if found not in weights and path in summed:
            zero = Tensor.of(np.zeros_like(variable.tensor.numpy()))
            fitting.variables[path] = replace(variable, tensor=zero)
            report.add("variable", path, "translated", "0, as the file has a sum", Transfer(REPARAMETRISED, slots.SUM))
        elif found not in weights:
            report.add("variable", path, "missing", f"the file has no {found}")
        elif weights[found].shape != variable.shape:
            both = f"{list(weights[found].shape)} in the file, {list(variable.shape)} for the module"
            report.add("variable", path, "shape-mismatch", both)
        else:
            fitting.variables[path] = weights[found]
    used = {weights.resolve(found) for found in source.values() if found in weights}
    for path in weights.variables:
        if path not in used:
            report.add("stored variable", path, "unexpected", "no variable of the module")
    return fitting


def _stored(path: str, names: Paths, usual: str) -> str:
    if names is None:
        return usual
    return names(path) if callable(names) else names.get(path, usual)


def _twins(model: Model, stored: Model) -> dict[str, str]:
    """Path of a variable of the module's graph -> path of the one with its role in the file's module of that path.

    Keras keeps some variables in layers of its own making, under whose names they are in its files.
    """
    theirs = _roles(stored)
    return {
        path: theirs[at][role]
        for at, roles in _roles(model).items()
        for role, path in roles.items()
        if role in theirs.get(at, {})
    }


def _summed(model: Model, stored: Model) -> set[str]:
    """The second biases of the module's graph whose modules in the file have one bias, which is the sum of both."""
    theirs = _roles(stored)
    return {
        roles["recurrent_bias"]
        for at, roles in _roles(model).items()
        if "recurrent_bias" in roles and "bias" in theirs.get(at, {}) and "recurrent_bias" not in theirs[at]
    }


def _roles(model: Model) -> dict[str, dict[str, str]]:
    """The variables of each module by their roles."""
    return {} if model.config is None else {path: module.params for path, module in model.config.walk()}


def _only(traced: Traced, weights: Weights) -> Traced:
    """The part of a traced module whose variables are all there."""
    return Traced(
        traced.model,
        [binding for binding in traced.bindings if binding.path in weights],
        {name: leaves for name, leaves in traced.packed.items() if all(path in weights for path in leaves)},
        {path: joined for path, joined in traced.joined.items() if path in weights},
    )
