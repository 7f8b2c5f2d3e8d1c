"""State of optimizers between the parameters of a torch module and the variables of its core graph (SPEC.md, PT-35).

Where a parameter is several variables, or a variable several parameters, the state is first named after the parameters,
`state_dict` names with `/` for dots, and then divided or put together here. The update rules are elementwise but for
norms, so that rows of a moment are the moments of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etui.bridges.torch.binding import Binding, Layout
from etui.bridges.torch.trace.builder import Joined, Leaf
from etui.bridges.torch.trace.walk import Traced
from etui.containers.optimizer import Group, Optimizer
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, REPARAMETRISED, Transfer

SUM = "bias = bias_ih + bias_hh"
_SUMMED = Transfer(NOT_TRANSFERABLE, SUM)
# Rules that look at a whole variable: a slot of theirs cannot be cut.
_WHOLE = frozenset({"core:adafactor", "core:lamb", "core:muon"})


def parameter_path(name: str) -> str:
    """What a parameter of torch is called beside variables."""
    return name.replace(".", "/")


def parameter_bindings(traced: Traced) -> list[Binding]:
    """A binding of each parameter of the module: those of whole variables, and of those that are divided or joined."""
    found = list(traced.bindings)
    for name, leaves in traced.packed.items():
        found.append(_itself(name, next(iter(leaves.values()))))
    for joined in traced.joined.values():
        found += [_itself(leaf.name, leaf) for leaf in joined.leaves]
    return found


def _itself(name: str, leaf: Leaf) -> Binding:
    shape = tuple(leaf.tensor.shape)
    return Binding(parameter_path(name), name, Layout(), shape, shape, "", leaf.trainable, (name,))


@dataclass(frozen=True, slots=True)
class Regrouping:
    """Which parameters are which variables, where that is not one to one.

    Attributes:
        packed: path of a parameter -> path of each variable -> its rows.
        joined: path of a variable -> its parameters.
    """

    packed: Mapping[str, Mapping[str, Leaf]]
    joined: Mapping[str, Joined]

    @classmethod
    def of(cls, traced: Traced) -> Regrouping:
        """That of a traced module."""
        return cls({parameter_path(name): leaves for name, leaves in traced.packed.items()}, traced.joined)

    def variables(self, path: str) -> list[str]:
        """The variables of a parameter, of which a joined one is named by its first parameter."""
        if path in self.packed:
            return list(self.packed[path])
        for variable, joined in self.joined.items():
            names = [parameter_path(leaf.name) for leaf in joined.leaves]
            if path in names:
                return [variable] if path == names[0] else []
        return [path]

    def parameters(self, path: str) -> list[str]:
        """The parameters of a variable, of which a packed one is named by its first variable."""
        if path in self.joined:
            return [parameter_path(leaf.name) for leaf in self.joined[path].leaves]
        for name, leaves in self.packed.items():
            if path in leaves:
                return [name] if path == next(iter(leaves)) else []
        return [path]


def to_core(optimizer: Optimizer, traced: Traced, report: Report) -> Optimizer:
    """The state of an optimizer, named after parameters, as that of the variables.

    Args:
        optimizer: as `read_optimizer` gives it for `parameter_bindings`.
        traced: the module.
        report: gets an entry for each slot that is divided, joined or lost.
    """
    regrouping = Regrouping.of(traced)
    slots = {path: dict(own) for path, own in optimizer.slots.items()}
    for path, leaves in regrouping.packed.items():
        own = slots.pop(path, {})
        for name, tensor in own.items():
            if optimizer.algorithm in _WHOLE or len(tensor.shape) != len(next(iter(leaves.values())).tensor.shape):
                report.add(
                    "slot", f"{path}/{name}", "not-transferable", "of all rows at once", Transfer(NOT_TRANSFERABLE)
                )
                continue
            for variable, leaf in leaves.items():
                slots.setdefault(variable, {})[name] = Tensor.of(_rows(tensor.numpy(), leaf))
                report.add("slot", f"{variable}/{name}", "restored", "rows of a packed parameter", Transfer(EXACT))
    for variable, joined in regrouping.joined.items():
        owns = [slots.pop(parameter_path(leaf.name), {}) for leaf in joined.leaves]
        for name in owns[0]:
            if joined.how != "stack":
                report.add("slot", f"{variable}/{name}", "not-transferable", SUM, _SUMMED)
                continue
            rows = [_laid(own[name].numpy(), leaf) for own, leaf in zip(owns, joined.leaves, strict=True)]
            slots.setdefault(variable, {})[name] = Tensor.of(np.stack(rows))
            report.add("slot", f"{variable}/{name}", "restored", "rows of several parameters", Transfer(EXACT))
    inner = None if optimizer.inner is None else to_core(optimizer.inner, traced, report)
    return replace(_renamed(optimizer, slots, regrouping.variables), inner=inner)


def to_torch(optimizer: Optimizer, traced: Traced, report: Report) -> Optimizer:
    """The state of an optimizer of variables, named after the parameters of a traced module.

    Args:
        optimizer: of the stored model.
        traced: the module.
        report: gets an entry for each slot that is lost.
    """
    regrouping = Regrouping.of(traced)
    slots = {path: dict(own) for path, own in optimizer.slots.items()}
    for path, leaves in regrouping.packed.items():
        owns = {variable: slots.pop(variable, {}) for variable in leaves}
        for name in next(iter(owns.values())):
            rows = [_flat(owns[variable][name].numpy(), leaf) for variable, leaf in leaves.items()]
            slots.setdefault(path, {})[name] = Tensor.of(np.concatenate(rows))
    for variable, joined in regrouping.joined.items():
        for name, tensor in slots.pop(variable, {}).items():
            if joined.how != "stack":
                report.add("slot", f"{variable}/{name}", "not-transferable", SUM, _SUMMED)
                continue
            for leaf, row in zip(joined.leaves, tensor.numpy(), strict=True):
                slots.setdefault(parameter_path(leaf.name), {})[name] = Tensor.of(_flat(row, leaf))
    inner = None if optimizer.inner is None else to_torch(optimizer.inner, traced, report)
    return replace(_renamed(optimizer, slots, regrouping.parameters), inner=inner)


def renamed(optimizer: Optimizer, names: Mapping[str, str]) -> Optimizer:
    """An optimizer whose variables have other paths; one that the map does not have keeps its path."""
    slots = {names.get(path, path): own for path, own in optimizer.slots.items()}
    inner = None if optimizer.inner is None else renamed(optimizer.inner, names)
    return replace(_renamed(optimizer, slots, lambda path: [names.get(path, path)]), inner=inner)


def arrays(traced: Traced, weights: Weights, report: Report) -> Iterator[tuple[str, Array]]:
    """The elements of each parameter and buffer of a traced module, from the variables of a stored model.

    Args:
        traced: the module.
        weights: which have every variable of it, in its shape.
        report: gets an entry for each variable.
    """
    for binding in traced.bindings:
        yield binding.name, binding.to_torch(weights[binding.path].numpy())
        report.add("variable", binding.path, "restored", "", Transfer(EXACT))
    for name, leaves in traced.packed.items():
        yield name, np.concatenate([_flat(weights[path].numpy(), leaf) for path, leaf in leaves.items()])
        for path in leaves:
            report.add("variable", path, "restored", "rows of a packed parameter", Transfer(EXACT))
    for path, joined in traced.joined.items():
        values = weights[path].numpy()
        # The sum goes into the first one: the second is zero, and so the model computes the same.
        rows = list(values) if joined.how == "stack" else [values, np.zeros_like(values)]
        for leaf, row in zip(joined.leaves, rows, strict=True):
            yield leaf.name, _flat(row, leaf)
        kind = Transfer(EXACT) if joined.how == "stack" else Transfer(REPARAMETRISED, "bias_ih = bias, bias_hh = 0")
        report.add("variable", path, "restored" if joined.how == "stack" else "translated", kind.formula, kind)


def _rows(array: Array, leaf: Leaf) -> Array:
    """The rows of a packed array that are a variable, in its layout."""
    return _laid(array[leaf.part], leaf)


def _laid(array: Array, leaf: Leaf) -> Array:
    shape = leaf.core_shape()
    return np.ascontiguousarray(leaf.layout.backward(array, core_shape=shape)).reshape(shape)


def _flat(array: Array, leaf: Leaf) -> Array:
    found: Any = leaf.layout.forward(array, core_shape=leaf.core_shape())
    return np.ascontiguousarray(found)


def _renamed(optimizer: Optimizer, slots: dict[str, dict[str, Tensor]], names: Callable[[str], list[str]]) -> Optimizer:
    groups = [
        Group([new for path in group.variables for new in names(path)], dict(group.hyperparameters), dict(group.extra))
        for group in optimizer.groups
    ]
    listed = [path for group in groups for path in group.variables]
    fresh = [path for path in listed if path not in slots] if optimizer.slots or optimizer.fresh else []
    return replace(optimizer, groups=groups, slots={k: v for k, v in slots.items() if v}, fresh=fresh)
