"""`config.json`: the tree of modules, and the graphs of their calls (SPEC.md chapter 13)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from etui_conformance.oracle import core_modules, limits, names, values
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.forms import Form

OWN = ("attrs", "build", "modules", "params", "residue")
FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "layer": (("op",), OWN),
    "graph": (("op", "graph"), OWN),
    "opaque": (("op",), OWN),
    "shared": (("target",), ()),
}
"""kind -> the fields that a module of it must and may have besides `name` and `kind` (C-3)."""
KNOWN = frozenset({*OWN, "op", "graph", "target"})


@dataclass(slots=True)
class Config:
    """What the walk of the modules meets, each before its children.

    Attributes:
        kinds: of the modules below the root, by path.
        shared: place, path and target of the modules that stand for another.
        params: place and path of each variable that a module owns.
        opaque: whether a module of the kind is there, the root included.
        core: place and tree of the modules of the core vocabulary.
        ops: of the modules below the root that have one, by path.
        calls: place, path of the module, and arguments by name of each call.
        count: of the modules.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    shared: list[tuple[str, str, str]] = field(default_factory=list)
    params: list[tuple[str, str]] = field(default_factory=list)
    opaque: bool = False
    core: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ops: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    count: int = 0


def read(form: Form, tree: dict[str, Any]) -> Config:
    """The config of a document.

    Raises:
        Refusal: of the clauses C-1 to C-18 as far as the document alone shows them.
    """
    form.fields(tree, form.part, required=("format", "model", "version"))
    config = Config()
    _read_module(form, config, tree["model"], pointer(form.part, "model"), ())
    _check_shared(form, config)
    targets = {path: target for _, path, target in config.shared}
    for at, path, kwargs in config.calls:
        op = config.ops[targets.get(path, path)]
        if op.startswith("core:"):
            core_modules.check_call(form, op, kwargs, at)
    return config


def _read_module(form: Form, config: Config, tree: Any, at: str, path: tuple[str, ...] | None) -> None:
    """Check a module and what is below it.

    Args:
        form: of the document.
        config: what was met so far.
        tree: the module.
        at: its place.
        path: the names from below the root to its parent; the empty path's module is the root if nothing was met.
    """
    root = config.count == 0
    config.count += 1
    if config.count > limits.MODULES:
        raise Refusal("limit-modules", at, f"more than {limits.MODULES} modules")
    for field_name in ("kind", "name"):
        if field_name not in form.map(tree, at):
            form.refuse(at, f"lacks {field_name!r}")
    kind, name = _read_kind(form, tree, at, root), _read_name(form, tree, at)
    own = () if root else (*(path or ()), name)
    config.opaque = config.opaque or kind == "opaque"
    if not root:
        names.check_path("/".join(own), at)
        config.kinds["/".join(own)] = kind
    if kind == "shared":
        config.shared.append((at, "/".join(own), form.text(tree["target"], pointer(at, "target"))))
        return
    form.op(tree["op"], pointer(at, "op"))
    config.ops["/".join(own)] = tree["op"]
    _check_facts(form, config, tree, at)
    _check_siblings(form, tree, at)
    for index, module in enumerate(tree.get("modules", ())):
        _read_module(form, config, module, pointer(at, "modules", index), own)
    if kind == "graph":
        check_graph(form, tree["graph"], pointer(at, "graph"), [module["name"] for module in tree.get("modules", ())])
        for index, call in enumerate(tree["graph"]["calls"]):
            place = pointer(at, "graph", "calls", index, "kwargs")
            config.calls.append((place, "/".join((*own, call["module"])), call["kwargs"]))
    if tree["op"].startswith("core:"):
        core_modules.check(form, tree, at)
        config.core.append((at, tree))


def _read_kind(form: Form, tree: dict[str, Any], at: str, root: bool) -> str:
    """The kind of a module that has the fields of its kind (C-3)."""
    kind = tree["kind"]
    if not isinstance(kind, str) or kind not in FIELDS or (root and kind == "shared"):
        form.refuse(pointer(at, "kind"), "no kind of a module here", "module-kind")
    required, optional = FIELDS[kind]
    missing = [name for name in required if name not in tree]
    foreign = sorted(tree.keys() & (KNOWN - {*required, *optional}))
    if missing or foreign:
        form.refuse(at, f"{kind}: lacks {missing}, and has {foreign}", "module-kind")
    form.fields(tree, at, optional=("kind", "name", *KNOWN))
    return kind


def _read_name(form: Form, tree: dict[str, Any], at: str) -> str:
    """The name of a module, one segment of a path (C-2)."""
    name = tree["name"]
    if not isinstance(name, str) or not name or "/" in name:
        form.refuse(pointer(at, "name"), "not one segment of a path", "module-name")
    names.check_segment(name, pointer(at, "name"))
    return name


def _check_siblings(form: Form, tree: dict[str, Any], at: str) -> None:
    """Refuse children of the same name (C-2, D-4)."""
    if "modules" not in tree:
        return
    children = form.list(tree["modules"], pointer(at, "modules"), filled=True)
    found = [child["name"] for child in children if isinstance(child, dict) and isinstance(child.get("name"), str)]
    if len(set(found)) != len(found):
        form.refuse(pointer(at, "modules"), "two modules of a name", "module-name")
    names.check_collisions(found, pointer(at, "modules"))


def _check_facts(form: Form, config: Config, tree: dict[str, Any], at: str) -> None:
    """Check the attributes, variables, build and residue of a module (C-4, C-6, C-16)."""
    if "attrs" in tree:
        form.value_map(tree["attrs"], pointer(at, "attrs"), filled=True)
    if "build" in tree:
        if tree["build"] is None:
            form.refuse(pointer(at, "build"), "null is left out")
        form.value(tree["build"], pointer(at, "build"))
    if "residue" in tree:
        form.residue(tree["residue"], pointer(at, "residue"))
    if "params" in tree:
        for role, path in form.map(tree["params"], pointer(at, "params"), filled=True).items():
            place = pointer(at, "params", role)
            form.text(role, place, filled=True)
            config.params.append((place, form.path(path, place)))


def _check_shared(form: Form, config: Config) -> None:
    """Refuse a module that stands for what is not there, is shared itself, comes later, or contains it."""
    order = {path: place for place, path in enumerate(config.kinds)}
    for at, path, target in config.shared:
        if config.kinds.get(target, "shared") == "shared":
            form.refuse(pointer(at, "target"), f"{target!r} is no module of another kind", "reference-missing")
        if order[target] > order[path] or path.startswith(f"{target}/"):
            form.refuse(pointer(at, "target"), f"{target!r} comes later, or contains the module", "shared-order")


def check_graph(form: Form, tree: Any, at: str, modules: list[str]) -> None:
    """Refuse a graph that breaks C-11 to C-14.

    Args:
        form: of the document.
        tree: the graph.
        at: its place.
        modules: the names of the module's own modules.
    """
    form.fields(tree, at, required=("calls", "inputs", "outputs"))
    calls = form.list(tree["calls"], pointer(at, "calls"))
    ids = [_check_call(form, call, pointer(at, "calls", index), modules) for index, call in enumerate(calls)]
    if len(set(ids)) != len(ids):
        form.refuse(pointer(at, "calls"), "an id twice", "call-form")
    for index, call in enumerate(calls):
        for name in ("args", "kwargs"):
            place = pointer(at, "calls", index, name)
            _check_outputs(form, list(values.references(call[name], place)), ids, set(ids[:index]))
    for name in ("inputs", "outputs"):
        place = pointer(at, name)
        _check_value(form, tree[name], place)
        for leaf, leaf_at in _leaves(tree[name], place):
            if values.tag_of(leaf) != "$output":
                form.refuse(leaf_at, "a leaf that is no $output", "call-form")
        _check_outputs(form, list(values.references(tree[name], place)), ids, set(ids))


def _check_call(form: Form, call: Any, at: str, modules: list[str]) -> str:
    """The id of a call (C-11)."""
    form.fields(call, at, required=("args", "id", "kwargs", "module"), code="call-form")
    if form.text(call["module"], pointer(at, "module"), code="call-form") not in modules:
        form.refuse(pointer(at, "module"), "none of the module's own modules", "call-form")
    _check_value(form, form.list(call["args"], pointer(at, "args"), code="call-form"), pointer(at, "args"))
    kwargs = form.map(call["kwargs"], pointer(at, "kwargs"), code="call-form")
    _check_value(form, kwargs, pointer(at, "kwargs"))
    if values.tag_of(kwargs) is not None:
        form.refuse(pointer(at, "kwargs"), "a tagged value where a map belongs", "call-form")
    return form.text(call["id"], pointer(at, "id"), filled=True, code="call-form")


def _check_value(form: Form, value: Any, at: str) -> None:
    """Check a value of a graph, in which outputs may be named."""
    before = len(form.references)
    found = form.value(value, at)
    form.references[before:] = [reference for reference in found if reference[1] != "$output"]


def _check_outputs(form: Form, found: list[tuple[str, str, Any]], ids: list[str], before: set[str]) -> None:
    """Refuse outputs of calls that are not there or come later (C-12, C-13)."""
    for at, tag, content in found:
        if tag == "$output" and content[0] not in before:
            if content[0] in ids:
                form.refuse(at, f"the output of {content[0]!r} is not there yet", "call-order")
            form.refuse(at, f"no call {content[0]!r}", "reference-missing")


def _leaves(value: Any, at: str) -> Iterator[tuple[Any, str]]:
    """What a nesting of lists, tuples and maps holds in the end."""
    tag = values.tag_of(value)
    if tag == "$tuple":
        yield from _leaves(value[tag], pointer(at, tag))
    elif tag == "$map":
        for index, pair in enumerate(value[tag]):
            yield from _leaves(pair[1], pointer(at, tag, index))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, pointer(at, index))
    elif isinstance(value, dict) and tag is None:
        for key, item in value.items():
            yield from _leaves(item, pointer(at, key))
    else:
        yield value, at
