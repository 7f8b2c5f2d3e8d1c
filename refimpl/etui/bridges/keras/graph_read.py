"""The calls of a Functional model: Keras' inbound nodes to a neutral graph (SPEC.md, annex B.3)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from etui.bridges.keras.legacy_nodes import first_node, read_legacy_node
from etui.bridges.keras.modules import is_input, keep, keras_name
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import ValueReader
from etui.canonical.values import OutputRef, references
from etui.containers.config import Call, Graph, Module
from etui.errors import error, shown

_REFERENCE = 3
# Of all calls of a graph, those that nothing names included: each takes memory, and a reference to one a few bytes.
_OUTPUTS = 4096


def read_graph(module: Module, layers: list[Json], ends: list[Json], *, values: ValueReader, dialect: str) -> Graph:
    """The graph of the calls of a module's children.

    Args:
        module: the model; its children are in the order of `layers`.
        layers: the nodes of its layers.
        ends: `input_layers` and `output_layers`.
        values: the reader of values.
        dialect: ``keras`` or ``tf_keras``.

    Raises:
        InvalidError: ``keras-config``, a reference to a call that is not there, or calls in a circle.
    """
    graph = _GraphReader(module, layers, values, dialect)
    graph.settle(ends)
    calls = graph.ordered()
    inputs, outputs = (graph.structure(end) for end in ends)
    if graph.tensors:
        keep(module, "tensors", dict(sorted(graph.tensors.items())))
    return Graph(inputs, outputs, calls)


class _GraphReader:
    def __init__(self, module: Module, layers: list[Json], values: ValueReader, dialect: str) -> None:
        self.where = f"config.json, calls of {module.name}"
        self.children = module.modules
        self.tensors: dict[str, list[Any]] = {}
        self.outputs = 0
        self.names: dict[str, int] = {}
        self.ids: list[list[str]] = []
        self.starts: list[tuple[int, int]] = []
        self.calls: dict[str, Call] = {}
        reader = replace(values, output=self.tensor)
        taken: set[str] = set()
        nodes_of = [self._nodes(node) for node in layers]
        for index, child in enumerate(module.modules):
            name = layers[index].get("name", keras_name(child))
            if not isinstance(name, str):
                raise error("keras-config", where=self.where, found=f"a layer of the name {shown(name)}")
            if self.names.setdefault(name, index) != index:
                raise error("keras-config", where=self.where, found=f"two layers of the name {shown(name)}")
            count = max(len(nodes_of[index]), int(is_input(child.op)))
            self.ids.append([_free_id(child.name, at, taken) for at in range(count)])
            self.starts.append((first_node(child, dialect, end=False), first_node(child, dialect, end=True)))
        for index, child in enumerate(module.modules):
            for at, call in enumerate(self.ids[index]):
                node = nodes_of[index][at] if at < len(nodes_of[index]) else {"args": [], "kwargs": {}}
                self.calls[call] = self._call(call, child.name, node, reader)

    def _nodes(self, layer: Mapping[str, Json]) -> list[Json]:
        nodes = layer.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise error("keras-config", where=self.where, found=shown(nodes))
        return nodes

    def _call(self, call: str, name: str, node: Json, reader: ValueReader) -> Call:
        if isinstance(node, list):
            args, kwargs = read_legacy_node(node, self.reference, reader)
        elif isinstance(node, dict) and isinstance(node.get("args"), list) and isinstance(node.get("kwargs"), dict):
            args, kwargs = reader.value(node["args"]), {k: reader.value(v) for k, v in node["kwargs"].items()}
        else:
            raise error("keras-config", where=self.where, found=shown(node))
        return Call(call, name, args, kwargs)

    def reference(self, node: Json, *, end: bool = False) -> OutputRef | None:
        """The output that `[layer, node, tensor]` names, or `None` if the node is none such."""
        if not isinstance(node, list) or len(node) != _REFERENCE or not isinstance(node[0], str):
            return None
        name, at, tensor = node
        if name not in self.names or type(at) is not int or type(tensor) is not int:
            return None
        if not 0 <= tensor < _OUTPUTS:
            return None
        index = self.names[name]
        at -= self.starts[index][end]
        return OutputRef(self.ids[index][at], tensor) if 0 <= at < len(self.ids[index]) else None

    def tensor(self, config: Mapping[str, Json]) -> OutputRef | None:
        """The output that a `__keras_tensor__` names; its shape and dtype are noted."""
        found = self.reference(config.get("keras_history"))
        if found is None:
            raise error("keras-config", where=self.where, found=f"no call has the output {shown(config)}")
        specs = self.tensors.setdefault(found.call, [])
        missing = max(0, found.index + 1 - len(specs))
        self.outputs += missing
        if self.outputs > _OUTPUTS:
            raise error("limit-foreign", where=self.where, found=f"calls of {self.outputs} outputs")
        specs.extend([None] * missing)
        specs[found.index] = [config.get("shape"), config.get("dtype")]
        return found

    def settle(self, ends: list[Json]) -> None:
        """Find the models whose class is not known and whose calls `input_layers` and `output_layers` count from 1."""
        stack: list[Json] = [ends]
        while stack:
            node = stack.pop()
            stack.extend(node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if not isinstance(node, list) or len(node) != _REFERENCE or not isinstance(node[0], str):
                continue
            index = self.names.get(node[0], -1)
            if index >= 0 and self.children[index].kind == "opaque" and node[1] == len(self.ids[index]):
                keep(self.children[index], "made_by_call", True)
                self.starts[index] = (0, 1)

    def structure(self, node: Json) -> Any:
        """`input_layers` or `output_layers` as a value."""
        found = self.reference(node, end=True)
        if found is not None:
            return found
        if isinstance(node, list):
            return [self.structure(item) for item in node]
        if isinstance(node, dict):
            return {key: self.structure(item) for key, item in node.items()}
        raise error("keras-config", where=self.where, found=f"no call has the output {shown(node)}")

    def ordered(self) -> list[Call]:
        """The calls, each after those whose outputs it uses and after earlier calls of its module."""
        rank = {call: at for at, call in enumerate(self.calls)}
        waits = {call: _used(self.calls[call]) for call in self.calls}
        for ids in self.ids:
            for before, after in pairwise(ids):
                waits[after].add(before)
        users: dict[str, list[str]] = {}
        for call, used in waits.items():
            for other in used:
                users.setdefault(other, []).append(call)
        ready = [(rank[call], call) for call, used in waits.items() if not used]
        heapq.heapify(ready)
        done = []
        while ready:
            _, call = heapq.heappop(ready)
            done.append(self.calls[call])
            for user in users.get(call, ()):
                waits[user].discard(call)
                if not waits[user]:
                    heapq.heappush(ready, (rank[user], user))
        if len(done) != len(self.calls):
            raise error("keras-config", where=self.where, found="calls that wait for each other")
        return done


def _used(call: Call) -> set[str]:
    found = references([call.args, call.kwargs])
    return {reference.call for reference in found if isinstance(reference, OutputRef)}


def _free_id(name: str, at: int, taken: set[str]) -> str:
    """The id of a module's call: its name, then ``name:1``, …, with a prime where another module's call has that id."""
    call = f"{name}:{at}" if at else name
    while call in taken:
        call += "'"
    taken.add(call)
    return call
