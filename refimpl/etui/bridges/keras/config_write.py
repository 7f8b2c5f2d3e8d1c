"""The neutral config to Keras' `config.json`, equal as JSON to what Keras wrote (SPEC.md, annex B)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from etui.bridges.keras.inner_ids import with_ids
from etui.bridges.keras.legacy_nodes import first_node, write_legacy_node
from etui.bridges.keras.modules import (
    NAMESPACES,
    frame,
    is_input,
    is_listed,
    is_model,
    is_sequential,
    join,
    keep,
    keras_name,
    residue,
)
from etui.bridges.keras.patches import Json, patched, reordered, same, with_config
from etui.bridges.keras.values import ValueWriter
from etui.canonical.values import ModuleRef, OutputRef
from etui.containers.config import Call, Graph, Module
from etui.errors import error, shown

_UNKNOWN_TENSOR = [[], "float32"]


class ConfigWriter:
    """Writes modules as Keras' nodes.

    Args:
        find: gives the module at a path.
        dialect: ``keras`` or ``tf_keras``.
    """

    def __init__(self, find: Callable[[str], Module], dialect: str) -> None:
        self.find = find
        self.dialect = dialect
        self.values = ValueWriter(_no_graph, lambda found: self.node(find(found.path), found.path))

    def node(self, module: Module, path: str) -> dict[str, Json]:
        """The node of a module, without what its place in a graph adds.

        Raises:
            TransferError: ``keras-op``, the op is not Keras'; ``keras-value``; ``keras-graph``, a Sequential model
                whose calls are not a chain.
        """
        module = self._resolved(module)
        where = f"module {path or module.name}"
        if module.op.partition(":")[0] not in NAMESPACES:
            raise error("keras-op", where=where, found=module.op)
        facts = residue(module)
        node = with_config(patched(frame(module, self.dialect), facts), self._config(module, path, where))
        if module.build is not None or "build_null" in facts:
            node["build_config"] = self.values.json(module.build, where)
        usual: list[Json] = [{}] if self.dialect == "keras" and is_model(module) else []
        for compiled in facts.get("compile_config", usual) if path else ():
            node["compile_config"] = compiled
        return node

    def _resolved(self, module: Module) -> Module:
        return self.find(module.target) if module.target is not None else module

    def _config(self, module: Module, path: str, where: str) -> dict[str, Json]:
        facts = residue(module)
        named = {} if "name" in module.attrs or "unnamed" in facts else {"name": keras_name(module)}
        values = replace(self.values, module=lambda found: self._held(module, found))
        attributes = {key: values.json(value, where) for key, value in module.attrs.items()}
        config: dict[str, Json] = named | reordered(attributes, facts.get("order", []))
        if is_sequential(module):
            if module.graph is not None and module.graph != chain(module):
                raise error("keras-graph", where=where, found="calls that do not form a chain")
            listed = filter(is_listed, module.modules)
            config["layers"] = [self._child(module, child, path) for child in listed]
        elif module.graph is not None:
            config |= self._calls(module, module.graph, path)
        return config

    def _calls(self, module: Module, graph: Graph, path: str) -> dict[str, Json]:
        inbound = self._inbound(module, graph)
        layers = []
        for child in filter(is_listed, module.modules):
            node = self._child(module, child, path)
            layers.append(node | {"name": self._layer_name(child), "inbound_nodes": inbound[child.name]})
        return {"layers": layers} | self._ends(module, graph)

    def _child(self, module: Module, child: Module, path: str) -> dict[str, Json]:
        """The node of a layer, which may have been met before."""
        node = self.node(child, join(path, child.name))
        ids = residue(module).get("ids", {}).get(child.name)
        return node if ids is None else with_ids(node, ids)

    def _held(self, module: Module, found: ModuleRef) -> dict[str, Json]:
        """The node of a module to which an attribute refers, which may be a child."""
        held = self.find(found.path)
        if any(child is held for child in module.modules):
            return self._child(module, held, found.path.rpartition("/")[0])
        return self.node(held, found.path)

    def _ends(self, module: Module, graph: Graph) -> dict[str, Json]:
        places = self._places(module, graph, end=True)
        ends = {"input_layers": graph.inputs, "output_layers": graph.outputs}
        written = {key: _structure(end, places) for key, end in ends.items()}
        return written | dict(residue(module).get("ends", {}))

    def _layer_name(self, child: Module) -> str:
        found = self._resolved(child)
        return str(residue(found).get("layer_name", keras_name(found)))

    def _places(self, module: Module, graph: Graph, *, end: bool) -> dict[str, tuple[str, int]]:
        """Layer name and node index of each call."""
        children = {child.name: child for child in module.modules}
        counts: dict[str, int] = {}
        places = {}
        for call in graph.calls:
            at = counts.get(call.module, 0)
            counts[call.module] = at + 1
            child = children[call.module]
            start = first_node(self._resolved(child), self.dialect, end=end)
            places[call.id] = (self._layer_name(child), start + at)
        return places

    def _inbound(self, module: Module, graph: Graph) -> dict[str, list[Json]]:
        """The inbound nodes of each child by its name."""
        places = self._places(module, graph, end=False)
        specs: dict[str, Any] = residue(module).get("tensors", {})
        kept: dict[str, Any] = residue(module).get("inbound_nodes", {})

        def tensor(found: OutputRef) -> Json:
            known = specs.get(found.call, [])
            shape, dtype = (known[found.index] if found.index < len(known) else None) or _UNKNOWN_TENSOR
            history = [*places[found.call], found.index]
            return {
                "class_name": "__keras_tensor__",
                "config": {"shape": shape, "dtype": dtype, "keras_history": history},
            }

        values = replace(self.values, tensor=tensor)
        children = {child.name: self._resolved(child) for child in module.modules}
        inbound: dict[str, list[Json]] = {name: [] for name in children}
        for call in graph.calls:
            if not is_input(children[call.module].op):
                inbound[call.module].append(self._node_of(call, children[call.module].op, places, values))
        return inbound | kept

    def _node_of(self, call: Call, op: str, places: dict[str, tuple[str, int]], values: ValueWriter) -> Json:
        where = f"call {call.id}"
        if self.dialect == "tf_keras":
            reference = lambda found: [*places[found.call], found.index]  # noqa: E731  (used once, here)
            return write_legacy_node(call, op, reference, lambda value: values.json(value, where))
        return {"args": values.json(call.args, where), "kwargs": values.json(call.kwargs, where)}

    def check_calls(self, module: Module, graph: Graph, layers: list[Json], ends: list[Json]) -> None:
        """Keep the inbound nodes and ends for which the graph does not give back what Keras wrote."""
        inbound = self._inbound(module, graph)
        kept = {
            child.name: layer.get("inbound_nodes", [])
            for child, layer in zip(module.modules, layers, strict=True)
            if not same(inbound[child.name], layer.get("inbound_nodes", []))
        }
        if kept:
            keep(module, "inbound_nodes", kept)
        written = self._ends(module, graph)
        odd = {key: end for (key, found), end in zip(written.items(), ends, strict=True) if not same(found, end)}
        if odd:
            keep(module, "ends", odd)


def chain(module: Module) -> Graph | None:
    """The graph of a Sequential model: each layer called with the result of the one before; `None` without an input."""
    names = [child.name for child in module.modules if is_listed(child)]
    if not names or not is_input(module.modules[0].op):
        return None
    calls = [Call(names[0], names[0])]
    calls += [Call(name, name, [OutputRef(before, 0)]) for before, name in pairwise(names)]
    return Graph(OutputRef(names[0], 0), OutputRef(names[-1], 0), calls)


def _no_graph(found: OutputRef) -> Json:
    raise error("keras-value", found=f"an output of a call outside of a graph: {shown(found)}")


def _structure(end: Any, places: dict[str, tuple[str, int]]) -> Json:
    if isinstance(end, OutputRef):
        return [*places[end.call], end.index]
    if isinstance(end, dict):
        return {key: _structure(item, places) for key, item in end.items()}
    return [_structure(item, places) for item in end]
