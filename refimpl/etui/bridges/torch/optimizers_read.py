"""State of torch optimizers as the core vocabulary has it (SPEC.md, annex M.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from etui.bridges.torch import optimizers_hooks as hooks
from etui.bridges.torch.adapters import COUNTERS, CoreOptimizer
from etui.bridges.torch.arrays import array_of
from etui.bridges.torch.optimizers import SCALER, STATUS, Target
from etui.bridges.torch.optimizers_stock import Plan, plan
from etui.bridges.torch.optimizers_values import READERS, decoupled
from etui.bridges.torch.state_places import dtype_name, lazy
from etui.containers.optimizer import Group, Optimizer
from etui.containers.tensors import Tensor
from etui.core.vocabulary import NAMESPACE, filled, optimizers, sparse
from etui.dtypes import DTYPES
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, Transfer

Options = Mapping[str, Any]
CORE = "CoreOptimizer"


@dataclass(slots=True)
class Snapshot:
    """An optimizer of torch, alive or in a file.

    Attributes:
        kind: name of its class.
        groups: options of each group, and its parameters.
        state: variable path -> what the optimizer keeps for it.
        live: whether slots are read whenever they are asked for, and not now.
    """

    kind: str
    groups: list[tuple[Options, list[Target]]] = field(default_factory=list)
    state: dict[str, Options] = field(default_factory=dict)
    live: bool = False


def read_optimizer(
    optimizer: Any,
    targets: Iterable[Target],
    *,
    step: int | None = None,
    report: Report | None = None,
    place: str = "optimizer",
    live: bool = False,
) -> Optimizer | None:
    """The canonical state of a torch optimizer.

    Args:
        optimizer: of `torch.optim`, or a `CoreOptimizer`.
        targets: the parameters of the module that it trains; they are told by identity.
        step: updates that it has made, for SGD, which does not count them.
        report: gets an entry for the optimizer and for each slot, with its transfer class.
        place: of the optimizer, for the report.
        live: leave the slots where they are, to be read whenever they are asked for.

    Returns:
        The optimizer, or `None` where its rule is none of the vocabulary: the report says so.
    """
    account = Report() if report is None else report
    known = {id(one.param): one for one in targets}
    kind = CORE if isinstance(optimizer, CoreOptimizer) else type(optimizer).__name__
    if kind != CORE and not type(optimizer).__module__.startswith("torch."):
        kind = f"the class {kind}"
    taken = Snapshot(kind, live=live)
    for group in optimizer.param_groups:
        own = [known[id(param)] for param in group["params"] if id(param) in known]
        for param in (param for param in group["params"] if id(param) not in known):
            account.add("slot", f"{place}/a parameter of shape {list(param.shape)}", "unexpected", "not of the module")
        options = {key: value for key, value in group.items() if key != "params"}
        taken.groups.append((options | {"dtype": group["params"][0].dtype}, own))
        taken.state |= {one.path: optimizer.state[one.param] for one in own if optimizer.state.get(one.param)}
    return read_snapshot(taken, step=step, report=account, place=place)


def read_snapshot(taken: Snapshot, *, step: int | None, report: Report, place: str) -> Optimizer | None:
    """The canonical state of an optimizer; see `read_optimizer`."""
    if taken.kind == CORE:
        return _read_core(taken, report, place)
    return _read_stock(taken, step, report, place)


def _sparse(rule: str, values: Options) -> dict[str, Any]:
    """Hyperparameters without those that the vocabulary has as defaults."""
    known = optimizers()[rule].hyperparameters
    plain = {key: _plain(value, known[key].type) for key, value in values.items() if key in known}
    return sparse(known, plain)


def _plain(value: Any, kind: str) -> Any:
    """A value that a document can hold: torch's tensors and numpy's numbers are Python's, and numbers are floats."""
    if isinstance(value, tuple | list):
        return [_plain(one, kind.removesuffix("_list")) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return float(value) if type(value) is int and kind.startswith("number") else value


def _grouped(rule: str, groups: list[tuple[list[str], dict[str, Any]]]) -> tuple[dict[str, Any], list[Group]]:
    """Hyperparameters of the optimizer, those of its first group, and groups with what they have otherwise."""
    known = optimizers()[rule].hyperparameters
    base = groups[0][1] if groups else {}
    whole = filled(known, base)
    found = []
    for paths, values in groups:
        own = filled(known, values)
        found.append(Group(paths, {key: value for key, value in own.items() if value != whole.get(key)}))
    return base, found


def _tensor(target: Target, value: Any, *, live: bool = False) -> Tensor:
    shaped = tuple(value.shape) == tuple(target.binding.torch_shape)
    if live and _is_plain(value):
        return target.binding.live(value, dtype_name(value)) if shaped else lazy(value)
    array = array_of(value)
    return Tensor.of(target.binding.to_core(array) if shaped else array)


def _is_plain(value: Any) -> bool:
    return DTYPES[dtype_name(value)].safetensors is not None


def _read_core(taken: Snapshot, report: Report, place: str) -> Optimizer:
    counters = taken.groups[0][0][COUNTERS]
    rule = counters["algorithm"]
    groups = []
    slots: dict[str, dict[str, Tensor]] = {}
    for group, own in taken.groups:
        groups.append(([one.path for one in own], _sparse(rule, {**group, "learning_rate": float(group["lr"])})))
        for target in own:
            own_state = taken.state.get(target.path, {})
            found = {name: _core_slot(target, name, value, live=taken.live) for name, value in own_state.items()}
            if found:
                slots[target.path] = found
            for name in found:
                report.add("slot", f"{place}/{target.path}/{name}", "restored", "", Transfer(EXACT))
    values, listed = _grouped(rule, groups)
    made = Optimizer(NAMESPACE + rule, values, values["learning_rate"], counters["step"], counters["micro_step"])
    made.groups, made.slots = listed, slots
    _list_fresh(made, report, place)
    if "u_product" in counters:
        dtype = next((tensor.dtype for found in slots.values() for tensor in found.values()), "float32")
        made.shared_slots["u_product"] = Tensor.of(np.asarray(counters["u_product"], dtype))
    report.add("optimizer", place, "restored", rule, Transfer(EXACT))
    return _wrapped(made, counters)


def _list_fresh(made: Optimizer, report: Report, place: str) -> None:
    made.fresh = [path for path in made.variables() if path not in made.slots]
    for path in made.fresh:
        report.add("slot", f"{place}/{path}", "fresh", "the optimizer has made none yet")


def _core_slot(target: Target, name: str, value: Any, *, live: bool) -> Tensor:
    """A slot; rows and columns of Adafactor are in the variable's layout already, whatever their shape."""
    if name in {"r", "c"}:
        return lazy(value) if live else Tensor.of(array_of(value))
    return _tensor(target, value, live=live)


def _wrapped(inner: Optimizer, counters: Options) -> Optimizer:
    scaler = counters.get(SCALER)
    if scaler is None:
        return inner
    wrapper = Optimizer(NAMESPACE + SCALER, _sparse(SCALER, scaler), inner.learning_rate, inner.step, inner.micro_step)
    wrapper.shared_slots = {
        "step_counter": Tensor.of(np.asarray(scaler["step_counter"], np.int32)),
        "dynamic_scale": Tensor.of(np.asarray(scaler["dynamic_scale"], np.float32)),
    }
    wrapper.groups = [Group(list(group.variables)) for group in inner.groups]
    wrapper.inner = inner
    return wrapper


def _read_stock(taken: Snapshot, step: int | None, report: Report, place: str) -> Optimizer | None:
    kind, reader = taken.kind, READERS.get(taken.kind)
    if reader is None:
        detail = f"the rule of {kind or 'this optimizer'} is none of the vocabulary"
        report.add("optimizer", place, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
        return None
    groups, plans = [], []
    rule = ""
    for group, own in taken.groups:
        rule, values = reader(group)
        decay = group["weight_decay"] or group.get(hooks.DECAY, 0.0)
        values |= {"learning_rate": float(group["lr"]), "weight_decay": decay, "maximize": group.get("maximize", False)}
        if decay and not decoupled(kind, group) and hooks.DECAY not in group:
            values["decay_mode"] = "coupled"
        groups.append(([one.path for one in own], _sparse(rule, values)))
        found = plan(rule, filled(optimizers()[rule].hyperparameters, values))
        assert found is not None  # noqa: S101  each reader gives a rule that has a plan
        plans.append(found)
    values, listed = _grouped(rule, groups)
    made = Optimizer(NAMESPACE + rule, values, values["learning_rate"], groups=listed)
    made.step = made.micro_step = _step(taken, step, report, place)
    for (group, own), found in zip(taken.groups, plans, strict=True):
        scalars = {**group, hooks.RATE: group.get(hooks.RATE), hooks.SHIFT: group.get(hooks.SHIFT, 0.0)}
        for target in own:
            state = taken.state.get(target.path, {})
            slots = _read_slots(target, state, found, scalars, live=taken.live)
            for slot in (slot for slot in found.slots if slot.core in slots):
                subject, transfer = f"{place}/{target.path}/{slot.core}", slot.transfer
                report.add("slot", subject, STATUS[transfer.kind], transfer.formula, transfer)
            if slots:
                made.slots[target.path] = slots
            elif state.get("row_var") is not None:
                detail = "torch factors other axes of this variable"
                report.add("slot", f"{place}/{target.path}", "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
    _list_fresh(made, report, place)
    if kind == "NAdam":
        product = next((state["mu_product"] for state in taken.state.values() if "mu_product" in state), None)
        array = np.asarray(1.0, np.float32) if product is None else array_of(product)
        made.shared_slots["u_product"] = Tensor.of(array)
    transfers = [slot.transfer for found in plans for slot in found.slots]
    worst = next((one for one in transfers if one.kind != EXACT), Transfer(EXACT))
    report.add("optimizer", place, STATUS[worst.kind], f"torch.optim.{kind}", worst)
    return made


def _step(taken: Snapshot, step: int | None, report: Report, place: str) -> int:
    """The updates of an optimizer: the parameters' own counters, which must agree."""
    counts = Counter(int(state["step"]) for state in taken.state.values() if "step" in state)
    if len(counts) > 1:
        detail = "parameters that were updated " + " and ".join(f"{count} times" for count in sorted(counts))
        report.add("state", f"{place}/step", "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
    if counts:
        return max(counts)
    if step is None:
        step = taken.groups[0][0].get(hooks.STEP)
    if step is None and taken.state:
        report.add("state", f"{place}/step", "reset", "this optimizer does not count its updates; pass `step`")
    return step or 0


def _read_slots(target: Target, state: Options, found: Plan, scalars: Options, *, live: bool) -> dict[str, Tensor]:
    """The slots of a parameter."""
    if found.kind == "Adafactor":
        return _read_factored(state, target)
    held = [(slot, state[slot.torch]) for slot in found.slots if state.get(slot.torch) is not None]
    # Numbers that are others than torch's are new ones, made now.
    return {slot.core: _tensor(target, slot.backward(value, scalars), live=live and slot.same) for slot, value in held}


def _read_factored(state: Options, target: Target) -> dict[str, Tensor]:
    if state.get("variance") is not None:
        return {"v": _tensor(target, state["variance"])}
    if state.get("row_var") is None or len(target.binding.core_shape) != 2:
        return {}
    rows, columns = state["row_var"].squeeze(1), state["col_var"].squeeze(0)
    if target.binding.axes == (1, 0):
        rows, columns = columns, rows
    estimate = torch.outer(rows / rows.mean(), columns)
    return {name: Tensor.of(array_of(value)) for name, value in (("r", rows), ("c", columns), ("v", estimate))}
