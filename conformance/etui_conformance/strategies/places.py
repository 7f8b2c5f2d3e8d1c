"""The names of stored tensors: the places of their references (SPEC.md O-16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import assume

from etui_conformance.oracle import json as canonical
from etui_conformance.strategies import names
from etui_conformance.strategies.values import STORED

_PATH_BYTES_LEFT = 2000
_MAPS_OF_VALUES = ("hyperparameters", "residue", "data", "user")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of a `$stored`.

    Attributes:
        place: the name that it asks for.
        holder, key: where it is in the document.
        fixed: whether it must be there, as a slot must, where a value could be another.
    """

    place: str
    holder: Any
    key: Any
    fixed: bool = False


def has_room(path: str) -> bool:
    """Whether a path is so short that the place of a tensor below it is within the limits."""
    return len(path.encode()) <= _PATH_BYTES_LEFT


def name_tensors(document: dict[str, Any]) -> list[str]:
    """Give every `$stored` of a document the name that its place asks for, and return the names.

    A reference in a value whose place would be no legal name, or another's, becomes null; the draw is given up where it
    cannot, as with a slot.

    Args:
        document: the JSON view of `optimizer.msgpack` or `state.msgpack`, changed in place.
    """
    taken: dict[str, str] = {}
    found = sorted(references(document), key=lambda one: not one.fixed)
    for one in found:
        if names.is_path(one.place) and names.normal(one.place) not in taken:
            taken[names.normal(one.place)] = one.place
            one.holder[one.key] = {"$stored": one.place}
        else:
            assume(not one.fixed)
            one.holder[one.key] = None
    return list(taken.values())


def references(document: dict[str, Any]) -> Iterator[Reference]:
    """Every reference of a document, with the name that its place asks for."""
    for path, optimizer in document.get("optimizers", {}).items():
        yield from _of_optimizer(optimizer, path)
    for path, generator in document.get("rng", {}).items():
        yield Reference(f"rng/{path}/state", generator, "state", fixed=True)
    for path in document.get("metrics", {}):
        yield from _of_value(document["metrics"], path, f"metrics/{path}")
    yield from _of_maps(document, "")


def _of_optimizer(optimizer: dict[str, Any], place: str) -> Iterator[Reference]:
    for path, slots in optimizer.get("slots", {}).items():
        for name in slots:
            yield Reference(f"{place}/slots/{path}/{names.escaped(name)}", slots, name, fixed=True)
    shared = optimizer.get("shared_slots", {})
    for name in shared:
        yield Reference(f"{place}/shared_slots/{names.escaped(name)}", shared, name, fixed=True)
    for index, group in enumerate(optimizer.get("groups", ())):
        yield from _of_maps(group, f"{place}/groups/{index}/")
    if "schedule" in optimizer:
        yield from _of_value(optimizer, "schedule", f"{place}/schedule")
    yield from _of_maps(optimizer, f"{place}/")
    if "inner" in optimizer:
        yield from _of_optimizer(optimizer["inner"], f"{place}/inner")


def _of_maps(holder: dict[str, Any], place: str) -> Iterator[Reference]:
    for name in _MAPS_OF_VALUES:
        if name in holder:
            yield from _of_value(holder, name, place + name)


def _of_value(holder: Any, key: Any, place: str) -> Iterator[Reference]:
    """The references of a value: a tag adds nothing to a place, a key that is no name of a path is escaped."""
    value = holder[key]
    if isinstance(value, list):
        for index in range(len(value)):
            yield from _of_value(value, index, f"{place}/{index}")
    elif value == STORED or (isinstance(value, dict) and value.keys() == {"$stored"}):
        yield Reference(place, holder, key)
    elif isinstance(value, dict):
        tag = next(iter(value), "")
        if not tag.startswith("$") or tag.startswith("$$"):
            for name in value:
                yield from _of_value(value, name, f"{place}/{names.escaped(name.removeprefix('$'))}")
        elif tag == "$map":
            for pair in value[tag]:
                yield from _of_value(pair, 1, f"{place}/{names.escaped(canonical.encode(pair[0]).decode())}")
        elif tag in ("$tuple", "$object"):
            yield from _of_value(value, tag, place)
