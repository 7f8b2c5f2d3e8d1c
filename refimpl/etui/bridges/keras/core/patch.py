"""Guarded patches: what turns a derived module into the one that Keras wrote, where nothing was edited since.

A patch is a list of entries, each with the way to a place (`at`), what the derived module has there (`was`) and what
Keras' has (`is`); each of these two is a list of the one value, or empty where there is none. An entry is applied only
where the module still has what `was` says, so that an edit wins over the patch (SPEC.md, KC-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.patches import same
from etui.canonical import values
from etui.containers.config import Call, Graph, Module
from etui.limits import DEFAULT_LIMITS

Json = Any
Entry = dict[str, Any]
OWN = "own"
_ABSENT = object()


def tree_of(module: Module, own: Mapping[str, Any] | frozenset[str] = frozenset()) -> dict[str, Json]:
    """A module as a tree of maps: children by name and calls by id, their orders beside them.

    Args:
        module: of Keras.
        own: names of children that are not part of the tree, as they have patches of their own.
    """
    if module.target is not None:
        return {"target": module.target}
    tree: dict[str, Json] = {
        "kind": module.kind,
        "op": module.op,
        "attrs": values.to_json(module.attrs),
        "params": dict(module.params),
        "residue": values.to_json(module.residue),
        "order": [child.name for child in module.modules],
        "modules": {child.name: OWN if child.name in own else tree_of(child) for child in module.modules},
    }
    if module.build is not None:
        tree["build"] = values.to_json(module.build)
    if module.extra:
        tree["extra"] = dict(module.extra)
    if module.graph is not None:
        graph = module.graph
        tree["graph"] = {
            "inputs": values.to_json(graph.inputs),
            "outputs": values.to_json(graph.outputs),
            "order": [call.id for call in graph.calls],
            "calls": {
                call.id: {
                    "module": call.module,
                    "args": values.to_json(call.args),
                    "kwargs": values.to_json(call.kwargs),
                    "extra": dict(call.extra),
                }
                for call in graph.calls
            },
        }
    return tree


def module_of(tree: Mapping[str, Json], name: str, children: Mapping[str, Module]) -> Module:
    """The module of a tree; `children` are those that `tree_of` left out, by name."""
    if "target" in tree:
        return Module(name, "shared", target=tree["target"])
    made = {
        key: children[key] if key in children else module_of(child, key, {})
        for key, child in tree["modules"].items()
        if child != OWN or key in children
    }
    listed = [key for key in tree["order"] if key in made]
    graph = tree.get("graph")
    return Module(
        name,
        tree["kind"],
        tree["op"],
        _value(tree["attrs"]),
        dict(tree["params"]),
        [made[key] for key in [*listed, *(key for key in made if key not in listed)]],
        None if graph is None else _graph(graph),
        _value(tree["build"]) if "build" in tree else None,
        _value(tree["residue"]),
        extra=dict(tree.get("extra", {})),
    )


def _graph(tree: Mapping[str, Json]) -> Graph:
    calls = tree["calls"]
    listed = [key for key in tree["order"] if key in calls]
    made = [
        Call(key, calls[key]["module"], _value(calls[key]["args"]), _value(calls[key]["kwargs"]), calls[key]["extra"])
        for key in [*listed, *(key for key in calls if key not in listed)]
    ]
    return Graph(_value(tree["inputs"]), _value(tree["outputs"]), made)


def _value(tree: Json) -> Any:
    return values.from_json(_ordered(tree), "residue", DEFAULT_LIMITS)


def _ordered(tree: Json) -> Json:
    """A tree whose maps have their keys in the order of canonical JSON, as those of an artifact that is read have."""
    if isinstance(tree, dict):
        return {key: _ordered(tree[key]) for key in sorted(tree, key=_utf16)}
    return [_ordered(item) for item in tree] if isinstance(tree, list) else tree


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def difference(derived: Json, actual: Json) -> list[Entry]:
    """The entries that turn one tree into the other; none if they are equal."""
    found: list[Entry] = []
    _compare(derived, actual, [], found)
    return found


def _compare(derived: Json, actual: Json, way: list[str], found: list[Entry]) -> None:
    if _is_map(derived) and _is_map(actual):
        for key in sorted(derived.keys() | actual.keys()):
            _compare(derived.get(key, _ABSENT), actual.get(key, _ABSENT), [*way, key], found)
    elif derived is _ABSENT or actual is _ABSENT or not same(derived, actual):
        found.append({"at": way, "was": _listed(derived), "is": _listed(actual)})


def _listed(value: Json) -> list[Json]:
    return [] if value is _ABSENT else [value]


def _is_map(tree: Json) -> bool:
    """Whether a tree is a map whose entries are compared one by one; a tagged value is one thing."""
    return isinstance(tree, dict) and not any(key.startswith("$") for key in tree)


def patched(derived: dict[str, Json], entries: Json) -> tuple[dict[str, Json], int]:
    """Apply entries to a tree in place.

    Args:
        derived: the tree of a derived module.
        entries: what `difference` gave; an entry of another form is passed over.

    Returns:
        The tree, and how many entries were passed over as the place has changed.
    """
    passed = 0
    for entry in entries if isinstance(entries, list) else ():
        passed += not _apply(derived, entry)
    return derived, passed


def _apply(tree: dict[str, Json], entry: Json) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), list) for key in ("at", "was", "is")):
        return False
    *way, last = entry["at"] or [None]
    node: Json = tree
    for step in way:
        node = node.get(step) if _is_map(node) else None
    if not _is_map(node) or not isinstance(last, str):
        return False
    if not same(_listed(node.get(last, _ABSENT)), entry["was"]):
        return False
    if entry["is"]:
        node[last] = entry["is"][0]
    else:
        del node[last]
    return True
