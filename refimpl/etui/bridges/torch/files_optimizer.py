"""The `state_dict` of a torch optimizer in a file: whose state it is, and of which rule (SPEC.md, annex M.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.torch.adapters import COUNTERS
from etui.bridges.torch.files_names import BUFFERS
from etui.bridges.torch.optimizers import Target
from etui.bridges.torch.optimizers_read import CORE, Snapshot, read_snapshot
from etui.bridges.torch.optimizers_values import kind_of
from etui.bridges.torch.state_places import plain_places
from etui.containers.optimizer import Optimizer
from etui.report import Report
from etui.transfer import NOT_TRANSFERABLE, Transfer

_PLACE = "optimizer"
# State of Adafactor, of the shape of rows and columns.
_OWN_SHAPES = frozenset({"row_var", "col_var", "r", "c"})


def read_state(found: Mapping[str, Any], held: Mapping[str, Any], report: Report) -> Optimizer | None:
    """The canonical state of an optimizer in a file.

    Args:
        found: its `state_dict`.
        held: the `state_dict` of the model beside it.
        report: gets the account; what cannot be told for sure is not transferable.
    """
    groups, state = found.get("param_groups"), found.get("state")
    if not isinstance(groups, list) or not groups or not isinstance(state, Mapping):
        return _refused(report, "it has no groups")
    if not all(isinstance(group, Mapping) and isinstance(group.get("params"), list) for group in groups):
        return _refused(report, "it has groups without parameters")
    numbers = [number for group in groups for number in group["params"]]
    targets = _targets(groups, numbers, state, held)
    if isinstance(targets, str):
        return _refused(report, targets)
    core = isinstance(groups[0].get(COUNTERS), Mapping)
    kinds = {
        CORE if core else kind_of(group, [one for one in state.values() if isinstance(one, Mapping)])
        for group in groups
    }
    if len(kinds) > 1 or "" in kinds:
        return _refused(report, "its groups do not tell the rule")
    taken = Snapshot(kinds.pop())
    for group in groups:
        own = [targets[number] for number in group["params"]]
        taken.groups.append(({key: value for key, value in group.items() if key != "params"}, own))
        taken.state |= {targets[one].path: state[one] for one in group["params"] if state.get(one)}
    try:
        return read_snapshot(taken, step=None, report=report, place=_PLACE)
    except (AttributeError, KeyError, TypeError, ValueError) as cause:  # a group or a state of another form
        return _refused(report, f"it is not as torch writes it ({type(cause).__name__}: {cause})")


def _refused(report: Report, detail: str) -> Optimizer | None:
    """No optimizer, and why."""
    report.add("optimizer", _PLACE, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
    return None


def _targets(
    groups: list[Mapping[str, Any]], numbers: list[Any], state: Mapping[Any, Any], held: Mapping[str, Any]
) -> dict[Any, Target] | str:
    """The parameter of each number: by `param_names`, else by the model's order where every shape agrees."""
    places = {name: place for place in plain_places(held) for name in place.names}
    names = [name for group in groups for name in group.get("param_names") or ()]
    if not names:
        if len(groups) > 1:
            return "several groups without the names of their parameters"
        seen: set[tuple[int, ...]] = set()
        names = [name for name in held if _may_train(name, held[name], seen)]
    if len(names) != len(numbers) or not set(names) <= places.keys():
        return "its parameters are not those of the model beside it"
    targets = {number: places[name].target for number, name in zip(numbers, names, strict=True)}
    for number, target in targets.items():
        for name, value in (state.get(number) or {}).items():
            shape = tuple(getattr(value, "shape", ()))
            if shape and name not in _OWN_SHAPES and shape != tuple(target.param.shape):
                return f"the state {name} of parameter {number} has another shape than {target.path}"
    return targets


def _may_train(name: str, tensor: Any, seen: set[tuple[int, ...]]) -> bool:
    """Whether a tensor of a model may be a parameter of its own: no buffer by its name, and not met before."""
    memory = (tensor.untyped_storage().data_ptr(), tensor.storage_offset())
    fresh = memory not in seen or not tensor.numel()
    seen.add(memory)
    return fresh and tensor.is_floating_point() and name.rpartition(".")[2] not in BUFFERS
