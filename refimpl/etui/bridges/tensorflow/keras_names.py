"""Where the variables of a Keras model are in TensorFlow's object graph (SPEC.md, annex F.4).

tf_keras gives a model's layers the edges `layer-3`, and `layer_with_weights-1` to those that have variables. Keras 3
keeps them in the list `_operations`, and a Sequential model that of the Functional model in it. Below a layer, edges
are the names of attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables
from etui.bridges.keras.modules import child_groups, is_input, is_listed, is_model, is_sequential, resolved, row
from etui.containers.config import Config, Module

Steps = tuple[tuple[str, ...], ...]
COUNTED = "layer_with_weights-"
LOOKUP_LAYER = "_lookup_layer"


@dataclass(frozen=True, slots=True)
class ObjectNames:
    """The edges of one model's objects.

    Attributes:
        config: the neutral config.
        dialect: ``keras`` or ``tf_keras``.
    """

    config: Config
    dialect: str

    def steps(self, rank: int, layer: LayerVariables, choice: Sequence[LayerVariable]) -> list[Steps]:
        """The edges from the model to each variable of a layer; each step has one name or several.

        Args:
            rank: of the layer among those of the model that have variables.
            layer: the layer.
            choice: its variables.
        """
        before = self.layer_steps(rank, layer)
        owners = [owner_of(one) for one in choice]
        module = resolved(self.config, layer.module)
        return [(*before, *self._inside(module, owner_of(one), owners), (one.attribute,)) for one in choice]

    def layer_steps(self, rank: int, layer: LayerVariables) -> Steps:
        """The edges from the model to a layer."""
        root = self.config.model
        if not is_model(root):
            return ()
        index = next(at for at, child in enumerate(listed(root)) if child is layer.module)
        return tuple(self._layer(root, index, rank))

    def number_steps(self, model: Module, index: int) -> tuple[str, ...]:
        """The edges from a model to the layer of this index by its number among all layers.

        The layer of input of a Sequential model is none of these.
        """
        first = next(iter(listed(model)), None)
        begins = first is not None and is_input(resolved(self.config, first).op)
        if self.dialect == "tf_keras":
            return (f"layer-{index - (is_sequential(model) and begins)}",)
        if is_sequential(model):
            return ("_functional", "_operations", str(index + (not begins)))
        return ("_operations", str(index))

    def _layer(self, model: Module, index: int, rank: int) -> list[tuple[str, ...]]:
        """The steps to a layer of a model."""
        steps: list[tuple[str, ...]] = [(name,) for name in self.number_steps(model, index)]
        # tf_keras takes the vocabulary of some layers for a weight: beside these the other number is not known.
        tables = any(row(resolved(self.config, child).op).keyed for child in listed(model))
        if self.dialect == "tf_keras" and not tables:
            return [(f"{COUNTED}{rank}", *steps[0])]
        return steps

    def _inside(
        self, module: Module | None, owner: tuple[str, ...], owners: Collection[tuple[str, ...]]
    ) -> Iterator[tuple[str, ...]]:
        """The steps from a layer to one that it holds."""
        at = 0
        while at < len(owner):
            if module is not None and is_model(module) and owner[at] == "layers":
                before = owner[: at + 1]
                index = int(owner[at + 1])
                members = sorted({int(one[at + 1]) for one in owners if one[: at + 1] == before and len(one) > at + 1})
                yield from self._layer(module, index, members.index(index))
                module = resolved(self.config, listed(module)[index])
                at += 2
            else:
                yield (owner[at],)
                module = self.held(module, owner[at]) if module is not None else None
                at += 1

    def held(self, module: Module, attribute: str) -> Module | None:
        """The layer that an attribute of a layer holds, where the config has it."""
        for name, group in child_groups(self.config, module).items():
            if group.lstrip("_") == attribute.lstrip("_"):
                return resolved(self.config, next(child for child in module.modules if child.name == name))
        return None


def listed(model: Module) -> list[Module]:
    """The modules that a model lists as its layers."""
    return [child for child in model.modules if is_listed(child)]


def owner_of(one: LayerVariable) -> tuple[str, ...]:
    """The way to the object of a variable: that of a TextVectorization is one of the lookup layer in it."""
    return (*one.owner, LOOKUP_LAYER) if one.op == "keras:TextVectorization" else one.owner
