"""`optimizer.msgpack`, by its JSON view: algorithms, counters, groups and slots (SPEC.md chapter 15)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etui_conformance.oracle import core_training, stored, tensor_index, values
from etui_conformance.oracle.errors import pointer
from etui_conformance.oracle.forms import Form
from etui_conformance.oracle.tensor_index import Entry
from etui_conformance.oracle.weights import check_index_size

REQUIRED = ("algorithm", "learning_rate", "micro_step", "step")
OPTIONAL = (
    "fresh",
    "groups",
    "hyperparameters",
    "inner",
    "residue",
    "schedule",
    "schedule_clock",
    "shared_slots",
    "slots",
)
Named = list[tuple[str, str]]
"""Places of the document, and the paths of the variables that are named there."""


def read(form: Form, tree: dict[str, Any]) -> tuple[dict[str, Entry], Named]:
    """The tensors of a document, and the variables that its groups name.

    Raises:
        Refusal: of the clauses O-1 to O-17 as far as the document alone shows them.
    """
    form.fields(tree, form.part, required=("format", "optimizers", "tensors", "version"))
    index = read_index(form, tree["tensors"])
    named: Named = []
    for _, optimizer, at in form.entries(tree["optimizers"], pointer(form.part, "optimizers"), filled=True):
        _check_optimizer(form, optimizer, at, named)
    found = (pair for path, optimizer in tree["optimizers"].items() for pair in _places(optimizer, (path,)))
    stored.check(form, found, index)
    return index, named


VALUE_FIELDS = ("hyperparameters", "residue", "schedule")


def _places(tree: dict[str, Any], place: stored.Place) -> Iterator[tuple[str, str]]:
    """The references of an optimizer to tensors, in the fields of version 1.0."""
    for name in VALUE_FIELDS:
        yield from stored.places(tree.get(name), (*place, name))
    for index, group in enumerate(tree.get("groups", ())):
        yield from stored.places(group.get("hyperparameters"), (*place, "groups", str(index), "hyperparameters"))
    yield from stored.places_in(tree.get("shared_slots", {}), (*place, "shared_slots"), paths=False)
    for variable, slots in tree.get("slots", {}).items():
        yield from stored.places_in(slots, (*place, "slots", variable), paths=False)
    if "inner" in tree:
        yield from _places(tree["inner"], (*place, "inner"))


def read_index(form: Form, tree: Any) -> dict[str, Entry]:
    """The entries of the field `tensors` of an optimizer or a state."""
    at = pointer(form.part, "tensors")
    check_index_size(form, tree, at)
    index = {}
    for name, entry, place in form.entries(tree, at):
        form.fields(entry, place, required=("dtype", "shape"), optional=tensor_index.FIELDS)
        index[name] = tensor_index.read_entry(form, entry, place)
    return index


def _check_optimizer(form: Form, tree: Any, at: str, named: Named) -> None:
    form.fields(tree, at, required=REQUIRED, optional=OPTIONAL)
    form.op(tree["algorithm"], pointer(at, "algorithm"))
    _check_rate(form, tree["learning_rate"], pointer(at, "learning_rate"))
    for counter in ("micro_step", "step"):
        form.count(tree[counter], pointer(at, counter))
    if "hyperparameters" in tree:
        form.value_map(tree["hyperparameters"], pointer(at, "hyperparameters"), filled=True)
    _check_schedule(form, tree, at)
    grouped = _check_groups(form, tree["groups"], pointer(at, "groups"), named) if "groups" in tree else set()
    slots = _check_slots(form, tree["slots"], pointer(at, "slots"), grouped) if "slots" in tree else set()
    if "fresh" in tree:
        _check_fresh(form, tree["fresh"], pointer(at, "fresh"), grouped, slots)
    if "shared_slots" in tree:
        place = pointer(at, "shared_slots")
        for name, slot in form.map(tree["shared_slots"], place, filled=True).items():
            check_stored(form, slot, pointer(place, name))
    if "residue" in tree:
        form.residue(tree["residue"], pointer(at, "residue"))
    core_training.check_optimizer(tree, at)
    if "inner" in tree:
        _check_optimizer(form, tree["inner"], pointer(at, "inner"), named)


def _check_rate(form: Form, rate: Any, at: str) -> None:
    """Refuse a rate that is neither a float nor null (O-5)."""
    if isinstance(rate, dict) and rate.keys() == {"$float"}:
        form.value(rate, at)
    elif rate is not None and not isinstance(rate, float):
        form.refuse(at, "neither a float nor null")


def _check_schedule(form: Form, tree: dict[str, Any], at: str) -> None:
    """Refuse a schedule that is no object, or has no clock (O-6)."""
    if ("schedule" in tree) != ("schedule_clock" in tree):
        form.refuse(at, "a schedule and its clock go together")
    if "schedule" in tree:
        form.value(tree["schedule"], pointer(at, "schedule"))
        if values.tag_of(tree["schedule"]) != "$object":
            form.refuse(pointer(at, "schedule"), "no object")
        if tree["schedule_clock"] not in ("step", "micro_step"):
            form.refuse(pointer(at, "schedule_clock"), "neither step nor micro_step")


def _check_groups(form: Form, value: Any, at: str, named: Named) -> set[str]:
    """The variables of an optimizer's groups, each in one place (O-7)."""
    grouped: set[str] = set()
    for index, group in enumerate(form.list(value, at, filled=True)):
        place = pointer(at, index)
        form.fields(group, place, required=("variables",), optional=("hyperparameters",))
        if "hyperparameters" in group:
            form.value_map(group["hyperparameters"], pointer(place, "hyperparameters"), filled=True)
        for variable in form.list(group["variables"], pointer(place, "variables")):
            form.path(variable, pointer(place, "variables"))
            if variable in grouped:
                form.refuse(place, f"{variable!r} is listed twice", "optimizer-groups")
            grouped.add(variable)
            named.append((place, variable))
    return grouped


def _check_slots(form: Form, value: Any, at: str, grouped: set[str]) -> set[str]:
    """The variables that have slots, all of them in a group (O-8)."""
    for variable, slots, place in form.entries(value, at, filled=True):
        for name, slot in form.map(slots, place, filled=True).items():
            check_stored(form, slot, pointer(place, name))
        if variable not in grouped:
            form.refuse(place, "slots of a variable that is in no group", "optimizer-groups")
    return set(value)


def _check_fresh(form: Form, value: Any, at: str, grouped: set[str], slots: set[str]) -> None:
    """Refuse an entry of `fresh` that is in no group or has slots (O-9, O-10)."""
    fresh = [form.path(variable, at) for variable in form.list(value, at, filled=True)]
    if len(set(fresh)) != len(fresh):
        form.refuse(at, "a variable twice", "optimizer-groups")
    for variable in fresh:
        if variable not in grouped or variable in slots:
            form.refuse(at, f"{variable!r} is in no group, or has slots", "optimizer-groups")


def check_stored(form: Form, value: Any, at: str) -> None:
    """Refuse what is no reference to a tensor of the document."""
    if values.tag_of(value) != "$stored":
        form.refuse(at, "no reference to a tensor")
    form.value(value, at)
