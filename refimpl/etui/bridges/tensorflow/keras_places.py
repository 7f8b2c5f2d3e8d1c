"""Which objects of a checkpoint are the layers and the variables of a Keras model (SPEC.md, annex F.4).

A layer is found by its number among all layers, and only where what the graph says of the layers before it agrees with
the config: a config with one layer more or less than the model that was saved would otherwise give each layer behind it
the variables of its neighbour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables
from etui.bridges.keras.modules import is_input, is_model, is_sequential, resolved, row
from etui.bridges.tensorflow.keras_names import COUNTED, ObjectNames, listed, owner_of
from etui.bridges.tensorflow.object_graph import ObjectGraph
from etui.containers.config import Config, Module

# A layer of which the config does not tell whether it has weights, and those that tf_keras makes of calls of functions.
_UNCERTAIN = "keras:Discretization"
_CALLS = frozenset({"ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda", "TFOpLambda"})


@dataclass(slots=True)
class ObjectPlaces:
    """Finds the objects of a model.

    Args:
        config: the neutral config.
        dialect: ``keras`` or ``tf_keras``.
        graph: the objects of the checkpoint.
        layers: of the config.
    """

    config: Config
    dialect: str
    graph: ObjectGraph
    layers: Sequence[LayerVariables]
    _names: ObjectNames = field(init=False)

    def __post_init__(self) -> None:
        self._names = ObjectNames(self.config, self.dialect)

    def of_layers(self, root: int) -> list[int | None]:
        """The node of each layer, where the model is at the node `root`; `None` for one that is not there."""
        model = self.config.model
        if not is_model(model):
            return [root for _ in self.layers]
        children = listed(model)
        at = {id(child): index for index, child in enumerate(children)}
        indexes = [at[id(layer.module)] for layer in self.layers]
        has = {index: _has_variables(layer) for index, layer in zip(indexes, self.layers, strict=True)}
        placed = self._placed(root, model, has)
        return [placed.get(index) for index in indexes]

    def variables(
        self, node: int | None, layer: LayerVariables, choice: Sequence[LayerVariable]
    ) -> list[tuple[LayerVariable, int | None]]:
        """Each variable of a layer whose object is at `node`, with its own node where there is one."""
        placed: dict[tuple[str, ...], Mapping[int, int | None]] = {}
        return [(one, self._variable(node, layer, one, choice, placed)) for one in choice]

    def _variable(
        self,
        node: int | None,
        layer: LayerVariables,
        one: LayerVariable,
        choice: Sequence[LayerVariable],
        placed: dict[tuple[str, ...], Mapping[int, int | None]],
    ) -> int | None:
        module: Module | None = resolved(self.config, layer.module)
        at, owner = 0, owner_of(one)
        while at < len(owner) and node is not None:
            if module is not None and is_model(module) and owner[at] == "layers":
                before, index = owner[: at + 1], int(owner[at + 1])
                if before not in placed:
                    inside = {int(other.owner[at + 1]) for other in choice if other.owner[: at + 1] == before}
                    has = {number: self._inner(layer, child, number in inside) for number, child in self._all(module)}
                    placed[before] = self._placed(node, module, has)
                node, at = placed[before].get(index), at + 2
                module = resolved(self.config, listed(module)[index])
            else:
                node = self.graph.nodes[node].children.get(owner[at])
                module = self._names.held(module, owner[at]) if module is not None else None
                at += 1
        return None if node is None else self.graph.nodes[node].children.get(one.attribute)

    def _all(self, model: Module) -> list[tuple[int, Module]]:
        return [(number, resolved(self.config, child)) for number, child in enumerate(listed(model))]

    def _inner(self, layer: LayerVariables, module: Module, met: bool) -> bool | None:
        """Whether a layer of a model in the model has variables, where that is known."""
        certain = is_call(module) or (layer.known and not _is_uncertain(module))
        return True if met else False if certain else None

    def _placed(self, node: int, model: Module, has: Mapping[int, bool | None]) -> dict[int, int | None]:
        """Layer's index -> its node, up to the first layer at whose number the graph has something else."""
        children = self.graph.nodes[node].children
        counted = {child for name, child in children.items() if name.startswith(COUNTED)}
        whole = self._is_whole(node, model)
        found: dict[int, int | None] = {}
        for index, child in self._all(model):
            if is_sequential(model) and is_input(child.op):
                continue
            at = self.graph.at(node, *self._names.number_steps(model, index))
            expected = has.get(index)
            if expected is None and not whole:
                break
            if at is not None and expected is not None:
                there = at in counted if counted else expected or self._holds(at)
                if there is not expected:
                    break
            found[index] = at
        return found

    def _is_whole(self, node: int, model: Module) -> bool:
        """Whether the graph has as many layers as the config."""
        indexes = [index for index, child in self._all(model) if not (is_sequential(model) and is_input(child.op))]
        *before, last = self._names.number_steps(model, indexes[-1] if indexes else 0)
        at = self.graph.at(node, *before)
        children = () if at is None else self.graph.nodes[at].children
        end = last.rpartition("-")[2]
        form = re.compile(re.escape(last.removesuffix(end)) + r"\d+")
        numbers = [name for name in children if form.fullmatch(name)]
        return len(numbers) == int(end) + 1

    def _holds(self, start: int) -> bool:
        """Whether there are variables below a node."""
        queue, met = [start], {start}
        while queue:
            node = self.graph.nodes[queue.pop()]
            if node.value is not None:
                return True
            new = [child for child in node.children.values() if child not in met]
            met.update(new)
            queue.extend(new)
        return False


def _has_variables(layer: LayerVariables) -> bool | None:
    """Whether a layer has variables, where its config decides it."""
    if is_call(layer.module):
        return False
    if not layer.known or _is_uncertain(layer.module) or not all(layer.alternatives):
        return None
    return bool(layer.variables) if layer.variables or not layer.alternatives else None


def _is_uncertain(module: Module) -> bool:
    return module.op == _UNCERTAIN or row(module.op).keyed


def is_call(module: Module) -> bool:
    """Whether a layer is the call of a function, which has no variables of its own."""
    return module.op.startswith("tf_keras:") and module.op.rpartition(".")[2] in _CALLS
