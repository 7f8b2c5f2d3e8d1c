"""A distributed state of torch as a model, whose elements the processes have (SPEC.md, annex R).

What only torch needs is the residue `torch` of the documents: where the state dicts are within the state, and of an
optimizer the options of its groups and the state that is no slot, as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from etui.bridges.torch.distributed_keys import (
    PARAMS,
    SHARED,
    Keys,
    OptimizerKeys,
    Path,
    slots_of,
)
from etui.bridges.torch.distributed_values import decode
from etui.bridges.torch.files_names import name_of, path_of
from etui.bridges.torch.optimizers import Target
from etui.bridges.torch.optimizers_read import Snapshot, read_snapshot
from etui.canonical.value_types import Value
from etui.canonical.values import equal
from etui.checkpoints.distributed import absent
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.state import State
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core.vocabulary import NAMESPACE
from etui.errors import error
from etui.model import Model
from etui.report import Report

FRAMEWORK = "torch"
Kind = tuple[str, tuple[int, ...]]


@dataclass(slots=True)
class Whole:
    """A whole state, without the elements of its tensors.

    Attributes:
        keys: sorted.
        tensors: key -> dtype and shape.
        values: key -> value, of all that has no data of its own.
        owners: name of a tied tensor -> the name that it is stored under.
        trainable: names of the parameters that train; `None` where only the optimizers tell.
    """

    keys: Keys
    tensors: Mapping[str, Kind]
    values: Mapping[str, Value] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    trainable: Collection[str] | None = None


def skeleton(whole: Whole) -> Model:
    """A model of all tensors of a state that have data of their own; what else it holds is not known yet."""
    keys, tensors = whole.keys, whole.tensors
    model = Model(weights=_weights(whole))
    made = {}
    for name, one in keys.optimizers.items():
        made[name] = Optimizer(f"{NAMESPACE}adam", groups=[Group(sorted(_slots(one, whole)))])
        _add_tensors(made[name], one, whole)
    model.optimizer = OptimizerState(made) if made else None
    model.state = State(user=nest((path, absent(*tensors[key])) for key, path in keys.others.items() if key in tensors))
    return model


def complete(whole: Whole, report: Report) -> Model:
    """The model of a whole state.

    Args:
        whole: the state.
        report: gets an entry for each optimizer.

    Raises:
        UsageError: ``distributed-value``, options that are not as the class of the optimizer has them.
    """
    keys, tensors = whole.keys, whole.tensors
    model = Model()
    made = {}
    for name, one in keys.optimizers.items():
        made[name] = _optimizer(name, one, whole)
        report.add("optimizer", name, "restored", f"torch.optim.{one.kind}")
    for path, reason in keys.refused.items():
        report.add("optimizer", path, "verbatim", f"kept as it is in the state: {reason}")
    if whole.trainable is None and made:
        whole.trainable = {name_of(path) for one in made.values() for path in one.variables()}
    # Also where the state has no module's tensors: documents without weights are no artifact (M-6).
    model.weights = _weights(whole)
    model.optimizer = OptimizerState(made) if made else None
    user = [(path, absent(*tensors[key]) if key in tensors else whole.values[key]) for key, path in keys.others.items()]
    facts: dict[str, Any] = {"user": [list(path) for path in keys.others.values()]}
    if keys.model is not None:
        facts["model"] = list(keys.model)
    if keys.optimizers:
        places = {name: {"path": list(one.path), "flat": one.flat} for name, one in keys.optimizers.items()}
        facts["optimizers"] = places
    model.state = State(user=nest(user), residue={FRAMEWORK: facts})
    return model


def nest(items: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    """Maps and lists from the paths of what is in them; the paths begin with a text."""
    root: dict[str | int, Any] = {}
    for path, item in items:
        inner = root
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = item
    return {str(key): _listed(item) for key, item in root.items()}


def _listed(item: Any) -> Any:
    """A map with numbers as keys as the list that it stands for; what was left out of that was an empty map."""
    if type(item) is not dict:
        return item
    found = {key: _listed(inner) for key, inner in item.items()}
    if found and all(type(key) is int for key in found):
        return [found.get(at, {}) for at in range(max(found) + 1)]
    return found


def _weights(whole: Whole) -> Weights:
    weights, trainable = Weights(), whole.trainable
    for key, name in whole.keys.weights.items():
        if name in whole.owners:
            continue
        dtype, shape = whole.tensors[key]
        trains = dtype.startswith(("float", "bfloat")) if trainable is None else name in trainable
        weights.add(path_of(name), absent(dtype, shape), role=name.rpartition(".")[2] or "weight", trainable=trains)
    for name, owner in whole.owners.items():
        weights.aliases[path_of(name)] = path_of(owner)
    return weights


def _slots(one: OptimizerKeys, whole: Whole) -> dict[str, dict[str, Tensor]]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, (param, slot) in one.slots.items():
        slots = found.setdefault(path_of(whole.owners.get(param, param)), {})
        slots[slots_of(one.kind)[slot]] = absent(*whole.tensors[key])
    return found


def _add_tensors(made: Optimizer, one: OptimizerKeys, whole: Whole) -> None:
    made.slots = _slots(one, whole)
    made.fresh = [path for path in made.variables() if path not in made.slots]
    if one.product is not None:
        made.shared_slots = {SHARED: absent(*whole.tensors[one.product])}


# Where no slot is read, no layout is looked at.
_NOWHERE: Any = None


class _Groups(NamedTuple):
    """The groups of an optimizer: options of each, and the names of its parameters."""

    options: list[dict[str, Value]]
    params: list[list[str]]


def _groups(one: OptimizerKeys, values: Mapping[str, Value]) -> _Groups:
    by_group: dict[int | str, dict[str, Value]] = {}
    for key, (group, option) in one.options.items():
        by_group.setdefault(group, {})[option] = values[key]
    if not one.flat:
        ordered = [by_group[group] for group in sorted(by_group)]
        return _Groups(
            [{key: value for key, value in group.items() if key != PARAMS} for group in ordered],
            [list(group.get(PARAMS, ())) for group in ordered],
        )
    found = _Groups([], [])
    for param, options in by_group.items():
        at = next((at for at, known in enumerate(found.options) if equal(known, options)), None)
        if at is None:
            found.options.append(options)
            found.params.append([])
        found.params[-1 if at is None else at].append(str(param))
    return found


def _optimizer(name: str, one: OptimizerKeys, whole: Whole) -> Optimizer:
    owners = whole.owners
    groups = _groups(one, whole.values)
    names = set(whole.keys.weights.values())
    scalars: dict[str, dict[str, Value]] = {}
    for key, (param, what) in one.scalars.items():
        scalars.setdefault(param, {})[what] = whole.values[key]
    known = [list(dict.fromkeys(owners.get(own, own) for own in group if own in names)) for group in groups.params]
    made = read_groups(one.kind, groups.options, known, scalars, ".".join(map(str, one.path)) or name)
    _add_tensors(made, one, whole)
    common = _common(scalars, {name_of(path) for path in made.slots})
    facts: dict[str, Any] = {"class": one.kind, "groups": groups.options, "state": common}
    if known != groups.params:
        facts["params"] = groups.params
    made.residue = {FRAMEWORK: facts}
    return made


def read_groups(
    kind: str,
    options: list[dict[str, Value]],
    params: list[list[str]],
    scalars: Mapping[str, Mapping[str, Value]],
    where: str,
) -> Optimizer:
    """The optimizer of the vocabulary that groups of a class of `torch.optim` state, without slots.

    Args:
        kind: the class.
        options: of each group.
        params: the names of its parameters.
        scalars: parameter -> state that is no slot.
        where: the optimizer, for messages.

    Raises:
        UsageError: ``distributed-value``, options that are not as the class has them.
    """
    taken = Snapshot(kind)
    try:
        for group, names in zip(options, params, strict=True):
            taken.groups.append((decode(group), [Target(path_of(name), None, _NOWHERE) for name in names]))
        taken.state = {path_of(name): decode(state) for name, state in scalars.items() if "step" in state}
        made = read_snapshot(taken, step=None, report=Report(), place=where)
    except (AttributeError, KeyError, TypeError, ValueError) as cause:
        found = f"groups that are not as torch writes them ({type(cause).__name__}: {cause})"
        raise error("distributed-value", where=where, found=found) from cause
    assert made is not None  # noqa: S101  each of the classes states a rule
    made.shared_slots.clear()
    return made


def _common(scalars: Mapping[str, Mapping[str, Value]], with_slots: set[str]) -> dict[str, Any]:
    """State that is no slot, once where all parameters with slots agree: most have made the same number of steps."""
    found: dict[str, Any] = {}
    for what in dict.fromkeys(what for state in scalars.values() for what in state):
        held = {param: state[what] for param, state in scalars.items() if what in state}
        first = next(iter(held.values()))
        same = held.keys() == with_slots and all(equal(first, other) for other in held.values())
        found[what] = {"all": first} if same else {"own": held}
    return found
