"""A core graph in the making: modules, calls and variables, as a torch module is walked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from etui.bridges.torch.arrays import array_of
from etui.bridges.torch.binding import Binding, Layout
from etui.canonical.values import OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.containers.weights import Variable, Weights
from etui.core.vocabulary import NAMESPACE, ops, sparse
from etui.errors import error, shown
from etui.paths import escape_segment

SAME = Layout()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor of the torch module that becomes a variable.

    Attributes:
        name: its key in the `state_dict`.
        tensor: the tensor itself.
        layout: how the variable's elements lie in it.
        shape: the variable's shape; `None` where the layout does not reshape.
        part: rows of the first axis of a packed tensor, of which only they are the variable.
    """

    name: str
    tensor: torch.Tensor
    layout: Layout = SAME
    shape: tuple[int, ...] | None = None
    part: slice | None = None

    @property
    def held(self) -> torch.Tensor:
        """The elements of the variable, as torch has them."""
        return self.tensor if self.part is None else self.tensor[self.part]

    @property
    def trainable(self) -> bool:
        """Whether training changes it by gradients."""
        return isinstance(self.tensor, torch.nn.Parameter) and self.tensor.requires_grad

    def core_shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        if self.shape is not None:
            return self.shape
        found = tuple(self.held.shape)
        if self.layout.axes is None:
            return found
        return tuple(found[self.layout.axes.index(axis)] for axis in range(len(found)))


@dataclass(frozen=True, slots=True)
class Joined:
    """A variable that torch has as several parameters of one shape.

    Attributes:
        leaves: the parameters, each in the variable's layout.
        how: ``stack``, they are its rows; ``sum``, only their sum has a meaning.
    """

    leaves: tuple[Leaf, ...]
    how: str

    def elements(self) -> Array:
        """The variable's elements."""
        rows = [_elements(leaf, leaf.core_shape()) for leaf in self.leaves]
        return np.stack(rows) if self.how == "stack" else np.asarray(sum(rows[1:], rows[0]))


@dataclass(slots=True)
class Builder:
    """Collects the graph.

    Attributes:
        modules: by name, in the order of their first call.
        calls: in order.
        weights: the variables, in the order of the torch module's parameters and buffers.
        bindings: of the variables that are whole tensors.
        packed: name of a tensor that is several variables -> path of each -> its rows.
        joined: path of a variable that is several tensors -> these.
        paths: id of a torch tensor and the rows of it -> path of its variable.
    """

    modules: dict[str, Module] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    weights: dict[str, Variable] = field(default_factory=dict)
    bindings: list[Binding] = field(default_factory=list)
    packed: dict[str, dict[str, Leaf]] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    paths: dict[tuple[int, str], str] = field(default_factory=dict)

    def call(
        self,
        name: str,
        op: str,
        *inputs: Any,
        attrs: Mapping[str, Any] | None = None,
        params: Mapping[str, Leaf | Joined] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> OutputRef:
        """Call an op, and define it if no module of the name is there.

        Args:
            name: of the torch module or function; a module that is called again is shared.
            op: of the vocabulary, without its namespace.
            inputs: outputs of earlier calls, lists of such, or literals.
            attrs: its attributes; those that have their default are left out.
            params: its variables by role.
            kwargs: arguments of the call.

        Returns:
            Its first output.
        """
        label = escape_segment(name)
        known = sparse(ops()[op].attrs, attrs or {})
        while label in self.modules and (self.modules[label].op, self.modules[label].attrs) != (NAMESPACE + op, known):
            label += "'"  # a function of the name of a layer
        if label not in self.modules:
            self.modules[label] = self.module(label, op, known, params or {}, label)
        return self.call_again(label, *inputs, kwargs=kwargs)

    def module(
        self, name: str, op: str, attrs: Mapping[str, Any], params: Mapping[str, Leaf | Joined], place: str
    ) -> Module:
        """A module that is in no list yet; its variables have paths below `place`."""
        paths = {role: self.variable(role, leaf, place) for role, leaf in params.items()}
        return Module(name, op=NAMESPACE + op, attrs=sparse(ops()[op].attrs, attrs), params=paths)

    def call_again(self, label: str, *inputs: Any, kwargs: Mapping[str, Any] | None = None) -> OutputRef:
        """Call a module that is there."""
        times = sum(call.module == label for call in self.calls)
        call = Call(f"{label}:{times}" if times else label, label, list(inputs), dict(kwargs or {}))
        self.calls.append(call)
        return OutputRef(call.id, 0)

    def variable(self, role: str, leaf: Leaf | Joined, label: str) -> str:
        """The path of a tensor's variable, which is made when it is first met: tied tensors are one variable."""
        path = f"{label}/{role}"
        if isinstance(leaf, Joined):
            trainable = all(one.trainable for one in leaf.leaves)
            self.weights[path] = Variable(Tensor.of(leaf.elements()), role, trainable)
            self.joined[path] = leaf
            return path
        rows = "" if leaf.part is None else f"{leaf.part.start}:{leaf.part.stop}"
        known = self.paths.get((id(leaf.tensor), rows))
        if known is not None:
            if self.weights[known].shape != leaf.core_shape():
                found = f"{shown(leaf.name)}, which is tied to a parameter of another layout"
                raise error("torch-trace", where=label, found=found)
            return known
        trainable = leaf.trainable
        shape = leaf.core_shape()
        self.weights[path] = Variable(Tensor.of(_elements(leaf, shape)), role, trainable)
        self.paths[id(leaf.tensor), rows] = path
        if leaf.part is None:
            torch_shape = tuple(leaf.tensor.shape)
            self.bindings.append(
                Binding(path, leaf.name, leaf.layout, shape, torch_shape, role, trainable, (leaf.name,))
            )
        else:
            self.packed.setdefault(leaf.name, {})[path] = leaf
        return path

    def config(self, name: str, inputs: Sequence[OutputRef], outputs: Any) -> Config:
        """The finished graph."""
        graph = Graph(inputs[0] if len(inputs) == 1 else list(inputs), outputs, self.calls)
        return Config(Module(name, "graph", "core:graph", modules=list(self.modules.values()), graph=graph))

    def finished(self) -> Weights:
        """The variables."""
        return Weights(dict(self.weights))


def _elements(leaf: Leaf, shape: tuple[int, ...]) -> Array:
    return np.ascontiguousarray(leaf.layout.backward(array_of(leaf.held), core_shape=shape)).reshape(shape)
