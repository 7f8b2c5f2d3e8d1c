"""`config.json` of a `.keras` file to the neutral config (SPEC.md, annex B). Nothing in it is imported or called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from etui import paths
from etui.bridges.keras.config_write import ConfigWriter, chain
from etui.bridges.keras.graph_read import read_graph
from etui.bridges.keras.inner_ids import digest, ids_in, without_ids
from etui.bridges.keras.modules import (
    frame,
    is_input,
    is_model,
    is_sequential,
    join,
    keep,
    keras_name,
    numbered_groups,
    residue,
    row,
)
from etui.bridges.keras.names import FreeNames, class_of, is_operation, python_name, short
from etui.bridges.keras.patches import Json, difference, key_orders, same
from etui.bridges.keras.values import ValueReader, is_object, shared_numbers
from etui.canonical.values import ModuleRef
from etui.containers.config import Config, Module
from etui.errors import error, shown

DOCUMENT = "config.json"
_GRAPH_KEYS = ("layers", "input_layers", "output_layers")
# Fields of a node that have a field of their own in the neutral module, and those that belong to its place in a graph.
_HELD = frozenset({"config", "build_config", "compile_config"})
_PLACED = frozenset({"name", "inbound_nodes"})


class ConfigReader:
    """One translation of a Keras config.

    Args:
        tree: the parsed `config.json`.
        dialect: ``keras`` or ``tf_keras``.
        has_group: whether the weights file has a group; it tells which objects in a custom layer's config are layers
            that it holds.

    Attributes:
        values: the reader of values, with the numbers of shared objects.
    """

    def __init__(self, tree: Json, dialect: str, has_group: Callable[[str], bool]) -> None:
        self.tree: dict[str, Json] = tree
        self.dialect = dialect
        self.has_group = has_group
        self.values = ValueReader(shared_numbers(tree), known=self._referred)
        self._by_path: dict[str, Module] = {}
        self._shared: dict[int, str] = {}
        self._met: dict[str, Json] = {}
        self._unmarked: dict[bytes, list[str]] = {}
        self._names: dict[str, FreeNames] = {}

    def read(self) -> Config:
        """The neutral config.

        Raises:
            InvalidError: ``keras-config``, the document is not one of Keras' forms.
        """
        config = self.tree.get("config") if is_object(self.tree) else None
        name = config.get("name") if isinstance(config, dict) else None
        return Config(self._module(self.tree, name if isinstance(name, str) and name else "model", "", ""))

    def module(self, node: Json, name: str, path: str, group: str) -> Module:
        """The module of a layer that the config does not mention.

        Args:
            node: its node.
            name: a free name among its siblings, escaped.
            path: of the module.
            group: its group in the weights file.

        Raises:
            InvalidError: ``keras-config``.
        """
        return self._module(node, paths.unescape_segment(name), path, group)

    def _module(self, node: Json, name: str, path: str, group: str, *, called: bool = False) -> Module:
        """The module of a layer's node.

        Args:
            node: the node.
            name: what the module is called, not yet escaped.
            path: of the module, the empty one of the root.
            group: its group in the weights file.
            called: whether it is in the graph of a Functional model.
        """
        where = f"{DOCUMENT} at {path or 'the root'}"
        if not is_object(node) or not isinstance(node["config"], dict):
            raise error("keras-config", where=where, found=shown(node))
        segment = paths.escape_segment(name)
        known = self._known(node)
        if known is not None:
            return Module(segment, "shared", target=known.path)
        op = _op(node)
        module = Module(segment, "opaque" if op.startswith("custom:") else "layer", op)
        self._by_path[path] = module
        self._share(module, node, path)
        self._named(module, node, name, called=called)
        self._content(module, {k: v for k, v in node["config"].items() if k != "name"}, path, group, where)
        self._built(module, node)
        if path:
            self._compiled(module, node)
        held = _HELD | _PLACED if called else _HELD
        rest = self.values.raw({key: value for key, value in node.items() if key not in held})
        for key, fact in difference(frame(module, self.dialect), rest).items():
            keep(module, key, fact)
        return module

    def _share(self, module: Module, node: Mapping[str, Json], path: str) -> None:
        raw = node.get("shared_object_id")
        if type(raw) is int:
            keep(module, "shared", self.values.shared[raw])
        if path and self.values.shared:
            essence = _essence(node)
            self._met[path] = essence
            if type(raw) is int:
                self._shared.setdefault(raw, path)
            else:
                self._unmarked.setdefault(digest(essence), []).append(path)

    def _known(self, node: Mapping[str, Json]) -> ModuleRef | None:
        """The module that was met before and that a node stands for, by Keras' id of the object and by its content.

        The ids of the objects in it may be others, and at its first place it may have none: then it is the only
        module of its content, as Keras gives ids to what it meets again.
        """
        raw = node.get("shared_object_id")
        if type(raw) is not int:
            return None
        essence = _essence(node)
        path = self._shared.get(raw)
        if path is None:
            paths = self._unmarked.get(digest(essence), [])
            if len(paths) != 1:
                return None
            path = self._shared[raw] = paths[0]
        return ModuleRef(path) if same(without_ids(self._met[path]), without_ids(essence)) else None

    def _referred(self, node: Mapping[str, Json]) -> ModuleRef | None:
        """The module that a value stands for, if the module's node gives the value back as it is."""
        found = self._known(node)
        return found if found is not None and same(self._met[found.path], _essence(node)) else None

    def _named(self, module: Module, node: Mapping[str, Json], name: str, *, called: bool) -> None:
        config = node["config"]
        if "name" not in config:
            keep(module, "unnamed", True)
        elif not same(config["name"], name):
            module.attrs["name"] = self.values.value(config["name"])
        if called and "name" in node and node["name"] != keras_name(module):
            keep(module, "layer_name", node["name"])

    def _built(self, module: Module, node: Mapping[str, Json]) -> None:
        module.build = self.values.value(node.get("build_config"))
        if "build_config" in node and module.build is None:
            keep(module, "build_null", True)

    def _compiled(self, module: Module, node: Mapping[str, Json]) -> None:
        """Keras writes an empty compile config for a model inside of another; keep what is otherwise."""
        usual: list[Json] = [{}] if self.dialect == "keras" and is_model(module) else []
        actual = [self.values.raw(node["compile_config"])] if "compile_config" in node else []
        if not same(usual, actual):
            keep(module, "compile_config", actual)

    def _content(self, module: Module, config: dict[str, Json], path: str, group: str, where: str) -> None:
        """Attributes, children and calls."""
        if all(key in config for key in _GRAPH_KEYS):
            layers, *ends = (config.pop(key) for key in _GRAPH_KEYS)
            self._layers(module, layers, path, group, where, called=True)
            module.kind = "graph"
            module.graph = read_graph(module, layers, ends, values=self.values, dialect=self.dialect)
            writer = ConfigWriter(self._by_path.__getitem__, self.dialect)
            writer.check_calls(module, module.graph, layers, ends)
        elif is_sequential(module) and isinstance(config.get("layers"), list):
            self._layers(module, config.pop("layers"), path, group, where)
            module.graph = chain(module)
            module.kind = "layer" if module.graph is None else "graph"
        orders = key_orders(config)
        if orders:
            keep(module, "order", orders)
        # A JSON object's keys have no order, children have one: that of the table, then that of the names.
        held = list(row(module.op).held or {})
        ranked = sorted(config, key=lambda key: (held.index(key) if key in held else len(held), key))
        found = {key: self._attribute(module, key, config[key], path, group) for key in ranked}
        module.attrs.update((key, found[key]) for key in config)

    def _attribute(self, module: Module, key: str, value: Json, path: str, group: str) -> Any:
        """The value of an attribute; layers that the layer holds become children, and the value refers to them."""
        attribute = (row(module.op).held or {}).get(key)
        nodes = value if isinstance(value, list) else [value]
        # What a built-in layer holds is a layer; Keras before 2.3 says the dtype of a first layer alone.
        sure = attribute is not None
        if not nodes or not all(_is_layer(node, sure=sure) for node in nodes):
            return self.values.value(value)
        name = attribute or key
        groups = [name, f"_{name}"]
        if isinstance(value, list):
            listed = [(str(index), python_name(_op(node), node["class_name"])) for index, node in enumerate(nodes)]
            groups = [found for _, found in numbered_groups(name, listed)]
        there = [found for found in groups if self.has_group(join(group, found))]
        if attribute is None and not (there and module.op.startswith("custom:")):
            return self.values.value(value)
        if not isinstance(value, list):
            child = self._child(module, value, name, path, join(group, (there or groups)[0]))
            if there and there[0] != name:
                keep(child, "group", there[0])
            return ModuleRef(join(path, child.name))
        children = [
            self._child(module, node, _name_of(node), path, join(group, found))
            for node, found in zip(nodes, groups, strict=True)
        ]
        return [ModuleRef(join(path, child.name)) for child in children]

    def _layers(self, module: Module, layers: Json, path: str, group: str, where: str, *, called: bool = False) -> None:
        """The layers that a model lists."""
        if not isinstance(layers, list) or not all(is_object(node) for node in layers):
            raise error("keras-config", where=where, found=shown(layers))
        counted = [
            (str(index), python_name(_op(node), node["class_name"]))
            for index, node in enumerate(layers)
            if not (is_operation(_op(node)) or (is_sequential(module) and is_input(_op(node))))
        ]
        groups = dict(numbered_groups("layers", counted))
        for index, node in enumerate(layers):
            place = join(group, groups.get(str(index), "layers"))
            self._child(module, node, _name_of(node), path, place, called=called)

    def _child(self, module: Module, node: Json, name: str, path: str, group: str, *, called: bool = False) -> Module:
        """Append a child, with a number behind its name if a sibling has that name."""
        free = self._names.setdefault(path, FreeNames()).take(name)
        child = self._module(node, free, join(path, paths.escape_segment(free)), group, called=called)
        if child.target is not None:
            first, ids = (ids_in(one, self.values.shared) for one in (self._met[child.target], _essence(node)))
            if first != ids:
                keep(module, "ids", residue(module).get("ids", {}) | {child.name: ids})
        module.modules.append(child)
        return child


def _essence(node: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in node.items() if key not in _PLACED}


def _op(node: Mapping[str, Json]) -> str:
    return short(class_of(node.get("module"), node["class_name"], node.get("registered_name")), "layers")


def _is_layer(node: Json, *, sure: bool) -> bool:
    """Whether an object node has what every layer's config has; that of a model of tf_keras has no dtype.

    Args:
        node: of what a layer's config has in it.
        sure: whether nothing but layers has its place.
    """
    if not is_object(node) or not isinstance(node["config"], dict):
        return False
    keys = node["config"].keys()
    if sure and isinstance(node["config"].get("name"), str):
        return True
    return keys >= {"name", "dtype"} or (keys >= {"name", "layers"} and isinstance(node["config"]["layers"], list))


def _name_of(node: Mapping[str, Json]) -> str:
    """The name of a layer's node."""
    config = node["config"]
    for name in (node.get("name"), config.get("name") if isinstance(config, dict) else None):
        if isinstance(name, str) and name:
            return name
    raise error("keras-config", where=DOCUMENT, found=f"a layer without a name: {shown(node)}")
