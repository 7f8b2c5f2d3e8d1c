"""Vectors of chapters 10 to 18 that wrong implementations asked for: odd but legal contents, faults that hide well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vectors_contents import (
    call,
    config,
    f32,
    graph,
    joined,
    layer,
    numbers,
    optimizer,
    output,
    part,
    quantized,
    shared,
    state,
    stored,
    tensor,
    texts,
    training,
    weights,
)
from vectors_kit import Area
from vectors_layout import Box, cut, header
from vectors_parts import (
    CONFIG,
    DATA,
    MANIFEST,
    OPTIMIZER,
    STATE,
    TRAINING,
    WEIGHTS,
    Edit,
    Parts,
    byte,
    digest,
    edited,
    put,
    rename,
    seal_manifest,
)

from etui_conformance.oracle import json, safetensors

_WRONG = "encoding-components"


def area() -> Area:
    """The vectors."""
    found = Area("edges", "weights")
    _versions(found)
    _data(found)
    _chunks(found)
    _components(found)
    _configs(found)
    _training_states(found)
    return found


def _versions(found: Area) -> None:
    base = found.valid("an index that says its version", "Q-4", weights({"k": f32([1], 1)}))
    found.change(base, "a zero at the end of the version of every document", "Q-4", "version-form", _versioned("1.00"))
    found.change(base, "a zero in front of the version of every document", "Q-4", "version-form", _versioned("01.0"))
    found.change(base, "three numbers in the version of every document", "Q-4", "version-form", _versioned("1.0.0"))
    content = weights({"k": f32([1], 1)}, version="1.3")
    later = found.valid(
        "an index of a higher minor version",
        "Q-6 Q-9",
        content,
        layout=lambda parts: edited(parts, MANIFEST, put("1.3", "version")),
        encodes=False,
    )
    chunk = ("variables", "k", "chunks", 0)
    row = (
        "a further field of a chunk in a higher minor version",
        "Q-9",
        "weights-form|chunk-form",
        put(1, *chunk, "m"),
    )
    found.fault(later, WEIGHTS, row)
    entry = ("parts", DATA, "header", "more")
    row = ("a further field of a header in a higher minor version", "Q-9", "manifest-form", put(1, *entry))
    found.fault(later, MANIFEST, row)


def _versioned(version: str) -> Callable[[Parts], None]:
    """Another version in every document of an index alone."""

    def change(parts: Parts) -> None:
        for document in (WEIGHTS, MANIFEST):
            parts |= edited(parts, document, put(version, "version"))

    return change


def _data(found: Area) -> None:
    base = found.valid(
        "a variable with elements, and one without", "S-6", weights({"n": numbers("uint8", [0]), "k": f32([1], 1)})
    )
    rows: list[tuple[str, str, str, Edit]] = [
        (
            f"a shape whose product is {text}",
            "S-6 L-2 X-2",
            "safetensors-layout|limit-tensor",
            header(put(shape, "n", "shape")),
        )
        for text, shape in (("2^64", [2**32, 2**32]), ("2^64 in four steps", [2**16] * 4), ("2^65", [2**33, 2**32]))
    ]
    found.faults(base, DATA, rows)
    flag = ("a flag of training that is a number", "W-2", "weights-form", put(1, "variables", "k", "trainable"))
    found.fault(base, WEIGHTS, flag)


def _chunks(found: Area) -> None:
    quarters = [Box((row, column), (1, 1)) for row in range(2) for column in range(2)]
    base = found.valid(
        "a tensor in quarters",
        "W-6 W-7 W-8",
        weights({"k": f32([2, 2], 1, 2, 3, 4)}),
        layout=cut({"k": quarters}),
        keeps=False,
    )

    def by_columns(tree: dict[str, Any]) -> None:
        tree["variables"]["k"]["chunks"].sort(key=lambda chunk: chunk["offset"][::-1])

    found.fault(base, WEIGHTS, ("chunks sorted by their last axis", "W-8", "chunk-form", by_columns))


def _components(found: Area) -> None:
    held: dict[str, Any] = {
        "c": tensor("complex64", [3], bytes(24)),
        "q": quantized(
            "float32",
            [4, 2],
            f32([8], *range(8))["data"],
            values=numbers("int8", [4, 2], *range(8)),
            scale=f32([2, 2], 1, 1, 1, 1),
            zero_point=numbers("int8", [2, 2], 0, 0, 0, 0),
        ),
        "s": texts([2], "abc", "d"),
    }
    base = found.valid("encodings with every component", "W-17 W-21 W-22", weights(held))
    parts = ("variables", "c", "components", "parts", "shape")
    point = ("variables", "q", "components", "zero_point", "shape")
    rows: list[tuple[str, str, str, Edit]] = [
        ("complex parts with the halves first", "W-17", _WRONG, put([2, 3], *parts)),
        ("a zero point of the shape of the values", "W-17", _WRONG, put([4, 2], *point)),
        ("a zero point for all", "W-17", _WRONG, put([1, 1], *point)),
    ]
    found.faults(base, WEIGHTS, rows)
    spare = numbers("int8", [4, 2], *range(8))
    found.change(
        base, "a component that no encoding has, with its tensor", "W-17", _WRONG, _with("q", "spare", spare, _plain)
    )
    found.change(
        base, "nibbles among complex parts, with their tensor", "W-17", _WRONG, _with("c", "nibbles", spare, _plain)
    )
    pair, triple = numbers("int8", [2, 2], 1, 1, 1, 1), numbers("int8", [3, 2], 1, 1, 1, 1, 1, 1)
    found.change(base, "a scale that is quantized, in full", "W-22", _WRONG, _with("q", "scale", pair, _quantized))
    found.change(base, "parts that are quantized, in full", "W-22", _WRONG, _with("c", "parts", triple, _quantized))
    surrogate = found.valid("a string of three bytes", "W-19", weights({"s": texts([1], "abc")}))

    def replaced(data: bytearray) -> None:
        for at, value in enumerate(b"\xed\xa0\x80"):
            byte("s#data", at, value)(data)

    found.fault(surrogate, DATA, ("a string with a surrogate", "W-19", "encoding-content", replaced))


_Form = Callable[[dict[str, Any], str, dict[str, Any]], None]


def _with(path: str, name: str, spare: dict[str, Any], form: _Form) -> Callable[[Parts], None]:
    """The change that puts one more tensor into the data part, and lets a component of a variable name it.

    Args:
        path: of the variable.
        name: of the component.
        spare: the tensor.
        form: puts the entry of the tensor into the components.
    """

    def change(parts: Parts) -> None:
        entries = safetensors.read(parts[DATA])[1]
        stored = {each: (item.dtype, item.shape, parts[DATA][item.begin : item.end]) for each, item in entries.items()}
        place = f"{path}#{name}#spare"
        parts[DATA] = safetensors.write(stored | {place: ("I8", spare["shape"], spare["data"])})
        tree = json.decode(parts[WEIGHTS])
        chunk = {"digest": digest(spare["data"]), "part": DATA, "tensor": place}
        form(tree["variables"][path]["components"], name, {"chunks": [chunk], "dtype": "int8", "shape": spare["shape"]})
        parts[WEIGHTS] = json.encode(tree)
        seal_manifest(parts)

    return change


def _plain(components: dict[str, Any], name: str, entry: dict[str, Any]) -> None:
    components[name] = entry


def _quantized(components: dict[str, Any], name: str, entry: dict[str, Any]) -> None:
    """What was the component is the scale of a quantized one, whose values are the entry."""
    plain = components[name]
    inner = {"scale": plain, "values": entry}
    components[name] = {key: plain[key] for key in ("dtype", "shape")} | {"encoding": "quantized", "components": inner}


def _configs(found: Area) -> None:
    only = ["config"]
    children = [layer("a"), layer("ab", modules=[shared("c", "a")]), layer("abc", modules=[shared("a", "ab")])]
    found.valid(
        "shared modules below names that begin with the target's",
        "C-18",
        config(layer("m", modules=children)),
        subject=only,
    )
    calls = [call("a", "a"), call("b", "a", output("a"))]
    nestings: dict[str, Any] = {
        "a tuple of": {"$tuple": [output("a"), output("b")]},
        "a tuple of one": {"$tuple": [output("b")]},
        "an output alone for": output("b"),
        "a list of one for": [output("b")],
        "nothing for": [],
    }
    for text, nesting in nestings.items():
        model = graph("m", [layer("a")], calls, inputs=nesting, outputs=nesting)
        found.valid(f"{text} inputs and outputs", "C-14", config(model), subject=only)
    loss = {"$object": {"class": "example:losses.Huber", "config": {}}}
    base = found.valid(
        "a loss that is an object",
        "C-9 T-4",
        joined(config(layer("m")), training(loss=loss)),
        subject=["config", "training"],
    )
    place = ("loss", "$object", "class")
    rows: list[tuple[str, str, str, Edit]] = [
        (f"the class {name}", "C-9", "op-unknown", put(name, *place))
        for name in ("core:losses.relu", "core:metrics.huber.huber", "core:huber", "core:Losses.huber", "core:losses")
    ]
    found.faults(base, TRAINING, rows)
    row = ("an op that is an algorithm", "C-9", "op-unknown", put("core:adam", "model", "op"))
    found.fault(base, CONFIG, row)


def _training_states(found: Area) -> None:
    sgd = {
        "algorithm": "example:SGD",
        "learning_rate": None,
        "micro_step": 0,
        "step": 0,
        "groups": [{"variables": ["k"]}],
    }
    content = joined(
        weights({"k": f32([1], 1)}),
        optimizer({}, {"optimizer": sgd}),
        state(counters={"batch": 0, "epoch": 0, "many": {"$int": str(2**64 - 1)}}, metrics={"m": {}}, user={"a": 1}),
    )
    base = found.valid("counters of zero, and the largest", "R-1 R-3 O-2", content, subject=["optimizer", "state"])
    one = ("optimizers", "optimizer")
    form = "optimizer-form"
    rows: list[tuple[str, str, str, Edit]] = [
        ("an optimizer below an empty segment", "O-2 D-2", "path-form", rename("a//b", *one)),
        ("an optimizer without a name", "O-2 D-2", "path-form", rename("", *one)),
        ("an optimizer with an at sign", "O-2 D-3", "path-form", rename("a@b", *one)),
        ("a variable with a map of no slots", "O-8", form, put({"k": {}}, *one, "slots")),
        ("a map of slots that is empty", "O-8 Q-10", form, put({}, *one, "slots")),
    ]
    found.faults(base, OPTIMIZER, rows)
    values: dict[str, Any] = {"list": [1], "text": "a", "number": 1, "tuple": {"$tuple": [1]}, "null": None}
    for text, value in values.items():
        for field in ("data", "user"):
            row = (f"a {text} in place of the map {field}", "R-1", "state-form", put(value, field))
            found.fault(base, STATE, row)
    found.fault(base, STATE, ("a metric with a path of dots", "R-3 D-3", "path-form", rename("a/..", "metrics", "m")))
    _media_types(found)
    _slots(found)


def _media_types(found: Area) -> None:
    content = joined(config(layer("m")), parts={"assets/a": part("asset", b"a")})
    base = found.valid("an asset with a media type", "M-1 P-4", content, subject=["config", "parts"])
    row = ("an asset with an empty media type", "M-1", "manifest-form", put("", "parts", "assets/a", "media_type"))
    found.fault(base, MANIFEST, row)


def _slots(found: Area) -> None:
    """Slots may have any name; the names of their tensors are escaped."""
    names = {"/": "%2F", "a/b": "a%2Fb", "a%b": "a%25b", "..": "%2E%2E", "": "%", "é#": "é%23"}
    slots = {name: stored(f"optimizer/slots/k/{escaped}") for name, escaped in names.items()}
    common = {name: stored(f"optimizer/shared_slots/{escaped}") for name, escaped in names.items()}
    adam = {
        "algorithm": "example:Adam",
        "groups": [{"variables": ["k"]}],
        "learning_rate": 0.5,
        "micro_step": 1,
        "step": 1,
    }
    adam |= {"shared_slots": common, "slots": {"k": slots}}
    tensors = {place["$stored"]: f32([1], 1) for place in (*slots.values(), *common.values())}
    content = joined(weights({"k": f32([1], 1)}), optimizer(tensors, {"optimizer": adam}))
    found.valid("slots with names that no path has", "O-8 O-12 O-16", content, subject=["weights", "optimizer"])
