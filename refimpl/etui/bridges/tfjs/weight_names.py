"""The names that TensorFlow.js gives to the variables of layers, and back (SPEC.md, annex H.3).

A variable is named by its layer and its role, ``dense/kernel``; a layer of a model in the model stands for itself.
Sources: `addWeight` and `nameScope` of tfjs-layers 4.22, `Container.loadWeights` for names that Keras wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables
from etui.bridges.tfjs.weight import Weight
from etui.errors import error, shown

_LEGAL = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/]*")
# Keras' output slot, which the first converters left at the end of a name.
_SLOT = ":0"
# A name in the layout of a `.keras` file, which the converter keeps of a file of Keras 3; the first ones had another
# name for the layers.
_LAYOUT = re.compile(r"(?:\w+/)+vars/\w+", re.ASCII)
_EARLY, _LAYERS = "_layer_checkpoint_dependencies/", "layers/"
_OPTIMIZER = "optimizer/"
_FORWARD, _BACKWARD = "forward_layer", "backward_layer"
_SILENT = frozenset({"cell", "layer"})


def scope_of(variable: LayerVariable, renamed: Mapping[str, str] | None = None) -> str:
    """The name before the role of a variable: of its layer, or of the layer that holds its layer.

    Args:
        variable: of a layer.
        renamed: path of a listed layer, as `listed_path` gives it -> the name that it has instead of its own.
    """
    other = renamed or {}
    path, names = variable.names[0], iter(variable.names[1:])
    scope = other.get(path, path)
    for step, number in _steps(variable.owner):
        name = next(names)
        path = f"{path}/{name if step == 'layers' else step}"
        if step == "layers":
            scope = other.get(path, name)
        elif step == "cells":
            scope = f"{scope}/RNNCell_{number}"
        elif step not in _SILENT:
            scope = f"{scope}/{name}"
    return scope


def listed_path(variable: LayerVariable) -> str:
    """The path of the innermost layer that has a variable and that a model lists."""
    path, names = variable.names[0], iter(variable.names[1:])
    listed = path
    for step, _ in _steps(variable.owner):
        name = next(names)
        path = f"{path}/{name if step == 'layers' else step}"
        listed = path if step == "layers" else listed
    return listed


def names_of(variables: Sequence[LayerVariable], renamed: Mapping[str, str] | None = None) -> list[str]:
    """The names of variables in TensorFlow.js, where both layers of a Bidirectional are named after the first.

    Args:
        variables: of one layer or of several, with all that each holds.
        renamed: as for `scope_of`.
    """
    first = {}
    for variable in variables:
        for at, way in _ways(variable):
            if way[-1] == _FORWARD:
                first[variable.names[:at], way[:-1]] = variable.names[at].removeprefix("forward_")
    found = []
    for variable in variables:
        names = list(variable.names)
        for at, way in _ways(variable):
            if way[-1] == _BACKWARD and (variable.names[:at], way[:-1]) in first:
                names[at] = f"backward_{first[variable.names[:at], way[:-1]]}"
        found.append(f"{scope_of(replace(variable, names=tuple(names)), renamed)}/{variable.attribute}")
    return found


def _ways(variable: LayerVariable) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The place of each layer on the way among the names, and the steps that lead to it."""
    steps = [step for step, _ in _steps(variable.owner)]
    return ((at, tuple(steps[:at])) for at in range(1, len(steps) + 1))


def _steps(owner: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The attributes on the way to a layer, each with its number where it is a list."""
    at = 0
    while at < len(owner):
        listed = at + 1 < len(owner) and owner[at + 1].isdecimal()
        yield owner[at], owner[at + 1] if listed else ""
        at += 1 + listed


def is_legal(name: str) -> bool:
    """Whether TensorFlow.js takes a text as the name of a variable."""
    return _LEGAL.fullmatch(name) is not None


class Listed(Protocol):
    """A weight that a manifest lists."""

    @property
    def weight(self) -> Weight:
        """Its entry."""


Named = TypeVar("Named", bound=Listed)


@dataclass(slots=True)
class Matching(Generic[Named]):
    """Which weight of a file is which variable of the layers.

    Attributes:
        found: name in the layout -> weight.
        groups: the groups in the layout that hold variables, each with the name of its layer, or an empty one where
            the config does not mention the layer.
        trained: names of the weights that training changes with the names of their variables in the layout, in order.
        left: weights that no layer has, by name.
    """

    found: dict[str, Named] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    trained: dict[str, str] = field(default_factory=dict)
    left: dict[str, Named] = field(default_factory=dict)


def match(layers: Iterable[LayerVariables], weights: Iterable[Named], where: str) -> Matching[Named]:
    """Give each variable its weight.

    Args:
        layers: of the model, with the variables that they may have.
        weights: of the file.
        where: for messages.

    Raises:
        InvalidError: ``tfjs-weights``, a variable without a weight, or the other way round.
    """
    matching: Matching[Named] = Matching(left={stored.weight.name: stored for stored in weights})
    as_laid = bool(matching.left) and all(_LAYOUT.fullmatch(name) for name in matching.left)
    if as_laid:
        matching.left = {name.replace(_EARLY, _LAYERS): stored for name, stored in matching.left.items()}
    for layer in layers:
        matching.groups |= {group: layer.name if not at else "" for at, group in enumerate(layer.groups)}
        if as_laid:
            _take_as_laid(layer, matching, where)
            continue
        if layer.known:
            _take(layer, matching, where)
        else:
            _take_unknown(layer, matching)
    if as_laid:
        own = [name for name in matching.left if name.startswith(_OPTIMIZER)]
        matching.found |= {name: matching.left.pop(name) for name in own}
    if matching.left:
        found = f"{len(matching.left)} weights that no layer has, such as {shown(next(iter(matching.left)))}"
        raise error("tfjs-weights", where=where, found=found)
    return matching


def _take(layer: LayerVariables, matching: Matching[Named], where: str) -> None:
    """The first choice of variables for which every weight is there."""
    lost = ""
    for choice in (layer.variables, *layer.alternatives):
        own = names_of(choice)
        names = [_lookup(variable, name, matching.left) for variable, name in zip(choice, own, strict=True)]
        there = [name for name in names if name is not None]
        if len(set(there)) < len(choice):
            lost = lost or next((one for one, name in zip(own, names, strict=True) if name is None), own[-1])
            continue
        for variable, name in zip(choice, there, strict=True):
            stored = matching.left.pop(name)
            matching.trained |= {name: variable.layout} if variable.trainable else {}
            matching.found |= dict.fromkeys((variable.layout, *variable.copies), stored)
        return
    raise error("tfjs-weights", where=where, found=f"no weight {shown(lost)} of the layer {shown(layer.name)}")


def _take_as_laid(layer: LayerVariables, matching: Matching[Named], where: str) -> None:
    """Weights that have their names in the layout already: all below the group of the layer."""
    below = [name for name in matching.left if layer.group and name.startswith(f"{layer.group}/")]
    choices = [{variable.layout for variable in choice} for choice in (layer.variables, *layer.alternatives)]
    needed = min(choices, key=lambda choice: len(choice.symmetric_difference(below)))
    lost = sorted(needed - matching.left.keys())
    if lost:
        raise error("tfjs-weights", where=where, found=f"no weight {shown(lost[0])} of the layer {shown(layer.name)}")
    matching.found |= {name: matching.left.pop(name) for name in below}


def _lookup(variable: LayerVariable, own: str, left: Mapping[str, object]) -> str | None:
    """The name under which a variable is in the file: its own, or the one that Keras gives it."""
    return next((name for name in _names(variable, own) if name in left), None)


def _names(variable: LayerVariable, own: str) -> Iterator[str]:
    """Its own name, then with the names of the cell and of the models around it, each also with a slot."""
    long = "/".join((*variable.names, variable.attribute))
    plain = f"{scope_of(variable)}/{variable.names[-1]}/{variable.attribute}"
    tail = "/".join((*_without_models(variable), variable.attribute))
    for name in dict.fromkeys((own, plain, tail, long)):
        yield name
        yield name + _SLOT


def _without_models(variable: LayerVariable) -> tuple[str, ...]:
    """The names on the way from the last layer that a model lists."""
    names, kept = iter(variable.names[1:]), [variable.names[0]]
    for step, _ in _steps(variable.owner):
        kept = [next(names)] if step == "layers" else [*kept, next(names)]
    return tuple(kept)


def _take_unknown(layer: LayerVariables, matching: Matching[Named]) -> None:
    """A layer that is not built in: what carries its name is its own, in the order of the file."""
    named = [name for name in matching.left if name.startswith(f"{layer.name}/")]
    group = layer.groups[0] if layer.groups else f"{layer.group}/vars"
    for at, name in enumerate(named):
        matching.found[f"{group}/{at}"] = matching.left.pop(name)
