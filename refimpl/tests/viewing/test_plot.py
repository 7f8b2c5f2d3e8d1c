"""Pictures of models: what is drawn, with which shapes, as SVG and PNG, by the command and in Python."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings

import etui
from etui import schemas
from etui.canonical.values import OutputRef
from etui.cli import main
from etui.testing import containers
from etui.testing.samples import everything
from etui.viewing import png
from etui.viewing.families import FAMILIES, family_of, summary
from etui.viewing.graph import Node, _Grapher, graph_of
from etui.viewing.lettering import visible
from etui.viewing.shape_rules import output_shape
from etui.viewing.themes import DARK, LIGHT

pytestmark = pytest.mark.library

Run = Callable[..., tuple[int, str, str]]
SVG = "{http://www.w3.org/2000/svg}"


def layer(name: str, op: str = "keras:Dense", **fields: Any) -> etui.Module:
    """A module of kind layer."""
    return etui.Module(name, op=op, **fields)


def called(name: str, *sources: str, module: str = "", **kwargs: str) -> etui.Call:
    """A call on the first outputs of other calls."""
    named: dict[str, Any] = {key: OutputRef(source, 0) for key, source in kwargs.items()}
    return etui.Call(name, module or name, [OutputRef(source, 0) for source in sources], named)


def graph(name: str, modules: list[etui.Module], calls: list[etui.Call], outputs: list[str]) -> etui.Module:
    """A module of kind graph, whose first call is its input."""
    ends = [OutputRef(output, 0) for output in outputs]
    return etui.Module(
        name,
        "graph",
        "keras:Functional",
        modules=modules,
        graph=etui.Graph(OutputRef(calls[0].id, 0), ends[0] if len(ends) == 1 else ends, calls),
    )


def inputs(name: str, *shape: int | None) -> etui.Module:
    """An input layer of Keras."""
    return layer(name, "keras:InputLayer", attrs={"batch_shape": [None, *shape], "dtype": "float32"})


def residual() -> etui.Model:
    """A graph with a branch that passes two layers, and a nested model that is called twice."""
    block = graph(
        "block",
        [inputs("in", 4), layer("a", attrs={"units": 4}, params={"kernel": "block/a/kernel"})],
        [called("in"), called("a", "in")],
        ["a"],
    )
    root = graph(
        "net",
        [inputs("x", 4), block, layer("head", attrs={"units": 2}), layer("sum", "keras:Add")],
        [
            called("x"),
            called("first", "x", module="block"),
            called("second", "first", module="block"),
            called("sum", "x", "second"),
            called("head", "sum"),
        ],
        ["head"],
    )
    model = etui.Model(config=etui.Config(root), weights=etui.Weights())
    assert model.weights is not None
    model.weights.add("block/a/kernel", etui.Tensor.of(np.eye(4, dtype=np.float32)), role="kernel", trainable=False)
    return model


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: (main([*map(str, arguments)]), *capsys.readouterr())


def texts(svg: str) -> list[str]:
    """The texts of a picture, as they are read."""
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def ops(root: Node) -> list[tuple[int, str, str]]:
    return [(depth, node.name, node.op) for depth, node in root.level.walk()] if root.level else []


# The graph


def test_calls_are_nodes_and_models_are_frames() -> None:
    """Each call is a node, a nested model a graph within its node, drawn once, and each output an end."""
    model = residual()
    assert model.config is not None
    root = graph_of(model.config, model.weights)
    assert ops(root) == [
        (1, "x", "InputLayer"),
        (1, "block", "Functional"),
        (2, "in", "InputLayer"),
        (2, "a", "Dense"),
        (2, "output", "output"),
        (1, "block", "Functional"),
        (1, "sum", "Add"),
        (1, "head", "Dense"),
        (1, "output", "output"),
    ]
    assert root.level is not None
    first, second = (node for node in root.level.nodes if node.name == "block")
    assert (first.note, second.note) == ("call 1 of 2", "call 2 of 2")
    assert (first.same, second.same) == ("", "block")
    assert second.level is None
    assert root.level.edges == [(0, 1), (1, 2), (0, 3), (2, 3), (3, 4), (4, 5)]
    assert (first.parameters, first.frozen, root.parameters) == (16, True, 16)


@pytest.mark.parametrize(("depth", "names"), [(1, ["x", "block", "block", "sum", "head", "output"]), (2, None)])
def test_depth_bounds_the_levels(depth: int, names: list[str] | None) -> None:
    """Models nested deeper than asked for are one node, which says how much is in it."""
    model = residual()
    assert model.config is not None
    root = graph_of(model.config, depth=depth)
    assert root.level is not None
    if names is None:
        assert max(level for level, _ in root.level.walk()) == 2
        return
    assert [node.name for _, node in root.level.walk()] == names
    assert root.level.nodes[1].note == "call 1 of 2"
    config = etui.Config(etui.Module("m", "graph", "keras:Functional", modules=[model.config.model], graph=_one("net")))
    alone = graph_of(config, depth=1)
    assert alone.level is not None
    assert alone.level.nodes[0].note == "6 modules"


def _one(name: str) -> etui.Graph:
    return etui.Graph([], OutputRef(name, 0), [etui.Call(name, name)])


def test_modules_that_stand_for_others_say_so() -> None:
    """A shared module has the op and the variables of the one that it stands for, and its name."""
    model = residual()
    assert model.config is not None
    root = model.config.model
    root.modules.append(etui.Module("again", "shared", target="head"))
    assert root.graph is not None
    root.graph.calls.append(called("again", "sum"))
    found = graph_of(model.config)
    assert found.level is not None
    (again,) = (node for node in found.level.nodes if node.name == "again")
    assert (again.op, again.same, again.path) == ("Dense", "head", "head")


def test_a_model_without_a_graph_shows_its_parts() -> None:
    """The parts of an opaque model are drawn without lines, those of a sequence of layers one behind the other."""
    parts = [layer("a"), layer("b")]
    opaque = graph_of(etui.Config(etui.Module("m", "opaque", "custom:pkg>Net", modules=parts)))
    chain = graph_of(etui.Config(etui.Module("m", "layer", "keras:Sequential", modules=parts)))
    lone = graph_of(etui.Config(layer("only")))
    assert opaque.level is not None
    assert chain.level is not None
    assert (len(opaque.level.nodes), opaque.level.edges) == (2, [])
    assert chain.level.edges == [(0, 1)]
    assert lone.level is None


def test_inner_layers_are_shown_where_they_tell_more() -> None:
    """Of a wrapper and of a custom layer the parts are drawn, of a layer that is known its name says it all."""
    cell = layer("cell", "keras:GRUCell")
    modules = [
        layer("gru", "keras:GRU", modules=[cell]),
        layer("both", "keras:Bidirectional", modules=[layer("forward_layer", "keras:GRU")]),
        layer("mine", "custom:pkg>Mine", modules=[layer("part")]),
    ]
    calls = [called("gru"), called("both", "gru"), called("mine", "both")]
    found = graph_of(etui.Config(graph("m", modules, calls, ["mine"])))
    assert [name for _, name, _ in ops(found)] == ["gru", "both", "forward_layer", "mine", "part", "output"]


@given(containers.configs())
@settings(max_examples=80, deadline=None)
def test_any_config_can_be_drawn(config: etui.Config) -> None:
    """Whatever a valid config holds, its picture is well-formed, and has an element for each node."""
    picture = etui.plot(etui.Model(config=config))
    root = ET.fromstring(picture.svg)
    groups = list(root.iter(f"{SVG}g"))
    found = graph_of(config)
    assert len(groups) == 1 + (len(ops(found)) if found.level else 0)


# Shapes


KNOWN: list[tuple[str, dict[str, Any], list[Any], Any]] = [
    ("keras:Dense", {"units": 3}, [(None, 5, 7)], (None, 5, 3)),
    ("core:dense", {"units": 3}, [(2, 7)], (2, 3)),
    (
        "keras:Conv2D",
        {"filters": 8, "kernel_size": [3, 3], "padding": "same", "strides": [2, 2]},
        [(None, 9, 8, 1)],
        (None, 5, 4, 8),
    ),
    (
        "keras:Conv2D",
        {"filters": 8, "kernel_size": [3, 3], "dilation_rate": 2},
        [(None, 9, None, 1)],
        (None, 5, None, 8),
    ),
    (
        "core:conv",
        {"filters": 8, "kernel_size": [3, 3], "data_format": "channels_first"},
        [(None, 1, 9, 9)],
        (None, 8, 7, 7),
    ),
    ("core:conv", {"filters": 8, "kernel_size": [3], "padding": [[1, 1]]}, [(None, 9, 2)], None),
    ("keras:Conv1D", {"filters": 4, "kernel_size": [3], "padding": "causal"}, [(None, 9, 2)], (None, 9, 4)),
    ("keras:DepthwiseConv2D", {"kernel_size": [2, 2], "depth_multiplier": 3}, [(None, 4, 4, 2)], (None, 3, 3, 6)),
    ("keras:SeparableConv2D", {"filters": 5, "kernel_size": 2}, [(None, 4, 4, 2)], (None, 3, 3, 5)),
    (
        "keras:Conv2DTranspose",
        {"filters": 5, "kernel_size": [3, 3], "strides": [2, 2]},
        [(None, 4, 4, 2)],
        (None, 9, 9, 5),
    ),
    (
        "keras:Conv2DTranspose",
        {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"},
        [(None, 4, 4, 2)],
        (None, 8, 8, 5),
    ),
    ("keras:MaxPooling2D", {"pool_size": [2, 2], "strides": None}, [(None, 5, 5, 2)], (None, 2, 2, 2)),
    ("core:avg_pool", {"pool_size": [2], "strides": [1]}, [(None, 5, 2)], (None, 4, 2)),
    ("keras:GlobalAveragePooling2D", {}, [(None, 5, 5, 2)], (None, 2)),
    ("core:global_max_pool", {"keepdims": True}, [(None, 5, 5, 2)], (None, 1, 1, 2)),
    ("keras:Flatten", {}, [(None, 5, 4)], (None, 20)),
    ("keras:Flatten", {}, [(None, None, 4)], (None, None)),
    ("keras:Reshape", {"target_shape": [-1, 2]}, [(None, 5, 4)], (None, 10, 2)),
    ("core:reshape", {"shape": [4, 5]}, [(None, 20)], (None, 4, 5)),
    ("keras:Permute", {"dims": [2, 1]}, [(None, 5, 4)], (None, 4, 5)),
    ("core:permute", {"axes": [0, 2, 1]}, [(None, 5, 4)], (None, 4, 5)),
    ("keras:RepeatVector", {"n": 3}, [(None, 4)], (None, 3, 4)),
    ("keras:ZeroPadding2D", {"padding": [[0, 1], [2, 3]]}, [(None, 5, 5, 2)], (None, 6, 10, 2)),
    ("keras:ZeroPadding1D", {"padding": [1, 2]}, [(None, 5, 2)], (None, 8, 2)),
    ("keras:Cropping2D", {"cropping": [[0, 1], [1, 1]]}, [(None, 5, 5, 2)], (None, 4, 3, 2)),
    ("keras:UpSampling2D", {"size": [2, 3]}, [(None, 5, 5, 2)], (None, 10, 15, 2)),
    ("keras:Concatenate", {"axis": -1}, [(None, 5, 2), (None, 5, 3)], (None, 5, 5)),
    ("core:concat", {"axis": 1}, [(None, 5, 2), (None, None, 2)], (None, None, 2)),
    ("keras:Add", {}, [(None, 5, 2), (None, 1, 2)], (None, 5, 2)),
    ("keras:Embedding", {"input_dim": 9, "output_dim": 4}, [(None, 7)], (None, 7, 4)),
    ("keras:LSTM", {"units": 4, "return_sequences": True}, [(None, 7, 2)], (None, 7, 4)),
    ("core:gru", {"units": 4}, [(None, 7, 2)], (None, 4)),
    ("keras:MultiHeadAttention", {"num_heads": 2}, [(None, 7, 4), (None, 9, 4)], (None, 7, 4)),
    ("core:batch_norm", {}, [(None, 7, 4)], (None, 7, 4)),
    ("keras:Dropout", {"rate": 0.5}, [(None, 7)], (None, 7)),
    ("keras:InputLayer", {"batch_shape": [None, 3]}, [], (None, 3)),
    ("core:input", {"shape": [None, 3]}, [], (None, 3)),
    ("custom:pkg>Dense", {"units": 3}, [(None, 5)], None),
    ("keras:Lambda", {}, [(None, 5)], None),
    ("keras:Dense", {"units": "3"}, [(None, 5)], None),
    ("keras:Dense", {"units": 3}, [None], None),
    ("keras:Conv2D", {"filters": 8, "kernel_size": [3, 3], "strides": [0, 1]}, [(None, 9, 9, 1)], None),
    ("keras:Reshape", {"target_shape": [-1, 0]}, [(None, 5, 4)], (None, None, 0)),
    ("keras:Permute", {"dims": [7, 8]}, [(None, 5, 4)], None),
    ("keras:Concatenate", {"axis": 9}, [(None, 5), (None, 5)], None),
]


@pytest.mark.parametrize(("op", "attrs", "given_shapes", "expected"), KNOWN)
def test_shapes_follow_from_ops(op: str, attrs: dict[str, Any], given_shapes: list[Any], expected: Any) -> None:
    """The shape that an op gives is known where its rule is simple, and never guessed."""
    assert output_shape(op, attrs, given_shapes) == expected


@pytest.mark.frameworks
def test_shapes_are_those_of_keras() -> None:
    """Every shape that a picture has of a real model is the one that Keras computes."""
    import keras

    entry = keras.Input((17, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", name="conv")(entry)
    x = keras.layers.DepthwiseConv2D(3, dilation_rate=2, name="depthwise")(x)
    x = keras.layers.ZeroPadding2D(((0, 1), (2, 0)), name="pad")(x)
    x = keras.layers.Conv2DTranspose(4, 3, strides=2, name="transpose")(x)
    x = keras.layers.AveragePooling2D(3, strides=2, padding="same", name="pool")(x)
    y = keras.layers.Reshape((-1, 4), name="reshape")(x)
    y = keras.layers.Bidirectional(keras.layers.LSTM(5, return_sequences=True), name="both")(y)
    y = keras.layers.TimeDistributed(keras.layers.Dense(6), name="each")(y)
    y = keras.layers.Concatenate(axis=1, name="concat")([y, y])
    y = keras.layers.GlobalMaxPooling1D(name="most")(y)
    model = keras.Model(entry, keras.layers.Dense(2, name="head")(y), name="net")
    captured = etui.keras.capture(model, strict=False)
    assert captured.config is not None
    root = graph_of(captured.config)
    assert root.level is not None
    drawn = {node.name: node.shapes for node in root.level.nodes if node.family != "output"}
    real = {
        layer.name: "×".join("?" if size is None else str(size) for size in layer.output.shape)
        for layer in model.layers
    }
    assert len(real) == 12
    assert drawn == real


def test_stated_shapes_are_taken_where_an_op_does_not_tell() -> None:
    """What a layer was built with is the shape of what leads to it."""
    modules = [layer("x", "custom:p>X"), layer("d", attrs={"units": 2}, build={"input_shape": [None, 3, 4]})]
    root = graph_of(etui.Config(graph("m", modules, [called("x"), called("d", "x")], ["d"])))
    assert root.level is not None
    assert [node.shapes for node in root.level.nodes] == ["?×3×4", "?×3×2", ""]
    assert root.level.nodes[2].summary == "?×3×2"


def test_a_nest_of_calls_takes_no_time() -> None:
    """A model that calls its only module twice, which does the same, and so on for 30 levels, is drawn at once."""
    module = layer("leaf", attrs={"units": 1})
    for level in range(30):
        calls = [called("in"), called("one", "in", module=module.name), called("two", "one", module=module.name)]
        module = graph(f"level{level}", [inputs("in", 4 + level), module], calls, ["two"])
    picture = etui.plot(etui.Model(config=etui.Config(module)))
    assert 60 < picture.modules < 200


def chain(layers: int, op: str, attrs: dict[str, Any]) -> etui.Model:
    """Layers of one op, one after the other, behind an input of 4 × 4 × 3."""
    modules = [inputs("in", 4, 4, 3), *(layer(f"m{number}", op, attrs=attrs) for number in range(layers))]
    calls = [called("in")]
    for number in range(layers):
        calls.append(called(f"m{number}", calls[-1].id))
    return etui.Model(config=etui.Config(graph("net", modules, calls, [calls[-1].id])))


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("keras:UpSampling2D", {"size": [2**40, 2**40]}),
        ("keras:DepthwiseConv2D", {"kernel_size": 1, "depth_multiplier": 2**62}),
        ("keras:Embedding", {"output_dim": 3}),
        ("keras:Dense", {"units": 10**1000}),
        ("keras:Dense", {"units": -3}),
    ],
)
def test_a_shape_that_no_tensor_has_is_not_shown(op: str, attrs: dict[str, Any]) -> None:
    """Sizes and ranks that grow from op to op without end are given up, and neither crash nor fill the memory."""
    root = graph_of(chain(400, op, attrs).config)  # type: ignore[arg-type]  # it has one
    assert root.level is not None
    shapes = [node.shapes for node in root.level.nodes]
    assert shapes[0] == "?×4×4×3"
    assert shapes[-1] == shapes[200] == ""
    assert max(map(len, shapes)) < 200


def test_each_module_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model for which many others stand is not counted again for each: that would take the square of its size."""
    counted: list[etui.Module] = []
    count = _Grapher._count

    def watched(self: _Grapher, module: etui.Module) -> tuple[int, bool]:
        counted.append(module)
        return count(self, module)

    monkeypatch.setattr(_Grapher, "_count", watched)
    big = etui.Module("big", "container", "custom:p>Big", modules=[layer(f"i{number}") for number in range(30)])
    shared = [etui.Module(f"s{number}", "shared", target="big") for number in range(30)]
    calls = [called("in")]
    for module in shared:
        calls.append(called(module.name, calls[-1].id))
    root = graph("net", [inputs("in", 4), big, *shared], calls, [calls[-1].id])
    assert graph_of(etui.Config(root)).level is not None
    assert len(counted) == len(set(map(id, counted))) == 1 + 1 + 1 + 30  # the root, the input, and `big` with its own


@pytest.mark.parametrize(("most", "all_known"), [(40, False), (200_000, True)])
def test_shapes_are_given_up_where_they_take_too_long(
    monkeypatch: pytest.MonkeyPatch, most: int, all_known: bool
) -> None:
    """A model whose calls have other shapes each time is drawn without those that more than so many calls give."""
    monkeypatch.setattr("etui.viewing.shapes._MOST_CALLS", most)
    module = layer("leaf", "keras:Dropout")
    for level in range(16):
        calls = [
            called("in"),
            called("one", "in", module=module.name),
            called("cat", "in", "in"),
            called("two", "cat", module=module.name),
        ]
        parts = [layer("in", "custom:p>In"), layer("cat", "keras:Concatenate"), module]
        module = graph(f"level{level}", parts, calls, ["two"])
    root = graph("net", [inputs("x", 3), module], [called("x"), called("y", "x", module=module.name)], ["y"])
    shapes = [text for text in texts(etui.plot(etui.Model(config=etui.Config(root))).svg) if text.startswith("?")]
    assert "?×3" in shapes
    assert (len(shapes) > 80) is all_known


# Families and texts


@pytest.mark.parametrize(
    ("op", "family"),
    [
        ("keras:Conv2D", "convolution"),
        ("core:depthwise_conv", "convolution"),
        ("keras:BatchNormalization", "normalization"),
        ("core:layer_norm", "normalization"),
        ("keras:Dense", "linear"),
        ("keras:LSTM", "recurrent"),
        ("keras:ConvLSTM2D", "recurrent"),
        ("keras:Bidirectional", "recurrent"),
        ("keras:MultiHeadAttention", "attention"),
        ("core:gqa", "attention"),
        ("keras:Embedding", "embedding"),
        ("keras:StringLookup", "preprocessing"),
        ("keras:Dropout", "random"),
        ("keras:ReLU", "activation"),
        ("core:activation", "activation"),
        ("keras:MaxPooling2D", "shape"),
        ("keras:Add", "merge"),
        ("keras:InputLayer", "io"),
        ("keras:Functional", "model"),
        ("custom:pkg>Conv2D", "other"),
        ("torch:Strange", "other"),
    ],
)
def test_ops_have_families(op: str, family: str) -> None:
    """An op is of the family that its name says, whose colours both themes have."""
    assert family_of(op) == family
    assert family in FAMILIES
    assert set(LIGHT.families) == set(DARK.families) == {*FAMILIES, "output"}


@pytest.mark.parametrize(
    ("op", "attrs", "text"),
    [
        (
            "keras:Conv2D",
            {"filters": 32, "kernel_size": [3, 3], "strides": [2, 2], "activation": "relu"},
            "32 · 3×3 / 2 · relu",
        ),
        ("keras:Conv2D", {"filters": 32, "kernel_size": [3, 1], "strides": [1, 1], "activation": "linear"}, "32 · 3×1"),
        ("keras:MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2]}, "2×2"),
        ("keras:Embedding", {"input_dim": 40, "output_dim": 8}, "40 → 8"),
        ("keras:Dropout", {"rate": 0.25}, "25 %"),
        ("keras:Dropout", {"rate": 10**400}, ""),
        ("keras:Dropout", {"rate": float("nan")}, ""),
        ("keras:MultiHeadAttention", {"num_heads": 4}, "4 heads"),
        ("keras:Reshape", {"target_shape": [-1, 4]}, "?×4"),
        ("keras:Dense", {"units": True, "activation": {"class_name": "x"}}, ""),
        ("keras:Dense", {"units": 10**30, "activation": "a" * 50}, f"{10**30} · a"[:33] + "…"),
    ],
)
def test_summaries_say_what_one_asks_first(op: str, attrs: dict[str, Any], text: str) -> None:
    """The attributes that tell an op from another stand in a few words; odd ones are left out."""
    assert summary(op, attrs) == text


HOSTILE = [
    "</text><script>alert(1)</script>",
    "<b onload='x'>",
    "&lt;&#x41;",
    "a\u202eb",
    "\x00\x1b[31m",
    "\ud800",
    "\"'>",
    "名" * 300,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_of_a_model_becomes_markup(name: str) -> None:
    """Whatever a name holds, the picture is well-formed, and has the name as text, cut and with its marks shown."""
    config = etui.Config(
        etui.Module("m", "graph", "keras:Functional", modules=[layer(name, f"custom:{name}")], graph=_one(name))
    )
    picture = etui.plot(etui.Model(config=config))
    root = ET.fromstring(picture.svg.encode())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "style", "defs", "marker", "path", "rect", "g", "text"),
    }
    attributes = {attribute for element in root.iter() for attribute in element.attrib}
    assert not any(attribute.startswith("on") or "href" in attribute for attribute in attributes)
    found = [text for text in texts(picture.svg) if text == visible(name)[:200] or "…" in text]
    assert found
    assert all(character.isprintable() for text in found for character in text)


# The picture


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_themes(theme: str) -> None:
    """A picture has the colours of its theme, and for `auto` both, the dark ones where the reader prefers them."""
    svg = etui.plot(residual(), theme=theme).svg
    assert (LIGHT.ground in svg, DARK.ground in svg) == (theme != "dark", theme != "light")
    assert ("prefers-color-scheme:dark" in svg) is (theme == "auto")


def test_directions_and_shapes() -> None:
    """A graph goes down or to the right, with the names, ops, numbers and shapes of its nodes."""
    down, right = etui.plot(residual()), etui.plot(residual(), direction="right")
    assert down.height > down.width
    assert right.width > right.height
    for picture in (down, right):
        found = texts(picture.svg)
        assert {"Functional", "net", "Dense", "head", "?×4", "?×2", "call 2 of 2, same weights"} <= set(found)
        assert "16 frozen" in found
        assert (picture.modules, picture.name) == (7, "net")


def test_a_long_model_is_folded_unless_that_is_not_wanted() -> None:
    """A chain of 100 layers fits a page, or is one column."""
    modules = [layer(f"d{number}", attrs={"units": 4}) for number in range(100)]
    calls = [called("d0"), *(called(f"d{number}", f"d{number - 1}") for number in range(1, 100))]
    model = etui.Model(config=etui.Config(graph("long", modules, calls, ["d99"])))
    folded, plain = etui.plot(model), etui.plot(model, fold=False)
    assert folded.height < 2000
    assert plain.height > 5000
    assert folded.width > 1000 > plain.width


def test_a_model_without_config_is_told() -> None:
    """Weights alone have no graph."""
    with pytest.raises(etui.UsageError, match="plot-config"):
        etui.plot(etui.Model(weights=etui.Weights()))


@pytest.mark.parametrize(
    "options",
    [
        {"depth": 0},
        {"direction": "up"},
        {"theme": "pink"},
        {"path": "out.gif"},
        {"path": "out"},
        {"path": "a.png", "scale": 0},
        {"path": "a.png", "scale": float("nan")},
    ],
)
def test_odd_options_are_told(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that makes no sense is refused, and no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(etui.UsageError, match="plot-option"):
        etui.plot(residual(), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    """A picture is the SVG that it writes."""
    picture = etui.plot(residual(), tmp_path / "net.svg")
    assert picture._repr_svg_() == (tmp_path / "net.svg").read_text(encoding="utf-8")
    assert repr(picture).startswith("Picture('net', 7 modules, ")


def png_size(data: bytes) -> tuple[int, ...]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


def test_png(tmp_path: Path) -> None:
    """A PNG has the picture's size by the scale, and something is drawn on it."""
    picture = etui.plot(residual(), tmp_path / "net.png", scale=1.5)
    data = (tmp_path / "net.png").read_bytes()
    width, height = png_size(data)
    assert (width, height) == pytest.approx((1.5 * picture.width, 1.5 * picture.height), abs=1)
    blank = etui.plot(etui.Model(config=etui.Config(layer("a"))), scale=1.5).png()
    assert len(data) > 2 * len(blank)
    assert etui.plot(residual(), theme="dark").png() != etui.plot(residual(), theme="light").png()
    assert etui.plot(residual(), theme="auto").png() == etui.plot(residual(), theme="light").png()


def test_a_png_that_is_too_large_is_told(tmp_path: Path) -> None:
    """Nothing is allocated for a picture of more than 10^8 pixels, and no file is made."""
    with pytest.raises(etui.UsageError, match="plot-size"):
        etui.plot(residual(), tmp_path / "net.png", scale=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_png_needs_its_extra_and_a_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without resvg_py, and without any font, the error says what to install; an SVG needs neither."""
    monkeypatch.setattr(png, "_has_fonts", lambda: False)
    with pytest.raises(etui.MissingExtraError, match="plot-fonts"):
        etui.plot(residual(), tmp_path / "net.png")
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    monkeypatch.setattr(png, "find_spec", lambda _: None)
    with pytest.raises(etui.MissingExtraError, match=r'pip install "etui\[plot\]"'):
        etui.plot(residual(), tmp_path / "net.png")
    assert list(tmp_path.iterdir()) == []
    etui.plot(residual(), tmp_path / "net.svg")


@pytest.mark.parametrize("name", ["shapes", "words"])
def test_the_pictures_of_the_documentation_are_current(demo: Callable[[str], Path], name: str) -> None:
    """The pictures beside the pages are what is drawn of the demonstration's models today."""
    committed = Path(__file__).parents[2] / "docs" / "pictures" / f"{name}.svg"
    assert committed.read_text(encoding="utf-8") == etui.plot(demo(f"{name}.keras")).svg


# The command


def test_the_command_draws(run: Run, demo: Callable[[str], Path]) -> None:
    """Without a name the picture is an SVG of the model's name; its size and number of modules are printed."""
    code, out, err = run("plot", demo("shapes.keras"))
    assert (code, err) == (0, "")
    assert out.startswith("shapes.svg: 12 modules, ")
    assert "?×16×16×8" in texts(Path("shapes.svg").read_text(encoding="utf-8"))
    again = Path("shapes.svg").read_bytes()
    assert run("plot", demo("shapes.keras"))[0] == 0
    assert Path("shapes.svg").read_bytes() == again


def test_the_command_prints_json(run: Run, demo: Callable[[str], Path], sample: Path) -> None:
    """The JSON of the command is as its schema says."""
    one = json.loads(
        run("plot", demo("words.keras"), "-o", "w.png", "--scale", "1", "--direction", "right", "--json")[1]
    )
    two = json.loads(run("plot", sample, "-o", "s.SVG", "--depth", "1", "--theme", "dark", "--no-fold", "--json")[1])
    for found in (one, two):
        assert schemas.validate("cli/plot", found, "plot") == []
    assert (one["kind"], one["source_format"], one["picture"]) == ("png", "keras", "w.png")
    assert (two["kind"], two["source_format"], two["picture"]) == ("svg", None, "s.SVG")
    assert png_size(Path("w.png").read_bytes())[0] == pytest.approx(one["width"], abs=1)


def test_what_is_no_picture_is_not_replaced(run: Run, sample: Path) -> None:
    """A picture never takes the place of another kind of file, not even under a picture's name."""
    Path("sample.svg").write_bytes(sample.read_bytes())
    code, out, err = run("plot", sample)
    assert (code, out) == (1, "")
    assert "sample.svg: a file of another format, so not replaced: it is not SVG [target-other-format]" in err
    assert Path("sample.svg").read_bytes() == sample.read_bytes()
    assert run("plot", sample, "-o", str(sample))[0] == 2


@pytest.mark.parametrize("name", ["pipe.svg", "folder.svg"])
def test_what_is_no_file_is_told_at_once(run: Run, sample: Path, name: str) -> None:
    """A pipe that nobody writes to is not waited for, and a folder is not replaced."""
    if name == "pipe.svg":
        os.mkfifo(name)
    else:
        Path(name).mkdir()
    code, _, err = run("plot", sample, "-o", name)
    assert code == 1
    assert "[storage-failed]" in err
    assert not Path(name).is_file()


def test_the_command_refuses(run: Run, tmp_path: Path) -> None:
    """A missing file, a model without a config and an odd depth have the exit codes of their errors."""
    weights = etui.Model(weights=etui.Weights())
    etui.save(weights, "weights.etui")
    assert run("plot", "missing.etui")[0] == 1
    assert run("plot", "weights.etui")[0] == 2
    etui.save(everything(), "all.etui")
    assert run("plot", "all.etui", "--depth", "0")[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.etui", "weights.etui"]
