"""Optimizers of torch that continue a stored one (SPEC.md, annex M.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from etui.bridges.torch import optimizers_hooks as hooks
from etui.bridges.torch.adapters import CoreOptimizer
from etui.bridges.torch.arrays import tensor_of
from etui.bridges.torch.binding import Binding
from etui.bridges.torch.optimizers_rules import RULES
from etui.bridges.torch.optimizers_stock import Plan, plan
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.optimizers import rate_of
from etui.core.vocabulary import NAMESPACE, filled, optimizers
from etui.errors import error, shown
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, REPARAMETRISED, Transfer

STATUS = {
    EXACT: "restored",
    REPARAMETRISED: "translated",
    "approximate": "approximated",
    NOT_TRANSFERABLE: "not-transferable",
}
SCALER = "loss_scale"
# Hyperparameters that belong to the optimizer as a whole: an override by a group has no meaning.
_WHOLE = ("clip_global_norm", "accumulation_steps")


@dataclass(frozen=True, slots=True)
class Target:
    """A parameter of a module and the variable that it is."""

    path: str
    param: Any
    binding: Binding

    @property
    def layout(self) -> Binding:
        """Where the parameter's elements are in the variable."""
        return self.binding


@dataclass(slots=True)
class Made:
    """An optimizer in the making.

    Attributes:
        stored: what it continues, without a wrapper.
        scaler: the wrapper, or `None`.
        targets: variable path -> parameter.
        values: hyperparameters of each group.
        report: the account.
        place: of the optimizer, for the report.
    """

    stored: Optimizer
    scaler: Optimizer | None
    targets: Mapping[str, Target]
    values: list[dict[str, Any]]
    report: Report
    place: str

    @property
    def algorithm(self) -> str:
        """Name of the rule, without its namespace."""
        return self.stored.algorithm.removeprefix(NAMESPACE)

    def account(self, path: str, slot: str, transfer: Transfer, detail: str = "") -> None:
        """Account for a slot of a variable."""
        self.report.add(
            "slot", f"{self.place}/{path}/{slot}", STATUS[transfer.kind], detail or transfer.formula, transfer
        )

    def params(self, group: Group) -> list[Target]:
        """The parameters of a group that the module has."""
        return [self.targets[path] for path in group.variables if path in self.targets]


def make_optimizer(
    optimizer: Optimizer,
    targets: Iterable[Target],
    *,
    stock: bool = False,
    after: Callable[[], None] | None = None,
    report: Report | None = None,
    place: str = "optimizer",
) -> Any:
    """A torch optimizer over a module's parameters that goes on where a stored one stopped.

    Args:
        optimizer: of the core vocabulary.
        targets: the module's parameters.
        stock: an optimizer of `torch.optim` even where it states the rule by a change of parameters, with hooks that
            keep it up, or only nearly; without it, an optimizer of torch where it states the rule by itself, and else
            a `CoreOptimizer`.
        after: called after each step of a `CoreOptimizer`.
        report: gets an entry for the optimizer and for each slot, with its transfer class.
        place: of the optimizer, for the report.

    Returns:
        The optimizer, or `None` where `stock` asks for one that torch does not have, or where no variable of the
        stored one is a parameter: the report says so.

    Raises:
        TransferError: ``torch-optimizer-rule``, the rule is none of the vocabulary.
        InvalidError: ``core-optimizer``, there is no learning rate.
    """
    scaler = optimizer if optimizer.algorithm == NAMESPACE + SCALER else None
    stored = optimizer.inner if scaler is not None and optimizer.inner is not None else optimizer
    rule = stored.algorithm.removeprefix(NAMESPACE)
    if not stored.algorithm.startswith(NAMESPACE) or rule not in RULES:
        raise error("torch-optimizer-rule", where=place, found=shown(stored.algorithm))
    known = optimizers()[rule].hyperparameters
    groups = [filled(known, {**stored.hyperparameters, **group.hyperparameters}) for group in stored.groups]
    made = Made(
        stored, scaler, {one.path: one for one in targets}, groups, Report() if report is None else report, place
    )
    _foreign(made)
    if not any(made.params(group) for group in stored.groups):
        detail = "the module has none of its variables"
        made.report.add("optimizer", place, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
        return None
    plans = [plan(rule, values) for values in groups]
    native = scaler is None and all(one is not None and one.native for one in plans) and _states_alike(made)
    if stock or native:
        return _stock(made, [one for one in plans if one is not None])
    return _core(made, after)


def _states_alike(made: Made) -> bool:
    """Whether groups differ in what one torch optimizer may differ in, and no single parameter is an exception."""
    whole = all(values[name] == made.values[0][name] for values in made.values for name in _WHOLE)
    kinds = {getattr(plan(made.algorithm, values), "kind", None) for values in made.values}
    return whole and len(kinds) == 1 and not any(values["decay_excluded"] for values in made.values)


def _foreign(made: Made) -> None:
    """Account for variables of the stored optimizer that no parameter of the module is."""
    for path in made.stored.variables():
        if path not in made.targets:
            for slot in made.stored.slots.get(path, {}):
                made.report.add("slot", f"{made.place}/{path}/{slot}", "unexpected", "no parameter of the module")


def _rate(made: Made, group: Group) -> float:
    """The rate of the next update for a group."""
    found = group.hyperparameters.get("learning_rate")
    return rate_of(made.stored) if found is None else float(found)


def _array(target: Target, tensor: Tensor) -> Any:
    """A slot as torch has it: in the parameter's layout where it has the variable's shape."""
    array = tensor.numpy()
    if tensor.shape == target.binding.core_shape:
        array = target.binding.to_torch(array)
    return tensor_of(array).to(target.param.device)


def _core(made: Made, after: Callable[[], None] | None) -> CoreOptimizer:
    stored = made.stored
    groups = []
    for group, values in zip(stored.groups, made.values, strict=True):
        own = made.params(group)
        if own:
            head = {"params": [one.param for one in own], "paths": [one.path for one in own], "lr": _rate(made, group)}
            head["own_rate"] = "learning_rate" in group.hyperparameters
            groups.append(head | {key: value for key, value in values.items() if key != "learning_rate"})
    scaler = None if made.scaler is None else _scaler(made.scaler, made)
    layouts = {one.param: one.binding for one in made.targets.values()}
    optimizer = CoreOptimizer(groups, made.algorithm, layouts=layouts, after=after, scaler=scaler)
    counters = optimizer.counters
    counters |= {"step": stored.step, "micro_step": max(stored.micro_step, stored.step)}
    for name, tensor in stored.shared_slots.items():
        counters[name] = float(tensor.numpy())
        made.report.add("slot", f"{made.place}/{name}", "restored", "", Transfer(EXACT))
    for path, slots in stored.slots.items():
        if path not in made.targets:
            continue
        target = made.targets[path]
        state = optimizer.state[target.param]
        for name, tensor in slots.items():
            if _is_placeholder(name, tensor, target):
                made.report.add("slot", f"{made.place}/{path}/{name}", "reset", "a placeholder that no rule reads")
                continue
            state[name] = _array(target, tensor)
            made.account(path, name, Transfer(EXACT))
    _fresh(made)
    made.report.add("optimizer", made.place, "restored", f"a CoreOptimizer: {made.algorithm}", Transfer(EXACT))
    return optimizer


def _is_placeholder(name: str, tensor: Tensor, target: Target) -> bool:
    """Whether a slot is what Adafactor keeps for the rows and columns of a variable that has none."""
    return name in {"r", "c"} and tensor.shape == () and len(target.binding.core_shape) < 2


def _scaler(wrapper: Optimizer, made: Made) -> dict[str, Any]:
    values = dict(wrapper.hyperparameters)
    for name, tensor in wrapper.shared_slots.items():
        values[name] = tensor.numpy().item()
        made.report.add("slot", f"{made.place}/{name}", "restored", "", Transfer(EXACT))
    return values


def _fresh(made: Made) -> None:
    for path in made.stored.fresh:
        made.report.add("slot", f"{made.place}/{path}", "fresh", "the optimizer has made none yet")


def _stock(made: Made, plans: list[Plan]) -> Any:
    """An optimizer of `torch.optim`, with hooks where it needs some."""
    reason = _why_not(made, plans)
    if reason:
        made.report.add("optimizer", made.place, "not-transferable", reason, Transfer(NOT_TRANSFERABLE))
        return None
    groups = []
    for group, values, found in zip(made.stored.groups, made.values, plans, strict=True):
        rate = _rate(made, group)
        head = {
            "lr": rate,
            "own_rate": "learning_rate" in group.hyperparameters,
            **found.options,
            **_extra(found, rate),
        }
        excluded = set(values["decay_excluded"])
        own = made.params(group)
        for part in ([one for one in own if one.path not in excluded], [one for one in own if one.path in excluded]):
            if part:
                groups.append({"params": [one.param for one in part], **head})
            head = head | {"weight_decay": 0.0} | ({hooks.DECAY: 0.0} if hooks.DECAY in head else {})
    first = plans[0]
    optimizer = getattr(torch.optim, first.kind)(groups, lr=groups[0]["lr"], **first.options)
    for name, why in {key: why for found in plans for key, why in found.lost.items()}.items():
        subject = f"{made.place}/{name}"
        made.report.add("hyperparameter", subject, "not-transferable", why, Transfer(NOT_TRANSFERABLE))
    for group, values, found in zip(made.stored.groups, made.values, plans, strict=True):
        scalars = {**values, **_extra(found, _rate(made, group))}
        for target in made.params(group):
            _fill(made, optimizer, target, found, scalars)
    for hook in first.before:
        optimizer.register_step_pre_hook(hook)
    if first.kind == "SGD":
        for group in optimizer.param_groups:
            group[hooks.STEP] = made.stored.step
        optimizer.register_step_post_hook(hooks.count_steps)
    _fresh(made)
    transfer = _worst([slot.transfer for found in plans for slot in found.slots])
    made.report.add("optimizer", made.place, STATUS[transfer.kind], f"torch.optim.{first.kind}", transfer)
    return optimizer


def _why_not(made: Made, plans: list[Plan]) -> str:
    if made.scaler is not None:
        return "torch scales losses apart from its optimizers"
    if len(plans) != len(made.values) or not plans:
        return f"torch has no optimizer with the rule {made.algorithm}"
    if len({found.kind for found in plans}) > 1 or any(found.before != plans[0].before for found in plans):
        return "groups that need different optimizers of torch"
    return ""


def _extra(found: Plan, rate: float) -> dict[str, Any]:
    return {key: rate if key == hooks.RATE else value for key, value in found.extra.items()}


def _worst(transfers: list[Transfer]) -> Transfer:
    order = [EXACT, REPARAMETRISED, "approximate", NOT_TRANSFERABLE]
    return max(transfers, key=lambda one: order.index(one.kind), default=Transfer(EXACT))


def _fill(made: Made, optimizer: Any, target: Target, found: Plan, scalars: dict[str, Any]) -> None:
    """Give a parameter its state; one that is fresh within a run that has begun gets the state of zero updates."""
    stored = made.stored
    slots = stored.slots.get(target.path, {})
    if stored.step == 0 and not slots:
        return
    if found.kind == "Adafactor":
        state = _factored(made, target, slots, found)
    else:
        state = {}
        for slot in found.slots:
            if slot.core in slots:
                state[slot.torch] = slot.forward(_array(target, slots[slot.core]), scalars)
                made.account(target.path, slot.core, slot.transfer)
            else:
                begin = scalars["initial_accumulator"] if slot.core == "accumulator" else 0.0
                state[slot.torch] = slot.forward(torch.full_like(target.param, begin), scalars)
    for name in slots.keys() - {slot.core for slot in found.slots}:
        made.account(target.path, name, Transfer(NOT_TRANSFERABLE), f"torch.optim.{found.kind} has no such state")
    if found.kind != "SGD" and state:
        state["step"] = torch.tensor(float(stored.step), dtype=_scalar_dtype())
    if found.kind == "NAdam" and "u_product" in stored.shared_slots:
        state["mu_product"] = tensor_of(stored.shared_slots["u_product"].numpy()).clone()
        made.account(target.path, "u_product", Transfer(EXACT))
    if state:
        optimizer.state[target.param] = state


def _scalar_dtype() -> Any:
    return torch.float64 if torch.get_default_dtype() == torch.float64 else torch.float32


def _factored(made: Made, target: Target, slots: Mapping[str, Tensor], found: Plan) -> dict[str, Any]:
    """Adafactor's state: torch factors its own last two axes, which are the vocabulary's for matrices alone."""
    transfer = found.slots[0].transfer
    shape, axes = target.binding.core_shape, target.binding.axes
    if not slots:
        return {}
    if len(shape) < 2:
        made.account(target.path, "v", transfer)
        return {"variance": _array(target, slots["v"])}
    if len(shape) != 2 or tuple(target.binding.torch_shape) not in {shape, shape[::-1]}:
        detail = "torch factors other axes of this variable"
        for name in slots:
            made.account(target.path, name, Transfer(NOT_TRANSFERABLE), detail)
        return {}
    rows, columns = (tensor_of(slots[name].numpy()).to(target.param.device) for name in ("r", "c"))
    if axes == (1, 0):
        rows, columns = columns, rows
    for name in slots:
        made.account(target.path, name, transfer)
    return {"row_var": rows.unsqueeze(1), "col_var": columns.unsqueeze(0)}
