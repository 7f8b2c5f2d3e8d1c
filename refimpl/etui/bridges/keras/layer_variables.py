"""Which variables the layers of a config have, and in which order, without a weights file (SPEC.md, annex C).

Legacy HDF5, TF.js and SavedModel store a layer's variables as a list, in the order of Keras' `layer.weights`: the
trainable ones, then the others, each layer's own before those of the layers that it holds. The names in the layout are
those that the same model has in a `.keras` file, so that one reader serves all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etui.bridges.keras.layer_table import SAME_AS_FORWARD, Var
from etui.bridges.keras.layout import VARS, places
from etui.bridges.keras.modules import (
    child_groups,
    is_input,
    is_listed,
    is_model,
    is_sequential,
    join,
    keras_name,
    residue,
    resolved,
    row,
)
from etui.bridges.keras.names import is_operation
from etui.bridges.keras.roles import candidates
from etui.containers.config import Config, Module

# A layer that another holds: its module, its group, and the way to it.
_Child = tuple[Module, str, tuple[str, ...]]
# Attributes of Keras 3's layers whose name is not the variable's: properties stand in front of them.
_HIDDEN = {"kernel": "_kernel", "embeddings": "_embeddings"}
_WITH_HIDDEN = frozenset({"Dense", "EinsumDense", "Embedding", "ReversibleEmbedding", "Conv1D", "Conv2D", "Conv3D"})
_ADAPTED = {"mean": "adapt_mean", "variance": "adapt_variance"}
# Layers that attention makes by itself: tf_keras and GroupQueryAttention keep their groups private, as all do with
# the last two; objects of TensorFlow have the private name everywhere.
_PRIVATE = frozenset({"softmax", "dropout_layer"})
_WEIGHTED = ("tf_idf", "tf-idf")
_ATTENTION = frozenset({"query_dense", "key_dense", "gate_dense", "value_dense", "output_dense"}) | _PRIVATE


@dataclass(frozen=True, slots=True)
class LayerVariable:
    """One variable that a layer has.

    Attributes:
        layout: its name in the layout of a `.keras` file: ``layers/lstm/cell/vars/0``.
        role: its neutral name, ``kernel``.
        owner: the way from the listed layer to the layer that has it, as TensorFlow names objects: ``("cell",)``; a
            layer of a nested model is ``layers`` and its number there.
        attribute: the attribute of its owner that holds it in TensorFlow's object graph.
        names: Keras' names of the listed layer and of those on the way to the owner.
        trainable: whether it is, with all flags of the layers around it.
        own: whether its layer makes it trainable, were no layer frozen.
        copies: names in the layout under which a `.keras` file stores it a second time.
        op, attrs: of its owner.
    """

    layout: str
    role: str
    owner: tuple[str, ...]
    attribute: str
    names: tuple[str, ...]
    trainable: bool
    own: bool
    copies: tuple[str, ...] = ()
    op: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class LayerVariables:
    """The variables of one layer that a model lists; a model in the model is one layer.

    Attributes:
        name: Keras' name of the layer.
        path: of its module.
        module: it.
        group: its group in the layout.
        variables: in the order of `layer.weights`, the likeliest choice.
        alternatives: other choices, where attributes do not decide which variables there are.
        groups: the groups in the layout that hold variables, with those that hold none.
        known: whether every layer in it is built in; the variables of others are not known.
        named: the same groups, each with Keras' name of its layer.
        unknown: group in the layout of each layer whose variables are not known -> Keras' names on the way to it.
    """

    name: str
    path: str
    module: Module
    group: str
    variables: tuple[LayerVariable, ...] = ()
    alternatives: tuple[tuple[LayerVariable, ...], ...] = ()
    groups: tuple[str, ...] = ()
    known: bool = True
    named: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


# Group of a layer in the layout -> key of each of its variables there -> whether the layer makes it trainable.
Keys = Mapping[str, Mapping[str, bool]]


@dataclass(slots=True)
class _Node:
    """A layer and those that it holds."""

    group: str
    op: str
    attrs: Mapping[str, Any]
    owner: tuple[str, ...]
    names: tuple[str, ...]
    frozen: bool
    plans: list[list[Var]] = field(default_factory=list)
    children: list[_Node] = field(default_factory=list)
    known: bool = True
    numbered: bool = False


def layer_variables(config: Config, dialect: str, keys: Keys | None = None) -> list[LayerVariables]:
    """The layers of a model in the order in which Keras lists them, each with its variables.

    Args:
        config: the neutral config; for a model that is no Functional or Sequential one, the model is the only layer.
        dialect: ``keras`` or ``tf_keras``.
        keys: what each layer has, if that is known: decides between choices, and tells the variables of layers that
            are not built in.

    Returns:
        An entry for each layer, those without variables too; operations of Keras 3 are no layers, nor is the input of
        a Sequential model.
    """
    return list(_Walk(config, dialect, keys).layers())


class _Walk:
    def __init__(self, config: Config, dialect: str, keys: Keys | None) -> None:
        self.config = config
        self.dialect = dialect
        self.keys = keys
        self.group_of = {place.path: place.group for place in places(config)}

    def layers(self) -> Iterator[LayerVariables]:
        root = self.config.model
        if not is_model(root):
            yield self._listed(root, "", "")
            return
        groups = child_groups(self.config, root)
        frozen = root.attrs.get("trainable") is False
        for child in root.modules:
            found = resolved(self.config, child)
            hidden = is_operation(found.op) or (is_sequential(root) and is_input(found.op))
            if is_listed(child) and not hidden:
                shared = self.group_of.get(child.target or "")
                group = shared or groups.get(child.name, "")
                yield self._listed(child, child.target or child.name, group, frozen=frozen)

    def _listed(self, module: Module, path: str, group: str, *, frozen: bool = False) -> LayerVariables:
        found = resolved(self.config, module)
        name = keras_name(found)
        node = self._node(found, group, (), (name,), frozen=frozen)
        choices = _choices(node, self.dialect)
        below = list(_below(node)) if group or not path else []
        named = {join(one.group, VARS): one.names[-1] for one in below}
        unknown = {one.group: one.names for one in below if not one.known}
        known = all(one.known for one in _below(node))
        return LayerVariables(
            name, path, module, group, choices[0], tuple(choices[1:]), tuple(named), known, named, unknown
        )

    def _node(
        self, module: Module, group: str, owner: tuple[str, ...], names: tuple[str, ...], *, frozen: bool
    ) -> _Node:
        """A layer of the config."""
        frozen = frozen or module.attrs.get("trainable") is False
        node = _Node(group, module.op, module.attrs, owner, names, frozen)
        self._own(node)
        node.known = is_model(module) or is_input(module.op) or _is_builtin(module.op)
        children = self._children(module, group)
        order = {name: at for at, name in enumerate(row(module.op).order)}
        held = {attribute: self._held(node, children, *found) for attribute, found in children.items()}
        for attribute, made in (row(module.op).made or {}).items():
            if attribute == "gate_dense" and not module.attrs.get("use_gate"):
                continue
            if attribute not in held and not any(one.startswith(f"{attribute}/") for one in held):
                held[attribute] = self._made(node, attribute, *made(module.attrs), children)
        node.children = [
            held[key] for key in sorted(held, key=lambda one: order.get(one.partition("/")[0], len(order)))
        ]
        return node

    def _own(self, node: _Node) -> None:
        plans = list(candidates(node.op, node.attrs, others=False)) or [[]]
        # A table of words has weights for them in one mode alone, and does not list them in Keras 3.
        hidden = row(node.op).keyed and self.dialect == "keras"
        if hidden or (row(node.op).keyed and node.attrs.get("output_mode") not in _WEIGHTED):
            plans = [[]]
        own = None if self.keys is None else self.keys.get(node.group)
        if own is not None and not hidden:
            fitting = [plan for plan in plans if len(plan) == len(own)]
            plans = fitting[:1] or [[Var(key, trainable=flag) for key, flag in own.items()]]
            node.numbered = not fitting
        node.plans = plans

    def _children(self, module: Module, group: str) -> dict[str, _Child]:
        """The layers that a layer holds by config: by attribute, module, group and way."""
        found: dict[str, _Child] = {}
        groups = child_groups(self.config, module)
        counts: dict[str, int] = {}
        for child in module.modules:
            target = resolved(self.config, child)
            relative = groups.get(child.name)
            place = self.group_of.get(child.target or "") or join(group, relative or "")
            if is_model(module) and is_listed(child):
                number = counts.get("layers", 0)
                counts["layers"] = number + 1
                if relative is not None:
                    found[f"layers/{number}"] = (target, place, ("layers", str(number)))
                continue
            if relative is None or is_operation(target.op):
                continue
            head = relative.partition("/")[0]
            if "/" in relative:
                number = counts.get(head, 0)
                counts[head] = number + 1
                found[f"{head}/{number}"] = (target, place, (head, str(number)))
            else:
                found[head.lstrip("_")] = (target, place, (head,))
        return found

    def _held(
        self, node: _Node, children: Mapping[str, _Child], module: Module, group: str, way: tuple[str, ...]
    ) -> _Node:
        attribute = way[0].lstrip("_")
        name = keras_name(module)
        made = (row(node.op).made or {}).get(attribute)
        if made is not None and not module.attrs:
            # The layer was made by the other one, and found in a weights file.
            op, attrs = made(node.attrs)
            if op == SAME_AS_FORWARD and SAME_AS_FORWARD in children:
                forward = children[SAME_AS_FORWARD][0]
                op, attrs = forward.op, forward.attrs
            name = str(residue(module).get("vars_name") or _made_name(node, attribute, children))
            module = replace(module, op=op, attrs=dict(attrs))
        elif node.op == "keras:Bidirectional" and self.dialect == "tf_keras":
            name = f"{attribute.partition('_')[0]}_{name}"
        return self._node(module, group, (*node.owner, *way), (*node.names, name), frozen=node.frozen)

    def _made(
        self,
        node: _Node,
        attribute: str,
        op: str,
        attrs: Mapping[str, Any],
        held: Mapping[str, _Child],
    ) -> _Node:
        """A layer that a layer makes by itself."""
        group = f"_{attribute}" if attribute in self._private(node) else attribute
        way = f"_{attribute}" if attribute in _ATTENTION or attribute == "lookup_layer" else attribute
        name = _made_name(node, attribute, held)
        place = (join(node.group, group), (*node.owner, way), (*node.names, name))
        if op == SAME_AS_FORWARD:
            first = held.get(SAME_AS_FORWARD)
            if first is not None:
                return self._node(first[0], *place, frozen=node.frozen)
        made = _Node(place[0], op, attrs, place[1], place[2], node.frozen)
        self._own(made)
        return made

    def _private(self, node: _Node) -> frozenset[str]:
        if node.op == "keras:MultiHeadAttention":
            return _ATTENTION if self.dialect == "tf_keras" else _PRIVATE
        return _ATTENTION | {"lookup_layer"}


def _is_builtin(op: str) -> bool:
    return op.startswith("keras:") and op != "keras:Layer"


_MADE_NAMES = {"query_dense": "query", "key_dense": "key", "value_dense": "value", "output_dense": "attention_output"}


def _made_name(node: _Node, attribute: str, held: Mapping[str, _Child]) -> str:
    """Keras' name of a layer that a layer makes by itself."""
    if attribute == "cell":
        kind = node.op.partition(":")[2]
        return {"LSTM": "lstm_cell", "GRU": "gru_cell", "SimpleRNN": "simple_rnn_cell"}.get(kind, "conv_lstm_cell")
    if attribute == "backward_layer" and SAME_AS_FORWARD in held:
        return f"backward_{keras_name(held[SAME_AS_FORWARD][0]).removeprefix('forward_')}"
    return _MADE_NAMES.get(attribute, attribute)


def _below(node: _Node) -> Iterator[_Node]:
    yield node
    for child in node.children:
        yield from _below(child)


def _choices(node: _Node, dialect: str) -> list[tuple[LayerVariable, ...]]:
    """The lists of variables that a layer may have: the likeliest of every part, then one part at a time otherwise."""
    parts = list(_below(node))
    first = {id(part): part.plans[0] for part in parts}
    choices = [first]
    choices += [first | {id(part): plan} for part in parts for plan in part.plans[1:]]
    if any(part.plans[1:] for part in parts):
        choices.append({id(part): part.plans[-1] for part in parts})
    found: list[tuple[LayerVariable, ...]] = []
    for choice in choices:
        listed = tuple(_ordered(node, choice, dialect))
        if listed not in found:
            found.append(listed)
    return found


def _ordered(node: _Node, plans: Mapping[int, list[Var]], dialect: str) -> list[LayerVariable]:
    """Keras' `trainable_weights` and behind them its `non_trainable_weights`, each variable once."""
    listed: list[LayerVariable] = []
    seen: set[str] = set()
    shared = _aliases(node, plans)
    for one in [*_trainable(node, plans, dialect), *_others(node, plans, dialect)]:
        layout = shared.get(one.layout, one.layout)
        if layout not in seen:
            seen.add(layout)
            copies = [layout, *(copy for copy, first in shared.items() if first == layout)]
            listed.append(replace(one, copies=tuple(copy for copy in copies if copy != one.layout)))
    return listed


def _variables(node: _Node, plans: Mapping[int, list[Var]], dialect: str) -> list[LayerVariable]:
    return [
        LayerVariable(
            f"{join(node.group, VARS)}/{var.name if row(node.op).keyed or node.numbered else at}",
            var.name,
            node.owner,
            _attribute(node.op, var.name, dialect),
            node.names,
            var.trainable and not node.frozen,
            var.trainable,
            op=node.op,
            attrs=node.attrs,
        )
        for at, var in enumerate(plans[id(node)])
    ]


def _trainable(node: _Node, plans: Mapping[int, list[Var]], dialect: str) -> Iterator[LayerVariable]:
    if not node.frozen:
        yield from (one for one in _variables(node, plans, dialect) if one.own)
        for child in node.children:
            yield from _trainable(child, plans, dialect)


def _others(node: _Node, plans: Mapping[int, list[Var]], dialect: str) -> Iterator[LayerVariable]:
    own = _variables(node, plans, dialect)
    yield from (one for one in own if node.frozen and one.own)
    yield from (one for one in own if not one.own)
    for child in node.children:
        yield from _others(child, plans, dialect)


def _aliases(node: _Node, plans: Mapping[int, list[Var]]) -> dict[str, str]:
    """Layout name of a variable that a layer stores a second time -> that of the first: SpectralNormalization."""
    found = {}
    by_role = {}
    for part in _below(node):
        for at, var in enumerate(plans[id(part)]):
            by_role[join(part.group, var.name)] = f"{join(part.group, VARS)}/{at}"
    for part in _below(node):
        for role, others in (row(part.op).alias or {}).items():
            target = next((by_role[join(part.group, one)] for one in others if join(part.group, one) in by_role), None)
            mine = by_role.get(join(part.group, role))
            if mine is not None and target is not None:
                found[mine] = target
    return found


def _attribute(op: str, role: str, dialect: str) -> str:
    kind = op.partition(":")[2]
    if kind == "Normalization":
        return _ADAPTED.get(role, role)
    if dialect == "tf_keras":
        return "depthwise_kernel" if kind.startswith("DepthwiseConv") and role == "kernel" else role
    return _HIDDEN.get(role, role) if kind in _WITH_HIDDEN else role
