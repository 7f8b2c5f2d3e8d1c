"""A checkpoint of a Keras model whose config is known: the whole neutral model (SPEC.md, annex F.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from etui.bridges.keras.config_read import ConfigReader
from etui.bridges.keras.content import Content, Renamed, Stored
from etui.bridges.keras.groups import expected_groups
from etui.bridges.keras.layer_variables import LayerVariable, LayerVariables, layer_variables
from etui.bridges.keras.layout import VARS, adopt_groups
from etui.bridges.keras.model_read import read_model
from etui.bridges.keras.modules import is_model
from etui.bridges.keras.optimizer_table import class_named
from etui.bridges.keras.values import is_object
from etui.bridges.tensorflow.arrays import data_of, tensor_of
from etui.bridges.tensorflow.keras_names import ObjectNames, listed
from etui.bridges.tensorflow.keras_places import ObjectPlaces, is_call
from etui.bridges.tensorflow.legacy_optimizer import is_legacy, read_legacy
from etui.bridges.tensorflow.lookup_tables import counting
from etui.bridges.tensorflow.object_graph import KEY, ObjectGraph
from etui.bridges.tensorflow.object_places import is_optimizer
from etui.bridges.tensorflow.objects_read import FRAMEWORK, TENSORS, keep_scale
from etui.containers.state import State
from etui.model import Model
from etui.report import Report
from etui.storage.tf_bundle import BundleTensor

OPTIMIZER, INNER = "optimizer", "inner_optimizer"
ROOT, OBJECTS = "root", "objects"
_SAVE_COUNTER = "save_counter"
_DEPTH = 32
_CANDIDATES = 256
_RATES = ("_learning_rate", "_current_learning_rate")
_SCALE = "loss_scale"
# A `.keras` file has it in a TextVectorization and in the lookup layer in that, where they are one variable.
_TWICE = "idf_weights"
_LISTED, _TRAINED = "_variables", "_trainable_variables"


def read_keras(
    content: Content, graph: ObjectGraph, tensors: Mapping[str, BundleTensor], report: Report
) -> Model | None:
    """The model of a checkpoint, or `None` where the objects are those of no model of the config.

    Args:
        content: config and dialect of the model.
        graph: the objects of the checkpoint.
        tensors: every tensor of its bundle.
        report: gets an entry for each tensor.

    Raises:
        RejectError: a code of SPEC.md, annexes B and F.
    """
    return _Reading(content, graph, tensors, report).model()


class _Reading:
    def __init__(
        self, content: Content, graph: ObjectGraph, tensors: Mapping[str, BundleTensor], report: Report
    ) -> None:
        self._content = content
        self._graph = graph
        self._tensors = tensors
        self._report = report
        self._config = ConfigReader(content.tree, content.dialect, lambda _: False).read()
        self._layers = layer_variables(self._config, content.dialect)
        self._places = ObjectPlaces(self._config, content.dialect, graph, self._layers)
        self._datasets: dict[str, Stored] = {}
        self._used: set[str] = {KEY}
        self._layout: dict[int, str] = {}
        self._again: set[str] = set()
        self._met: set[int] = {0}
        # Of layers that are not built in: name in the layout -> the edges that lead to the variable.
        self._edges: dict[str, list[str]] = {}

    def model(self) -> Model | None:
        found = self._root()
        if found is None:
            return None
        name, root = found
        optimizer = self._optimizer_node(root)
        self._variables(root, optimizer)
        legacy = optimizer is not None and is_legacy(self._graph.nodes[optimizer])
        has_optimizer = self._has_optimizer()
        if optimizer is not None and has_optimizer and not legacy:
            self._optimizer(optimizer, OPTIMIZER)
        content = replace(self._content, datasets=self._datasets, groups=self._groups())
        model = read_model(content, self._report, "config of the checkpoint")
        if model.config is not None:
            facts: dict[str, Any] = {ROOT: name}
            if self._edges:
                facts[OBJECTS] = self._edges
            model.config.model.residue[FRAMEWORK] = facts
        if model.optimizer is not None and OPTIMIZER in model.optimizer.optimizers:
            if optimizer is None:
                self._report.add("optimizer", OPTIMIZER, "fresh", "the checkpoint holds nothing of it")
            elif legacy:
                found_keys = read_legacy(
                    model, self._graph, optimizer, self._tensors, layout=self._layout, report=self._report
                )
                self._used |= found_keys
            else:
                self._rate(model, optimizer)
                self._scale(model, optimizer)
        self._counts()
        self._rest(model, root)
        model.assets = self._content.assets
        return model

    def _root(self) -> tuple[str, int] | None:
        """The model's node and the edge that leads to it: the root itself, or the child that has most of the model."""
        children = self._graph.nodes[0].children
        candidates = {"": 0} | {
            name: children[name] for name in sorted(children) if self._graph.nodes[children[name]].children
        }
        if len(candidates) > _CANDIDATES:
            candidates = {name: node for name, node in candidates.items() if name in ("", "model")}
        scores = {name: self._score(node) for name, node in candidates.items()}
        best = max(scores, key=lambda name: (scores[name], name == "", name == "model"))
        return (best, candidates[best]) if scores[best] else None

    def _score(self, root: int) -> int:
        placed = zip(self._layers, self._places.of_layers(root), strict=True)
        return sum(at is not None for layer, node in placed for _, at in self._choose(node, layer))

    def _choose(self, node: int | None, layer: LayerVariables) -> list[tuple[LayerVariable, int | None]]:
        """The layer's variables with their nodes, of the choice that the objects fit best."""
        best: list[tuple[LayerVariable, int | None]] = []
        for choice in (layer.variables, *layer.alternatives):
            found = [
                (one, at if at is not None and self._stored(at) is not None else None)
                for one, at in self._places.variables(node, layer, choice)
            ]
            if not best or _fitness(found) > _fitness(best):
                best = found
        return best

    def _stored(self, node: int) -> BundleTensor | None:
        value = self._graph.nodes[node].value
        return self._tensors.get(value.key) if value is not None else None

    def _variables(self, root: int, optimizer: int | None) -> None:
        found: list[tuple[LayerVariable, int | None]] = []
        for layer, node in zip(self._layers, self._places.of_layers(root), strict=True):
            chosen = self._choose(node, layer)
            found += chosen
            if not layer.known and not chosen and not is_call(layer.module):
                self._of_unknown_layer(layer, node)
        found = self._through_optimizer(found, optimizer)
        lacking = {one.layout.rpartition("/")[0] for one, node in found if node is None}
        for one, node in found:
            if node is None or one.layout.rpartition("/")[0] in lacking:
                self._report.add("variable", one.layout, "missing", "no object of the checkpoint has all of its layer")
            elif node in self._layout and one.role == _TWICE:
                self._add(one.layout, node)
            elif node in self._layout:
                # A layer that two models hold, which a `.keras` file has where it comes first.
                self._again.add(one.layout)
            else:
                for layout in (one.layout, *one.copies):
                    self._add(layout, node)
                self._layout[node] = one.layout

    def _of_unknown_layer(self, layer: LayerVariables, node: int | None) -> None:
        """The variables of a layer that is not built in, or that it is missing."""
        if node is None:
            self._report.add("module", layer.path, "missing", "no object of the checkpoint is this layer")
            return
        root = self._config.model
        way: list[str] = []
        if is_model(root):
            index = next(at for at, child in enumerate(listed(root)) if child is layer.module)
            way = list(ObjectNames(self._config, self._content.dialect).number_steps(root, index))
        self._unknown(node, layer.group, way)

    def _unknown(self, node: int, group: str, way: list[str]) -> None:
        """The variables of a layer that is not built in, numbered as its object has them, and those of its layers."""
        if len(way) > _DEPTH:
            return
        children = self._graph.nodes[node].children
        own = [(name, child) for name, child in children.items() if self._stored(child) is not None]
        for number, (name, child) in enumerate((name, child) for name, child in own if child not in self._layout):
            layout = f"{group}/{VARS}/{number}"
            self._add(layout, child)
            self._layout[child] = layout
            self._edges[layout] = [*way, name]
        for name, child in children.items():
            # Members of lists are named after their class, which the checkpoint does not tell.
            if self._stored(child) is None and child not in self._met and not name.isdecimal():
                self._met.add(child)
                self._unknown(child, f"{group}/{name}", [*way, name])

    def _through_optimizer(
        self, found: list[tuple[LayerVariable, int | None]], optimizer: int | None
    ) -> list[tuple[LayerVariable, int | None]]:
        """Take variables that no layer leads to from the optimizer's list, which is in the order of the model."""
        at = None if optimizer is None else self._graph.at(optimizer, _TRAINED)
        members = self._graph.nodes[at].children if at is not None else {}
        trained: dict[str, None] = {one.layout: None for one, _ in found if one.trainable}
        if len(members) != len(trained) or members.keys() != {str(index) for index in range(len(members))}:
            return found
        by_layout = {layout: members[str(index)] for index, layout in enumerate(trained)}
        known = {one.layout: node for one, node in found if node is not None}
        if any(by_layout[layout] != node for layout, node in known.items() if layout in by_layout):
            return found
        return [
            (one, by_layout.get(one.layout) if node is None and self._fits(by_layout, one) else node)
            for one, node in found
        ]

    def _fits(self, by_layout: Mapping[str, int], one: LayerVariable) -> bool:
        return one.layout in by_layout and self._stored(by_layout[one.layout]) is not None

    def _add(self, layout: str, node: int) -> None:
        stored = self._stored(node)
        if stored is not None:
            self._used.add(stored.name)
            tensor = tensor_of(stored)
            self._datasets[layout] = Renamed(layout, tensor.dtype, tensor.shape, tensor.numpy)

    def _has_optimizer(self) -> bool:
        compiled = self._content.tree.get("compile_config")
        node = compiled.get(OPTIMIZER) if isinstance(compiled, dict) else None
        return is_object(node) or class_named(node, self._content.dialect) is not None

    def _optimizer_node(self, root: int) -> int | None:
        for start in (root, 0):
            node = self._graph.at(start, OPTIMIZER)
            if node is not None and is_optimizer(self._graph.nodes[node]):
                return node
        return None

    def _optimizer(self, node: int, group: str) -> None:
        """The variables of an optimizer, numbered as in a `.keras` file."""
        own = self._numbered(node)
        inner = self._graph.at(node, INNER)
        if inner is not None:
            self._optimizer(inner, f"{group}/{INNER}")
            # A `.keras` file has the variables of the wrapped optimizer again, behind the wrapper's own.
            own += [child for child in self._numbered(inner) if child not in own]
        elif self._graph.at(node, _SCALE) is not None:
            # tf_keras: the wrapper shows the variables of the wrapped optimizer as its own.
            for number, child in enumerate(own):
                self._add(f"{group}/{INNER}/{VARS}/{number}", child)
        for number, child in enumerate(own):
            self._add(f"{group}/{VARS}/{number}", child)

    def _numbered(self, node: int) -> list[int]:
        listed = self._graph.at(node, _LISTED)
        members = self._graph.nodes[listed].children if listed is not None else {}
        return [members[name] for name in sorted((name for name in members if name.isdecimal()), key=int)]

    def _scale(self, model: Model, node: int) -> None:
        """The scale of the loss in tf_keras, which no other of its formats holds."""
        scale = self._graph.at(node, _SCALE)
        optimizer = model.optimizer.optimizers[OPTIMIZER] if model.optimizer is not None else None
        if scale is None or optimizer is None:
            return
        children = self._graph.nodes[scale].children
        stored = {name: found for name, child in children.items() if (found := self._stored(child)) is not None}
        self._used.update(found.name for found in stored.values())
        keep_scale(optimizer, stored, self._report)

    def _rate(self, model: Model, node: int) -> None:
        """The rate in force, which tf_keras keeps beside the numbered variables."""
        at = next((at for name in _RATES if (at := self._graph.at(node, name)) is not None), None)
        stored = None if at is None else self._stored(at)
        if stored is None or model.optimizer is None:
            return
        self._used.add(stored.name)
        optimizer = model.optimizer.optimizers[OPTIMIZER]
        if self._content.dialect == "tf_keras" and stored.shape == () and "float" in stored.dtype:
            optimizer.learning_rate = float(stored.read())
            self._report.add("slot", f"{OPTIMIZER}/learning_rate", "restored")

    def _groups(self) -> dict[str, dict[str, str]]:
        """The groups that a weights file of the model has."""
        groups: dict[str, dict[str, str]] = {"": {}}
        listed = [group for layer in self._layers for group in layer.groups]
        for group in (*listed, *(name.rpartition("/")[0] for name in self._datasets if name in self._edges)):
            groups.update({path: {} for path in (*_parents(group), group)})
        config = ConfigReader(self._content.tree, self._content.dialect, groups.__contains__).read()
        adopt_groups(config, groups, set())
        others = {}
        for path in self._datasets:
            group = path.rpartition("/")[0]
            if path.startswith(f"{OPTIMIZER}/"):
                others[group] = self._optimizer_attrs(group)
        expected = expected_groups(config, self._content.dialect, self._datasets, others)
        kept = {path for name in self._datasets for path in _parents(name)}
        again = {path for name in self._again for path in _parents(name)} - kept
        return {
            path: dict(attrs) if isinstance(attrs, dict) else {}
            for path, attrs in expected.items()
            if path not in again
        }

    def _optimizer_attrs(self, group: str) -> dict[str, str]:
        compiled: Any = self._content.tree.get("compile_config")
        node: Any = compiled.get(OPTIMIZER) if isinstance(compiled, dict) else None
        for _ in range(group.count(INNER)):
            node = node["config"].get(INNER) if is_object(node) and isinstance(node["config"], dict) else None
        config = node["config"] if is_object(node) else None
        name = config.get("name") if isinstance(config, dict) else None
        return {"name": name} if self._content.dialect == "keras" and isinstance(name, str) else {}

    def _of_unknown(self, root: int) -> set[str]:
        """The keys of all tensors below the layers that are not built in."""
        keys: set[str] = set()
        for layer, start in zip(self._layers, self._places.of_layers(root), strict=True):
            if layer.known:
                continue
            queue, met = [start] if start is not None else [], set[int]()
            while queue:
                node = queue.pop()
                if node not in met:
                    met.add(node)
                    queue.extend(self._graph.nodes[node].children.values())
                    value = self._graph.nodes[node].value
                    keys |= {value.key} if value is not None else set()
        return keys

    def _counts(self) -> None:
        """The counts of words of lookup layers, which say nothing where they are empty."""
        for attribute, ends in counting(self._graph):
            stored = [self._tensors.get(attribute.key + end) for end in ends]
            found = [one for one in stored if one is not None and one.dtype != "variant"]
            if len(found) == len(ends) and all(0 in one.shape or not (one.shape or one.read().any()) for one in found):
                self._used.update(one.name for one in found)
                self._report.add("state", attribute.key, "fresh", "counts of words, which are empty after adapting")

    def _rest(self, model: Model, root: int) -> None:
        """The counter of saves, and tensors that are no variable of the model, which are kept as they are."""
        state = model.state if model.state is not None else State()
        kept = {}
        inside = self._of_unknown(root)
        counter = self._graph.at(0, _SAVE_COUNTER)
        for key, stored in self._tensors.items():
            if key in self._used:
                continue
            if counter is not None and stored is self._stored(counter) and stored.dtype == "int64" and not stored.shape:
                # A fact of TensorFlow's own: it counts checkpoints, and says nothing of the training.
                if model.config is not None:
                    model.config.model.residue[FRAMEWORK][_SAVE_COUNTER] = int(stored.read())
                self._report.add("state", _SAVE_COUNTER, "restored")
            else:
                kept[key] = data_of(stored)
                fate = ("data-only", "no variable of the model, so kept as it is")
                if key in inside:
                    fate = ("not-transferable", "a variable of a layer that is not built in, in a list or out of reach")
                self._report.add("state", key, *fate)
        if kept:
            state.residue[FRAMEWORK] = {TENSORS: kept}
            model.state = state


def _fitness(found: list[tuple[LayerVariable, int | None]]) -> tuple[int, int]:
    """How many variables are there, and how many are not."""
    there = sum(node is not None for _, node in found)
    return there, there - len(found)


def _parents(path: str) -> list[str]:
    steps = path.split("/")
    return ["/".join(steps[:at]) for at in range(1, len(steps))]
