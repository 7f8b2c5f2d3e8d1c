"""Where each module's variables are in `model.weights.h5` (SPEC.md, annex B.4), in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etui import paths
from etui.bridges.keras.layer_table import SAME_AS_FORWARD
from etui.bridges.keras.modules import (
    CONTAINER,
    UNKNOWN_LAYER,
    child_groups,
    is_model,
    join,
    keep,
    keras_name,
    residue,
    row,
)
from etui.bridges.keras.names import FreeNames, is_operation
from etui.containers.config import Config, Module

VARS = "vars"

Groups = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Place:
    """A module and its group.

    Attributes:
        path: of the module.
        module: it.
        group: its group in the weights file.
        op, attrs: what it is; for a layer that another layer made by itself, as that one's attributes say.
        trainable: whether it and the modules around it are trainable.
    """

    path: str
    module: Module
    group: str
    op: str
    attrs: Mapping[str, Any]
    trainable: bool


def places(config: Config) -> list[Place]:
    """Every module that has a group, in the order in which Keras lists their variables."""
    root = config.model
    found = []
    stack = [Place("", root, "", root.op, root.attrs, _flag(root.attrs))]
    while stack:
        place = stack.pop()
        if place.module.target is None and not is_operation(place.op):
            found.append(place)
            stack.extend(reversed(list(_children(config, place))))
    return found


def _flag(attrs: Mapping[str, Any]) -> bool:
    return attrs.get("trainable") is not False


def _children(config: Config, place: Place) -> Iterator[Place]:
    module = place.module
    if not module.modules:
        return
    groups = child_groups(config, module)
    rank = {name: at for at, name in enumerate(row(module.op).order)}
    ordered = [child for child in module.modules if child.name in groups]
    if rank:
        ordered.sort(key=lambda child: rank.get(_attribute(groups[child.name]), len(rank)))
    for child in ordered:
        op, attrs = _identity(place, child, groups[child.name])
        trainable = place.trainable and _flag(child.attrs)
        yield Place(join(place.path, child.name), child, join(place.group, groups[child.name]), op, attrs, trainable)


def _attribute(group: str) -> str:
    return group.partition("/")[0].lstrip("_")


def _identity(place: Place, child: Module, group: str) -> tuple[str, Mapping[str, Any]]:
    """Op and attributes of a child; a layer that its parent made has none of its own."""
    made = (row(place.op).made or {}).get(_attribute(group))
    if made is None or child.attrs:
        return child.op, child.attrs
    op, attrs = made(place.attrs)
    if op == SAME_AS_FORWARD:
        first = next((other for other in place.module.modules if other.name == SAME_AS_FORWARD), child)
        return first.op, first.attrs
    return op, attrs


Implied = Callable[[str], tuple[str, Callable[[str, str], Module]] | None]
"""For a group: the name that its module is to have, or none, and what makes the module of a free name and a path."""


def adopt_groups(config: Config, groups: Groups, foreign: set[str], implied: Implied = lambda _: None) -> None:
    """Add a module for each group of the file that no module has: layers that a layer made by itself, and containers.

    Args:
        config: the config; gets the modules.
        groups: the groups of the file with their attributes.
        foreign: groups that belong to optimizers and metrics.
        implied: gives the module of a group, where the source knows what is there.
    """
    below: dict[str, list[str]] = {}
    for group in groups:
        if group:
            parent, _, name = group.rpartition("/")
            below.setdefault(parent, []).append(name)
    root = config.model
    stack = [Place("", root, "", root.op, root.attrs, trainable=True)]
    while stack:
        place = stack.pop()
        if place.module.target is None and not is_operation(place.op):
            _adopt(config, place, groups, below, foreign, implied)
            stack.extend(_children(config, place))


def _adopt(  # noqa: PLR0917  what adopt_groups has, for one place
    config: Config,
    place: Place,
    groups: Groups,
    below: Mapping[str, list[str]],
    foreign: set[str],
    implied: Implied,
) -> None:
    known = set(child_groups(config, place.module).values())
    ways = {group.rpartition("/")[0] for group in known if "/" in group}
    # A subclassed model's own layers: Keras reaches those under this name that it did not meet as attributes before.
    listed = join(place.group, "layers")
    if place.module.kind == "opaque" and not is_model(place.module) and VARS not in below.get(listed, [VARS]):
        ways.add("layers")
    names = FreeNames(child.name for child in place.module.modules)
    for way in ("", *sorted(ways)):
        base = join(place.group, way) if way else place.group
        for name in sorted(below.get(base, ()), key=_group_order):
            relative = join(way, name)
            if (not way and name == VARS) or relative in known | ways or join(base, name) in foreign:
                continue
            place.module.modules.append(_implied(place, relative, groups, names, implied))


def _group_order(name: str) -> tuple[bool, str, int]:
    """Private attributes last, and members of a list by their number."""
    base, _, number = name.rpartition("_")
    return name.startswith("_"), base if number.isdecimal() else name, int(number) if number.isdecimal() else 0


def _implied(place: Place, relative: str, groups: Groups, names: FreeNames, implied: Implied) -> Module:
    """The module of a group that the config does not mention."""
    last = relative.rpartition("/")[2]
    vars_group = join(join(place.group, relative), VARS)
    named = groups.get(vars_group, {}).get("name")
    name = named if named and relative.startswith("layers/") else last.lstrip("_") or last
    known = implied(join(place.group, relative))
    segment = names.take(paths.escape_segment((known and known[0]) or name))
    child = Module(segment, "layer", UNKNOWN_LAYER)
    op, _ = _identity(place, child, relative)
    if known is not None and op == UNKNOWN_LAYER:
        child = known[1](segment, join(place.path, segment))
    elif op != UNKNOWN_LAYER:
        child.op = op
    elif vars_group in groups:
        child.kind = "opaque"
    else:
        child.op = CONTAINER
    if relative != child.name or is_model(place.module):
        keep(child, "group", relative)
    if named is not None and named != keras_name(child):
        keep(child, "vars_name", named)
    return child


def vars_attributes(place: Place, dialect: str) -> dict[str, str] | None:
    """The attributes of the group that holds a module's variables, or `None` if it has no such group."""
    if place.op == CONTAINER:
        return None
    name = residue(place.module).get("vars_name", keras_name(place.module))
    return {"name": str(name)} if dialect == "keras" else {}
