"""A Keras model to the checkpoint that TensorFlow restores into it (SPEC.md, annex F.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from etui.bridges.keras.account import Scope, account
from etui.bridges.keras.layer_variables import layer_variables
from etui.bridges.keras.layout import VARS, places
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import is_input, is_model, is_sequential, residue, resolved
from etui.bridges.tensorflow.arrays import outgoing
from etui.bridges.tensorflow.keras_names import ObjectNames, Steps, listed
from etui.bridges.tensorflow.legacy_optimizer import LEGACY, layout_paths, slot_names, written_settings
from etui.bridges.tensorflow.lookup_tables import empty_tables
from etui.bridges.tensorflow.object_graph import VALUE, Attribute, ObjectGraph, SlotReference
from etui.bridges.tensorflow.objects_read import FRAMEWORK, SETTINGS, TENSORS
from etui.bridges.tensorflow.objects_write import SAVE_COUNTER, graph_tensor, tensor_key
from etui.containers.config import Config
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.model import Model
from etui.report import Report
from etui.storage.tf_bundle_writer import Outgoing

OPTIMIZER, INNER, ROOT, OBJECTS = "optimizer", "inner_optimizer", "root", "objects"
_SCOPE = Scope(
    "a TensorFlow checkpoint",
    frozenset({"weights", "optimizer", "counters", "residue"}),
    outside=frozenset({"config", "training", "assets", "programs", "native", "metadata"}),
)
_SEEDS = "seed_generator"


def written_keras(model: Model, report: Report) -> list[Outgoing]:
    """The tensors of the checkpoint, its object graph included.

    Args:
        model: one whose layers are Keras' own.
        report: gets an entry for each item.

    Raises:
        TransferError: a code that begins with ``keras-``, Keras has no form for the model.
    """
    return _Writing(model, report).tensors()


class _Writing:
    def __init__(self, model: Model, report: Report) -> None:
        legacy = _legacy(model)
        # The numbered list of a `.keras` file is no form of the older optimizers.
        plain = model if legacy is None else replace(model, optimizer=None)
        self._written = Writing(plain).written()
        self._config: Config = Writing(plain).model_config
        self._model = model
        self._legacy = legacy
        self._report = report
        self._graph = ObjectGraph()
        self._tensors: list[Outgoing] = []
        self._nodes: dict[str, int] = {}
        facts = self._config.model.residue.get(FRAMEWORK, {})
        self._facts: Mapping[str, Any] = facts if isinstance(facts, dict) else {}

    def tensors(self) -> list[Outgoing]:
        usual = "model" if self._written.dialect == "keras" else ""
        name = self._facts.get(ROOT, usual)
        way = (name,) if isinstance(name, str) and name else ()
        root = self._graph.add(0, way[0]) if way else 0
        self._variables(root, way)
        self._tables(root, way)
        self._optimizers(root)
        if way:
            self._counter()
        elif "root" not in self._graph.nodes[0].children:
            # So does tf_keras, whose reader of weights takes the model for the root of the checkpoint.
            self._graph.nodes[0].children["root"] = 0
        self._rest()
        self._state()
        account(self._model, self._report, _SCOPE)
        return [*self._tensors, graph_tensor(self._graph.serialized())]

    def _put(self, steps: Steps, before: tuple[str, ...], tensor: Tensor, full_name: str) -> int:
        """Give a tensor to the node that steps lead to from the root."""
        node = 0
        for name in before:
            node = self._graph.add(node, name)
        for names in steps:
            node = self._step(node, names)
        key = tensor_key(*before, *(names[0] for names in steps))
        self._graph.nodes[node].attributes.append(Attribute(VALUE, full_name, key))
        self._tensors.append(outgoing(key, tensor))
        return node

    def _step(self, parent: int, names: tuple[str, ...]) -> int:
        """The node of a step, which may have several names: the one that is there by any of them, or a new one."""
        children = self._graph.nodes[parent].children
        node = next((children[name] for name in names if name in children), None)
        if node is None:
            node = self._graph.add(parent, names[0])
        for name in names:
            children.setdefault(name, node)
        return node

    def _variables(self, root: int, way: tuple[str, ...]) -> None:
        object_names = ObjectNames(self._config, self._written.dialect)
        same = _shared_groups(self._config)
        datasets, rank = self._written.datasets, 0
        self._layers(object_names, root)
        for layer in layer_variables(self._config, self._written.dialect, _keys(datasets, same)):
            choice = layer.variables
            for one, steps in zip(choice, object_names.steps(rank, layer, choice), strict=True):
                layout = _same(one.layout, same)
                if one.role.isdecimal():
                    continue  # of a layer that is not built in: its attributes have names that only its reader knew
                there = self._graph.at(root, *(names[0] for names in steps))
                if layout in self._nodes:
                    self._edge(root, steps, self._nodes[layout])
                elif layout in datasets and there is not None and self._graph.nodes[there].value is not None:
                    self._nodes[layout] = there  # a layer and the one in it that have one variable
                elif layout in datasets:
                    full_name = "/".join((*one.names, one.role))
                    self._nodes[layout] = self._put(steps, way, datasets[layout], full_name)
                    self._nodes.update((copy, self._nodes[layout]) for copy in one.copies)
            rank += bool(choice)
        objects = self._facts.get(OBJECTS, {})
        for layout, edges in objects.items() if isinstance(objects, dict) else ():
            if layout in datasets and layout not in self._nodes and _are_names(edges):
                steps = tuple((edge,) for edge in edges)
                self._nodes[layout] = self._put(steps, way, datasets[layout], "/".join(edges))

    def _layers(self, names: ObjectNames, root: int) -> None:
        """An object for each layer, those without variables too, so that the numbers of layers are all there."""
        model, dialect = self._config.model, self._written.dialect
        for index, child in enumerate(listed(model) if is_model(model) else ()):
            hidden = is_sequential(model) and is_input(resolved(self._config, child).op)
            steps = names.number_steps(model, index)
            if is_sequential(model) and dialect == "keras":
                # Keras 3 lists an input first, which the config of a Sequential model need not have.
                self._graph.add(self._reached(root, steps[:-1]), "0")
            if not hidden:
                self._reached(root, steps)

    def _reached(self, node: int, names: tuple[str, ...]) -> int:
        """The node that edges of these names lead to, made where it is not there."""
        for name in names:
            node = self._graph.add(node, name)
        return node

    def _tables(self, root: int, way: tuple[str, ...]) -> None:
        """The counts of words of lookup layers, which are empty."""
        for table in empty_tables(self._config, ObjectNames(self._config, self._written.dialect)):
            node = self._reached(root, table.way)
            key = tensor_key(*way, *table.way).removesuffix(VALUE) + table.attribute
            self._graph.nodes[node].attributes.append(Attribute(table.attribute, "", key))
            self._tensors += [outgoing(key + end, tensor) for end, tensor in table.tensors.items()]
            self._report.add("state", "/".join(table.way), "fresh", "counts of words, which are empty after adapting")

    def _edge(self, root: int, steps: Steps, node: int) -> None:
        """A further way to a variable that is there."""
        parent = root
        for names in steps[:-1]:
            parent = self._step(parent, names)
        self._graph.nodes[parent].children.setdefault(steps[-1][0], node)

    def _optimizers(self, root: int) -> None:
        optimizers = {} if self._model.optimizer is None else self._model.optimizer.optimizers
        optimizer = optimizers.get(OPTIMIZER)
        for path in optimizers:
            if path != OPTIMIZER:
                self._report.add(OPTIMIZER, path, "not-transferable", "an object of TensorFlow's has one optimizer")
        if optimizer is None:
            return
        node = self._graph.add(root, OPTIMIZER)
        if root:
            self._graph.nodes[0].children[OPTIMIZER] = node
        # Keys as TensorFlow makes them: of the shortest way.
        if optimizer.algorithm.startswith(LEGACY):
            self._legacy_optimizer(optimizer, node)
        else:
            self._listed_optimizer(optimizer, (OPTIMIZER,), OPTIMIZER)

    def _listed_optimizer(self, optimizer: Optimizer, way: tuple[str, ...], group: str) -> None:
        """An optimizer with a list of its variables, numbered as in a `.keras` file."""
        prefix = f"{group}/{VARS}/"
        inner = f"{group}/{INNER}/{VARS}/"
        datasets = self._written.datasets
        listed = [name for name in datasets if name.startswith(prefix)]
        wrapped = [name for name in datasets if name.startswith(inner)]
        if optimizer.inner is not None and self._written.dialect == "tf_keras":
            # The wrapper shows the variables of the wrapped optimizer as its own, and the scale of the loss.
            self._listed_optimizer(optimizer.inner, way, f"{group}/{INNER}")
            self._scale(optimizer, way)
            self._nodes.update(dict.fromkeys(listed, 0))
            return
        if optimizer.inner is not None:
            self._listed_optimizer(optimizer.inner, (*way, INNER), f"{group}/{INNER}")
        at = 0
        for name in way:
            at = self._graph.add(at, name)
        copies = self._copies(optimizer, listed, wrapped)
        for layout in listed:
            number = layout.removeprefix(prefix)
            if layout in copies:
                self._nodes[layout] = self._nodes[copies[layout]]
            else:
                steps = (("_variables",), (number,))
                self._nodes[layout] = self._put(steps, way, datasets[layout], f"optimizer/{number}")
        if f"{prefix}0" in self._nodes:
            self._graph.nodes[at].children["_iterations"] = self._nodes[f"{prefix}0"]
        if self._written.dialect == "tf_keras":
            self._tf_keras_rate(optimizer, way, at)
        else:
            self._trained(optimizer, at)
            if f"{prefix}1" in self._nodes and optimizer.schedule is None:
                self._graph.nodes[at].children["_learning_rate"] = self._nodes[f"{prefix}1"]

    def _scale(self, optimizer: Optimizer, way: tuple[str, ...]) -> None:
        """The scale of the loss: as it was read from a checkpoint or a SavedModel, else as tf_keras starts it."""
        facts = optimizer.residue.get(FRAMEWORK, {})
        settings = facts.get(SETTINGS, {}) if isinstance(facts, dict) else {}
        initial = optimizer.hyperparameters.get("initial_scale")
        begin = np.float32(initial if isinstance(initial, int | float) else 2**15)
        for name, start in (("current_loss_scale", begin), ("good_steps", np.int64(0))):
            kept = settings.get(name)
            if not isinstance(kept, Tensor):
                self._report.add("slot", f"{OPTIMIZER}/{name}", "reset", "the source does not hold it")
            self._put((("loss_scale",), (name,)), way, kept if isinstance(kept, Tensor) else Tensor.of(start), name)

    def _copies(self, optimizer: Optimizer, listed: Sequence[str], wrapped: Sequence[str]) -> dict[str, str]:
        """What a wrapper lists of the optimizer in it: layout name -> that of the same variable."""
        facts = optimizer.residue.get("keras", {})
        if optimizer.inner is None or not wrapped or facts.get("copies") is False or len(listed) <= len(wrapped):
            return {}
        return dict(zip(listed[len(listed) - len(wrapped) :], wrapped, strict=True))

    def _tf_keras_rate(self, optimizer: Optimizer, way: tuple[str, ...], at: int) -> None:
        """The rate, which tf_keras keeps in an attribute of its own; that of a schedule is made anew at each step."""
        if "_iterations" not in self._graph.nodes[at].children or optimizer.inner is not None:
            return
        rate = optimizer.learning_rate
        name = "_learning_rate"
        if optimizer.schedule is not None:
            name = "_current_learning_rate"
            rate = _initial(optimizer.schedule) if rate is None else rate
        if rate is not None:
            self._put(((name,),), way, Tensor.of(np.float32(rate)), "learning_rate")

    def _trained(self, optimizer: Optimizer, at: int) -> None:
        """The list of trained variables, by which Keras 3 reaches some that no layer leads to."""
        layouts = {path: layout for layout, path in layout_paths(self._model).items()}
        paths = optimizer.variables()
        for index, path in enumerate(paths):
            layout = layouts.get(path, "")
            if layout in self._nodes:
                members = self._graph.add(at, "_trainable_variables")
                self._graph.nodes[members].children[str(index)] = self._nodes[layout]
            elif layout in self._written.datasets:
                steps = (("_trainable_variables",), (str(index),))
                self._nodes[layout] = self._put(steps, (OPTIMIZER,), self._written.datasets[layout], path)

    def _legacy_optimizer(self, optimizer: Optimizer, node: int) -> None:
        layouts = {path: layout for layout, path in layout_paths(self._model).items()}
        neutral = slot_names(optimizer.algorithm)
        names = {value: key for key, value in neutral.items()}
        for name, tensor in written_settings(optimizer).items():
            self._put(((name,),), (OPTIMIZER,), tensor, name)
        for slot in dict.fromkeys(name for slots in optimizer.slots.values() for name in slots):
            for path, slots in optimizer.slots.items():
                variable = self._nodes.get(layouts.get(path, ""))
                value = None if variable is None else self._graph.nodes[variable].value
                if slot not in slots or variable is None or value is None:
                    continue
                name = names.get(slot, slot)
                self._graph.nodes.append(type(self._graph.nodes[0])())
                at = len(self._graph.nodes) - 1
                way = value.key.removesuffix(f"/.ATTRIBUTES/{VALUE}")
                key = f"{way}/.OPTIMIZER_SLOT/{OPTIMIZER}/{name}/.ATTRIBUTES/{VALUE}"
                self._graph.nodes[at].attributes.append(Attribute(VALUE, f"{value.full_name}/{name}", key))
                self._graph.nodes[node].slots.append(SlotReference(variable, name, at))
                self._tensors.append(outgoing(key, slots[slot]))

    def _counter(self) -> None:
        counters = self._model.state.counters if self._model.state is not None else {}
        kept = self._facts.get(SAVE_COUNTER)
        count = counters.get(SAVE_COUNTER, kept if type(kept) is int else 1)
        self._put(((SAVE_COUNTER,),), (), Tensor.of(np.int64(count)), SAVE_COUNTER)

    def _state(self) -> None:
        """Name each counter, and each tensor that was no variable of the model when it was read."""
        state = self._model.state
        if state is None:
            return
        counted = SAVE_COUNTER in self._graph.nodes[0].children
        for name in state.counters:
            fate = ("reset", "no object of TensorFlow's has it")
            if name == SAVE_COUNTER:
                fate = ("restored", "") if counted else ("left-out", "a model alone has no counter of saves")
            self._report.add("state", name, *fate)
        for framework in sorted(state.residue.keys() - {FRAMEWORK}):
            self._report.add("state", f"residue/{framework}", "left-out", "facts of another framework")
        kept = state.residue.get(FRAMEWORK, {})
        for key in kept.get(TENSORS, {}) if isinstance(kept, dict) else ():
            self._report.add("state", key, "left-out", "no variable of the model")

    def _rest(self) -> None:
        """Name what no object of TensorFlow's leads to."""
        paths = layout_paths(self._model)
        for layout in self._written.datasets:
            if layout not in self._nodes and not layout.startswith("metrics/"):
                fate = ("not-transferable", "no object that TensorFlow knows leads to it")
                if _SEEDS in layout.split("/"):
                    fate = ("reset", "the state of a random stream, which TensorFlow does not store")
                self._report.add("variable", paths.get(layout, layout), *fate)


def _legacy(model: Model) -> Optimizer | None:
    optimizer = None if model.optimizer is None else model.optimizer.optimizers.get(OPTIMIZER)
    return optimizer if optimizer is not None and optimizer.algorithm.startswith(LEGACY) else None


def _keys(datasets: Mapping[str, Tensor], same: Mapping[str, str]) -> dict[str, dict[str, bool]]:
    """The keys of the variables that each group has, those of a layer's second place included."""
    found: dict[str, dict[str, bool]] = {}
    for layout in datasets:
        group, _, key = layout.rpartition(f"/{VARS}/")
        found.setdefault(group, {})[key] = True
    for second, first in same.items():
        for group in list(found):
            if group == first or group.startswith(f"{first}/"):
                found[second + group.removeprefix(first)] = found[group]
    return found


def _shared_groups(config: Config) -> dict[str, str]:
    """Group of a layer that stands at a second place -> its group at the first."""
    first: dict[Any, str] = {}
    found = {}
    for place in places(config):
        shared = residue(place.module).get("shared")
        if type(shared) is int and place.group:
            before = first.setdefault(shared, place.group)
            if before != place.group:
                found[place.group] = before
    return found


def _same(layout: str, same: Mapping[str, str]) -> str:
    for group, first in same.items():
        if layout.startswith(f"{group}/"):
            return first + layout.removeprefix(group)
    return layout


def _are_names(edges: Any) -> bool:
    return isinstance(edges, list) and bool(edges) and all(isinstance(edge, str) for edge in edges)


def _initial(schedule: Any) -> float:
    config = getattr(schedule, "config", {})
    rate = config.get("initial_learning_rate") if isinstance(config, dict) else None
    return float(rate) if isinstance(rate, int | float) else 0.0
