"""Where the variables of a Keras model are in a SavedModel, by their names in the layout (SPEC.md, annex G.2).

The names of the objects are those of attributes: `layer-0` for the layers of a model, `kernel`, `cell`, `forward_layer`
for what a layer holds. The layout of a `.keras` file is made of the same attributes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from etui.bridges.keras.layout import VARS
from etui.bridges.keras.modules import child_groups, is_model, join, keras_name, numbered_groups, row
from etui.bridges.keras.names import numbered, snake_case
from etui.bridges.tensorflow.saved_model.graph import METRIC, Node, members
from etui.containers.config import Config, Module

# What Keras adds to every layer of a SavedModel beside its own attributes.
_ADDED = frozenset(
    {
        *("keras_api", "layers", "losses", "metrics", "non_trainable_variables", "optimizer", "regularization_losses"),
        *("signatures", "trainable_variables", "trainable_weights", "variables", "weights"),
    }
)
_MODEL = "_tf_keras_model"
_LISTED = re.compile(r"layer-(\d+)")
_ALSO_LISTED = re.compile(r"layer(_with_weights)?-\d+")


@dataclass(slots=True)
class LayerFacts:
    """What the metadata of a Keras object tells: its name and its class."""

    name: str
    class_name: str


@dataclass(slots=True)
class Places:
    """The variables of a Keras model.

    Attributes:
        names: name in the layout -> node; a node may have several names.
        groups: every group of the layout that an object has, without its `vars`.
    """

    names: dict[str, int] = field(default_factory=dict)
    groups: dict[str, None] = field(default_factory=dict)


def find_places(config: Config, nodes: list[Node], facts: Mapping[int, LayerFacts]) -> Places:
    """Find the layers of a config among the objects.

    Args:
        config: the neutral config, as it is without a weights file.
        nodes: the objects; the first is the model.
        facts: of each Keras object by its node.
    """
    walk = _Walk(config, nodes, facts)
    walk.visit()
    return walk.places


@dataclass(slots=True)
class _Walk:
    config: Config
    nodes: list[Node]
    facts: Mapping[int, LayerFacts]
    places: Places = field(default_factory=Places)
    seen: set[int] = field(default_factory=set)

    def visit(self) -> None:
        stack: list[tuple[int, Module | None, str]] = [(0, self.config.model, "")]
        while stack:
            at, module, group = stack.pop()
            if at in self.seen:
                continue
            self.seen.add(at)
            self.places.groups[group] = None
            self._variables(at, module, group)
            stack.extend(reversed(list(self._layers(at, module, group))))

    def _layers(self, at: int, module: Module | None, group: str) -> Iterator[tuple[int, Module | None, str]]:
        """The layers of a layer, each with its module, if the config has it, and its group."""
        node = self.nodes[at]
        groups = {} if module is None else child_groups(self.config, module)
        known = {} if module is None else {child.name: child for child in module.modules}
        by_group = {relative: known[name] for name, relative in groups.items() if name in known}
        if module is not None and is_model(module):
            by_name = {keras_name(child): name for name, child in known.items()}
            for name, child in node.children.items():
                if _LISTED.fullmatch(name) and child in self.facts:
                    listed = by_name.get(self.facts[child].name)
                    if listed is not None and listed in groups:
                        yield child, self._own(known[listed]), join(group, groups[listed])
        met = set(self.seen)
        for name, layers in self._attributes(node, module):
            # A layer that was met before takes no number: Keras walks each once.
            new = [child for child in layers if child not in met]
            met.update(new)
            is_list = self.nodes[node.children[name]].is_container if name in node.children else True
            classes = [(str(child), self._class(child)) for child in new]
            groups_of = dict(numbered_groups(name, classes)) if is_list else {str(child): name for child in new}
            for child in new:
                relative = groups_of[str(child)]
                found = by_group.get(relative)
                yield child, None if found is None else self._own(found), join(group, relative)

    def _own(self, module: Module) -> Module:
        return self.config.find(module.target) if module.target is not None else module

    def _class(self, at: int) -> str:
        return self.facts[at].class_name if at in self.facts else "Layer"

    def _attributes(self, node: Node, module: Module | None) -> Iterator[tuple[str, list[int]]]:
        """The layers of each attribute in the order in which tf_keras walks them: backwards by name.

        A subclassed model has the attribute `layers` as well, the list of all that it holds.
        """
        found: dict[str, list[int]] = {}
        for name, child in node.children.items():
            if name in _ADDED or _ALSO_LISTED.fullmatch(name):
                continue
            inner = members(self.nodes, child) if self.nodes[child].is_container else [child]
            layers = [at for at in inner if self.nodes[at].is_layer]
            if layers:
                found[name] = layers
        if node.identifier == _MODEL and (module is None or not is_model(module)):
            found["layers"] = [child for layers in found.values() for child in layers]
        yield from sorted(found.items(), key=lambda item: item[0], reverse=True)

    def _variables(self, at: int, module: Module | None, group: str) -> None:
        """A layer's own variables: trainable ones first, each kind in the order in which the layer made them."""
        own: dict[int, str] = {}
        for name, child in self.nodes[at].children.items():
            if name in _ADDED:
                continue
            if self.nodes[child].kind == "variable":
                own.setdefault(child, name)
            elif self.nodes[child].is_container:
                for inner in members(self.nodes, child):
                    if self.nodes[inner].kind == "variable":
                        own.setdefault(inner, name)
        keyed = module is not None and row(module.op).keyed
        ordered = sorted(own, key=lambda child: not self.nodes[child].trainable)
        for index, child in enumerate(ordered):
            self.places.names[f"{join(group, VARS)}/{own[child] if keyed else index}"] = child


def optimizer_places(nodes: list[Node]) -> dict[str, int]:
    """The variables of a new optimizer of tf_keras by their names in the layout; none of a legacy one."""
    at = nodes[0].children.get("optimizer")
    listed = None if at is None else nodes[at].children.get("_variables")
    if listed is None:
        return {}
    # A loss scaler lists the variables of the optimizer in it, as it does in a `.keras` file.
    groups = ["optimizer", "optimizer/inner_optimizer"] if "loss_scale" in nodes[at or 0].children else ["optimizer"]
    return {
        f"{group}/{VARS}/{name}": child
        for group in groups
        for name, child in nodes[listed].children.items()
        if name.isdecimal() and nodes[child].kind == "variable"
    }


def metric_places(nodes: list[Node], facts: Mapping[int, LayerFacts]) -> dict[str, int]:
    """The variables of metrics by their names in the layout: `metrics/mean/vars/0`."""
    at = nodes[0].children.get("keras_api")
    listed = None if at is None else nodes[at].children.get("metrics")
    if listed is None:
        return {}
    used: dict[str, int] = {}
    found = {}
    for child in nodes[listed].children.values():
        if nodes[child].identifier != METRIC or child not in facts:
            continue
        group = f"metrics/{numbered(snake_case(facts[child].class_name), used)}/{VARS}"
        # MeanIoU has its matrix under two names.
        own = dict.fromkeys(
            inner
            for name, inner in nodes[child].children.items()
            if name not in _ADDED and nodes[inner].kind == "variable"
        )
        found.update({f"{group}/{index}": inner for index, inner in enumerate(own)})
    return found
