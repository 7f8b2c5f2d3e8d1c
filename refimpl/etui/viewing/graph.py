"""The graph of a model as it is drawn: nodes, what leads to what, and nested models as graphs within a node."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from etui.containers.config import Config, Module
from etui.containers.weights import Weights
from etui.viewing.families import family_of, short_op, summary
from etui.viewing.shape_rules import Known, plain_name
from etui.viewing.shapes import Output, Shapes, outputs_in, tensors_in

_WRAPPERS = {"bidirectional", "timedistributed"}
_CHAINS = {"sequential", "functional", "model", "graph"}


@dataclass(slots=True)
class Node:
    """What is drawn as one thing.

    Attributes:
        path: of the module; empty for the root.
        name: of the module.
        op: short name of its op, or what it is instead.
        family: of its op; ``output`` for the end of a graph.
        summary: its most important attributes.
        parameters: elements of all variables in it; 0 without any.
        frozen: whether it has variables, and training changes none.
        note: what cannot be seen, for example that it is drawn elsewhere.
        shapes: of its outputs, as text; empty if they are not known.
        level: what is inside, if that is drawn.
        same: path of the module whose variables it uses; empty if they are its own.
    """

    path: str
    name: str
    op: str
    family: str
    summary: str = ""
    parameters: int = 0
    frozen: bool = False
    note: str = ""
    shapes: str = ""
    level: Level | None = None
    same: str = ""


@dataclass(slots=True)
class Level:
    """A graph.

    Attributes:
        nodes: in an order in which each is behind what leads to it.
        edges: numbers of source and target.
    """

    nodes: list[Node] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[int, Node]]:
        """Every node with its depth, those of this level having the depth 1."""
        stack = [(1, node) for node in reversed(self.nodes)]
        while stack:
            depth, node = stack.pop()
            yield depth, node
            if node.level is not None:
                stack.extend((depth + 1, inner) for inner in reversed(node.level.nodes))


def graph_of(config: Config, weights: Weights | None = None, depth: int | None = None) -> Node:
    """The graph of a model, as its root's node.

    Args:
        config: of the model.
        weights: for the numbers of parameters.
        depth: levels that are drawn; what is nested deeper is one node. `None` draws all.
    """
    return _Grapher(config, weights, depth).root()


def shape_text(shape: Known) -> str:
    """A shape in little room: ``?×16×16×8``; a size that is not fixed is ``?``."""
    if shape is None:
        return ""
    return "×".join("?" if size is None else str(size) for size in shape) or "scalar"


class _Grapher:
    def __init__(self, config: Config, weights: Weights | None, depth: int | None) -> None:
        self._config = config
        self._weights = weights
        self._depth = math.inf if depth is None else depth
        self._shapes = Shapes(config)
        self._modules = dict(config.walk())
        self._drawn: set[str] = set()
        # Of each module that was asked for: one may be called, and stood for, as often as a file has room for.
        self._counted: dict[int, tuple[int, bool]] = {}
        self._sizes: dict[int, int] = {}

    def root(self) -> Node:
        return self._node(self._config.model, "", (), 0)

    def _node(self, module: Module, path: str, inputs: tuple[Known, ...], depth: int) -> Node:
        """A module as it is called.

        Args:
            module: the module.
            path: its path.
            inputs: the shapes that it is called on.
            depth: of its level; 0 for the root.
        """
        own = module
        if module.target is not None:
            own, path = self._modules[module.target], module.target
        node = Node(path, module.name, short_op(own.op), family_of(own.op), summary(own.op, own.attrs))
        node.parameters, node.frozen = self._parameters(own)
        if module.target is not None:
            node.same = module.target
        if not _is_group(own):
            return node
        node.family = "model" if own.graph is not None or plain_name(own.op) in _CHAINS else node.family
        if depth >= self._depth:
            inside = self._inside(own)
            node.note = f"{inside:,} module{'' if inside == 1 else 's'}"
        elif path in self._drawn:
            node.note = "drawn before"
        else:
            self._drawn.add(path)
            node.level = self._level(own, path, inputs, depth)
        return node

    def _level(self, owner: Module, path: str, inputs: tuple[Known, ...], depth: int) -> Level:
        if owner.graph is not None:
            return self._graph(owner, path, inputs, depth)
        level = Level()
        for child in owner.modules:
            level.nodes.append(self._node(child, f"{path}/{child.name}" if path else child.name, (), depth + 1))
        if plain_name(owner.op) in _CHAINS and owner.kind != "opaque":
            level.edges = list(pairwise(range(len(level.nodes))))
        return level

    def _graph(self, owner: Module, path: str, inputs: tuple[Known, ...], depth: int) -> Level:
        assert owner.graph is not None  # noqa: S101  the caller looked
        level, shapes = Level(), self._shapes.of_graph(owner, inputs)
        children = {child.name: child for child in owner.modules}
        uses = Counter(call.module for call in owner.graph.calls)
        seen: Counter[str] = Counter()
        numbers: dict[str, int] = {}
        for call in owner.graph.calls:
            child = children[call.module]
            sources = tensors_in(call)
            given = tuple(shapes.get(source) for source in sources)
            node = self._node(child, f"{path}/{child.name}" if path else child.name, given, depth + 1)
            seen[call.module] += 1
            if uses[call.module] > 1:
                node.note = f"call {seen[call.module]} of {uses[call.module]}"
                node.same = node.same or (node.path if seen[call.module] > 1 else "")
            node.shapes = _shapes_text(call.id, shapes)
            numbers[call.id] = len(level.nodes)
            level.nodes.append(node)
            level.edges += [
                (numbers[source], numbers[call.id]) for source in dict.fromkeys(name for name, _ in sources)
            ]
        self._ends(owner, level, numbers, shapes)
        return level

    def _ends(self, owner: Module, level: Level, numbers: dict[str, int], shapes: dict[Output, Known]) -> None:
        """A node for each output of a graph."""
        assert owner.graph is not None  # noqa: S101  the caller looked
        outputs = list(dict.fromkeys(outputs_in(owner.graph.outputs)))
        for index, output in enumerate(outputs):
            name = "output" if len(outputs) == 1 else f"output {index}"
            level.nodes.append(Node("", name, "output", "output", summary=shape_text(shapes.get(output))))
            level.edges.append((numbers[output[0]], len(level.nodes) - 1))

    def _inside(self, module: Module) -> int:
        """How many modules are in a module, over all levels."""
        if id(module) not in self._sizes:
            self._sizes[id(module)] = sum(1 for _ in module.walk()) - 1
        return self._sizes[id(module)]

    def _parameters(self, module: Module) -> tuple[int, bool]:
        """The elements of all variables in a module, and whether all of them are frozen."""
        if id(module) not in self._counted:
            self._counted[id(module)] = self._count(module)
        return self._counted[id(module)]

    def _count(self, module: Module) -> tuple[int, bool]:
        if self._weights is None:
            return 0, False
        paths = {self._weights.resolve(path) for path in self._variables(module, set())}
        variables = [self._weights[path] for path in paths if path in self._weights]
        frozen = bool(variables) and not any(variable.trainable for variable in variables)
        return sum(math.prod(variable.shape) for variable in variables), frozen

    def _variables(self, module: Module, seen: set[int]) -> Iterator[str]:
        """The paths of all variables in a module, and in those that modules in it stand for."""
        for _, inner in module.walk():
            if id(inner) not in seen:
                seen.add(id(inner))
                yield from inner.params.values()
                if inner.target in self._modules:
                    yield from self._variables(self._modules[inner.target], seen)


def _shapes_text(call: str, shapes: dict[Output, Known]) -> str:
    found = []
    index = 0
    while (call, index) in shapes:
        found.append(shape_text(shapes[call, index]))
        index += 1
    return " · ".join(dict.fromkeys(text for text in found if text))


def _is_group(module: Module) -> bool:
    """Whether a look inside of a module tells more than its name: a layer's own parts mostly do not."""
    if module.graph is not None:
        return True
    name = plain_name(module.op)
    known = module.op.startswith(("keras:", "core:")) and module.kind != "opaque"
    return bool(module.modules) and (name in _CHAINS or name in _WRAPPERS or not known)
