"""The optimizer-state container: `optimizer.msgpack` (SPEC.md chapter 15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etui import paths
from etui.canonical import values
from etui.containers.data_parts import DataParts
from etui.containers.fields import Context, Json, open_document
from etui.containers.stored import StoredTensors, TensorNames
from etui.containers.tensor_index import Placed
from etui.containers.tensors import Tensor
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.names import check_namespaced

DOCUMENT = "optimizer.msgpack"
CLOCKS = ("step", "micro_step")
_REQUIRED = frozenset({"algorithm", "step", "micro_step", "learning_rate"})
_OPTIONAL = frozenset(
    {"hyperparameters", "schedule", "schedule_clock", "groups", "slots", "fresh", "shared_slots", "inner", "residue"}
)


@dataclass(slots=True)
class Group:
    """Variables that an optimizer treats alike.

    Attributes:
        variables: paths, in the optimizer's own order.
        hyperparameters: overrides of the optimizer's, values.
    """

    variables: list[str] = field(default_factory=list)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Optimizer:
    """Configuration and state of one optimizer.

    Attributes:
        algorithm: namespaced name of the update rule, for example ``keras:Adam``.
        hyperparameters: as the namespace names them, values.
        learning_rate: the rate in force after the last update, or `None`.
        step: completed updates of the variables.
        micro_step: gradients seen.
        schedule: `values.ObjectValue`, or `None` where the rate is constant.
        schedule_clock: what the schedule counts, ``step`` or ``micro_step``.
        groups: together they list each variable of the optimizer once.
        slots: variable path -> slot name -> tensor.
        fresh: variables of the groups for which the optimizer has made no slots yet.
        shared_slots: tensors of the optimizer as a whole, by name.
        inner: the optimizer that this one wraps.
        residue: framework -> facts that only that framework needs; may hold tensors.
    """

    algorithm: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    learning_rate: float | None = None
    step: int = 0
    micro_step: int = 0
    schedule: Any = None
    schedule_clock: str | None = None
    groups: list[Group] = field(default_factory=list)
    slots: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    shared_slots: dict[str, Tensor] = field(default_factory=dict)
    inner: Optimizer | None = None
    residue: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def variables(self) -> list[str]:
        """The paths of the optimizer's variables, in its own order."""
        return [path for group in self.groups for path in group.variables]


@dataclass(slots=True)
class OptimizerState:
    """The optimizers of a training run, by their path in the training object; usually one, ``optimizer``."""

    optimizers: dict[str, Optimizer] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[tuple[str, Optimizer]]:
        """Each optimizer with its place, wrapped ones included."""
        for key, optimizer in self.optimizers.items():
            place, inner = key, optimizer
            yield place, inner
            while inner.inner is not None:
                place, inner = f"{place}/inner", inner.inner
                yield place, inner


def decode(tree: dict[str, Json], parts: DataParts, limits: Limits = DEFAULT_LIMITS) -> OptimizerState:
    """Decode the tree of `optimizer.msgpack`.

    Args:
        tree: as `etui.canonical.msgpack.decode` gives it.
        parts: the data parts that the chunks name.
        limits: the reader's limits.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    context, extra = open_document(tree, DOCUMENT, limits, {"optimizers", "tensors"})
    nodes = context.typed(tree, "optimizers", dict, "")
    if not nodes:
        raise context.fail("optimizers", "no optimizer")
    stored = StoredTensors(context, tree["tensors"], parts)
    optimizers = {}
    for key, node in nodes.items():
        paths.check_path(key, DOCUMENT, limits)
        optimizers[key] = _decode_one(context, node, key, stored)
    stored.check_all_referenced()
    return OptimizerState(optimizers, extra)


def _decode_one(context: Context, node: Json, place: str, stored: StoredTensors) -> Optimizer:
    extra = context.fields(node, place, _REQUIRED, _OPTIONAL)
    optimizer = Optimizer(
        check_namespaced(node["algorithm"], context.place(f"{place}/algorithm"), "algorithm"), extra=extra
    )
    optimizer.step = context.natural(node, "step", place)
    optimizer.micro_step = context.natural(node, "micro_step", place)
    optimizer.learning_rate = context.typed(node, "learning_rate", (float, type(None)), place)
    optimizer.hyperparameters = stored.map(node, "hyperparameters", place)
    optimizer.residue = context.residue(stored.map(node, "residue", place), f"{place}/residue")
    if ("schedule" in node) != ("schedule_clock" in node):
        raise context.fail(place, "schedule and schedule_clock go together")
    if "schedule" in node:
        optimizer.schedule = stored.value(node["schedule"], f"{place}/schedule")
        optimizer.schedule_clock = node["schedule_clock"]
        if not isinstance(optimizer.schedule, values.ObjectValue) or optimizer.schedule_clock not in CLOCKS:
            raise context.fail(f"{place}/schedule", "no $object, or a clock other than step and micro_step")
    for index, item in enumerate(context.filled(node, "groups", list, place)):
        optimizer.groups.append(_decode_group(context, item, f"{place}/groups/{index}", stored))
    for path, slots in context.filled(node, "slots", dict, place).items():
        if not isinstance(slots, dict) or not slots:
            raise context.fail(f"{place}/slots/{path}", "no map of slots")
        optimizer.slots[path] = {
            name: stored.tensor(item, _slot_place(place, path, name)) for name, item in slots.items()
        }
    optimizer.fresh = context.strings(context.filled(node, "fresh", list, place), f"{place}/fresh")
    for name, item in context.filled(node, "shared_slots", dict, place).items():
        optimizer.shared_slots[name] = stored.tensor(item, _shared_slot_place(place, name))
    if "inner" in node:
        optimizer.inner = _decode_one(context, node["inner"], f"{place}/inner", stored)
    check_groups(optimizer, context.place(place))
    return optimizer


def _decode_group(context: Context, node: Json, place: str, stored: StoredTensors) -> Group:
    extra = context.fields(node, place, {"variables"}, {"hyperparameters"})
    variables = context.strings(node["variables"], f"{place}/variables")
    for path in variables:
        paths.check_path(path, context.place(place), context.limits)
    return Group(variables, stored.map(node, "hyperparameters", place), extra)


def _slot_place(place: str, path: str, name: str) -> str:
    return f"{place}/slots/{path}/{paths.escape_segment(name)}"


def _shared_slot_place(place: str, name: str) -> str:
    return f"{place}/shared_slots/{paths.escape_segment(name)}"


def check_groups(optimizer: Optimizer, where: str) -> None:
    """Check that groups, slots and `fresh` account for each variable once (O-7 to O-10).

    Raises:
        InvalidError: ``optimizer-groups``.
    """
    variables = optimizer.variables()
    known = set(variables)
    if len(known) != len(variables):
        raise error("optimizer-groups", where=where, found="a variable that is listed twice")
    for name, listed in (("slots", set(optimizer.slots)), ("fresh", set(optimizer.fresh))):
        if listed - known:
            raise error("optimizer-groups", where=where, found=f"{name} of {shown(min(listed - known))}, in no group")
    if len(set(optimizer.fresh)) != len(optimizer.fresh) or known & set(optimizer.fresh) & set(optimizer.slots):
        raise error("optimizer-groups", where=where, found="a variable that is fresh twice or has slots")


def encode(state: OptimizerState, placed: Placed, version: str) -> dict[str, Json]:
    """The tree of `optimizer.msgpack`, for tensors that were written as `placed` says."""
    names = TensorNames()
    optimizers = {key: _encode_one(optimizer, key, names) for key, optimizer in state.optimizers.items()}
    return {
        "format": "etui-optimizer",
        "version": version,
        "optimizers": optimizers,
        "tensors": names.entries(placed),
        **state.extra,
    }


def tensors(state: OptimizerState) -> Iterator[tuple[str, Tensor]]:
    """The tensors that the document refers to, by name, in writing order."""
    names = TensorNames(alone=True)
    for key, optimizer in state.optimizers.items():
        _encode_one(optimizer, key, names)
    yield from names.ordered()


def _encode_one(optimizer: Optimizer, place: str, names: TensorNames) -> dict[str, Json]:
    check_groups(optimizer, f"{DOCUMENT} at {place}")
    node: dict[str, Json] = {
        "algorithm": optimizer.algorithm,
        "step": optimizer.step,
        "micro_step": optimizer.micro_step,
        "learning_rate": optimizer.learning_rate,
        **optimizer.extra,
    }
    if optimizer.schedule is not None:
        node["schedule"] = names.value(optimizer.schedule, f"{place}/schedule")
        node["schedule_clock"] = optimizer.schedule_clock
    if optimizer.inner is not None:
        node["inner"] = _encode_one(optimizer.inner, f"{place}/inner", names)
    groups = []
    for index, group in enumerate(optimizer.groups):
        item = {"variables": list(group.variables), **group.extra}
        if group.hyperparameters:
            item["hyperparameters"] = names.value(group.hyperparameters, f"{place}/groups/{index}/hyperparameters")
        groups.append(item)
    content = {
        "hyperparameters": names.value(optimizer.hyperparameters, f"{place}/hyperparameters"),
        "residue": names.value(optimizer.residue, f"{place}/residue"),
        "groups": groups,
        "fresh": list(optimizer.fresh),
        "slots": {
            path: {name: names.add(tensor, _slot_place(place, path, name)) for name, tensor in slots.items()}
            for path, slots in optimizer.slots.items()
        },
        "shared_slots": {
            name: names.add(tensor, _shared_slot_place(place, name)) for name, tensor in optimizer.shared_slots.items()
        },
    }
    return node | {name: value for name, value in content.items() if value}
