"""Vectors of documents alone, for implementations that check one without the artifact around it."""

from __future__ import annotations

from typing import Any

from vectors_contents import (
    call,
    config,
    f32,
    graph,
    joined,
    layer,
    optimizer,
    output,
    part,
    shared,
    state,
    stored,
    training,
    weights,
)
from vectors_kit import Area
from vectors_parts import (
    CONFIG,
    KINDS,
    MANIFEST,
    OPTIMIZER,
    STATE,
    TRAINING,
    WEIGHTS,
    Edit,
    Parts,
    add,
    drop,
    edited,
    put,
    raw,
    whole,
)

from etui_conformance.oracle import msgpack, writing


def area() -> Area:
    """The vectors."""
    found = Area("documents")
    parts = writing.write(_content())
    clauses = {MANIFEST: "M-1", CONFIG: "C-1", WEIGHTS: "W-1", TRAINING: "T-1", OPTIMIZER: "O-1", STATE: "R-1"}
    for name, kind in KINDS.items():
        base = found.document(f"{name} of a small training", clauses[name], kind, parts[name])
        form = f"{kind}-form"
        common: list[tuple[str, str, str, Edit]] = [
            (f"{name} of another format", clauses[name], form, put("etui-other", "format")),
            (f"{name} with an unknown field", "Q-7", form, put(1, "comment")),
            (f"{name} of the next major version", "Q-5", "version-unsupported", put("2.0", "version")),
            (f"{name} without a version", "Q-4", "version-form", drop("version")),
        ]
        for title, broken, code, edit in [*common, *_own()[name]]:
            found.document(title, broken, kind, edited(parts, name, edit, reseal=False)[name], (base, code))
    _alone(found, parts)
    own = {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 1, "step": 1}
    odd = {"format": "etui-optimizer", "optimizers": {"$float": own}, "tensors": {}, "version": "1.0"}
    title = "optimizer.msgpack with one optimizer, whose path is that of a tag"
    found.document(title, "D-2 B-12", "optimizer", msgpack.encode(odd))
    two = writing.write(weights({"k": f32([1], 1), "q": f32([1], 2)}))
    pair = found.document("weights.json of two variables", "CF-29", "weights", two[WEIGHTS])
    twice = edited(two, WEIGHTS, put("k", "variables", "q", "chunks", 0, "tensor"), reseal=False)[WEIGHTS]
    title = "weights.json with a tensor that two chunks name"
    found.document(title, "CF-29 S-9", "weights", twice, (pair, "tensor-unreferenced"))
    return found


def _alone(found: Area, parts: Parts) -> None:
    """References where only the document itself could have what they name, and where the artifact around it may."""
    elsewhere = [{"$module": "x"}, {"$variable": "x"}, {"$asset": "assets/x"}]
    places: dict[str, tuple[tuple[str, ...], Any]] = {
        CONFIG: (("model", "attrs"), {"v": elsewhere[1:]}),
        TRAINING: (("options",), {"v": elsewhere}),
        STATE: (("residue",), {"example": {"v": elsewhere}}),
        MANIFEST: (("metadata",), {"v": elsewhere[:2]}),
    }

    def made(name: str, value: Any) -> bytes:
        return edited(parts, name, put(value, *places[name][0]), reseal=False)[name]

    bases = {
        name: found.document(f"{name} that names what may be elsewhere", "CF-29", KINDS[name], made(name, value))
        for name, (_, value) in places.items()
    }
    stored_tensor, foreign = ("a stored tensor, of which JSON has none", {"$stored": "x"}), {"$output": ["a", 0]}
    rows: list[tuple[str, str, str, Any]] = [
        *((name, stored_tensor[0], "CF-29 V-10", stored_tensor[1]) for name in (CONFIG, TRAINING, MANIFEST)),
        (CONFIG, "a module that it does not have", "CF-29 V-10", {"$module": "x"}),
        *(
            (part, "an output outside of a graph", "CF-29 C-13", foreign)
            for part in (CONFIG, TRAINING, STATE, MANIFEST)
        ),
        (MANIFEST, "an asset that it does not list", "CF-29 V-10", {"$asset": "assets/x"}),
    ]
    for name, title, clauses, value in rows:
        held = {"example": {"v": value}} if name == STATE else {"v": value}
        refusal = bases[name], "reference-missing"
        found.document(f"{name} with {title}", clauses, KINDS[name], made(name, held), refusal)


def _content() -> dict[str, Any]:
    calls = [call("a", "a"), call("b", "b", output("a"))]
    model = graph(
        "m",
        [layer("a"), layer("b", params={"kernel": "k"}), shared("c", "a")],
        calls,
        inputs=[output("a")],
        outputs=output("b"),
    )
    sgd: dict[str, Any] = {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 1, "step": 1}
    sgd |= {"groups": [{"variables": ["k"]}], "slots": {"k": {"m": stored("optimizer/slots/k/m")}}}
    return joined(
        config(model),
        weights({"k": f32([1], 1)}),
        training(loss="mse"),
        optimizer({"optimizer/slots/k/m": f32([1], 2)}, {"optimizer": sgd}),
        state({"user/s": f32([1], 3)}, user={"s": stored("user/s")}),
        parts={"assets/a": part("asset", b"a")},
        metadata={"note": 1},
    )


def _own() -> dict[str, list[tuple[str, str, str, Edit]]]:
    """Further faults of each document."""
    entry, kernel = ("parts", "assets/a"), ("variables", "k")
    return {
        MANIFEST: [
            (
                "manifest.json with a newline at its end",
                "J-7",
                "json-not-canonical",
                whole(lambda data: data + b"\n", MANIFEST),
            ),
            ("manifest.json with a digest that is too short", "H-1", "digest-form", put("sha256:00", *entry, "digest")),
            ("manifest.json with another profile", "M-6 Q-1", "profile-parts", put("config", "profile")),
            ("manifest.json with a feature twice", "M-4", "requires-list", put(["chunks", "chunks"], "requires")),
            (
                "manifest.json with a part that is a device",
                "P-2",
                "part-name",
                lambda tree: tree["parts"].update({"assets/nul": tree["parts"]["assets/a"]}),
            ),
            (
                "manifest.json with names that differ by capitals",
                "P-3",
                "part-collision",
                lambda tree: tree["parts"].update({"assets/A": tree["parts"]["assets/a"]}),
            ),
        ],
        CONFIG: [
            (
                "config.json with a key twice",
                "J-3",
                "json-duplicate-key",
                raw(b'"format"', b'"format":"etui-config","format"', CONFIG),
            ),
            ("config.json with two modules of a name", "C-2", "module-name", put("a", "model", "modules", 2, "name")),
            (
                "config.json with an output of itself",
                "C-12",
                "call-order",
                put([output("b")], "model", "graph", "calls", 1, "args"),
            ),
            ("config.json with an op of another form", "C-8", "op-form", put("A", "model", "modules", 0, "op")),
        ],
        WEIGHTS: [
            ("weights.json with an order too high", "W-3", "weights-order", put(1, *kernel, "order")),
            ("weights.json with a negative dimension", "D-10", "shape-form", put([-1], *kernel, "shape")),
            ("weights.json with an alias of nothing", "W-15", "alias-target", put("q", "aliases", "tied")),
            ("weights.json with a tensor beyond the limit", "L-2", "limit-tensor", put([2**47], *kernel, "shape")),
        ],
        TRAINING: [
            ("training.json with a null loss", "T-2", "training-form", put(None, "loss")),
            ("training.json with a tag that is not needed", "V-3", "value-not-canonical", put({"$int": "5"}, "loss")),
        ],
        OPTIMIZER: [
            (
                "optimizer.msgpack with a byte more",
                "B-1",
                "msgpack-syntax",
                whole(lambda data: data + b"\0", OPTIMIZER),
            ),
            (
                "optimizer.msgpack with a variable twice",
                "O-7",
                "optimizer-groups",
                add("k", "optimizers", "optimizer", "groups", 0, "variables"),
            ),
            (
                "optimizer.msgpack with a tensor that nothing refers to",
                "O-14",
                "tensor-unreferenced",
                drop("optimizers", "optimizer", "slots"),
            ),
        ],
        STATE: [
            (
                "state.msgpack with a float of 32 bits",
                "B-3",
                "msgpack-not-canonical",
                raw(b"\xa1s\xc7", b"\xa1a\xca\0\0\0\0\xa1s\xc7", STATE),
            ),
            ("state.msgpack with a counter below zero", "R-1", "state-form", put({"epoch": -1}, "counters")),
            ("state.msgpack with a tensor that nothing refers to", "R-4", "tensor-unreferenced", put({"a": 1}, "user")),
        ],
    }
