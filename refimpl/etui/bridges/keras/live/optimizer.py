"""The state of an optimizer into a live one: counters, learning rate, and slots by variable (SPEC.md, annex I)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etui.bridges.keras.layout import VARS
from etui.bridges.keras.live.capture import HIDDEN_SLOTS, OPTIMIZER
from etui.bridges.keras.live.restore import Plan
from etui.bridges.keras.names import full, identity_of
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.errors import error

_INNER = "inner_optimizer"


def plan_optimizer(
    plan: Plan, model: Any, optimizer: Optimizer, stored: Mapping[str, Tensor], variables: Mapping[str, Any]
) -> Callable[[], None]:
    """Plan the state of the model's optimizer.

    Slots belong to the variables that the stored optimizer was built for. Where the live one was built for others,
    because layers were frozen or not at another time, a new one of the same config takes its place.

    Args:
        plan: gets the assignments and the account.
        model: the live model, compiled.
        optimizer: the neutral state.
        stored: its tensors by their names in the layout.
        variables: path -> live variable of the model.

    Returns:
        What puts the new optimizer in place, when the plan is carried out.

    Raises:
        TransferError: ``live-optimizer``, the live optimizer is of another kind, or the model has none.
    """
    framework = plan.framework
    live = framework.optimizer(model)
    if live is None or isinstance(live, str):
        raise error("live-optimizer", where=OPTIMIZER, found="the model is not compiled")
    _check_kind(live, optimizer)
    wanted = _wanted(plan, optimizer, variables)
    built = framework.trained(model)
    target = live
    if wanted is not None and _innermost(optimizer).slots and not _same(built, wanted):
        target = framework.rebuilt(live, wanted)
        detail = "built anew for the variables that it was trained on"
        plan.report.add("optimizer", OPTIMIZER, "restored", detail)
    else:
        plan.report.add("optimizer", OPTIMIZER, "restored", optimizer.algorithm)
    one, place = target, OPTIMIZER
    while one is not None:
        _plan_list(plan, optimizer, place, framework.optimizer_variables(one), _numbered(stored, place))
        one, place = getattr(one, _INNER, None), f"{place}/{_INNER}"
    _plan_hidden(plan, optimizer, target)
    rate = _rate(optimizer)

    def place_it() -> None:
        if target is not live:
            framework.set_optimizer(model, target)
        if rate is not None:
            framework.set_rate(target, rate)

    return place_it


def _check_kind(live: Any, optimizer: Optimizer) -> None:
    wanted = str(identity_of(full(optimizer.algorithm, "optimizers"))["class_name"])
    found = type(live).__name__
    if found.removesuffix("V3") != wanted.removesuffix("V3"):
        raise error("live-optimizer", where=OPTIMIZER, found=f"{wanted} in the file, {found} in the model")


def _innermost(optimizer: Optimizer) -> Optimizer:
    """The optimizer that has the slots, where others are around it."""
    while optimizer.inner is not None:
        optimizer = optimizer.inner
    return optimizer


def _wanted(plan: Plan, optimizer: Optimizer, variables: Mapping[str, Any]) -> list[Any] | None:
    paths = _innermost(optimizer).variables()
    for path in paths:
        if path not in variables:
            plan.report.add("slot", f"{OPTIMIZER}/{path}", "unexpected", "the model does not have the variable")
    return [variables[path] for path in paths] if paths and all(path in variables for path in paths) else None


def _same(built: Sequence[Any] | None, wanted: Sequence[Any]) -> bool:
    return built is not None and [id(one) for one in built] == [id(one) for one in wanted]


def _numbered(stored: Mapping[str, Tensor], place: str) -> dict[int, Tensor]:
    prefix = f"{place}/{VARS}/"
    found = {name.removeprefix(prefix): tensor for name, tensor in stored.items() if name.startswith(prefix)}
    return {int(key): tensor for key, tensor in found.items() if key.isdecimal()}


def _plan_list(plan: Plan, optimizer: Optimizer, place: str, live: Sequence[Any], stored: Mapping[int, Tensor]) -> None:
    """Plan the variables of one optimizer by number; one that made no slots yet leaves those of the live one."""
    fresh = not any(one.slots or one.shared_slots for one in (optimizer, optimizer.inner) if one is not None)
    for at, variable in enumerate(live):
        if at in stored:
            if plan.fits("slot", f"{place}/{_name(variable, at)}", variable, stored[at]):
                plan.put(variable, stored[at])
        elif fresh:
            plan.report.add("slot", f"{place}/{_name(variable, at)}", "fresh", "the stored optimizer has none yet")
        else:
            plan.report.add("slot", f"{place}/{_name(variable, at)}", "missing")
    for at in sorted(stored):
        if at >= len(live):
            plan.report.add("slot", f"{place}/{at}", "unexpected", "the live optimizer has no such variable")


def _plan_hidden(plan: Plan, optimizer: Optimizer, live: Any) -> None:
    """Plan the state that the framework keeps beside the optimizer's variables."""
    found = plan.framework.hidden_slots(live)
    for name, tensor in optimizer.residue.get("keras", {}).get(HIDDEN_SLOTS, {}).items():
        if name not in found:
            plan.report.add("slot", f"{OPTIMIZER}/{name}", "unexpected", "the live optimizer has no such state")
        elif plan.fits("slot", f"{OPTIMIZER}/{name}", found[name], tensor):
            plan.put(found[name], tensor)


def _name(variable: Any, at: int) -> str:
    return str(getattr(variable, "path", None) or getattr(variable, "name", None) or at)


def _rate(optimizer: Optimizer) -> float | None:
    """The rate in force, where a number in the config is all that there is of it."""
    inner = _innermost(optimizer)
    return inner.learning_rate if inner.schedule is None else None
