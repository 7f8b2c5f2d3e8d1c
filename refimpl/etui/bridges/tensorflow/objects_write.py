"""A model without a config to a checkpoint: of the objects or names that it was read from, or of its paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from etui import dtypes, paths
from etui.bridges.tensorflow.arrays import outgoing
from etui.bridges.tensorflow.object_graph import KEY, VALUE, Attribute, ObjectGraph, read_object_graph
from etui.bridges.tensorflow.object_places import Place, Places, object_places
from etui.bridges.tensorflow.objects_read import FRAMEWORK, GRAPH, NAMES, RATES, SETTINGS, STEPS, TENSORS
from etui.containers.optimizer import Optimizer
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Model
from etui.report import Report
from etui.storage.tf_bundle_writer import Outgoing

SAVE_COUNTER = "save_counter"
_NO_OBJECT = "no object of the checkpoint has it"


def written_objects(model: Model, report: Report) -> list[Outgoing]:
    """The tensors of the checkpoint, its object graph included.

    Args:
        model: what to write.
        report: gets an entry for each item.

    Raises:
        TransferError: ``checkpoint-objects``, what was kept of the source is not of its form.
    """
    return _Writing(model, report).tensors()


def graph_tensor(graph: bytes) -> Outgoing:
    """The tensor of a serialized object graph."""
    array = np.empty((), object)
    array[()] = graph
    return Outgoing(KEY, "bytes", (), lambda: array)


def tensor_key(*names: str) -> str:
    """The key that TensorFlow gives to the variable that edges of these names lead to."""
    escaped = [name.replace(".", "..").replace("/", ".S") for name in names]
    return "/".join((*escaped, ".ATTRIBUTES", VALUE))


class _Writing:
    def __init__(self, model: Model, report: Report) -> None:
        self._weights = model.weights if model.weights is not None else Weights()
        self._optimizers = model.optimizer.optimizers if model.optimizer is not None else {}
        self._counters = model.state.counters if model.state is not None else {}
        residue = model.state.residue.get(FRAMEWORK, {}) if model.state is not None else {}
        self._residue: Mapping[str, Any] = residue if isinstance(residue, dict) else {}
        kept = self._residue.get(TENSORS, {})
        self._kept: dict[str, Any] = dict(kept) if isinstance(kept, dict) else {}
        self._report = report
        self._used: set[tuple[str, str]] = set()

    def tensors(self) -> list[Outgoing]:
        graph = self._residue.get(GRAPH)
        if isinstance(graph, bytes):
            found = list(self._of_graph(graph))
        elif NAMES in self._residue:
            found = list(self._of_names(self._residue[NAMES]))
        else:
            found = list(self._of_paths())
        self._account_rest()
        return found

    def _of_graph(self, data: bytes) -> Iterator[Outgoing]:
        graph = read_object_graph(data, "the kept object graph")
        places = object_places(graph)
        lacking = set()
        for key, place in places.keys.items():
            value = self._value(key, place)
            if value is not None:
                yield outgoing(key, value)
            elif place.kind != "data":
                lacking.add(key)
                self._report.add("variable", place.owner, "missing", "an object of the checkpoint has it")
        for node in graph.nodes if lacking else ():
            node.attributes = [one for one in node.attributes if one.key not in lacking]
        yield graph_tensor(graph.serialized() if lacking else data)
        for key, value in self._kept.items():
            if key not in places.keys:
                self._report.add("state", key, "restored")
                yield outgoing(key, value)
        self._aliases(places)

    def _value(self, key: str, place: Place) -> Any:
        if place.kind == "variable":
            self._used.add(("variable", place.owner))
            found = self._weights.variables.get(place.owner)
            return self._restored("variable", place.owner, None if found is None else found.tensor)
        if place.kind == "data" or (place.kind == "counter" and key in self._kept):
            return self._restored("state", key, self._kept.get(key))
        if place.kind == "counter":
            self._used.add(("state", place.owner))
            count = self._counters.get(place.owner)
            return self._restored("state", place.owner, None if count is None else Tensor.of(np.int64(count)))
        optimizer = self._optimizers.get(place.owner)
        if optimizer is None:
            return None
        self._used.add(("optimizer", place.owner))
        if place.kind == "setting":
            return self._restored("slot", f"{place.owner}/{place.name}", _setting(optimizer, place.name))
        subject = f"{place.owner}/{place.variable}/{place.name}"
        self._used.add(("slot", subject))
        return self._restored("slot", subject, optimizer.slots.get(place.variable, {}).get(place.name))

    def _restored(self, kind: str, subject: str, value: Any) -> Any:
        if value is not None:
            self._report.add(kind, subject, "restored")
        return value

    def _aliases(self, places: Places) -> None:
        for path, target in self._weights.aliases.items():
            fate = ("aliased", f"is {target}") if places.aliases.get(path) == target else (_LOST, _NO_OBJECT)
            self._report.add("variable", path, *fate)

    def _of_names(self, names: Any) -> Iterator[Outgoing]:
        other = names if isinstance(names, dict) else {}
        for path, variable in self._weights.variables.items():
            self._used.add(("variable", path))
            self._report.add("variable", path, "restored")
            yield outgoing(str(other.get(path, path)), variable.tensor)
        for path in self._weights.aliases:
            self._report.add("variable", path, _LOST, "a checkpoint of names has no aliases")
        for key, value in self._kept.items():
            self._report.add("state", key, "restored")
            yield outgoing(key, value)

    def _of_paths(self) -> Iterator[Outgoing]:
        """Objects after the paths: each segment is a child, and the variable is the last."""
        graph = ObjectGraph()
        nodes: dict[str, int] = {}
        for path, variable in self._weights.variables.items():
            names = [paths.unescape_segment(segment) for segment in path.split("/")]
            node = 0
            for name in names:
                node = graph.add(node, name)
            nodes[path] = node
            key = tensor_key(*names)
            graph.nodes[node].attributes.append(Attribute(VALUE, path, key))
            self._used.add(("variable", path))
            self._report.add("variable", path, "restored")
            yield outgoing(key, variable.tensor)
        for path, target in self._weights.aliases.items():
            *before, last = (paths.unescape_segment(segment) for segment in path.split("/"))
            node = 0
            for name in before:
                node = graph.add(node, name)
            graph.nodes[node].children.setdefault(last, nodes[target])
            self._report.add("variable", path, "aliased", f"is {target}")
        if SAVE_COUNTER not in graph.nodes[0].children:
            node = graph.add(0, SAVE_COUNTER)
            key = tensor_key(SAVE_COUNTER)
            graph.nodes[node].attributes.append(Attribute(VALUE, SAVE_COUNTER, key))
            self._used.add(("state", SAVE_COUNTER))
            yield outgoing(key, Tensor.of(np.int64(self._counters.get(SAVE_COUNTER, 1))))
        yield graph_tensor(graph.serialized())

    def _account_rest(self) -> None:
        """Name what the checkpoint has no place for."""
        for path in self._weights.variables:
            if ("variable", path) not in self._used:
                self._report.add("variable", path, _LOST, _NO_OBJECT)
        for path, optimizer in self._optimizers.items():
            if ("optimizer", path) not in self._used:
                self._report.add("optimizer", path, _LOST, _NO_OBJECT)
                continue
            self._report.add("optimizer", path, "restored", optimizer.algorithm)
            for variable, slots in optimizer.slots.items():
                for name in slots:
                    if ("slot", f"{path}/{variable}/{name}") not in self._used:
                        self._report.add("slot", f"{path}/{variable}/{name}", _LOST, _NO_OBJECT)
        for name in self._counters:
            if ("state", name) not in self._used:
                self._report.add("state", name, _LOST, _NO_OBJECT)


_LOST = "not-transferable"


def _setting(optimizer: Optimizer, name: str) -> Any:
    """A variable of the optimizer itself; the step and the rate are those of the neutral state."""
    facts = optimizer.residue.get(FRAMEWORK, {})
    settings = facts.get(SETTINGS, {}) if isinstance(facts, dict) else {}
    tensor = settings.get(name) if isinstance(settings, dict) else None
    if not isinstance(tensor, Tensor) or tensor.shape:
        return tensor
    if name in STEPS and "int" in tensor.dtype:
        return Tensor.of(np.array(optimizer.micro_step, dtypes.by_name(tensor.dtype, name).numpy))
    if name in RATES and "float" in tensor.dtype and optimizer.learning_rate is not None:
        return Tensor.of(np.array(optimizer.learning_rate, dtypes.by_name(tensor.dtype, name).numpy))
    return tensor
