"""All that is asked of a live model, at one time (SPEC.md, annex I): what is made of it later needs the model no more.

Nothing is translated here, and no elements are read but those of dtypes that need an encoding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from etui import dtypes, paths
from etui.bridges.keras.archive import ASSETS
from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.live.config import layer_node, model_node
from etui.bridges.keras.live.framework import Elements, Framework
from etui.bridges.keras.live.tree import Held, LiveTree
from etui.bridges.keras.modules import join
from etui.bridges.keras.names import FreeNames
from etui.bridges.keras.patches import Json
from etui.containers.tensors import Tensor
from etui.model import Blob

Implied = tuple[str, Json] | None
"""Name and node of a layer that the config does not mention; `None` where no layer is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What an object says beside its config and what it saves.

    Attributes:
        compiled_flag: `trainable` when the model was compiled, where that is another one than now.
        seeds: attribute -> algorithm of a random generator, and the variable that holds its state.
        hidden_seeds: attribute -> why the state of a generator is out of reach.
        adapted: attribute -> variable, of a layer with a low-rank adapter.
    """

    compiled_flag: bool | None
    seeds: Mapping[str, tuple[str, Any]]
    hidden_seeds: Mapping[str, str]
    adapted: Mapping[str, Any]


_NO_FACTS = Facts(None, {}, {}, {})


@dataclass(slots=True)
class Look:
    """What a live model is at one moment.

    Attributes:
        tree: its objects.
        by_group: each of them by its group.
        node: its config, complete.
        groups: the groups of the layout with their attributes.
        trained: group of an optimizer -> names in the layout of the variables that it was built for.
        facts: of objects by their groups.
        trainable: ids of the variables that training changes by gradients.
        hidden_slots: state of the optimizer that is not among its variables.
        lost_slots: state of the optimizer that cannot be had.
        metrics: name -> key -> variable, of the metrics that hold state.
        kinds: what each of the metrics is.
        assets: member of the layout -> file that a layer keeps.
        asked: group -> what was said of it when it was asked for.
        held: id of a variable, or of an array that a layer computed -> its elements, if they were copied.
    """

    tree: LiveTree
    by_group: dict[str, Held]
    node: dict[str, Json]
    groups: dict[str, dict[str, str]]
    trained: dict[str, list[str]]
    facts: dict[str, Facts]
    trainable: frozenset[int]
    hidden_slots: dict[str, Any]
    lost_slots: list[str]
    metrics: dict[str, dict[str, Any]]
    kinds: list[str]
    assets: dict[str, Blob]
    asked: dict[str, Implied] = field(default_factory=dict)
    held: Mapping[int, Tensor] | None = None

    @property
    def framework(self) -> Framework:
        """Of the model."""
        return self.tree.framework

    def facts_of(self, group: str) -> Facts:
        """The facts of the object at a group."""
        return self.facts.get(group, _NO_FACTS)

    def implied(self, group: str) -> Implied:
        """What is at a group of which the config says nothing. The live object is asked, once."""
        if group not in self.asked:
            assert self.held is None, group  # noqa: S101  copies are translated only where all answers are there
            self.asked[group] = self._answer(group)
        return self.asked[group]

    def _answer(self, group: str) -> Implied:
        known = self.by_group
        if group not in known:
            return None
        owner = known.get(group.rpartition("/layers/")[0]) if "layers/" in group else None
        name = "" if owner is None else _attribute_of(owner.thing, known[group].thing)
        return name, layer_node(self.framework, known[group].thing)

    def tensor(self, variable: Any) -> Tensor:
        """A variable's elements: the copied ones, or those that it has when they are read."""
        return tensor_of(self.framework, variable) if self.held is None else self.held[id(variable)]

    def datasets(self) -> dict[str, Stored]:
        """Every variable, and every array that a layer computes, by its name in the layout."""
        if self.held is None:
            return self.tree.datasets()
        tensors = {name: self.held[id(variable)] for name, variable in self.tree.entries().items()}
        return {name: Renamed(name, one.dtype, one.shape, one.numpy) for name, one in tensors.items()}

    def changing(self) -> dict[int, Tensor]:
        """The elements of all that `tensor` and `datasets` give, by the ids of what has them."""
        found: dict[int, Tensor] = {}
        merged = self._merged()
        for variable in self._variables():
            if id(variable) not in found:
                live, constant = self.framework.is_variable(variable), id(variable) in merged
                found[id(variable)] = self.tensor(variable) if live else self._computed(variable, constant=constant)
        return found

    def _merged(self) -> frozenset[int]:
        """Ids of the arrays into which the framework merged low-rank adapters for this look: nobody else has them."""
        merging = (one for one in self.tree.held if self.facts_of(one.group).adapted)
        own = (one for one in merging if one.thing.save_own_variables.__module__.startswith(f"{self.framework.name}."))
        return frozenset(id(value) for one in own for value in one.variables.values())

    def _computed(self, value: Any, *, constant: bool) -> Tensor:
        array = self.framework.numpy(value)
        name = self.framework.dtype(value)
        if not constant or dtypes.by_name(name, "").safetensors is None:
            return Tensor.of(array)
        return Tensor.lazy(name, array.shape, lambda: array, view=lambda: array, constant=True)

    def with_copies(self, held: Mapping[int, Tensor]) -> Look:
        """The same, with copies of the elements in the place of what `changing` gave."""
        return replace(self, held=held)

    def _variables(self) -> Iterator[Any]:
        yield from self.tree.entries().values()
        yield from self.hidden_slots.values()
        for facts in self.facts.values():
            yield from (variable for _, variable in facts.seeds.values())
            yield from facts.adapted.values()
        for state in self.metrics.values():
            yield from state.values()


def look(framework: Framework, model: Any, *, need_config: bool = True) -> Look:
    """Ask a live model for everything but what its config does not mention.

    Args:
        framework: of the model.
        model: the live model.
        need_config: whether a model without a config is refused, and not taken as a tree of variables.

    Raises:
        TransferError: ``live-config``.
    """
    node = model_node(framework, model, need_config=need_config)
    tree = LiveTree.of(framework, model)
    optimizer = framework.optimizer(model)
    saved = any(one.thing is optimizer for one in tree.held)
    named = named_metrics(framework, model) if framework.dialect == "keras" else []
    return Look(
        tree,
        tree.by_group(),
        node,
        tree.groups(),
        _trained(tree),
        _facts(tree),
        frozenset(map(id, framework.trainable(model))),
        framework.hidden_slots(optimizer) if saved else {},
        framework.lost_slots(optimizer) if saved else [],
        {name: dict(named_variables(metric)) for name, metric in named},
        framework.kinds(framework.metrics(model)),
        _assets(tree),
    )


def _attribute_of(owner: Any, thing: Any) -> str:
    """The attribute under which an object holds another, with its place in a list; nothing if it is held otherwise."""
    # Layers of the torch backend are modules of torch, which keep those that they hold in a map of their own.
    own = {**vars(owner).get("_modules", {}), **vars(owner)}
    for name, value in own.items():
        if value is thing:
            return str(name).lstrip("_")
    for name, value in own.items():
        if not name.startswith("_") and isinstance(value, list | tuple | dict):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in items:
                if item is thing:
                    return f"{name}_{key}"
    return ""


def _trained(tree: LiveTree) -> dict[str, list[str]]:
    """The variables of the optimizer by their names in the layout, if the layout has them all."""
    optimizer = tree.framework.optimizer(tree.model)
    listed = tree.framework.trained(tree.model) if optimizer is not None else None
    if listed is None:
        return {}
    names: dict[int, str] = {}
    for name, variable in tree.entries().items():
        names.setdefault(id(variable), name)
    found = [names.get(id(variable), "") for variable in listed]
    parts = {id(optimizer), id(getattr(optimizer, "inner_optimizer", optimizer))}
    groups = [one.group for one in tree.held if id(one.thing) in parts]
    return dict.fromkeys(groups, found) if all(found) else {}


def _facts(tree: LiveTree) -> dict[str, Facts]:
    framework = tree.framework
    flags = framework.compiled_flags(tree.model)
    found = {}
    for one in tree.held:
        thing = one.thing
        flag = flags[thing] if flags and thing in flags and flags[thing] != thing.trainable else None
        own = vars(thing).items() if getattr(thing, "lora_enabled", False) else ()
        adapted = {name: value for name, value in own if framework.is_variable(value)}
        facts = Facts(flag, framework.seeds(thing), framework.hidden_seeds(thing), adapted)
        if facts != _NO_FACTS:
            found[one.group] = facts
    return found


def tensor_of(framework: Framework, variable: Any) -> Tensor:
    """A live variable as a tensor that is read when it is asked for, or now if its dtype needs an encoding."""
    dtype = framework.dtype(variable)
    if dtypes.by_name(dtype, "").safetensors is None:
        return Tensor.of(framework.numpy(variable))
    shape = tuple(int(size) for size in variable.shape)
    return Tensor.lazy(
        dtype,
        shape,
        Elements(framework, variable),
        view=partial(framework.view, variable),
        constant=framework.constant,
    )


def named_metrics(framework: Framework, model: Any) -> list[tuple[str, Any]]:
    """The metrics of a model that hold state, by names of their own."""
    names = FreeNames()
    return [(names.take(paths.escape_segment(str(metric.name))), metric) for metric in framework.metrics(model)]


def named_variables(metric: Any) -> list[tuple[str, Any]]:
    """The state of a metric by names of their own."""
    names = FreeNames()
    return [(names.take(str(one.name).partition(":")[0].rpartition("/")[2]), one) for one in metric.variables]


def _assets(tree: LiveTree) -> dict[str, Blob]:
    """The files that layers keep."""
    members: dict[str, Blob] = {}
    for held in tree.held:
        if not hasattr(held.thing, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            held.thing.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    name = join(held.group, file.relative_to(folder).as_posix())
                    members[ASSETS + name] = Blob.of(file.read_bytes())
    return members
