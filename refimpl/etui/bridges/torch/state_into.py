"""Stored variables and optimizer state into a module and an optimizer that their user made (SPEC.md, annex M.3).

Everything is planned first. Only a plan that the report allows is carried out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import torch

from etui.bridges.torch.arrays import tensor_of
from etui.bridges.torch.binding import Binding
from etui.bridges.torch.optimizers_into import fit_optimizer
from etui.bridges.torch.state import StrPath, as_core, only, read_model, source_name
from etui.bridges.torch.state_places import Mapped, Place, dtype_name, mapped, places, require_module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.errors import error
from etui.locating import naming
from etui.model import Model
from etui.report import Report
from etui.transfer import EXACT, Transfer

_FLOATS = ("bfloat16", "float")
_COUNTER = "num_batches_tracked"


@dataclass(slots=True)
class _Plan:
    """What a load will change.

    Attributes:
        report: the account.
        values: pairs of a tensor of the module and its elements to be, with their layout.
    """

    report: Report
    values: list[tuple[Any, Tensor, Binding]] = field(default_factory=list)

    def carry_out(self) -> None:
        """Change the tensors; each is read before the first is changed, so that a damaged file changes nothing."""
        for _, tensor, _ in self.values:
            tensor.numpy()
        with torch.no_grad():
            for held, tensor, binding in self.values:
                held.copy_(tensor_of(binding.to_torch(tensor.numpy())))


def load_into(
    module: Any,
    optimizer: Any,
    path: StrPath | Model,
    choices: Mapped | None,
    *,
    example: tuple[Any, ...] | None,
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> Report:
    """See `etui.torch.load_into`."""
    module = require_module(module)
    report.source, report.target = source_name(path), f"a torch module {type(module).__name__}"
    with read_model(path, report) as stored, naming(report.source):
        if stored.weights is None:
            raise error("torch-nothing", where=report.source, found="no weights in the file")
        if example is not None:
            return _by_graph(
                module,
                optimizer,
                as_core(stored, Report()),
                choices,
                example=example,
                strict=strict,
                allow=allow,
                report=report,
            )
        plan = _Plan(report)
        found = _plan_variables(plan, module, stored.weights, choices)
        apply = None
        if optimizer is not None:
            apply = _plan_optimizer(as_core(stored, Report()), optimizer, found, report)
        elif stored.optimizer is not None:
            report.add("optimizer", "optimizer", "left-out", "no optimizer was given to load it into")
        if strict:
            report.require_complete(allow)
        if not plan.values:
            raise error("torch-nothing", where=report.source, found="none of the variables fits")
        plan.carry_out()
    if apply is not None:
        apply()
    return report


def _by_graph(
    module: Any,
    optimizer: Any,
    stored: Model,
    choices: Any,
    *,
    example: tuple[Any, ...],
    strict: bool,
    allow: Collection[str],
    report: Report,
) -> Report:
    """Load a core model into a module by the core graph of it."""
    from etui.bridges.torch.trace.state import plan

    carry_out = plan(module, optimizer, stored, example=example, names=choices, report=report)
    if strict:
        report.require_complete(allow)
    carry_out()
    return report


def _plan_variables(plan: _Plan, module: Any, weights: Weights, choices: Mapped | None) -> list[Place]:
    """Plan the module's tensors; gives those that the file has, with the variables that they are."""
    report = plan.report
    used: set[str] = set()
    left: set[str] = set()
    found = []
    for own in places(module):
        place = mapped(own, choices)
        if place is None:
            report.add("variable", own.names[0], "left-out", "on request")
            left.add(own.binding.path)
            continue
        path = place.binding.path
        if path not in weights:
            report.add("variable", place.names[0], *_absent(module, place.names[0], path))
            continue
        used.add(weights.resolve(path))
        for name in place.names[1:]:
            report.add("variable", name, "aliased", f"is {place.names[0]}")
        if _fits(plan, place, weights[path].tensor):
            plan.values.append((place.tensor, weights[path].tensor, place.binding))
            found.append(place)
    for path in weights.variables:
        if path not in used:
            status = "left-out" if path in left else "unexpected"
            report.add("stored variable", path, status, "on request" if path in left else "no tensor of the module")
    return found


def _absent(module: Any, name: str, path: str) -> tuple[str, str]:
    """Status and detail of a tensor that the file does not have."""
    owner, _, last = name.rpartition(".")
    if last == _COUNTER and getattr(module.get_submodule(owner), "momentum", None) is not None:
        return "reset", "a count of batches that this module does not read"
    return "missing", f"the file has no {path}"


def _fits(plan: _Plan, place: Place, tensor: Tensor) -> bool:
    report, name, binding = plan.report, place.names[0], place.binding
    if tensor.shape != binding.core_shape:
        found = f"{list(tensor.shape)} in the file, {list(binding.core_shape)} for the module"
        report.add("variable", name, "shape-mismatch", f"{binding.path} is {found}")
        return False
    dtype = dtype_name(place.tensor)
    if dtype != tensor.dtype:
        both = f"{tensor.dtype} in the file, {dtype} in the module"
        whole = all(kind.startswith(("int", "uint")) for kind in (dtype, tensor.dtype)) and tensor.shape == ()
        if not whole and not all(kind.startswith(_FLOATS) for kind in (dtype, tensor.dtype)):
            report.add("variable", name, "not-transferable", both)
            return False
        report.add("variable", name, "cast", both)
        return True
    axes = binding.layout.axes
    detail = f"from {binding.path}" if axes is None else f"the axes {list(axes)} of {binding.path}"
    report.add("variable", name, "restored" if axes is None else "translated", detail, Transfer(EXACT))
    return True


def _plan_optimizer(model: Any, optimizer: Any, found: list[Place], report: Report) -> Any:
    """Plan the optimizer's state; gives what puts it in place."""
    if model.optimizer is None:
        report.add("optimizer", "optimizer", "missing", "the file has none")
    stored = only(model.optimizer, report)
    if stored is None:
        return None
    resolve = model.weights.resolve
    targets = []
    for place in found:
        if place.is_parameter:
            binding = place.binding
            path = resolve(binding.path)
            owner = Binding(path, binding.name, binding.layout, binding.core_shape, binding.torch_shape)
            targets.append(Place(place.names, place.tensor, owner).target)
    return fit_optimizer(stored, targets, optimizer, report)
