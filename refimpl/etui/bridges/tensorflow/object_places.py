"""What each tensor of a checkpoint of objects is to the neutral model (SPEC.md, annex F.3).

It follows from the object graph alone, so that the same graph, kept with the model, says where the tensors go when the
checkpoint is written again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from etui.bridges.tensorflow.object_graph import KEY, Node, ObjectGraph, joined
from etui.errors import error
from etui.limits import DEFAULT_LIMITS, Limits

_SAVE_COUNTER = "save_counter"
# The lists of the optimizers of Keras that do not hold slots.
_LISTS = ("_variables", "_trainable_variables", "_trainable_variables_indices", "_index_dict")
_OWNER = re.compile(r"[^/]*/[^/]*/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor goes.

    Attributes:
        kind: a variable of the model; a slot or another variable of an optimizer; a counter; data that stays as it is.
        owner: path of the variable, or of the optimizer, or name of the counter, or the tensor's key.
        variable: path of the variable that a slot belongs to.
        name: of the slot or the optimizer's variable.
    """

    kind: Literal["variable", "slot", "setting", "counter", "data"]
    owner: str
    variable: str = ""
    name: str = ""


@dataclass(slots=True)
class Places:
    """The places of a graph's tensors.

    Attributes:
        keys: key of the tensor -> its place, in the order of a search in breadth.
        aliases: further path of a variable -> its path.
        optimizers: path of each optimizer -> the paths of its variables, in its own order.
        full_names: path of a variable -> what its framework called it.
    """

    keys: dict[str, Place] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    optimizers: dict[str, list[str]] = field(default_factory=dict)
    full_names: dict[str, str] = field(default_factory=dict)


def is_optimizer(node: Node) -> bool:
    """Whether a node is an optimizer of Keras or tf.keras: what its children are called, or its slots, show it."""
    names = node.children.keys()
    return bool(node.slots) or {"_variables", "_iterations"} <= names or {"iter", "decay", "learning_rate"} <= names


def object_places(graph: ObjectGraph, limits: Limits = DEFAULT_LIMITS) -> Places:
    """The place of every tensor that the root reaches; a slot's is reached through its optimizer.

    Args:
        graph: the objects.
        limits: `path_bytes` bounds each path, `string_bytes` all paths together.

    Raises:
        LimitError: ``limit-path``, ``limit-foreign``.
    """
    return _Finder(graph, limits).places()


class _Finder:
    def __init__(self, graph: ObjectGraph, limits: Limits) -> None:
        self._graph = graph
        self._limits = limits
        self._characters = 0
        self._optimizers = [at for at, node in enumerate(graph.nodes) if at and is_optimizer(node)]
        self._routes = graph.routes(set(self._optimizers))
        self._paths: dict[int, str] = {}
        self._places: dict[int, Place] = {}
        self._found = Places()
        self._named: dict[str, int] | None = None

    def places(self) -> Places:
        found, nodes = self._found, self._graph.nodes
        inside: set[int] = set()
        for node, (before, name) in self._routes.items():
            self._paths[node] = self._joined(self._paths[before], name) if node else ""
            if before in inside or before in self._optimizers:
                inside.add(node)
        for node in self._routes:
            if nodes[node].value is not None and node not in inside:
                is_counter = self._paths[node] == _SAVE_COUNTER
                kind: Literal["counter", "variable"] = "counter" if is_counter else "variable"
                self._places[node] = Place(kind, self._paths[node])
        self._trainable_only_in_optimizers()
        for node in self._routes:
            if node in self._optimizers:
                self._optimizer(node)
        for node in (*self._routes, *range(len(nodes))):
            for attribute in nodes[node].attributes:
                is_value = attribute is nodes[node].value
                data = Place("data", attribute.key)
                found.keys.setdefault(attribute.key, self._places.get(node, data) if is_value else data)
        self._aliases()
        return found

    def _joined(self, path: str, name: str) -> str:
        """The path of a child, counted: paths repeat what is above them, so a small graph can have very long ones."""
        if len(path) + len(name) >= self._limits.path_bytes:
            raise error("limit-path", where=KEY, found=f"a path of {len(path) + len(name)} characters and more")
        self._characters += len(path) + len(name) + 1
        if self._characters > self._limits.string_bytes:
            raise error("limit-foreign", where=KEY, found="paths of too many bytes")
        return joined(path, name)

    def _trainable_only_in_optimizers(self) -> None:
        """Keras 3 reaches some variables of a model only through the optimizer's list of them."""
        for at in self._optimizers:
            listed = self._list(at, "_trainable_variables")
            for node in listed.values():
                if node in self._paths:
                    self._places.setdefault(node, Place("variable", self._paths[node]))

    def _list(self, optimizer: int, name: str) -> dict[int, int]:
        """The variables of a list of an optimizer, by their index."""
        at = self._graph.nodes[optimizer].children.get(name)
        members = self._graph.nodes[at].children if at is not None else {}
        nodes = self._graph.nodes
        return {int(key): node for key, node in members.items() if key.isdecimal() and nodes[node].value is not None}

    def _optimizer(self, at: int) -> None:
        nodes, path = self._graph.nodes, self._paths[at]
        order: dict[str, None] = {}
        listed = self._list(at, "_trainable_variables")
        order.update((self._places[node].owner, None) for node in listed.values() if node in self._places)
        for slot in nodes[at].slots:
            owner = self._places.get(slot.variable)
            if owner is not None and owner.kind == "variable":
                self._places.setdefault(slot.node, Place("slot", path, owner.owner, slot.name))
                order[owner.owner] = None
        for name, child in nodes[at].children.items():
            if nodes[child].value is not None:
                self._places.setdefault(child, Place("setting", path, name=name))
        for name in nodes[at].children:
            if name not in _LISTS:
                self._slot_list(at, name, listed, order)
        self._found.optimizers[path] = list(order)

    def _slot_list(self, at: int, name: str, listed: dict[int, int], order: dict[str, None]) -> None:
        """A list of slots: each belongs to the variable of its index, or the one whose name it bears, or none does."""
        members = {index: node for index, node in self._list(at, name).items() if node not in self._places}
        owners = {index: listed[index] for index in members if index in listed}
        if not listed:
            named = self._by_full_name()
            for index, node in members.items():
                value = self._graph.nodes[node].value
                match = _OWNER.fullmatch(value.full_name) if value is not None else None
                owner = named.get(match[1]) if match is not None else None
                if owner is not None:
                    owners[index] = owner
        if len(set(owners.values())) != len(members):
            return
        for index in sorted(members):
            variable = self._places[owners[index]].owner if owners[index] in self._places else ""
            if variable:
                self._places[members[index]] = Place("slot", self._paths[at], variable, slot_name(name))
                order[variable] = None

    def _by_full_name(self) -> dict[str, int]:
        """The variables by their framework's name for them, where no two share it."""
        if self._named is None:
            named: dict[str, int] = {}
            twice: set[str] = set()
            for node, place in self._places.items():
                value = self._graph.nodes[node].value
                if place.kind == "variable" and value is not None:
                    twice.update({value.full_name} & named.keys())
                    named[value.full_name] = node
            self._named = {name: node for name, node in named.items() if name not in twice}
        return self._named

    def _aliases(self) -> None:
        """Every further way to a variable that does not lead through an optimizer."""
        found, nodes = self._found, self._graph.nodes
        for node, place in self._places.items():
            value = nodes[node].value
            if place.kind == "variable" and value is not None:
                found.full_names[place.owner] = value.full_name
        inner = set(self._optimizers) | {
            child for at in self._optimizers for child in nodes[at].children.values() if nodes[child].value is None
        }
        for node in self._routes:
            for name, child in nodes[node].children.items() if node not in inner else ():
                target = self._places.get(child)
                path = self._joined(self._paths[node], name) if target is not None else ""
                if target is not None and target.kind == "variable" and path != target.owner:
                    found.aliases[path] = target.owner


def slot_name(attribute: str) -> str:
    """The name of a slot by the optimizer's attribute that lists it: `_velocities` lists each ``velocity``."""
    name = attribute.lstrip("_") or attribute
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name
