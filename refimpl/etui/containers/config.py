"""The config container: `config.json`, a tree of modules and the graphs that call them (SPEC.md chapter 13)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from etui import paths
from etui.canonical import values
from etui.containers.fields import Context, Json, open_document
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.names import check_namespaced

DOCUMENT = "config.json"
KINDS = ("layer", "graph", "opaque", "shared")
_OPTIONAL = frozenset({"attrs", "params", "modules", "build", "residue"})


@dataclass(slots=True)
class Call:
    """One call of a module in a graph.

    Attributes:
        id: differs from the graph's other ids.
        module: name of the called module, among the modules of the graph's own module.
        args, kwargs: values; tensors of the graph are `values.OutputRef`.
    """

    id: str
    module: str
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Graph:
    """Calls in an order in which they can be made; inputs and outputs are values with `OutputRef` leaves."""

    inputs: Any
    outputs: Any
    calls: list[Call] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Module:
    """A node of the architecture.

    Attributes:
        name: one path segment.
        kind: ``layer``, ``graph``, ``opaque`` or ``shared``.
        op: namespaced name, for example ``keras:Dense``; empty for ``shared``.
        attrs: the op's attributes, values.
        params: role -> path of each variable that the module itself owns.
        modules: the children, in the model's order.
        graph: the calls, for kind ``graph``.
        build: what the module was built with, or `None`.
        residue: framework -> facts that only that framework needs.
        target: path of the module that a ``shared`` one stands for.
    """

    name: str
    kind: str = "layer"
    op: str = ""
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    modules: list[Module] = field(default_factory=list)
    graph: Graph | None = None
    build: Any = None
    residue: dict[str, Any] = field(default_factory=dict)
    target: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def walk(self, path: str = "") -> Iterator[tuple[str, Module]]:
        """Each module with its path, parents before children; the root's path is empty."""
        stack = [(path, self)]
        while stack:
            path, module = stack.pop()
            yield path, module
            prefix = f"{path}/" if path else ""
            stack.extend((prefix + child.name, child) for child in reversed(module.modules))

    def find(self, path: str) -> Module:
        """The descendant at a path below this module.

        Raises:
            KeyError: there is none.
        """
        module = self
        for segment in path.split("/") if path else ():
            for child in module.modules:
                if child.name == segment:
                    module = child
                    break
            else:
                raise KeyError(path)
        return module

    def contents(self) -> Iterator[tuple[str, Any]]:
        """Every value of the module with the field that holds it, children not included."""
        yield "attrs", self.attrs
        yield "build", self.build
        yield "residue", self.residue
        if self.graph is not None:
            yield "graph/inputs", self.graph.inputs
            yield "graph/outputs", self.graph.outputs
            for call in self.graph.calls:
                yield f"graph/calls/{call.id}", [call.args, call.kwargs]


@dataclass(slots=True)
class Config:
    """The architecture of a model: its root module."""

    model: Module
    extra: dict[str, Any] = field(default_factory=dict)

    def walk(self) -> Iterator[tuple[str, Module]]:
        """Each module with its path, parents before children."""
        return self.model.walk()

    def find(self, path: str) -> Module:
        """The module at a path; the root at the empty one.

        Raises:
            KeyError: there is none.
        """
        return self.model.find(path)


def decode(tree: dict[str, Json], limits: Limits = DEFAULT_LIMITS) -> Config:
    """Decode the tree of `config.json`.

    Raises:
        RejectError: with the code of the clause that the document breaks.
    """
    context, extra = open_document(tree, DOCUMENT, limits, {"model"})
    return Config(_Decoder(context).root(tree["model"]), extra)


class _Decoder:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.count = 0

    def root(self, node: Json) -> Module:
        model = self.module(node, "model")
        if model.kind == "shared":
            raise error("module-kind", where=self.context.place("model"), found="a shared module as the root")
        below = {path: module for path, module in model.walk() if path}
        seen: set[str] = set()
        for path, module in below.items():
            where = self.context.place(path)
            paths.check_path(path, where, self.context.limits)
            if module.target is not None:
                self._target(module.target, path, below, seen)
            seen.add(path)
        for path, module in model.walk():
            for place, value in module.contents():
                if not place.startswith("graph/"):
                    self._no_outputs(value, f"{path}/{place}")
        return model

    def _target(self, target: str, path: str, below: dict[str, Module], seen: set[str]) -> None:
        where = self.context.place(path)
        if target not in below or below[target].kind == "shared":
            raise error("reference-missing", where=where, found=f"target {shown(target)}")
        if target not in seen or path.startswith(f"{target}/"):
            raise error("shared-order", where=where, found=f"target {shown(target)}")

    def _no_outputs(self, value: Any, path: str) -> None:
        if any(isinstance(reference, values.OutputRef) for reference in values.references(value)):
            raise error("reference-missing", where=self.context.place(path), found="an $output outside of a graph")

    def module(self, node: Json, path: str) -> Module:
        self.count += 1
        if self.count > self.context.limits.modules:
            raise error("limit-modules", where=self.context.place(path), found=f"more than {self.count - 1} modules")
        self.context.fields(node, path, {"name", "kind"}, {"op", "graph", "target", *_OPTIONAL})
        name, kind = node["name"], node["kind"]
        where = self.context.place(path)
        if kind not in KINDS:
            raise error("module-kind", where=where, found=shown(kind))
        if not isinstance(name, str) or not name or "/" in name:
            raise error("module-name", where=where, found=shown(name))
        paths.check_path(name, where, self.context.limits)
        needed = {"target"} if kind == "shared" else {"op", "graph"} if kind == "graph" else {"op"}
        allowed = set() if kind == "shared" else _OPTIONAL
        known = node.keys() & ({"op", "graph", "target"} | _OPTIONAL)
        if needed - known or known - needed - allowed:
            raise error("module-kind", where=where, found=f"a {kind} module with the fields {sorted(node)}")
        extra = self.context.fields(node, path, {"name", "kind", *needed}, allowed)
        if kind == "shared":
            return Module(name, kind, target=self.context.typed(node, "target", str, path), extra=extra)
        return self._body(node, Module(name, kind, check_namespaced(node["op"], where, "op"), extra=extra), path)

    def _body(self, node: Json, module: Module, path: str) -> Module:
        module.attrs = self._values(node, "attrs", path)
        module.residue = self.context.residue(self._values(node, "residue", path), f"{path}/residue")
        if "build" in node:
            if node["build"] is None:
                raise self.context.fail(f"{path}/build", "null, which must be left out")
            module.build = self._value(node["build"], f"{path}/build")
        module.params = self.context.filled(node, "params", dict, path)
        for role, target in module.params.items():
            if not role or not isinstance(target, str):
                raise self.context.fail(f"{path}/params", f"{shown(role)}: {shown(target)}")
            paths.check_path(target, self.context.place(f"{path}/params"), self.context.limits)
        names = set()
        for index, child in enumerate(self.context.filled(node, "modules", list, path)):
            module.modules.append(self.module(child, f"{path}/modules/{index}"))
            names.add(module.modules[-1].name)
        if len(names) != len(module.modules):
            raise error("module-name", where=self.context.place(path), found="two modules of one name")
        paths.check_no_collisions(names, self.context.place(path))
        if module.kind == "graph":
            module.graph = self._graph(node["graph"], names, f"{path}/graph")
        return module

    def _graph(self, node: Json, names: set[str], path: str) -> Graph:
        extra = self.context.fields(node, path, {"inputs", "outputs", "calls"})
        calls: dict[str, Call] = {}
        for index, item in enumerate(self.context.typed(node, "calls", list, path)):
            call = self._call(item, f"{path}/calls/{index}")
            where = self.context.place(f"{path}/calls/{index}")
            if call.id in calls:
                raise error("call-form", where=where, found=f"a second call {shown(call.id)}")
            if call.module not in names:
                raise error("call-form", where=where, found=f"no module {shown(call.module)}")
            calls[call.id] = call
        made: set[str] = set()
        for index, call in enumerate(calls.values()):
            where = self.context.place(f"{path}/calls/{index}")
            self._outputs([call.args, call.kwargs], calls.keys(), where, made)
            made.add(call.id)
        inputs, outputs = (self._value(node[name], f"{path}/{name}") for name in ("inputs", "outputs"))
        for name, value in (("inputs", inputs), ("outputs", outputs)):
            where = self.context.place(f"{path}/{name}")
            if not _is_structure(value):
                raise error("call-form", where=where, found="a leaf that is no $output")
            self._outputs(value, calls.keys(), where, made)
        return Graph(inputs, outputs, list(calls.values()), extra)

    def _call(self, node: Json, path: str) -> Call:
        where = self.context.place(path)
        if not isinstance(node, dict) or not {"id", "module", "args", "kwargs"} <= node.keys():
            raise error("call-form", where=where, found=shown(node))
        extra = self.context.fields(node, path, {"id", "module", "args", "kwargs"})
        if not isinstance(node["id"], str) or not node["id"] or not isinstance(node["module"], str):
            raise error("call-form", where=where, found="an id or module that is no name")
        args, kwargs = self._value(node["args"], f"{path}/args"), self._value(node["kwargs"], f"{path}/kwargs")
        if not isinstance(args, list) or not isinstance(kwargs, dict) or not all(isinstance(k, str) for k in kwargs):
            raise error("call-form", where=where, found="args that are no list or kwargs that are no map")
        return Call(node["id"], node["module"], args, kwargs, extra)

    def _outputs(self, value: Any, ids: Collection[str], where: str, made: set[str]) -> None:
        """Refuse outputs of calls that the graph does not have (C-13), or has not made yet (C-12)."""
        for reference in values.references(value):
            if isinstance(reference, values.OutputRef) and reference.call not in made:
                code = "call-order" if reference.call in ids else "reference-missing"
                raise error(code, where=where, found=f"no earlier call {shown(reference.call)}")

    def _value(self, node: Json, path: str) -> Any:
        return values.from_json(node, self.context.place(path), self.context.limits)

    def _values(self, node: Json, name: str, path: str) -> dict[str, Any]:
        if name not in node:
            return {}
        value = self._value(self.context.filled(node, name, dict, path), f"{path}/{name}")
        return self.context.mapping(value, f"{path}/{name}")


def _is_structure(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_structure(item) for item in value.values())
    if isinstance(value, values.MapValue):
        return all(_is_structure(item) for _, item in value.pairs)
    if isinstance(value, list | tuple):
        return all(_is_structure(item) for item in value)
    return isinstance(value, values.OutputRef)


def encode(config: Config, version: str) -> dict[str, Json]:
    """The tree of `config.json`."""
    return {"format": "etui-config", "version": version, "model": _encode_module(config.model), **config.extra}


def _encode_module(module: Module) -> dict[str, Json]:
    node: dict[str, Json] = {"name": module.name, "kind": module.kind, **module.extra}
    if module.kind == "shared":
        return node | {"target": module.target}
    node["op"] = module.op
    content = {
        "attrs": values.to_json(module.attrs),
        "params": dict(module.params),
        "modules": [_encode_module(child) for child in module.modules],
        "residue": values.to_json(module.residue),
    }
    node |= {name: value for name, value in content.items() if value}
    if module.build is not None:
        node["build"] = values.to_json(module.build)
    if module.graph is not None:
        graph = module.graph
        node["graph"] = {
            "inputs": values.to_json(graph.inputs),
            "outputs": values.to_json(graph.outputs),
            "calls": [
                {
                    "id": call.id,
                    "module": call.module,
                    "args": values.to_json(call.args),
                    "kwargs": values.to_json(call.kwargs),
                    **call.extra,
                }
                for call in graph.calls
            ],
            **graph.extra,
        }
    return node
