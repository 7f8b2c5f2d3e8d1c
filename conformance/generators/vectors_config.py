"""Vectors of configs (SPEC.md chapter 13)."""

from __future__ import annotations

from typing import Any

from vectors_contents import call, config, f32, graph, joined, layer, output, shared, weights
from vectors_kit import Area
from vectors_parts import CONFIG, Edit, add, drop, insert, put

DENSE = ("model", "modules", 1)
BLOCK = ("model", "modules", 2)
GRAPH = ("model", "graph")
_BOTH = ("config", "weights")


def area() -> Area:
    """The vectors."""
    found = Area("config", "config")
    _valid(found)
    base = found.valid(
        "a graph with a module that is called twice, a nested one, and a shared one",
        "C-1 C-2 C-3 C-5 C-6 C-10 C-11 C-12 C-13 C-14 C-15 C-16 C-17",
        joined(
            config(_network()),
            weights({"dense/kernel": f32([1], 1), "dense/bias": f32([1], 2)}, {"tied": "dense/kernel"}),
        ),
        subject=_BOTH,
    )
    found.faults(base, CONFIG, _module_faults())
    found.faults(base, CONFIG, _call_faults())
    found.faults(base, CONFIG, _shared_faults())
    params: list[tuple[str, str, str, Edit]] = [
        ("a parameter that is not there", "C-6", "reference-missing", put("nowhere", *DENSE, "params", "kernel")),
        ("a parameter that is a module", "C-6", "reference-missing", put("dense", *DENSE, "params", "kernel")),
        ("a parameter with a backslash", "C-6 D-3", "path-form", put("a\\b", *DENSE, "params", "kernel")),
    ]
    found.faults(base, CONFIG, params, needs=["weights"])
    _harmless(found)
    return found


def _harmless(found: Area) -> None:
    """What a reader might be tempted to open, import or run is data."""
    names = ["/etc/passwd", "../../outside.txt", "file:///etc/hosts", "https://example.invalid/a", "assets/absent.txt"]
    tempting = layer("m", attrs={"vocabulary": names, "path": "C:\\\\a.txt"})
    found.valid("texts that name files and addresses", "A-2 X-1", config(tempting))
    classes = ["custom:os>system", "custom:builtins>exec", "os:system", "keras:layers.Lambda", "torch:hub.load"]
    made = [{"$object": {"class": name, "config": {"command": "exit 1", "args": ["exit 1"]}}} for name in classes]
    modules = [layer(f"m{at}", op, attrs={"function": made[at]}) for at, op in enumerate(classes)]
    found.valid(
        "classes and ops that name functions of a language", "V-9 X-1 C-10", config(layer("m", modules=modules))
    )


def _network() -> dict[str, Any]:
    dense = layer(
        "dense", attrs={"units": 1}, build={"input_shape": {"$tuple": [None, 1]}}, residue={"example": {"module": "m"}}
    )
    dense["params"] = {"bias": "dense/bias", "kernel": "dense/kernel"}
    block = layer("block", "custom:mine>Block", modules=[layer("inner"), shared("again", "dense")])
    calls = [
        call("input", "input"),
        call("dense", "dense", output("input")),
        call("dense:1", "dense", output("dense"), training=False),
        call("idle", "dense", output("input")),
        call("block", "block", [output("dense:1"), {"$slice": [0, None, 2]}], {"$tuple": [output("input")]}),
    ]
    inputs, outputs = [output("input")], {"first": output("block"), "second": {"$tuple": [output("dense", 1)]}}
    return graph("network", [layer("input"), dense, block], calls, inputs=inputs, outputs=outputs, op="example:Network")


def _valid(found: Area) -> None:
    found.valid("a layer with nothing", "C-1 C-3 C-4", config(layer("m")))
    every = layer(
        "m",
        attrs={"a": 1},
        build=[None, 2],
        params={"kernel": "any/path"},
        residue={"keras": {"a": None}, "torch": {"b": []}},
    )
    found.valid("a layer with every field, without weights", "C-3 C-6 C-16", config(every | {"modules": [layer("n")]}))
    names = ["a", "A", "é", "a b", "...", "$a", "%", "conv2d%2F1", "0"]
    found.valid(
        "modules with names of every kind, in their own order",
        "C-2 C-15",
        config(layer("m", modules=[layer(name) for name in reversed(names)])),
    )
    ops = [
        "keras:Dense",
        "a:b",
        "custom:a_b",
        "custom:mine>Größe",
        "torch:nn.Linear",
        "x_1:a:b",
        "tf:a/b#c",
    ]
    found.valid(
        "ops of every form", "C-8 C-10", config(layer("m", modules=[layer(f"m{at}", op) for at, op in enumerate(ops)]))
    )
    opaque = {
        "kind": "opaque",
        "name": "m",
        "op": "custom:mine>Model",
        "attrs": {"depth": 3},
        "modules": [layer("inner")],
    }
    found.valid("an opaque model", "C-3 C-7 M-4", config(opaque))
    core = layer("m", "core:flatten", attrs={"data_format": "channels_first"})
    found.valid("an op of the core vocabulary", "C-9", config(layer("outer", modules=[core])))
    empty: dict[str, Any] = {"calls": [], "inputs": [], "outputs": []}
    found.valid(
        "a graph without calls", "C-3 C-11", config({"graph": empty, "kind": "graph", "name": "m", "op": "example:G"})
    )
    inner = graph(
        "inner", [layer("a")], [call("a", "a"), call("b", "a", output("a"))], inputs=output("a"), outputs=[output("b")]
    )
    outer = graph(
        "outer",
        [layer("a"), inner],
        [call("a", "a"), call("inner", "inner", output("a"))],
        inputs=[output("a")],
        outputs=output("inner"),
    )
    found.valid("a graph in a graph, with the same names", "C-11 C-13 C-14", config(outer))
    structures = {
        "list": [[output("a"), [output("a", 2)]]],
        "map": {"$map": [[1, output("a")]]},
        "none": [],
        "$$key": output("a"),
    }
    nested = graph(
        "m", [layer("a")], [call("a", "a", 1, None, "text", b=[{"$float": "1"}])], inputs=structures, outputs=structures
    )
    found.valid("inputs and outputs in every nesting", "C-14", config(nested))
    tree = layer(
        "m",
        modules=[
            layer("a", modules=[layer("b")]),
            shared("c", "a/b"),
            shared("d", "a"),
            layer("e", modules=[shared("f", "a")]),
        ],
    )
    found.valid("modules at several places", "C-5 C-15", config(tree))
    owned = layer("m", modules=[layer("a", modules=[layer("b"), shared("c", "a/b")]), shared("d", "a/b")])
    found.valid("a module that is shared by its sibling", "C-15 C-18", config(owned))
    tied = joined(config(layer("m", params={"kernel": "k", "tied": "t"})), weights({"k": f32([1], 1)}, {"t": "k"}))
    found.valid("parameters that are a variable and an alias", "C-6 W-14", tied, subject=_BOTH)
    deep: dict[str, Any] = layer("m")
    for _ in range(30):
        deep = layer("m", modules=[deep])
    found.valid("modules in modules", "C-1", config(deep))


def _module_faults() -> list[tuple[str, str, str, Edit]]:
    form, name, kind, op = "config-form", "module-name", "module-kind", "op-form"
    again = (*BLOCK, "modules", 1)
    return [
        ("another format", "C-1", form, put("etui", "format")),
        ("no model", "C-1", form, drop("model")),
        ("a model that is a list", "C-1", form, put([], "model")),
        ("an unknown field", "C-1 Q-7", form, put(1, "comment")),
        ("an unknown field of a module", "C-1 Q-7", form, put(1, *DENSE, "comment")),
        ("attributes that are a tagged map", "C-1", form, put({"$map": [[1, 2]]}, *DENSE, "attrs")),
        ("attributes that are a list", "C-1", form, put([1], *DENSE, "attrs")),
        ("modules in a map", "C-1", form, put({"a": 1}, *BLOCK, "modules")),
        ("two modules of a name", "C-2", name, put("inner", *again, "name")),
        ("a name of two segments", "C-2", name, put("a/b", *again, "name")),
        ("a name without letters", "C-2", name, put("", *again, "name")),
        ("a module without a name", "C-2 C-1", f"{name}|{form}", drop(*again, "name")),
        ("a name that is a number", "C-2 C-1", f"{name}|{form}", put(1, *again, "name")),
        ("an unknown kind", "C-3", kind, put("block", *BLOCK, "kind")),
        ("no kind", "C-3 C-1", f"{kind}|{form}", drop(*BLOCK, "kind")),
        ("a layer with a graph", "C-3", kind, put({"calls": [], "inputs": [], "outputs": []}, *BLOCK, "graph")),
        ("a graph without a graph", "C-3", kind, drop(*GRAPH)),
        ("a layer without an op", "C-3", kind, drop(*BLOCK, "op")),
        ("a layer with a target", "C-3", kind, put("dense", *BLOCK, "target")),
        ("a shared module with an op", "C-3", kind, put("example:A", *again, "op")),
        ("a shared module with attributes", "C-3", kind, put({"a": 1}, *again, "attrs")),
        ("a shared module without a target", "C-3", kind, drop(*again, "target")),
        (
            "a shared module as the model",
            "C-3",
            f"{kind}|{form}|reference-missing",
            put({"kind": "shared", "name": "m", "target": "a"}, "model"),
        ),
        ("empty attributes", "C-4 Q-10", form, put({}, *DENSE, "attrs")),
        ("empty parameters", "C-4 Q-10", form, put({}, *DENSE, "params")),
        ("no modules in a list", "C-4 Q-10", form, put([], *DENSE, "modules")),
        ("an empty residue", "C-4 Q-10", form, put({}, *DENSE, "residue")),
        ("a null build", "C-4", form, put(None, *DENSE, "build")),
        ("an op without a namespace", "C-8", op, put("Dense", *DENSE, "op")),
        ("an op with a namespace in capitals", "C-8", op, put("Keras:Dense", *DENSE, "op")),
        ("an op without a name", "C-8", op, put("keras:", *DENSE, "op")),
        ("an op with a space", "C-8", op, put("keras:My Layer", *DENSE, "op")),
        ("an op with a newline at its end", "C-8", op, put("keras:Dense\n", *DENSE, "op")),
        ("an op without letters", "C-8", op, put("", *DENSE, "op")),
        ("an op that is a list", "C-8 C-1", f"{op}|{form}", put(["keras:Dense"], *DENSE, "op")),
        ("an op that the core vocabulary lacks", "C-9", "op-unknown", put("core:Dense", *DENSE, "op")),
        (
            "a class that the core vocabulary lacks",
            "C-9",
            "op-unknown",
            put({"$object": {"class": "core:Zeros", "config": {}}}, *DENSE, "attrs", "units"),
        ),
        ("residue of something that is no framework", "C-16", form, put({"Keras 3": {"a": 1}}, *DENSE, "residue")),
        ("residue that is no map", "C-16", form, put({"keras": 1}, *DENSE, "residue")),
        ("residue in a list", "C-16", form, put([1], *DENSE, "residue")),
    ]


def _call_faults() -> list[tuple[str, str, str, Edit]]:
    form, order, missing = "call-form", "call-order", "reference-missing"
    calls = (*GRAPH, "calls")
    return [
        ("a call's id twice", "C-11", form, put("dense", *calls, 3, "id")),
        ("a call without an id", "C-11", form, drop(*calls, 3, "id")),
        ("a call of no module", "C-11", form, put("nowhere", *calls, 3, "module")),
        ("a call of a module below", "C-11", form, put("block/inner", *calls, 3, "module")),
        ("a call of the graph itself", "C-11", form, put("network", *calls, 3, "module")),
        ("a call without a module", "C-11", form, drop(*calls, 3, "module")),
        ("a call without arguments", "C-11", form, drop(*calls, 0, "args")),
        ("a call without named arguments", "C-11", form, drop(*calls, 0, "kwargs")),
        ("arguments that are a tuple", "C-11", form, put({"$tuple": []}, *calls, 0, "args")),
        ("named arguments that are a list", "C-11", form, put([], *calls, 0, "kwargs")),
        ("a call that is a text", "C-11", form, put("dense", *calls, 3)),
        ("an output of a later call", "C-12", order, put([output("dense:1")], *calls, 1, "args")),
        ("an output of itself", "C-12", order, put({"x": output("dense")}, *calls, 1, "kwargs")),
        (
            "an output of a later call deep inside",
            "C-12",
            order,
            put([[{"$tuple": [output("block")]}]], *calls, 1, "args"),
        ),
        ("an output of no call", "C-13", missing, put([output("nowhere")], *calls, 1, "args")),
        ("an output outside of a graph", "C-13", missing, put(output("input"), *DENSE, "attrs", "units")),
        ("an output in what a layer was built with", "C-13", missing, put([output("input")], *DENSE, "build")),
        ("an input of no call", "C-13", missing, put([output("nowhere")], *GRAPH, "inputs")),
        (
            "an output with an index below zero",
            "C-13 V-1",
            f"value-tag|{missing}",
            put([output("input", -1)], *calls, 1, "args"),
        ),
        ("an output without an index", "C-13 V-1", "value-tag", put([{"$output": ["input"]}], *calls, 1, "args")),
        ("outputs with a number among them", "C-14", form, put([output("dense"), 0], *GRAPH, "outputs")),
        ("outputs that are a text", "C-14", form, put("dense", *GRAPH, "outputs")),
        ("inputs with null among them", "C-14", form, put([None], *GRAPH, "inputs")),
        ("a graph without inputs", "C-14 C-1", f"{form}|config-form", drop(*GRAPH, "inputs")),
        ("a graph without outputs", "C-14 C-1", f"{form}|config-form", drop(*GRAPH, "outputs")),
        ("a graph without a list of calls", "C-11 C-1", f"{form}|config-form|{missing}", drop(*GRAPH, "calls")),
        ("an unknown field of a call", "Q-7", "config-form", put(1, *calls, 3, "comment")),
        ("an unknown field of a graph", "Q-7", "config-form", put(1, *GRAPH, "comment")),
    ]


def _shared_faults() -> list[tuple[str, str, str, Edit]]:
    missing, order = "reference-missing", "shared-order"
    target = (*BLOCK, "modules", 1, "target")
    return [
        ("a target that is not there", "C-5", missing, put("nowhere", *target)),
        ("a target that is shared", "C-5", missing, add(shared("third", "block/again"), *BLOCK, "modules")),
        ("a target that is the model by its name", "C-5", missing, put("network", *target)),
        ("a target without letters", "C-5", f"{missing}|path-form", put("", *target)),
        (
            "a module that is shared before it is there",
            "C-15",
            order,
            insert(shared("early", "dense"), "model", "modules"),
        ),
        (
            "a module that is shared before its sibling is there",
            "C-15",
            order,
            insert(shared("early", "block/inner"), *BLOCK, "modules"),
        ),
        ("a module that holds itself", "C-18", order, put("block", *target)),
    ]
