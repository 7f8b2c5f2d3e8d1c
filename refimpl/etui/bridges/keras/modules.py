"""What both directions of the config translation need to know about one module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui import paths
from etui.bridges.keras.layer_table import LAYERS, Row
from etui.bridges.keras.names import full, identity_of, is_operation, numbered, python_name, snake_case
from etui.bridges.keras.patches import Json, patched
from etui.canonical.values import ModuleRef
from etui.containers.config import Config, Module

NAMESPACES = ("keras", "tf_keras", "custom")
UNKNOWN_LAYER = "keras:Layer"
CONTAINER = "keras:Container"
_NO_ROW = Row()


def residue(module: Module) -> dict[str, Any]:
    """Keras' own facts about a module."""
    found: dict[str, Any] = module.residue.get("keras", {})
    return found


def keep(module: Module, name: str, fact: Any) -> None:
    """Keep one of Keras' own facts."""
    module.residue.setdefault("keras", {})[name] = fact


def row(op: str) -> Row:
    """The table's row of an op."""
    framework, _, name = op.partition(":")
    return LAYERS.get(name, _NO_ROW) if framework == "keras" else _NO_ROW


def is_sequential(module: Module) -> bool:
    """Whether a module calls its own modules one after the other."""
    return module.op == "keras:Sequential"


def is_model(module: Module) -> bool:
    """Whether Keras lists the modules of this one as its `layers`."""
    return module.graph is not None or is_sequential(module)


def is_input(op: str) -> bool:
    """Whether a module is the place where a tensor enters a graph."""
    return op == "keras:InputLayer"


def is_listed(child: Module) -> bool:
    """Whether a module of a model is among its `layers`, and not one that was only found in the weights file."""
    return "group" not in residue(child)


def keras_name(module: Module) -> str:
    """The name that Keras gives a layer: its attribute `name` where that differs from the module's name."""
    found = module.attrs.get("name")
    return found if isinstance(found, str) else paths.unescape_segment(module.name)


def group_class(module: Module) -> str:
    """The Python class name of a module, from which Keras makes the name of its group."""
    return python_name(module.op, patched(identity_of(full(module.op, "layers")), residue(module))["class_name"])


def resolved(config: Config, module: Module) -> Module:
    """The module itself, or the one that a `shared` module stands for."""
    return config.find(module.target) if module.target is not None else module


def join(path: str, name: str) -> str:
    """A path below another, which may be the empty path of the root."""
    return f"{path}/{name}" if path else name


def child_groups(config: Config, module: Module) -> dict[str, str]:
    """The group of each child in the weights file, relative to the module's own, by the child's name.

    Operations have none, nor have inputs but those of a Functional model, which counts them among its layers.
    """
    children = {child.name: resolved(config, child) for child in module.modules}
    plain = {name: child for name, child in children.items() if not is_operation(child.op)}
    if module.graph is None or is_sequential(module):
        plain = {name: child for name, child in plain.items() if not is_input(child.op)}
    own = [child for child in module.modules if child.name in plain]
    groups = {child.name: residue(child).get("group", child.name) for child in own}
    lists = [("layers", [child.name for child in own if is_listed(child)])] if is_model(module) else []
    for attribute, value in held_values(module):
        if isinstance(value, ModuleRef):
            name = value.path.rpartition("/")[2]
            groups[name] = residue(children[name]).get("group", attribute) if name in children else attribute
        else:
            lists.append((attribute, [item.path.rpartition("/")[2] for item in value]))
    for attribute, names in lists:
        members = [(name, group_class(plain[name])) for name in names if name in plain]
        groups.update(numbered_groups(attribute, members))
    return groups


def numbered_groups(prefix: str, layers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs of name and group for pairs of name and class: the class in snake case, numbered within the list."""
    used: dict[str, int] = {}
    return [(name, f"{prefix}/{numbered(snake_case(kind), used)}") for name, kind in layers]


def held_values(module: Module) -> list[tuple[str, Any]]:
    """The attributes of a module that refer to modules, each under the name of its group."""
    held: Mapping[str, str] = row(module.op).held or {}
    return [
        (held.get(key, key), value)
        for key, value in module.attrs.items()
        if isinstance(value, ModuleRef)
        or (isinstance(value, list) and value and all(isinstance(item, ModuleRef) for item in value))
    ]


def frame(module: Module, dialect: str) -> dict[str, Json]:
    """The fields of a layer's node that follow from the neutral module, without its config and its calls."""
    node = identity_of(full(module.op, "layers"), dialect)
    if "shared" in residue(module):
        node["shared_object_id"] = residue(module)["shared"]
    return node
