"""`config.json`: trees of modules, graphs with shared calls, modules at several places (SPEC.md chapter 13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies import names
from etui_conformance.strategies.extensions import VERSION, further_fields
from etui_conformance.strategies.scope import EVERYTHING, Scope
from etui_conformance.strategies.values import KEYS_WRITTEN, NOTHING, Names, maps, residues, values

_ROLES = st.sampled_from(names.ROLES)
_IDS = st.lists(
    st.sampled_from(["input", "dense", "dense:1", "dense:2", "a/b", "'", "é", "$id", " "]), max_size=4, unique=True
)
_NESTINGS = st.sampled_from(["list", "tuple", "map", "pairs"])
_COIN = st.booleans()


@st.composite
def configs(
    draw: st.DrawFn, refer_to: Names = NOTHING, scope: Scope = EVERYTHING, version: str = VERSION, *, levels: int = 2
) -> dict[str, Any]:
    """Documents with one model.

    Args:
        draw: given by Hypothesis.
        refer_to: the variables and assets that the config may name; the modules are its own.
        scope: what the implementation claims.
        version: of the document.
        levels: of modules below the model.
    """
    kinds = ["layer", "graph", "opaque"] if "opaque" in scope.features else ["layer", "graph"]
    root = _module(draw, draw(names.segments()), st.sampled_from(kinds), levels)
    _share(draw, root)
    known = replace(refer_to, modules=[path for path, _ in walk(root) if path])
    for _, module in walk(root):
        if module["kind"] != "shared":
            _fill(draw, module, known, version)
        module.update(further_fields(draw, version))
    return {"format": "etui-config", "model": root, "version": version, **further_fields(draw, version)}


def walk(module: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every module with its path, each before its children; the root's path is empty."""
    yield path, module
    for child in module.get("modules", ()):
        yield from walk(child, f"{path}/{child['name']}" if path else child["name"])


def _module(draw: st.DrawFn, name: str, kinds: st.SearchStrategy[str], levels: int) -> dict[str, Any]:
    """A module with its tree, as yet without content."""
    module: dict[str, Any] = {"kind": draw(kinds), "name": name, "op": draw(names.ops())}
    children = draw(names.siblings()) if levels else []
    if children:
        module["modules"] = [_module(draw, child, kinds, levels - 1) for child in children]
    return module


def _share(draw: st.DrawFn, root: dict[str, Any]) -> None:
    """Turn some leaves into further places of modules before them, none of which holds the leaf (C-15, C-18)."""
    before: list[str] = []
    for path, module in list(walk(root)):
        targets = [target for target in before if not path.startswith(f"{target}/")]
        if path and "modules" not in module and targets and draw(_COIN):
            del module["op"]
            module |= {"kind": "shared", "target": draw(st.sampled_from(targets))}
        elif path:
            before.append(path)


def _fill(draw: st.DrawFn, module: dict[str, Any], known: Names, version: str) -> None:
    """Give a module its own fields, the empty ones left out (C-4)."""
    children = [child["name"] for child in module.get("modules", ())]
    fields: dict[str, Any] = {"attrs": draw(maps(known, depth=2))}
    if draw(_COIN):
        fields["build"] = draw(values(known, depth=1))
    if known.variables:
        fields["params"] = draw(st.dictionaries(_ROLES, st.sampled_from(known.variables), max_size=2))
    if draw(_COIN):
        fields["residue"] = draw(residues(known))
    module.update({name: value for name, value in fields.items() if value not in (None, {})})
    if fields.get("build") == {}:
        module["build"] = {}
    if module["kind"] == "graph":
        module["graph"] = _graph(draw, children, known, version)


def _graph(draw: st.DrawFn, modules: Sequence[str], known: Names, version: str) -> dict[str, Any]:
    """Calls of a graph's own modules, each of which uses the outputs of those before it alone (C-11 to C-14)."""
    ids = draw(_IDS) if modules else []
    calls = []
    for index, name in enumerate(ids):
        before = replace(known, outputs=ids[:index])
        args = [draw(values(before, depth=1)) for _ in range(draw(st.integers(0, 2)))]
        kwargs = draw(maps(before))
        if index and draw(_COIN):
            kwargs[draw(KEYS_WRITTEN)] = _outputs(draw, ids[:index])
        call = {"args": args, "id": name, "kwargs": kwargs, "module": draw(st.sampled_from(modules))}
        calls.append({**call, **further_fields(draw, version)})
    graph = {"calls": calls, "inputs": _outputs(draw, ids), "outputs": _outputs(draw, ids)}
    return {**graph, **further_fields(draw, version)}


def _outputs(draw: st.DrawFn, ids: Sequence[str], levels: int = 2) -> Any:
    """A nesting whose leaves are outputs of calls."""
    if ids and (not levels or draw(_COIN)):
        return {"$output": [draw(st.sampled_from(ids)), draw(st.integers(0, 2))]}
    items = [_outputs(draw, ids, levels - 1) for _ in range(draw(st.integers(0, 2)) if levels else 0)]
    nesting = draw(_NESTINGS)
    if nesting == "map":
        return {f"$${index}": item for index, item in enumerate(items)}
    if nesting == "pairs" and items:
        return {"$map": [[index, item] for index, item in enumerate(items)]}
    return {"$tuple": items} if nesting == "tuple" else items
