"""Which variables an optimizer's numbered list belongs to (SPEC.md, annex B.6).

Keras stores slots by position: of the variables that were trainable when the optimizer was built, in the order in
which the model lists them. The file does not say which these were, nor in which order a custom layer lists its own
layers. Hypotheses are tried, the likeliest first; one is taken only if it fits the stored dtypes and shapes in
exactly one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.layout import Place, places
from etui.bridges.keras.modules import is_model, row
from etui.bridges.keras.optimizer_table import Config, Shape, Slot, Target, adam_choices, plan
from etui.bridges.keras.roles import is_slotless
from etui.containers import config as config_container
from etui.containers.weights import Weights

_BUDGET = 100_000
_FLOATS = ("bfloat16", "float", "complex")

Kind = tuple[str, Shape]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A variable that an optimizer may have.

    Attributes:
        target: it, as the optimizer sees it.
        trainable: its flag in the neutral model.
        own: its flag if no module around it were frozen.
        known: whether the layer table knows the flag.
    """

    target: Target
    trainable: bool
    own: bool
    known: bool


@dataclass(slots=True)
class Block:
    """A module's own variables and its children.

    Attributes:
        own: its variables in the order in which it lists them.
        children: its layers, members of one list in their order.
        ordered: whether the order of all children is known.
        series: the list that the module is a member of, if any.
        path: of the module.
    """

    own: list[Candidate] = field(default_factory=list)
    children: list[Block] = field(default_factory=list)
    ordered: bool = True
    series: str = ""
    path: str = ""

    def at(self, path: str) -> Block:
        """The block of a module at or below this one."""
        return next(block for block in _walk(self) if block.path == path)

    def targets(self) -> dict[str, Target]:
        """Every variable at or below, by its path."""
        return {one.target.path: one.target for block in _walk(self) for one in block.own}

    def unknown(self) -> Iterator[Candidate]:
        """The variables whose flag is a guess."""
        return (one for block in _walk(self) for one in block.own if not one.known)


Option = Callable[[list[Candidate]], Iterator[list[Candidate]]]


def blocks(config: config_container.Config, weights: Weights) -> Block:
    """The variables of a model as a tree, in the order in which Keras lists them as far as the file shows it."""
    tree: dict[str, Block] = {}
    seen: set[str] = set()
    for place in places(config):
        block = tree[place.path] = Block(ordered=_is_ordered(place), series=_series(place), path=place.path)
        if place.path:
            tree[place.path.rpartition("/")[0]].children.append(block)
        for name, alias in place.module.params.items():
            path = weights.resolve(alias)
            if path not in seen and path in weights:
                seen.add(path)
                block.own.append(_candidate(place, name, path, weights))
    return tree[""]


def _is_ordered(place: Place) -> bool:
    """Whether the order of a module's children is known: that of a model's layers and of layers in the table."""
    return is_model(place.module) or bool(row(place.op).order) or len(place.module.modules) < 2


def _series(place: Place) -> str:
    """The class of a list's members; members of one class are numbered in the list's order."""
    base, _, number = place.group.rpartition("_")
    return base if number.isdecimal() else place.group


def _candidate(place: Place, name: str, path: str, weights: Weights) -> Candidate:
    variable = weights.variables[path]
    known = bool(row(place.op).variables) and not name.isdecimal()
    own = variable.trainable if place.trainable else variable.dtype.startswith(_FLOATS) and _own_flag(place, name)
    target = Target(path, variable.dtype, variable.shape, is_slotless(place.op, name))
    return Candidate(target, variable.trainable, own, known)


def _own_flag(place: Place, name: str) -> bool:
    for var in row(place.op).variables:
        if var.name == name:
            return var.trainable
    return True


def current(root: Block) -> list[Target]:
    """The variables that are trainable now, in the listed order."""
    return [one.target for block in _walk(root) for one in block.own if one.trainable]


def _unfrozen(root: Block) -> list[Target]:
    return [one.target for block in _walk(root) for one in block.own if one.own]


@dataclass(frozen=True, slots=True)
class Match:
    """The variables of a built optimizer in its own order, and its slots in stored order."""

    targets: list[Target]
    slots: list[Slot]


def match(
    root: Block,
    name: str,
    dialect: str,
    config: Config,
    stored: Sequence[Kind],
    *,
    known: list[Target] | None = None,
) -> Match | None:
    """What the slots of a built optimizer belong to, or `None` if the file does not show it beyond doubt.

    Args:
        root: the model's variables.
        name: class of the optimizer.
        dialect: ``keras`` or ``tf_keras``.
        config: of the optimizer.
        stored: dtype and shape of each of its slots, in stored order.
        known: its variables in its own order, if the source says which they are.
    """

    def fits(targets: list[Target]) -> list[Match]:
        choices = adam_choices(name, config, targets, stored)
        plans = [plan(name, dialect, config, targets, adam=adam) for adam in choices]
        return [Match(targets, slots) for slots in plans if _kinds(slots) == list(stored)]

    if known is not None:
        matches = fits(known)
        return matches[0] if len(matches) == 1 else None
    kinds = None if _any(root, lambda one: one.target.slotless) else _variable_kinds(name, dialect, config, stored)
    if kinds is None:
        tried = (current(root), _unfrozen(root)) if _all_ordered(root) else ()
        return next((found[0] for found in map(fits, tried) if len(found) == 1), None)
    for option in (_as_flagged, _as_guessed, _as_unfrozen, _as_any):
        solutions = _solutions(root, kinds, option)
        found = [good for targets in solutions or () for good in fits(targets)]
        if solutions is None or len(found) > 1:
            return None
        if found:
            return found[0]
    return None


def _kinds(slots: Sequence[Slot]) -> list[Kind]:
    return [(slot.dtype, slot.shape) for slot in slots]


def _variable_kinds(name: str, dialect: str, config: Config, stored: Sequence[Kind]) -> list[Kind] | None:
    """Dtype and shape of the variables, read off the slots; `None` where slots do not show them one by one."""
    probes = [Target("", "float32", shape) for shape in ((), (2, 3), (2, 3, 4))]
    plans = [plan(name, dialect, config, [probe]) for probe in probes]
    like = [
        [at for at, slot in enumerate(found) if slot.shape == probe.shape and slot.dtype == "float32"]
        for found, probe in zip(plans, probes, strict=True)
    ]
    per_variable = len(plans[0])
    if not per_variable or any(len(found) != per_variable for found in plans):
        return None
    count, rest = divmod(len(stored), per_variable)
    if rest:
        return None
    first = plan(name, dialect, config, [Target(str(at), "float32", (at + 1, 1)) for at in range(count)])
    shared = set(like[0]) & set(like[1]) & set(like[2])
    wanted = plans[1][min(shared)].name
    return [stored[at] for at, slot in enumerate(first) if slot.name == wanted]


def _solutions(root: Block, kinds: Sequence[Kind], option: Option) -> list[list[Target]] | None:
    """Up to two ways to lay the variables along `kinds`; `None` if there is too much to try."""
    found: list[list[Target]] = []
    # Agenda and choice are linked lists, so that states share their tails.
    stack: list[tuple[int, Any, Any]] = [(0, (root, None), None)]
    for _ in range(_BUDGET):
        if not stack:
            return found
        at, agenda, chosen = stack.pop()
        if agenda is None:
            targets = _unlinked(chosen)
            if at == len(kinds) and targets not in found:
                found.append(targets)
                if len(found) > 1:
                    return found
            continue
        item, tail = agenda
        if isinstance(item, tuple):
            for index, child in enumerate(item):
                if any(other.series == child.series for other in item[:index]):
                    continue
                others = (*item[:index], *item[index + 1 :])
                stack.append((at, (child, (others, tail) if others else tail), chosen))
            continue
        for own in option(item.own):
            end = at + len(own)
            if [(one.target.dtype, one.target.shape) for one in own] == list(kinds[at:end]):
                stack.append((end, _agenda(item, tail), (own, chosen)))
    return None


def _agenda(block: Block, tail: Any) -> Any:
    full = [child for child in block.children if _has_any(child)]
    if not block.ordered and len(full) > 1:
        return (tuple(full), tail)
    for child in reversed(full):
        tail = (child, tail)
    return tail


def _has_any(block: Block) -> bool:
    return _any(block, lambda one: one.own or not one.known)


def _any(block: Block, test: Callable[[Candidate], bool]) -> bool:
    return any(test(one) for found in _walk(block) for one in found.own)


def _walk(root: Block) -> Iterator[Block]:
    stack = [root]
    while stack:
        block = stack.pop()
        yield block
        stack.extend(reversed(block.children))


def _unlinked(chosen: Any) -> list[Target]:
    found = []
    while chosen is not None:
        own, chosen = chosen
        found.append([one.target for one in own])
    return [target for own in reversed(found) for target in own]


def _all_ordered(root: Block) -> bool:
    return all(block.ordered or sum(map(_has_any, block.children)) < 2 for block in _walk(root))


def _as_flagged(own: list[Candidate]) -> Iterator[list[Candidate]]:
    """What is trainable now: what Keras itself assumes when it loads the file."""
    yield [one for one in own if one.trainable]


def _as_guessed(own: list[Candidate]) -> Iterator[list[Candidate]]:
    """As flagged, and for layers outside of the table any number of their first variables."""
    if all(one.known for one in own):
        yield [one for one in own if one.trainable]
        return
    floats = [one for one in own if one.target.dtype.startswith(_FLOATS)]
    for count in range(len(floats) + 1):
        yield floats[:count]


def _as_unfrozen(own: list[Candidate]) -> Iterator[list[Candidate]]:
    """As if no layer had been frozen when the optimizer was built."""
    yield [one for one in own if one.own]


def _as_any(own: list[Candidate]) -> Iterator[list[Candidate]]:
    """Each layer either frozen or not."""
    trainable = [one for one in own if one.own]
    yield trainable
    if trainable:
        yield []
