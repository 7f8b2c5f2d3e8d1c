"""Faults of chapter 13: modules, graphs, places of modules."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from etui_conformance.strategies.drafts import Draft
from etui_conformance.strategies.faults.base import CONFIG, Host, in_draft
from etui_conformance.strategies.faults.common import pick

Module = dict[str, Any]

_WITH_WEIGHTS = Host(("config", "weights"))
_WITH_OPAQUE = Host(("config",), needs=frozenset({"feature:opaque"}))


def _host(draft: Draft) -> Module:
    found: Module = draft.documents["config.json"]["model"]["modules"][-1]
    return found


def _child(draft: Draft, index: int) -> Module:
    """A module of the host: 0 the input, 1 the dense layer, 2 its second place."""
    found: Module = _host(draft)["modules"][index]
    return found


def _call(draft: Draft, index: int) -> dict[str, Any]:
    """A call of the host's graph: 0 of the input, 1 of the dense layer."""
    found: dict[str, Any] = _host(draft)["graph"]["calls"][index]
    return found


@in_draft("C-1", "config-form", "document without a model", CONFIG)
def _no_model(draw: st.DrawFn, draft: Draft) -> None:
    del draft.documents["config.json"][pick(draw, "model", "format")]


@in_draft("C-1", "config-form", "another format", CONFIG)
def _format(draw: st.DrawFn, draft: Draft) -> None:
    draft.documents["config.json"]["format"] = pick(draw, "etui-weights", "config", 1)


@in_draft("C-2 C-1", "module-name config-form", "module without a name", CONFIG)
def _nameless(draw: st.DrawFn, draft: Draft) -> None:
    del pick(draw, _host(draft), _child(draft, 0))["name"]


@in_draft("C-2", "module-name path-form", "name that is no segment", CONFIG)
def _name(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 2)["name"] = pick(draw, "", "a/b", ".", "..", "a#b", "a@0", "a\\b", "\t")


@in_draft("C-2", "module-name", "name of another type", CONFIG)
def _name_type(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 2)["name"] = pick(draw, None, 1, ["again"])


@in_draft("C-2", "module-name", "two siblings of one name", CONFIG)
def _siblings(_draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 2)["name"] = "input"


@in_draft("C-3", "module-kind", "unknown kind", CONFIG)
def _kind(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 0)["kind"] = pick(draw, "Layer", "model", "", None, 1)


@in_draft("C-3", "module-kind", "field of another kind", CONFIG)
def _foreign(draw: st.DrawFn, draft: Draft) -> None:
    index, field, value = pick(
        draw,
        (1, "target", "host/input"),
        (1, "graph", {"calls": [], "inputs": [], "outputs": []}),
        (2, "op", "keras:Dense"),
        (2, "attrs", {"units": 1}),
        (2, "params", {"kernel": "host/kernel"}),
        (2, "modules", [{"kind": "layer", "name": "a", "op": "keras:Dense"}]),
        (2, "build", 1),
        (2, "residue", {"keras": {}}),
    )
    _child(draft, index)[field] = value


@in_draft("C-3", "module-kind", "field that the kind needs is lacking", CONFIG)
def _lacking(draw: st.DrawFn, draft: Draft) -> None:
    module, field = pick(draw, (_child(draft, 1), "op"), (_child(draft, 2), "target"), (_host(draft), "graph"))
    del module[field]


@in_draft("C-3", "module-kind", "model that stands for another", CONFIG)
def _root(_draw: st.DrawFn, draft: Draft) -> None:
    draft.documents["config.json"]["model"] = {"kind": "shared", "name": "model", "target": "host"}
    draft.manifest["requires"] = [one for one in draft.manifest["requires"] if one != "opaque"]


@in_draft("C-4 Q-10", "config-form", "empty field that is left out", CONFIG)
def _empty(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(draw, ("attrs", {}), ("params", {}), ("modules", []), ("residue", {}), ("build", None))
    _child(draft, 0)[field] = value


@in_draft("C-5", "reference-missing", "place of no module", CONFIG)
def _no_target(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 2)["target"] = pick(draw, "host/nothing", "dense", "host/Dense", "model/host/dense")


@in_draft("C-5", "reference-missing", "place of a place", CONFIG)
def _target_shared(_draw: st.DrawFn, draft: Draft) -> None:
    _host(draft)["modules"].append({"kind": "shared", "name": "third", "target": "host/again"})


@in_draft("C-6", "reference-missing", "variable that is not there", _WITH_WEIGHTS)
def _params(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 1)["params"][pick(draw, "kernel", "bias")] = pick(draw, "host/nothing", "kernel", "host")


@in_draft("C-8", "op-form", "op that is no name with a namespace", CONFIG)
def _op(draw: st.DrawFn, draft: Draft) -> None:
    names = (
        "Dense",
        "Keras:Dense",
        ":Dense",
        "keras:",
        "keras:De nse",
        "ke-ras:Dense",
        "keras:a\x7f",
        "keras:a\tb",
        "",
    )
    _child(draft, 1)["op"] = pick(draw, *names)


@in_draft("C-8", "op-form", "class that is no name with a namespace", CONFIG)
def _class(draw: st.DrawFn, draft: Draft) -> None:
    found = pick(draw, "Zeros", "Keras:Zeros", "keras:", ":a", "keras:a b", "")
    _host(draft)["attrs"]["value"] = {"$object": {"class": found, "config": {}}}


@in_draft("C-9", "op-unknown", "op that the core vocabulary does not have", CONFIG)
def _core(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 0)["op"] = pick(draw, "core:Dense", "core:denser", "core:losses.mean_squared_error")


@in_draft("C-9", "op-unknown", "class that the core vocabulary does not have", CONFIG)
def _core_class(draw: st.DrawFn, draft: Draft) -> None:
    found = pick(draw, "core:zeros", "core:initializers.zeroes", "core:dense")
    _host(draft)["attrs"]["value"] = {"$object": {"class": found, "config": {}}}


@in_draft("C-11", "call-form", "two calls of one id", CONFIG)
def _ids(_draw: st.DrawFn, draft: Draft) -> None:
    graph = _host(draft)["graph"]
    graph["calls"].append({"args": [], "id": "out", "kwargs": {}, "module": "input"})


@in_draft("C-11", "call-form", "call of a module of another level", CONFIG)
def _call_module(draw: st.DrawFn, draft: Draft) -> None:
    _call(draft, 0)["module"] = pick(draw, "host", "host/input", "nothing")


@in_draft("C-11", "call-form", "field of a call is lacking", CONFIG)
def _call_lacks(draw: st.DrawFn, draft: Draft) -> None:
    del _call(draft, 0)[pick(draw, "args", "kwargs", "module")]


@in_draft("C-11", "call-form", "field of a call of another type", CONFIG)
def _call_type(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(draw, ("args", {}), ("kwargs", []), ("args", None), ("kwargs", None), ("args", {"$tuple": []}))
    _call(draft, 0)[field] = value


@in_draft("C-12", "call-order", "output of a later call", CONFIG)
def _order(draw: st.DrawFn, draft: Draft) -> None:
    later = {"$output": [pick(draw, "out", "in"), 0]}
    call = _call(draft, 0)
    if draw(st.booleans()):
        call["args"] = [later]
    else:
        call["kwargs"] = {"mask": [later]}


@in_draft("C-13", "reference-missing", "output of no call", CONFIG)
def _no_call(draw: st.DrawFn, draft: Draft) -> None:
    missing = {"$output": [pick(draw, "input", "nothing", "Out", ""), 0]}
    graph = _host(draft)["graph"]
    place = pick(draw, "args", "outputs", "inputs")
    if place == "args":
        graph["calls"][1]["args"] = [missing]
    else:
        graph[place] = missing


@in_draft("C-13", "reference-missing", "output outside of a graph", CONFIG)
def _outside(draw: st.DrawFn, draft: Draft) -> None:
    field = pick(draw, "attrs", "build")
    value = {"$output": ["in", 0]}
    _child(draft, 1)[field] = {"value": value} if field == "attrs" else value


@in_draft("C-14", "call-form", "leaf that is no output", CONFIG)
def _leaf(draw: st.DrawFn, draft: Draft) -> None:
    graph = _host(draft)["graph"]
    field = pick(draw, "inputs", "outputs")
    graph[field] = [graph[field], pick(draw, None, 1, "in", {"$float": "1"}, {"$slice": [None, None, None]})]


@in_draft("C-14 C-11 C-1", "call-form config-form", "field of a graph is lacking", CONFIG)
def _graph_lacks(draw: st.DrawFn, draft: Draft) -> None:
    del _host(draft)["graph"][pick(draw, "inputs", "outputs")]


@in_draft("C-15", "shared-order", "place before its module", CONFIG)
def _before(_draw: st.DrawFn, draft: Draft) -> None:
    modules = _host(draft)["modules"]
    modules.insert(0, modules.pop(2))


@in_draft("C-18", "shared-order", "place within its module", CONFIG)
def _within(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 1)["modules"] = [{"kind": "shared", "name": "loop", "target": pick(draw, "host", "host/dense")}]


@in_draft("C-16 C-1", "config-form", "residue of no framework", CONFIG)
def _residue(draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 0)["residue"] = pick(draw, {"Keras": {}}, {"": {}}, {"keras": 1}, {"keras": []}, [])


@in_draft("M-4", "requires-list", "opaque module that is not required", _WITH_OPAQUE)
def _opaque(_draw: st.DrawFn, draft: Draft) -> None:
    _child(draft, 1)["kind"] = "opaque"
    draft.manifest["requires"] = [one for one in draft.manifest["requires"] if one != "opaque"]
