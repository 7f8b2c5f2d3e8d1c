"""The references of a document to its own tensors, and the names that follow from their places (O-14, O-16, O-17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etui_conformance.oracle import json, names, values
from etui_conformance.oracle.forms import Form

Place = tuple[str, ...]


def places(value: Any, place: Place = ()) -> Iterator[tuple[str, str]]:
    """The name that the place of each reference in a view of a value asks for, and the one that the reference has."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*place, str(index)))
        return
    if not isinstance(value, dict):
        return
    tag = values.tag_of(value)
    if tag == "$stored":
        yield "/".join(place), value[tag]
    elif tag == "$map":
        for key, item in value[tag]:
            yield from places(item, (*place, names.escape_segment(json.encode(key).decode())))
    elif tag is not None:
        yield from places(value[tag], place)
    else:
        for key, item in value.items():
            # A reader takes one $ away from the keys of a value (V-2).
            yield from places(item, (*place, names.escape_segment(key.removeprefix("$"))))


def places_in(maps: Mapping[str, Any], place: Place, *, paths: bool) -> Iterator[tuple[str, str]]:
    """The same for a map of the document itself, whose keys stand as they are if they are `paths`."""
    for key, item in maps.items():
        yield from places(item, (*place, key if paths else names.escape_segment(key)))


def check(form: Form, found: Iterator[tuple[str, str]], tensors: dict[str, Any]) -> None:
    """Refuse references and tensors that do not belong together, one to one, by the names of their places."""
    used: set[str] = set()
    for expected, name in found:
        if name not in tensors:
            form.refuse(form.part, f"there is no tensor {name!r}", "reference-missing")
        if name != expected:
            form.refuse(form.part, f"{name!r} at the place of {expected!r}", "tensor-name")
        if name in used:
            form.refuse(form.part, f"{name!r} is referred to twice", "tensor-unreferenced")
        used.add(name)
    unused = sorted(tensors.keys() - used)
    if unused:
        form.refuse(form.part, f"nothing refers to {unused}", "tensor-unreferenced")
